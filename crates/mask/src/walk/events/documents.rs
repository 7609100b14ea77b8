//! Masks the documents of a stream one by one: text per channel across them, everything else within its document.
//!
//! How documents are framed is the caller's: [`Documents::begin`], then one of [`Documents::repeat`], or any of
//! [`Documents::json`], [`Documents::go_on`] and [`Documents::text`] with [`Documents::close`] behind it. Then the
//! document is to be written as [`Documents::edits`] say, with [`Documents::rests`] before it.

use std::ops::Range;
use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::json::pieces;

use super::super::paths::{self, Delta};
use super::super::splice::FINDINGS_MAX;
use super::super::strand::{Start, Strand};
use super::super::{MaskError, logprobs};
use super::channel::{Channel, Channels, Ends, Key};
use super::edits::Edits;
use super::event::{Event, Field, Treatment, Unread};
use super::recent::Recent;
use super::shape::shape;
use super::template::{Same, Template};
use crate::profile::{FieldIndex, Profile};

/// Stands for the context of exempt text among what was clean before; no JSON key holds a NUL unescaped.
const EXEMPT: &[u8] = b"\0exempt";

/// A piece of a channel in the current document.
pub(super) struct Slot {
    pub(super) channel: Key,
    pub(super) content: Range<usize>,
    edit: Option<usize>,
}

/// The name that stands outside a document, as an event's name does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Name<'a> {
    pub(super) text: &'a [u8],
    /// Something in it was masked: it is not sent again.
    pub(super) masked: bool,
}

impl<'a> Name<'a> {
    fn shown(self) -> &'a [u8] {
        if self.masked { &[] } else { self.text }
    }
}

/// A document that is to go before the current one: the rest of a text that has ended.
#[derive(Debug)]
pub(super) struct RestOfText {
    /// The name that stood outside the last document of the text.
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    /// Not JSON, but text of [`Documents::go_on`].
    pub(super) plain: bool,
}

/// See the module's page.
pub(super) struct Documents {
    profile: Arc<Profile>,
    channels: Channels,
    event: Event,
    /// Strings of JSON data that are texts of their own.
    whole: Strand,
    /// Texts that are not inside JSON.
    plain: Strand,
    recent: Recent,
    template: Template,
    /// The document may be made the template: its one piece.
    learnt: Option<(Key, Range<usize>)>,
    slots: Vec<Slot>,
    pub(super) edits: Edits,
    pub(super) rests: Vec<RestOfText>,
    scratch: Vec<u8>,
    /// The document's offset, for findings.
    position: u64,
}

impl Documents {
    pub(super) fn new(profile: Arc<Profile>) -> Self {
        Self {
            channels: Channels::default(),
            event: Event::default(),
            whole: Strand::new(&profile, 1, Start::Either),
            plain: Strand::new(&profile, 0, Start::Text),
            profile,
            recent: Recent::default(),
            template: Template::default(),
            learnt: None,
            slots: Vec::new(),
            edits: Edits::default(),
            rests: Vec::new(),
            scratch: Vec::new(),
            position: 0,
        }
    }

    /// A document begins. Its offset is for findings.
    pub(super) fn begin(&mut self, position: u64) {
        self.position = position;
        self.edits.clear();
        self.slots.clear();
        self.recent.restart();
        self.event.clear();
        self.rests.clear();
        self.learnt = None;
    }

    /// Whether a text has begun that has not ended.
    pub(super) fn is_streaming(&self) -> bool {
        !self.channels.list.is_empty()
    }

    /// A text beside the document, such as a comment; as masked, where anything in it was.
    pub(super) fn beside(&mut self, offset: u64, text: &[u8]) -> Option<&mut Vec<u8>> {
        if self.recent.is_known(b"", text) {
            return None;
        }
        self.mask_plain(offset, text);
        if self.scratch == text {
            self.recent.learn(b"", text);
            return None;
        }
        Some(&mut self.scratch)
    }

    fn mask_plain(&mut self, offset: u64, text: &[u8]) {
        self.scratch.clear();
        self.plain.begin(offset, &[]);
        self.plain.piece(text, text, &mut self.scratch);
        self.plain.end(&mut self.scratch);
    }

