//! What the admin tests share: an issuer, people with tokens, a gateway with state in a directory of its own, and its
//! admin listener.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Json;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use keyward_core::policy::{PolicySet, PolicySource};
use keyward_core::{
    ApprovalId, ApprovalRule, Connection, ConnectionKind, GrantId, Operation, OperationClass, Principal,
    PrincipalKind, RequestDigest, RequestId, Resource, Timestamp, Upstream,
};
use keyward_gateway::admin::AdminServer;
use keyward_gateway::clock;
use keyward_gateway::fetch::{FetchClient, FetchLimits, FetchUrl, Fetched, PlainHttp};
use keyward_gateway::grants::NewGrant;
use keyward_gateway::identify::IssuerSettings;
use keyward_gateway::settings::{
    CliSignIn, ConnectionSettings, Credential, Holding, Http2, Inject, Limits, Roles, Settings, SignIn,
};
use keyward_gateway::snapshot::{Gateway, Shared};
use keyward_gateway::start::{JOURNAL_KEY, State, journal_dir};
use keyward_journal::record::AdminEvent;
use keyward_journal::{Durability, Reader, Record};
use keyward_secrets::MasterKey;
use keyward_store::{Approval, Binding, NewApproval, RequestSummary};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::schema;

const OURS: &str = "urn:keyward:test";

/// Who asks, by role: nobody, somebody else, the requester, an approver, an auditor, an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Nobody,
    Other,
    Requester,
    Approver,
    Auditor,
    Admin,
}

impl Who {
    pub(crate) const ALL: [Self; 6] =
        [Self::Nobody, Self::Other, Self::Requester, Self::Approver, Self::Auditor, Self::Admin];

    fn subject_and_groups(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Nobody => ("", &[]),
            Self::Other => ("bob", &["eng"]),
            Self::Requester => ("alice", &["eng"]),
            Self::Approver => ("olivia", &["model-owners"]),
            Self::Auditor => ("audrey", &["audit"]),
            Self::Admin => ("adam", &["ops"]),
        }
    }
}

