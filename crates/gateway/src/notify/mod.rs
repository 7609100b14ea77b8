//! Telling people outside that somebody waits for them: signed webhooks, Slack, Teams, e-mail.
//!
//! Promise: what has to be told is in the database before it is tried, is tried again with growing pauses, and stays on a list of
//! what could not be told until somebody sends it again or forgets it. What is sent carries a link and never a decision
//! ([`notice`]). It goes to the configured address alone: redirects are not followed, and addresses inside of a network are
//! refused where the target does not allow them by name (catalogue 118): *fails closed*.
//!
//! Exceptions: an approval that was asked for in the moment in which the process was killed may be told to nobody; it stands in
//! the inbox. Who is slower than [`CHANGES_KEPT`](crate::hold::CHANGES_KEPT) changes misses some.

pub mod notice;
mod send;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_core::{ApprovalId, NotificationId, Timestamp};
use keyward_store::{ApprovalState, Db, Notification, StoreError};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

pub use notice::Notice;
pub use send::{Channel, SendError, Smtp, SmtpTls, Target, is_mailbox};

use crate::clock;
use crate::snapshot::Shared;

/// What people can be told of.
pub const EVENTS: [&str; 5] =
    ["approval.pending", "approval.nudged", "approval.escalated", "approval.decided", "break_glass.opened"];
/// Pauses before each further try; after the last it is not tried again by itself.
pub const PAUSES: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(8),
];
/// How often one approval may be nudged for.
pub const NUDGE_EVERY: Duration = Duration::from_mins(5);
/// How many are sent at once.
const BATCH: u32 = 16;
/// How long a database that does not answer is left alone.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Whom the configuration names, and what links begin with.
#[derive(Default)]
pub struct Audience {
    /// By name, in the configuration's order.
    pub targets: Vec<Arc<Target>>,
    /// Base of links.
    pub public_url: String,
}

/// Tells people outside.
pub struct Notifier {
    db: Db,
    audience: ArcSwap<Audience>,
    wake: Notify,
    nudged: Mutex<HashMap<ApprovalId, Timestamp>>,
}

impl Notifier {
    /// With what an earlier run did not tell.
    pub fn new(db: Db) -> Self {
        Self { db, audience: ArcSwap::default(), wake: Notify::new(), nudged: Mutex::default() }
    }

    /// Whom to tell from now on.
    pub fn put_in_force(&self, audience: Audience) {
        self.audience.store(Arc::new(audience));
    }

