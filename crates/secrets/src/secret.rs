//! The one type that holds a credential in clear.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// Longest value in bytes. No credential that travels in a header comes near it.
pub const SECRET_BYTES_MAX: usize = 64 * 1024 - 1;

/// A credential in clear. Wiped when dropped.
///
/// It cannot be printed:
/// ```compile_fail,E0277
/// fn print(secret: &keyward_secrets::Secret) { println!("{secret}"); }
/// ```
/// ```compile_fail,E0277
/// fn debug(secret: &keyward_secrets::Secret) -> String { format!("{secret:?}") }
/// ```
/// nor as part of something else:
/// ```compile_fail,E0277
/// #[derive(Debug)]
/// struct Holder { secret: keyward_secrets::Secret }
/// ```
/// nor serialized, copied out by cloning, compared by an early exit, or made to text:
/// ```compile_fail,E0277
/// fn json(secret: &keyward_secrets::Secret) -> String { serde_json::to_string(secret).unwrap() }
/// ```
/// ```compile_fail,E0308
/// fn copy(secret: &keyward_secrets::Secret) -> keyward_secrets::Secret { secret.clone() }
/// ```
/// ```compile_fail,E0369
/// fn same(a: &keyward_secrets::Secret, b: &keyward_secrets::Secret) -> bool { a == b }
/// ```
/// ```compile_fail,E0599
/// fn text(secret: &keyward_secrets::Secret) -> String { secret.to_string() }
/// ```
/// [`Secret::expose`] is the only way in, and easy to find:
/// ```
/// fn wire(secret: &keyward_secrets::Secret) -> &[u8] { secret.expose() }
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

/// What makes a value unusable as a credential. Says nothing about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing there, or only a line break.
    #[error("it is empty")]
    Empty,
    /// Longer than [`SECRET_BYTES_MAX`].
    #[error("it is 64 KB or longer")]
    TooLong,
    /// A line break that is not the last character.
    #[error("it contains a line break")]
    LineBreak,
    /// A control character or NUL.
    #[error("it contains a control character")]
    Control,
    /// A byte above 0x7e.
    #[error("it contains a character that is not ASCII")]
    NotAscii,
    /// A blank at its beginning or end, which HTTP would drop.
    #[error("it begins or ends with a blank")]
    EdgeBlank,
}

impl Secret {
    /// Takes a value as a store gave it: one line break at its end is dropped (editors and `echo` add it), and what is
    /// not printable ASCII within [`SECRET_BYTES_MAX`] is refused.
    pub fn new(mut value: Zeroizing<Vec<u8>>) -> Result<Self, Flaw> {
        let kept = match value.as_slice() {
            [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
            all => all.len(),
        };
        // What is cut off stays within the allocation, and is wiped with it.
        value.truncate(kept);
        let flaw = match value.as_slice() {
            [] => Some(Flaw::Empty),
            long if long.len() > SECRET_BYTES_MAX => Some(Flaw::TooLong),
            [b' ', ..] | [.., b' '] => Some(Flaw::EdgeBlank),
            bytes => bytes.iter().find_map(|byte| match byte {
                b'\r' | b'\n' => Some(Flaw::LineBreak),
                0..0x20 | 0x7f => Some(Flaw::Control),
                0x80.. => Some(Flaw::NotAscii),
                0x20..0x7f => None,
            }),
        };
        flaw.map_or(Ok(Self(value)), Err)
    }

    /// The value. Everybody who calls this owns where it goes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both hold the same value, in time that depends on their lengths alone.
    pub fn same_as(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(value: &[u8]) -> Result<Vec<u8>, Flaw> {
        Secret::new(Zeroizing::new(value.to_vec())).map(|secret| secret.expose().to_vec())
    }

    // Catalogue 145.
    #[test]
    fn only_a_clean_value_is_taken() {
        assert_eq!(taken(b"plain-value_1 ~").as_deref(), Ok(b"plain-value_1 ~".as_slice()));
        assert_eq!(taken(b"line\n").as_deref(), Ok(b"line".as_slice()));
        assert_eq!(taken(b"line\r\n").as_deref(), Ok(b"line".as_slice()));
        for (value, flaw) in [
            (b"".as_slice(), Flaw::Empty),
            (b"\n", Flaw::Empty),
            (b"\r\n", Flaw::Empty),
            (b"two\nlines", Flaw::LineBreak),
            (b"two\r\nlines\n", Flaw::LineBreak),
            (b"two ends\n\n", Flaw::LineBreak),
            (b"bare return\r", Flaw::LineBreak),
            (b"nul\0", Flaw::Control),
            (b"tab\there", Flaw::Control),
            (b"escape\x1b[0m", Flaw::Control),
            (b"delete\x7f", Flaw::Control),
            ("gr\u{fc}n".as_bytes(), Flaw::NotAscii),
            (b"\xff\xfe", Flaw::NotAscii),
            (b" leading", Flaw::EdgeBlank),
            (b"trailing ", Flaw::EdgeBlank),
            (b"trailing \n", Flaw::EdgeBlank),
        ] {
            assert_eq!(taken(value), Err(flaw), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn length_is_bounded() {
        assert!(taken(&vec![b'a'; SECRET_BYTES_MAX]).is_ok());
        assert_eq!(taken(&vec![b'a'; SECRET_BYTES_MAX + 1]), Err(Flaw::TooLong));
        let mut with_end = vec![b'a'; SECRET_BYTES_MAX];
        with_end.push(b'\n');
        assert!(taken(&with_end).is_ok());
    }

    #[test]
    fn compared_by_value() {
        let make = |value: &[u8]| Secret::new(Zeroizing::new(value.to_vec())).unwrap();
        assert!(make(b"same").same_as(&make(b"same\n")));
        assert!(!make(b"same").same_as(&make(b"sama")));
        assert!(!make(b"same").same_as(&make(b"same-longer")));
    }
}
