//! The content of one exchange, with the time of every piece: what a replay needs.
//!
//! Promise: it is the masked content that the journal holds, and no answer holds more than [`CONTENT_BYTES_MAX`] of
//! it; what follows is asked for with `from`.

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_core::RequestId;
use keyward_journal::record::{Frame, HeaderField, Intent, Record, ResponseHead};
use keyward_journal::{JournalError, Reader};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Admin;
use super::auth::Caller;
use super::input::{Params, Segments};
use super::people::{HeaderView, OperationView};
use super::problem::{OnRead, Problem};
use super::sessions::look;

/// Bytes of bodies in one answer, before they are written as JSON.
pub const CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The content of one exchange, masked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContentView {
    /// The session.
    session: String,
    /// The exchange.
    id: String,
    /// The moment that all `offset_us` count from.
    #[schema(format = DateTime)]
    at: String,
    /// What it did.
    operation: OperationView,
    /// Headers of the request, masked, without credentials.
    request_headers: Vec<HeaderView>,
    /// The request's body, as far as it was kept. Only with `from` 0.
    request: Vec<Piece>,
    /// The head of the response; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<HeadView>,
    /// The response's body as the caller got it.
    response: Vec<Piece>,
    /// How it ended; absent while it runs, or when this answer does not reach the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    /// Give this as `from` to go on; absent when this is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// The request's body was longer than what fits into an answer.
    request_truncated: bool,
}

/// The head of a response.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeadView {
    status: u16,
    /// Microseconds after `at`.
    offset_us: u64,
    headers: Vec<HeaderView>,
}

/// A piece of a body and when it passed: `text` where it is UTF-8, `base64` where it is not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Piece {
    /// Microseconds after `at`.
    offset_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<&Frame> for Piece {
    fn from(frame: &Frame) -> Self {
        let offset_us = frame.offset_us;
        match std::str::from_utf8(&frame.bytes) {
            Ok(text) => Self { offset_us, text: Some(text.to_owned()), base64: None },
            Err(_) => Self { offset_us, text: None, base64: Some(STANDARD.encode(&frame.bytes)) },
        }
    }
}

impl From<&HeaderField> for HeaderView {
    fn from(field: &HeaderField) -> Self {
        Self { name: field.name.clone(), value: field.value.clone() }
    }
}

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentParams {
    /// Bytes of the response to pass over: `next` of the answer before.
    #[serde(default)]
    from: u64,
}

/// Show what an exchange said
///
/// The masked request and response, with the time of every piece.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/exchanges/{exchange}", tag = "sessions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The session"),
        ("exchange" = String, Path, description = "The exchange"),
        ContentParams,
    ),
    responses((status = 200, description = "The content", body = ContentView), OnRead))]
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Segments(session, exchange): Segments,
    Params(params): Params<ContentParams>,
) -> Result<Json<ContentView>, Problem> {
    const ACTION: &str = "session.play";
    let found = look(&admin, &caller, ACTION, &session).await?.session;
    let request: RequestId = caller.id(ACTION, &exchange)?;
    let content = admin.scan(move |records| {
        let exchanges = records.exchanges(found, 0)?.exchanges;
        let Some(exchange) = exchanges.into_iter().find(|it| it.intent.request == request) else {
            return Ok(None);
        };
        read(records, request, exchange.sequence, params.from)
    });
    match content.await? {
        Some(content) => Ok(Json(content)),
        None => Err(caller.absent(ACTION, &exchange)),
    }
}

/// Reads one exchange from its intent on, up to its outcome or the bound.
fn read(
    records: &Reader,
    request: RequestId,
    sequence: u64,
    from: u64,
) -> Result<Option<ContentView>, JournalError> {
    let mut content = Content::new(request, from);
    records.records(sequence, &mut |_, record| content.take(record))?;
    Ok(content.view())
}

/// What was read so far.
struct Content {
    request: RequestId,
    from: u64,
    intent: Option<Box<Intent>>,
    sent: Vec<Frame>,
    head: Option<ResponseHead>,
    got: Vec<Frame>,
    end: Option<String>,
    /// Bytes that may still be taken.
    room: u64,
    /// Bytes of the response seen so far, passed over or taken.
    seen: u64,
    sent_truncated: bool,
    full: bool,
}

impl Content {
    fn new(request: RequestId, from: u64) -> Self {
        Self {
            request,
            from,
            intent: None,
            sent: Vec::new(),
            head: None,
            got: Vec::new(),
            end: None,
            room: CONTENT_BYTES_MAX,
            seen: 0,
            sent_truncated: false,
            full: false,
        }
    }

    /// Takes a record; false when there is nothing left to read.
    fn take(&mut self, record: Record) -> bool {
        match record {
            Record::Intent(mut intent) if intent.request == self.request => {
                let content = std::mem::take(&mut intent.content);
                self.intent = Some(intent);
                self.take_sent(content);
            }
            Record::RequestBody(body) if body.request == self.request => self.take_sent(body.frames),
            Record::ResponseHead(head) if head.request == self.request => self.head = Some(head),
            Record::Frames(body) if body.request == self.request => self.take_got(body.frames),
            Record::Outcome(outcome) if outcome.request == self.request => {
                self.end = Some(outcome.end.as_str().to_owned());
                return false;
            }
            _ => {}
        }
        !self.full
    }

    fn take_sent(&mut self, frames: Vec<Frame>) {
        if self.from > 0 {
            return;
        }
        for frame in frames {
            // Half of the room is the response's.
            match self
                .room
                .checked_sub(frame.bytes.len() as u64)
                .filter(|left| *left >= CONTENT_BYTES_MAX / 2)
            {
                Some(left) if !self.sent_truncated => {
                    self.room = left;
                    self.sent.push(frame);
                }
                _ => self.sent_truncated = true,
            }
        }
    }

    fn take_got(&mut self, frames: Vec<Frame>) {
        for mut frame in frames {
            if self.full {
                return;
            }
            let bytes = frame.bytes.len() as u64;
            let passed_over = self.from.saturating_sub(self.seen).min(bytes);
            let rest = frame.bytes.split_off(usize::try_from(passed_over).unwrap_or(frame.bytes.len()));
            let taken = (rest.len() as u64).min(self.room);
            self.full = taken < rest.len() as u64;
            self.seen += passed_over + taken;
            self.room -= taken;
            if taken > 0 {
                frame.bytes = rest.slice(..usize::try_from(taken).unwrap_or(rest.len()));
                self.got.push(frame);
            }
        }
    }

    fn view(self) -> Option<ContentView> {
        let intent = self.intent?;
        let head = self.head.map(|head| HeadView {
            status: head.status,
            offset_us: u64::try_from(head.at.since(intent.at).as_micros()).unwrap_or(u64::MAX),
            headers: head.headers.iter().map(HeaderView::from).collect(),
        });
        Some(ContentView {
            session: intent.session.to_string(),
            id: intent.request.to_string(),
            at: intent.at.to_string(),
            operation: OperationView::from(&*intent.operation),
            request_headers: intent.headers.iter().map(HeaderView::from).collect(),
            request: self.sent.iter().map(Piece::from).collect(),
            head,
            response: self.got.iter().map(Piece::from).collect(),
            end: self.end,
            next: self.full.then_some(self.seen),
            request_truncated: self.sent_truncated,
        })
    }
}
