//! The keys that an issuer publishes, and the one signature check.
//!
//! Promise: a key is used only for what it was published for. Never used (catalogue 7): symmetric and private keys; RSA
//! under 2048 or over 8192 bits; curves other than P-256, P-384 and Ed25519; `use` other than `sig`; `key_ops` without
//! `verify`; an `alg` that does not fit; every key whose `kid` stands in the document more than once. One key that
//! cannot be read does not spoil the others; a document without a usable key is an error. *Fails closed.*

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_core::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::error::IdentifyError;
use super::settings::Algorithm;

/// The most keys in one document.
pub(super) const KEYS_MAX: usize = 100;
/// The longest key id, in bytes.
pub(super) const KID_BYTES_MAX: usize = 256;

const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;
/// Longer exponents only cost time.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// Identifies a key's id, material and algorithms.
pub(super) type Thumbprint = [u8; 32];

/// One usable key: an entry for each algorithm that it may verify.
pub(super) struct VerifyingKey {
    kid: Option<String>,
    thumbprint: Thumbprint,
    uses: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerifyingKey {
    pub(super) const fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.uses.iter().any(|(candidate, _)| *candidate == algorithm)
    }

    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), IdentifyError> {
        let (_, key) = self
            .uses
            .iter()
            .find(|(candidate, _)| *candidate == algorithm)
            .ok_or(IdentifyError::AlgorithmRefused)?;
        key.verify_sig(message, signature).map_err(|_| IdentifyError::SignatureBad)
    }
}

/// The usable keys of one document.
pub(super) struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    /// When the fetch that brought them began.
    pub(super) fetched_at: Timestamp,
}

/// A key document that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeySetError {
    #[error("the key document is not a JSON object with keys")]
    Malformed,
    #[error("the key document holds more than {KEYS_MAX} keys")]
    TooMany,
    #[error("the key document holds no key that may be used for signatures")]
    NoUsableKey,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// What is looked at of a JWK. A member given twice is refused by serde.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct KidOnly {
    kid: Option<String>,
}

impl KeySet {
    /// Reads a JWKS document.
    pub(super) fn parse(document: &[u8], fetched_at: Timestamp) -> Result<Self, KeySetError> {
        let document: Document<'_> = serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        // Ids are counted over all keys, those that are not usable too: an encryption key with the same id makes the
        // signing key ambiguous.
        let kids: Vec<Option<String>> = document
            .keys
            .iter()
            .map(|raw| serde_json::from_str::<KidOnly>(raw.get()).ok().and_then(|key| key.kid))
            .collect();
        let stands_once = |kid: &String| kids.iter().flatten().filter(|other| *other == kid).count() == 1;
        let keys: Vec<_> = document
            .keys
            .iter()
            .filter_map(|raw| serde_json::from_str::<Jwk>(raw.get()).ok())
            .filter(|jwk| jwk.kid.as_ref().is_none_or(stands_once))
            .filter_map(|jwk| usable(&jwk))
            .map(Arc::new)
            .collect();
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self { keys, fetched_at }) }
    }

    /// The key that a token's header names. Without a `kid`, the only key that fits the algorithm.
    pub(super) fn select(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&Arc<VerifyingKey>, IdentifyError> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
            let only = fitting.next().ok_or(IdentifyError::KeyUnknown)?;
            return if fitting.next().is_none() {
                Ok(only)
            } else {
                Err(IdentifyError::HeaderRefused("kid"))
            };
        };
        let key =
            self.keys.iter().find(|key| key.kid.as_deref() == Some(kid)).ok_or(IdentifyError::KeyUnknown)?;
        if key.fits(algorithm) { Ok(key) } else { Err(IdentifyError::AlgorithmRefused) }
    }

    /// Whether the very same key is still published.
    pub(super) fn holds(&self, thumbprint: &Thumbprint) -> bool {
        self.keys.iter().any(|key| key.thumbprint == *thumbprint)
    }

    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }
}

fn usable(jwk: &Jwk) -> Option<VerifyingKey> {
    let for_signatures = jwk.r#use.as_deref().is_none_or(|purpose| purpose == "sig")
        && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    let public = jwk.d.is_none() && jwk.k.is_none();
    let named = jwk.kid.as_ref().is_none_or(|kid| !kid.is_empty() && kid.len() <= KID_BYTES_MAX);
    if !(for_signatures && public && named) {
        return None;
    }
    let mut uses = match jwk.kty.as_str() {
        "RSA" => rsa(jwk)?,
        "EC" => elliptic(jwk)?,
        "OKP" if jwk.crv.as_deref() == Some("Ed25519") => {
            let point = decode(jwk.x.as_ref(), 32)?;
            vec![(Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, point).ok()?)]
        }
        _ => return None,
    };
    if let Some(alg) = &jwk.alg {
        uses.retain(|(algorithm, _)| algorithm.as_str() == alg);
    }
    let thumbprint = thumbprint(jwk.kid.as_deref(), &uses)?;
    Some(VerifyingKey { kid: jwk.kid.clone(), thumbprint, uses })
}

