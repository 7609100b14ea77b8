//! Calls in every dialect, in every cut: what is judged, and that its end does not leave before.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;

/// What leaves of an answer that comes in such pieces, and whether it was stopped. Blocked is what holds `rm`.
fn guarded(form: Form, input: &[u8], piece: usize) -> (Vec<u8>, bool, Vec<(String, String)>) {
    let judged = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&judged);
    let judge = move |name: &str, arguments: &str| {
        seen.lock().unwrap().push((name.to_owned(), arguments.to_owned()));
        let blocked = name == "forbidden" || arguments.contains("rm -rf");
        if blocked { Err(Refusal::new(RefusalKind::Blocked, "No.")) } else { Ok(()) }
    };
    let mut guard = CallGuard::new(form, Box::new(judge));
    let mut out = Vec::new();
    let mut stopped = false;
    for part in input.chunks(piece) {
        let mut passes = Vec::new();
        if guard.push(part, &mut passes).is_err() {
            stopped = true;
            break;
        }
        out.extend(passes);
    }
    if !stopped {
        let mut passes = Vec::new();
        stopped = guard.finish(&mut passes).is_err();
        if !stopped {
            out.extend(passes);
        }
    }
    let judged = judged.lock().unwrap().clone();
    (out, stopped, judged)
}

fn events(documents: &[Value]) -> Vec<u8> {
    let event = |document: &Value| {
        let kind = document["type"].as_str().map(|kind| format!("event: {kind}\n")).unwrap_or_default();
        format!("{kind}data: {document}\n\n").into_bytes()
    };
    documents.iter().flat_map(event).collect()
}

/// The same answer with a call of `tool` with these arguments, in every dialect.
fn answers(tool: &str, arguments: &Value) -> Vec<(&'static str, Form, Vec<u8>)> {
    let text = arguments.to_string();
    let pieces: Vec<String> = text.chars().map(String::from).collect();
    let chat = |delta: Value, reason: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let mut openai = vec![
        chat(json!({"role": "assistant", "content": "Well, "}), Value::Null),
        chat(
            json!({"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": tool, "arguments": ""}}]}),
            Value::Null,
        ),
    ];
    let mut anthropic = vec![
        json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Well, "}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "1", "name": tool, "input": {}}}),
    ];
    let mut responses = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "id": "i", "name": tool, "arguments": ""}}),
    ];
    for piece in &pieces {
        openai
            .push(chat(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), Value::Null));
        anthropic.push(json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}));
        responses.push(json!({"type": "response.function_call_arguments.delta", "item_id": "i", "output_index": 0, "delta": piece}));
    }
    openai.push(chat(json!({}), json!("tool_calls")));
    anthropic.push(json!({"type": "content_block_stop", "index": 1}));
    anthropic.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}));
    responses
        .push(json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": text}));
    let mut done = events(&openai);
    done.extend_from_slice(b"data: [DONE]\n\n");
    let gemini = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": tool, "args": arguments}}]}}]});
    let ollama = json!({"message": {"role": "assistant", "tool_calls": [{"function": {"name": tool, "arguments": arguments}}]}, "done": false});
    let legacy = json!({"choices": [{"message": {"function_call": {"name": tool, "arguments": text}}, "finish_reason": "function_call"}]});
    vec![
        ("openai", Form::Events, done),
        ("anthropic", Form::Events, events(&anthropic)),
        ("responses", Form::Events, events(&responses)),
        ("gemini", Form::Events, events(std::slice::from_ref(&gemini))),
        ("gemini whole", Form::Whole, gemini.to_string().into_bytes()),
        ("ollama", Form::Lines, format!("{ollama}\n{{\"done\":true}}\n").into_bytes()),
        ("openai whole", Form::Whole, json!({"choices": [{"message": {"tool_calls": [{"id": "1", "type": "function", "function": {"name": tool, "arguments": text}}]}, "finish_reason": "tool_calls"}]}).to_string().into_bytes()),
        ("legacy", Form::Whole, legacy.to_string().into_bytes()),
        ("anthropic whole", Form::Whole, json!({"content": [{"type": "tool_use", "name": tool, "input": arguments}], "stop_reason": "tool_use"}).to_string().into_bytes()),
        ("responses whole", Form::Whole, json!({"output": [{"type": "function_call", "name": tool, "arguments": text}]}).to_string().into_bytes()),
    ]
}

#[test]
fn what_is_not_blocked_passes_as_it_is() {
    let arguments = json!({"command": "ls {\"-l\"} [a] \\ \u{e9}", "n": [1, {"x": null}]});
    for (name, form, answer) in answers("bash", &arguments) {
        for piece in [1, 7, 64, 100_000] {
            let (out, stopped, judged) = guarded(form, &answer, piece);
            assert!(!stopped && out == answer, "{name} by {piece}: {}", String::from_utf8_lossy(&out));
            assert!(
                judged.contains(&("bash".to_owned(), arguments.to_string())),
                "{name} by {piece}: {judged:?}"
            );
        }
    }
}

