//! A detector's hit: which detector, where, how sure. Never the value.

use std::sync::Arc;

/// Where in an exchange a finding lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A response body that is not a stream, including error bodies.
    Response,
    /// A stream of events.
    Stream,
    /// A header or trailer.
    Headers,
    /// A body that came with an error status.
    Errors,
    /// What the caller sent.
    Request,
}

/// How sure a detector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Shape alone.
    Low,
    /// Shape and context or randomness.
    Medium,
    /// A check digit, a distinctive prefix, or the exact known value.
    High,
}

/// One hit. Offsets count bytes of the text that was looked at: a body, a header's value, or one logical channel of
/// a stream.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// The detector's id, or `known:NAME` for a known value.
    pub detector: Arc<str>,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// How sure.
    pub confidence: Confidence,
}
