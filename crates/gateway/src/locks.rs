//! Locks at work: who is kept out now, and the cutting off of whoever is under way (catalogue 17, 18).
//!
//! Promise: a lock holds from the moment that its making is answered: no request that arrives after it goes on, and every
//! exchange of whom it hits ends with an error. The locks are read from memory; the database keeps them over restarts, and
//! without it none is made or lifted. They are loaded before the first listener opens: *fails closed*.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keyward_core::{LockId, LockTarget, Principal, PrincipalRef, Timestamp};
use keyward_journal::Journal;
use keyward_store::{Db, Lock, StoreError};
use tokio::sync::Mutex;

use crate::clock;
use crate::refusal::{Refusal, RefusalKind};
use crate::sessions::Sessions;

/// Most locks in force at once: each is looked at for each request.
pub const LOCKS_MAX: usize = 1_000;

/// The locks in force.
pub struct Locks {
    db: Db,
    all: ArcSwap<Vec<Arc<Lock>>>,
    /// One change at a time, so that memory holds what the database holds.
    change: Mutex<()>,
}

/// Why there is no new lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There are [`LOCKS_MAX`] already.
    #[error("there are {LOCKS_MAX} locks already")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Locks {
    /// Loads what was kept.
    pub async fn load(db: Db) -> Result<Self, StoreError> {
        let kept = db.lock_list().await?.into_iter().map(Arc::new).collect::<Vec<_>>();
        Ok(Self { db, all: ArcSwap::from_pointee(kept), change: Mutex::new(()) })
    }

    /// The locks in force at this time.
    pub fn in_force(&self, now: Timestamp) -> Vec<Arc<Lock>> {
        self.all.load().iter().filter(|lock| lock.holds(now)).cloned().collect()
    }

    /// The lock that keeps this caller out; `connection` is where they want to go, none on the admin API.
    pub fn hit(&self, who: &Principal, connection: Option<&str>, now: Timestamp) -> Option<Arc<Lock>> {
        let all = self.all.load();
        all.iter().find(|lock| lock.holds(now) && lock.target.hits(who, connection)).cloned()
    }

    /// Refuses a caller whom a lock keeps out.
    pub fn refuse(&self, who: &Principal, connection: &str) -> Result<(), Refusal> {
        match self.hit(who, Some(connection), clock::now()) {
            Some(lock) => Err(Refusal::new(RefusalKind::Locked, sentence(&lock))),
            None => Ok(()),
        }
    }

    /// Makes a lock and ends every session that it hits.
    pub async fn add(
        &self,
        target: LockTarget,
        reason: String,
        by: PrincipalRef,
        expires_at: Option<Timestamp>,
        (sessions, journal): (&Sessions, &Journal),
    ) -> Result<Arc<Lock>, LockError> {
        let _one = self.change.lock().await;
        let now = clock::now();
        let mut all = self.in_force(now);
        if all.len() >= LOCKS_MAX {
            return Err(LockError::TooMany);
        }
        let id = LockId::new(clock::fresh_id());
        let lock = Arc::new(Lock { id, target, reason, created_by: by, created_at: now, expires_at });
        self.db.lock_add(&lock).await?;
        all.push(Arc::clone(&lock));
        self.all.store(Arc::new(all));
        sessions.end_where(journal, &format!("lock {id}"), |who, connection| {
            lock.target.hits(who, Some(connection))
        });
        Ok(lock)
    }

    /// Lifts a lock. False when there is none.
    pub async fn lift(&self, id: LockId, by: &PrincipalRef) -> Result<bool, StoreError> {
        let _one = self.change.lock().await;
        let now = clock::now();
        let lifted = self.db.lock_lift(id, by, now).await?;
        let left: Vec<_> = self.in_force(now).into_iter().filter(|lock| lock.id != id).collect();
        self.all.store(Arc::new(left));
        Ok(lifted)
    }
}

/// What the one who is kept out is told.
pub fn sentence(lock: &Lock) -> String {
    let what = match lock.target {
        LockTarget::User(_) | LockTarget::Group(_) => "You are locked out of this gateway",
        LockTarget::Connection(_) => "This connection is locked",
    };
    let until = lock.expires_at.map(|end| format!(" until {end}")).unwrap_or_default();
    let why = if lock.reason.is_empty() { String::new() } else { format!(": {}", lock.reason) };
    format!("{what}{until}{why} (lock {}); ask whoever runs the gateway.", lock.id)
}
