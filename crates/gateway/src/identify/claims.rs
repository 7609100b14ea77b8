//! From the claims of a token whose signature holds to a principal.
//!
//! Promise: every claim that decides is there with exactly the type it must have, or the token is refused (catalogue 10 to
//! 14, 21); nothing is trimmed, folded or normalised. A time claim is a JSON number that is finite and not negative.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::principal::PrincipalRef;
use keyward_core::{Principal, PrincipalKind, Timestamp};
use serde_json::{Map, Value};

use super::error::IdentifyError;
use super::settings::{IssuerSettings, KindRule, TokenTypes};

/// The longest subject, in bytes (OpenID Connect Core §2 says 255).
pub(super) const SUBJECT_BYTES_MAX: usize = 255;
/// The longest chain of actors.
pub(super) const ACTORS_MAX: usize = 4;
/// The last second of the year 9999: no time claim is after it.
const SECONDS_MAX: u64 = 253_402_300_799;

/// Claims that only ID tokens and logout tokens have.
const ID_TOKEN_CLAIMS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
/// Values of the claim `typ` (Keycloak's) that are no access token.
const REFUSED_TYPES: [&str; 4] = ["id", "refresh", "offline", "logout"];

type Claims = Map<String, Value>;

/// Who the claims name, and from when on they are worth nothing.
pub(super) struct Accepted {
    pub(super) principal: Principal,
    pub(super) expires_at: Timestamp,
    /// `iat`, where the token says it.
    pub(super) issued_at: Option<Timestamp>,
    /// `azp`, else `client_id`.
    pub(super) client: Option<Arc<str>>,
}

/// The issuer that the token says it is from.
pub(super) fn issuer(claims: &Claims) -> Result<&str, IdentifyError> {
    required_text(claims, "iss")
}

/// Checks everything but the signature.
pub(super) fn accept(
    claims: &Claims,
    typ: Option<&str>,
    settings: &IssuerSettings,
    now: Timestamp,
) -> Result<Accepted, IdentifyError> {
    token_type(claims, typ, settings.token_types)?;
    let (expires_at, issued_at) = times(claims, settings.clock_skew, now)?;
    let party = match optional_text(claims, "azp")? {
        Some(party) => Some(party),
        None => optional_text(claims, "client_id")?,
    };
    audience(claims, party, settings)?;
    let principal = principal(claims, settings)?;
    Ok(Accepted { principal, expires_at, issued_at, client: party.map(Arc::from) })
}

/// What an ID token says about a sign-in.
pub(super) struct SignedIn {
    pub(super) principal: Principal,
    /// When the person proved who they are (`auth_time`, else `iat`).
    pub(super) at: Timestamp,
}

/// Checks everything but the signature of an ID token (OpenID Connect Core, section 3.1.3.7): that it is for `client` alone,
/// and for the sign-in that `nonce` belongs to.
pub(super) fn accept_id_token(
    claims: &Claims,
    settings: &IssuerSettings,
    (client, nonce): (&str, &str),
    now: Timestamp,
) -> Result<SignedIn, IdentifyError> {
    let (_, issued_at) = times(claims, settings.clock_skew, now)?;
    let ours = IssuerSettings {
        audiences: vec![client.to_owned()],
        authorized_parties: Vec::new(),
        ..settings.clone()
    };
    let party = optional_text(claims, "azp")?;
    audience(claims, party, &ours)?;
    if party.is_some_and(|party| party != client) {
        return Err(IdentifyError::PartyWrong);
    }
    let said = required_text(claims, "nonce")?;
    if aws_lc_rs::constant_time::verify_slices_are_equal(said.as_bytes(), nonce.as_bytes()).is_err() {
        return Err(IdentifyError::ClaimMalformed("nonce"));
    }
    let issued_at = issued_at.ok_or(IdentifyError::ClaimMalformed("iat"))?;
    let at = date(claims, "auth_time")?.unwrap_or(issued_at);
    Ok(SignedIn { principal: principal(claims, settings)?, at })
}

