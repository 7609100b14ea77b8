//! An OpenID Connect issuer with a key of its own, made at start.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The audience of every token.
const AUDIENCE: &str = "keyward";
/// How long a token is valid.
const TOKEN_SECONDS: u64 = 12 * 3600;

/// Signs tokens, and says with which key.
pub struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// An issuer at this URL.
    pub fn new(url: String) -> Result<Self, Unspecified> {
        Ok(Self { url, key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)? })
    }

    /// A token for a member of a group.
    pub fn token(&self, subject: &str, group: &str) -> Result<String, Unspecified> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "bench"});
        let claims = json!({
            "iss": self.url, "sub": subject, "aud": AUDIENCE, "client_id": "bench", "groups": [group],
            "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS, "jti": format!("{subject}-1"),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// What it publishes at a path.
    pub fn page(&self, path: &str) -> Option<Value> {
        let url = &self.url;
        match path {
            "/.well-known/openid-configuration" => Some(json!({
                "issuer": url, "jwks_uri": format!("{url}/jwks"), "authorization_endpoint": format!("{url}/none"),
                "response_types_supported": ["token"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            })),
            "/jwks" => {
                // An uncompressed point: 4, then x and y of 32 bytes each (SEC 1, 2.3.3).
                let point = self.key.public_key().as_ref();
                let half = |range| {
                    URL_SAFE_NO_PAD.encode(point.get::<std::ops::Range<usize>>(range).unwrap_or_default())
                };
                Some(json!({"keys": [{
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "bench",
                    "x": half(1..33), "y": half(33..65),
                }]}))
            }
            _ => None,
        }
    }
}
