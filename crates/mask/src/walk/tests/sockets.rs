//! WebSocket messages.

use keyward_wire::websocket::{Item, Kind, Messages, Side, write_message};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::walk::fuzz;

fn text(payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(Kind::Text, payload.as_bytes(), &mut out);
    out
}

fn binary(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(Kind::Binary, payload, &mut out);
    out
}

/// A message in fragments that end at `cuts`, a ping between each two.
fn fragments(opcode: u8, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    for (n, cut) in cuts.iter().copied().chain([payload.len()]).enumerate() {
        let part = &payload[at..cut];
        let last = if n == cuts.len() { 0x80 } else { 0 };
        out.extend_from_slice(&[last | if n == 0 { opcode } else { 0 }, u8::try_from(part.len()).unwrap()]);
        out.extend_from_slice(part);
        if last == 0 {
            out.extend_from_slice(b"\x89\x01p");
        }
        at = cut;
    }
    out
}

fn run_socket(profile: &Arc<Profile>, input: &[u8], chunk: usize) -> Result<Vec<u8>, MaskError> {
    let mut masker = WebSocketMasker::new(Arc::clone(profile));
    let mut out = Vec::new();
    for part in input.chunks(chunk.max(1)) {
        masker.push(part, &mut out)?;
    }
    masker.finish(&mut out)?;
    Ok(out)
}

fn socket(profile: &Arc<Profile>, input: &[u8]) -> Vec<u8> {
    let whole = run_socket(profile, input, usize::MAX).unwrap();
    for chunk in [1, 2, 5, 17, 100] {
        assert_eq!(run_socket(profile, input, chunk).unwrap(), whole, "chunk {chunk}");
    }
    whole
}

/// The data messages, as a client reads them.
fn messages(mut stream: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut reader = Messages::new(Side::Server);
    let mut got = Vec::new();
    while let Some(item) = reader.next(&mut stream).unwrap() {
        if let Item::Message { kind, payload, .. } = item {
            got.push((kind, payload.to_vec()));
        }
    }
    assert!(reader.is_idle());
    got
}

fn joined(stream: &[u8], pointer: &str) -> String {
    let read = |(_, payload): (Kind, Vec<u8>)| -> Option<String> {
        let value: Value = serde_json::from_slice(&payload).unwrap();
        Some(value.pointer(pointer)?.as_str()?.to_owned())
    };
    messages(stream).into_iter().filter_map(read).collect()
}

#[test]
fn catalogue_57_a_secret_at_every_split_over_fragments() {
    let body = json!({"a": format!("is {CANARY}"), "b": 1}).to_string();
    for at in 0..=body.len() {
        for opcode in [1, 2] {
            let input = fragments(opcode, body.as_bytes(), &[at / 2, at]);
            let out = socket(&profile(), &input);
            assert_eq!(messages(&out)[0].1, body.replace(CANARY, MASKED).into_bytes());
            assert!(out.starts_with(b"\x89\x01p\x89\x01p"), "pings stay");
        }
    }
    let plain = format!("\u{1}\u{0}raw {CANARY} bytes");
    for at in 0..=plain.len() {
        for opcode in [1, 2] {
            let out = socket(&profile(), &fragments(opcode, plain.as_bytes(), &[at]));
            assert_eq!(messages(&out)[0].1, plain.replace(CANARY, MASKED).into_bytes());
        }
    }
}

#[test]
fn catalogue_58_realtime_deltas_at_every_split() {
    let delta = |kind: &str, item: &str, piece: &str| {
        text(&json!({"type": format!("response.{kind}.delta"), "event_id": "e", "response_id": "r", "item_id": item,
            "output_index": 0, "content_index": 0, "delta": piece}).to_string())
    };
    for kind in
        ["output_text", "output_audio_transcript", "function_call_arguments", "text", "audio_transcript"]
    {
        for at in 1..CANARY.len() {
            let (a, b) = CANARY.split_at(at);
            let done = text(
                &json!({"type": format!("response.{kind}.done"), "response_id": "r", "item_id": "i",
                "output_index": 0, "content_index": 0, "text": CANARY})
                .to_string(),
            );
            let input = [
                delta(kind, "i", "is "),
                delta(kind, "i", a),
                delta(kind, "j", a),
                delta(kind, "i", b),
                done,
            ]
            .concat();
            let out = socket(&profile(), &input);
            assert!(!String::from_utf8_lossy(&out).contains(CANARY));
            let read = joined(&out, "/delta");
            assert_eq!(read.replace(MASKED, "").len(), 3 + a.len(), "the other item's stays: {read}");
            assert_eq!(messages(&out).len(), 6);
        }
    }
    // Audio is base64, and stays.
    let audio = delta("output_audio", "i", "AAAA");
    assert_eq!(socket(&with_detectors(), &audio), audio);
}

