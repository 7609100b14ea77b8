//! What each style does to each kind of value, and that none shows what it must not.

use base64::Engine as _;
use proptest::prelude::*;

use super::*;
use crate::text::tests_support::{mask_chunks, mask_whole};
use crate::{Detectors, KnownValue, Profile, ProfileError, mask_bytes};

/// Made up.
const SECRET: &str = "kw-7Qx2Lm9Zt4RvPq8W";

fn github() -> String {
    ["ghp_", "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd6Hs4Gf0LAnCC"].concat()
}

fn profile_with(style: Style, key: u8) -> Arc<Profile> {
    let known = KnownValue::new("mine", SECRET.as_bytes()).unwrap();
    let builder =
        Profile::builder().known([known]).style(style).session_key([key; 32]).deployment_key([key; 32]);
    Arc::new(builder.detectors(Detectors::builtin(), &["credentials", "pii"]).build().unwrap())
}

fn masked(profile: &Arc<Profile>, text: &str) -> String {
    let whole = mask_whole(profile, text.as_bytes());
    for chunk in [1, 3, 64] {
        assert_eq!(mask_chunks(profile, text.as_bytes().chunks(chunk)), whole, "in chunks of {chunk}");
    }
    String::from_utf8(whole.text(text.as_bytes())).unwrap()
}

#[test]
fn each_style_is_what_it_says() {
    let text = format!("a {} b", github());
    let of = |style| masked(&profile_with(style, 1), &text);
    assert_eq!(of(Style::Redact), "a [REDACTED:github_pat] b");
    assert_eq!(of(Style::Drop), "a  b");
    assert_eq!(of(Style::KeepLast4), "a [REDACTED:github_pat:*AnCC] b");
    assert_eq!(of(Style::FormatPreserving), "a [REDACTED:github_pat] b", "it has no form to keep");
    let hash = of(Style::Hash);
    assert!(
        hash.starts_with("a [HASHED:github_pat:") && hash.len() == "a [HASHED:github_pat:] b".len() + 17,
        "{hash}"
    );
}

#[test]
fn a_hash_is_the_same_for_the_same_value_and_key_only() {
    let (one, other) = (profile_with(Style::Hash, 1), profile_with(Style::Hash, 2));
    let hash = masked(&one, &github());
    assert_eq!(masked(&one, &format!("{0} {0}", github())), format!("{hash} {hash}"));
    assert_ne!(masked(&other, &github()), hash);
    let plain = masked(&one, SECRET);
    assert!(plain.starts_with("[HASHED:secret:mine:"), "{plain}");
    let encoded = masked(&one, &base64::engine::general_purpose::STANDARD.encode(SECRET));
    assert!(encoded.starts_with(&plain), "whatever the encoding: {encoded}");
}

#[test]
fn nothing_of_a_known_value_ever_shows() {
    for style in [Style::KeepLast4, Style::FormatPreserving] {
        let profile = profile_with(style, 1);
        assert_eq!(masked(&profile, SECRET), "[REDACTED:secret:mine]");
        // A known value inside of what a detector finds, at its end.
        let text = format!("ghp_{}{SECRET}", "k3Jx9QmZ2pLw8Rt5Vb7N");
        let shown = masked(&profile, &text);
        assert!(!shown.contains(&SECRET[SECRET.len() - 4..]), "{shown}");
    }
}

#[test]
fn what_would_say_too_much_is_redacted() {
    let profile = profile_with(Style::KeepLast4, 1);
    for (value, why) in [
        ("078-05-1121", "short"),
        ("aaaaaaaabbbbbbbb", "of low entropy"),
        ("CorrectHorseBattery", "words"),
        ("k3Jx9QmZ2pLw8Rt=+/.", "its end is not letters and digits"),
    ] {
        assert_eq!(last_four(value.as_bytes()), None, "{why}");
    }
    assert_eq!(last_four(b"k3Jx9QmZ2pL"), None, "one below KEEP_CHARS_MIN");
    assert_eq!(last_four(b"k3Jx9QmZ2pLw"), Some("2pLw"));
    for (length, shows) in [(WHOLE_BYTES_MAX - 5, true), (WHOLE_BYTES_MAX - 4, false), (5000, false)] {
        let body: String = "k3Jx9QmZ2pLw8Rt5".chars().cycle().take(length).collect();
        let text = format!("ghp_{body}");
        let shown = masked(&profile, &text);
        assert_eq!(shown.contains(&format!(":*{}]", &text[text.len() - 4..])), shows, "{length}: {shown}");
        assert!(shown.starts_with("[REDACTED:") && shown.len() < 40, "{shown}");
    }
}

#[test]
fn a_card_becomes_a_card_that_nobody_has() {
    let profile = profile_with(Style::FormatPreserving, 1);
    let card = "4539-1488-0343-6467";
    let shown = masked(&profile, &format!("card {card}."));
    let made = &shown["card ".len()..shown.len() - 1];
    assert!(made.starts_with("9999-") && made.len() == card.len() && made != card, "{shown}");
    let digits: Vec<u32> = made.chars().filter_map(|c| c.to_digit(10)).rev().collect();
    let sum: u32 =
        digits.iter().enumerate().map(|(n, d)| if n % 2 == 0 { *d } else { d * 2 / 10 + d * 2 % 10 }).sum();
    assert_eq!(sum % 10, 0, "Luhn: {made}");
    assert_eq!(masked(&profile, &shown), shown, "never masked again");
    let spaced = masked(&profile, "card 4539 1488 0343 6467.");
    assert_eq!(spaced.replace(' ', ""), shown.replace(['-', ' '], ""), "the same whatever the separators");
    assert_ne!(masked(&profile_with(Style::FormatPreserving, 2), &format!("card {card}.")), shown);
}

