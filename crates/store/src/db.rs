//! The database: opened, protected, checked, migrated.
//!
//! Promise: what [`Db::open`] returns is a Keyward database of exactly this program's schema, readable only by its
//! owner, whose committed changes survive a power cut. Anything else is refused — *fails closed*.
//! Exception: a damaged page in a file above 16 MB is found when it is read, not at open.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use keyward_core::People;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous, SqliteTransaction,
};
use sqlx::{ConnectOptions, Connection, Sqlite};

use crate::StoreError;

/// Every schema step, oldest first; never changed once released, only appended to.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/sqlite/0001_control_state.sql")),
    (2, include_str!("../migrations/sqlite/0002_locks.sql")),
    (3, include_str!("../migrations/sqlite/0003_risk.sql")),
    (4, include_str!("../migrations/sqlite/0004_client_tokens.sql")),
    (5, include_str!("../migrations/sqlite/0005_grants.sql")),
    (6, include_str!("../migrations/sqlite/0006_notifications.sql")),
    (7, include_str!("../migrations/sqlite/0007_escalation.sql")),
    (8, include_str!("../migrations/sqlite/0008_due.sql")),
];
/// Read and write for the owner alone.
const PRIVATE: u32 = 0o600;
/// Marks a file as Keyward's (`PRAGMA application_id`): "KWRD".
const APPLICATION_ID: i64 = 0x4b57_5244;
/// Marks a new file and makes the table of applied steps; does nothing to a file that has both.
const FIRST_STEP: &str = "PRAGMA application_id = 0x4b575244; \
    CREATE TABLE IF NOT EXISTS schema_step (version BIGINT NOT NULL PRIMARY KEY)";
/// How long a statement waits for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a free connection of this process.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read at the same time.
const READERS_MAX: u32 = 4;
/// Up to this size the whole file is checked when it is opened; above, a check would delay the start too long.
const CHECK_AT_OPEN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The database behind the gateway. Cheap to clone; all clones share the connections.
///
/// SQLite allows one writer: one connection writes, so that writers queue in this process fairly instead of polling
/// for the lock, and several read beside it. The nouns' modules talk to it only through `Db::begin` and
/// `Db::reader`, in SQL that PostgreSQL takes as well: that engine is a second variant here.
#[derive(Clone, Debug)]
pub struct Db {
    path: Arc<Path>,
    writer: SqlitePool,
    reader: SqlitePool,
    /// Which accounts are whose.
    people: Arc<RwLock<Arc<People>>>,
}

impl Db {
    /// Says which accounts are whose, for every decision from now on.
    pub fn know(&self, people: People) {
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(people);
    }

    /// Which accounts are whose.
    pub fn people(&self) -> Arc<People> {
        Arc::clone(&self.people.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the database file, makes it when it is absent (mode 0600), and brings its schema up to date in one
    /// transaction. The directory must exist.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path: Arc<Path> = path.as_ref().into();
        let failed = |source| StoreError::Open { path: PathBuf::from(&*path), source };
        let bytes = create(&path).map_err(failed)?;
        let plain = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let options = plain
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // A consumed approval must stay consumed after a power cut; the data path does not wait for this.
            .synchronous(SqliteSynchronous::Full)
            // What a rotation or a deletion removes is overwritten in the file.
            .pragma("secure_delete", "ON")
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let pool = |connections: u32| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                // SQLite ends a transaction by itself when the disk is full, and sqlx then takes the connection for
                // one that is still inside it: such a connection would refuse every later change.
                .after_release(|connection, _| {
                    Box::pin(async move {
                        connection.ping().await?; // what was dropped is rolled back before this answers
                        Ok(!connection.is_in_transaction())
                    })
                })
                .connect_lazy_with(options.clone())
        };
        let db = Self {
            writer: pool(1),
            reader: pool(READERS_MAX),
            path: Arc::clone(&path),
            people: Arc::default(),
        };
        if bytes > 0 {
            db.inspect(&plain, bytes).await?;
            protect(&path).map_err(failed)?;
        }
        db.migrate().await?;
        Ok(db)
    }

