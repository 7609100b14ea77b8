//! AWS event streams (`application/vnd.amazon.eventstream`): binary messages with headers, a payload and checksums.
//!
//! **Promise.** [`Framer::next`] cuts the stream into messages that cover it exactly, each with both of its checksums
//! right and its lengths within [`MESSAGE_BYTES_MAX`] and [`HEADERS_BYTES_MAX`]; anything else is an error (*fails
//! closed*), in every chunking alike. At most one message is held.
//!
//! Source: "Event stream encoding" of the Amazon S3 and Transcribe developer guides, and the Smithy specification
//! `application/vnd.amazon.eventstream`: total length and headers' length (big endian, 4 bytes each), CRC-32 of these
//! eight bytes, headers, payload, CRC-32 of everything before it.

use std::ops::Range;

/// The longest message, in bytes, with its checksums.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest headers of a message, in bytes.
pub const HEADERS_BYTES_MAX: usize = 128 * 1024;

/// Lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// The message's own checksum.
const TRAILER_BYTES: usize = 4;
/// What a [`Framer`] keeps of its buffer's memory after a long message, in bytes.
const BUFFER_KEEP_MAX: usize = 64 * 1024;

/// The type of a header whose value is text.
pub const STRING: u8 = 7;

/// Why a stream is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AwsEventError {
    /// A length beyond its maximum.
    #[error("a message is longer than {MESSAGE_BYTES_MAX} bytes, or its headers than {HEADERS_BYTES_MAX}")]
    TooLong,
    /// Lengths that contradict each other, or a header that is cut off or of no known type.
    #[error("a message is malformed")]
    Malformed,
    /// A checksum that is not right.
    #[error("a message's checksum is wrong")]
    Checksum,
}

