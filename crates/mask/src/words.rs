//! Values that begin where a word begins: numbers with check digits, addresses.
//!
//! Every pattern has a digit or an `@`, which text has few of, so that those are what is searched for. Patterns are
//! anchored at the beginning of the word around it and bounded; one automaton holds them all and says which are alive.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::dfa::Automaton;
use regex_automata::dfa::dense::DFA;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

use crate::class::{BLOCK_BYTES, Block};
use crate::detector::{Detector, LOOK_BACK_BYTES};
use crate::lane::Rest;
use crate::matches::{Match, Matches};
use crate::profile::{Owner, Profile};

/// The longest value, in bytes.
pub(crate) const WORD_BYTES_MAX: usize = 120;
/// Words near a value of so many bytes must stand alone.
const SHORT_BYTES_MAX: usize = 5;
/// How far left of its first digit, or of its `@`, a value may begin, in bytes.
const LEAD_BYTES_MAX: usize = 64;

/// The patterns of a profile.
#[derive(Default)]
pub(crate) struct WordSet {
    automaton: Option<DFA<Vec<u32>>>,
    /// Which detector each pattern is of.
    detectors: Vec<u32>,
    mailboxes: bool,
    /// Finds every word that any of them wants near a value.
    near: Option<AhoCorasick>,
    /// Beside the words of `near`: which patterns want it.
    wanted_by: Vec<Vec<usize>>,
}

impl WordSet {
    /// `patterns` are those of `detectors`, in one automaton.
    pub(crate) fn new(
        automaton: DFA<Vec<u32>>,
        detectors: Vec<(u32, &Detector)>,
    ) -> Result<Self, aho_corasick::BuildError> {
        let mut words: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (pattern, (_, detector)) in detectors.iter().enumerate() {
            for word in detector.near() {
                words.entry(word).or_default().push(pattern);
            }
        }
        let near = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .ascii_case_insensitive(true)
            .build(words.keys())?;
        let is_mailbox = |(_, d): &(u32, &Detector)| d.word_pattern().is_some_and(|p| p.contains('@'));
        Ok(Self {
            automaton: Some(automaton),
            mailboxes: detectors.iter().any(is_mailbox),
            detectors: detectors.into_iter().map(|(index, _)| index).collect(),
            near: Some(near),
            wanted_by: words.into_values().collect(),
        })
    }

    /// The patterns of which a word stands left of a value at `at`.
    fn expected_at(&self, text: &[u8], at: usize) -> Vec<usize> {
        let left = text.get(at.saturating_sub(LOOK_BACK_BYTES)..at).unwrap_or_default();
        let letter = |at: Option<usize>| at.and_then(|n| left.get(n)).is_some_and(u8::is_ascii_alphabetic);
        let mut expected = Vec::new();
        for hit in self.near.iter().flat_map(|near| near.find_overlapping_iter(left)) {
            // A short word may be part of any other.
            let part = letter(hit.start().checked_sub(1)) || letter(Some(hit.end()));
            if hit.len() > SHORT_BYTES_MAX || !part {
                expected.extend(self.wanted_by.get(hit.pattern().as_usize()).into_iter().flatten());
            }
        }
        expected
    }
}

/// The search for such values.
#[derive(Default)]
pub(crate) struct Words {
    /// Every value that begins before here is judged.
    scanned: usize,
    /// Where an open value may begin.
    held_from: usize,
    /// Where the text begins, while it is there; nothing when something stands before it.
    origin: Option<usize>,
    started: bool,
    /// The end of the last value.
    taken: usize,
}

/// Whether a value may begin in `text` from `from` on: true wherever one does.
pub(crate) fn may_occur(profile: &Profile, text: &[u8], from: usize) -> bool {
    profile.words.automaton.is_some() && next_key(text, from).is_some()
}

/// What a run of the automaton from one place saw.
enum Run {
    /// It wants more text.
    Open,
    /// It ended; with matches as pattern and end.
    Done(Vec<(usize, usize)>),
}

