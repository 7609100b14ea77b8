//! Group commit and checkpoints: the one thread that waits for the disk, so that nobody else has to.
//!
//! Promise: a record counts as synced only after a sync that began after it was written returned without error, for
//! every file involved. The first error is final: the journal seals itself, and every waiter gets the error (*fails
//! closed*). A checkpoint is signed only over what is synced.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::disk::{self, Disk};
use crate::error::{Doing, JournalError};
use crate::identity::Identity;
use crate::note::Checkpoint;
use crate::state::State;
use crate::writer::Writer;
use crate::{CHECKPOINT_EVERY, CHECKPOINT_RECORDS};

/// The file with the signed checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// How often the thread looks after the files when nobody waits.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// Tasks that may wait for a sync at once.
pub(crate) const WAITERS_MAX: usize = 100_000;
/// Why nothing more is accepted after a panic in the writer.
const HALF_WAY: &str = "a write ended half-way";

/// What all handles of a journal and its thread share. Locks are taken in the order `syncing`, `writer`, `progress`.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) identity: Arc<Identity>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) syncing: Mutex<Syncing>,
    progress: Mutex<Progress>,
    work: Condvar,
    done: Condvar,
}

/// What only one thread at a time does: syncing and signing.
pub(crate) struct Syncing {
    pub(crate) checkpoints: Disk,
    /// Length of the file.
    pub(crate) end: u64,
    /// Records that the last checkpoint covers.
    pub(crate) signed: u64,
    pub(crate) signed_at: Instant,
}

#[derive(Default)]
struct Progress {
    /// So many records are on disk.
    synced: u64,
    /// So many should be.
    wanted: u64,
    failed: Option<String>,
    stop: bool,
    waiters: HashMap<u64, (u64, Waker)>,
    next_waiter: u64,
}

/// What there is to sync.
struct Batch {
    disks: Vec<Arc<Disk>>,
    new_names: bool,
    state: State,
}

impl Shared {
    pub(crate) fn new(writer: Writer, syncing: Syncing) -> Self {
        let progress = Progress { synced: writer.tree.size(), ..Progress::default() };
        Self {
            dir: writer.dir.clone(),
            identity: Arc::clone(&writer.identity),
            writer: Mutex::new(writer),
            syncing: Mutex::new(syncing),
            progress: Mutex::new(progress),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// The writer; an error when a panic left it in an unknown state.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, JournalError> {
        self.writer.lock().map_err(|_| JournalError::Sealed(HALF_WAY.into()))
    }

    fn progress(&self) -> Result<MutexGuard<'_, Progress>, JournalError> {
        self.progress.lock().map_err(|_| JournalError::Sealed(HALF_WAY.into()))
    }

    /// The work of the journal's thread, until it is told to stop.
    pub(crate) fn run(&self) {
        let mut next_look = Instant::now() + TICK;
        loop {
            match self.wait_for_work(next_look) {
                Work::Stop => return,
                // The error reaches those who wait for it.
                Work::Sync => report(self.sync_all(Sign::No)),
                Work::Look => {}
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + TICK;
                report(self.look_after());
            }
        }
    }

    fn wait_for_work(&self, until: Instant) -> Work {
        let Ok(mut progress) = self.progress() else {
            return Work::Stop;
        };
        loop {
            if progress.stop {
                return Work::Stop;
            }
            if progress.failed.is_none() && progress.wanted > progress.synced {
                return Work::Sync;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Look;
            }
            match self.work.wait_timeout(progress, left) {
                Ok((guard, _)) => progress = guard,
                Err(_) => return Work::Stop,
            }
        }
    }

    /// What the thread does four times a second.
    pub(crate) fn look_after(&self) -> Result<(), JournalError> {
        let checkpoints_disturbed = {
            let syncing = self.syncing.lock().map_err(|_| JournalError::Sealed(HALF_WAY.into()))?;
            syncing.checkpoints.disturbed(syncing.end).unwrap_or(Some("hidden"))
        };
        let size = {
            let mut writer = self.writer()?;
            writer.checkpoints_disturbed = checkpoints_disturbed;
            writer.look_after();
            writer.tree.size()
        };
        let due = {
            let syncing = self.syncing.lock().map_err(|_| JournalError::Sealed(HALF_WAY.into()))?;
            let unsigned = size.saturating_sub(syncing.signed);
            unsigned >= CHECKPOINT_RECORDS
                || (unsigned > 0 && syncing.signed_at.elapsed() >= CHECKPOINT_EVERY)
        };
        if due && self.progress()?.failed.is_none() { self.sync_all(Sign::Yes) } else { Ok(()) }
    }

    /// Syncs everything written so far, and signs a checkpoint over it if asked.
    pub(crate) fn sync_all(&self, sign: Sign) -> Result<(), JournalError> {
        let mut syncing = self.syncing.lock().map_err(|_| JournalError::Sealed(HALF_WAY.into()))?;
        if let Some(reason) = &self.progress()?.failed {
            return Err(JournalError::Sealed(reason.clone()));
        }
        let batch = self.batch(sign)?;
        let size = batch.state.tree.size();
        let mut result = batch.disks.iter().try_for_each(|disk| disk.sync());
        if result.is_ok() && batch.new_names {
            result = disk::sync_dir(&self.dir);
        }
        if let Err(source) = result {
            return Err(self.fail(&format!("what was written did not reach the disk: {source}")));
        }
        self.reached(size)?;
        match sign {
            Sign::Yes if size > syncing.signed => self.sign(&mut syncing, &batch.state),
            _ => Ok(()),
        }
    }

