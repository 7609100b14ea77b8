//! Bodies in UTF-16 and UTF-32, whatever their type says.
//!
//! **Promise.** The first [`HEAD_BYTES`] bytes decide. A wide body is read as UTF-8, masked in its format, and written
//! as it was; what nothing matched is byte for byte the same, lone surrogates and an odd last byte included. The result
//! is looked at once more as plain bytes, so that a body that only begins like a wide one hides nothing.
//!
//! Where a format cannot hold NUL and the first bytes have one that no wide charset explains, the body is refused, as is
//! one that is declared to be wide and does not look it (*fails closed*). Where a body is not UTF-32 after all, its rest
//! is plain bytes. Exception: text of no declared charset that has no byte order mark, and whose first two characters are
//! not among Unicode's first 256, is plain bytes, in which known values are found in their wide forms and detectors find nothing.
//!
//! Sources: Unicode 16, chapter 3.10; RFC 2781. Lone surrogates are kept as in WTF-8.

use std::sync::Arc;

use keyward_core::Finding;

use super::strand::{Start, Strand};
use super::{MaskError, Reader};
use crate::profile::Profile;

/// So many bytes show whether a body is wide.
pub(super) const HEAD_BYTES: usize = 4;

/// A charset whose units are wider than a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

/// What may be made of the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// The body may be binary: only what certainly is text is wide.
    Lenient,
    /// NUL cannot occur in the format.
    Strict,
    /// The body is said to be wide.
    Declared,
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// The charset that the first bytes show; none when it extends ASCII.
///
/// # Errors
/// As the module's page says.
pub(super) fn sniff(head: &[u8], care: Care) -> Result<Option<Wide>, MaskError> {
    let found = match *head {
        [0xff, 0xfe, 0, 0] => Some(Wide::Utf32Le),
        [0, 0, 0xfe, 0xff] => Some(Wide::Utf32Be),
        [0xff, 0xfe, ..] => Some(Wide::Utf16Le),
        [0xfe, 0xff, ..] => Some(Wide::Utf16Be),
        [a, 0, 0, 0] if is_plain(a) => Some(Wide::Utf32Le),
        [0, 0, 0, d] if is_plain(d) => Some(Wide::Utf32Be),
        [a, 0, c, 0] if a != 0 && c != 0 => Some(Wide::Utf16Le),
        [0, b, 0, d] if b != 0 && d != 0 => Some(Wide::Utf16Be),
        _ if care == Care::Lenient => None,
        [a, 0, ..] if a != 0 => Some(Wide::Utf16Le),
        [0, b, ..] if b != 0 => Some(Wide::Utf16Be),
        [_, _, c, 0] if c != 0 => Some(Wide::Utf16Le),
        [_, _, 0, d] if d != 0 => Some(Wide::Utf16Be),
        _ => None,
    };
    let unexplained = match care {
        Care::Lenient => false,
        Care::Strict => head.contains(&0),
        Care::Declared => !head.is_empty(),
    };
    if found.is_none() && unexplained { Err(MaskError::Charset) } else { Ok(found) }
}

/// A wide body around a walker.
pub(super) struct WideBody {
    charset: Wide,
    inner: Reader,
    /// The same once more, as plain bytes.
    plain: Strand,
    /// The rest is plain bytes.
    given_up: bool,
    /// Bytes of a unit that is not complete, or a high surrogate that waits for its low one.
    pending: Vec<u8>,
    decoded: Vec<u8>,
    /// Masked text that was not written yet: a character that is not complete.
    masked: Vec<u8>,
    encoded: Vec<u8>,
}

impl WideBody {
    pub(super) fn new(charset: Wide, inner: Reader, profile: &Arc<Profile>) -> Self {
        Self {
            charset,
            inner,
            plain: Strand::new(profile, 0, Start::Text),
            given_up: false,
            pending: Vec::new(),
            decoded: Vec::new(),
            masked: Vec::new(),
            encoded: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if self.given_up {
            self.plain.piece(input, input, out);
            return Ok(());
        }
        self.pending.extend_from_slice(input);
        self.decoded.clear();
        let (read, valid) = decode(self.charset, &self.pending, &mut self.decoded);
        self.pending.drain(..read);
        self.inner.push(&self.decoded, &mut self.masked)?;
        if !valid {
            return self.give_up(out);
        }
        self.write(false, out);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if !self.given_up {
            self.give_up(out)?;
        }
        self.plain.end(out);
        Ok(())
    }

    /// The text ends here; what is pending is no character.
    fn give_up(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.given_up = true;
        self.inner.finish(&mut self.masked)?;
        self.write(true, out);
        let rest = std::mem::take(&mut self.pending);
        self.plain.piece(&rest, &rest, out);
        Ok(())
    }

    /// Writes the masked text in the body's charset.
    fn write(&mut self, last: bool, out: &mut Vec<u8>) {
        self.encoded.clear();
        let read = encode(self.charset, &self.masked, last, &mut self.encoded);
        self.masked.drain(..read);
        self.plain.piece(&self.encoded, &self.encoded, out);
    }

    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        let mut findings = self.inner.take_findings();
        findings.append(&mut self.plain.findings);
        findings
    }
}

