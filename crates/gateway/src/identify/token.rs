//! Takes a token apart without believing any of it.
//!
//! Promise: at most [`super::TOKEN_BYTES_MAX`] bytes are decoded; base64 and JSON are read strictly (no padding, no name
//! given twice at any depth); nothing in a header is followed, opened or fetched. A header that brings its own key
//! (catalogue 3), or that changes what the token means (15), is refused, whatever else is in it. *Fails closed.*

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::TOKEN_BYTES_MAX;
use super::error::IdentifyError;
use super::jwks::KID_BYTES_MAX;
use super::settings::Algorithm;

/// Header parameters that no token of ours has a use for.
const REFUSED_PARAMETERS: [&str; 9] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"];

/// A token in parts; only its form was checked.
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    pub(super) claims: Map<String, Value>,
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, IdentifyError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(IdentifyError::TokenTooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(IdentifyError::NotAJwt)?;
        let (header, payload) = signed.split_once('.').ok_or(IdentifyError::NotAJwt)?;
        // A fourth dot would be in the payload, where base64 refuses it: a JWE has five parts.
        let mut header = object(header)?;
        if let Some(name) = REFUSED_PARAMETERS.iter().find(|name| header.contains_key(**name)) {
            return Err(IdentifyError::HeaderRefused(name));
        }
        let algorithm = match header.remove("alg") {
            Some(Value::String(name)) => name.parse().map_err(|_| IdentifyError::AlgorithmRefused)?,
            _ => return Err(IdentifyError::AlgorithmRefused),
        };
        let kid = optional_text(&mut header, "kid")?;
        let printable = |kid: &String| {
            (1..=KID_BYTES_MAX).contains(&kid.len()) && kid.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        if !kid.as_ref().is_none_or(printable) {
            return Err(IdentifyError::HeaderRefused("kid"));
        }
        let typ = optional_text(&mut header, "typ")?;
        let claims = object(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| IdentifyError::NotAJwt)?;
        Ok(Self { algorithm, kid, typ, claims, signed: signed.as_bytes(), signature })
    }
}

fn optional_text(
    header: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, IdentifyError> {
    match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(IdentifyError::HeaderRefused(name)),
    }
}

fn object(part: &str) -> Result<Map<String, Value>, IdentifyError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| IdentifyError::NotAJwt)?;
    match serde_json::from_slice(&bytes) {
        Ok(Strict(Value::Object(map))) => Ok(map),
        _ => Err(IdentifyError::NotAJwt),
    }
}

/// JSON in which no object names a member twice. `serde_json`'s own value keeps the last one, another reader the first:
/// two readers of one token must never see two things. Depth is bounded by `serde_json` (128).
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a member given twice")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if out.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is given twice"));
            }
        }
        Ok(Value::Object(out))
    }
}
