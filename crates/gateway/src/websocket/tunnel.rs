//! From the upstream's acceptance to the end of the caller's connection.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use keyward_core::Place;
use keyward_journal::record::End;
use keyward_mask::walk::WebSocketMasker;
use keyward_wire::websocket::{Messages, Side};
use tokio_util::sync::CancellationToken;

use super::down::Down;
use super::ending::{Ending, Who};
use super::peer::{Controls, split};
use super::relay::Relay;
use super::up::Up;
use super::{OPEN_MAX, Opened, Opening};
use crate::admit::Permit;
use crate::body::Body;
use crate::clock;
use crate::forward::Sent;
use crate::inject;
use crate::record::Recorder;
use crate::refusal::{Refusal, RefusalKind};
use crate::respond::{Meter, mask_headers, message_guard};
use crate::session::{Session, detail};

/// How long either connection may take to leave HTTP.
const LEAVE_WAIT: Duration = Duration::from_secs(10);

/// A WebSocket that was agreed on, before the caller's connection has left HTTP.
pub(crate) struct Tunnel {
    session: Arc<Session>,
    caller: OnUpgrade,
    upstream: Upgraded,
    up: Up,
    down: Down,
    recorder: Recorder,
    permit: Box<Permit>,
}

/// Whether the upstream changes the protocol, and that was asked for.
pub(crate) fn is_accepted(sent: &Sent) -> bool {
    sent.asked.is_some() && sent.response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// Answers the caller's handshake; its connection goes on with the WebSocket once the answer is out.
pub(crate) async fn open(sent: Sent) -> Result<Response<Body>, Refusal> {
    let Sent { session, mut response, mut permit, lease, mut recorder, asked, attended, note: _ } = sent;
    let moderated = attended.is_some();
    let opening = permit.take_opening();
    let upstream = hyper::upgrade::on(&mut response);
    let agreed = async {
        let (Some(asked), Some(opening)) = (asked, opening) else {
            return Err(Refusal::new(RefusalKind::Internal, "Nobody asked for this WebSocket."));
        };
        // A moderated approval is never for a WebSocket, which no rule holds; its messages would pass unwatched.
        if moderated {
            return Err(Refusal::new(RefusalKind::Internal, "A WebSocket cannot be watched while it runs."));
        }
        let protocol = asked.accepted(response.headers(), &opening.wish)?;
        let profiles = &session.target.profiles;
        let mask = |place| profiles.at(place, permit.mask(), lease.as_ref(), session.id.bits());
        let mut headers = std::mem::take(response.headers_mut());
        inject::strip_response(&mut headers);
        for name in [CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE] {
            headers.remove(name);
        }
        if let Some(profile) = mask(Place::Headers)? {
            let findings = mask_headers(&profile, &mut headers).map_err(|error| {
                let public = "A header of the upstream's answer cannot be masked.";
                Refusal::new(RefusalKind::UpstreamInvalid, public).because(error)
            })?;
            session.gateway.shared.metrics.found(&findings);
            recorder.findings(Place::Headers, &findings);
        }
        let masker = mask(Place::Stream)?.map(WebSocketMasker::new);
        let record_mask = session.request_mask(lease.as_ref())?;
        let upstream = match tokio::time::timeout(LEAVE_WAIT, upstream).await {
            Ok(Ok(upstream)) => upstream,
            Ok(Err(error)) => return Err(broke_off().because(error)),
            Err(late) => return Err(broke_off().because(late)),
        };
        let response = answer(&session, &permit, &opening, (headers, protocol))?;
        Ok((response, opening, masker, record_mask, upstream))
    }
    .await;
    let (response, opening, masker, mask, upstream) = match agreed {
        Ok(agreed) => agreed,
        Err(mut refusal) => {
            recorder.end(End::UpstreamReset, Some(detail(&refusal)))?;
            refusal.session = Some(session.id); // its outcome is recorded
            return Err(refusal);
        }
    };
    recorder.head(response.status(), response.headers());
    let decision = permit.decision();
    let opened = Arc::new(Opened {
        operation: Arc::clone(permit.operation()),
        granted: decision.grant.and(decision.rule.clone()),
    });
    let headers = permit.call().headers.clone();
    let down = Down::new(message_guard(&session, &permit), masker);
    let up = Up { session: Arc::clone(&session), opened, headers, mask };
    let Opening { caller, handover, .. } = *opening;
    handover.leave(Tunnel { session, caller, upstream, up, down, recorder, permit });
    Ok(response)
}

/// 101, as the caller gets it.
fn answer(
    session: &Session,
    permit: &Permit,
    opening: &Opening,
    (mut headers, protocol): (HeaderMap, Option<HeaderValue>),
) -> Result<Response<Body>, Refusal> {
    session.mark(&mut headers, permit.decision());
    opening.wish.accept(protocol, &mut headers)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    Ok(response)
}

fn broke_off() -> Refusal {
    Refusal::new(
        RefusalKind::UpstreamInvalid,
        "The upstream's connection broke off as it changed the protocol.",
    )
}

impl Tunnel {
    /// Passes messages on to the end of the WebSocket, which `stop` brings on. The outcome is recorded in any case: where
    /// the caller is gone before it began, as that.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { session, caller, upstream, up, down, recorder, permit } = self;
        let Ok(Ok(caller)) = tokio::time::timeout(LEAVE_WAIT, caller).await else { return };
        let (from_caller, to_caller) = split(caller, Who::Caller);
        let (from_upstream, to_upstream) = split(upstream, Who::Upstream);
        let purses = permit.purses().to_vec();
        let longest = usize::try_from(session.inspected()).unwrap_or(usize::MAX);
        let mut relay = Relay {
            from_caller,
            to_caller,
            from_upstream,
            to_upstream,
            said: Messages::new(Side::Client).at_most(longest),
            heard: Messages::new(Side::Server),
            controls: (Controls::of(Who::Caller), Controls::of(Who::Upstream)),
            up,
            down,
            recorder,
            meter: Meter::new(&session.gateway.shared.budgets, purses.clone(), 0),
            purses,
            closing: None,
        };
        let life = Arc::clone(session.in_flight.life());
        let left = session.verified.expires_at.since(clock::now()).min(OPEN_MAX);
        let ending = tokio::select! {
            biased;
            refusal = life.ended() => Ending::refused(refusal),
            () = stop.cancelled() => Ending::stopped(),
            () = tokio::time::sleep(left) => Ending::over(),
            ending = relay.pass() => ending,
        };
        relay.finish(ending).await;
    }
}
