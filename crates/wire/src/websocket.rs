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
    /// A message beyond [`MESSAGE_BYTES_MAX`].
    #[error("a WebSocket message is longer than {MESSAGE_BYTES_MAX} bytes")]
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
        /// Its frame as it came.
        raw: &'a [u8],
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
        matches!(self.opcode, Opcode::Close | Opcode::Ping)
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
            spent: Spent::Nothing,
            closed: false,
        }
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
            (Opcode::Close | Opcode::Ping, _) => {
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
            if self.raw.len().saturating_add(head.size).saturating_add(head.length) > MESSAGE_BYTES_MAX {
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
            (Opcode::Ping, _) => Ok(Some(Ended::Control)),
            (Opcode::Close, _) => {
                // A message that was being sent stays undone.
                (self.closed, self.kind) = (true, None);
                let payload = self.frame.get(head.size..).unwrap_or_default().to_vec();
                self.payload.clear();
                unmask(&payload, head.mask, 0, &mut self.payload);
                let reason = self.payload.get(2..).unwrap_or_default();
                if self.payload.len() == 1 || std::str::from_utf8(reason).is_err() {
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

    fn item(&mut self, ended: Ended) -> Item<'_> {
        let Self { frame, payload, raw, spent, .. } = self;
        *spent = if matches!(ended, Ended::Message(_)) { Spent::Message } else { Spent::Frame };
        match ended {
            Ended::Control => Item::Control { raw: frame },
            Ended::Close => Item::Close { raw: frame, payload },
            Ended::Message(kind) => Item::Message { kind, payload, raw },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Control,
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
        9 | 10 => Opcode::Ping,
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
    out.push(if kind == Kind::Text { 0x81 } else { 0x82 });
    write_payload(payload, out);
}

/// Appends a close frame, as a server sends it. `payload` is the code and the reason, cut at [`CONTROL_BYTES_MAX`]
/// where a character ends.
pub fn write_close(payload: &[u8], out: &mut Vec<u8>) {
    let mut end = payload.len().min(CONTROL_BYTES_MAX);
    while end > 2 && payload.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    out.push(0x88);
    write_payload(payload.get(..end).unwrap_or_default(), out);
}

fn write_payload(payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An item as a test can keep it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Got {
        Control(Vec<u8>),
        Close(Vec<u8>),
        Message(Kind, Vec<u8>, Vec<u8>),
    }

    fn read(side: Side, input: &[u8], chunk: usize) -> Result<Vec<Got>, WebSocketError> {
        let mut messages = Messages::new(side);
        let mut got = Vec::new();
        for mut part in input.chunks(chunk.max(1)) {
            while let Some(item) = messages.next(&mut part)? {
                got.push(match item {
                    Item::Control { raw } => Got::Control(raw.to_vec()),
                    Item::Close { payload, .. } => Got::Close(payload.to_vec()),
                    Item::Message { kind, payload, raw } => {
                        Got::Message(kind, payload.to_vec(), raw.to_vec())
                    }
                });
            }
        }
        Ok(got)
    }

    fn all(side: Side, input: &[u8]) -> Result<Vec<Got>, WebSocketError> {
        let whole = read(side, input, usize::MAX);
        for chunk in 1..input.len().min(40) {
            assert_eq!(read(side, input, chunk), whole, "chunk {chunk}");
        }
        whole
    }

    /// The examples of RFC 6455, 5.7.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        let hello = |raw: &[u8]| vec![Got::Message(Kind::Text, b"Hello".to_vec(), raw.to_vec())];
        let single = b"\x81\x05Hello";
        assert_eq!(all(Side::Server, single), Ok(hello(single)));
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(all(Side::Client, &masked), Ok(hello(&masked)));
        let fragments = b"\x01\x03Hel\x80\x02lo";
        assert_eq!(all(Side::Server, fragments), Ok(hello(fragments)));
        let ping = b"\x89\x05Hello";
        assert_eq!(all(Side::Server, ping), Ok(vec![Got::Control(ping.to_vec())]));
        for (length, head) in
            [(256usize, &[0x82, 0x7e, 1, 0][..]), (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0])]
        {
            let mut out = Vec::new();
            write_message(Kind::Binary, &vec![7; length], &mut out);
            assert!(out.starts_with(head));
            assert_eq!(
                read(Side::Server, &out, 999),
                Ok(vec![Got::Message(Kind::Binary, vec![7; length], out)])
            );
        }
    }

    #[test]
    fn control_frames_come_between_fragments() {
        let input = b"\x01\x02He\x89\x01p\x00\x01l\x8a\x00\x80\x02lo\x88\x04\x03\xe8ok";
        let message = Got::Message(Kind::Text, b"Hello".to_vec(), b"\x01\x02He\x00\x01l\x80\x02lo".to_vec());
        let expected = [
            Got::Control(b"\x89\x01p".to_vec()),
            Got::Control(b"\x8a\x00".to_vec()),
            message,
            Got::Close(b"\x03\xe8ok".to_vec()),
        ];
        assert_eq!(all(Side::Server, input), Ok(expected.to_vec()));
    }

    #[test]
    fn catalogue_46_what_the_rfc_forbids_is_refused() {
        use WebSocketError::{Extension, Protocol, Text};
        for (input, error) in [
            (&b"\xc1\x05Hello"[..], Extension),
            (b"\xa1\x05Hello", Extension),
            (b"\x83\x00", Protocol),
            (b"\x8b\x00", Protocol),
            (b"\x09\x00", Protocol),
            (b"\x89\x7e\x00\x7e", Protocol),
            (b"\x80\x00", Protocol),
            (b"\x01\x01a\x81\x01b", Protocol),
            (b"\x81\x7e\x00\x05Hello", Protocol),
            (b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05Hello", Protocol),
            (b"\x81\x7f\x80\x00\x00\x00\x00\x01\x00\x00", Protocol),
            (b"\x81\x85\x00\x00\x00\x00Hello", Protocol),
            (b"\x88\x00\x81\x00", Protocol),
            (b"\x88\x01\x03", Protocol),
            (b"\x88\x03\x03\xe8\xff", Protocol),
            (b"\x81\x02\xc3\x28", Text),
        ] {
            assert_eq!(all(Side::Server, input), Err(error), "{input:x?}");
        }
        assert_eq!(all(Side::Client, b"\x81\x05Hello"), Err(Protocol));
    }

    #[test]
    fn catalogue_46_a_message_at_the_limit_passes_and_one_beyond_does_not() {
        let of =
            |length: usize| [&[0x82, 0x7f][..], &(length as u64).to_be_bytes(), &vec![0; length]].concat();
        let at = of(MESSAGE_BYTES_MAX - 10);
        assert_eq!(read(Side::Server, &at, 1 << 20).map(|got| got.len()), Ok(1));
        // Known by its header already.
        assert_eq!(read(Side::Server, &of(MESSAGE_BYTES_MAX - 9)[..10], 3), Err(WebSocketError::TooLong));
        // Fragments count together, empty ones too.
        let mut messages = Messages::new(Side::Server);
        let first = b"\x02\x00";
        assert!(messages.next(&mut &first[..]).is_ok());
        let empty = b"\x00\x00".repeat(1 << 16);
        let refused =
            (0..=MESSAGE_BYTES_MAX / empty.len()).any(|_| messages.next(&mut empty.as_slice()).is_err());
        assert!(refused);
    }

    #[test]
    fn a_close_frame_is_cut_where_a_character_ends() {
        let mut out = Vec::new();
        write_close(&[b"\x03\xe8".as_slice(), "é".repeat(100).as_bytes()].concat(), &mut out);
        let got = all(Side::Server, &out).unwrap();
        let Got::Close(payload) = &got[0] else { panic!("{got:?}") };
        assert_eq!(payload.len(), 2 + 122);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunking_give_the_same(
            input in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(0x80), Just(0x81), Just(0x89), 0u8..6, any::<u8>()], 0..60),
            chunk in 1usize..7,
            client in any::<bool>(),
        ) {
            let side = if client { Side::Client } else { Side::Server };
            prop_assert_eq!(read(side, &input, chunk), read(side, &input, usize::MAX));
        }
    }
}