/// Cuts a stream into messages.
#[derive(Debug, Clone, Default)]
pub struct Framer {
    held: Vec<u8>,
    /// `held` was handed out as a message and is to be cleared.
    spent: bool,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` up to the end of the next message, and returns that message whole, its
    /// checksums checked. `None` when the input is used up; then its rest is held.
    ///
    /// # Errors
    /// When a length or a checksum is not right. The framer is of no use then.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<Option<&'a [u8]>, AwsEventError> {
        if self.spent {
            self.spent = false;
            self.held.clear();
            self.held.shrink_to(BUFFER_KEEP_MAX);
        }
        self.fill(PRELUDE_BYTES, input);
        let Some(prelude) = self.held.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
        let total = total_length(prelude)?;
        self.fill(total, input);
        if self.held.len() < total {
            return Ok(None);
        }
        let (content, checksum) =
            self.held.split_last_chunk::<TRAILER_BYTES>().ok_or(AwsEventError::Malformed)?;
        if crc32fast::hash(content) != u32::from_be_bytes(*checksum) {
            return Err(AwsEventError::Checksum);
        }
        self.spent = true;
        Ok(Some(&self.held))
    }

    /// Holds bytes of `input` until it has `len`.
    fn fill(&mut self, len: usize, input: &mut &[u8]) {
        let missing = len.saturating_sub(self.held.len()).min(input.len());
        let (part, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
        self.held.extend_from_slice(part);
        *input = rest;
    }

    /// What is held of a message that has not come whole.
    pub fn rest(&self) -> &[u8] {
        if self.spent { &[] } else { &self.held }
    }
}

fn total_length(prelude: &[u8; PRELUDE_BYTES]) -> Result<usize, AwsEventError> {
    let (lengths, checksum) = prelude.split_last_chunk::<4>().ok_or(AwsEventError::Malformed)?;
    if crc32fast::hash(lengths) != u32::from_be_bytes(*checksum) {
        return Err(AwsEventError::Checksum);
    }
    let length = |bytes: Option<&[u8; 4]>| {
        usize::try_from(u32::from_be_bytes(bytes.copied().unwrap_or_default()))
            .map_err(|_| AwsEventError::TooLong)
    };
    let (total, headers) = (length(lengths.first_chunk())?, length(lengths.last_chunk())?);
    if total > MESSAGE_BYTES_MAX || headers > HEADERS_BYTES_MAX {
        return Err(AwsEventError::TooLong);
    }
    if total < PRELUDE_BYTES + headers + TRAILER_BYTES {
        return Err(AwsEventError::Malformed);
    }
    Ok(total)
}

/// One header; the ranges are offsets into the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: Range<usize>,
    /// Its type; [`STRING`] for text.
    pub kind: u8,
    /// Its value, without the length that stands before text and bytes.
    pub value: Range<usize>,
}

/// Where things are in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The headers in order.
    pub headers: Vec<Header>,
    /// The payload, an offset range.
    pub payload: Range<usize>,
}

impl Message {
    /// Reads a message that a [`Framer`] gave.
    ///
    /// # Errors
    /// When a header is cut off or of no known type.
    pub fn read(message: &[u8]) -> Result<Self, AwsEventError> {
        let length = message.get(4..).and_then(|m| m.first_chunk()).ok_or(AwsEventError::Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| AwsEventError::TooLong)?;
        let stop = PRELUDE_BYTES + length;
        let payload = stop..message.len().saturating_sub(TRAILER_BYTES);
        let within = message.get(..stop).filter(|_| payload.start <= payload.end);
        let mut rest = Cursor { bytes: within.ok_or(AwsEventError::Malformed)?, at: PRELUDE_BYTES };
        let mut headers = Vec::new();
        while rest.at < stop {
            let length = usize::from(rest.byte()?);
            let name = rest.take(length)?;
            let kind = rest.byte()?;
            let length = match kind {
                0 | 1 => 0,
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                6 | STRING => usize::from(u16::from_be_bytes([rest.byte()?, rest.byte()?])),
                9 => 16,
                _ => return Err(AwsEventError::Malformed),
            };
            headers.push(Header { name, kind, value: rest.take(length)? });
        }
        Ok(Self { headers, payload })
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8, AwsEventError> {
        let byte = *self.bytes.get(self.at).ok_or(AwsEventError::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, AwsEventError> {
        let range = self.at..self.at + length;
        self.bytes.get(range.clone()).ok_or(AwsEventError::Malformed)?;
        self.at = range.end;
        Ok(range)
    }
}

/// Appends a text header in its encoding.
///
/// # Errors
/// When the name is longer than 255 bytes or the value than 65,535.
pub fn write_string_header(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), AwsEventError> {
    out.push(u8::try_from(name.len()).map_err(|_| AwsEventError::TooLong)?);
    out.extend_from_slice(name);
    out.push(STRING);
    out.extend_from_slice(&u16::try_from(value.len()).map_err(|_| AwsEventError::TooLong)?.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Appends a message of encoded headers and a payload, with its lengths and checksums.
///
/// # Errors
/// When it is longer than a message may be; then nothing is appended.
pub fn write_message(headers: &[u8], payload: &[u8], out: &mut Vec<u8>) -> Result<(), AwsEventError> {
    let total = PRELUDE_BYTES + headers.len() + payload.len() + TRAILER_BYTES;
    if total > MESSAGE_BYTES_MAX || headers.len() > HEADERS_BYTES_MAX {
        return Err(AwsEventError::TooLong);
    }
    let length = |n: usize| u32::try_from(n).map(u32::to_be_bytes).map_err(|_| AwsEventError::TooLong);
    let prelude = [length(total)?, length(headers.len())?].concat();
    let mut hasher = crc32fast::Hasher::new();
    let mut put = |part: &[u8]| {
        hasher.update(part);
        out.extend_from_slice(part);
    };
    put(&prelude);
    put(&crc32fast::hash(&prelude).to_be_bytes());
    put(headers);
    put(payload);
    out.extend_from_slice(&hasher.finalize().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let (mut encoded, mut out) = (Vec::new(), Vec::new());
        for (name, value) in headers {
            write_string_header(name.as_bytes(), value.as_bytes(), &mut encoded).unwrap();
        }
        write_message(&encoded, payload, &mut out).unwrap();
        out
    }

    fn messages(input: &[u8], chunk: usize) -> Result<Vec<Vec<u8>>, AwsEventError> {
        let mut framer = Framer::new();
        let mut got = Vec::new();
        for mut part in input.chunks(chunk.max(1)) {
            while let Some(message) = framer.next(&mut part)? {
                got.push(message.to_vec());
            }
        }
        got.push(framer.rest().to_vec());
        Ok(got)
    }

    /// The example of the specification: `{'foo':'bar'}` as JSON, with a content type.
    #[test]
    fn reads_the_example_of_the_specification() {
        let input: Vec<u8> = [
            &[0, 0, 0, 0x3d, 0, 0, 0, 0x20, 0x07, 0xfd, 0x83, 0x96][..],
            b"\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1",
        ]
        .concat();
        assert_eq!(message(&[("content-type", "application/json")], b"{'foo':'bar'}"), input);
        for chunk in 1..=input.len() {
            assert_eq!(messages(&input, chunk).unwrap(), [input.clone(), Vec::new()]);
        }
        let read = Message::read(&input).unwrap();
        assert_eq!(&input[read.payload], b"{'foo':'bar'}");
        assert_eq!(&input[read.headers[0].name.clone()], b"content-type");
        assert_eq!(
            (read.headers[0].kind, &input[read.headers[0].value.clone()]),
            (STRING, &b"application/json"[..])
        );
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let input = message(&[(":event-type", "chunk")], b"{}");
        for at in 0..input.len() {
            for bit in 0..8 {
                let mut bad = input.clone();
                bad[at] ^= 1 << bit;
                for chunk in [1, 5, 100] {
                    assert!(messages(&bad, chunk).is_err(), "byte {at} bit {bit}");
                }
            }
            assert_eq!(messages(&input[..at], 3).unwrap(), [input[..at].to_vec()], "held, not handed out");
        }
    }

    #[test]
    fn lengths_hold_at_their_edge() {
        let room = MESSAGE_BYTES_MAX - PRELUDE_BYTES - TRAILER_BYTES;
        let at = message(&[], &vec![b'x'; room]);
        assert_eq!(messages(&at, 1 << 20).unwrap()[0].len(), MESSAGE_BYTES_MAX);
        let mut out = Vec::new();
        assert_eq!(write_message(&[], &vec![b'x'; room + 1], &mut out), Err(AwsEventError::TooLong));
        assert_eq!(
            write_message(&vec![0; HEADERS_BYTES_MAX + 1], &[], &mut out),
            Err(AwsEventError::TooLong)
        );
        assert!(out.is_empty());
        // A prelude alone is enough to refuse.
        for (total, headers, expected) in [
            (MESSAGE_BYTES_MAX + 1, 0, AwsEventError::TooLong),
            (MESSAGE_BYTES_MAX, HEADERS_BYTES_MAX + 1, AwsEventError::TooLong),
            (15, 0, AwsEventError::Malformed),
            (40, 25, AwsEventError::Malformed),
        ] {
            let lengths =
                [u32::try_from(total).unwrap().to_be_bytes(), u32::try_from(headers).unwrap().to_be_bytes()];
            let prelude =
                [lengths.concat(), crc32fast::hash(&lengths.concat()).to_be_bytes().to_vec()].concat();
            assert_eq!(messages(&prelude, 5), Err(expected), "{total} {headers}");
        }
        let mut header = Vec::new();
        assert!(write_string_header(&[b'n'; 255], &vec![b'v'; 65_535], &mut header).is_ok());
        assert_eq!(write_string_header(&[b'n'; 256], b"", &mut header), Err(AwsEventError::TooLong));
        assert_eq!(write_string_header(b"n", &vec![b'v'; 65_536], &mut header), Err(AwsEventError::TooLong));
    }

    #[test]
    fn headers_of_every_type_are_read_and_broken_ones_refused() {
        let mut headers = Vec::new();
        for (kind, value) in [(0u8, 0usize), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend_from_slice(&[1, b'a' + kind, kind]);
            headers.extend(std::iter::repeat_n(7u8, value));
        }
        headers.extend_from_slice(&[1, b'b', 6, 0, 2, 1, 2]);
        let of = |headers: &[u8]| {
            let mut out = Vec::new();
            write_message(headers, b"p", &mut out).unwrap();
            Message::read(&out).map(|m| m.headers.len())
        };
        assert_eq!(of(&headers), Ok(9));
        for bad in [&[1u8, b'a', 10][..], &[1, b'a', 7, 0, 9, b'x'], &[5, b'a'], &[1, b'a', 6, 0], &[1, b'a']]
        {
            assert_eq!(of(bad), Err(AwsEventError::Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunking_give_the_same(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..4),
            noise in proptest::collection::vec(any::<u8>(), 0..30),
            chunk in 1usize..9,
        ) {
            let mut input: Vec<u8> = payloads.iter().flat_map(|p| message(&[("a", "b")], p)).collect();
            input.extend_from_slice(&noise);
            prop_assert_eq!(messages(&input, chunk), messages(&input, usize::MAX));
            if let Ok(all) = messages(&input, chunk) {
                prop_assert_eq!(all.concat(), input);
            }
        }
    }
}
