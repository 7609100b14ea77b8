//! What one event's JSON data holds: its strings, and the facts that say where they belong.

use std::ops::Range;

use keyward_wire::json::{Scanner, StringRole, Token};

use super::super::paths::{self, Delta, Mark, Rule};
use super::channel::hash;
use crate::fields::Fields;
use crate::profile::FieldIndex;

/// What becomes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// A text of its own.
    Whole,
    /// A piece of a channel, at two positions in arrays.
    Delta(Delta, u64, u64),
    /// A signature or binary content: looked at for known values only.
    Exempt,
    /// Masked whatever it holds.
    Field(FieldIndex),
    /// A number or word that is masked whatever it holds; a string stands for it.
    Scalar(FieldIndex),
}

/// A string of the data; ranges are offsets into the data.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The raw content, without quotes.
    pub(super) content: Range<usize>,
    /// From the beginning of the string's own key where it stands right before, else as `content`.
    pub(super) identity: Range<usize>,
    /// Its context, an offset range into [`Event::contexts`].
    pub(super) context: Range<usize>,
    pub(super) treatment: Treatment,
}

/// One of `choices`.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// Its place in the array.
    position: u64,
    index: Option<u64>,
    finished: bool,
}

/// What the data could not be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Not JSON.
    Invalid,
    TooDeep,
    /// More than [`STRINGS_MAX`] strings.
    TooMany,
}

/// How many strings, keys included, one event may have.
pub(super) const STRINGS_MAX: usize = 100_000;

/// The members at the root that say which text an event belongs to; raw values, strings with their quotes.
#[derive(Debug, Clone, Default)]
pub(super) struct Root {
    pub(super) id: Option<Range<usize>>,
    pub(super) object: Option<Range<usize>>,
    pub(super) created: Option<Range<usize>>,
    pub(super) model: Option<Range<usize>>,
    pub(super) kind: Option<Range<usize>>,
    pub(super) item: Option<Range<usize>>,
    pub(super) sequence: Option<Range<usize>>,
    pub(super) index: u64,
    pub(super) output: u64,
    pub(super) content: Option<u64>,
    pub(super) summary: Option<u64>,
    /// `contentBlockIndex`, also in the one member that names the event.
    pub(super) block: Option<u64>,
    /// The event is a `contentBlockStop` by that member.
    pub(super) block_stops: bool,
    /// The response it belongs to, raw.
    pub(super) response: Option<Range<usize>>,
    marks: [bool; 5],
}

impl Root {
    /// Whether the event has the member.
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.marks.get(mark as usize).copied().unwrap_or(false)
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(mark as usize) {
            *slot = true;
        }
    }
}

/// The reading of one event; kept and used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Event {
    scanner: Scanner,
    pub(super) fields: Vec<Field>,
    pub(super) contexts: Vec<u8>,
    choices: Vec<Choice>,
    /// Position of the choice, position of the call, the call's index.
    tools: Vec<(u64, u64, u64)>,
    /// Position of the candidate, number of the partial argument, and where in the call's arguments it belongs, hashed.
    arguments: Vec<(u64, u64, u64)>,
    /// Values of log probabilities, with the position of their choice.
    pub(super) logprobs: Vec<(Option<u64>, Range<usize>)>,
    pub(super) root: Root,
    /// A member says that the whole answer is finished.
    pub(super) finished: bool,
}

impl Event {
    /// Forgets the event before.
    pub(super) fn clear(&mut self) {
        self.scanner.reset();
        self.fields.clear();
        self.contexts.clear();
        self.choices.clear();
        self.tools.clear();
        self.arguments.clear();
        self.logprobs.clear();
        self.root = Root::default();
        self.finished = false;
    }

