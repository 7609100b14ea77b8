//! Watching a moderated call run: it goes on while somebody does (catalogue 117).
//!
//! Promise: who watches may decide over the approval, and so never asked for it themselves; that is looked at every
//! [`LOOK_EVERY`] and before each event, whether or not the network takes what is sent. Their coming is in the journal
//! before it counts, their going as it happens. What is shown is masked: it is what the caller gets. Watching lets bytes
//! flow, so it is a POST like a decision, meant by the page that sends it (catalogue 108, 203), and takes as fresh a proof
//! of who one is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use keyward_core::PrincipalRef;
use keyward_store::{Approval, ApprovalState};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::ToSchema;

use super::Admin;
use super::auth::Caller;
use super::input::{Change, Segment};
use super::problem::{OnChange, Problem};
use crate::clock;
use crate::moderate::{Note, Notes, Phase, Presence, Seat, Seen, View};

/// What is recorded when somebody begins to watch, and when they end.
const BEGAN: &str = "approval.watch";
const ENDED: &str = "approval.watch_end";
/// How often it is looked at whether somebody may still watch.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Who is behind for so long is told that the call stands still.
const BEHIND_FOR: Duration = Duration::from_secs(1);
/// Time between two comments that show whether somebody is still there.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// Nothing has to be said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {}

/// Somebody who watches, and may as long as this says so.
struct Entitled {
    admin: Arc<Admin>,
    caller: Caller,
    approval: Approval,
}

/// What they are shown.
struct Transcript {
    entitled: Arc<Entitled>,
    notes: Notes,
    approval: watch::Receiver<ApprovalState>,
    text: Text,
    said: Option<(&'static str, usize)>,
    /// Told when they may not watch any more.
    over: CancellationToken,
    /// Tells that nobody reads this any more.
    _gone: DropGuard,
    _turn: OwnedSemaphorePermit,
}

/// Watch a moderated call
///
/// Server-sent events, for those who may decide over an approval whose rule says `moderated`. The call goes on while one of
/// them is open: `state` with `{"state", "watchers"}` (`waiting`, `running`, `paused`, `ended` with how in `end`), `head`
/// with `{"status", "content_type"}` of the answer, `text` with `{"text"}` for each masked piece as the caller gets it
/// (`bytes` with `{"base64"}` where it is no text), and `missed` where somebody was too slow to see everything.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/watch", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")), request_body = Option<Watch>,
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        OnChange,
    ))]
pub(super) async fn watch(
    State(admin): State<Arc<Admin>>,
    Segment(id): Segment,
    change: Change<Watch>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Change { caller, asked: Watch {} } = change;
    let turn = Arc::clone(&admin.streams).try_acquire_owned().map_err(|_| Problem::busy())?;
    let approval = caller.look("approval.read", &id).await?;
    let shared = Arc::clone(&caller.gateway.shared);
    if let Err(why) = shared.approvals.may_decide(&approval, caller.principal()) {
        return Err(caller.denied(BEGAN, &id, why.into()));
    }
    caller.fresh(BEGAN, &id)?;
    let Some(grace) = approval.approval.moderated else {
        let detail = "The rule does not ask for somebody who watches this call.";
        return Err(caller.denied(BEGAN, &id, Problem::new("not_moderated", StatusCode::CONFLICT, detail)));
    };
    let room = shared.moderation.room(approval.id, grace);
    if !approval.state.is_live() && !room.has_calls() {
        let detail = format!("There is nothing to watch any more: the approval is {}.", approval.state);
        return Err(caller.denied(BEGAN, &id, Problem::new("over", StatusCode::CONFLICT, detail)));
    }
    let state = shared.approvals.watch(approval.id, approval.binding.digest, approval.state);
    caller.record(BEGAN, &id)?;
    let who: PrincipalRef = caller.principal().reference();
    let entitled = Arc::new(Entitled { admin, caller, approval });
    let Some((seat, notes)) = room.join(who) else {
        entitled.ended();
        return Err(Problem::busy());
    };
    let (over, gone) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(sit(Arc::clone(&entitled), seat, gone.clone(), over.clone()));
    let transcript = Transcript {
        entitled,
        notes,
        approval: state,
        text: Text::default(),
        said: None,
        over,
        _gone: gone.drop_guard(),
        _turn: turn,
    };
    let events = stream::unfold(transcript, |mut transcript| async move {
        let event = transcript.next().await?;
        Some((Ok(event), transcript))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEPALIVE)))
}

/// Keeps somebody's seat for as long as they may have it and read what they are shown. A task of its own: a network that
/// takes nothing does not keep it from looking.
async fn sit(entitled: Arc<Entitled>, seat: Seat, gone: CancellationToken, over: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stops = false;
    loop {
        tokio::select! {
            () = gone.cancelled() => break,
            () = entitled.admin.stop.cancelled(), if !stops => stops = true,
            _ = look.tick() => {}
        }
        // While the gateway stops, what runs may finish under somebody's eyes.
        if (stops && !seat.runs()) || !entitled.still() {
            break;
        }
    }
    drop(seat);
    over.cancel();
    entitled.ended();
}

