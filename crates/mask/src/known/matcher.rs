//! Finds every spelling of every known value in one pass, however many there are.
//!
//! Each form is at least eight bytes long, so whichever way the text is sampled at every fifth byte, one of the
//! samples falls on one of the five four-byte grams of an eight-byte window of the form. The filter is a bit set of
//! those grams that fits the first cache level; only a hit looks further. All copies of the values are zeroized.

use zeroize::Zeroizing;

use super::forms::forms;
use super::{KNOWN_BYTES_MIN, KnownValue};

/// Only this much of a form must be seen to know it; the rest is swallowed as it comes. Bounds what is held back.
pub(super) const FORM_HEAD_BYTES_MAX: usize = 256;
/// The longest line break inside wrapped base64: `\r\n` and indentation.
const GAP_BYTES_MAX: usize = 16;
/// Characters between two line breaks inside wrapped base64.
const LINE_BYTES_MIN: usize = 16;
/// The most of a text that an undecided form can span.
const FORM_SPAN_BYTES_MAX: usize =
    FORM_HEAD_BYTES_MAX + (FORM_HEAD_BYTES_MAX / LINE_BYTES_MIN + 2) * GAP_BYTES_MAX;
const STRIDE: usize = 5;
const GRAM: usize = 4;
/// Bits of the filter for each gram, two of which are set: less than one in a hundred samples of clean text passes.
const FILTER_BITS_EACH: usize = 20;
/// So many bytes of a form's beginning are in a filter.
const HEAD_BYTES: usize = 8;
const PAIR_WORDS: usize = (0x1_0000 + 0x100) / 64;

struct FormRef {
    start: usize,
    len: usize,
    value: u32,
    wraps: bool,
}

/// Where a form's head was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownHit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) form: u32,
}

#[derive(Default)]
pub(crate) struct KnownMatcher {
    arena: Zeroizing<Vec<u8>>,
    forms: Vec<FormRef>,
    /// Form indices, ordered by their bytes; for the question whether a text's tail may become a form.
    ordered: Vec<u32>,
    /// What forms begin with, one to [`HEAD_BYTES`] bytes of it, hashed twice; for the same question.
    beginnings: Vec<u64>,
    beginnings_shift: u32,
    /// The first one and the first two bytes of forms, exactly; of those that wrap once more.
    pairs: Vec<u64>,
    wrapping_pairs: Vec<u64>,
    filter: Vec<u64>,
    /// Of a hash, what chooses a word of the filter.
    mask: u64,
    /// Grams by their hash; `buckets` says where those begin whose hash begins with a number.
    grams: Zeroizing<Vec<u32>>,
    buckets: Vec<usize>,
    bucket_shift: u32,
    /// Beside `grams`: the form and the gram's offset in it.
    places: Vec<(u32, u32)>,
    wraps_any: bool,
    /// The shortest form's length.
    shortest: usize,
    values: Vec<std::sync::Arc<Zeroizing<Vec<u8>>>>,
}

impl KnownMatcher {
    pub(crate) fn new(values: &[KnownValue]) -> Self {
        let mut arena = Zeroizing::new(Vec::new());
        let mut all = Vec::new();
        for (value, known) in (0u32..).zip(values) {
            for form in forms(&known.value) {
                all.push(FormRef { start: arena.len(), len: form.bytes.len(), value, wraps: form.wraps });
                arena.extend_from_slice(&form.bytes);
            }
        }
        let shared = values.iter().map(|known| std::sync::Arc::clone(&known.value)).collect();
        let mut matcher = Self { arena, forms: all, values: shared, ..Self::default() };
        matcher.index();
        matcher
    }