impl Words {
    pub(crate) fn advance(
        &mut self,
        profile: &Profile,
        off: bool,
        text: &[u8],
        rest: Rest,
        matches: &mut Matches,
    ) {
        let set = &profile.words;
        let Some(automaton) = set.automaton.as_ref().filter(|_| !off) else {
            (self.scanned, self.held_from) = (text.len(), text.len());
            return;
        };
        if !self.started {
            (self.started, self.origin) = (true, (self.scanned == 0).then_some(0));
        }
        let mut at = self.scanned;
        self.held_from = text.len();
        while let Some(key) = next_key(text, at) {
            let begin = lead(text, if text.get(key) == Some(&b'@') { self.taken } else { at }, key);
            let mut next = key + 1;
            let mut from = begin;
            let mut open = None;
            while from <= key {
                if is_start(text, from) {
                    match run(automaton, text, from, rest) {
                        Run::Open => {
                            open = Some(from);
                            break;
                        }
                        Run::Done(found) => {
                            if let Some(end) = self.judge(profile, text, from, &found, matches) {
                                next = end.max(key + 1);
                                self.taken = end;
                                break;
                            }
                        }
                    }
                }
                from += 1;
            }
            if let Some(from) = open {
                (self.scanned, self.held_from) = (from, from);
                return;
            }
            // A long number is judged once: from its beginning.
            let digits =
                text.get(next..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
            at = if text.get(key).is_some_and(u8::is_ascii_digit) && next == key + 1 {
                next + digits
            } else {
                next
            };
        }
        if rest == Rest::Ended {
            (self.scanned, self.held_from) = (text.len(), text.len());
            return;
        }
        // Letters at the end may be the beginning of a value whose digit is yet to come.
        let tail = text.len().saturating_sub(LEAD_BYTES_MAX).max(at);
        let live = (tail..text.len()).find(|from| is_start(text, *from) && alive(automaton, text, *from));
        let name = || {
            let back = text.get(self.taken..).unwrap_or_default().iter().rev().take(LEAD_BYTES_MAX);
            text.len() - back.take_while(|b| is_local(**b)).count()
        };
        // The beginning of a mailbox begins a word: what has more before it is the beginning of none.
        let local = set.mailboxes.then(name).filter(|from| is_start(text, *from));
        self.held_from = live.unwrap_or(text.len()).min(local.unwrap_or(text.len()));
        self.scanned = live.unwrap_or(text.len()).max(at).min(text.len());
    }

    /// The end of what was found.
    fn judge(
        &self,
        profile: &Profile,
        text: &[u8],
        from: usize,
        found: &[(usize, usize)],
        matches: &mut Matches,
    ) -> Option<usize> {
        let mut expected = None;
        for (pattern, end) in found {
            let Some(index) = profile.words.detectors.get(*pattern) else { continue };
            let Some(detector) = profile.detector(*index) else { continue };
            let alone =
                self.origin == Some(from) && text.get(*end..).is_none_or(|rest| rest.trim_ascii().is_empty());
            let bare = text.get(from..*end).unwrap_or_default().iter().all(|b| !b.is_ascii_alphabetic());
            if bare && self.in_table(text, from) {
                continue;
            }
            let somewhere = detector.near().is_empty() || alone && detector.counts_alone();
            let near = || profile.words.expected_at(text, from);
            if !somewhere && !expected.get_or_insert_with(near).contains(pattern) {
                continue;
            }
            if let Some((start, end)) = detector.accept(text, from, from, *end) {
                matches.insert(Match::new(Owner::Detector(*index), start, end, None));
                return Some(end);
            }
        }
        None
    }

    /// Whether a number stands in a row of numbers, where check digits hold by chance.
    fn in_table(&self, text: &[u8], from: usize) -> bool {
        let left = text.get(from.saturating_sub(LOOK_BACK_BYTES)..from).unwrap_or_default();
        let gap = left.iter().rev().take_while(|b| matches!(b, b' ' | b',' | b'\t' | b'\n' | b'\r')).count();
        let before = left.get(..left.len() - gap).unwrap_or_default();
        let hex = before.iter().rev().take_while(|b| b.is_ascii_hexdigit()).count();
        let number = before.get(before.len() - hex..).unwrap_or_default();
        let whole = before
            .len()
            .checked_sub(hex + 1)
            .and_then(|n| before.get(n))
            .is_none_or(|b| !b.is_ascii_alphanumeric());
        let listed = self.taken > 0 && from - self.taken <= 3;
        gap > 0 && hex >= 4 && whole && number.iter().any(u8::is_ascii_digit) && !listed
    }

    pub(crate) fn frontier(&self, len: usize) -> usize {
        self.held_from.min(len)
    }

    /// The first byte that is still needed, look-back apart.
    pub(crate) const fn needed_from(&self) -> usize {
        self.scanned.saturating_sub(LOOK_BACK_BYTES)
    }

    pub(crate) fn rebase(&mut self, by: usize) {
        self.scanned -= by;
        self.taken = self.taken.saturating_sub(by);
        self.held_from = self.held_from.saturating_sub(by);
        self.origin = self.origin.and_then(|at| at.checked_sub(by));
    }

    /// Starts a text behind `context` bytes that are not part of it.
    pub(crate) fn begin(&mut self, context: usize) {
        *self = Self { scanned: context, taken: context, ..Self::default() };
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The next digit or `@`.
fn next_key(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(block) = Block::at(text, at) {
        let is_key = |b: u8| b.is_ascii_digit() || b == b'@';
        if block.any(is_key) {
            return Some(at + block.bits(is_key).trailing_zeros() as usize);
        }
        at += BLOCK_BYTES;
    }
    None
}

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

/// Where a value around the key may begin at the earliest.
fn lead(text: &[u8], floor: usize, key: usize) -> usize {
    let back = text.get(floor.max(key.saturating_sub(LEAD_BYTES_MAX))..key).unwrap_or_default();
    let local = text.get(key) == Some(&b'@');
    let mut taken = 0;
    let mut groups = 0;
    for byte in back.iter().rev() {
        let part = if local {
            is_local(*byte)
        } else {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'(' | b'_')
        };
        if !part {
            // `AB-1234`, `+(44)`: one group of letters may stand before the digits.
            groups += 1;
            if local || groups > 1 || !matches!(byte, b' ' | b'-' | b':') {
                break;
            }
        }
        taken += 1;
    }
    key - taken
}

/// Whether a word, or what opens a number, begins here.
fn is_start(text: &[u8], at: usize) -> bool {
    let Some(byte) = text.get(at) else { return false };
    let before = at.checked_sub(1).and_then(|n| text.get(n));
    let opens = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'(');
    let edge = before.is_none_or(|b| {
        !b.is_ascii_alphanumeric()
            && !matches!(b, b'_' | b'.' | b'-' | b'/' | b'=' | b'%' | b'+' | b'#' | b'$')
            || *b == b'='
    });
    // `is415-…`: letters glued to a number are no part of it, unless the value has letters itself.
    opens && edge
}

fn start(automaton: &DFA<Vec<u32>>, text: &[u8], from: usize) -> Option<StateID> {
    let input = Input::new(text).range(from..).anchored(Anchored::Yes);
    automaton.start_state_forward(&input).ok()
}

fn run(automaton: &DFA<Vec<u32>>, text: &[u8], from: usize, rest: Rest) -> Run {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let Some(mut state) = start(automaton, text, from) else { return Run::Done(found) };
    let mut note = |state: StateID, end: usize| {
        for n in 0..automaton.match_len(state) {
            let pattern = automaton.match_pattern(state, n).as_usize();
            match found.iter_mut().find(|(p, _)| *p == pattern) {
                Some(entry) => entry.1 = end,
                None => found.push((pattern, end)),
            }
        }
    };
    let limit = text.len().min(from + WORD_BYTES_MAX);
    for at in from..limit {
        let Some(byte) = text.get(at) else { break };
        state = automaton.next_state(state, *byte);
        if automaton.is_match_state(state) {
            note(state, at);
        }
        if automaton.is_dead_state(state) || automaton.is_quit_state(state) {
            found.sort_unstable();
            return Run::Done(found);
        }
    }
    if limit == text.len() && limit < from + WORD_BYTES_MAX {
        if rest == Rest::MayFollow {
            return Run::Open;
        }
        let last = automaton.next_eoi_state(state);
        if automaton.is_match_state(last) {
            note(last, text.len());
        }
    }
    found.sort_unstable();
    Run::Done(found)
}

/// Whether a value that begins here may go on behind the text.
fn alive(automaton: &DFA<Vec<u32>>, text: &[u8], from: usize) -> bool {
    let Some(mut state) = start(automaton, text, from) else { return false };
    for byte in text.get(from..).unwrap_or_default() {
        state = automaton.next_state(state, *byte);
        if automaton.is_dead_state(state) || automaton.is_quit_state(state) {
            return false;
        }
    }
    true
}
