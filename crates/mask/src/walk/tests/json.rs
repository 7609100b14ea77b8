use keyward_wire::json::DEPTH_MAX;
use serde_json::{Value, json};

use super::*;

fn json_of(input: &str) -> String {
    let out = mask(BodyFormat::Json, input);
    assert!(!out.contains(CANARY), "{out}");
    if serde_json::from_str::<Value>(input).is_ok() {
        serde_json::from_str::<Value>(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    }
    out
}

#[test]
fn catalogue_56_strings_keys_and_nesting_are_masked_and_the_rest_stays() {
    let input = format!(
        " {{\"a\" : \"x {CANARY} y\",\r\n\t\"{CANARY}\":[1.50, -0e1,true ,null,\"\\u00e9\\/{CANARY}\"],\"b\":{{}} }}\n"
    );
    assert_eq!(json_of(&input), input.replace(CANARY, MASKED));
    let nested = format!("{}\"{CANARY}\"{}", "[".repeat(50), "]".repeat(50));
    assert_eq!(json_of(&nested), nested.replace(CANARY, MASKED));
    let twice = format!(r#"{{"a":"{CANARY}","a":"{CANARY}"}}"#);
    assert_eq!(json_of(&twice), twice.replace(CANARY, MASKED));
}

#[test]
fn catalogue_63_escapes_mean_what_they_mean() {
    let full = escaped(CANARY);
    assert_eq!(json_of(&format!(r#"{{"a":"é{full}\n"}}"#)), format!(r#"{{"a":"é{MASKED}\n"}}"#));
    let some = CANARY.replacen('k', "\\u006b", 1).replacen('7', "\\u0037", 1);
    assert_eq!(json_of(&format!(r#"["\ud83d\ude00{some}\/"]"#)), format!(r#"["\ud83d\ude00{MASKED}\/"]"#));
}

#[test]
fn catalogue_63_json_in_json_three_levels() {
    for inner in
        [format!("\"x {CANARY}\""), format!("\"{}\"", escaped(CANARY)), format!("\"\\n{CANARY}\\\"\"")]
    {
        let mut text = format!("{{\"k\": {inner}, \"n\": [1]}}");
        for level in 0..=NESTING_MAX {
            let out = json_of(&text);
            let mut value: Value = serde_json::from_str(&out).unwrap();
            for _ in 0..level {
                value = serde_json::from_str(value["k"].as_str().unwrap()).unwrap();
            }
            let masked = value["k"].as_str().unwrap();
            assert!(masked.contains(MASKED), "level {level}: {out}");
            assert_eq!(value["n"], json!([1]));
            text = json!({ "k": text }).to_string();
        }
    }
}

#[test]
fn a_text_that_only_looks_like_json_is_text() {
    for text in [
        "[note] {CANARY}",
        "{CANARY}",
        "{'a': '{CANARY}'}",
        "[1] is {CANARY}",
        "{\"a\": t{CANARY}",
        "{\"a\":1}{CANARY}",
    ] {
        let text = text.replace("CANARY", CANARY);
        let input = json!({ "a": text, "b": 2 }).to_string();
        assert_eq!(json_of(&input), input.replace(CANARY, MASKED));
    }
}

#[test]
fn what_is_not_json_is_masked_as_text() {
    for input in [
        "not json: CANARY",
        "{\"a\": CANARY}",
        "[1,2,,CANARY",
        "{\"a\":\"CANARY",
        "\u{feff}{\"a\":\"CANARY\"}",
        "12CANARY",
    ] {
        let input = input.replace("CANARY", CANARY);
        assert_eq!(json_of(&input), input.replace(CANARY, MASKED));
    }
}

#[test]
fn several_documents_and_lines_are_understood() {
    let line = format!("{{\"response\":\"{}\",\"done\":false}}", escaped(CANARY));
    let input = format!("{line}\n{line}\r\nnot json {CANARY}\n{line}");
    let clean = format!("{{\"response\":\"{MASKED}\",\"done\":false}}");
    assert_eq!(mask(BodyFormat::Ndjson, &input), format!("{clean}\n{clean}\r\nnot json {MASKED}\n{clean}"));
    assert_eq!(mask(BodyFormat::Json, &format!("{line}\n{line}")), format!("{clean}\n{clean}"));
}

#[test]
fn placeholders_are_escaped_for_their_depth() {
    let profile = profile_of(&[("qu\"ote", CANARY)]);
    let inner = json!({ "k": CANARY }).to_string();
    let input = json!({ "a": CANARY, "b": inner }).to_string();
    let out = mask_with(&profile, BodyFormat::Json, &input);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert!(value["a"].as_str().unwrap().starts_with("[REDACTED"));
    let inner: Value = serde_json::from_str(value["b"].as_str().unwrap()).unwrap();
    assert!(inner["k"].as_str().unwrap().starts_with("[REDACTED"));
}

#[test]
fn depth_is_refused_beyond_its_limit_only() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(mask(BodyFormat::Json, &deep(DEPTH_MAX)), deep(DEPTH_MAX));
    for chunk in [1, 10_000] {
        let refused = run(&profile(), BodyFormat::Json, deep(DEPTH_MAX + 1).as_bytes(), chunk);
        assert_eq!(refused, Err(MaskError::TooDeep));
        let inside = json!({ "a": deep(DEPTH_MAX + 1) }).to_string();
        assert_eq!(run(&profile(), BodyFormat::Json, inside.as_bytes(), chunk), Err(MaskError::TooDeep));
    }
}

#[test]
fn log_probabilities_pass_only_when_their_tokens_are_clean() {
    let body = |tokens: &[&str]| {
        let tokens: Vec<Value> = tokens
            .iter()
            .map(|t| json!({"token": t, "bytes": t.as_bytes(), "top_logprobs": [{"token": "x"}]}))
            .collect();
        format!("{{\"logprobs\": {},\"z\":1}}", json!({ "content": tokens }))
    };
    let clean = body(&["Hel", "lo", " world"]);
    assert_eq!(json_of(&clean), clean);
    let (a, b) = CANARY.split_at(9);
    assert_eq!(json_of(&body(&["see ", a, b, "."])), "{\"logprobs\": null,\"z\":1}");
    let legacy = format!("{{\"logprobs\":{{\"tokens\":[\"{a}\",\"{b}\"]}},\"z\":1}}");
    assert_eq!(json_of(&legacy), "{\"logprobs\":null,\"z\":1}");

    // At the limit and beyond it.
    let long = |n: usize| {
        let value = format!("{{\"a\":\"{}\"}}", " ".repeat(n - 8));
        (format!("{{\"logprobs\":{value}}}"), value.len())
    };
    let (at, len) = long(LOGPROBS_BYTES_MAX);
    assert_eq!(len, LOGPROBS_BYTES_MAX);
    assert_eq!(run(&profile(), BodyFormat::Json, at.as_bytes(), 65_536).unwrap(), at.as_bytes());
    for chunk in [65_536, usize::MAX] {
        let beyond = long(LOGPROBS_BYTES_MAX + 1).0;
        let out = run(&profile(), BodyFormat::Json, beyond.as_bytes(), chunk.min(beyond.len())).unwrap();
        assert_eq!(out, b"{\"logprobs\":null}");
    }
}

#[test]
fn signatures_and_binary_content_stay_intact_but_for_known_values() {
    let token = ["ghp_", "0123456789abcdefghijklmnopqrstuvwx0123"].concat();
    let aws = ["AKIA", "Z7Q2M4X6V3N5B2K7"].concat();
    let profile = with_detectors();
    let body = json!({"content": [{"type": "thinking", "thinking": "so", "signature": format!("Eq{aws}/{token}")}],
        "data": [{"b64_json": aws, "embedding": token}], "encrypted_content": CANARY, "note": format!("is {aws} ok")});
    let input = body.to_string();
    let out = mask_with(&profile, BodyFormat::Json, &input);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["content"], body["content"]);
    assert_eq!(value["data"], body["data"]);
    assert_eq!(value["encrypted_content"], MASKED);
    assert!(!value["note"].as_str().unwrap().contains(&aws), "{out}");
}

#[test]
fn a_key_is_context_for_its_value() {
    let value = ["qW7rT2yU", "9iO4pA6sD1fG"].concat();
    let profile = with_detectors();
    for input in [
        json!({ "db_password": value }).to_string(),
        json!({"arguments": json!({ "api_key": value }).to_string()}).to_string(),
        json!({"secret": [value]}).to_string(),
    ] {
        let out = mask_with(&profile, BodyFormat::Json, &input);
        assert!(!out.contains(&value), "{out}");
        serde_json::from_str::<Value>(&out).unwrap();
    }
    let other = json!({ "title": value }).to_string();
    assert_eq!(mask_with(&profile, BodyFormat::Json, &other), other);
}

#[test]
fn catalogue_56_numbers_that_are_findings_become_strings() {
    let card = ["45391488", "03436467"].concat();
    let body = format!(
        "{{\"card\": {card}, \"id\":4539148803436468,\"in\":\"{{\\\"n\\\":[{card}]}}\", \"x\":-{card}}}"
    );
    let masked = mask_with(&with_everything(), BodyFormat::Json, &body);
    let value: Value = serde_json::from_str(&masked).unwrap();
    assert_eq!(value["card"], "[REDACTED:payment_card]");
    assert_eq!(value["id"], 4_539_148_803_436_468_u64, "no check digit");
    let inner: Value = serde_json::from_str(value["in"].as_str().unwrap()).unwrap();
    assert_eq!(inner["n"][0], "[REDACTED:payment_card]");
    let profile = profile_of(&[("number", "726194038517294")]);
    assert_eq!(
        mask_with(&profile, BodyFormat::Json, "[726194038517294,826194038517294]"),
        "[\"[REDACTED:secret:number]\",826194038517294]"
    );
    let spelled = "{\"a\":\"[7\\u0032\\u0036194038517294]\"}";
    assert_eq!(
        mask_with(&profile, BodyFormat::Json, spelled),
        "{\"a\":\"[\\\"[REDACTED:secret:number]\\\"]\"}"
    );
    assert_eq!(mask_with(&profile, BodyFormat::Json, "726194038517294"), "\"[REDACTED:secret:number]\"");
}

#[test]
fn duplicate_keys_are_both_looked_at() {
    let body = format!("{{\"a\":\"{CANARY}\",\"a\":\"{CANARY}\",\"{CANARY}\":1,\"{CANARY}\":2}}");
    assert_eq!(mask(BodyFormat::Json, &body), body.replace(CANARY, MASKED));
}
