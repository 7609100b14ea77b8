//! What the masker knows: its detectors, and packs of one's own.

use std::path::PathBuf;

use keyward_core::Confidence;
use keyward_mask::{Detectors, check_pack, shipped_packs};
use serde::Serialize;

use super::unknown;
use crate::cli::Session;
use crate::config::packs::{self, Pack};
use crate::exit::{Exit, Failure};

#[derive(Serialize)]
struct Row {
    id: String,
    group: String,
    confidence: Confidence,
    name: String,
}

const fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

pub(super) fn list(detectors: &Detectors, session: &Session) -> Result<(), Failure> {
    let rows: Vec<Row> = detectors
        .iter()
        .map(|d| Row {
            id: d.id().to_owned(),
            group: d.group().to_owned(),
            confidence: d.confidence(),
            name: d.name().to_owned(),
        })
        .collect();
    session.output.rows(&rows, &["DETECTOR", "GROUP", "CONFIDENCE", "FINDS"], |row| {
        vec![row.id.clone(), row.group.clone(), word(row.confidence).to_owned(), row.name.clone()]
    })
}

pub(super) fn explain(
    id: &str,
    packs: &[Pack],
    detectors: &Detectors,
    session: &Session,
) -> Result<(), Failure> {
    let names: Vec<String> = packs.iter().map(Pack::name).collect();
    let own = names.iter().zip(packs).map(|(name, pack)| (name.as_str(), pack.text.as_str()));
    let files: Vec<(&str, &str)> = own.chain(shipped_packs().iter().copied()).collect();
    let Some(found) = keyward_mask::explain(&files, id) else { return Err(unknown(id, detectors)) };
    session.output.object(&found, || {
        let mut text = format!(
            "{} ({}, confidence {}, in {})\n\n{}\n{}\n\nRecognised by:\n",
            found.id,
            found.group,
            word(found.confidence),
            found.file,
            found.name,
            found.description
        );
        let list = |text: &mut String, lines: &[String]| {
            for line in lines {
                text.push_str("  ");
                text.extend(line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }));
                text.push('\n');
            }
        };
        list(&mut text, &found.recognised);
        text.push_str("\nFinds what stands between « and »:\n");
        list(&mut text, &found.examples);
        if !found.counterexamples.is_empty() {
            text.push_str("\nFinds nothing in:\n");
            list(&mut text, &found.counterexamples);
        }
        text
    })
}

#[derive(Serialize)]
struct Checked {
    file: String,
    line: Option<u64>,
    detector: String,
    /// Empty where all holds.
    problem: String,
}

pub(super) fn check(files: &[PathBuf], session: &Session) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut found = 0;
    for path in files {
        let pack = packs::pack(path).map_err(|why| Failure::new(Exit::NotFound, why, ""))?;
        let problems = match check_pack(&pack.name(), &pack.text) {
            Ok(detectors) => {
                if session.output.is_table() {
                    session
                        .output
                        .say(&format!("{}: {detectors} detectors hold their examples\n", pack.name()));
                }
                continue;
            }
            Err(problems) => problems,
        };
        for problem in problems {
            found += 1;
            if session.output.is_table() {
                session.output.say(&format!("{problem}\n"));
            }
            rows.push(Checked {
                file: problem.file,
                line: problem.line,
                detector: problem.detector,
                problem: problem.message,
            });
        }
    }
    if !session.output.is_table() {
        session.output.rows(&rows, &[], |_| Vec::new())?;
    }
    if found == 0 { Ok(()) } else { Err(Failure::said(Exit::Error)) }
}
