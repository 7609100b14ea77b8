//! A JSON array whose elements are events: what Gemini streams where no event stream was asked for.
//!
//! [`looks_like_events`] knows it by its beginning. Each element is a document as soon as it is whole; what stands
//! between elements stays. What follows the array, or is no JSON, is one plain text. An element beyond
//! [`ELEMENT_BYTES_MAX`] ends the body (*fails closed*).

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::json::{Scanner, Token};

use super::super::MaskError;
use super::super::splice::FINDINGS_MAX;
use super::super::strand::{Start, Strand};
use super::channel::Ends;
use super::documents::{Documents, Name};
use crate::profile::Profile;

/// The longest element, in bytes.
pub const ELEMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// So many bytes tell whether a body is such an array, or less where it ends before.
const ARRAY_HEAD_BYTES: usize = 64;

/// Whether a body that begins so is an array of events: `[{"candidates"`, with whitespace anywhere. None when more of it
/// must be seen, which is at most [`ARRAY_HEAD_BYTES`].
fn looks_like_events(head: &[u8]) -> Option<bool> {
    let mut rest = head.trim_ascii_start();
    for part in [&b"["[..], b"{", b"\"candidates\""] {
        let common = rest.iter().zip(part).take_while(|(a, b)| a == b).count();
        if common < part.len() && common < rest.len() {
            return Some(false);
        }
        if common < part.len() {
            return (head.len() >= ARRAY_HEAD_BYTES).then_some(false);
        }
        rest = rest.get(common..).unwrap_or_default().trim_ascii_start();
    }
    Some(true)
}

/// Masks a JSON body.
pub(in super::super) enum JsonBody {
    /// Its beginning, while it may be an array of events.
    Begun(Vec<u8>, Arc<Profile>),
    Events(Box<EventArray>),
    Document(Box<Strand>),
}

impl JsonBody {
    pub(in super::super) const fn new(profile: Arc<Profile>) -> Self {
        Self::Begun(Vec::new(), profile)
    }

    pub(in super::super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        match self {
            Self::Begun(head, _) => {
                let missing = ARRAY_HEAD_BYTES.saturating_sub(head.len()).min(input.len());
                let (part, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
                head.extend_from_slice(part);
                match looks_like_events(head) {
                    None => Ok(()),
                    Some(events) => {
                        self.begin(events, out)?;
                        self.push(rest, out)
                    }
                }
            }
            Self::Events(events) => events.push(input, out),
            Self::Document(strand) => {
                strand.piece(input, input, out);
                strand.sound()
            }
        }
    }

    fn begin(&mut self, events: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let Self::Begun(head, profile) = self else { return Ok(()) };
        let head = std::mem::take(head);
        *self = if events {
            Self::Events(Box::new(EventArray::new(Arc::clone(profile))))
        } else {
            Self::Document(Box::new(Strand::new(profile, 0, Start::Json)))
        };
        self.push(&head, out)
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.begin(false, out)?;
        match self {
            Self::Begun(..) => Ok(()),
            Self::Events(events) => events.finish(out),
            Self::Document(strand) => {
                strand.end(out);
                strand.sound()
            }
        }
    }

    pub(in super::super) fn take_findings(&mut self) -> Vec<Finding> {
        match self {
            Self::Begun(..) => Vec::new(),
            Self::Events(events) => std::mem::take(&mut events.findings),
            Self::Document(strand) => std::mem::take(&mut strand.findings),
        }
    }
}

/// Masks such an array.
pub(in super::super) struct EventArray {
    documents: Documents,
    scanner: Scanner,
    /// The current element, from its first byte on.
    held: Vec<u8>,
    /// The array has ended, or is none: everything else is one text.
    after: Option<Box<Strand>>,
    profile: Arc<Profile>,
    /// The first byte of the element, in the body.
    position: u64,
    /// An element has been written: what is added comes behind a comma.
    any: bool,
    pub(in super::super) findings: Vec<Finding>,
}

impl EventArray {
    pub(in super::super) fn new(profile: Arc<Profile>) -> Self {
        Self {
            documents: Documents::new(Arc::clone(&profile)),
            scanner: Scanner::new(),
            held: Vec::new(),
            after: None,
            profile,
            position: 0,
            any: false,
            findings: Vec::new(),
        }
    }

    pub(in super::super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let mut rest = input;
        while self.after.is_none() && !rest.is_empty() {
            let step = self.scanner.step(rest);
            let (part, left) = rest.split_at_checked(step.used).unwrap_or((rest, &[]));
            rest = left;
            self.held.extend_from_slice(part);
            if self.held.len() > ELEMENT_BYTES_MAX {
                return Err(MaskError::FrameTooLong);
            }
            let depth = self.scanner.path().depth();
            match step.token {
                Token::More if rest.is_empty() => break,
                Token::TooDeep => return Err(MaskError::TooDeep),
                Token::Close(_) if depth == 0 => self.end(out)?,
                Token::Close(_) if depth == 1 => self.element(out)?,
                Token::Open(_) | Token::Space(_) if depth <= 1 => self.pass(out),
                // An element that is no event, or what is no JSON.
                Token::Invalid => self.give_up(out)?,
                Token::Begin(_) | Token::Scalar(_) if depth <= 1 => self.give_up(out)?,
                _ => {}
            }
        }
        if let Some(after) = &mut self.after {
            after.piece(rest, rest, out);
            after.sound()?;
        }
        self.collect();
        Ok(())
    }

    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        if self.after.is_none() {
            self.give_up(out)?;
        }
        if let Some(after) = &mut self.after {
            after.end(out);
        }
        self.collect();
        Ok(())
    }

    /// What stands around elements.
    fn pass(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held);
        self.position += self.held.len() as u64;
        self.held.clear();
    }

    /// An element is whole.
    fn element(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.documents.begin(self.position);
        let held = std::mem::take(&mut self.held);
        self.documents.document(&held, Name::default())?;
        for rest in &self.documents.rests {
            out.extend_from_slice(&rest.data);
            out.push(b',');
        }
        self.documents.edits.write(&held, out);
        self.position += held.len() as u64;
        self.any = true;
        Ok(())
    }

    /// The array ends: what texts still hold comes as more elements before its bracket.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let bracket = std::mem::take(&mut self.held);
        self.flush(out);
        out.extend_from_slice(&bracket);
        self.position += bracket.len() as u64;
        self.give_up(out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        self.documents.begin(self.position);
        self.documents.close(Ends::All, &[], Name::default());
        for rest in &self.documents.rests {
            if self.any {
                out.push(b',');
            }
            out.extend_from_slice(&rest.data);
            self.any = true;
        }
    }

    /// What is held and what follows is one text.
    fn give_up(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.flush(out);
        let mut after = Box::new(Strand::new(&self.profile, 0, Start::Json));
        after.begin(self.position, &[]);
        let held = std::mem::take(&mut self.held);
        after.piece(&held, &held, out);
        let result = after.sound();
        self.after = Some(after);
        result
    }

    fn collect(&mut self) {
        self.documents.collect(&mut self.findings);
        if let Some(after) = &mut self.after {
            self.findings.append(&mut after.findings);
        }
        self.findings.truncate(FINDINGS_MAX);
    }
}
