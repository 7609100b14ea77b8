//! The literals that candidates begin with, found in one pass however many there are.
//!
//! Each literal is known by two anchors, one byte apart, so that only every second place is looked at. An anchor is three
//! bytes, the first without its case, and the byte behind them, chosen to be rare in ordinary text. Whether one may
//! stand at a place is one look into a table, of which text touches little, so that it stays in the nearest cache: the
//! first three bytes choose an entry, the fourth one of its sixteen bits. So clean text costs the same for ten literals and for a thousand, in long texts and in pieces
//! of a few bytes.

use std::ops::ControlFlow;

use commonness::commonness;

mod commonness;

/// The longest literal a detector may have, in bytes.
pub(crate) const LITERAL_BYTES_MAX: usize = 40;
/// The bytes of an anchor that choose an entry. Shorter literals are not supported.
pub(crate) const ANCHOR_BYTES: usize = 3;
/// What of an anchor's bytes counts. Of the first one it is what tells letters apart, so that an anchor of a literal of
/// three bytes can begin one byte before it, whatever stands there.
const COUNTS: u32 = 0x00ff_ff1f;
/// What makes one of both cases, four times; it confuses other bytes, which costs a comparison now and then.
const FOLD: u32 = 0x2020_2020;
/// Every second place is looked at.
const STRIDE: usize = 2;
/// Places that are passed together.
const STEP: usize = 32;
/// Of these, so many are looked at again together when one of them may be an anchor's.
const GROUP: usize = 4;
/// Bytes that are needed to look at them.
const WINDOW_BYTES: usize = STEP - STRIDE + ANCHOR_BYTES + 1;
/// log2 of the table's entries, of two bytes each.
const TABLE_BITS: u32 = 15;
const BUCKET_BITS: u32 = 13;

/// A literal to search for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Needle {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) case: Case,
}

/// Which of a literal's letters may have either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    Exact,
    /// The first byte, which is a letter.
    First,
    Any,
}

/// The two lanes of candidates, as an index: markers, stems.
pub(crate) const LANES: usize = 2;

impl Needle {
    /// Where its two anchors begin, one before it if that is none: one of them is at an even place, wherever it stands.
    fn anchors(&self) -> Option<[Option<usize>; STRIDE]> {
        let common = |offset: usize| {
            let anchor = self.bytes.iter().skip(offset).take(ANCHOR_BYTES + 1).copied();
            commonness(&anchor.collect::<Vec<_>>())
        };
        if self.bytes.len() <= ANCHOR_BYTES {
            return (self.bytes.len() == ANCHOR_BYTES).then_some([None, Some(0)]);
        }
        let offsets = 0..self.bytes.len() - ANCHOR_BYTES;
        let best = offsets.min_by_key(|offset| common(*offset).max(common(offset + 1)));
        best.map(|offset| [Some(offset), Some(offset + 1)])
    }

    /// How its anchor at `offset`, or else one byte before it, may be spelled; as it is written when it is `folded`.
    fn anchor_spellings(&self, offset: Option<usize>, folded: bool) -> Vec<Vec<u8>> {
        let len = ANCHOR_BYTES + usize::from(offset.is_some());
        let mut own = self.spellings(offset.unwrap_or(0), len);
        if folded {
            own.truncate(1);
        }
        match offset {
            Some(_) => own,
            None => own.iter().flat_map(|own| (0..32).map(|any| [&[any], &own[..]].concat())).collect(),
        }
    }

    /// How the at most `len` bytes from `offset` on may be spelled.
    fn spellings(&self, offset: usize, len: usize) -> Vec<Vec<u8>> {
        let written = self.bytes.get(offset..self.bytes.len().min(offset + len)).unwrap_or_default();
        let mut all = vec![Vec::new()];
        for (n, byte) in (offset..).zip(written) {
            let either = match self.case {
                Case::Exact => false,
                Case::First => n == 0,
                Case::Any => true,
            };
            let other =
                if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
            let others: Vec<Vec<u8>> = all.iter().filter(|_| either && other != *byte).cloned().collect();
            for spelling in &mut all {
                spelling.push(*byte);
            }
            all.extend(others.into_iter().map(|spelling| [spelling, vec![other]].concat()));
        }
        all
    }

