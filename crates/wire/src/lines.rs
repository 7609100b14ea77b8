//! Newline-delimited records: cut at LF, nothing held.

use memchr::memchr;

/// A piece of a stream of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of the current line; a line may come in several parts, also none.
    Part(&'a [u8]),
    /// The line feed that ends the line.
    End,
}

/// The pieces of `input`, in order; they cover it exactly. A carriage return before the line feed belongs to the line.
pub fn pieces(input: &[u8]) -> Pieces<'_> {
    Pieces { rest: input }
}

/// See [`pieces`].
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(rest) = self.rest.strip_prefix(b"\n") {
            self.rest = rest;
            return Some(Piece::End);
        }
        let (part, rest) = self.rest.split_at(memchr(b'\n', self.rest).unwrap_or(self.rest.len()));
        self.rest = rest;
        (!part.is_empty()).then_some(Piece::Part(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_input() {
        let got: Vec<_> = pieces(b"ab\r\n\n\nc").collect();
        assert_eq!(got, [Piece::Part(b"ab\r"), Piece::End, Piece::End, Piece::End, Piece::Part(b"c")]);
        assert_eq!(pieces(b"").count(), 0);
    }
}
