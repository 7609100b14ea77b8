//! Multipart bodies (RFC 2046, section 5.1; forms by RFC 7578): each part is a body of its own, in its own format, with
//! the name of its field as context; its headers, what stands before the first part and behind the last are texts.
//!
//! A delimiter is what any reader takes for one: `--` and the boundary at the beginning of a line, whether lines end
//! with CRLF or LF. Exceptions, all *fail closed*: a part in a transfer or content encoding that hides text, or with two
//! types; headers beyond [`PART_HEAD_BYTES_MAX`]; parts nested beyond [`MULTIPART_NESTING_MAX`]. A part in base64 is
//! matched as it stands, so known values are found in it.

use std::sync::Arc;

use keyward_core::Finding;

use super::format::{Boundary, parameters};
use super::splice::note;
use super::strand::{Start, Strand};
use super::{BodyFormat, BodyMasker, Dialect, MaskError};
use crate::profile::Profile;
use crate::text::mask_bytes;

/// The longest headers of one part, in bytes.
pub const PART_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many multipart bodies may lie inside each other, the outermost not counted.
pub const MULTIPART_NESTING_MAX: usize = 3;

enum State {
    /// Before the first part.
    Before,
    /// Behind a delimiter, on its line.
    Line,
    Head,
    Body(Box<BodyMasker>),
    /// Behind the last part.
    After,
}

pub(super) struct Multipart {
    profile: Arc<Profile>,
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    nesting: usize,
    state: State,
    /// What stands between parts.
    between: Strand,
    /// What was read and not understood yet: headers, or what may be a delimiter.
    tail: Vec<u8>,
    /// The tail begins a line.
    at_line: bool,
    position: u64,
    /// Where the present part's body begins.
    part: u64,
    findings: Vec<Finding>,
}

/// What a search for a delimiter saw.
enum Seen {
    /// None in the first so many bytes; the rest may begin one.
    Not(usize),
    /// Content up to the first place, and the delimiter with its line break up to the second.
    Delimiter { from: usize, to: usize, last: bool },
}

impl Multipart {
    pub(super) fn new(profile: &Arc<Profile>, boundary: Boundary, nesting: usize) -> Self {
        Self {
            profile: Arc::clone(profile),
            delimiter: [b"--", boundary.as_bytes()].concat(),
            nesting,
            state: State::Before,
            between: Strand::new(profile, 0, Start::Text),
            tail: Vec::new(),
            at_line: true,
            position: 0,
            part: 0,
            findings: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.tail.extend_from_slice(input);
        while self.step(out)? {}
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let tail = self.take(self.tail.len());
        match &self.state {
            State::Head => self.head(&tail, out),
            _ => self.content(&tail, out)?,
        }
        self.end_content(out)
    }

    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        self.collect();
        let mut all = std::mem::take(&mut self.findings);
        all.append(&mut self.between.findings);
        all
    }

    /// One step; whether another may follow.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, MaskError> {
        match &self.state {
            State::After => {
                let tail = self.take(self.tail.len());
                self.content(&tail, out)?;
                Ok(false)
            }
            State::Line => {
                let end = memchr::memchr(b'\n', &self.tail);
                let rest = self.take(end.unwrap_or(self.tail.len()));
                self.content(&rest, out)?;
                if end.is_some() {
                    self.between.end(out);
                    out.append(&mut self.take(1));
                    self.state = State::Head;
                }
                Ok(end.is_some())
            }
            State::Head => match head_end(&self.tail) {
                Some(end) if end <= PART_HEAD_BYTES_MAX => {
                    let head = self.take(end);
                    self.head(&head, out);
                    self.begin_part(&head)?;
                    Ok(true)
                }
                None if self.tail.len() <= PART_HEAD_BYTES_MAX => Ok(false),
                _ => Err(MaskError::HeadTooLong),
            },
            State::Before | State::Body(_) => self.search(out),
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.tail.split_off(len.min(self.tail.len()));
        let taken = std::mem::replace(&mut self.tail, rest);
        self.position += taken.len() as u64;
        taken
    }

    fn search(&mut self, out: &mut Vec<u8>) -> Result<bool, MaskError> {
        match self.seen() {
            Seen::Not(len) => {
                let content = self.take(len);
                self.at_line &= content.is_empty();
                self.content(&content, out)?;
                Ok(false)
            }
            Seen::Delimiter { from, to, last } => {
                let content = self.take(from);
                self.content(&content, out)?;
                self.end_content(out)?;
                out.append(&mut self.take(to - from));
                self.state = if last { State::After } else { State::Line };
                self.between.begin(self.position, &[]);
                Ok(true)
            }
        }
    }