#[test]
fn catalogue_96_a_blocked_call_never_leaves_whole() {
    for (name, form, answer) in answers("bash", &json!({"command": "cd /; rm -rf *", "x": "}"})) {
        for piece in [1, 7, 64, 100_000] {
            let (out, stopped, _) = guarded(form, &answer, piece);
            assert!(stopped, "{name} by {piece}");
            assert!(answer.starts_with(&out) && out.len() < answer.len(), "{name} by {piece}");
            // What left tells no caller the whole of the arguments.
            let left = String::from_utf8_lossy(&out);
            let quoted = left.matches("\"}\\\"}\"").count() + left.matches("\\\"}\"]").count();
            assert_eq!(quoted, 0, "{name} by {piece}: {left}");
            let brackets = left
                .matches("\"partial_json\":\"}\"")
                .count()
                .max(left.matches("\"arguments\":\"}\"").count());
            assert!(brackets <= 1, "{name} by {piece}: the last bracket left: {left}");
        }
    }
}

#[test]
fn a_name_alone_can_be_blocked() {
    for (name, form, answer) in answers("forbidden", &json!({"a": 1})) {
        let (out, stopped, _) = guarded(form, &answer, 50);
        assert!(stopped && !String::from_utf8_lossy(&out).contains("\\\"a\\\""), "{name}");
    }
}

#[test]
fn free_text_is_withheld_to_its_end() {
    let item = |kind: &str, input: &str| json!({"type": kind, "output_index": 0, "item": {"type": "custom_tool_call", "name": "shell", "input": input}});
    let delta = |piece: &str| json!({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": piece});
    let before = events(&[
        json!({"type": "response.output_text.delta", "delta": "Well"}),
        item("response.output_item.added", ""),
    ]);
    for (pieces, blocked) in [(["ls ", "-l"], false), (["rm ", "-rf /"], true)] {
        let mut answer = before.clone();
        answer.extend(events(&pieces.map(delta)));
        let (out, _, _) = guarded(Form::Events, &answer, 40);
        assert!(out.len() <= before.len() || !blocked, "nothing leaves from its beginning on");
        answer.extend(events(&[
            json!({"type": "response.custom_tool_call_input.done", "output_index": 0, "input": pieces.concat()}),
            item("response.output_item.done", &pieces.concat()),
        ]));
        let (out, stopped, _) = guarded(Form::Events, &answer, 40);
        assert_eq!(stopped, blocked);
        assert_eq!(out == answer, !blocked);
    }
}

#[test]
fn several_calls_do_not_mix() {
    let call = |index: u64, id: &str, name: &str, piece: &str| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": piece}}]}}]});
    let interleaved = [
        call(0, "a", "one", ""),
        call(1, "b", "two", ""),
        call(0, "", "", "{\"x\""),
        call(1, "", "", "{\"y\":"),
        call(0, "", "", ":1}"),
        call(1, "", "", "2}"),
    ];
    let (_, _, judged) = guarded(Form::Events, &events(&interleaved), 1000);
    assert!(
        judged.contains(&("one".into(), "{\"x\":1}".into()))
            && judged.contains(&("two".into(), "{\"y\":2}".into()))
    );
    // Every call numbered 0, told apart by its id.
    let same = [call(0, "a", "one", "{\"x\":1}"), call(0, "b", "two", "{\"y\":2}")];
    let (_, _, judged) = guarded(Form::Events, &events(&same), 1000);
    assert!(judged.contains(&("two".into(), "{\"y\":2}".into())), "{judged:?}");
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_stopped() {
    for broken in ["data: {\"tool_calls\": [\n\n", "data: {\"tool_calls\": \u{1}}\n\n"] {
        assert!(guarded(Form::Events, broken.as_bytes(), 1000).1, "{broken}");
    }
    // Text that speaks of nothing of the kind passes, sound or not.
    for text in ["data: {\"choices\": [\n\n", ": comment\n\n", "data: [DONE]\n\n", "\n"] {
        let (out, stopped, _) = guarded(Form::Events, text.as_bytes(), 1000);
        assert!(!stopped && out == text.as_bytes(), "{text}");
    }
    let long = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "a", "arguments": "{".to_owned() + &" ".repeat(600_000)}}]}}]});
    assert!(guarded(Form::Events, &events(&[long.clone(), long]), 100_000).1);
    let many: Vec<Value> = (0..200)
        .map(|index| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, "function": {"name": "a", "arguments": "{"}}]}}]}))
        .collect();
    assert!(guarded(Form::Events, &events(&many), 100_000).1);
    assert!(guarded(Form::Lines, "x".repeat(2 << 20).as_bytes(), 100_000).1);
    // Names that are written with escapes are read.
    let hidden = "data: {\"choices\":[{\"delta\":{\"t\\u006fol_calls\":[{\"f\\u0075nction\":{\"name\":\"b\",\"arguments\":\"{\\\"c\\\":\\\"rm -rf\\\"}\"}}]}}]}\n\n";
    assert!(guarded(Form::Events, hidden.as_bytes(), 1000).1);
}
