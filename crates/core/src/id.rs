//! Identifiers: a short prefix that says what it names, then 32 hex digits (a UUID version 7 made by the caller).

use std::fmt;
use std::str::FromStr;

/// A text that is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an identifier of the form {prefix}_ and 32 hex digits")]
pub struct ParseIdError {
    prefix: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);
        impl $name {
            /// Makes the identifier from a UUID's 128 bits; the caller owns clock and randomness.
            pub const fn new(bits: u128) -> Self { Self(bits) }
            /// The 128 bits behind the text.
            pub const fn bits(self) -> u128 { self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "_{:032x}"), self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> { parse($prefix, text).map(Self) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One exchange: a request and its response (`req_…`).
    RequestId, "req");
id!(
    /// The exchanges of one principal that belong together (`ses_…`).
    SessionId, "ses");
id!(
    /// A decision for one exact exchange (`apr_…`).
    ApprovalId, "apr");
id!(
    /// What keeps a person, a group or a connection out until it is lifted (`lck_…`).
    LockId, "lck");
id!(
    /// A short-lived token that the gateway issued; names it without being it (`tok_…`).
    ClientTokenId, "tok");
id!(
    /// A window in which calls of a kind need no approval of their own (`grt_…`).
    GrantId, "grt");
id!(
    /// Something that is told to people outside (`ntf_…`).
    NotificationId, "ntf");

fn parse(prefix: &'static str, text: &str) -> Result<u128, ParseIdError> {
    let refuse = || ParseIdError { prefix, text: text.chars().take(80).collect() };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(refuse)?;
    let lower_hex = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !lower_hex {
        return Err(refuse());
    }
    u128::from_str_radix(digits, 16).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = RequestId::new(0x0190_0000_0000_7000_8000_0000_0000_00ff);
        assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
    }

    #[test]
    fn only_the_canonical_text_is_taken() {
        let good = SessionId::new(7).to_string();
        for bad in [
            good.to_uppercase(),
            good.replace("ses", "req"),
            format!("{good}0"),
            format!("{good} "),
            "ses_+1".into(),
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }
}
