//! The texts that go on from event to event.

use std::ops::Range;
use std::sync::Arc;

use super::super::MaskError;
use super::super::paths::{COHERE_TOOL, Delta};
use super::super::strand::{Start, Strand};
use super::event::Event;
use super::shape::Shape;
use crate::profile::Profile;

/// How many texts may be streamed at once.
pub const CHANNELS_MAX: usize = 256;

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) delta: Delta,
    pub(super) a: u64,
    pub(super) b: u64,
    pub(super) c: u64,
    /// The response that the event names, hashed; 0 when it names none.
    pub(super) owner: u64,
}

impl Key {
    /// The text that a delta of this event continues. `kind`: the event's type.
    pub(super) fn of(delta: Delta, first: u64, second: u64, event: &Event, data: &[u8], kind: &[u8]) -> Self {
        let key = |a, b| Self { delta, a, b, c: 0, owner: 0 };
        let root = &event.root;
        match (delta, root.block) {
            (Delta::ChatTool, _) => key(event.choice_index(first), event.tool_index(first, second)),
            (Delta::GeminiArgument, _) => key(event.choice_index(first), event.argument_path(first, second)),
            (delta, _) if delta.is_choice() => key(event.choice_index(first), 0),
            (Delta::Response, _) => {
                let part = root.content.unwrap_or(0).rotate_left(32) ^ root.summary.unwrap_or(0);
                let name =
                    |range: &Option<Range<usize>>| range.clone().and_then(|r| data.get(r)).map_or(0, hash);
                let (item, owner) = (name(&root.item), name(&root.response));
                Self { delta, a: hash(stem(kind)), b: root.output, c: part ^ item.rotate_left(16), owner }
            }
            // A Converse event whose name stands outside.
            (Delta::Block(0), Some(block)) => Self { delta: Delta::Converse(0), ..key(block, 0) },
            (Delta::Converse(_), block) => key(block.unwrap_or(0), 0),
            (Delta::Marked(_), _) => key(first, root.index),
            _ => key(root.index, 0),
        }
    }

    pub(super) fn plain(event_name: &[u8]) -> Self {
        Self { delta: Delta::Plain, a: hash(event_name), b: 0, c: 0, owner: 0 }
    }
}

/// An event type without its last word: `response.output_text` of `response.output_text.delta` and `.done`.
pub(super) fn stem(kind: &[u8]) -> &[u8] {
    let end = kind.iter().rposition(|b| *b == b'.').unwrap_or(kind.len());
    kind.get(..end).unwrap_or(kind)
}

/// FNV-1a; only tells event types apart.
pub(super) fn hash(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// A text that goes on from event to event.
pub(super) struct Channel {
    pub(super) key: Key,
    pub(super) strand: Strand,
    /// How to send a rest of the text by itself.
    pub(super) shape: Option<Shape>,
}

/// The texts that are being streamed.
#[derive(Default)]
pub(super) struct Channels {
    pub(super) list: Vec<Channel>,
}

impl Channels {
    pub(super) fn position(&self, key: Key) -> Option<usize> {
        self.list.iter().position(|c| c.key == key)
    }

    /// The channel of this key, which is opened if need be.
    pub(super) fn open(&mut self, key: Key, profile: &Arc<Profile>) -> Result<usize, MaskError> {
        if let Some(at) = self.position(key) {
            return Ok(at);
        }
        if self.list.len() >= CHANNELS_MAX {
            return Err(MaskError::TooManyChannels);
        }
        let strand = match key.delta {
            Delta::Plain => Strand::new(profile, 0, Start::Text),
            _ => Strand::new(profile, 1, Start::Either),
        };
        self.list.push(Channel { key, strand, shape: None });
        Ok(self.list.len() - 1)
    }
}

/// What an event says about the end of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    None,
    /// Every text.
    All,
    /// The texts of finished choices; which ones, the event knows.
    Choices,
    /// The block of this index.
    Block(u64),
    /// The Converse block of this index.
    Converse(u64),
    /// Cohere's arguments of this index.
    Tool(u64),
    /// The Responses text with this key.
    Part(Key),
    /// All Responses texts of this output.
    Output(u64),
    /// All texts of this response, and those that do not say whose they are.
    Response(u64),
}

impl Ends {
    /// What the type and the members of an event mean.
    pub(super) fn of(event: &Event, data: &[u8], kind: &[u8]) -> Self {
        let root = &event.root;
        match kind {
            _ if event.finished => Self::All,
            _ if root.block_stops => Self::Converse(root.block.unwrap_or(0)),
            b"message_stop" | b"message-end" | b"messageStop" => Self::All,
            b"response.completed"
            | b"response.failed"
            | b"response.incomplete"
            | b"response.cancelled"
            | b"response.done" => {
                let response = root.response.clone().and_then(|r| data.get(r));
                response.map_or(Self::All, |raw| Self::Response(hash(raw)))
            }
            b"content_block_stop" | b"content-end" => Self::Block(root.index),
            b"contentBlockStop" => Self::Converse(root.block.unwrap_or(0)),
            b"tool-call-end" => Self::Tool(root.index),
            b"response.output_item.done" => Self::Output(root.output),
            kind if kind.ends_with(b".done") || kind.ends_with(b".completed") => {
                Self::Part(Key::of(Delta::Response, 0, 0, event, data, kind))
            }
            _ => Self::Choices,
        }
    }

    pub(super) fn covers(self, key: Key, event: &Event) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Choices => key.delta.is_choice() && event.choice_finished(key.a),
            Self::Block(index) => match key.delta {
                Delta::Block(_) => key.a == index,
                Delta::Cohere(at) => at < COHERE_TOOL && key.a == index,
                _ => false,
            },
            Self::Converse(index) => matches!(key.delta, Delta::Converse(_)) && key.a == index,
            Self::Tool(index) => key.delta == Delta::Cohere(COHERE_TOOL) && key.a == index,
            Self::Part(part) => key == part,
            Self::Output(output) => key.delta == Delta::Response && key.b == output,
            Self::Response(response) => key.owner == 0 || key.owner == response,
        }
    }
}
