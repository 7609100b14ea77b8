//! Signing people in by OpenID Connect: the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636).
//!
//! Promise: who comes back is believed only by an ID token that the issuer gave for this client, this browser's attempt
//! and its nonce, over a connection of ours to the issuer's own origin. *Fails closed.*

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use keyward_core::{Principal, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::claims;
use super::error::IdentifyError;
use super::issuer::DISCOVERY_LIMITS;
use super::token::Token;
use super::{Identity, trusted_key};
use crate::fetch::{FetchClient, FetchError, percent_encoded};

/// The client that people sign in with.
#[derive(Debug, Clone, Copy)]
pub struct SignInClient<'c> {
    /// The issuer's url.
    pub issuer: &'c str,
    /// The client's identifier at the issuer.
    pub client_id: &'c str,
    /// Where the issuer sends the browser back to.
    pub redirect_uri: &'c str,
}

/// What one attempt must bring back.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Ties the answer to the attempt.
    pub state: String,
    /// Ties the ID token to the attempt.
    pub nonce: String,
    /// The PKCE verifier.
    pub verifier: String,
}

/// Who came back.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub principal: Principal,
    /// When they proved it to the issuer.
    pub at: Timestamp,
}

/// Why nobody could be signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The issuer does not answer as it must.
    #[error("the issuer does not serve")]
    Issuer(#[from] FetchError),
    /// The issuer refused the code.
    #[error("the issuer refused the code with status {0}")]
    Refused(StatusCode),
    /// What it gave is not for us.
    #[error("the ID token is not accepted")]
    Token(#[from] IdentifyError),
}

impl Identity {
    /// Where to send the browser. `age_max` asks for a proof that is at most so old, in seconds.
    pub async fn authorization_url(
        &self,
        client: SignInClient<'_>,
        attempt: &Attempt,
        scopes: &[String],
        age_max: Option<u64>,
    ) -> Result<String, SignInError> {
        let issuer = self.issuer(client.issuer)?;
        let (authorization, _) = issuer.endpoints().await?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        let separator = if authorization.has_query() { '&' } else { '?' };
        let mut url = format!("{authorization}{separator}");
        let mut query = form(&[
            ("response_type", "code"),
            ("client_id", client.client_id),
            ("redirect_uri", client.redirect_uri),
            ("scope", &scopes.join(" ")),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if let Some(age) = age_max {
            query = format!("{query}&max_age={age}");
        }
        url.push_str(&query);
        Ok(url)
    }

    /// Exchanges a code for who came back.
    pub async fn sign_in(
        &self,
        http: &FetchClient,
        client: SignInClient<'_>,
        secret: Option<&[u8]>,
        (code, attempt): (&str, &Attempt),
        now: Timestamp,
    ) -> Result<Person, SignInError> {
        let issuer = self.issuer(client.issuer)?;
        let (_, token) = issuer.endpoints().await?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut body = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.redirect_uri),
            ("code_verifier", &attempt.verifier),
        ]);
        match secret {
            Some(secret) => {
                headers.insert(AUTHORIZATION, basic(client.client_id, secret)?);
            }
            None => body = format!("{body}&{}", form(&[("client_id", client.client_id)])),
        }
        let answer = http.send(Method::POST, &token, headers, Bytes::from(body), DISCOVERY_LIMITS).await?;
        if answer.status != StatusCode::OK {
            return Err(SignInError::Refused(answer.status));
        }
        let given: Given = serde_json::from_slice(&answer.body)
            .map_err(|_| FetchError::Content("is not an answer with an id_token"))?;
        let parsed = Token::parse(&given.id_token)?;
        if claims::issuer(&parsed.claims)? != client.issuer {
            return Err(IdentifyError::IssuerUnknown.into());
        }
        if !issuer.settings.takes(parsed.algorithm) {
            return Err(IdentifyError::AlgorithmRefused.into());
        }
        let (_, signature) = trusted_key(issuer, &parsed, now).await?;
        signature?;
        let expected = (client.client_id, attempt.nonce.as_str());
        let signed_in = claims::accept_id_token(&parsed.claims, &issuer.settings, expected, now)?;
        Ok(Person { principal: signed_in.principal, at: signed_in.at })
    }
}

#[derive(Deserialize)]
struct Given {
    id_token: String,
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they become Basic.
fn basic(client: &str, secret: &[u8]) -> Result<HeaderValue, SignInError> {
    let unusable = || FetchError::Content("cannot be asked with this client secret");
    let secret = std::str::from_utf8(secret).map_err(|_| unusable())?;
    let pair =
        Zeroizing::new(format!("{}:{}", percent_encoded(client), &*Zeroizing::new(percent_encoded(secret))));
    let text = Zeroizing::new(format!("Basic {}", &*Zeroizing::new(STANDARD.encode(pair.as_bytes()))));
    let mut value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    pairs.join("&")
}
