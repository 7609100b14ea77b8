//! The bytes of a segment: a header, then one frame per record.
//!
//! Header (88 bytes): magic `KWJ` and version; journal id (16); segment number (8); sequence number of its first
//! record (8); when it was made (8); salt of its keys (16); nonce and tag over all of it (28).
//! Frame: length of the payload (4), kind (1), version (1), zero (2), sequence (8), session (16, zero for none), number
//! of the session's key in the `.keys` file (4, 0 for the segment's own key); payload: nonce (12), ciphertext, tag (16);
//! check: the first 8 bytes of the leaf hash. Numbers are little endian.
//!
//! The leaf of the tree is the frame without its check. The frame's head is associated data of the payload, and the
//! key is derived from the segment's salt: a frame opens only at its own place (catalogue 140).

use keyward_core::seal::{NONCE_BYTES, OVERHEAD_BYTES, SealingKey};
use keyward_core::{SessionId, Timestamp};

use crate::RECORD_BYTES_MAX;
use crate::error::JournalError;

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEAD_BYTES: usize = SEGMENT_PLAIN_BYTES + OVERHEAD_BYTES;
const SEGMENT_PLAIN_BYTES: usize = 60;
const MAGIC: &[u8; 3] = b"KWJ";
const VERSION: u8 = 1;

/// Bytes of a frame's head.
pub(crate) const HEAD_BYTES: usize = 36;
/// Bytes of a frame's check.
pub(crate) const CHECK_BYTES: usize = 8;
/// The longest payload: the largest record, sealed.
const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX + OVERHEAD_BYTES;

/// What a segment's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) journal: [u8; 16],
    pub(crate) segment: u64,
    pub(crate) first: u64,
    pub(crate) made: Timestamp,
    pub(crate) salt: [u8; 16],
}

impl SegmentHead {
    /// As bytes, sealed against change.
    pub(crate) fn encode(&self, key: &SealingKey, nonce: [u8; NONCE_BYTES]) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEAD_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.journal);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.made.micros().to_le_bytes());
        bytes.extend_from_slice(&self.salt);
        let seal = key.seal(nonce, &bytes, &[])?;
        bytes.extend_from_slice(&seal);
        Ok(bytes)
    }

    /// From its bytes; none when they are not what was written.
    pub(crate) fn decode(key: &SealingKey, bytes: &[u8]) -> Option<Self> {
        let (plain, seal) = bytes.split_at_checked(SEGMENT_PLAIN_BYTES)?;
        key.open(plain, seal).ok()?;
        let mut fields = Fields(plain);
        if fields.take::<3>()? != *MAGIC || fields.take::<1>()? != [VERSION] {
            return None;
        }
        Some(Self {
            journal: fields.take()?,
            segment: u64::from_le_bytes(fields.take()?),
            first: u64::from_le_bytes(fields.take()?),
            made: Timestamp::from_micros(i64::from_le_bytes(fields.take()?)),
            salt: fields.take()?,
        })
    }
}

/// The version in a segment's header, if it is one.
pub(crate) fn version(bytes: &[u8]) -> Option<u8> {
    bytes.strip_prefix(MAGIC)?.first().copied()
}

/// What stands before a frame's payload, in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) payload_bytes: u32,
    pub(crate) kind: u8,
    pub(crate) sequence: u64,
    pub(crate) session: Option<SessionId>,
    /// Number of the session's key in the segment's key file, from 1; 0 for the segment's own key.
    pub(crate) key: u32,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let fields = (self.payload_bytes.to_le_bytes().into_iter())
            .chain([self.kind, VERSION, 0, 0])
            .chain(self.sequence.to_le_bytes())
            .chain(self.session.map_or(0, SessionId::bits).to_le_bytes())
            .chain(self.key.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// From its bytes; none when no writer of ours would have written them.
    pub(crate) fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let payload_bytes = u32::from_le_bytes(fields.take()?);
        let [kind, version, zero, zero_too] = fields.take()?;
        let sequence = u64::from_le_bytes(fields.take()?);
        let session = u128::from_le_bytes(fields.take()?);
        let key = u32::from_le_bytes(fields.take()?);
        let fits =
            usize::try_from(payload_bytes).is_ok_and(|n| (OVERHEAD_BYTES..=PAYLOAD_BYTES_MAX).contains(&n));
        if !fits || version != VERSION || (zero, zero_too) != (0, 0) || (session == 0) != (key == 0) {
            return None;
        }
        let session = (session != 0).then(|| SessionId::new(session));
        Some(Self { payload_bytes, kind, sequence, session, key })
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        u64::from(self.payload_bytes) + (HEAD_BYTES + CHECK_BYTES) as u64
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn key(fill: u8) -> SealingKey {
        SealingKey::new(Zeroizing::new([fill; 32])).unwrap()
    }

    #[test]
    fn a_segment_header_is_taken_only_unchanged() {
        let head = SegmentHead {
            journal: [3; 16],
            segment: 4,
            first: 77,
            made: Timestamp::from_micros(-5),
            salt: [8; 16],
        };
        let bytes = head.encode(&key(1), [2; 12]).unwrap();
        assert_eq!(bytes.len(), SEGMENT_HEAD_BYTES);
        assert_eq!(SegmentHead::decode(&key(1), &bytes), Some(head));
        assert_eq!(SegmentHead::decode(&key(2), &bytes), None);
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 0x10;
            assert_eq!(SegmentHead::decode(&key(1), &changed), None, "byte {index}");
        }
    }

    #[test]
    fn a_frame_head_comes_back() {
        let head = Head {
            payload_bytes: 100,
            kind: 5,
            sequence: 9,
            session: Some(SessionId::new(u128::MAX)),
            key: 3,
        };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        let none = Head { session: None, key: 0, ..head };
        assert_eq!(Head::decode(&none.encode()), Some(none));
        assert_eq!(Head::decode(&Head { key: 0, ..head }.encode()), None);
    }

    #[test]
    fn lengths_have_limits() {
        let with = |bytes: usize| {
            let payload_bytes = u32::try_from(bytes).unwrap();
            Head::decode(&Head { payload_bytes, kind: 1, sequence: 0, session: None, key: 0 }.encode())
        };
        assert!(with(OVERHEAD_BYTES).is_some());
        assert!(with(OVERHEAD_BYTES - 1).is_none());
        assert!(with(PAYLOAD_BYTES_MAX).is_some());
        assert!(with(PAYLOAD_BYTES_MAX + 1).is_none());
    }
}
