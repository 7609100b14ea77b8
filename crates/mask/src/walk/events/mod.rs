//! Server-sent events: text is masked per logical channel across events, everything else within its event.
//!
//! **Channels.** Chat completions: `choices[i].delta.` content, reasoning, refusal, tool-call and function arguments,
//! audio transcript; `choices[i].text`. Responses: `delta` of every `….delta` event, per output and part. Messages:
//! text, thinking and partial JSON per block. Gemini, TGI and Cohere text. The members that say where a piece belongs
//! (`index`, `output_index`, …) count, wherever in the event they stand.
//!
//! **What goes out when.** Every event goes out at once, with its id, name, comments and members as they were. A piece
//! that is undecided leaves its event (which then has less text, or `""`) and stands before the next piece of its
//! channel. When an event ends a channel (`finish_reason`, `content_block_stop`, `….done`, `message_stop`,
//! `response.completed`, `[DONE]`, the end of the stream), the channel's rest goes to the end of its piece in that very
//! event, where it has one; else into one more event before it, which has the members that say where it belongs
//! and nothing else.
//!
//! **Everything else**: every other string (also the full text that `….done` and `response.completed` repeat), key,
//! comment and field value is a text of its own. Log probabilities as in `logprobs`. Data that looks like JSON and is
//! none is one plain text. An event beyond [`sse::FRAME_BYTES_MAX`], beyond [`event::STRINGS_MAX`] strings, or one
//! channel beyond [`CHANNELS_MAX`] ends the body (*fails closed*).

mod channel;
mod edits;
mod event;
mod recent;
mod template;
mod write;

use std::ops::Range;
use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::json::pieces;
use keyward_wire::sse::{self, Framer, Line};

pub use channel::CHANNELS_MAX;

use super::paths::Delta;
use super::splice::FINDINGS_MAX;
use super::strand::{Start, Strand};
use super::{Dialect, MaskError, logprobs};
use crate::profile::Profile;
use channel::{Channel, Channels, Ends, Key};
use edits::Edits;
use event::{Event, Field, Treatment, Unread};
use recent::Recent;
use template::Template;
use write::write_event;

/// Stands for the context of exempt text among what was clean before; no JSON key holds a NUL unescaped.
const EXEMPT: &[u8] = b"\0exempt";

/// Masks an event stream.
pub(super) struct Events {
    framer: Framer,
    frames: Frames,
    pub(super) findings: Vec<Finding>,
}

/// A piece of a channel in the current event.
struct Slot {
    channel: Key,
    content: Range<usize>,
    edit: Option<usize>,
}

/// All but the framing.
struct Frames {
    profile: Arc<Profile>,
    dialect: Dialect,
    channels: Channels,
    event: Event,
    /// Strings of JSON data that are texts of their own.
    whole: Strand,
    /// Texts that are not inside JSON.
    plain: Strand,
    recent: Recent,
    template: Template,
    slots: Vec<Slot>,
    /// Edits of the data.
    edits: Edits,
    /// Edits of the frame's other lines.
    line_edits: Edits,
    scratch: Vec<u8>,
    lines: Vec<Line>,
    joined: Vec<u8>,
    first: bool,
    crlf: bool,
    /// The frame's offset in the body.
    position: u64,
}

impl Events {
    pub(super) fn new(profile: Arc<Profile>, dialect: Dialect) -> Self {
        let frames = Frames {
            whole: Strand::new(&profile, 1, Start::Either),
            plain: Strand::new(&profile, 0, Start::Text),
            profile,
            dialect,
            channels: Channels::default(),
            event: Event::default(),
            recent: Recent::default(),
            template: Template::default(),
            slots: Vec::new(),
            edits: Edits::default(),
            line_edits: Edits::default(),
            scratch: Vec::new(),
            lines: Vec::new(),
            joined: Vec::new(),
            first: true,
            crlf: false,
            position: 0,
        };
        Self { framer: Framer::new(), frames, findings: Vec::new() }
    }

