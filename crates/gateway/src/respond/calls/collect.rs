//! Collects the calls of tools from the documents of an answer, whichever model API wrote them.
//!
//! Calls are known by their shape, not by the dialect of the connection: `tool_calls`, `function_call`, `functionCall`,
//! items and blocks whose type is a call, and the deltas that continue them (OpenAI chat and Responses, Anthropic,
//! Gemini, Ollama, Cohere, and servers that speak like them).

use serde_json::{Map, Value};

/// Calls that may be open at once.
const OPEN_MAX: usize = 128;
/// All arguments of open calls together, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 1024 * 1024;

/// Types of items and blocks that are calls which the caller is to execute.
const CALL_TYPES: &[&str] = &[
    "tool_use",
    "mcp_tool_use",
    "server_tool_use",
    "function_call",
    "custom_tool_call",
    "mcp_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
    "tool_call",
];
/// Where the arguments of a call stand.
const ARGUMENTS: &[&str] = &["arguments", "args", "input", "action", "operation", "parameters"];

/// A call that is to be judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) name: String,
    pub(super) arguments: String,
}

/// More calls, or longer ones, than are looked at.
#[derive(Debug)]
pub(super) struct TooMuch;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Call>,
    due: Vec<Due>,
    bytes: usize,
}

#[derive(Debug)]
struct Call {
    /// Where it stands in the answer: what continues it has the same.
    place: Vec<u64>,
    id: String,
    name: String,
    arguments: String,
    end: Balance,
}

/// Follows arguments that come in pieces to the end of their JSON.
#[derive(Debug, Default)]
struct Balance {
    began: bool,
    depth: usize,
    text: Text,
    /// They are no object or list, or go on after one.
    free: bool,
}

/// Whether a text in them is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Text {
    #[default]
    No,
    Open,
    Escape,
}

impl Balance {
    /// Whether these bytes complete them.
    fn push(&mut self, text: &str) -> bool {
        let mut complete = false;
        for byte in text.bytes() {
            self.text = match (self.text, byte) {
                (Text::Escape, _) => Text::Open,
                (Text::Open, b'\\') => Text::Escape,
                (Text::Open, b'"') => {
                    self.text = Text::No;
                    continue;
                }
                (text, _) => text,
            };
            if self.text != Text::No {
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'{' | b'[' if self.depth > 0 || !self.began => {
                    self.began = true;
                    self.depth += 1;
                }
                _ if self.depth == 0 => self.free = true,
                b'}' | b']' => {
                    self.depth -= 1;
                    complete |= self.depth == 0;
                }
                b'"' => self.text = Text::Open,
                _ => {}
            }
        }
        complete && !self.free
    }
}

impl Calls {
    /// Takes one document of the answer.
    pub(super) fn see(&mut self, document: &Value) -> Result<(), TooMuch> {
        let Value::Object(top) = document else { return self.walk(document, &mut Vec::new()) };
        let kind = top.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut place: Vec<u64> =
            ["output_index", "index"].iter().filter_map(|name| top.get(*name)?.as_u64()).collect();
        if let Some(piece) = top.get("delta").and_then(Value::as_str)
            && continues(kind)
        {
            self.add(&place, "", "", piece)?;
        }
        self.walk(document, &mut place)?;
        let done = continues(kind) && kind.rsplit('.').next() == Some("done");
        if done || matches!(kind, "content_block_stop" | "tool-call-end") {
            self.close(&place);
        } else if ends(document) {
            self.close_all();
        }
        Ok(())
    }

    /// Whether a call has begun whose end is not known yet.
    pub(super) const fn any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a call is open that does not say by itself when it is complete.
    pub(super) fn withhold(&self) -> bool {
        self.open.iter().any(|call| call.end.free)
    }

    /// A call that is to be judged now: its name is new, or its arguments are complete.
    pub(super) fn next_due(&mut self) -> Option<Due> {
        self.due.pop()
    }

    /// Every call is at its end.
    pub(super) fn close_all(&mut self) {
        for call in std::mem::take(&mut self.open) {
            self.due.push(Due { name: call.name, arguments: call.arguments });
        }
        self.bytes = 0;
    }

    fn close(&mut self, place: &[u64]) {
        let (closed, open) = std::mem::take(&mut self.open).into_iter().partition(|call| call.place == place);
        self.open = open;
        for call in closed {
            let call: Call = call;
            self.bytes = self.bytes.saturating_sub(call.arguments.len());
            self.due.push(Due { name: call.name, arguments: call.arguments });
        }
    }

