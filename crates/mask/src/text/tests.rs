//! Laws of the engine: independence of chunking, no leaked prefix, bounded memory.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::tests_support::{Seen, Stretch, mask_chunks, mask_whole};
use super::*;
use crate::detector::{CANDIDATE_BYTES_MAX, Detectors};
use crate::{KnownValue, Style, mask_bytes, mask_field};

const SECRET: &str = "s3cr3t/Valu3+&<x>\"'9";

fn known(values: &[(&str, &str)]) -> Arc<Profile> {
    let values = values.iter().map(|(label, value)| KnownValue::new(label, value.as_bytes()).unwrap());
    Arc::new(Profile::builder().known(values).build().unwrap())
}

fn credentials() -> Arc<Profile> {
    Arc::new(Profile::builder().detectors(Detectors::builtin(), &["credentials"]).build().unwrap())
}

fn everything() -> Arc<Profile> {
    let values = [("a", SECRET), ("b", "Valu3+&<x>\"'9-and-more-0"), ("c", "zK4pQ8vL2nXw")];
    let values = values.iter().map(|(label, value)| KnownValue::new(label, value.as_bytes()).unwrap());
    let builder = Profile::builder().known(values).detectors(Detectors::builtin(), &["credentials", "pii"]);
    Arc::new(builder.build().unwrap())
}

fn masked(profile: &Arc<Profile>, text: &str) -> String {
    String::from_utf8(mask_bytes(profile, text.as_bytes()).bytes).unwrap()
}

fn each(spell: impl Fn(u8) -> String) -> String {
    SECRET.bytes().map(spell).collect::<Vec<_>>().concat()
}

fn github() -> String {
    format!("ghp_{}", "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd4Hf6Sg0Ua3We")
}

#[test]
fn catalogue_64_known_values_are_found_in_every_encoding() {
    let profile = known(&[("x", SECRET)]);
    let hex = each(|b| format!("{b:02x}"));
    let percent = each(|b| format!("%{b:02X}"));
    let mut spellings = vec![
        SECRET.to_owned(),
        hex.clone(),
        hex.to_uppercase(),
        percent.clone(),
        percent.to_lowercase(),
        each(|b| format!("\\x{b:02x}")),
        "s3cr3t%2FValu3%2B%26%3Cx%3E%22%279".to_owned(),
        r#"s3cr3t/Valu3+&<x>\"'9"#.to_owned(),
        r#"s3cr3t\/Valu3+&<x>\"'9"#.to_owned(),
        "s3cr3t/Valu3+&amp;&lt;x&gt;&quot;&#39;9".to_owned(),
    ];
    for lead in ["", "a", "ab", "user:"] {
        let inner = STANDARD.encode(format!("{lead}{SECRET}"));
        spellings.push(inner);
    }
    for spelling in spellings {
        let text = format!("before {spelling} after");
        let seen = mask_whole(&profile, text.as_bytes());
        assert_eq!(seen.findings.len(), 1, "{spelling}");
        let left = String::from_utf8(seen.text(text.as_bytes())).unwrap();
        assert!(left.contains("[REDACTED:secret:x]") && left.starts_with("before "), "{left}");
        let rest = left.replace("[REDACTED:secret:x]", "");
        assert!(rest.len() <= "before  after".len() + 12, "too much is left: {rest}");
        for at in 1..text.len() {
            assert_eq!(mask_chunks(&profile, [&text.as_bytes()[..at], &text.as_bytes()[at..]]), seen, "{at}");
        }
    }
}

/// The most that was held back while `text` came byte by byte.
fn most_held(profile: &Arc<Profile>, text: &str) -> usize {
    let (mut masker, mut seen, mut most) = (TextMasker::new(Arc::clone(profile)), Seen::default(), 0);
    for (n, byte) in text.bytes().enumerate() {
        masker.push(&[byte], &mut seen);
        most = most.max(n + 1 - seen.decided());
    }
    most
}

