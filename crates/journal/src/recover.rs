//! Opening a journal: finds its good end, repairs a torn tail, and refuses what contradicts a checkpoint.
//!
//! Promise: nothing that a signed checkpoint covers is ever cut off; where such records are missing or changed the
//! journal is not opened (*fails closed*). What is cut off beyond it is kept in a `.cut` file.
//! Exception: what the sealed state file covers is not read again here; [`crate::verify`] reads all of it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keyward_core::RequestId;

use crate::commit::CHECKPOINTS;
use crate::disk::{self, keys_name, segment_name};
use crate::error::{Doing, JournalError};
use crate::frame::SegmentHead;
use crate::identity::Identity;
use crate::journal::{Torn, Unfinished};
use crate::note::{Checkpoint, NextNote, Notes, Verifier};
use crate::record::Kind;
use crate::scan::{Next, Opened, Scan};
use crate::state::State;
use crate::tree::Tree;
use crate::verify::FirstBad;
use crate::writer::follow;

/// Where a journal can be gone on with.
pub(crate) struct Good {
    /// Header and good end of the last segment; none when there is no segment yet.
    pub(crate) last: Option<(SegmentHead, u64)>,
    pub(crate) tree: Tree,
    pub(crate) open: HashMap<RequestId, Unfinished>,
    pub(crate) torn: Option<Torn>,
    pub(crate) scanned_bytes: u64,
    /// Good length of the checkpoints file, and the last checkpoint in it.
    pub(crate) checkpoints_end: u64,
    pub(crate) signed: Option<Checkpoint>,
}

/// Where reading broke off.
struct Broken {
    segment: u64,
    offset: u64,
    what: &'static str,
}

/// Finds the good end of the journal in `dir` and repairs its tail.
pub(crate) fn recover(dir: &Path, identity: &Identity) -> Result<Good, JournalError> {
    let (checkpoints_end, signed) = last_checkpoint(dir, identity.signer.verifier())?;
    let segments = disk::segments(dir).doing("list the journal's segments")?;
    let mut good = Good {
        last: None,
        tree: Tree::default(),
        open: HashMap::new(),
        torn: None,
        scanned_bytes: 0,
        checkpoints_end,
        signed,
    };
    let damaged = |good: &Good, segment: u64, offset: u64, what| {
        let file = segment_name(segment);
        JournalError::Damaged(FirstBad { file, segment, sequence: good.tree.size(), offset, what })
    };
    if let Some((segment, _)) = (1..).zip(&segments).find(|(expected, found)| expected != *found) {
        return Err(damaged(&good, segment, 0, "a segment is missing"));
    }
    let mut start = (1, 0);
    // A state that does not open is as good as none: reading all of it shows the same.
    if let Ok(Some(state)) = State::read(dir, &identity.states) {
        let length = std::fs::metadata(dir.join(segment_name(state.segment))).map(|meta| meta.len());
        if !length.is_ok_and(|length| length >= state.offset) {
            good.tree = state.tree;
            return Err(damaged(&good, state.segment, state.offset, "records are missing"));
        }
        start = (state.segment, state.offset);
        good.open = state.open.into_iter().map(|open| (open.request, open)).collect();
        good.tree = state.tree;
    }
    if !agrees(&good) {
        return Err(damaged(&good, start.0, start.1, "the tree contradicts a checkpoint"));
    }
    let broken = read_on(dir, identity, &segments, start, &mut good)?;
    let covered = good.signed.map_or(0, |checkpoint| checkpoint.size);
    if good.tree.size() < covered {
        let end = good.last.as_ref().map_or((1, 0), |(head, end)| (head.segment, *end));
        let (segment, offset, what) = match broken {
            Some(Broken { segment, offset, what }) => (segment, offset, what),
            None => (end.0, end.1, "records are missing"),
        };
        return Err(damaged(&good, segment, offset, what));
    }
    if let Some(Broken { segment, offset, .. }) = broken {
        good.torn = Some(cut(dir, &segments, segment, offset)?);
    }
    // What a killed process left in the page cache must be on disk before any later record counts as synced.
    for &segment in segments.iter().filter(|&&segment| segment >= start.0) {
        for name in [keys_name(segment), segment_name(segment)] {
            match File::open(dir.join(name)) {
                Ok(file) => file.sync_data().doing("sync a segment")?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(source).doing("open a segment"),
            }
        }
    }
    Ok(good)
}

