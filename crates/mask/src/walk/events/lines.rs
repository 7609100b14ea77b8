//! Lines that are JSON documents (NDJSON, JSON lines, RFC 7464 sequences) around documents.
//!
//! A line that is JSON is masked as an event's data is: pieces of text that the shapes of `paths` name go on from line to
//! line, every other string is a text of its own. So records that have nothing to do with each other do not touch each
//! other. A line that is no JSON, or longer than [`LINE_BYTES_MAX`], is masked by itself; the latter ends the body when
//! texts are being streamed (*fails closed*), because it may be a piece of one.

use std::sync::Arc;

use keyward_core::Finding;
use memchr::memchr;

use super::super::MaskError;
use super::super::splice::FINDINGS_MAX;
use super::super::strand::{Start, Strand};
use super::channel::Ends;
use super::documents::{Documents, Name};
use crate::profile::Profile;

/// The longest line that may be a piece of a streamed text, in bytes; a longer one is a document of its own.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is kept of the buffer's memory after a long line, in bytes.
const BUFFER_KEEP_MAX: usize = 64 * 1024;

/// Masks a stream of lines.
pub(in super::super) struct Lines {
    documents: Documents,
    /// Lines of their own.
    single: Strand,
    held: Vec<u8>,
    /// The current line goes through `single`.
    long: bool,
    crlf: bool,
    /// The line's offset in the body.
    position: u64,
    pub(in super::super) findings: Vec<Finding>,
}

impl Lines {
    pub(in super::super) fn new(profile: Arc<Profile>) -> Self {
        Self {
            single: Strand::new(&profile, 0, Start::Json),
            documents: Documents::new(profile),
            held: Vec::new(),
            long: false,
            crlf: false,
            position: 0,
            findings: Vec::new(),
        }
    }

    pub(in super::super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        while !input.is_empty() {
            let end = memchr(b'\n', input);
            let (part, rest) = input.split_at_checked(end.unwrap_or(input.len())).unwrap_or((input, &[]));
            self.part(part, end.is_some(), out)?;
            input = rest.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if self.long {
            self.single.end(out);
            self.long = false;
            self.single.sound()?;
            self.documents.begin(self.position);
            self.documents.close(Ends::All, &[], Name::default());
            for rest in &self.documents.rests {
                out.push(b'\n');
                out.extend_from_slice(&rest.data);
            }
        } else {
            let line = std::mem::take(&mut self.held);
            self.line(&line, true, out)?;
        }
        self.collect();
        Ok(())
    }

    /// A part of a line, and whether it ends the line.
    fn part(&mut self, part: &[u8], ended: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let over = self.held.len() + part.len() > LINE_BYTES_MAX;
        if over && !self.long {
            if self.documents.is_streaming() {
                return Err(MaskError::FrameTooLong);
            }
            self.long = true;
            self.single.begin(self.position, &[]);
            let held = std::mem::take(&mut self.held);
            self.single.piece(&held, &held, out);
        }
        if self.long {
            self.single.piece(part, part, out);
            self.position += part.len() as u64;
            self.single.sound()?;
            if ended {
                self.single.end(out);
                self.long = false;
            }
        } else if !ended {
            self.held.extend_from_slice(part);
            return Ok(());
        } else if self.held.is_empty() {
            self.line(part, false, out)?;
        } else {
            self.held.extend_from_slice(part);
            let mut line = std::mem::take(&mut self.held);
            self.line(&line, false, out)?;
            line.clear();
            line.shrink_to(BUFFER_KEEP_MAX);
            self.held = line;
        }
        if ended {
            out.push(b'\n');
            self.position += 1;
        }
        self.collect();
        Ok(())
    }

    /// A whole line, without its end.
    fn line(&mut self, line: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let documents = &mut self.documents;
        let data = record(line);
        let before = line.len() - data.len();
        documents.begin(self.position + before as u64);
        self.crlf = if line.is_empty() { self.crlf } else { line.ends_with(b"\r") };
        let name = Name::default();
        let mut single = false;
        if last || documents.repeat(data, Some(name))?.is_none() {
            let ends = documents.json(data, name)?;
            single = ends.is_none() && !data.is_empty();
            documents.close(if last { Ends::All } else { ends.unwrap_or(Ends::None) }, data, name);
            documents.remember(data, 0..data.len(), name.text);
        }
        for rest in &documents.rests {
            out.extend_from_slice(&rest.data);
            out.extend_from_slice(if self.crlf { b"\r\n" } else { b"\n" });
        }
        if single {
            self.single.begin(self.position, &[]);
            self.single.piece(line, line, out);
            self.single.end(out);
            self.single.sound()?;
        } else {
            out.extend_from_slice(line.get(..before).unwrap_or_default());
            documents.edits.write(data, out);
        }
        self.position += line.len() as u64;
        Ok(())
    }

    fn collect(&mut self) {
        self.documents.collect(&mut self.findings);
        self.findings.append(&mut self.single.findings);
        self.findings.truncate(FINDINGS_MAX);
    }
}

/// A line without what may stand before its document: a byte order mark, or the separator of RFC 7464.
fn record(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.strip_prefix(b"\x1e").unwrap_or(line)
}
