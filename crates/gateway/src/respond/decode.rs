//! Undoing a response's content encoding, so that it can be masked.
//!
//! Promise: only encodings that are understood are decoded; any other, or a body that does not decode or grows like a
//! bomb, *fails closed*. The decoders and their bounds are [`keyward_wire::coding`]'s.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use keyward_wire::coding::{Coding, CodingError, Decoder};

/// Encoded bytes that are decoded and masked before what came of them is sent: bounds what one piece can become.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

/// The decoder for a response, none when it is not encoded. Several headers are one list (RFC 9110, section 5.3).
pub(super) fn decoder(headers: &HeaderMap) -> Result<Option<Decoder>, CodingError> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        codings.extend(Coding::list(value.to_str().map_err(|_| CodingError::Unknown)?)?);
    }
    if codings.is_empty() { Ok(None) } else { Decoder::new(&codings).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(encodings: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        headers
    }

    #[test]
    fn catalogue_59_what_is_not_understood_is_not_passed() {
        for none in [&[][..], &["identity"], &[""]] {
            assert!(decoder(&headers(none)).unwrap().is_none(), "{none:?}");
        }
        for known in [&["br"][..], &["GZIP"], &["gzip, br"], &["gzip", "zstd"]] {
            assert!(decoder(&headers(known)).unwrap().is_some(), "{known:?}");
        }
        for unknown in [&["x"][..], &["gzip, x"], &["compress"], &["gzip", "gzip,gzip,gzip"]] {
            assert!(decoder(&headers(unknown)).is_err(), "{unknown:?}");
        }
        let mut unreadable = HeaderMap::new();
        unreadable.insert(CONTENT_ENCODING, http::HeaderValue::from_bytes(b"gzip\xff").unwrap());
        assert!(decoder(&unreadable).is_err());
    }
}
