//! Sending a judged request to its upstream.
//!
//! Promise: a request leaves only with a [`Permit`] for it, after its intent was recorded, with an approval that was used
//! up for it where one was needed, to the configured host and no other.
//! A moderated call leaves only while somebody watches it. When any of that fails, nothing leaves: *fails closed*.

mod pools;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use keyward_core::{Place, RequestDigest, RequestId};
use keyward_journal::record::{BodyNote, End, Frame, Intent, SecretUse};
use keyward_mask::Profile;
use keyward_secrets::Lease;
use keyward_store::{ApprovalState, Consumption};

pub use pools::{Pools, TlsSetupError};

use crate::admit::Permit;
use crate::body::Outgoing;
use crate::call::{CallBody, CallForm};
use crate::clock;
use crate::hold::{RunningNote, runs_already};
use crate::inject;
use crate::moderate::Attended;
use crate::record::{CONTENT_BYTES_MAX, Recorder, fields};
use crate::refusal::{Refusal, RefusalKind};
use crate::requests::{is_encoded, mask_whole};
use crate::respond::mask_headers;
use crate::session::{Session, detail};
use crate::websocket::Asked;

/// The longest piece of a request body in one frame of its record.
const CONTENT_PIECE_BYTES: usize = 256 * 1024;

/// A request that was sent, and the head of its answer.
pub struct Sent {
    /// The exchange that it was sent in: a second try is one of its own.
    pub session: Arc<Session>,
    /// The upstream's answer.
    pub response: Response<Incoming>,
    /// What permitted it.
    pub permit: Box<Permit>,
    /// The credential that was used.
    pub lease: Option<Arc<Lease>>,
    /// Its way into the journal.
    pub recorder: Recorder,
    /// Makes identical calls wait, where an approval was used up.
    pub note: Option<RunningNote>,
    /// The WebSocket that was asked for.
    pub(crate) asked: Option<Asked>,
    /// Has it go on only while somebody watches, where its approval asks for that.
    pub(crate) attended: Option<Attended>,
}

/// Records the intent, uses up the approval, takes the caller's credential off, sets ours, and sends. When the upstream
/// refuses a credential that has a newer version by now, the call is sent once more with that one.
pub async fn forward(
    session: Arc<Session>,
    mut permit: Box<Permit>,
    lease: Option<Arc<Lease>>,
) -> Result<Sent, Refusal> {
    let (headers, body) = permit.take_request(&session.gateway.policy);
    // Only what is here whole can be sent twice, and only what needs no approval may be.
    let again = match (&body, permit.approved()) {
        (CallBody::Whole(bytes), None) if lease.is_some() => Some((headers.clone(), bytes.clone())),
        _ => None,
    };
    let mut sent = send(Arc::clone(&session), permit, lease, headers, body, None).await?;
    let Some((headers, bytes)) = again.filter(|_| sent.response.status() == StatusCode::UNAUTHORIZED) else {
        return Ok(sent);
    };
    let Some(newer) = newer_lease(&session, sent.lease.as_deref()).await else { return Ok(sent) };
    sent.recorder
        .end(End::UpstreamError, Some("refused by the upstream; a newer version is used".to_owned()))?;
    let again = Arc::new(session.again());
    send(again, sent.permit, Some(newer), headers, CallBody::Whole(bytes), Some(session.request)).await
}

/// The credential read anew, when it is another version than the one that was refused.
async fn newer_lease(session: &Session, refused: Option<&Lease>) -> Option<Arc<Lease>> {
    let refused = refused?;
    let renewed = session.gateway.shared.secrets.renew(&refused.reference, &refused.version).await.ok()?;
    (renewed.version != refused.version).then_some(renewed)
}

