//! Runs of characters that values are made of, judged by what stands left of them.
//!
//! Only a run behind evidence is held until it ends; all others leave as they come.

use crate::class::{BLOCK_BYTES, Block};
use crate::detector::evidence::{CONTEXT_BYTES, Evidence, RUN_BYTES_MAX, RUN_BYTES_MIN, may_hold_value};
use crate::detector::{LOOK_BACK_BYTES, begins_as_known};
use crate::lane::Rest;
use crate::literal::LITERAL_BYTES_MAX;
use crate::matches::{Match, Matches};
use crate::profile::{Owner, Profile};

/// The search for runs.
#[derive(Default)]
pub(crate) struct Runs {
    /// Every run that starts before here is judged.
    scanned: usize,
    /// Behind a run that was too long: its rest is passed over.
    skipping: bool,
    /// The run at `scanned` stands behind evidence; none while that was not asked.
    armed: Option<bool>,
    /// Words that may be evidence were looked for up to here; the last one begins at `word`.
    looked: usize,
    word: Option<usize>,
    /// Where an open run may begin to be a value.
    held_from: usize,
    /// What of an open address stands before here is no part of a value; `met` says that one begins here.
    settled: usize,
    met: bool,
    /// The end of the last value.
    taken: usize,
}

/// Whether a run that may be a value stands in `text` from `from` on: true wherever one does.
pub(crate) fn may_occur(profile: &Profile, text: &[u8], from: usize) -> bool {
    !profile.runs.is_empty()
        && text.len() >= from + RUN_BYTES_MIN
        && next_run(text, from, Rest::Ended).is_some()
}

/// What a run is made of.
const fn is_part(byte: u8) -> bool {
    // `-`, `.`, `/` and the digits are neighbours.
    byte.wrapping_sub(b'-') < 13
        || (byte | 0x20).wrapping_sub(b'a') < 26
        || byte == b'_'
        || byte == b'+'
        || byte == b'~'
}

/// What can stand right behind a value. A run before anything else is a piece of something longer.
const fn closes(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || byte.is_ascii_control()
        || byte >= 0x80
        || matches!(
            byte,
            b'"' | b'\'' | b'`' | b',' | b';' | b':' | b'&' | b')' | b'}' | b']' | b'>' | b'<' | b'|' | b'\\'
        )
}

/// What cannot stand right before a value.
const fn spoils(byte: u8) -> bool {
    matches!(byte, b'?' | b'^' | b'$' | b'#' | b'*' | b'%' | b'!' | b'@' | b']' | b'&')
}

static PARTS: [bool; 256] = {
    let mut set = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "evaluated by the compiler"
        )]
        {
            set[byte] = is_part(byte as u8);
        }
        byte += 1;
    }
    set
};

fn in_run(byte: Option<&u8>) -> bool {
    byte.is_some_and(|b| PARTS.get(usize::from(*b)).copied().unwrap_or(false))
}

impl Runs {
    pub(crate) fn advance(
        &mut self,
        profile: &Profile,
        off: bool,
        text: &[u8],
        rest: Rest,
        matches: &mut Matches,
    ) {
        if off || profile.runs.is_empty() {
            (self.scanned, self.held_from) = (text.len(), text.len());
            return;
        }
        let ended = rest == Rest::Ended;
        let begun = self.scanned;
        if self.skipping {
            self.scanned +=
                text.get(self.scanned..).unwrap_or_default().iter().take_while(|b| in_run(Some(b))).count();
            self.skipping = self.scanned == text.len() && !ended;
        }
        let mut at = self.scanned;
        let mut open = false;
        while let Some(start) = next_run(text, at, rest) {
            let behind = text.get(start..).unwrap_or_default().iter();
            let end = start + behind.take_while(|b| in_run(Some(b))).take(RUN_BYTES_MAX + 1).count();
            if end - start > RUN_BYTES_MAX {
                let over = text.get(end..).unwrap_or_default().iter().take_while(|b| in_run(Some(b))).count();
                at = end + over;
                self.skipping = at == text.len() && !ended;
                continue;
            }
            let padding =
                text.get(end..).unwrap_or_default().iter().take(2).take_while(|b| **b == b'=').count();
            if end + padding == text.len() && !ended {
                (at, open) = (start, true);
                break;
            }
            if text.get(start..end).is_some_and(may_hold_value) {
                let listed = is_listed(text, self.taken, start);
                let spoken_for = listed || self.has_words(profile, text, start, end);
                if spoken_for && judge(profile, text, start, end, padding, listed, matches) {
                    self.taken = end + padding;
                }
            }
            at = end;
        }
        if ended {
            (self.scanned, self.held_from) = (text.len(), text.len());
            return;
        }
        if self.skipping {
            at = text.len();
        } else if !open {
            // What is left is too short to be judged, or still open: it begins where the last run does.
            let tail = text.get(at.min(text.len())..).unwrap_or_default();
            at = text.len() - tail.iter().rev().take_while(|b| in_run(Some(b))).count();
        }
        if at != begun {
            (self.armed, self.settled, self.met) = (None, at, false);
        }
        self.scanned = at;
        let run = text.get(at..).unwrap_or_default();
        let some = |asked: &dyn Fn(&Evidence) -> Option<usize>| {
            profile.runs.iter().filter_map(|n| asked(profile.detector(*n)?.evidence()?)).min()
        };
        if self.armed.is_none() && !run.is_empty() {
            let listed = is_listed(text, self.taken, at);
            self.armed = Some(
                listed
                    || self.has_words(profile, text, at, at) && {
                        let left = left_of(text, at);
                        some(&|evidence| evidence.is_armed(left).then_some(0)).is_some()
                    },
            );
        }
        let held = match self.armed {
            Some(true) => at,
            _ => at + some(&|evidence| evidence.named_in(run).next()).unwrap_or(run.len()),
        };
        self.held_from = held;
        if held < text.len() && is_address(run) {
            let whole = some(&|evidence| evidence.named_in(run).find(|from| is_dashed(run, *from)));
            let whole = at + whole.unwrap_or(run.len());
            self.held_from = held.max(whole.min(self.settle(profile, text, at)));
        }
    }

