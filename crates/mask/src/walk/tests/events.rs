use std::collections::BTreeMap;

use keyward_wire::sse::FRAME_BYTES_MAX;
use serde_json::{Value, json};

use super::*;

const OPENAI: BodyFormat = BodyFormat::EventStream(Dialect::OpenAi);
const ANTHROPIC: BodyFormat = BodyFormat::EventStream(Dialect::Anthropic);
const GENERIC: BodyFormat = BodyFormat::EventStream(Dialect::Generic);

pub(super) fn frame(value: &Value) -> String {
    match value.get("type").and_then(Value::as_str) {
        Some(kind) => format!("event: {kind}\ndata: {value}\n\n"),
        None => format!("data: {value}\n\n"),
    }
}

/// The data of every event, as a client reads it.
pub(super) fn events(stream: &str) -> Vec<String> {
    let stream = stream.replace("\r\n", "\n");
    let data = |frame: &str| -> Vec<String> {
        frame
            .lines()
            .filter_map(|l| l.strip_prefix("data:").map(|v| v.strip_prefix(' ').unwrap_or(v).to_owned()))
            .collect()
    };
    stream.split("\n\n").map(data).filter(|d| !d.is_empty()).map(|d| d.join("\n")).collect()
}

/// Joins the text of every channel, as SDKs do.
pub(super) fn channels(stream: &str) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: String, text: &Value| {
        if let Some(text) = text.as_str() {
            out.entry(name).or_default().push_str(text);
        }
    };
    for data in events(stream).iter().filter(|d| *d != "[DONE]") {
        let event: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
        for choice in event["choices"].as_array().into_iter().flatten() {
            let index = &choice["index"];
            add(format!("{index}.text"), &choice["text"]);
            let delta = &choice["delta"];
            for key in ["content", "reasoning_content", "reasoning", "refusal"] {
                add(format!("{index}.{key}"), &delta[key]);
            }
            add(format!("{index}.function"), &delta["function_call"]["arguments"]);
            add(format!("{index}.audio"), &delta["audio"]["transcript"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                add(format!("{index}.tool{}", call["index"]), &call["function"]["arguments"]);
            }
        }
        match event["type"].as_str() {
            Some("content_block_delta") => {
                for key in ["text", "partial_json", "thinking", "signature"] {
                    add(format!("block{}.{key}", event["index"]), &event["delta"][key]);
                }
            }
            Some(kind) if kind.split('.').next_back() == Some("delta") => {
                add(format!("{kind}.{}.{}", event["output_index"], event["content_index"]), &event["delta"]);
            }
            _ => {}
        }
        for (index, candidate) in event["candidates"].as_array().into_iter().flatten().enumerate() {
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                add(format!("gemini{index}"), &part["text"]);
            }
        }
        add("tgi".to_owned(), &event["token"]["text"]);
    }
    out
}

fn check(format: BodyFormat, input: &str) -> String {
    let out = mask(format, input);
    let expected: BTreeMap<_, _> =
        channels(input).into_iter().map(|(k, v)| (k, v.replace(CANARY, MASKED))).collect();
    assert_eq!(channels(&out), expected, "{out}");
    assert!(!out.contains(CANARY), "{out}");
    out
}

fn chat(delta: &Value, finish: Option<&str>) -> String {
    chat_of(0, delta, finish)
}

fn chat_of(index: u64, delta: &Value, finish: Option<&str>) -> String {
    frame(
        &json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m",
        "choices": [{"delta": delta, "index": index, "logprobs": null, "finish_reason": finish}]}),
    )
}

fn stream_of(pieces: &[&str], delta: impl Fn(&str) -> Value) -> String {
    let mut text = chat(&json!({"role": "assistant", "content": ""}), None);
    for piece in pieces {
        text += &chat(&delta(piece), None);
    }
    text += &chat(&json!({}), Some("stop"));
    text += "data: {\"choices\":[],\"usage\":{\"total_tokens\":5}}\n\n";
    text + "data: [DONE]\n\n"
}

#[test]
fn catalogue_58_a_secret_at_every_split_over_deltas() {
    for at in 1..CANARY.len() {
        for to in [at, (at + 4).min(CANARY.len()), CANARY.len()] {
            let pieces = ["The key is ", &CANARY[..at], &CANARY[at..to], &CANARY[to..], ", use it."];
            for key in ["content", "reasoning_content", "reasoning", "refusal"] {
                let out = check(OPENAI, &stream_of(&pieces, |p| json!({ key: p })));
                // The cadence stays: no event is lost, and none is added in the middle.
                assert_eq!(events(&out).len(), pieces.len() + 4, "{out}");
            }
        }
    }
}