/// Reads from `start` to the end or to the first fault.
fn read_on(
    dir: &Path,
    identity: &Identity,
    segments: &[u64],
    start: (u64, u64),
    good: &mut Good,
) -> Result<Option<Broken>, JournalError> {
    for &segment in segments.iter().filter(|&&segment| segment >= start.0) {
        let broken = |offset, what| Ok(Some(Broken { segment, offset, what }));
        let mut scan = match Scan::open(dir, identity, segment)? {
            Opened::Segment(scan) => scan,
            Opened::Torn(_) => return broken(0, "a segment is cut off"),
            Opened::Bad => return broken(0, "the head of a segment is not what was written"),
        };
        if segment == start.0 && start.1 > 0 {
            scan.seek(start.1)?;
        } else if scan.head().first != good.tree.size() {
            return broken(0, "a segment does not follow the one before it");
        }
        let begin = scan.offset();
        loop {
            good.last = Some((scan.head().clone(), scan.offset()));
            let place = match scan.next()? {
                Next::Frame(place) => place,
                Next::End => break,
                Next::Torn(_) => return broken(scan.offset(), "a record is cut off"),
                Next::Bad(what) => return broken(scan.offset(), what),
            };
            if place.head.sequence != good.tree.size() {
                return broken(place.offset, "a record is missing, repeated or moved");
            }
            if place.head.kind == Kind::Intent as u8 || place.head.kind == Kind::Outcome as u8 {
                match scan.record(&place) {
                    Ok(record) => record.iter().for_each(|record| follow(&mut good.open, record)),
                    Err(_) => return broken(place.offset, "a record does not open"),
                }
            }
            good.tree.push(place.leaf);
            if !agrees(good) {
                return broken(place.offset, "the tree contradicts a checkpoint");
            }
        }
        good.scanned_bytes += scan.offset() - begin;
    }
    Ok(None)
}

/// Whether the tree is what the last checkpoint says, where it has just that size.
fn agrees(good: &Good) -> bool {
    good.signed.is_none_or(|signed| signed.size != good.tree.size() || signed.root == good.tree.root())
}

/// Cuts everything off from `offset` in `segment` on, and keeps it aside.
fn cut(dir: &Path, segments: &[u64], segment: u64, offset: u64) -> Result<Torn, JournalError> {
    let doing = "cut a torn tail off";
    let mut bytes = 0;
    for &later in segments.iter().filter(|&&later| later > segment) {
        bytes += set_aside(dir, later).doing(doing)?;
    }
    if offset == 0 {
        bytes += set_aside(dir, segment).doing(doing)?;
    } else {
        let mut file =
            OpenOptions::new().read(true).write(true).open(dir.join(segment_name(segment))).doing(doing)?;
        file.seek(SeekFrom::Start(offset)).doing(doing)?;
        let mut kept = OpenOptions::new();
        let mut kept = kept
            .create(true)
            .append(true)
            .mode(0o600)
            .open(dir.join(format!("{segment:08}.cut")))
            .doing(doing)?;
        bytes += io::copy(&mut file, &mut kept).doing(doing)?;
        kept.sync_all().doing(doing)?;
        file.set_len(offset).doing(doing)?;
        file.sync_all().doing(doing)?;
    }
    disk::sync_dir(dir).doing(doing)?;
    Ok(Torn { segment, offset, bytes })
}

/// Renames a whole segment and its keys.
fn set_aside(dir: &Path, segment: u64) -> io::Result<u64> {
    let path = dir.join(segment_name(segment));
    let bytes = std::fs::metadata(&path)?.len();
    std::fs::rename(&path, dir.join(format!("{}.cut", segment_name(segment))))?;
    let keys = dir.join(keys_name(segment));
    if keys.exists() {
        std::fs::rename(&keys, dir.join(format!("{}.cut", keys_name(segment))))?;
    }
    Ok(bytes)
}

/// The last good checkpoint and where it ends. An unfinished or unreadable one after it is cut off.
fn last_checkpoint(dir: &Path, verifier: &Verifier) -> Result<(u64, Option<Checkpoint>), JournalError> {
    let doing = "read the checkpoints";
    let mut file = match File::open(dir.join(CHECKPOINTS)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, None)),
        Err(source) => return Err(JournalError::Io { doing, source }),
    };
    let length = file.metadata().doing(doing)?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from)).doing(doing)?;
    let mut tail = Vec::new();
    (&mut file).take(TAIL_BYTES).read_to_end(&mut tail).doing(doing)?;
    // A note may begin at the start of the file or after an empty line.
    let starts = (0..tail.len()).filter(|&at| match at {
        0 => from == 0,
        at => tail.get(at.saturating_sub(2)..at) == Some(b"\n\n"),
    });
    let starts: Vec<usize> = starts.collect();
    for &start in starts.iter().rev() {
        let rest = tail.get(start..).unwrap_or_default();
        let Ok(NextNote::Note(note, _)) = Notes::new(BufReader::new(rest), 0).next() else {
            continue;
        };
        if let Some(checkpoint) = verifier.open(&note) {
            return Ok((from + (start + note.len() + 1) as u64, Some(checkpoint)));
        }
    }
    if length > UNFINISHED_BYTES_MAX {
        let what = "no checkpoint has a valid signature";
        let file = CHECKPOINTS.to_owned();
        return Err(JournalError::Damaged(FirstBad { file, segment: 0, sequence: 0, offset: from, what }));
    }
    Ok((0, None))
}

/// How much of the checkpoints is looked at: some thirty of them.
const TAIL_BYTES: u64 = 8 << 10;
/// A file no longer than this may be a first checkpoint that was never finished.
const UNFINISHED_BYTES_MAX: u64 = crate::note::NOTE_BYTES_MAX as u64;
