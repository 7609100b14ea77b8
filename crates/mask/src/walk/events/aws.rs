//! AWS event stream messages around documents: Bedrock's `InvokeModelWithResponseStream` and `ConverseStream`.
//!
//! A payload is a document under the name that the header `:event-type` gives. Where the event is a `chunk`, its payload
//! has the document in `bytes`, as base64: that is decoded, masked as a document of its own, and encoded again. Text
//! headers are masked too. A message in which nothing changed goes out as it came; of any other, lengths and checksums
//! are made anew. A payload that is no JSON goes on from message to message of the same name.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use keyward_core::Finding;
use keyward_wire::aws_event::{
    self, AwsEventError, Framer, Header, Message, write_message, write_string_header,
};
use keyward_wire::json::{Scanner, StringRole, Token, pieces};

use super::super::MaskError;
use super::channel::Ends;
use super::documents::{Documents, Name, RestOfText};
use crate::profile::Profile;

/// As decoders do it that do not mind how the end is written.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl From<AwsEventError> for MaskError {
    fn from(error: AwsEventError) -> Self {
        match error {
            AwsEventError::TooLong => Self::FrameTooLong,
            AwsEventError::Malformed | AwsEventError::Checksum => Self::Malformed,
        }
    }
}

/// Masks an AWS event stream.
pub(in super::super) struct AwsEvents {
    framer: Framer,
    messages: AwsMessages,
    pub(in super::super) findings: Vec<Finding>,
}

/// All but the framing.
struct AwsMessages {
    payloads: Documents,
    /// What stands in `bytes`.
    chunks: Documents,
    headers: Vec<u8>,
    payload: Vec<u8>,
    decoded: Vec<u8>,
    position: u64,
}

impl AwsEvents {
    pub(in super::super) fn new(profile: Arc<Profile>) -> Self {
        let messages = AwsMessages {
            payloads: Documents::new(Arc::clone(&profile)),
            chunks: Documents::new(profile),
            headers: Vec::new(),
            payload: Vec::new(),
            decoded: Vec::new(),
            position: 0,
        };
        Self { framer: Framer::new(), messages, findings: Vec::new() }
    }

    pub(in super::super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        while let Some(message) = self.framer.next(&mut input)? {
            self.messages.message(message, out)?;
            self.messages.payloads.collect(&mut self.findings);
            self.messages.chunks.collect(&mut self.findings);
        }
        Ok(())
    }

    /// The end. A message that was cut off cannot be judged: what came of it does not leave.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let messages = &mut self.messages;
        for documents in [&mut messages.payloads, &mut messages.chunks] {
            documents.begin(messages.position);
            documents.close(Ends::All, &[], Name::default());
        }
        messages.write_rests(out)?;
        messages.payloads.collect(&mut self.findings);
        messages.chunks.collect(&mut self.findings);
        if self.framer.rest().is_empty() { Ok(()) } else { Err(MaskError::Malformed) }
    }
}

impl AwsMessages {
    fn message(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let message = Message::read(raw)?;
        self.payloads.begin(self.position);
        self.chunks.begin(self.position + message.payload.start as u64);
        let headers = self.headers(raw, &message.headers)?;
        let named = |header: &&Header| {
            matches!(raw.get(header.name.clone()), Some(b":event-type" | b":exception-type"))
        };
        let kind = message.headers.iter().find(named).and_then(|header| raw.get(header.value.clone()));
        let name = Name { text: kind.unwrap_or_default(), masked: headers };
        let data = raw.get(message.payload.clone()).unwrap_or_default();
        let payload = self.data(data, name)?;
        self.write_rests(out)?;
        if headers || payload {
            let own = message.headers.last().map_or(0, |header| header.value.end);
            let own = raw.get(message.headers.first().map_or(0, |header| header.name.start - 1)..own);
            let headers = if headers { &self.headers } else { own.unwrap_or_default() };
            write_message(headers, if payload { &self.payload } else { data }, out)?;
        } else {
            out.extend_from_slice(raw);
        }
        self.position += raw.len() as u64;
        Ok(())
    }

