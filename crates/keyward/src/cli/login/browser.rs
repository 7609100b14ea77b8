//! Signing in with a browser on this machine: the authorization code flow with PKCE for native applications (RFC 8252,
//! 7636).
//!
//! Promise: the way back leads to 127.0.0.1, to a port that the kernel chose and that is open for this one sign-in; what
//! comes back is taken once, from the attempt that this command began (`state`) and from the issuer that it asked (RFC
//! 9207); the code is worth nothing without the verifier, which never leaves this process but to the token endpoint.
//! *Fails closed.*

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::Session;
use super::super::safe;
use super::provider::{Given, Provider, PublicClient, encoded, parsed};
use crate::exit::{Exit, Failure};

/// How long somebody has to sign in.
const PATIENCE: Duration = Duration::from_mins(10);
/// The path of the way back.
const CALLBACK: &str = "/callback";

/// Whether a browser is opened, or its address shown alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Browser,
    AddressOnly,
}

/// What one attempt must bring back.
struct Attempt {
    state: String,
    issuer: String,
    answers: mpsc::Sender<Result<String, Failure>>,
}

pub(super) async fn sign_in(
    provider: &Provider,
    client: &PublicClient,
    opening: Opening,
    session: &Session,
) -> Result<Given, Failure> {
    let authorization = provider.authorization().ok_or_else(|| {
        Failure::error("the identity provider signs nobody in with a browser", "try `keyward login --device`")
    })?;
    let (state, verifier) = (random()?, random()?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let back = format!("http://{}{CALLBACK}", listener.local_addr()?);
    let url = address(authorization, client, (&back, &state, &verifier))?;
    let (answers, mut answered) = mpsc::channel(1);
    let attempt = Arc::new(Attempt { state, issuer: client.issuer.clone(), answers });
    let app = Router::new().route(CALLBACK, get(come_back)).with_state(attempt);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    show(&url, opening, session);
    let code = tokio::time::timeout(PATIENCE, answered.recv()).await;
    // The page that says so is on its way; it has a moment to get there.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.abort();
    let code = match code {
        Ok(Some(code)) => code?,
        Ok(None) | Err(_) => {
            return Err(Failure::new(
                Exit::SignInNeeded,
                "nobody signed in within 10 minutes",
                "begin again",
            ));
        }
    };
    let mut form: Vec<(&str, &str)> = vec![
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &back),
        ("client_id", &client.client_id),
        ("code_verifier", &verifier),
    ];
    form.extend(client.resource.as_deref().map(|resource| ("resource", resource)));
    provider.token(&form).await.map_err(super::provider::Refusal::failure)
}

fn address(
    authorization: &str,
    client: &PublicClient,
    (back, state, verifier): (&str, &str, &str),
) -> Result<String, Failure> {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let scope = client.scopes.join(" ");
    let mut form: Vec<(&str, &str)> = vec![
        ("response_type", "code"),
        ("client_id", &client.client_id),
        ("redirect_uri", back),
        ("scope", &scope),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    // OpenID Connect Core, section 11: offline access needs consent.
    if client.scopes.iter().any(|scope| scope == "offline_access") {
        form.push(("prompt", "consent"));
    }
    form.extend(client.resource.as_deref().map(|resource| ("resource", resource)));
    let separator = if parsed(authorization)?.has_query() { '&' } else { '?' };
    Ok(format!("{authorization}{separator}{}", encoded(&form)))
}

fn show(url: &str, opening: Opening, session: &Session) {
    let opened = opening == Opening::Browser && open(url);
    let begin = if opened {
        "A browser was opened to sign in; if it was not, open"
    } else {
        "Open this in a browser on this machine to sign in:"
    };
    session.output.say(&format!("{begin}\n  {}\n", safe::line(url)));
}

/// Opens the user's browser: `$BROWSER`, or what the desktop has. Whether something could be started.
fn open(url: &str) -> bool {
    let named = std::env::var("BROWSER").ok().filter(|name| !name.is_empty() && !name.contains(['%', ':']));
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(named.as_deref().unwrap_or(usual));
    command.arg(url).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null()).env_remove(super::super::client::TOKEN_VARIABLE);
    command.spawn().is_ok()
}

/// The browser, back from the issuer.
async fn come_back(State(attempt): State<Arc<Attempt>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
    };
    let state = value("state").unwrap_or_default();
    if verify_slices_are_equal(state.as_bytes(), attempt.state.as_bytes()).is_err() {
        return page(StatusCode::BAD_REQUEST, "This is not the sign-in that is waited for.");
    }
    let foreign = value("iss").is_some_and(|issuer| issuer != attempt.issuer);
    let answer = match (value("code"), value("error")) {
        _ if foreign => Err(refused("another identity provider answered")),
        (Some(code), None) if !code.is_empty() => Ok(code),
        (_, error) => {
            let error = error.unwrap_or_else(|| "no code".to_owned());
            Err(refused(&format!("the identity provider refused ({})", safe::line(&error))))
        }
    };
    let good = answer.is_ok();
    // The channel holds one answer, and takes no other.
    if attempt.answers.try_send(answer).is_err() {
        return page(StatusCode::BAD_REQUEST, "This sign-in is over.");
    }
    if good {
        page(StatusCode::OK, "You can close this window and go back to the command line.")
    } else {
        page(StatusCode::FORBIDDEN, "You were not signed in; the command line says why.")
    }
}

fn refused(message: &str) -> Failure {
    Failure::new(Exit::SignInNeeded, message, "begin again with `keyward login`")
}

fn page(status: StatusCode, sentence: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Keyward</title></head><body><h1>Keyward</h1><p>{sentence}</p></body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONNECTION, "close"),
    ];
    (status, headers, html).into_response()
}

/// 256 random bits as text.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::error("the operating system gives no randomness", ""))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A value of a query. What is not UTF-8 is nothing that is waited for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| tail.get(..2)).flatten();
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(value.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if value.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_are_read_as_browsers_write_them() {
        assert_eq!(decoded("https%3A%2F%2Fidp%2Fa+b%zz%"), "https://idp/a b%zz%");
        assert_eq!(decoded("%ff"), "");
    }

    #[test]
    fn consent_is_asked_for_with_offline_access_alone() {
        let client = |scopes: &[&str]| PublicClient {
            issuer: "https://idp".to_owned(),
            client_id: "cli".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            resource: Some("urn:k".to_owned()),
        };
        let url = |scopes: &[&str]| {
            address("https://idp/auth?x=1", &client(scopes), ("http://127.0.0.1:1/callback", "s", "v"))
        };
        let plain = url(&["openid", "groups"]).unwrap();
        assert!(plain.starts_with("https://idp/auth?x=1&response_type=code&client_id=cli"), "{plain}");
        assert!(plain.contains("scope=openid%20groups&") && plain.contains("resource=urn%3Ak"), "{plain}");
        assert!(!plain.contains("prompt") && !plain.contains("verifier"), "{plain}");
        assert!(url(&["offline_access"]).unwrap().contains("prompt=consent"));
    }
}
