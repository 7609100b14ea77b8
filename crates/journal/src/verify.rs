//! The full proof: every record against every checkpoint.
//!
//! Promise: whatever differs from what was written, up to the last checkpoint, is found, and the first such place is
//! named: a flipped bit in any file, a record dropped, put in, repeated or moved, a tail cut off. Nothing is taken on
//! trust from the state file. Memory is bounded, whatever the journal's size: sessions that were shredded are the only
//! thing kept.
//! Exceptions: a record beyond the last checkpoint that was cut off whole leaves no trace; an unfinished one at the end
//! is reported as [`Tail::torn_bytes`], not as a fault: that is what a killed writer leaves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Take};
use std::path::Path;

use keyward_core::seal::SealingKey;
use keyward_core::{SessionId, Timestamp};

use crate::commit::CHECKPOINTS;
use crate::disk::{self, keys_name};
use crate::error::{Doing, JournalError};
use crate::identity::{IDENTITY, Identity, VERIFIER};
use crate::keys::{SLOT_BYTES, Slot, slot_offset};
use crate::note::{Checkpoint, NextNote, Notes};
use crate::record::{Kind, Record};
use crate::scan::{Next, Opened, Place, Scan};
use crate::state::{STATE, State};
use crate::tree::Tree;

/// What a proof covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Records proved.
    pub records: u64,
    /// Segment files.
    pub segments: u64,
    /// Sessions that have records.
    pub sessions: u64,
    /// Sessions whose key was destroyed on purpose; their records are proved, not read.
    pub shredded: u64,
    /// Leaves of the tree over all records.
    pub tree_size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// Signed checkpoints that agree with the tree.
    pub checkpoints: u64,
    /// When the last checkpoint was signed.
    pub last_checkpoint: Option<Timestamp>,
    /// What lies beyond the last checkpoint.
    pub tail: Tail,
}

/// What lies beyond the last checkpoint: consistent, but not signed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// Whole records.
    pub records: u64,
    /// Bytes of a record that was not finished.
    pub torn_bytes: u64,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBad {
    /// The file, relative to the journal's directory.
    pub file: String,
    /// The segment's number; 0 where the fault is not in a segment.
    pub segment: u64,
    /// The record's sequence number: the one that is bad, or the one that should stand there.
    pub sequence: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for FirstBad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at record {} ({} offset {})", self.what, self.sequence, self.file, self.offset)
    }
}

/// Why a journal could not be proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not what was written.
    #[error("{0}")]
    Bad(FirstBad),
    /// It could not be read.
    #[error("the journal cannot be read")]
    Unreadable(#[source] JournalError),
}

impl From<JournalError> for VerifyError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Damaged(bad) => Self::Bad(bad),
            error => Self::Unreadable(error),
        }
    }
}

/// Proves the journal in `dir`. Works while it is being written. `key` is the journal's key, as in
/// [`crate::Options::key`].
pub fn verify(dir: &Path, key: &SealingKey) -> Result<Report, VerifyError> {
    verify_against(dir, key, &[])
}

/// Proves the journal in `dir`, and that it continues each of these checkpoints (signed notes, kept elsewhere).
pub fn verify_against(dir: &Path, key: &SealingKey, kept: &[String]) -> Result<Report, VerifyError> {
    let missing = || JournalError::NotAJournal { dir: dir.to_owned(), missing: IDENTITY };
    let identity = Identity::read(dir, key)?.ok_or_else(missing)?;
    check_public_key(dir, &identity)?;
    // The order matters beside a running writer: what is signed is looked at before the records, so that records can
    // only be more than that.
    let mut proof = Proof::new(dir, &identity, kept)?;
    let segments = disk::segments(dir).doing("list the journal's segments")?;
    proof.advance()?;
    for (expected, segment) in (1..).zip(&segments) {
        if expected != *segment {
            return Err(proof.bad(expected, 0, "a segment is missing"));
        }
        proof.segment(expected, segments.len() as u64 == expected)?;
    }
    proof.finish(segments.len() as u64)
}

/// What is proved so far.
struct Proof<'a> {
    dir: &'a Path,
    identity: &'a Identity,
    tree: Tree,
    notes: Notes<BufReader<Take<File>>>,
    notes_bytes: u64,
    /// The next checkpoint that the tree must reach, and where it stands.
    awaited: Option<(Checkpoint, u64)>,
    unfinished_note: Option<u64>,
    kept: Vec<Checkpoint>,
    state: Option<State>,
    last: Option<Checkpoint>,
    checkpoints: u64,
    sessions: u64,
    /// Shredded sessions by the slots that were wiped: where the first was.
    wiped: HashMap<SessionId, (u64, u64)>,
    /// Sessions with a record about their shredding.
    buried: HashSet<SessionId>,
    /// Where the last segment read ends.
    end: (u64, u64),
    torn_bytes: u64,
}