    /// Where in the open address at `at` the first part stands that may be a value, or have one. Each is judged by itself,
    /// so that one which has ended and is no value need not wait for the next ones.
    fn settle(&mut self, profile: &Profile, text: &[u8], at: usize) -> usize {
        while let Some(rest) = text.get(self.settled.max(at)..).filter(|_| !self.met) {
            let Some(len) = rest.iter().position(|b| *b == b'/') else { break };
            let from = self.settled.max(at);
            let mut first = None;
            for index in &profile.runs {
                let Some(evidence) = profile.detector(*index).and_then(|d| d.evidence()) else { continue };
                weigh_part(evidence, text, (from, from + len), 0, &mut |value, _| {
                    first = Some(first.unwrap_or(value).min(value));
                });
            }
            self.met = first.is_some();
            self.settled = first.unwrap_or(from + len + 1);
        }
        self.settled
    }

    /// Whether a word that may be evidence stands before `end` and not too far left of `start`. Every byte is looked at
    /// once, not once a run.
    fn has_words(&mut self, profile: &Profile, text: &[u8], start: usize, end: usize) -> bool {
        let reach = start.saturating_sub(CONTEXT_BYTES);
        if self.looked < end {
            let from = self.looked.saturating_sub(LITERAL_BYTES_MAX).max(reach);
            let left = text.get(..end).unwrap_or(text);
            for index in &profile.runs {
                let evidence = profile.detector(*index).and_then(|detector| detector.evidence());
                self.word = self.word.max(evidence.and_then(|evidence| evidence.last_word(left, from)));
            }
            self.looked = end;
        }
        self.word.is_some_and(|word| word >= reach)
    }

    /// The first byte that an open run may yet claim.
    pub(crate) fn frontier(&self, len: usize) -> usize {
        self.held_from.min(len)
    }

    /// The first byte that is still needed, look-back apart.
    pub(crate) const fn needed_from(&self) -> usize {
        self.scanned.saturating_sub(CONTEXT_BYTES - LOOK_BACK_BYTES)
    }

    pub(crate) fn rebase(&mut self, by: usize) {
        self.scanned -= by;
        self.taken = self.taken.saturating_sub(by);
        self.held_from = self.held_from.saturating_sub(by);
        self.settled = self.settled.saturating_sub(by);
        self.looked = self.looked.saturating_sub(by);
        self.word = self.word.and_then(|word| word.checked_sub(by));
    }

