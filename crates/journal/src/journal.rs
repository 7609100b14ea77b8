//! The journal as its users hold it.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use keyward_core::seal::SealingKey;
use keyward_core::{RequestId, SessionId, Timestamp};

use crate::commit::{CHECKPOINTS, Shared, Sign, Syncing};
use crate::disk::{self, Disk};
use crate::error::{Doing, JournalError};
use crate::faults::Faults;
use crate::identity::{IDENTITY, Identity, Nonces};
use crate::record::Record;
use crate::recover::recover;
use crate::segment::Segment;
use crate::writer::{Condition, Writer};

/// The file that is locked while a journal is open.
const LOCK: &str = "lock";

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once the operating system has it: a killed process loses nothing, a power cut may lose the last seconds.
    #[default]
    Written,
    /// Once it is on disk.
    Synced,
}

/// How a journal is opened.
pub struct Options {
    /// Its directory; made when missing (mode 0700).
    pub dir: PathBuf,
    /// The journal's key, derived from the master key for this purpose.
    pub key: SealingKey,
    /// What [`Journal::commit`] waits for.
    pub durability: Durability,
    /// A new segment begins before the current one grows beyond this.
    pub segment_bytes_max: u64,
    /// Appends are refused while less than this is free on the disk.
    pub min_free_bytes: u64,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// Proof that a record is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its number, from 0, without gaps.
    pub sequence: u64,
    /// Its leaf hash in the tree (RFC 6962).
    pub hash: [u8; 32],
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Records in the journal.
    pub records: u64,
    /// A tail that was cut off because it was not whole.
    pub torn: Option<Torn>,
    /// Exchanges with an intent and no outcome; the caller appends one that ends in `unknown` for each.
    pub unfinished: Vec<Unfinished>,
    /// Bytes that had to be read.
    pub scanned_bytes: u64,
}

/// A tail that was cut off. The bytes are kept in `NNNNNNNN.cut` beside the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment's number.
    pub segment: u64,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes, over all segments.
    pub bytes: u64,
}

/// An exchange that was open when the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unfinished {
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// When its intent was written.
    pub at: Timestamp,
}

/// An open journal; clones share it. When the last one is dropped without [`Journal::close`], everything appended is
/// still there, only not signed.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    durability: Durability,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held while the journal is open.
    lock: Mutex<Option<File>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    fn stop(&self) {
        self.shared.stop();
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the journal's thread ended in a panic");
        }
        if let Ok(mut lock) = self.lock.lock() {
            *lock = None;
        }
    }
}

impl Journal {
    /// Opens the journal in `options.dir`, or makes a new one; repairs a torn tail.
    pub fn open(options: Options) -> Result<(Self, Recovery), JournalError> {
        Self::open_with(options, &Faults::default())
    }

