//! What is said about an issuer in the configuration.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use keyward_core::PrincipalKind;

use crate::fetch::{FetchError, FetchUrl, PlainHttp};

/// The most that clocks may differ.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_mins(5);
/// The most issuers in one configuration.
pub(super) const ISSUERS_MAX: usize = 64;

/// A signature algorithm that may be used: none of the symmetric ones, and never `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// All of them: the default of [`IssuerSettings::algorithms`].
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The name in a token's header and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for Algorithm {
    type Err = SettingsError;
    /// Exactly the registered name: `rs256` is none.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::ALL
            .into_iter()
            .find(|a| a.as_str() == text)
            .ok_or_else(|| SettingsError::Algorithm(shown(text)))
    }
}

/// Which header `typ` an access token may have. Compared without regard to case, as media types are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenTypes {
    /// `at+jwt`, `application/at+jwt`, `JWT`, or no `typ` at all. An ID token without `nonce`, `at_hash` and `c_hash`
    /// cannot be told from an access token then; only the audience keeps it out.
    #[default]
    AccessOrPlain,
    /// `at+jwt` or `application/at+jwt` (RFC 9068): no ID token gets in, whatever its audience.
    AccessOnly,
}

/// What kind of principal an issuer's tokens name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KindRule {
    /// A token with an `act` claim is an agent's; one whose `sub` equals its `client_id` or `azp` (client credentials) a
    /// service's; every other a user's.
    #[default]
    ByClient,
    /// All of this kind: a Kubernetes cluster, a CI system.
    Fixed(PrincipalKind),
    /// The string at this claim path: `user`, `service` or `agent`, exactly. An absent claim falls back to `ByClient`; any
    /// other value refuses the token.
    Claim(String),
}

/// One issuer whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// A short name for logs, metrics and `keyward login`.
    pub name: String,
    /// The issuer's identifier: `iss` must equal it byte for byte, and discovery starts from it.
    pub url: String,
    /// Our names: `aud` must hold one of them. At least one.
    pub audiences: Vec<String>,
    /// Clients whose tokens are taken (`azp`, else `client_id`). When not empty, every token must name one of them. When
    /// empty, only a token for several audiences must name its party, and that must be one of `audiences`.
    pub authorized_parties: Vec<String>,
    /// The algorithms taken; empty means all of [`Algorithm::ALL`].
    pub algorithms: Vec<Algorithm>,
    /// Which header `typ` is taken.
    pub token_types: TokenTypes,
    /// Where the groups are: a claim's name, or else a path with dots (`realm_access.roles`). A claim whose whole name is
    /// the text wins over the path, so that names like `https://example.com/groups` work.
    pub groups_claim: String,
    /// Where a name for people is, by the same rule.
    pub name_claim: String,
    /// What kind of principal the tokens name.
    pub kind: KindRule,
    /// How far clocks may differ: a token is taken while `now < exp + skew`, `now >= nbf - skew`, `now >= iat - skew`.
    /// At most [`CLOCK_SKEW_MAX`].
    pub clock_skew: Duration,
    /// Allows plain HTTP to hosts that are not loopback. For closed networks only: whoever can answer for the issuer
    /// can make keys.
    pub insecure_http: bool,
    /// Pins where the keys are. Discovery is not asked then; without it, the keys must be at the issuer's own origin.
    pub jwks_uri: Option<String>,
    /// How old keys in use may become before they are fetched again in the background. A key that the issuer has
    /// removed is refused at the latest after a quarter more than this (and one fetch) while the issuer can be reached,
    /// so the default of 40 s keeps the bound of 60 s.
    pub keys_refresh: Duration,
    /// How long keys serve while the issuer cannot be reached; after it, its tokens are refused. *Fails closed.*
    pub keys_age_max: Duration,
    /// The shortest time between two fetches that unknown key ids force.
    pub forced_refresh_every: Duration,
}

impl IssuerSettings {
    /// An issuer with the defaults: all algorithms, groups in `groups`, 30 s skew, keys refreshed every 40 s and served up
    /// to 24 h, one forced refresh per 30 s.
    pub fn new(name: impl Into<String>, url: impl Into<String>, audiences: Vec<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            audiences,
            authorized_parties: Vec::new(),
            algorithms: Vec::new(),
            token_types: TokenTypes::default(),
            groups_claim: "groups".into(),
            name_claim: "name".into(),
            kind: KindRule::default(),
            clock_skew: Duration::from_secs(30),
            insecure_http: false,
            jwks_uri: None,
            keys_refresh: Duration::from_secs(40),
            keys_age_max: Duration::from_hours(24),
            forced_refresh_every: Duration::from_secs(30),
        }
    }

    /// Whether this algorithm is taken from this issuer.
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_empty() || self.algorithms.contains(&algorithm)
    }

    /// Where plain HTTP may go.
    pub(super) const fn plain_http(&self) -> PlainHttp {
        if self.insecure_http { PlainHttp::Anywhere } else { PlainHttp::LoopbackOnly }
    }

    /// Checks what does not need the network.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let refuse = |problem| Err(SettingsError::Issuer { name: self.name.clone(), problem });
        let parse = |field, text| {
            FetchUrl::parse(text, self.plain_http()).map_err(|source| SettingsError::Url {
                name: self.name.clone(),
                field,
                source,
            })
        };
        let url = parse("url", &self.url)?;
        if url.has_query() {
            return refuse("url must not have a query");
        }
        if let Some(jwks_uri) = &self.jwks_uri {
            parse("jwks_uri", jwks_uri)?;
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return refuse(
                "audiences must name at least one audience; a token for anybody is a token for an attacker",
            );
        }
        if self.authorized_parties.iter().any(String::is_empty) {
            return refuse("authorized_parties must not hold an empty name");
        }
        if self.groups_claim.is_empty() || self.name_claim.is_empty() {
            return refuse("groups_claim and name_claim must not be empty");
        }
        if matches!(&self.kind, KindRule::Claim(path) if path.is_empty()) {
            return refuse("the kind's claim must not be empty");
        }
        if self.clock_skew > CLOCK_SKEW_MAX {
            return refuse("clock_skew must be at most 5 minutes");
        }
        if self.keys_refresh.is_zero() || self.keys_age_max < self.keys_refresh {
            return refuse("keys_refresh must be more than nothing and at most keys_age_max");
        }
        Ok(())
    }
}

/// A configuration of issuers that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the name of an algorithm that may be used.
    #[error("algorithm \"{0}\" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")]
    Algorithm(String),
    /// An address that may not be fetched.
    #[error("issuer \"{name}\": {field} cannot be used")]
    Url {
        /// The issuer's name.
        name: String,
        /// The setting.
        field: &'static str,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A setting that makes no sense.
    #[error("issuer \"{name}\": {problem}")]
    Issuer {
        /// The issuer's name.
        name: String,
        /// What is wrong, with the remedy.
        problem: &'static str,
    },
    /// Two issuers with one name or one url.
    #[error("issuer \"{0}\" is there twice: names and urls must differ")]
    Twice(String),
    /// No issuer at all, or too many.
    #[error("there must be 1 to {ISSUERS_MAX} issuers, not {0}")]
    Count(usize),
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
