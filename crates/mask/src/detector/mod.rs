//! Detectors: patterns for secrets that nobody told us, kept as data in `detectors/*.yaml`.
//!
//! A detector begins with a literal, so that text without any of the literals costs one fast search. From a literal
//! on, a deterministic automaton is fed byte by byte: it says exactly whether a match is still open, which is what
//! the masker holds back by.

mod alphabet;
mod around;
mod check;
mod compile;
pub(crate) mod evidence;
mod examples;
mod explain;
mod identity;
mod lazy;
mod lexicon;
mod names;
mod pack;
mod password;
mod placeholder;
mod random;
mod scheme;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use keyward_core::Confidence;
use regex_automata::Anchored;
use regex_automata::Input;
use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::dense::DFA;
use regex_automata::meta::Regex;

pub use examples::check_pack;
pub use explain::{Explanation, explain};

use crate::ProfileError;
use crate::words::WordSet;
use around::{in_placeholder, is_edge, name_around};
use check::Matched;
use compile::Build;
pub(crate) use compile::union;
use lazy::Lazy;
use pack::{AtLimit, CheckEntry, Left};
use placeholder::{Suspicion, is_placeholder};
pub(crate) use random::{Shape, likeliness, looks_like_words, looks_random};
pub(crate) use scheme::Scheme;

/// The longest candidate that a detector may keep open, in bytes.
pub const CANDIDATE_BYTES_MAX: usize = 2048;
/// How far a detector may look left of its literal, in bytes.
pub(crate) const LOOK_BACK_BYTES: usize = 64;

/// The most detectors of a user's packs.
pub const PACK_DETECTORS_MAX: usize = 1000;
/// The most memory the automata of a user's packs may take together, in bytes.
pub const PACK_AUTOMATA_BYTES_MAX: usize = 64 << 20;

/// The shipped packs, by file name.
const BUILTIN: &[(&str, &str)] = &[
    ("keys.yaml", include_str!("../../../../detectors/keys.yaml")),
    ("prefixes.yaml", include_str!("../../../../detectors/prefixes.yaml")),
    ("platforms.yaml", include_str!("../../../../detectors/platforms.yaml")),
    ("structures.yaml", include_str!("../../../../detectors/structures.yaml")),
    ("services.yaml", include_str!("../../../../detectors/services.yaml")),
    ("assignments.yaml", include_str!("../../../../detectors/assignments.yaml")),
    ("pii.yaml", include_str!("../../../../detectors/pii.yaml")),
    ("nearby.yaml", include_str!("../../../../detectors/nearby.yaml")),
];

/// The shipped packs: each a file's name and its YAML.
pub const fn shipped_packs() -> &'static [(&'static str, &'static str)] {
    BUILTIN
}

/// A pack that cannot be loaded: where, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {}{message}", at_line(*.line), of_detector(.detector))]
pub struct PackError {
    /// The file's name.
    pub file: String,
    /// The line, where known.
    pub line: Option<u64>,
    /// The detector's id; empty where none was reached.
    pub detector: String,
    /// What is wrong.
    pub message: String,
}

fn at_line(line: Option<u64>) -> String {
    line.map(|n| format!(":{n}")).unwrap_or_default()
}

fn of_detector(detector: &str) -> String {
    if detector.is_empty() { String::new() } else { format!("detector {detector}: ") }
}

/// Detectors, compiled.
pub struct Detectors {
    all: Vec<Arc<Detector>>,
    /// Automata of those that begin where a word does, by which they are: the last few profiles' ones.
    word_sets: Mutex<Vec<NamedWordSet>>,
}

/// The automaton of the detectors of these ids.
type NamedWordSet = (Vec<Arc<str>>, Arc<WordSet>);

/// How many automata are kept for profiles to come.
const WORD_SETS_MAX: usize = 8;

impl std::fmt::Debug for Detectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|d| &d.id)).finish()
    }
}

