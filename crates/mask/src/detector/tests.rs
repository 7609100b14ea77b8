//! The packs' own examples, and what a pack may not be.

use std::sync::Arc;

use super::examples::unmarked;
use super::*;
use crate::text::tests_support::{mask_chunks, mask_whole};
use crate::{Profile, mask_bytes};

fn packs() -> impl Iterator<Item = pack::Entry> {
    BUILTIN.iter().flat_map(|(_, yaml)| serde_saphyr::from_str::<pack::Pack>(yaml).unwrap().detectors)
}

fn only(id: &str) -> Arc<Profile> {
    Arc::new(Profile::builder().detectors(Detectors::builtin(), &[id]).build().unwrap())
}

#[test]
fn there_are_enough() {
    assert!(Detectors::builtin().iter().filter(|d| d.group() == "credentials").count() >= 350);
}

#[test]
fn every_pattern_of_the_shipped_packs_can_be_built() {
    Detectors::load(BUILTIN).unwrap();
}

#[test]
fn every_example_is_found_and_nothing_else_of_it() {
    let mut wrong = Vec::new();
    for entry in packs() {
        let profile = only(&entry.id);
        for example in &entry.examples {
            let (text, spans) = unmarked(&example.joined());
            assert!(!spans.is_empty(), "{}: mark the secret with « and »", entry.id);
            let found: Vec<_> =
                mask_whole(&profile, text.as_bytes()).findings.iter().map(|f| (f.start, f.end)).collect();
            if found != spans {
                wrong.push(format!("{}: {text:?}: found {found:?}, marked {spans:?}", entry.id));
            }
        }
        for counter in &entry.counterexamples {
            let text = counter.joined();
            if !mask_whole(&profile, text.as_bytes()).findings.is_empty() {
                wrong.push(format!("{}: found in counterexample {text:?}", entry.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_is_masked_alike_however_it_is_cut() {
    let all = Arc::new(
        Profile::builder().detectors(Detectors::builtin(), &["credentials", "pii"]).build().unwrap(),
    );
    for entry in packs() {
        let alone = only(&entry.id);
        for example in entry.examples.iter().chain(&entry.counterexamples) {
            let (text, _) = unmarked(&example.joined());
            let text = text.as_bytes();
            let whole = mask_whole(&alone, text);
            for at in 1..text.len() {
                assert_eq!(
                    mask_chunks(&alone, [&text[..at], &text[at..]]),
                    whole,
                    "{} cut at {at}",
                    entry.id
                );
            }
            for profile in [&alone, &all] {
                let whole = mask_whole(profile, text);
                assert_eq!(mask_chunks(profile, text.chunks(1)), whole, "{} byte by byte", entry.id);
                assert_eq!(mask_chunks(profile, text.chunks(3)), whole, "{} in threes", entry.id);
            }
        }
    }
}

#[test]
fn masking_what_was_masked_changes_nothing() {
    let all = Arc::new(
        Profile::builder().detectors(Detectors::builtin(), &["credentials", "pii"]).build().unwrap(),
    );
    for entry in packs() {
        for example in &entry.examples {
            let (text, _) = unmarked(&example.joined());
            let once = mask_bytes(&all, text.as_bytes());
            let twice = mask_bytes(&all, &once.bytes);
            assert_eq!(
                String::from_utf8_lossy(&twice.bytes),
                String::from_utf8_lossy(&once.bytes),
                "{}",
                entry.id
            );
        }
    }
}

#[test]
fn a_broken_pack_says_where_and_what() {
    let entry = |field: &str| {
        format!(
            "group: g\ndetectors:\n  - id: one\n    name: n\n    description: d\n    confidence: high\n    max_bytes: 64\n    examples: [\"«abc»\"]\n{field}\n"
        )
    };
    let error = |yaml: &str| Detectors::load(&[("mine.yaml", yaml)]).unwrap_err();
    let good = entry("    prefixes: [abc]\n    pattern: 'abc'");
    assert_eq!(Detectors::load(&[("mine.yaml", &good)]).unwrap().iter().count(), 1);
    let twice = Detectors::load(&[("mine.yaml", &good), ("other.yaml", &good)]).unwrap_err();
    assert_eq!(twice.to_string(), "other.yaml:3: detector one: a detector of this id exists already");
    for (field, message) in [
        ("    prefixes: [abc]\n    pattern: 'ab('", "pattern: "),
        ("    prefixes: [ab]\n    pattern: 'ab'", "a prefix or keyword is ASCII of 3 to"),
        ("    pattern: 'ab'", "either `prefixes` or `keywords`"),
        ("    prefixes: [abc]\n    keywords: [abc]\n    pattern: 'ab'", "either `prefixes` or `keywords`"),
        (
            "    prefixes: [abc]\n    pattern: 'abc(?<secret>d)'\n    grow: true",
            "`grow` masks the whole match",
        ),
        ("    prefixes: [abc]\n    pattern: 'abc'\n    checks: [assigned]", "needs keywords"),
        ("    prefixes: [abc]\n    pattern: 'abc'\n    tail: 'ab'", "`tail` is a class of bytes"),
    ] {
        let error = error(&entry(field));
        assert_eq!((error.line, error.detector.as_str()), (Some(3), "one"), "{field}");
        assert!(error.message.contains(message), "{field}: {error}");
    }
    let unknown = error(&entry("    prefixes: [abc]\n    pattern: 'abc'\n    patern: x"));
    assert!(unknown.line.is_some() && unknown.message.contains("patern"), "{unknown}");
}

#[test]
fn a_pack_of_one_s_own_stands_beside_the_shipped_ones() {
    let pack = |id: &str, group: &str, example: &str, counter: &str| {
        format!(
            "group: {group}\ndetectors:\n  - id: {id}\n    name: n\n    description: d\n    confidence: high\n    \
             max_bytes: 64\n    prefixes: [acme_]\n    pattern: 'acme_[0-9]{{8}}'\n    examples: [\"{example}\"]\n    \
             counterexamples: [\"{counter}\"]\n"
        )
    };
    let good = pack("acme", "credentials", "x «acme_12345678» y", "acme_1234567");
    let detectors = Detectors::with_packs(&[("own.yaml", &good)]).unwrap();
    assert!(detectors.knows("acme") && detectors.knows("github_pat") && !detectors.knows("acm"));
    let names = detectors.names();
    assert!(names.iter().all(|name| detectors.knows(name)) && names.contains(&"acme") && names.is_sorted());
    let profile = Profile::builder().detectors(Arc::clone(&detectors), &["credentials"]).build().unwrap();
    assert_eq!(mask_bytes(&Arc::new(profile), b"acme_12345678").bytes, b"[REDACTED:acme]");
    assert_eq!(check_pack("own.yaml", &good), Ok(1));
    for (bad, problems) in [
        (
            pack("github_pat", "g", "«acme_12345678»", "x"),
            vec!["own.yaml:3: detector github_pat: a shipped detector has this id"],
        ),
        (
            pack("acme", "g", "«acme_1234567»8", "acme_12345678"),
            vec![
                "own.yaml:3: detector acme: example 1: found at [(0, 13)]",
                "own.yaml:3: detector acme: counterexample 1: found at",
            ],
        ),
        (pack("acme", "g", "acme_12345678", "x"), vec!["example 1: mark the secret"]),
    ] {
        let found = check_pack("own.yaml", &bad).unwrap_err();
        assert_eq!(found.len(), problems.len(), "{found:?}");
        for (error, problem) in found.iter().zip(problems) {
            assert!(error.to_string().contains(problem), "{error}");
        }
        assert!(Detectors::with_packs(&[("own.yaml", &bad)]).is_err());
    }
}

#[test]
fn a_pack_has_bounds() {
    let entry = |n: usize, pattern: &str| {
        format!(
            "  - {{id: a{n}, name: n, description: d, confidence: high, max_bytes: 64, prefixes: [acme_], pattern: '{pattern}', examples: ['«acme_1»']}}\n"
        )
    };
    let pack = |count: usize| -> String {
        std::iter::once("group: g\ndetectors:\n".to_owned())
            .chain((0..count).map(|n| entry(n, "acme_1")))
            .collect()
    };
    assert!(Detectors::with_packs(&[("own.yaml", &pack(PACK_DETECTORS_MAX))]).is_ok());
    let error = Detectors::with_packs(&[("own.yaml", &pack(PACK_DETECTORS_MAX + 1))]).unwrap_err();
    assert!(error.message.contains("more than 1000 detectors"), "{error}");
    let huge = format!("group: g\ndetectors:\n{}", entry(0, "acme_1|acme_(?:.{0,200}x){9}"));
    let error = Detectors::with_packs(&[("own.yaml", &huge)]).unwrap_err();
    assert!(error.message.starts_with("pattern: ") && error.line == Some(3), "{error}");
}

#[test]
fn a_detector_is_explained() {
    let of = |id: &str| explain(shipped_packs(), id).unwrap();
    let github = of("github_pat");
    assert_eq!((github.group.as_str(), github.confidence), ("credentials", Confidence::High));
    assert!(github.recognised.iter().any(|line| line.contains("begins with ghp_")), "{github:?}");
    assert!(github.examples.iter().all(|example| example.contains('«')));
    assert!(of("us_ssn").recognised.iter().any(|line| line.contains("check")));
    assert_eq!(explain(shipped_packs(), "nothing"), None);
}

/// What of a text has left, byte for byte or as a placeholder, and whether a secret is being replaced.
#[derive(Default)]
struct Sent {
    kept: Vec<std::ops::Range<u64>>,
    at: u64,
}

impl crate::Decisions for Sent {
    fn keep(&mut self, bytes: usize) {
        self.kept.push(self.at..self.at + bytes as u64);
        self.at += bytes as u64;
    }

    fn replace(&mut self, bytes: usize, _placeholder: &str) {
        self.at += bytes as u64;
    }

    fn found(&mut self, _finding: keyward_core::Finding) {}
}

#[test]
fn no_byte_of_an_example_leaves_before_it_is_decided() {
    for entry in packs() {
        let profile = only(&entry.id);
        for example in &entry.examples {
            let (text, spans) = unmarked(&example.joined());
            let mut masker = crate::TextMasker::new(Arc::clone(&profile));
            let mut sent = Sent::default();
            for byte in text.as_bytes() {
                masker.push(std::slice::from_ref(byte), &mut sent);
                // Before the secret is over, nothing of it has left as it is.
                let leaked = sent
                    .kept
                    .iter()
                    .any(|kept| spans.iter().any(|span| kept.start < span.1 && kept.end > span.0));
                assert!(!leaked, "{}: {text:?}: {:?} left of {spans:?}", entry.id, sent.kept);
            }
        }
    }
}
