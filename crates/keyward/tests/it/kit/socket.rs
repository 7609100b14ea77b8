//! WebSocket as bytes, for both ends, read and written apart from the gateway's own codec.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::wire::Line;
use super::{Answer, Caller, Gateway, Seen, Upstream, Wire, request};

pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What [`KEY`] is answered with (RFC 6455, 1.3).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One frame as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, reserved bits and opcode.
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(&self) -> String {
        assert_eq!(self.first, 0x81, "{self:?}");
        String::from_utf8(self.payload.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The code and the reason of a close frame.
    pub(crate) fn close(&self) -> (u16, String) {
        assert_eq!(self.first, 0x88, "{self:?}");
        let code = self.payload.first_chunk::<2>().map_or(0, |code| u16::from_be_bytes(*code));
        (code, String::from_utf8_lossy(self.payload.get(2..).unwrap_or_default()).into_owned())
    }
}

/// A frame; masked where there is a key.
pub(crate) fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => bytes.push(bit | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(bit | 0x7e);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(bit | 0x7f);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The next frame; none at the end of the connection.
fn next(line: &mut Line) -> Option<Frame> {
    let mut take = |length: usize| {
        let (bytes, whole) = line.exactly(length);
        whole.then_some(bytes)
    };
    let head = take(2)?;
    let length = match head[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes(take(2)?.try_into().unwrap())),
        127 => u64::from_be_bytes(take(8)?.try_into().unwrap()),
        length => u64::from(length),
    };
    let masked = head[1] & 0x80 != 0;
    let key = if masked { take(4)? } else { vec![0; 4] };
    let payload = take(usize::try_from(length).unwrap())?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some(Frame { first: head[0], masked, payload })
}

/// The caller's end of a WebSocket.
pub(crate) struct Socket {
    pub(crate) caller: Caller,
    /// The answer to the handshake.
    pub(crate) answer: Answer,
}

/// A handshake of a caller.
pub(crate) fn handshake(path: &str, token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let asked = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    request("GET", path, token, &[&asked[..], more].concat(), b"")
}

impl Socket {
    /// Opens one, which must be accepted.
    pub(crate) fn open(gateway: &Gateway, path: &str, token: &str, more: &[(&str, &str)]) -> Self {
        let mut caller = Caller::connect(gateway.data);
        caller.send(handshake(path, token, more));
        let answer = caller.head().expect("an answer to the handshake");
        assert_eq!(
            answer.status,
            101,
            "{answer:?} {:?}",
            caller.line.piece().map(|it| String::from_utf8_lossy(&it).into_owned())
        );
        assert_eq!(answer.header("sec-websocket-accept"), ACCEPT);
        Self { caller, answer }
    }

    /// Sends a frame, masked; false when the other side is gone.
    pub(crate) fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) -> bool {
        self.caller.line.write(&frame(first, payload.as_ref(), Some([0x37, 0xfa, 0x21, 0x3d])))
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        assert!(self.send(0x81, text), "the gateway closed the WebSocket");
    }

    /// The next frame; none at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let frame = next(&mut self.caller.line)?;
        assert!(!frame.masked, "{frame:?}");
        Some(frame)
    }

    /// Everything up to the close frame, and that one's code and reason.
    pub(crate) fn rest(&mut self) -> (Vec<Frame>, (u16, String)) {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("no close frame after {frames:?}"));
            if frame.first == 0x88 {
                return (frames, frame.close());
            }
            frames.push(frame);
        }
    }
}

/// The upstream's end of a WebSocket.
pub(crate) struct Far<'w> {
    pub(crate) wire: &'w mut Wire,
}

impl Far<'_> {
    pub(crate) fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) -> bool {
        self.wire.line.write(&frame(first, payload.as_ref(), None))
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.send(0x81, text)
    }

    /// The next frame; none at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let frame = next(&mut self.wire.line)?;
        assert!(frame.masked, "{frame:?}");
        Some(frame)
    }
}

/// 101 to a request, with more headers.
pub(crate) fn accepting(seen: &Seen, more: &str) -> Vec<u8> {
    let key = seen.all("sec-websocket-key")[0];
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n")
        .into_bytes()
}

/// An upstream that accepts each WebSocket and goes on with `serve`.
pub(crate) fn sockets(serve: impl Fn(&mut Far<'_>) + Send + Sync + 'static) -> Upstream {
    Upstream::serving(move |wire| {
        if let Some(seen) = wire.request() {
            wire.line.write(&accepting(&seen, ""));
            serve(&mut Far { wire });
        }
    })
}
