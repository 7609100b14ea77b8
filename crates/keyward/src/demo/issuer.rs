//! The demo's OpenID Connect issuer: discovery, keys, tokens for three callers, client credentials for the service.
//!
//! Its signing key is made at start and never leaves the process, so its tokens mean nothing anywhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{DemoError, LETTERS_AND_DIGITS, Running, loopback, now_seconds, random_text};

/// The audience of every token.
pub const AUDIENCE: &str = "keyward";
/// How long a token is valid, in seconds.
pub const TOKEN_SECONDS: i64 = 12 * 3600;
/// Longest token request in bytes.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Who the issuer vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// An engineer.
    Alice,
    /// An owner of models, who approves.
    Olivia,
    /// A service in CI.
    CiBot,
}

impl Caller {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alice, Self::Olivia, Self::CiBot];

    /// The subject of their tokens.
    pub const fn subject(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Olivia => "olivia",
            Self::CiBot => "ci-bot",
        }
    }

    /// Their groups.
    pub const fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Alice => &["eng"],
            Self::Olivia => &["model-owners"],
            Self::CiBot => &["ci"],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Alice => "Alice Engineer",
            Self::Olivia => "Olivia Owner",
            Self::CiBot => "CI bot",
        }
    }

    /// A service's token is its client's own: `client_id` equals `sub`.
    const fn client(self) -> &'static str {
        match self {
            Self::Alice | Self::Olivia => "keyward-demo",
            Self::CiBot => "ci-bot",
        }
    }
}

/// The issuer, listening on loopback until it is dropped.
pub struct Issuer {
    running: Running,
    keys: Arc<Keys>,
}

struct Keys {
    /// Codes that were given and not used yet.
    codes: Mutex<HashMap<String, Code>>,
    url: String,
    key: EcdsaKeyPair,
    key_id: String,
    client_secret: String,
}

impl Issuer {
    /// Makes a key and starts to listen on a free port of loopback.
    pub async fn start() -> Result<Self, DemoError> {
        let listener = loopback().await?;
        let address = listener.local_addr().map_err(DemoError::Listen)?;
        let keys = Arc::new(Keys {
            codes: Mutex::default(),
            url: format!("http://{address}"),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| DemoError::Key)?,
            key_id: random_text(LETTERS_AND_DIGITS, 16)?,
            client_secret: random_text(LETTERS_AND_DIGITS, 40)?,
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
            .with_state(Arc::clone(&keys));
        Ok(Self { running: Running::start(listener, app)?, keys })
    }

    /// Its identifier (`iss`).
    pub fn url(&self) -> &str {
        &self.keys.url
    }

    /// A token for a caller, valid for [`TOKEN_SECONDS`].
    pub fn token(&self, caller: Caller) -> Result<String, DemoError> {
        self.keys.token(caller)
    }

    /// What `ci-bot` authenticates with at the token endpoint.
    pub fn client_secret(&self) -> &str {
        &self.keys.client_secret
    }

    /// Stops to listen. Tokens stay valid for whoever has the keys cached.
    pub fn stop(&self) {
        self.running.stop();
    }
}

impl Keys {
    fn token(&self, caller: Caller) -> Result<String, DemoError> {
        let now = now_seconds();
        let claims = json!({
            "iss": self.url,
            "sub": caller.subject(),
            "aud": AUDIENCE,
            "client_id": caller.client(),
            "name": caller.name(),
            "groups": caller.groups(),
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
            "jti": random_text(LETTERS_AND_DIGITS, 22)?,
        });
        self.signed("at+jwt", &claims)
    }

    /// What says to a client who signed in, for this attempt.
    fn id_token(&self, code: &Code) -> Result<String, DemoError> {
        let (now, caller) = (now_seconds(), code.caller);
        let claims = json!({
            "iss": self.url,
            "sub": caller.subject(),
            "aud": code.client,
            "azp": code.client,
            "name": caller.name(),
            "groups": caller.groups(),
            "nonce": code.nonce,
            "auth_time": now,
            "iat": now,
            "exp": now + 300,
        });
        self.signed("JWT", &claims)
    }