    fn index(&mut self) {
        let mut places: Vec<(u32, u32, u32)> = Vec::new();
        let bits = (self.forms.len() * HEAD_BYTES * 16).next_power_of_two().trailing_zeros().clamp(12, 24);
        let mut beginnings = vec![0u64; 1 << (bits - 6)];
        self.beginnings_shift = 64 - bits;
        let (mut pairs, mut wrapping_pairs) = (vec![0u64; PAIR_WORDS], vec![0u64; PAIR_WORDS]);
        for id in 0..u32::try_from(self.forms.len()).unwrap_or(u32::MAX) {
            let head = self.head(id);
            let Some(form) = self.form(id) else { continue };
            if let Some(&[first, second]) = head.first_chunk::<2>() {
                for bit in [pair_bit(first, Some(second)), pair_bit(first, None)] {
                    set(&mut pairs, bit);
                    if form.wraps {
                        set(&mut wrapping_pairs, bit);
                    }
                }
            }
            for len in 1..=HEAD_BYTES.min(head.len()) {
                for bit in self.beginning_bits(key(head.get(..len).unwrap_or_default())) {
                    set(&mut beginnings, bit);
                }
            }
            // Two disjoint windows where a line break may fall into one of them.
            let last = head.len().saturating_sub(KNOWN_BYTES_MIN);
            let windows = [Some(last), last.checked_sub(KNOWN_BYTES_MIN).filter(|_| form.wraps)];
            for window in windows.into_iter().flatten() {
                for offset in window..window + STRIDE {
                    if let Some(gram) = gram_at(head, offset) {
                        places.push((gram, id, u32::try_from(offset).unwrap_or(u32::MAX)));
                    }
                }
            }
        }
        places.sort_unstable_by_key(|(gram, form, offset)| (hash(*gram), *form, *offset));
        places.dedup();
        let distinct = places.chunk_by(|a, b| a.0 == b.0).count();
        let bits = (distinct * FILTER_BITS_EACH).next_power_of_two().trailing_zeros().clamp(16, 24);
        let mut filter = vec![0u64; 1 << (bits - 6)];
        let mask = (1 << (bits - 6)) - 1;
        for (gram, ..) in &places {
            let hash = wide_hash(*gram);
            if let Some(word) = filter.get_mut((hash >> 32 & mask) as usize) {
                *word |= bits_of(hash);
            }
        }
        let bucket_bits = places.len().next_power_of_two().trailing_zeros().clamp(1, 20);
        let bucket_shift = 32 - bucket_bits;
        let starts = (0u32..=1 << bucket_bits)
            .map(|bucket| places.partition_point(|(gram, ..)| hash(*gram) >> bucket_shift < bucket));
        self.buckets = starts.collect();
        self.bucket_shift = bucket_shift;
        let mut ordered: Vec<u32> = (0u32..).take(self.forms.len()).collect();
        ordered.sort_unstable_by(|a, b| self.head(*a).cmp(self.head(*b)));
        self.shortest = self.forms.iter().map(|form| form.len).min().unwrap_or(0);
        self.wraps_any = self.forms.iter().any(|f| f.wraps);
        self.grams = places.iter().map(|p| p.0).collect::<Vec<_>>().into();
        self.places = places.iter().map(|p| (p.1, p.2)).collect();
        (self.ordered, self.beginnings) = (ordered, beginnings);
        (self.pairs, self.wrapping_pairs) = (pairs, wrapping_pairs);
        (self.filter, self.mask) = (filter, mask);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Index of the value that a form spells.
    pub(crate) fn value_of(&self, form: u32) -> u32 {
        self.form(form).map_or(0, |f| f.value)
    }

    /// A value as it was given.
    pub(crate) fn value(&self, index: u32) -> &[u8] {
        self.values.get(index as usize).map(|v| v.as_slice()).unwrap_or_default()
    }

    fn form(&self, id: u32) -> Option<&FormRef> {
        self.forms.get(id as usize)
    }

    fn bytes(&self, id: u32) -> &[u8] {
        self.form(id).and_then(|f| self.arena.get(f.start..f.start + f.len)).unwrap_or_default()
    }

    fn head(&self, id: u32) -> &[u8] {
        let bytes = self.bytes(id);
        bytes.get(..FORM_HEAD_BYTES_MAX).unwrap_or(bytes)
    }

    /// What is left of a form behind its head; empty for all but very long values.
    pub(crate) fn tail(&self, id: u32) -> &[u8] {
        self.bytes(id).get(FORM_HEAD_BYTES_MAX..).unwrap_or_default()
    }

    /// Every form that starts in `from..limit`, the longest for each start; ordered by start.
    pub(crate) fn scan(&self, text: &[u8], from: usize, limit: usize, hits: &mut Vec<KnownHit>) {
        hits.clear();
        if self.is_empty() || from >= limit || text.len() - from < self.shortest {
            return;
        }
        let mut at = from;
        // Four samples per step on a fixed-size array: no bounds checks in the loop that sees every byte.
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<{ 3 * STRIDE + GRAM }>()) {
            let samples = [0, STRIDE, 2 * STRIDE, 3 * STRIDE].map(|n| gram_at(block, n).unwrap_or_default());
            if samples.iter().any(|gram| self.maybe(*gram)) {
                self.confirm_samples(text, at, hits);
            }
            at += 4 * STRIDE;
        }
        while let Some(gram) = gram_at(text, at) {
            if self.maybe(gram) {
                self.confirm(text, at, gram, hits);
            }
            at += STRIDE;
        }
        if hits.is_empty() {
            return;
        }
        hits.retain(|h| (from..limit).contains(&h.start));
        hits.sort_unstable_by_key(|h| (h.start, std::cmp::Reverse(h.end), h.form));
        hits.dedup_by_key(|h| h.start);
    }

