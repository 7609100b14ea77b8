//! AWS event stream messages.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use keyward_wire::aws_event::{Framer, Message, write_message, write_string_header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const AWS: BodyFormat = BodyFormat::AwsEventStream;

fn event_of(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let (mut encoded, mut out) = (Vec::new(), Vec::new());
    for (name, value) in headers {
        write_string_header(name.as_bytes(), value.as_bytes(), &mut encoded).unwrap();
    }
    write_message(&encoded, payload, &mut out).unwrap();
    out
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    event_of(&headers, payload.to_string().as_bytes())
}

fn chunk_of(inner: &str) -> Vec<u8> {
    event("chunk", &json!({"bytes": STANDARD.encode(inner), "p": "abcdefgh"}))
}

fn masked(profile: &Arc<Profile>, input: &[u8]) -> Vec<u8> {
    let whole = run(profile, AWS, input, input.len()).unwrap();
    for chunk in [1, 2, 7, 100] {
        assert_eq!(run(profile, AWS, input, chunk).unwrap(), whole, "chunk {chunk}");
    }
    whole
}

/// Every message's event type and payload; checksums are checked on the way.
fn read(mut stream: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut framer = Framer::new();
    let mut got = Vec::new();
    while let Some(raw) = framer.next(&mut stream).unwrap() {
        let message = Message::read(raw).unwrap();
        let kind = message.headers.iter().find(|h| &raw[h.name.clone()] == b":event-type").unwrap();
        let kind = String::from_utf8(raw[kind.value.clone()].to_vec()).unwrap();
        got.push((kind, raw[message.payload].to_vec()));
    }
    assert!(framer.rest().is_empty());
    got
}

