//! Which place in a model's answer holds what.

use keyward_wire::json::Path;

use crate::fields::Fields;
use crate::profile::FieldIndex;

/// What is said of a place by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing: its text is looked at.
    None,
    /// It is masked whatever it holds.
    Field(FieldIndex),
    /// A signature or binary content, or what a rule leaves alone: only known values are masked.
    Exempt,
}

/// The rule for the value at `path`. A field that is masked stays masked where a rule leaves it alone.
pub(super) fn rule(fields: &Fields, path: &Path) -> Rule {
    match fields.at(path) {
        Some(field) => Rule::Field(FieldIndex(field)),
        None if is_exempt(path) || fields.excepts(path) => Rule::Exempt,
        None => Rule::None,
    }
}

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
    /// `candidates[i].content.parts[j].functionCall.partialArgs[k].stringValue`
    GeminiArgument,
    /// `token.text`
    Tgi,
    /// `delta.message.…`; the number is an index into [`COHERE_KEYS`].
    Cohere(u8),
    /// `contentBlockDelta.delta.…`; the number is an index into [`CONVERSE_KEYS`]. Where the event's name stands
    /// outside its data, the path begins with `delta`.
    Converse(u8),
    /// `serverContent.…`: Gemini over a socket; the number is an index into [`LIVE_KEYS`].
    Live(u8),
    /// A text beside a member that marks the shape; the number is an index into [`MARKED_KEYS`].
    Marked(u8),
    /// The whole data of an event that is not JSON.
    Plain,
}

/// The keys of a chat delta whose strings are channels.
pub(super) const CHAT_KEYS: [&str; 5] = ["content", "reasoning_content", "reasoning", "refusal", "thinking"];

/// The keys of an Anthropic block's delta whose strings are channels, and the delta's `type`.
pub(super) const BLOCK_KEYS: [(&str, &str); 3] =
    [("text", "text_delta"), ("partial_json", "input_json_delta"), ("thinking", "thinking_delta")];

/// The paths below `delta.message` whose strings are channels: answer, thoughts, the plan to use tools, arguments.
const COHERE_KEYS: [&[&[u8]]; 4] = [
    &[b"content", b"text"],
    &[b"content", b"thinking"],
    &[b"tool_plan"],
    &[b"tool_calls", b"function", b"arguments"],
];
/// In [`COHERE_KEYS`], where those of a tool call begin.
pub(super) const COHERE_TOOL: u8 = 3;

/// The paths below a Bedrock Converse `delta` whose strings are channels.
const CONVERSE_KEYS: [&[&[u8]]; 3] = [&[b"text"], &[b"toolUse", b"input"], &[b"reasoningContent", b"text"]];

/// The paths below `serverContent` whose strings are channels, beside `modelTurn.parts[i].text`, which comes first.
const LIVE_KEYS: [&[&[u8]]; 2] = [&[b"outputTranscription", b"text"], &[b"inputTranscription", b"text"]];

/// A member at the root by which a shape is known: without it the same string may stand in any record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `done`, a boolean: Ollama.
    Done,
    /// `is_finished`, a boolean: Cohere before version 2.
    Finished,
    /// `stop_reason`, or the same in one of `outputs`: Llama, Mistral and old Claude models behind Bedrock.
    StopReason,
    /// `completionReason`: Titan.
    CompletionReason,
    /// `stop`, a boolean: llama.cpp.
    Stop,
}

/// Streams of lines have no events with types: what is a piece of a text there is told by another member.
pub(super) const MARKED_KEYS: [(&[&[u8]], Mark); 10] = [
    (&[b"response"], Mark::Done),
    (&[b"thinking"], Mark::Done),
    (&[b"message", b"content"], Mark::Done),
    (&[b"message", b"thinking"], Mark::Done),
    (&[b"text"], Mark::Finished),
    (&[b"tool_call_delta", b"parameters"], Mark::Finished),
    (&[b"generation"], Mark::StopReason),
    (&[b"completion"], Mark::StopReason),
    (&[b"outputText"], Mark::CompletionReason),
    (&[b"content"], Mark::Stop),
];
/// Stands for `outputs[i].text` beside the paths of [`MARKED_KEYS`]; its mark is [`Mark::StopReason`].
const MARKED_OUTPUTS: u8 = 10;

/// The mark that makes a [`Delta::Marked`] one.
pub(super) fn mark_of(at: u8) -> Mark {
    MARKED_KEYS.get(usize::from(at)).map_or(Mark::StopReason, |(_, mark)| *mark)
}

/// Which of `lists` the keys from `level` to the path's end are.
fn listed<'a>(path: &Path, level: usize, lists: impl Iterator<Item = &'a [&'a [u8]]>) -> Option<u8> {
    let is = |keys: &[&[u8]]| {
        keys.len() + level == path.depth()
            && (level..).zip(keys).all(|(level, key)| path.key(level) == Some(key))
    };
    (0u8..).zip(lists).find_map(|(at, keys)| is(keys).then_some(at))
}

fn chat_key(key: &[u8]) -> Option<Delta> {
    let at = CHAT_KEYS.iter().position(|k| k.as_bytes() == key)?;
    u8::try_from(at).ok().map(Delta::Chat)
}

fn block_key(key: &[u8]) -> Option<Delta> {
    let at = BLOCK_KEYS.iter().position(|(k, _)| k.as_bytes() == key)?;
    u8::try_from(at).ok().map(Delta::Block)
}