    /// Masks a frame that differs from the one before in its piece of text alone, and says where in it the document is;
    /// none when it is another. `name`: where the frame does not have it in itself.
    pub(super) fn repeat(
        &mut self,
        frame: &[u8],
        name: Option<Name<'_>>,
    ) -> Result<Option<Range<usize>>, MaskError> {
        if name.is_some_and(|name| name.text != self.template.name()) {
            return Ok(None);
        }
        let Some(Same { key, data, content }) = self.template.find(frame) else { return Ok(None) };
        let document = frame.get(data.clone()).unwrap_or_default();
        let raw = frame.get(content.clone()).unwrap_or_default();
        self.piece(key, content.start - data.start..content.end - data.start, raw)?;
        let held = |c: &Channel| c.key == key && c.shape.is_none() && !c.strand.is_idle();
        if self.channels.list.iter().any(held) {
            let mut event = std::mem::take(&mut self.event);
            if read(&self.profile, &mut event, document)? {
                let own = self.template.name().to_vec();
                let masked = name.is_some_and(|name| name.masked);
                self.shape_channels(&event, document, Name { text: &own, masked });
            }
            self.event = event;
        }
        Ok(Some(data))
    }

    /// Remembers the frame for the next one, where nothing but its piece matters in it. The document is at `data` in it.
    pub(super) fn remember(&mut self, frame: &[u8], data: Range<usize>, name: &[u8]) {
        if let Some((key, piece)) = self.learnt.take() {
            let content = data.start + piece.start..data.start + piece.end;
            self.template.learn(&Same { key, data, content }, name, frame);
        }
    }

    /// A JSON document; what it says of the end of texts. None when it is not JSON, and then nothing was done.
    pub(super) fn json(&mut self, data: &[u8], name: Name<'_>) -> Result<Option<Ends>, MaskError> {
        if !matches!(data.trim_ascii_start().first(), Some(b'{' | b'[')) {
            return Ok(None);
        }
        let mut event = std::mem::take(&mut self.event);
        let result = self.json_with(&mut event, data, name);
        self.event = event;
        result
    }

    fn json_with(
        &mut self,
        event: &mut Event,
        data: &[u8],
        name: Name<'_>,
    ) -> Result<Option<Ends>, MaskError> {
        if !read(&self.profile, event, data)? {
            event.clear();
            return Ok(None);
        }
        let named = event.root.kind.as_ref().and_then(|r| data.get(r.start + 1..r.end.saturating_sub(1)));
        let kind = named.unwrap_or(name.text);
        for field in &event.fields {
            self.field(event, field, data, kind)?;
        }
        let ends = Ends::of(event, data, kind);
        self.learn(event, ends);
        Ok(Some(ends))
    }

    /// A whole document: JSON, or else text that goes on from document to document.
    pub(super) fn document(&mut self, data: &[u8], name: Name<'_>) -> Result<(), MaskError> {
        if self.json_document(data, name)? {
            return Ok(());
        }
        if matches!(data.trim_ascii_start().first(), Some(b'{' | b'[')) {
            self.text(data);
        } else {
            self.go_on(data, name)?;
        }
        self.close(Ends::None, data, name);
        Ok(())
    }

    /// A whole document, if it is JSON; else nothing was done.
    pub(super) fn json_document(&mut self, data: &[u8], name: Name<'_>) -> Result<bool, MaskError> {
        if self.repeat(data, Some(name))?.is_some() {
            return Ok(true);
        }
        let Some(ends) = self.json(data, name)? else { return Ok(false) };
        self.close(ends, data, name);
        self.remember(data, 0..data.len(), name.text);
        Ok(true)
    }

    /// A document that is no JSON, and goes on where the last one of its name ended.
    pub(super) fn go_on(&mut self, data: &[u8], name: Name<'_>) -> Result<(), MaskError> {
        self.piece(Key::plain(name.text), 0..data.len(), data)
    }

