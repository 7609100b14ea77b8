//! The texts that go on from event to event.

use std::sync::Arc;

use super::super::MaskError;
use super::super::paths::{BLOCK_KEYS, CHAT_KEYS, Delta};
use super::super::strand::{Start, Strand};
use super::edits::Edits;
use super::event::Event;
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
}

impl Key {
    /// The text that a delta of this event continues. `kind`: the event's type.
    pub(super) fn of(delta: Delta, first: u64, second: u64, event: &Event, kind: &[u8]) -> Self {
        let key = |a, b, c| Self { delta, a, b, c };
        match delta {
            Delta::ChatTool => key(event.choice_index(first), event.tool_index(first, second), 0),
            _ if delta.is_choice() => key(event.choice_index(first), 0, 0),
            Delta::Response => {
                let part = event.root.content.unwrap_or(0).rotate_left(32) ^ event.root.summary.unwrap_or(0);
                key(hash(stem(kind)), event.root.output, part)
            }
            Delta::Gemini => key(first, 0, 0),
            _ => key(event.root.index, 0, 0),
        }
    }

    pub(super) fn plain(event_name: &[u8]) -> Self {
        Self { delta: Delta::Plain, a: hash(event_name), b: 0, c: 0 }
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

/// An event around a piece of text.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The event's name, where it has one.
    pub(super) name: Vec<u8>,
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
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
    /// The Responses text with this key.
    Part(Key),
    /// All Responses texts of this output.
    Output(u64),
}

impl Ends {
    /// What the type and the members of an event mean.
    pub(super) fn of(event: &Event, kind: &[u8]) -> Self {
        match kind {
            _ if event.finished => Self::All,
            b"message_stop"
            | b"error"
            | b"message-end"
            | b"response.completed"
            | b"response.failed"
            | b"response.incomplete"
            | b"response.cancelled" => Self::All,
            b"content_block_stop" | b"content-end" => Self::Block(event.root.index),
            b"response.output_item.done" => Self::Output(event.root.output),
            kind if kind.ends_with(b".done") => Self::Part(Key::of(Delta::Response, 0, 0, event, kind)),
            _ => Self::Choices,
        }
    }

    pub(super) fn covers(self, key: Key, event: &Event) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Choices => key.delta.is_choice() && event.choice_finished(key.a),
            Self::Block(index) => matches!(key.delta, Delta::Block(_) | Delta::Cohere) && key.a == index,
            Self::Part(part) => key == part,
            Self::Output(output) => key.delta == Delta::Response && key.b == output,
        }
    }
}

/// How to send more of a text by itself: an event of the dialect with the members that say where it belongs, taken from
/// the event that continued it last (as masked), and with a gap for the text.
pub(super) fn shape(key: Key, event: &Event, data: &[u8], edits: &Edits, name: &[u8]) -> Shape {
    let mut before = Vec::with_capacity(256);
    let put = |before: &mut Vec<u8>, member: &str, range: Option<&std::ops::Range<usize>>| {
        if let Some(range) = range {
            before.extend_from_slice(format!("\"{member}\":").as_bytes());
            edits.write_range(data, range.clone(), before);
            before.push(b',');
        }
    };
    let root = &event.root;
    let mut after: &[u8] = b"\"}}";
    if key.delta.is_choice() {
        before.push(b'{');
        put(&mut before, "id", root.id.as_ref());
        put(&mut before, "object", root.object.as_ref());
        put(&mut before, "created", root.created.as_ref());
        put(&mut before, "model", root.model.as_ref());
        let (open, close): (String, &[u8]) = match key.delta {
            Delta::Chat(at) => {
                let name = CHAT_KEYS.get(usize::from(at)).unwrap_or(&"content");
                (format!("\"delta\":{{\"{name}\":\""), b"\"},\"finish_reason\":null}]}")
            }
            Delta::ChatTool => (
                format!("\"delta\":{{\"tool_calls\":[{{\"index\":{},\"function\":{{\"arguments\":\"", key.b),
                b"\"}}]},\"finish_reason\":null}]}",
            ),
            Delta::ChatFunction => (
                "\"delta\":{\"function_call\":{\"arguments\":\"".to_owned(),
                b"\"}},\"finish_reason\":null}]}",
            ),
            Delta::ChatAudio => {
                ("\"delta\":{\"audio\":{\"transcript\":\"".to_owned(), b"\"}},\"finish_reason\":null}]}")
            }
            _ => ("\"text\":\"".to_owned(), b"\",\"finish_reason\":null}]}"),
        };
        before.extend_from_slice(format!("\"choices\":[{{\"index\":{},{open}", key.a).as_bytes());
        after = close;
    } else {
        match key.delta {
            Delta::Block(at) => {
                let (member, kind) = BLOCK_KEYS.get(usize::from(at)).unwrap_or(&("text", "text_delta"));
                let text = format!(
                    "{{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"{kind}\",\"{member}\":\"",
                    key.a
                );
                before.extend_from_slice(text.as_bytes());
            }
            Delta::Cohere => {
                let text = format!(
                    "{{\"type\":\"content-delta\",\"index\":{},\"delta\":{{\"message\":{{\"content\":{{\"text\":\"",
                    key.a
                );
                before.extend_from_slice(text.as_bytes());
                after = b"\"}}}}";
            }
            Delta::Response => {
                before.push(b'{');
                put(&mut before, "type", root.kind.as_ref());
                put(&mut before, "sequence_number", root.sequence.as_ref());
                put(&mut before, "item_id", root.item.as_ref());
                before.extend_from_slice(format!("\"output_index\":{},", root.output).as_bytes());
                for (member, index) in [("content_index", root.content), ("summary_index", root.summary)] {
                    if let Some(index) = index {
                        before.extend_from_slice(format!("\"{member}\":{index},").as_bytes());
                    }
                }
                before.extend_from_slice(b"\"delta\":\"");
                after = b"\"}";
            }
            Delta::Gemini => {
                before.extend_from_slice(
                    b"{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"",
                );
                after = b"\"}]}}]}";
            }
            Delta::Tgi => before.extend_from_slice(b"{\"token\":{\"text\":\""),
            _ => after = b"",
        }
    }
    let name = if matches!(key.delta, Delta::Block(_)) { b"content_block_delta" } else { name };
    Shape { name: name.to_vec(), before, after: after.to_vec() }
}