    /// Reads an event's data, after a [`Event::clear`].
    pub(super) fn read(&mut self, fields: &Fields, data: &[u8]) -> Result<(), Unread> {
        let mut at = 0;
        let mut string = 0;
        let mut key: Option<usize> = None;
        let mut open_logprobs: Option<(usize, usize)> = None;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let step = self.scanner.step(rest);
            let start = at;
            at += step.used;
            if self.fields.len() > STRINGS_MAX {
                return Err(Unread::TooMany);
            }
            match step.token {
                Token::More if rest.is_empty() => break,
                Token::Invalid => return Err(Unread::Invalid),
                Token::TooDeep => return Err(Unread::TooDeep),
                Token::Begin(_) => string = at,
                Token::End(StringRole::Key) => {
                    key = Some(string);
                    self.string(string..start, string, Treatment::Whole, false);
                }
                Token::End(StringRole::Value) => {
                    self.value(fields, string..start, key.take().unwrap_or(string));
                    self.fact(data, string - 1..at, true);
                }
                Token::Scalar(len) => {
                    key = None;
                    self.fact(data, at - len..at, false);
                    if let Some(field) = fields.at(self.scanner.path())
                        && self.scanner.scalar() != b"null"
                    {
                        self.string(at - len..at, at - len, Treatment::Scalar(FieldIndex(field)), false);
                    }
                }
                Token::Open(_) => {
                    key = None;
                    let path = self.scanner.path();
                    let depth = path.depth();
                    let outer = depth.checked_sub(2).and_then(|level| path.key(level));
                    if open_logprobs.is_none() && outer.is_some_and(paths::repeats_tokens) {
                        open_logprobs = Some((depth, start));
                    }
                }
                Token::Close(_) => {
                    let path = self.scanner.path();
                    if let Some((_, from)) = open_logprobs.take_if(|(depth, _)| path.depth() < *depth) {
                        let choices = matches!(path.key(0), Some(b"choices" | b"candidates"));
                        let choice = path.index(1).filter(|_| choices);
                        self.logprobs.push((choice, from..at));
                    }
                }
                _ => {}
            }
        }
        if self.scanner.is_complete() { Ok(()) } else { Err(Unread::Invalid) }
    }

    fn string(&mut self, content: Range<usize>, identity: usize, treatment: Treatment, with_context: bool) {
        let from = self.contexts.len();
        if with_context {
            self.contexts.extend_from_slice(paths::context(self.scanner.path()));
        }
        let identity = identity..content.end;
        self.fields.push(Field { content, identity, context: from..self.contexts.len(), treatment });
    }

    fn value(&mut self, fields: &Fields, content: Range<usize>, identity: usize) {
        let path = self.scanner.path();
        let treatment = match (paths::rule(fields, path), paths::delta(path)) {
            (Rule::Field(field), _) => Treatment::Field(field),
            (_, Some((delta, a, b))) => Treatment::Delta(delta, a, b),
            (Rule::Exempt, None) => Treatment::Exempt,
            (Rule::None, None) => Treatment::Whole,
        };
        self.string(content, identity, treatment, treatment == Treatment::Whole);
    }

    /// Takes note of a string or scalar that says where texts belong or that they end.
    fn fact(&mut self, data: &[u8], value: Range<usize>, string: bool) {
        let path = self.scanner.path();
        let raw = data.get(value.clone()).unwrap_or_default();
        let depth = path.depth();
        let Some(key) = depth.checked_sub(1).and_then(|level| path.key(level)) else { return };
        let set = raw != b"null";
        match (path.key(0), depth) {
            (_, 1) => self.finished |= self.root.fact(key, raw, value, string),
            (Some(b"choices"), 3..) => {
                let Some(position) = path.index(1) else { return };
                match (depth, key) {
                    (3, b"index") => note(&mut self.choices, position, |c| c.index = Some(number(raw))),
                    (3, b"finish_reason") if set => {
                        note(&mut self.choices, position, |c| c.finished = true);
                    }
                    (6, b"index") if path.key(3) == Some(b"tool_calls") => {
                        let call = path.index(4).unwrap_or(0);
                        self.tools.push((position, call, number(raw)));
                    }
                    _ => {}
                }
            }
            (Some(b"candidates"), 3) => {
                let Some(position) = path.index(1) else { return };
                match key {
                    b"index" => note(&mut self.choices, position, |c| c.index = Some(number(raw))),
                    b"finishReason" if set => note(&mut self.choices, position, |c| c.finished = true),
                    _ => {}
                }
            }
            (Some(b"candidates"), 9) if key == b"jsonPath" => {
                let (Some(position), Some(at)) = (path.index(1), paths::partial_argument(path)) else {
                    return;
                };
                self.arguments.push((position, paths::argument_number(at.0, at.1), hash(raw)));
            }
            (Some(b"outputs"), 3) if key == b"stop_reason" => {
                self.root.mark(Mark::StopReason);
                self.finished |= set;
            }
            (Some(b"contentBlockStart" | b"contentBlockDelta"), 2) if key == b"contentBlockIndex" => {
                self.root.block = Some(number(raw));
            }
            (Some(b"contentBlockStop"), 2) if key == b"contentBlockIndex" => {
                self.root.block = Some(number(raw));
                self.root.block_stops = true;
            }
            (Some(b"serverContent"), 2) => {
                self.finished |= matches!(key, b"turnComplete" | b"interrupted") && raw == b"true";
            }
            (Some(b"messageStop"), 2) => self.finished |= key == b"stopReason",
            (Some(b"response"), 2) if key == b"id" => self.root.response = Some(value),
            _ => {}
        }
    }

    /// The index of the choice at a position: what it says itself, else the position.
    pub(super) fn choice_index(&self, position: u64) -> u64 {
        self.choices.iter().find(|c| c.position == position).and_then(|c| c.index).unwrap_or(position)
    }

    /// The index of a tool call, likewise.
    pub(super) fn tool_index(&self, choice: u64, position: u64) -> u64 {
        self.tools.iter().rev().find(|t| (t.0, t.1) == (choice, position)).map_or(position, |t| t.2)
    }

    /// Where in a call's arguments a partial one belongs.
    pub(super) fn argument_path(&self, candidate: u64, number: u64) -> u64 {
        self.arguments.iter().find(|a| (a.0, a.1) == (candidate, number)).map_or(0, |a| a.2)
    }

    /// Whether the event finishes any choice.
    pub(super) fn any_finished(&self) -> bool {
        self.choices.iter().any(|c| c.finished)
    }

    /// Whether the choice of this index is finished by this event.
    pub(super) fn choice_finished(&self, index: u64) -> bool {
        self.choices.iter().any(|c| c.finished && c.index.unwrap_or(c.position) == index)
    }
}