impl<'a> Proof<'a> {
    fn new(dir: &'a Path, identity: &'a Identity, kept: &[String]) -> Result<Self, VerifyError> {
        let mut checkpoints = Vec::new();
        for note in kept {
            let checkpoint = identity.signer.verifier().open(note);
            checkpoints
                .push(checkpoint.ok_or_else(|| elsewhere(0, "a kept checkpoint has no valid signature"))?);
        }
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        let state = State::read(dir, &identity.states);
        let state = state.map_err(|()| beside(STATE, 0, 0, "the state file is not what was written"))?;
        let file = File::open(dir.join(CHECKPOINTS)).doing("open the checkpoints")?;
        let notes_bytes = file.metadata().doing("look at the checkpoints")?.len();
        Ok(Self {
            dir,
            identity,
            tree: Tree::default(),
            notes: Notes::new(BufReader::new(file.take(notes_bytes)), 0),
            notes_bytes,
            awaited: None,
            unfinished_note: None,
            kept: checkpoints,
            state,
            last: None,
            checkpoints: 0,
            sessions: 0,
            wiped: HashMap::new(),
            buried: HashSet::new(),
            end: (1, 0),
            torn_bytes: 0,
        })
    }

    fn bad(&self, segment: u64, offset: u64, what: &'static str) -> VerifyError {
        let file = disk::segment_name(segment);
        VerifyError::Bad(FirstBad { file, segment, sequence: self.tree.size(), offset, what })
    }

    /// Proves one segment.
    fn segment(&mut self, segment: u64, last: bool) -> Result<(), VerifyError> {
        self.end = (segment, 0);
        let mut scan = match Scan::open(self.dir, self.identity, segment)? {
            Opened::Segment(scan) => scan,
            Opened::Torn(bytes) if last && segment > 1 => {
                self.torn_bytes = bytes;
                return Ok(());
            }
            Opened::Torn(_) => return Err(self.bad(segment, 0, "a segment is cut off")),
            Opened::Bad => {
                return Err(self.bad(segment, 0, "the head of a segment is not what was written"));
            }
        };
        if scan.head().first != self.tree.size() {
            return Err(self.bad(segment, 0, "a segment does not follow the one before it"));
        }
        loop {
            self.end = (segment, scan.offset());
            let place = match scan.next()? {
                Next::Frame(place) => place,
                Next::End => break,
                Next::Torn(bytes) if last => {
                    self.torn_bytes = bytes;
                    break;
                }
                Next::Torn(_) => return Err(self.bad(segment, scan.offset(), "a record is cut off")),
                Next::Bad(what) => return Err(self.bad(segment, scan.offset(), what)),
            };
            self.record(segment, &mut scan, &place)?;
        }
        self.slots(segment, &scan, last)
    }

    fn record(&mut self, segment: u64, scan: &mut Scan, place: &Place) -> Result<(), VerifyError> {
        let bad = |proof: &Self, what| Err(proof.bad(segment, place.offset, what));
        if place.head.sequence != self.tree.size() {
            return bad(self, "a record is missing, repeated or moved");
        }
        let record = match scan.record(place) {
            Ok(record) => record,
            Err(JournalError::Seal(_)) => return bad(self, "a record does not open with its key"),
            Err(JournalError::Decode) => return bad(self, "a record does not say what its head says"),
            Err(error) => return Err(error.into()),
        };
        match &record {
            Some(record) if record.session().filter(|id| id.bits() != 0) != place.head.session => {
                return bad(self, "a record belongs to another session than its head says");
            }
            Some(Record::SessionOpened(_)) => self.sessions += 1,
            Some(Record::Shredded(shredded)) => {
                self.buried.insert(shredded.session);
            }
            None if place.head.kind == Kind::SessionOpened as u8 => self.sessions += 1,
            _ => {}
        }
        self.tree.push(place.leaf);
        self.advance()
    }

    /// Compares the tree with every checkpoint of its present size, and takes up the next ones.
    fn advance(&mut self) -> Result<(), VerifyError> {
        let size = self.tree.size();
        loop {
            if let Some((checkpoint, offset)) = self.awaited {
                if checkpoint.size > size {
                    break;
                }
                if checkpoint.root != self.tree.root() {
                    return Err(beside(CHECKPOINTS, size, offset, "the tree contradicts a checkpoint"));
                }
                self.checkpoints += 1;
                self.last = Some(checkpoint);
            }
            if !self.take_up()? {
                break;
            }
        }
        if self.kept.iter().any(|kept| kept.size == size && kept.root != self.tree.root()) {
            return Err(elsewhere(size, "the tree contradicts a kept checkpoint"));
        }
        match &self.state {
            Some(state) if state.tree.size() == size && state.tree != self.tree => {
                Err(beside(STATE, size, 0, "the tree contradicts the state file"))
            }
            _ => Ok(()),
        }
    }

