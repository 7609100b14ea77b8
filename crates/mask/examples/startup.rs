//! What starting costs: time and memory of loading the shipped detectors and building a profile, and the detectors
//! whose automata take longest.
//!
//! `cargo run --release -p keyward-mask --example startup`

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_mask::{Detector, Detectors, Profile};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let before = resident_kib();
    let start = Instant::now();
    let detectors = Detectors::builtin();
    let loaded = start.elapsed();
    let loaded_kib = resident_kib();
    writeln!(out, "load              {loaded:>10.1?}  {:>7} KiB", loaded_kib - before)?;
    for groups in [&["credentials"][..], &["credentials", "pii"]] {
        let (before, start) = (resident_kib(), Instant::now());
        let profile = Profile::builder().detectors(Arc::clone(&detectors), groups).build()?;
        writeln!(
            out,
            "profile {:<20} {:>10.1?}  {:>7} KiB",
            groups.concat(),
            start.elapsed(),
            resident_kib() - before
        )?;
        drop(profile);
    }
    let (before, start) = (resident_kib(), Instant::now());
    let mut slowest: Vec<_> = detectors.iter().map(|d| (warm(d), d.id())).collect();
    writeln!(out, "every automaton   {:>10.1?}  {:>7} KiB", start.elapsed(), resident_kib() - before)?;
    slowest.sort_unstable_by(|a, b| b.cmp(a));
    for (took, id) in slowest.iter().take(8) {
        writeln!(out, "  {took:>10.1?}  {id}")?;
    }
    Ok(())
}

fn warm(detector: &Detector) -> Duration {
    let start = Instant::now();
    detector.build();
    start.elapsed()
}

/// Resident memory, in KiB; 0 where the system does not tell.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
