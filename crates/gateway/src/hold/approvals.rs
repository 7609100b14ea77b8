//! Approvals at work: the database decides, this tells those who wait and writes the journal.
//!
//! Promise: every change of state is one compare-and-set in the database; what is announced here has happened there.
//! Changes run in a task of their own, so that a caller who goes away halfway leaves none unrecorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{ApprovalId, ApprovalRule, Principal, RequestDigest, RequestId};
use keyward_journal::record::ApprovalEvent as JournalEvent;
use keyward_journal::{Journal, Record};
use keyward_store::{
    Approval, ApprovalEvent, ApprovalState, Binding, CancelError, Change, Consumption, CreateError, Db,
    NewApproval, NewVote, Notification, StoreError, VoteError, WhyNot, may_decide,
};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::clock;

/// How long a denial waits for a client that comes back after its own time-out.
const UNTOLD_FOR: Duration = Duration::from_mins(2);

/// Changes that wait for somebody who is slow to hear of them.
pub const CHANGES_KEPT: usize = 1_024;

/// Escalations that are read from the database at a time.
const ESCALATIONS: u32 = 64;

/// The approvals of this gateway and those who wait for them.
#[derive(Clone)]
pub struct Approvals {
    inner: Arc<Inner>,
}

/// Most calls that wait for one approval: each keeps its body in memory.
pub const WAITERS_MAX: usize = 64;

/// Why nobody can wait for an approval.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be asked for.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// [`WAITERS_MAX`] identical calls wait already.
    #[error("{WAITERS_MAX} identical calls wait for this approval already")]
    TooManyWaiters,
}

struct Inner {
    db: Db,
    journal: Journal,
    waiting: Mutex<Waiting>,
    /// Every change, for whoever watches all of them.
    changes: broadcast::Sender<ApprovalId>,
}

#[derive(Default)]
struct Waiting {
    live: HashMap<ApprovalId, Live>,
    /// Ends that nobody was there to hear.
    untold: HashMap<RequestDigest, (ApprovalId, ApprovalState, Instant)>,
}

struct Live {
    state: watch::Sender<ApprovalState>,
    digest: RequestDigest,
    /// One reference more than calls that wait.
    places: Arc<()>,
}

/// A live approval and its state as it changes.
pub struct Watched {
    /// Which one.
    pub id: ApprovalId,
    /// The rule that asks for it.
    pub rule: String,
    /// Who may give it.
    pub approvers: ApprovalRule,
    /// The state from now on.
    pub state: watch::Receiver<ApprovalState>,
    _place: Arc<()>,
}

impl Approvals {
    /// Over this database and journal.
    pub fn new(db: Db, journal: Journal) -> Self {
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        Self { inner: Arc::new(Inner { db, journal, waiting: Mutex::default(), changes }) }
    }

    /// Hears of every approval that changes from now on. Who is slower than [`CHANGES_KEPT`] changes hears that some are
    /// missing.
    pub fn changes(&self) -> broadcast::Receiver<ApprovalId> {
        self.inner.changes.subscribe()
    }

    /// Asks for an approval, or attaches to the one that the same request has.
    pub async fn ask(&self, new: NewApproval, request: RequestId) -> Result<Watched, AskError> {
        let this = self.clone();
        own_task(async move {
            let digest = new.binding.digest;
            let created = this.inner.db.approval_create_or_attach(&new, clock::now()).await?;
            this.announce(&created.events, digest, Some(request));
            let id = created.approval.id;
            let state = this.watch(id, digest, created.approval.state);
            let place = this.place(id).ok_or(AskError::TooManyWaiters)?;
            // A decision between the read and the watch was announced to nobody: look once more.
            if let Some(now) = this.inner.db.approval_get(id).await.map_err(CreateError::Store)? {
                this.settle(id, now.state);
            }
            let Approval { rule, approval: approvers, .. } = created.approval;
            Ok(Watched { id, rule, approvers, state, _place: place })
        })
        .await
    }

    /// An end of this request's last approval that its caller was not there to hear; told once.
    pub fn take_untold(&self, digest: &RequestDigest) -> Option<(ApprovalId, ApprovalState)> {
        let mut waiting = self.lock();
        waiting.untold.retain(|_, (_, _, at)| at.elapsed() < UNTOLD_FOR);
        waiting.untold.remove(digest).map(|(id, state, _)| (id, state))
    }

    /// Whether somebody may decide over an approval; the vote itself asks it again.
    pub fn may_decide(&self, approval: &Approval, who: &Principal) -> Result<(), WhyNot> {
        may_decide(approval, who, &self.inner.db.people(), clock::now())
    }

    /// Counts a person's decision.
    pub async fn vote(&self, id: ApprovalId, by: Arc<Principal>, vote: NewVote) -> Result<Change, VoteError> {
        let this = self.clone();
        own_task(async move {
            let change = this.inner.db.approval_vote(id, &by, &vote, clock::now()).await?;
            this.announce(&change.events, change.approval.binding.digest, None);
            Ok(change)
        })
        .await
    }

