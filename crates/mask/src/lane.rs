//! Candidates of detectors: from the literal they begin with to the byte that decides them.

use regex_automata::dfa::Automaton;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

use crate::detector::{Detector, Kind};
use crate::literal::LiteralHit;
use crate::matches::{Growth, Match, Matches, RUN_BYTES};
use crate::profile::{Owner, Profile};

/// The most candidates of one lane that are open at once. Text that opens more is hostile: the oldest is masked as far
/// as it got if a distinctive prefix began it, and given up if a keyword did.
pub(crate) const OPEN_MAX: usize = 64;

/// Whether the text goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    MayFollow,
    Ended,
}

/// One of the two searches for literals, and the candidates it opened.
///
/// Candidates are fed in step with the search, so that which ones are open at a byte depends on the text alone.
#[derive(Default)]
pub(crate) struct Lane {
    /// All literals that start before here were seen, and candidates were fed up to here.
    scanned: usize,
    open: Vec<Candidate>,
}

struct Candidate {
    detector: u32,
    /// Where its literal starts.
    literal: usize,
    /// Where its pattern, and at the earliest its secret, starts.
    start: usize,
    at: usize,
    state: StateID,
    last: Option<usize>,
}

enum Fed {
    Open,
    Closed,
}

impl Lane {
    /// The position up to which literals were looked for.
    pub(crate) const fn scanned(&self) -> usize {
        self.scanned
    }

    /// Opens and feeds candidates up to `limit`; `hits` has all literals from [`Self::scanned`] to there, and may have
    /// more.
    pub(crate) fn advance(
        &mut self,
        profile: &Profile,
        kind: Kind,
        hits: &[LiteralHit],
        (text, limit): (&[u8], usize),
        rest: Rest,
        matches: &mut Matches,
    ) {
        let range = self.scanned..limit;
        for hit in hits.iter().filter(|hit| range.contains(&hit.start)) {
            for one in profile.literals.uses(hit.literal).iter().filter(|one| one.kind == kind) {
                self.feed(profile, text, hit.start, Rest::MayFollow, matches);
                self.begin(profile, text, one.detector, hit.start, hit.start + one.len, matches);
            }
        }
        if !self.open.is_empty() {
            self.feed(profile, text, limit, rest, matches);
        }
        self.scanned = limit;
    }

    fn begin(
        &mut self,
        profile: &Profile,
        text: &[u8],
        index: u32,
        literal: usize,
        end: usize,
        matches: &mut Matches,
    ) {
        let Some(detector) = profile.detector(index) else { return };
        if !detector.may_begin(text, literal) {
            return;
        }
        let start = if detector.kind() == Kind::Marker { literal } else { end };
        if self.open.iter().any(|c| c.detector == index && c.start == start) {
            return;
        }
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let Ok(state) = detector.automaton().start_state_forward(&input) else { return };
        if self.open.len() >= OPEN_MAX {
            let oldest = self.open.remove(0);
            give_up(profile, &oldest, matches);
        }
        self.open.push(Candidate { detector: index, literal, start, at: start, state, last: None });
    }

    fn feed(&mut self, profile: &Profile, text: &[u8], to: usize, rest: Rest, matches: &mut Matches) {
        self.open.retain_mut(|candidate| {
            let Some(detector) = profile.detector(candidate.detector) else { return false };
            matches!(feed_one(profile, detector, candidate, text, to, rest, matches), Fed::Open)
        });
    }

    /// The first byte that an open candidate or an incomplete literal may yet claim.
    pub(crate) fn frontier(&self, profile: &Profile, kind: Kind, text: &[u8]) -> usize {
        // A keyword is no secret: only what follows its shortest searched form can be.
        let literal = if kind == Kind::Marker { self.scanned } else { self.scanned + 2 };
        let claimed = |c: &Candidate| match (c.last, profile.detector(c.detector)) {
            (None, Some(detector)) => detector.secret_from(text, c.start, c.at),
            _ => c.start,
        };
        self.open.iter().map(claimed).fold(literal.min(text.len()), usize::min)
    }

    /// The first byte that is still needed, look-back apart.
    pub(crate) fn needed_from(&self) -> usize {
        self.open.iter().map(|c| c.literal).fold(self.scanned, usize::min)
    }

    pub(crate) fn rebase(&mut self, by: usize) {
        self.scanned -= by;
        for candidate in &mut self.open {
            candidate.literal -= by;
            candidate.start -= by;
            candidate.at -= by;
            candidate.last = candidate.last.map(|at| at - by);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.scanned = 0;
        self.open.clear();
    }
}

fn feed_one(
    profile: &Profile,
    detector: &Detector,
    candidate: &mut Candidate,
    text: &[u8],
    to: usize,
    rest: Rest,
    matches: &mut Matches,
) -> Fed {
    let automaton = detector.automaton();
    while candidate.at < to {
        if candidate.at - candidate.start >= detector.max_bytes() {
            match candidate.last {
                Some(_) => close(detector, candidate, text, matches),
                None => give_up(profile, candidate, matches),
            }
            return Fed::Closed;
        }
        let Some(byte) = text.get(candidate.at) else { break };
        candidate.state = automaton.next_state(candidate.state, *byte);
        if automaton.is_special_state(candidate.state) {
            if automaton.is_match_state(candidate.state) {
                candidate.last = Some(candidate.at);
                if detector.grows() {
                    confirm(detector, candidate, text, matches);
                    return Fed::Closed;
                }
            } else if automaton.is_dead_state(candidate.state) || automaton.is_quit_state(candidate.state) {
                close(detector, candidate, text, matches);
                return Fed::Closed;
            }
        }
        candidate.at += 1;
    }
    if rest == Rest::Ended && candidate.at <= text.len() {
        candidate.state = automaton.next_eoi_state(candidate.state);
        if automaton.is_match_state(candidate.state) {
            candidate.last = Some(candidate.at);
        }
        close(detector, candidate, text, matches);
        return Fed::Closed;
    }
    Fed::Open
}

/// The first match of a detector that masks from there on.
fn confirm(detector: &Detector, candidate: &Candidate, text: &[u8], matches: &mut Matches) {
    let Some(last) = candidate.last else { return };
    let Some((start, end)) = detector.accept(text, candidate.literal, candidate.start, last) else { return };
    let growth =
        Growth::Pattern { detector: candidate.detector, state: candidate.state, at: candidate.at + 1 };
    matches.insert(Match::new(Owner::Detector(candidate.detector), start, end, Some(growth)));
}

/// No further byte can change the match.
fn close(detector: &Detector, candidate: &Candidate, text: &[u8], matches: &mut Matches) {
    let Some(last) = candidate.last else { return };
    let Some((start, end)) = detector.accept(text, candidate.literal, candidate.start, last) else { return };
    let growth = detector.tail().map(|set| Growth::Run(std::sync::Arc::clone(set)));
    matches.insert(Match::new(Owner::Detector(candidate.detector), start, end, growth));
}

/// A candidate that would have to be held for too long: masked when a distinctive prefix began it, else let go.
fn give_up(profile: &Profile, candidate: &Candidate, matches: &mut Matches) {
    let marker = profile.detector(candidate.detector).is_some_and(|d| d.masks_at_limit());
    if marker && candidate.at > candidate.start {
        let growth = Growth::Run(std::sync::Arc::clone(&RUN_BYTES));
        let owner = Owner::Detector(candidate.detector);
        matches.insert(Match::new(owner, candidate.start, candidate.at, Some(growth)));
    }
}
