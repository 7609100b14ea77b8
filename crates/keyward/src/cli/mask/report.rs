//! What was found: how often, and where. Never the value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use keyward_core::Finding;
use serde::Serialize;

use crate::exit::Failure;

/// How many places are kept for each detector; further ones are counted.
const PLACES_MAX: usize = 100;
/// How many of them are shown to people.
const PLACES_SHOWN: usize = 3;

/// Collects findings.
#[derive(Default)]
pub(super) struct Report {
    bytes: u64,
    files: Vec<String>,
    detectors: BTreeMap<Arc<str>, Counted>,
}

#[derive(Default)]
struct Counted {
    count: u64,
    places: Vec<(usize, u64, u64)>,
}

#[derive(Serialize)]
struct Written<'a> {
    bytes: u64,
    findings: u64,
    detectors: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    detector: &'a str,
    count: u64,
    /// The first ones; offsets as the engine gives them.
    places: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    start: u64,
    end: u64,
}

impl Report {
    /// What follows is found in this file; `-` is stdin.
    pub(super) fn begin(&mut self, file: &str) {
        self.files.push(file.to_owned());
    }

    pub(super) fn add(&mut self, bytes: u64, findings: &[Finding]) {
        self.bytes += bytes;
        let file = self.files.len().saturating_sub(1);
        for finding in findings {
            let counted = self.detectors.entry(Arc::clone(&finding.detector)).or_default();
            counted.count += 1;
            if counted.places.len() < PLACES_MAX {
                counted.places.push((file, finding.start, finding.end));
            }
        }
    }

    pub(super) fn findings(&self) -> u64 {
        self.detectors.values().map(|counted| counted.count).sum()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn place(&self, (file, start, end): &(usize, u64, u64)) -> Place<'_> {
        Place { file: self.files.get(*file).map_or("-", String::as_str), start: *start, end: *end }
    }

    /// For people, or as JSON.
    pub(super) fn text(&self, people: bool) -> Result<String, Failure> {
        let mut rows: Vec<Row<'_>> = self
            .detectors
            .iter()
            .map(|(detector, counted)| Row {
                detector,
                count: counted.count,
                places: counted.places.iter().map(|place| self.place(place)).collect(),
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        let all = Written { bytes: self.bytes, findings: self.findings(), detectors: rows };
        if !people {
            let text = serde_json::to_string_pretty(&all);
            return text
                .map(|text| text + "\n")
                .map_err(|_| Failure::error("the report cannot be written", ""));
        }
        let mut text = format!("{} findings in {} bytes\n", all.findings, all.bytes);
        for row in &all.detectors {
            let places = row.places.iter().take(PLACES_SHOWN);
            let places: Vec<String> =
                places.map(|place| format!("{}:{}-{}", place.file, place.start, place.end)).collect();
            let more = if row.count > PLACES_SHOWN as u64 { ", …" } else { "" };
            _ = writeln!(text, "{:>8}  {}  ({}{more})", row.count, row.detector, places.join(", "));
        }
        Ok(text)
    }
}
