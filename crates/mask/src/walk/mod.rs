//! Walkers: masking inside JSON, event streams, forms, markup, multipart bodies and messages without touching what no rule
//! matches.
//!
//! **Promise.** What no rule matches stays byte for byte: bodies are spliced, never re-serialised. For every way of
//! cutting the input into chunks the output is the same, and it is valid in its format where the input was. JSON strings
//! are matched by what they mean, streamed text per logical channel across events (`events`). Memory is bounded by named
//! maxima: [`crate::HOLD_BYTES_MAX`] per text, [`NESTING_MAX`], [`LOGPROBS_BYTES_MAX`], [`CHANNELS_MAX`],
//! [`LINE_BYTES_MAX`], [`FINDINGS_MAX`], [`PART_HEAD_BYTES_MAX`], [`MULTIPART_NESTING_MAX`], [`MESSAGE_BYTES_MAX`], and those of `keyward_wire`.
//!
//! Exceptions, all *fail closed*: a charset that ASCII cannot be read in, a UTF-16 or UTF-32 body under any name, an
//! event or a nesting beyond its maximum and too many channels end the body with a [`MaskError`]; what is not the JSON it
//! says it is, is masked as plain text. Where the body does not end but breaks off (an upstream reset), the caller drops
//! the masker instead of calling [`BodyMasker::finish`]: what is held is then never sent.
//!
//! In suggested reading order: `format` (which body is read how), `splice` (raw bytes that wait for a decision), `spelling`
//! (how text is escaped outside of JSON), `strand` (one logical text), `form`, `markup`, `multipart`, `protobuf`, `logprobs`,
//! `paths` (which string is what), `events` (streams of events and lines).

mod events;
mod form;
mod format;
pub mod fuzz;
mod logprobs;
mod markup;
mod multipart;
mod paths;
mod protobuf;
mod spelling;
mod splice;
mod strand;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::sse;

pub use events::{CHANNELS_MAX, LINE_BYTES_MAX, WebSocketMasker};
pub use format::{BOUNDARY_BYTES_MAX, BodyFormat, Boundary, Dialect};
pub use logprobs::LOGPROBS_BYTES_MAX;
pub use markup::Markup;
pub use multipart::{MULTIPART_NESTING_MAX, PART_HEAD_BYTES_MAX};
pub use protobuf::{MESSAGE_BYTES_MAX, MESSAGE_NESTING_MAX, mask_message};
pub use splice::FINDINGS_MAX;
pub use strand::NESTING_MAX;

use crate::profile::Profile;
use events::{AwsEvents, Events, Lines};
use form::Form;
use multipart::Multipart;
use protobuf::Message;
use spelling::{Spelling, Unspell};
use strand::{Start, Strand};

/// Why a body cannot be masked; nothing more of it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// UTF-16, UTF-32, or a declared charset in which ASCII bytes do not mean ASCII; a part in an encoding or with a
    /// type that leaves open how it is read.
    #[error("the body is in a charset or an encoding that is not read")]
    Charset,
    /// An event or a message beyond the maximum of its framing.
    #[error("an event of the stream is too long")]
    FrameTooLong,
    /// JSON nested beyond [`keyward_wire::json::DEPTH_MAX`], or parts beyond [`MULTIPART_NESTING_MAX`].
    #[error("the body nests too deep")]
    TooDeep,
    /// A message in a binary framing that is malformed, cut off, compressed, or whose checksum is wrong.
    #[error("a message of the stream cannot be read")]
    Malformed,
    /// More than [`CHANNELS_MAX`] texts streamed at once.
    #[error("the stream has too many channels")]
    TooManyChannels,
    /// Headers of a part beyond [`PART_HEAD_BYTES_MAX`].
    #[error("the headers of a part are too long")]
    HeadTooLong,
    /// A message beyond [`MESSAGE_BYTES_MAX`].
    #[error("the message is too long")]
    MessageTooLong,
}

impl From<sse::FrameTooLong> for MaskError {
    fn from(_: sse::FrameTooLong) -> Self {
        Self::FrameTooLong
    }
}

