//! The literals that candidates begin with, found in one pass each shard.
//!
//! Shards of at most 64 patterns with leftmost-first semantics stay on aho-corasick's Teddy searcher, which is an
//! order of magnitude faster than its automata.

mod trie;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use trie::Trie;

/// Above this many patterns aho-corasick falls off its SIMD searcher.
const SHARD_PATTERNS_MAX: usize = 64;
/// Up to this many bytes, the start of a search in every shard costs more than a look at every position.
const SHORT_BYTES_MAX: usize = 256;
/// The longest literal a detector may have, in bytes.
pub(crate) const LITERAL_BYTES_MAX: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LiteralHit {
    pub(crate) start: usize,
    /// Index into what the set was built from.
    pub(crate) literal: u32,
}

#[derive(Default)]
pub(crate) struct LiteralSet {
    shards: Vec<Shard>,
    trie: Trie,
}

struct Shard {
    searcher: AhoCorasick,
    /// For each pattern: the literals that occur where the pattern occurs (itself, and those that it begins with).
    here: Vec<Vec<u32>>,
}

impl LiteralSet {
    /// `literals` must be distinct.
    pub(crate) fn new(literals: &[Box<[u8]>]) -> Result<Self, aho_corasick::BuildError> {
        let mut ordered: Vec<u32> = (0u32..).take(literals.len()).collect();
        let bytes = |id: &u32| literals.get(*id as usize).map(AsRef::as_ref).unwrap_or_default();
        ordered.sort_unstable_by_key(|id| bytes(id));
        let mut shards = Vec::new();
        for members in ordered.chunks(SHARD_PATTERNS_MAX) {
            let mut members = members.to_vec();
            members.sort_by_key(|id| std::cmp::Reverse(bytes(id).len()));
            let searcher = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(members.iter().map(bytes))?;
            let begins =
                |long: &u32| members.iter().copied().filter(|m| bytes(long).starts_with(bytes(m))).collect();
            shards.push(Shard { searcher, here: members.iter().map(begins).collect() });
        }
        Ok(Self { shards, trie: Trie::new(literals) })
    }

    /// Every occurrence of every literal that starts in `from..limit`; ordered.
    pub(crate) fn scan(&self, text: &[u8], from: usize, limit: usize, hits: &mut Vec<LiteralHit>) {
        hits.clear();
        if from >= limit {
            return;
        }
        if limit - from <= SHORT_BYTES_MAX {
            for start in from..limit {
                let rest = text.get(start..).unwrap_or_default();
                self.trie.follow(rest, |literal| hits.push(LiteralHit { start, literal }));
            }
            hits.sort_unstable();
            return;
        }
        for shard in &self.shards {
            let mut at = from;
            while let Some(found) = shard.searcher.find(Input::new(text).range(at..)) {
                if found.start() >= limit {
                    break;
                }
                at = found.start() + 1;
                let here = shard.here.get(found.pattern().as_usize()).map(Vec::as_slice).unwrap_or_default();
                hits.extend(
                    here.iter().map(|literal| LiteralHit { start: found.start(), literal: *literal }),
                );
            }
        }
        hits.sort_unstable();
    }

    /// The first position from `from` on whose rest is the beginning of a literal that is not complete yet.
    pub(crate) fn open_from(&self, text: &[u8], from: usize) -> usize {
        let begin = from.max(text.len().saturating_sub(LITERAL_BYTES_MAX));
        let may_become = |at: &usize| text.get(*at..).is_some_and(|rest| self.trie.follow(rest, |_| ()));
        (begin..text.len()).find(may_become).unwrap_or(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(literals: &[&str]) -> LiteralSet {
        let literals: Vec<Box<[u8]>> = literals.iter().map(|l| l.as_bytes().into()).collect();
        LiteralSet::new(&literals).unwrap()
    }

    fn found(set: &LiteralSet, text: &str) -> Vec<(usize, u32)> {
        let mut hits = Vec::new();
        set.scan(text.as_bytes(), 0, text.len(), &mut hits);
        hits.iter().map(|h| (h.start, h.literal)).collect()
    }

    #[test]
    fn finds_overlapping_and_nested_literals() {
        let set = set(&["sk-", "sk-ant-", "nt-x"]);
        assert_eq!(found(&set, "sk-ant-x sk-"), [(0, 0), (0, 1), (4, 2), (9, 0)]);
    }

    #[test]
    fn finds_all_in_more_than_one_shard() {
        let literals: Vec<String> = (0..200).map(|n| format!("lit{n:03}")).collect();
        let set = set(&literals.iter().map(String::as_str).collect::<Vec<_>>());
        let text = literals.concat();
        assert_eq!(found(&set, &text).len(), 200);
    }

    #[test]
    fn short_and_long_searches_find_the_same() {
        let set = set(&["ab", "abc", "bca", "c", "caab", "aab"]);
        let text: String = (0..SHORT_BYTES_MAX * 2).map(|n| char::from(b"abcd"[n * n % 7 % 4])).collect();
        let long = found(&set, &text);
        let mut short = Vec::new();
        for from in (0..text.len()).step_by(SHORT_BYTES_MAX) {
            let mut hits = Vec::new();
            set.scan(text.as_bytes(), from, from + SHORT_BYTES_MAX, &mut hits);
            short.extend(hits.iter().map(|h| (h.start, h.literal)));
        }
        assert!(long.len() > SHORT_BYTES_MAX / 4);
        assert_eq!(short, long);
    }

    #[test]
    fn knows_what_may_still_become_a_literal() {
        let set = set(&["sk-", "sk-ant-"]);
        for (text, open) in
            [("x s", 2), ("x sk-", 2), ("x sk-a", 2), ("x sk-ant-", 9), ("x sk-b", 6), ("", 0)]
        {
            assert_eq!(set.open_from(text.as_bytes(), 0), open, "{text}");
        }
    }
}
