//! What stands around a candidate: whether a prefix may begin there, the placeholder or the name that it is part of.

use super::LOOK_BACK_BYTES;

/// The longest part of a placeholder behind its name, in bytes: that of a hash.
const PLACEHOLDER_TAIL_BYTES_MAX: usize = 17;

/// Whether a prefix may begin behind `back`: behind no letter or digit, unless that is the end of an escape.
pub(super) fn is_edge(back: &[u8]) -> bool {
    let Some(last) = back.last() else { return true };
    if !last.is_ascii_alphanumeric() {
        // `+` is a byte of base64; no key stands behind one.
        return *last != b'+';
    }
    let hex = |from_end: usize| {
        back.len() >= from_end && back.iter().rev().take(from_end - 1).all(u8::is_ascii_hexdigit)
    };
    let at = |from_end: usize| back.len().checked_sub(from_end).and_then(|n| back.get(n)).copied();
    if *last == b'm' && is_colour(back) {
        return true;
    }
    match (at(2), at(3), at(5), at(6)) {
        (Some(b'\\'), ..) => matches!(last, b'n' | b'r' | b't'),
        (_, Some(b'%'), ..) => hex(3),
        (_, _, Some(b'u'), Some(b'\\')) => hex(5),
        _ => false,
    }
}

/// Whether a value is what a placeholder ends with: `[REDACTED:generic_password:0a1b2c3d4e5f]`.
pub(super) fn in_placeholder(left: &[u8], value: &[u8]) -> bool {
    let back = left.get(left.len().saturating_sub(LOOK_BACK_BYTES)..).unwrap_or_default();
    let opened = |word: &[u8]| memchr::memmem::rfind(back, word).and_then(|at| back.get(at + word.len()..));
    let name = opened(b"[REDACTED:").or_else(|| opened(b"[HASHED:"));
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"_-.:*".contains(b);
    value.split(|b| *b == b']').next().is_some_and(|tail| tail.len() <= PLACEHOLDER_TAIL_BYTES_MAX)
        && name.is_some_and(|name| name.ends_with(b":") && name.iter().all(part))
}

/// Whether `back` ends with a terminal's change of colour: ESC, `[`, numbers, `m`.
fn is_colour(back: &[u8]) -> bool {
    let head = back.split_last().map(|(_, head)| head).unwrap_or_default();
    let numbers = head.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
    head.get(..head.len() - numbers).is_some_and(|head| head.ends_with(b"\x1b["))
}

/// The identifier that the literal at `at` is part of.
pub(super) fn name_around(text: &[u8], at: usize) -> &[u8] {
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let back = text.get(at.saturating_sub(LOOK_BACK_BYTES)..at).unwrap_or_default();
    let before = back.iter().rev().take_while(part).count();
    let behind = text.get(at..).unwrap_or_default().iter().take(LOOK_BACK_BYTES).take_while(part).count();
    text.get(at - before..at + behind).unwrap_or_default()
}
