//! Tool calls in a model's answer are operations of their own: one that a rule blocks never reaches the caller whole.
//!
//! Promise: the frame (event, line) with which a call's arguments become complete leaves only after the call was judged; of
//! an answer in one document nothing leaves from the first word on that may belong to a call. Arguments that are not JSON have no end of their own, so nothing leaves from their beginning on until their
//! end was said. What cannot be read although it speaks of calls, and calls beyond the limits below, count as blocked:
//! *fails closed*.
//!
//! Exceptions:
//! - rules that would hold a call for a human cannot hold half an answer: they block it;
//! - a call that no rule speaks of passes: tool calls are not denied by default, since their answer was allowed;
//! - calls in AWS event streams and in binary formats are not looked at.

mod collect;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use keyward_core::{Operation, OperationClass};
use keyward_wire::sse::{self, Framer};
use memchr::memmem::Finder;

use self::collect::{Calls, Due};
use crate::refusal::{Refusal, RefusalKind};

/// The longest answer that is not a stream and may hold calls, in bytes.
pub(super) const WHOLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What may be withheld of a stream, and the longest line of one, in bytes.
const WITHHELD_BYTES_MAX: usize = 1024 * 1024;

/// How an answer is cut into documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// JSON, one document a line.
    Lines,
    /// One JSON document.
    Whole,
}

impl Form {
    /// By content type; none where no calls can be read.
    pub(super) fn of(content_type: Option<&str>) -> Option<Self> {
        let essence = content_type?.split(';').next()?.trim().to_ascii_lowercase();
        match &*essence {
            "text/event-stream" => Some(Self::Events),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Lines),
            "application/json" => Some(Self::Whole),
            _ => None,
        }
    }
}

/// Whether an operation's answer can hold calls of tools.
pub(super) const fn may_call(class: OperationClass) -> bool {
    matches!(
        class,
        OperationClass::ChatCompletions
            | OperationClass::Responses
            | OperationClass::ModelInfer
            | OperationClass::Realtime
    )
}

/// Says of one call, by the tool's name and its arguments, whether it is blocked.
pub(super) type Judge = Box<dyn FnMut(&str, &str) -> Result<(), Refusal> + Send>;

/// Follows an answer on its way to the masker.
pub(super) struct CallGuard {
    cut: Cut,
    calls: Calls,
    judge: Judge,
    /// Frames that wait for the end of a call.
    withheld: Vec<u8>,
}

enum Cut {
    Events {
        framer: Framer,
        first: bool,
    },
    Lines(Vec<u8>),
    /// All of it so far, how much of that has left, and whether it speaks of calls: nothing leaves from there on.
    Whole {
        all: Vec<u8>,
        left: usize,
        speaks: bool,
    },
}

impl CallGuard {
    pub(super) fn new(form: Form, judge: Judge) -> Self {
        let cut = match form {
            Form::Events => Cut::Events { framer: Framer::new(), first: true },
            Form::Lines => Cut::Lines(Vec::new()),
            Form::Whole => Cut::Whole { all: Vec::new(), left: 0, speaks: false },
        };
        Self { cut, calls: Calls::default(), judge, withheld: Vec::new() }
    }

    /// Takes what came; writes what may leave.
    pub(super) fn push(&mut self, mut data: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Self { cut, calls, judge, withheld } = self;
        match cut {
            Cut::Events { framer, first } => {
                while let Some(frame) = framer.next(&mut data).map_err(|_| too_long())? {
                    let document = event_data(frame, std::mem::take(first));
                    pass(calls, judge, withheld, &document, frame, out)?;
                }
                Ok(())
            }
            Cut::Lines(held) => {
                while let Some(lf) = memchr::memchr(b'\n', data) {
                    let (line, rest) = data.split_at_checked(lf + 1).unwrap_or((data, &[]));
                    data = rest;
                    if held.is_empty() {
                        pass(calls, judge, withheld, line, line, out)?;
                    } else {
                        held.extend_from_slice(line);
                        pass(calls, judge, withheld, held, held, out)?;
                        held.clear();
                    }
                }
                if held.len() + data.len() > WITHHELD_BYTES_MAX {
                    return Err(too_long());
                }
                held.extend_from_slice(data);
                Ok(())
            }
            Cut::Whole { all, left, speaks } => {
                if all.len() + data.len() > WHOLE_BYTES_MAX {
                    return Err(too_long());
                }
                let looked = all.len().saturating_sub(WORD_BYTES_MAX);
                all.extend_from_slice(data);
                *speaks |= speaks_of_calls(all.get(looked..).unwrap_or_default());
                if !*speaks {
                    // A word may be cut here, and nobody has the document before its end was judged.
                    let end = all.len().saturating_sub(WORD_BYTES_MAX);
                    out.extend_from_slice(all.get(*left..end).unwrap_or_default());
                    *left = end.max(*left);
                }
                Ok(())
            }
        }
    }