fn value(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

/// What stands in `bytes`, decoded.
fn inner(payload: &[u8]) -> Value {
    value(&STANDARD.decode(value(payload)["bytes"].as_str().unwrap()).unwrap())
}

type Delta = fn(&str) -> Value;
type Maker<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn catalogue_58_converse_streams_at_every_split() {
    let texts: [(&str, Delta); 3] = [
        ("/delta/text", |t| json!({"text": t})),
        ("/delta/toolUse/input", |t| json!({"toolUse": {"input": t}})),
        ("/delta/reasoningContent/text", |t| json!({"reasoningContent": {"text": t}})),
    ];
    for (pointer, delta) in texts {
        let piece = |n: u64, t: &str| {
            event("contentBlockDelta", &json!({"contentBlockIndex": n, "delta": delta(t), "p": "abc"}))
        };
        let stop = |n: u64| event("contentBlockStop", &json!({"contentBlockIndex": n, "p": "ab"}));
        for at in 1..CANARY.len() {
            let (a, b) = CANARY.split_at(at);
            let input = [
                event("messageStart", &json!({"role": "assistant"})),
                piece(0, "is "),
                piece(0, a),
                piece(1, a),
                stop(1),
                piece(0, b),
                stop(0),
                event("messageStop", &json!({"stopReason": "end_turn"})),
                event("metadata", &json!({"usage": {"totalTokens": 5}})),
            ]
            .concat();
            let out = read(&masked(&profile(), &input));
            let of = |n: u64| -> String {
                let all = out.iter().map(|(_, p)| value(p)).filter(|v| v["contentBlockIndex"] == n);
                all.filter_map(|v| Some(v.pointer(pointer)?.as_str()?.to_owned())).collect()
            };
            assert_eq!((of(0), of(1)), (format!("is {MASKED}"), a.to_owned()));
            assert_eq!(out.len(), 10, "one more for what block 1 held");
            assert_eq!(out[9].0, "metadata");
        }
    }
}

#[test]
fn catalogue_58_chunks_are_masked_inside_their_base64() {
    let anthropic = |t: &str| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}})
            .to_string()
    };
    let llama = |t: &str| json!({"generation": t, "stop_reason": null}).to_string();
    let makers: [(&str, Maker<'_>); 2] = [("/delta/text", &anthropic), ("/generation", &llama)];
    for (pointer, make) in makers {
        for at in 1..CANARY.len() {
            let (a, b) = CANARY.split_at(at);
            let clean = chunk_of(&make("so clean. "));
            let input = [clean.clone(), chunk_of(&make(a)), chunk_of(&make(b))].concat();
            let out = masked(&profile(), &input);
            assert!(out.starts_with(&clean), "what is clean stays as it came");
            let text: String = read(&out)
                .iter()
                .filter_map(|(_, p)| Some(inner(p).pointer(pointer)?.as_str()?.to_owned()))
                .collect();
            assert_eq!(text, format!("so clean. {MASKED}"));
            assert!(read(&out).iter().all(|(_, p)| value(p)["p"] == "abcdefgh" || value(p)["p"].is_null()));
            // The rest of a text that ends without saying so comes in a chunk of its own.
            let out = read(&masked(&profile(), &chunk_of(&make(a))));
            let text: String = out
                .iter()
                .filter_map(|(_, p)| Some(inner(p).pointer(pointer)?.as_str()?.to_owned()))
                .collect();
            assert_eq!(text, a);
        }
    }
    // Other members, escapes in the base64, and base64 without its padding.
    let doc = anthropic(CANARY);
    for encoded in [STANDARD.encode(&doc).replace('=', "\\u003d"), STANDARD_NO_PAD.encode(&doc)] {
        let payload = format!("{{\"note\":\"{CANARY}\",\"bytes\":\"{encoded}\", \"{CANARY}\":[1]}}");
        let input = event_of(&[(":event-type", "chunk")], payload.as_bytes());
        let out = read(&masked(&profile(), &input));
        assert_eq!(inner(&out[0].1)["delta"]["text"], MASKED);
        assert_eq!(value(&out[0].1)["note"], MASKED);
        assert!(out[0].1.ends_with(format!("\", \"{MASKED}\":[1]}}").as_bytes()));
    }
}

#[test]
fn headers_and_payloads_of_other_kinds_are_masked() {
    let input = event_of(&[(":event-type", "x"), ("note", CANARY), ("n", "1")], b"{}");
    assert_eq!(
        masked(&profile(), &input),
        event_of(&[(":event-type", "x"), ("note", MASKED), ("n", "1")], b"{}")
    );
    // Records of S3 Select go on from message to message.
    let (a, b) = CANARY.split_at(9);
    let record = |t: &str| {
        event_of(&[(":event-type", "Records"), (":content-type", "application/octet-stream")], t.as_bytes())
    };
    let out = read(&masked(
        &profile(),
        &[record(&format!("1,{a}")), record(&format!("{b},2\n")), record(a)].concat(),
    ));
    let all: Vec<u8> = out.into_iter().flat_map(|(_, payload)| payload).collect();
    assert_eq!(all, format!("1,{MASKED},2\n{a}").into_bytes());
}

#[test]
fn what_is_malformed_ends_the_stream_before_it_leaves() {
    let good = event("x", &json!({"a": 1}));
    let mut checksum = event("x", &json!({"a": CANARY}));
    *checksum.last_mut().unwrap() ^= 1;
    let cut = event("x", &json!({"a": CANARY}));
    let twice = event_of(&[(":event-type", "chunk")], b"{\"bytes\":\"e30=\",\"bytes\":\"e30=\"}");
    let no_base64 = event("chunk", &json!({"bytes": "!"}));
    let long = [
        &u32::MAX.to_be_bytes()[..],
        &0u32.to_be_bytes(),
        &crc32(&[&u32::MAX.to_be_bytes()[..], &[0; 4]].concat()),
    ]
    .concat();
    for (bad, error) in [
        (&checksum[..], MaskError::Malformed),
        (&cut[..cut.len() - 1], MaskError::Malformed),
        (&twice, MaskError::Malformed),
        (&no_base64, MaskError::Malformed),
        (&long, MaskError::FrameTooLong),
    ] {
        for chunk in [1, 5, 1000] {
            let mut masker = BodyMasker::new(profile(), AWS);
            let mut out = Vec::new();
            let input = [&good[..], bad].concat();
            let pushed = input.chunks(chunk).try_for_each(|part| masker.push(part, &mut out));
            assert_eq!(pushed.and_then(|()| masker.finish(&mut out)), Err(error));
            assert_eq!(out, good);
        }
    }
}

/// A checksum, taken from a message that has these bytes as its prelude.
fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    (!crc).to_be_bytes()
}

#[test]
fn the_format_is_known_by_its_type() {
    assert_eq!(BodyFormat::of(Some("application/vnd.amazon.eventstream"), Dialect::Generic), AWS);
}

proptest! {
    #[test]
    fn chunking_never_changes_output(
        parts in proptest::collection::vec((0usize..4, 0usize..CANARY.len(), 0usize..CANARY.len()), 0..8),
        chunk in 1usize..60,
    ) {
        let input: Vec<u8> = parts
            .iter()
            .flat_map(|(kind, from, to)| {
                let piece = &CANARY[*from.min(to)..*from.max(to)];
                match kind {
                    0 => event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": piece}})),
                    1 => chunk_of(&json!({"generation": piece, "stop_reason": null}).to_string()),
                    2 => event_of(&[(":event-type", "Records")], piece.as_bytes()),
                    _ => event("contentBlockStop", &json!({"contentBlockIndex": 0})),
                }
            })
            .collect();
        let out = run(&profile(), AWS, &input, chunk);
        prop_assert_eq!(&out, &run(&profile(), AWS, &input, usize::MAX));
        read(&out.unwrap());
    }
}
