//! Who calls: from one credential in a request's headers to a verified [`Principal`].
//!
//! Promise: a principal comes out only of a token that a configured issuer signed, with a key that it publishes now and an
//! algorithm that fits that key and is allowed, for an audience of ours, within its time; what does not say so
//! exactly is refused with a closed reason. Keys are never taken from the token or from an address in it. *Fails closed*
//! in everything; what happens when an issuer does not answer stands in [`IssuerSettings::keys_age_max`].
//!
//! Nothing reveals which part of an unproved token was wrong: signature, key and algorithm share one public answer, and
//! claims are only spoken about once the signature has held. What is cached is a SHA-256 of the token and the outcome.
//!
//! Exceptions: an ID token without any mark of one passes under [`TokenTypes::AccessOrPlain`] when its audience is ours
//! (*fails open*; [`TokenTypes::AccessOnly`] closes it). A token revoked at its issuer holds until it expires; locks on
//! principals are another room's.
//!
//! In suggested reading order:

mod credential;
mod error;
mod settings;

mod claims;
mod issuer;
mod jwks;
mod sign_in;
mod token;

mod cache;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use keyward_core::{Principal, Timestamp};
use keyward_store::ClientToken;

use self::cache::Cache;
use self::issuer::Issuer;
use self::jwks::{KeySet, Thumbprint, VerifyingKey};
use self::settings::ISSUERS_MAX;
use self::token::Token;
use crate::fetch::FetchClient;

pub(crate) use credential::looks_like_token;
pub use credential::{CREDENTIAL_HEADERS, CredentialSource, Presented, presented_credential};
pub use error::IdentifyError;
pub use issuer::IssuerHealth;
pub use settings::{Algorithm, CLOCK_SKEW_MAX, IssuerSettings, KindRule, SettingsError, TokenTypes};
pub use sign_in::{Attempt, Person, SignInClient, SignInError};

/// The longest token, in bytes; longer ones are refused before anything is decoded.
pub const TOKEN_BYTES_MAX: usize = 16 * 1_024;
/// What every client token begins with. None is ever verified as an issuer's: [`crate::tokens`] knows them.
pub const CLIENT_TOKEN_PREFIX: &str = "kw_";
/// The most verified tokens remembered.
pub const VERIFIED_ENTRIES_MAX: usize = 10_240;
/// The most refused tokens remembered. Apart from the verified ones, so that bad tokens cannot push those out.
pub const REFUSED_ENTRIES_MAX: usize = 2_048;

/// SHA-256 of a token: names it without holding it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token.
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    /// From a hash that was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash, to be kept.
    pub const fn bytes(&self) -> [u8; 32] {
        self.0
    }

    const fn first_byte(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who.
    pub principal: Arc<Principal>,
    /// From when on the token is refused: its `exp` plus the issuer's clock skew.
    pub expires_at: Timestamp,
    /// When it was issued (`iat`), where it says so.
    pub issued_at: Option<Timestamp>,
    /// The client that it was issued to (`azp`, else `client_id`).
    pub client: Option<Arc<str>>,
    /// Which token.
    pub token_hash: TokenHash,
    /// The client token that stands for the owner's own; none for a token of an issuer.
    pub client_token: Option<Arc<ClientToken>>,
}

/// Verifies tokens of the configured issuers. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    issuers: Vec<Arc<Issuer>>,
    verified: Cache<Known<Arc<Verified>>>,
    refused: Cache<Known<IdentifyError>>,
}

/// An outcome, and the key it depends on: it holds as long as the issuer publishes that very key.
#[derive(Clone)]
struct Known<T> {
    outcome: T,
    issuer: Arc<Issuer>,
    key: Thumbprint,
}

impl<T> Known<T> {
    fn new(outcome: T, issuer: &Arc<Issuer>, key: &VerifyingKey) -> Self {
        Self { outcome, issuer: Arc::clone(issuer), key: *key.thumbprint() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.issuers.iter().map(|issuer| &issuer.settings.name)).finish()
    }
}

impl Identity {
    /// Takes the issuers' settings; fetches nothing yet (see [`Identity::warm`]).
    pub fn new(issuers: Vec<IssuerSettings>, http: FetchClient) -> Result<Self, SettingsError> {
        if !(1..=ISSUERS_MAX).contains(&issuers.len()) {
            return Err(SettingsError::Count(issuers.len()));
        }
        let (mut names, mut urls) = (HashSet::new(), HashSet::new());
        for settings in &issuers {
            settings.validate()?;
            if !names.insert(&settings.name) || !urls.insert(&settings.url) {
                return Err(SettingsError::Twice(settings.name.clone()));
            }
        }
        let start = move |settings| Arc::new(Issuer::new(settings, http.clone()));
        let issuers = issuers.into_iter().map(start).collect();
        Ok(Self(Arc::new(Inner {
            issuers,
            verified: Cache::new(VERIFIED_ENTRIES_MAX),
            refused: Cache::new(REFUSED_ENTRIES_MAX),
        })))
    }

    /// The same for a changed configuration. Issuers that stay keep their keys, so that a reload while an issuer is down
    /// refuses nobody; every token is verified anew under the new settings.
    pub fn reconfigured(
        &self,
        issuers: Vec<IssuerSettings>,
        http: FetchClient,
    ) -> Result<Self, SettingsError> {
        let new = Self::new(issuers, http)?;
        for issuer in &new.0.issuers {
            self.0.issuers.iter().for_each(|old| issuer.take_over(old));
        }
        Ok(new)
    }

