//! A stream that begins while a human decides: comment lines keep it open, then the upstream's events follow, or one
//! error event in the caller's dialect. Comments are part of the event-stream format and are ignored by every client;
//! `event: ping` or 1xx responses are not used, because some SDKs break on them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body::Frame;
use keyward_core::{ConnectionKind, RequestId};
use tokio::time::Interval;

use super::{Held, go_on};
use crate::admit::Permit;
use crate::body::{Body, BodyError};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::snapshot::InFlight;

/// The longest error body of an upstream that is turned into an event.
const ERROR_BYTES_MAX: usize = 64 * 1024;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send>>;

/// The body of a held stream. Dropping it ends the wait: nothing is executed later.
pub struct HeldStream {
    state: State,
    comment: Bytes,
    keepalive: Interval,
    dialect: ConnectionKind,
    request: RequestId,
    in_flight: InFlight,
}

enum State {
    /// A human decides, or the upstream has not answered yet.
    Waiting(Answer),
    /// The upstream's events.
    Events(Body),
    /// The upstream's error body, on its way to become one event.
    Error(Body, BytesMut),
    Done,
}

/// Sends the head now and the rest when it is decided.
pub(super) fn commit<F>(
    session: &Arc<Session>,
    mut held: Box<Held>,
    proceed: impl FnOnce(Arc<Session>, Box<Permit>) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = Result<Response<Body>, Refusal>> + Send + 'static,
{
    let id = held.id();
    let comment = Bytes::from(format!(": keyward approval={id} url={}\n\n", session.link(id)));
    let decision = held.decision.clone();
    let dialect = session.target.settings.connection.kind;
    let keepalive = tokio::time::interval(session.gateway.holding.keepalive); // its first tick is now
    let (request, in_flight) = (session.request, session.in_flight.clone());
    let waiting = Arc::clone(session);
    let answer: Answer = Box::pin(async move {
        let _held = waiting.gateway.shared.metrics.hold();
        let decided = Box::pin(async {
            let state = held.decided().await;
            go_on(Arc::clone(&waiting), held, state, proceed).await
        });
        let result = waiting.unless_ended(decided).await;
        result.map_err(|refusal| waiting.refused(refusal))
    });
    let stream =
        HeldStream { state: State::Waiting(answer), comment, keepalive, dialect, request, in_flight };
    let mut response = Response::new(Body::Held(Box::new(stream)));
    let headers = response.headers_mut();
    crate::session::set(headers, "content-type", "text/event-stream");
    crate::session::set(headers, "cache-control", "no-cache");
    session.mark(headers, &decision);
    response
}

impl HeldStream {
    /// The answer is here: its events follow, or its error becomes one event.
    fn answered(&mut self, answer: Result<Response<Body>, Refusal>) {
        self.state = match answer {
            Ok(response) if response.status().is_success() => State::Events(response.into_body()),
            Ok(response) => State::Error(response.into_body(), BytesMut::new()),
            Err(refusal) => {
                let event = refusal.event(self.dialect, self.request);
                State::Events(Body::full(Bytes::from(event)))
            }
        };
    }
}

impl http_body::Body for HeldStream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Waiting(answer) => {
                    if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                        this.answered(answer);
                        continue;
                    }
                    if this.in_flight.is_cut() {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(BodyError::Draining)));
                    }
                    ready!(this.keepalive.poll_tick(cx));
                    return Poll::Ready(Some(Ok(Frame::data(this.comment.clone()))));
                }
                State::Events(body) => return Pin::new(body).poll_frame(cx),
                State::Error(body, collected) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            let room = ERROR_BYTES_MAX - collected.len();
                            collected.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                        }
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => {
                        let event = error_event(this.dialect, collected);
                        this.state = State::Done;
                        return Poll::Ready(Some(Ok(Frame::data(event))));
                    }
                },
                State::Done => return Poll::Ready(None),
            }
        }
    }
}

/// An error body as one event: each of its lines as a `data` line, as the format asks.
fn error_event(dialect: ConnectionKind, body: &[u8]) -> Bytes {
    let mut event = String::new();
    if dialect == ConnectionKind::Anthropic {
        event.push_str("event: error\n");
    }
    for line in String::from_utf8_lossy(body).lines() {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    Bytes::from(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_of_several_lines_is_one_event() {
        let event = error_event(ConnectionKind::Anthropic, b"{\n \"type\": \"error\"\n}");
        assert_eq!(event, "event: error\ndata: {\ndata:  \"type\": \"error\"\ndata: }\n\n");
    }
}
