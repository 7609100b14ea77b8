//! The load generator of `bench/gateway`: sends one request at a fixed rate over connections that stay open, and prints
//! its latencies in microseconds as one JSON line.
//!
//! A request counts from the moment it is sent, or from when it was due if the answer to the one before came too late
//! for that; so a slow peer does not hide behind its own slowness. For streams, each event counts from the moment the
//! upstream says it sent it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Parser;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Fixed-rate load over HTTP/1.1.
#[derive(Parser, Clone)]
struct Load {
    /// Where to.
    url: Uri,
    /// `name: value` of a request header.
    #[arg(long)]
    header: Vec<String>,
    /// File with the request's body.
    #[arg(long)]
    body: PathBuf,
    /// Requests per second.
    #[arg(long)]
    rate: f64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Connections.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Measure the events of a stream; the upstream at this URL tells when it sent them.
    #[arg(long)]
    sent: Option<Uri>,
}

/// What was measured, in microseconds.
#[derive(Default)]
struct Times {
    whole: Vec<u64>,
    first: Vec<u64>,
    event: Vec<u64>,
    late: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let load = Load::parse();
    let body = Bytes::from(std::fs::read(&load.body)?);
    let begin = Instant::now() + Duration::from_millis(50);
    let tasks: Vec<_> = (0..load.connections)
        .map(|number| tokio::spawn(worker(load.clone(), body.clone(), number, begin)))
        .collect();
    let mut all = Times::default();
    for task in tasks {
        let times = task.await??;
        all.whole.extend(times.whole);
        all.first.extend(times.first);
        all.event.extend(times.event);
        all.late += times.late;
    }
    let report = json!({
        "requests": all.whole.len(), "late": all.late,
        "whole": quantiles(all.whole), "first": quantiles(all.first), "event": quantiles(all.event),
    });
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{report}\n"))?;
    Ok(())
}

/// Sends every `connections`-th request, one after the other.
async fn worker(load: Load, body: Bytes, number: u32, begin: Instant) -> Result<Times, Failed> {
    let mut times = Times::default();
    let mut sender = connect(&load.url).await?;
    let mut asker = match &load.sent {
        Some(url) => Some((url.clone(), connect(url).await?)),
        None => None,
    };
    for turn in 0_u32.. {
        let index = f64::from(turn) * f64::from(load.connections) + f64::from(number);
        let due = Duration::from_secs_f64(index / load.rate);
        if due.as_secs_f64() >= load.seconds {
            break;
        }
        let due = begin + due;
        let late = Instant::now() > due;
        tokio::time::sleep_until(due).await;
        let started = if late { due } else { Instant::now() };
        times.late += u64::from(late);

        let name = format!("{number}-{turn}");
        let mut request = request(&load, &body)?;
        if asker.is_some() {
            request.headers_mut().insert("x-bench-stream", HeaderValue::from_str(&name)?);
        }
        sender.ready().await?;
        let (first, arrived) = receive(&mut sender, request, asker.is_some()).await?;
        times.whole.push(micros(started.elapsed()));
        if let (Some((url, asker)), Some(first)) = (&mut asker, first) {
            times.first.push(micros(first.saturating_duration_since(started)));
            let sent = sent(url, asker, &name).await?;
            // A masker may add an event near the end, with text that it had held back.
            if sent.is_empty() || sent.len() > arrived.len() {
                return Err(format!("{} events were sent, {} arrived", sent.len(), arrived.len()).into());
            }
            times
                .event
                .extend(sent.iter().zip(&arrived).map(|(sent, arrived)| arrived.saturating_sub(*sent)));
        }
    }
    Ok(times)
}

async fn connect(url: &Uri) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let stream = TcpStream::connect(url.authority().ok_or("an address is missing")?.as_str()).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn request(load: &Load, body: &Bytes) -> Result<Request<Full<Bytes>>, Failed> {
    let mut request = Request::post(load.url.path());
    let host = load.url.authority().ok_or("an address is missing")?.as_str();
    request = request.header("host", host);
    for header in &load.header {
        let (name, value) = header.split_once(": ").ok_or("a header needs `name: value`")?;
        request = request.header(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    Ok(request.body(Full::new(body.clone()))?)
}

/// Reads the answer to its end: when its first byte came, and when each event was complete.
async fn receive(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    events: bool,
) -> Result<(Option<Instant>, Vec<u64>), Failed> {
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("answered with {}", response.status()).into());
    }
    let mut body = response.into_body();
    let (mut first, mut arrived, mut newline) = (None, Vec::new(), false);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if !events {
            continue;
        }
        first.get_or_insert_with(Instant::now);
        let now = now();
        for byte in data {
            if byte == b'\n' && newline {
                arrived.push(now);
            }
            newline = byte == b'\n' && !newline;
        }
    }
    Ok((first, arrived))
}

/// When the upstream sent the events of a stream.
async fn sent(url: &Uri, asker: &mut SendRequest<Full<Bytes>>, name: &str) -> Result<Vec<u64>, Failed> {
    let host = url.authority().ok_or("an address is missing")?.as_str();
    let request = Request::get(format!("/bench/sent/{name}")).header("host", host).body(Full::default())?;
    asker.ready().await?;
    let mut body = asker.send_request(request).await?.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        text.extend_from_slice(frame?.data_ref().map_or(&[], Bytes::as_ref));
    }
    Ok(serde_json::from_slice(&text)?)
}

fn quantiles(mut times: Vec<u64>) -> Option<serde_json::Value> {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    Some(json!({"p50": at(50)?, "p90": at(90)?, "p99": at(99)?, "max": times.last()?}))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Comparable with the upstream's clock, which is the same one.
fn now() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