#[test]
fn identifiers_keep_their_form() {
    let profile = profile_with(Style::FormatPreserving, 1);
    for (before, value, begins) in [
        ("ssn: ", "536-22-8145", "9"),
        ("iban ", "DE89 3704 0044 0532 0130 00", "XX"),
        ("call ", "+44 20 7183 8750", "+99 9"),
        ("call ", "+1 415 662 9087", "+1 "),
        ("dni ", "12345678Z", ""),
        ("cpf ", "529.982.247-25", ""),
    ] {
        let shown = masked(&profile, &format!("{before}{value}, yes"));
        let made = shown.strip_prefix(before).and_then(|s| s.strip_suffix(", yes")).unwrap();
        assert!(made != value && made.len() == value.len() && made.starts_with(begins), "{value}: {shown}");
        let form = |text: &str| -> String {
            let class = |c: char| {
                if c.is_ascii_digit() {
                    '0'
                } else if c.is_ascii_uppercase() {
                    'A'
                } else {
                    c
                }
            };
            text.chars().map(class).collect()
        };
        assert_eq!(form(made), form(value));
    }
    let phone = masked(&profile, "call +1 415 662 9087, yes");
    assert!(phone.contains(" 555 01"), "{phone}");
    assert_eq!(masked(&profile, "mail jane.roe@acme-corp.de now"), "mail [REDACTED:email_address] now");
}

#[test]
fn an_id_s_style_holds_before_a_group_s() {
    let pack = Detectors::builtin;
    let styled = |select: &[(&str, Style)]| {
        let builder = Profile::builder().session_key([1; 32]).deployment_key([1; 32]).styled(pack(), select);
        masked(&Arc::new(builder.build().unwrap()), &github())
    };
    assert_eq!(
        styled(&[("credentials", Style::Drop), ("github_pat", Style::Redact)]),
        "[REDACTED:github_pat]"
    );
    assert_eq!(
        styled(&[("github_pat", Style::Redact), ("credentials", Style::Drop)]),
        "[REDACTED:github_pat]"
    );
    assert_eq!(
        styled(&[("credentials", Style::KeepLast4), ("credentials", Style::Redact)]),
        "[REDACTED:github_pat]"
    );
    assert_eq!(styled(&[("credentials", Style::Redact), ("credentials", Style::Drop)]), "");
    let missing =
        |style| Profile::builder().styled(pack(), &[("pii", style)]).build().map(|_| ()).unwrap_err();
    assert_eq!(missing(Style::Token), ProfileError::SessionKeyMissing);
    assert_eq!(missing(Style::Hash), ProfileError::DeploymentKeyMissing);
    assert_eq!(missing(Style::FormatPreserving), ProfileError::DeploymentKeyMissing);
}

#[test]
fn placeholders_need_no_escape_and_are_not_masked_again() {
    let texts = [
        "password = \"hunter2Q!xY9z\"",
        "api_key: k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd",
        "https://u:k3Jx9QmZ2p@h/",
        "card 4539148803436467",
    ];
    for (word, style) in Style::ALL {
        let profile = profile_with(style, 1);
        for text in texts.iter().map(|t| (*t).to_owned()).chain([github(), SECRET.to_owned()]) {
            let once = mask_bytes(&profile, text.as_bytes());
            assert!(!once.findings.is_empty(), "{text}");
            let added = String::from_utf8(once.bytes.clone()).unwrap();
            assert!(!added.contains(['<', '&', '\\', ',', ';', '\n']), "{word}: {added}");
            if style != Style::Drop {
                let twice = mask_bytes(&profile, &once.bytes);
                assert_eq!(String::from_utf8(twice.bytes).unwrap(), added, "{word}");
            }
        }
    }
}

/// Pieces that begin, continue and end values of every kind, and overlap.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(SECRET.to_owned()),
        (1..SECRET.len()).prop_map(|n| SECRET[..n].to_owned()),
        (1..SECRET.len()).prop_map(|n| SECRET[n..].to_owned()),
        Just("ghp_".to_owned()),
        Just("card 4539-1488-0343-6467".to_owned()),
        Just("4539148803436467".to_owned()),
        Just("password=".to_owned()),
        Just("https://u:".to_owned()),
        Just("@h/".to_owned()),
        Just("+1 415 662 9087".to_owned()),
        Just("ssn 536-22-8145".to_owned()),
        Just("-----BEGIN RSA PRIVATE KEY-----".to_owned()),
        "[A-Za-z0-9]{1,40}",
        "[0-9]{1,12}",
        prop_oneof![" ", "\n", "\"", ".", "-", "=", ":", ","],
    ]
}

thread_local! {
    static STYLED: Vec<Arc<Profile>> =
        [Style::Hash, Style::Drop, Style::KeepLast4, Style::FormatPreserving].map(|s| profile_with(s, 1)).into();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_style_depends_on_the_chunking(
        parts in proptest::collection::vec(piece(), 1..12),
        chunk in 1usize..40,
        which in 0usize..4,
    ) {
        let text = parts.concat();
        STYLED.with(|profiles| {
            let whole = mask_whole(&profiles[which], text.as_bytes());
            for chunk in [1, chunk] {
                let pieces = mask_chunks(&profiles[which], text.as_bytes().chunks(chunk));
                assert_eq!(pieces, whole, "{text:?} in chunks of {chunk}");
            }
            let shown = String::from_utf8_lossy(&whole.text(text.as_bytes())).into_owned();
            assert!(!shown.contains(SECRET), "{text:?}: {shown}");
        });
    }
}