#[test]
fn an_address_behind_evidence_leaves_part_by_part() {
    let profile = credentials();
    let address =
        "https://docs.example.com/guides/authentication/github.io/creating/sessions/overview/of/all";
    let text = format!("The API token of GitHub is told of at {address}.html, and nowhere else");
    assert_eq!(masked(&profile, &text), text);
    assert!(most_held(&profile, &text) <= "authentication/".len() + 2, "{}", most_held(&profile, &text));
    let key = ["Zq8vT1mK4xR7", "nB2wL9cJ5pH0"].concat();
    for (lead, tail) in [("github/", "/of/all"), ("any/github.", "/all"), ("any/github-", "/mQ7vB2/T4nRb9")] {
        let text = format!("github secret: /repositories/{lead}{key}{tail} is it");
        let seen = mask_whole(&profile, text.as_bytes());
        let left = String::from_utf8(seen.text(text.as_bytes())).unwrap();
        assert!(left.contains(lead) && !left.contains(&key), "{left}");
        for at in 1..text.len() {
            assert_eq!(mask_chunks(&profile, [&text.as_bytes()[..at], &text.as_bytes()[at..]]), seen, "{at}");
        }
        assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(1)), seen);
    }
}

#[test]
fn catalogue_69_the_end_of_a_key_in_an_error_is_masked() {
    let key = ["sk-proj-Zk3vQ9xW", "7mT2pL8dR4nB6yH1cJ5fS0aU"].concat();
    let known = KnownValue::new("openai", key.as_bytes()).unwrap();
    let profile = Arc::new(Profile::builder().known([known]).build().unwrap());
    let masked = |text: &str| String::from_utf8(mask_bytes(&profile, text.as_bytes()).bytes).unwrap();
    for shown in 8..=12 {
        for veil in ["****", "…"] {
            let tail = &key[key.len() - shown..];
            let text = masked(&format!("Incorrect API key provided: sk-proj-{veil}{tail}. See"));
            let mut rest = veil.chars();
            rest.next_back();
            let rest = rest.as_str();
            assert_eq!(
                text,
                format!("Incorrect API key provided: sk-proj-{rest}[REDACTED:secret:openai]. See")
            );
        }
    }
    assert_eq!(
        masked(&format!("sk-proj-****{}.", &key[key.len() - 4..])),
        "sk-proj-****S0aU.",
        "four are shown"
    );
    assert_eq!(masked(&format!("{key}.")), "[REDACTED:secret:openai].");
    // A tail that is a word would shred text.
    let word = KnownValue::new("word", b"Zk3vQ9xW7mT2production").unwrap();
    let profile = Arc::new(Profile::builder().known([word]).build().unwrap());
    assert_eq!(mask_bytes(&profile, b"in **production").bytes, b"in **production");
}

#[test]
fn catalogue_64_declared_limits_leak() {
    let profile = known(&[("x", SECRET)]);
    let reversed: String = SECRET.chars().rev().collect();
    for spelling in [reversed, each(|b| format!("{} ", char::from(b)))] {
        assert_eq!(masked(&profile, &spelling), spelling);
    }
}

#[test]
fn wrapped_base64_of_a_known_value_is_found() {
    let long = "k9Xw2mQz7Lp4Rt8Vb3Nc6Yd1Hf5Sg0Ua".repeat(3);
    let profile = known(&[("x", &long)]);
    for lead in 0..60 {
        let encoded = STANDARD.encode(format!("{}{long} tail tail", "-".repeat(lead)));
        for (width, wrap) in [(76, "\r\n"), (64, "\n"), (60, "\n      ")] {
            let lines: Vec<&str> =
                encoded.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
            let text = format!("data:\n{}\nend", lines.join(wrap));
            let seen = mask_whole(&profile, text.as_bytes());
            assert_eq!(seen.findings.len(), 1, "lead {lead} width {width}");
            assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(1)), seen);
            assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(7)), seen);
        }
    }
}

#[test]
fn catalogue_76_overlapping_and_adjacent_secrets_are_masked_whole() {
    let profile = known(&[("one", "abc123DEF456"), ("two", "DEF456ghi789"), ("long", "abc123DEF456ghi78")]);
    let cases = [
        ("x abc123DEF456ghi789 y", "x [REDACTED:secret:long] y", 2),
        ("abc123DEF456abc123DEF456", "[REDACTED:secret:one][REDACTED:secret:one]", 2),
        ("abc123DEF45", "abc123DEF45", 0),
    ];
    for (text, expected, findings) in cases {
        let seen = mask_whole(&profile, text.as_bytes());
        assert_eq!(String::from_utf8(seen.text(text.as_bytes())).unwrap(), expected);
        assert_eq!(seen.findings.len(), findings);
        assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(1)), seen);
    }
}

