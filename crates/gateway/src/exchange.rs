//! The life of one HTTP exchange, top to bottom. Every step may refuse; none may be skipped: [`forward`] demands a
//! [`Permit`], and only [`Session::admit`] makes one.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use keyward_core::RequestId;
use keyward_journal::Record;
use keyward_journal::record::Refused;

use crate::admit::{Admission, Permit};
use crate::body::Body;
use crate::caller_body::CallerBody;
use crate::forward::forward;
use crate::identify::{CLIENT_TOKEN_PREFIX, Verified, presented_credential};
use crate::refusal::{Blame, Refusal, RefusalKind};
use crate::respond::respond;
use crate::route::Route;
use crate::session::{Session, detail, set};
use crate::snapshot::{Gateway, InFlight};
use crate::websocket::{self, Opening};
use crate::{clock, edge, hold, inject};

/// Answers a request: with what its upstream says, or with a refusal in the caller's dialect.
///
/// Thousands of calls may wait for a human in here, so what is large is on the heap, and only for as long as it is needed:
/// the head, and each step that takes long.
pub fn answer(
    gateway: Arc<Gateway>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Body>> + Send {
    let id = RequestId::new(clock::fresh_id());
    let in_flight = gateway.shared.running.enter(&gateway.shared.metrics);
    let (parts, incoming) = request.into_parts();
    let incoming = CallerBody::new(incoming, &parts.headers);
    let route = edge::read(&parts).and_then(|head| gateway.routes.find(head));
    let (route, parts) = (route.map(Box::new), Box::new(parts));
    async move {
        let target = route.as_ref().ok().map(|route| Arc::clone(&route.target));
        let answered = match route {
            Ok(route) => exchange(&gateway, peer, id, in_flight, route, parts, incoming).await,
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| {
            let connection = target.as_ref().map(|target| &target.settings.connection);
            let mut response = refusal.response(connection.map(|c| c.kind), id);
            told(&gateway, peer, id, connection.map(|c| Arc::clone(&c.name)), &refusal, &mut response);
            response
        })
    }
}

async fn exchange(
    gateway: &Arc<Gateway>,
    peer: SocketAddr,
    id: RequestId,
    in_flight: InFlight,
    mut route: Box<Route>,
    mut parts: Box<Parts>,
    incoming: CallerBody,
) -> Result<Response<Body>, Refusal> {
    let opening =
        route.websocket.take().map(|wish| Opening::take(wish, &mut parts).map(Box::new)).transpose()?;
    let verified = Box::pin(identify(gateway, &mut parts)).await?;
    let session = Arc::new(gateway.open(verified, Arc::clone(&route.target), peer, id, in_flight)?);
    let governed = async {
        let connection = &session.target.settings.connection.name;
        session.gateway.shared.locks.refuse(&session.verified.principal, connection)?;
        session.for_connection()?;
        let call = Box::pin(session.understand(route, parts, incoming)).await?.opening(opening);
        // Not in the match, whose arms would keep all of this step's room for as long as a call waits.
        let admission = Box::pin(session.admit(call)).await?;
        match admission {
            Admission::Granted(permit) => Box::pin(proceed(Arc::clone(&session), permit)).await,
            Admission::Held(held) => Box::pin(hold::wait(Arc::clone(&session), held, proceed)).await,
            Admission::Answered(response) => Ok(*response),
        }
    };
    session.unless_ended(governed).await.map_err(|refusal| session.refused(refusal))
}

/// What is left to do for a call that may happen.
async fn proceed(session: Arc<Session>, permit: Box<Permit>) -> Result<Response<Body>, Refusal> {
    let verdict = permit.decision().verdict;
    let credential = session.lease().await?; // just in time
    let sent = forward(Arc::clone(&session), permit, credential).await?; // ours set, intent recorded
    let response = if websocket::is_accepted(&sent) {
        websocket::open(sent).await? // each message judged, masked, recorded from here on
    } else {
        respond(sent)? // decoded, masked, recorded, while streaming
    };
    let connection = &session.target.settings.connection.name;
    let metrics = &session.gateway.shared.metrics;
    metrics.answered(connection, verdict, response.status().as_u16(), session.arrived.elapsed());
    Ok(response)
}

/// Who calls. The credential is taken off the request here and goes no further.
async fn identify(gateway: &Gateway, parts: &mut Parts) -> Result<Arc<Verified>, Refusal> {
    let refuse = |error: crate::identify::IdentifyError| {
        let kind = match error.status().as_u16() {
            400 => RefusalKind::BadRequest,
            503 => RefusalKind::IdentityUnavailable,
            _ => RefusalKind::Unauthenticated,
        };
        Refusal::new(kind, error.public()).because(error)
    };
    let presented = presented_credential(&parts.headers, &parts.uri).map_err(refuse)?;
    // Whatever is judged from here on is what will be forwarded.
    inject::strip_request(&mut parts.headers);
    let (token, now) = (presented.token(), clock::now());
    if token.starts_with(CLIENT_TOKEN_PREFIX) {
        return gateway.shared.client_tokens.verify(token, &gateway.identity, now).map_err(refuse);
    }
    gateway.identity.verify(token, now).await.map_err(refuse)
}

/// Records, counts and logs a refusal, and puts what names it on the response.
fn told(
    gateway: &Gateway,
    peer: SocketAddr,
    id: RequestId,
    connection: Option<Arc<str>>,
    refusal: &Refusal,
    response: &mut Response<Body>,
) {
    let headers = response.headers_mut();
    set(headers, "keyward-request-id", &id.to_string());
    set(headers, "keyward-decision", decision_word(refusal.kind));
    if let Some(rule) = &refusal.rule {
        set(headers, "keyward-rule", rule);
    }
    if let Some(approval) = &refusal.approval {
        set(headers, "keyward-approval", &approval.to_string());
    }
    gateway.shared.metrics.refused(refusal.kind.code());
    let mut detail = detail(refusal);
    if let Some(session) = refusal.session {
        set(headers, "keyward-session", &session.to_string());
        log(id, refusal.kind, &detail);
        return;
    }
    let Some(left_out) = gateway.shared.anonymous.turn() else { return };
    if left_out > 0 {
        detail = format!(
            "{detail} (and {left_out} refusals of unknown callers before it, which were not recorded)"
        );
    }
    log(id, refusal.kind, &detail);
    let record = Record::Refused(Box::new(Refused {
        request: id,
        session: None,
        at: clock::now(),
        principal: None,
        connection,
        operation: None,
        decision: None,
        code: refusal.kind.code().to_owned(),
        status: refusal.kind.status().as_u16(),
        peer: peer.to_string(),
        detail: Some(detail),
    }));
    if let Err(error) = gateway.shared.journal.append(&record) {
        tracing::error!(request = %id, error = &error as &dyn std::error::Error, "refusal not recorded");
    }
}

fn log(id: RequestId, kind: RefusalKind, detail: &str) {
    match kind.blame() {
        Blame::Downstream => tracing::info!(request = %id, code = kind.code(), detail, "call refused"),
        Blame::Upstream | Blame::Gateway => {
            tracing::warn!(request = %id, code = kind.code(), detail, "call failed");
        }
    }
}

const fn decision_word(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::ApprovalPending
        | RefusalKind::ApprovalDenied
        | RefusalKind::ApprovalExpired
        | RefusalKind::ApprovalStale
        | RefusalKind::ApprovalQuota => "approve",
        RefusalKind::Blocked => "block",
        _ => "refuse",
    }
}
