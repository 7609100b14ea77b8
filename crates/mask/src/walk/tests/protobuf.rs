use proptest::prelude::*;

use super::*;

/// A field of length-delimited type.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = payload.len();
    while len >= 0x80 {
        out.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    out.push(u8::try_from(len).unwrap());
    out.extend_from_slice(payload);
    out
}

fn masked(profile: &Arc<Profile>, message: &[u8]) -> Vec<u8> {
    let whole = run(profile, BodyFormat::Protobuf, message, message.len().max(1)).unwrap();
    assert_eq!(run(profile, BodyFormat::Protobuf, message, 3).unwrap(), whole);
    whole
}

#[test]
fn texts_are_masked_and_every_length_around_them_is_rewritten() {
    let message = |text: &[u8]| {
        let inner =
            [field(1, b"name"), vec![0x10, 0x96, 0x01], field(3, text), vec![0x25, 1, 2, 3, 4]].concat();
        let middle = [vec![0x09, 1, 2, 3, 4, 5, 6, 7, 8], field(2, &inner), field(4, b"")].concat();
        [field(1, &middle), field(15, &[0xff, 0, 0x80]), vec![0x13], field(1, text), vec![0x14]].concat()
    };
    for before in [0, 90, 120, 200] {
        let text = |value: &str| format!("{}{value}", "x ".repeat(before)).into_bytes();
        assert_eq!(masked(&profile(), &message(&text(CANARY))), message(&text(MASKED)));
        assert_eq!(masked(&profile(), &message(&text("nothing"))), message(&text("nothing")));
    }
}

#[test]
fn bytes_hold_known_values_and_json_is_json() {
    let bytes = |value: &str| field(2, &[&[0xff, 0xfe, 0][..], value.as_bytes(), &[0x80]].concat());
    assert_eq!(masked(&profile(), &bytes(CANARY)), bytes(MASKED));
    let json = |value: &str| field(2, format!("{{\"a\": \"{value}\"}}").as_bytes());
    assert_eq!(masked(&profile(), &json(&escaped(CANARY))), json(MASKED));
}

#[test]
fn detectors_look_at_texts() {
    let key = ["AKIA", "Q3EGRZ7MXT4WLKPN"].concat();
    let out = masked(&with_detectors(), &field(1, &field(1, format!("key {key}.").as_bytes())));
    let text = String::from_utf8(out.clone()).unwrap();
    assert!(text.contains("key [REDACTED:aws") && !text.contains(&key));
    assert_eq!(usize::from(out[1]), out.len() - 2);
    assert_eq!(usize::from(out[3]), out.len() - 4);
}

#[test]
fn what_is_no_message_is_text_and_what_stands_across_fields_is_masked_all_the_same() {
    let text = |value: &str| format!("not a message: {value}").into_bytes();
    assert_eq!(masked(&profile(), &text(CANARY)), text(MASKED));
    // The value's bytes are tags and lengths of this message: `k` is a tag no message has, so wrap it as field 13.
    let odd = [vec![0x0a, 3, b'x', b'x', b'k'], CANARY.as_bytes()[1..].to_vec()].concat();
    let out = masked(&profile(), &odd);
    assert!(!out.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()), "{out:?}");
}

#[test]
fn messages_have_a_bound() {
    let text = vec![b'x'; MESSAGE_BYTES_MAX - 5];
    let longest = field(1, &text);
    assert_eq!(longest.len(), MESSAGE_BYTES_MAX);
    assert_eq!(run(&profile(), BodyFormat::Protobuf, &longest, 1 << 20).unwrap(), longest);
    let more = [longest, vec![0]].concat();
    assert_eq!(run(&profile(), BodyFormat::Protobuf, &more, 1 << 20), Err(MaskError::MessageTooLong));
}

#[test]
fn messages_nest_up_to_a_bound() {
    let deep = |value: &str| {
        (0..MESSAGE_NESTING_MAX + 8).fold(value.as_bytes().to_vec(), |inner, _| field(1, &inner))
    };
    let out = masked(&profile(), &deep(CANARY));
    assert!(!out.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()));
}

proptest! {
    /// Texts in messages in messages: the same message comes out, with the secret masked. No message begins with `~`.
    #[test]
    fn messages_are_the_same_but_for_the_secret(
        texts in proptest::collection::vec("\\PC{0,12}", 1..5),
        depth in 0usize..4,
        number in 1u8..15,
    ) {
        let message = |texts: &[String]| {
            let fields: Vec<u8> = texts.iter().flat_map(|text| field(number, text.as_bytes())).collect();
            (0..depth).fold(fields, |inner, _| [field(number, &inner), vec![0x28, 7]].concat())
        };
        let with = |value: &str| -> Vec<String> { texts.iter().map(|t| format!("~{t} {value}")).collect() };
        let out = masked(&profile(), &message(&with(CANARY)));
        prop_assert_eq!(out, message(&with(MASKED)));
    }
}