impl Delta {
    /// Whether the text belongs to one of `choices` or `candidates`.
    pub(super) fn is_choice(self) -> bool {
        matches!(
            self,
            Self::Chat(_)
                | Self::ChatFunction
                | Self::ChatTool
                | Self::ChatAudio
                | Self::Completion
                | Self::Gemini
                | Self::GeminiArgument
        )
    }
}

/// Whether the value of a member repeats a text token by token.
pub(super) fn repeats_tokens(key: &[u8]) -> bool {
    matches!(key, b"logprobs" | b"logprobsResult" | b"top_tokens" | b"completion_probabilities")
}

/// The key that a string value belongs to, as context. The tokens of log probabilities have none: `"token": "…"` would
/// make a secret of every one.
pub(super) fn context(path: &Path) -> &[u8] {
    let tokens = (0..path.depth()).any(|i| path.key(i).is_some_and(repeats_tokens));
    path.last_key().filter(|_| !tokens).unwrap_or_default()
}

/// What a string value is, and up to two positions in arrays around it.
pub(super) fn delta(path: &Path) -> Option<(Delta, u64, u64)> {
    let index = |level| path.index(level).unwrap_or(0);
    let found = match path.key(0)? {
        b"choices" => return choice_delta(path),
        b"delta" if path.depth() == 1 => Delta::Response,
        b"delta" | b"content_block" if path.depth() == 2 => block_key(path.key(1)?)?,
        b"delta" if path.key(1) == Some(b"message") => {
            Delta::Cohere(listed(path, 2, COHERE_KEYS.iter().copied())?)
        }
        b"delta" => Delta::Converse(listed(path, 1, CONVERSE_KEYS.iter().copied())?),
        b"contentBlockDelta" if path.key(1) == Some(b"delta") => {
            Delta::Converse(listed(path, 2, CONVERSE_KEYS.iter().copied())?)
        }
        b"candidates" if path.depth() == 6 => {
            let parts = path.key(2) == Some(b"content") && path.key(3) == Some(b"parts");
            // Every part with text continues the candidate's text: parts of one event do not line up with the next one's.
            return (parts && path.key(5) == Some(b"text")).then(|| (Delta::Gemini, index(1), 0));
        }
        b"candidates" if path.depth() == 9 => {
            let (part, argument) = partial_argument(path)?;
            let value = path.key(8) == Some(b"stringValue");
            return value.then(|| (Delta::GeminiArgument, index(1), argument_number(part, argument)));
        }
        b"token" if path.depth() == 2 && path.key(1) == Some(b"text") => Delta::Tgi,
        b"outputs" if path.depth() == 3 => {
            path.index(1)?;
            return (path.key(2) == Some(b"text")).then(|| (Delta::Marked(MARKED_OUTPUTS), index(1), 0));
        }
        b"serverContent" if path.key(1) == Some(b"modelTurn") => {
            let text = path.key(2) == Some(b"parts") && path.key(4) == Some(b"text") && path.depth() == 5;
            return text.then_some((Delta::Live(0), 0, 0));
        }
        b"serverContent" => Delta::Live(1 + listed(path, 1, LIVE_KEYS.iter().copied())?),
        _ => Delta::Marked(listed(path, 0, MARKED_KEYS.iter().map(|(keys, _)| *keys))?),
    };
    Some((found, 0, 0))
}

/// Which of a candidate's parts, and which of its partial arguments, a member belongs to.
pub(super) fn partial_argument(path: &Path) -> Option<(u64, u64)> {
    let keys =
        [(0, &b"candidates"[..]), (2, b"content"), (3, b"parts"), (5, b"functionCall"), (6, b"partialArgs")];
    let found = path.depth() == 9 && keys.iter().all(|(level, key)| path.key(*level) == Some(key));
    found.then_some(())?;
    Some((path.index(4)?, path.index(7)?))
}

/// Both positions in one number; a frame is too short for more of either.
pub(super) const fn argument_number(part: u64, argument: u64) -> u64 {
    part << 32 | argument
}

fn choice_delta(path: &Path) -> Option<(Delta, u64, u64)> {
    let index = |level| path.index(level).unwrap_or(0);
    path.index(1)?;
    let found = match (path.depth(), path.key(2)?) {
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
    };
    Some((found, index(1), 0))
}

/// Whether a string value is a signature or binary content: it must stay intact, so no detector looks at it. Known
/// values are masked there too.
///
/// Named by key, and for short names by the object around it too.
fn is_exempt(path: &Path) -> bool {
    let around =
        |key: &[u8]| (0..path.depth().saturating_sub(1)).rev().find_map(|i| path.key(i)) == Some(key);
    match path.last_key() {
        Some(
            b"encrypted_content" | b"b64_json" | b"partial_image_b64" | b"embedding" | b"thoughtSignature"
            | b"thought_signature" | b"redactedContent",
        ) => true,
        Some(b"signature") => {
            let places: [&[u8]; 6] =
                [b"delta", b"content_block", b"content", b"message", b"reasoningContent", b"reasoningText"];
            places.iter().any(|k| around(k))
        }
        Some(b"data") => {
            let places: [&[u8]; 6] =
                [b"inlineData", b"inline_data", b"input_audio", b"audio", b"source", b"content_block"];
            places.iter().any(|k| around(k))
        }
        _ => false,
    }
}
