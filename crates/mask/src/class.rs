//! Bytes of a class, sixty-four at a time: one bit each, so that what a run is becomes arithmetic on a word.
//!
//! Written without an early exit and without branches, so that the compiler makes vectors of it.

use crate::known::may_begin_unit;

/// Bytes in a block.
pub(crate) const BLOCK_BYTES: usize = 64;

/// The next bytes of a text from a position on.
pub(crate) struct Block {
    bytes: [u8; BLOCK_BYTES],
    /// How many of them are the text's; the others are zero.
    pub(crate) len: usize,
}

impl Block {
    /// None behind the end.
    #[inline]
    pub(crate) fn at(text: &[u8], at: usize) -> Option<Self> {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        if let Some(bytes) = rest.first_chunk::<BLOCK_BYTES>() {
            return Some(Self { bytes: *bytes, len: BLOCK_BYTES });
        }
        let mut bytes = [0; BLOCK_BYTES];
        bytes.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(Self { bytes, len: rest.len() })
    }

    /// Whether any byte is of the class; cheaper than [`Self::bits`]. Zero must not be in the class.
    #[inline]
    pub(crate) fn any(&self, is: impl Fn(u8) -> bool) -> bool {
        self.bytes.iter().fold(0, |any, byte| any | u8::from(is(*byte))) != 0
    }

    /// A bit for each byte of the class, the first byte lowest. Zero must not be in the class.
    #[inline]
    pub(crate) fn bits(&self, is: impl Fn(u8) -> bool) -> u64 {
        let mut flags = [0u8; BLOCK_BYTES];
        for (flag, byte) in flags.iter_mut().zip(self.bytes) {
            *flag = u8::from(is(byte));
        }
        let mut bits = 0;
        for (n, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
            // Eight flags of a byte each become eight bits: the product carries each to its place in the highest byte.
            let packed = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            bits |= packed << (8 * n);
        }
        bits
    }
}

/// What a text has, as told by each of its bytes: for short texts, which are asked many questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits(u8);

impl Traits {
    const DIGIT: u8 = 1;
    const AT: u8 = 2;
    const UPPER: u8 = 4;
    const UNIT: u8 = 8;

    const fn of_byte(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => Self::DIGIT,
            b'@' => Self::AT,
            b'A'..=b'Z' => Self::UPPER,
            _ if may_begin_unit(byte) => Self::UNIT,
            _ => 0,
        }
    }

    pub(crate) fn of(text: &[u8]) -> Self {
        Self(
            text.iter()
                .fold(0, |any, byte| any | TRAITS.get(usize::from(*byte)).copied().unwrap_or_default()),
        )
    }

    /// A value that begins where a word does may be there.
    pub(crate) const fn has_key(self) -> bool {
        self.0 & (Self::DIGIT | Self::AT) != 0
    }

    /// A character may be spelled otherwise than by itself.
    pub(crate) const fn has_unit(self) -> bool {
        self.0 & Self::UNIT != 0
    }

    /// There is what all but long runs need to be values.
    pub(crate) const fn has_telling(self) -> bool {
        self.0 & (Self::DIGIT | Self::UPPER) != 0
    }
}

static TRAITS: [u8; 256] = {
    let mut traits = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "evaluated by the compiler"
        )]
        {
            traits[byte] = Traits::of_byte(byte as u8);
        }
        byte += 1;
    }
    traits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        for len in [0, 1, 7, 8, 63, 64, 65, 200] {
            for step in 1..9 {
                let text: Vec<u8> = (0..len).map(|n| if n % step == 0 { b'7' } else { b'x' }).collect();
                for at in 0..=len {
                    let expected = text[at..].iter().take(64).enumerate();
                    let expected = expected.fold(0u64, |bits, (n, b)| bits | u64::from(*b == b'7') << n);
                    let block = Block::at(&text, at);
                    assert_eq!(block.as_ref().map_or(0, |b| b.bits(|b| b.is_ascii_digit())), expected);
                    assert_eq!(block.map_or(0, |b| b.len), (len - at).min(64));
                }
            }
        }
    }

    #[test]
    fn traits_are_those_of_any_byte() {
        for byte in 0..=255u8 {
            let traits = Traits::of(&[b'a', byte, b'a']);
            assert_eq!(traits.has_key(), byte.is_ascii_digit() || byte == b'@');
            assert_eq!(traits.has_unit(), may_begin_unit(byte));
            assert_eq!(traits.has_telling(), byte.is_ascii_digit() || byte.is_ascii_uppercase());
        }
        assert_eq!(Traits::of(b""), Traits::of(b"letters only"));
    }
}
