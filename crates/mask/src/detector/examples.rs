//! A pack's examples are its tests.

use std::sync::Arc;

use super::pack::Entry;
use super::{Detectors, PackError, compile};
use crate::{Profile, mask_bytes};

/// An example's text without the marks, and the spans they mark.
pub(super) fn unmarked(example: &str) -> (String, Vec<(u64, u64)>) {
    let (mut text, mut spans, mut start) = (String::new(), Vec::new(), 0);
    for c in example.chars() {
        match c {
            '«' => start = text.len() as u64,
            '»' => spans.push((start, text.len() as u64)),
            c => text.push(c),
        }
    }
    (text, spans)
}

/// Holds a pack against its own examples.
///
/// # Errors
/// Everything that is wrong with it: the entry that cannot be loaded, or every example that is not found as it is marked
/// and every counterexample that something is found in. Never the text of an example: it may be somebody's secret.
pub fn check_pack(file: &str, yaml: &str) -> Result<usize, Vec<PackError>> {
    let files = [(file, yaml)];
    Detectors::with_packs(&files).map_err(|first| {
        let own = Detectors::load(&files).map(Arc::new);
        let found = own.ok().zip(compile::read(file, yaml).ok()).map(|(own, pack)| {
            pack.detectors.iter().flat_map(|entry| problems(&files, entry, &own)).collect::<Vec<_>>()
        });
        found.filter(|found| found.contains(&first)).unwrap_or_else(|| vec![first])
    })?;
    Ok(compile::read(file, yaml).map_or(0, |pack| pack.detectors.len()))
}

/// The first example of the files that does not hold.
pub(super) fn check_all(files: &[(&str, &str)], detectors: &Arc<Detectors>) -> Result<(), PackError> {
    for (file, yaml) in files {
        let pack = compile::read(file, yaml)?;
        if let Some(problem) = pack.detectors.iter().flat_map(|e| problems(files, e, detectors)).next() {
            return Err(problem);
        }
    }
    Ok(())
}

fn problems(files: &[(&str, &str)], entry: &Entry, detectors: &Arc<Detectors>) -> Vec<PackError> {
    let error = |message: String| compile::error_at(files, &entry.id, message);
    let profile = Profile::builder().detectors(Arc::clone(detectors), &[&entry.id]).build();
    let profile = match profile {
        Ok(profile) => Arc::new(profile),
        Err(problem) => return vec![error(problem.to_string())],
    };
    let found = |text: &str| -> Vec<(u64, u64)> {
        mask_bytes(&profile, text.as_bytes()).findings.iter().map(|f| (f.start, f.end)).collect()
    };
    let mut all = Vec::new();
    for (n, example) in (1..).zip(&entry.examples) {
        let (text, spans) = unmarked(&example.joined());
        let found = found(&text);
        if spans.is_empty() {
            all.push(error(format!("example {n}: mark the secret with « and »")));
        } else if found != spans {
            all.push(error(format!("example {n}: found at {found:?}, marked at {spans:?} (bytes)")));
        }
    }
    for (n, counter) in (1..).zip(&entry.counterexamples) {
        let found = found(&counter.joined());
        if !found.is_empty() {
            all.push(error(format!("counterexample {n}: found at {found:?} (bytes)")));
        }
    }
    all
}