    fn seen(&self) -> Seen {
        let breaks = memchr::memchr_iter(b'\n', &self.tail).map(|at| {
            let before = at.checked_sub(1).filter(|before| self.tail.get(*before) == Some(&b'\r'));
            (before.unwrap_or(at), at + 1)
        });
        for (from, line) in self.at_line.then_some((0, 0)).into_iter().chain(breaks) {
            let rest = self.tail.get(line..).unwrap_or_default();
            if rest.len() < self.delimiter.len() {
                if self.delimiter.starts_with(rest) {
                    return Seen::Not(from);
                }
                continue;
            }
            let Some(behind) = rest.strip_prefix(self.delimiter.as_slice()) else { continue };
            let to = line + self.delimiter.len();
            match behind {
                [] | [b'-'] => return Seen::Not(from),
                [b'-', b'-', ..] => return Seen::Delimiter { from, to: to + 2, last: true },
                [b' ' | b'\t' | b'\r' | b'\n', ..] => return Seen::Delimiter { from, to, last: false },
                _ => {}
            }
        }
        Seen::Not(self.tail.len() - usize::from(self.tail.ends_with(b"\r")))
    }

    fn content(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let State::Body(masker) = &mut self.state {
            return masker.push(content, out);
        }
        self.between.piece(content, content, out);
        Ok(())
    }

    fn end_content(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let State::Body(masker) = &mut self.state {
            masker.finish(out)?;
            self.collect();
        } else {
            self.between.end(out);
        }
        Ok(())
    }

    /// The findings of the present part, by their place in the whole body.
    fn collect(&mut self) {
        let State::Body(masker) = &mut self.state else { return };
        for mut finding in masker.take_findings() {
            (finding.start, finding.end) = (finding.start + self.part, finding.end + self.part);
            note(&mut self.findings, finding);
        }
    }

    /// The headers of a part, each line a text, so that lines stay lines.
    fn head(&mut self, head: &[u8], out: &mut Vec<u8>) {
        let mut at = self.position - head.len() as u64;
        for line in head.split_inclusive(|b| *b == b'\n') {
            let text = line.trim_ascii_end();
            let masked = mask_bytes(&self.profile, text);
            for mut finding in masked.findings {
                (finding.start, finding.end) = (finding.start + at, finding.end + at);
                note(&mut self.findings, finding);
            }
            out.extend_from_slice(&masked.bytes);
            out.extend_from_slice(line.get(text.len()..).unwrap_or_default());
            at += line.len() as u64;
        }
    }

    fn begin_part(&mut self, head: &[u8]) -> Result<(), MaskError> {
        let head = unfolded(head);
        let only = |name: &str| {
            let mut values = head.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
            let value = values.next();
            if values.next().is_some() { Err(MaskError::Charset) } else { Ok(value) }
        };
        let mut format = BodyFormat::of(only("content-type")?, Dialect::Generic);
        let plain = |value: &str| {
            ["identity", "7bit", "8bit", "binary"]
                .iter()
                .any(|plain| value.trim().eq_ignore_ascii_case(plain))
        };
        match only("content-transfer-encoding")?.filter(|value| !plain(value)) {
            None => {}
            Some(value) if value.trim().eq_ignore_ascii_case("base64") => format = BodyFormat::Text,
            Some(_) => return Err(MaskError::Charset),
        }
        if only("content-encoding")?.is_some_and(|value| !plain(value)) || format == BodyFormat::Unreadable {
            return Err(MaskError::Charset);
        }
        if matches!(format, BodyFormat::Multipart(_)) && self.nesting >= MULTIPART_NESTING_MAX {
            return Err(MaskError::TooDeep);
        }
        let disposition = only("content-disposition")?.and_then(|value| value.split_once(';'));
        let disposition = disposition.map(|(_, rest)| parameters(rest)).unwrap_or_default();
        let named =
            |wanted: &str| disposition.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let key = named("name").or_else(|| named("filename")).map(String::as_bytes).unwrap_or_default();
        let masker = BodyMasker::part(Arc::clone(&self.profile), format, key, self.nesting + 1);
        self.state = State::Body(Box::new(masker));
        self.part = self.position;
        self.at_line = true;
        Ok(())
    }
}

/// Where a part's headers end: behind an empty line.
fn head_end(tail: &[u8]) -> Option<usize> {
    let mut line = 0;
    for end in memchr::memchr_iter(b'\n', tail) {
        if matches!(tail.get(line..end), Some([] | [b'\r'])) {
            return Some(end + 1);
        }
        line = end + 1;
    }
    None
}

/// Headers by their names in lower case; a line that begins with a space continues the one before.
fn unfolded(head: &[u8]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in String::from_utf8_lossy(head).lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    headers
}
