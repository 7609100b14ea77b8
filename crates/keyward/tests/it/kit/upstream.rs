//! An upstream that records exactly what arrived, and answers what the test tells it to.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::wire::{Headers, Line, all};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// The request line.
    pub(crate) line: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    /// Whether its body came to its end.
    pub(crate) complete: bool,
}

impl Seen {
    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        all(&self.headers, name)
    }
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
    bytes: AtomicU64,
}

/// An upstream in this process, on a port of its own.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

/// The upstream's end of one connection.
pub(crate) struct Wire {
    pub(crate) line: Line,
    connection: usize,
    state: Arc<State>,
}

impl Upstream {
    /// Calls `serve` with each connection, on a thread of its own.
    pub(crate) fn serving(serve: impl Fn(&mut Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (shared, serve) = (Arc::clone(&state), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (state, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                let connection = state.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    let mut wire = Wire { line: Line::new(stream), connection, state };
                    serve(&mut wire);
                    wire.count();
                    wire.state.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, state }
    }

    /// Answers each request with what `answer` makes of it, on connections that stay open.
    pub(crate) fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(move |wire| {
            while let Some(seen) = wire.request() {
                if !seen.complete || !wire.line.write(&answer(&seen)) {
                    return;
                }
            }
        })
    }

    /// Answers each request with the same bytes.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many of them have ended.
    pub(crate) fn closed(&self) -> usize {
        self.state.closed.load(Ordering::SeqCst)
    }

    /// U=0: not a byte arrived.
    pub(crate) fn saw_nothing(&self) -> bool {
        self.seen().is_empty() && self.state.bytes.load(Ordering::SeqCst) == 0
    }
}

impl Wire {
    /// The next request, recorded; none when the connection ends before its head did.
    pub(crate) fn request(&mut self) -> Option<Seen> {
        let mut seen = self.head()?;
        let whole = self.line.body(&seen.headers, false);
        (seen.body, seen.trailers, seen.complete) = (whole.bytes, whole.trailers, whole.complete);
        self.record(&seen);
        Some(seen)
    }

    /// The head of the next request, not recorded yet.
    pub(crate) fn head(&mut self) -> Option<Seen> {
        let head = self.line.head();
        self.count();
        let (line, headers) = head?;
        let connection = self.connection;
        Some(Seen { connection, line, headers, body: Vec::new(), trailers: Vec::new(), complete: false })
    }

    pub(crate) fn record(&mut self, seen: &Seen) {
        self.count();
        self.state.seen.lock().unwrap().push(seen.clone());
    }

    fn count(&mut self) {
        self.state.bytes.fetch_add(std::mem::take(&mut self.line.read), Ordering::SeqCst);
    }
}

/// A response with these headers and a `content-length`.
pub(crate) fn reply(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}