fn principal(claims: &Claims, settings: &IssuerSettings) -> Result<Principal, IdentifyError> {
    let subject = required_text(claims, "sub")?;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(IdentifyError::ClaimMalformed("sub"));
    }
    Ok(Principal {
        issuer: settings.url.as_str().into(),
        subject: subject.into(),
        kind: kind(claims, subject, &settings.kind)?,
        groups: groups(claims, &settings.groups_claim)?,
        name: at(claims, &settings.name_claim)
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .map(Arc::from),
        acting_for: actors(claims, &settings.url)?,
    })
}

fn token_type(claims: &Claims, typ: Option<&str>, taken: TokenTypes) -> Result<(), IdentifyError> {
    let typ = typ.map(str::to_ascii_lowercase);
    let fits = match typ.as_deref() {
        Some("at+jwt" | "application/at+jwt") => true,
        Some("jwt") | None => taken == TokenTypes::AccessOrPlain,
        Some(_) => false,
    };
    if !fits {
        return Err(IdentifyError::TokenTypeRefused("header typ"));
    }
    if let Some(name) = ID_TOKEN_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
        return Err(IdentifyError::TokenTypeRefused(name));
    }
    // Bound to a key or certificate of the sender, which a bearer does not prove.
    if claims.contains_key("cnf") {
        return Err(IdentifyError::TokenTypeRefused("cnf"));
    }
    let named = optional_text(claims, "typ")?.map(str::to_ascii_lowercase);
    if named.is_some_and(|named| REFUSED_TYPES.contains(&named.as_str())) {
        return Err(IdentifyError::TokenTypeRefused("claim typ"));
    }
    Ok(())
}

/// Taken while `now < exp + skew`, `now >= nbf - skew`, `now >= iat - skew`; returns `exp + skew` and `iat`.
fn times(
    claims: &Claims,
    skew: Duration,
    now: Timestamp,
) -> Result<(Timestamp, Option<Timestamp>), IdentifyError> {
    let expires_at = date(claims, "exp")?.ok_or(IdentifyError::ClaimMalformed("exp"))?.plus(skew);
    let not_before = date(claims, "nbf")?;
    let issued_at = date(claims, "iat")?;
    if now >= expires_at {
        return Err(IdentifyError::Expired);
    }
    let latest = now.plus(skew);
    if not_before.is_some_and(|at| at > latest) {
        return Err(IdentifyError::NotYetValid);
    }
    if issued_at.is_some_and(|at| at > latest) {
        return Err(IdentifyError::IssuedInFuture);
    }
    Ok((expires_at, issued_at))
}

fn audience(claims: &Claims, party: Option<&str>, settings: &IssuerSettings) -> Result<(), IdentifyError> {
    let audiences = match claims.get("aud") {
        None => return Err(IdentifyError::AudienceMissing),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => texts(several, "aud")?,
        Some(_) => return Err(IdentifyError::ClaimMalformed("aud")),
    };
    if audiences.iter().all(|audience| audience.is_empty()) {
        return Err(IdentifyError::AudienceMissing);
    }
    let is_ours = |name: &str| settings.audiences.iter().any(|ours| ours == name);
    if !audiences.iter().any(|audience| is_ours(audience)) {
        return Err(IdentifyError::AudienceWrong);
    }
    let accepted = match (settings.authorized_parties.is_empty(), party) {
        (false, party) => {
            party.is_some_and(|party| settings.authorized_parties.iter().any(|ours| ours == party))
        }
        (true, party) => audiences.len() == 1 || party.is_some_and(is_ours),
    };
    if accepted { Ok(()) } else { Err(IdentifyError::PartyWrong) }
}

