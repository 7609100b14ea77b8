//! What the hostile catalogue asks of detectors, a test per number.

use std::sync::Arc;

use super::*;
use crate::text::tests_support::{mask_chunks, mask_whole};
use crate::{Profile, mask_bytes};

fn all() -> Arc<Profile> {
    Arc::new(Profile::builder().detectors(Detectors::builtin(), &["credentials", "pii"]).build().unwrap())
}

fn masked(profile: &Arc<Profile>, text: &str) -> String {
    String::from_utf8(mask_bytes(profile, text.as_bytes()).bytes).unwrap()
}

#[test]
fn catalogue_69_a_shortened_key_is_masked_when_its_rest_tells_which_it_is() {
    let profile = all();
    for (text, expected) in [
        (
            "Incorrect API key provided: sk-proj-****9fK2xQ7b. You can",
            "Incorrect API key provided: sk-proj-****[REDACTED:elided_key]. You can",
        ),
        ("key sk-\u{2026}9fK2xQ7b is", "key sk-\u{2026}[REDACTED:elided_key] is"),
        ("key gsk_ab...9fK2xQ7bZ", "key gsk_ab...[REDACTED:elided_key]"),
        (
            "Incorrect API key provided: sk-proj-****K2xQ7b.",
            "Incorrect API key provided: sk-proj-****K2xQ7b.",
        ),
    ] {
        assert_eq!(masked(&profile, text), expected);
        let whole = mask_whole(&profile, text.as_bytes());
        assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(1)), whole, "{text}");
    }
}

#[test]
fn catalogue_77_personal_data_is_found_however_it_is_written() {
    let profile = all();
    for (text, kind) in [
        ("card 4539\u{a0}1488\u{a0}0343\u{a0}6467 ok", "payment_card"),
        ("card 4539-1488-0343-6467 ok", "payment_card"),
        ("to mira.k+news@lindenhof.ch now", "email_address"),
        ("to mira@m\u{fc}ller-garten.de now", "email_address"),
        ("ssn 536.22.8726 is", "us_ssn"),
        ("ssn 536 22 8726 is", "us_ssn"),
    ] {
        assert!(masked(&profile, text).contains(kind), "{text}");
        let whole = mask_whole(&profile, text.as_bytes());
        assert_eq!(mask_chunks(&profile, text.as_bytes().chunks(1)), whole, "{text}");
    }
}

#[test]
fn catalogue_77_a_thousand_lines_of_logs_hold_nothing() {
    let mut state = 7u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    };
    let mut log = String::new();
    for n in 0..1000u64 {
        let (a, b, c) = (next(), next(), next());
        let line = match n % 8 {
            0 => format!(
                "2026-03-{:02}T08:{:02}:11Z INFO request_id={a:012x}{b:012x} status=200 bytes={}",
                a % 28 + 1,
                b % 60,
                c % 99_999
            ),
            1 => format!("commit {a:012x}{b:012x}{c:012x}abcd"),
            2 => format!(
                "GET /v1/items/{:08x}-{:04x}-4{:03x}-9{:03x}-{c:012x} 304 0",
                a % (1 << 32),
                b % 65536,
                a % 4096,
                b % 4096
            ),
            3 => format!("sha256:{a:012x}{b:012x}{c:012x}{a:012x}{b:012x}{:04x} pulled", c % 65536),
            4 => format!(
                "{{\"id\":\"chatcmpl-{a:012x}{b:012x}\",\"created\":17{:08},\"usage\":{{\"total_tokens\":{}}}}}",
                c % 99_999_999,
                a % 4096
            ),
            5 => format!("[-0.00{}, 0.0{}, 0.{}]", a % 9_999_999, b % 9_999_999, c % 9_999_999),
            6 => format!("etag: W/\"{a:x}-{b:x}\" max_tokens={} next_page_token={c:x}", a % 8192),
            _ => format!(
                "session {} of worker-{} took {}.{} ms, cache_key=item:{}",
                n,
                a % 64,
                b % 900,
                c % 999,
                c % 99_999
            ),
        };
        log.push_str(&line);
        log.push('\n');
    }
    let found = mask_bytes(&all(), log.as_bytes()).findings;
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let shown: Vec<_> = found.iter().map(|f| (&f.detector, &log[at(f.start)..at(f.end)])).collect();
    assert!(shown.is_empty(), "{shown:?}");
}

#[test]
fn a_key_is_found_behind_a_terminals_colour_and_none_in_a_urls_user_part() {
    let profile = all();
    let key = ["sk-", "369ccdaf477e8316bd63e68ff9ca4d7c"].concat();
    assert!(!masked(&profile, &format!("\u{1b}[1;93m{key}\u{1b}[0m")).contains(&key));
    let url = "ssh://mira@lindenhof.ch/x and https://lindenhof.ch/?by=mira@lindenhof.ch";
    assert_eq!(masked(&profile, url).matches("email_address").count(), 1);
}