impl Detectors {
    /// The shipped detectors; read at the first call. Their automata are built when a text first has a candidate for
    /// them.
    ///
    /// # Panics
    /// Never in a build whose tests passed: the packs are part of the program.
    #[expect(
        clippy::panic,
        reason = "a shipped pack that does not load is a broken build, caught by the tests"
    )]
    pub fn builtin() -> Arc<Self> {
        static COMPILED: OnceLock<Arc<Detectors>> = OnceLock::new();
        let compiled =
            COMPILED.get_or_init(|| match compile::load(BUILTIN, Build::WhenNeeded).map(Self::of) {
                Ok(detectors) => Arc::new(detectors),
                Err(error) => panic!("a shipped detector pack is broken: {error}"),
            });
        Arc::clone(compiled)
    }

    /// Compiles packs; each is a file's name and its YAML. Their order is the order of preference.
    ///
    /// # Errors
    /// At the first entry that would not work: unknown field, bad pattern, missing literal, duplicate id, ….
    pub fn load(files: &[(&str, &str)]) -> Result<Self, PackError> {
        compile::load(files, Build::Now).map(Self::of)
    }

    /// The shipped detectors and those of a user's packs, which are preferred. A pack may use a shipped group's name: its
    /// detectors are of that group then. It may not use a shipped detector's id.
    ///
    /// # Errors
    /// As [`Self::load`], and where an example of a pack is not found, a counterexample is, or the packs exceed
    /// [`PACK_DETECTORS_MAX`] or [`PACK_AUTOMATA_BYTES_MAX`]: at the first entry.
    pub fn with_packs(files: &[(&str, &str)]) -> Result<Arc<Self>, PackError> {
        if files.is_empty() {
            return Ok(Self::builtin());
        }
        let own = Arc::new(Self::of(compile::load(files, Build::Now)?));
        examples::check_all(files, &own)?;
        let shipped = Self::builtin();
        let mut bytes = 0;
        for (n, detector) in own.all.iter().enumerate() {
            bytes += detector.automaton().memory_usage();
            let clash = shipped.iter().any(|other| other.id == detector.id);
            let problem = if clash {
                "a shipped detector has this id: give it another one".to_owned()
            } else if n >= PACK_DETECTORS_MAX {
                format!("the packs have more than {PACK_DETECTORS_MAX} detectors")
            } else if bytes > PACK_AUTOMATA_BYTES_MAX {
                format!(
                    "the automata of the packs take more than {PACK_AUTOMATA_BYTES_MAX} bytes: bound the patterns"
                )
            } else {
                continue;
            };
            return Err(compile::error_at(files, &detector.id, problem));
        }
        let all = own.all.iter().chain(&shipped.all).map(Arc::clone).collect();
        Ok(Arc::new(Self::of(all)))
    }

    fn of(all: Vec<Arc<Detector>>) -> Self {
        Self { all, word_sets: Mutex::default() }
    }

    /// Whether a detector, or a group of detectors, has this name.
    pub fn knows(&self, name: &str) -> bool {
        self.iter().any(|detector| detector.id() == name || detector.group() == name)
    }

    /// Every name that [`Self::knows`], sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.iter().flat_map(|detector| [detector.id(), detector.group()]).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The automaton of these detectors, kept for the next profile: it takes long to build.
    pub(crate) fn word_set(
        &self,
        ids: Vec<Arc<str>>,
        build: impl FnOnce() -> Result<WordSet, ProfileError>,
    ) -> Result<Arc<WordSet>, ProfileError> {
        let mut kept = self.word_sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = kept.iter().find(|(known, _)| *known == ids) {
            return Ok(Arc::clone(known));
        }
        let set = Arc::new(build()?);
        if kept.len() >= WORD_SETS_MAX {
            kept.remove(0);
        }
        kept.push((ids, Arc::clone(&set)));
        Ok(set)
    }

    /// Every detector, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Detector> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// Those that a group or an id selects; none when there is no such name.
    pub(crate) fn select(&self, name: &str) -> Option<Vec<(usize, Arc<Detector>)>> {
        let chosen: Vec<_> = (0..)
            .zip(&self.all)
            .filter(|(_, d)| *d.id == *name || *d.group == *name)
            .map(|(n, d)| (n, Arc::clone(d)))
            .collect();
        (!chosen.is_empty()).then_some(chosen)
    }
}