#[test]
fn a_secret_that_ends_the_text_leaves_masked_before_the_finish() {
    let out = check(OPENAI, &stream_of(&["key: ", &CANARY[..7], &CANARY[7..]], |p| json!({ "content": p })));
    let finish = out.find("\"stop\"").unwrap();
    assert!(out.find(MASKED).unwrap() < finish);
    // A prefix of it that stays one is no secret, and comes before the finish too.
    let out = check(OPENAI, &stream_of(&["key: ", &CANARY[..7]], |p| json!({ "content": p })));
    assert!(out.find(&CANARY[..7]).unwrap() < out.find("\"stop\"").unwrap());
    // The finish may carry the last piece itself: then it carries the rest too.
    let input = chat(&json!({"content": &CANARY[..7]}), None)
        + &chat(&json!({"content": &CANARY[7..12]}), Some("stop"));
    let out = check(OPENAI, &input);
    assert_eq!(events(&out).len(), 2);
}

#[test]
fn catalogue_58_interleaved_choices_do_not_mix() {
    let (a, b) = CANARY.split_at(10);
    let input = chat_of(0, &json!({"content": format!("0 {a}")}), None)
        + &chat_of(1, &json!({"content": format!("1 {a}")}), None)
        + &chat_of(0, &json!({"content": b}), None)
        + &chat_of(1, &json!({"content": format!("x{b}")}), None)
        + &chat_of(1, &json!({}), Some("length"))
        + &chat_of(0, &json!({}), Some("stop"))
        + "data: [DONE]\n\n";
    let out = check(OPENAI, &input);
    assert_eq!(channels(&out)["0.content"], format!("0 {MASKED}"));
    assert_eq!(channels(&out)["1.content"], format!("1 {a}x{b}"));
    // Both choices in one event.
    let both = |x: &str, y: &str| {
        frame(
            &json!({"choices": [{"index": 1, "delta": {"content": x}}, {"index": 0, "delta": {"content": y}}]}),
        )
    };
    check(OPENAI, &(both(a, "clear ") + &both(b, a) + &both(" end", b)));
}

#[test]
fn catalogue_303_tool_calls_at_every_split_plain_and_escaped() {
    let call = |p: &str| json!({"tool_calls": [{"index": 2, "function": {"arguments": p}}]});
    let arguments = [
        format!("{{\"path\": \"/a\", \"token\": \"{CANARY}\", \"n\": 1}}"),
        format!("{{\"token\": \"{}\"}}", escaped(CANARY)),
        json!({"outer": json!({"token": CANARY}).to_string()}).to_string(),
    ];
    for text in arguments {
        for at in 1..text.len() {
            let (a, b) = text.split_at(at);
            let out = mask(OPENAI, &stream_of(&[a, b], call));
            let joined = &channels(&out)["0.tool2"];
            let value: Value = serde_json::from_str(joined).unwrap();
            assert!(joined.contains(MASKED), "{joined}");
            assert!(!value.to_string().contains(CANARY));
        }
    }
    let legacy = |p: &str| json!({"function_call": {"arguments": p}});
    check(OPENAI, &stream_of(&["{\"a\":\"", &CANARY[..5], &CANARY[5..], "\"}"], legacy));
    check(OPENAI, &stream_of(&["a ", &CANARY[..5], &CANARY[5..]], |p| json!({"audio": {"transcript": p}})));
}

#[test]
fn an_escaped_secret_is_one_in_every_split() {
    let full = escaped(CANARY);
    for at in 1..CANARY.len() {
        let (a, b) = full.split_at(at * 6);
        let piece = |p: &str| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{p}\"}}}}]}}\n\n")
        };
        let out = mask(OPENAI, &(piece("\\u00e9") + &piece(a) + &piece(b) + &piece("\\n")));
        assert_eq!(channels(&out)["0.content"], format!("é{MASKED}\n"));
        assert!(out.contains("\\u00e9"), "what is not masked keeps its escapes");
    }
}

