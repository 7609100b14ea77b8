//! The engine over one logical stream of bytes.
//!
//! **Promise.** A byte is kept only when no live candidate can include it: no incomplete known value, no incomplete
//! literal of a detector, no automaton that has not yet rejected. Decisions and findings are those of the whole text,
//! however it is cut. Long secrets are swallowed: the placeholder goes out when the match is certain, what follows is
//! dropped as it comes, in constant memory.
//!
//! **Exceptions.** A candidate that began with a distinctive prefix and stays undecided for longer than its detector's
//! bound is masked to the end of its run (*fails closed*). One that only a keyword began is let go at that bound (*fails
//! open*, bounded by [`CANDIDATE_BYTES_MAX`](crate::detector::CANDIDATE_BYTES_MAX)); so are keyword candidates beyond
//! 64 open at once. A secret that is spelled out, reversed, encrypted or translated is not found.

use std::sync::Arc;

use keyward_core::Finding;

use crate::class::Traits;
use crate::detector::evidence::LETTERS_BYTES_MIN;
use crate::detector::{Kind, LOOK_BACK_BYTES};
use crate::known::{KnownHit, Spelled, may_be_spelled};
use crate::lane::{Lane, Rest};
use crate::literal::{LANES, LiteralHit};
use crate::matches::{ANY_BYTES, Growth, Match, Matches};
use crate::profile::{FieldIndex, Owner, Profile};
use crate::runs::{self, Runs};
use crate::words::{self, Words};

/// The most a [`TextMasker`] holds undecided between two calls, in bytes.
pub const HOLD_BYTES_MAX: usize = 4096;
/// The longest context that [`TextMasker::context`] considers, in bytes: its end counts.
pub const CONTEXT_BYTES_MAX: usize = 128;
/// Input is taken in blocks of this size, so that memory does not depend on the size of a push.
const BLOCK_BYTES: usize = 32 * 1024;
/// Decided text is dropped from the buffer once there is so much of it.
const DROP_BYTES_MIN: usize = 1024;

/// Receives decisions in order; they cover the input bytes exactly once, from the first undecided byte on.
pub trait Decisions {
    /// The next `bytes` undecided bytes go out as they are.
    fn keep(&mut self, bytes: usize);
    /// The next `bytes` undecided bytes become `placeholder`; `""` continues the placeholder before.
    fn replace(&mut self, bytes: usize, placeholder: &str);
    /// Reported once per finding; offsets count bytes of the logical stream.
    fn found(&mut self, finding: Finding);
}

/// Masks one logical stream of bytes.
pub struct TextMasker {
    profile: Arc<Profile>,
    /// What is undecided, and before it what may still be looked back at.
    text: Vec<u8>,
    /// Offset of the buffer's first byte in the logical stream; wraps below zero while it is context.
    base: u64,
    known_scanned: usize,
    known_hits: Vec<KnownHit>,
    spelled: Spelled,
    literal_hits: Vec<LiteralHit>,
    markers: Lane,
    stems: Lane,
    runs: Runs,
    words: Words,
    matches: Matches,
    /// Bytes at the end of `text` that were not looked at yet.
    deferred: usize,
    /// Only known values are looked for in this text.
    known_only: bool,
}

impl std::fmt::Debug for TextMasker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextMasker").field("held", &self.held()).finish_non_exhaustive()
    }
}

