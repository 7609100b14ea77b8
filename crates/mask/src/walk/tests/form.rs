use keyward_core::{Field, FieldRule, Style};

use super::*;

const FORM: BodyFormat = BodyFormat::Form;

fn percent(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|b| format!("%{b:02x}")).collect();
    bytes.concat()
}

/// What a reader of the form sees.
fn read(body: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let (mut out, mut bytes) = (Vec::new(), text.bytes());
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&hex, 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(out).unwrap()
    };
    body.split('&')
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect()
}

#[test]
fn values_and_names_are_matched_by_what_they_mean() {
    let spelled = percent(CANARY);
    for body in [
        format!("a=1&key={CANARY}&b=x%20y"),
        format!("a=1&key={spelled}&b=x%20y"),
        format!("a=1&key={}{}&b=x%20y", percent(&CANARY[..5]), &CANARY[5..]),
    ] {
        let masked = mask(FORM, &body);
        assert_eq!(masked, "a=1&key=%5BREDACTED%3Asecret%3Acanary%5D&b=x%20y", "{body}");
        assert_eq!(read(&masked)[1], ("key".to_owned(), MASKED.to_owned()));
    }
    assert_eq!(
        mask(FORM, &format!("{spelled}=1&{CANARY}")),
        "%5BREDACTED%3Asecret%3Acanary%5D=1&%5BREDACTED%3Asecret%3Acanary%5D"
    );
}

#[test]
fn a_plus_is_a_space_and_where_the_writer_forgot_itself() {
    let phrase = "correct horse 7Qx2Lm9Z battery";
    let key = "kw+canary/7Qx2Lm9Zt4+Rv==";
    let profile = profile_of(&[("phrase", phrase), ("key", key)]);
    let phrased = mask_with(&profile, FORM, "p=correct+horse%207Qx2Lm9Z+battery");
    assert_eq!(phrased, "p=%5BREDACTED%3Asecret%3Aphrase%5D");
    assert_eq!(mask_with(&profile, FORM, &format!("p={key}&q=1")), "p=%5BREDACTED%3Asecret%3Akey%5D&q=1");
}

#[test]
fn the_name_is_context_for_the_value() {
    let secret = ["gF7xK2mQ9", "vLp4TzW8"].concat();
    let body = format!("user=bob&client_secret={secret}&note=client_secret");
    let masked = mask_with(&with_detectors(), FORM, &body);
    assert!(
        !masked.contains(&secret) && masked.starts_with("user=bob&client_secret=%5BREDACTED%3A"),
        "{masked}"
    );
    assert!(masked.ends_with("%5D&note=client_secret"), "{masked}");
}

#[test]
fn json_in_a_field_stays_json_and_json_instead_of_a_form_too() {
    let inner = serde_json::json!({ "a": [CANARY, 1] }).to_string();
    let masked = mask(FORM, &format!("payload={}&x=1", percent(&inner)));
    let read = read(&masked);
    let value: serde_json::Value = serde_json::from_str(&read[0].1).unwrap();
    assert_eq!(value["a"][0], MASKED);
    let posted = format!("{{\"url\":\"https://h/?a=1&b=2\",\"key\":\"{}\"}}", escaped(CANARY));
    let stands = "%5BREDACTED%3Asecret%3Acanary%5D";
    assert_eq!(mask(FORM, &posted), format!("{{\"url\":\"https://h/?a=1&b=2\",\"key\":\"{stands}\"}}"));
}

#[test]
fn escapes_behind_a_backslash_mean_what_they_mean() {
    let hex: Vec<String> = CANARY.bytes().map(|b| format!("\\x{b:02x}")).collect();
    let braces: Vec<String> = CANARY.bytes().map(|b| format!("\\u{{{b:x}}}")).collect();
    for spelled in [hex.concat(), braces.concat(), escaped(CANARY), CANARY.to_owned()] {
        let body = format!("key: \"{spelled}\" # 'C:\\new'\nother: |\n  {spelled}\n");
        let wanted = format!("key: \"{MASKED}\" # 'C:\\new'\nother: |\n  {MASKED}\n");
        assert_eq!(mask(BodyFormat::Escaped, &body), wanted);
    }
}

#[test]
fn what_begins_like_json_is_read_as_json_under_a_type_that_says_little() {
    let body = format!(" {{\"a\":\"{}\"}}", escaped(CANARY));
    assert_eq!(mask(BodyFormat::Either, &body), format!(" {{\"a\":\"{MASKED}\"}}"));
    assert_eq!(mask(BodyFormat::Either, &format!("[info] {CANARY}")), format!("[info] {MASKED}"));
    assert_eq!(mask(BodyFormat::Either, &format!("key {CANARY}")), format!("key {MASKED}"));
}

#[test]
fn a_long_name_tells_what_its_value_is_however_it_comes_in_pieces() {
    let named = "n".repeat(200);
    let rule = FieldRule { field: Field::Form(named.as_str().into()), style: Style::Redact };
    let builder = Profile::builder().detectors(Detectors::builtin(), &["credentials"]);
    let profile = Arc::new(builder.fields([rule]).build().unwrap());
    let long = "x".repeat(300);
    let body = format!("{long}.password=y-7Qx2Lm9Zt4Rv&{named}=plain&{long}{named}=plain");
    let whole = mask_with(&profile, FORM, &body);
    assert!(!whole.contains("7Qx2Lm9Zt4Rv"), "{whole}");
    assert_eq!(whole.matches("plain").count(), 1, "the longer name is another: {whole}");
    fuzz::format_of(&profile, FORM, body.as_bytes());
}

#[test]
fn a_field_that_a_rule_names_is_masked_whole() {
    let rule = FieldRule { field: Field::Form("pin code".into()), style: Style::Redact };
    let profile = Arc::new(Profile::builder().fields([rule]).build().unwrap());
    let masked = mask_with(&profile, FORM, "a=1&pin+code=12%334&b=pin+code");
    assert_eq!(masked, "a=1&pin+code=%5BREDACTED%3Afield%3Apin_code%5D&b=pin+code");
    let part = "--b\r\nContent-Disposition: form-data; name=\"pin code\"\r\nContent-Type: application/json\r\n\r\n{\"a\": 1}\r\n--b--";
    let masked = mask_with(&profile, BodyFormat::Multipart(Boundary::new("b").unwrap()), part);
    assert_eq!(masked, part.replace("{\"a\": 1}", "[REDACTED:field:pin_code]"));
}
