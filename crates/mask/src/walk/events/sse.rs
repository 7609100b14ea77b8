//! Server-sent events around documents.

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::sse::{self, Framer, Line};
use memchr::memchr2;

use super::super::{Dialect, MaskError};
use super::channel::Ends;
use super::documents::{Documents, Name, RestOfText};
use super::edits::Edits;
use crate::profile::Profile;

/// Masks an event stream.
pub(in super::super) struct Events {
    framer: Framer,
    frames: Frames,
    pub(in super::super) findings: Vec<Finding>,
}

/// All but the framing.
struct Frames {
    dialect: Dialect,
    documents: Documents,
    /// Edits of the frame's other lines.
    line_edits: Edits,
    lines: Vec<Line>,
    joined: Vec<u8>,
    first: bool,
    crlf: bool,
    /// The frame's offset in the body.
    position: u64,
}

impl Events {
    pub(in super::super) fn new(profile: Arc<Profile>, dialect: Dialect) -> Self {
        let frames = Frames {
            dialect,
            documents: Documents::new(profile),
            line_edits: Edits::default(),
            lines: Vec::new(),
            joined: Vec::new(),
            first: true,
            crlf: false,
            position: 0,
        };
        Self { framer: Framer::new(), frames, findings: Vec::new() }
    }

    pub(in super::super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        while let Some(frame) = self.framer.next(&mut input)? {
            self.frames.frame(frame, false, out)?;
            self.frames.documents.collect(&mut self.findings);
        }
        Ok(())
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        // The channels' rests belong before, or into, an event that was cut off.
        let rest = self.framer.rest().to_vec();
        self.framer = Framer::new();
        self.frames.frame(&rest, true, out)?;
        self.frames.documents.collect(&mut self.findings);
        Ok(())
    }
}

impl Frames {
    fn frame(&mut self, frame: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.documents.begin(self.position);
        if !last && let Some(data) = self.documents.repeat(frame, None)? {
            out.extend_from_slice(frame.get(..data.start).unwrap_or_default());
            self.documents.edits.write(frame.get(data.clone()).unwrap_or_default(), out);
            out.extend_from_slice(frame.get(data.end..).unwrap_or_default());
            self.position += frame.len() as u64;
            return Ok(());
        }
        self.line_edits.clear();
        let mut lines = std::mem::take(&mut self.lines);
        let mut joined = std::mem::take(&mut self.joined);
        lines.clear();
        lines.extend(sse::lines(frame, self.first));
        self.first &= frame.is_empty();
        // By the first line: whether the last one's LF is in the frame depends on the chunking.
        if let Some(line) = lines.first().filter(|l| !l.is_blank()) {
            self.crlf = frame.get(line.value.end..line.end) == Some(b"\r\n");
        }
        let is_data = |line: &Line| frame.get(line.name.clone()) == Some(b"data");
        let mut data_lines = lines.iter().filter(|l| is_data(l));
        let one = match (data_lines.next(), data_lines.next()) {
            (one, None) => one.map(|l| l.value.clone()),
            (Some(_), Some(_)) => {
                joined.clear();
                for line in lines.iter().filter(|l| is_data(l)) {
                    joined.extend_from_slice(frame.get(line.value.clone()).unwrap_or_default());
                    joined.push(b'\n');
                }
                joined.pop();
                None
            }
            (None, Some(_)) => None,
        };
        let multiple = one.is_none() && lines.iter().any(&is_data);
        let data = match &one {
            Some(range) => frame.get(range.clone()).unwrap_or_default(),
            None if multiple => &joined,
            None => &[],
        };
        let mut name: &[u8] = &[];
        for line in &lines {
            if is_data(line) || line.is_blank() {
                continue;
            }
            if frame.get(line.name.clone()) == Some(b"event") {
                name = frame.get(line.value.clone()).unwrap_or_default();
            }
            self.line(frame, line);
        }
        let any = one.is_some() || multiple;
        let name = Name { text: name, masked: !self.line_edits.is_empty() };
        let result = self.data(data, any, name, last);
        if result.is_ok() {
            for rest in &self.documents.rests {
                write_event(rest, self.crlf, out);
            }
            self.write(frame, &lines, one.is_some(), data, is_data, out);
            // With a mark before it, a later frame would have no data.
            let marked = frame.starts_with(b"\xef\xbb\xbf");
            if let Some(place) = one.filter(|_| self.line_edits.is_empty() && !marked) {
                self.documents.remember(frame, place, name.text);
            }
        }
        self.position += frame.len() as u64;
        self.lines = lines;
        self.joined = joined;
        result
    }

    /// A comment or a field that is not data: a text of its own.
    fn line(&mut self, frame: &[u8], line: &Line) {
        let known = matches!(frame.get(line.name.clone()), Some(b"" | b"event" | b"id" | b"retry"));
        let range = if known { line.value.clone() } else { line.name.start..line.value.end };
        let text = frame.get(range.clone()).unwrap_or_default();
        if let Some(masked) = self.documents.beside(self.position + range.start as u64, text) {
            // No placeholder may end the line.
            masked.retain(|b| !matches!(b, b'\r' | b'\n'));
            self.line_edits.push(range, masked);
        }
    }

    /// Masks an event's data.
    fn data(&mut self, data: &[u8], any: bool, name: Name<'_>, last: bool) -> Result<(), MaskError> {
        let documents = &mut self.documents;
        let trimmed = data.trim_ascii();
        let json = matches!(trimmed.first(), Some(b'{' | b'['));
        let mut ends = Ends::None;
        if trimmed == b"[DONE]" {
            ends = Ends::All;
        } else if let Some(found) = documents.json(data, name)? {
            ends = found;
        } else if any && !json && self.dialect == Dialect::Generic {
            documents.go_on(data, name)?;
        } else if any {
            documents.text(data);
        }
        documents.close(if last { Ends::All } else { ends }, data, name);
        Ok(())
    }

    /// Writes a frame as edited.
    pub(super) fn write(
        &self,
        frame: &[u8],
        lines: &[Line],
        one: bool,
        data: &[u8],
        is_data: impl Fn(&Line) -> bool,
        out: &mut Vec<u8>,
    ) {
        if self.documents.edits.is_empty() {
            return self.line_edits.write(frame, out);
        }
        let mut text = Vec::with_capacity(data.len() + 64);
        self.documents.edits.write(data, &mut text);
        let mut at = 0;
        let mut written = false;
        for line in lines.iter().filter(|l| is_data(l)) {
            if written {
                self.line_edits.write_range(frame, at..line.name.start, out);
                at = line.end;
                continue;
            }
            self.line_edits.write_range(frame, at..line.value.start, out);
            write_data(&text, self.crlf, out);
            // All data lines are in it; of the others nothing is left.
            written = true;
            at = line.value.end;
            if !one {
                out.extend_from_slice(frame.get(line.value.end..line.end).unwrap_or_default());
                at = line.end;
            }
        }
        self.line_edits.write_range(frame, at..frame.len(), out);
    }
}

/// Writes a value of `data`; a line break in it continues on a further line.
fn write_data(text: &[u8], crlf: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        let (line, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.extend_from_slice(if crlf { b"\r\ndata: " } else { b"\ndata: " });
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Writes an event of its own.
fn write_event(rest: &RestOfText, crlf: bool, out: &mut Vec<u8>) {
    let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    if !rest.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(&rest.name);
        out.extend_from_slice(end);
    }
    out.extend_from_slice(b"data: ");
    write_data(&rest.data, crlf, out);
    out.extend_from_slice(end);
    out.extend_from_slice(end);
}