    /// Whether `text` begins with it.
    fn begins(&self, text: &[u8]) -> bool {
        text.get(..self.bytes.len()).is_some_and(|head| self.same(head))
    }

    /// Whether it begins with `text`.
    fn begun_by(&self, text: &[u8]) -> bool {
        text.len() <= self.bytes.len() && self.same(text)
    }

    fn same(&self, text: &[u8]) -> bool {
        let (Some((first, rest)), Some((own, others))) = (text.split_first(), self.bytes.split_first())
        else {
            return true;
        };
        let first_same = own == first || self.case != Case::Exact && first.eq_ignore_ascii_case(own);
        let same = |(a, b): (&u8, &u8)| a == b || self.case == Case::Any && a.eq_ignore_ascii_case(b);
        first_same && rest.iter().zip(others).all(same)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LiteralHit {
    pub(crate) start: usize,
    /// Index into what the set was built from.
    pub(crate) literal: u32,
}

/// An anchor of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Its four bytes, and which of their bits count.
    bytes: u32,
    mask: u32,
    literal: u32,
    /// How many bytes the literal begins before the anchor's second byte.
    before: u32,
}

#[derive(Debug)]
pub(crate) struct LiteralSet {
    needles: Vec<Needle>,
    /// Beside `needles`: the lanes that look for it.
    lanes: Vec<[bool; LANES]>,
    /// Bits that are set in every byte before it is looked up: letters of both cases are one where all literals want it.
    fold: u32,
    table: Box<[u16; 1 << TABLE_BITS]>,
    /// Ordered by bucket.
    places: Vec<Place>,
    buckets: Vec<u32>,
    /// For the question whether a text's tail may become a literal: which lanes have one that begins with a byte, with
    /// two bytes and goes on, exactly; and what literals begin with, three or four bytes of it, hashed.
    firsts: Box<[[bool; LANES]; 256]>,
    pairs: Vec<[u64; LANES]>,
    heads: Box<[u64; HEAD_WORDS]>,
    /// Literal indices ordered by their first bytes.
    ordered: Vec<(u32, u32)>,
}

const HEAD_WORDS: usize = 256;

impl Default for LiteralSet {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl LiteralSet {
    /// `needles` must be distinct, and of at least [`ANCHOR_BYTES`]; shorter ones are never found.
    #[expect(
        clippy::large_stack_arrays,
        reason = "32 KB for a moment: a boxed array spares the search its bounds checks"
    )]
    pub(crate) fn new(needles: Vec<Needle>, lanes: Vec<[bool; LANES]>) -> Self {
        let fold = if needles.iter().all(|needle| needle.case == Case::Any) { FOLD } else { 0 };
        let mut places: Vec<Place> = Vec::with_capacity(needles.len());
        let mut table = Box::new([0u16; 1 << TABLE_BITS]);
        let mut firsts = Box::new([[false; LANES]; 256]);
        let mut pairs = vec![[0u64; LANES]; (1 << 16) / 64];
        let mut heads = Box::new([0u64; HEAD_WORDS]);
        let mut ordered = Vec::with_capacity(needles.len());
        for ((literal, needle), lanes) in (0u32..).zip(&needles).zip(&lanes) {
            for offset in needle.anchors().into_iter().flatten() {
                for anchor in needle.anchor_spellings(offset, fold != 0) {
                    let mut place = Place::new(&anchor, fold);
                    place.literal = literal;
                    if let Some(offset) = offset {
                        place.before = u32::try_from(offset + 1).unwrap_or(u32::MAX);
                    } else {
                        place.mask &= COUNTS | 0xff00_0000;
                    }
                    let bits = anchor.get(ANCHOR_BYTES).map_or(u16::MAX, |next| class(u32::from(*next)));
                    if let Some(entry) = table.get_mut(entry_of(place.bytes)) {
                        *entry |= bits;
                    }
                    places.push(place);
                }
            }
            for head in needle.spellings(0, 4) {
                for len in 3..=head.len() {
                    mark(&mut heads[..], head_bit(head.get(..len).unwrap_or_default()));
                }
                if let &[first, second, ..] = head.as_slice() {
                    let (word, bit) = pair_bit(first, second);
                    let firsts = firsts.get_mut(usize::from(first)).into_iter().flatten();
                    let pairs = pairs.get_mut(word).into_iter().flatten();
                    for ((lane, first), pair) in lanes.iter().zip(firsts).zip(pairs) {
                        *first |= lane;
                        *pair |= u64::from(*lane) << bit;
                    }
                }
                ordered.push((head_key(&head), literal));
            }
        }
        ordered.sort_unstable();
        places.sort_unstable_by_key(|p| (bucket(p.bytes), *p));
        places.dedup();
        let buckets = (0u32..=1 << BUCKET_BITS)
            .map(|n| places.partition_point(|p| bucket(p.bytes) < n))
            .map(|n| u32::try_from(n).unwrap_or(u32::MAX))
            .collect();
        Self { needles, lanes, fold, table, places, buckets, firsts, pairs, heads, ordered }
    }

