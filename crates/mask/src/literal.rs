//! The literals that candidates begin with, found in one pass however many there are.
//!
//! Each literal is known by an anchor: three of its bytes, chosen to be rare in ordinary text, and the byte behind them.
//! Whether an anchor may stand at a position is one look into a table that stays in the first cache level: the three
//! bytes choose an entry, the fourth one of its sixteen bits. So clean text costs the same for ten literals and for a
//! thousand, in long texts and in pieces of a few bytes.

use crate::detector::likeliness;

/// The longest literal a detector may have, in bytes.
pub(crate) const LITERAL_BYTES_MAX: usize = 40;
/// The bytes of an anchor that choose an entry. Shorter literals are not supported.
pub(crate) const ANCHOR_BYTES: usize = 3;
/// What makes one of both cases, four times; it confuses other bytes, which costs a comparison now and then.
const FOLD: u32 = 0x2020_2020;
/// Positions that are looked at together.
const STEP: usize = 16;
/// Bytes that are needed to look at them.
const WINDOW_BYTES: usize = STEP + ANCHOR_BYTES;
/// log2 of the table's entries, of two bytes each.
const TABLE_BITS: u32 = 14;
const BUCKET_BITS: u32 = 11;

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
    /// Where its rarest bytes stand: three, and one behind them where it is long enough. None in a shorter one.
    fn rarest(&self) -> Option<usize> {
        let width = self.bytes.len().min(ANCHOR_BYTES + 1);
        let anchors =
            self.bytes.windows(width).enumerate().filter(|(_, anchor)| anchor.len() >= ANCHOR_BYTES);
        anchors.map(|(offset, anchor)| (commonness(anchor), offset)).min().map(|(_, offset)| offset)
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

/// An anchor: its bytes, its literal, and where in the literal it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    gram: u32,
    literal: u32,
    offset: u32,
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
            let Some(offset) = needle.rarest() else { continue };
            let folded =
                || needle.bytes.iter().skip(offset).take(ANCHOR_BYTES + 1).map(|b| b | 0x20).collect();
            let anchors = if fold == 0 { needle.spellings(offset, ANCHOR_BYTES + 1) } else { vec![folded()] };
            for anchor in anchors {
                let gram = gram_of(&anchor, fold);
                places.push(Place { gram, literal, offset: u32::try_from(offset).unwrap_or(u32::MAX) });
                let bits = anchor.get(ANCHOR_BYTES).map_or(u16::MAX, |next| 1 << (next & 15));
                if let Some(entry) = table.get_mut(entry_of(gram)) {
                    *entry |= bits;
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
        places.sort_unstable_by_key(|p| (bucket(p.gram), *p));
        places.dedup();
        let buckets = (0u32..=1 << BUCKET_BITS)
            .map(|n| places.partition_point(|p| bucket(p.gram) < n))
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
        let mut at = from;
        while let Some((anchor, gram)) = self.next(text, &mut at) {
            hits.extend(self.at_anchor(text, anchor, gram));
        }
        hits.retain(|h| (from..limit).contains(&h.start));
        hits.sort_unstable();
    }

    /// Whether a literal may occur in `text`: true wherever one does.
    pub(crate) fn may_occur(&self, text: &[u8]) -> bool {
        self.next(text, &mut 0).is_some()
    }

    /// Where in `text` from `from` on the last literal begins that is whole there.
    pub(crate) fn last_in(&self, text: &[u8], from: usize) -> Option<usize> {
        let (mut at, mut last) = (from, None);
        while let Some((anchor, gram)) = self.next(text, &mut at) {
            last = last.max(self.at_anchor(text, anchor, gram).map(|hit| hit.start).max());
        }
        last
    }

    /// Whether any literal occurs in `text`.
    pub(crate) fn occurs(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some((anchor, gram)) = self.next(text, &mut at) {
            if self.at_anchor(text, anchor, gram).next().is_some() {
                return true;
            }
        }
        false
    }

    /// The next place from `at` on where an anchor may stand, and its bytes; `at` is then behind it.
    #[inline]
    fn next(&self, text: &[u8], at: &mut usize) -> Option<(usize, u32)> {
        while let Some(rest) = text.get(*at..).filter(|rest| rest.len() >= ANCHOR_BYTES) {
            // On a fixed-size array: no bounds checks in the loop that sees every byte.
            let found = if let Some(block) = rest.first_chunk::<WINDOW_BYTES>() {
                self.first_of(block)
            } else {
                let mut block = [0; WINDOW_BYTES];
                block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                self.first_of(&block).filter(|n| n + ANCHOR_BYTES <= rest.len())
            };
            if let Some(n) = found {
                let place = *at + n;
                *at = place + 1;
                return rest.get(n..).map(|rest| (place, gram_of(rest, self.fold)));
            }
            *at += STEP;
        }
        None
    }

    /// The first of [`STEP`] places where an anchor may stand. Behind a text's end stand zeros, which may show one that is
    /// none.
    #[inline]
    fn first_of(&self, block: &[u8; WINDOW_BYTES]) -> Option<usize> {
        // The question that every byte is asked, by itself: nothing is kept for the answer that is seldom wanted.
        let any = if self.fold == 0 { self.any_of::<0>(block) } else { self.any_of::<FOLD>(block) };
        if any == 0 { None } else { self.find_in(block) }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the inner loop; the folding is decided outside of it")]
    fn any_of<const FOLD: u32>(&self, block: &[u8; WINDOW_BYTES]) -> u16 {
        let look = |n: usize| {
            let bytes = block.get(n..).and_then(|rest| rest.first_chunk::<4>());
            bytes.map_or(0, |bytes| self.maybe(u32::from_le_bytes(*bytes) | FOLD))
        };
        (0..STEP).fold(0, |any, n| any | look(n))
    }

    #[cold]
    #[inline(never)]
    fn find_in(&self, block: &[u8; WINDOW_BYTES]) -> Option<usize> {
        block.windows(4).position(|bytes| {
            let bytes = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            self.maybe(bytes | self.fold) != 0
        })
    }

    /// Whether an anchor may be at the first of four bytes; not zero when it may.
    #[inline]
    fn maybe(&self, bytes: u32) -> u16 {
        let [.., next] = bytes.to_le_bytes();
        let entry = self.table.get(entry_of(bytes)).copied().unwrap_or_default();
        entry & CLASSES.get(usize::from(next)).copied().unwrap_or_default()
    }

    /// The literals whose anchor stands at `at`.
    fn at_anchor<'a>(
        &'a self,
        text: &'a [u8],
        at: usize,
        gram: u32,
    ) -> impl Iterator<Item = LiteralHit> + use<'a> {
        let bucket = bucket(gram) as usize;
        let range = self.buckets.get(bucket).zip(self.buckets.get(bucket + 1));
        let places = range.and_then(|(from, to)| self.places.get(*from as usize..*to as usize));
        places.unwrap_or_default().iter().filter(move |p| p.gram == gram).filter_map(move |place| {
            let start = at.checked_sub(place.offset as usize)?;
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

/// The word and bit of two bytes.
fn pair_bit(first: u8, second: u8) -> (usize, u32) {
    let pair = u16::from_be_bytes([first, second]);
    (usize::from(pair >> 6), u32::from(pair & 63))
}

/// The first three bytes with the bits of `fold`, the first one lowest.
fn gram_of(bytes: &[u8], fold: u32) -> u32 {
    let mut gram = [0u8; 4];
    gram.iter_mut().zip(bytes.iter().take(ANCHOR_BYTES)).for_each(|(to, from)| *to = *from);
    (u32::from_le_bytes(gram) | fold) & 0x00ff_ffff
}

/// Of four bytes the first three count: the product shifts the highest one out.
#[inline]
const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1 << 8)
}

#[inline]
const fn entry_of(gram: u32) -> usize {
    (hash(gram) >> (32 - TABLE_BITS)) as usize
}

/// The bit of an entry that a fourth byte has.
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

/// Letters from the most frequent in English on.
const FREQUENT: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz";
/// How likely some bytes are to turn up in ordinary text: a logarithm, for choosing among the anchors of one literal.
fn commonness(anchor: &[u8]) -> i32 {
    let rank = |byte: u8| match (0..).zip(FREQUENT).find(|(_, frequent)| **frequent == byte) {
        Some((at, _)) => 26 - at,
        None if byte == b' ' => 24,
        None => 6,
    };
    let together = |pair: &[u8]| match *pair {
        [a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => likeliness([a, b]),
        // Signs are repeated where a person draws a line.
        [a, b] if a == b && a.is_ascii_punctuation() => 300,
        [a, b] if a == b' ' || b == b' ' => 100,
        _ => 0,
    };
    // The byte behind the three is worth half: it is looked at in one of sixteen parts.
    let ranks = anchor.iter().zip([20, 20, 20, 10]).map(|(byte, weight)| weight * rank(*byte)).sum::<i32>();
    ranks + anchor.windows(2).zip([2, 2, 1]).map(|(pair, weight)| weight * together(pair) / 2).sum::<i32>()
}

#[cfg(test)]
mod tests;
