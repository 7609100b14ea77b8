//! Walkers: masking inside JSON, NDJSON and event streams without touching what no rule matches.
//!
//! **Promise.** What no rule matches stays byte for byte: bodies are spliced, never re-serialised. For every way of
//! cutting the input into chunks the output is the same, and it is valid in its format where the input was. JSON strings
//! are matched by what they mean, streamed text per logical channel across events (`events`). Memory is bounded by named
//! maxima: [`crate::HOLD_BYTES_MAX`] per text, [`NESTING_MAX`], [`LOGPROBS_BYTES_MAX`], [`CHANNELS_MAX`],
//! [`LINE_BYTES_MAX`], [`FINDINGS_MAX`], and those of `keyward_wire`.
//!
//! Exceptions, all *fail closed*: a charset that ASCII cannot be read in, a UTF-16 or UTF-32 body under any name, an
//! event or a nesting beyond its maximum and too many channels end the body with a [`MaskError`]; what is not the JSON it
//! says it is, is masked as plain text. Where the body does not end but breaks off (an upstream reset), the caller drops
//! the masker instead of calling [`BodyMasker::finish`]: what is held is then never sent.
//!
//! In suggested reading order: `splice` (raw bytes that wait for a decision), `strand` (one logical text), `logprobs`,
//! `paths` (which string is what), `events` (streams of events and lines).

mod events;
pub mod fuzz;
mod logprobs;
mod paths;
mod splice;
mod strand;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::sse;

pub use events::{CHANNELS_MAX, LINE_BYTES_MAX, WebSocketMasker};
pub use logprobs::LOGPROBS_BYTES_MAX;
pub use splice::FINDINGS_MAX;
pub use strand::NESTING_MAX;

use crate::profile::Profile;
use events::{AwsEvents, Events, Lines};
use strand::{Start, Strand};

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// Text, or bytes of a kind that is not understood: matched as they stand.
    Text,
    /// One JSON document, or several.
    Json,
    /// A JSON document per line; pieces of a model's text go on from line to line.
    Ndjson,
    /// Server-sent events.
    EventStream(Dialect),
    /// Messages of `application/vnd.amazon.eventstream`.
    AwsEventStream,
    /// In a charset that cannot be read: refused with [`MaskError::Charset`].
    Unreadable,
}

/// What an event stream is expected to be. Known shapes are understood wherever they occur, because routers mix them;
/// the dialect decides what becomes of events that are not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions, completions and responses. Data that is not JSON is one text per event.
    OpenAi,
    /// Messages. Data that is not JSON is one text per event.
    Anthropic,
    /// Anything. Data that is not JSON continues the text of the events of the same name before it.
    Generic,
}

/// Why a body cannot be masked; nothing more of it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// UTF-16, UTF-32, or a declared charset in which ASCII bytes do not mean ASCII.
    #[error("the body is in a charset that is not read")]
    Charset,
    /// An event or a message beyond the maximum of its framing.
    #[error("an event of the stream is too long")]
    FrameTooLong,
    /// JSON nested beyond [`keyward_wire::json::DEPTH_MAX`].
    #[error("the body nests too deep")]
    TooDeep,
    /// A message in a binary framing that is malformed, cut off, compressed, or whose checksum is wrong.
    #[error("a message of the stream cannot be read")]
    Malformed,
    /// More than [`CHANNELS_MAX`] texts streamed at once.
    #[error("the stream has too many channels")]
    TooManyChannels,
}

impl From<sse::FrameTooLong> for MaskError {
    fn from(_: sse::FrameTooLong) -> Self {
        Self::FrameTooLong
    }
}

