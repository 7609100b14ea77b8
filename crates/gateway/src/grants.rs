//! Windows in place of approvals: for a bounded time, a bounded number of calls of one principal, of a kind, on one connection
//! need no approval of their own.
//!
//! Promise: a window opens when those approve it who would have to approve each call of it, or by break-glass. It takes the
//! place of an approval and of nothing else: what a rule blocks, or none allows, stays so. At each call it is held against the rule
//! in force then: one that asks other or more people, or lets no window be approved, is not met by it. Whoever ends one ends
//! every session that used it; so does its time. The windows are read from memory; a bounded number of uses is counted in the
//! database, so that no crash gives one back. They are loaded before the first listener opens.
//!
//! Exceptions: uses of a window without such a bound are written behind, when it ends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_core::{
    ApprovalRule, Decision, GrantId, Operation, OperationClass, Principal, PrincipalRef, RequestId,
    SessionId, Timestamp,
};
use keyward_journal::Journal;
use keyward_store::{ApprovalState, Db, Grant, StoreError};

use crate::clock;
use crate::hold::Approvals;
use crate::session::Session;
use crate::sessions::Sessions;

/// Most windows that wait or are open at once.
pub const GRANTS_MAX: usize = 1_000;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;

/// The windows that wait, are open, or want a review.
pub struct Grants {
    db: Db,
    all: ArcSwap<Vec<Arc<Window>>>,
    /// One change at a time, so that memory holds what the database holds.
    change: tokio::sync::Mutex<()>,
}

/// A window at work.
pub struct Window {
    /// As it was when it was last written.
    pub grant: Grant,
    /// How many calls it let through.
    uses: Arc<AtomicU32>,
    /// The sessions that used it.
    sessions: Arc<Mutex<HashSet<SessionId>>>,
}