/// One detector.
pub struct Detector {
    id: Arc<str>,
    group: Arc<str>,
    name: String,
    description: String,
    confidence: Confidence,
    kind: Kind,
    literals: Vec<Literal>,
    automaton: Lazy<DFA<Vec<u32>>>,
    /// Present when only a group of the match is the secret.
    captures: Option<Lazy<Regex>>,
    /// What the secret is made of, where that bounds how much of an open candidate can be secret.
    run: Option<Box<ByteSet>>,
    /// For values that only what stands left of them gives away.
    evidence: Option<evidence::Evidence>,
    /// For values that begin where a word does: the pattern, and what must stand near it.
    word: Option<Word>,
    behind: Option<Lazy<Regex>>,
    left: Left,
    grow: bool,
    at_limit: AtLimit,
    tail: Option<Arc<ByteSet>>,
    checks: Vec<CheckEntry>,
    allow: Vec<Vec<u8>>,
    max_bytes: usize,
}

/// What a detector begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The secret begins with a distinctive literal.
    Marker,
    /// A keyword stands before the secret.
    Stem,
    /// A run of characters that is judged by the evidence left of it.
    Run,
    /// The secret begins where a word does, and a digit or `@` is in it.
    Word,
}

/// What is asked of a value that begins where a word does.
struct Word {
    pattern: String,
    /// Words of which one must stand left of the value, in lower case; empty when none needs to.
    near: Vec<String>,
    /// It counts without them when it is the whole text.
    alone: bool,
}

/// A literal to search for.
#[derive(Debug, Clone)]
pub(crate) struct Literal {
    /// What is searched: for keywords without their first letter, which may have either case.
    pub(crate) bytes: Box<[u8]>,
    /// The first letter that was left out.
    pub(crate) before: Option<u8>,
}

/// Whether a value begins as the keys of a known format do.
pub(crate) fn begins_as_known(value: &[u8]) -> bool {
    lexicon::lexicon().known.begin(value)
}

/// A set of bytes.
pub(crate) type ByteSet = [bool; 256];

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detector({})", self.id)
    }
}

impl Detector {
    /// The name in findings and placeholders.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The group that selects it, with others.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What it finds.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What such a value opens, and where it comes from.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How sure a finding of it is.
    pub const fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// Builds now what would be built at the first candidate.
    pub fn build(&self) {
        if self.kind != Kind::Run && self.kind != Kind::Word {
            self.automaton.get();
        }
        [&self.captures, &self.behind].into_iter().flatten().for_each(|lazy| _ = lazy.get());
    }

