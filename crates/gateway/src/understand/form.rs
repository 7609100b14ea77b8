//! Percent-encoding, queries and forms. Decoding is strict: a broken escape and text that is not UTF-8 are refused.

use std::borrow::Cow;

use super::UnderstandError;

/// Most pairs that are looked at.
pub(super) const PAIRS_MAX: usize = 1024;

/// The text that `text` encodes, or nothing where it is not a sound encoding of UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The names and values of a query.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, UnderstandError> {
    decode(query).ok_or(UnderstandError::Query)
}

/// The names and values of a form.
pub(super) fn pairs_of(body: &[u8]) -> Result<Vec<(String, String)>, UnderstandError> {
    std::str::from_utf8(body).ok().and_then(decode).ok_or(UnderstandError::Form)
}

fn decode(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        if pairs.len() >= PAIRS_MAX {
            return None;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (name.replace('+', " "), value.replace('+', " "));
        pairs.push((percent_decoded(&name)?.into_owned(), percent_decoded(&value)?.into_owned()));
    }
    Some(pairs)
}
