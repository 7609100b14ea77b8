//! What a moderated call passes through, wherever its bytes are polled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;

use super::{Presence, Room, View};
use crate::refusal::{Refusal, RefusalKind};

/// Open while somebody watches.
pub struct Gate {
    room: Arc<Room>,
    view: watch::Receiver<View>,
    /// Ready when it may stand otherwise than when it was made.
    turn: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Gate {
    pub(super) fn new(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), view: room.view.subscribe(), turn: None }
    }

    /// Ready while somebody watches, and with an error when nobody did for too long. Wakes for either, and, once it was
    /// ready, when nobody watches any more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        loop {
            let seen = *self.view.borrow();
            if seen.is_over(self.room.grace) {
                return Poll::Ready(Err(moderator_left(self.room.grace)));
            }
            let turn = self
                .turn
                .get_or_insert_with(|| Box::pin(turn(self.view.clone(), seen.presence, self.room.grace)));
            if turn.as_mut().poll(cx).is_ready() {
                self.turn = None;
                continue;
            }
            return if seen.presence == Presence::Here { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    }
}

/// Waits until it stands otherwise, or until the grace time is over where nobody watches.
async fn turn(mut view: watch::Receiver<View>, seen: Presence, grace: Duration) {
    let changed = async {
        _ = view.wait_for(|now| now.presence != seen).await;
    };
    match seen {
        Presence::Gone(since) => {
            // Before it runs there is no grace time; the turn is then taken again.
            let left = grace.saturating_sub(since.elapsed());
            let left = if left.is_zero() { grace } else { left };
            _ = tokio::time::timeout(left, changed).await;
        }
        Presence::Here | Presence::Over => changed.await,
    }
}

/// What the caller is told whose call nobody watched for too long.
fn moderator_left(grace: Duration) -> Refusal {
    let text = format!(
        "moderator left: nobody who may decide this approval watched the call for {} s, so it was ended; send it again to \
         ask anew.",
        grace.as_secs()
    );
    Refusal::new(RefusalKind::SessionEnded, text)
}