    /// The answer is at its end.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Self { cut, calls, judge, withheld } = self;
        match cut {
            Cut::Events { framer, first } => {
                let rest = framer.rest().to_vec();
                let document = event_data(&rest, *first);
                pass(calls, judge, withheld, &document, &rest, out)?;
            }
            Cut::Lines(held) => pass(calls, judge, withheld, held, held, out)?,
            Cut::Whole { all, left, .. } => {
                read(calls, all)?;
                out.extend_from_slice(all.get(*left..).unwrap_or_default());
            }
        }
        calls.close_all();
        judged(calls, judge)?;
        out.append(withheld);
        Ok(())
    }
}

/// Follows the messages of a WebSocket on their way to the masker, each a document of its own.
pub(crate) struct MessageGuard {
    calls: Calls,
    judge: Judge,
    withheld: Vec<u8>,
}

impl MessageGuard {
    pub(super) fn new(judge: Judge) -> Self {
        Self { calls: Calls::default(), judge, withheld: Vec::new() }
    }

    /// Takes a message, and the frames it came in; writes what may leave.
    pub(crate) fn message(&mut self, payload: &[u8], raw: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        pass(&mut self.calls, &mut self.judge, &mut self.withheld, payload, raw, out)
    }

    /// No message follows.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.calls.close_all();
        judged(&mut self.calls, &mut self.judge)?;
        out.append(&mut self.withheld);
        Ok(())
    }
}

/// Judges what a frame completes, then lets it through, unless a call without an end is open.
fn pass(
    calls: &mut Calls,
    judge: &mut Judge,
    withheld: &mut Vec<u8>,
    document: &[u8],
    frame: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    read(calls, document)?;
    judged(calls, judge)?;
    if calls.withhold() {
        if withheld.len() + frame.len() > WITHHELD_BYTES_MAX {
            return Err(too_long());
        }
        withheld.extend_from_slice(frame);
    } else {
        out.append(withheld);
        out.extend_from_slice(frame);
    }
    Ok(())
}

fn read(calls: &mut Calls, document: &[u8]) -> Result<(), Refusal> {
    let text = document.trim_ascii();
    if text == b"[DONE]" {
        calls.close_all();
        return Ok(());
    }
    // Most frames are text of the answer, and are not worth parsing.
    if text.is_empty() || !(calls.any_open() || speaks_of_calls(text)) {
        return Ok(());
    }
    match serde_json::from_slice(text) {
        Ok(value) => calls.see(&value).map_err(|collect::TooMuch| too_long()),
        Err(error) => Err(unreadable().because(error)),
    }
}

fn judged(calls: &mut Calls, judge: &mut Judge) -> Result<(), Refusal> {
    while let Some(Due { name, arguments }) = calls.next_due() {
        judge(&name, &arguments)?;
    }
    Ok(())
}

/// The longest word of [`speaks_of_calls`], in bytes.
const WORD_BYTES_MAX: usize = 12;

/// Whether a document may hold a call: it has one of these names, or a name that is written with escapes.
fn speaks_of_calls(document: &[u8]) -> bool {
    static WORDS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
        ["tool", "unction", "arguments", "partial_json", "_call", "\\u"]
            .map(|word| Finder::new(word.as_bytes()))
    });
    WORDS.iter().any(|word| word.find(document).is_some())
}

/// The data of an event, its lines joined.
fn event_data(frame: &[u8], first: bool) -> Vec<u8> {
    let mut data = Vec::new();
    for line in sse::lines(frame, first) {
        if frame.get(line.name.clone()) == Some(b"data") {
            data.extend_from_slice(frame.get(line.value).unwrap_or_default());
            data.push(b'\n');
        }
    }
    data
}

fn too_long() -> Refusal {
    Refusal::new(
        RefusalKind::Blocked,
        "The model's answer calls tools at a length that cannot be judged, so it was stopped; ask for less at once.",
    )
}

fn unreadable() -> Refusal {
    Refusal::new(
        RefusalKind::Blocked,
        "The model's answer speaks of tool calls in JSON that cannot be read, so it was stopped.",
    )
}

/// What a rule may ask of a call: the operation that its request was, with what the call does in its place.
pub(super) fn called(request: &Operation, tool: &str, arguments: &str) -> Operation {
    let call = crate::understand::tool_call(tool, arguments);
    let mut operation = request.clone();
    operation.class = call.class;
    operation.resource.tools = vec![tool.to_owned()];
    operation.resource.file = call.file;
    operation.touches_secret_file = call.touches_secret_file;
    operation.fetches_private = call.fetches_private;
    operation.inner = Vec::new();
    operation.body_bytes = Some(arguments.len() as u64);
    operation
}
