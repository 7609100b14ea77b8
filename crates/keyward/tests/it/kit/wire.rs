//! HTTP/1.1 as bytes, for both ends: nothing is normalised, so that a test sees what was really sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::PATIENCE;

/// Names and values in order, names in the case in which they were sent.
pub(crate) type Headers = Vec<(String, String)>;

/// One end of a connection.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    /// Everything that was read, up to [`RAW_BYTES_MAX`].
    pub(crate) raw: Vec<u8>,
    pub(crate) read: u64,
}

/// How much of what was read is kept.
const RAW_BYTES_MAX: usize = 4 << 20;

/// A body, and whether it came to its end as its framing says.
#[derive(Debug, Default, Clone)]
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Headers,
    pub(crate) complete: bool,
}

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), raw: Vec::new(), read: 0 }
    }

    /// Writes; false when the other side is gone.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn close(&self) {
        _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads more; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                let piece = &piece[..length];
                let room = RAW_BYTES_MAX.saturating_sub(self.raw.len());
                self.raw.extend_from_slice(&piece[..room.min(length)]);
                self.read += length as u64;
                self.buffer.extend_from_slice(piece);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing was sent for {PATIENCE:?}; so far: {:?}", String::from_utf8_lossy(&self.raw))
            }
            Err(_) => false,
        }
    }

    /// Up to and with `end`; none when the connection ends before.
    fn through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer[from..].windows(end.len()).position(|window| window == end) {
                let rest = self.buffer.split_off(from + at + end.len());
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            from = self.buffer.len().saturating_sub(end.len());
            if !self.fill() {
                return None;
            }
        }
    }

    /// Exactly so many bytes, or what came before the end of the connection.
    pub(crate) fn exactly(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.buffer.len() < length {
            if !self.fill() {
                return (std::mem::take(&mut self.buffer), false);
            }
        }
        let rest = self.buffer.split_off(length);
        (std::mem::replace(&mut self.buffer, rest), true)
    }

    /// The next piece of what comes, whatever its length; none at the end.
    pub(crate) fn piece(&mut self) -> Option<Vec<u8>> {
        if self.buffer.is_empty() && !self.fill() {
            return None;
        }
        Some(std::mem::take(&mut self.buffer))
    }

    /// Start line and headers; none when the connection ends before.
    pub(crate) fn head(&mut self) -> Option<(String, Headers)> {
        let head = self.through(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head[..head.len() - 4]).into_owned();
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        Some((first.to_owned(), fields(rest)))
    }

    /// The body that these headers announce. `to_close`: without announcement it goes to the end of the connection.
    pub(crate) fn body(&mut self, headers: &Headers, to_close: bool) -> Whole {
        if all(headers, "transfer-encoding").last().is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return self.chunked();
        }
        if let Some(length) = all(headers, "content-length").first() {
            let (bytes, complete) = self.exactly(length.parse().unwrap());
            return Whole { bytes, complete, ..Whole::default() };
        }
        if !to_close {
            return Whole { complete: true, ..Whole::default() };
        }
        while self.fill() {}
        Whole { bytes: std::mem::take(&mut self.buffer), complete: true, ..Whole::default() }
    }

    /// One chunk: its bytes, or none at the end of the connection.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.through(b"\r\n")?;
        let size = String::from_utf8_lossy(&size);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16).unwrap();
        if size == 0 {
            return Some(Vec::new());
        }
        let (mut bytes, complete) = self.exactly(size + 2);
        bytes.truncate(size);
        complete.then_some(bytes)
    }

    fn chunked(&mut self) -> Whole {
        let mut whole = Whole::default();
        loop {
            match self.chunk() {
                None => return whole,
                Some(piece) if piece.is_empty() => break,
                Some(piece) => whole.bytes.extend_from_slice(&piece),
            }
        }
        let mut trailers = String::new();
        while let Some(line) = self.through(b"\r\n") {
            if line.len() == 2 {
                whole.complete = true;
                break;
            }
            trailers.push_str(&String::from_utf8_lossy(&line));
        }
        whole.trailers = fields(&trailers);
        whole
    }
}

fn fields(text: &str) -> Headers {
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.to_owned(), value.trim().to_owned())
    };
    text.split("\r\n").filter(|line| !line.is_empty()).map(field).collect()
}

/// Every value of a header, in order.
pub(crate) fn all<'a>(headers: &'a Headers, name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}