    /// Reads the next checkpoint; false when there is none.
    fn take_up(&mut self) -> Result<bool, VerifyError> {
        let size = self.tree.size();
        self.awaited = None;
        let (note, offset) = match self.notes.next().doing("read the checkpoints")? {
            NextNote::Note(note, offset) => (note, offset),
            NextNote::Unfinished(offset) => {
                self.unfinished_note = Some(offset);
                return Ok(false);
            }
            NextNote::End(_) => return Ok(false),
        };
        let Some(checkpoint) = self.identity.signer.verifier().open(&note) else {
            return Err(beside(CHECKPOINTS, size, offset, "a checkpoint has no valid signature"));
        };
        if self.last.is_some_and(|last| last.size >= checkpoint.size) {
            return Err(beside(CHECKPOINTS, size, offset, "a checkpoint is repeated or moved"));
        }
        self.awaited = Some((checkpoint, offset));
        Ok(true)
    }

    /// Proves the keys of a segment: each slot opens, or was wiped.
    fn slots(&mut self, segment: u64, scan: &Scan, last: bool) -> Result<(), VerifyError> {
        let name = keys_name(segment);
        let length = match std::fs::metadata(self.dir.join(&name)) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(JournalError::Io { doing: "look at the keys of a segment", source }.into());
            }
        };
        let bad = |offset, what| {
            let (file, sequence) = (name.clone(), scan.head().first);
            VerifyError::Bad(FirstBad { file, segment, sequence, offset, what })
        };
        let slots = u32::try_from(length / SLOT_BYTES as u64).unwrap_or(u32::MAX);
        for slot in 1..=slots {
            let offset = slot_offset(slot);
            match scan.ring().slot(slot)? {
                Some(Slot::Key(..)) | None => {}
                Some(Slot::Wiped(session)) => {
                    self.wiped.entry(session).or_insert((segment, offset));
                }
                Some(Slot::Bad) => return Err(bad(offset, "a session's key is not what was written")),
            }
        }
        if !last && !length.is_multiple_of(SLOT_BYTES as u64) {
            return Err(bad(slot_offset(slots.saturating_add(1)), "a session's key is cut off"));
        }
        Ok(())
    }

    /// Looks at what must have been reached by now.
    fn finish(self, segments: u64) -> Result<Report, VerifyError> {
        let size = self.tree.size();
        let wanted = self.awaited.map(|(checkpoint, _)| checkpoint.size);
        let state = self.state.as_ref().map(|state| state.tree.size());
        if wanted.into_iter().chain(state).any(|wanted| wanted > size) {
            return Err(self.bad(self.end.0, self.end.1, "records are missing that a checkpoint covers"));
        }
        if self.kept.iter().any(|kept| kept.size > size) {
            return Err(self.bad(
                self.end.0,
                self.end.1,
                "records are missing that a kept checkpoint covers",
            ));
        }
        if let Some(offset) = self.unfinished_note {
            // A writer may be at it just now; then the file has grown since.
            let now = std::fs::metadata(self.dir.join(CHECKPOINTS)).doing("look at the checkpoints")?.len();
            if now == self.notes_bytes {
                return Err(beside(CHECKPOINTS, size, offset, "a checkpoint is cut off"));
            }
        }
        if let Some((_, (segment, offset))) =
            self.wiped.iter().filter(|(session, _)| !self.buried.contains(session)).min_by_key(|(_, at)| **at)
        {
            let (segment, offset, file) = (*segment, *offset, keys_name(*segment));
            let what = "a session's key was wiped without a record of it";
            return Err(VerifyError::Bad(FirstBad { file, segment, sequence: size, offset, what }));
        }
        let signed = self.last.map_or(0, |last| last.size);
        Ok(Report {
            records: size,
            segments,
            sessions: self.sessions,
            shredded: self.wiped.len() as u64,
            tree_size: size,
            root: self.tree.root(),
            checkpoints: self.checkpoints,
            last_checkpoint: self.last.map(|last| last.at),
            tail: Tail { records: size - signed, torn_bytes: self.torn_bytes },
        })
    }
}

fn check_public_key(dir: &Path, identity: &Identity) -> Result<(), VerifyError> {
    let text = std::fs::read(dir.join(VERIFIER)).doing("read the public key")?;
    if text == format!("{}\n", identity.signer.verifier().text()).as_bytes() {
        return Ok(());
    }
    Err(beside(VERIFIER, 0, 0, "the public key is not the journal's"))
}

fn beside(file: &str, sequence: u64, offset: u64, what: &'static str) -> VerifyError {
    VerifyError::Bad(FirstBad { file: file.to_owned(), segment: 0, sequence, offset, what })
}

fn elsewhere(sequence: u64, what: &'static str) -> VerifyError {
    beside("(kept checkpoint)", sequence, 0, what)
}
