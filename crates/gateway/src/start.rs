//! Opening what outlives a configuration, and the small jobs that run beside the traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_core::{GrantId, Timestamp};
use keyward_journal::record::{End, Outcome, Started, Stopped};
use keyward_journal::{Durability, Journal, JournalError, Options, Record, unless_in_use};
use keyward_secrets::{AnyStore, Embedded, Env, File, MasterKey, MasterKeyError, Secrets, SecretsOptions};
use keyward_store::{Approval, Db, StoreError};
use tokio_util::sync::CancellationToken;

use crate::anonymous::Anonymous;
use crate::clock;
use crate::fetch::FetchClient;
use crate::grants::Grants;
use crate::hold::{Answers, Approvals, Spool};
use crate::locks::Locks;
use crate::metrics::Metrics;
use crate::moderate::Moderation;
use crate::notify::Notifier;
use crate::respond::Weights;
use crate::risk::Seen;
use crate::sessions::Sessions;
use crate::snapshot::{InForce, Running, Shared};
use crate::tokens::ClientTokens;

/// How often due approvals expire, and escalate.
const EXPIRE_EVERY: Duration = Duration::from_millis(500);
/// How often idle sessions are closed, and client tokens swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Where state lives, and how it is kept.
pub struct State {
    /// Directory of database and journal; made when missing.
    pub data_dir: PathBuf,
    /// Opens the secrets and the journal.
    pub master_key: MasterKey,
    /// When a record counts as written.
    pub durability: Durability,
    /// Size of a journal segment in bytes.
    pub segment_bytes_max: u64,
    /// Space that is left free on the disk, in bytes.
    pub min_free_bytes: u64,
    /// The program's version, for the record.
    pub version: String,
}