/// Why there is no new window.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There are [`GRANTS_MAX`].
    #[error("there are {GRANTS_MAX} windows already")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Window {
    fn of(grant: Grant) -> Arc<Self> {
        let uses = Arc::new(AtomicU32::new(grant.uses));
        Arc::new(Self { grant, uses, sessions: Arc::default() })
    }

    /// The same window as it is written now.
    fn rewritten(&self, grant: Grant) -> Arc<Self> {
        Arc::new(Self { grant, uses: Arc::clone(&self.uses), sessions: Arc::clone(&self.sessions) })
    }

    /// As it stands, with the uses so far.
    pub fn now(&self) -> Grant {
        Grant { uses: self.uses.load(Ordering::Relaxed), ..self.grant.clone() }
    }

    /// Whether it takes the place of the approval that a decision asks for.
    fn meets(&self, who: &Principal, connection: &str, operation: &Operation, decision: &Decision) -> bool {
        let Some(asked) = &decision.approval else { return false };
        let grant = &self.grant;
        let mine = grant.principal.is(&who.reference()) && grant.principal.acting_for == who.acting_for;
        let class = |operation: &Operation| grant.classes.contains(&operation.class);
        let fits = grant.break_glass || {
            let asked_then = grant.asked.as_ref().is_some_and(|then| then.covers(asked));
            let short = asked.grant.is_some_and(|most| Duration::from_secs(grant.seconds) <= most);
            asked_then && short && class(operation) && operation.inner.iter().all(class)
        };
        mine && *grant.connection == *connection && fits
    }

    fn sessions(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grants {
    /// Loads what was kept.
    pub async fn load(db: Db) -> Result<Self, StoreError> {
        let kept = db.grant_list().await?.into_iter();
        let all = kept.filter(|it| it.ended_at.is_none() || it.wants_review()).map(Window::of).collect();
        Ok(Self { db, all: ArcSwap::from_pointee(all), change: tokio::sync::Mutex::default() })
    }

    /// The windows that wait, are open, or want a review.
    pub fn live(&self) -> Vec<Arc<Window>> {
        Vec::clone(&self.all.load())
    }

    /// The newest, over ones too, with the uses so far.
    pub async fn list(&self) -> Result<Vec<Grant>, StoreError> {
        let mut found = self.db.grant_list().await?;
        let live = self.live();
        for grant in &mut found {
            if let Some(window) = live.iter().find(|window| window.grant.id == grant.id) {
                grant.uses = window.uses.load(Ordering::Relaxed);
            }
        }
        Ok(found)
    }

    /// One of them.
    pub async fn get(&self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        match self.live().iter().find(|window| window.grant.id == id) {
            Some(window) => Ok(Some(window.now())),
            None => self.db.grant_get(id).await,
        }
    }

    /// Keeps a window that waits for its approval, or one that is open already.
    pub async fn add(&self, grant: Grant) -> Result<Grant, GrantError> {
        let _one = self.change.lock().await;
        let mut all = self.live();
        if all.iter().filter(|window| window.grant.ended_at.is_none()).count() >= GRANTS_MAX {
            return Err(GrantError::TooMany);
        }
        self.db.grant_add(&grant).await?;
        all.push(Window::of(grant.clone()));
        self.all.store(Arc::new(all));
        Ok(grant)
    }

    /// Waits for the decision over a window, then opens it or notes that it was refused.
    pub async fn decided(&self, id: GrantId, approvals: &Approvals) -> Result<(), StoreError> {
        let Some(grant) = self.live().iter().find(|it| it.grant.id == id).map(|it| it.grant.clone()) else {
            return Ok(());
        };
        let Some(of) = grant.approval else { return Ok(()) };
        loop {
            let Some(approval) = approvals.get(of).await? else {
                return self.refused(id, "its approval is gone").await;
            };
            match approval.state {
                ApprovalState::Pending => {
                    let mut state = approvals.watch(of, approval.binding.digest, approval.state);
                    // What changed before the watch began is seen by looking again.
                    if approvals.get(of).await?.is_some_and(|it| it.state == ApprovalState::Pending) {
                        _ = state.wait_for(|state| *state != ApprovalState::Pending).await;
                    }
                }
                ApprovalState::Approved => {
                    let request = RequestId::new(clock::fresh_id());
                    // Whoever won, the state tells what to do.
                    _ = approvals.consume(of, approval.binding, request).await?;
                }
                // Also where the process ended before the window opened: nobody opened it, so it opens now.
                ApprovalState::Consumed => {
                    let narrowest = approval.narrowest();
                    let seconds = narrowest.seconds.unwrap_or(u64::MAX).min(grant.seconds);
                    let uses_max = [grant.uses_max, narrowest.uses].into_iter().flatten().min();
                    return self.open(Grant { seconds, uses_max, ..grant }).await;
                }
                over => return self.refused(id, over.as_str()).await,
            }
        }
    }

    async fn open(&self, grant: Grant) -> Result<(), StoreError> {
        let _one = self.change.lock().await;
        let now = clock::now();
        let expires_at = Some(now.plus(Duration::from_secs(grant.seconds)));
        let grant = Grant { starts_at: Some(now), expires_at, ..grant };
        if self.db.grant_open(&grant).await? {
            tracing::info!(grant = %grant.id, principal = %grant.principal, connection = &*grant.connection, "window opened");
            self.replace(grant);
        }
        Ok(())
    }

    async fn refused(&self, id: GrantId, why: &str) -> Result<(), StoreError> {
        let _one = self.change.lock().await;
        self.db.grant_end(id, None, why, clock::now()).await?;
        self.forget(id);
        Ok(())
    }

    /// Ends a window and every session that used it. False when it was over already.
    pub async fn end(
        &self,
        id: GrantId,
        by: Option<&PrincipalRef>,
        why: &str,
        (sessions, journal): (&Sessions, &Journal),
    ) -> Result<bool, StoreError> {
        let _one = self.change.lock().await;
        let now = clock::now();
        let ended = self.db.grant_end(id, by, why, now).await?;
        let window = self.live().into_iter().find(|window| window.grant.id == id);
        let Some(window) = window else { return Ok(ended) };
        let over =
            Grant { ended_at: Some(now), ended_by: by.cloned(), ended_why: why.to_owned(), ..window.now() };
        // Out of force first: whoever joins its sessions from now on looks once more.
        if over.wants_review() {
            self.replace(over);
        } else {
            self.forget(id);
        }
        let used = std::mem::take(&mut *window.sessions());
        for session in used {
            sessions.kill(journal, session, &format!("the window {id} ended: {why}"));
        }
        Ok(ended)
    }

    /// Ends what is over by its own time.
    pub async fn sweep(&self, now: Timestamp, of: (&Sessions, &Journal)) -> Result<(), StoreError> {
        for window in self.live() {
            let grant = &window.grant;
            if grant.ended_at.is_none() && grant.expires_at.is_some_and(|end| end <= now) {
                self.end(grant.id, None, "its time is over", of).await?;
            }
        }
        Ok(())
    }

    /// Signs for a break-glass. False when somebody did before.
    pub async fn review(&self, id: GrantId, by: &PrincipalRef, words: &str) -> Result<bool, StoreError> {
        let _one = self.change.lock().await;
        let now = clock::now();
        let done = self.db.grant_review(id, by, words, now).await?;
        let window = self.live().into_iter().find(|window| window.grant.id == id);
        if let Some(window) = window.filter(|_| done) {
            let signed = Grant {
                reviewed_at: Some(now),
                reviewed_by: Some(by.clone()),
                review: words.to_owned(),
                ..window.now()
            };
            if signed.ended_at.is_some() { self.forget(id) } else { self.replace(signed) }
        }
        Ok(done)
    }

    fn replace(&self, grant: Grant) {
        let mut all = self.live();
        if let Some(window) = all.iter_mut().find(|window| window.grant.id == grant.id) {
            *window = window.rewritten(grant);
        }
        self.all.store(Arc::new(all));
    }

    fn forget(&self, id: GrantId) {
        let mut all = self.live();
        all.retain(|window| window.grant.id != id);
        self.all.store(Arc::new(all));
    }

    /// Lets one call through on the strength of a window, where there is one that is open for it.
    async fn admit(
        &self,
        who: &Principal,
        connection: &str,
        (operation, decision): (&Operation, &Decision),
        session: SessionId,
    ) -> Result<Option<GrantId>, StoreError> {
        let fits = |window: &Arc<Window>, now| {
            window.grant.is_open(now) && window.meets(who, connection, operation, decision)
        };
        for window in self.live() {
            let now = clock::now();
            if !fits(&window, now) {
                continue;
            }
            let id = window.grant.id;
            if window.grant.uses_max.is_some() {
                let Some(uses) = self.db.grant_use(id, now).await? else { continue };
                window.uses.fetch_max(uses, Ordering::Relaxed);
            } else {
                window.uses.fetch_add(1, Ordering::Relaxed);
            }
            window.sessions().insert(session);
            // Ended in between: then nobody ends this session for it any more.
            let still = self.live();
            if still.iter().any(|it| it.grant.id == id && it.grant.ended_at.is_none()) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

impl Session {
    /// The window that takes the place of the approval that a decision asks for; none where there is none.
    pub(crate) async fn granted(
        &self,
        operation: &Operation,
        decision: &Decision,
    ) -> Result<Option<GrantId>, crate::refusal::Refusal> {
        let connection: &str = &self.target.settings.connection.name;
        let grants = &self.gateway.shared.grants;
        let who = &self.verified.principal;
        Ok(grants.admit(who, connection, (operation, decision), self.id).await?)
    }
}

/// A window that nobody opened yet.
pub struct NewGrant {
    /// Whose calls it lets through.
    pub principal: Arc<Principal>,
    /// Where to.
    pub connection: Arc<str>,
    /// Of which operation classes; none for break-glass: all.
    pub classes: Vec<OperationClass>,
    /// Why.
    pub reason: String,
    /// For how long.
    pub life: Duration,
    /// For how many calls.
    pub uses_max: Option<u32>,
    /// Who has to approve it; none for break-glass.
    pub asked: Option<ApprovalRule>,
}

impl NewGrant {
    /// The grant, waiting; for break-glass, open.
    pub fn into_grant(self, id: GrantId, now: Timestamp) -> Grant {
        let break_glass = self.asked.is_none();
        Grant {
            id,
            principal: self.principal,
            connection: self.connection,
            classes: self.classes,
            reason: self.reason,
            break_glass,
            approval: None,
            asked: self.asked,
            seconds: self.life.as_secs(),
            uses_max: self.uses_max,
            uses: 0,
            created_at: now,
            starts_at: break_glass.then_some(now),
            expires_at: break_glass.then(|| now.plus(self.life)),
            ended_at: None,
            ended_by: None,
            ended_why: String::new(),
            reviewed_at: None,
            reviewed_by: None,
            review: String::new(),
        }
    }
}
