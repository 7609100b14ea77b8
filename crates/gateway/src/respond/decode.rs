//! Undoing a response's content encoding, so that it can be masked.
//!
//! Promise: only encodings that are understood are decoded; any other, a second layer, or a body that does not
//! decode *fails closed*. A bomb ends at [`RATIO_MAX`]; memory stays flat because the input is fed in small pieces.

use std::io::Write;

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Decoded bytes per encoded byte that are believed, once [`RATIO_FREE_BYTES`] were decoded.
pub(super) const RATIO_MAX: u64 = 200;
/// Decoded bytes before the ratio is looked at.
pub(super) const RATIO_FREE_BYTES: u64 = 1024 * 1024;
/// Encoded bytes fed at once: bounds what one step can produce to about 1 MiB.
const STEP_BYTES: usize = 1024;

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    /// An encoding that is not understood, or several.
    #[error("the content encoding is not one that can be decoded")]
    Unknown,
    /// The bytes are not what the header says.
    #[error("the body is not valid in its content encoding")]
    Invalid(#[source] std::io::Error),
    /// It grows more than anything honest does.
    #[error("the body grows more than {RATIO_MAX} times when decoded")]
    Bomb,
}

/// One content encoding at work.
pub(super) enum Decoder {
    /// RFC 1952.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>, Count),
    /// RFC 1950, which HTTP calls `deflate`.
    Deflate(Box<ZlibDecoder<Vec<u8>>>, Count),
}

/// Bytes in and out so far.
#[derive(Default)]
pub(super) struct Count {
    encoded: u64,
    decoded: u64,
}

impl Decoder {
    /// The decoder for a response, none when it is not encoded.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, DecodeError> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        let Some(encoding) = encodings.next() else { return Ok(None) };
        if encodings.next().is_some() {
            return Err(DecodeError::Unknown);
        }
        match encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "identity" | "" => Ok(None),
            "gzip" | "x-gzip" => {
                Ok(Some(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())), Count::default())))
            }
            "deflate" => Ok(Some(Self::Deflate(Box::new(ZlibDecoder::new(Vec::new())), Count::default()))),
            _ => Err(DecodeError::Unknown),
        }
    }

    /// Decodes a piece.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), crate::body::BodyError>,
    ) -> Result<(), Failed> {
        for step in piece.chunks(STEP_BYTES) {
            let (decoded, count) = match self {
                Self::Gzip(decoder, count) => {
                    decoder.write_all(step).map_err(DecodeError::Invalid)?;
                    (decoder.get_mut(), count)
                }
                Self::Deflate(decoder, count) => {
                    decoder.write_all(step).map_err(DecodeError::Invalid)?;
                    (decoder.get_mut(), count)
                }
            };
            count.add(step.len(), decoded.len())?;
            out(decoded)?;
            decoded.clear();
        }
        Ok(())
    }

    /// The end of the body: what is left, and whether it was whole.
    pub(super) fn finish(
        &mut self,
        mut out: impl FnMut(&[u8]) -> Result<(), crate::body::BodyError>,
    ) -> Result<(), Failed> {
        let (decoded, count) = match self {
            Self::Gzip(decoder, count) => {
                decoder.try_finish().map_err(DecodeError::Invalid)?;
                (decoder.get_mut(), count)
            }
            Self::Deflate(decoder, count) => {
                decoder.try_finish().map_err(DecodeError::Invalid)?;
                (decoder.get_mut(), count)
            }
        };
        count.add(0, decoded.len())?;
        out(decoded)?;
        decoded.clear();
        Ok(())
    }
}

/// Decoding failed, or what takes the decoded bytes did.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The encoding.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What came after.
    #[error(transparent)]
    Body(#[from] crate::body::BodyError),
}

impl Count {
    fn add(&mut self, encoded: usize, decoded: usize) -> Result<(), DecodeError> {
        self.encoded += encoded as u64;
        self.decoded += decoded as u64;
        if self.decoded > RATIO_FREE_BYTES && self.decoded > self.encoded.saturating_mul(RATIO_MAX) {
            return Err(DecodeError::Bomb);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(encoding: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        headers
    }

    fn decode(encoded: &[u8], encoding: &str) -> Result<Vec<u8>, Failed> {
        let mut decoder = Decoder::of(&headers(encoding))?.unwrap();
        let mut out = Vec::new();
        for byte in encoded.chunks(7) {
            decoder.push(byte, |b| {
                out.extend_from_slice(b);
                Ok(())
            })?;
        }
        decoder.finish(|b| {
            out.extend_from_slice(b);
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn gzip_in_any_chunking() {
        let plain = b"hello, ".repeat(1000);
        assert_eq!(decode(&gzip(&plain), "GZIP").unwrap(), plain);
    }

    #[test]
    fn catalogue_59_what_is_not_understood_is_not_passed() {
        for encoding in ["br", "zstd", "gzip, gzip", "x"] {
            assert!(Decoder::of(&headers(encoding)).is_err(), "{encoding}");
        }
        assert!(decode(b"plain text", "gzip").is_err());
        let whole = gzip(b"hello");
        assert!(decode(&whole[..whole.len() - 4], "gzip").is_err());
    }

    #[test]
    fn catalogue_61_a_bomb_ends() {
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(matches!(decode(&bomb, "gzip"), Err(Failed::Decode(DecodeError::Bomb))));
    }
}
