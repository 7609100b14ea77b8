//! WebSocket messages around documents: what a server sends to a client.
//!
//! A message that is JSON, in a text or a binary frame, is a document (OpenAI's realtime events use the channels of
//! Responses; Gemini's live ones have their own). Other text goes on from message to message, until the close frame. A
//! binary message that is not JSON is a text of its own, so that its bytes stay in it. Control frames pass at once, the
//! reason of a close frame is masked. A message in which nothing changed goes out in the frames it came in; any other
//! in one frame.
//!
//! Exceptions, all *fail closed*: what `keyward_wire::websocket` refuses, compressed messages among it.

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::websocket::{Item, Kind, Messages, Side, WebSocketError, write_close, write_message};

use super::super::MaskError;
use super::channel::Ends;
use super::documents::{Documents, Name};
use crate::profile::Profile;

/// The name of documents that came in binary frames.
const BINARY: &[u8] = b"binary";

impl From<WebSocketError> for MaskError {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::TooLong => Self::FrameTooLong,
            WebSocketError::Protocol | WebSocketError::Extension | WebSocketError::Text => Self::Malformed,
        }
    }
}

/// Masks what a server sends over a WebSocket, from behind the handshake on.
pub struct WebSocketMasker {
    messages: Messages,
    documents: Documents,
    /// Bytes of payload so far, for findings.
    position: u64,
    findings: Vec<Finding>,
    failed: Option<MaskError>,
}

impl std::fmt::Debug for WebSocketMasker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketMasker").finish_non_exhaustive()
    }
}

impl WebSocketMasker {
    /// A masker behind the handshake.
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            messages: Messages::new(Side::Server),
            documents: Documents::new(profile),
            position: 0,
            findings: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next bytes and appends to `out` what may leave: whole frames.
    ///
    /// # Errors
    /// When the stream cannot be masked; every later call fails alike, and `out` has only what may leave.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        let Self { messages, documents, position, findings, .. } = self;
        let mut step = || -> Result<(), MaskError> {
            while let Some(item) = messages.next(&mut input)? {
                match item {
                    Item::Control { raw, .. } => out.extend_from_slice(raw),
                    Item::Close { raw, payload } => close(documents, *position, raw, payload, out),
                    Item::Message { kind, payload, raw } => {
                        message(documents, *position, kind, payload, raw, out)?;
                        *position += payload.len() as u64;
                    }
                }
                documents.collect(findings);
            }
            Ok(())
        };
        let result = step();
        self.failed = result.err();
        result
    }

    /// The end of the connection. A message that was cut off cannot be judged: what came of it does not leave.
    ///
    /// # Errors
    /// As [`WebSocketMasker::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.failed.map_or(Ok(()), Err)?;
        self.documents.begin(self.position);
        self.documents.close(Ends::All, &[], Name::default());
        write_rests(&self.documents, out);
        self.documents.collect(&mut self.findings);
        if self.messages.is_idle() {
            return Ok(());
        }
        self.failed = Some(MaskError::Malformed);
        Err(MaskError::Malformed)
    }

    /// What was found since the last call; offsets as [`super::super::BodyMasker::take_findings`] says, of the payloads
    /// joined.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }
}

fn message(
    documents: &mut Documents,
    position: u64,
    kind: Kind,
    payload: &[u8],
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), MaskError> {
    documents.begin(position);
    match kind {
        Kind::Text => documents.document(payload, Name::default())?,
        Kind::Binary => {
            let name = Name { text: BINARY, masked: false };
            if !documents.json_document(payload, name)? {
                documents.text(payload);
            }
        }
    }
    write_rests(documents, out);
    if documents.edits.is_empty() {
        out.extend_from_slice(raw);
    } else {
        let mut masked = Vec::with_capacity(payload.len());
        documents.edits.write(payload, &mut masked);
        write_message(kind, &masked, out);
    }
    Ok(())
}

/// Texts end with the connection: their rests go before the close frame.
fn close(documents: &mut Documents, position: u64, raw: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    documents.begin(position);
    documents.close(Ends::All, &[], Name::default());
    write_rests(documents, out);
    let (code, reason) = payload.split_at_checked(2).unwrap_or((payload, &[]));
    match documents.beside(position, reason) {
        Some(masked) => write_close(&[code, masked].concat(), out),
        None => out.extend_from_slice(raw),
    }
}

fn write_rests(documents: &Documents, out: &mut Vec<u8>) {
    for rest in &documents.rests {
        write_message(if rest.name == BINARY { Kind::Binary } else { Kind::Text }, &rest.data, out);
    }
}
