//! The upstream's answer becomes the caller's.
//!
//! Promise: headers, body, trailers and error bodies are masked, the injected credential always, whatever the rules
//! say. A content encoding or charset that cannot be looked into *fails closed* with 502. Validators and ranges of the
//! unmasked body do not pass, so that they can't serve as an oracle (catalogue 70, 71).
//! Tool calls in a model's answer are judged on their way (`calls`), and so is an answer that turns out to be weights of a
//! model (`weights`).
//! Exception: a connection without credential whose policy masks nothing passes everything as it is.

mod calls;
mod decode;
mod packed;
mod profiles;
mod reply;
mod usage;
mod weights;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use http::{Method, Response, StatusCode};
use keyward_core::{ConnectionKind, Finding, Place};
use keyward_journal::JournalError;
use keyward_journal::record::End;
use keyward_mask::walk::{BodyFormat, BodyMasker, Dialect};
use keyward_mask::{Profile, mask_bytes, mask_field, mask_whole_field};
use keyward_secrets::Lease;
use keyward_wire::coding::Decoder;

pub(crate) use calls::MessageGuard;
use calls::{CallGuard, Form, Judge};
use packed::Packed;
pub use profiles::Profiles;
pub use reply::Reply;
pub(crate) use usage::Meter;
pub use weights::Weights;
use weights::WeightsGuard;

use crate::admit::Permit;
use crate::body::{Body, BodyError};
use crate::forward::Sent;
use crate::hold::AnswerCopy;
use crate::inject;
use crate::life::Watch;
use crate::moderate::Attended;
use crate::record::Recorder;
use crate::refusal::{Refusal, RefusalKind};
use crate::session::{Session, detail};

/// Headers that describe the unmasked body.
const VALIDATORS: [HeaderName; 3] = [header::ETAG, header::ACCEPT_RANGES, header::CONTENT_LENGTH];

/// Builds the caller's response. Fails only before its first byte left; the outcome is recorded then.
pub fn respond(sent: Sent) -> Result<Response<Body>, Refusal> {
    let Sent { session, response, permit, lease, mut recorder, note, asked: _, attended } = sent;
    let form = Form::of(content_type(response.headers()));
    let calls = form.and_then(|form| call_guard(form, &session, &permit, response.status()));
    let (mut parts, upstream) = response.into_parts();
    let weights = WeightsGuard::new(&session, &permit, parts.status, &parts.headers);
    let session = &*session;
    let weights = match weights {
        Ok(weights) => weights,
        Err(refusal) => return Err(ended(session, (recorder, attended), End::Refused, refusal)?),
    };
    let prepared = match prepare(session, &permit, lease.as_ref(), &mut parts, &mut recorder) {
        Ok(prepared) => prepared,
        Err(refusal) => return Err(ended(session, (recorder, attended), End::MaskFailed, refusal)?),
    };
    // What passed under somebody's eyes does not pass once more without them.
    let copy = note.map(|note| match &attended {
        Some(_) => AnswerCopy::unkept(note),
        None => AnswerCopy::new(note, parts.status, &parts.headers),
    });
    recorder.head(parts.status, &parts.headers);
    let sent_bytes = recorder.bytes_up().load(std::sync::atomic::Ordering::Relaxed);
    session.mark(&mut parts.headers, permit.decision());
    if let Some(attended) = &attended {
        attended.head(parts.status, &parts.headers);
    }
    if attended.is_some() || calls.is_some() && prepared.place == Place::Stream {
        parts.headers.remove(header::CONTENT_LENGTH); // it may end early
    }
    let reply = Reply {
        state: reply::State::Open { first: bytes::Bytes::new(), unread: bytes::Bytes::new(), upstream },
        decoder: prepared.decoder,
        calls,
        weights,
        ending: (form, session.target.settings.connection.kind, session.request),
        masker: prepared.masker,
        packed: prepared.packed,
        trailer_mask: prepared.header_mask,
        place: prepared.place,
        recorder,
        copy,
        in_flight: session.in_flight.clone(),
        error_status: parts.status.is_client_error() || parts.status.is_server_error(),
        silence: reply::Silence::new(session.target.settings.idle_timeout),
        meter: Meter::new(&session.gateway.shared.budgets, permit.purses().to_vec(), sent_bytes),
        ended: Watch::new(Arc::clone(session.in_flight.life())),
        attended,
    };
    finish(session, parts, reply, permit.method())
}

/// Records that an answer ended before its first byte; the refusal that the caller gets.
fn ended(
    session: &Session,
    (mut recorder, attended): (Recorder, Option<Attended>),
    end: End,
    mut refusal: Refusal,
) -> Result<Refusal, JournalError> {
    if let Some(attended) = attended {
        attended.end(end);
    }
    recorder.end(end, Some(detail(&refusal)))?;
    refusal.session = Some(session.id);
    Ok(refusal)
}

