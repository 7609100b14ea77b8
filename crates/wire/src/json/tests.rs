use proptest::prelude::*;

use super::*;
use crate::fuzz;

/// (path, role, meaning) of every string, and how the scan ended.
fn strings(input: &[u8], chunk: usize) -> (Vec<(String, StringRole, String)>, Token) {
    let mut scanner = Scanner::new();
    let mut out = Vec::new();
    let mut meaning = Vec::new();
    for part in input.chunks(chunk) {
        let mut rest = part;
        loop {
            let step = scanner.step(rest);
            match step.token {
                Token::More => break,
                t @ (Token::Invalid | Token::TooDeep) => return (out, t),
                Token::Begin(_) => meaning.clear(),
                Token::Text(len) => meaning.extend_from_slice(&rest[..len]),
                Token::Escape { meaning: m, .. } => meaning.extend_from_slice(m.as_bytes()),
                Token::End(role) => {
                    let path: String = scanner
                        .path()
                        .segments()
                        .map(|s| match s {
                            Segment::Key(k) => format!(".{}", String::from_utf8_lossy(k)),
                            Segment::Index(i) => format!("[{i}]"),
                        })
                        .collect();
                    out.push((path, role, String::from_utf8_lossy(&meaning).into_owned()));
                }
                _ => {}
            }
            rest = &rest[step.used..];
        }
    }
    let end = scanner.finish();
    (out, end)
}

fn values(input: &str) -> Vec<(String, String)> {
    let whole = strings(input.as_bytes(), input.len().max(1));
    for chunk in 1..input.len() {
        assert_eq!(strings(input.as_bytes(), chunk), whole, "chunk {chunk} of {input}");
    }
    whole.0.into_iter().filter(|s| s.1 == StringRole::Value).map(|s| (s.0, s.2)).collect()
}

fn pair(path: &str, meaning: &str) -> (String, String) {
    (path.to_owned(), meaning.to_owned())
}

