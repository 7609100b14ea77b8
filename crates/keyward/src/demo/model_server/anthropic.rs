//! The messages API of Anthropic.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::openai::id;
use super::script::{MODELS, Script, pieces};
use super::stream::{Events, with};
use super::{Dialect, Server, refusal};

/// An error body.
pub(super) fn error(status: StatusCode, message: &str) -> Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        404 => "not_found_error",
        500 => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id("req_")})
}

/// The models in this dialect.
pub(super) fn models() -> Value {
    let data: Vec<Value> = MODELS
        .iter()
        .map(|model| json!({"type": "model", "id": model.name, "display_name": model.name, "created_at": "2026-01-01T00:00:00Z"}))
        .collect();
    let name = |model: Option<&super::script::Model>| model.map(|model| model.name);
    json!({"data": data, "has_more": false, "first_id": name(MODELS.first()), "last_id": name(MODELS.last())})
}

/// `POST /v1/messages`
pub(super) async fn messages(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Response {
    let complete = body.get("messages").is_some_and(Value::is_array) && body.get("max_tokens").is_some();
    if !complete {
        return refusal(Dialect::Anthropic, StatusCode::BAD_REQUEST, "messages and max_tokens are required");
    }
    let script = Script::choose(&body, &server, &server.anthropic_key);
    if script.fails {
        return refusal(Dialect::Anthropic, StatusCode::INTERNAL_SERVER_ERROR, &script.text);
    }
    let reply = Reply {
        id: id("msg_"),
        call_id: id("toolu_"),
        model: super::openai::model(&body).to_owned(),
        script,
    };
    if body.get("stream") == Some(&Value::Bool(true)) {
        return reply.stream();
    }
    let usage = reply.usage(reply.script.output_tokens());
    let message = with(reply.message(), "content", json!([reply.block(true)]));
    let message = with(message, "stop_reason", reply.stop_reason());
    Json(with(message, "usage", usage)).into_response()
}

struct Reply {
    id: String,
    call_id: String,
    model: String,
    script: Script,
}

impl Reply {
    /// The message as a stream begins it: without content.
    fn message(&self) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": self.usage(1),
        })
    }

    fn usage(&self, output_tokens: usize) -> Value {
        json!({
            "input_tokens": self.script.input_tokens, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output_tokens, "service_tier": "standard",
        })
    }

    const fn stop_reason(&self) -> &'static str {
        if self.script.tool.is_some() { "tool_use" } else { "end_turn" }
    }

    /// The one block of content, whole or as a stream begins it.
    fn block(&self, whole: bool) -> Value {
        match &self.script.tool {
            Some(tool) => {
                let input =
                    if whole { serde_json::from_str(&tool.arguments).unwrap_or_default() } else { json!({}) };
                json!({"type": "tool_use", "id": self.call_id, "name": tool.name, "input": input})
            }
            None => json!({"type": "text", "text": if whole { self.script.text.as_str() } else { "" }}),
        }
    }

    fn stream(&self) -> Response {
        let mut events = Events::new();
        events.named(&json!({"type": "message_start", "message": self.message()}));
        events.named(&json!({"type": "content_block_start", "index": 0, "content_block": self.block(false)}));
        events.named(&json!({"type": "ping"}));
        let (text, kind, field) = match &self.script.tool {
            Some(tool) => (&tool.arguments, "input_json_delta", "partial_json"),
            None => (&self.script.text, "text_delta", "text"),
        };
        for piece in pieces(text) {
            let delta = json!({"type": kind, field: piece});
            events.named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
        }
        events.named(&json!({"type": "content_block_stop", "index": 0}));
        events.named(&json!({
            "type": "message_delta", "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.script.output_tokens()},
        }));
        events.named(&json!({"type": "message_stop"}));
        events.respond(self.script.pace)
    }
}
