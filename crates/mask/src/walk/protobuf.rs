//! Messages of Protocol Buffers without their schema (the wire format of protobuf.dev/programming-guides/encoding).
//!
//! What is of length-delimited type is a message if it reads as one to its last byte, else a text if it is UTF-8, else
//! bytes, in which only known values are looked for. What reads as a message and as a text is looked at as both, so that
//! a secret is found whichever it is; where a secret is replaced in a text that reads as a message by chance (its second
//! character says its length), that character is rewritten too. Where something is replaced, the lengths of everything around it are rewritten;
//! the rest stays byte for byte.
//!
//! Exceptions: a body that is no message is one text. A message beyond [`MESSAGE_BYTES_MAX`] is refused (*fails
//! closed*), because its beginning has lengths that only its end can tell. A known value that stands across fields is
//! masked although the message is then none (*fails closed*).

use std::sync::Arc;

use keyward_core::Finding;

use super::splice::note;
use super::{BodyFormat, BodyMasker, MaskError};
use crate::profile::Profile;
use crate::text::Masked;

/// The longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How deep messages may nest; what lies deeper is text or bytes.
pub const MESSAGE_NESTING_MAX: usize = 32;

/// A message that is not complete yet.
pub(super) struct Message {
    profile: Arc<Profile>,
    bytes: Vec<u8>,
    pub(super) findings: Vec<Finding>,
}

impl Message {
    pub(super) fn new(profile: &Arc<Profile>) -> Self {
        Self { profile: Arc::clone(profile), bytes: Vec::new(), findings: Vec::new() }
    }

    pub(super) fn push(&mut self, input: &[u8]) -> Result<(), MaskError> {
        if self.bytes.len() + input.len() > MESSAGE_BYTES_MAX {
            return Err(MaskError::MessageTooLong);
        }
        self.bytes.extend_from_slice(input);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let masked = mask_message(&self.profile, &std::mem::take(&mut self.bytes))?;
        out.extend_from_slice(&masked.bytes);
        self.findings = masked.findings;
        Ok(())
    }
}

/// Masks one whole message, as it stands in a body or in a frame of gRPC.
///
/// # Errors
/// When a text inside cannot be masked: JSON that nests too deep.
pub fn mask_message(profile: &Arc<Profile>, input: &[u8]) -> Result<Masked, MaskError> {
    let mut findings = Vec::new();
    let reading = Reading { profile, findings: &mut findings };
    let bytes = match reading.message(input, 0, 0)? {
        Some(bytes) => bytes,
        None => masked(profile, BodyFormat::Text, false, input, 0, &mut findings)?,
    };
    let known = masked(profile, BodyFormat::Text, true, &bytes, 0, &mut findings)?;
    Ok(Masked { bytes: known, findings })
}

fn masked(
    profile: &Arc<Profile>,
    format: BodyFormat,
    known_only: bool,
    input: &[u8],
    base: u64,
    findings: &mut Vec<Finding>,
) -> Result<Vec<u8>, MaskError> {
    let mut masker = BodyMasker::new(Arc::clone(profile), format);
    if known_only {
        masker.known_only();
    }
    let mut out = Vec::with_capacity(input.len());
    masker.push(input, &mut out)?;
    masker.finish(&mut out)?;
    for mut finding in masker.take_findings() {
        (finding.start, finding.end) = (finding.start + base, finding.end + base);
        note(findings, finding);
    }
    Ok(out)
}

struct Reading<'a> {
    profile: &'a Arc<Profile>,
    findings: &'a mut Vec<Finding>,
}

impl Reading<'_> {
    /// The masked message, or none when it is no message.
    fn message(mut self, input: &[u8], base: u64, depth: usize) -> Result<Option<Vec<u8>>, MaskError> {
        let mut out = Vec::with_capacity(input.len());
        let mut groups = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            let Some(field) = Field::read(rest, &mut groups) else { return Ok(None) };
            let (whole, after) = rest.split_at_checked(field.len).unwrap_or((rest, &[]));
            if let Some(payload) = whole.len().checked_sub(field.payload).and_then(|at| whole.get(at..)) {
                let at = base + (input.len() - after.len() - payload.len()) as u64;
                let value = self.value(payload, at, depth)?;
                if value == payload {
                    out.extend_from_slice(whole);
                } else {
                    out.extend_from_slice(whole.get(..field.tag).unwrap_or_default());
                    write_varint(value.len() as u64, &mut out);
                    out.extend_from_slice(&value);
                }
            }
            rest = after;
        }
        Ok(groups.is_empty().then_some(out))
    }

    /// What is of length-delimited type.
    fn value(&mut self, payload: &[u8], at: u64, depth: usize) -> Result<Vec<u8>, MaskError> {
        if payload.is_empty() {
            return Ok(Vec::new());
        }
        let mut inner = Vec::new();
        let reading = Reading { profile: self.profile, findings: &mut inner };
        let message =
            if depth < MESSAGE_NESTING_MAX { reading.message(payload, at, depth + 1)? } else { None };
        let text = std::str::from_utf8(payload);
        let printable = text.is_ok_and(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()));
        let is_message = message.is_some();
        for finding in inner.into_iter().filter(|_| is_message) {
            note(self.findings, finding);
        }
        let value = message.unwrap_or_else(|| payload.to_vec());
        let Self { profile, findings } = self;
        match (is_message, text.is_ok(), printable) {
            (true, _, false) => Ok(value),
            (_, true, _) => masked(profile, BodyFormat::Either, false, &value, at, findings),
            _ => masked(profile, BodyFormat::Text, true, &value, at, findings),
        }
    }
}

/// The extent of one field.
struct Field {
    /// The length of its tag.
    tag: usize,
    /// Its whole length.
    len: usize,
    /// How many bytes at its end are of length-delimited type.
    payload: usize,
}

impl Field {
    fn read(input: &[u8], groups: &mut Vec<u64>) -> Option<Self> {
        let (key, tag) = varint(input)?;
        let number = key >> 3;
        if number == 0 || number >= 1 << 29 {
            return None;
        }
        let behind = input.get(tag..)?;
        let (len, payload) = match key & 7 {
            0 => (tag + varint(behind)?.1, 0),
            1 => (tag + 8, 0),
            2 => {
                let (length, used) = varint(behind)?;
                let length = usize::try_from(length).ok()?;
                (tag.checked_add(used)?.checked_add(length)?, length)
            }
            3 if groups.len() < MESSAGE_NESTING_MAX => {
                groups.push(number);
                (tag, 0)
            }
            4 if groups.pop() == Some(number) => (tag, 0),
            5 => (tag + 4, 0),
            _ => return None,
        };
        (len <= input.len()).then_some(Self { tag, len, payload })
    }
}

/// A number and how many bytes it takes; at most ten.
fn varint(input: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in input.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(at).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}