impl TextMasker {
    /// A masker at the start of a text. Cheap: it allocates when the first byte comes.
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            profile,
            text: Vec::new(),
            base: 0,
            known_scanned: 0,
            known_hits: Vec::new(),
            spelled: Spelled::default(),
            literal_hits: Vec::new(),
            markers: Lane::default(),
            stems: Lane::default(),
            runs: Runs::default(),
            words: Words::default(),
            matches: Matches::default(),
            deferred: 0,
            known_only: false,
        }
    }

    /// Says what stands before the text without being part of it: a field's or header's name, as in `api_key: `.
    /// Detectors see it, it is never decided about, and offsets count from behind it. Only between two texts; ignored
    /// when something is undecided.
    pub fn context(&mut self, context: &[u8]) {
        if !self.text.is_empty() {
            return;
        }
        let context = context.get(context.len().saturating_sub(CONTEXT_BYTES_MAX)..).unwrap_or_default();
        self.text.clear();
        self.text.extend_from_slice(context);
        self.base = 0u64.wrapping_sub(context.len() as u64);
        self.matches.begin(context.len());
        self.spelled.begin(context.len());
        self.runs.begin(context.len());
        self.words.begin(context.len());
    }

    /// Looks for known values only until the text ends: it is a signature or binary content, where a detector's match
    /// would be chance. Only between two texts; ignored when something is undecided.
    pub(crate) fn known_only(&mut self) {
        self.known_only |= self.text.is_empty();
    }

    /// Masks the whole text that follows, whatever it is: it is a field's. Only between two texts; ignored when something
    /// is undecided.
    pub fn field(&mut self, field: FieldIndex) {
        if self.text.is_empty() {
            self.known_only = true;
            let growth = Growth::Run(Arc::clone(&ANY_BYTES));
            self.matches.insert(Match::new(Owner::Field(field.0), 0, 0, Some(growth)));
        }
    }

    /// Takes the next bytes and decides as much as can be decided.
    pub fn push(&mut self, input: &[u8], out: &mut impl Decisions) {
        for block in input.chunks(BLOCK_BYTES) {
            self.text.extend_from_slice(block);
            self.look(out);
        }
        debug_assert!(self.held() <= HOLD_BYTES_MAX, "held back {} bytes", self.held());
    }

    /// Takes the next bytes of a text that often ends before anybody waits for a decision: one look at all of it then
    /// replaces one at each piece. [`Self::catch_up`] must follow before the caller returns.
    pub(crate) fn defer(&mut self, input: &[u8], out: &mut impl Decisions) {
        if self.deferred + input.len() > BLOCK_BYTES {
            return self.push(input, out);
        }
        self.text.extend_from_slice(input);
        self.deferred += input.len();
    }

    /// Decides as much as can be decided of what was deferred.
    pub(crate) fn catch_up(&mut self, out: &mut impl Decisions) {
        if self.deferred > 0 {
            self.look(out);
        }
    }

    fn look(&mut self, out: &mut impl Decisions) {
        self.deferred = 0;
        self.advance(Rest::MayFollow, out);
        self.forget();
    }

    /// The end of this logical text: everything undecided is decided; the masker is ready for the next text.
    pub fn boundary(&mut self, out: &mut impl Decisions) {
        self.advance(Rest::Ended, out);
        self.text.clear();
        (self.base, self.known_scanned, self.deferred, self.known_only) = (0, 0, 0, false);
        self.markers.clear();
        self.stems.clear();
        self.runs.clear();
        self.words.clear();
        self.matches.begin(0);
        self.spelled.begin(0);
    }

    /// Whether nothing is found in a whole text behind `context` bytes that are not part of it: what the lanes see, without
    /// the decisions. Only between two texts; false more often than it must be.
    pub(crate) fn is_quiet(&mut self, text: &[u8], context: usize) -> bool {
        debug_assert!(self.text.is_empty(), "asked inside of a text");
        let Self { profile, known_hits, literal_hits, markers, stems, runs, words, matches, .. } = self;
        let profile: &Profile = profile;
        let traits = Traits::of(text);
        profile.known.scan(text, 0, text.len(), known_hits);
        if !known_hits.is_empty() || traits.has_unit() && may_be_spelled(profile, text) {
            return false;
        }
        matches.begin(context);
        profile.literals.set.scan(text, 0, text.len(), literal_hits);
        if !literal_hits.is_empty() {
            markers.advance(profile, Kind::Marker, literal_hits, (text, text.len()), Rest::Ended, matches);
            stems.advance(profile, Kind::Stem, literal_hits, (text, text.len()), Rest::Ended, matches);
            markers.clear();
            stems.clear();
        }
        if traits.has_key() && words::may_occur(profile, text, context) {
            words.begin(context);
            words.advance(profile, false, text, Rest::Ended, matches);
            words.clear();
        }
        if (traits.has_telling() || text.len() >= context + LETTERS_BYTES_MIN)
            && runs::may_occur(profile, text, context)
        {
            runs.begin(context);
            runs.advance(profile, false, text, Rest::Ended, matches);
            runs.clear();
        }
        let quiet = matches.is_empty();
        matches.begin(0);
        quiet
    }

    /// Whether nothing is undecided.
    pub fn is_idle(&self) -> bool {
        self.held() == 0
    }

    /// Undecided bytes.
    fn held(&self) -> usize {
        self.text.len() - self.matches.decided
    }

    fn advance(&mut self, rest: Rest, out: &mut impl Decisions) {
        let Self { profile, text, matches, spelled, markers, stems, runs, words, .. } = self;
        let profile: &Profile = profile;
        let limit = match rest {
            Rest::MayFollow => profile.known.open_from(text, self.known_scanned),
            Rest::Ended => text.len(),
        };
        profile.known.scan(text, self.known_scanned, limit, &mut self.known_hits);
        self.known_scanned = limit;
        for hit in &self.known_hits {
            let long = !profile.known.tail(hit.form).is_empty();
            let growth = long.then_some(Growth::Form { form: hit.form, done: 0 });
            let owner = Owner::Known(profile.known.value_of(hit.form));
            matches.insert(Match::new(owner, hit.start, hit.end, growth));
        }
        spelled.advance(profile, text, rest, matches);
        let scanned = [markers.scanned(), stems.scanned()];
        let limits = match rest {
            Rest::MayFollow if !self.known_only => profile.literals.set.open_from(text, scanned),
            _ => [text.len(); LANES],
        };
        let [markers_to, stems_to] = limits;
        self.literal_hits.clear();
        if !self.known_only {
            let from = scanned.into_iter().fold(usize::MAX, usize::min);
            let limit = limits.into_iter().fold(0, usize::max);
            profile.literals.set.scan(text, from, limit, &mut self.literal_hits);
        }
        markers.advance(profile, Kind::Marker, &self.literal_hits, (text, markers_to), rest, matches);
        stems.advance(profile, Kind::Stem, &self.literal_hits, (text, stems_to), rest, matches);
        runs.advance(profile, self.known_only, text, rest, matches);
        words.advance(profile, self.known_only, text, rest, matches);
        matches.grow(profile, text, rest);
        let frontier = match rest {
            Rest::Ended => text.len(),
            Rest::MayFollow => [
                self.known_scanned,
                spelled.frontier(text.len()),
                markers.frontier(profile, Kind::Marker, text),
                stems.frontier(profile, Kind::Stem, text),
                runs.frontier(text.len()),
                words.frontier(text.len()),
                matches.frontier(text.len()),
            ]
            .into_iter()
            .fold(text.len(), usize::min),
        };
        matches.sweep(profile, text, self.base, frontier, out);
    }

    /// Drops text that nothing can look at any more.
    fn forget(&mut self) {
        let needed = [
            self.matches.decided,
            self.known_scanned,
            self.markers.needed_from(),
            self.stems.needed_from(),
            self.runs.needed_from(),
            self.words.needed_from(),
        ];
        let dead = needed.into_iter().fold(usize::MAX, usize::min).saturating_sub(LOOK_BACK_BYTES + 1);
        if dead < DROP_BYTES_MIN {
            return;
        }
        self.text.drain(..dead);
        self.base = self.base.wrapping_add(dead as u64);
        self.known_scanned -= dead;
        self.spelled.rebase(dead);
        self.markers.rebase(dead);
        self.stems.rebase(dead);
        self.runs.rebase(dead);
        self.words.rebase(dead);
        self.matches.rebase(dead);
    }
}

