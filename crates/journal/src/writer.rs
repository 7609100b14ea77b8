//! Appending: the data path.
//!
//! Promise: [`Writer::append`] leaves either the whole record or nothing; what it returned a receipt for is in the
//! operating system's hands. After a failure nothing is accepted until a write worked again (*fails closed*), and the
//! first record then says what is missing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use keyward_core::seal::{NONCE_BYTES, TAG_BYTES};
use keyward_core::{RequestId, SessionId, Timestamp};

use crate::disk::{self, Disk};
use crate::error::{Doing, JournalError};
use crate::faults::Faults;
use crate::frame::{CHECK_BYTES, HEAD_BYTES, Head};
use crate::identity::{Identity, Nonces};
use crate::journal::{Receipt, Unfinished};
use crate::record::{Record, Resumed};
use crate::segment::Segment;
use crate::tree::{Tree, leaf};
use crate::{OPEN_EXCHANGES_MAX, RECORD_BYTES_MAX, encode};

/// A buffer larger than this is given back after use.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// Whether the journal can be written.
#[derive(Debug)]
pub(crate) enum Condition {
    /// As far as is known.
    Well,
    /// The last try failed; the next append tries again.
    Ailing { since: Timestamp, refused: u64, reason: String },
    /// Not before the next start.
    Sealed(String),
    /// It was closed.
    Closed,
}

/// The one writer of a journal.
pub(crate) struct Writer {
    pub(crate) dir: PathBuf,
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) segment_bytes_max: u64,
    pub(crate) min_free_bytes: u64,
    pub(crate) segment: Segment,
    pub(crate) tree: Tree,
    pub(crate) open: HashMap<RequestId, Unfinished>,
    pub(crate) condition: Condition,
    /// What somebody else did to the file with the checkpoints, as last looked at.
    pub(crate) checkpoints_disturbed: Option<&'static str>,
    /// Files of segments before the current one that were not synced yet.
    pub(crate) unsynced: Vec<Arc<Disk>>,
    /// Names were made in the directory since it was last synced.
    pub(crate) new_names: bool,
    pub(crate) buffer: Vec<u8>,
    pub(crate) nonces: Nonces,
    pub(crate) faults: Faults,
}

impl Writer {
    /// Appends one record.
    pub(crate) fn append(&mut self, record: &Record) -> Result<Receipt, JournalError> {
        match &self.condition {
            Condition::Well | Condition::Ailing { .. } => {}
            Condition::Sealed(reason) => return Err(JournalError::Sealed(reason.clone())),
            Condition::Closed => return Err(JournalError::Closed),
        }
        let result = self.resume().and_then(|()| self.put(record));
        if let Err(error) = &result {
            self.ail(error);
            if let Condition::Ailing { refused, .. } = &mut self.condition {
                *refused = refused.saturating_add(1);
            }
        }
        result
    }

    /// Whether an append would work, as far as is known.
    pub(crate) fn healthy(&self) -> Result<(), JournalError> {
        match &self.condition {
            Condition::Well => Ok(()),
            Condition::Ailing { reason, .. } => Err(JournalError::Unavailable(reason.clone())),
            Condition::Sealed(reason) => Err(JournalError::Sealed(reason.clone())),
            Condition::Closed => Err(JournalError::Closed),
        }
    }

    /// Looks after the files while nothing is appended: notices what others do to them, and tries to go on.
    pub(crate) fn look_after(&mut self) {
        match self.condition {
            Condition::Well => {
                if let Err(error) = self.segment.watch().and_then(|()| self.check_around()) {
                    self.ail(&error);
                }
            }
            Condition::Ailing { .. } => {
                if let Err(error) = self.resume() {
                    tracing::debug!(%error, "the journal still cannot be written");
                }
            }
            Condition::Sealed(_) | Condition::Closed => {}
        }
    }

    /// Ends all writing until the next start.
    pub(crate) fn seal(&mut self, reason: &str) {
        tracing::error!(reason, "the journal is sealed: nothing is accepted until the next start");
        self.condition = Condition::Sealed(reason.to_owned());
    }

    /// Notes a failure of the device.
    fn ail(&mut self, error: &JournalError) {
        let reason = match error {
            JournalError::Io { doing, source } => format!("cannot {doing}: {source}"),
            JournalError::Full { .. } | JournalError::Disturbed(_) => error.to_string(),
            // The fault is in the record or in the caller's pace, not in the device.
            _ => return,
        };
        match &mut self.condition {
            Condition::Well => {
                tracing::error!(reason, "the journal cannot be written");
                self.condition = Condition::Ailing { since: (self.clock)(), refused: 0, reason };
            }
            Condition::Ailing { reason: known, .. } => *known = reason,
            Condition::Sealed(_) | Condition::Closed => {}
        }
    }

