use proptest::prelude::*;
use serde_json::json;

use super::events::{channels, frame};
use super::*;
use crate::walk::fuzz;

#[test]
fn nothing_to_mask_and_nothing_held_is_byte_identical() {
    let nothing = profile_of(&[]);
    let bodies = [
        " {\"a\":[1, 2.0e5 ,\"\\u0041\\/ [x] {y\"],\n\"b\":\"{\\\"c\\\": [\\\"\\\\u0041\\\"]}\"}\r\n",
        "event: message_start\ndata:{\"type\":\"message_start\" , \"x\":1}\n\n: c\r\n\r\nid\ndata: [DONE]\n\n",
        "retry: 5\rdata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\u00e9\\n {\"},\"logprobs\":null}]}\r\rdata: x",
        "a=%73+%zz&b[]=1&&=&c=%e9%&{\"a\":\"=&\"}",
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b \"c\">]><!-- - -- --> <a b=c d = \"&amp;&#1;\" e>&lt; < &x; <![CDATA[<]]]></a><script>if (a<b) {}</script>",
        "--b\r\nContent-Type: application/json\r\n\r\n{\"a\": 1}\r\n--b\nX: y\n\n--b \r\n\r\n\n--bc\r\n--b--\r\nend",
        "key: \"\\u0041\\x41 \\q\" # it's\n",
        "\u{a}\u{3}abc\u{12}\u{4}\u{8}\u{1}\u{12}\u{0}",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": \"}}\n\n",
    ];
    for body in bodies {
        // A stream that is none in its framing is refused.
        for format in fuzz::formats().into_iter().filter(|format| *format != BodyFormat::AwsEventStream) {
            assert_eq!(mask_with(&nothing, format, body), body, "{format:?}");
        }
    }
}

#[test]
fn fuzz_bodies_hold_on_a_small_corpus() {
    let profile = profile();
    let (a, b) = CANARY.split_at(5);
    for input in [
        String::new(),
        format!("{{\"a\":\"{CANARY}"),
        format!("data: {a}\r\rdata: {b}"),
        format!(
            "data: {{\"delta\":\"{a}\",\"type\":\"x.delta\"}}\n\ndata: {{\"delta\":\"{b}\",\"type\":\"x.delta\"}}\n\n"
        ),
        "{\"logprobs\":{\"content\":[{\"token\":\"\\ud83".to_owned(),
        "{\"a\":\"{\\\"b\\\":\\\"[\\\\\\\"\\\\u00".to_owned(),
        "\u{feff}data: {\"choices\":[{\"delta\":{\"content\":\"[tru".to_owned(),
        format!("a=%6bwcanary&{a}%{b}=+&b={CANARY}%"),
        format!(
            "<a {CANARY}='&#107;{CANARY}'>{a}<!-->{b}--><![CDATA[{CANARY}]]</script><script>{CANARY}</scr"
        ),
        format!(
            "--b\r\nContent-Disposition: x; name=\"{CANARY}\"\r\n\r\n{CANARY}\r\n--b\n\n{{\"a\":\"{CANARY}\"}}\r\n--b--{CANARY}\r"
        ),
        format!("\u{a}\u{15}{CANARY}\u{12}\u{17}\u{a}\u{15}{CANARY}"),
    ] {
        fuzz::body(&profile, input.as_bytes());
        for cut in 0..input.len() {
            fuzz::body(&profile, &input.as_bytes()[..cut]);
        }
    }
}

/// A key that is itself a secret is the context of what follows it where the document breaks off; the match in the
/// context once grew into the text.
#[test]
fn a_secret_in_the_context_is_not_in_the_text() {
    let key = ["password=", "AKIA", "Z7Q2M4X6V3N5B2K7"].concat();
    let input = format!("{{\"{key}\"}},\"finish_reason\":null}}]}}\n\n");
    DETECTORS.with(|profile| fuzz::body(profile, input.as_bytes()));
}

