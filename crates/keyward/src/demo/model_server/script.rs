//! What the model says: chosen by the model's name, or by a word in the prompt.

use std::time::Duration;

use serde_json::Value;

use super::Server;

/// A model that the server offers.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Words in a prompt that lead to the same answer.
    words: &'static [&'static str],
    act: Act,
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Talk,
    Aws,
    PrivateKey,
    Tool,
    Echo,
    Fail,
    Slow,
}

/// Every model, the one for ordinary talk first.
pub const MODELS: &[Model] = &[
    Model { name: "demo-chat", words: &[], act: Act::Talk },
    Model { name: "demo-aws", words: &["aws"], act: Act::Aws },
    Model { name: "demo-pem", words: &["private key", "pem"], act: Act::PrivateKey },
    Model { name: "demo-tools", words: &["tool", "deploy"], act: Act::Tool },
    Model { name: "demo-echo", words: &["echo"], act: Act::Echo },
    Model { name: "demo-error", words: &["fail"], act: Act::Fail },
    Model { name: "demo-slow", words: &["slow"], act: Act::Slow },
    Model { name: "demo-embed", words: &[], act: Act::Talk },
];

/// Time between two deltas.
const PACE: Duration = Duration::from_millis(4);
const SLOW_PACE: Duration = Duration::from_millis(100);

/// One answer.
pub(super) struct Script {
    /// What is said; for a failure, the error's message.
    pub(super) text: String,
    /// The tool that is called instead.
    pub(super) tool: Option<ToolCall>,
    /// Whether this is an error with status 500.
    pub(super) fails: bool,
    /// Time between two deltas of a stream.
    pub(super) pace: Duration,
    /// Tokens of the prompt, roughly.
    pub(super) input_tokens: usize,
}

/// A call of a tool.
pub(super) struct ToolCall {
    pub(super) name: String,
    /// A JSON object as text.
    pub(super) arguments: String,
}

impl Script {
    /// The answer to `body`, a request of any of the dialects; `key` is the key that came with it.
    pub(super) fn choose(body: &Value, server: &Server, key: &str) -> Self {
        let prompt = last_text(body);
        let lower = prompt.to_lowercase();
        let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
        let act = match MODELS.iter().find(|known| known.name == model && known.act != Act::Talk) {
            Some(known) => known.act,
            None => MODELS
                .iter()
                .find(|known| known.words.iter().any(|word| lower.contains(word)))
                .map_or(Act::Talk, |known| known.act),
        };
        let leaks = &server.leaks;
        let mut tool = None;
        let text = match act {
            Act::Talk => "Hello! I am the demo's model. Ask me about aws, a private key, a tool, or to echo."
                .to_owned(),
            Act::Slow => {
                "This answer takes its time, so that you can watch it come, or hang up in the middle of it."
                    .to_owned()
            }
            Act::Aws => format!(
                "Sure, these are the credentials of the training bucket.\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nKeep them safe!",
                leaks.aws_access_key_id, leaks.aws_secret_access_key
            ),
            Act::PrivateKey => {
                format!(
                    "This is the key of the deploy host:\n\n{}\n\nIt has no passphrase.",
                    leaks.private_key_pem
                )
            }
            Act::Tool if answers_a_tool(body) => "The tool has answered; the deployment is done.".to_owned(),
            Act::Tool => {
                let arguments = serde_json::json!({"repository": "acme/inference", "token": leaks.github_token, "dry_run": true});
                tool = Some(ToolCall { name: tool_name(body), arguments: arguments.to_string() });
                String::new()
            }
            Act::Echo => {
                format!("You said: {prompt}\nI was called with the key {key} and I should not tell you.")
            }
            Act::Fail => format!("backend error: the worker rejected key {key}"),
        };
        Self {
            text,
            tool,
            fails: act == Act::Fail,
            pace: if act == Act::Slow { SLOW_PACE } else { PACE },
            input_tokens: prompt.len() / 4 + 8,
        }
    }

    /// Tokens of the answer, roughly.
    pub(super) fn output_tokens(&self) -> usize {
        let said = self.tool.as_ref().map_or(self.text.len(), |tool| tool.arguments.len());
        said / 4 + 1
    }
}

/// Cuts a text into the small pieces that a model would send, without regard to what is in it.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    // Lengths in characters, over and over: no secret stays in one piece.
    const LENGTHS: [usize; 6] = [3, 5, 2, 4, 1, 6];
    let mut pieces = Vec::new();
    let mut rest = text;
    for length in LENGTHS.into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let end = rest.char_indices().nth(length).map_or(rest.len(), |(index, _)| index);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The text of the user's last message: `messages` or `input`, a string or a list of parts.
fn last_text(body: &Value) -> String {
    let list = body.get("messages").or_else(|| body.get("input"));
    let message = match list {
        Some(Value::String(text)) => return text.clone(),
        Some(Value::Array(messages)) => {
            messages.iter().rev().find(|message| message.get("role").and_then(Value::as_str) == Some("user"))
        }
        _ => None,
    };
    match message.and_then(|message| message.get("content")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Whether the last message brings a tool's result, so that the model should talk again.
fn answers_a_tool(body: &Value) -> bool {
    let messages = body.get("messages").or_else(|| body.get("input")).and_then(Value::as_array);
    let Some(last) = messages.and_then(|all| all.last()) else { return false };
    let is = |value: &Value, field: &str, word: &str| value.get(field).and_then(Value::as_str) == Some(word);
    is(last, "role", "tool")
        || is(last, "type", "function_call_output")
        || last
            .get("content")
            .and_then(Value::as_array)
            .is_some_and(|parts| parts.iter().any(|part| is(part, "type", "tool_result")))
}

/// The first tool that the caller offers.
fn tool_name(body: &Value) -> String {
    let first = body.get("tools").and_then(Value::as_array).and_then(|tools| tools.first());
    let name = first.and_then(|tool| tool.get("name").or_else(|| tool.get("function")?.get("name")));
    name.and_then(Value::as_str).unwrap_or("deploy").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_are_the_text_and_cut_every_secret() {
        let text = "héllo wörld, this is a text of some length 0123456789";
        assert_eq!(pieces(text).concat(), text);
        assert!(pieces(text).iter().all(|piece| piece.chars().count() <= 6));
        assert!(pieces("").is_empty());
    }

    #[test]
    fn the_last_message_of_the_user_counts() {
        let user = |content: Value| json!({"role": "user", "content": content});
        for (body, text) in [
            (json!({"input": "a"}), "a"),
            (
                json!({"messages": [user("x".into()), user("b".into()), {"role": "assistant", "content": "c"}]}),
                "b",
            ),
            (
                json!({"messages": [user(json!([{"type": "text", "text": "p"}, {"type": "image"}, {"text": "q"}]))]}),
                "p\nq",
            ),
            (json!({}), ""),
        ] {
            assert_eq!(last_text(&body), text);
        }
        assert!(answers_a_tool(&json!({"messages": [{"role": "tool", "content": "ok"}]})));
        assert!(answers_a_tool(&json!({"messages": [user(json!([{"type": "tool_result"}]))]})));
        assert!(!answers_a_tool(&json!({"messages": [user("x".into())]})));
    }
}