/// A whole text, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The masked text.
    pub bytes: Vec<u8>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Masks a whole text, for example a header's value.
pub fn mask_bytes(profile: &Arc<Profile>, input: &[u8]) -> Masked {
    mask_field(profile, b"", input)
}

/// Masks a field's value.
pub fn mask_whole_field(profile: &Arc<Profile>, field: FieldIndex, input: &[u8]) -> Masked {
    let empty = Masked { bytes: Vec::new(), findings: Vec::new() };
    let mut writer = Writer { input, at: 0, masked: empty };
    let mut engine = TextMasker::new(Arc::clone(profile));
    engine.field(field);
    engine.push(input, &mut writer);
    engine.boundary(&mut writer);
    writer.masked
}

/// Masks a whole text that stands behind a name, for example a header's value behind `authorization: `.
pub fn mask_field(profile: &Arc<Profile>, context: &[u8], input: &[u8]) -> Masked {
    let empty = Masked { bytes: Vec::with_capacity(input.len()), findings: Vec::new() };
    let mut writer = Writer { input, at: 0, masked: empty };
    let mut engine = TextMasker::new(Arc::clone(profile));
    engine.context(context);
    engine.defer(input, &mut writer);
    engine.boundary(&mut writer);
    writer.masked
}

struct Writer<'a> {
    input: &'a [u8],
    at: usize,
    masked: Masked,
}

impl Decisions for Writer<'_> {
    fn keep(&mut self, bytes: usize) {
        let end = self.at.saturating_add(bytes);
        self.masked.bytes.extend_from_slice(self.input.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn replace(&mut self, bytes: usize, placeholder: &str) {
        self.at = self.at.saturating_add(bytes);
        self.masked.bytes.extend_from_slice(placeholder.as_bytes());
    }

    fn found(&mut self, finding: Finding) {
        self.masked.findings.push(finding);
    }
}

#[cfg(test)]
pub(crate) mod tests_support;

#[cfg(test)]
mod tests;
