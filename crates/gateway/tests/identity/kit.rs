//! What the identity tests share: keys made at run time, tokens of any shape, and an issuer in this process that records
//! what it is asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyward_core::Timestamp;
use keyward_gateway::fetch::FetchClient;
use keyward_gateway::identify::{IdentifyError, Identity, IssuerSettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// The moment at which the tests begin.
pub(crate) const T0: u64 = 1_900_000_000;
pub(crate) const OURS: &str = "urn:keyward:test";

/// A moment some seconds after [`T0`].
pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(T0)).plus(Duration::from_secs_f64(seconds))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Signer {
    Rsa(Arc<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// A signing key and what is published of it.
pub(crate) struct Key {
    pub(crate) alg: &'static str,
    pub(crate) jwk: Value,
    signer: Signer,
}

impl Key {
    /// An RSA key's public half as DER (RFC 8017).
    pub(crate) fn rsa_public_der(&self) -> Vec<u8> {
        match &self.signer {
            Signer::Rsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Signer::Ec(_) | Signer::Ed(_) => panic!("not an RSA key"),
        }
    }

    pub(crate) fn rsa(kid: &str, alg: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self::of_rsa(Arc::new(pair), kid, alg)
    }

    /// One RSA key for all tests of a process, where it matters only that it is one.
    pub(crate) fn shared_rsa(kid: &str, alg: &'static str) -> Self {
        static PAIR: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        let pair = PAIR.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
        Self::of_rsa(Arc::clone(pair), kid, alg)
    }

    fn of_rsa(pair: Arc<RsaKeyPair>, kid: &str, alg: &'static str) -> Self {
        let encoding: &'static dyn RsaEncoding = match alg {
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        // RSAPublicKey in DER: SEQUENCE { INTEGER n, INTEGER e }, with lengths that are fixed for 2048 bits.
        let der = pair.public_key().as_ref();
        assert_eq!(&der[..9], [0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0]);
        let (n, e) = (encode(&der[9..265]), encode(&der[267..270]));
        let jwk = json!({"kty": "RSA", "kid": kid, "use": "sig", "n": n, "e": e});
        Self { alg, jwk, signer: Signer::Rsa(pair, encoding) }
    }

    pub(crate) fn ec(kid: &str, alg: &'static str) -> Self {
        let (scheme, crv) = match alg {
            "ES384" => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            _ => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        };
        let pair = EcdsaKeyPair::generate(scheme).unwrap();
        let (x, y) = {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            (encode(x), encode(y))
        };
        let jwk = json!({"kty": "EC", "crv": crv, "kid": kid, "use": "sig", "alg": alg, "x": x, "y": y});
        Self { alg, jwk, signer: Signer::Ec(pair) }
    }

    pub(crate) fn ed(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = encode(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": x});
        Self { alg: "EdDSA", jwk, signer: Signer::Ed(pair) }
    }

    pub(crate) fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }

    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Signer::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with exactly this header and these claims, as texts.
    pub(crate) fn sign_raw(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign_bytes(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid(), "typ": "at+jwt"})
    }

    /// A token with the usual header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&self.header().to_string(), &claims.to_string())
    }
}

/// An issuer with one RS256 key, and what verifies its tokens.
pub(crate) struct Scene {
    pub(crate) issuer: FakeIssuer,
    pub(crate) key: Key,
    pub(crate) identity: Identity,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let key = Key::shared_rsa("k1", "RS256");
        let issuer = FakeIssuer::start(&[&key]).await;
        let identity = issuer.identity();
        Self { issuer, key, identity }
    }

    /// The usual claims with changes; null removes one.
    pub(crate) fn token(&self, changes: Value) -> String {
        self.key.sign(&with(self.issuer.claims(), changes))
    }

    /// The usual claims with one member written as it is, so that it can be what no JSON library writes.
    pub(crate) fn token_raw(&self, name: &str, raw: &str) -> String {
        let claims = with(self.issuer.claims(), json!({name: null})).to_string();
        let claims = format!("{},\"{name}\":{raw}}}", claims.trim_end_matches('}'));
        self.key.sign_raw(&self.key.header().to_string(), &claims)
    }

    /// The usual claims under a header with changes.
    pub(crate) fn with_header(&self, changes: Value) -> String {
        let header = with(self.key.header(), changes).to_string();
        self.key.sign_raw(&header, &self.issuer.claims().to_string())
    }

    pub(crate) async fn error(&self, token: &str) -> Option<IdentifyError> {
        self.identity.verify(token, at(0.0)).await.err()
    }
}

