//! Every shape a model's text streams in, as events and as lines.

use serde_json::{Value, json};

use super::*;

const SSE: BodyFormat = BodyFormat::EventStream(Dialect::Generic);

/// A way to stream a text.
struct Shape {
    name: &'static str,
    /// The event that carries a piece of the text number `n`.
    piece: fn(usize, &str) -> Value,
    /// The event that ends the text number `n`.
    end: fn(usize) -> Value,
    /// Where the piece stands.
    pointer: &'static str,
    /// Where it says which text it continues, when several may be streamed at once.
    index: Option<&'static str>,
}

static SHAPES: &[Shape] = &[
    Shape {
        name: "Ollama generate",
        piece: |_, t| json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "response": t, "done": false}),
        end: |_| json!({"model": "m", "response": "", "done": true, "done_reason": "stop", "eval_count": 5}),
        pointer: "/response",
        index: None,
    },
    Shape {
        name: "Ollama thinking",
        piece: |_, t| json!({"model": "m", "message": {"role": "assistant", "content": "", "thinking": t}, "done": false}),
        end: |_| json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true}),
        pointer: "/message/thinking",
        index: None,
    },
    Shape {
        name: "Ollama chat",
        piece: |_, t| json!({"model": "m", "message": {"role": "assistant", "content": t}, "done": false}),
        end: |_| json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true}),
        pointer: "/message/content",
        index: None,
    },
    Shape {
        name: "Cohere 1",
        piece: |_, t| json!({"is_finished": false, "event_type": "text-generation", "text": t}),
        end: |_| json!({"is_finished": true, "event_type": "stream-end", "finish_reason": "COMPLETE"}),
        pointer: "/text",
        index: None,
    },
    Shape {
        name: "Cohere 1 tool call",
        piece: |_, t| json!({"is_finished": false, "event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": t}}),
        end: |_| json!({"is_finished": true, "event_type": "stream-end"}),
        pointer: "/tool_call_delta/parameters",
        index: None,
    },
    Shape {
        name: "Cohere 2",
        piece: |n, t| json!({"type": "content-delta", "index": n, "delta": {"message": {"content": {"text": t}}}}),
        end: |n| json!({"type": "content-end", "index": n}),
        pointer: "/delta/message/content/text",
        index: Some("/index"),
    },
    Shape {
        name: "Cohere 2 thoughts",
        piece: |n, t| json!({"type": "content-delta", "index": n, "delta": {"message": {"content": {"thinking": t}}}}),
        end: |n| json!({"type": "content-end", "index": n}),
        pointer: "/delta/message/content/thinking",
        index: Some("/index"),
    },
    Shape {
        name: "Cohere 2 plan",
        piece: |_, t| json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": t}}}),
        end: |_| json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
        pointer: "/delta/message/tool_plan",
        index: None,
    },
    Shape {
        name: "Cohere 2 tool call",
        piece: |n, t| json!({"type": "tool-call-delta", "index": n, "delta": {"message": {"tool_calls": {"function": {"arguments": t}}}}}),
        end: |n| json!({"type": "tool-call-end", "index": n}),
        pointer: "/delta/message/tool_calls/function/arguments",
        index: Some("/index"),
    },
    Shape {
        name: "Gemini",
        piece: |n, t| json!({"candidates": [{"content": {"parts": [{"text": t}], "role": "model"}, "index": n}], "usageMetadata": {"totalTokenCount": 5}}),
        end: |n| json!({"candidates": [{"finishReason": "STOP", "index": n}]}),
        pointer: "/candidates/0/content/parts/0/text",
        index: Some("/candidates/0/index"),
    },
    Shape {
        name: "TGI",
        piece: |_, t| json!({"index": 1, "token": {"id": 5, "text": t, "logprob": -0.1, "special": false}, "generated_text": null, "details": null}),
        end: |_| json!({"index": 1, "token": {"id": 2, "text": "</s>", "logprob": 0.0, "special": true}, "generated_text": "all of it"}),
        pointer: "/token/text",
        index: None,
    },
    Shape {
        name: "Converse",
        piece: |n, t| json!({"contentBlockIndex": n, "delta": {"text": t}, "p": "abcdef"}),
        end: |_| json!({"stopReason": "end_turn", "p": "abc"}),
        pointer: "/delta/text",
        index: Some("/contentBlockIndex"),
    },
    Shape {
        name: "Converse tool",
        piece: |n, t| json!({"contentBlockDelta": {"contentBlockIndex": n, "delta": {"toolUse": {"input": t}}}}),
        end: |n| json!({"contentBlockStop": {"contentBlockIndex": n}}),
        pointer: "/contentBlockDelta/delta/toolUse/input",
        index: Some("/contentBlockDelta/contentBlockIndex"),
    },
    Shape {
        name: "Converse reasoning",
        piece: |n, t| json!({"contentBlockDelta": {"contentBlockIndex": n, "delta": {"reasoningContent": {"text": t}}}}),
        end: |n| json!({"contentBlockStop": {"contentBlockIndex": n}}),
        pointer: "/contentBlockDelta/delta/reasoningContent/text",
        index: Some("/contentBlockDelta/contentBlockIndex"),
    },
    Shape {
        name: "Llama behind Bedrock",
        piece: |_, t| json!({"generation": t, "generation_token_count": 1, "stop_reason": null}),
        end: |_| json!({"generation": "", "stop_reason": "stop"}),
        pointer: "/generation",
        index: None,
    },
    Shape {
        name: "Titan",
        piece: |_, t| json!({"outputText": t, "index": 0, "completionReason": null}),
        end: |_| json!({"outputText": "", "index": 0, "completionReason": "FINISH"}),
        pointer: "/outputText",
        index: None,
    },
    Shape {
        name: "Mistral behind Bedrock",
        piece: |_, t| json!({"outputs": [{"text": t, "stop_reason": null}]}),
        end: |_| json!({"outputs": [{"text": "", "stop_reason": "stop"}]}),
        pointer: "/outputs/0/text",
        index: None,
    },
    Shape {
        name: "text completions",
        piece: |_, t| json!({"type": "completion", "completion": t, "stop_reason": null}),
        end: |_| json!({"type": "completion", "completion": "", "stop_reason": "stop_sequence"}),
        pointer: "/completion",
        index: None,
    },
    Shape {
        name: "llama.cpp",
        piece: |n, t| json!({"index": n, "content": t, "stop": false}),
        end: |n| json!({"index": n, "content": "", "stop": true}),
        pointer: "/content",
        index: None,
    },
    Shape {
        name: "transcription over a socket",
        piece: |n, t| json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": format!("item_{n}"), "content_index": 0, "delta": t}),
        end: |n| json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": format!("item_{n}"), "content_index": 0, "transcript": ""}),
        pointer: "/delta",
        index: Some("/item_id"),
    },
    Shape {
        name: "two responses over a socket",
        piece: |n, t| json!({"type": "response.output_text.delta", "response_id": format!("resp_{n}"), "item_id": "i", "output_index": 0, "content_index": 0, "delta": t}),
        end: |n| json!({"type": "response.done", "response": {"id": format!("resp_{n}"), "status": "completed"}}),
        pointer: "/delta",
        index: Some("/response_id"),
    },
];

