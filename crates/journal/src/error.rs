//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

use keyward_core::seal::SealError;

use crate::verify::FirstBad;

/// Why the journal could not be opened, written, synced or read. Carries no content of any record.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes this journal.
    #[error("the journal in {} is in use by another process", dir.display())]
    Locked {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The directory holds no journal, or only a part of one.
    #[error("there is no journal in {}: {missing} is missing", dir.display())]
    NotAJournal {
        /// The directory.
        dir: PathBuf,
        /// The file that every journal has.
        missing: &'static str,
    },
    /// The master key is not the one that the journal was made with, or its identity file was changed.
    #[error("the journal's identity cannot be opened: wrong master key, or the file was changed")]
    WrongKey,
    /// A segment was written by a newer version.
    #[error("segment {segment} has format version {version}; this program knows 1")]
    UnknownVersion {
        /// The segment's number.
        segment: u64,
        /// Its format version.
        version: u8,
    },
    /// What is on disk contradicts a signed checkpoint: records were lost or changed after they were proved.
    #[error("the journal is damaged: {0}")]
    Damaged(FirstBad),
    /// Less space is left than the configured reserve.
    #[error("{free} bytes free where the journal lives, {reserve} are kept in reserve")]
    Full {
        /// Bytes free for this process.
        free: u64,
        /// The configured reserve.
        reserve: u64,
    },
    /// A file being written was removed, replaced, cut or closed to this process by somebody else.
    #[error("a file of the journal was {0} by another process")]
    Disturbed(&'static str),
    /// One record is larger than [`crate::RECORD_BYTES_MAX`]; the caller must cut bodies into several.
    #[error("a record of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its encoded length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More exchanges are open than the journal keeps track of.
    #[error("{limit} exchanges have an intent and no outcome")]
    TooManyOpen {
        /// The limit.
        limit: usize,
    },
    /// More tasks wait for a sync than are kept track of.
    #[error("{limit} tasks wait for a sync already")]
    TooManyWaiting {
        /// The limit.
        limit: usize,
    },
    /// A record could not be turned into bytes.
    #[error("a record cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// What was decrypted is not a record.
    #[error("a record cannot be decoded")]
    Decode,
    /// Encryption refused.
    #[error("a record cannot be sealed or opened")]
    Seal(#[from] SealError),
    /// The random source refused.
    #[error("no random bytes to be had")]
    Random,
    /// The operating system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// A write could not be made durable, or the writer failed half-way. What is on disk is unknown: nothing more is
    /// written until the next start has looked.
    #[error("the journal is sealed until the next start: {0}")]
    Sealed(String),
    /// It could not be written the last time; the next append tries again.
    #[error("the journal cannot be written: {0}")]
    Unavailable(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// Adds to an I/O error what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, JournalError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io { doing, source })
    }
}