    /// A document that is one text of its own.
    pub(super) fn text(&mut self, data: &[u8]) {
        self.mask_plain(self.position, data);
        if self.scratch != data {
            self.edits.push(0..data.len(), &self.scratch);
        }
    }

    /// The document has been read: texts end, and what still waits of others is remembered.
    pub(super) fn close(&mut self, ends: Ends, data: &[u8], name: Name<'_>) {
        let event = std::mem::take(&mut self.event);
        if ends != Ends::None && !self.channels.list.is_empty() {
            self.end_channels(ends, &event);
        }
        if !self.slots.is_empty() || !event.logprobs.is_empty() {
            self.logprobs(&event, data);
            self.edits.sort();
            self.shape_channels(&event, data, name);
        }
        self.edits.sort();
        self.event = event;
    }

    /// Takes note of an event in which its piece is all that matters.
    fn learn(&mut self, event: &Event, ends: Ends) {
        if let [Slot { channel, content, edit }] = self.slots.as_slice()
            && self.edits.len() == usize::from(edit.is_some())
            && event.logprobs.is_empty()
            && ends == Ends::Choices
            && !event.any_finished()
        {
            self.learnt = Some((*channel, content.clone()));
        }
    }

    fn field(&mut self, event: &Event, field: &Field, data: &[u8], kind: &[u8]) -> Result<(), MaskError> {
        let raw = data.get(field.content.clone()).unwrap_or_default();
        match field.treatment {
            Treatment::Delta(Delta::Response, _, _) if kind.ends_with(b"audio.delta") => {
                let field = Field { treatment: Treatment::Exempt, ..field.clone() };
                self.whole(event, &field, data, raw)
            }
            Treatment::Delta(Delta::Response, _, _) if !kind.ends_with(b".delta") => {
                self.whole(event, field, data, raw)
            }
            Treatment::Delta(Delta::Marked(at), _, _) if !event.root.has(paths::mark_of(at)) => {
                self.whole(event, field, data, raw)
            }
            Treatment::Delta(delta, first, second) => {
                self.piece(Key::of(delta, first, second, event, data, kind), field.content.clone(), raw)
            }
            Treatment::Whole | Treatment::Exempt => self.whole(event, field, data, raw),
            Treatment::Field(index) => {
                self.named(index, field, raw);
                if self.scratch != raw {
                    self.edits.push(field.content.clone(), &self.scratch);
                }
                Ok(())
            }
            Treatment::Scalar(index) => {
                self.named(index, field, raw);
                self.scratch.insert(0, b'"');
                self.scratch.push(b'"');
                self.edits.push(field.content.clone(), &self.scratch);
                Ok(())
            }
        }
    }

    /// A value that is masked for its place; what stands for it is left in `scratch`.
    fn named(&mut self, index: FieldIndex, field: &Field, raw: &[u8]) {
        self.scratch.clear();
        self.whole.begin_field(self.position + field.content.start as u64, index);
        pieces(raw, |meaning, raw| self.whole.piece(meaning, raw, &mut self.scratch));
        self.whole.end(&mut self.scratch);
    }

    fn whole(&mut self, event: &Event, field: &Field, data: &[u8], raw: &[u8]) -> Result<(), MaskError> {
        let identity = data.get(field.identity.clone()).unwrap_or_default();
        let exempt = field.treatment == Treatment::Exempt;
        let context =
            if exempt { EXEMPT } else { event.contexts.get(field.context.clone()).unwrap_or_default() };
        if self.recent.is_known(context, identity) {
            return Ok(());
        }
        self.scratch.clear();
        let offset = self.position + field.content.start as u64;
        if exempt {
            self.whole.begin_exempt(offset);
        } else {
            self.whole.begin(offset, context);
        }
        pieces(raw, |meaning, raw| self.whole.piece(meaning, raw, &mut self.scratch));
        self.whole.end(&mut self.scratch);
        if self.whole.is_too_deep() {
            return Err(MaskError::TooDeep);
        }
        if self.scratch == raw {
            self.recent.learn(context, identity);
        } else {
            self.edits.push(field.content.clone(), &self.scratch);
        }
        Ok(())
    }

