//! Known values that are spelled otherwise than they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::known::SPAN_BYTES_MAX;

const TEXT: BodyFormat = BodyFormat::Text;

fn spelled(each: impl Fn(char) -> String) -> String {
    CANARY.chars().map(each).collect()
}

/// Every spelling that is read, by its name.
fn spellings() -> Vec<(&'static str, String)> {
    let between = |c: &str| spelled(|letter| format!("{letter}{c}"));
    let wide = |before: &str| spelled(|c| format!("{before}{c}"));
    let mut all = vec![
        ("JSON", spelled(|c| format!("\\u{:04x}", u32::from(c)))),
        ("JSON, upper case", spelled(|c| format!("\\u{:04X}", u32::from(c)))),
        ("JSON in JSON", spelled(|c| format!("\\\\u{:04x}", u32::from(c)))),
        ("JSON in JSON in JSON", spelled(|c| format!("\\\\\\\\u{:04x}", u32::from(c)))),
        ("Rust, JavaScript", spelled(|c| format!("\\u{{{:x}}}", u32::from(c)))),
        ("Python, C", spelled(|c| format!("\\U{:08x}", u32::from(c)))),
        ("hex escapes", spelled(|c| format!("\\x{:02x}", u32::from(c)))),
        ("octal", spelled(|c| format!("\\{:03o}", u32::from(c)))),
        ("percent", spelled(|c| format!("%{:02x}", u32::from(c)))),
        ("old JavaScript", spelled(|c| format!("%u{:04X}", u32::from(c)))),
        ("HTML, decimal", spelled(|c| format!("&#{};", u32::from(c)))),
        ("HTML, padded", spelled(|c| format!("&#{:07};", u32::from(c)))),
        ("HTML, hex", spelled(|c| format!("&#x{:x};", u32::from(c)))),
        ("HTML, upper case", spelled(|c| format!("&#X{:02X};", u32::from(c)))),
        ("Markdown", CANARY.replace('-', "\\-")),
        ("HTML, named", CANARY.replace('-', "&hyphen;")),
        ("one letter", CANARY.replacen('k', "\\u006b", 1)),
        ("one in the middle", CANARY.replacen('Q', "&#81;", 1)),
        ("mixed", CANARY.replacen('k', "%6b", 1).replacen('7', "\\x37", 1).replacen('Q', "\u{ff31}", 1)),
        ("fullwidth", spelled(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap().to_string())),
        ("another hyphen", CANARY.replace('-', "\u{2011}")),
        ("UTF-16", wide("\0")),
        ("UTF-32", wide("\0\0\0")),
    ];
    for (name, c) in [
        ("soft hyphen", "\u{ad}"),
        ("zero-width space", "\u{200b}"),
        ("zero-width joiner", "\u{200d}"),
        ("word joiner", "\u{2060}"),
        ("byte order mark", "\u{feff}"),
        ("bidirectional mark", "\u{202e}"),
        ("isolate", "\u{2066}"),
        ("combining", "\u{301}"),
        ("variation selector", "\u{fe0f}"),
        ("tag", "\u{e0041}"),
        ("escaped soft hyphen", "\\u00ad"),
        ("soft hyphen's name", "&shy;"),
    ] {
        all.push((name, between(c)));
        all.push((name, CANARY.replacen("Qx", &format!("Q{c}x"), 1)));
    }
    all
}

#[test]
fn catalogue_63_64_65_disguised_credentials_are_masked_at_every_split() {
    for (name, spelling) in spellings() {
        let body = format!("see {spelling}\nso");
        let whole = String::from_utf8(run(&profile(), TEXT, body.as_bytes(), body.len()).unwrap()).unwrap();
        // What cannot be seen may stay around it.
        let seen: String = whole.chars().filter(|c| c.is_ascii() && *c != '\0').collect();
        assert!(seen.starts_with("see [REDACTED:secret:canary]"), "{name}: {whole:?}");
        assert!(
            seen.trim_end_matches("\nso").len() <= "see [REDACTED:secret:canary]&hyphen;".len(),
            "{name}: {whole:?}"
        );
        assert!(whole.ends_with("\nso"));
        for cut in 0..=body.len() {
            let mut masker = BodyMasker::new(profile(), TEXT);
            let mut out = Vec::new();
            masker.push(&body.as_bytes()[..cut], &mut out).unwrap();
            // What has left is what leaves of the whole.
            assert!(whole.as_bytes().starts_with(&out), "{name} at {cut}");
            masker.push(&body.as_bytes()[cut..], &mut out).unwrap();
            masker.finish(&mut out).unwrap();
            assert_eq!(out, whole.as_bytes(), "{name} at {cut}");
        }
        mask(TEXT, &body);
    }
}