fn rsa(jwk: &Jwk) -> Option<Vec<(Algorithm, ParsedPublicKey)>> {
    let (n, e) = (unsigned(jwk.n.as_ref())?, unsigned(jwk.e.as_ref())?);
    let top = usize::try_from(n.first()?.leading_zeros()).ok()?;
    let bits = n.len() * 8 - top;
    let odd_and_more_than_one = e.last()? & 1 == 1 && e.as_slice() != [1];
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
        || e.len() > RSA_EXPONENT_BYTES_MAX
        || !odd_and_more_than_one
    {
        return None;
    }
    let components = PublicKeyComponents { n, e };
    let schemes: [(Algorithm, &'static RsaParameters); 6] = [
        (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
        (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
        (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
    ];
    schemes
        .into_iter()
        .map(|(algorithm, scheme)| Some((algorithm, components.to_parsed_public_key(scheme).ok()?)))
        .collect()
}

fn elliptic(jwk: &Jwk) -> Option<Vec<(Algorithm, ParsedPublicKey)>> {
    let (algorithm, scheme, bytes): (_, &'static dyn VerificationAlgorithm, _) = match jwk.crv.as_deref()? {
        "P-256" => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
        "P-384" => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return None,
    };
    let point = [vec![4], decode(jwk.x.as_ref(), bytes)?, decode(jwk.y.as_ref(), bytes)?].concat();
    Some(vec![(algorithm, ParsedPublicKey::new(scheme, point).ok()?)])
}

/// `None` when there is nothing that the key may verify.
fn thumbprint(kid: Option<&str>, uses: &[(Algorithm, ParsedPublicKey)]) -> Option<Thumbprint> {
    let (_, key) = uses.first()?;
    let kid = kid.unwrap_or_default();
    let mut context = Context::new(&SHA256);
    context.update(&(kid.len() as u64).to_be_bytes());
    context.update(kid.as_bytes());
    context.update(&(key.as_ref().len() as u64).to_be_bytes());
    context.update(key.as_ref());
    for (algorithm, _) in uses {
        context.update(algorithm.as_str().as_bytes());
    }
    context.finish().as_ref().try_into().ok()
}

fn decode(text: Option<&String>, bytes: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok().filter(|decoded| decoded.len() == bytes)
}

/// A big-endian number without the leading zeros that some issuers send.
fn unsigned(text: Option<&String>) -> Option<Vec<u8>> {
    let decoded = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let zeros = decoded.iter().take_while(|byte| **byte == 0).count();
    decoded.get(zeros..).filter(|rest| !rest.is_empty()).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    fn point() -> (String, String) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    }

    fn ec(kid: &str) -> Value {
        let (x, y) = point();
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y})
    }

    /// An odd number of exactly so many bits; whether it is a product of two primes nobody can tell.
    fn rsa(bits: usize, e: &[u8]) -> Value {
        let mut n = vec![0xa5; bits.div_ceil(8)];
        n[0] = 1 << ((bits - 1) % 8);
        json!({"kty": "RSA", "kid": "r", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e)})
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), Timestamp::default())
    }

    fn is_used(key: &Value) -> bool {
        parse(std::slice::from_ref(key)).is_ok()
    }

    #[test]
    fn catalogue_7_weak_and_foreign_keys_are_never_used() {
        const F4: [u8; 3] = [1, 0, 1];
        for (bits, used) in
            [(1_024, false), (2_047, false), (2_048, true), (4_096, true), (8_192, true), (8_193, false)]
        {
            assert_eq!(is_used(&rsa(bits, &F4)), used, "RSA of {bits} bits");
        }
        for (e, used) in
            [(&[3][..], true), (&[1], false), (&[0], false), (&[], false), (&[2], false), (&[1, 0, 0], false)]
        {
            assert_eq!(is_used(&rsa(2_048, e)), used, "RSA with exponent {e:?}");
        }
        assert!(!is_used(&rsa(2_048, &[1, 0, 0, 0, 1])), "RSA with a long exponent");
        let good = ec("k");
        assert!(is_used(&good));
        for (member, value) in [
            ("crv", json!("P-384")),
            ("crv", json!("P-521")),
            ("crv", json!("secp256k1")),
            ("crv", json!(null)),
            ("x", good["y"].clone()), // not on the curve
            ("y", json!("AAAA")),
            ("x", json!(format!("{}=", good["x"].as_str().unwrap()))),
            ("alg", json!("ES384")),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("use", json!("enc")),
            ("use", json!("SIG")),
            ("use", json!(7)),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!([])),
            ("key_ops", json!("verify")),
            ("d", json!("AAAA")),
            ("k", json!("AAAA")),
            ("kid", json!("")),
            ("kid", json!("k".repeat(257))),
            ("kid", json!(7)),
            ("kty", json!("OKP")),
            ("kty", json!("ec")),
        ] {
            let mut key = good.clone();
            key[member] = value;
            assert!(!is_used(&key), "{key}");
        }
        for (member, value) in
            [("use", json!("sig")), ("key_ops", json!(["verify"])), ("kid", json!("k".repeat(256)))]
        {
            let mut key = good.clone();
            key[member] = value;
            assert!(is_used(&key), "{key}");
        }
        let x = &good["x"];
        for key in [
            json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}),
            json!({"kty": "oct", "kid": "k", "alg": "HS256", "n": "AA", "e": "AQAB"}),
            json!({"kty": "OKP", "crv": "X25519", "kid": "k", "x": x}),
            json!({"kty": "OKP", "crv": "Ed448", "kid": "k", "x": x}),
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AAAA"}),
            json!({}),
            json!(null),
        ] {
            assert!(!is_used(&key), "{key}");
        }
    }

    #[test]
    fn a_key_id_that_stands_twice_names_no_key() {
        let (mut enc, mut broken) = (ec("k"), ec("k"));
        enc["use"] = json!("enc");
        broken["x"] = json!(7);
        for other in [ec("k"), rsa(2_048, &[3]), enc, broken] {
            let mut other = other;
            other["kid"] = json!("k");
            let set = parse(&[ec("k"), other.clone(), ec("other")]).unwrap();
            assert_eq!(set.len(), 1, "{other}");
            assert_eq!(set.select(Some("k"), Algorithm::Es256).err(), Some(IdentifyError::KeyUnknown));
            assert!(set.select(Some("other"), Algorithm::Es256).is_ok());
        }
    }

    #[test]
    fn a_key_fits_its_algorithms_only() {
        let mut narrowed = rsa(2_048, &[3]);
        narrowed["alg"] = json!("PS256");
        let set = parse(&[narrowed, ec("e")]).unwrap();
        for algorithm in Algorithm::ALL {
            assert_eq!(set.select(Some("r"), algorithm).is_ok(), algorithm == Algorithm::Ps256);
            assert_eq!(set.select(Some("e"), algorithm).is_ok(), algorithm == Algorithm::Es256);
        }
    }

    #[test]
    fn documents_have_bounds() {
        let keys: Vec<_> = (0..=KEYS_MAX).map(|n| ec(&n.to_string())).collect();
        assert_eq!(parse(&keys[1..]).map(|set| set.len()), Ok(KEYS_MAX));
        assert_eq!(parse(&keys).err(), Some(KeySetError::TooMany));
        assert_eq!(parse(&[]).err(), Some(KeySetError::NoUsableKey));
        for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", "<html>"] {
            assert_eq!(
                KeySet::parse(text.as_bytes(), Timestamp::default()).err(),
                Some(KeySetError::Malformed),
                "{text}"
            );
        }
        let key = ec("k").to_string();
        let twice = format!("{{\"keys\":[{{\"kid\":\"other\",{}]}}", &key[1..]);
        assert_eq!(
            KeySet::parse(twice.as_bytes(), Timestamp::default()).err(),
            Some(KeySetError::NoUsableKey),
            "a member given twice"
        );
    }

    #[test]
    fn a_changed_key_has_another_thumbprint() {
        let key = ec("k");
        let (mut renamed, mut narrowed) = (key.clone(), rsa(2_048, &[3]));
        renamed["kid"] = json!("l");
        let wide = parse(&[narrowed.clone()]).unwrap();
        narrowed["alg"] = json!("RS256");
        let print = |set: &KeySet| *set.keys[0].thumbprint();
        let set = parse(std::slice::from_ref(&key)).unwrap();
        assert!(parse(&[key]).unwrap().holds(&print(&set)));
        assert!(!parse(&[renamed]).unwrap().holds(&print(&set)));
        assert!(!parse(&[ec("k")]).unwrap().holds(&print(&set)));
        assert!(!parse(&[narrowed]).unwrap().holds(&print(&wide)));
    }
}
