//! How rare the bytes of an anchor are.

use super::ANCHOR_BYTES;
use crate::detector::likeliness;

/// Letters from the most frequent in English on.
const FREQUENT: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz";
/// How likely some bytes are to turn up in ordinary text: a logarithm, for choosing among the anchors of one literal.
pub(super) fn commonness(anchor: &[u8]) -> i32 {
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
    // The byte behind the three is worth half: it is looked at in one of sixteen parts. Any may stand where none is.
    let missing = if anchor.len() > ANCHOR_BYTES { 0 } else { 26 * 10 };
    let ranks = anchor.iter().zip([20, 20, 20, 10]).map(|(byte, weight)| weight * rank(*byte)).sum::<i32>();
    missing
        + ranks
        + anchor.windows(2).zip([2, 2, 1]).map(|(pair, weight)| weight * together(pair) / 2).sum::<i32>()
}