    /// Masks the headers into `self.headers`; whether anything changed.
    fn headers(&mut self, raw: &[u8], headers: &[Header]) -> Result<bool, MaskError> {
        self.headers.clear();
        let mut changed = false;
        for header in headers {
            let value = raw.get(header.value.clone()).unwrap_or_default();
            let offset = self.position + header.value.start as u64;
            let masked =
                if header.kind == aws_event::STRING { self.payloads.beside(offset, value) } else { None };
            if let Some(value) = masked {
                changed = true;
                let name = raw.get(header.name.clone()).unwrap_or_default();
                write_string_header(name, value, &mut self.headers)?;
            } else {
                let whole = header.name.start - 1..header.value.end;
                self.headers.extend_from_slice(raw.get(whole).unwrap_or_default());
            }
        }
        Ok(changed)
    }

    /// Masks a payload into `self.payload`; whether anything changed.
    fn data(&mut self, data: &[u8], name: Name<'_>) -> Result<bool, MaskError> {
        self.payload.clear();
        let bytes = if name.text == b"chunk" { member(data)? } else { None };
        let Some(bytes) = bytes else {
            self.payloads.document(data, name)?;
            self.payloads.edits.write(data, &mut self.payload);
            return Ok(!self.payloads.edits.is_empty());
        };
        let mut text = Vec::with_capacity(bytes.len());
        pieces(data.get(bytes.clone()).unwrap_or_default(), |meaning, _| text.extend_from_slice(meaning));
        self.decoded.clear();
        LENIENT.decode_vec(&text, &mut self.decoded).map_err(|_| MaskError::Malformed)?;
        self.chunks.document(&self.decoded, Name::default())?;
        // The rest of the payload is looked at without it.
        let (before, after) = (data.get(..bytes.start), data.get(bytes.end..));
        let around = [before.unwrap_or_default(), after.unwrap_or_default()].concat();
        self.payloads.document(&around, name)?;
        if self.chunks.edits.is_empty() && self.payloads.edits.is_empty() {
            return Ok(false);
        }
        let mut masked = Vec::with_capacity(self.decoded.len());
        self.chunks.edits.write(&self.decoded, &mut masked);
        self.payloads.edits.write_range(&around, 0..bytes.start, &mut self.payload);
        self.payload.extend_from_slice(STANDARD.encode(&masked).as_bytes());
        self.payloads.edits.write_range(&around, bytes.start..around.len(), &mut self.payload);
        Ok(true)
    }

    fn write_rests(&self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        for rest in &self.payloads.rests {
            let kind = if rest.plain { "application/octet-stream" } else { "application/json" };
            write_rest(&rest.name, kind, &rest.data, out)?;
        }
        for RestOfText { data, .. } in &self.chunks.rests {
            let payload = format!("{{\"bytes\":\"{}\"}}", STANDARD.encode(data));
            write_rest(b"chunk", "application/json", payload.as_bytes(), out)?;
        }
        Ok(())
    }
}

fn write_rest(name: &[u8], kind: &str, payload: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
    let mut headers = Vec::new();
    write_string_header(b":event-type", name, &mut headers)?;
    write_string_header(b":content-type", kind.as_bytes(), &mut headers)?;
    write_string_header(b":message-type", b"event", &mut headers)?;
    Ok(write_message(&headers, payload, out)?)
}

/// The content of the text member `bytes` at the root of a JSON payload; none where there is no such member. Two of
/// them are read differently by different readers, and are refused.
fn member(data: &[u8]) -> Result<Option<Range<usize>>, MaskError> {
    let mut scanner = Scanner::new();
    let (mut at, mut start, mut found) = (0, 0, None);
    loop {
        let step = scanner.step(data.get(at..).unwrap_or_default());
        let from = at;
        at += step.used;
        match step.token {
            Token::More if at == data.len() => return Ok(found),
            Token::Invalid => return Ok(None),
            Token::TooDeep => return Err(MaskError::TooDeep),
            Token::Begin(_) => start = at,
            Token::End(StringRole::Value) => {
                let path = scanner.path();
                if path.depth() == 1 && path.key(0) == Some(b"bytes") && found.replace(start..from).is_some()
                {
                    return Err(MaskError::Malformed);
                }
            }
            _ => {}
        }
    }
}
