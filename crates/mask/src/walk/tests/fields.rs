//! Places that are masked, or left alone, by their names.

use keyward_core::{Field, FieldRule, JsonPath};

use super::*;
use crate::{Style, mask_whole_field};

fn with_fields(fields: &[(&str, Style)], except: &[&str]) -> Arc<Profile> {
    let path = |text: &str| JsonPath::parse(text).unwrap();
    let rule = |(text, style): &(&str, Style)| FieldRule { field: Field::Path(path(text)), style: *style };
    let canary = KnownValue::new("canary", CANARY.as_bytes()).unwrap();
    let builder = Profile::builder().known([canary]).detectors(Detectors::builtin(), &["credentials"]);
    let builder = builder.fields(fields.iter().map(rule)).except(except.iter().map(|text| path(text)));
    Arc::new(builder.session_key([1; 32]).deployment_key([1; 32]).build().unwrap())
}

#[test]
fn a_field_is_masked_whatever_it_holds() {
    let profile =
        with_fields(&[("$.user", Style::Redact), ("$..pin", Style::Redact), ("$.gone", Style::Drop)], &[]);
    for (input, expected) in [
        (r#"{"user":"weak","other":"weak"}"#, r#"{"user":"[REDACTED:field:user]","other":"weak"}"#),
        (
            r#"{"user":{"a":["x",7,null,true,""]},"n":7}"#,
            r#"{"user":{"a":["[REDACTED:field:user]","[REDACTED:field:user]",null,"[REDACTED:field:user]",""]},"n":7}"#,
        ),
        (r#"{"a":[{"pin": 12.5e1 }]}"#, r#"{"a":[{"pin": "[REDACTED:field:pin]" }]}"#),
        (r#"{"gone":"x","b":{"gone":1}}"#, r#"{"gone":"","b":{"gone":1}}"#),
        (r#"{"gone":17}"#, r#"{"gone":""}"#),
        (r#"{"user":"{\"a\": \"b\"}"}"#, r#"{"user":"[REDACTED:field:user]"}"#),
        (
            r#"{"args":"{\"pin\": \"b\", \"n\": 1, \"pin\": 4711}"}"#,
            r#"{"args":"{\"pin\": \"[REDACTED:field:pin]\", \"n\": 1, \"pin\": \"[REDACTED:field:pin]\"}"}"#,
        ),
    ] {
        assert_eq!(mask_with(&profile, BodyFormat::Json, input), expected);
        let value: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert!(value.is_object());
    }
    let long = format!("{{\"user\":\"{}\"}}", "w ".repeat(20_000));
    assert_eq!(mask_with(&profile, BodyFormat::Json, &long), r#"{"user":"[REDACTED:field:user]"}"#);
}

#[test]
fn a_field_has_its_own_style() {
    let profile = with_fields(
        &[
            ("$.t", Style::Token),
            ("$.h", Style::Hash),
            ("$.k", Style::KeepLast4),
            ("$.f", Style::FormatPreserving),
        ],
        &[],
    );
    let out = |input: &str| mask_with(&profile, BodyFormat::Json, input);
    assert_eq!(out(r#"{"k":"k3Jx9QmZ2pLw8Rt5x1y2"}"#), r#"{"k":"[REDACTED:field:k:*x1y2]"}"#);
    assert_eq!(out(r#"{"k":"weak"}"#), r#"{"k":"[REDACTED:field:k]"}"#);
    for key in ["t", "h"] {
        let one = out(&format!("{{\"{key}\":\"anna\"}}"));
        assert!(
            one == out(&format!("{{\"{key}\":\"anna\"}}")) && one != out(&format!("{{\"{key}\":\"otto\"}}"))
        );
        assert!(!one.contains("anna"));
    }
    let made = out(r#"{"f":"AB-123456/7"}"#);
    assert!(made.len() == r#"{"f":"AB-123456/7"}"#.len() && !made.contains("123456"), "{made}");
    assert_eq!(out(r#"{"f":"anna"}"#), r#"{"f":"[REDACTED:field:f]"}"#);
}

#[test]
fn nothing_of_a_known_value_in_a_field_shows() {
    let profile = with_fields(&[("$.k", Style::KeepLast4)], &[]);
    let input = format!("{{\"k\":\"4921 88 ab 7c {CANARY}\"}}");
    assert_eq!(mask_with(&profile, BodyFormat::Json, &input), r#"{"k":"[REDACTED:field:k]"}"#);
}

#[test]
fn an_exception_keeps_detectors_away_and_known_values_masked() {
    let profile = with_fields(&[], &["$..blob"]);
    let key = ["AKIA", "Z7Q2M4X6V3N5B2K7"].concat();
    let input = format!("{{\"blob\":[\"{key}\",\"{CANARY}\"],\"x\":\"{key}\"}}");
    let expected = format!("{{\"blob\":[\"{key}\",\"{MASKED}\"],\"x\":\"[REDACTED:aws_access_key]\"}}");
    assert_eq!(mask_with(&profile, BodyFormat::Json, &input), expected);
    let frame = |body: &str| format!("data: {body}\n\n");
    let events = BodyFormat::EventStream(Dialect::Generic);
    assert_eq!(mask_with(&profile, events, &frame(&input)), frame(&expected));
}

#[test]
fn a_stream_s_fields_are_masked_event_by_event() {
    let profile =
        with_fields(&[("$..ssn", Style::Redact), ("$.choices[*].delta.content", Style::Redact)], &[]);
    let events = BodyFormat::EventStream(Dialect::OpenAi);
    let input = "data: {\"user\":{\"ssn\":\"12\",\"n\":1}, \"ssn\": 34, \"x\":null}\n\n\
                 data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
                 data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"role\":\"no\"}}]}\n\n";
    let expected = "data: {\"user\":{\"ssn\":\"[REDACTED:field:ssn]\",\"n\":1}, \"ssn\": \"[REDACTED:field:ssn]\", \"x\":null}\n\n\
                    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"[REDACTED:field:content]\"}}]}\n\n\
                    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"role\":\"no\"}}]}\n\n";
    assert_eq!(mask_with(&profile, events, input), expected);
}

#[test]
fn a_line_s_fields_are_masked_line_by_line() {
    let profile = with_fields(&[("$..ssn", Style::Redact)], &["$.note"]);
    let key = ["AKIA", "Z7Q2M4X6V3N5B2K7"].concat();
    let input = format!("{{\"ssn\":34}}\n{{\"note\":\"{key}\",\"a\":[{{\"ssn\":\"x\"}}]}}\n");
    let expected = format!(
        "{{\"ssn\":\"[REDACTED:field:ssn]\"}}\n{{\"note\":\"{key}\",\"a\":[{{\"ssn\":\"[REDACTED:field:ssn]\"}}]}}\n"
    );
    assert_eq!(mask_with(&profile, BodyFormat::Ndjson, &input), expected);
}

#[test]
fn headers_and_form_fields_are_found_by_name() {
    let field = |field| FieldRule { field, style: Style::Redact };
    let rules = [field(Field::Header("x-inner".into())), field(Field::Form("pass word".into()))];
    let profile = Arc::new(Profile::builder().fields(rules).build().unwrap());
    let header = profile.header_field("X-Inner").unwrap();
    assert_eq!(mask_whole_field(&profile, header, b"weak").bytes, b"[REDACTED:field:x-inner]");
    let form = profile.form_field(b"pass word").unwrap();
    let masked = mask_whole_field(&profile, form, b"weak");
    assert_eq!(masked.bytes, b"[REDACTED:field:pass_word]");
    assert_eq!((&*masked.findings[0].detector, masked.findings[0].end), ("field:pass word", 4));
    assert!(profile.header_field("pass word").is_none() && profile.form_field(b"x-inner").is_none());
}

#[test]
fn what_is_found_in_a_field_says_where() {
    let profile = with_fields(&[("$.a", Style::Redact)], &[]);
    let mut masker = BodyMasker::new(profile, BodyFormat::Json);
    masker.push(br#"{"a": ["weak", 4711]}"#, &mut Vec::new()).unwrap();
    masker.finish(&mut Vec::new()).unwrap();
    let places: Vec<_> =
        masker.take_findings().iter().map(|f| (f.detector.to_string(), f.start, f.end)).collect();
    assert_eq!(places, [("field:a".to_owned(), 8, 12), ("field:a".to_owned(), 15, 19)]);
}
