//! A model server that speaks the OpenAI and the Anthropic API, answers by script, and leaks on purpose.
//!
//! It wants the upstream key that the gateway injects and answers 401 without it. What it says is chosen by the
//! model's name, or else by a word in the last message of the user:
//!
//! | model | word | answer |
//! | --- | --- | --- |
//! | `demo-chat` | any other | a friendly sentence |
//! | `demo-aws` | aws | an AWS key pair, spread over many deltas |
//! | `demo-pem` | private key, pem | a private RSA key |
//! | `demo-tools` | tool, deploy | a tool call with a GitHub token in its arguments |
//! | `demo-echo` | echo | the injected key in the body (every answer has it in a header) |
//! | `demo-error` | fail | status 500, the injected key in the error |
//! | `demo-slow` | slow | a sentence at ten deltas a second |
//!
//! `GET /v1/models/{id}/weights` exports a model: 64 KiB that [`weights`] foretells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::leaks::Leaks;
use super::{DemoError, LETTERS_AND_DIGITS, Running, loopback, random_text};

mod anthropic;
mod openai;
mod responses;
mod script;
mod stream;

pub use script::MODELS;

/// Longest request body in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Length of an exported model in bytes.
pub const WEIGHTS_BYTES: usize = 64 * 1024;
/// Every answer echoes the injected key here.
const ECHO_HEADER: HeaderName = HeaderName::from_static("x-debug-upstream-key");

/// The server, listening on loopback until it is dropped.
pub struct ModelServer {
    running: Running,
    server: Arc<Server>,
}

/// What all handlers share.
struct Server {
    openai_key: String,
    anthropic_key: String,
    leaks: Leaks,
    requests: AtomicU64,
    exports: AtomicU64,
    refused: AtomicU64,
}

/// What the server saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Requests with the right key.
    pub requests: u64,
    /// Models exported.
    pub exports: u64,
    /// Requests without the right key, or with another credential beside it.
    pub refused: u64,
}

impl ModelServer {
    /// Makes its keys and starts to listen on a free port of loopback.
    pub async fn start() -> Result<Self, DemoError> {
        let server = Arc::new(Server {
            openai_key: format!("sk-demo-{}", random_text(LETTERS_AND_DIGITS, 40)?),
            anthropic_key: format!("sk-ant-demo-{}", random_text(LETTERS_AND_DIGITS, 40)?),
            leaks: Leaks::new()?,
            requests: AtomicU64::new(0),
            exports: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let app = Router::new()
            .route("/v1/chat/completions", post(openai::chat))
            .route("/v1/responses", post(responses::create))
            .route("/v1/embeddings", post(openai::embeddings))
            .route("/v1/messages", post(anthropic::messages))
            .route("/v1/models", get(openai::models))
            .route("/v1/models/{id}/weights", get(export))
            .fallback(|| async { refusal(Dialect::OpenAi, StatusCode::NOT_FOUND, "there is nothing here") })
            .layer(from_fn_with_state(Arc::clone(&server), authenticate))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&server));
        Ok(Self { running: Running::start(loopback().await?, app)?, server })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    /// The key that the OpenAI API wants as bearer.
    pub fn openai_key(&self) -> &str {
        &self.server.openai_key
    }

    /// The key that the Anthropic API wants in `x-api-key`.
    pub fn anthropic_key(&self) -> &str {
        &self.server.anthropic_key
    }

    /// What it leaks besides its keys.
    pub fn leaks(&self) -> &Leaks {
        &self.server.leaks
    }

    /// Everything that must never come out: the leaks and the keys.
    pub fn needles(&self) -> Vec<(&'static str, &str)> {
        let mut needles = self.server.leaks.needles();
        needles.push(("injected OpenAI key", &self.server.openai_key));
        needles.push(("injected Anthropic key", &self.server.anthropic_key));
        needles
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        Seen {
            requests: self.server.requests.load(Ordering::Relaxed),
            exports: self.server.exports.load(Ordering::Relaxed),
            refused: self.server.refused.load(Ordering::Relaxed),
        }
    }

    /// Stops to listen; streams in flight are cut.
    pub fn stop(&self) {
        self.running.stop();
    }
}

/// Whose errors and fields are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Anthropic,
}

/// Wants the injected key, and echoes it in a header: a server that tells too much.
async fn authenticate(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let anthropic = text("x-api-key").is_some() || request.uri().path() == "/v1/messages";
    let (dialect, sent, wanted) = if anthropic {
        (Dialect::Anthropic, text("x-api-key"), &server.anthropic_key)
    } else {
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        (Dialect::OpenAi, bearer, &server.openai_key)
    };
    let matches = sent.is_some_and(|key| verify_slices_are_equal(key.as_bytes(), wanted.as_bytes()).is_ok());
    if !matches || credentials(headers) != 1 {
        server.refused.fetch_add(1, Ordering::Relaxed);
        return refusal(dialect, StatusCode::UNAUTHORIZED, "the API key is missing or wrong");
    }
    server.requests.fetch_add(1, Ordering::Relaxed);
    let echo = HeaderValue::from_str(wanted);
    let mut response = next.run(request).await;
    if let Ok(echo) = echo {
        response.headers_mut().insert(ECHO_HEADER, echo);
    }
    response
}

/// Headers that carry a credential: more than one means that the caller's own came through.
fn credentials(headers: &HeaderMap) -> usize {
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"]
        .iter()
        .map(|name| headers.get_all(*name).iter().count())
        .sum()
}

/// An error in the dialect.
fn refusal(dialect: Dialect, status: StatusCode, message: &str) -> Response {
    let body = match dialect {
        Dialect::OpenAi => openai::error(status, message),
        Dialect::Anthropic => anthropic::error(status, message),
    };
    (status, axum::Json(body)).into_response()
}

/// The weights of a model. Who calls this twice has them twice: the gateway must not.
async fn export(State(server): State<Arc<Server>>, Path(model): Path<String>) -> Response {
    let Some(bytes) = weights(&model) else {
        return refusal(Dialect::OpenAi, StatusCode::NOT_FOUND, "there is no such model");
    };
    server.exports.fetch_add(1, Ordering::Relaxed);
    let disposition = format!("attachment; filename=\"{model}.safetensors\"");
    (
        [
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CONTENT_DISPOSITION, disposition.as_str()),
        ],
        Body::from(bytes),
    )
        .into_response()
}

/// The bytes of a model's weights: the same for the same name; none when there is no such model.
pub fn weights(model: &str) -> Option<Vec<u8>> {
    MODELS.iter().find(|known| known.name == model)?;
    let header = format!(r#"{{"__metadata__":{{"format":"pt","model":"{model}"}}}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    // A xorshift generator (Marsaglia, 2003), seeded by the name: looks like weights, and is known beforehand.
    let mut state =
        model.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |sum, byte| (sum ^ u64::from(byte)).rotate_left(9));
    while bytes.len() < WEIGHTS_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(WEIGHTS_BYTES);
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests;