/// Decodes as much as is complete; how many bytes that were, and whether what follows may still become a character.
fn decode(charset: Wide, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
    let mut at = 0;
    let unit = |at: usize| -> Option<u32> {
        match charset {
            Wide::Utf16Le => input.get(at..)?.first_chunk().map(|b| u32::from(u16::from_le_bytes(*b))),
            Wide::Utf16Be => input.get(at..)?.first_chunk().map(|b| u32::from(u16::from_be_bytes(*b))),
            Wide::Utf32Le => input.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b)),
            Wide::Utf32Be => input.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b)),
        }
    };
    let half = matches!(charset, Wide::Utf16Le | Wide::Utf16Be);
    while let Some(first) = unit(at) {
        let mut code = first;
        let mut used = if half { 2 } else { 4 };
        if half && (0xd800..0xdc00).contains(&first) {
            match unit(at + 2) {
                None => return (at, true),
                Some(low) if (0xdc00..0xe000).contains(&low) => {
                    code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                    used = 4;
                }
                Some(_) => {}
            }
        } else if !half && char::from_u32(first).is_none() {
            return (at, false);
        }
        push_code(code, out);
        at += used;
    }
    (at, true)
}

/// Appends a code point as UTF-8, a surrogate in the same manner.
fn push_code(code: u32, out: &mut Vec<u8>) {
    if let Some(c) = char::from_u32(code) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.extend_from_slice(&[0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]);
    }
}

/// Encodes as much as is complete, everything when it is the `last`; how many bytes that were. What is no UTF-8, which
/// only a replacement can leave behind, becomes U+FFFD.
fn encode(charset: Wide, text: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(&first) = text.get(at) {
        let (length, low) = match first {
            0..0x80 => (1, u32::from(first)),
            0xc2..0xe0 => (2, u32::from(first & 0x1f)),
            0xe0..0xf0 => (3, u32::from(first & 0x0f)),
            0xf0..0xf5 => (4, u32::from(first & 0x07)),
            _ => (1, u32::from(char::REPLACEMENT_CHARACTER)),
        };
        let rest = text.get(at + 1..).unwrap_or_default();
        let rest = rest.get(..length - 1).unwrap_or(rest);
        let good = rest.iter().take_while(|b| *b & 0xc0 == 0x80).count();
        if good == rest.len() && good < length - 1 && !last {
            break;
        }
        let code = rest.iter().fold(low, |code, byte| code << 6 | u32::from(byte & 0x3f));
        let valid = good == length - 1 && code < 0x11_0000;
        write_code(charset, if valid { code } else { u32::from(char::REPLACEMENT_CHARACTER) }, out);
        at += 1 + good;
    }
    at
}

#[expect(clippy::cast_possible_truncation, reason = "each half of a surrogate pair has sixteen bits")]
fn write_code(charset: Wide, code: u32, out: &mut Vec<u8>) {
    let halves = if code < 0x1_0000 {
        [Some(code as u16), None]
    } else {
        let code = code - 0x1_0000;
        [Some(0xd800 | (code >> 10) as u16), Some(0xdc00 | (code & 0x3ff) as u16)]
    };
    match charset {
        Wide::Utf16Le => {
            halves.into_iter().flatten().for_each(|half| out.extend_from_slice(&half.to_le_bytes()));
        }
        Wide::Utf16Be => {
            halves.into_iter().flatten().for_each(|half| out.extend_from_slice(&half.to_be_bytes()));
        }
        Wide::Utf32Le => out.extend_from_slice(&code.to_le_bytes()),
        Wide::Utf32Be => out.extend_from_slice(&code.to_be_bytes()),
    }
}