#[test]
fn a_long_known_value_is_swallowed() {
    let value: String =
        (0..9000u32).map(|n| char::from(b'a' + u8::try_from(n * n % 23 + n % 3).unwrap())).collect();
    let profile = known(&[("key", &value)]);
    let text = format!("<{value}>");
    let seen = mask_whole(&profile, text.as_bytes());
    assert_eq!(seen.text(text.as_bytes()), b"<[REDACTED:secret:key]>");
    assert_eq!((seen.findings[0].start, seen.findings[0].end), (1, 9001));
    assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(11)), seen);
}

#[test]
fn a_private_key_is_swallowed_at_once_and_to_its_end() {
    let profile = credentials();
    let line = "MIIEowIBAAKCAQEAx9Zk2QpLw7Rt5Vb8Nc1Yd4Hf6Sg0Ua3WeTm2Xo9Ji5Kq7Bz\n";
    let begin = format!("key: -----BEGIN RSA {}-----\n", "PRIVATE KEY");
    let mut seen = Seen::default();
    let mut masker = TextMasker::new(Arc::clone(&profile));
    masker.push(begin.as_bytes(), &mut seen);
    assert_eq!(seen.stretches, [Stretch::Keep(5)], "the marker waits for a body");
    masker.push(line.as_bytes(), &mut seen);
    assert!(
        matches!(&seen.stretches[1], Stretch::Replace(_, p) if p == "[REDACTED:private_key]"),
        "{seen:?}"
    );
    for _ in 0..10_000 {
        masker.push(line.as_bytes(), &mut seen);
        assert!(masker.held() < 64);
    }
    assert!(masker.text.capacity() < 64 * 1024, "memory does not grow with the secret");
    masker.push(format!("-----END RSA {}-----\nnext", "PRIVATE KEY").as_bytes(), &mut seen);
    masker.boundary(&mut seen);
    assert_eq!(seen.stretches.len(), 3, "one placeholder: {seen:?}");
    assert_eq!(seen.stretches[2], Stretch::Keep(5), "the line end and `next`");
    assert_eq!(seen.findings.len(), 1);
}

#[test]
fn an_unterminated_private_key_stays_masked() {
    let text =
        format!("-----BEGIN {}-----\nMIIEowIBAAKCAQEAx9Zk2QpLw7Rt5Vb8Nc1Yd4Hf6\nSg0Ua3We", "PRIVATE KEY");
    assert_eq!(masked(&credentials(), &text), "[REDACTED:private_key]");
}

#[test]
fn no_prefix_of_a_secret_leaves_before_the_decision() {
    let profile = credentials();
    for secret in
        [github(), format!("sk-ant-{}", "api03-Qz7Lp4Rt8Vb3Nc6Yd1Hf5"), format!("AKIA{}", "Q7ZK3MPXW2RTL5VB")]
    {
        let text = format!("the key is {secret} ok");
        let start = "the key is ".len();
        let mut seen = Seen::default();
        let mut masker = TextMasker::new(Arc::clone(&profile));
        for (n, byte) in text.bytes().enumerate() {
            masker.push(&[byte], &mut seen);
            let kept: usize =
                seen.stretches.iter().map(|s| if let Stretch::Keep(n) = s { *n } else { 0 }).sum();
            assert!(n > start + secret.len() || kept <= start, "{secret}: kept {kept} at {n}");
        }
        masker.boundary(&mut seen);
        assert_eq!(seen.findings.len(), 1, "{secret}");
    }
}

#[test]
fn clean_text_is_hardly_held_back() {
    let text =
        "The quick brown fox jumps over the lazy dog; it asks for no password and no token. ".repeat(40);
    let mut seen = Seen::default();
    let mut masker = TextMasker::new(everything());
    let mut held = 0;
    for byte in text.bytes() {
        masker.push(&[byte], &mut seen);
        held += masker.held();
    }
    assert!(held < text.len() * 5, "mean {} bytes", held / text.len());
}

