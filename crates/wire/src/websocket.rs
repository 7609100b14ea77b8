//! WebSocket (RFC 6455) after its handshake: frames, put together to messages.
//!
//! **Promise.** [`Messages::next`] hands out what came in the order in which it became complete: a control frame as soon
//! as it is whole, a data message when its last fragment is. The raw bytes of all of them cover the stream exactly. At
//! most [`MESSAGE_BYTES_MAX`] bytes of one message, frame headers included, and one control frame are held.
//!
//! Everything that the RFC forbids is an error, in every chunking alike (*fails closed*): reserved bits (so too
//! compressed messages, RFC 7692, which cannot be looked into here), unknown opcodes, fragmented or long control frames,
//! lengths that are not in their shortest form, a continuation of nothing, a new message within another, text that is
//! not UTF-8, anything after a close frame, and a mask where the [`Side`] must not have one, or none where it must.

/// The longest message, in bytes, with the headers of its frames.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest payload of a control frame, in bytes (RFC 6455, 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What is kept of a buffer's memory after a long message, in bytes.
const BUFFER_KEEP_MAX: usize = 64 * 1024;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Frames must not be masked.
    Server,
    /// Frames must be masked.
    Client,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// Why a stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// Against RFC 6455.
    #[error("the WebSocket stream breaks the protocol")]
    Protocol,
    /// A reserved bit is set: an extension is in use, such as compression.
    #[error("a WebSocket message uses an extension that cannot be looked into")]
    Extension,
    /// A message beyond [`MESSAGE_BYTES_MAX`], or beyond the narrower bound of [`Messages::at_most`].
    #[error("a WebSocket message is longer than is looked into")]
    TooLong,
    /// A text message that is not UTF-8.
    #[error("a WebSocket text message is not UTF-8")]
    Text,
}

/// What has come whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A ping or pong; it may stand between the fragments of a message.
    Control {
        /// Whether it asks for a pong.
        ping: bool,
        /// Its frame as it came.
        raw: &'a [u8],
        /// What it carries, unmasked.
        payload: &'a [u8],
    },
    /// A close frame; nothing follows it.
    Close {
        /// Its frame as it came.
        raw: &'a [u8],
        /// The code and the reason, unmasked.
        payload: &'a [u8],
    },
    /// A message.
    Message {
        /// What it is.
        kind: Kind,
        /// The payload of all its fragments, unmasked.
        payload: &'a [u8],
        /// All its frames as they came.
        raw: &'a [u8],
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Data(Kind),
    Close,
    Ping,
    Pong,
}

/// A frame's header, read.
#[derive(Debug, Clone, Copy)]
struct Head {
    last: bool,
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    /// Bytes of the header.
    size: usize,
    /// Bytes of the payload.
    length: usize,
}