/// Notes something about the choice at a position. Choices come in order, so the last one is looked at first.
fn note(choices: &mut Vec<Choice>, position: u64, note: impl FnOnce(&mut Choice)) {
    if let Some(known) = choices.iter_mut().rev().find(|c| c.position == position) {
        return note(known);
    }
    let mut new = Choice { position, ..Choice::default() };
    note(&mut new);
    choices.push(new);
}

fn number(raw: &[u8]) -> u64 {
    std::str::from_utf8(raw).ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl Root {
    /// A member at the root; whether it says that the whole answer is finished.
    fn fact(&mut self, key: &[u8], raw: &[u8], value: Range<usize>, string: bool) -> bool {
        let truth = matches!(raw, b"true" | b"false");
        match key {
            b"id" => self.id = Some(value),
            b"object" => self.object = Some(value),
            b"created" => self.created = Some(value),
            b"model" => self.model = Some(value),
            b"type" => self.kind = Some(value),
            b"item_id" => self.item = Some(value),
            b"response_id" => self.response = Some(value),
            b"sequence_number" => self.sequence = Some(value),
            b"index" => self.index = number(raw),
            b"output_index" => self.output = number(raw),
            b"content_index" => self.content = Some(number(raw)),
            b"summary_index" => self.summary = Some(number(raw)),
            b"contentBlockIndex" => self.block = Some(number(raw)),
            b"generated_text" | b"stopReason" => return string,
            b"done" | b"is_finished" | b"stop" if truth => {
                self.mark(match key {
                    b"done" => Mark::Done,
                    b"stop" => Mark::Stop,
                    _ => Mark::Finished,
                });
                return raw == b"true";
            }
            b"stop_reason" | b"completionReason" => {
                self.mark(if key == b"stop_reason" { Mark::StopReason } else { Mark::CompletionReason });
                return raw != b"null";
            }
            _ => {}
        }
        false
    }
}
