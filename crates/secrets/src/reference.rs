//! How configuration names a secret without holding it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a secret in the embedded store, and of an environment variable, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Longest path of a `file://` reference in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretRef {
    /// `keyward://NAME`: in the embedded store.
    Embedded(Arc<str>),
    /// `env://VARIABLE`: in this process's environment.
    Env(Arc<str>),
    /// `file:///absolute/path`: the content of a file.
    File(Arc<Path>),
}

/// Why a text is not a reference. Never shows the text: it may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No scheme, so probably the value itself.
    #[error(
        "a secret is given by reference, never as a value: keep it with `keyward secrets put NAME` and write keyward://NAME here (or env://VARIABLE, or file:///path)"
    )]
    Inline,
    /// A scheme that no store serves.
    #[error("no secret store serves this scheme: use keyward://NAME, env://VARIABLE or file:///path")]
    Scheme,
    /// A bad name after `keyward://`.
    #[error(
        "keyward:// is followed by a secret's name: up to 128 of a-z 0-9 . _ / -, beginning with a letter or digit"
    )]
    Name,
    /// A bad variable after `env://`.
    #[error("env:// is followed by the name of an environment variable: letters, digits and _, up to 128")]
    Variable,
    /// A bad path after `file://`.
    #[error("file:// is followed by an absolute path: file:///run/secrets/openai")]
    Path,
}

/// Whether `name` may name a secret in the embedded store: `[a-z0-9][a-z0-9._/-]{0,127}`.
pub fn is_secret_name(name: &str) -> bool {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.bytes().all(inner)
}

impl FromStr for SecretRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (scheme, rest) = text.split_once("://").ok_or(ReferenceError::Inline)?;
        match scheme {
            "keyward" if is_secret_name(rest) => Ok(Self::Embedded(rest.into())),
            "keyward" => Err(ReferenceError::Name),
            "env" if is_variable(rest) => Ok(Self::Env(rest.into())),
            "env" => Err(ReferenceError::Variable),
            "file" if is_path(rest) => Ok(Self::File(PathBuf::from(rest).into())),
            "file" => Err(ReferenceError::Path),
            other if other.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'+') => {
                Err(ReferenceError::Scheme)
            }
            _ => Err(ReferenceError::Inline),
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.chars().any(char::is_control)
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(f, "keyward://{name}"),
            Self::Env(variable) => write!(f, "env://{variable}"),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl serde::Serialize for SecretRef {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "keyward://openai",
            "keyward://team/a.b_c-d",
            "keyward://0",
            "env://OPENAI_API_KEY",
            "file:///run/secrets/key",
        ] {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
            let json = format!("\"{text}\"");
            let reference: SecretRef = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&reference).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_and_not_repeated() {
        use ReferenceError::{Inline, Name, Path, Scheme, Variable};
        let long = format!("keyward://{}", "a".repeat(NAME_BYTES_MAX + 1));
        for (text, why) in [
            ("", Inline),
            ("sk-not-a-real-key", Inline),
            ("p@ss word://x", Inline),
            ("vault://kv/openai#key", Scheme),
            ("postgres://user:canary@host", Scheme),
            ("KEYWARD://openai", Scheme),
            ("keyward://", Name),
            ("keyward://OpenAI", Name),
            ("keyward://-a", Name),
            ("keyward:///a", Name),
            ("keyward://a b", Name),
            (long.as_str(), Name),
            ("env://", Variable),
            ("env://1A", Variable),
            ("env://A-B", Variable),
            ("env://A=B", Variable),
            ("file://relative", Path),
            ("file://", Path),
            ("file:///a\0b", Path),
        ] {
            assert_eq!(text.parse::<SecretRef>(), Err(why), "{text:?}");
        }
        let error = serde_json::from_str::<SecretRef>("\"sk-canary-value\"").unwrap_err().to_string();
        assert!(!error.contains("canary") && error.contains("keyward secrets put"), "{error}");
        assert!(format!("keyward://{}", "a".repeat(NAME_BYTES_MAX)).parse::<SecretRef>().is_ok());
    }
}