impl BodyFormat {
    /// The format that a `Content-Type` names; [`BodyFormat::Text`] without one.
    pub fn of(content_type: Option<&str>, dialect: Dialect) -> Self {
        let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts
            .filter_map(|p| p.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        if charset.is_some_and(|(_, value)| !extends_ascii(value.trim().trim_matches('"'))) {
            return Self::Unreadable;
        }
        match kind.as_str() {
            "text/event-stream" => Self::EventStream(dialect),
            "application/vnd.amazon.eventstream" => Self::AwsEventStream,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/json-lines"
            | "application/json-seq" => Self::Ndjson,
            "application/json" | "text/json" | "application/x-json" => Self::Json,
            kind if kind.ends_with("+json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// Whether an ASCII byte in this charset is always that ASCII character.
fn extends_ascii(charset: &str) -> bool {
    let charset = charset.to_ascii_lowercase();
    matches!(charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii" | "ascii" | "latin1" | "binary")
        || ["iso-8859-", "windows-125", "cp125"].iter().any(|family| charset.starts_with(family))
}

enum Walker {
    Text(Box<Strand>),
    Lines(Box<Lines>),
    Events(Box<Events>),
    Aws(Box<AwsEvents>),
    Refused,
}

/// Masks one body while it streams.
pub struct BodyMasker {
    walker: Walker,
    format: BodyFormat,
    /// The first bytes, to know a charset by.
    head: Vec<u8>,
    position: u64,
    failed: Option<MaskError>,
}

impl std::fmt::Debug for BodyMasker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyMasker").field("format", &self.format).finish_non_exhaustive()
    }
}

impl BodyMasker {
    /// A masker at the start of a body.
    pub fn new(profile: Arc<Profile>, format: BodyFormat) -> Self {
        let walker = match format {
            BodyFormat::Text => Walker::Text(Box::new(Strand::new(&profile, 0, Start::Text))),
            BodyFormat::Json => Walker::Text(Box::new(Strand::new(&profile, 0, Start::Json))),
            BodyFormat::Ndjson => Walker::Lines(Box::new(Lines::new(profile))),
            BodyFormat::EventStream(dialect) => Walker::Events(Box::new(Events::new(profile, dialect))),
            BodyFormat::AwsEventStream => Walker::Aws(Box::new(AwsEvents::new(profile))),
            BodyFormat::Unreadable => Walker::Refused,
        };
        Self { walker, format, head: Vec::new(), position: 0, failed: None }
    }

    /// Takes the next bytes and appends to `out` what may leave.
    ///
    /// # Errors
    /// When the body cannot be masked; every later call fails alike, and `out` has only what may leave.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.check_charset(input)?;
        let result = match &mut self.walker {
            Walker::Text(strand) => {
                strand.piece(input, input, out);
                deep(strand)
            }
            Walker::Lines(lines) => lines.push(input, out),
            Walker::Events(events) => events.push(input, out),
            Walker::Aws(events) => events.push(input, out),
            Walker::Refused => Err(MaskError::Charset),
        };
        self.position += input.len() as u64;
        self.note(result)
    }

    /// The end of the body: appends what was held, masked.
    ///
    /// # Errors
    /// As [`BodyMasker::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let result = match &mut self.walker {
            Walker::Lines(lines) => lines.finish(out),
            Walker::Text(strand) => {
                strand.end(out);
                strand.begin(self.position, &[]);
                deep(strand)
            }
            Walker::Events(events) => events.finish(out),
            Walker::Aws(events) => events.finish(out),
            Walker::Refused => Err(MaskError::Charset),
        };
        self.note(result)
    }

    /// What was found since the last call; at most [`FINDINGS_MAX`].
    ///
    /// Offsets count bytes: of the body for text; in JSON and event data, up to the string's content bytes of the body,
    /// and from there bytes of its meaning; in a channel, bytes of the channel's text.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        match &mut self.walker {
            Walker::Text(strand) => std::mem::take(&mut strand.findings),
            Walker::Lines(lines) => std::mem::take(&mut lines.findings),
            Walker::Events(events) => std::mem::take(&mut events.findings),
            Walker::Aws(events) => std::mem::take(&mut events.findings),
            Walker::Refused => Vec::new(),
        }
    }

    fn note(&mut self, result: Result<(), MaskError>) -> Result<(), MaskError> {
        self.failed = result.err();
        result
    }

    fn check_charset(&mut self, input: &[u8]) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let missing = 4usize.saturating_sub(self.head.len()).min(input.len());
        if missing == 0 {
            return Ok(());
        }
        self.head.extend_from_slice(input.get(..missing).unwrap_or_default());
        let mark = matches!(self.head.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff]);
        let binary = matches!(self.format, BodyFormat::Text | BodyFormat::AwsEventStream);
        let wide = !binary && self.head.contains(&0);
        self.note(if mark || wide { Err(MaskError::Charset) } else { Ok(()) })
    }
}

fn deep(strand: &Strand) -> Result<(), MaskError> {
    if strand.is_too_deep() { Err(MaskError::TooDeep) } else { Ok(()) }
}
