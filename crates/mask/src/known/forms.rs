//! The forms a known value takes on its way through an answer: raw, escaped, encoded.

use std::collections::BTreeSet;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{KNOWN_BYTES_MIN, is_simple};

/// One spelling of a known value.
pub(super) struct Form {
    /// The bytes as they appear.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether line breaks may stand inside (base64 is wrapped by mail, PEM and YAML writers).
    pub(super) wraps: bool,
}

/// Every spelling of `value` that is looked for, without duplicates.
pub(super) fn forms(value: &[u8]) -> Vec<Form> {
    let mut plain = BTreeSet::new();
    let mut wrapped = BTreeSet::new();
    plain.insert(value.to_vec());
    plain.insert(json_escaped(value, Slash::Plain));
    plain.insert(json_escaped(value, Slash::Escaped));
    for hex in [HEX_LOWER, HEX_UPPER] {
        plain.insert(spelled(value, hex, b"", |_| false));
        plain.insert(spelled(value, hex, b"\\x", |_| false));
        plain.insert(spelled(value, hex, b"%", |_| false));
        for also_kept in PERCENT_KEEPS {
            plain.insert(spelled(value, hex, b"%", |b| unreserved(b) || also_kept.contains(&b)));
        }
        for kept in FORM_KEEPS {
            plain.insert(form_encoded(value, hex, kept));
        }
    }
    for shown in TAIL_BYTES.filter(|shown| *shown * 2 <= value.len()) {
        let tail = value.get(value.len() - shown..).unwrap_or_default();
        if !is_simple(tail) {
            plain.extend(VEILS.iter().map(|veil| [veil.as_bytes(), tail].concat()));
        }
    }
    for apostrophe in ["&#39;", "&#x27;", "&apos;"] {
        for quote in ["&quot;", "&#34;"] {
            plain.insert(html_escaped(value, apostrophe, quote));
        }
    }
    for lead in 0..3 {
        wrapped.insert(base64_inner(value, lead, &STANDARD_NO_PAD));
        wrapped.insert(base64_inner(value, lead, &URL_SAFE_NO_PAD));
    }
    let long_enough = |bytes: &Vec<u8>| bytes.len() >= KNOWN_BYTES_MIN;
    let plain = plain.into_iter().filter(long_enough).map(|b| Form { bytes: b.into(), wraps: false });
    let wrapped = wrapped.into_iter().filter(long_enough).map(|b| Form { bytes: b.into(), wraps: true });
    plain.chain(wrapped).collect()
}

/// How many bytes of a value's end are known behind one of [`VEILS`]: services show the end of a key in their errors
/// (`Incorrect API key: sk-****abcd1234`). Four are no secret, and a longer end than this is not shown by any.
const TAIL_BYTES: std::ops::RangeInclusive<usize> = 8..=12;
/// What stands for the part of a key that is not shown. No full stop: every sentence's end would be held back for it.
const VEILS: [&str; 2] = ["*", "…"];

const HEX_LOWER: [u8; 16] = *b"0123456789abcdef";
const HEX_UPPER: [u8; 16] = *b"0123456789ABCDEF";

fn nibbles(byte: u8, digits: [u8; 16]) -> [u8; 2] {
    let digit = |n: u8| digits.get(usize::from(n)).copied().unwrap_or(b'0');
    [digit(byte >> 4), digit(byte & 15)]
}

/// Every byte as `before` and two hex digits, except those that `keep` names.
fn spelled(value: &[u8], digits: [u8; 16], before: &[u8], keep: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() * (before.len() + 2));
    for &byte in value {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(before);
            out.extend_from_slice(&nibbles(byte, digits));
        }
    }
    out
}

const fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What writers of addresses leave alone beside letters, digits and `-._~`, as each does it.
const PERCENT_KEEPS: [&[u8]; 7] = [
    b"",                 // RFC 3986, nothing more than it must
    b"/",                // Python's `quote`
    b"!'()*",            // JavaScript's `encodeURIComponent`
    b"!#$&'()*+,/:;=?@", // JavaScript's `encodeURI`
    b"$&+:=@",           // Go's `PathEscape`
    b"!$&'()*+,/:;=@",   // a path by RFC 3986
    b"!$'()*,/:;@",      // a query of which `&`, `=` and `+` are taken
];