fn framed(format: BodyFormat, events: &[Value]) -> String {
    events
        .iter()
        .map(|event| if format == SSE { format!("data: {event}\n\n") } else { format!("{event}\n") })
        .collect()
}

fn unframed(format: BodyFormat, body: &str) -> Vec<Value> {
    let data = |frame: &str| -> Value {
        let text = if format == SSE { frame.strip_prefix("data: ").unwrap_or(frame) } else { frame };
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    body.split(if format == SSE { "\n\n" } else { "\n" }).filter(|f| !f.is_empty()).map(data).collect()
}

/// What a client reads as the text of the number `n`.
fn joined(shape: &Shape, n: usize, events: &[Value]) -> String {
    let own = (shape.piece)(n, "");
    let mine = |event: &&Value| shape.index.is_none_or(|at| event.pointer(at) == own.pointer(at));
    let texts = events.iter().filter(mine).filter_map(|event| event.pointer(shape.pointer)?.as_str());
    texts.filter(|text| *text != "</s>").collect()
}

#[test]
fn catalogue_58_303_a_secret_at_every_split_in_every_shape() {
    for shape in SHAPES {
        for format in [SSE, BodyFormat::Ndjson] {
            for at in 1..CANARY.len() {
                let (a, b) = CANARY.split_at(at);
                for pieces in [["The key is ", a, b, ", use it."], ["The key is ", a, "", b]] {
                    let mut events: Vec<Value> = pieces.iter().map(|piece| (shape.piece)(0, piece)).collect();
                    events.push((shape.end)(0));
                    let input = framed(format, &events);
                    let out = mask(format, &input);
                    let read = unframed(format, &out);
                    let expected = joined(shape, 0, &events).replace(CANARY, MASKED);
                    assert_eq!(joined(shape, 0, &read), expected, "{}: {out}", shape.name);
                    assert_eq!(read.last(), events.last(), "{}: the end stays the end", shape.name);
                    // Whatever the client does after the end, nothing comes behind it.
                    assert!(out.len() + CANARY.len() >= input.len() && read.len() <= events.len() + 1);
                }
            }
        }
    }
}

#[test]
fn catalogue_58_two_texts_of_every_shape_do_not_mix() {
    for shape in SHAPES.iter().filter(|s| s.index.is_some()) {
        for format in [SSE, BodyFormat::Ndjson] {
            for at in 1..CANARY.len() {
                let (a, b) = CANARY.split_at(at);
                // The other text holds the same beginning, goes on otherwise, and ends in the middle of the first.
                let events = [
                    (shape.piece)(0, a),
                    (shape.piece)(1, a),
                    (shape.piece)(1, "-no"),
                    (shape.end)(1),
                    (shape.piece)(0, b),
                    (shape.end)(0),
                ];
                let out = mask(format, &framed(format, &events));
                let read = unframed(format, &out);
                // A Converse stream that has no `contentBlockStop` ends as a whole.
                if shape.name != "Converse" {
                    assert_eq!(joined(shape, 0, &read), MASKED, "{}: {out}", shape.name);
                    assert!(!out.contains(CANARY));
                }
                assert_eq!(joined(shape, 1, &read), format!("{a}-no"), "{}: {out}", shape.name);
            }
        }
    }
}

#[test]
fn a_stream_that_ends_without_saying_so_loses_nothing() {
    for shape in SHAPES {
        for format in [SSE, BodyFormat::Ndjson] {
            let (a, b) = CANARY.split_at(9);
            for pieces in [vec!["so ", a], vec!["so ", a, b]] {
                let events: Vec<Value> = pieces.iter().map(|piece| (shape.piece)(0, piece)).collect();
                for end in ["", "\n"] {
                    let input = framed(format, &events).trim_end().to_owned() + end;
                    let read = unframed(format, &mask(format, &input));
                    let expected = format!("so {}", pieces.concat().split_at(3).1).replace(CANARY, MASKED);
                    assert_eq!(joined(shape, 0, &read), expected, "{}", shape.name);
                }
            }
        }
    }
}

#[test]
fn what_is_clean_stays_byte_for_byte_in_every_shape() {
    let none = profile_of(&[]);
    for shape in SHAPES {
        for format in [SSE, BodyFormat::Ndjson] {
            let mut events: Vec<Value> = ["Hello", " wörld\n", "{\"a\": [1,", " \"x\"]}"]
                .iter()
                .map(|p| (shape.piece)(0, p))
                .collect();
            events.push((shape.end)(0));
            let input = framed(format, &events);
            assert_eq!(mask_with(&none, format, &input), input, "{}", shape.name);
        }
    }
}

#[test]
fn records_that_have_nothing_to_do_with_each_other_do_not_touch() {
    let (a, b) = CANARY.split_at(8);
    let lines = [
        json!({"level": "info", "message": {"content": a}, "text": a, "response": a, "content": a}),
        json!({"level": "info", "message": {"content": b}, "text": b, "response": b, "content": b}),
        json!({"prompt": "x", "completion": a, "generation": a, "outputText": a, "outputs": [{"text": a}]}),
        json!({"prompt": "x", "completion": b, "generation": b, "outputText": b, "outputs": [{"text": b}]}),
        json!({"thinking": a, "tool_call_delta": {"parameters": a}}),
        json!({"thinking": b, "tool_call_delta": {"parameters": b}}),
    ];
    let input = framed(BodyFormat::Ndjson, &lines);
    assert_eq!(mask(BodyFormat::Ndjson, &input), input);
    // And each of them is masked by itself, what is no JSON too.
    let input = format!(
        "{}\r\n\nplain {CANARY}\n\u{1e}{}\n{{broken {CANARY}\n\"{CANARY}\"",
        json!({"text": CANARY, CANARY: [CANARY]}),
        json!({"text": CANARY, "logprobs": [1]}),
    );
    assert_eq!(mask(BodyFormat::Ndjson, &input), input.replace(CANARY, MASKED));
    assert_eq!(BodyFormat::of(Some("application/json-seq"), Dialect::Generic), BodyFormat::Ndjson);
}

#[test]
fn a_line_at_the_limit_is_a_piece_and_one_beyond_is_a_document() {
    let (a, b) = CANARY.split_at(8);
    let line = |text: &str, len: usize| {
        let line = json!({"response": text, "done": false}).to_string();
        line.replacen('{', &format!("{{{}", " ".repeat(len.saturating_sub(line.len()))), 1)
    };
    for chunk in [1 << 16, 1 << 24] {
        let of = |lines: &[String]| run(&profile(), BodyFormat::Ndjson, lines.join("\n").as_bytes(), chunk);
        let out = of(&[line("so ", 0), line(a, LINE_BYTES_MAX), line(b, 0)]).unwrap();
        let read = unframed(BodyFormat::Ndjson, std::str::from_utf8(&out).unwrap());
        let text: String = read.iter().filter_map(|v| v["response"].as_str()).collect();
        assert_eq!(text, format!("so {MASKED}"));
        // Within a stream of pieces a longer one is refused; by itself it is masked as it stands.
        let refused = of(&[line("so ", 0), line(a, LINE_BYTES_MAX + 1)]);
        assert_eq!(refused, Err(MaskError::FrameTooLong));
        let alone = of(&[line(CANARY, LINE_BYTES_MAX + 1), line(CANARY, 0)]).unwrap();
        assert_eq!(
            alone.len(),
            LINE_BYTES_MAX + 1 + 2 * (MASKED.len() - CANARY.len()) + 1 + line(CANARY, 0).len()
        );
    }
}

#[test]
fn catalogue_303_token_lists_do_not_tell_what_the_text_does_not() {
    let (a, b) = CANARY.split_at(8);
    let legacy = |t: &str| {
        json!({"choices": [{"index": 0, "text": t, "finish_reason": null,
        "logprobs": {"tokens": [t], "top_logprobs": [{t: -0.1}], "token_logprobs": [-0.1]}}]})
    };
    let responses = |t: &str| {
        json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0,
        "content_index": 0, "delta": t, "logprobs": [{"token": t, "logprob": -0.1, "top_logprobs": [{"token": t}]}]})
    };
    let gemini = |t: &str| {
        json!({"candidates": [{"index": 0, "content": {"parts": [{"text": t}]},
        "logprobsResult": {"chosenCandidates": [{"token": t, "tokenId": 5}], "topCandidates": [{"candidates": [{"token": t}]}]}}]})
    };
    let tgi = |t: &str| json!({"token": {"id": 1, "text": t}, "top_tokens": [{"id": 1, "text": t}], "generated_text": null});
    let cpp = |t: &str| json!({"content": t, "stop": false, "completion_probabilities": [{"content": t, "probs": [{"tok_str": t}]}]});
    let makers: [&dyn Fn(&str) -> Value; 5] = [&legacy, &responses, &gemini, &tgi, &cpp];
    for (n, make) in makers.iter().enumerate() {
        for format in [SSE, BodyFormat::Ndjson] {
            let clean = framed(format, &[make("So!\n"), make("!\n")]);
            assert_eq!(mask(format, &clean), clean);
            let out = mask(format, &framed(format, &[make("So!\n"), make(a), make(b), make("!\n")]));
            assert!(!out.contains(a) && !out.contains(b), "{n}: {out}");
            assert_eq!(out.matches("So!").count(), clean.matches("So!").count(), "{n}: {out}");
        }
    }
    // In an answer that comes in one piece, too.
    let whole =
        json!({"logprobsResult": {"chosenCandidates": [{"token": a}, {"token": b}]}, "z": 1}).to_string();
    assert_eq!(mask(BodyFormat::Json, &whole), "{\"logprobsResult\":null,\"z\":1}");
}

