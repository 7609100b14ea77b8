//! However a body arrives: in two parts, byte by byte, without an end; and what a stream may take of memory.

use serde_json::json;

use super::events::{channels, frame};
use super::*;

fn bodies(text: &str) -> Vec<(BodyFormat, String)> {
    let delta = frame(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    vec![
        (BodyFormat::Text, text.to_owned()),
        (BodyFormat::Json, json!({"a": [1, text], text: {"b": text}}).to_string()),
        (BodyFormat::Json, format!("{{\"a\":\"{}\"}}", escaped(text))),
        (BodyFormat::Ndjson, format!("{}\n{text}\n", json!({"response": text, "done": true}))),
        (
            BodyFormat::EventStream(Dialect::OpenAi),
            format!(": {text}\n\nid: {text}\n{delta}data: [DONE]\n\n"),
        ),
        (BodyFormat::EventStream(Dialect::Generic), format!("event: x\ndata: {text}\n\n")),
    ]
}

#[test]
fn catalogue_57_a_secret_at_every_split_of_every_format() {
    for (format, body) in bodies(CANARY) {
        let whole = mask(format, &body);
        for cut in 0..=body.len() {
            let mut masker = BodyMasker::new(profile(), format);
            let mut out = Vec::new();
            for part in [&body.as_bytes()[..cut], &body.as_bytes()[cut..]] {
                masker.push(part, &mut out).unwrap();
                assert!(whole.as_bytes().starts_with(&out), "{format:?} at {cut}: what has left is final");
            }
            masker.finish(&mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), whole, "{format:?} at {cut}");
        }
        assert!(!whole.contains(CANARY) && whole.contains(MASKED));
    }
}

#[test]
fn catalogue_78_a_body_that_drips_and_ends_on_a_prefix_is_neither_lost_nor_leaked() {
    for length in 1..CANARY.len() {
        let prefix = &CANARY[..length];
        for (format, body) in bodies(&format!("see {prefix}")) {
            let mut masker = BodyMasker::new(profile(), format);
            let mut out = Vec::new();
            for byte in body.as_bytes() {
                masker.push(std::slice::from_ref(byte), &mut out).unwrap();
                if format == BodyFormat::Text {
                    let sent = String::from_utf8_lossy(&out).into_owned();
                    assert!("see ".starts_with(&sent), "{sent:?} left while it may become the secret");
                }
            }
            masker.finish(&mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            match format {
                BodyFormat::Text | BodyFormat::Json => assert_eq!(out, body),
                BodyFormat::EventStream(Dialect::OpenAi) => {
                    assert_eq!(channels(&out)["0.content"], format!("see {prefix}"), "{out}");
                }
                _ => {
                    let whole = format!("see {prefix}");
                    let out = out.replace("\n\nevent: x\ndata: ", "");
                    assert_eq!(out.matches(&whole).count(), body.matches(&whole).count(), "{out}");
                }
            }
        }
    }
}

/// Resident bytes of this process, where the system tells.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4096)
}

#[test]
fn the_memory_of_a_stream_does_not_grow_with_it() {
    const PUSHED: usize = 6 << 20;
    const GROWTH_MAX: usize = 3 << 20;
    // What docs/masking.md promises of a stream whose every text holds as much as it may.
    const STREAM_BYTES_MAX: usize = 8 << 20;
    let canary = KnownValue::new("canary", CANARY.as_bytes()).unwrap();
    let builder = Profile::builder().known([canary]).detectors(Detectors::builtin(), &["private_key"]);
    let profile = Arc::new(builder.build().unwrap());
    let hostile = [
        // Texts that hold as much as they may: a key block that does not end, prefixes, an endless disguise.
        format!("-----BEGIN {0}-----\n{1}", "RSA PRIVATE KEY", "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn".repeat(40)),
        CANARY[..12].to_owned(),
        format!("k{}", "\u{200b}".repeat(900)),
        "password = ".to_owned(),
        "x".repeat(2000),
    ];
    let event = |n: usize, text: &str| {
        json!({"choices": [{"index": n % CHANNELS_MAX, "delta": {"content": text}, "finish_reason": null}]})
            .to_string()
    };
    let record =
        |n: usize, text: &str| json!({"index": n % CHANNELS_MAX, "content": text, "stop": false}).to_string();
    for format in
        [BodyFormat::EventStream(Dialect::OpenAi), BodyFormat::Ndjson, BodyFormat::Text, BodyFormat::Json]
    {
        let mut masker = BodyMasker::new(Arc::clone(&profile), format);
        let mut out = Vec::new();
        let (mut warm, mut pushed, fresh) = (None, 0, resident());
        while pushed < PUSHED {
            for (n, text) in hostile.iter().cycle().take(hostile.len() * CHANNELS_MAX).enumerate() {
                let piece = match format {
                    BodyFormat::EventStream(_) => format!("data: {}\n\n", event(n, text)),
                    BodyFormat::Ndjson => format!("{}\n", record(n, text)),
                    BodyFormat::Json => {
                        format!("{}\n", json!([text, {"logprobs": [text]}, json!({"a": text}).to_string()]))
                    }
                    _ => text.clone(),
                };
                masker.push(piece.as_bytes(), &mut out).unwrap();
                pushed += piece.len();
                out.clear();
                masker.take_findings();
            }
            let Some(now) = resident() else { return println!("no /proc: memory is not looked at") };
            let before = *warm.get_or_insert(now);
            let grown = now.saturating_sub(fresh.unwrap_or(now));
            assert!(grown < STREAM_BYTES_MAX, "{format:?}: {} KB for a stream", grown >> 10);
            assert!(
                now < before + GROWTH_MAX,
                "{format:?}: {} KB more after {pushed} bytes",
                (now - before) >> 10
            );
        }
    }
}
