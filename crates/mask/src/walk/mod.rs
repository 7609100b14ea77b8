//! Walkers: masking inside JSON, event streams, forms, markup, multipart bodies and messages without touching what no rule
//! matches.
//!
//! **Promise.** What no rule matches stays byte for byte: bodies are spliced, never re-serialised. For every way of
//! cutting the input into chunks the output is the same, and it is valid in its format where the input was. JSON strings
//! are matched by what they mean, streamed text per logical channel across events (`events`). Memory is bounded by named
//! maxima: [`crate::HOLD_BYTES_MAX`] per text, [`NESTING_MAX`], [`LOGPROBS_BYTES_MAX`], [`CHANNELS_MAX`],
//! [`LINE_BYTES_MAX`], [`ELEMENT_BYTES_MAX`], [`FINDINGS_MAX`], [`PART_HEAD_BYTES_MAX`], [`MULTIPART_NESTING_MAX`], [`MESSAGE_BYTES_MAX`], and those of `keyward_wire`.
//!
//! Exceptions, all *fail closed*: a charset that ASCII cannot be read in (UTF-16 and UTF-32 are, see `charset`), an
//! event or a nesting beyond its maximum, a message that cannot be read and too many channels end the body with a [`MaskError`]; what is not the JSON it
//! says it is, is masked as plain text. Where the body does not end but breaks off (an upstream reset), the caller drops
//! the masker instead of calling [`BodyMasker::finish`]: what is held is then never sent.
//!
//! In suggested reading order: `format` (which body is read how), `splice` (raw bytes that wait for a decision), `spelling`
//! (how text is escaped outside of JSON), `strand` (one logical text), `form`, `markup`, `multipart`, `protobuf`, `logprobs`,
//! `paths` (which string is what), `events` (streams of events and lines), `charset` (bodies that are not UTF-8).

mod charset;
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

pub use events::{CHANNELS_MAX, ELEMENT_BYTES_MAX, LINE_BYTES_MAX, WebSocketMasker};
pub use format::{BOUNDARY_BYTES_MAX, BodyFormat, Boundary, Dialect};
pub use logprobs::LOGPROBS_BYTES_MAX;
pub use markup::Markup;
pub use multipart::{MULTIPART_NESTING_MAX, PART_HEAD_BYTES_MAX};
pub use protobuf::{MESSAGE_BYTES_MAX, MESSAGE_NESTING_MAX, mask_message};
pub use splice::FINDINGS_MAX;
pub use strand::NESTING_MAX;

use crate::profile::Profile;
use charset::{Care, WideBody};
use events::{AwsEvents, Events, JsonBody, Lines};
use form::Form;
use multipart::Multipart;
use protobuf::Message;
use spelling::{Spelling, Unspell};
use strand::{Start, Strand};

/// Why a body cannot be masked; nothing more of it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A declared charset that is not read, or first bytes that fit neither the format nor any charset; a part in an encoding or with a
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
    Json(Box<JsonBody>),
    Lines(Box<Lines>),
    Events(Box<Events>),
    Aws(Box<AwsEvents>),
    Form(Box<Form>),
    Markup(Box<markup::Walker>),
    Escaped(Box<Strand>, Unspell),
    Multipart(Box<Multipart>),
    Message(Message),
    Wide(Box<WideBody>),
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

/// What a body goes through.
struct Reader {
    literal: Option<Literal>,
    walker: Walker,
}

impl Reader {
    const fn of(walker: Walker) -> Self {
        Self { literal: None, walker }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        match &mut self.literal {
            None => self.walker.push(input, out),
            Some(Literal { strand, passed }) => {
                passed.clear();
                strand.piece(input, input, passed);
                self.walker.push(passed, out)
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let Some(Literal { strand, passed }) = &mut self.literal {
            passed.clear();
            strand.end(passed);
            self.walker.push(passed, out)?;
        }
        self.walker.finish(out)
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        let mut found = self.walker.take_findings();
        if let Some(literal) = &mut self.literal {
            found.append(&mut literal.strand.findings);
        }
        found
    }
}

/// Masks one body while it streams.
pub struct BodyMasker {
    reader: Reader,
    profile: Arc<Profile>,
    format: BodyFormat,
    /// The first bytes, to know a charset by; none once it is known.
    head: Option<Vec<u8>>,
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
            let reader = Reader::of(Walker::Text(Box::new(strand)));
            return Self { reader, profile, format: BodyFormat::Text, head: None, failed: None };
        }
        let literal = match format {
            BodyFormat::Form => Some(Literal::new(&profile, Spelling::Form)),
            BodyFormat::Markup(_) => Some(Literal::new(&profile, Spelling::Markup)),
            BodyFormat::Escaped => Some(Literal::new(&profile, Spelling::Backslash)),
            _ => None,
        };
        let walker = match format {
            BodyFormat::Text => Walker::Text(text(Start::Text)),
            BodyFormat::Either | BodyFormat::WideText => Walker::Text(text(Start::Either)),
            BodyFormat::Json if nesting > 0 => Walker::Text(text(Start::Json)),
            BodyFormat::Json => Walker::Json(Box::new(JsonBody::new(Arc::clone(&profile)))),
            BodyFormat::Ndjson => Walker::Lines(Box::new(Lines::new(Arc::clone(&profile)))),
            BodyFormat::EventStream(dialect) => {
                Walker::Events(Box::new(Events::new(Arc::clone(&profile), dialect)))
            }
            BodyFormat::AwsEventStream => Walker::Aws(Box::new(AwsEvents::new(Arc::clone(&profile)))),
            BodyFormat::Form => Walker::Form(Box::new(Form::new(&profile))),
            BodyFormat::Markup(kind) => Walker::Markup(Box::new(markup::Walker::new(&profile, kind))),
            BodyFormat::Escaped => Walker::Escaped(text(Start::Text), Unspell::new(Spelling::Backslash)),
            BodyFormat::Multipart(boundary) => {
                Walker::Multipart(Box::new(Multipart::new(&profile, boundary, nesting)))
            }
            BodyFormat::Protobuf => Walker::Message(Message::new(&profile)),
            BodyFormat::Unreadable => Walker::Refused,
        };
        let head = care(format).map(|_| Vec::new());
        Self { reader: Reader { literal, walker }, profile, format, head, failed: None }
    }