    /// Tries to go on after a failure: mends the files and writes a record about the gap.
    fn resume(&mut self) -> Result<(), JournalError> {
        let Condition::Ailing { since, refused, reason } = &self.condition else {
            return Ok(());
        };
        let at = (self.clock)();
        let about = Record::Resumed(Resumed { at, since: *since, refused: *refused, reason: reason.clone() });
        let result = self.segment.mend().and_then(|()| self.check_around()).and_then(|()| self.put(&about));
        match result {
            Ok(_) => {
                tracing::info!("the journal can be written again");
                self.condition = Condition::Well;
                Ok(())
            }
            Err(error) => {
                self.ail(&error);
                Err(error)
            }
        }
    }

    /// Looks at what is needed beside the segment: the checkpoints, and space.
    fn check_around(&self) -> Result<(), JournalError> {
        if let Some(how) = self.checkpoints_disturbed {
            return Err(JournalError::Disturbed(how));
        }
        let free = disk::free_bytes(&self.dir).doing("look at the free space")?;
        if free < self.min_free_bytes {
            return Err(JournalError::Full { free, reserve: self.min_free_bytes });
        }
        Ok(())
    }

    fn put(&mut self, record: &Record) -> Result<Receipt, JournalError> {
        if matches!(record, Record::Intent(_)) && self.open.len() >= OPEN_EXCHANGES_MAX {
            return Err(JournalError::TooManyOpen { limit: OPEN_EXCHANGES_MAX });
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.put_with(record, &mut buffer);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            self.buffer = buffer;
        }
        let receipt = result?;
        self.follow(record);
        Ok(receipt)
    }

    fn put_with(&mut self, record: &Record, buffer: &mut Vec<u8>) -> Result<Receipt, JournalError> {
        const PAYLOAD_AT: usize = HEAD_BYTES + NONCE_BYTES;
        let fits = |bytes: usize| {
            if bytes > RECORD_BYTES_MAX {
                Err(JournalError::TooLarge { bytes, limit: RECORD_BYTES_MAX })
            } else {
                Ok(bytes)
            }
        };
        fits(encode::content_bytes(record))?;
        buffer.clear();
        buffer.resize(PAYLOAD_AT, 0);
        encode::encode(record, buffer)?;
        let plain_bytes = fits(buffer.len() - PAYLOAD_AT)?;
        let payload_bytes = NONCE_BYTES + plain_bytes + TAG_BYTES;
        self.make_room((HEAD_BYTES + payload_bytes + CHECK_BYTES) as u64)?;

        // The all-zero id stands for "no session" on disk.
        let session = record.session().filter(|session| session.bits() != 0);
        let key = self.segment.slot(session, &self.dir, &self.faults)?;
        self.new_names |= key == 1;
        let head = Head {
            payload_bytes: u32::try_from(payload_bytes)
                .map_err(|_| JournalError::TooLarge { bytes: plain_bytes, limit: RECORD_BYTES_MAX })?,
            kind: record.kind() as u8,
            sequence: self.tree.size(),
            session,
            key,
        };
        let nonce = self.nonces.next()?;
        let (head_place, rest) = buffer.split_at_mut(HEAD_BYTES);
        head_place.copy_from_slice(&head.encode());
        let (nonce_place, body) = rest.split_at_mut(NONCE_BYTES);
        nonce_place.copy_from_slice(&nonce);
        let key = self.segment.key(session).ok_or(JournalError::Random)?;
        let tag = key.seal_in_place(nonce, head_place, body)?;
        buffer.extend_from_slice(&tag);
        let hash = leaf(buffer);
        buffer.extend(hash.iter().take(CHECK_BYTES));
        self.segment.write(buffer)?;
        self.tree.push(hash);
        Ok(Receipt { sequence: head.sequence, hash })
    }

    /// Begins a new segment where the current one would grow too large.
    fn make_room(&mut self, frame_bytes: u64) -> Result<(), JournalError> {
        if !self.segment.is_used() || self.segment.end.saturating_add(frame_bytes) <= self.segment_bytes_max {
            return Ok(());
        }
        let fresh = Segment::make(
            &self.dir,
            &self.identity,
            self.segment.number + 1,
            self.tree.size(),
            (self.clock)(),
            &self.faults,
        )?;
        let mut full = std::mem::replace(&mut self.segment, fresh);
        self.unsynced.extend(full.unsynced());
        self.new_names = true;
        Ok(())
    }

    /// Keeps track of which exchanges are open, and lets go of keys of sessions that ended.
    fn follow(&mut self, record: &Record) {
        follow(&mut self.open, record);
        if let Record::SessionClosed(closed) = record {
            self.forget(closed.session);
        }
    }

    fn forget(&mut self, session: SessionId) {
        self.segment.forget(session);
    }
}

/// Keeps track of which exchanges are open.
pub(crate) fn follow(open: &mut HashMap<RequestId, Unfinished>, record: &Record) {
    match record {
        Record::Intent(intent) => {
            let unfinished = Unfinished { request: intent.request, session: intent.session, at: intent.at };
            open.insert(intent.request, unfinished);
        }
        Record::Outcome(outcome) => {
            open.remove(&outcome.request);
        }
        _ => {}
    }
}