enum Walker {
    Text(Box<Strand>),
    Lines(Box<Lines>),
    Events(Box<Events>),
    Aws(Box<AwsEvents>),
    Form(Box<Form>),
    Markup(Box<markup::Walker>),
    Escaped(Box<Strand>, Unspell),
    Multipart(Box<Multipart>),
    Message(Message),
    Refused,
}

/// Looks for known values in a body as it stands, before it is read by what it means: where a writer does not spell as
/// its format wants (a `+` in a form that means itself), in names, in whatever a reader may see that is not text.
struct Literal {
    strand: Strand,
    passed: Vec<u8>,
}

impl Literal {
    fn new(profile: &Arc<Profile>, spelling: Spelling) -> Self {
        let mut strand = Strand::new(profile, 0, Start::Text);
        strand.spell(spelling);
        strand.begin_exempt(0);
        Self { strand, passed: Vec::new() }
    }
}

/// How many bytes tell a charset.
const HEAD_BYTES: usize = 4;

/// Masks one body while it streams.
pub struct BodyMasker {
    literal: Option<Literal>,
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
        Self::part(profile, format, &[], 0)
    }

    /// A masker for the body of a part that `key` names, inside of `nesting` multipart bodies.
    fn part(profile: Arc<Profile>, format: BodyFormat, key: &[u8], nesting: usize) -> Self {
        let text = |start: Start| {
            let mut strand = Strand::new(&profile, 0, start);
            strand.begin(0, key);
            Box::new(strand)
        };
        if let Some(field) = profile.form_field(key).filter(|_| nesting > 0) {
            let mut strand = Strand::new(&profile, 0, Start::Text);
            strand.begin_field(0, field);
            let (walker, format) = (Walker::Text(Box::new(strand)), BodyFormat::Text);
            return Self { literal: None, walker, format, head: Vec::new(), position: 0, failed: None };
        }
        let literal = match format {
            BodyFormat::Form => Some(Literal::new(&profile, Spelling::Form)),
            BodyFormat::Markup(_) => Some(Literal::new(&profile, Spelling::Markup)),
            BodyFormat::Escaped => Some(Literal::new(&profile, Spelling::Backslash)),
            _ => None,
        };
        let walker = match format {
            BodyFormat::Text => Walker::Text(text(Start::Text)),
            BodyFormat::Either => Walker::Text(text(Start::Either)),
            BodyFormat::Json => Walker::Text(text(Start::Json)),
            BodyFormat::Ndjson => Walker::Lines(Box::new(Lines::new(profile))),
            BodyFormat::EventStream(dialect) => Walker::Events(Box::new(Events::new(profile, dialect))),
            BodyFormat::AwsEventStream => Walker::Aws(Box::new(AwsEvents::new(profile))),
            BodyFormat::Form => Walker::Form(Box::new(Form::new(&profile))),
            BodyFormat::Markup(kind) => Walker::Markup(Box::new(markup::Walker::new(&profile, kind))),
            BodyFormat::Escaped => Walker::Escaped(text(Start::Text), Unspell::new(Spelling::Backslash)),
            BodyFormat::Multipart(boundary) => {
                Walker::Multipart(Box::new(Multipart::new(&profile, boundary, nesting)))
            }
            BodyFormat::Protobuf => Walker::Message(Message::new(&profile)),
            BodyFormat::Unreadable => Walker::Refused,
        };
        Self { literal, walker, format, head: Vec::new(), position: 0, failed: None }
    }

    /// Looks for known values only, in bytes that may be no text. Only before the first of them.
    fn known_only(&mut self) {
        self.head.resize(HEAD_BYTES, 0);
        if let Walker::Text(strand) = &mut self.walker {
            strand.begin_exempt(0);
        }
    }

    /// Takes the next bytes and appends to `out` what may leave.
    ///
    /// # Errors
    /// When the body cannot be masked; every later call fails alike, and `out` has only what may leave.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.check_charset(input)?;
        let result = match &mut self.literal {
            None => self.walker.push(input, out),
            Some(Literal { strand, passed }) => {
                passed.clear();
                strand.piece(input, input, passed);
                self.walker.push(passed, out)
            }
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
        let rest = self.literal.as_mut().map_or(Ok(()), |Literal { strand, passed }| {
            passed.clear();
            strand.end(passed);
            self.walker.push(passed, out)
        });
        let result = rest.and_then(|()| self.walker.finish(self.position, out));
        self.note(result)
    }

    /// What was found since the last call; at most [`FINDINGS_MAX`].
    ///
    /// Offsets count bytes: of the body for text; in JSON and event data, up to the string's content bytes of the body,
    /// and from there bytes of its meaning, so also in forms, markup and escaped text, where what stands for a known
    /// value that was found as it stands counts instead of the value; in a channel, bytes of the channel's text.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        let mut found = match &mut self.walker {
            Walker::Text(strand) | Walker::Escaped(strand, _) => std::mem::take(&mut strand.findings),
            Walker::Lines(lines) => std::mem::take(&mut lines.findings),
            Walker::Events(events) => std::mem::take(&mut events.findings),
            Walker::Aws(events) => std::mem::take(&mut events.findings),
            Walker::Form(form) => std::mem::take(&mut form.strand.findings),
            Walker::Markup(walker) => std::mem::take(&mut walker.strand.findings),
            Walker::Multipart(multipart) => multipart.take_findings(),
            Walker::Message(message) => std::mem::take(&mut message.findings),
            Walker::Refused => Vec::new(),
        };
        if let Some(literal) = &mut self.literal {
            found.append(&mut literal.strand.findings);
        }
        found
    }

    fn note(&mut self, result: Result<(), MaskError>) -> Result<(), MaskError> {
        self.failed = result.err();
        result
    }

    /// Whether a body of this format may hold bytes that are no text.
    const fn may_begin_with_zeros(&self) -> bool {
        matches!(
            self.format,
            BodyFormat::Text
                | BodyFormat::Either
                | BodyFormat::AwsEventStream
                | BodyFormat::Multipart(_)
                | BodyFormat::Protobuf
        )
    }

    fn check_charset(&mut self, input: &[u8]) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(input.len());
        if missing == 0 {
            return Ok(());
        }
        self.head.extend_from_slice(input.get(..missing).unwrap_or_default());
        let mark = matches!(self.head.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff]);
        let wide = self.head.contains(&0) && !self.may_begin_with_zeros();
        self.note(if mark || wide { Err(MaskError::Charset) } else { Ok(()) })
    }
}