    pub(super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        while let Some(frame) = self.framer.next(&mut input)? {
            self.frames.frame(frame, false, out)?;
            self.frames.collect(&mut self.findings);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        // The channels' rests belong before, or into, an event that was cut off.
        let rest = self.framer.rest().to_vec();
        self.framer = Framer::new();
        self.frames.frame(&rest, true, out)?;
        self.frames.collect(&mut self.findings);
        Ok(())
    }
}

impl Frames {
    fn frame(&mut self, frame: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.edits.clear();
        self.line_edits.clear();
        self.slots.clear();
        self.recent.restart();
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
        let result = self.data(data, one.is_some() || multiple, name, last, out);
        if result.is_ok() {
            self.write(frame, &lines, one.is_some(), data, is_data, out);
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
        if self.recent.is_known(b"", text) {
            return;
        }
        self.mask_plain(self.position + range.start as u64, text);
        if self.scratch == text {
            self.recent.learn(b"", text);
        } else {
            // No placeholder may end the line.
            self.scratch.retain(|b| !matches!(b, b'\r' | b'\n'));
            self.line_edits.push(range, &self.scratch);
        }
    }

    fn mask_plain(&mut self, offset: u64, text: &[u8]) {
        self.scratch.clear();
        self.plain.begin(offset, &[]);
        self.plain.piece(text, text, &mut self.scratch);
        self.plain.end(&mut self.scratch);
    }

    /// Masks an event's data into `self.edits`; events that must go before it go to `out`.
    fn data(
        &mut self,
        data: &[u8],
        any: bool,
        name: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let mut event = std::mem::take(&mut self.event);
        let result = self.data_with(&mut event, data, any, name, last, out);
        self.event = event;
        result
    }

    fn data_with(
        &mut self,
        event: &mut Event,
        data: &[u8],
        any: bool,
        name: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        event.clear();
        if !last && let Some((key, content)) = self.template.find(name, data) {
            return self.same_event(event, key, content, data, name);
        }
        let trimmed = data.trim_ascii();
        let mut ends = Ends::None;
        let json = matches!(trimmed.first(), Some(b'{' | b'['));
        if trimmed == b"[DONE]" {
            ends = Ends::All;
        } else if json && read(event, data)? {
            let named = event.root.kind.as_ref().and_then(|r| data.get(r.start + 1..r.end - 1));
            let kind = named.unwrap_or(name);
            for field in &event.fields {
                self.field(event, field, data, kind)?;
            }
            ends = Ends::of(event, kind);
            self.learn(event, ends, data, name);
        } else if any && !json && self.dialect == Dialect::Generic {
            self.piece(Key::plain(name), 0..data.len(), data)?;
        } else if any {
            event.clear();
            self.mask_plain(self.position, data);
            if self.scratch != data {
                self.edits.push(0..data.len(), &self.scratch);
            }
        }
        if last {
            ends = Ends::All;
        }
        if ends != Ends::None && !self.channels.list.is_empty() {
            self.end_channels(ends, event, out);
        }
        if !self.slots.is_empty() || !event.logprobs.is_empty() {
            self.logprobs(event, data);
            self.edits.sort();
            // A name that had something masked in it is not used again.
            let name = if self.line_edits.is_empty() { name } else { &[] };
            self.shape_channels(event, data, name);
        }
        self.edits.sort();
        Ok(())
    }

    /// An event that differs from the template in its piece alone.
    fn same_event(
        &mut self,
        event: &mut Event,
        key: Key,
        content: Range<usize>,
        data: &[u8],
        name: &[u8],
    ) -> Result<(), MaskError> {
        self.piece(key, content.clone(), data.get(content).unwrap_or_default())?;
        let held = |c: &Channel| c.key == key && c.shape.is_none() && !c.strand.is_idle();
        if self.channels.list.iter().any(held) && read(event, data)? {
            let name = if self.line_edits.is_empty() { name } else { &[] };
            self.shape_channels(event, data, name);
        }
        Ok(())
    }

    /// Makes an event the template where its piece is all that matters in it.
    fn learn(&mut self, event: &Event, ends: Ends, data: &[u8], name: &[u8]) {
        if let [Slot { channel, content, edit }] = self.slots.as_slice()
            && self.edits.len() == usize::from(edit.is_some())
            && event.logprobs.is_empty()
            && ends == Ends::Choices
            && !event.any_finished()
        {
            self.template.learn(*channel, name, data, content);
        }
    }

    fn field(&mut self, event: &Event, field: &Field, data: &[u8], kind: &[u8]) -> Result<(), MaskError> {
        let raw = data.get(field.content.clone()).unwrap_or_default();
        match field.treatment {
            Treatment::Delta(Delta::Response, _, _) if kind.ends_with(b"audio.delta") => {
                let field = Field { treatment: Treatment::Exempt, ..field.clone() };
                self.whole(event, &field, data, raw)
            }
            Treatment::Delta(delta, _, _) if delta == Delta::Response && !kind.ends_with(b".delta") => {
                self.whole(event, field, data, raw)
            }
            Treatment::Delta(delta, first, second) => {
                self.piece(Key::of(delta, first, second, event, kind), field.content.clone(), raw)
            }
            Treatment::Whole | Treatment::Exempt => self.whole(event, field, data, raw),
        }
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

    fn end_channels(&mut self, ends: Ends, event: &Event, out: &mut Vec<u8>) {
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
                    if let Some(shape) = &channel.shape {
                        write_event(shape, &self.scratch, self.crlf, out);
                    }
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
    fn shape_channels(&mut self, event: &Event, data: &[u8], name: &[u8]) {
        for slot in &self.slots {
            let Some(channel) = self.channels.list.iter_mut().find(|c| c.key == slot.channel) else {
                continue;
            };
            if channel.shape.is_none() && !channel.strand.is_idle() {
                channel.shape = Some(channel::shape(channel.key, event, data, &self.edits, name));
            }
        }
    }

    fn collect(&mut self, findings: &mut Vec<Finding>) {
        let channels = self.channels.list.iter_mut().map(|c| &mut c.strand);
        for strand in channels.chain([&mut self.whole, &mut self.plain]) {
            findings.append(&mut strand.findings);
        }
        findings.truncate(FINDINGS_MAX);
    }
}

/// Reads JSON; false when the data is none.
fn read(event: &mut Event, data: &[u8]) -> Result<bool, MaskError> {
    match event.read(data) {
        Ok(()) => Ok(true),
        Err(Unread::Invalid) => Ok(false),
        Err(Unread::TooDeep) => Err(MaskError::TooDeep),
        Err(Unread::TooMany) => Err(MaskError::FrameTooLong),
    }
}
