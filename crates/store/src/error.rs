//! What can go wrong with the database, each with what to do about it.

use std::path::PathBuf;

/// Why the database did not do what was asked. Holds no value of any row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be created, opened or protected.
    #[error("cannot open the database {}: check that the directory exists and belongs to this user", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Not a database, or a damaged one.
    #[error(
        "{} is not a readable database: restore it from a backup, or move it away (with its -wal and -shm files) to start with an empty one",
        path.display()
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
    },
    /// A healthy database of another program.
    #[error("{} is a database of another program: name another file", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// A newer Keyward wrote it.
    #[error(
        "{} has schema {found}, and this version of keyward knows up to {known}: use the newer keyward, or restore the backup made before its upgrade",
        path.display()
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// No space left. Nothing was changed.
    #[error("no space left for the database {}: free some; keyward goes on by itself", path.display())]
    DiskFull {
        /// The database file.
        path: PathBuf,
    },
    /// The file or its file system may only be read.
    #[error("the database {} cannot be written: check its mode and owner, and that the file system is not read-only", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// Another process, or too many callers of this one, kept the database busy for longer than the busy timeout.
    #[error("the database {} is busy: another process holds it, or the disk is too slow", path.display())]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// A row says something that this program never writes.
    #[error("a row of table {table} cannot be understood: column {column}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The database refused a statement.
    #[error("the database {} refused", path.display())]
    Engine {
        /// The database file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
}