#[test]
fn gemini_calls_hold_their_arguments_as_json() {
    let call = json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "run", "args": {"cmd": format!("echo {CANARY}"), "n": [1, true]}}},
        {"text": "so"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}, "finishReason": "STOP"}]});
    let input = framed(SSE, &[call]);
    assert_eq!(mask(SSE, &input), input.replace(CANARY, MASKED));
}

#[test]
fn gemini_streams_an_argument_of_a_call_by_its_path() {
    let piece = |path: &str, t: &str| {
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "run", "willContinue": true,
            "partialArgs": [{"stringValue": t, "jsonPath": path, "willContinue": true}]}}]}}]})
    };
    for at in 1..CANARY.len() {
        let (a, b) = CANARY.split_at(at);
        let events = [
            piece("$.cmd", a),
            piece("$.note", a),
            piece("$.cmd", b),
            piece("$.note", "-no"),
            json!({"candidates": [{"finishReason": "STOP"}]}),
        ];
        let read = unframed(SSE, &mask(SSE, &framed(SSE, &events)));
        let of = |path: &str| -> String {
            let argument =
                |v: &Value| v.pointer("/candidates/0/content/parts/0/functionCall/partialArgs/0").cloned();
            let own = read.iter().filter_map(argument).filter(|a| a["jsonPath"] == path);
            own.map(|a| a["stringValue"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!((of("$.cmd"), of("$.note")), (MASKED.to_owned(), format!("{a}-no")));
    }
}

#[test]
fn anthropic_citations_and_redacted_thinking() {
    let token = ["ghp_", "0123456789abcdefghijklmnopqrstuvwx0123"].concat();
    let cited = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta",
        "citation": {"type": "char_location", "cited_text": format!("is {CANARY}"), "document_index": 0}}});
    let redacted = json!({"type": "content_block_start", "index": 1,
        "content_block": {"type": "redacted_thinking", "data": format!("Eq{token}")}});
    let input = framed(SSE, &[cited, redacted]);
    assert_eq!(mask_with(&with_detectors(), SSE, &input), input.replace(CANARY, MASKED));
}