/// A gateway at work.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) shared: Arc<Shared>,
    pub(crate) records: Arc<Reader>,
    pub(crate) current: Arc<ArcSwap<Gateway>>,
    pub(crate) document: Value,
    issuer: String,
    key: EcdsaKeyPair,
    client: FetchClient,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer and the route it came from.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let issuer = start_issuer(&key).await;
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut()).unwrap();
        let master_key = MasterKey::new(bytes).unwrap();
        let journal_key = master_key.derive(JOURNAL_KEY).unwrap();
        let data_dir = dir.path().join("data");
        let shared = Shared::open(State {
            data_dir: data_dir.clone(),
            master_key,
            durability: Durability::Written,
            segment_bytes_max: 1 << 20,
            min_free_bytes: 0,
            version: "test".to_owned(),
        });
        let shared = shared.await.unwrap();
        let records = Arc::new(Reader::open(&journal_dir(&data_dir), &journal_key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateway = Gateway::build(settings(&issuer, &url), Arc::clone(&shared), None).unwrap();
        let stop = CancellationToken::new();
        let current = Arc::new(ArcSwap::from_pointee(gateway));
        let server = AdminServer {
            listener,
            tls: None,
            current: Arc::clone(&current),
            records: Arc::clone(&records),
            stop: stop.clone(),
        };
        tokio::spawn(server.run(Duration::ZERO));
        let client = FetchClient::new(None).unwrap();
        Self {
            url,
            shared,
            records,
            current,
            document: schema::document(),
            issuer,
            key,
            client,
            stop,
            _dir: dir,
        }
    }

    pub(crate) fn token(&self, who: Who) -> String {
        let (subject, groups) = who.subject_and_groups();
        self.token_of(&json!({"sub": subject, "groups": groups}))
    }

    /// A token with these claims beside the usual ones.
    pub(crate) fn token_of(&self, claims: &Value) -> String {
        let now = clock::now().micros() / 1_000_000;
        let mut all =
            json!({"iss": self.issuer, "aud": OURS, "exp": now + 600, "iat": now - 1, "client_id": "cli"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "kid": "k", "typ": "at+jwt"});
        let signed = format!("{}.{}", encode(&header), encode(&all));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    pub(crate) fn principal(&self, who: Who) -> Principal {
        let (subject, groups) = who.subject_and_groups();
        Principal {
            issuer: self.issuer.as_str().into(),
            subject: subject.into(),
            kind: PrincipalKind::User,
            groups: groups.iter().map(|group| (*group).into()).collect(),
            name: None,
            acting_for: Vec::new(),
        }
    }

    /// Sends a request as it is said.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let url = FetchUrl::parse(&format!("{}{path}", self.url), PlainHttp::LoopbackOnly).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let limits = FetchLimits { body_bytes_max: 32 << 20, deadline: Duration::from_secs(100) };
        let sent = self.client.send(method, &url, map, Bytes::copy_from_slice(body.as_bytes()), limits);
        let Fetched { status, headers, body } = sent.await.unwrap();
        Answer { status: status.as_u16(), headers, body }
    }

    /// Sends a request and holds the answer against the OpenAPI document. `route` is `METHOD /path/{of}/the document`.
    pub(crate) async fn ask(&self, who: Who, route: &str, path: &str, body: Option<Value>) -> Answer {
        let token = (who != Who::Nobody).then(|| self.token(who));
        self.ask_with(token.as_deref(), route, path, body).await
    }

    pub(crate) async fn ask_with(
        &self,
        token: Option<&str>,
        route: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers: Vec<(&str, &str)> =
            bearer.iter().map(|value| ("authorization", value.as_str())).collect();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let method = route.split_once(' ').unwrap().0.parse().unwrap();
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.send(method, path, &headers, &text).await;
        self.holds(route, &answer);
        answer
    }

    /// The answer is what the document says.
    pub(crate) fn holds(&self, route: &str, answer: &Answer) {
        let content_type = answer.headers["content-type"].to_str().unwrap();
        let faults = schema::faults(&self.document, route, answer.status, content_type, &answer.body);
        assert!(faults.is_empty(), "{route} {}: {faults:?}\n{:?}", answer.status, answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers.contains_key("content-security-policy"));
    }

    /// A pending approval asked for by `who`, for a request of its own.
    pub(crate) async fn approval(&self, who: Who) -> Approval {
        self.approval_of(self.principal(who), 1).await
    }

    pub(crate) async fn approval_of(&self, principal: Principal, min: u32) -> Approval {
        let id = ApprovalId::new(clock::fresh_id());
        let mut digest = [0; 32];
        aws_lc_rs::rand::fill(&mut digest).unwrap();
        let new = NewApproval {
            id,
            binding: Binding {
                digest: RequestDigest::from_bytes(digest),
                policy_version: "p1".to_owned(),
                credential_version: "1".to_owned(),
            },
            principal,
            connection: "models".to_owned(),
            operation: operation(),
            rule: "export-needs-owner".to_owned(),
            reason: "Exporting weights leaves the perimeter".to_owned(),
            approval: owners(min),
            summary: RequestSummary {
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: "{\"model\":\"m\"}".to_owned(),
                body_bytes: 13,
                complete: true,
            },
            risk: keyward_core::Risk::default(),
            live_max: 1_000,
        };
        let asked = self.shared.approvals.ask(new, RequestId::new(clock::fresh_id())).await.unwrap();
        self.shared.approvals.get(asked.id).await.unwrap().unwrap()
    }

    /// A window asked for by `who`, which nobody opened yet.
    pub(crate) async fn grant(&self, who: Who) -> GrantId {
        let new = NewGrant {
            principal: Arc::new(self.principal(who)),
            connection: "models".into(),
            classes: vec![OperationClass::ModelExport],
            reason: "a backup".to_owned(),
            life: Duration::from_mins(5),
            uses_max: None,
            asked: Some(owners(1)),
        };
        let grant = new.into_grant(GrantId::new(clock::fresh_id()), clock::now());
        self.shared.grants.add(grant).await.unwrap().id
    }

    /// Every administrative record from number `from` on, and the number after the last record.
    pub(crate) fn admin_records(&self, from: u64) -> (Vec<AdminEvent>, u64) {
        let mut events = Vec::new();
        let next = self.records.records(from, &mut |_, record| {
            if let Record::Admin(event) = record {
                events.push(event);
            }
            true
        });
        (events, next.unwrap())
    }
}

