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
    /// Appends records in order, all or none of them, with one write. The receipt is the last one's.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<Receipt, JournalError> {
        match &self.condition {
            Condition::Well | Condition::Ailing { .. } => {}
            Condition::Sealed(reason) => return Err(JournalError::Sealed(reason.clone())),
            Condition::Closed => return Err(JournalError::Closed),
        }
        let result = self.resume().and_then(|()| self.put(records));
        if let Err(error) = &result {
            self.ail(error);
            if let Condition::Ailing { refused, .. } = &mut self.condition {
                *refused = refused.saturating_add(records.len() as u64);
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
        let result = self
            .segment
            .mend()
            .and_then(|()| self.check_around())
            .and_then(|()| self.put(std::slice::from_ref(&about)));
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

    fn put(&mut self, records: &[Record]) -> Result<Receipt, JournalError> {
        let intents = records.iter().filter(|record| matches!(record, Record::Intent(_))).count();
        if intents > 0 && self.open.len() + intents > OPEN_EXCHANGES_MAX {
            return Err(JournalError::TooManyOpen { limit: OPEN_EXCHANGES_MAX });
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.put_with(records, &mut buffer);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            self.buffer = buffer;
        }
        let receipt = result?;
        for record in records {
            self.follow(record);
        }
        Ok(receipt)
    }

    fn put_with(&mut self, records: &[Record], buffer: &mut Vec<u8>) -> Result<Receipt, JournalError> {
        buffer.clear();
        let mut ends = Vec::with_capacity(records.len());
        for record in records {
            lay_out(record, buffer)?;
            ends.push(buffer.len());
        }
        self.make_room(buffer.len() as u64)?;

        let first = self.tree.size();
        let mut hashes = Vec::with_capacity(records.len());
        let mut start = 0;
        for ((record, end), sequence) in records.iter().zip(ends).zip(first..) {
            let frame = buffer.get_mut(start..end).ok_or(JournalError::Decode)?;
            hashes.push(self.close_frame(record, sequence, frame)?);
            start = end;
        }
        let last = hashes.last().copied().ok_or(JournalError::Decode)?;
        self.segment.write(buffer)?;
        let sequence = first + (hashes.len() as u64).saturating_sub(1);
        for hash in hashes {
            self.tree.push(hash);
        }
        Ok(Receipt { sequence, hash: last })
    }

    /// Seals a frame that was laid out, in place.
    fn close_frame(
        &mut self,
        record: &Record,
        sequence: u64,
        frame: &mut [u8],
    ) -> Result<[u8; 32], JournalError> {
        // The all-zero id stands for "no session" on disk.
        let session = record.session().filter(|session| session.bits() != 0);
        let key = self.segment.slot(session, &self.dir, &self.faults)?;
        self.new_names |= key == 1;
        let payload_bytes = frame.len() - HEAD_BYTES - CHECK_BYTES;
        let head = Head {
            payload_bytes: u32::try_from(payload_bytes)
                .map_err(|_| JournalError::TooLarge { bytes: payload_bytes, limit: RECORD_BYTES_MAX })?,
            kind: record.kind() as u8,
            sequence,
            session,
            key,
        };
        let nonce = self.nonces.next()?;
        let (sealed, check_place) = frame.split_at_mut(HEAD_BYTES + payload_bytes);
        let (head_place, rest) = sealed.split_at_mut(HEAD_BYTES);
        head_place.copy_from_slice(&head.encode());
        let (nonce_place, rest) = rest.split_at_mut(NONCE_BYTES);
        nonce_place.copy_from_slice(&nonce);
        let (body, tag_place) = rest.split_at_mut(payload_bytes - NONCE_BYTES - TAG_BYTES);
        let key = self.segment.key(session).ok_or(JournalError::Random)?;
        let tag = key.seal_in_place(nonce, head_place, body)?;
        tag_place.copy_from_slice(&tag);
        let hash = leaf(sealed);
        for (place, byte) in check_place.iter_mut().zip(hash) {
            *place = byte;
        }
        Ok(hash)
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

/// Appends the frame of a record to `buffer`, with room for what sealing puts into it.
fn lay_out(record: &Record, buffer: &mut Vec<u8>) -> Result<(), JournalError> {
    const PAYLOAD_AT: usize = HEAD_BYTES + NONCE_BYTES;
    let fits = |bytes: usize| match bytes {
        0..=RECORD_BYTES_MAX => Ok(()),
        bytes => Err(JournalError::TooLarge { bytes, limit: RECORD_BYTES_MAX }),
    };
    fits(encode::content_bytes(record))?;
    let start = buffer.len() + PAYLOAD_AT;
    buffer.resize(start, 0);
    encode::encode(record, buffer)?;
    fits(buffer.len() - start)?;
    buffer.resize(buffer.len() + TAG_BYTES + CHECK_BYTES, 0);
    Ok(())
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