    /// Fetches the keys of every issuer, all at once, and says how it stands with each. For the start and for `doctor`: an
    /// issuer that does not answer is no error, its tokens are refused with 503 until it does.
    pub async fn warm(&self, now: Timestamp) -> Vec<IssuerHealth> {
        let all = self.0.issuers.iter().map(async |issuer| {
            // Whether there are keys is in the health.
            drop(issuer.keys(now).await);
            issuer.health()
        });
        futures_util::future::join_all(all).await
    }

    /// How it stands with each issuer's keys; asks nobody.
    pub fn health(&self) -> Vec<IssuerHealth> {
        self.0.issuers.iter().map(|issuer| issuer.health()).collect()
    }

    /// Verifies a token. A token seen before costs one hash and one look-up; it is refused all the same when it has
    /// expired, when its key is published no more, or when the keys at hand are too old.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, IdentifyError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IdentifyError::TokenTooLong);
        }
        if token.starts_with(CLIENT_TOKEN_PREFIX) {
            return Err(IdentifyError::ClientToken);
        }
        let hash = TokenHash::of(token);
        if let Some(known) = self.0.verified.get(&hash) {
            let keys = known.issuer.keys(now).await?;
            if keys.holds(&known.key) {
                let live = now < known.outcome.expires_at;
                return if live { Ok(known.outcome) } else { Err(IdentifyError::Expired) };
            }
            self.0.verified.remove(&hash);
        } else if let Some(known) = self.0.refused.get(&hash) {
            if known.issuer.keys(now).await?.holds(&known.key) {
                return Err(known.outcome);
            }
            self.0.refused.remove(&hash);
        }
        self.verify_anew(token, hash, now).await
    }

    /// Forgets what was found out about one token: it is verified anew when it comes again. To refuse it from now on is
    /// the caller's business.
    pub fn forget(&self, hash: &TokenHash) {
        self.0.verified.remove(hash);
        self.0.refused.remove(hash);
    }

    /// Forgets what was found out about every token.
    pub fn clear(&self) {
        self.0.verified.clear();
        self.0.refused.clear();
    }

    /// Whether this issuer is configured: whom it vouched for counts no longer than that.
    pub fn trusts(&self, url: &str) -> bool {
        self.issuer(url).is_ok()
    }

    /// The issuer with this url.
    fn issuer(&self, url: &str) -> Result<&Arc<Issuer>, IdentifyError> {
        self.0.issuers.iter().find(|issuer| issuer.settings.url == url).ok_or(IdentifyError::IssuerUnknown)
    }

    async fn verify_anew(
        &self,
        text: &str,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentifyError> {
        let token = Token::parse(text)?;
        let iss = claims::issuer(&token.claims)?;
        let issuer = self.issuer(iss)?;
        if !issuer.settings.takes(token.algorithm) {
            return Err(IdentifyError::AlgorithmRefused);
        }
        let (key, signature) = trusted_key(issuer, &token, now).await?;
        let accepted = signature
            .and_then(|()| claims::accept(&token.claims, token.typ.as_deref(), &issuer.settings, now));
        match accepted {
            Ok(accepted) => {
                let verified = Arc::new(Verified {
                    principal: Arc::new(accepted.principal),
                    expires_at: accepted.expires_at,
                    issued_at: accepted.issued_at,
                    client: accepted.client,
                    token_hash: hash,
                    client_token: None,
                });
                self.0.verified.insert(hash, Known::new(Arc::clone(&verified), issuer, &key));
                Ok(verified)
            }
            Err(error) => {
                // What time may heal is not remembered.
                if !matches!(error, IdentifyError::NotYetValid | IdentifyError::IssuedInFuture) {
                    self.0.refused.insert(hash, Known::new(error, issuer, &key));
                }
                Err(error)
            }
        }
    }
}

/// The key that the token names, and whether its signature holds. When the issuer is not known to publish such a key,
/// it is asked once more, within its limit; for a token without `kid` a signature that does not hold says the same.
async fn trusted_key(
    issuer: &Arc<Issuer>,
    token: &Token<'_>,
    now: Timestamp,
) -> Result<(Arc<VerifyingKey>, Result<(), IdentifyError>), IdentifyError> {
    let attempt = |keys: &KeySet| {
        let key = Arc::clone(keys.select(token.kid.as_deref(), token.algorithm)?);
        let signature = key.verify(token.algorithm, token.signed, &token.signature);
        Ok((key, signature))
    };
    let keys = issuer.keys(now).await?;
    let first = attempt(&keys);
    let may_be_new = match &first {
        Err(IdentifyError::KeyUnknown) => token.kid.as_deref().is_none_or(is_worth_asking),
        Ok((_, Err(_))) => token.kid.is_none(),
        _ => false,
    };
    if !may_be_new {
        return first;
    }
    match issuer.newer_keys(&keys, now).await {
        Some(newer) => attempt(&newer),
        None => first,
    }
}

/// Whether an unknown key id may make us ask the issuer. One that looks like an attack on whatever looks it up
/// (catalogue 4) does not; should an issuer really use it, the next regular fetch brings its key.
fn is_worth_asking(kid: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=:@-".contains(&byte);
    kid.bytes().all(plain) && !kid.contains("..")
}