#[test]
fn strings_have_paths_and_meanings_in_every_chunking() {
    assert_eq!(
        values(r#" {"a":[1,{"b\u0063":"\u0073k-\/x"},"y"] , "d" : {"e":{}}, "f":"\ud83d\ude00"} "#),
        [pair(".a[1].bc", "sk-/x"), pair(".a[2]", "y"), pair(".f", "\u{1f600}")]
    );
    assert_eq!(values(r#""top""#), [pair("", "top")]);
    assert_eq!(values("{\"a\":\"x\"}\n{\"a\":\"y\"}"), [pair(".a", "x"), pair(".a", "y")]);
    assert_eq!(values(r#"{"a":"x","a":"y"}"#), [pair(".a", "x"), pair(".a", "y")]);
}

#[test]
fn broken_escapes_mean_themselves() {
    assert_eq!(
        values(
            r#"["\ud83d", "\ud83dx", "\ud83d\n", "\ud83d\u12", "\ude00", "\q", "\u12g4", "\ud83d\ud83d\ude00"]"#
        ),
        [
            pair("[0]", "\u{fffd}"),
            pair("[1]", "\u{fffd}x"),
            pair("[2]", "\u{fffd}\n"),
            pair("[3]", "\u{fffd}\\u12"),
            pair("[4]", "\u{fffd}"),
            pair("[5]", "\\q"),
            pair("[6]", "\\u12g4"),
            pair("[7]", "\u{fffd}\u{1f600}"),
        ]
    );
}

#[test]
fn what_is_not_json_is_reported_with_its_bytes_pending() {
    for (input, ok) in [
        ("{\"a\":tru}", 5),
        ("hello", 0),
        ("[hello", 1),
        ("[1] 2", 4),
        ("{\"a\" \"b\"}", 5),
        ("{\"a\":1]", 6),
        ("[1 2]", 3),
        ("{a:1}", 1),
        ("[01.x]", 1),
        ("{} // c", 3),
    ] {
        for chunk in 1..=input.len() {
            let mut scanner = Scanner::new();
            let mut covered = 0;
            let mut invalid = false;
            for part in input.as_bytes().chunks(chunk) {
                let mut rest = part;
                while !invalid {
                    let step = scanner.step(rest);
                    rest = &rest[step.used..];
                    match step.token {
                        Token::More => break,
                        Token::Invalid => invalid = true,
                        Token::Space(n) | Token::Text(n) | Token::Scalar(n) => covered += n,
                        _ => covered += 1,
                    }
                }
            }
            let invalid = invalid || scanner.finish() == Token::Invalid;
            assert!(invalid, "{input}");
            assert_eq!(covered, ok, "{input} in chunks of {chunk}");
            assert!(input.as_bytes()[covered..].starts_with(scanner.pending()));
        }
    }
}

#[test]
fn scalars_are_known_by_their_text() {
    for (text, good) in [
        ("0", true),
        ("-1.5e+3", true),
        ("1E9", true),
        ("null", true),
        ("NaN", true),
        ("-Infinity", true),
        ("007", true),
        ("1.", false),
        ("-", false),
        ("1e", false),
        ("nul", false),
        ("1e5x", false),
        (".5", false),
    ] {
        let mut scanner = Scanner::new();
        scanner.step(text.as_bytes());
        assert_eq!(scanner.finish() == Token::Scalar(text.len()), good, "{text}");
    }
    let mut scanner = Scanner::new();
    let step = scanner.step(b"12 ");
    assert_eq!((step.token, scanner.scalar()), (Token::Scalar(2), &b"12"[..]));
}

#[test]
fn limits_hold_at_their_edge() {
    let deep = |n: usize| strings("[".repeat(n).as_bytes(), n).1;
    assert_eq!(deep(DEPTH_MAX), Token::More);
    assert_eq!(deep(DEPTH_MAX + 1), Token::TooDeep);

    let long = |n: usize, chunk| strings("1".repeat(n).as_bytes(), chunk).1;
    for chunk in [1, 100, 1000] {
        assert_eq!(long(SCALAR_BYTES_MAX, chunk), Token::Scalar(SCALAR_BYTES_MAX));
        assert_eq!(long(SCALAR_BYTES_MAX + 1, chunk), Token::Invalid);
    }

    let key = "k".repeat(KEY_BYTES_MAX + 1);
    let got = values(&format!("{{\"{key}\":\"v\"}}"));
    assert_eq!(got[0].0.len(), 1 + KEY_BYTES_MAX);
}

#[test]
fn escaping_survives_as_many_readers_as_it_was_made_for() {
    let text = "a\"b\\c\u{1}d";
    let mut out = Vec::new();
    escape_into(text, 0, &mut out);
    assert_eq!(out, text.as_bytes());
    for times in 1..4 {
        let mut out = Vec::new();
        escape_into(text, times, &mut out);
        let mut read = String::from_utf8(out).unwrap();
        for _ in 0..times {
            read = serde_json::from_str(&format!("\"{read}\"")).unwrap();
        }
        assert_eq!(read, text);
    }
}

#[test]
fn a_string_passed_over_leaves_the_scanner_as_one_that_was_read() {
    let text = br#"{"some key":"value","n":["",{"k":"v"}]}"#;
    let (mut read, mut passing) = (Scanner::new(), Scanner::new());
    let (mut at, mut ahead) = (0, 0);
    while at < text.len() {
        let step = read.step(&text[at..]);
        let passed = at < ahead;
        at += step.used;
        if passed {
            continue;
        }
        let same = passing.step(&text[ahead..]);
        ahead += same.used;
        if let Token::Begin(role) = same.token {
            let len = text[ahead..].iter().position(|b| *b == b'"').unwrap();
            passing.pass_string(role, &text[ahead..ahead + len]);
            ahead += len + 1;
        } else {
            assert_eq!(step, same);
            assert_eq!(format!("{:?}", read.path()), format!("{:?}", passing.path()));
        }
    }
    assert!(read.is_complete() && passing.is_complete());
}

#[test]
fn fuzz_bodies_hold_on_a_small_corpus() {
    for input in [
        &b""[..],
        b"{\"a\":\"\\u00",
        b"\"\\ud83d\\ud",
        b"[[[[{\"\\\"\":-1e",
        b"{\"a\":\"b\"}}{",
        b"\xff\xfe{\x00",
        b"data: x\r\n\r\ndata: {\"a\":1}\n\n: c\r\r",
        b"\\\\\\u\\ud800\\udc0",
    ] {
        fuzz::json(input);
        fuzz::sse(input);
        fuzz::aws_event(input);
        fuzz::websocket(input);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_covered_alike_in_every_chunking(
        data in proptest::collection::vec(
            prop_oneof![
                Just(b'"'), Just(b'\\'), Just(b'u'), Just(b'd'), Just(b'8'), Just(b'{'), Just(b'}'), Just(b'['),
                Just(b']'), Just(b':'), Just(b','), Just(b'1'), Just(b' '), Just(b'\n'), Just(b'\r'), any::<u8>(),
            ],
            0..60,
        ),
    ) {
        fuzz::json(&data);
        fuzz::sse(&data);
        fuzz::aws_event(&data);
        fuzz::websocket(&data);
    }

    #[test]
    fn meaning_equals_a_reader_that_nobody_here_wrote(text in "\\PC*", escaped in any::<bool>()) {
        let mut raw = serde_json::to_string(&text).unwrap();
        if escaped {
            let units: Vec<String> = text.encode_utf16().map(|u| format!("\\u{u:04X}")).collect();
            raw = format!("\"{}\"", units.concat());
        }
        prop_assert_eq!(values(&raw), [pair("", &text)]);
        let mut meaning = Vec::new();
        pieces(&raw.as_bytes()[1..raw.len() - 1], |m, _| meaning.extend_from_slice(m));
        prop_assert_eq!(meaning, text.as_bytes());
    }
}