    /// Looks for known values only, in bytes that may be no text. Only before the first of them.
    fn known_only(&mut self) {
        self.head = None;
        if let Walker::Text(strand) = &mut self.reader.walker {
            strand.begin_exempt(0);
        }
    }

    /// Takes the next bytes and appends to `out` what may leave. The first bytes of a body wait until
    /// its charset is known.
    ///
    /// # Errors
    /// When the body cannot be masked; every later call fails alike, and `out` has only what may leave.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let result = self.push_unchecked(input, out);
        self.failed = result.err();
        result
    }

    fn push_unchecked(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let Some(head) = &mut self.head {
            let missing = (charset::HEAD_BYTES - head.len()).min(input.len());
            let (part, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
            head.extend_from_slice(part);
            input = rest;
            if head.len() < charset::HEAD_BYTES {
                return Ok(());
            }
            self.begin(out)?;
        }
        self.reader.push(input, out)
    }

    /// The first bytes are there: the charset is known by them.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let Some((head, care)) = self.head.take().zip(care(self.format)) else { return Ok(()) };
        if let Some(wide) = charset::sniff(&head, care)? {
            let inner = std::mem::replace(&mut self.reader, Reader::of(Walker::Refused));
            let body = WideBody::new(wide, inner, &self.profile);
            self.reader = Reader::of(Walker::Wide(Box::new(body)));
        }
        self.reader.push(&head, out)
    }

    /// The end of the body: appends what was held, masked.
    ///
    /// # Errors
    /// As [`BodyMasker::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let result = self.begin(out).and_then(|()| self.reader.finish(out));
        self.failed = result.err();
        result
    }

    /// What was found since the last call; at most [`FINDINGS_MAX`].
    ///
    /// Offsets count bytes: of the body for text; in JSON and event data, up to the string's content bytes of the body,
    /// and from there bytes of its meaning, so also in forms, markup and escaped text, where what stands for a known
    /// value that was found as it stands counts instead of the value; in a channel, bytes of the channel's text. In UTF-16
    /// and UTF-32, bytes of the body as UTF-8.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.reader.take_findings()
    }
}

/// How the first bytes of a format tell its charset; none where it is binary.
const fn care(format: BodyFormat) -> Option<Care> {
    match format {
        BodyFormat::Text | BodyFormat::Either => Some(Care::Lenient),
        BodyFormat::WideText => Some(Care::Declared),
        BodyFormat::Json
        | BodyFormat::Ndjson
        | BodyFormat::EventStream(_)
        | BodyFormat::Form
        | BodyFormat::Markup(_)
        | BodyFormat::Escaped => Some(Care::Strict),
        BodyFormat::AwsEventStream
        | BodyFormat::Multipart(_)
        | BodyFormat::Protobuf
        | BodyFormat::Unreadable => None,
    }
}

impl Walker {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Text(strand) => {
                strand.piece(input, input, out);
                strand.sound()
            }
            Self::Json(body) => body.push(input, out),
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
            Self::Wide(body) => body.push(input, out),
            Self::Refused => Err(MaskError::Charset),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Text(strand) => {
                strand.end(out);
                strand.sound()
            }
            Self::Json(body) => body.finish(out),
            Self::Lines(lines) => lines.finish(out),
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
            Self::Wide(body) => body.finish(out),
            Self::Refused => Err(MaskError::Charset),
        }
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        match self {
            Self::Text(strand) | Self::Escaped(strand, _) => std::mem::take(&mut strand.findings),
            Self::Json(body) => body.take_findings(),
            Self::Lines(lines) => std::mem::take(&mut lines.findings),
            Self::Events(events) => std::mem::take(&mut events.findings),
            Self::Aws(events) => std::mem::take(&mut events.findings),
            Self::Form(form) => std::mem::take(&mut form.strand.findings),
            Self::Markup(walker) => std::mem::take(&mut walker.strand.findings),
            Self::Multipart(multipart) => multipart.take_findings(),
            Self::Message(message) => std::mem::take(&mut message.findings),
            Self::Wide(body) => body.take_findings(),
            Self::Refused => Vec::new(),
        }
    }
}
