//! What tests of this crate see of a masker's decisions.

use std::sync::Arc;

use super::{Decisions, HOLD_BYTES_MAX, TextMasker};
use crate::{Finding, Profile};

/// One stretch of decided text; neighbours of one kind are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stretch {
    Keep(usize),
    Replace(usize, String),
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) findings: Vec<Finding>,
}

impl Decisions for Seen {
    fn keep(&mut self, bytes: usize) {
        assert!(bytes > 0, "an empty decision");
        match self.stretches.last_mut() {
            Some(Stretch::Keep(before)) => *before += bytes,
            _ => self.stretches.push(Stretch::Keep(bytes)),
        }
    }

    fn replace(&mut self, bytes: usize, placeholder: &str) {
        assert!(bytes > 0, "an empty decision");
        match self.stretches.last_mut() {
            Some(Stretch::Replace(before, _)) if placeholder.is_empty() => *before += bytes,
            // Nothing at all stands in the place of what is dropped.
            _ => self.stretches.push(Stretch::Replace(bytes, placeholder.to_owned())),
        }
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

impl Seen {
    pub(crate) fn decided(&self) -> usize {
        self.stretches
            .iter()
            .map(|s| match s {
                Stretch::Keep(n) | Stretch::Replace(n, _) => *n,
            })
            .sum()
    }

    pub(crate) fn text(&self, input: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        for stretch in &self.stretches {
            match stretch {
                Stretch::Keep(n) => {
                    out.extend_from_slice(&input[at..at + n]);
                    at += n;
                }
                Stretch::Replace(n, placeholder) => {
                    out.extend_from_slice(placeholder.as_bytes());
                    at += n;
                }
            }
        }
        out
    }
}

pub(crate) fn mask_whole(profile: &Arc<Profile>, text: &[u8]) -> Seen {
    mask_chunks(profile, [text])
}

pub(crate) fn mask_chunks<'a>(profile: &Arc<Profile>, chunks: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut seen = Seen::default();
    let mut masker = TextMasker::new(Arc::clone(profile));
    let mut given = 0;
    for chunk in chunks {
        masker.push(chunk, &mut seen);
        given += chunk.len();
        assert!(given - seen.decided() <= HOLD_BYTES_MAX, "held back {}", given - seen.decided());
    }
    masker.boundary(&mut seen);
    assert_eq!(seen.decided(), given, "every byte is decided once");
    assert!(masker.is_idle());
    seen
}
