//! Bodies that begin like compressed data without saying so.

use keyward_wire::coding::Coding;

/// What becomes of a body that begins like compressed data without saying so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packed {
    /// It was said to be text: it ends with an error, because it cannot be looked into (catalogue 59). Holds its first
    /// bytes until they are enough to tell.
    Refused(Vec<u8>),
    /// It is a file of its own kind, or its beginning was seen already.
    Passes,
}

impl Packed {
    /// Whether `data`, the next piece, shows that the body is compressed although it must not be.
    pub(super) fn sees(&mut self, data: &[u8]) -> bool {
        let Self::Refused(head) = self else { return false };
        let missing = Coding::MAGIC_BYTES.saturating_sub(head.len()).min(data.len());
        head.extend_from_slice(data.get(..missing).unwrap_or_default());
        let shown = Coding::shown_by(head).is_some();
        if head.len() >= Coding::MAGIC_BYTES {
            *self = Self::Passes;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_59_compressed_data_under_the_name_of_text_is_seen_in_any_chunking() {
        for magic in [&[0x1f, 0x8b, 8, 0, 0][..], &[0x28, 0xb5, 0x2f, 0xfd, 0], &[0x78, 0x9c, 0, 0, 0]] {
            assert!(Packed::Refused(Vec::new()).sees(magic));
            let mut packed = Packed::Refused(Vec::new());
            assert!(!packed.sees(b""));
            assert!(magic.iter().any(|byte| packed.sees(&[*byte])));
            assert!(!Packed::Passes.sees(magic));
        }
        for text in ["(x)", "x = 1", "{}", "\u{1f}x", "x\u{1f}"] {
            assert!(!Packed::Refused(Vec::new()).sees(text.as_bytes()), "{text}");
        }
    }
}
