//! What a detector file says: the YAML, as types.
//!
//! A file is one group of detectors. Examples must not look like live keys to other scanners, so that a text may be
//! written as a list of parts, which are joined: `examples: [[ "ghp_", "…" ]]`. In an example, the secret stands
//! between `«` and `»`; exactly that must be masked.

use keyward_core::Confidence;

use super::identity::Identity;

/// One file of `detectors/`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pack {
    /// What selects all of them: `credentials`.
    pub(super) group: String,
    pub(super) detectors: Vec<Entry>,
}

/// One detector.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a file format, each of its own")]
pub(super) struct Entry {
    /// `[a-z0-9_]+`, unique; shown in findings and placeholders.
    pub(super) id: String,
    /// What it finds, in a few words.
    pub(super) name: String,
    /// What such a value opens, and where it comes from.
    pub(super) description: String,
    /// The value begins with one of these (case matters). Either these or `keywords`.
    #[serde(default)]
    pub(super) prefixes: Vec<String>,
    /// One of these stands before the value (case does not matter); the pattern begins behind it.
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    /// `keywords` are names of services; what is found are generated values behind one of them or behind a word for a
    /// credential, by the weight of both. `pattern` is left out.
    #[serde(default)]
    pub(super) evidence: bool,
    /// The value begins where a word does and has a digit or `@`; `pattern` is anchored there, bounded, and says itself
    /// where it ends. One of `keywords`, if there are any, must stand within 64 bytes left of it.
    #[serde(default)]
    pub(super) word: bool,
    /// With `word`: no keyword is needed where the value is the whole text.
    #[serde(default)]
    pub(super) alone: bool,
    /// Regular expression, anchored where the prefix begins or where the keyword ends. The group `secret`, if there
    /// is one, is what is masked; else the whole match. `{{assign}}` and `{{near}}` stand for the usual glue between a
    /// keyword and its value.
    #[serde(default)]
    pub(super) pattern: String,
    /// Must match the text that ends where the match begins (at most 64 bytes of it).
    pub(super) behind: Option<String>,
    /// What may stand left of a prefix.
    #[serde(default)]
    pub(super) left: Left,
    /// The secret is masked from the first match on and may be of any length; the checks see that first match.
    #[serde(default)]
    pub(super) grow: bool,
    /// What happens to a candidate that stays undecided for `max_bytes`.
    #[serde(default)]
    pub(super) at_limit: AtLimit,
    /// Bytes of the run behind a match that belong to it, as a class: `[A-Za-z0-9_-]`.
    pub(super) tail: Option<String>,
    /// All must hold.
    #[serde(default)]
    pub(super) checks: Vec<CheckEntry>,
    /// Documented example values that are no secrets.
    #[serde(default)]
    pub(super) allow: Vec<String>,
    pub(super) confidence: Confidence,
    /// The longest text from the beginning of the candidate to its decision.
    pub(super) max_bytes: usize,
    /// Texts with the secret between « and »; at least one.
    pub(super) examples: Vec<Text>,
    /// Texts in which it finds nothing.
    #[serde(default)]
    pub(super) counterexamples: Vec<Text>,
}

/// What may stand left of a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Left {
    /// No letter or digit, unless it belongs to an escape (`\n`, `%3D`, `\u003d`).
    #[default]
    Edge,
    /// Anything.
    Any,
}

/// What happens to a candidate of a prefix that stays undecided for `max_bytes`. One of a keyword is let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AtLimit {
    /// It is masked to the end of its run.
    #[default]
    Mask,
    /// It is let go: the prefix alone says little.
    Pass,
}

/// A check as it is written.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CheckEntry {
    /// At least so many bits of Shannon entropy per character.
    Entropy(f32),
    /// At least so many digits.
    Digits(usize),
    /// At least one digit and one letter.
    Mixed,
    /// Looks generated: not words, not a path, not an identifier.
    Random,
    /// Looks like a password a person chose, or a generated one: not a word, type, call or reference.
    Password,
    /// Looks like a password where a word is as likely: letters, digits or symbols mixed.
    Typed,
    /// Not the user's part of a URL: `https://me@host`.
    Outside,
    /// Not what documentation writes in its place.
    NotTrivial,
    /// Anything but a reference, where nothing but a password can stand.
    TypedInPlace,
    /// Letters and several kinds of symbols, and no code.
    Symbols,
    /// Check digits and structure of an identifier.
    Identity(Identity),
    /// What opens with a quotation mark closes with one.
    Closed,
    /// Does not begin as a key of a known format does, a whole one is found by its own detector, nor as an identifier.
    Unlike,
    /// The name it is assigned to is one of a credential, not of its id, length, path, ….
    Assigned,
    /// Begins with a base64url JSON object that has `alg`.
    JwtHeader,
    /// base64 that decodes to `user:password`.
    BasicPair,
}

/// A text, whole or in parts.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Whole(String),
    Parts(Vec<String>),
}

impl Text {
    pub(super) fn joined(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Parts(parts) => parts.concat(),
        }
    }
}