#[test]
fn catalogue_58_gemini_in_an_array_at_every_split() {
    let element = |n: u64, t: &str, end: Value| {
        json!({"candidates": [{"index": n, "content": {"parts": [{"text": t}]}, "finishReason": end}]})
            .to_string()
    };
    let texts = |out: &str, n: u64| -> String {
        let all: Vec<Value> = serde_json::from_str(out).unwrap_or_else(|e| panic!("{e}: {out}"));
        let own = all.iter().filter(|v| v["candidates"][0]["index"] == n);
        own.filter_map(|v| v["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
    };
    for at in 1..CANARY.len() {
        let (a, b) = CANARY.split_at(at);
        for end in [Value::Null, json!("STOP")] {
            let input = format!(
                "[{}\n,\r\n{} , {},{}]\n",
                element(0, "is ", Value::Null),
                element(0, a, Value::Null),
                element(1, a, end.clone()),
                element(0, b, end.clone())
            );
            let out = mask(BodyFormat::Json, &input);
            assert_eq!((texts(&out, 0), texts(&out, 1)), (format!("is {MASKED}"), a.to_owned()), "{out}");
        }
        // What is held when the array ends is an element more.
        let out = mask(BodyFormat::Json, &format!(" [ {} ]", element(0, a, Value::Null)));
        assert_eq!(texts(&out, 0), a);
    }
    let clean =
        format!("[{}\n,\n{}]\n[1] x", element(0, "so!\n", Value::Null), element(0, "!\n", json!("STOP")));
    assert_eq!(mask(BodyFormat::Json, &clean), clean);
}

#[test]
fn what_only_begins_like_an_array_of_events_is_masked_all_the_same() {
    let event = json!({"candidates": [{"content": {"parts": [{"text": "so!\n"}]}}]}).to_string();
    for rest in [
        ", \"CANARY\", 1]",
        ", CANARY",
        ", {\"a\": CANARY}]",
        ", [\"CANARY\"], {\"CANARY\": 1}]",
        "] CANARY",
        "]\n{\"a\": \"CANARY\"}",
        ", {\"a\": \"CANARY",
        ",, \"CANARY\"]",
        ", 12, {\"candidates\": \"CANARY\"}]",
    ] {
        let input = format!("[{event}{}", rest.replace("CANARY", CANARY));
        assert_eq!(mask(BodyFormat::Json, &input), input.replace(CANARY, MASKED));
    }
    for head in
        ["[", "[ {", "[{\"candid", "[{\"candidates\"", &format!("[{}", " ".repeat(70)), "[[", "[{\"a", " "]
    {
        assert_eq!(mask(BodyFormat::Json, head), head);
        let input = format!("{head}{CANARY}");
        assert_eq!(mask(BodyFormat::Json, &input), format!("{head}{MASKED}"));
    }
}

#[test]
fn an_element_at_the_limit_passes_and_one_beyond_does_not() {
    let of = |length: usize| {
        let element = "{\"candidates\":[]}";
        let body = format!(
            "[{}{}",
            element.replacen(':', &format!(":{}", " ".repeat(length - element.len())), 1),
            "]"
        );
        run(&profile(), BodyFormat::Json, body.as_bytes(), 1 << 16).map(|out| out.len())
    };
    assert_eq!(of(ELEMENT_BYTES_MAX), Ok(ELEMENT_BYTES_MAX + 2));
    assert_eq!(of(ELEMENT_BYTES_MAX + 1), Err(MaskError::FrameTooLong));
}
