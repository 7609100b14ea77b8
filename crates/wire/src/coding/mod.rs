//! Content codings (RFC 9110, section 8.4), undone piece by piece.
//!
//! **Promise.** What is decoded comes out with the piece that completes it, so that a stream stays a stream; what comes
//! out does not depend on the chunking. Memory is bounded whatever the input: a decoder holds its window
//! ([`WINDOW_BYTES_MAX`]) and [`STEP_BYTES`] of input, and hands its output over in pieces.
//!
//! Exceptions, all *fail closed*: a coding that is not known or more than [`LAYERS_MAX`] of them; bytes that are not
//! what the coding says, bytes behind its end, an end before its own ([`CodingError`]); more output than [`RATIO_MAX`]
//! and [`CREDIT_BYTES_MAX`] allow, or more than [`BARREN_BYTES_MAX`] of input in a row that mean nothing. Such input is a
//! bomb, or so rare that a refusal is the better answer.

mod layer;

#[cfg(test)]
mod tests;

use layer::Layer;

/// How many codings may lie on top of each other.
pub const LAYERS_MAX: usize = 3;
/// Decoded bytes per encoded byte that are believed for long.
pub const RATIO_MAX: u64 = 200;
/// How many decoded bytes beyond that ratio are believed in a row.
pub const CREDIT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Decoded bytes that are believed before anything is known about the ratio.
pub const CREDIT_BYTES_START: u64 = 1024 * 1024;
/// How many encoded bytes in a row may decode to nothing: more than any block of zstd takes (128 KiB).
pub const BARREN_BYTES_MAX: u64 = 256 * 1024;
/// The largest window, in bytes: what RFC 9659 allows for zstd. Brotli's own limit is 16 MiB (RFC 7932, large windows are
/// refused), and deflate's 32 KiB.
pub const WINDOW_BYTES_MAX: u64 = 1 << layer::ZSTD_WINDOW_LOG_MAX;
/// Encoded bytes that are decoded at once.
pub const STEP_BYTES: usize = 1024;

/// One content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952; several members may follow each other.
    Gzip,
    /// RFC 1950, or without its frame (RFC 1951), as some servers send it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878; several frames may follow each other.
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// A coding that is not known, or more than [`LAYERS_MAX`].
    #[error("the content encoding is not one that can be decoded")]
    Unknown,
    /// The bytes are not what the coding says.
    #[error("the body is not valid in its content encoding")]
    Invalid,
    /// The body ends before the coding does.
    #[error("the body ends within its content encoding")]
    CutOff,
    /// It grows more than anything honest does, or means nothing for too long.
    #[error("the body grows more than {RATIO_MAX} times when decoded, or not at all")]
    Bomb,
}

impl Coding {
    /// The codings that a `Content-Encoding` lists, in the order in which they were applied; `identity` is none.
    ///
    /// # Errors
    /// [`CodingError::Unknown`]
    pub fn list(header: &str) -> Result<Vec<Self>, CodingError> {
        let mut codings = Vec::new();
        for name in header.split(',').map(str::trim) {
            codings.push(match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Self::Gzip,
                "deflate" => Self::Deflate,
                "br" => Self::Brotli,
                "zstd" => Self::Zstd,
                _ => return Err(CodingError::Unknown),
            });
        }
        if codings.len() > LAYERS_MAX { Err(CodingError::Unknown) } else { Ok(codings) }
    }

    /// The coding that a body shows by its first bytes, whatever it is called; at least [`Coding::MAGIC_BYTES`] decide.
    /// Brotli and bare deflate show nothing.
    pub fn shown_by(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            // The usual windows and levels of zlib; none of them begins a text.
            [0x78, 0x01 | 0x9c | 0xda, ..] => Some(Self::Deflate),
            _ => None,
        }
    }

    /// How many bytes of a body [`Coding::shown_by`] wants to see.
    pub const MAGIC_BYTES: usize = 4;
}

/// Undoes the codings of one body.
pub struct Decoder {
    /// The outermost first.
    layers: Vec<Layer>,
    /// Something failed: nothing more is decoded.
    broken: bool,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for what `codings` were applied to, in this order.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] for more than [`LAYERS_MAX`], or when a decoder cannot be made.
    pub fn new(codings: &[Coding]) -> Result<Self, CodingError> {
        if codings.len() > LAYERS_MAX {
            return Err(CodingError::Unknown);
        }
        let layers = codings.iter().rev().map(|coding| Layer::new(*coding)).collect::<Result<_, _>>()?;
        Ok(Self { layers, broken: false })
    }

    /// Decodes a piece; what it completes goes to `sink`, in pieces of its own.
    ///
    /// # Errors
    /// A [`CodingError`], or what `sink` fails with; after either, every later call fails.
    pub fn push<E: From<CodingError>>(
        &mut self,
        piece: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.whole()?;
        for step in piece.chunks(STEP_BYTES) {
            for layer in &mut self.layers {
                layer.believe(step.len());
            }
            feed(&mut self.layers, step, sink).inspect_err(|_| self.broken = true)?;
        }
        Ok(())
    }

    /// The end of the body: the rest, if it is whole. A body of no bytes at all is.
    ///
    /// # Errors
    /// As [`Decoder::push`]; [`CodingError::CutOff`] when it is not whole.
    pub fn finish<E: From<CodingError>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.whole()?;
        let mut layers = self.layers.as_mut_slice();
        while let Some((layer, inner)) = layers.split_first_mut() {
            layer.finish(&mut |plain| feed(inner, plain, sink)).inspect_err(|_| self.broken = true)?;
            layers = inner;
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), CodingError> {
        if self.broken { Err(CodingError::Invalid) } else { Ok(()) }
    }
}

/// Through all layers, the outermost first.
fn feed<E: From<CodingError>>(
    layers: &mut [Layer],
    piece: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let Some((layer, inner)) = layers.split_first_mut() else { return sink(piece) };
    // In steps here too: what a layer makes of one is all in memory.
    for step in piece.chunks(STEP_BYTES) {
        layer.decode(step, &mut |plain| feed(inner, plain, sink))?;
    }
    Ok(())
}