impl Head {
    const fn is_control(&self) -> bool {
        matches!(self.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Puts the frames of one direction together.
#[derive(Debug)]
pub struct Messages {
    side: Side,
    /// The current frame: its header, and of a control frame the payload too.
    frame: Vec<u8>,
    head: Option<Head>,
    /// How much of the current frame's payload has come.
    done: usize,
    kind: Option<Kind>,
    payload: Vec<u8>,
    raw: Vec<u8>,
    /// The payload of a control frame.
    control: Vec<u8>,
    /// The longest message, in bytes.
    longest: usize,
    /// What was handed out and is to be cleared.
    spent: Spent,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    Nothing,
    Frame,
    Message,
}

impl Messages {
    /// At the start of what `side` sends after the handshake.
    pub const fn new(side: Side) -> Self {
        Self {
            side,
            frame: Vec::new(),
            head: None,
            done: 0,
            kind: None,
            payload: Vec::new(),
            raw: Vec::new(),
            control: Vec::new(),
            longest: MESSAGE_BYTES_MAX,
            spent: Spent::Nothing,
            closed: false,
        }
    }

    /// The same with a narrower bound on messages, in bytes.
    #[must_use]
    pub fn at_most(self, longest: usize) -> Self {
        Self { longest: longest.min(MESSAGE_BYTES_MAX), ..self }
    }

    /// Whether nothing is held that is not complete.
    pub fn is_idle(&self) -> bool {
        self.kind.is_none() && (self.frame.is_empty() || self.spent == Spent::Frame)
    }

    /// Takes bytes from the front of `input` until something is whole, and says what. `None` when the input is used up.
    ///
    /// # Errors
    /// When the stream is refused. It is of no use then.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<Item<'a>>, WebSocketError> {
        self.clear_spent();
        loop {
            if input.is_empty() {
                return Ok(None);
            }
            if self.closed {
                return Err(WebSocketError::Protocol);
            }
            let head = match self.head {
                Some(head) => head,
                None => match self.read_head(input)? {
                    Some(head) => self.begin(head)?,
                    None => return Ok(None),
                },
            };
            self.take_payload(head, input);
            if self.done < head.length {
                return Ok(None);
            }
            if let Some(ended) = self.end(head)? {
                return Ok(Some(self.item(ended)));
            }
        }
    }

    fn clear_spent(&mut self) {
        match self.spent {
            Spent::Nothing => {}
            Spent::Frame => self.frame.clear(),
            Spent::Message => {
                for buffer in [&mut self.payload, &mut self.raw] {
                    buffer.clear();
                    buffer.shrink_to(BUFFER_KEEP_MAX);
                }
            }
        }
        self.spent = Spent::Nothing;
    }

    /// Takes a header, byte by byte until it is whole.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<Head>, WebSocketError> {
        while let Some((byte, rest)) = input.split_first() {
            self.frame.push(*byte);
            *input = rest;
            if let Some(head) = head(&self.frame, self.side)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// A frame begins: whether it may.
    fn begin(&mut self, head: Head) -> Result<Head, WebSocketError> {
        match (head.opcode, self.kind) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                if !head.last || head.length > CONTROL_BYTES_MAX {
                    return Err(WebSocketError::Protocol);
                }
            }
            (Opcode::Continuation, None) | (Opcode::Data(_), Some(_)) => {
                return Err(WebSocketError::Protocol);
            }
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Data(kind), None) => self.kind = Some(kind),
        }
        if !head.is_control() {
            if self.raw.len().saturating_add(head.size).saturating_add(head.length) > self.longest {
                return Err(WebSocketError::TooLong);
            }
            self.raw.append(&mut self.frame);
        }
        self.head = Some(head);
        self.done = 0;
        Ok(head)
    }

    fn take_payload(&mut self, head: Head, input: &mut &[u8]) {
        let (part, rest) = input.split_at_checked(head.length - self.done).unwrap_or((input, &[]));
        *input = rest;
        if head.is_control() {
            self.frame.extend_from_slice(part);
        } else {
            self.raw.extend_from_slice(part);
            unmask(part, head.mask, self.done, &mut self.payload);
        }
        self.done += part.len();
    }

    /// A frame ends; what ends with it.
    fn end(&mut self, head: Head) -> Result<Option<Ended>, WebSocketError> {
        self.head = None;
        match (head.opcode, self.kind) {
            (Opcode::Ping | Opcode::Pong, _) => {
                self.read_control(head);
                Ok(Some(Ended::Control { ping: head.opcode == Opcode::Ping }))
            }
            (Opcode::Close, _) => {
                // A message that was being sent stays undone.
                (self.closed, self.kind) = (true, None);
                self.read_control(head);
                let reason = self.control.get(2..).unwrap_or_default();
                if self.control.len() == 1 || std::str::from_utf8(reason).is_err() {
                    return Err(WebSocketError::Protocol);
                }
                Ok(Some(Ended::Close))
            }
            (_, Some(kind)) if head.last => {
                self.kind = None;
                if kind == Kind::Text && std::str::from_utf8(&self.payload).is_err() {
                    return Err(WebSocketError::Text);
                }
                Ok(Some(Ended::Message(kind)))
            }
            _ => Ok(None),
        }
    }