    /// A piece of a channel.
    fn piece(&mut self, key: Key, content: Range<usize>, raw: &[u8]) -> Result<(), MaskError> {
        let at = self.channels.open(key, &self.profile)?;
        let Some(channel) = self.channels.list.get_mut(at) else { return Ok(()) };
        self.scratch.clear();
        if key.delta == Delta::Plain {
            channel.strand.piece(raw, raw, &mut self.scratch);
        } else {
            pieces(raw, |meaning, raw| channel.strand.piece(meaning, raw, &mut self.scratch));
        }
        if channel.strand.is_too_deep() {
            return Err(MaskError::TooDeep);
        }
        let edit = (self.scratch != raw).then(|| self.edits.push(content.clone(), &self.scratch));
        self.slots.push(Slot { channel: key, content, edit });
        Ok(())
    }

    fn end_channels(&mut self, ends: Ends, event: &Event) {
        let mut at = 0;
        while let Some(channel) = self.channels.list.get_mut(at) {
            if !ends.covers(channel.key, event) {
                at += 1;
                continue;
            }
            self.scratch.clear();
            channel.strand.end(&mut self.scratch);
            let mut channel = self.channels.list.remove(at);
            self.plain.findings.append(&mut channel.strand.findings);
            if self.scratch.is_empty() {
                continue;
            }
            match self.slots.iter_mut().rev().find(|s| s.channel == channel.key) {
                Some(Slot { edit: Some(edit), .. }) => self.edits.append(*edit, &self.scratch),
                // A piece without an edit has nothing held, so no rest can be left; it would go to its end.
                Some(slot) => {
                    slot.edit = Some(self.edits.push(slot.content.end..slot.content.end, &self.scratch));
                }
                None => {
                    let Some(shape) = channel.shape else { continue };
                    let data = [&shape.before, &self.scratch, &shape.after].map(Vec::as_slice).concat();
                    let plain = channel.key.delta == Delta::Plain;
                    self.rests.push(RestOfText { name: shape.name, data, plain });
                }
            }
        }
    }

    /// Blanks log probabilities that may show what the text does not.
    fn logprobs(&mut self, event: &Event, data: &[u8]) {
        for (choice, range) in &event.logprobs {
            let index = choice.map(|position| event.choice_index(position));
            let same = |key: Key| index.is_none_or(|index| key.delta.is_choice() && key.a == index);
            let value = data.get(range.clone()).unwrap_or_default();
            let unclean = self.channels.list.iter().any(|c| same(c.key) && !c.strand.is_idle())
                || self.slots.iter().any(|s| same(s.channel) && s.edit.is_some())
                || !logprobs::is_clean(&self.profile, value);
            if unclean {
                self.edits.cover(range, logprobs::blank(value));
            }
        }
    }

    /// Remembers for every channel that holds something how to send it by itself.
    fn shape_channels(&mut self, event: &Event, data: &[u8], name: Name<'_>) {
        for slot in &self.slots {
            let Some(channel) = self.channels.list.iter_mut().find(|c| c.key == slot.channel) else {
                continue;
            };
            if channel.shape.is_none() && !channel.strand.is_idle() {
                channel.shape = Some(shape(channel.key, event, data, &self.edits, &self.slots, name.shown()));
            }
        }
    }

    /// Moves what was found to `findings`.
    pub(super) fn collect(&mut self, findings: &mut Vec<Finding>) {
        let channels = self.channels.list.iter_mut().map(|c| &mut c.strand);
        for strand in channels.chain([&mut self.whole, &mut self.plain]) {
            findings.append(&mut strand.findings);
        }
        findings.truncate(FINDINGS_MAX);
    }
}

/// Reads JSON; false when the data is none.
fn read(profile: &Profile, event: &mut Event, data: &[u8]) -> Result<bool, MaskError> {
    match event.read(&profile.fields, data) {
        Ok(()) => Ok(true),
        Err(Unread::Invalid) => Ok(false),
        Err(Unread::TooDeep) => Err(MaskError::TooDeep),
        Err(Unread::TooMany) => Err(MaskError::FrameTooLong),
    }
}