#[test]
fn log_probabilities_do_not_tell_what_the_text_does_not() {
    let piece = |t: &str| {
        frame(&json!({"choices": [{"index": 0, "delta": {"content": t},
            "logprobs": {"content": [{"token": t, "bytes": t.as_bytes(), "logprob": -0.1}], "refusal": null}}]}))
    };
    let (a, b) = CANARY.split_at(8);
    let out = check(OPENAI, &(piece("So!\n") + &piece(a) + &piece(b) + &piece("!\n")));
    for prefix in 4..CANARY.len() {
        assert!(!out.contains(&format!("\"token\":\"{}", &CANARY[..prefix])), "{out}");
    }
    assert!(!out.contains(&format!("\"token\":\"{b}")));
    let all: Vec<Value> = events(&out).iter().map(|e| serde_json::from_str(e).unwrap()).collect();
    assert_eq!(all[0]["choices"][0]["logprobs"]["content"][0]["token"], "So!\n");
    assert!(all[1]["choices"][0]["logprobs"].is_null() && all[2]["choices"][0]["logprobs"].is_null());
}

#[test]
fn responses_deltas_and_the_events_that_repeat_them() {
    let (a, b) = CANARY.split_at(6);
    let delta = |kind: &str, n: u64, text: &str| {
        frame(&json!({"type": format!("response.{kind}.delta"), "sequence_number": n, "item_id": "item_1",
            "output_index": 0, "content_index": 1, "delta": text, "logprobs": []}))
    };
    for kind in
        ["output_text", "function_call_arguments", "refusal", "reasoning_text", "reasoning_summary_text"]
    {
        let done = json!({"type": format!("response.{kind}.done"), "sequence_number": 9, "item_id": "item_1",
            "output_index": 0, "content_index": 1, "text": format!("is {CANARY}"), "arguments": format!("{{\"a\":\"{CANARY}\"}}")});
        let completed = json!({"type": "response.completed", "response": {"output": [{"content": [{"text": CANARY,
            "logprobs": [{"token": a, "bytes": [1]}, {"token": b}]}]}], "usage": {"total_tokens": 5}}});
        let input = delta(kind, 1, "is ")
            + &delta(kind, 2, a)
            + &delta(kind, 3, b)
            + &frame(&done)
            + &frame(&completed);
        let out = check(OPENAI, &input);
        assert!(!out.contains(b), "{out}");
        let first_done = out.find(".done").unwrap();
        assert!(
            out.find(MASKED).unwrap() < first_done,
            "the rest comes before the event that ends it: {out}"
        );
        let last: Value = serde_json::from_str(events(&out).last().unwrap()).unwrap();
        assert_eq!(last["response"]["output"][0]["content"][0]["logprobs"], json!([]));
        assert_eq!(last["response"]["usage"]["total_tokens"], 5);
    }
}

#[test]
fn anthropic_blocks_keep_their_signature_and_end_with_their_text() {
    let (a, b) = CANARY.split_at(6);
    let start = |i: u64| {
        frame(
            &json!({"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}}),
        )
    };
    let delta = |i: u64, kind: &str, key: &str, text: &str| {
        frame(&json!({"type": "content_block_delta", "index": i, "delta": {"type": kind, key: text}}))
    };
    let stop = |i: u64| frame(&json!({"type": "content_block_stop", "index": i}));
    let signature = "EqQBCkYIBxgCKkBz0v+/Zm9v";
    let input = frame(
        &json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1}}}),
    ) + &start(0)
        + &delta(0, "thinking_delta", "thinking", a)
        + &delta(0, "thinking_delta", "thinking", b)
        + &delta(0, "signature_delta", "signature", signature)
        + &stop(0)
        + "event: ping\ndata: {\"type\": \"ping\"}\n\n"
        + &start(1)
        + &delta(1, "text_delta", "text", "is ")
        + &delta(1, "text_delta", "text", a)
        + &start(2)
        + &delta(2, "input_json_delta", "partial_json", "{\"k\": \"")
        + &delta(2, "input_json_delta", "partial_json", a)
        + &delta(1, "text_delta", "text", b)
        + &stop(1)
        + &delta(2, "input_json_delta", "partial_json", b)
        + &delta(2, "input_json_delta", "partial_json", "\"}")
        + &stop(2)
        + &frame(
            &json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        )
        + &frame(&json!({"type": "message_stop"}));
    let out = check(ANTHROPIC, &input);
    assert!(out.contains(signature));
    assert_eq!(channels(&out)["block1.text"], format!("is {MASKED}"));
    let text_stop = out
        .find("\"type\":\"content_block_stop\",\"index\":1")
        .or_else(|| out.find("\"index\":1,\"type\":\"content_block_stop\""))
        .unwrap();
    assert!(
        out[..text_stop].contains(&format!("is {MASKED}")) || out[..text_stop].matches(MASKED).count() >= 2
    );
    // Every event that came in goes out.
    for (kind, count) in [("content_block_stop", 3), ("ping", 1), ("message_stop", 1), ("message_delta", 1)] {
        assert_eq!(out.matches(&format!("event: {kind}\n")).count(), count, "{kind}");
    }
}