    /// Two bits of one word must be set.
    #[inline]
    fn maybe(&self, gram: u32) -> bool {
        let hash = wide_hash(gram);
        let bits = bits_of(hash);
        self.filter.get((hash >> 32 & self.mask) as usize).is_some_and(|word| word & bits == bits)
    }

    /// By itself, so that the loop that sees every byte keeps nothing for it.
    #[cold]
    #[inline(never)]
    fn confirm_samples(&self, text: &[u8], at: usize, hits: &mut Vec<KnownHit>) {
        for at in (at..).step_by(STRIDE).take(4) {
            if let Some(gram) = gram_at(text, at).filter(|gram| self.maybe(*gram)) {
                self.confirm(text, at, gram, hits);
            }
        }
    }

    #[cold]
    fn confirm(&self, text: &[u8], at: usize, gram: u32, hits: &mut Vec<KnownHit>) {
        let bucket = (hash(gram) >> self.bucket_shift) as usize;
        let (Some(from), Some(to)) = (self.buckets.get(bucket), self.buckets.get(bucket + 1)) else { return };
        let grams = self.grams.get(*from..*to).unwrap_or_default();
        let places = self.places.get(*from..*to).unwrap_or_default();
        for (_, (form, offset)) in grams.iter().zip(places).filter(|(known, _)| **known == gram) {
            let Some(span) = self.span(text, at, *form, *offset as usize) else { continue };
            hits.push(KnownHit { start: span.0, end: span.1, form: *form });
        }
    }

    /// The span of a form's head whose byte `offset` stands at `at`.
    fn span(&self, text: &[u8], at: usize, id: u32, offset: usize) -> Option<(usize, usize)> {
        let head = self.head(id);
        if let Some(start) = at.checked_sub(offset)
            && text.get(start..start + head.len()) == Some(head)
        {
            return Some((start, start + head.len()));
        }
        if !self.form(id)?.wraps {
            return None;
        }
        let start = text.get(..at).and_then(|before| wrapped_start(before, head.get(..offset)?))?;
        let length = match wrapped_prefix(text.get(start..)?, head) {
            Prefix::Whole(length) => length,
            Prefix::Open | Prefix::Not => return None,
        };
        Some((start, start + length))
    }

