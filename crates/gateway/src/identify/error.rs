//! Why a caller was not identified: a closed list.

use http::StatusCode;

/// Why a caller was not identified.
///
/// `Display` is the precise reason, for log and journal. A caller is told [`IdentifyError::public`] alone, under the
/// coarser [`IdentifyError::code`]: until a signature has held, nothing says which part of the proof failed. No variant
/// carries a byte of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentifyError {
    /// No credential at all.
    #[error("no credential")]
    CredentialMissing,
    /// More than one credential, or one header twice.
    #[error("more than one credential")]
    CredentialAmbiguous,
    /// A credential in the query string.
    #[error("credential in the query string")]
    CredentialInQuery,
    /// A credential in a cookie.
    #[error("credential in a cookie")]
    CredentialInCookie,
    /// A credential header that cannot be read.
    #[error("malformed credential header")]
    CredentialMalformed,
    /// The token is longer than [`super::TOKEN_BYTES_MAX`].
    #[error("token too long")]
    TokenTooLong,
    /// Not a JWT in compact form (an opaque token, a JWE, broken base64 or JSON, a claim given twice).
    #[error("not a signed JWT")]
    NotAJwt,
    /// `alg` is none, symmetric, unknown, not allowed for the issuer, or does not fit the key.
    #[error("algorithm refused")]
    AlgorithmRefused,
    /// A header parameter that brings a key or changes what the token means (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`,
    /// `zip`, `enc`, `cty`), or a `kid` that is none.
    #[error("header parameter \"{0}\" refused")]
    HeaderRefused(&'static str),
    /// No configured issuer has this `iss`, byte for byte.
    #[error("unknown issuer")]
    IssuerUnknown,
    /// The issuer does not publish this key (any more).
    #[error("unknown key")]
    KeyUnknown,
    /// The signature does not hold.
    #[error("bad signature")]
    SignatureBad,
    /// An ID token, a refresh token, a logout token or a sender-constrained token.
    #[error("not a bearer access token: {0}")]
    TokenTypeRefused(&'static str),
    /// `aud` is missing or empty.
    #[error("no audience")]
    AudienceMissing,
    /// None of `aud` is ours.
    #[error("wrong audience")]
    AudienceWrong,
    /// `azp` is missing where it is needed, or is not ours.
    #[error("wrong authorized party")]
    PartyWrong,
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` has not come yet.
    #[error("not valid yet")]
    NotYetValid,
    /// `iat` has not come yet.
    #[error("issued in the future")]
    IssuedInFuture,
    /// A claim is missing or has the wrong type.
    #[error("claim \"{0}\" is missing or malformed")]
    ClaimMalformed(&'static str),
    /// A client token where an issuer's token is needed.
    #[error("a client token where none is taken")]
    ClientToken,
    /// A client token that is not kept: never made, revoked, or long over.
    #[error("unknown or revoked client token")]
    ClientTokenUnknown,
    /// A client token that is over.
    #[error("expired client token")]
    ClientTokenExpired,
    /// The issuer's keys cannot be had, or those at hand are too old. *Fails closed.*
    #[error("the issuer's keys are unavailable")]
    KeysUnavailable,
}

impl IdentifyError {
    /// The stable code that a program may match on.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CredentialMissing => "credential_missing",
            Self::CredentialAmbiguous | Self::CredentialInQuery | Self::CredentialInCookie => {
                "credential_ambiguous"
            }
            Self::CredentialMalformed => "credential_malformed",
            Self::TokenTooLong | Self::NotAJwt => "token_malformed",
            Self::AlgorithmRefused | Self::HeaderRefused(_) | Self::KeyUnknown | Self::SignatureBad => {
                "token_untrusted"
            }
            Self::IssuerUnknown => "token_issuer",
            Self::TokenTypeRefused(_) => "token_type",
            Self::AudienceMissing | Self::AudienceWrong | Self::PartyWrong => "token_audience",
            Self::ClientToken => "client_token",
            Self::ClientTokenUnknown => "token_unknown",
            Self::Expired | Self::ClientTokenExpired => "token_expired",
            Self::NotYetValid | Self::IssuedInFuture => "token_not_yet_valid",
            Self::ClaimMalformed(_) => "token_claims",
            Self::KeysUnavailable => "identity_unavailable",
        }
    }

    /// The HTTP status: 400 for an ambiguous request, 401 for a credential that does not hold, 503 when it cannot be told.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::CredentialAmbiguous
            | Self::CredentialInQuery
            | Self::CredentialInCookie
            | Self::CredentialMalformed => StatusCode::BAD_REQUEST,
            Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// One sentence for the caller, with what to do.
    pub const fn public(self) -> &'static str {
        match self {
            Self::CredentialMissing => {
                "No credential was sent: put your Keyward token where the client takes its API key."
            }
            Self::CredentialAmbiguous => {
                "More than one credential was sent: send exactly one of Authorization, x-api-key, api-key or x-goog-api-key, once."
            }
            Self::CredentialInQuery => {
                "A credential in the query string is never accepted: send it in the Authorization header, and renew it, as addresses end up in logs."
            }
            Self::CredentialInCookie => {
                "A credential in a cookie is never accepted: send it in the Authorization header alone."
            }
            Self::CredentialMalformed => {
                "The credential header cannot be read: it must be \"Bearer TOKEN\", or Basic with the token as password, or the token alone in an API key header."
            }
            Self::TokenTooLong => "The token is longer than 16 KiB: ask for one with fewer claims.",
            Self::NotAJwt => {
                "The credential is not a signed JWT: ask the identity provider for an access token in JWT form for this gateway's audience."
            }
            Self::AlgorithmRefused | Self::HeaderRefused(_) | Self::KeyUnknown | Self::SignatureBad => {
                "The token's signature is not trusted: sign in again to get a new token."
            }
            Self::IssuerUnknown => "The token's issuer is not one that this gateway trusts.",
            Self::TokenTypeRefused(_) => {
                "This is not a bearer access token: send the access token, not an ID, refresh or sender-constrained token."
            }
            Self::AudienceMissing => {
                "The token names no audience: ask the identity provider for a token with this gateway's audience."
            }
            Self::AudienceWrong => {
                "The token was issued for another audience: ask the identity provider for a token with this gateway's audience."
            }
            Self::PartyWrong => {
                "The token was issued to a client that this gateway does not accept: check authorized_parties."
            }
            Self::Expired => "The token has expired: sign in again to get a new one.",
            Self::ClientToken => {
                "A client token is for calls alone: sign in here with the token of your identity provider."
            }
            Self::ClientTokenUnknown => {
                "The client token is not known here, or was revoked: make a new one with `keyward token`."
            }
            Self::ClientTokenExpired => "The client token has expired: make a new one with `keyward token`.",
            Self::NotYetValid => "The token is not valid yet: check the clocks.",
            Self::IssuedInFuture => "The token says that it was issued in the future: check the clocks.",
            Self::ClaimMalformed(_) => {
                "A claim of the token is missing or has the wrong type: check the identity provider's claim mapping."
            }
            Self::KeysUnavailable => {
                "The identity provider's keys cannot be had at the moment, so the token cannot be checked: try again soon."
            }
        }
    }
}
