//! Bodies that are not UTF-8.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const ENCODINGS: [&str; 4] = ["16le", "16be", "32le", "32be"];

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "32le" => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        _ => text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
    }
}

fn masked(profile: &Arc<Profile>, format: BodyFormat, body: &[u8]) -> Result<Vec<u8>, MaskError> {
    let whole = run(profile, format, body, body.len());
    for chunk in [1, 2, 3, 5, 7, 64] {
        assert_eq!(run(profile, format, body, chunk), whole, "chunk {chunk}");
    }
    whole
}

#[test]
fn catalogue_62_wide_bodies_are_masked_in_their_format_and_charset() {
    let stream = |a: &str, b: &str| {
        let event = |t: &str| {
            format!("data: {}\r\n\r\n", json!({"choices": [{"index": 0, "delta": {"content": t}}]}))
        };
        event(a) + &event(b)
    };
    let (a, b) = CANARY.split_at(7);
    for encoding in ENCODINGS {
        for mark in ["", "\u{feff}"] {
            for (format, body, expected) in [
                (
                    BodyFormat::Text,
                    format!("wörld {CANARY} \u{1f600}!"),
                    format!("wörld {MASKED} \u{1f600}!"),
                ),
                (
                    BodyFormat::Json,
                    json!({"é": 1.5, CANARY: [CANARY]}).to_string(),
                    json!({"é": 1.5, MASKED: [MASKED]}).to_string(),
                ),
                (
                    BodyFormat::Json,
                    format!("{{\"a\":\"{}\"}}", escaped(CANARY)),
                    format!("{{\"a\":\"{MASKED}\"}}"),
                ),
                (BodyFormat::Ndjson, format!("[\"{CANARY}\"]\n[1]"), format!("[\"{MASKED}\"]\n[1]")),
                (BodyFormat::EventStream(Dialect::OpenAi), stream(a, b), stream("", MASKED)),
                (BodyFormat::WideText, format!("a {CANARY}"), format!("a {MASKED}")),
            ] {
                let input = encoded(&format!("{mark}{body}"), encoding);
                let out = masked(&profile(), format, &input).unwrap();
                let expected = encoded(&format!("{mark}{expected}"), encoding);
                assert!(out == expected, "{encoding} {format:?}: {:?}", String::from_utf8_lossy(&out));
            }
        }
    }
}

#[test]
fn catalogue_62_detectors_see_wide_text_too() {
    let token = concat!("glpat-", "xK9mQ2vL7wRtY4nB8cZs");
    for encoding in ENCODINGS {
        let input = encoded(&format!("the token {token} is here\n"), encoding);
        let out = masked(&with_detectors(), BodyFormat::Text, &input).unwrap();
        assert!(out.starts_with(&encoded("the token [REDACTED:", encoding)), "{encoding}");
        assert!(out.ends_with(&encoded("] is here\n", encoding)));
    }
}

#[test]
fn catalogue_62_a_charset_that_lies_hides_nothing() {
    let token = concat!("glpat-", "xK9mQ2vL7wRtY4nB8cZs");
    for secret in [CANARY, token] {
        for head in [
            &b"\xff\xfe"[..],
            b"\xfe\xff",
            b"a\0b\0",
            b"\0a\0b",
            b"a\0\0\0",
            b"\0\0\0a",
            b"\xff\xfe\0\0",
            b"\0\0\xfe\xff",
        ] {
            // One byte more or less: at least one of them is aligned.
            for shift in 1..5 {
                let input = [head, &b"     "[..shift], secret.as_bytes(), b" and more"].concat();
                let out = masked(&with_detectors(), BodyFormat::Text, &input).unwrap();
                assert!(!out.windows(secret.len()).any(|w| w == secret.as_bytes()), "{head:?} {shift}");
                assert!(out.starts_with(head));
            }
        }
    }
    // What is said to be wide and is not, and what no charset explains.
    assert_eq!(masked(&profile(), BodyFormat::WideText, b"plain text"), Err(MaskError::Charset));
    assert_eq!(masked(&profile(), BodyFormat::Json, b"{\0\0\0\0"), Ok(b"{\0\0\0\0".to_vec()));
    assert_eq!(masked(&profile(), BodyFormat::Json, b"\0\0\0\0"), Err(MaskError::Charset));
    assert_eq!(masked(&profile(), BodyFormat::WideText, b""), Ok(Vec::new()));
}

#[test]
fn catalogue_62_charsets_by_their_names() {
    let of = |kind: &str, charset: &str| {
        BodyFormat::of(Some(&format!("{kind}; charset=\"{charset}\"")), Dialect::OpenAi)
    };
    for charset in
        ["utf-16", "UTF-16LE", "utf-16be", "utf-32", "UTF-32LE", "utf-32be", "ucs-2", "iso-10646-ucs-2"]
    {
        assert_eq!(of("application/json", charset), BodyFormat::Json, "{charset}");
        assert_eq!(of("text/event-stream", charset), BodyFormat::EventStream(Dialect::OpenAi), "{charset}");
        assert_eq!(of("text/plain", charset), BodyFormat::WideText, "{charset}");
    }
    for charset in
        ["utf-7", "shift_jis", "iso-2022-jp", "ibm037", "cp500", "euc-jp", "hz-gb-2312", "x-user-defined"]
    {
        assert_eq!(of("text/plain", charset), BodyFormat::Unreadable, "{charset}");
    }
    for chunk in [1, 3, 1000] {
        assert_eq!(run(&profile(), BodyFormat::Unreadable, b"plain", chunk), Err(MaskError::Charset));
    }
}

proptest! {
    /// Whatever the bytes are, what nothing matches comes out as it went in.
    #[test]
    fn any_bytes_behind_a_wide_beginning_stay(
        head in proptest::sample::select(vec![&b"\xff\xfe"[..], b"\xfe\xff", b"a\0b\0", b"\0a\0b", b"a\0\0\0", b"\0\0\0a"]),
        data in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xd8), Just(0xdc), any::<u8>()], 0..60),
        chunk in 1usize..9,
    ) {
        let input = [head, data.as_slice()].concat();
        for format in [BodyFormat::Text, BodyFormat::WideText] {
            prop_assert_eq!(run(&profile_of(&[]), format, &input, chunk).unwrap(), input.clone());
        }
    }

    #[test]
    fn chunking_never_changes_wide_output(
        text in "\\PC{0,6}",
        more in "\\PC{0,6}",
        encoding in proptest::sample::select(ENCODINGS.to_vec()),
        cut in 0usize..4,
        chunk in 1usize..9,
    ) {
        let mut input = encoded(&format!("ab{text}{CANARY}{more}"), encoding);
        input.truncate(input.len() - cut);
        let out = run(&profile(), BodyFormat::Text, &input, chunk).unwrap();
        prop_assert_eq!(&out, &run(&profile(), BodyFormat::Text, &input, usize::MAX).unwrap());
        if cut == 0 {
            prop_assert_eq!(out, encoded(&format!("ab{text}{MASKED}{more}"), encoding));
        }
    }
}