    /// The first position from `from` on whose rest is the beginning of a form that is not complete yet.
    pub(crate) fn open_from(&self, text: &[u8], from: usize) -> usize {
        if self.is_empty() {
            return text.len();
        }
        let plain_from = from.max(text.len().saturating_sub(FORM_HEAD_BYTES_MAX));
        let wrapped_from = if self.wraps_any {
            wraps_from(text, from.max(text.len().saturating_sub(FORM_SPAN_BYTES_MAX)))
        } else {
            text.len()
        };
        let mut at = plain_from.min(wrapped_from);
        while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
            if at >= plain_from && self.may_begin(rest) || at >= wrapped_from && self.wrapped_may_begin(rest)
            {
                return at;
            }
            at += 1;
        }
        text.len()
    }

    fn may_begin(&self, rest: &[u8]) -> bool {
        // Every form is longer than that.
        if let [first] | [first, _] = rest {
            return has(&self.pairs, pair_bit(*first, rest.get(1).copied()));
        }
        self.maybe_begins(key(rest)) && self.ordered_may_begin(rest)
    }

    /// Whether any form may begin with these bytes; [`HEAD_BYTES`] at most are in a key.
    fn maybe_begins(&self, key: u64) -> bool {
        self.beginning_bits(key).into_iter().all(|bit| {
            self.beginnings.get((bit >> 6) as usize).is_some_and(|word| word >> (bit & 63) & 1 == 1)
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "as many bits as the filter has, at most 24")]
    const fn beginning_bits(&self, key: u64) -> [u32; 2] {
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        [
            (hash >> self.beginnings_shift) as u32,
            (hash.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> self.beginnings_shift) as u32,
        ]
    }

    fn ordered_may_begin(&self, rest: &[u8]) -> bool {
        let first = self.ordered.partition_point(|id| self.head(*id) <= rest);
        self.ordered.get(first).is_some_and(|id| self.head(*id).starts_with(rest))
    }

    fn wrapped_may_begin(&self, rest: &[u8]) -> bool {
        if rest.first().is_some_and(|b| is_gap(*b)) {
            return false;
        }
        // Words of prose end in a gap, too: most texts are answered here, exactly where two bytes say all.
        let mut solid = rest.iter().copied().filter(|b| !is_gap(*b));
        if let (Some(first), second, None) = (solid.next(), solid.next(), solid.next()) {
            // Whatever stands for the byte behind them: it does not come.
            let form = [first, second.unwrap_or_default(), 0];
            let form = if second.is_some() { &form[..] } else { &form[..2] };
            return rest.len() >= form.len()
                && has(&self.wrapping_pairs, pair_bit(first, second))
                && wrapped_prefix(rest, form) == Prefix::Open;
        }
        if !self.maybe_begins(solid_key(rest)) {
            return false;
        }
        let Some(gap) = rest.iter().position(|b| is_gap(*b)) else { return false };
        let line = rest.get(..gap).unwrap_or_default();
        let first = self.ordered.partition_point(|id| self.head(*id) < line);
        if !self.ordered.get(first).is_some_and(|id| self.head(*id).starts_with(line)) {
            return false;
        }
        let Some(compact) = compacted(rest) else { return false };
        let first = self.ordered.partition_point(|id| self.head(*id) < compact.as_slice());
        let starting = self.ordered.iter().skip(first).take_while(|id| self.head(**id).starts_with(&compact));
        starting.into_iter().any(|id| {
            self.form(*id).is_some_and(|f| f.wraps) && wrapped_prefix(rest, self.head(*id)) == Prefix::Open
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Prefix {
    /// The whole form stands at the start of the text, in so many bytes.
    Whole(usize),
    /// The text ends inside the form.
    Open,
    /// Something else stands there.
    Not,
}

const fn is_gap(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t')
}

/// Compares `form` with the start of `text`, line breaks in `text` allowed.
fn wrapped_prefix(text: &[u8], form: &[u8]) -> Prefix {
    let (mut at, mut done, mut line, mut gap) = (0, 0, LINE_BYTES_MIN, 0);
    while let Some(expected) = form.get(done) {
        let Some(byte) = text.get(at) else { return Prefix::Open };
        if byte == expected {
            (at, done, line, gap) = (at + 1, done + 1, line + 1, 0);
        } else if is_gap(*byte) && done > 0 && gap < GAP_BYTES_MAX && (gap > 0 || line >= LINE_BYTES_MIN) {
            (at, line, gap) = (at + 1, 0, gap + 1);
        } else {
            return Prefix::Not;
        }
    }
    Prefix::Whole(at)
}

/// Where `form` starts when it ends at the end of `text`, line breaks in `text` allowed.
fn wrapped_start(text: &[u8], form: &[u8]) -> Option<usize> {
    let (mut at, mut left, mut gaps) = (text.len(), form.len(), 0);
    while let Some(expected) = left.checked_sub(1).and_then(|n| form.get(n)) {
        let byte = at.checked_sub(1).and_then(|n| text.get(n))?;
        if byte == expected {
            (at, left, gaps) = (at - 1, left - 1, 0);
        } else if is_gap(*byte) && gaps < GAP_BYTES_MAX {
            (at, gaps) = (at - 1, gaps + 1);
        } else {
            return None;
        }
    }
    Some(at)
}

/// The first position from `least` on from which the text may be one wrapped form up to its end, by the lengths of its
/// lines alone: all but the first and the last have [`LINE_BYTES_MIN`] or more.
fn wraps_from(text: &[u8], least: usize) -> usize {
    let tail = text.get(least..).unwrap_or_default();
    let run = |end: usize, gap: bool| {
        tail.get(..end).unwrap_or_default().iter().rev().take_while(|b| is_gap(**b) == gap).count()
    };
    let mut at = tail.len() - run(tail.len(), false);
    loop {
        let gap = run(at, true);
        if gap == 0 || gap > GAP_BYTES_MAX {
            return least + at;
        }
        let line = run(at - gap, false);
        at -= gap + line;
        if line < LINE_BYTES_MIN {
            return least + at;
        }
    }
}

fn pair_bit(first: u8, second: Option<u8>) -> u32 {
    second.map_or(0x1_0000, |second| u32::from(second) << 8) | u32::from(first)
}

/// The first bytes of a text, as a number.
fn key(text: &[u8]) -> u64 {
    if let Some(bytes) = text.first_chunk::<HEAD_BYTES>() {
        return u64::from_le_bytes(*bytes);
    }
    text.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// The first bytes of a text, line breaks left out.
fn solid_key(text: &[u8]) -> u64 {
    let solid = text.iter().copied().filter(|b| !is_gap(*b)).take(HEAD_BYTES);
    (0u32..).zip(solid).fold(0, |key, (n, byte)| key | u64::from(byte) << (8 * n))
}

/// `text` without line breaks; none when it is longer than a head.
fn compacted(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let compact: Vec<u8> = text.iter().copied().filter(|b| !is_gap(*b)).collect();
    (compact.len() < FORM_HEAD_BYTES_MAX).then(|| compact.into())
}

fn gram_at(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..).and_then(|rest| rest.first_chunk::<GRAM>()).map(|gram| u32::from_le_bytes(*gram))
}

#[inline]
const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1)
}

/// A gram's hash for the filter: its highest bits choose two of a word's, others the word.
#[inline]
const fn wide_hash(gram: u32) -> u64 {
    (gram as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The bits of a gram in its word of a filter.
#[inline]
fn bits_of(hash: u64) -> u64 {
    BITS.get((hash >> 56) as usize).copied().unwrap_or_default()
}

/// Two bits each.
static BITS: [u64; 256] = {
    let mut all = [0; 256];
    let mut n = 0;
    while n < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            // The second one is 1 to 61 places away from the first one.
            all[n] = 1 << (n & 63) | 1 << ((n + 1 + 20 * (n >> 6)) & 63);
        }
        n += 1;
    }
    all
};

fn has(bits: &[u64], bit: u32) -> bool {
    bits.get((bit >> 6) as usize).is_some_and(|word| word >> (bit & 63) & 1 == 1)
}

fn set(bits: &mut [u64], bit: u32) {
    if let Some(word) = bits.get_mut((bit >> 6) as usize) {
        *word |= 1 << (bit & 63);
    }
}