impl Walker {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Text(strand) => {
                strand.piece(input, input, out);
                strand.sound()
            }
            Self::Lines(lines) => lines.push(input, out),
            Self::Events(events) => events.push(input, out),
            Self::Aws(events) => events.push(input, out),
            Self::Form(form) => form.push(input, out),
            Self::Markup(walker) => walker.push(input, out),
            Self::Escaped(strand, unspell) => {
                unspell.feed(input, &mut |meaning, raw| strand.part(meaning, raw, out));
                strand.catch_up(out);
                strand.sound()
            }
            Self::Multipart(multipart) => multipart.push(input, out),
            Self::Message(message) => message.push(input),
            Self::Refused => Err(MaskError::Charset),
        }
    }

    fn finish(&mut self, position: u64, out: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Lines(lines) => lines.finish(out),
            Self::Text(strand) => {
                strand.end(out);
                strand.begin(position, &[]);
                strand.sound()
            }
            Self::Events(events) => events.finish(out),
            Self::Aws(events) => events.finish(out),
            Self::Form(form) => form.finish(out),
            Self::Markup(walker) => walker.finish(out),
            Self::Escaped(strand, unspell) => {
                unspell.finish(&mut |meaning, raw| strand.part(meaning, raw, out));
                strand.end(out);
                strand.sound()
            }
            Self::Multipart(multipart) => multipart.finish(out),
            Self::Message(message) => message.finish(out),
            Self::Refused => Err(MaskError::Charset),
        }
    }
}