    fn read_control(&mut self, head: Head) {
        self.control.clear();
        unmask(self.frame.get(head.size..).unwrap_or_default(), head.mask, 0, &mut self.control);
    }

    fn item(&mut self, ended: Ended) -> Item<'_> {
        let Self { frame, payload, raw, control, spent, .. } = self;
        *spent = if matches!(ended, Ended::Message(_)) { Spent::Message } else { Spent::Frame };
        match ended {
            Ended::Control { ping } => Item::Control { ping, raw: frame, payload: control },
            Ended::Close => Item::Close { raw: frame, payload: control },
            Ended::Message(kind) => Item::Message { kind, payload, raw },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Control { ping: bool },
    Close,
    Message(Kind),
}

fn unmask(part: &[u8], mask: Option<[u8; 4]>, done: usize, to: &mut Vec<u8>) {
    match mask {
        None => to.extend_from_slice(part),
        Some(mask) => {
            to.extend(part.iter().zip(mask.iter().cycle().skip(done % 4)).map(|(byte, key)| byte ^ key));
        }
    }
}

/// Reads a header; none when it is not whole.
fn head(bytes: &[u8], side: Side) -> Result<Option<Head>, WebSocketError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(WebSocketError::Extension);
    }
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Data(Kind::Text),
        2 => Opcode::Data(Kind::Binary),
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(WebSocketError::Protocol),
    };
    let masked = second & 0x80 != 0;
    if masked != (side == Side::Client) {
        return Err(WebSocketError::Protocol);
    }
    let (length, rest) = match second & 0x7f {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            (Some(u64::from(u16::from_be_bytes(*length))).filter(|n| *n > 125), rest)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            (Some(u64::from_be_bytes(*length)).filter(|n| *n > 0xffff && *n < 1 << 63), rest)
        }
        length => (Some(u64::from(length)), rest),
    };
    let length = length.ok_or(WebSocketError::Protocol)?;
    let mask = match rest.first_chunk::<4>() {
        _ if !masked => None,
        Some(mask) => Some(*mask),
        None => return Ok(None),
    };
    let length = usize::try_from(length).map_err(|_| WebSocketError::TooLong)?;
    Ok(Some(Head { last: first & 0x80 != 0, opcode, mask, size: bytes.len(), length }))
}

/// Appends a message in one frame, as a server sends it.
pub fn write_message(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    write_frame(data_byte(kind), payload, None, out);
}

/// Appends a message in one frame, as a client sends it, masked with `key`, which nobody must be able to guess (RFC 6455,
/// 5.3).
pub fn write_masked_message(kind: Kind, payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    write_frame(data_byte(kind), payload, Some(key), out);
}

/// Appends a pong that answers a ping with this payload; masked where a client sends it.
pub fn write_pong(payload: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    write_frame(0x8a, payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload), key, out);
}

/// Appends a close frame, as a server sends it. `payload` is the code and the reason, cut at [`CONTROL_BYTES_MAX`]
/// where a character ends.
pub fn write_close(payload: &[u8], out: &mut Vec<u8>) {
    write_close_frame(payload, None, out);
}

/// Appends a close frame, as a client sends it; else as [`write_close`].
pub fn write_masked_close(payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    write_close_frame(payload, Some(key), out);
}

const fn data_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Text => 0x81,
        Kind::Binary => 0x82,
    }
}

fn write_close_frame(payload: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let mut end = payload.len().min(CONTROL_BYTES_MAX);
    while end > 2 && payload.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    write_frame(0x88, payload.get(..end).unwrap_or_default(), key, out);
}

fn write_frame(first: u8, payload: &[u8], key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    out.push(first);
    let masked = if key.is_some() { 0x80 } else { 0 };
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => out.push(masked | length),
        (_, Ok(length)) => {
            out.push(masked | 0x7e);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(masked | 0x7f);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(key) = key {
        out.extend_from_slice(&key);
    }
    unmask(payload, key, 0, out);
}

#[cfg(test)]
mod tests;
