//! How to send the rest of a text by itself.

use super::super::paths::{BLOCK_KEYS, CHAT_KEYS, Delta};
use super::channel::Key;
use super::documents::Slot;
use super::edits::Edits;
use super::event::{Event, Root};

/// An event around a piece of text.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The event's name, where it has one.
    pub(super) name: Vec<u8>,
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
}

/// An event of the dialect with a gap for the text, made from the event that continued the text last (as masked). In
/// chat completions, Responses, Messages and Gemini it has the members that say where the text belongs; elsewhere it is
/// that event, with every piece of text taken out.
pub(super) fn shape(
    key: Key,
    event: &Event,
    data: &[u8],
    edits: &Edits,
    slots: &[Slot],
    name: &[u8],
) -> Shape {
    let root = &event.root;
    let (before, after) = match key.delta {
        Delta::Gemini => gemini(key),
        Delta::GeminiArgument => emptied(key, data, edits, slots),
        delta if delta.is_choice() => choice(key, root, data, edits),
        Delta::Block(at) => block(key, at),
        Delta::Response => response(root, data, edits),
        Delta::Plain => (Vec::new(), Vec::new()),
        _ => emptied(key, data, edits, slots),
    };
    let name = if matches!(key.delta, Delta::Block(_)) { b"content_block_delta" } else { name };
    Shape { name: name.to_vec(), before, after }
}

fn put(to: &mut Vec<u8>, member: &str, range: Option<&std::ops::Range<usize>>, data: &[u8], edits: &Edits) {
    if let Some(range) = range {
        to.extend_from_slice(format!("\"{member}\":").as_bytes());
        edits.write_range(data, range.clone(), to);
        to.push(b',');
    }
}

fn choice(key: Key, root: &Root, data: &[u8], edits: &Edits) -> (Vec<u8>, Vec<u8>) {
    let mut before = Vec::with_capacity(256);
    before.push(b'{');
    put(&mut before, "id", root.id.as_ref(), data, edits);
    put(&mut before, "object", root.object.as_ref(), data, edits);
    put(&mut before, "created", root.created.as_ref(), data, edits);
    put(&mut before, "model", root.model.as_ref(), data, edits);
    let (open, close): (String, &[u8]) = match key.delta {
        Delta::Chat(at) => {
            let name = CHAT_KEYS.get(usize::from(at)).unwrap_or(&"content");
            (format!("\"delta\":{{\"{name}\":\""), b"\"},\"finish_reason\":null}]}")
        }
        Delta::ChatTool => (
            format!("\"delta\":{{\"tool_calls\":[{{\"index\":{},\"function\":{{\"arguments\":\"", key.b),
            b"\"}}]},\"finish_reason\":null}]}",
        ),
        Delta::ChatFunction => {
            ("\"delta\":{\"function_call\":{\"arguments\":\"".to_owned(), b"\"}},\"finish_reason\":null}]}")
        }
        Delta::ChatAudio => {
            ("\"delta\":{\"audio\":{\"transcript\":\"".to_owned(), b"\"}},\"finish_reason\":null}]}")
        }
        _ => ("\"text\":\"".to_owned(), b"\",\"finish_reason\":null}]}"),
    };
    before.extend_from_slice(format!("\"choices\":[{{\"index\":{},{open}", key.a).as_bytes());
    (before, close.to_vec())
}

fn block(key: Key, at: u8) -> (Vec<u8>, Vec<u8>) {
    let (member, kind) = BLOCK_KEYS.get(usize::from(at)).unwrap_or(&("text", "text_delta"));
    let before = format!(
        "{{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"{kind}\",\"{member}\":\"",
        key.a
    );
    (before.into_bytes(), b"\"}}".to_vec())
}

fn response(root: &Root, data: &[u8], edits: &Edits) -> (Vec<u8>, Vec<u8>) {
    let mut before = vec![b'{'];
    put(&mut before, "type", root.kind.as_ref(), data, edits);
    put(&mut before, "sequence_number", root.sequence.as_ref(), data, edits);
    put(&mut before, "response_id", root.response.as_ref(), data, edits);
    put(&mut before, "item_id", root.item.as_ref(), data, edits);
    before.extend_from_slice(format!("\"output_index\":{},", root.output).as_bytes());
    for (member, index) in [("content_index", root.content), ("summary_index", root.summary)] {
        if let Some(index) = index {
            before.extend_from_slice(format!("\"{member}\":{index},").as_bytes());
        }
    }
    before.extend_from_slice(b"\"delta\":\"");
    (before, b"\"}".to_vec())
}

fn gemini(key: Key) -> (Vec<u8>, Vec<u8>) {
    let after = format!("\"}}]}},\"index\":{}}}]}}", key.a);
    let before = br#"{"candidates":[{"content":{"role":"model","parts":[{"text":""#;
    (before.to_vec(), after.into_bytes())
}

/// The event without any piece of text, and where the first one of this text was.
fn emptied(key: Key, data: &[u8], edits: &Edits, slots: &[Slot]) -> (Vec<u8>, Vec<u8>) {
    let mut gaps: Vec<_> = slots.iter().map(|s| (s.content.clone(), s.channel == key)).collect();
    gaps.sort_by_key(|(content, _)| content.start);
    let (mut before, mut after) = (Vec::with_capacity(data.len()), Vec::new());
    let (mut at, mut seen) = (0, false);
    for (content, own) in gaps {
        edits.write_range(data, at..content.start, if seen { &mut after } else { &mut before });
        seen |= own;
        at = content.end;
    }
    edits.write_range(data, at..data.len(), if seen { &mut after } else { &mut before });
    (before, after)
}