    /// Every occurrence of every literal that starts in `from..limit`; ordered.
    pub(crate) fn scan(&self, text: &[u8], from: usize, limit: usize, hits: &mut Vec<LiteralHit>) {
        hits.clear();
        if from >= limit || self.places.is_empty() {
            return;
        }
        let text = text.get(..limit.saturating_add(LITERAL_BYTES_MAX)).unwrap_or(text);
        self.each(text, from, |hit| {
            hits.push(hit);
            ControlFlow::Continue(())
        });
        hits.retain(|h| (from..limit).contains(&h.start));
        hits.sort_unstable();
    }

    /// Where in `text` from `from` on the last literal begins that is whole there.
    pub(crate) fn last_in(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut last = None;
        self.each(text, from, |hit| {
            last = last.max(Some(hit.start));
            ControlFlow::Continue(())
        });
        last
    }

    /// Whether any literal occurs in `text`.
    pub(crate) fn occurs(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.each(text, 0, |_| {
            any = true;
            ControlFlow::Break(())
        });
        any
    }

    /// Visits every literal whose anchor stands in `text` from `from` on, until told to stop.
    fn each(&self, text: &[u8], from: usize, visit: impl FnMut(LiteralHit) -> ControlFlow<()>) {
        if self.fold == 0 {
            self.each_folded::<0>(text, from, visit);
        } else {
            self.each_folded::<FOLD>(text, from, visit);
        }
    }

    fn each_folded<const FOLD: u32>(
        &self,
        text: &[u8],
        from: usize,
        mut visit: impl FnMut(LiteralHit) -> ControlFlow<()>,
    ) {
        let mut at = from;
        while let Some(rest) = text.get(at..).filter(|rest| rest.len() >= ANCHOR_BYTES) {
            // On a fixed-size array: no bounds checks in the loop that sees every byte.
            let Some(block) = rest.first_chunk::<WINDOW_BYTES>() else {
                // Behind the text's end stand zeros, which may show an anchor that is none.
                let mut end = [0; WINDOW_BYTES];
                end.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                let places = (rest.len() - ANCHOR_BYTES) / STRIDE + 1;
                for n in 0..places.min(STEP / STRIDE) {
                    if self.look::<FOLD>(&end, n, text, at, &mut visit).is_break() {
                        return;
                    }
                }
                at += STEP;
                continue;
            };
            // The question that every byte is asked, by itself: nothing is kept for the answer that is seldom wanted.
            let groups = self.groups_of::<FOLD>(block);
            if groups != 0 && self.each_in::<FOLD>(groups, block, text, at, &mut visit).is_break() {
                return;
            }
            at += STEP;
        }
    }

