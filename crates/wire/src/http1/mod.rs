//! HTTP/1.1 requests (RFC 9112) on their way to a parser: what two parsers could read in two ways goes no further.
//!
//! **Promise.** A [`Screen`] lets bytes through unchanged, and only those of requests whose head and framing have one
//! reading: lines that end in CRLF, names that are tokens, one version, one framing, chunks written as the RFC writes
//! them. A head passes when all of it is there and sound, so the parser behind never sees a part of one that is not. What
//! passes, and where it stops, is the same for every chunking.
//!
//! Exceptions, each deliberate:
//! - a connection that begins with the preface of HTTP/2 passes unseen from there on: its frames have one reading, and
//!   what h2 lets through is judged with the request (*by whoever reads the request*);
//! - what a header means (two hosts, a path with `..`) is judged with the request as well.

mod chunks;
mod head;
#[cfg(test)]
mod tests;

use self::chunks::Chunks;
use self::head::Framing;

/// How a connection of HTTP/2 begins (RFC 9113, 3.4).
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What one head may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, request line and headers together; a trailer section may have as many.
    pub head_bytes: usize,
    /// Header lines.
    pub headers: usize,
}

/// Why a request goes no further. The text is for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A line ends in LF alone, or holds CR elsewhere.
    #[error("Each line of a request's head must end in CR LF.")]
    LineEnding,
    /// Not `METHOD TARGET HTTP/1.1`.
    #[error("The request line must be a method, a target and HTTP/1.1, with one space between them.")]
    RequestLine,
    /// The target holds a byte that a URI has not, or a fragment.
    #[error("The request target holds a byte that must be percent-encoded, or a fragment.")]
    Target,
    /// Another version of HTTP.
    #[error("Only HTTP/1.1 and HTTP/2 are served.")]
    Version,
    /// A header line without a sound name and colon; a folded line is one.
    #[error(
        "A header line must be a name of letters, digits and -, directly followed by a colon, on one line."
    )]
    HeaderName,
    /// A control character in a header's value.
    #[error("A header's value holds a control character.")]
    HeaderValue,
    /// `Transfer-Encoding` is not `chunked`, once.
    #[error("Transfer-Encoding must be \"chunked\", once.")]
    TransferEncoding,
    /// `Content-Length` is not one number.
    #[error("Content-Length must be one decimal number, once.")]
    ContentLength,
    /// Both framings.
    #[error("A request carries either Content-Length or Transfer-Encoding, not both.")]
    TwoFramings,
    /// The head is longer than [`Limits::head_bytes`].
    #[error("The request line and the headers are longer than {0} bytes together.")]
    HeadTooLong(usize),
    /// More header lines than [`Limits::headers`].
    #[error("The request has more than {0} headers.")]
    TooManyHeaders(usize),
    /// A chunk that is not written as RFC 9112, 7.1 has it.
    #[error("The body's chunks are malformed.")]
    Chunk,
    /// The trailer section is malformed.
    #[error("The trailers after the body are malformed.")]
    Trailer,
    /// The trailer section is longer than [`Limits::head_bytes`].
    #[error("The trailers after the body are longer than {0} bytes.")]
    TrailerTooLong(usize),
}

impl Fault {
    /// Whether it lies in a request's body, whose head has passed already.
    pub const fn is_in_body(self) -> bool {
        matches!(self, Self::Chunk | Self::Trailer | Self::TrailerTooLong(_))
    }
}

/// Where a request stops passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Bytes of the input before it, which pass.
    pub passes: usize,
    /// Why.
    pub fault: Fault,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Screen {
    limits: Limits,
    at: At,
    heads: u64,
}

#[derive(Debug)]
enum At {
    /// Nothing came yet.
    Opening,
    /// In a head; none of it passes before its end.
    Head { line: usize, looked: usize },
    /// In a body with so many bytes left.
    Sized(u64),
    /// In a chunked body.
    Chunked(Chunks),
    /// Another protocol.
    Http2,
}

const HEAD: At = At::Head { line: 0, looked: 0 };

impl Screen {
    /// For a connection that begins.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, at: At::Opening, heads: 0 }
    }

    /// How many heads have passed.
    pub const fn heads(&self) -> u64 {
        self.heads
    }

    /// How many of these bytes pass. What does not is an unfinished head: it must be given again, with what comes after it.
    ///
    /// # Errors
    /// At the first byte from which on nothing may pass any more; the connection is to be ended then.
    pub fn next(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        let mut passes = 0;
        loop {
            let rest = bytes.get(passes..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(passes);
            }
            let step = match &mut self.at {
                At::Opening => {
                    let known = rest.len().min(HTTP2_PREFACE.len());
                    if rest.get(..known) == HTTP2_PREFACE.get(..known) {
                        if known < HTTP2_PREFACE.len() {
                            return Ok(passes);
                        }
                        self.at = At::Http2;
                    } else {
                        self.at = HEAD;
                    }
                    Ok(0)
                }
                At::Http2 => Ok(rest.len()),
                At::Head { line, looked } => match head::end(rest, line, looked, self.limits) {
                    Ok(None) => return Ok(passes),
                    Ok(Some(end)) => {
                        head::framing(rest.get(..end).unwrap_or_default(), self.limits).map(|framing| {
                            self.heads += 1;
                            self.at = match framing {
                                Framing::Sized(0) => HEAD,
                                Framing::Sized(length) => At::Sized(length),
                                Framing::Chunked => At::Chunked(Chunks::new(self.limits.head_bytes)),
                            };
                            end
                        })
                    }
                    Err(fault) => Err(fault),
                },
                At::Sized(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.at = HEAD;
                    }
                    Ok(taken)
                }
                At::Chunked(chunks) => match chunks.next(rest) {
                    Ok(taken) => {
                        if chunks.is_over() {
                            self.at = HEAD;
                        }
                        Ok(taken)
                    }
                    Err(stop) => return Err(Stop { passes: passes + stop.passes, ..stop }),
                },
            };
            match step {
                Ok(taken) => passes += taken,
                Err(fault) => return Err(Stop { passes, fault }),
            }
        }
    }
}
