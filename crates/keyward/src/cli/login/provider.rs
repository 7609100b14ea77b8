//! The identity provider as a command line speaks to it: discovery, tokens, revoking (OpenID Connect Discovery, RFC 6749,
//! 7009, 7636, 8628, 8707).
//!
//! Promise: nothing is sent over plain HTTP but to loopback, redirects are not followed, and only a document that names
//! the issuer that was asked for is believed. *Fails closed.*

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use keyward_gateway::fetch::{
    FetchClient, FetchError, FetchLimits, FetchUrl, Fetched, PlainHttp, percent_encoded,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::super::safe;
use super::store::Kept;
use crate::exit::{Exit, Failure, chain};

const LIMITS: FetchLimits = FetchLimits { body_bytes_max: 256 * 1024, deadline: Duration::from_secs(20) };

/// What the gateway says about signing in.
#[derive(Debug, Deserialize)]
pub(super) struct PublicClient {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) resource: Option<String>,
}

/// What discovery must say, and what it may.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
}

/// A provider that was discovered.
pub(super) struct Provider {
    http: FetchClient,
    document: Document,
}

/// What the token endpoint gave.
#[derive(Deserialize)]
pub(super) struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Option<i64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Why the token endpoint gave nothing.
pub(super) enum Refusal {
    /// With an error code of RFC 6749 or 8628.
    Said { code: String, description: String },
    /// It does not answer as it must.
    Failed(Failure),
}

/// Names and values of a form.
pub(super) type Form<'f> = [(&'f str, &'f str)];

impl Provider {
    pub(super) async fn discover(http: &FetchClient, issuer: &str) -> Result<Self, Failure> {
        let base = issuer.trim_end_matches('/');
        let url = parsed(&format!("{base}/.well-known/openid-configuration"))?;
        let answer = http.get(&url, LIMITS).await.map_err(|error| unreachable(issuer, &error))?;
        let document: Document = understood(issuer, &answer)?;
        if document.issuer != issuer {
            return Err(Failure::error(
                format!("what answers for the identity provider {issuer} calls itself something else"),
                "whoever runs the gateway checks the issuer's `url`",
            ));
        }
        Ok(Self { http: http.clone(), document })
    }

    /// Where a browser signs in.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.document.authorization_endpoint.as_deref()
    }

    /// Where a device asks for a code.
    pub(super) fn device(&self) -> Option<&str> {
        self.document.device_authorization_endpoint.as_deref()
    }

    /// Asks the token endpoint.
    pub(super) async fn token(&self, form: &Form<'_>) -> Result<Given, Refusal> {
        let answer = self.post(&self.document.token_endpoint, form).await.map_err(Refusal::Failed)?;
        self.given(&answer)
    }

    /// Asks another endpoint with a form; what it answers as JSON, or its refusal.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        form: &Form<'_>,
    ) -> Result<T, Refusal> {
        let answer = self.post(endpoint, form).await.map_err(Refusal::Failed)?;
        self.given(&answer)
    }

    /// Revokes a token, where the provider offers that; whether it did.
    pub(super) async fn revoke(&self, client_id: &str, token: &str, kind: &str) -> Result<bool, Failure> {
        let Some(endpoint) = &self.document.revocation_endpoint else { return Ok(false) };
        let form = [("token", token), ("token_type_hint", kind), ("client_id", client_id)];
        let answer = self.post(endpoint, &form).await?;
        Ok(answer.status == StatusCode::OK)
    }

    async fn post(&self, endpoint: &str, form: &Form<'_>) -> Result<Fetched, Failure> {
        let url = parsed(endpoint)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let body = Bytes::from(encoded(form));
        let sent = self.http.send(Method::POST, &url, headers, body, LIMITS).await;
        sent.map_err(|error| unreachable(&self.document.issuer, &error))
    }

    fn given<T: DeserializeOwned>(&self, answer: &Fetched) -> Result<T, Refusal> {
        #[derive(Deserialize)]
        struct Error {
            error: String,
            #[serde(default)]
            error_description: String,
        }
        if answer.status != StatusCode::OK
            && let Ok(said) = serde_json::from_slice::<Error>(&answer.body)
        {
            return Err(Refusal::Said {
                code: safe::line(&said.error),
                description: safe::line(&said.error_description),
            });
        }
        understood(&self.document.issuer, answer).map_err(Refusal::Failed)
    }
}

impl Given {
    /// As it is kept. A provider that gives no new refresh token leaves the one before in force.
    pub(super) fn kept(self, client: &PublicClient, before: Option<Zeroizing<String>>, now: i64) -> Kept {
        Kept {
            issuer: client.issuer.clone(),
            client_id: client.client_id.clone(),
            resource: client.resource.clone(),
            access_token: self.access_token,
            refresh_token: self.refresh_token.or_else(|| before.map(|before| before.to_string())),
            expires_at: self.expires_in.map(|seconds| now.saturating_add(seconds)),
        }
    }
}

impl Refusal {
    /// How a command ends because of it.
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Said { code, description } => {
                let what = if description.is_empty() { code } else { format!("{code}: {description}") };
                Failure::new(
                    Exit::SignInNeeded,
                    format!("the identity provider refused ({what})"),
                    "begin again with `keyward login`, or ask whoever runs the gateway",
                )
            }
        }
    }
}

/// A form as it is sent.
pub(super) fn encoded(form: &Form<'_>) -> String {
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    pairs.join("&")
}

/// An address of the provider's that may be asked.
pub(super) fn parsed(address: &str) -> Result<FetchUrl, Failure> {
    FetchUrl::parse(address, PlainHttp::LoopbackOnly).map_err(|error| {
        let message = format!("the identity provider cannot be asked at {}: {error}", safe::line(address));
        Failure::error(message, "whoever runs the gateway checks the issuer's `url`")
    })
}

fn understood<T: DeserializeOwned>(issuer: &str, answer: &Fetched) -> Result<T, Failure> {
    let status = answer.status;
    if status != StatusCode::OK {
        return Err(Failure::error(
            format!("the identity provider {issuer} answers with status {status}"),
            "",
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        Failure::error(
            format!("the identity provider {issuer} answers with something else than was asked for"),
            "",
        )
    })
}

fn unreachable(issuer: &str, error: &FetchError) -> Failure {
    Failure::new(
        Exit::ServerUnreachable,
        format!("the identity provider {issuer} does not answer: {}", chain(error)),
        "try again soon",
    )
}