#[test]
fn a_token_is_the_same_for_the_same_value_only() {
    let profile = |key: u8| {
        let values = [KnownValue::new("x", SECRET.as_bytes()).unwrap()];
        let builder = Profile::builder().known(values).detectors(Detectors::builtin(), &["credentials"]);
        Arc::new(builder.style(Style::Token).session_key([key; 32]).build().unwrap())
    };
    let (one, other) = (profile(1), profile(2));
    let text = github();
    let token = masked(&one, &text);
    assert!(
        token.starts_with("[REDACTED:github_pat:") && token.len() == "[REDACTED:github_pat:]".len() + 12,
        "{token}"
    );
    assert_eq!(masked(&one, &format!("{text} {text}")), format!("{token} {token}"));
    assert_ne!(masked(&other, &text), token);
    assert_eq!(masked(&one, &token), token, "never masked again");
    let plain = masked(&one, SECRET);
    assert_eq!(
        masked(&one, &STANDARD.encode(SECRET)).get(..plain.len()),
        Some(plain.as_str()),
        "whatever the encoding"
    );
    let long = format!("ghp_{}", "k3Jx9QmZ2pLw8Rt5".repeat(200));
    assert_eq!(mask_chunks(&one, long.as_bytes().chunks(5)), mask_whole(&one, long.as_bytes()));
}

#[test]
fn context_is_seen_and_not_counted() {
    let profile = credentials();
    let value = "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd";
    assert!(mask_bytes(&profile, value.as_bytes()).findings.is_empty());
    let masked = mask_field(&profile, b"client_secret: ", value.as_bytes());
    assert_eq!((masked.findings[0].start, masked.findings[0].end), (0, 24));
    assert!(masked.bytes.starts_with(b"[REDACTED:"), "{masked:?}");
    let long = [b"x".repeat(CONTEXT_BYTES_MAX), b"client_secret: ".to_vec()].concat();
    assert_eq!(mask_field(&profile, &long, value.as_bytes()), masked, "the end of a long context counts");
}

#[test]
fn a_candidate_at_the_bound_is_masked_or_let_go() {
    let profile = credentials();
    let dots = format!("SG.{}", ".".repeat(3));
    assert_eq!(masked(&profile, &dots), dots);
    let header = format!("-----BEGIN {}-----\nComment: {}", "PRIVATE KEY", "z".repeat(CANDIDATE_BYTES_MAX));
    assert_eq!(masked(&profile, &header), "[REDACTED:private_key]", "a distinctive prefix: masked");
    let far = format!("datadog {} 3f9a1c7e5b2d8046af13c9e77b5d2081", "word ".repeat(CANDIDATE_BYTES_MAX / 5));
    assert_eq!(masked(&profile, &far), far, "a keyword: let go");
}

#[test]
fn hostile_text_opens_no_more_than_it_may() {
    let profile = everything();
    for piece in ["sk-", "secret=", "password: ", "eyJ", "://a:", "-----BEGIN PRIVATE KEY-----", "datadog "] {
        let text = piece.repeat(3000);
        let seen = mask_whole(&profile, text.as_bytes());
        assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(13)), seen, "{piece}");
    }
}

#[test]
fn ordinary_inference_traffic_is_left_alone() {
    let profile = credentials();
    for text in [
        r#"{"id":"chatcmpl-AbCdEfGh1234567890JkLmNoPq","object":"chat.completion","system_fingerprint":"fp_44709d6fcb"}"#,
        r#"{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","stop_reason":"end_turn"}"#,
        r#"{"tool_use_id":"toolu_01A09q90qw90lq917835lq9","call_id":"call_9pQ2mX7vKz4LtR8wB3nC6yD1"}"#,
        r#"{"request_id":"req_011CSHoEeqs5C35K2UUqR7Fy","response_id":"resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"}"#,
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b and sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "id 123e4567-e89b-12d3-a456-426614174000",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "[-0.0069292834,0.0023064255,-0.009327292,0.047050495]",
        r#"{"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21},"max_tokens":1024}"#,
        "export API_KEY=${MY_API_KEY} TOKEN=<your-token> SECRET=xxxxxxxxxxxxxxxx PASSWORD=$DB_PASSWORD",
        "AKIAIOSFODNN7EXAMPLE",
    ] {
        assert_eq!(masked(&profile, text), text);
    }
}