#[test]
fn other_dialects_and_completions() {
    let (a, b) = CANARY.split_at(6);
    let gemini = |t: &str, end: Value| {
        frame(
            &json!({"candidates": [{"content": {"parts": [{"text": t}], "role": "model"}, "finishReason": end}]}),
        )
    };
    check(GENERIC, &(gemini("is ", Value::Null) + &gemini(a, Value::Null) + &gemini(b, json!("STOP"))));
    let tgi = |t: &str| frame(&json!({"token": {"id": 1, "text": t}, "generated_text": null}));
    check(GENERIC, &(tgi(a) + &tgi(b) + &tgi(" end")));
    let legacy = |t: &str| frame(&json!({"choices": [{"text": t, "index": 0, "finish_reason": null}]}));
    check(OPENAI, &(legacy("is ") + &legacy(a) + &legacy(b) + "data: [DONE]\n\n"));
}

#[test]
fn events_that_are_not_json_continue_each_other_in_the_generic_dialect_only() {
    let (a, b) = CANARY.split_at(6);
    let input = format!("data: is\n\nevent: x\ndata: {a}\n\ndata: {a}\n\nevent: x\ndata: {b} y\n\n");
    let out = mask(GENERIC, &input);
    assert!(out.contains(MASKED) && !out.contains(b), "{out}");
    let whole = format!("data: is {CANARY}\ndata: two\n\n: note {CANARY}\nid: {CANARY}\n{CANARY}: x\n\n");
    assert_eq!(mask(OPENAI, &whole), whole.replace(CANARY, MASKED));
    assert_eq!(mask(ANTHROPIC, "data: {broken\n\n"), "data: {broken\n\n");
    let broken = format!("data: {{\"a\": {CANARY}\n\n");
    assert_eq!(mask(OPENAI, &broken), broken.replace(CANARY, MASKED));
}

#[test]
fn data_over_several_lines_stays_valid() {
    for end in ["\n", "\r\n", "\r"] {
        let input =
            ["data: {\"a\":", &format!("data: \"{CANARY}\","), "id: 7", "data: \"b\": 1}", "", ""].join(end);
        let out = mask(OPENAI, &input);
        assert!(!out.contains(CANARY) && out.contains("id: 7"), "{out}");
        let value: Value =
            serde_json::from_str(&events(&out.replace('\r', "\n").replace("\n\n\n", "\n\n"))[0])
                .unwrap_or(Value::Null);
        if end != "\r\n" {
            assert_eq!(value, json!({"a": MASKED, "b": 1}), "{out:?}");
        }
    }
}

#[test]
fn a_stream_that_ends_early_loses_nothing_that_is_clear() {
    let input = chat(&json!({"content": "so "}), None) + &chat(&json!({"content": &CANARY[..9]}), None);
    let out = check(OPENAI, &input);
    assert_eq!(channels(&out)["0.content"], format!("so {}", &CANARY[..9]));
    let out = check(OPENAI, &(input + &chat(&json!({"content": &CANARY[9..]}), None)));
    assert_eq!(channels(&out)["0.content"], format!("so {MASKED}"));
}