/// Merges members over an object; null removes one.
pub(crate) fn with(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    let map = object.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            map.remove(&name)
        } else {
            map.insert(name, value)
        };
    }
    object
}

/// How an address answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Json(Value),
    Text(&'static str),
    Status(u16),
    Redirect(String),
    Bytes(usize),
}

struct State {
    discovery: Answer,
    jwks: Answer,
    requests: watch::Sender<Vec<String>>,
}

/// An issuer in this process.
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
}

const OPEN: usize = 1_000_000;

impl FakeIssuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let discovery = Answer::Json(json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}));
        let state = Arc::new(Mutex::new(State {
            discovery,
            jwks: jwks_of(keys),
            requests: watch::Sender::default(),
        }));
        let gate = Arc::new(Semaphore::new(OPEN));
        let served = (Arc::clone(&state), Arc::clone(&gate));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, gate) = served.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    answer(Arc::clone(&state), Arc::clone(&gate), request)
                });
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { url, state, gate }
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        self.state.lock().unwrap().jwks = jwks_of(keys);
    }

    pub(crate) fn answer_jwks(&self, answer: Answer) {
        self.state.lock().unwrap().jwks = answer;
    }

    pub(crate) fn answer_discovery(&self, answer: Answer) {
        self.state.lock().unwrap().discovery = answer;
    }

    /// Every request so far, by path.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.borrow().clone()
    }

    /// Waits for the first request.
    pub(crate) async fn asked(&self) {
        self.asked_again(0).await;
    }

    /// Waits for a request after the first so many.
    pub(crate) async fn asked_again(&self, before: usize) {
        let mut requests = self.state.lock().unwrap().requests.subscribe();
        requests.wait_for(|requests| requests.len() > before).await.unwrap();
    }

    pub(crate) fn jwks_fetches(&self) -> usize {
        self.requests().iter().filter(|path| *path == "/jwks").count()
    }

    /// Holds every answer back until [`FakeIssuer::open`].
    pub(crate) fn close(&self) {
        self.gate.forget_permits(OPEN);
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(OPEN);
    }

    pub(crate) fn settings(&self) -> IssuerSettings {
        IssuerSettings::new("test", &*self.url, vec![OURS.into()])
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::new(vec![self.settings()], client()).unwrap()
    }

    /// Claims that are taken at [`T0`].
    pub(crate) fn claims(&self) -> Value {
        json!({"iss": self.url, "sub": "alice", "aud": OURS, "exp": T0 + 300, "iat": T0 - 1, "groups": ["eng"]})
    }
}

pub(crate) fn client() -> FetchClient {
    FetchClient::new(None).unwrap()
}

fn jwks_of(keys: &[&Key]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk.clone()).collect();
    Answer::Json(json!({"keys": keys}))
}

async fn answer(
    state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    state.lock().unwrap().requests.send_modify(|requests| requests.push(path.clone()));
    drop(gate.acquire().await);
    let answer = {
        let state = state.lock().unwrap();
        match path.as_str() {
            "/.well-known/openid-configuration" => state.discovery.clone(),
            "/jwks" => state.jwks.clone(),
            _ => Answer::Status(404),
        }
    };
    let mut response = Response::new(Full::default());
    match answer {
        Answer::Json(json) => *response.body_mut() = Full::from(json.to_string()),
        Answer::Text(text) => *response.body_mut() = Full::from(text),
        Answer::Bytes(count) => *response.body_mut() = Full::from(vec![b' '; count]),
        Answer::Status(status) => *response.status_mut() = StatusCode::from_u16(status).unwrap(),
        Answer::Redirect(to) => {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert("location", to.parse().unwrap());
        }
    }
    Ok(response)
}
