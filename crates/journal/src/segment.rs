//! The segment that is being written, and the keys of the sessions in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use keyward_core::seal::SealingKey;
use keyward_core::{SessionId, Timestamp};

use crate::disk::{Disk, keys_name, segment_name};
use crate::error::{Doing, JournalError};
use crate::faults::Faults;
use crate::frame::{SEGMENT_HEAD_BYTES, SegmentHead};
use crate::identity::{Identity, SegmentKeys, fill, nonce};
use crate::keys::{self, SESSION_KEYS_MAX, SLOT_BYTES};

/// The segment that is being written.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) disk: Arc<Disk>,
    /// Where the next frame begins; the file ends here, unless `torn`.
    pub(crate) end: u64,
    /// A write failed half-way and could not be taken back yet.
    torn: bool,
    keys: SegmentKeys,
    key_disk: Option<Arc<Disk>>,
    slots: u32,
    keys_torn: bool,
    /// The key file was written since it was last handed out for syncing.
    keys_fresh: bool,
    sessions: HashMap<SessionId, (u32, SealingKey)>,
}

impl Segment {
    /// Makes a new segment. Nothing of it stays behind when that fails.
    pub(crate) fn make(
        dir: &Path,
        identity: &Identity,
        number: u64,
        first: u64,
        made: Timestamp,
        faults: &Faults,
    ) -> Result<Self, JournalError> {
        let mut salt = [0; 16];
        fill(&mut salt)?;
        let head = SegmentHead { journal: identity.id, segment: number, first, made, salt };
        let bytes = head.encode(&identity.heads, nonce()?)?;
        let path = dir.join(segment_name(number));
        let disk = Disk::create(path.clone(), faults).doing("make a segment")?;
        if let Err(source) = disk.write_at(&bytes, 0) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, "a segment that could not be written stays behind");
            }
            return Err(JournalError::Io { doing: "make a segment", source });
        }
        let keys = identity.segment_keys(&salt)?;
        Ok(Self::new(number, disk, bytes.len() as u64, keys))
    }

    /// Goes on with a segment that was read up to `end`, its good end.
    pub(crate) fn resume(
        dir: &Path,
        identity: &Identity,
        head: &SegmentHead,
        end: u64,
        faults: &Faults,
    ) -> Result<Self, JournalError> {
        let disk = Disk::open(dir.join(segment_name(head.segment)), faults).doing("open a segment")?;
        let mut segment = Self::new(head.segment, disk, end, identity.segment_keys(&head.salt)?);
        let path = dir.join(keys_name(head.segment));
        if path.exists() {
            let length = std::fs::metadata(&path).doing("look at the keys of a segment")?.len();
            let disk = Disk::open(path, faults).doing("open the keys of a segment")?;
            let slots = length / SLOT_BYTES as u64;
            disk.cut(slots * SLOT_BYTES as u64).doing("cut the keys of a segment")?;
            segment.slots = u32::try_from(slots).unwrap_or(u32::MAX);
            segment.key_disk = Some(Arc::new(disk));
        }
        Ok(segment)
    }

    fn new(number: u64, disk: Disk, end: u64, keys: SegmentKeys) -> Self {
        Self {
            number,
            disk: Arc::new(disk),
            end,
            torn: false,
            keys,
            key_disk: None,
            slots: 0,
            keys_torn: false,
            keys_fresh: false,
            sessions: HashMap::new(),
        }
    }

    /// Whether it holds any record.
    pub(crate) fn is_used(&self) -> bool {
        self.end > SEGMENT_HEAD_BYTES as u64
    }

    /// Appends a frame, whole or not at all.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), JournalError> {
        if let Err(source) = self.disk.write_at(frame, self.end) {
            self.torn = self.disk.cut(self.end).is_err();
            return Err(JournalError::Io { doing: "write to the journal", source });
        }
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Takes back what a failed write left behind, and looks whether the files are as they should be.
    pub(crate) fn mend(&mut self) -> Result<(), JournalError> {
        if self.torn {
            self.disk.cut(self.end).doing("take back an unfinished record")?;
            self.torn = false;
        }
        if self.keys_torn {
            if let Some(disk) = &self.key_disk {
                disk.cut(keys::slot_offset(self.slots.saturating_add(1)))
                    .doing("take back an unfinished key")?;
            }
            self.keys_torn = false;
        }
        self.watch()
    }

    /// Whether somebody else touched the files. Costs two system calls per file.
    pub(crate) fn watch(&self) -> Result<(), JournalError> {
        if self.torn || self.keys_torn {
            return Ok(());
        }
        let look = |disk: &Disk, length| match disk.disturbed(length) {
            Ok(None) => Ok(()),
            Ok(Some(how)) => Err(JournalError::Disturbed(how)),
            Err(source) => Err(JournalError::Io { doing: "look at the journal's file", source }),
        };
        look(&self.disk, self.end)?;
        match &self.key_disk {
            Some(disk) => look(disk, keys::slot_offset(self.slots.saturating_add(1))),
            None => Ok(()),
        }
    }

    /// The slot of the key that seals records of `session`, made on first use; 0 for no session.
    pub(crate) fn slot(
        &mut self,
        session: Option<SessionId>,
        dir: &Path,
        faults: &Faults,
    ) -> Result<u32, JournalError> {
        let Some(session) = session else {
            return Ok(0);
        };
        if let Some((slot, _)) = self.sessions.get(&session) {
            return Ok(*slot);
        }
        let disk = if let Some(disk) = &self.key_disk {
            Arc::clone(disk)
        } else {
            let disk = Disk::create(dir.join(keys_name(self.number)), faults);
            let disk = Arc::new(disk.doing("make the keys of a segment")?);
            Arc::clone(self.key_disk.insert(disk))
        };
        let slot = self.slots.saturating_add(1);
        let (key, row) = keys::make(&self.keys.wrapping, slot, session)?;
        let offset = keys::slot_offset(slot);
        if let Err(source) = disk.write_at(&row, offset) {
            self.keys_torn = disk.cut(offset).is_err();
            return Err(JournalError::Io { doing: "write a session's key", source });
        }
        self.slots = slot;
        self.keys_fresh = true;
        // Sessions whose key was dropped here get another slot when they go on.
        if self.sessions.len() >= SESSION_KEYS_MAX {
            self.sessions.clear();
        }
        self.sessions.insert(session, (slot, key));
        Ok(slot)
    }

    /// The key that [`Segment::slot`] made ready.
    pub(crate) fn key(&self, session: Option<SessionId>) -> Option<&SealingKey> {
        match session {
            None => Some(&self.keys.own),
            Some(session) => self.sessions.get(&session).map(|(_, key)| key),
        }
    }

    /// Lets go of a session that ended.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// The files that were written since the last call: keys first, so that no record is on disk before its key.
    pub(crate) fn unsynced(&mut self) -> Vec<Arc<Disk>> {
        let keys = self.key_disk.clone().filter(|_| std::mem::take(&mut self.keys_fresh));
        keys.into_iter().chain([Arc::clone(&self.disk)]).collect()
    }
}
