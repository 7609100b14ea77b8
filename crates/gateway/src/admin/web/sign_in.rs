//! Signing in, coming back, signing out.
//!
//! Promise: nobody is signed in but by the attempt that their own browser began, once (catalogue 23); the way back leads
//! to a path of this gateway and nowhere else (206). A browser that cannot be signed in is led to a page that says why, with
//! nothing in its address but our own code and the way back.

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::Admin;
use super::super::auth::{Caller, peer, refused, signed_in};
use super::super::input::{Change, Params};
use super::super::problem::{OnChange, OnRead, Problem};
use super::super::ui;
use super::{Cookie, Pending, Way, hash, random};
use crate::clock;
use crate::fetch::percent_encoded;
use crate::identify::{Attempt, SignInClient};
use crate::settings::SignIn;
use crate::snapshot::Gateway;

/// Where somebody wants to be after signing in.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct LoginParams {
    /// A path of this gateway.
    next: Option<String>,
    /// Ask the issuer for a fresh proof, as decisions need one.
    #[serde(default)]
    fresh: bool,
}

/// What an issuer sends back (RFC 6749 section 4.1.2, RFC 9207). Issuers add more.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct CallbackParams {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Sign in
///
/// Sends the browser to the issuer; where that cannot be, to a page that says why.
#[utoipa::path(get, path = "/auth/login", tag = "status", params(LoginParams),
    responses((status = 303, description = "To the issuer"), OnRead))]
pub(in super::super) async fn login(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    params: Result<Params<LoginParams>, Problem>,
) -> Result<Response, Problem> {
    let gateway = admin.current.load_full();
    let (way, begun) = match params {
        Ok(Params(LoginParams { next, fresh })) => {
            let way = Way { next: local_path(next.as_deref().unwrap_or_default()), fresh };
            (way.clone(), begin(&admin, &gateway, way).await)
        }
        Err(problem) => (Way::default(), Err(problem)),
    };
    begun.or_else(|problem| told(&gateway, &headers, problem, &way))
}

async fn begin(admin: &Admin, gateway: &Gateway, way: Way) -> Result<Response, Problem> {
    let settings = settings(gateway)?;
    let attempt = Attempt { state: random()?, nonce: random()?, verifier: random()? };
    let browser = random()?;
    let back = redirect_uri(gateway);
    let age_max = way.fresh.then_some(settings.fresh.as_secs());
    let url = gateway
        .identity
        .authorization_url(client(settings, &back), &attempt, &settings.scopes, age_max)
        .await
        .map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "sign-in cannot begin");
            Problem::sign_in_unavailable()
        })?;
    admin.web.await_answer(Pending { attempt, browser: hash(&browser), way, began: clock::now() });
    let mut response = see_other(&url)?;
    let cookie = Cookie::SignIn.set(Some(&browser), is_secure(gateway)).ok_or_else(Problem::internal)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Come back from the issuer
///
/// Leads to where one wanted to be; a browser that cannot be signed in, to a page that says why.
#[utoipa::path(get, path = "/auth/callback", tag = "status", params(CallbackParams),
    responses((status = 303, description = "Signed in; to where one wanted to be"), OnRead))]
pub(in super::super) async fn callback(
    State(admin): State<Arc<Admin>>,
    parts: Parts,
    params: Result<Params<CallbackParams>, Problem>,
) -> Result<Response, Problem> {
    let gateway = admin.current.load_full();
    let (way, came_back) = match params {
        Ok(Params(params)) => {
            let state = params.state.as_deref().unwrap_or_default();
            let pending = admin.web.answered(state, &parts.headers, is_secure(&gateway));
            let way = pending.as_ref().map(|it| it.way.clone()).unwrap_or_default();
            (way, come_back(&admin, &gateway, &parts, params, pending).await)
        }
        Err(problem) => (Way::default(), Err(problem)),
    };
    came_back.or_else(|problem| {
        refused(&gateway, None, peer(&parts), "sign_in", "browser", &problem);
        told(&gateway, &parts.headers, problem, &way)
    })
}

