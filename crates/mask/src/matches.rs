//! Matches in the order of the text, and what they turn into: keep this, replace that.

use std::cmp::Reverse;
use std::sync::{Arc, LazyLock};

use keyward_core::Finding;
use regex_automata::dfa::Automaton;
use regex_automata::util::primitives::StateID;

use crate::detector::ByteSet;
use crate::lane::Rest;
use crate::profile::{Owner, Profile};
use crate::style::{shows, wanted};
use crate::text::Decisions;

/// What a run of a token is made of.
pub(crate) static RUN_BYTES: LazyLock<Arc<ByteSet>> = LazyLock::new(|| {
    let mut set = [false; 256];
    for (byte, slot) in (0u8..=255).zip(set.iter_mut()) {
        *slot = byte.is_ascii_alphanumeric() || b"_-+/=.~".contains(&byte);
    }
    Arc::new(set)
});

/// Every byte: what a field is made of.
pub(crate) static ANY_BYTES: LazyLock<Arc<ByteSet>> = LazyLock::new(|| Arc::new([true; 256]));

/// Above this many matches at once, those that can never show are looked for.
const MATCHES_TIDY: usize = 8;

/// Something to mask. Its end may still move.
pub(crate) struct Match {
    owner: Owner,
    start: usize,
    end: usize,
    /// Its end when it was made: orders matches, whatever chunk they grew in.
    made_end: usize,
    growth: Option<Growth>,
    /// Some of it was already written.
    begun: bool,
    /// Once begun: its start in the logical text.
    began_at: u64,
    /// It masks a byte that nothing before it masked.
    counts: bool,
    /// A known value lies in it.
    has_known: bool,
}

/// How a match may still become longer.
pub(crate) enum Growth {
    /// As far as the pattern matches.
    Pattern { detector: u32, state: StateID, at: usize },
    /// As long as bytes are in the set.
    Run(Arc<ByteSet>),
    /// As long as the rest of a known value's form follows.
    Form { form: u32, done: usize },
}

impl Match {
    pub(crate) const fn new(owner: Owner, start: usize, end: usize, growth: Option<Growth>) -> Self {
        Self {
            owner,
            start,
            end,
            made_end: end,
            growth,
            begun: false,
            began_at: 0,
            counts: false,
            has_known: false,
        }
    }

    fn key(&self) -> (bool, usize, Owner, Reverse<usize>) {
        (!self.begun, self.start, self.owner, Reverse(self.made_end))
    }

    /// Follows the text as far as it goes.
    fn grow(&mut self, profile: &Profile, text: &[u8], rest: Rest) {
        let goes_on = match &mut self.growth {
            None => return,
            Some(Growth::Run(set)) => {
                let run = text.get(self.end..).unwrap_or_default().iter();
                self.end += run.take_while(|b| set.get(usize::from(**b)).copied().unwrap_or(false)).count();
                self.end == text.len()
            }
            Some(Growth::Form { form, done }) => {
                let tail = profile.known.tail(*form).get(*done..).unwrap_or_default();
                let follows = text.get(self.end..).unwrap_or_default();
                let same = tail.iter().zip(follows).take_while(|(a, b)| a == b).count();
                (self.end, *done) = (self.end + same, *done + same);
                same < tail.len() && self.end == text.len()
            }
            Some(Growth::Pattern { detector, state, at }) => {
                let Some(detector) = profile.detector(*detector) else { return };
                let automaton = detector.automaton();
                let mut alive = true;
                while let Some(byte) = text.get(*at).filter(|_| alive) {
                    *state = automaton.next_state(*state, *byte);
                    if automaton.is_match_state(*state) {
                        self.end = self.end.max(*at);
                    }
                    alive = !automaton.is_dead_state(*state)
                        && !automaton.is_quit_state(*state)
                        && at.saturating_sub(self.end) < detector.max_bytes();
                    *at += 1;
                }
                if alive && rest == Rest::Ended && automaton.is_match_state(automaton.next_eoi_state(*state))
                {
                    self.end = *at;
                }
                alive
            }
        };
        if !goes_on || rest == Rest::Ended {
            self.growth = None;
        }
    }

    const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn grows_alike(&self, other: &Self) -> bool {
        self.end == other.end
            && match (&self.growth, &other.growth) {
                (
                    Some(Growth::Pattern { detector: d, state: s, at: a }),
                    Some(Growth::Pattern { detector, state, at }),
                ) => (d, s, a) == (detector, state, at),
                (Some(Growth::Run(a)), Some(Growth::Run(b))) => Arc::ptr_eq(a, b),
                _ => false,
            }
    }
}

/// Matches in the order of the text, and how far the text is decided.
#[derive(Default)]
pub(crate) struct Matches {
    list: Vec<Match>,
    /// All bytes before are decided.
    pub(crate) decided: usize,
    /// The end of what was kept last.
    kept: usize,
    /// The end of what was masked last.
    covered: usize,
    /// Nothing before is text: it is the context that [`crate::TextMasker::context`] gave.
    floor: usize,
}

/// What else claims bytes of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    None,
    /// Something that may yet go on behind its end.
    Open,
    /// A known value, or something that goes on behind its end.
    Claims,
}