#[test]
fn selecting_what_does_not_exist_is_refused() {
    let build = |name: &str| Profile::builder().detectors(Detectors::builtin(), &[name]).build().map(|_| ());
    assert_eq!(build("github_pat"), Ok(()));
    assert_eq!(build("githb"), Err(crate::ProfileError::UnknownDetector("githb".to_owned())));
    let token = Profile::builder().style(Style::Token).build().map(|_| ());
    assert_eq!(token, Err(crate::ProfileError::SessionKeyMissing));
}

/// Pieces that begin, continue, end and confuse candidates.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "ghp_",
        "sk-",
        "sk-ant-",
        "sk-proj-",
        "eyJhbGciOiJIUzI1NiJ9",
        ".",
        "eyJzdWIiOiIxIn0",
        "://",
        ":",
        "@",
        "=",
        " ",
        "\n",
        "\"",
        "'",
        "password",
        "api_key",
        "token",
        "secret",
        "Bearer ",
        "Authorization: ",
        "Basic ",
        "dXNlcjpwYXNz",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "MIIEowIBAAKCAQEAx9Zk2",
        "\\n",
        "%3D",
        "datadog",
        "3f9a1c7e5b2d8046af13c9e77b5d2081",
        "Tr0ub4dor!3",
        "zK4pQ8vL2nXw",
        SECRET,
        "Valu3+&<x>\"'9-and-more-0",
        "xoxb-",
        "123456789012-",
        "AKIA",
        "Q7ZK3MPXW2RTL5VB",
        "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd4Hf6Sg0Ua3We",
        "czNjcjN0L1ZhbHUz",
        "mira.k@lindenhof.ch",
        "4539 1488 0343 6467",
        "DE89 3704 0044 0532 0130 00",
        "+49 30 5550172",
        "131052-308T",
        "phone ",
        ", ",
        "-secret-",
        "kanbantool ",
        "ä",
        "[REDACTED:x]",
    ];
    prop_oneof![
        6 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        2 => "[A-Za-z0-9_-]{1,40}",
        1 => "[ -~]{1,12}",
        1 => (0usize..SECRET.len()).prop_map(|n| SECRET[..n].to_owned()),
        1 => Just(STANDARD.encode(SECRET)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_do_not_depend_on_chunking(
        pieces in proptest::collection::vec(piece(), 1..24),
        cuts in proptest::collection::vec(1usize..40, 1..12),
        token in any::<bool>(),
    ) {
        let text = pieces.concat();
        let text = text.as_bytes();
        let profile = if token { tokens() } else { shared() };
        let whole = mask_whole(&profile, text);
        prop_assert_eq!(&mask_chunks(&profile, text.chunks(1)), &whole);
        let mut rest = text;
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(&mask_chunks(&profile, chunks), &whole);
    }

    #[test]
    fn arbitrary_bytes_are_decided_once(bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1usize..50) {
        let profile = shared();
        prop_assert_eq!(mask_chunks(&profile, bytes.chunks(size)), mask_whole(&profile, &bytes));
    }

    #[test]
    fn a_known_value_never_survives(before in "[ -~]{0,30}", after in "[ -~]{0,30}") {
        let text = format!("{before}{SECRET}{after}");
        let seen = mask_whole(&shared(), text.as_bytes());
        let left = seen.text(text.as_bytes());
        prop_assert!(memchr::memmem::find(&left, SECRET.as_bytes()).is_none());
    }
}

fn shared() -> Arc<Profile> {
    static PROFILE: std::sync::LazyLock<Arc<Profile>> = std::sync::LazyLock::new(everything);
    Arc::clone(&PROFILE)
}

fn tokens() -> Arc<Profile> {
    static PROFILE: std::sync::LazyLock<Arc<Profile>> = std::sync::LazyLock::new(|| {
        let values = [KnownValue::new("a", SECRET.as_bytes()).unwrap()];
        let builder =
            Profile::builder().known(values).detectors(Detectors::builtin(), &["credentials", "pii"]);
        Arc::new(builder.style(Style::Token).session_key([7; 32]).build().unwrap())
    });
    Arc::clone(&PROFILE)
}
