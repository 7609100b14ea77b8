//! Events at the pace of a model.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use serde_json::Value;

/// The object with one more field, or with another value for one.
pub(super) fn with(mut object: Value, field: &str, value: impl Into<Value>) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(field.to_owned(), value.into());
    }
    object
}

/// An event stream under construction.
pub(super) struct Events {
    frames: Vec<String>,
}

impl Events {
    pub(super) const fn new() -> Self {
        Self { frames: Vec::new() }
    }

    /// `data: …`, as the chat completions API has it.
    pub(super) fn data(&mut self, value: &Value) {
        self.frames.push(format!("data: {value}\n\n"));
    }

    /// `event: …` with the type that the value names, and `data: …`.
    pub(super) fn named(&mut self, value: &Value) {
        let name = value.get("type").and_then(Value::as_str).unwrap_or("message");
        self.frames.push(format!("event: {name}\ndata: {value}\n\n"));
    }

    /// Frames as they are.
    pub(super) fn raw(&mut self, frame: &str) {
        self.frames.push(frame.to_owned());
    }

    /// The response: the first frame at once, each further one after `pace`.
    pub(super) fn respond(self, pace: Duration) -> Response {
        let body = unfold((self.frames.into_iter(), Duration::ZERO), move |(mut frames, wait)| async move {
            let frame = frames.next()?;
            tokio::time::sleep(wait).await;
            Some((Ok::<_, Infallible>(Bytes::from(frame)), (frames, pace)))
        });
        (
            [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")],
            Body::from_stream(body),
        )
            .into_response()
    }
}
