//! Headers whose values point at something: a path, a URL, the source of a copy.

use http::HeaderMap;

/// Words in a header's name that say so.
const WORDS: &[&str] = &[
    "file",
    "filename",
    "filepath",
    "path",
    "url",
    "uri",
    "source",
    "src",
    "destination",
    "dest",
    "location",
    "target",
    "link",
    "disposition",
    "key",
    "object",
    "resource",
    "directory",
    "folder",
];

/// The values to look at. What is no text is read as Latin-1, as servers do.
pub(super) fn references(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let points = |name: &str| {
        name.split(['-', '_', '.']).any(|word| WORDS.contains(&word))
            && !matches!(name, "x-api-key" | "api-key" | "sec-websocket-key" | "idempotency-key")
    };
    let named = headers.iter().filter(move |(name, _)| points(name.as_str()));
    named.map(|(_, value)| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    })
}