    /// Whom the configuration in force names.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.audience.load().targets.clone()
    }

    /// Keeps a notice for every target that wants its event, and begins to tell it.
    pub async fn tell(&self, notice: &Notice) -> Result<(), StoreError> {
        let new = self.kept(notice);
        if new.is_empty() {
            return Ok(());
        }
        self.db.notification_add(&new).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// A notice for every target that wants its event, to be kept.
    fn kept(&self, notice: &Notice) -> Vec<Notification> {
        let audience = self.audience.load_full();
        let wanted = audience.targets.iter().filter(|target| target.wants(&notice.event));
        wanted.map(|target| waiting(&target.name, notice)).collect()
    }

    /// The same of an approval, for whoever keeps it together with what happened; [`Self::wake`] has it told.
    pub fn kept_of(&self, event: &str, approval: &keyward_store::Approval) -> Vec<Notification> {
        let url = self.audience.load().public_url.clone();
        self.kept(&Notice::of_approval(event, approval, &url, clock::now()))
    }

    /// Has what was kept be told.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A notice of an approval.
    pub async fn tell_of(&self, event: &str, approval: &keyward_store::Approval) -> Result<(), StoreError> {
        let url = self.audience.load().public_url.clone();
        self.tell(&Notice::of_approval(event, approval, &url, clock::now())).await
    }

    /// Whether somebody may be reminded of an approval now; counts as a reminder.
    pub fn may_nudge(&self, id: ApprovalId, now: Timestamp) -> bool {
        let mut nudged = self.nudged.lock().unwrap_or_else(PoisonError::into_inner);
        nudged.retain(|_, at| now < at.plus(NUDGE_EVERY));
        nudged.insert(id, now).is_none()
    }

    /// Sends a test to a target at once. None when there is no such target.
    pub async fn test(&self, name: &str, shared: &Shared) -> Option<Result<(), SendError>> {
        let audience = self.audience.load_full();
        let target = audience.targets.iter().find(|target| *target.name == *name)?;
        let notice = Notice::test(&audience.public_url, clock::now());
        Some(target.send(NotificationId::new(clock::fresh_id()), &notice, shared).await)
    }

    /// What could not be told.
    pub async fn dead(&self) -> Result<Vec<Notification>, StoreError> {
        self.db.notification_dead(1_000).await
    }

    /// Tries again what could not be told. False when there is none.
    pub async fn again(&self, id: NotificationId) -> Result<bool, StoreError> {
        let done = self.db.notification_again(id, 0, Some(clock::now()), "").await?;
        self.wake.notify_one();
        Ok(done)
    }

    /// Forgets one. False when there is none.
    pub async fn forget(&self, id: NotificationId) -> Result<bool, StoreError> {
        self.db.notification_remove(id).await
    }

    /// Watches approvals and tells what is due, until `stop`.
    pub async fn run(&self, shared: &Shared, stop: CancellationToken) {
        let mut approvals = shared.approvals.changes();
        let mut next = Some(clock::now()); // what an earlier run left
        loop {
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep(at.since(clock::now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                change = approvals.recv() => match change {
                    Ok(id) => self.changed(shared, id).await,
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "changes of approvals were not told"),
                    Err(RecvError::Closed) => return,
                },
                () = self.wake.notified() => {}
                () = due => {}
            }
            next = self.send_due(shared).await.unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "notifications wait for the database"
                );
                Some(clock::now().plus(DATABASE_PAUSE))
            });
        }
    }

    async fn changed(&self, shared: &Shared, id: ApprovalId) {
        if self.audience.load().targets.is_empty() {
            return;
        }
        let told = async {
            let Some(approval) = shared.approvals.get(id).await? else { return Ok(()) };
            match approval.state {
                // Later changes of one that waits are votes, which are told when they decide, and escalations.
                ApprovalState::Pending if approval.revision == 0 => {
                    self.tell_of("approval.pending", &approval).await
                }
                ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired => {
                    self.tell_of("approval.decided", &approval).await
                }
                _ => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(approval = %id, error = &error as &dyn std::error::Error, "not told");
        }
    }

    /// Tells what is due; when the next is.
    async fn send_due(&self, shared: &Shared) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let due = self.db.notification_due(clock::now(), BATCH).await?;
            if due.is_empty() {
                return self.db.notification_next().await;
            }
            let tries = due.iter().map(|one| self.try_one(one, shared));
            for done in futures_util::future::join_all(tries).await {
                done?;
            }
        }
    }

    async fn try_one(&self, one: &Notification, shared: &Shared) -> Result<(), StoreError> {
        let audience = self.audience.load_full();
        let target = audience.targets.iter().find(|target| *target.name == *one.target);
        let sent = match (target, serde_json::from_str::<Notice>(&one.notice)) {
            (Some(target), Ok(notice)) => target.send(one.id, &notice, shared).await,
            (None, _) => Err(SendError::Gone),
            (_, Err(_)) => Err(SendError::Unreadable),
        };
        let Err(error) = sent else {
            self.db.notification_remove(one.id).await?;
            return Ok(());
        };
        let attempts = one.attempts.saturating_add(1);
        let pause =
            usize::try_from(one.attempts).ok().and_then(|at| PAUSES.get(at)).filter(|_| error.may_pass());
        let next_at = pause.map(|pause| clock::now().plus(*pause));
        let (target, again) = (&*one.target, next_at.is_some());
        tracing::warn!(notification = %one.id, target, again, error = &error as &dyn std::error::Error, "not told");
        let why = crate::session::chain(&error);
        self.db.notification_again(one.id, attempts, next_at, &why).await?;
        Ok(())
    }
}

fn waiting(target: &str, notice: &Notice) -> Notification {
    let now = clock::now();
    Notification {
        id: NotificationId::new(clock::fresh_id()),
        target: target.to_owned(),
        notice: serde_json::json!(notice).to_string(),
        created_at: now,
        attempts: 0,
        next_at: Some(now),
        error: String::new(),
    }
}