fn kind(claims: &Claims, subject: &str, rule: &KindRule) -> Result<PrincipalKind, IdentifyError> {
    let by_client = || {
        let is_client = |name| claims.get(name).and_then(Value::as_str) == Some(subject);
        if claims.contains_key("act") {
            PrincipalKind::Agent
        } else if is_client("client_id") || is_client("azp") {
            PrincipalKind::Service
        } else {
            PrincipalKind::User
        }
    };
    match rule {
        KindRule::Fixed(kind) => Ok(*kind),
        KindRule::ByClient => Ok(by_client()),
        KindRule::Claim(path) => match at(claims, path) {
            None => Ok(by_client()),
            Some(Value::String(word)) => [PrincipalKind::User, PrincipalKind::Service, PrincipalKind::Agent]
                .into_iter()
                .find(|kind| kind.as_str() == word)
                .ok_or(IdentifyError::ClaimMalformed("kind")),
            Some(_) => Err(IdentifyError::ClaimMalformed("kind")),
        },
    }
}

/// A string is one group; an array of strings is several; nothing is none; anything else is refused.
fn groups(claims: &Claims, path: &str) -> Result<Vec<Arc<str>>, IdentifyError> {
    match at(claims, path) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.as_str().into()]),
        Some(Value::Array(several)) => Ok(texts(several, "groups")?.into_iter().map(Arc::from).collect()),
        Some(_) => Err(IdentifyError::ClaimMalformed("groups")),
    }
}

/// The chain in `act` (RFC 8693 §4.1), the outermost first; `iss` where it is not said is the token's.
fn actors(claims: &Claims, issuer: &str) -> Result<Vec<PrincipalRef>, IdentifyError> {
    let refuse = IdentifyError::ClaimMalformed("act");
    let mut chain = Vec::new();
    let mut next = claims.get("act");
    while let Some(actor) = next {
        let Value::Object(actor) = actor else { return Err(refuse) };
        let subject = required_text(actor, "sub").map_err(|_| refuse)?;
        let issuer = optional_text(actor, "iss").map_err(|_| refuse)?.unwrap_or(issuer);
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || chain.len() == ACTORS_MAX {
            return Err(refuse);
        }
        chain.push(PrincipalRef { issuer: issuer.into(), subject: subject.into() });
        next = actor.get("act");
    }
    Ok(chain)
}

/// A claim of exactly this name, or else the one at the end of the dotted path.
fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut steps = path.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.as_object()?.get(step))
    })
}

fn required_text<'a>(claims: &'a Claims, name: &'static str) -> Result<&'a str, IdentifyError> {
    claims.get(name).and_then(Value::as_str).ok_or(IdentifyError::ClaimMalformed(name))
}

fn optional_text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, IdentifyError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(IdentifyError::ClaimMalformed(name)),
    }
}

fn texts<'a>(values: &'a [Value], name: &'static str) -> Result<Vec<&'a str>, IdentifyError> {
    values.iter().map(|value| value.as_str().ok_or(IdentifyError::ClaimMalformed(name))).collect()
}

/// Seconds since the epoch as an integer or a finite fraction. A string, null, a bool, a list, a negative number and
/// one after the year 9999 are no date (`1e400` is no JSON number to begin with).
fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, IdentifyError> {
    let refuse = IdentifyError::ClaimMalformed(name);
    let Some(value) = claims.get(name) else { return Ok(None) };
    let Value::Number(number) = value else { return Err(refuse) };
    let since_epoch = match (number.as_u64(), number.as_f64()) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(seconds)) if seconds >= 0.0 => {
            Duration::try_from_secs_f64(seconds).map_err(|_| refuse)?
        }
        _ => return Err(refuse),
    };
    if since_epoch > Duration::from_secs(SECONDS_MAX) {
        return Err(refuse);
    }
    let micros = i64::try_from(since_epoch.as_micros()).map_err(|_| refuse)?;
    Ok(Some(Timestamp::from_micros(micros)))
}
