//! Known values: the secrets that were leased for a connection.

use std::sync::Arc;

mod forms;
mod matcher;
mod spelled;

use zeroize::Zeroizing;

use crate::detector::{Shape, looks_like_words};

pub(crate) use matcher::{KnownHit, KnownMatcher};
#[cfg(test)]
pub(crate) use spelled::SPAN_BYTES_MAX;
pub(crate) use spelled::{Spelled, may_be_spelled, may_begin_unit};

/// Why a value cannot be masked by exact match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownValueError {
    /// Shorter than the minimum: it would shred ordinary text.
    #[error("the value is shorter than {KNOWN_BYTES_MIN} bytes")]
    TooShort,
    /// Longer than the maximum.
    #[error("the value is longer than {KNOWN_BYTES_MAX} bytes")]
    TooLong,
    /// A repeated character, a counting sequence or an everyday word: it would shred ordinary text.
    #[error("the value is too simple to be told from ordinary text")]
    TooSimple,
}

/// The shortest value that is accepted, in bytes.
pub const KNOWN_BYTES_MIN: usize = 8;
/// The longest value that is accepted, in bytes.
pub const KNOWN_BYTES_MAX: usize = 64 * 1024;

/// A secret to be masked wherever it appears. Zeroized on drop; has no `Debug` that shows it.
#[derive(Clone)]
pub struct KnownValue {
    pub(crate) label: Arc<str>,
    pub(crate) value: Arc<Zeroizing<Vec<u8>>>,
}

/// Several known values.
pub type KnownSet = Vec<KnownValue>;

impl KnownValue {
    /// Takes a value under the name that findings and placeholders show.
    ///
    /// # Errors
    /// When the value is too short, too long or too simple to be masked without shredding ordinary text.
    pub fn new(label: &str, value: &[u8]) -> Result<Self, KnownValueError> {
        if value.len() < KNOWN_BYTES_MIN {
            return Err(KnownValueError::TooShort);
        }
        if value.len() > KNOWN_BYTES_MAX {
            return Err(KnownValueError::TooLong);
        }
        if is_simple(value) {
            return Err(KnownValueError::TooSimple);
        }
        Ok(Self { label: Arc::from(label), value: Arc::new(Zeroizing::new(value.to_vec())) })
    }

    /// The name under which findings and placeholders show it.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl std::fmt::Debug for KnownValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownValue({}, ***)", self.label)
    }
}

/// Values that are so common that masking them would shred text.
const COMMON: &[&str] = &[
    "password1",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "admin123",
    "letmein1",
    "changeme1",
    "qwerty123",
    "welcome1",
    "abc12345",
    "a1b2c3d4",
    "test1234",
    "default1",
    "localhost",
    "127.0.0.1",
    "0.0.0.0:8080",
    "application/json",
];

/// Whether a value cannot be told from ordinary text: words, dates, counters, repetitions.
fn is_simple(value: &[u8]) -> bool {
    let shape = Shape::of(value);
    let counting = value.windows(2).all(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a) <= 1));
    let number = shape.digits == shape.len && shape.len < 12;
    shape.entropy < 2.0
        || counting
        || number
        || looks_like_words(value)
        || COMMON.iter().any(|common| value.eq_ignore_ascii_case(common.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_shred_text() {
        use KnownValueError::{TooLong, TooShort, TooSimple};
        let refused = |value: &[u8]| KnownValue::new("l", value).err();
        assert_eq!(refused(b"a8Kd0qZ"), Some(TooShort));
        assert_eq!(refused(b"a8Kd0qZ1"), None);
        assert_eq!(refused(&b"a8Kd0qZ1".repeat(KNOWN_BYTES_MAX / 8)), None);
        assert_eq!(refused(&[&b"x"[..], &b"a8Kd0qZ1".repeat(KNOWN_BYTES_MAX / 8)].concat()), Some(TooLong));
        for simple in ["aaaaaaaa", "abababab", "12345678", "abcdefgh", "password", "Production", "20240131"] {
            assert_eq!(refused(simple.as_bytes()), Some(TooSimple), "{simple}");
        }
    }

    #[test]
    fn debug_does_not_show_the_value() {
        let value = KnownValue::new("openai", b"s3cr3t-v4lue-0").unwrap();
        assert_eq!(format!("{value:?}"), "KnownValue(openai, ***)");
    }
}