/// Judges the calls of tools in an answer of a model, where it may hold some.
fn call_guard(form: Form, session: &Arc<Session>, permit: &Permit, status: StatusCode) -> Option<CallGuard> {
    if !status.is_success() {
        return None;
    }
    judge_of_calls(session, permit).map(|judge| CallGuard::new(form, judge))
}

/// The same for what passes over a WebSocket.
pub(crate) fn message_guard(session: &Arc<Session>, permit: &Permit) -> Option<MessageGuard> {
    judge_of_calls(session, permit).map(MessageGuard::new)
}

fn judge_of_calls(session: &Arc<Session>, permit: &Permit) -> Option<Judge> {
    let kind = session.target.settings.connection.kind;
    let operation = Arc::clone(permit.operation());
    if !kind.serves_models() || !calls::may_call(operation.class) {
        return None;
    }
    let (session, headers) = (Arc::clone(session), permit.call().headers.clone());
    let judge = move |tool: &str, arguments: &str| {
        session.judge_tool_call(&calls::called(&operation, tool, arguments), &headers)
    };
    Some(Box::new(judge))
}

/// What the body of an answer needs on its way.
struct Prepared {
    decoder: Option<Decoder>,
    masker: Option<BodyMasker>,
    header_mask: Option<Arc<Profile>>,
    place: Place,
    packed: Packed,
}

/// Masks the head, and makes ready for the body.
fn prepare(
    session: &Session,
    permit: &Permit,
    lease: Option<&Arc<Lease>>,
    parts: &mut Parts,
    recorder: &mut Recorder,
) -> Result<Prepared, Refusal> {
    if parts.status.is_informational() {
        return Err(invalid("The upstream answered with a change of protocol, which is not passed on."));
    }
    let mut transfer = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    if transfer.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(invalid("The upstream's answer has a transfer encoding that cannot be looked into."));
    }
    if parts.headers.contains_key(header::TRANSFER_ENCODING)
        && parts.headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(invalid("The upstream's answer says in two ways how long it is."));
    }
    inject::strip_response(&mut parts.headers);
    if lease.is_some() {
        // A session that our credential opened is not the caller's to keep.
        parts.headers.remove(header::SET_COOKIE);
    }
    let place = place_of(parts);
    let profiles = &session.target.profiles;
    let header_mask = profiles.at(Place::Headers, permit.mask(), lease, session.id.bits())?;
    let body_mask = profiles.at(place, permit.mask(), lease, session.id.bits())?;
    let (mut decoder, mut masker) = (None, None);
    if let Some(profile) = body_mask {
        if parts.status == StatusCode::PARTIAL_CONTENT {
            return Err(invalid("The upstream answered with a piece of its answer, which nobody asked for."));
        }
        decoder = decode::decoder(&parts.headers).map_err(|error| {
            invalid("The upstream's answer has a content encoding that cannot be looked into.").because(error)
        })?;
        parts.headers.remove(header::CONTENT_ENCODING);
        drop_validators(&mut parts.headers);
        keep_private(&mut parts.headers);
        masker = Some(body_masker(session.target.settings.connection.kind, profile, &parts.headers)?);
    }
    if let Some(profile) = &header_mask {
        let findings = mask_headers(profile, &mut parts.headers)
            .map_err(|error| invalid("A header of the upstream's answer cannot be masked.").because(error))?;
        session.gateway.shared.metrics.found(&findings);
        recorder.findings(Place::Headers, &findings);
    }
    let textual = masker.is_some() && decoder.is_none() && is_textual(&parts.headers);
    let packed = if textual { Packed::Refused(Vec::new()) } else { Packed::Passes };
    Ok(Prepared { decoder, masker, header_mask, place, packed })
}

