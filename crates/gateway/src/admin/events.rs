//! What changes, as it changes: one stream of events for a page that is open.
//!
//! Promise: an event names an approval that the caller may see, and its state; anything else is asked for. The stream ends
//! with the caller's session, their token, a lock, or a role that they had when it began (catalogue 205, 207); this is
//! looked at every [`LOOK_EVERY`], and before each event. Streams at once have a bound.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use keyward_core::ApprovalId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Admin;
use super::auth::Caller;
use super::problem::{OnRead, Problem};
use crate::clock;

/// Streams at once; more are refused.
pub(super) const STREAMS_MAX: usize = 1_024;
/// How often it is looked at whether the caller may still listen.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Time between two comments that keep the connection open.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Somebody who listens.
struct Listener {
    admin: Arc<Admin>,
    caller: Caller,
    changes: Receiver<ApprovalId>,
    greeted: bool,
    _turn: OwnedSemaphorePermit,
}

/// Hear of changes
///
/// Server-sent events: `hello` first, then `approval` with `{"id", "state"}` for each change of one that the caller may see (with
/// `"escalated_to"` where others may decide as well by now, since nobody did),
/// and `missed` where some were left out. For auditors, all approvals; recorded at the beginning.
#[utoipa::path(get, path = "/api/v1/events", tag = "approvals", security(("token" = [])),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"), OnRead))]
pub(super) async fn listen(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let turn = Arc::clone(&admin.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    if caller.audits() {
        caller.record("events.listen", "approvals")?;
    }
    let changes = caller.gateway.shared.approvals.changes();
    let listener = Listener { admin, caller, changes, greeted: false, _turn: turn };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEPALIVE)))
}

impl Listener {
    /// The next event; none where the caller may not listen any more.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::default().event("hello").data("{}"));
        }
        loop {
            let changed = tokio::select! {
                () = self.admin.stop.cancelled() => return None,
                changed = self.changes.recv() => Some(changed),
                () = tokio::time::sleep(LOOK_EVERY) => None,
            };
            if !self.may_listen() {
                return None;
            }
            let id = match changed {
                None => continue,
                Some(Ok(id)) => id,
                Some(Err(RecvError::Lagged(_))) => return Some(Event::default().event("missed").data("{}")),
                Some(Err(RecvError::Closed)) => return None,
            };
            // What cannot be read now is asked for by the page later.
            let Ok(Some(approval)) = self.caller.gateway.shared.approvals.get(id).await else { continue };
            if self.caller.sees(&approval) {
                let mut data = serde_json::json!({"id": id, "state": approval.state.as_str()});
                let came = approval.escalations(clock::now()).into_iter().filter(|it| it.came);
                let to: Vec<String> = came.flat_map(|it| it.to).collect();
                if let Some(data) = data.as_object_mut().filter(|_| !to.is_empty()) {
                    data.insert("escalated_to".to_owned(), to.into());
                }
                return Some(Event::default().event("approval").data(data.to_string()));
            }
        }
    }

    fn may_listen(&self) -> bool {
        let who = self.caller.principal();
        let gateway = self.admin.current.load();
        let now = clock::now();
        let signed_in = self.caller.web.as_ref().is_none_or(|web| !web.over.is_cancelled());
        signed_in
            && now < self.caller.verified.expires_at
            && gateway.shared.locks.hit(who, None, now).is_none()
            && gateway.roles.of(who) == self.caller.roles
    }
}