    /// The file this database lives in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it answers; for readiness.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await.map(drop).map_err(|e| self.fault(e))
    }

    /// Closes all connections and folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A transaction that holds the write lock from its start: what it reads cannot change before it commits.
    /// Dropped without commit, it changes nothing.
    pub(crate) async fn begin(&self) -> Result<SqliteTransaction<'static>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|e| self.fault(e))
    }

    /// A change of one statement, in a transaction of its own: how many rows it changed.
    pub(crate) async fn change(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let done = statement.execute(&mut *transaction).await.map_err(|e| self.fault(e))?;
        transaction.commit().await.map_err(|e| self.fault(e))?;
        Ok(done.rows_affected())
    }

    /// Where reads go.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// Names what the engine said in our words.
    pub(crate) fn fault(&self, error: sqlx::Error) -> StoreError {
        let path = PathBuf::from(&*self.path);
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return StoreError::Busy { path };
        }
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|c| c.parse::<i64>().ok());
        // The low byte is the primary result code (sqlite.org/rescode.html).
        match code.map(|c| c & 0xff) {
            Some(5 | 6) => StoreError::Busy { path },
            Some(8) => StoreError::ReadOnly { path },
            Some(11 | 26) => StoreError::Corrupt { path },
            Some(13) => StoreError::DiskFull { path },
            _ => StoreError::Engine { path, source: error },
        }
    }

    /// Looks at a file without changing it: another program's database keeps even its journal mode.
    async fn inspect(&self, options: &SqliteConnectOptions, bytes: u64) -> Result<(), StoreError> {
        let fault = |e| self.fault(e);
        let path = || PathBuf::from(&*self.path);
        let mut connection = options.connect().await.map_err(fault)?;
        if bytes <= CHECK_AT_OPEN_BYTES_MAX {
            let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
                .fetch_one(&mut connection)
                .await
                .map_err(fault)?;
            if verdict != "ok" {
                return Err(StoreError::Corrupt { path: path() });
            }
        }
        let application: i64 =
            sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await.map_err(fault)?;
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
            .fetch_one(&mut connection)
            .await
            .map_err(fault)?;
        // A start that was killed before its first commit leaves a file without mark and without tables.
        if application != APPLICATION_ID && (tables > 0 || application != 0) {
            return Err(StoreError::Foreign { path: path() });
        }
        connection.close().await.map_err(fault)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let fault = |e| self.fault(e);
        let mut transaction = self.begin().await?;
        let connection = &mut *transaction;
        sqlx::raw_sql(FIRST_STEP).execute(&mut *connection).await.map_err(fault)?;
        let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM schema_step")
            .fetch_one(&mut *connection)
            .await
            .map_err(fault)?;
        let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        if found > known {
            return Err(StoreError::NewerSchema { path: PathBuf::from(&*self.path), found, known });
        }
        for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
            sqlx::raw_sql(*sql).execute(&mut *connection).await.map_err(fault)?;
            sqlx::query("INSERT INTO schema_step (version) VALUES ($1)")
                .bind(version)
                .execute(&mut *connection)
                .await
                .map_err(fault)?;
        }
        transaction.commit().await.map_err(fault)
    }
}

/// Makes the file when it is absent, readable by its owner only. Returns its size in bytes.
fn create(path: &Path) -> Result<u64, std::io::Error> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(PRIVATE).open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok(meta.len()) } else { Err(std::io::Error::other("not a regular file")) }
}

/// Takes all rights from others; SQLite gives the -wal and -shm files that it makes the same mode.
fn protect(path: &Path) -> Result<(), std::io::Error> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o7777 == PRIVATE {
        Ok(())
    } else {
        fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE))
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::Timestamp;

    use super::*;

    async fn put(db: &Db, name: &str) -> Result<bool, StoreError> {
        db.secret_put(name, 1, &vec![7; 64 * 1024], Timestamp::from_micros(0)).await
    }

    async fn command(db: &Db, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&db.writer).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_named_changes_nothing_and_heals() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
        assert!(put(&db, "before").await.unwrap());
        // SQLite gives the same answer at this bound as on a file system without space.
        command(&db, "PRAGMA max_page_count = 1").await;
        let error = put(&db, "during").await.unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        assert!(error.to_string().contains("no space left"), "{error}");
        assert_eq!(db.secret_list().await.unwrap().len(), 1);
        // The bound went with the connection that met it.
        assert!(put(&db, "after").await.unwrap());
    }

    #[tokio::test]
    async fn a_database_that_may_only_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
        command(&db, "PRAGMA query_only = ON").await;
        let error = put(&db, "a").await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert_eq!(db.secret_list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn another_process_that_keeps_the_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
        let other = Db::open(db.path()).await.unwrap();
        command(&db, "PRAGMA busy_timeout = 1").await;
        let lock = other.begin().await.unwrap();
        let error = put(&db, "a").await.unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
        drop(lock);
        command(&db, "PRAGMA busy_timeout = 5000").await;
        assert!(put(&db, "a").await.unwrap());
    }

    // What a dropped caller had begun is undone, and the one writer is free again.
    #[tokio::test]
    async fn a_change_dropped_halfway_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
        let mut half = db.begin().await.unwrap();
        sqlx::query("DELETE FROM schema_step").execute(&mut *half).await.unwrap();
        drop(half);
        let steps: i64 =
            sqlx::query_scalar("SELECT count(*) FROM schema_step").fetch_one(&db.writer).await.unwrap();
        assert_eq!(usize::try_from(steps).unwrap(), MIGRATIONS.len());
    }
}