impl Entitled {
    /// Whether they may still watch.
    fn still(&self) -> bool {
        let (caller, now) = (&self.caller, clock::now());
        let gateway = self.admin.current.load();
        let who = caller.principal();
        let signed_in = caller.web.as_ref().is_none_or(|web| !web.over.is_cancelled());
        signed_in
            && now < caller.verified.expires_at
            && gateway.identity.trusts(&who.issuer)
            && gateway.shared.locks.hit(who, None, now).is_none()
            && gateway.shared.approvals.may_decide(&self.approval, who).is_ok()
    }

    /// Records that they went.
    fn ended(&self) {
        let id = self.approval.id;
        if self.caller.record(ENDED, &id.to_string()).is_err() {
            tracing::error!(approval = %id, "the end of watching is not recorded");
        }
    }
}

impl Transcript {
    /// The next event; none where there is nothing more to see, or they may not see it.
    async fn next(&mut self) -> Option<Event> {
        if self.said.is_some_and(|(state, _)| state == "ended") {
            return None;
        }
        loop {
            let view = self.notes.view();
            let state = self.state(view);
            if self.over.is_cancelled() || !self.entitled.still() {
                return None;
            }
            // What was shown before the end comes before it.
            let ended = state == "ended";
            if (ended && !self.notes.has_notes()) || (!ended && self.said != Some((state, view.watchers))) {
                return Some(self.told(state, view));
            }
            let seen = tokio::select! {
                () = self.over.cancelled() => return None,
                seen = self.notes.next() => seen,
                () = tokio::time::sleep(LOOK_EVERY) => Seen::View,
            };
            if let Seen::Note(note) = seen
                && self.entitled.still()
                && let Some(event) = self.event(note)
            {
                return Some(event);
            }
        }
    }

    /// How it stands, in a word.
    fn state(&self, view: View) -> &'static str {
        match (view.phase, view.presence) {
            (Phase::Ended(_), _) => "ended",
            // Everybody is behind at times; that is not worth a word.
            (Phase::Running, Presence::Gone(since)) if since.elapsed() >= BEHIND_FOR => "paused",
            (Phase::Running, Presence::Over) => "paused",
            (Phase::Running, Presence::Here | Presence::Gone(_)) => "running",
            (Phase::Waiting, _) => {
                let live = self.approval.borrow().is_live();
                if live || self.notes.has_calls() { "waiting" } else { "ended" }
            }
        }
    }

    fn told(&mut self, state: &'static str, view: View) -> Event {
        self.said = Some((state, view.watchers));
        let mut data = json!({"state": state, "watchers": view.watchers});
        if state == "ended" {
            let end = match view.phase {
                Phase::Ended(end) => end.as_str(),
                Phase::Waiting | Phase::Running => self.approval.borrow().as_str(),
            };
            if let Some(data) = data.as_object_mut() {
                data.insert("end".to_owned(), end.into());
            }
        }
        Event::default().event("state").data(data.to_string())
    }

    fn event(&mut self, note: Note) -> Option<Event> {
        let (name, data) = match note {
            Note::Head { status, content_type } => {
                ("head", json!({"status": status, "content_type": content_type}))
            }
            Note::Missed => {
                self.text = Text::default();
                ("missed", json!({}))
            }
            Note::Piece(piece) => match self.text.piece(&piece) {
                Ok(text) if text.is_empty() => return None,
                Ok(text) => ("text", json!({"text": text})),
                Err(bytes) => ("bytes", json!({"base64": STANDARD.encode(bytes)})),
            },
        };
        Some(Event::default().event(name).data(data.to_string()))
    }
}

/// Makes text of pieces that may be cut within a character.
#[derive(Debug, Default)]
struct Text {
    /// The beginning of a character that was cut.
    cut: Vec<u8>,
}

impl Text {
    /// The text that is whole now; the bytes themselves where they are none.
    fn piece(&mut self, piece: &[u8]) -> Result<String, Vec<u8>> {
        let mut all = std::mem::take(&mut self.cut);
        all.extend_from_slice(piece);
        match String::from_utf8(all) {
            Ok(text) => Ok(text),
            Err(error) => {
                let cut = error.utf8_error();
                let mut all = error.into_bytes();
                if cut.error_len().is_some() {
                    return Err(all);
                }
                self.cut = all.split_off(cut.valid_up_to());
                String::from_utf8(all).map_err(std::string::FromUtf8Error::into_bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_whole_however_it_was_cut_and_bytes_as_they_are() {
        let said = "žluťoučký 🐎";
        for size in 1..said.len() {
            let mut text = Text::default();
            let pieces: Vec<String> =
                said.as_bytes().chunks(size).map(|piece| text.piece(piece).unwrap()).collect();
            assert_eq!(pieces.concat(), said, "{size}");
        }
        assert_eq!(Text::default().piece(b"\xff\xfe"), Err(vec![0xff, 0xfe]));
    }
}