async fn send(
    session: Arc<Session>,
    permit: Box<Permit>,
    lease: Option<Arc<Lease>>,
    mut headers: HeaderMap,
    body: CallBody,
    retry_of: Option<RequestId>,
) -> Result<Sent, Refusal> {
    inject::strip_framing(&mut headers);
    let mut attended = Attended::of(&session, &permit);
    let moderators = match &attended {
        Some(attended) => Box::pin(attended.watchers()).await?,
        None => Vec::new(),
    };
    let mut intent = intent(&session, &permit, lease.as_ref(), &headers, &body)?;
    (intent.retry_of, intent.moderators) = (retry_of, moderators);
    let opens = matches!(permit.call().form, CallForm::Handshake(_));
    let asked = if opens { Some(Asked::set(&mut headers)?) } else { None };
    let request = upstream_request(&session, &permit, lease.as_deref(), headers)?;

    let journal = session.gateway.shared.journal.clone();
    let (mut recorder, receipt) = Recorder::begin(journal.clone(), intent, session.in_flight.clone())?;
    let masked = &permit.call().masked;
    if !masked.is_empty() {
        session.gateway.shared.metrics.found(masked);
        recorder.findings(Place::Request, masked);
    }
    let sent = async {
        let written = async {
            if permit.approved().is_some() || permit.decision().grant.is_some() {
                journal.sync(&receipt).await
            } else {
                journal.commit(&receipt).await
            }
        };
        // Beside each other, for each waits for the disk; the call needs both.
        let (written, spent) = tokio::join!(written, spend(&session, &permit, lease.as_deref()));
        written?;
        let note = spent?;
        let request = request.map(|()| outgoing(body, &session, &recorder, attended.as_ref()));
        let target = &session.target;
        let version = lease.as_ref().map_or("", |lease| &lease.version);
        let client = if opens { target.pools.alone() } else { target.pools.client(version) };
        let bytes_up = recorder.bytes_up();
        let answer = pools::send(client, request, target.settings.header_timeout, &bytes_up);
        let response = match &mut attended {
            None => answer.await?,
            Some(attended) => Box::pin(while_watched(attended, answer)).await?,
        };
        Ok::<_, Refusal>((response, note))
    }
    .await;
    match sent {
        Ok((response, note)) => {
            Ok(Sent { session, response, permit, lease, recorder, note, asked, attended })
        }
        Err(mut refusal) => {
            if let Some(attended) = &attended {
                attended.end(end_of(refusal.kind));
            }
            recorder.end(end_of(refusal.kind), Some(detail(&refusal)))?;
            refusal.session = Some(session.id); // its outcome is recorded
            Err(refusal)
        }
    }
}

/// Sends a moderated call whose approval was used up, and takes the head of its answer, each while somebody watches.
async fn while_watched<T>(
    attended: &mut Attended,
    answer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    attended.begin();
    attended.present().await?;
    let response = attended.unless_left(answer).await?;
    attended.present().await?;
    Ok(response)
}

/// Uses up the approval that the permit rests on. One caller wins, and only for what was approved.
async fn spend(
    session: &Session,
    permit: &Permit,
    lease: Option<&Lease>,
) -> Result<Option<RunningNote>, Refusal> {
    let Some(approved) = permit.approved() else { return Ok(None) };
    let shared = &session.gateway.shared;
    let in_force = shared.in_force.load();
    let connection = &session.target.settings.connection;
    if in_force.ways.get(&connection.name) != Some(&session.target.way()) {
        shared.approvals.mark_stale(approved.id, "the connection changed").await?;
        return Err(void().on_approval(approved.id));
    }
    let mut binding = approved.binding.clone();
    binding.credential_version = session.target.credential_version(lease);
    binding.policy_version = in_force.policy.to_string();
    // Noted before it is used up: an identical call that comes while this one runs must find the note.
    let Some(note) = shared.answers.running(approved.digest, session.request) else {
        return Err(runs_already());
    };
    match shared.approvals.consume(approved.id, binding, session.request).await? {
        Consumption::Won(_) => Ok(Some(note)),
        Consumption::NotApproved(Some(ApprovalState::Consumed)) => Err(runs_already()),
        Consumption::NotApproved(_) | Consumption::OtherRequest | Consumption::Void(_) => Err(void()),
    }
    .map_err(|refusal| refusal.on_approval(approved.id))
}

fn void() -> Refusal {
    Refusal::new(
        RefusalKind::ApprovalStale,
        "The approval is void, because the policy, the credential or the connection changed after it was asked for; \
         send the call again to ask anew.",
    )
}

const fn end_of(kind: RefusalKind) -> End {
    match kind {
        RefusalKind::UpstreamUnreachable => End::UpstreamUnreachable,
        RefusalKind::UpstreamTimeout => End::UpstreamTimeout,
        RefusalKind::UpstreamInvalid => End::UpstreamReset,
        RefusalKind::SessionEnded => End::SessionEnded,
        _ => End::Refused,
    }
}

