//! The model server of `bench/gateway`: answers at once with fixed chat completions, and vouches for the caller.
//!
//! It prints one JSON line (`url`, also as issuer; `token`, `stranger`, `key`) and serves until it is killed. A request must
//! carry `key` as its bearer token, so that an answer proves the injection. `x-bench-answer` chooses the answer:
//! `small`, `large`, `stream`, or `leak` (repeats the key). `x-bench-gap-ms` is the time between the deltas of a stream;
//! the times at which the events with text were sent in the stream named by `x-bench-stream` are at `/bench/sent/NAME`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyward_bench::issuer::Issuer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep};

/// What the proxies inject; made up, and shaped like no vendor's key.
const KEY: &str = "bench-Kq3vT8nXw2LrZ6mHs9Yd4Fb7";
/// Deltas of a stream.
const DELTAS: usize = 64;
/// Streams whose times are kept.
const STREAMS_MAX: usize = 4096;
const WORDS: &str = "the river carries small boats past old mills while children count stones and their parents talk \
    about weather bread and trains that never come on time because somebody always forgets one switch near every \
    bridge where water meets road so people walk home slowly under yellow lamps and think of summer";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let issuer = Issuer::new(url.clone())?;
    let (token, stranger) = (issuer.token("alice", "eng")?, issuer.token("mallory", "sales")?);
    let ready = json!({"url": url, "token": token, "stranger": stranger, "key": KEY});
    writeln!(std::io::stdout(), "{ready}")?;
    let answers = Arc::new(Answers::new(issuer));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&answers), request));
            // A connection that breaks is the load generator's to report.
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// What is said, and when it was.
struct Answers {
    issuer: Issuer,
    small: Bytes,
    large: Bytes,
    leak: Bytes,
    events: Vec<Bytes>,
    sent: Mutex<HashMap<String, Vec<u64>>>,
}

impl Answers {
    fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            small: completion(&prose(40)),
            large: completion(&prose(1_730)),
            leak: completion(&format!("your key is {KEY}, keep it")),
            events: events(),
            sent: Mutex::new(HashMap::new()),
        }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u64>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(answers: Arc<Answers>, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let (head, mut body) = request.into_parts();
    if let Some(name) = head.uri.path().strip_prefix("/bench/sent/") {
        let times = answers.sent().remove(name).unwrap_or_default();
        return Ok(whole(StatusCode::OK, json!(times).to_string().into()));
    }
    if let Some(page) = answers.issuer.page(head.uri.path()) {
        return Ok(whole(StatusCode::OK, page.to_string().into()));
    }
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text("authorization").strip_prefix("Bearer ") != Some(KEY) {
        return Ok(whole(StatusCode::UNAUTHORIZED, Bytes::from_static(b"{}")));
    }
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return Ok(whole(StatusCode::BAD_REQUEST, Bytes::from_static(b"{}")));
        }
    }
    Ok(match text("x-bench-answer") {
        "small" => whole(StatusCode::OK, answers.small.clone()),
        "large" => whole(StatusCode::OK, answers.large.clone()),
        "leak" => whole(StatusCode::OK, answers.leak.clone()),
        "stream" => stream(answers, &head.headers),
        _ => whole(StatusCode::NOT_FOUND, Bytes::from_static(b"{}")),
    })
}

fn whole(status: StatusCode, bytes: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(bytes));
    *response.status_mut() = status;
    set(&mut response, "application/json");
    response
}

fn stream(answers: Arc<Answers>, headers: &HeaderMap) -> Response<Answer> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let gap = text("x-bench-gap-ms").and_then(|gap| gap.parse().ok()).unwrap_or(0);
    let mut response = Response::new(Answer::Stream(Box::new(Stream {
        answers,
        name: text("x-bench-stream").map(str::to_owned),
        next: 0,
        sent: Vec::new(),
        gap: Duration::from_millis(gap),
        pause: Box::pin(tokio::time::sleep(Duration::ZERO)),
        paused: true,
    })));
    set(&mut response, "text/event-stream");
    response
}

fn set(response: &mut Response<Answer>, content_type: &'static str) {
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
}

enum Answer {
    Whole(Bytes),
    Stream(Box<Stream>),
}

struct Stream {
    answers: Arc<Answers>,
    name: Option<String>,
    next: usize,
    sent: Vec<u64>,
    gap: Duration,
    pause: Pin<Box<Sleep>>,
    paused: bool,
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.paused {
            self.paused = true;
            if self.gap.is_zero() {
                cx.waker().wake_by_ref(); // each event is a write of its own
                return Poll::Pending;
            }
            self.pause.as_mut().reset(Instant::now() + self.gap);
        }
        if !self.gap.is_zero() {
            std::task::ready!(self.pause.as_mut().poll(cx));
        }
        let event = self.answers.events.get(self.next).cloned();
        if event.is_some() {
            (self.next, self.paused) = (self.next + 1, false);
            if let Some(name) = &self.name {
                if self.next <= 1 + DELTAS {
                    self.sent.push(micros());
                }
                if self.next == self.answers.events.len() {
                    let mut kept = self.answers.sent();
                    if kept.len() >= STREAMS_MAX {
                        kept.clear();
                    }
                    kept.insert(name.clone(), std::mem::take(&mut self.sent));
                }
            }
        }
        Poll::Ready(event)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(std::mem::take(bytes)),
            Self::Stream(stream) => std::task::ready!(stream.poll(cx)),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// So many words, the same ones each time.
fn prose(words: usize) -> String {
    let all: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    // A stride without a common factor with the list's length: every word comes, the sentences differ.
    for word in (0..words).filter_map(|n| all.get((n * 7 + n / all.len()) % all.len())) {
        let _infallible = write!(text, "{word} ");
    }
    text.truncate(text.trim_end().len());
    text
}

fn completion(text: &str) -> Bytes {
    let answer = json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "bench-1",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
        }],
        "usage": {"prompt_tokens": 212, "completion_tokens": 48, "total_tokens": 260},
        "service_tier": "default", "system_fingerprint": "fp_bench",
    });
    Bytes::from(answer.to_string())
}

fn events() -> Vec<Bytes> {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench-1",
            "system_fingerprint": "fp_bench",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let text = prose(DELTAS);
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    events.extend(text.split(' ').map(|word| chunk(json!({"content": format!(" {word}")}), None)));
    events.push(chunk(json!({}), Some("stop")));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}
