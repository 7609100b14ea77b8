//! The keys of sessions: one random key per session and segment, wrapped under the segment's key, in a file beside
//! the records. Wiping a session's slots makes its records unreadable; the tree over their ciphertext still holds.
//!
//! Slot (76 bytes): session (16), then nonce, wrapped key and tag (60). A wiped slot keeps the session and has zeros
//! for the rest. Slots are numbered from 1. The place (segment's key, number, session) is associated data, so that
//! slots cannot be moved.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use keyward_core::SessionId;
use keyward_core::seal::{OVERHEAD_BYTES, SealingKey};
use zeroize::Zeroizing;

use crate::error::{Doing, JournalError};
use crate::frame::Head;
use crate::identity::{SegmentKeys, fill, nonce};

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = SESSION_BYTES + WRAPPED_BYTES;
const SESSION_BYTES: usize = 16;
const WRAPPED_BYTES: usize = 32 + OVERHEAD_BYTES;
/// Keys held in memory at once; beyond it they are made or read anew.
pub(crate) const SESSION_KEYS_MAX: usize = 8_192;

/// Makes a session's key and its slot.
pub(crate) fn make(
    wrapping: &SealingKey,
    slot: u32,
    session: SessionId,
) -> Result<(SealingKey, Vec<u8>), JournalError> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut())?;
    let key = SealingKey::new(bytes)?;
    let mut row = session.bits().to_le_bytes().to_vec();
    row.extend_from_slice(&key.wrap(wrapping, nonce()?, &place(slot, session))?);
    Ok((key, row))
}

/// What a slot holds.
pub(crate) enum Slot {
    /// The session's key.
    Key(SessionId, SealingKey),
    /// Nothing any more: the session was shredded.
    Wiped(SessionId),
    /// Not what was written.
    Bad,
}

/// Reads a slot.
pub(crate) fn open(wrapping: &SealingKey, slot: u32, row: &[u8; SLOT_BYTES]) -> Slot {
    let Some((session, wrapped)) = row.split_first_chunk::<SESSION_BYTES>() else {
        return Slot::Bad;
    };
    let session = SessionId::new(u128::from_le_bytes(*session));
    if wrapped.iter().all(|&byte| byte == 0) {
        return Slot::Wiped(session);
    }
    match SealingKey::unwrap(wrapping, &place(slot, session), wrapped) {
        Ok(key) => Slot::Key(session, key),
        Err(_) => Slot::Bad,
    }
}

/// Where a slot begins in its file.
pub(crate) fn slot_offset(slot: u32) -> u64 {
    u64::from(slot.saturating_sub(1)) * SLOT_BYTES as u64
}

fn place(slot: u32, session: SessionId) -> [u8; SESSION_BYTES + 4] {
    let mut place = [0; SESSION_BYTES + 4];
    let bytes = session.bits().to_le_bytes().into_iter().chain(slot.to_le_bytes());
    place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    place
}

/// Finds the keys to read one segment with.
pub(crate) struct KeyRing {
    keys: SegmentKeys,
    file: Option<File>,
    held: HashMap<u32, Found>,
}

/// What a record can be opened with.
#[derive(Clone)]
pub(crate) enum Found {
    /// This key.
    Key(Arc<SealingKey>),
    /// Nothing: the session was shredded.
    Shredded,
    /// Nothing: the slot is missing, changed, or another session's.
    Bad,
}

impl KeyRing {
    /// For a segment; `file` is its key file, none while it has no sessions.
    pub(crate) fn new(keys: SegmentKeys, file: Option<File>) -> Self {
        Self { keys, file, held: HashMap::new() }
    }

    /// Opens a frame's payload; none when its session was shredded.
    pub(crate) fn open(
        &mut self,
        head: &Head,
        head_bytes: &[u8],
        payload: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, JournalError> {
        let Some(session) = head.session else {
            return Ok(Some(self.keys.own.open(head_bytes, payload)?));
        };
        match self.find(head.key, session)? {
            Found::Key(key) => Ok(Some(key.open(head_bytes, payload)?)),
            Found::Shredded => Ok(None),
            Found::Bad => Err(JournalError::Seal(keyward_core::seal::SealError::Open)),
        }
    }

    /// The key in slot `slot`, which must be `session`'s.
    pub(crate) fn find(&mut self, slot: u32, session: SessionId) -> Result<Found, JournalError> {
        if let Some(found) = self.held.get(&slot) {
            return Ok(found.clone());
        }
        let found = match self.slot(slot)? {
            Some(Slot::Key(owner, key)) if owner == session => Found::Key(Arc::new(key)),
            Some(Slot::Wiped(owner)) if owner == session => Found::Shredded,
            _ => Found::Bad,
        };
        if self.held.len() >= SESSION_KEYS_MAX {
            self.held.clear();
        }
        self.held.insert(slot, found.clone());
        Ok(found)
    }

    /// What slot `slot` holds; none beyond the end of the file.
    pub(crate) fn slot(&self, slot: u32) -> Result<Option<Slot>, JournalError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let mut row = [0; SLOT_BYTES];
        match file.read_exact_at(&mut row, slot_offset(slot)) {
            Ok(()) => Ok(Some(open(&self.keys.wrapping, slot, &row))),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(source).doing("read a session's key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_opens_only_in_its_place() {
        let wrapping = SealingKey::new(Zeroizing::new([1; 32])).unwrap();
        let session = SessionId::new(5);
        let (_, row) = make(&wrapping, 3, session).unwrap();
        let mut row: [u8; SLOT_BYTES] = row.try_into().unwrap();
        assert!(matches!(open(&wrapping, 3, &row), Slot::Key(owner, _) if owner == session));
        assert!(matches!(open(&wrapping, 4, &row), Slot::Bad));
        row[0] ^= 1;
        assert!(matches!(open(&wrapping, 3, &row), Slot::Bad));
        row[SESSION_BYTES..].fill(0);
        assert!(matches!(open(&wrapping, 3, &row), Slot::Wiped(_)));
    }
}
