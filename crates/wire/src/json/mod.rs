//! JSON, incrementally: what each byte is, without building a document.
//!
//! **Promise.** [`Scanner::step`] covers the input exactly once and in order: the lengths its tokens report add up to the
//! bytes it was given. String content comes as meaning (`\u0073` is `s`) together with the raw length it takes, so that
//! a decision about meaning maps back onto raw bytes. Tokens may be cut anywhere, inside `\u` escapes and surrogate pairs
//! too; at most [`ESCAPE_BYTES_MAX`] bytes of an escape or [`SCALAR_BYTES_MAX`] bytes of a scalar are kept in between.
//!
//! Exceptions, chosen so that what lenient readers accept is still understood: control characters inside strings are
//! content; an unknown escape means itself; a lone surrogate means U+FFFD; `NaN`, `Infinity` and trailing commas pass;
//! several documents may follow each other. Everything else that is not JSON ends the scan with [`Token::Invalid`]: the
//! caller treats the rest as plain text (*fails closed*). Nesting beyond [`DEPTH_MAX`] is reported as
//! [`Token::TooDeep`], which the caller refuses (*fails closed*).

mod escape;
mod path;
mod scan;

#[cfg(test)]
mod tests;

pub use escape::{ESCAPE_BYTES_MAX, Meaning, Piece, Unescape, escape_into, pieces, short_escape};
pub use path::{KEY_BYTES_MAX, Path, Segment};
pub use scan::{Container, SCALAR_BYTES_MAX, Scanner, Step, StringRole, Token};

/// How deep objects and arrays may nest.
pub const DEPTH_MAX: usize = 512;
