//! What a masked value becomes.
//!
//! Styles that say something about the value ([`Style::KeepLast4`], [`Style::FormatPreserving`]) need to see the whole of
//! it, and nothing else may claim a byte of it; where that cannot be, and where too little would stay secret, it is
//! redacted (*fails closed*).

use std::borrow::Cow;
use std::sync::Arc;

use aws_lc_rs::hmac;
use keyward_core::Style;

use crate::detector::{Detector, Shape, looks_random};
use crate::surrogate::surrogate;

/// How much of a value a placeholder is derived from: all of it, up to this many bytes. A longer one is held until so
/// much of it was seen.
pub(crate) const WHOLE_BYTES_MAX: usize = 1024;
/// The shortest value of which the last four characters may show, in characters.
pub const KEEP_CHARS_MIN: usize = 12;
/// The least entropy of such a number, in bits per character.
const KEEP_ENTROPY_MIN: f32 = 2.0;

/// The keys of a profile.
pub(crate) struct Keys {
    session: Option<hmac::Key>,
    hash: Option<hmac::Key>,
    surrogate: Option<hmac::Key>,
}

impl Keys {
    /// From the deployment's key every style gets a key of its own.
    pub(crate) fn new(session: Option<[u8; 32]>, deployment: Option<[u8; 32]>) -> Self {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derived =
            |what: &str| deployment.map(|root| key(hmac::sign(&key(&root), what.as_bytes()).as_ref()));
        Self {
            session: session.map(|bytes| key(&bytes)),
            hash: derived("keyward mask hash v1"),
            surrogate: derived("keyward mask format-preserving v1"),
        }
    }
}

/// How one kind of finding is named and shown.
pub(crate) struct Mark {
    pub(crate) finding: Arc<str>,
    /// What stands between the brackets.
    name: String,
    redacted: String,
    pub(crate) style: Style,
}

impl Mark {
    /// `name` is freed of everything that any format has to escape.
    pub(crate) fn new(finding: &str, name: &str, style: Style) -> Self {
        let inert = |c: char| if c.is_ascii_alphanumeric() || "_-.:".contains(c) { c } else { '_' };
        let name: String = name.chars().map(inert).take(72).collect();
        Self { finding: finding.into(), redacted: format!("[REDACTED:{name}]"), name, style }
    }

    pub(crate) fn redacted(&self) -> &str {
        if self.style == Style::Drop { "" } else { &self.redacted }
    }

    /// `value` is the whole one, or the first [`WHOLE_BYTES_MAX`] bytes of a longer one, or where the style needs nothing
    /// of it, what is there.
    pub(crate) fn placeholder(&self, keys: &Keys, value: &[u8], detector: Option<&Detector>) -> Cow<'_, str> {
        let name = &self.name;
        let long = value.len() >= WHOLE_BYTES_MAX;
        let head = value.get(..WHOLE_BYTES_MAX).unwrap_or(value);
        let made = match self.style {
            Style::Token => {
                keys.session.as_ref().map(|key| format!("[REDACTED:{name}:{:012x}]", tag(key, head) >> 16))
            }
            Style::Hash => keys.hash.as_ref().map(|key| {
                let tag = tag(key, head);
                // In two parts: neither is long enough to look like a value.
                format!("[HASHED:{name}:{:08x}:{:08x}]", tag >> 32, tag & u64::from(u32::MAX))
            }),
            Style::KeepLast4 if !long => last_four(value).map(|end| format!("[REDACTED:{name}:*{end}]")),
            Style::FormatPreserving if !long => {
                keys.surrogate.as_ref().and_then(|key| surrogate(key, value, detector))
            }
            _ => None,
        };
        made.map_or_else(|| self.redacted().into(), Cow::Owned)
    }
}

/// The first eight bytes of a keyed hash.
fn tag(key: &hmac::Key, value: &[u8]) -> u64 {
    u64::from_be_bytes(hmac::sign(key, value).as_ref().first_chunk().copied().unwrap_or_default())
}

/// The last four characters of a value that stays secret without them: a long number, or what looks generated.
fn last_four(value: &[u8]) -> Option<&str> {
    let end = std::str::from_utf8(value.last_chunk::<4>()?).ok()?;
    let shape = Shape::of(value);
    let number = shape.letters() * 4 <= shape.digits;
    let kept = end.bytes().all(|b| b.is_ascii_alphanumeric())
        && shape.letters() + shape.digits >= KEEP_CHARS_MIN
        && if number { shape.entropy >= KEEP_ENTROPY_MIN } else { looks_random(value) };
    kept.then_some(end)
}

/// How much of a match must be there before it can be replaced, in bytes.
pub(crate) const fn wanted(style: Style) -> usize {
    match style {
        Style::Redact | Style::Drop => 1,
        _ => WHOLE_BYTES_MAX,
    }
}

/// Whether the style lets something of the value show.
pub(crate) const fn shows(style: Style) -> bool {
    matches!(style, Style::KeepLast4 | Style::FormatPreserving)
}

#[cfg(test)]
mod tests;
