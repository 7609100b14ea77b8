//! The journal: what happened, written before it has an effect, in a form that can be proved.
//!
//! Promise: when [`Journal::append`] returns, a killed process loses nothing; when [`Journal::sync`] is ready, a
//! power cut loses nothing. A record is whole or not there. What cannot be written is refused: the caller stops
//! governed traffic (*fails closed*), each later append tries again, so it resumes by itself. A failed sync is never
//! retried as a success: the journal seals itself until the next start (*fails closed*). Any bit changed, any record
//! dropped, moved, repeated or put in up to the last signed checkpoint is found by [`verify`] and named.
//! Exceptions: records after the last checkpoint (one is due after [`CHECKPOINT_EVERY`] or [`CHECKPOINT_RECORDS`],
//! looked at four times a second) can be cut off by whoever can write the directory; putting back an older copy of the *whole* directory is found only
//! against a checkpoint that was kept elsewhere ([`verify_against`]).
//!
//! On disk: `identity` (id and signing key, sealed), `verifier` (the public key), `NNNNNNNN.seg` (records), `NNNNNNNN.keys`
//! (the keys of the sessions in it, wrapped), `checkpoints` (signed notes), `state` (a sealed shortcut for a fast start;
//! may be deleted), `lock`. A session's keys stand apart from the append-only records, so that wiping them makes the
//! session unreadable while every proof still holds.
//!
//! In suggested reading order: [`record`] (the words), `frame` (bytes), `tree` and `note` (the proof), `writer` and
//! `commit` (the data path), `recover`, [`verify`], [`read`].

pub mod read;
pub mod record;

mod commit;
mod disk;
mod encode;
mod error;
mod faults;
mod frame;
mod identity;
mod journal;
mod keys;
mod newest;
mod note;
mod recover;
mod scan;
mod segment;
mod state;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
#[path = "../tests/it/sample.rs"]
mod testing;

pub use error::JournalError;
pub use journal::{Durability, Journal, Options, Receipt, Recovery, Synced, Torn, Unfinished, unless_in_use};
pub use read::Reader;
pub use record::Record;
pub use verify::{FirstBad, Report, Tail, VerifyError, verify, verify_against};

/// The largest record in bytes as encoded, before sealing.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// Exchanges that may be open (intent without outcome) at once.
pub const OPEN_EXCHANGES_MAX: usize = 262_144;
/// A checkpoint is signed at the latest after this many records.
pub const CHECKPOINT_RECORDS: u64 = 16_384;
/// A checkpoint is signed at the latest after this time, when anything was written.
pub const CHECKPOINT_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
