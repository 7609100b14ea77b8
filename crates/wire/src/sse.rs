//! Server-sent events (WHATWG event stream), framed but not interpreted.
//!
//! **Promise.** [`Framer::next`] cuts the stream into frames that cover it exactly: a frame ends with a blank line, and
//! lines end with CR, LF or CRLF in any mixture. At most [`FRAME_BYTES_MAX`] bytes are held; a longer frame is an error
//! (*fails closed*), in every chunking alike.
//!
//! Exception: where a blank line ends with CR as the last byte of the input, the frame is handed out at once; an LF that
//! then follows comes as a frame of its own that holds no line.

use std::ops::Range;

use memchr::memchr2;

/// The longest frame, in bytes, with all its lines. Whole images travel in one event; text stays far below.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a [`Framer`] keeps of its buffer's memory after a long frame, in bytes.
const BUFFER_KEEP_MAX: usize = 64 * 1024;

/// A frame was longer than [`FRAME_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {FRAME_BYTES_MAX} bytes")]
pub struct FrameTooLong;

/// Cuts an event stream into frames.
#[derive(Debug, Clone, Default)]
pub struct Framer {
    held: Vec<u8>,
    /// `held` was handed out as a frame and is to be cleared.
    spent: bool,
    /// The current line has content.
    in_line: bool,
    /// The last byte was a CR: an LF now belongs to it.
    after_cr: bool,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` up to the end of the next frame, and returns that frame whole. `None`
    /// when the input is used up; then its rest is held.
    ///
    /// # Errors
    /// When the frame is longer than [`FRAME_BYTES_MAX`].
    pub fn next<'a, 'b: 'a>(&'a mut self, input: &mut &'b [u8]) -> Result<Option<&'a [u8]>, FrameTooLong> {
        if self.spent {
            self.spent = false;
            self.held.clear();
            self.held.shrink_to(BUFFER_KEEP_MAX);
        }
        let Some(end) = self.find_end(input) else {
            if self.held.len() + input.len() > FRAME_BYTES_MAX {
                return Err(FrameTooLong);
            }
            self.held.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        };
        let (frame, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
        *input = rest;
        if self.held.len() + frame.len() > FRAME_BYTES_MAX {
            return Err(FrameTooLong);
        }
        if self.held.is_empty() {
            return Ok(Some(frame));
        }
        self.held.extend_from_slice(frame);
        self.spent = true;
        Ok(Some(&self.held))
    }

    /// The rest of a stream that ended within a frame.
    pub fn rest(&self) -> &[u8] {
        if self.spent { &[] } else { &self.held }
    }

    /// One past the blank line that ends the current frame.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.after_cr && !input.is_empty() {
            self.after_cr = false;
            if input.first() == Some(&b'\n') {
                at = 1;
                if self.held.is_empty() {
                    return Some(1);
                }
            }
        }
        while let Some(rest) = input.get(at..).filter(|r| !r.is_empty()) {
            let Some(len) = memchr2(b'\r', b'\n', rest) else {
                self.in_line = true;
                return None;
            };
            let blank = len == 0 && !self.in_line;
            self.in_line = false;
            at += len + 1;
            if rest.get(len) == Some(&b'\r') {
                match rest.get(len + 1) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
        None
    }
}

/// One line of a frame; the ranges are offsets into the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The field's name; empty for a comment.
    pub name: Range<usize>,
    /// The field's value without the one space that may follow the colon, or the comment's text.
    pub value: Range<usize>,
    /// One past the line's terminator.
    pub end: usize,
}

impl Line {
    /// Whether the line is blank.
    pub fn is_blank(&self) -> bool {
        self.name.is_empty() && self.value.is_empty()
    }
}

/// The lines of a frame in order, the blank one included. `first`: the frame is the stream's first one, where a byte
/// order mark is skipped.
pub fn lines(frame: &[u8], first: bool) -> Lines<'_> {
    let bom = first && frame.starts_with(b"\xef\xbb\xbf");
    Lines { frame, at: if bom { 3 } else { 0 } }
}

/// See [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    frame: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let rest = self.frame.get(self.at..).filter(|r| !r.is_empty())?;
        let len = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let terminator = match rest.get(len..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (start, stop) = (self.at, self.at + len);
        self.at = stop + terminator;
        let content = rest.get(..len).unwrap_or_default();
        let colon = memchr::memchr(b':', content).unwrap_or(len);
        let mut value = (start + colon + 1).min(stop);
        if self.frame.get(value) == Some(&b' ') && value < stop {
            value += 1;
        }
        Some(Line { name: start..start + colon, value: value..stop, end: self.at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(input: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let mut framer = Framer::new();
        let mut got = Vec::new();
        for mut part in input.chunks(chunk.max(1)) {
            while let Some(frame) = framer.next(&mut part).unwrap() {
                got.push(frame.to_vec());
            }
        }
        got.push(framer.rest().to_vec());
        got
    }

    #[test]
    fn frames_end_at_blank_lines_of_every_kind() {
        let input = b"\xef\xbb\xbfdata: a\ndata: b\n\n: ping\r\n\r\nid: 1\rdata: c\r\rdata: d\n\r\nrest";
        let whole = frames(input, usize::MAX);
        assert_eq!(
            whole,
            [
                &b"\xef\xbb\xbfdata: a\ndata: b\n\n"[..],
                b": ping\r\n\r\n",
                b"id: 1\rdata: c\r\r",
                b"data: d\n\r\n",
                b"rest"
            ]
        );
        for chunk in 1..input.len() {
            assert_eq!(frames(input, chunk).concat(), input, "chunk {chunk}");
            let no_lf: Vec<_> =
                frames(input, chunk).into_iter().filter(|f| f != b"\n").map(|f| f.len()).collect();
            assert_eq!(no_lf.len(), whole.len(), "chunk {chunk}");
        }
    }

    #[test]
    fn lines_know_names_values_and_comments() {
        let frame = b"\xef\xbb\xbfdata:  x\nid\r\n:note\rretry:5\n\n";
        let got: Vec<_> = lines(frame, true)
            .map(|l| (frame[l.name.clone()].to_vec(), frame[l.value.clone()].to_vec(), l.is_blank()))
            .collect();
        let line = |n: &str, v: &str, blank| (n.as_bytes().to_vec(), v.as_bytes().to_vec(), blank);
        assert_eq!(
            got,
            [
                line("data", " x", false),
                line("id", "", false),
                line("", "note", false),
                line("retry", "5", false),
                line("", "", true)
            ]
        );
        assert_eq!(&frame[lines(frame, false).next().unwrap().name], b"\xef\xbb\xbfdata");
    }

    #[test]
    fn a_frame_at_the_limit_passes_and_one_beyond_is_refused() {
        for chunk in [1 << 16, usize::MAX] {
            let mut input = vec![b'x'; FRAME_BYTES_MAX - 2];
            input.extend_from_slice(b"\n\n");
            assert_eq!(frames(&input, chunk)[0].len(), FRAME_BYTES_MAX);
            input.insert(0, b'x');
            let mut framer = Framer::new();
            let refused =
                input.chunks(chunk.min(input.len())).any(|mut part| framer.next(&mut part).is_err());
            assert!(refused, "chunk {chunk}");
        }
    }

    proptest! {
        #[test]
        fn chunking_never_changes_frames(
            parts in proptest::collection::vec(prop_oneof!["\r", "\n", "\r\n", "data: x", ": c", "a:b"], 0..20),
            chunk in 1usize..7,
        ) {
            let input = parts.concat();
            let strip = |frames: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
                // The LF of a CRLF may come as a frame of its own: put it back.
                let mut out: Vec<Vec<u8>> = Vec::new();
                for frame in frames {
                    match out.last_mut() {
                        Some(last) if frame == b"\n" && last.ends_with(b"\r") => last.push(b'\n'),
                        _ => out.push(frame),
                    }
                }
                out
            };
            let cut = frames(input.as_bytes(), chunk);
            prop_assert_eq!(cut.concat(), input.as_bytes());
            prop_assert_eq!(strip(cut), strip(frames(input.as_bytes(), usize::MAX)));
        }
    }
}