    /// Sixteen bits for each group of places, not zero where an anchor may be at one of them.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the inner loop; the folding is decided outside of it")]
    fn groups_of<const FOLD: u32>(&self, block: &[u8; WINDOW_BYTES]) -> u64 {
        (0..STEP / STRIDE / GROUP).fold(0, |groups, group| {
            let places = group * GROUP..(group + 1) * GROUP;
            let any = places.fold(0, |any, n| any | self.maybe(bytes_at(block, n) | FOLD));
            groups | u64::from(any) << (16 * group)
        })
    }

    #[cold]
    #[inline(never)]
    fn each_in<const FOLD: u32>(
        &self,
        groups: u64,
        block: &[u8; WINDOW_BYTES],
        text: &[u8],
        at: usize,
        visit: &mut impl FnMut(LiteralHit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut left = groups;
        while left != 0 {
            let group = left.trailing_zeros() as usize / 16;
            left &= !(0xffff << (16 * group));
            for n in group * GROUP..(group + 1) * GROUP {
                self.look::<FOLD>(block, n, text, at, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Visits the literals whose anchor stands at one of a block's places.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "hardly ever more than the question")]
    fn look<const FOLD: u32>(
        &self,
        block: &[u8; WINDOW_BYTES],
        place: usize,
        text: &[u8],
        at: usize,
        visit: &mut impl FnMut(LiteralHit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let bytes = bytes_at(block, place) | FOLD;
        if self.maybe(bytes) == 0 {
            return ControlFlow::Continue(());
        }
        self.at_anchor(text, at + place * STRIDE, bytes).try_for_each(visit)
    }

    /// Whether an anchor may be at the first of four bytes; not zero when it may.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the inner loop")]
    fn maybe(&self, bytes: u32) -> u16 {
        self.table.get(entry_of(bytes)).copied().unwrap_or_default() & class(bytes >> 24)
    }

    /// The literals whose anchor, with these bytes, stands at `at`.
    fn at_anchor<'a>(
        &'a self,
        text: &'a [u8],
        at: usize,
        bytes: u32,
    ) -> impl Iterator<Item = LiteralHit> + use<'a> {
        let bucket = bucket(bytes) as usize;
        let range = self.buckets.get(bucket).zip(self.buckets.get(bucket + 1));
        let places = range.and_then(|(from, to)| self.places.get(*from as usize..*to as usize));
        let here = move |place: &&Place| (place.bytes ^ bytes) & place.mask == 0;
        places.unwrap_or_default().iter().filter(here).filter_map(move |place| {
            let start = (at + 1).checked_sub(place.before as usize)?;
            let needle = self.needles.get(place.literal as usize)?;
            needle.begins(text.get(start..)?).then_some(LiteralHit { start, literal: place.literal })
        })
    }

    /// For each lane the first position from its own in `from` on whose rest is the beginning of a literal of that lane
    /// that is not complete yet.
    pub(crate) fn open_from(&self, text: &[u8], from: [usize; LANES]) -> [usize; LANES] {
        let mut open = [text.len(); LANES];
        let first = from.into_iter().fold(usize::MAX, usize::min);
        let mut at = first.max(text.len().saturating_sub(LITERAL_BYTES_MAX));
        while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
            let lanes = self.begun(rest);
            if lanes != [false; LANES] {
                for ((open, from), begun) in open.iter_mut().zip(from).zip(lanes) {
                    if begun && at >= from {
                        *open = (*open).min(at);
                    }
                }
                if open.iter().all(|open| *open <= at) {
                    break;
                }
            }
            at += 1;
        }
        open
    }

    /// For each lane whether `rest` is the beginning, not the whole, of one of its literals.
    fn begun(&self, rest: &[u8]) -> [bool; LANES] {
        let mut begun = [false; LANES];
        match *rest {
            // No literal is as short.
            [] => return begun,
            [first] => return self.firsts.get(usize::from(first)).copied().unwrap_or_default(),
            [first, second] => {
                let (word, bit) = pair_bit(first, second);
                return self
                    .pairs
                    .get(word)
                    .map(|lanes| lanes.map(|of| of >> bit & 1 == 1))
                    .unwrap_or_default();
            }
            _ => {}
        }
        let bit = head_bit(rest.get(..4).unwrap_or(rest));
        if self.heads.get((bit >> 6) as usize).is_none_or(|word| word >> (bit & 63) & 1 == 0) {
            return begun;
        }
        let low = head_key(rest);
        // Bytes that are not there yet may become any.
        let open = u32::MAX.checked_shr(8 * u32::try_from(rest.len()).unwrap_or(4)).unwrap_or(0);
        let first = self.ordered.partition_point(|(key, _)| *key < low);
        for (_, id) in self.ordered.iter().skip(first).take_while(|(key, _)| *key <= low | open) {
            let (Some(needle), Some(lanes)) = (self.needles.get(*id as usize), self.lanes.get(*id as usize))
            else {
                continue;
            };
            if needle.bytes.len() > rest.len() && needle.begun_by(rest) {
                begun.iter_mut().zip(lanes).for_each(|(begun, lane)| *begun |= lane);
            }
        }
        begun
    }
}

/// The four bytes at a place, the first one lowest.
#[inline]
fn bytes_at(block: &[u8; WINDOW_BYTES], place: usize) -> u32 {
    let bytes = block.get(place * STRIDE..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The word and bit of two bytes.
fn pair_bit(first: u8, second: u8) -> (usize, u32) {
    let pair = u16::from_be_bytes([first, second]);
    (usize::from(pair >> 6), u32::from(pair & 63))
}

impl Place {
    /// An anchor of the first literal that begins with its second byte.
    fn new(anchor: &[u8], fold: u32) -> Self {
        let (mut bytes, mut mask) = ([0u8; 4], [0u8; 4]);
        for ((to, counts), from) in bytes.iter_mut().zip(&mut mask).zip(anchor) {
            (*to, *counts) = (*from, u8::MAX);
        }
        Self {
            bytes: u32::from_le_bytes(bytes) | fold,
            mask: u32::from_le_bytes(mask),
            literal: 0,
            before: 0,
        }
    }
}

/// Of four bytes the first three count, as in [`COUNTS`]: the product shifts the highest one out.
#[inline]
const fn hash(gram: u32) -> u32 {
    (gram & COUNTS).wrapping_mul(0x9E37_79B1 << 8)
}

#[inline]
const fn entry_of(gram: u32) -> usize {
    (hash(gram) >> (32 - TABLE_BITS)) as usize
}

/// The bit of an entry that a fourth byte has.
#[inline]
fn class(byte: u32) -> u16 {
    CLASSES.get((byte & 0xff) as usize).copied().unwrap_or_default()
}

static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[byte] = 1 << (byte & 15);
        }
        byte += 1;
    }
    classes
};

const fn bucket(gram: u32) -> u32 {
    hash(gram) >> (32 - BUCKET_BITS)
}

/// The first four bytes, the first one highest; bytes that are not there are zero.
fn head_key(bytes: &[u8]) -> u32 {
    let mut key = [0u8; 4];
    for (to, from) in key.iter_mut().zip(bytes) {
        *to = *from;
    }
    u32::from_be_bytes(key)
}

/// The bit of the first one to four bytes.
fn head_bit(head: &[u8]) -> u32 {
    let len = u32::try_from(head.len().min(4)).unwrap_or(4);
    (head_key(head) ^ len).wrapping_mul(0x9E37_79B1) >> (32 - 14)
}

fn mark(bits: &mut [u64], bit: u32) {
    if let Some(word) = bits.get_mut((bit >> 6) as usize) {
        *word |= 1 << (bit & 63);
    }
}

#[cfg(test)]
mod tests;
