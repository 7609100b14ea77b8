//! Raw bytes that wait for a decision on what they mean.

use std::collections::VecDeque;

use keyward_core::Finding;

use super::spelling::Spelling;
use crate::text::Decisions;

/// How many findings are kept until they are taken; further ones are masked all the same and not listed.
pub const FINDINGS_MAX: usize = 10_000;

/// So many bytes of meaning stand for so many raw bytes. Equal lengths: byte for byte. Else it is an escape, which goes
/// out whole or not at all.
#[derive(Debug, Clone, Copy)]
struct Run {
    meaning: usize,
    raw: usize,
}

/// Runs in order.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: VecDeque<Run>,
}

impl Runs {
    pub(super) fn push(&mut self, meaning: usize, raw: usize) {
        match self.runs.back_mut() {
            Some(back) if meaning == raw && back.meaning == back.raw => {
                back.meaning += meaning;
                back.raw += raw;
            }
            _ if meaning == 0 => {}
            _ => self.runs.push_back(Run { meaning, raw }),
        }
    }

    /// Takes at most `meaning` bytes of meaning off the front: one run, or a part of a literal one. `None` when empty.
    pub(super) fn take(&mut self, meaning: usize) -> Option<(usize, usize)> {
        let front = self.runs.front_mut().filter(|_| meaning > 0)?;
        if meaning < front.meaning && front.meaning == front.raw {
            front.meaning -= meaning;
            front.raw -= meaning;
            return Some((meaning, meaning));
        }
        self.runs.pop_front().map(|run| (run.meaning, run.raw))
    }

    /// How many bytes at the front stand for themselves.
    pub(super) fn literal(&self) -> usize {
        self.runs.front().filter(|run| run.meaning == run.raw).map_or(0, |run| run.meaning)
    }

    /// Takes `meaning` bytes of meaning off the front; says how many raw bytes they are.
    pub(super) fn take_all(&mut self, meaning: usize) -> usize {
        let (mut left, mut total) = (meaning, 0);
        while let Some((taken, raw)) = self.take(left) {
            left = left.saturating_sub(taken);
            total += raw;
        }
        total
    }

    /// Moves everything to the end of `other`.
    pub(super) fn drain_into(&mut self, other: &mut Self) {
        for run in self.runs.drain(..) {
            other.push(run.meaning, run.raw);
        }
    }

    fn clear(&mut self) {
        self.runs.clear();
    }
}

/// The raw bytes that were read and not yet sent, and what of them is text under decision.
#[derive(Debug, Default)]
pub(super) struct Splice {
    raw: Vec<u8>,
    head: usize,
    /// How many raw bytes were sent or replaced since the last clear.
    pub(super) gone: u64,
    /// The text under decision; it lies at the front of `raw`.
    pub(super) text: Runs,
    /// Of the atomic run at the front of `text`: the bytes of meaning decided so far, and whether one was replaced.
    split: Option<(usize, bool)>,
}

impl Splice {
    pub(super) fn read(&mut self, raw: &[u8]) {
        self.raw.extend_from_slice(raw);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == self.raw.len()
    }

    /// Sends the next `len` raw bytes as they are.
    pub(super) fn send(&mut self, len: usize, out: &mut Vec<u8>) {
        let end = self.head + len;
        out.extend_from_slice(self.raw.get(self.head..end).unwrap_or_default());
        self.drop_raw(len);
    }

    /// Passes over the next `len` raw bytes: something else was sent for them.
    pub(super) fn skip(&mut self, len: usize) {
        self.drop_raw(len);
    }

    fn drop_raw(&mut self, len: usize) {
        self.gone += len as u64;
        self.head = (self.head + len).min(self.raw.len());
        if self.head == self.raw.len() {
            self.raw.clear();
            self.head = 0;
        } else if self.head > 64 * 1024 && self.head * 2 > self.raw.len() {
            self.raw.drain(..self.head);
            self.head = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.raw.clear();
        self.head = 0;
        self.gone = 0;
        self.text.clear();
        self.split = None;
    }

    /// Decides the next `meaning` bytes of text.
    fn decide(&mut self, meaning: usize, keep: bool, out: &mut Vec<u8>) {
        let mut left = meaning;
        // Raw bytes that stay, and were not sent yet.
        let mut kept = 0;
        while left > 0 {
            let Some(front) = self.text.runs.front().copied() else { break };
            if front.meaning == front.raw {
                let Some((taken, raw)) = self.text.take(left) else { break };
                left -= taken;
                if keep {
                    kept += raw;
                } else {
                    self.drop_raw(raw);
                }
                continue;
            }
            // An escape: its raw bytes go out only when all of its meaning was kept.
            let (seen, replaced) = self.split.take().unwrap_or_default();
            let taken = left.min(front.meaning - seen);
            left -= taken;
            let (seen, replaced) = (seen + taken, replaced || !keep);
            if seen < front.meaning {
                self.split = Some((seen, replaced));
                break;
            }
            self.text.runs.pop_front();
            if !replaced {
                kept += front.raw;
                continue;
            }
            self.send(std::mem::take(&mut kept), out);
            self.drop_raw(front.raw);
        }
        self.send(kept, out);
    }
}

/// Carries out decisions on a [`Splice`].
pub(super) struct Carrier<'a> {
    pub(super) splice: &'a mut Splice,
    pub(super) out: &'a mut Vec<u8>,
    /// Inside how many JSON strings the text lies.
    pub(super) depth: usize,
    /// How the text around these strings is spelled.
    pub(super) spelling: Spelling,
    /// What to add to a finding's offsets.
    pub(super) base: u64,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Decisions for Carrier<'_> {
    fn keep(&mut self, bytes: usize) {
        self.splice.decide(bytes, true, self.out);
    }

    fn replace(&mut self, bytes: usize, placeholder: &str) {
        self.splice.decide(bytes, false, self.out);
        self.spelling.write(placeholder, self.depth, self.out);
    }

    fn found(&mut self, mut finding: Finding) {
        finding.start = finding.start.saturating_add(self.base);
        finding.end = finding.end.saturating_add(self.base);
        note(self.findings, finding);
    }
}

/// Keeps a finding, while there are not too many.
pub(super) fn note(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX {
        findings.push(finding);
    }
}
