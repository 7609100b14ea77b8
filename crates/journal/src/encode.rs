//! A record as bytes: JSON for what has names, and the bytes of bodies beside it, so that content is neither escaped
//! nor inflated.
//!
//! Layout: length of the JSON (`u32`, little endian), the JSON, then for each body piece in order its length (`u32`)
//! and its bytes. The JSON holds only the pieces' times.

use bytes::Bytes;

use crate::error::JournalError;
use crate::record::{Frame, Record};

/// Length prefixes.
const LENGTH_BYTES: usize = 4;

/// Appends `record` to `out`.
pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) -> Result<(), JournalError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    serde_json::to_writer(&mut *out, record).map_err(JournalError::Encode)?;
    let json = out.len() - start - LENGTH_BYTES;
    let prefix = length(json)?;
    if let Some(place) = out.get_mut(start..start + LENGTH_BYTES) {
        place.copy_from_slice(&prefix);
    }
    for frame in frames(record) {
        out.extend_from_slice(&length(frame.bytes.len())?);
        out.extend_from_slice(&frame.bytes);
    }
    Ok(())
}

/// Bytes of body content that encoding `record` will copy.
pub(crate) fn content_bytes(record: &Record) -> usize {
    frames(record)
        .iter()
        .map(|frame| frame.bytes.len().saturating_add(LENGTH_BYTES))
        .fold(0, usize::saturating_add)
}

/// The record in `payload`; all of it must be used up.
pub(crate) fn decode(payload: &[u8]) -> Result<Record, JournalError> {
    let (json, mut rest) = prefixed(payload).ok_or(JournalError::Decode)?;
    let mut record: Record = serde_json::from_slice(json).map_err(|_| JournalError::Decode)?;
    for frame in frames_mut(&mut record) {
        let (bytes, after) = prefixed(rest).ok_or(JournalError::Decode)?;
        frame.bytes = Bytes::copy_from_slice(bytes);
        rest = after;
    }
    if rest.is_empty() { Ok(record) } else { Err(JournalError::Decode) }
}

fn length(bytes: usize) -> Result<[u8; LENGTH_BYTES], JournalError> {
    u32::try_from(bytes)
        .map(u32::to_le_bytes)
        .map_err(|_| JournalError::TooLarge { bytes, limit: crate::RECORD_BYTES_MAX })
}

fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*prefix)).ok()?)
}

fn frames(record: &Record) -> &[Frame] {
    match record {
        Record::Intent(intent) => &intent.content,
        Record::RequestBody(body) | Record::Frames(body) => &body.frames,
        _ => &[],
    }
}

fn frames_mut(record: &mut Record) -> &mut [Frame] {
    match record {
        Record::Intent(intent) => &mut intent.content,
        Record::RequestBody(body) | Record::Frames(body) => &mut body.frames,
        _ => &mut [],
    }
}

/// Keeps the times of body pieces in the JSON; the bytes stand beside it.
pub(crate) mod bytes_beside {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Bytes, Frame};

    pub(crate) fn serialize<S: Serializer>(frames: &[Frame], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(frames.iter().map(|frame| frame.offset_us))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Frame>, D::Error> {
        let times = Vec::<u64>::deserialize(deserializer)?;
        Ok(times.into_iter().map(|offset_us| Frame { offset_us, bytes: Bytes::new() }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, closed, intent, opened};

    #[test]
    fn every_record_comes_back() {
        let mut records = vec![opened(1, "ann", "openai"), intent(2, 1), closed(1)];
        records.extend(answer(2, 1));
        for record in records {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes).unwrap();
            assert_eq!(decode(&bytes).unwrap(), record);
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "cut to {cut} bytes");
            }
            bytes.push(0);
            assert!(decode(&bytes).is_err(), "a byte too many");
        }
    }
}