/// What writers of forms leave alone beside letters and digits: browsers, and Python or Go.
const FORM_KEEPS: [&[u8]; 2] = [b"-._*", b"-._~"];

fn form_encoded(value: &[u8], digits: [u8; 16], kept: &[u8]) -> Vec<u8> {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b == b' ' || kept.contains(&b);
    spelled(value, digits, b"%", keep).into_iter().map(|b| if b == b' ' { b'+' } else { b }).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    Plain,
    Escaped,
}

fn json_escaped(value: &[u8], slash: Slash) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 8);
    for &byte in value {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'/' if slash == Slash::Escaped => out.extend_from_slice(b"\\/"),
            control if control < 0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&nibbles(control, HEX_LOWER));
            }
            other => out.push(other),
        }
    }
    out
}

fn html_escaped(value: &[u8], apostrophe: &str, quote: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 8);
    for byte in value {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(quote.as_bytes()),
            b'\'' => out.extend_from_slice(apostrophe.as_bytes()),
            other => out.push(*other),
        }
    }
    out
}

/// The characters of the base64 text that `value` alone determines when `lead` bytes (modulo 3) stand before it.
fn base64_inner(value: &[u8], lead: usize, engine: &impl base64::Engine) -> Vec<u8> {
    let mut padded = Zeroizing::new(vec![0; lead]);
    padded.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(padded.as_slice()).into_bytes());
    let first = (lead * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    text.get(first..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value.as_bytes()).iter().any(|f| f.bytes.as_slice() == form.as_bytes())
    }

    #[test]
    fn knows_the_spellings() {
        let value = r#"p&ss"w/rd'9 ä"#;
        assert!(has(value, value));
        assert!(has(value, r#"p&ss\"w/rd'9 ä"#), "JSON");
        assert!(has(value, r#"p&ss\"w\/rd'9 ä"#), "JSON with escaped slashes");
        assert!(has(value, "p%26ss%22w%2Frd%279%20%C3%A4"), "percent");
        assert!(has(value, "p%26ss%22w%2frd%279%20%c3%a4"), "percent, lower case");
        assert!(has(value, "p%26ss%22w/rd'9%20%C3%A4"), "percent, minimal");
        assert!(has(value, "p%26ss%22w%2Frd%279+%C3%A4"), "form");
        assert!(has(value, "p%26ss%22w%2Frd'9%20%C3%A4"), "encodeURIComponent");
        assert!(has(value, "p&ss%22w/rd'9%20%C3%A4"), "encodeURI");
        assert!(has("a ~long*value", "a+%7Elong*value"), "a browser's form");
        assert!(has("a ~long*value", "a+~long%2Avalue"), "Python's and Go's form");
        assert!(has(value, "p&amp;ss&quot;w/rd&#39;9 ä"), "HTML");
        assert!(has(value, "702673732277 2f72642739 20c3a4".replace(' ', "").as_str()), "hex");
        assert!(has("abcdefgh", r"\x61\x62\x63\x64\x65\x66\x67\x68"), "hex escapes");
        assert!(has("abcdefgh", "%61%62%63%64%65%66%67%68"), "percent, full");
    }

    #[test]
    fn every_base64_alignment_contains_a_form() {
        let value = b"s3cr3t-v4lue?>>~\xff\xfe";
        for lead in 0..5 {
            for trail in 0..4 {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = engine.encode([&b"user:"[..lead], value, &b"tail"[..trail]].concat());
                    let found = forms(value)
                        .iter()
                        .any(|f| f.wraps && text.contains(std::str::from_utf8(&f.bytes).unwrap()));
                    assert!(found, "lead {lead} trail {trail}");
                }
            }
        }
    }
}
