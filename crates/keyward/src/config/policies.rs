//! The policy documents that a configuration names: found, read, compiled; their problems reported beside its own.

use std::path::{Path, PathBuf};

use keyward_core::policy::{BUILTIN_PREFIX, PolicyError, PolicySet, PolicySource, builtin_names};
use keyward_mask::Detectors;

use super::load::read;
use super::problem::{Problem, Report};
use super::tree::{Node, Places};
use super::{deciders, owners, suggest};

/// Longest policy document.
pub const POLICY_BYTES_MAX: u64 = 1024 * 1024;
/// Most policy documents.
pub const POLICIES_MAX: usize = 256;

/// A policy document, read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its name and text, as the policy compiler takes them.
    pub source: PolicySource,
    /// The file it came from; none for a built-in one.
    pub path: Option<PathBuf>,
}

/// Reads every document under `policies`, relative to `base`, and compiles them together.
pub fn read_all(
    root: &Node,
    places: &Places,
    base: &Path,
    detectors: &Detectors,
    report: &mut Report<'_>,
) -> Vec<Document> {
    let Some(node) = root.get("policies") else { return Vec::new() };
    let here = places.nearest("policies");
    if node.items().is_empty() {
        report.at(here, "there is no policy, so every call would be refused", "add `builtin:base`");
    }
    if node.items().len() > POLICIES_MAX {
        report.at(here, format!("more than {POLICIES_MAX} policy documents"), "join some of them with `---`");
        return Vec::new();
    }
    let mut documents: Vec<Document> = Vec::new();
    let mut complete = true;
    for item in node.items() {
        let value = item.to_json();
        let Some(name) = value.as_str() else { continue };
        match document(name, base) {
            Ok(document) if documents.iter().any(|other| other.source.name == document.source.name) => {
                report.at(item.at, format!("`{name}` is there twice"), "remove one");
            }
            Ok(document) => documents.push(document),
            Err((message, help)) => {
                complete = false;
                report.at(item.at, message, help);
            }
        }
    }
    // A document that is missing would make others look wrong.
    if complete && !documents.is_empty() {
        match compile(&documents, detectors) {
            Ok(policy) => {
                deciders::consulted(root, &policy, &documents, report);
                owners::asked(root, &policy, &documents, report);
            }
            Err(problems) => problems.into_iter().for_each(|problem| report.other(problem)),
        }
    }
    documents
}

/// Compiles documents to the set that decides; their `mask` rules choose from `detectors`.
///
/// # Errors
/// Every problem of every document.
pub fn compile(documents: &[Document], detectors: &Detectors) -> Result<PolicySet, Vec<Problem>> {
    let sources: Vec<PolicySource> = documents.iter().map(|document| document.source.clone()).collect();
    PolicySet::load(&sources, &detectors.names())
        .map_err(|errors| errors.into_iter().map(|error| problem(error, documents)).collect())
}

fn problem(error: PolicyError, documents: &[Document]) -> Problem {
    let text = documents.iter().find(|document| document.source.name == error.file);
    let text = text.map_or("", |document| document.source.text.as_str());
    let at = super::tree::At { line: error.line, column: error.column, width: 1 };
    Problem::at(&error.file, text, at, error.message, error.help.unwrap_or_default())
}

/// Reads one document by the name that the configuration or the command line gives it.
///
/// # Errors
/// What is wrong, and what to do about it.
pub fn document(name: &str, base: &Path) -> Result<Document, (String, String)> {
    if let Some(source) = PolicySource::builtin(name) {
        return Ok(Document { source, path: None });
    }
    if name.starts_with(BUILTIN_PREFIX) {
        let known: Vec<&str> = builtin_names().collect();
        let help = match suggest::nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        return Err((format!("there is no policy `{name}`"), help));
    }
    let path = base.join(name);
    match read(&path, POLICY_BYTES_MAX) {
        Ok(text) => {
            let source = PolicySource { name: path.display().to_string(), text };
            Ok(Document { source, path: Some(path) })
        }
        Err(why) => Err((
            format!("the policy file {} {why}", path.display()),
            "a relative path is read from the configuration file's directory".to_owned(),
        )),
    }
}