/// Each seed of the fuzz targets, and what becomes of it when bytes are changed, cut out, doubled and mixed with others.
#[test]
fn fuzz_seeds_and_their_mutations_hold() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for target in std::fs::read_dir(&root).unwrap() {
        for seed in std::fs::read_dir(target.unwrap().path()).unwrap() {
            seeds.push(std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
    assert!(seeds.len() > 20, "the seeds of every target");
    seeds.sort();
    for seed in &seeds {
        fuzz::body(fuzz::profile(), seed);
        fuzz::body(fuzz::detecting(), seed);
        fuzz::engine(fuzz::detecting(), seed);
        fuzz::websocket(fuzz::profile(), seed);
    }
    for (round, data) in keyward_wire::fuzz::Mutations::of(&seeds).take(3000).enumerate() {
        let formats = fuzz::formats();
        let format = formats[round % formats.len()];
        fuzz::format_of(fuzz::profile(), format, &data);
        if round % 8 == 0 {
            fuzz::engine(fuzz::detecting(), &data);
            fuzz::format_of(fuzz::detecting(), format, &data);
        }
    }
}

/// Pieces from which hostile bodies are made.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(CANARY.to_owned()),
        (1usize..CANARY.len()).prop_map(|n| CANARY[..n].to_owned()),
        (1usize..CANARY.len()).prop_map(|n| CANARY[n..].to_owned()),
        (1usize..CANARY.len()).prop_map(|n| escaped(&CANARY[..n])),
        prop_oneof!["\"", "\\\\\"", "\\\\", "\\{", "\\}", "\\[", "\\]", ":", ",", " ", "\n", "\r", "\n\n"],
        prop_oneof![
            "data: ",
            "event: x",
            "1",
            "true",
            "\"a\":",
            "\\\\u00",
            "\\\\ud83d",
            "\"logprobs\":",
            "\"token\":"
        ],
        prop_oneof![
            "&",
            "=",
            "%6b",
            "&#107;",
            "<",
            ">",
            "<a b=",
            "'",
            "</",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<!\\[CDATA\\[",
            "\\]\\]>"
        ],
        prop_oneof![
            "--b",
            "--b--",
            "\r\n--b\r\n",
            "\r\n\r\n",
            "\n--b\n\n",
            "Content-Type: application/json\r\n",
            "\u{a}\u{15}",
            "\u{12}\u{4}",
            "\\\\x6b"
        ],
        Just("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"".to_owned()),
        Just("\"},\"finish_reason\":null}]}\n\n".to_owned()),
        Just("{\"response\":\"".to_owned()),
        Just("[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"".to_owned()),
        Just("\"}]}}]},{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"".to_owned()),
        Just("\"}]}}]}]".to_owned()),
        Just("\",\"done\":false}\n".to_owned()),
        Just("\",\"done\":true}\n".to_owned()),
    ]
}

/// Pieces that detectors begin or end at.
fn secret_fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(["AKIA", "Z7Q2M4X6V3N5B2K7"].concat()),
        Just("AKIA".to_owned()),
        Just("api_key\": \"".to_owned()),
        Just("password=".to_owned()),
        Just("-----BEGIN RSA PRIVATE KEY-----\\n".to_owned()),
        Just("-----END RSA PRIVATE KEY-----".to_owned()),
        "[A-Za-z0-9+/]{1,30}",
        Just("https://user:".to_owned()),
        Just("@host/".to_owned()),
    ]
}

thread_local! {
    static DETECTORS: Arc<Profile> = with_detectors();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunking_never_changes_output(parts in proptest::collection::vec(fragment(), 0..14)) {
        fuzz::body(&profile(), parts.concat().as_bytes());
    }

    #[test]
    fn chunking_never_changes_output_with_detectors(
        parts in proptest::collection::vec(prop_oneof![fragment(), secret_fragment()], 0..10),
        format in proptest::sample::select(fuzz::formats()),
    ) {
        DETECTORS.with(|profile| fuzz::format_of(profile, format, parts.concat().as_bytes()));
    }

    #[test]
    fn any_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..80)) {
        fuzz::body(&profile(), &data);
    }

    /// Texts of several channels, cut anywhere and interleaved anyhow: each channel reads as its masked text, and no
    /// more of the secret than is told apart from other text leaves before.
    #[test]
    fn planted_secrets_never_leave_whatever_the_cuts(
        texts in proptest::collection::vec(("[a-z {\\[\"]{0,6}", any::<bool>(), "[ a-z}\\]\\n]{0,6}"), 1..4),
        order in proptest::collection::vec((0usize..4, 1usize..9), 1..60),
        tool in any::<bool>(),
        ended in any::<bool>(),
        chunk in 1usize..200,
    ) {
        let mut rests: Vec<String> = texts
            .iter()
            .map(|(before, secret, after)| format!("{before} {} {after}", if *secret { CANARY } else { "" }))
            .collect();
        let whole = rests.clone();
        let event = |index: usize, text: &str, finish: Option<&str>| {
            let delta = if tool {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            } else {
                json!({ "content": text })
            };
            frame(&json!({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}))
        };
        let mut input = String::new();
        for (which, len) in order.iter().copied().chain((0..rests.len()).map(|i| (i, usize::MAX))) {
            let index = which % rests.len();
            let rest = &mut rests[index];
            let at = len.min(rest.len());
            let piece: String = rest.drain(..at).collect();
            input += &event(index, &piece, None);
        }
        if ended {
            for index in 0..rests.len() {
                input += &frame(&json!({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}));
            }
        }
        let format = BodyFormat::EventStream(Dialect::OpenAi);
        let out = String::from_utf8(run(&profile(), format, input.as_bytes(), chunk).unwrap()).unwrap();
        let got = channels(&out);
        for (index, text) in whole.iter().enumerate() {
            let name = if tool { format!("{index}.tool0") } else { format!("{index}.content") };
            prop_assert_eq!(&got[&name], &text.replace(CANARY, MASKED));
        }
    }

    /// JSON bodies made by somebody else's writer: the same document comes out, with the secret masked.
    #[test]
    fn json_values_are_the_same_but_for_the_secret(
        texts in proptest::collection::vec("\\PC{0,8}", 1..5),
        at in 0usize..5,
        chunk in 1usize..40,
        pretty in any::<bool>(),
    ) {
        let mut texts = texts;
        let at = at % texts.len();
        texts[at].push_str(CANARY);
        let value = json!({"list": &texts, "nested": json!({"again": &texts}).to_string(), (CANARY): 1.5});
        let input = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let out = run(&profile(), BodyFormat::Json, input.as_bytes(), chunk).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), input.replace(CANARY, MASKED));
    }
}
