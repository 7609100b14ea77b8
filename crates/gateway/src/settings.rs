//! What the gateway is told to do: resolved, checked values that the composition hands over. How they are written in a
//! file is the configuration's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use keyward_core::policy::PolicySet;
use keyward_core::{Connection, People};
use keyward_mask::Detectors;
use keyward_secrets::SecretRef;

use crate::consult::Points;
use crate::identify::IssuerSettings;
use crate::notify::Target;
use crate::understand::{Api, OwnRoute};

/// Everything that one configuration says about the data path. A reload makes a new one.
pub struct Settings {
    /// Who is believed about callers; at least one.
    pub issuers: Vec<IssuerSettings>,
    /// Where calls may go.
    pub connections: Vec<ConnectionSettings>,
    /// What is allowed.
    pub policy: Arc<PolicySet>,
    /// Whom its `consult` rules ask.
    pub points: Points,
    /// What its `mask` rules choose from.
    pub detectors: Arc<Detectors>,
    /// Base of the links in refusals, without a slash at the end.
    pub public_url: String,
    /// Whom it tells.
    pub notify: Vec<Arc<Target>>,
    /// Where callers reach the data listener, without a slash at the end; none where nobody said so.
    pub data_url: Option<String>,
    /// How calls wait for a human.
    pub holding: Holding,
    /// Bounds.
    pub limits: Limits,
    /// Who may do what on the admin API.
    pub roles: Roles,
    /// How long a window is open at most that is opened without an approval, by those in the list `break_glass` of
    /// [`Roles`]; none: nobody opens one.
    pub break_glass: Option<Duration>,
    /// Which accounts are whose.
    pub people: People,
    /// How people sign in with a browser; none: they do not.
    pub sign_in: Option<SignIn>,
}

/// How people sign in with a browser.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The url of one of the issuers.
    pub issuer: String,
    /// The client's identifier there; its redirect URI is `{public_url}/auth/callback`.
    pub client_id: String,
    /// Its secret, for clients that have one.
    pub client_secret: Option<SecretRef>,
    /// What is asked for; `openid` among them.
    pub scopes: Vec<String>,
    /// How long a browser's session lasts at most.
    pub session: Duration,
    /// How old the proof of who one is may be for a decision.
    pub fresh: Duration,
    /// How people sign in on a command line; none: with tokens that they bring.
    pub cli: Option<CliSignIn>,
}

/// How people sign in on a command line, at the same issuer.
#[derive(Debug, Clone)]
pub struct CliSignIn {
    /// The public client's identifier there.
    pub client_id: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What the token is for (RFC 8707), where the issuer has to be told.
    pub resource: Option<String>,
}

/// A connection and how its credential gets on the wire.
pub struct ConnectionSettings {
    /// As policy sees it.
    pub connection: Connection,
    /// Routes of its own, for a connection of kind `http`.
    pub routes: Arc<[OwnRoute]>,
    /// The upstream credential; none for an open endpoint.
    pub credential: Option<Credential>,
    /// Host names that lead here without the name in the path.
    pub hosts: Vec<String>,
    /// HTTP/2 towards the upstream.
    pub http2: Http2,
    /// Extra certificate authorities, PEM; the system's when none.
    pub ca_pem: Option<Vec<u8>>,
    /// Longest time to the head of the upstream's answer.
    pub header_timeout: Duration,
    /// Longest silence of the upstream within a response body.
    pub idle_timeout: Duration,
    /// Longest request body in bytes.
    pub request_body_bytes_max: u64,
    /// From how many bytes on an answer that is no text is taken for weights; none: never for its size.
    pub weights_bytes: Option<u64>,
}

impl ConnectionSettings {
    /// What it speaks.
    pub fn api(&self) -> Api<'_> {
        Api { kind: self.connection.kind, own: &self.routes }
    }
}

/// A reference to a secret, and where it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Which secret.
    pub reference: SecretRef,
    /// Where on the request.
    pub inject: Inject,
}

/// Where a credential is put on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inject {
    /// `Authorization: Bearer …`
    Bearer,
    /// The value of this header.
    Header(HeaderName),
}

/// Whether HTTP/2 is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2 {
    /// Where TLS negotiates it.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Always, without negotiation (also in plain text).
    PriorKnowledge,
}

/// How calls wait for a human (design §7).
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    /// How long a call that is not a stream waits silently.
    pub wait: Duration,
    /// How long a stream waits before its head goes out.
    pub commit_after: Duration,
    /// Time between two comment lines on a held stream.
    pub keepalive: Duration,
    /// Pending approvals that one principal may have at once.
    pub pending_per_principal_max: u32,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(50),
            commit_after: Duration::from_secs(2),
            keepalive: Duration::from_secs(15),
            pending_per_principal_max: 100,
        }
    }
}

/// Bounds on what one call may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body that is read before the verdict, in bytes.
    pub inspect_body_bytes_max: u64,
    /// Most headers of one request.
    pub headers_max: usize,
    /// Longest head of a request, in bytes.
    pub header_bytes_max: u32,
    /// Longest time from the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// Connections open at once.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inspect_body_bytes_max: 8 * 1024 * 1024,
            headers_max: 100,
            header_bytes_max: 64 * 1024,
            head_timeout: Duration::from_secs(15),
            connections_max: 20_000,
        }
    }
}

/// Roles of the admin API, each a list of `group:NAME` or `user:ISSUER#SUBJECT`.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// Role name (`admin`, `auditor`) to who has it; `break_glass` to who may open a window without an approval.
    pub members: BTreeMap<String, Vec<String>>,
}