impl Matches {
    /// Matches come in any order, but never before what is decided.
    pub(crate) fn insert(&mut self, mut new: Match) {
        if self.floor > 0 && new.end <= self.floor {
            // It lies in the context: it is no part of the text, and must not grow into it.
            return;
        }
        new.start = new.start.max(self.floor);
        debug_assert!(new.start >= self.kept, "a match in what has left");
        new.start = new.start.max(self.kept);
        if new.end <= new.start && new.growth.is_none() {
            return;
        }
        new.end = new.end.max(new.start);
        let at = self.list.partition_point(|m| m.key() <= new.key());
        self.list.insert(at, new);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn grow(&mut self, profile: &Profile, text: &[u8], rest: Rest) {
        for one in &mut self.list {
            one.grow(profile, text, rest);
        }
        if self.list.len() > MATCHES_TIDY {
            self.tidy();
        }
    }

    /// Drops what can never mask a byte of its own: what lies within the match before it, or grows as it does.
    fn tidy(&mut self) {
        let mut reach = 0;
        let mut kept: Vec<Match> = Vec::with_capacity(self.list.len());
        for one in self.list.drain(..) {
            let hidden = one.growth.is_none() && one.end <= reach && !one.begun;
            let twin = !one.begun && kept.iter().any(|k| k.grows_alike(&one));
            if hidden && matches!(one.owner, Owner::Known(_)) {
                kept.iter_mut().filter(|k| k.overlaps(&one)).for_each(|k| k.has_known = true);
            }
            if !hidden && !twin {
                reach = reach.max(one.end);
                kept.push(one);
            }
        }
        self.list = kept;
    }

    /// The first byte that a growing match may yet claim.
    pub(crate) fn frontier(&self, len: usize) -> usize {
        self.list.iter().filter(|m| m.growth.is_some()).map(|m| m.end).fold(len, usize::min)
    }

    /// Decides what lies before `frontier`.
    pub(crate) fn sweep(
        &mut self,
        profile: &Profile,
        text: &[u8],
        base: u64,
        mut frontier: usize,
        out: &mut impl Decisions,
    ) {
        let mut done = 0;
        for n in 0..self.list.len() {
            let other = self.others(profile, n);
            let Some(one) = self.list.get_mut(n) else { break };
            if !one.begun {
                let style = profile.style(one.owner);
                let part = one.end - one.start < wanted(style);
                let waits = part
                    && (one.growth.is_some() || shows(style) && (one.end > frontier || other == Other::Open));
                if one.start >= frontier || waits {
                    frontier = frontier.min(one.start);
                    break;
                }
                one.begun = true;
                one.began_at = base.wrapping_add(one.start as u64);
                if one.start >= self.covered && one.end > one.start {
                    if one.start > self.decided {
                        out.keep(one.start - self.decided);
                        self.kept = one.start;
                    }
                    let secret = text.get(one.start..one.end).unwrap_or_default();
                    let placeholder = match other {
                        Other::Claims => profile.redacted(one.owner).into(),
                        _ => profile.placeholder(one.owner, secret),
                    };
                    out.replace(one.end - one.start, &placeholder);
                    one.counts = true;
                    (self.decided, self.covered) = (one.end, one.end);
                }
            }
            if one.end > self.covered {
                out.replace(one.end - self.covered, "");
                (self.decided, self.covered) = (one.end, one.end);
                one.counts = true;
            }
            if one.growth.is_some() {
                break;
            }
            if one.counts {
                out.found(Finding {
                    detector: profile.finding_name(one.owner),
                    start: one.began_at,
                    end: base.wrapping_add(one.end as u64),
                    confidence: profile.confidence(one.owner),
                });
            }
            done += 1;
        }
        self.list.drain(..done);
        if frontier > self.decided {
            out.keep(frontier - self.decided);
            (self.decided, self.kept) = (frontier, frontier);
        }
    }

    /// What else claims bytes of a match whose style would let something of them show.
    fn others(&self, profile: &Profile, n: usize) -> Other {
        let Some(one) = self.list.get(n).filter(|one| !one.begun && shows(profile.style(one.owner))) else {
            return Other::None;
        };
        let overlapping = self.list.iter().enumerate().filter(|(at, other)| *at != n && one.overlaps(other));
        let mut open = false;
        for (_, other) in overlapping {
            if other.end > one.end || matches!(other.owner, Owner::Known(_)) {
                return Other::Claims;
            }
            open |= other.growth.is_some();
        }
        match (one.has_known, open) {
            (true, _) => Other::Claims,
            (false, true) => Other::Open,
            (false, false) => Other::None,
        }
    }

    pub(crate) fn rebase(&mut self, by: usize) {
        self.decided -= by;
        self.covered = self.covered.saturating_sub(by);
        self.kept = self.kept.saturating_sub(by);
        self.floor = self.floor.saturating_sub(by);
        for one in &mut self.list {
            // A match may reach back behind what is still kept: it began there, or one that still grows hides it.
            one.start = one.start.saturating_sub(by);
            one.end = one.end.saturating_sub(by);
            one.made_end = one.made_end.saturating_sub(by);
            if let Some(Growth::Pattern { at, .. }) = &mut one.growth {
                *at -= by;
            }
        }
    }

    /// Starts a text behind `context` bytes that are not part of it.
    pub(crate) fn begin(&mut self, context: usize) {
        self.list.clear();
        (self.decided, self.kept, self.covered, self.floor) = (context, 0, 0, context);
    }
}