    fn signed(&self, kind: &str, claims: &Value) -> Result<String, DemoError> {
        let header = json!({"alg": "ES256", "typ": kind, "kid": self.key_id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature =
            self.key.sign(&SystemRandom::new(), message.as_bytes()).map_err(|_| DemoError::Key)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    fn jwks(&self) -> Value {
        // An uncompressed point: 4, then x and y of 32 bytes each (SEC 1, 2.3.3).
        let point = self.key.public_key().as_ref();
        let coordinate =
            |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }]})
    }
}

async fn discovery(State(keys): State<Arc<Keys>>) -> Json<Value> {
    let url = &keys.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks"),
        "token_endpoint": format!("{url}/token"),
        "authorization_endpoint": format!("{url}/authorize"),
        "grant_types_supported": ["client_credentials", "authorization_code"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }))
}

async fn jwks(State(keys): State<Arc<Keys>>) -> Json<Value> {
    Json(keys.jwks())
}

/// RFC 6749, 4.1 and 4.4: a token for `ci-bot` against its client secret, or what a code stands for.
async fn token(State(keys): State<Arc<Keys>>, headers: HeaderMap, body: String) -> Response {
    let refuse = |status: StatusCode, error: &str| (status, Json(json!({"error": error}))).into_response();
    let field = |name: &str| field(&body, name);
    if field("grant_type") == Some("authorization_code") {
        let code = field("code").and_then(|code| locked(&keys.codes).remove(code));
        let verifier = field("code_verifier").unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let fits = |code: &Code| {
            code.challenge == challenge
                && field("redirect_uri").is_some_and(|uri| uri == code.redirect_uri)
                && field("client_id").is_some_and(|client| client == code.client)
        };
        let Some(code) = code.filter(fits) else { return refuse(StatusCode::BAD_REQUEST, "invalid_grant") };
        let tokens = keys.id_token(&code).and_then(|id| Ok((id, keys.token(code.caller)?)));
        return match tokens {
            Ok((id_token, token)) => Json(json!({
                "access_token": token, "id_token": id_token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}))
            .into_response(),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
    }
    if field("grant_type") != Some("client_credentials") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
    let (client, secret) = match basic.as_deref().and_then(|pair| pair.split_once(':')) {
        Some(pair) => pair,
        None => (field("client_id").unwrap_or_default(), field("client_secret").unwrap_or_default()),
    };
    let good = client == Caller::CiBot.subject()
        && aws_lc_rs::constant_time::verify_slices_are_equal(
            secret.as_bytes(),
            keys.client_secret.as_bytes(),
        )
        .is_ok();
    if !good {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    match keys.token(Caller::CiBot) {
        Ok(token) => {
            let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS});
            ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

/// A code, and what it was given for. Texts are as they came, percent-encoded.
struct Code {
    caller: Caller,
    client: String,
    redirect_uri: String,
    nonce: String,
    challenge: String,
}

/// The demo's page to sign in on: anybody may be anybody. With `as=SUBJECT` it does not ask.
async fn authorize(State(keys): State<Arc<Keys>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let value = |name: &str| field(&query, name).unwrap_or_default().to_owned();
    let redirect_uri = value("redirect_uri");
    let loopback = ["http%3A%2F%2F127.0.0.1%3A", "http%3A%2F%2Flocalhost%3A"];
    if !loopback.iter().any(|prefix| redirect_uri.starts_with(prefix)) || value("code_challenge").is_empty() {
        return (StatusCode::BAD_REQUEST, "The demo signs in to loopback only, with PKCE.").into_response();
    }
    let Some(caller) = Caller::ALL.into_iter().find(|caller| caller.subject() == value("as")) else {
        return chooser(&query);
    };
    let Ok(code) = random_text(LETTERS_AND_DIGITS, 32) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let kept = Code {
        caller,
        client: value("client_id"),
        redirect_uri: redirect_uri.clone(),
        nonce: value("nonce"),
        challenge: value("code_challenge"),
    };
    locked(&keys.codes).insert(code.clone(), kept);
    let back = redirect_uri.replace("%3A", ":").replace("%2F", "/");
    let location = format!("{back}?code={code}&state={}&iss={}", value("state"), keys.url);
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn chooser(query: &str) -> Response {
    // What stands in a query can leave an attribute with a quote only.
    let query = query.replace('&', "&amp;").replace(['"', '<', '>'], "");
    let link = |caller: &Caller| {
        let (subject, name, groups) = (caller.subject(), caller.name(), caller.groups().join(", "));
        format!("<li><a href=\"authorize?{query}&amp;as={subject}\">{name}</a> ({groups})</li>")
    };
    let people: Vec<String> = [Caller::Alice, Caller::Olivia].iter().map(link).collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Demo sign-in</title></head><body><h1>Who are \
         you?</h1><p>This is the demo's own identity provider: anybody may be anybody.</p><ul>{}</ul></body></html>",
        people.concat()
    ))
    .into_response()
}

/// The first value of a name in a form, as it came.
fn field<'f>(form: &'f str, name: &str) -> Option<&'f str> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    use super::*;
    use crate::demo::model_server::tests::{get, send};

    fn claims(token: &str, keys: &Value, issuer: &str) -> Value {
        let key = &keys["keys"][0];
        let key =
            DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[issuer]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
    }

    #[tokio::test]
    async fn tokens_verify_with_the_published_key() {
        let issuer = Issuer::start().await.unwrap();
        let (_, discovery) = get(&format!("{}/.well-known/openid-configuration", issuer.url()), &[]).await;
        let discovery: Value = serde_json::from_slice(&discovery).unwrap();
        assert_eq!(discovery["issuer"], issuer.url());
        let (_, keys) = get(discovery["jwks_uri"].as_str().unwrap(), &[]).await;
        let keys: Value = serde_json::from_slice(&keys).unwrap();
        for caller in Caller::ALL {
            let token = issuer.token(caller).unwrap();
            let claims = claims(&token, &keys, issuer.url());
            assert_eq!(
                (&claims["sub"], &claims["groups"]),
                (&caller.subject().into(), &json!(caller.groups()))
            );
            assert_eq!(claims["client_id"] == claims["sub"], caller == Caller::CiBot);
            assert_eq!(jsonwebtoken::decode_header(&token).unwrap().typ.as_deref(), Some("at+jwt"));
        }
        let other = Issuer::start().await.unwrap();
        assert_ne!(other.keys.jwks(), issuer.keys.jwks());
    }

    #[tokio::test]
    async fn client_credentials_are_for_the_service_with_its_secret() {
        let issuer = Issuer::start().await.unwrap();
        let url = format!("{}/token", issuer.url());
        let form = |client: &str, secret: &str| {
            format!("grant_type=client_credentials&client_id={client}&client_secret={secret}")
        };
        let (status, body) = send("POST", &url, &[], form("ci-bot", issuer.client_secret())).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(claims(token, &issuer.keys.jwks(), issuer.url())["sub"], "ci-bot");
        let basic = format!("Basic {}", STANDARD.encode(format!("ci-bot:{}", issuer.client_secret())));
        let (status, _) =
            send("POST", &url, &[("authorization", &basic)], "grant_type=client_credentials".into()).await;
        assert_eq!(status, 200);
        for (client, secret) in [("ci-bot", "wrong"), ("alice", issuer.client_secret()), ("", "")] {
            let (status, _) = send("POST", &url, &[], form(client, secret)).await;
            assert_eq!(status, 401);
        }
        let (status, _) = send("POST", &url, &[], "grant_type=password".into()).await;
        assert_eq!(status, 400);
    }
}