    fn batch(&self, sign: Sign) -> Result<Batch, JournalError> {
        let mut writer = self.writer()?;
        let mut disks = std::mem::take(&mut writer.unsynced);
        disks.extend(writer.segment.unsynced());
        let new_names = std::mem::take(&mut writer.new_names);
        let open = match sign {
            Sign::Yes => writer.open.values().copied().collect(),
            Sign::No => Vec::new(),
        };
        let (segment, offset) = (writer.segment.number, writer.segment.end);
        Ok(Batch { disks, new_names, state: State { segment, offset, tree: writer.tree.clone(), open } })
    }

    fn sign(&self, syncing: &mut Syncing, state: &State) -> Result<(), JournalError> {
        let at = { (self.writer()?.clock)() };
        let checkpoint = Checkpoint { size: state.tree.size(), root: state.tree.root(), at };
        let note = format!("{}\n", self.identity.signer.sign(&checkpoint));
        if let Err(source) = syncing.checkpoints.write_at(note.as_bytes(), syncing.end) {
            syncing.checkpoints.cut(syncing.end).doing("take back an unfinished checkpoint")?;
            return Err(JournalError::Io { doing: "write a checkpoint", source });
        }
        if let Err(source) = syncing.checkpoints.sync() {
            return Err(self.fail(&format!("a checkpoint did not reach the disk: {source}")));
        }
        syncing.end += note.len() as u64;
        syncing.signed = checkpoint.size;
        syncing.signed_at = Instant::now();
        state.write(&self.dir, &self.identity.states)
    }

    /// Notes that so many records are on disk, and tells those who wait.
    fn reached(&self, size: u64) -> Result<(), JournalError> {
        let ready: Vec<Waker> = {
            let mut progress = self.progress()?;
            progress.synced = progress.synced.max(size);
            progress
                .waiters
                .extract_if(|_, (sequence, _)| *sequence < size)
                .map(|(_, (_, waker))| waker)
                .collect()
        };
        self.done.notify_all();
        ready.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Ends everything: no success is ever reported after this.
    fn fail(&self, reason: &str) -> JournalError {
        if let Ok(mut writer) = self.writer() {
            writer.seal(reason);
        }
        self.end(Some(reason));
        JournalError::Sealed(reason.to_owned())
    }

    /// Stops the thread; whoever still waits gets an error.
    pub(crate) fn stop(&self) {
        self.end(None);
    }

    fn end(&self, failure: Option<&str>) {
        let waiting: Vec<Waker> = match self.progress() {
            Ok(mut progress) => {
                progress.stop |= failure.is_none();
                let reason = failure.unwrap_or("the journal is closed");
                progress.failed.get_or_insert_with(|| reason.to_owned());
                progress.waiters.drain().map(|(_, (_, waker))| waker).collect()
            }
            Err(_) => Vec::new(),
        };
        self.work.notify_all();
        self.done.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether record `sequence` is on disk; if not, `waker` is kept under `waiter` and a sync is asked for.
    pub(crate) fn poll_synced(
        &self,
        sequence: u64,
        waiter: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<(), JournalError>> {
        let mut progress = match self.progress() {
            Ok(progress) => progress,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if progress.synced > sequence {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = &progress.failed {
            return Poll::Ready(Err(JournalError::Sealed(reason.clone())));
        }
        if waiter.is_none() && progress.waiters.len() >= WAITERS_MAX {
            return Poll::Ready(Err(JournalError::TooManyWaiting { limit: WAITERS_MAX }));
        }
        progress.wanted = progress.wanted.max(sequence + 1);
        let id = *waiter.get_or_insert_with(|| {
            progress.next_waiter += 1;
            progress.next_waiter
        });
        progress.waiters.insert(id, (sequence, waker.clone()));
        drop(progress);
        self.work.notify_one();
        Poll::Pending
    }

    /// Forgets a waiter.
    pub(crate) fn leave(&self, waiter: u64) {
        if let Ok(mut progress) = self.progress() {
            progress.waiters.remove(&waiter);
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.progress().unwrap().waiters.len()
    }

    /// Waits until record `sequence` is on disk.
    pub(crate) fn wait_synced(&self, sequence: u64) -> Result<(), JournalError> {
        let mut progress = self.progress()?;
        progress.wanted = progress.wanted.max(sequence + 1);
        self.work.notify_one();
        loop {
            if progress.synced > sequence {
                return Ok(());
            }
            if let Some(reason) = &progress.failed {
                return Err(JournalError::Sealed(reason.clone()));
            }
            progress = self.done.wait(progress).map_err(|_| JournalError::Sealed(HALF_WAY.into()))?;
        }
    }
}

/// Whether a sync ends with a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Yes,
    No,
}

enum Work {
    Sync,
    Look,
    Stop,
}

fn report(result: Result<(), JournalError>) {
    if let Err(error) = result {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, "the journal could not be synced or signed");
    }
}
