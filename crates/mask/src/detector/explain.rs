//! What a detector is, for people.

use keyward_core::Confidence;

use super::compile;
use super::pack::Entry;

/// What a pack says about one detector.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Its name in findings and policies.
    pub id: String,
    /// The group that selects it.
    pub group: String,
    /// The pack's file.
    pub file: String,
    /// What it finds.
    pub name: String,
    /// What such a value opens, and where it comes from.
    pub description: String,
    /// How sure a finding is.
    pub confidence: Confidence,
    /// How it is recognised, in sentences.
    pub recognised: Vec<String>,
    /// Texts in which it finds the part between « and ».
    pub examples: Vec<String>,
    /// Texts in which it finds nothing.
    pub counterexamples: Vec<String>,
}

/// Explains the detector of this id in one of `files`, each a name and its YAML.
pub fn explain(files: &[(&str, &str)], id: &str) -> Option<Explanation> {
    files.iter().find_map(|(file, yaml)| {
        let pack = compile::read(file, yaml).ok()?;
        let entry = pack.detectors.into_iter().find(|entry| entry.id == id)?;
        Some(Explanation {
            recognised: recognised(&entry),
            examples: entry.examples.iter().map(super::pack::Text::joined).collect(),
            counterexamples: entry.counterexamples.iter().map(super::pack::Text::joined).collect(),
            id: entry.id,
            group: pack.group,
            file: (*file).to_owned(),
            name: entry.name,
            description: entry.description,
            confidence: entry.confidence,
        })
    })
}

fn recognised(entry: &Entry) -> Vec<String> {
    let few = |words: &[String]| {
        let shown: Vec<&str> = words.iter().take(8).map(String::as_str).collect();
        let more = words.len().saturating_sub(8);
        if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
    };
    let mut lines = Vec::new();
    if !entry.prefixes.is_empty() {
        lines.push(format!("begins with {}", few(&entry.prefixes)));
    }
    if !entry.keywords.is_empty() {
        let near = if entry.evidence || entry.word { "near" } else { "stands behind" };
        lines.push(format!("{near} {}", few(&entry.keywords)));
    }
    if entry.evidence {
        lines.push("looks generated, with a word for a credential or a service's name left of it".to_owned());
    }
    if entry.word {
        lines.push("begins where a word does".to_owned());
    }
    if entry.alone {
        lines.push("or is the whole text".to_owned());
    }
    if !entry.pattern.is_empty() {
        lines.push(format!("matches {}", entry.pattern));
    }
    if let Some(behind) = &entry.behind {
        lines.push(format!("behind {behind}"));
    }
    lines.extend(entry.checks.iter().map(|check| format!("check {check:?}").to_lowercase()));
    if entry.grow || entry.tail.is_some() {
        lines.push("masked to its end, however long it is".to_owned());
    }
    lines
}