#[test]
fn catalogue_58_gemini_live_in_binary_frames() {
    let piece = |t: &str| {
        binary(json!({"serverContent": {"modelTurn": {"parts": [{"text": t}]}}}).to_string().as_bytes())
    };
    let heard = |t: &str| {
        binary(json!({"serverContent": {"outputTranscription": {"text": t}}}).to_string().as_bytes())
    };
    let end = binary(json!({"serverContent": {"turnComplete": true}}).to_string().as_bytes());
    for at in 1..CANARY.len() {
        let (a, b) = CANARY.split_at(at);
        let out = socket(&profile(), &[piece(a), heard(a), piece(b), heard(b), end.clone()].concat());
        assert_eq!(joined(&out, "/serverContent/modelTurn/parts/0/text"), MASKED);
        assert_eq!(joined(&out, "/serverContent/outputTranscription/text"), MASKED);
        // What begins a secret and stays one comes before the end, in a frame of the same kind.
        let out = socket(&profile(), &[piece(a), end.clone()].concat());
        assert_eq!(joined(&out, "/serverContent/modelTurn/parts/0/text"), a);
        assert!(messages(&out).iter().all(|(kind, _)| *kind == Kind::Binary) && out.ends_with(&end));
    }
}

#[test]
fn text_goes_on_over_messages_and_ends_before_the_close() {
    let close = b"\x88\x04\x03\xe8ok";
    for at in 1..CANARY.len() {
        let (a, b) = CANARY.split_at(at);
        let out =
            socket(&profile(), &[&text(&format!("$ {a}"))[..], &text(&format!("{b}\n")), close].concat());
        let all: Vec<u8> = messages(&out).into_iter().flat_map(|(_, payload)| payload).collect();
        assert_eq!(all, format!("$ {MASKED}\n").into_bytes());
        assert!(out.ends_with(close));
        let out = socket(&profile(), &[&text(a)[..], close].concat());
        assert_eq!(messages(&out).last().unwrap().1, a.as_bytes());
        assert!(out.ends_with(close));
    }
    let reason =
        [&b"\x88"[..], &[u8::try_from(2 + CANARY.len()).unwrap()], b"\x03\xe8", CANARY.as_bytes()].concat();
    let out = socket(&profile(), &reason);
    assert_eq!(
        out,
        [&b"\x88"[..], &[u8::try_from(2 + MASKED.len()).unwrap()], b"\x03\xe8", MASKED.as_bytes()].concat()
    );
}

#[test]
fn catalogue_46_what_cannot_be_looked_into_ends_the_stream() {
    let good = text("hello");
    for (bad, error) in [
        (&b"\xc1\x02xx"[..], MaskError::Malformed),
        (b"\x81\x82\0\0\0\0xx", MaskError::Malformed),
        (b"\x81\x02\xff\xff", MaskError::Malformed),
        (b"\x82\x7f\0\0\0\x01\0\0\0\0", MaskError::FrameTooLong),
        (b"\x81\x05hel", MaskError::Malformed),
    ] {
        let input = [&good[..], bad].concat();
        for chunk in [1, 3, 100] {
            let mut masker = WebSocketMasker::new(profile());
            let mut out = Vec::new();
            let pushed = input.chunks(chunk).try_for_each(|part| masker.push(part, &mut out));
            assert_eq!(pushed.and_then(|()| masker.finish(&mut out)), Err(error), "{bad:?}");
            assert_eq!(out, good, "what came before has left, and no more");
            assert_eq!(masker.push(&good, &mut out), Err(error));
            assert_eq!(out, good);
        }
    }
}

#[test]
fn what_is_clean_keeps_its_frames() {
    let body = json!({"type": "response.output_text.delta", "item_id": "i", "delta": "Hello "}).to_string();
    let input = [
        b"\x01\x02{ \x00\x00\x80\x01}".to_vec(),
        text(&body),
        b"\x02\x02\x00\xff\x80\x03raw".to_vec(),
        b"\x8a\x00".to_vec(),
        text(""),
        text("plain text!\n"),
        text(&"x!\n".repeat(40_000)),
        b"\x88\x00".to_vec(),
    ]
    .concat();
    assert!(socket(&profile(), &input) == input);
}

proptest! {
    #[test]
    fn chunking_never_changes_output(
        parts in proptest::collection::vec(
            prop_oneof![
                Just(text("is ")),
                (1usize..CANARY.len()).prop_map(|n| text(&CANARY[..n])),
                (1usize..CANARY.len()).prop_map(|n| text(&CANARY[n..])),
                (1usize..CANARY.len()).prop_map(|n| text(&json!({"response": &CANARY[..n], "done": false}).to_string())),
                (1usize..CANARY.len()).prop_map(|n| fragments(1, CANARY.as_bytes(), &[n])),
                Just(binary(CANARY.as_bytes())),
                Just(b"\x89\x00".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..6),
            ],
            0..8,
        ),
    ) {
        fuzz::websocket(&profile(), &parts.concat());
    }
}