    /// Starts a text behind `context` bytes that are not part of it.
    pub(crate) fn begin(&mut self, context: usize) {
        *self = Self { scanned: context, ..Self::default() };
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Where the next run from `from` on begins that can hold a value, or may go on behind the text; `from` is not inside of
/// a run.
fn next_run(text: &[u8], from: usize, rest: Rest) -> Option<usize> {
    let mut at = from;
    while let Some(block) = Block::at(text, at) {
        let parts = block.bits(is_part);
        // Bits where twelve parts in a row begin.
        let two = parts & parts >> 1;
        let four = two & two >> 2;
        let eight = four & four >> 4;
        let mut long = eight & four >> 8;
        while long != 0 {
            let start = long.trailing_zeros();
            let run = parts >> start;
            let len = run.trailing_ones();
            let (from, to) = (start as usize, (start + len) as usize);
            let typed = || text.get(at + from..at + to).is_some_and(may_hold_value);
            let goes_on = to >= block.len && (block.len == BLOCK_BYTES || rest == Rest::MayFollow);
            if goes_on || typed() {
                return Some(at + from);
            }
            long &= u64::MAX.checked_shl(start + len).unwrap_or(0);
        }
        // The run at the block's end goes on in the next block.
        let open = if block.len == BLOCK_BYTES { parts.leading_ones() as usize } else { 0 };
        at += BLOCK_BYTES - open;
    }
    None
}

/// Whether a value at `start` stands in one list with the last one, which ended at `taken`.
fn is_listed(text: &[u8], taken: usize, start: usize) -> bool {
    let between = text.get(taken..start).unwrap_or_default();
    taken > 0
        && between.len() <= 12
        && between.iter().any(|b| matches!(b, b',' | b'|'))
        && !between.iter().any(u8::is_ascii_alphanumeric)
}

fn left_of(text: &[u8], at: usize) -> &[u8] {
    text.get(at.saturating_sub(CONTEXT_BYTES)..at).unwrap_or_default()
}

fn judge(
    profile: &Profile,
    text: &[u8],
    start: usize,
    end: usize,
    padding: usize,
    listed: bool,
    matches: &mut Matches,
) -> bool {
    let run = text.get(start..end).unwrap_or_default();
    let left = left_of(text, start);
    let address = is_address(run);
    let closed = match text.get(end + padding) {
        None => true,
        Some(b'?' | b'#') => address,
        Some(byte) => closes(*byte),
    };
    let opened = left.last().copied().filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let torn = opened.is_some()
        && !address
        && text
            .get(end + padding)
            .is_some_and(|b| matches!(b, b' ' | b']' | b'[' | b'&' | b'|' | b'(' | b'<'));
    // `'=VALUE'` is a piece of a value.
    let piece = matches!(left, [.., b'"' | b'\'', b'=']) || begins_as_known(run) || is_behind_value(left);
    // `name->field` in a program.
    let arrow = run.ends_with(b"-") && text.get(end) == Some(&b'>');
    if !closed || torn || arrow || piece || left.last().copied().is_some_and(spoils) {
        return false;
    }
    let mut any = false;
    for index in &profile.runs {
        let Some(evidence) = profile.detector(*index).and_then(|d| d.evidence()) else { continue };
        let armed = listed || evidence.is_armed(left) || evidence.named_in(run).next().is_some();
        if !armed || evidence.is_vetoed(left) {
            continue;
        }
        let mut put = |from: usize, to: usize| {
            any = true;
            matches.insert(Match::new(Owner::Detector(*index), from, to, None));
        };
        let (head, tail) = trimmed(run);
        let whole = run.get(head..tail).unwrap_or_default();
        let parted = whole.iter().any(|b| matches!(b, b'/' | b'.'));
        if address {
            if weigh_named(evidence, text, (start, end), padding, |from| is_dashed(run, from), &mut put) {
                continue;
            }
            let mut from = start;
            for part in run.split(|b| *b == b'/').filter(|_| parted) {
                let to = from + part.len();
                weigh_part(evidence, text, (from, to), if to == end { padding } else { 0 }, &mut put);
                from = to + 1;
            }
            continue;
        }
        if evidence.weigh(left, whole) || listed && Evidence::goes_on(whole) {
            put(start + head, if tail == run.len() { end + padding } else { start + tail });
            continue;
        }
        if parted {
            weigh_part(evidence, text, (start, end), padding, &mut put);
        } else {
            weigh_named(evidence, text, (start, end), padding, |_| true, &mut put);
        }
    }
    any
}

/// Whether a run is an address or a path from the root: its parts between slashes are judged, each by itself, but for
/// what stands behind a word and a dash. It stays one however it goes on.
fn is_address(run: &[u8]) -> bool {
    run.starts_with(b"/") || has_pair(run)
}

/// Whether a dash, not a dot as in a host's name, stands before a value.
fn is_dashed(run: &[u8], from: usize) -> bool {
    from.checked_sub(1).and_then(|n| run.get(n)) == Some(&b'-')
}

/// Tells of a value at the end of `span` that words in it name: `acme-secret-VALUE`. Whether there is one.
fn weigh_named(
    evidence: &Evidence,
    text: &[u8],
    (start, end): (usize, usize),
    padding: usize,
    counts: impl Fn(usize) -> bool,
    put: &mut impl FnMut(usize, usize),
) -> bool {
    let span = text.get(start..end).unwrap_or_default();
    let named = evidence.named_in(span).filter(|from| counts(*from));
    let named = named.take_while(|from| span.len() >= from + RUN_BYTES_MIN).last();
    let Some(from) = named else { return false };
    let (head, tail) = trimmed(span.get(from..).unwrap_or_default());
    let value = span.get(from + head..from + tail).unwrap_or_default();
    let from = start + from;
    let is_value = evidence.weigh(left_of(text, from + head), value);
    if is_value {
        put(from + head, if from + tail == end { end + padding } else { from + tail });
    }
    is_value
}

/// Tells of the values in `span`: one that words in it name, or else what stands between its slashes and dots, each with
/// what is left of it.
fn weigh_part(
    evidence: &Evidence,
    text: &[u8],
    (start, end): (usize, usize),
    padding: usize,
    put: &mut impl FnMut(usize, usize),
) {
    if weigh_named(evidence, text, (start, end), padding, |_| true, put) {
        return;
    }
    let mut from = start;
    for part in text.get(start..end).unwrap_or_default().split(|b| matches!(b, b'/' | b'.')) {
        let (head, tail) = trimmed(part);
        let value = part.get(head..tail).unwrap_or_default();
        if value.len() >= RUN_BYTES_MIN && evidence.weigh(left_of(text, from + head), value) {
            put(from + head, from + tail);
        }
        from += part.len() + 1;
    }
}

/// Without the punctuation around a value: a sentence's end, a flag's dashes.
fn trimmed(run: &[u8]) -> (usize, usize) {
    let head = run.iter().take_while(|b| matches!(b, b'.' | b'-' | b'/' | b'+')).count();
    let tail = run.iter().rev().take_while(|b| **b == b'.').count();
    (head, run.len().saturating_sub(tail).max(head))
}

/// Whether a value stands right before a `;` at the end of `left`: what follows it is a piece of that.
fn is_behind_value(left: &[u8]) -> bool {
    let before = left.split_last().filter(|(last, _)| **last == b';').map(|(_, before)| before);
    before.is_some_and(|before| before.iter().rev().take_while(|b| in_run(Some(b))).count() >= RUN_BYTES_MIN)
}

/// `//`, as in a URL.
fn has_pair(run: &[u8]) -> bool {
    run.windows(2).any(|pair| pair == b"//")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`next_run`], byte by byte.
    fn next_run_plainly(text: &[u8], from: usize, rest: Rest) -> Option<usize> {
        let mut at = from;
        while at < text.len() {
            let len = text[at..].iter().take_while(|b| is_part(**b)).count();
            let run = &text[at..at + len];
            if len >= RUN_BYTES_MIN
                && (may_hold_value(run) || rest == Rest::MayFollow && at + len == text.len())
            {
                return Some(at);
            }
            at += len.max(1);
        }
        None
    }

    #[test]
    fn runs_are_found_across_blocks() {
        let mut state = 7u32;
        for round in 0..4000 {
            let mut text = Vec::new();
            while text.len() < 40 + round % 300 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let len = (state >> 16) as usize % if round % 3 == 0 { 90 } else { 16 };
                match (state >> 24) as usize % 7 {
                    6 => text.extend((b'a'..=b'z').take(len)),
                    n => text.extend(std::iter::repeat_n(b"aaaaA7"[n], len)),
                }
                text.extend_from_slice([&b" "[..], b"", b"\xc3\xa4", b"="][(state >> 9) as usize % 4]);
            }
            let rest = if round % 2 == 0 { Rest::Ended } else { Rest::MayFollow };
            let mut from = 0;
            loop {
                let found = next_run(&text, from, rest);
                let expected = next_run_plainly(&text, from, rest);
                // A run that reaches the end of a block may be shown without need: it is judged and passed over.
                let all = || String::from_utf8_lossy(&text);
                assert!(expected.is_none_or(|next| found.is_some_and(|at| at <= next)), "{}", all());
                let Some(at) = found else { break };
                let long = text[at..].iter().take_while(|b| is_part(**b)).count();
                assert!(
                    long >= RUN_BYTES_MIN && !text[..at].last().is_some_and(|b| is_part(*b)),
                    "{}",
                    all()
                );
                from = at + long;
            }
        }
    }
}
