//! A caller that sends exactly the bytes it is given.

use std::net::{SocketAddr, TcpStream};

use super::wire::{Headers, Line, all};

/// A connection to the gateway.
pub(crate) struct Caller {
    pub(crate) line: Line,
}

/// A response as it arrived.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    /// Whether the body came to its end as its framing says.
    pub(crate) complete: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:?} {:?} {:?} complete: {}",
            self.status,
            self.headers,
            self.text(),
            self.trailers,
            self.complete
        )
    }
}

impl Answer {
    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        all(&self.headers, name)
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0]
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The stable code of a refusal, in whichever dialect.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let code = [&json["error"]["code"], &json["code"]].into_iter().find_map(|code| code.as_str());
        code.unwrap_or_else(|| panic!("no code in {json}")).to_owned()
    }
}

impl Caller {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { line: Line::new(TcpStream::connect(address).unwrap()) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.line.write(bytes.as_ref()), "the gateway closed the connection");
    }

    /// Status and headers of the next response; none when the connection ends before.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let (line, headers) = self.line.head()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        Some(Answer { status, headers, ..Answer::default() })
    }

    /// The next response with its body, to a request with this method.
    pub(crate) fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut answer = self.head()?;
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            answer.complete = true;
            return Some(answer);
        }
        let whole = self.line.body(&answer.headers, true);
        (answer.body, answer.trailers, answer.complete) = (whole.bytes, whole.trailers, whole.complete);
        Some(answer)
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_to("GET").expect("the gateway closed the connection without an answer")
    }
}

/// A request with a token, as bytes. `content-length` is added where there is a body.
pub(crate) fn request(
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\n").into_bytes();
    if !token.is_empty() {
        bytes.extend_from_slice(format!("Authorization: Bearer {token}\r\n").as_bytes());
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// One request on a connection of its own.
pub(crate) fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut caller = Caller::connect(address);
    caller.send(request(method, path, token, headers, body));
    caller.answer_to(method).expect("the gateway closed the connection without an answer")
}

pub(crate) fn get(address: SocketAddr, path: &str, token: &str) -> Answer {
    call(address, "GET", path, token, &[], b"")
}

pub(crate) fn post_json(address: SocketAddr, path: &str, token: &str, body: &str) -> Answer {
    call(address, "POST", path, token, &[("Content-Type", "application/json")], body.as_bytes())
}