#[test]
fn catalogue_65_disguises_inside_json_and_streams() {
    let invisible = spelled(|c| format!("{c}\u{200b}"));
    let fullwidth = spelled(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap().to_string());
    for spelling in [invisible, fullwidth] {
        let body = serde_json::json!({"a": spelling}).to_string();
        assert!(mask(BodyFormat::Json, &body).contains(MASKED));
        let pieces: Vec<String> = spelling.chars().map(String::from).collect();
        let event = |p: &String| format!("data: {}\n\n", serde_json::json!({"response": p, "done": false}));
        let out =
            mask(BodyFormat::EventStream(Dialect::Generic), &pieces.iter().map(event).collect::<String>());
        assert!(out.contains(MASKED), "{out}");
    }
}

#[test]
fn catalogue_64_declared_limits_leak() {
    let rot13 = spelled(|c| match c {
        'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a').to_string(),
        'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A').to_string(),
        c => c.to_string(),
    });
    let xor: String = CANARY.bytes().map(|b| char::from(b ^ 0x1f)).collect();
    let twice = STANDARD.encode(STANDARD.encode(CANARY));
    for leak in [
        CANARY.chars().rev().collect::<String>(),
        rot13,
        xor,
        twice,
        spelled(|c| format!("{c} ")),
        CANARY.to_uppercase(),
        CANARY.replacen("Qx", &format!("Q{}x", "\u{200b}".repeat(SPAN_BYTES_MAX / 3)), 1),
    ] {
        let body = format!("see {leak} so");
        assert_eq!(mask(TEXT, &body), body);
    }
    // At the limit it is found.
    let most =
        CANARY.replacen("Qx", &format!("Q{}x", "\u{200b}".repeat((SPAN_BYTES_MAX - CANARY.len()) / 3)), 1);
    assert_eq!(mask(TEXT, &format!("see {most} so")), format!("see {MASKED} so"));
}

#[test]
fn a_long_disguised_value_is_masked_to_its_end() {
    let value = (0..400).map(|n| format!("{n:x}Zq")).collect::<Vec<_>>().concat();
    let profile = profile_of(&[("canary", &value)]);
    let spelling = escaped(&value);
    assert_eq!(mask_with(&profile, TEXT, &format!("\"{spelling}\" so")), format!("\"{MASKED}\" so"));
}

#[test]
fn text_that_only_looks_disguised_stays() {
    let text = "100% of C:\\users\\x86 \\u006 &#; &#x; &amp &unknown; %zz \\ \\\\ \\u{110000} na\u{ef}ve \u{ff0c}\u{4f60}\u{597d} \
        e\u{301} \u{1f468}\u{200d}\u{1f469} \\k\\w&#107;w %6bw\\x6bwc \u{0} 50%";
    assert_eq!(mask(TEXT, text), text);
    for cut in 0..text.len() {
        let part = &text.as_bytes()[..cut];
        assert_eq!(run(&profile(), TEXT, part, 1).unwrap(), part);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn chunking_never_changes_disguised_output(
        parts in proptest::collection::vec(
            prop_oneof![
                Just(CANARY.to_owned()),
                (0usize..CANARY.len()).prop_map(|n| CANARY[..n].to_owned()),
                (0usize..CANARY.len()).prop_map(|n| CANARY[n..].to_owned()),
                (0usize..CANARY.len()).prop_map(|n| escaped(&CANARY[..n])),
                (0usize..CANARY.len()).prop_map(|n| escaped(&CANARY[n..])),
                (0usize..60).prop_map(|n| spellings()[n % spellings().len()].1.clone()),
                prop_oneof!["\\\\", "\\\\u", "\\\\u00", "%", "&#", "&am", "&#x6", "\u{200b}", "\u{ad}", "k", "\"", " "],
            ],
            0..8,
        ),
        chunk in 1usize..30,
    ) {
        let body = parts.concat();
        for format in [TEXT, BodyFormat::Json] {
            // With a zero in its first bytes a body may be in no charset that is read: then it is refused, however it is cut.
            let whole = run(&profile(), format, body.as_bytes(), usize::MAX);
            prop_assert!(matches!(whole, Ok(_) | Err(MaskError::Charset)), "{:?}", whole);
            prop_assert_eq!(run(&profile(), format, body.as_bytes(), chunk), whole);
        }
    }
}