    /// Withdraws an approval.
    pub async fn cancel(
        &self,
        id: ApprovalId,
        by: Arc<Principal>,
        reason: String,
    ) -> Result<Change, CancelError> {
        let this = self.clone();
        own_task(async move {
            let change = this.inner.db.approval_cancel(id, &by, &reason, clock::now()).await?;
            this.announce(&change.events, change.approval.binding.digest, None);
            Ok(change)
        })
        .await
    }

    /// Uses an approval up. Only [`Consumption::Won`] may act.
    pub async fn consume(
        &self,
        id: ApprovalId,
        binding: Binding,
        request: RequestId,
    ) -> Result<Consumption, StoreError> {
        let this = self.clone();
        own_task(async move {
            let consumption = this.inner.db.approval_consume(id, &binding, clock::now()).await?;
            if let Consumption::Won(change) | Consumption::Void(change) = &consumption {
                this.announce(&change.events, change.approval.binding.digest, Some(request));
            }
            Ok(consumption)
        })
        .await
    }

    /// Ends what it was bound to changed.
    pub async fn mark_stale(&self, id: ApprovalId, reason: &'static str) -> Result<(), StoreError> {
        let this = self.clone();
        own_task(async move {
            if let Some(change) = this.inner.db.approval_mark_stale(id, reason, clock::now()).await? {
                this.announce(&change.events, change.approval.binding.digest, None);
            }
            Ok(())
        })
        .await
    }

    /// Ends every approval whose time ran out.
    pub async fn expire_due(&self) -> Result<(), StoreError> {
        for event in self.inner.db.approval_expire(clock::now()).await? {
            let known = self.lock().live.get(&event.approval).map(|live| live.digest);
            let digest = match known {
                Some(digest) => Some(digest),
                None => self.inner.db.approval_get(event.approval).await?.map(|a| a.binding.digest),
            };
            if let Some(digest) = digest {
                self.announce(&[event], digest, None);
            }
        }
        Ok(())
    }

    /// Announces every escalation that came, and keeps what `told` makes of it to be told. True where there was one.
    pub async fn escalate_due(
        &self,
        told: impl Fn(&Approval) -> Vec<Notification>,
    ) -> Result<bool, StoreError> {
        let now = clock::now();
        let due = self.inner.db.approval_escalations_due(now, ESCALATIONS).await?;
        for approval in &due {
            if let Some(event) = self.inner.db.approval_escalate(approval, &told(approval), now).await? {
                self.announce(&[event], approval.binding.digest, None);
            }
        }
        Ok(!due.is_empty())
    }

    /// As it stands now.
    pub async fn get(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.inner.db.approval_get(id).await
    }

    /// Watches an approval.
    pub fn watch(
        &self,
        id: ApprovalId,
        digest: RequestDigest,
        now: ApprovalState,
    ) -> watch::Receiver<ApprovalState> {
        if !now.is_live() {
            return watch::channel(now).1;
        }
        let live = || Live { state: watch::channel(now).0, digest, places: Arc::new(()) };
        self.lock().live.entry(id).or_insert_with(live).state.subscribe()
    }

    /// A place among the calls that wait for an approval; none when [`WAITERS_MAX`] do already.
    fn place(&self, id: ApprovalId) -> Option<Arc<()>> {
        match self.lock().live.get(&id) {
            Some(live) if Arc::strong_count(&live.places) > WAITERS_MAX => None,
            Some(live) => Some(Arc::clone(&live.places)),
            None => Some(Arc::new(())), // it ended in between: nobody waits
        }
    }

    /// Tells those who wait what the database says.
    fn settle(&self, id: ApprovalId, state: ApprovalState) {
        let mut waiting = self.lock();
        if let Some(live) = waiting.live.get(&id) {
            live.state.send_if_modified(|known| std::mem::replace(known, state) != state);
            if !state.is_live() {
                waiting.live.remove(&id);
            }
        }
    }

    fn announce(&self, events: &[ApprovalEvent], digest: RequestDigest, request: Option<RequestId>) {
        for event in events {
            let record = Record::Approval(JournalEvent {
                approval: event.approval,
                request,
                at: event.at,
                from: event.from.map(|state| state.as_str().to_owned()),
                to: event.to.as_str().to_owned(),
                by: event.by.clone(),
                reason: Some(event.reason.clone()).filter(|reason| !reason.is_empty()),
                digest: digest.to_string(),
            });
            if let Err(error) = self.inner.journal.append(&record) {
                // The change stands in the database; what it permits is refused by `forward` while the journal fails.
                tracing::error!(approval = %event.approval, error = &error as &dyn std::error::Error, "not recorded");
            }
            // Nobody may be listening.
            _ = self.inner.changes.send(event.approval);
            let mut waiting = self.lock();
            let heard = match waiting.live.get(&event.approval) {
                Some(live) => {
                    live.state.send_replace(event.to) != event.to && live.state.receiver_count() > 0
                }
                None => true,
            };
            if !event.to.is_live() {
                waiting.live.remove(&event.approval);
                if !heard && matches!(event.to, ApprovalState::Denied | ApprovalState::Expired) {
                    waiting.untold.insert(digest, (event.approval, event.to, Instant::now()));
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a change to its end even when the one who asked goes away.
async fn own_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
