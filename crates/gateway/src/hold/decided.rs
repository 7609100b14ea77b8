//! When a held call may go on.

use keyward_store::ApprovalState;

use super::Held;

impl Held {
    /// Waits until it is decided, and, where the approval asks for that, until somebody watches. Never returns while it is
    /// pending, nor approved and unwatched.
    pub(super) async fn decided(&mut self) -> ApprovalState {
        let settled = |state: &ApprovalState| *state != ApprovalState::Pending;
        let state = match self.watched.state.wait_for(settled).await {
            Ok(state) => *state,
            Err(_) => return ApprovalState::Stale,
        };
        let Some(room) = self.room.as_ref().filter(|_| state == ApprovalState::Approved) else {
            return state;
        };
        // It may be withdrawn, or its time run out, while nobody comes.
        let watched_or_ended = async {
            tokio::select! {
                () = room.somebody() => ApprovalState::Approved,
                other = self.watched.state.wait_for(|state| *state != ApprovalState::Approved) => {
                    other.map_or(ApprovalState::Stale, |state| *state)
                }
            }
        };
        Box::pin(watched_or_ended).await // on the heap: few wait for this
    }

    /// Whether it is approved, and waits for somebody who watches.
    pub(super) fn wants_watcher(&self, state: ApprovalState) -> bool {
        state == ApprovalState::Approved && self.room.as_ref().is_some_and(|room| !room.is_watched())
    }
}
