//! A moderated call on its way.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use keyward_core::{ApprovalId, PrincipalRef};
use keyward_journal::record::End;

use super::{Gate, Note, Phase, Room};
use crate::admit::Permit;
use crate::refusal::{Refusal, RefusalKind};
use crate::session::Session;
use crate::snapshot::InFlight;

/// A call that goes on only while somebody watches.
pub(crate) struct Attended {
    room: Arc<Room>,
    approval: ApprovalId,
    gate: Gate,
    paused: bool,
    /// That nobody is there was told.
    told: bool,
    in_flight: InFlight,
    _call: Arc<()>,
}

/// Whether a call stood still before it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// It did not.
    On,
    /// It did.
    OnAgain,
}

impl Attended {
    /// Of a permit whose approval asks for it.
    pub(crate) fn of(session: &Session, permit: &Permit) -> Option<Self> {
        let (approval, grace) = permit.moderated()?;
        let room = session.gateway.shared.moderation.room(approval, grace);
        let (gate, call) = (Gate::new(&room), room.call());
        Some(Self {
            room,
            approval,
            gate,
            paused: false,
            told: false,
            in_flight: session.in_flight.clone(),
            _call: call,
        })
    }

    /// Waits for somebody who watches, before anything is recorded or sent: who they are.
    pub(crate) fn watchers(&self) -> impl Future<Output = Result<Vec<PrincipalRef>, Refusal>> + Send + use<> {
        let (room, approval) = (Arc::clone(&self.room), self.approval);
        async move {
            let found = tokio::time::timeout(room.grace, async {
                loop {
                    room.somebody().await;
                    let watchers = room.watchers();
                    if !watchers.is_empty() {
                        return watchers;
                    }
                    tokio::task::yield_now().await;
                }
            });
            found.await.map_err(|_| unwatched(approval, room.grace))
        }
    }

    /// The approval was used up for this call.
    pub(crate) fn begin(&self) {
        self.room.begin();
    }

    /// A gate of its own, for the body that goes up.
    pub(crate) fn gate(&self) -> Gate {
        Gate::new(&self.room)
    }

    /// Waits until somebody watches.
    pub(crate) async fn present(&mut self) -> Result<(), Refusal> {
        poll_fn(|cx| self.poll(cx)).await.map(drop)
    }

    /// Does the work unless nobody watches for too long.
    pub(crate) async fn unless_left<T>(
        &mut self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let left = poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(Err(refusal)) => Poll::Ready(refusal),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            biased;
            left = left => Err(left),
            done = work => done,
        }
    }

    /// Ready while somebody watches; with an error when nobody did for too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Went, Refusal>> {
        let polled = self.gate.poll(cx);
        self.paused |= polled.is_pending();
        // That somebody is a moment behind is nothing to tell.
        if polled.is_pending() && !self.told && self.room.is_empty() {
            self.told = true;
            self.in_flight.metrics().paused();
            tracing::info!(approval = %self.approval, "nobody watches a moderated call: it stands still");
        }
        match ready!(polled) {
            Ok(()) if std::mem::take(&mut self.paused) => {
                self.told = false;
                Poll::Ready(Ok(Went::OnAgain))
            }
            Ok(()) => Poll::Ready(Ok(Went::On)),
            Err(refusal) => {
                self.in_flight.metrics().moderator_left();
                Poll::Ready(Err(refusal))
            }
        }
    }

    /// Shows the head of the answer, as the caller gets it.
    pub(crate) fn head(&self, status: StatusCode, headers: &HeaderMap) {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        self.room
            .show(&Note::Head { status: status.as_u16(), content_type: content_type.map(str::to_owned) });
    }

    /// Shows a masked piece of it.
    pub(crate) fn piece(&self, piece: &Bytes) {
        self.room.show(&Note::Piece(piece.clone()));
    }

    /// It ended like this; the first word stands.
    pub(crate) fn end(&self, end: End) {
        if self.room.view.borrow().phase == Phase::Running {
            self.room.end(end);
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.end(self.in_flight.dropped());
    }
}

/// What the caller of an approved call is told that nobody watches.
fn unwatched(approval: ApprovalId, waited: Duration) -> Refusal {
    let text = format!(
        "The approval {approval} is given, and nobody watched the call for {} s, so nothing was sent; send it again to \
         wait for somebody who does.",
        waited.as_secs()
    );
    Refusal::new(RefusalKind::ApprovalPending, text).on_approval(approval)
}