    pub(crate) const fn shared_id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) const fn evidence(&self) -> Option<&evidence::Evidence> {
        self.evidence.as_ref()
    }

    /// The pattern of one that begins where a word does.
    pub(crate) fn word_pattern(&self) -> Option<&str> {
        self.word.as_ref().map(|word| word.pattern.as_str())
    }

    /// Words of which one must stand left of a value that begins where a word does; none when none needs to.
    pub(crate) fn near(&self) -> &[String] {
        self.word.as_ref().map(|word| word.near.as_slice()).unwrap_or_default()
    }

    /// Whether such a value counts without them when it is the whole text.
    pub(crate) fn counts_alone(&self) -> bool {
        self.word.as_ref().is_some_and(|word| word.alone)
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn literals(&self) -> &[Literal] {
        &self.literals
    }

    pub(crate) fn automaton(&self) -> &DFA<Vec<u32>> {
        self.automaton.get()
    }

    pub(crate) const fn grows(&self) -> bool {
        self.grow
    }

    pub(crate) const fn tail(&self) -> Option<&Arc<ByteSet>> {
        self.tail.as_ref()
    }

    /// The first byte of an open candidate that can be part of its secret, when `text` was fed up to `at`.
    ///
    /// A secret is a run of its bytes, so that whatever stands before the current run is none. The last two bytes are
    /// not looked at: they may be what follows the secret, before the automaton has said so.
    pub(crate) fn secret_from(&self, text: &[u8], start: usize, at: usize) -> usize {
        let Some(run) = &self.run else { return start };
        let seen = text.get(start..at.saturating_sub(2)).unwrap_or_default();
        let breaks = seen.iter().rposition(|b| !run.get(usize::from(*b)).copied().unwrap_or(false));
        breaks.map_or(start, |n| start + n + 1)
    }

    /// Whether a candidate that stays undecided for too long is masked.
    pub(crate) fn masks_at_limit(&self) -> bool {
        self.kind == Kind::Marker && self.at_limit == AtLimit::Mask
    }

    pub(crate) const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether a candidate may begin at `at`, by what stands before it.
    pub(crate) fn may_begin(&self, text: &[u8], at: usize) -> bool {
        let back = text.get(at.saturating_sub(LOOK_BACK_BYTES)..at).unwrap_or_default();
        if self.kind == Kind::Marker && self.left == Left::Edge && !is_edge(back) {
            return false;
        }
        self.behind.as_ref().is_none_or(|behind| behind.get().is_match(back))
    }

    /// How surrogates of what it finds are made; none where they cannot be.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.checks.iter().find_map(|check| match check {
            CheckEntry::Identity(identity) => Scheme::of(*identity),
            _ => None,
        })
    }

    /// Whether `value` by itself is what it finds, wherever it stands.
    pub(crate) fn is_one(&self, value: &str) -> bool {
        let automaton = self.automaton();
        let Ok(mut state) = automaton.start_state_forward(&Input::new(value).anchored(Anchored::Yes)) else {
            return false;
        };
        for byte in value.bytes() {
            state = automaton.next_state(state, byte);
        }
        automaton.is_match_state(automaton.next_eoi_state(state))
            && self.accept(value.as_bytes(), 0, 0, value.len()) == Some((0, value.len()))
    }

    /// The secret's span inside a match, when the match counts.
    pub(crate) fn accept(
        &self,
        text: &[u8],
        literal: usize,
        start: usize,
        end: usize,
    ) -> Option<(usize, usize)> {
        let span = self.secret_span(text, start, end)?;
        let secret = text.get(span.0..span.1).filter(|s| !s.is_empty())?;
        let suspicion =
            if matches!(self.kind, Kind::Marker | Kind::Word) { Suspicion::Low } else { Suspicion::High };
        let documented =
            lexicon::lexicon().documented.contains(secret) || self.allow.iter().any(|a| a == secret);
        if documented || is_placeholder(secret, suspicion) {
            return None;
        }
        if self.kind != Kind::Marker && in_placeholder(text.get(..span.0).unwrap_or_default(), secret) {
            return None;
        }
        // Nothing behind the match is looked at but the byte that closed it: the answer must not depend on how much of
        // the text is there already.
        let name = name_around(text.get(..end).unwrap_or_default(), literal);
        let quote = span.0.checked_sub(1).and_then(|at| text.get(at)).filter(|b| b"\"'`".contains(b));
        let glue = text.get(literal.min(span.0)..span.0).unwrap_or_default().iter().rev();
        let listed = glue.clone().find(|b| !b"\"'`\\ \t".contains(b)) == Some(&b',');
        let left = text.get(start.saturating_sub(LOOK_BACK_BYTES)..start).unwrap_or_default();
        let (opening, closing) = (quote.copied(), text.get(span.1).copied());
        let matched = Matched { name, secret, left, opening, closing, listed };
        self.checks.iter().all(|check| check.holds(matched)).then_some(span)
    }

    fn secret_span(&self, text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
        let Some(captures) = self.captures.as_ref().map(Lazy::get) else { return Some((start, end)) };
        let mut found = captures.create_captures();
        captures.search_captures(&Input::new(text).span(start..end).anchored(Anchored::Yes), &mut found);
        if !found.is_match() {
            // The automaton and the expression disagree: mask the whole candidate rather than nothing.
            return Some((start, end));
        }
        found.get_group_by_name("secret").map(|group| (group.start, group.end))
    }
}

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod tests;