/// Why state cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("cannot make the data directory {}", dir.display())]
    DataDir {
        /// Which.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database.
    #[error("the database cannot be opened")]
    Store(#[from] StoreError),
    /// The master key.
    #[error("the master key cannot be used")]
    MasterKey(#[from] MasterKeyError),
    /// The journal.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalError),
    /// A key could not be derived.
    #[error("the journal's key cannot be derived")]
    Seal(#[from] keyward_core::seal::SealError),
    /// HTTP towards issuers.
    #[error("TLS towards issuers cannot be set up")]
    Fetch(#[source] crate::fetch::FetchError),
}

/// The database's file within the data directory.
pub fn database_path(data_dir: &Path) -> PathBuf {
    data_dir.join("keyward.db")
}

/// The journal's directory within the data directory.
pub fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// The purpose for which the journal's key is derived from the master key.
pub const JOURNAL_KEY: &str = "journal";

impl Shared {
    /// Opens database, journal and secrets; closes what an earlier run left open.
    pub async fn open(state: State) -> Result<Arc<Self>, StartError> {
        make_private_dir(&state.data_dir)
            .map_err(|source| StartError::DataDir { dir: state.data_dir.clone(), source })?;
        // Before the database's schema may change under another process.
        unless_in_use(&journal_dir(&state.data_dir))?;
        let db = Db::open(database_path(&state.data_dir)).await?;
        state.master_key.verify(&db).await?;
        let (journal, recovery) = Journal::open(Options {
            dir: journal_dir(&state.data_dir),
            key: state.master_key.derive(JOURNAL_KEY)?,
            durability: state.durability,
            segment_bytes_max: state.segment_bytes_max,
            min_free_bytes: state.min_free_bytes,
            clock: clock::now,
        })?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(
                segment = torn.segment,
                bytes = torn.bytes,
                "the journal's unfinished tail was cut off"
            );
        }
        let at = clock::now();
        journal.append(&Record::Started(Started { at, version: state.version }))?;
        for open in &recovery.unfinished {
            journal.append(&unknown_outcome(open, at))?;
        }
        let locks = Locks::load(db.clone()).await?;
        let notifier = Notifier::new(db.clone());
        let grants = Grants::load(db.clone()).await?;
        let client_tokens = ClientTokens::load(db.clone()).await?;
        let seen = Seen::load(db.clone()).await?;
        let secrets = Arc::new(Secrets::new(
            vec![
                AnyStore::Embedded(Embedded::new(db.clone(), &state.master_key)?),
                AnyStore::Env(Env::new(&state.master_key)),
                AnyStore::File(File::new(&state.master_key)),
            ],
            SecretsOptions::default(),
        ));
        Ok(Arc::new(Self {
            approvals: Approvals::new(db.clone(), journal.clone()),
            journal,
            db,
            secrets,
            moderation: Moderation::default(),
            spool: Spool::new(state.data_dir),
            answers: Arc::new(Answers::default()),
            sessions: Sessions::default(),
            locks,
            notifier,
            grants,
            client_tokens,
            weights: Weights::default(),
            budgets: Arc::default(),
            seen,
            metrics: Arc::new(Metrics::default()),
            anonymous: Anonymous::default(),
            fetch: FetchClient::new(None).map_err(StartError::Fetch)?,
            running: Running::default(),
            placeholder_key: state.master_key.placeholder_key(),
            in_force: ArcSwap::from_pointee(InForce::default()),
        }))
    }

    /// Expires approvals, escalates them, ends windows whose time is over and closes idle sessions until `stop`.
    pub async fn housekeeping(self: Arc<Self>, stop: CancellationToken) {
        for window in self.grants.live().iter().filter(|it| it.grant.starts_at.is_none()) {
            self.follow_grant(window.grant.id);
        }
        let (told, until) = (Arc::clone(&self), stop.clone());
        tokio::spawn(async move { told.notifier.run(&told, until).await });
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = expire.tick() => {
                    if let Err(error) = self.approvals.expire_due().await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "due approvals not expired");
                    }
                    if let Err(error) = self.escalate_due().await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "escalations not announced");
                    }
                    if let Err(error) = self.grants.sweep(clock::now(), (&self.sessions, &self.journal)).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "windows that are over not ended");
                    }
                }
                _ = sweep.tick() => {
                    self.sessions.sweep(&self.journal, clock::now());
                    self.sweep_client_tokens().await;
                }
            }
        }
    }

    /// Announces the approvals that nobody decided for as long as their rules let them wait, and tells people of it.
    async fn escalate_due(&self) -> Result<(), StoreError> {
        let told = |approval: &Approval| self.notifier.kept_of("approval.escalated", approval);
        if self.approvals.escalate_due(told).await? {
            self.notifier.wake();
        }
        Ok(())
    }

    /// Opens a window when it is approved.
    pub fn follow_grant(self: &Arc<Self>, id: GrantId) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.grants.decided(id, &this.approvals).await {
                tracing::error!(grant = %id, error = &error as &dyn std::error::Error, "window not opened");
            }
        });
    }

    async fn sweep_client_tokens(&self) {
        if let Err(error) = self.client_tokens.sweep(clock::now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "client tokens not swept");
        }
    }

    /// Closes sessions, journal and database in order. Blocks for a disk sync.
    pub async fn close(&self, reason: &str) -> Result<(), JournalError> {
        self.sessions.close_all(&self.journal, reason);
        let closed = self
            .journal
            .append(&Record::Stopped(Stopped { at: clock::now(), reason: reason.to_owned() }))
            .map(|_| ())
            .and(self.journal.close());
        self.seen.kept().await;
        self.sweep_client_tokens().await;
        self.db.close().await;
        closed
    }
}

/// Nobody knows how an exchange ended that was under way when the process died.
fn unknown_outcome(open: &keyward_journal::Unfinished, at: Timestamp) -> Record {
    Record::Outcome(Outcome {
        request: open.request,
        session: open.session,
        at,
        end: End::Unknown,
        status: None,
        bytes_up: 0,
        bytes_down: 0,
        findings: Vec::new(),
        error: Some("the gateway ended before this exchange did".to_owned()),
    })
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