fn owners(min: u32) -> ApprovalRule {
    ApprovalRule {
        approvers: vec!["group:model-owners".to_owned()].into(),
        and: Vec::new(),
        min,
        ttl: Duration::from_mins(15),
        bind: keyward_core::Bind::Request,
        grant: Some(Duration::from_hours(1)),
        moderated: None,
    }
}

pub(crate) fn operation() -> Operation {
    Operation {
        class: OperationClass::ModelExport,
        resource: Resource { model: "m".to_owned(), ..Resource::default() },
        method: "GET".to_owned(),
        path: "/v1/models/m/weights".to_owned(),
        query: String::new(),
        stream: false,
        body_bytes: Some(13),
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    }
}

pub(crate) fn at(offset_us: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + offset_us)
}

fn settings(issuer: &str, url: &str) -> Settings {
    let upstream = Upstream { https: false, host: "127.0.0.1".into(), port: 9, base_path: "/v1".into() };
    let connection = Connection {
        name: "models".into(),
        kind: ConnectionKind::OpenAi,
        upstream,
        tags: [("env".to_owned(), "test".to_owned())].into(),
        owners: Vec::new(),
    };
    let credential = Credential { reference: "keyward://models".parse().unwrap(), inject: Inject::Bearer };
    let windows = "apiVersion: keyward/v1
kind: Policy
metadata: {name: windows}
rules:
  - id: exports-in-a-window
    effect: approve
    when: 'operation.class == \"model.export\"'
    approval: {approvers: ['group:model-owners'], ttl: 15m, grant: 1h}
";
    let windows = PolicySource { name: "windows.yaml".to_owned(), text: windows.to_owned() };
    let policy = PolicySet::load(&[PolicySource::base(), windows], &["credentials"]).unwrap();
    let member = |group: &str| vec![format!("group:{group}")];
    Settings {
        break_glass: Some(Duration::from_mins(30)),
        people: keyward_core::People::default(),
        sign_in: Some(SignIn {
            issuer: issuer.to_owned(),
            client_id: "keyward".to_owned(),
            client_secret: None,
            scopes: vec!["openid".to_owned()],
            session: Duration::from_hours(1),
            fresh: Duration::from_mins(5),
            cli: Some(CliSignIn {
                client_id: "keyward-cli".to_owned(),
                scopes: vec!["openid".to_owned()],
                resource: Some(OURS.to_owned()),
            }),
        }),
        issuers: vec![IssuerSettings::new("test", issuer, vec![OURS.to_owned()])],
        connections: vec![ConnectionSettings {
            connection,
            routes: Arc::from([]),
            credential: Some(credential),
            hosts: vec!["models.internal".to_owned()],
            http2: Http2::Auto,
            ca_pem: None,
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(1),
            request_body_bytes_max: 1 << 20,
            weights_bytes: None,
        }],
        policy: Arc::new(policy),
        points: std::collections::HashMap::new(),
        detectors: keyward_mask::Detectors::builtin(),
        public_url: url.to_owned(),
        notify: Vec::new(),
        data_url: Some("https://keyward.example.com".to_owned()),
        holding: Holding { pending_per_principal_max: 1_000, ..Holding::default() },
        limits: Limits::default(),
        roles: Roles {
            members: [("auditor".to_owned(), member("audit")), ("admin".to_owned(), member("ops"))].into(),
        },
    }
}

async fn start_issuer(key: &EcdsaKeyPair) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "alg": "ES256", "x": encode(x), "y": encode(y)});
    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")});
    let routes = axum::Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
        .route("/jwks", get(async move || Json(json!({"keys": [jwk]}))));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}