    pub(crate) fn open_with(options: Options, faults: &Faults) -> Result<(Self, Recovery), JournalError> {
        let Options { dir, key, durability, segment_bytes_max, min_free_bytes, clock } = options;
        disk::make_dir(&dir)?;
        let lock = lock(&dir)?;
        let segments = disk::segments(&dir).doing("list the journal's segments")?;
        let identity = match Identity::read(&dir, &key)? {
            Some(identity) => identity,
            None if segments.is_empty() => Identity::make(&dir, &key)?,
            None => return Err(JournalError::NotAJournal { dir, missing: IDENTITY }),
        };
        let identity = Arc::new(identity);
        let good = recover(&dir, &identity)?;
        let segment = match &good.last {
            Some((head, end)) => Segment::resume(&dir, &identity, head, *end, faults),
            None => Segment::make(&dir, &identity, 1, 0, clock(), faults),
        }?;
        let checkpoints = open_checkpoints(&dir, good.checkpoints_end, faults)?;
        disk::sync_dir(&dir).doing("sync the journal's directory")?;
        let unfinished = good.open.values().copied().collect();
        let (records, torn, scanned_bytes) = (good.tree.size(), good.torn, good.scanned_bytes);
        let syncing = Syncing {
            checkpoints,
            end: good.checkpoints_end,
            signed: good.signed.map_or(0, |signed| signed.size),
            signed_at: Instant::now(),
        };
        let mut writer = Writer {
            dir,
            identity,
            clock,
            segment_bytes_max,
            min_free_bytes,
            segment,
            tree: good.tree,
            open: good.open,
            condition: Condition::Well,
            checkpoints_disturbed: None,
            unsynced: Vec::new(),
            new_names: false,
            buffer: Vec::new(),
            nonces: Nonces::new(),
            faults: faults.clone(),
        };
        // A journal that opens on a full disk opens unwell.
        writer.look_after();
        let shared = Arc::new(Shared::new(writer, syncing));
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || worker.run())
            .doing("start the journal's thread")?;
        let handle =
            Handle { shared, durability, thread: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) };
        Ok((Self { handle: Arc::new(handle) }, Recovery { records, torn, unfinished, scanned_bytes }))
    }

    /// Appends one record. Takes microseconds and never waits for the disk; may be called on an async worker.
    pub fn append(&self, record: &Record) -> Result<Receipt, JournalError> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Appends records in order with one write: all of them, or none. The receipt is the last one's; none for no records
    /// is an error.
    pub fn append_all(&self, records: &[Record]) -> Result<Receipt, JournalError> {
        self.handle.shared.writer()?.append(records)
    }

    /// Ready when the record behind `receipt` is on disk, together with all before it.
    pub fn sync(&self, receipt: &Receipt) -> Synced {
        let shared = Some(Arc::clone(&self.handle.shared));
        Synced { shared, sequence: receipt.sequence, waiter: None }
    }

    /// Ready when the record is as durable as the options ask: at once, or like [`Journal::sync`].
    pub fn commit(&self, receipt: &Receipt) -> Synced {
        match self.handle.durability {
            Durability::Written => Synced { shared: None, sequence: receipt.sequence, waiter: None },
            Durability::Synced => self.sync(receipt),
        }
    }

    /// Like [`Journal::sync`] for code that may block its thread.
    pub fn sync_blocking(&self, receipt: &Receipt) -> Result<(), JournalError> {
        self.handle.shared.wait_synced(receipt.sequence)
    }

    /// Whether an append would work, as far as is known: at most a second old, also while nothing is appended.
    pub fn healthy(&self) -> Result<(), JournalError> {
        self.handle.shared.writer()?.healthy()
    }

    /// Signs a checkpoint now, over everything appended so far; blocks for a disk sync.
    pub fn checkpoint(&self) -> Result<(), JournalError> {
        self.handle.shared.sync_all(Sign::Yes)
    }

    /// Syncs, signs a checkpoint and ends the journal; later appends are refused. Blocks.
    pub fn close(&self) -> Result<(), JournalError> {
        {
            let mut writer = self.handle.shared.writer()?;
            match writer.condition {
                Condition::Closed => return Ok(()),
                Condition::Sealed(_) => {}
                Condition::Well | Condition::Ailing { .. } => writer.condition = Condition::Closed,
            }
        }
        let result = self.checkpoint();
        self.handle.stop();
        result
    }

    /// The public key of the checkpoints, in the form of C2SP signed notes (`NAME+HASH+KEY`).
    pub fn verifier(&self) -> String {
        self.handle.shared.identity.signer.verifier().text()
    }
}

/// Fails where another process has the journal in `dir` open: for whoever changes something beside it before it is opened, which
/// asks again.
pub fn unless_in_use(dir: &Path) -> Result<(), JournalError> {
    if dir.join(LOCK).exists() { lock(dir).map(drop) } else { Ok(()) }
}

/// Takes the lock of the journal in `dir`.
fn lock(dir: &Path) -> Result<File, JournalError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join(LOCK))
        .doing("open the journal's lock")?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(JournalError::Io { doing: "lock the journal", source }),
    }
}

/// Opens the checkpoints for writing after the last good one.
fn open_checkpoints(dir: &Path, end: u64, faults: &Faults) -> Result<Disk, JournalError> {
    let path = dir.join(CHECKPOINTS);
    let disk = if path.exists() { Disk::open(path, faults) } else { Disk::create(path, faults) };
    let disk = disk.doing("open the checkpoints")?;
    disk.cut(end).doing("cut an unfinished checkpoint off")?;
    Ok(disk)
}

/// Waits for a record to be on disk. Needs no particular runtime; may be dropped at any time.
#[must_use = "a record is on disk only once this is ready"]
pub struct Synced {
    /// None when there is nothing to wait for.
    shared: Option<Arc<Shared>>,
    sequence: u64,
    waiter: Option<u64>,
}

impl Future for Synced {
    type Output = Result<(), JournalError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, sequence, waiter } = self.get_mut();
        match shared {
            Some(shared) => shared.poll_synced(*sequence, waiter, context.waker()),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        if let (Some(shared), Some(waiter)) = (&self.shared, self.waiter) {
            shared.leave(waiter);
        }
    }
}

#[cfg(test)]
mod tests;
