//! Chat completions, embeddings, models, errors: the OpenAI API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::script::{MODELS, Script, pieces};
use super::stream::{Events, with};
use super::{Dialect, Server, refusal};
use crate::demo::{LETTERS_AND_DIGITS, now_seconds, random_text};

/// Longest embedding that can be asked for.
const DIMENSIONS_MAX: u64 = 4096;
const DIMENSIONS: u64 = 64;

/// An error body.
pub(super) fn error(status: StatusCode, message: &str) -> Value {
    let (kind, code) = match status.as_u16() {
        401 => ("invalid_request_error", "invalid_api_key".into()),
        404 => ("invalid_request_error", "not_found".into()),
        500 => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// A new identifier with a prefix.
pub(super) fn id(prefix: &str) -> String {
    // Without random numbers the server would not have started.
    format!("{prefix}{}", random_text(LETTERS_AND_DIGITS, 24).unwrap_or_default())
}

/// `GET /v1/models`, in the dialect of the key that came with it.
pub(super) async fn models(headers: HeaderMap) -> Json<Value> {
    if headers.contains_key("x-api-key") {
        return Json(super::anthropic::models());
    }
    let data: Vec<Value> = MODELS
        .iter()
        .map(|model| json!({"id": model.name, "object": "model", "created": 1_700_000_000, "owned_by": "keyward-demo"}))
        .collect();
    Json(json!({"object": "list", "data": data}))
}

/// `POST /v1/chat/completions`
pub(super) async fn chat(State(server): State<Arc<Server>>, Json(body): Json<Value>) -> Response {
    if !body.get("messages").is_some_and(Value::is_array) {
        return refusal(Dialect::OpenAi, StatusCode::BAD_REQUEST, "you must provide a messages parameter");
    }
    let script = Script::choose(&body, &server, &server.openai_key);
    if script.fails {
        return refusal(Dialect::OpenAi, StatusCode::INTERNAL_SERVER_ERROR, &script.text);
    }
    let head = Head { id: id("chatcmpl-"), created: now_seconds(), model: model(&body).to_owned() };
    if body.get("stream") == Some(&Value::Bool(true)) {
        let with_usage = body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        return stream(&script, &head, with_usage);
    }
    let (message, finish) = match &script.tool {
        None => {
            (json!({"role": "assistant", "content": script.text, "refusal": null, "annotations": []}), "stop")
        }
        Some(tool) => {
            let call = json!({"id": id("call_"), "type": "function", "function": {"name": tool.name, "arguments": tool.arguments}});
            (
                json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]}),
                "tool_calls",
            )
        }
    };
    Json(json!({
        "id": head.id, "object": "chat.completion", "created": head.created, "model": head.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": usage(&script), "service_tier": "default", "system_fingerprint": "fp_keyward_demo",
    }))
    .into_response()
}

struct Head {
    id: String,
    created: i64,
    model: String,
}

fn stream(script: &Script, head: &Head, with_usage: bool) -> Response {
    let mut events = Events::new();
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model,
            "service_tier": "default", "system_fingerprint": "fp_keyward_demo", "choices": choices,
        });
        if with_usage { with(chunk, "usage", usage) } else { chunk }
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut delta = |delta: Value| events.data(&chunk(choice(delta, Value::Null), Value::Null));
    let finish = if let Some(tool) = &script.tool {
        let call = json!({"index": 0, "id": id("call_"), "type": "function", "function": {"name": tool.name, "arguments": ""}});
        delta(json!({"role": "assistant", "content": null, "tool_calls": [call], "refusal": null}));
        for piece in pieces(&tool.arguments) {
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
        }
        "tool_calls"
    } else {
        delta(json!({"role": "assistant", "content": "", "refusal": null}));
        for piece in pieces(&script.text) {
            delta(json!({"content": piece}));
        }
        "stop"
    };
    events.data(&chunk(choice(json!({}), finish.into()), Value::Null));
    if with_usage {
        events.data(&chunk(json!([]), usage(script)));
    }
    events.raw("data: [DONE]\n\n");
    events.respond(script.pace)
}

fn usage(script: &Script) -> Value {
    let (input, output) = (script.input_tokens, script.output_tokens());
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

/// The model that was asked for.
pub(super) fn model(body: &Value) -> &str {
    body.get("model").and_then(Value::as_str).unwrap_or("demo-chat")
}

/// `POST /v1/embeddings`: numbers that depend on the text alone, as floats or as the base64 that SDKs ask for.
pub(super) async fn embeddings(Json(body): Json<Value>) -> Response {
    let texts: Vec<&str> = match body.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().unwrap_or_default()).collect(),
        _ => return refusal(Dialect::OpenAi, StatusCode::BAD_REQUEST, "you must provide an input"),
    };
    let dimensions =
        body.get("dimensions").and_then(Value::as_u64).unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS_MAX);
    let as_base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let numbers = embedding(text, dimensions);
            let embedding = if as_base64 {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            } else {
                json!(numbers)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = texts.iter().map(|text| text.len() / 4 + 1).sum();
    Json(json!({
        "object": "list", "data": data, "model": model(&body),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
    .into_response()
}

fn embedding(text: &str, dimensions: u64) -> Vec<f32> {
    let mut state = text
        .bytes()
        .fold(0x517c_c1b7_2722_0a95_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (0..dimensions)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let small = u16::try_from(state >> 48).unwrap_or_default();
            f32::from(small) / f32::from(u16::MAX) * 2.0 - 1.0
        })
        .collect()
}
