//! Which place in a model's answer holds what.

use keyward_wire::json::Path;

/// A string that is a piece of a text which goes on in later events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Delta {
    /// `choices[i].delta.KEY`; the number is an index into [`CHAT_KEYS`].
    Chat(u8),
    /// `choices[i].delta.function_call.arguments`
    ChatFunction,
    /// `choices[i].delta.tool_calls[j].function.arguments`
    ChatTool,
    /// `choices[i].delta.audio.transcript`
    ChatAudio,
    /// `choices[i].text`
    Completion,
    /// `delta.KEY` or `content_block.KEY`; the number is an index into [`BLOCK_KEYS`].
    Block(u8),
    /// `delta`, where the event's `type` ends with `.delta`
    Response,
    /// `candidates[i].content.parts[j].text`
    Gemini,
    /// `token.text`
    Tgi,
    /// `delta.message.content.text`
    Cohere,
    /// The whole data of an event that is not JSON.
    Plain,
}

/// The keys of a chat delta whose strings are channels.
pub(super) const CHAT_KEYS: [&str; 5] = ["content", "reasoning_content", "reasoning", "refusal", "thinking"];

/// The keys of an Anthropic block's delta whose strings are channels, and the delta's `type`.
pub(super) const BLOCK_KEYS: [(&str, &str); 3] =
    [("text", "text_delta"), ("partial_json", "input_json_delta"), ("thinking", "thinking_delta")];

fn chat_key(key: &[u8]) -> Option<Delta> {
    let at = CHAT_KEYS.iter().position(|k| k.as_bytes() == key)?;
    u8::try_from(at).ok().map(Delta::Chat)
}

fn block_key(key: &[u8]) -> Option<Delta> {
    let at = BLOCK_KEYS.iter().position(|(k, _)| k.as_bytes() == key)?;
    u8::try_from(at).ok().map(Delta::Block)
}

impl Delta {
    /// Whether the text belongs to one of `choices`.
    pub(super) fn is_choice(self) -> bool {
        matches!(
            self,
            Self::Chat(_) | Self::ChatFunction | Self::ChatTool | Self::ChatAudio | Self::Completion
        )
    }
}

/// The key that a string value belongs to, as context. The tokens of log probabilities have none: `"token": "…"` would
/// make a secret of every one.
pub(super) fn context(path: &Path) -> &[u8] {
    let logprobs = (0..path.depth()).any(|i| path.key(i) == Some(b"logprobs"));
    path.last_key().filter(|_| !logprobs).unwrap_or_default()
}

/// What a string value is, and up to two positions in arrays around it.
pub(super) fn delta(path: &Path) -> Option<(Delta, u64, u64)> {
    let index = |level| path.index(level).unwrap_or(0);
    let found = match path.key(0)? {
        b"choices" => {
            path.index(1)?;
            match (path.depth(), path.key(2)?) {
                (3, b"text") => Delta::Completion,
                (4, b"delta") => chat_key(path.key(3)?)?,
                (5, b"delta") => match (path.key(3)?, path.key(4)?) {
                    (b"function_call", b"arguments") => Delta::ChatFunction,
                    (b"audio", b"transcript") => Delta::ChatAudio,
                    _ => return None,
                },
                (7, b"delta") if path.key(3) == Some(b"tool_calls") => {
                    let arguments = path.key(5) == Some(b"function") && path.key(6) == Some(b"arguments");
                    return arguments.then(|| (Delta::ChatTool, index(1), index(4)));
                }
                _ => return None,
            }
        }
        b"delta" if path.depth() == 1 => Delta::Response,
        b"delta" | b"content_block" if path.depth() == 2 => block_key(path.key(1)?)?,
        b"delta" if path.depth() == 4 => {
            let content = path.key(1) == Some(b"message") && path.key(2) == Some(b"content");
            return (content && path.key(3) == Some(b"text")).then_some((Delta::Cohere, 0, 0));
        }
        b"candidates" if path.depth() == 6 => {
            let parts = path.key(2) == Some(b"content") && path.key(3) == Some(b"parts");
            // Every part with text continues the candidate's text: parts of one event do not line up with the next one's.
            return (parts && path.key(5) == Some(b"text")).then(|| (Delta::Gemini, index(1), 0));
        }
        b"token" if path.depth() == 2 && path.key(1) == Some(b"text") => Delta::Tgi,
        _ => return None,
    };
    Some((found, index(1), 0))
}

/// Whether a string value is a signature or binary content: it must stay intact, so no detector looks at it. Known
/// values are masked there too.
///
/// Named by key, and for short names by the object around it too.
pub(super) fn is_exempt(path: &Path) -> bool {
    let around =
        |key: &[u8]| (0..path.depth().saturating_sub(1)).rev().find_map(|i| path.key(i)) == Some(key);
    match path.last_key() {
        Some(
            b"encrypted_content" | b"b64_json" | b"partial_image_b64" | b"embedding" | b"thoughtSignature"
            | b"thought_signature",
        ) => true,
        Some(b"signature") => {
            around(b"delta") || around(b"content_block") || around(b"content") || around(b"message")
        }
        Some(b"data") => [&b"inlineData"[..], b"inline_data", b"input_audio", b"audio", b"source"]
            .iter()
            .any(|k| around(k)),
        _ => false,
    }
}
