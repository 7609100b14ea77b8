//! Text that others wrote, made fit for a terminal.
//!
//! Promise: nothing that comes out moves the cursor, sets a title, fills a clipboard, hides a link or turns the direction
//! of writing (catalogue 136): every control character but line feed and tab is written as an escape that can be read.
//! It does not depend on where the text was cut. Exceptions: none.

use std::fmt::Write as _;

/// A text of several lines.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut out, c);
    }
    out
}

/// A text within one line.
pub(super) fn line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if matches!(c, '\n' | '\t') {
            out.push(' ');
        } else {
            push(&mut out, c);
        }
        out
    })
}

fn push(out: &mut String, c: char) {
    let direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if c.is_control() && !matches!(c, '\n' | '\t') || direction || separator {
        // Writing to a String cannot fail.
        _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    } else {
        out.push(c);
    }
}

/// Bytes that come in pieces, as text that is fit for a terminal. A character that was cut waits for its rest.
#[derive(Default)]
pub(super) struct Pieces {
    /// At most three bytes: the beginning of a character.
    begun: Vec<u8>,
}

impl Pieces {
    /// The text of the next piece.
    pub(super) fn next(&mut self, bytes: &[u8]) -> String {
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(bytes);
        let mut out = String::new();
        let mut chunks = whole.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.push_str(&text(chunk.valid()));
            let invalid = chunk.invalid();
            let may_go_on = chunks.peek().is_none()
                && std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if may_go_on {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        out
    }

    /// What is left at the end.
    pub(super) fn end(&mut self) -> String {
        if self.begun.is_empty() {
            return String::new();
        }
        self.begun.clear();
        char::REPLACEMENT_CHARACTER.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let hostile = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2J\u{9b}31m\u{202e}c\r\x08\x7f\u{2028}\x00";
        let safe = text(hostile);
        assert_eq!(
            safe,
            "a\\u{1b}]52;c;ZXZpbA==\\u{7}b\\u{1b}[2J\\u{9b}31m\\u{202e}c\\u{d}\\u{8}\\u{7f}\\u{2028}\\u{0}"
        );
        assert_eq!(text("ä\n\t日本"), "ä\n\t日本");
        assert_eq!(line("a\nb\x1b"), "a b\\u{1b}");
    }

    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> String {
        let mut pieces = Pieces::default();
        let mut out = String::new();
        let mut from = 0;
        for cut in cuts.iter().map(|cut| cut % (bytes.len() + 1)).filter(|cut| *cut > 0) {
            if cut > from {
                out.push_str(&pieces.next(&bytes[from..cut]));
                from = cut;
            }
        }
        out.push_str(&pieces.next(&bytes[from..]));
        out + &pieces.end()
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..64), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
            prop_assert_eq!(in_pieces(&bytes, &cuts), text(&String::from_utf8_lossy(&bytes)));
        }

        #[test]
        fn cutting_text_changes_nothing(words in "\\PC{0,24}", cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
            prop_assert_eq!(in_pieces(words.as_bytes(), &cuts), text(&words));
        }
    }
}