    /// Adds a piece to the call at a place, or begins one there.
    fn add(&mut self, place: &[u64], id: &str, name: &str, piece: &str) -> Result<(), TooMuch> {
        self.bytes += name.len() + piece.len();
        if self.bytes > ARGUMENTS_BYTES_MAX {
            return Err(TooMuch);
        }
        let here = |call: &Call| call.place == place;
        // Some servers number every call 0: another id, or another name after arguments, is another call.
        let other = self.open.iter().any(|call| {
            here(call)
                && ((!id.is_empty() && !call.id.is_empty() && call.id != id)
                    || (!name.is_empty() && !call.arguments.is_empty()))
        });
        if other {
            self.close(place);
        }
        let at = match self.open.iter().position(here) {
            Some(at) => at,
            None if self.open.len() >= OPEN_MAX => return Err(TooMuch),
            None => {
                self.open.push(Call {
                    place: place.to_vec(),
                    id: String::new(),
                    name: String::new(),
                    arguments: String::new(),
                    end: Balance::default(),
                });
                self.open.len() - 1
            }
        };
        let Some(call) = self.open.get_mut(at) else { return Ok(()) };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        call.name.push_str(name);
        call.arguments.push_str(piece);
        if call.end.push(piece) {
            self.due.push(Due { name: call.name.clone(), arguments: call.arguments.clone() });
        } else if !name.is_empty() {
            // Its name alone may be reason enough.
            self.due.push(Due { name: call.name.clone(), arguments: String::new() });
        }
        Ok(())
    }

    fn walk(&mut self, value: &Value, place: &mut Vec<u64>) -> Result<(), TooMuch> {
        match value {
            Value::Array(items) => self.each(items, place, Self::walk),
            Value::Object(map) => {
                let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
                if CALL_TYPES.contains(&kind) {
                    self.call(value, kind, place)?;
                }
                for (name, below) in map {
                    match (name.as_str(), below) {
                        ("tool_calls", Value::Array(items)) => {
                            self.each(items, place, |calls, item, place| calls.call(item, "", place))?;
                        }
                        ("tool_calls" | "function_call" | "functionCall" | "toolUse", Value::Object(_)) => {
                            self.call(below, "", place)?;
                        }
                        ("partial_json", Value::String(piece)) => self.add(place, "", "", piece)?,
                        (_, Value::Array(_) | Value::Object(_)) => self.walk(below, place)?,
                        _ => {}
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The elements of a list, each at its own place: by its `index` where it has one.
    fn each(
        &mut self,
        items: &[Value],
        place: &mut Vec<u64>,
        mut see: impl FnMut(&mut Self, &Value, &mut Vec<u64>) -> Result<(), TooMuch>,
    ) -> Result<(), TooMuch> {
        for (number, item) in items.iter().enumerate() {
            let index = item.get("index").and_then(Value::as_u64).unwrap_or(number as u64);
            place.push(index);
            see(self, item, place)?;
            place.pop();
        }
        Ok(())
    }

    /// One call, or a piece of one.
    fn call(&mut self, value: &Value, kind: &str, place: &[u64]) -> Result<(), TooMuch> {
        let Value::Object(map) = value else { return Ok(()) };
        let inner = ["function", "custom"].iter().find_map(|name| map.get(*name)?.as_object()).unwrap_or(map);
        let text = |name: &str| inner.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = ["id", "call_id"].iter().find_map(|name| map.get(*name)?.as_str()).unwrap_or_default();
        let name = if text("name").is_empty() { kind } else { text("name") };
        match arguments(inner) {
            Some(Value::String(piece)) => self.add(place, id, name, piece),
            // Anthropic begins a call with empty arguments and continues it with deltas.
            Some(Value::Object(none)) if none.is_empty() => self.add(place, id, name, ""),
            Some(Value::Null) | None => self.add(place, id, name, ""),
            Some(whole) => {
                let arguments = whole.to_string();
                if arguments.len() > ARGUMENTS_BYTES_MAX {
                    return Err(TooMuch);
                }
                self.due.push(Due { name: name.to_owned(), arguments });
                Ok(())
            }
        }
    }
}

fn arguments(map: &Map<String, Value>) -> Option<&Value> {
    ARGUMENTS.iter().find_map(|name| map.get(*name))
}

/// Whether an event of this type carries on, or ends, a call of the Responses API.
fn continues(kind: &str) -> bool {
    kind.starts_with("response.")
        && ["arguments", "tool_call_input", "call_code", "output_item"].iter().any(|word| kind.contains(word))
}

/// Whether a document says that the answer's calls are complete.
fn ends(document: &Value) -> bool {
    const REASONS: &[&str] = &["finish_reason", "stop_reason", "finishReason", "done_reason"];
    let says = |value: &Value| {
        REASONS.iter().any(|name| value.get(*name).is_some_and(Value::is_string))
            || value.get("done") == Some(&Value::Bool(true))
            || value.get("type").and_then(Value::as_str).is_some_and(|kind| {
                matches!(kind, "message_stop" | "response.completed" | "response.done" | "message-end")
            })
    };
    let inside =
        ["choices", "candidates"].iter().filter_map(|name| document.get(*name)?.as_array()).flatten();
    says(document) || document.get("delta").is_some_and(says) || inside.into_iter().any(says)
}
