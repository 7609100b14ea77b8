//! The responses API of OpenAI.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::openai::{id, model};
use super::script::{Script, pieces};
use super::stream::{Events, with};
use super::{Dialect, Server, refusal};
use crate::demo::now_seconds;

/// `POST /v1/responses`
pub(super) async fn create(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Response {
    if body.get("input").is_none() {
        return refusal(Dialect::OpenAi, StatusCode::BAD_REQUEST, "you must provide an input");
    }
    let script = Script::choose(&body, &server, &server.openai_key);
    if script.fails {
        return refusal(Dialect::OpenAi, StatusCode::INTERNAL_SERVER_ERROR, &script.text);
    }
    let reply = Reply {
        id: id("resp_"),
        item_id: id(if script.tool.is_some() { "fc_" } else { "msg_" }),
        call_id: id("call_"),
        created: now_seconds(),
        model: model(&body).to_owned(),
        tools: body.get("tools").cloned().unwrap_or_else(|| json!([])),
        script,
    };
    if body.get("stream") == Some(&Value::Bool(true)) {
        return reply.stream();
    }
    Json(reply.response("completed")).into_response()
}

struct Reply {
    id: String,
    item_id: String,
    call_id: String,
    created: i64,
    model: String,
    tools: Value,
    script: Script,
}

impl Reply {
    /// The response object; its output is empty until it is completed.
    fn response(&self, status: &str) -> Value {
        let completed = status == "completed";
        let output = if completed { json!([self.item("completed")]) } else { json!([]) };
        let usage = completed.then(|| {
            let (input, output) = (self.script.input_tokens, self.script.output_tokens());
            json!({
                "input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input + output,
            })
        });
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "error": null,
            "incomplete_details": null, "instructions": null, "metadata": {}, "model": self.model,
            "output": output, "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto",
            "tools": self.tools, "top_p": 1.0, "usage": usage,
        })
    }

    /// The one item of the output.
    fn item(&self, status: &str) -> Value {
        let done = status == "completed";
        match &self.script.tool {
            Some(tool) => json!({
                "type": "function_call", "id": self.item_id, "call_id": self.call_id, "name": tool.name,
                "arguments": if done { tool.arguments.as_str() } else { "" }, "status": status,
            }),
            None => json!({
                "type": "message", "id": self.item_id, "role": "assistant", "status": status,
                "content": if done { json!([part(&self.script.text)]) } else { json!([]) },
            }),
        }
    }

    fn stream(&self) -> Response {
        let mut events = Events::new();
        let mut sequence = 0;
        let mut send = |event: Value| {
            events.named(&with(event, "sequence_number", sequence));
            sequence += 1;
        };
        send(json!({"type": "response.created", "response": self.response("in_progress")}));
        send(json!({"type": "response.in_progress", "response": self.response("in_progress")}));
        send(
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.item("in_progress")}),
        );
        if let Some(tool) = &self.script.tool {
            for piece in pieces(&tool.arguments) {
                send(
                    json!({"type": "response.function_call_arguments.delta", "item_id": self.item_id, "output_index": 0, "delta": piece}),
                );
            }
            send(
                json!({"type": "response.function_call_arguments.done", "item_id": self.item_id, "output_index": 0,
                "name": tool.name, "arguments": tool.arguments}),
            );
        } else {
            let at = |kind: &str| json!({"type": kind, "item_id": self.item_id, "output_index": 0, "content_index": 0});
            send(with(at("response.content_part.added"), "part", part("")));
            for piece in pieces(&self.script.text) {
                let event = with(at("response.output_text.delta"), "delta", piece);
                send(with(event, "logprobs", json!([])));
            }
            let done = with(at("response.output_text.done"), "text", self.script.text.as_str());
            send(with(done, "logprobs", json!([])));
            send(with(at("response.content_part.done"), "part", part(&self.script.text)));
        }
        send(json!({"type": "response.output_item.done", "output_index": 0, "item": self.item("completed")}));
        send(json!({"type": "response.completed", "response": self.response("completed")}));
        events.respond(self.script.pace)
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}
