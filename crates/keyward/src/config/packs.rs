//! The packs of detectors that a configuration names: found, read, held against their own examples.
//!
//! Promise: all or nothing. A pack that cannot be loaded, or that does not find what it says it finds, is a problem of the
//! configuration, with file and line; the text of an example is never repeated.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward_mask::{Detectors, PackError};

use super::load::read;
use super::problem::{Problem, Report};
use super::tree::{At, Node, Places};

/// Longest pack.
pub const PACK_BYTES_MAX: u64 = 1024 * 1024;
/// Most packs.
pub const PACKS_MAX: usize = 64;

/// A pack, read.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The file it came from.
    pub path: PathBuf,
    /// Its YAML.
    pub text: String,
}

impl Pack {
    /// Its name in errors.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Reads every pack under `detectors`, relative to `base`, and compiles them beside the shipped ones.
pub fn read_all(
    root: &Node,
    places: &Places,
    base: &Path,
    report: &mut Report<'_>,
) -> (Vec<Pack>, Arc<Detectors>) {
    let mut packs: Vec<Pack> = Vec::new();
    let Some(node) = root.get("detectors") else { return (packs, Detectors::builtin()) };
    if node.items().len() > PACKS_MAX {
        report.at(places.nearest("detectors"), format!("more than {PACKS_MAX} packs"), "join some of them");
        return (packs, Detectors::builtin());
    }
    let mut complete = true;
    for item in node.items() {
        let value = item.to_json();
        let Some(name) = value.as_str() else { continue };
        match pack(&base.join(name)) {
            Ok(pack) if packs.iter().any(|other| other.path == pack.path) => {
                report.at(item.at, format!("`{name}` is there twice"), "remove one");
            }
            Ok(pack) => packs.push(pack),
            Err(why) => {
                complete = false;
                let help = "a relative path is read from the configuration file's directory";
                report.at(item.at, why, help);
            }
        }
    }
    match compile(&packs) {
        Ok(detectors) => (packs, detectors),
        Err(error) => {
            // A pack that is missing would make others look wrong.
            if complete {
                report.other(problem(error, &packs));
            }
            (packs, Detectors::builtin())
        }
    }
}

/// The shipped detectors and those of `packs`.
///
/// # Errors
/// The first problem of a pack.
pub fn compile(packs: &[Pack]) -> Result<Arc<Detectors>, PackError> {
    let names: Vec<String> = packs.iter().map(Pack::name).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(packs).map(|(name, pack)| (name.as_str(), pack.text.as_str())).collect();
    Detectors::with_packs(&files)
}

/// Reads one pack.
///
/// # Errors
/// A sentence that says why it cannot be read.
pub fn pack(path: &Path) -> Result<Pack, String> {
    read(path, PACK_BYTES_MAX)
        .map(|text| Pack { path: path.to_path_buf(), text })
        .map_err(|why| format!("the pack {} {why}", path.display()))
}

/// What is wrong with a pack, shown as the configuration's own problems are.
pub fn problem(error: PackError, packs: &[Pack]) -> Problem {
    let text = packs.iter().find(|pack| pack.name() == error.file).map_or("", |pack| pack.text.as_str());
    let at = At { line: error.line.unwrap_or(1), column: 1, width: 1 };
    let message = match error.detector.as_str() {
        "" => error.message,
        id => format!("detector {id}: {}", error.message),
    };
    Problem::at(
        &error.file,
        text,
        at,
        message,
        "`keyward mask --check-pack FILE` names everything".to_owned(),
    )
}