async fn come_back(
    admin: &Admin,
    gateway: &Gateway,
    parts: &Parts,
    params: CallbackParams,
    pending: Option<Pending>,
) -> Result<Response, Problem> {
    let headers = &parts.headers;
    let settings = settings(gateway)?;
    let secure = is_secure(gateway);
    let pending = pending.ok_or_else(Problem::sign_in_unknown)?;
    // Another issuer's answer is not for us (RFC 9207).
    if params.iss.is_some_and(|iss| iss != settings.issuer) {
        return Err(Problem::sign_in_refused());
    }
    if let Some(error) = &params.error {
        return Err(said_no(error));
    }
    let code = params.code.ok_or_else(Problem::sign_in_refused)?;
    let secret = match &settings.client_secret {
        None => None,
        Some(reference) => Some(gateway.shared.secrets.lease(reference).await.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the client secret of sign-in cannot be had"
            );
            Problem::sign_in_unavailable()
        })?),
    };
    let back = redirect_uri(gateway);
    let given = gateway.identity.sign_in(
        &gateway.shared.fetch,
        client(settings, &back),
        secret.as_ref().map(|lease| lease.secret.expose()),
        (&code, &pending.attempt),
        clock::now(),
    );
    let person = given.await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "sign-in refused");
        Problem::sign_in_refused()
    })?;
    signed_in(gateway, &person.principal, peer(parts))?;
    admin.web.finish(headers, secure); // the one before, if any: its cookie is replaced
    tracing::info!(principal = %person.principal, "signed in");
    let text = admin.web.begin(person, settings)?;
    let mut response = see_other(&format!("{}{}", gateway.public_url, pending.way.next))?;
    let cookies = [Cookie::Session.set(Some(&text), secure), Cookie::SignIn.set(None, secure)];
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie.ok_or_else(Problem::internal)?);
    }
    Ok(response)
}

/// What an issuer's error is to somebody who wants to be signed in (RFC 6749, section 4.1.2.1).
fn said_no(error: &str) -> Problem {
    match error {
        "access_denied" => Problem::sign_in_denied(),
        "server_error" | "temporarily_unavailable" => Problem::sign_in_unavailable(),
        _ => Problem::sign_in_refused(),
    }
}

/// A problem as whoever asks reads it: browsers are led to a page of the interface, everybody else gets it as it is.
fn told(gateway: &Gateway, headers: &HeaderMap, problem: Problem, way: &Way) -> Result<Response, Problem> {
    if !ui::wants_page(headers) || !ui::ui_embedded() {
        return Err(problem);
    }
    let Way { next, fresh } = way;
    let next = percent_encoded(next);
    see_other(&format!("{}/sign-in?problem={}&next={next}&fresh={fresh}", gateway.public_url, problem.code()))
}

/// Nothing is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Leave {}

/// Signed out.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Left {
    signed_out: bool,
}

/// Sign out
///
/// Ends the browser's session here; the issuer may still know the browser.
#[utoipa::path(post, path = "/auth/logout", tag = "status", security(("token" = [])), request_body = Option<Leave>,
    responses((status = 200, description = "The session is over", body = Left), OnChange))]
pub(in super::super) async fn logout(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    change: Change<Leave>,
) -> Result<Response, Problem> {
    let caller: &Caller = &change.caller;
    caller.record("sign_out", "")?;
    let secure = is_secure(&caller.gateway);
    admin.web.finish(&headers, secure);
    let mut response = Json(Left { signed_out: true }).into_response();
    if let Some(cookie) = Cookie::Session.set(None, secure) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn settings(gateway: &Gateway) -> Result<&SignIn, Problem> {
    gateway.sign_in.as_ref().ok_or_else(Problem::sign_in_absent)
}

fn client<'c>(settings: &'c SignIn, redirect_uri: &'c str) -> SignInClient<'c> {
    SignInClient { issuer: &settings.issuer, client_id: &settings.client_id, redirect_uri }
}

fn redirect_uri(gateway: &Gateway) -> String {
    format!("{}/auth/callback", gateway.public_url)
}

/// Whether browsers reach this listener over TLS.
pub(in super::super) fn is_secure(gateway: &Gateway) -> bool {
    gateway.public_url.starts_with("https://")
}

fn see_other(url: &str) -> Result<Response, Problem> {
    let location = http::HeaderValue::from_str(url).map_err(|_| Problem::internal())?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A path of this gateway, or its beginning: nothing that a browser could take for another host.
fn local_path(text: &str) -> String {
    let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let local = text.starts_with('/') && !text.starts_with("//");
    if local && text.len() <= 1024 && text.bytes().all(sound) { text.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_that_says_no_is_told_from_one_that_breaks() {
        for (error, code) in [
            ("access_denied", "sign_in_denied"),
            ("temporarily_unavailable", "sign_in_unavailable"),
            ("server_error", "sign_in_unavailable"),
            ("invalid_scope", "sign_in_refused"),
            ("<script>", "sign_in_refused"),
        ] {
            assert_eq!(said_no(error).code(), code, "{error}");
        }
    }

    #[test]
    fn catalogue_206_the_way_back_is_a_path_of_our_own() {
        for good in ["/", "/approvals/apr_1", "/sessions?connection=models&since=7d#x"] {
            assert_eq!(local_path(good), good);
        }
        let long = format!("/{}", "x".repeat(1024));
        for bad in [
            "",
            "x",
            "//evil",
            "/\\evil",
            "\\evil",
            "https://ok@evil",
            "javascript:alert(1)",
            "/x\r\nset-cookie: a=b",
            "/\tx",
            "/ x",
            "/é",
            &long,
        ] {
            assert_eq!(local_path(bad), "/", "{bad}");
        }
    }
}