/// The request as the upstream gets it, without its body.
fn upstream_request(
    session: &Session,
    permit: &Permit,
    lease: Option<&Lease>,
    mut headers: HeaderMap,
) -> Result<Request<()>, Refusal> {
    let settings = &session.target.settings;
    if lease.is_some() || !permit.mask().is_empty() || !permit.purses().is_empty() {
        // What comes back must be looked into: no encodings that are not decoded here, no parts of a whole.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
        headers.remove(header::IF_NONE_MATCH);
        headers.remove(header::IF_MODIFIED_SINCE);
    }
    if let (Some(credential), Some(lease)) = (&settings.credential, lease) {
        inject::set_credential(&mut headers, &credential.inject, &lease.secret)?;
    }
    let upstream = &settings.connection.upstream;
    let operation = permit.operation();
    if settings.http2 != crate::settings::Http2::PriorKnowledge || headers.contains_key(header::UPGRADE) {
        let host = HeaderValue::from_str(&upstream.authority()).map_err(|error| {
            Refusal::new(RefusalKind::Internal, "The upstream address is not valid.").because(error)
        })?;
        headers.insert(header::HOST, host);
    }
    let mut request = Request::new(());
    *request.method_mut() = permit.method().clone();
    *request.uri_mut() = pools::upstream_uri(upstream, &operation.path, &operation.query)?;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(request)
}

fn outgoing(body: CallBody, session: &Session, recorder: &Recorder, attended: Option<&Attended>) -> Outgoing {
    let sent = recorder.bytes_up();
    match body {
        CallBody::Whole(bytes) if let Some(attended) = attended => {
            Outgoing::Attended { bytes, gate: Box::new(attended.gate()), sent }
        }
        CallBody::Whole(bytes) => {
            sent.store(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
            Outgoing::Full(bytes)
        }
        CallBody::Passing(incoming) => {
            let limit = session.target.settings.request_body_bytes_max;
            Outgoing::Stream { incoming, left: limit, limit, sent }
        }
    }
}

/// The record of what is about to happen.
fn intent(
    session: &Session,
    permit: &Permit,
    lease: Option<&Arc<Lease>>,
    headers: &HeaderMap,
    body: &CallBody,
) -> Result<Intent, Refusal> {
    let principal = &session.verified.principal;
    let mask = session.request_mask(lease)?;
    let mut headers = headers.clone();
    let (note, content) = match body {
        // What its messages say follows.
        CallBody::Whole(_) if matches!(permit.call().form, CallForm::Handshake(_)) => {
            (BodyNote::Content, Vec::new())
        }
        CallBody::Whole(bytes) if bytes.is_empty() => (BodyNote::Empty, Vec::new()),
        CallBody::Whole(bytes) => content(bytes, &headers, mask.as_ref()),
        CallBody::Passing(_) => (BodyNote::NotKept, Vec::new()),
    };
    if let Some(mask) = &mask {
        mask_headers(mask, &mut headers).map_err(|error| {
            Refusal::new(RefusalKind::BadRequest, "A header of the request cannot be recorded.")
                .because(error)
        })?;
    }
    Ok(Intent {
        request: session.request,
        session: session.id,
        at: clock::now(),
        principal: principal.reference(),
        acting_for: principal.acting_for.clone(),
        connection: Arc::clone(&session.target.settings.connection.name),
        operation: Arc::clone(permit.shown()),
        decision: permit.decision().clone(),
        approval: permit.approved().map(|approved| approved.id),
        moderators: Vec::new(),
        retry_of: None,
        secret: lease.map(|lease| SecretUse {
            reference: lease.reference.to_string().into(),
            version: lease.version.as_str().into(),
        }),
        digest: permit.approved().map(|approved| approved.digest.to_string()),
        headers: fields(&headers),
        body: note,
        content,
    })
}

/// The masked body of a request, or its hash where it cannot be masked or is too long to be kept.
fn content(bytes: &Bytes, headers: &HeaderMap, mask: Option<&Arc<Profile>>) -> (BodyNote, Vec<Frame>) {
    let hashed = || {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let sha256 = digest.as_ref().try_into().map(RequestDigest::from_bytes).map(|d| d.to_string());
        (BodyNote::Hashed { bytes: bytes.len() as u64, sha256: sha256.unwrap_or_default() }, Vec::new())
    };
    // What is encoded cannot be looked into here, so it is not kept in clear (catalogue 311).
    if bytes.len() as u64 > CONTENT_BYTES_MAX || (mask.is_some() && is_encoded(headers)) {
        return hashed();
    }
    let masked = match mask {
        None => bytes.clone(),
        Some(mask) => match mask_whole(mask, headers, bytes) {
            Ok((masked, _)) => masked,
            Err(_) => return hashed(),
        },
    };
    let mut frames = Vec::with_capacity(masked.len() / CONTENT_PIECE_BYTES + 1);
    let mut from = 0;
    while from < masked.len() {
        let to = masked.len().min(from + CONTENT_PIECE_BYTES);
        frames.push(Frame { offset_us: 0, bytes: masked.slice(from..to) });
        from = to;
    }
    (BodyNote::Content, frames)
}