/// A body that is there already goes out whole, with its length; any other streams.
fn finish(
    session: &Session,
    mut parts: Parts,
    mut reply: Reply,
    method: &Method,
) -> Result<Response<Body>, Refusal> {
    let whole = if method == Method::HEAD || !has_body(parts.status) {
        reply.leave_out().map(|()| None)
    } else if reply.place == Place::Stream {
        Ok(None)
    } else {
        reply.take_whole().transpose()
    };
    let body = match whole {
        Ok(Some(bytes)) => {
            if !parts.headers.contains_key(header::CONTENT_LENGTH) {
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
            Body::full(bytes)
        }
        Ok(None) if reply.is_done() => Body::Empty,
        Ok(None) => Body::Reply(Box::new(reply)),
        Err(error) => {
            let mut refusal = match error {
                BodyError::Blocked(refusal) => refusal,
                error => invalid("The upstream's answer broke off or could not be masked.").because(error),
            };
            refusal.session = Some(session.id); // its outcome is recorded
            return Err(refusal);
        }
    };
    parts.extensions.clear();
    Ok(Response::from_parts(parts, body))
}

fn has_body(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn invalid(public: &'static str) -> Refusal {
    Refusal::new(RefusalKind::UpstreamInvalid, public)
}

/// Which place a rule must name for this body.
fn place_of(parts: &Parts) -> Place {
    if parts.status.is_client_error() || parts.status.is_server_error() {
        return Place::Errors;
    }
    let content_type = content_type(&parts.headers).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    let streams = [
        "text/event-stream",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/vnd.amazon.eventstream",
    ];
    if streams.iter().any(|s| s.eq_ignore_ascii_case(essence)) { Place::Stream } else { Place::Response }
}

/// Whether the body is said to be text, or nothing is said: compressed bytes are then hidden text.
fn is_textual(headers: &HeaderMap) -> bool {
    content_type(headers).is_none_or(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.starts_with("text/")
            || ["json", "xml", "yaml", "javascript", "form"].iter().any(|w| kind.contains(w))
    })
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn body_masker(
    kind: ConnectionKind,
    profile: Arc<Profile>,
    headers: &HeaderMap,
) -> Result<BodyMasker, Refusal> {
    let dialect = match kind {
        ConnectionKind::OpenAi | ConnectionKind::Vllm => Dialect::OpenAi,
        ConnectionKind::Anthropic => Dialect::Anthropic,
        _ => Dialect::Generic,
    };
    let format = BodyFormat::of(content_type(headers), dialect);
    if format == BodyFormat::Unreadable {
        return Err(invalid("The upstream's answer has a character set that cannot be looked into."));
    }
    Ok(BodyMasker::new(profile, format))
}

/// What was masked for one caller is not another's: no shared cache may keep it (catalogue 72).
fn keep_private(headers: &mut HeaderMap) {
    let shared = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        [&b"public"[..], b"s-maxage"].iter().any(|word| value.windows(word.len()).any(|w| w == *word))
    };
    if headers.get_all(header::CACHE_CONTROL).iter().any(shared) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

fn drop_validators(headers: &mut HeaderMap) {
    for name in VALIDATORS {
        headers.remove(name);
    }
    inject::remove_digests(headers);
}

/// A masked value that cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[error("a masked value cannot stand in a header")]
pub struct HeaderMaskError;

/// Masks headers in place: the values, each with its name as context; a name that is a secret goes with its value.
pub(crate) fn mask_headers(
    profile: &Arc<Profile>,
    headers: &mut HeaderMap,
) -> Result<Vec<Finding>, HeaderMaskError> {
    let mut findings = mask_header_fields(profile, headers)?;
    // One pass over all of them together: most answers hold nothing, and one pass costs less than twenty.
    let mut all = Vec::with_capacity(1024);
    for (name, value) in headers.iter() {
        all.extend_from_slice(name.as_str().as_bytes());
        all.extend_from_slice(b": ");
        all.extend_from_slice(value.as_bytes());
        all.push(b'\n');
    }
    if mask_bytes(profile, &all).findings.is_empty() {
        return Ok(findings);
    }
    let mut secret_names = Vec::new();
    for name in headers.keys() {
        let masked = mask_bytes(profile, name.as_str().as_bytes());
        if !masked.findings.is_empty() {
            secret_names.push(name.clone());
            findings.extend(masked.findings);
        }
    }
    for name in secret_names {
        headers.remove(name);
    }
    for (name, value) in headers.iter_mut() {
        let masked = mask_field(profile, format!("{name}: ").as_bytes(), value.as_bytes());
        if !masked.findings.is_empty() {
            *value = HeaderValue::from_bytes(&masked.bytes).map_err(|_| HeaderMaskError)?;
            findings.extend(masked.findings);
        }
    }
    Ok(findings)
}

/// Masks the headers that a rule names, whatever they hold; one of which nothing is left goes.
fn mask_header_fields(
    profile: &Arc<Profile>,
    headers: &mut HeaderMap,
) -> Result<Vec<Finding>, HeaderMaskError> {
    let mut findings = Vec::new();
    let mut gone = Vec::new();
    for (name, value) in headers.iter_mut() {
        let Some(field) = profile.header_field(name.as_str()) else { continue };
        let masked = mask_whole_field(profile, field, value.as_bytes());
        if masked.bytes.is_empty() {
            gone.push(name.clone());
        }
        *value = HeaderValue::from_bytes(&masked.bytes).map_err(|_| HeaderMaskError)?;
        findings.extend(masked.findings);
    }
    for name in gone {
        headers.remove(name);
    }
    Ok(findings)
}