#[test]
fn limits_hold_at_their_edge() {
    let many =
        |n: u64| (0..n).map(|i| chat_of(i, &json!({"content": "a"}), None)).collect::<Vec<_>>().concat();
    let at = u64::try_from(CHANNELS_MAX).unwrap();
    assert!(run(&profile(), OPENAI, many(at).as_bytes(), 4096).is_ok());
    assert_eq!(run(&profile(), OPENAI, many(at + 1).as_bytes(), 4096), Err(MaskError::TooManyChannels));
    let finished = |n: u64| {
        (0..n).map(|i| chat_of(i, &json!({"content": "a"}), Some("stop"))).collect::<Vec<_>>().concat()
    };
    assert!(
        run(&profile(), OPENAI, finished(at * 3).as_bytes(), 4096).is_ok(),
        "what has ended does not count"
    );

    let long = format!(": {}\n\n", " ".repeat(FRAME_BYTES_MAX));
    assert_eq!(run(&profile(), OPENAI, long.as_bytes(), 65_536), Err(MaskError::FrameTooLong));

    let strings = |n: usize| format!("data: [{}\"\"]\n\n", "\"\",".repeat(n - 1));
    assert!(run(&profile(), OPENAI, strings(100_000).as_bytes(), usize::MAX).is_ok());
    assert_eq!(
        run(&profile(), OPENAI, strings(100_002).as_bytes(), usize::MAX),
        Err(MaskError::FrameTooLong)
    );
}

#[test]
fn detectors_see_a_channel_as_one_text() {
    let profile = with_detectors();
    let aws = ["AKIA", "Z7Q2M4X6V3N5B2K7"].concat();
    let pem = format!(
        "-----BEGIN {0}-----\n{1}\n{1}\n-----END {0}-----",
        "RSA PRIVATE KEY",
        "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn".repeat(4)
    );
    for secret in [&aws, &pem] {
        for size in [1, 3, 5, 40] {
            let text = format!("Here it is: {secret}\nand that was it.");
            let pieces: Vec<String> =
                text.as_bytes().chunks(size).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            for key in ["content", "reasoning"] {
                let out = mask_with(&profile, OPENAI, &stream_of(&pieces, |p| json!({ key: p })));
                let joined = &channels(&out)[&format!("0.{key}")];
                assert!(joined.starts_with("Here it is: [REDACTED:"), "{joined}");
                assert!(joined.ends_with("]\nand that was it."), "{joined}");
                assert_eq!(joined.matches("REDACTED").count(), 1, "{joined}");
            }
            let arguments = json!({ "note": text }).to_string();
            let pieces: Vec<&str> = arguments.split_inclusive(['A', 'Q', '-']).collect();
            let call = |p: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": p}}]});
            let out = mask_with(&profile, OPENAI, &stream_of(&pieces, call));
            let value: Value = serde_json::from_str(&channels(&out)["0.tool0"]).unwrap();
            let note = value["note"].as_str().unwrap();
            assert!(
                note.starts_with("Here it is: [REDACTED:") && note.ends_with("]\nand that was it."),
                "{note}"
            );
        }
    }
}

#[test]
fn ordinary_streams_keep_their_text_events_and_usage() {
    let profile = with_detectors();
    let text = "Sure! To list the files, run `ls -la ~/projects`.\n\n1. It prints names\u{2014}one per line.\n2. See https://example.org/docs/ls?x=1 for more.";
    for size in [1, 4, 9] {
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(size).map(|c| c.iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let input = stream_of(&pieces, |p| json!({ "content": p }));
        let out = mask_with(&profile, OPENAI, &input);
        assert_eq!(channels(&out), channels(&input));
        assert_eq!(out.matches("usage").count(), 1);
        assert!(events(&out).len() <= events(&input).len() + 1);
    }
}

#[test]
fn what_was_clean_under_one_name_is_looked_at_again_under_another() {
    let value = concat!("correct-horse-", "7Q9z-battery");
    let event = |name: &str| frame(&json!({name: [value]}));
    let alone = mask_with(&with_detectors(), GENERIC, &event("password"));
    assert!(!alone.contains(value), "{alone}");
    let after = mask_with(&with_detectors(), GENERIC, &(event("note") + &event("password")));
    assert_eq!(after, event("note") + &alone);
}

#[test]
fn what_passed_as_exempt_is_looked_at_where_it_is_not() {
    let key = concat!("glpat-", "xK9mQ2vL7wRtY4nB8cZs");
    let event = |name: &str| frame(&json!({name: {"data": key}}));
    let alone = mask_with(&with_detectors(), GENERIC, &event("sourcf"));
    assert!(!alone.contains(key), "{alone}");
    assert_eq!(
        mask_with(&with_detectors(), GENERIC, &(event("source") + &event("sourcf"))),
        event("source") + &alone
    );
}
