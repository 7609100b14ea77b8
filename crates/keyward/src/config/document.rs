//! The shape of `keyward.yaml`: what may stand in it, with its defaults.
//!
//! A default is given only where it is safe; what weakens security carries `insecure` in its name and is off.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use keyward_core::{ConnectionKind, PrincipalKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deciders::{BreakGlass, DecisionPoint, Person};
use super::notifications::Notification;
use super::owners::Owners;
use super::reference::Reference;
use super::routes::Route;
use super::scalar::{ByteSize, Period};
use super::sign_in::SignIn;

/// Where the data listener stands unless told otherwise.
pub const DATA_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8700);
/// Where the admin listener stands unless told otherwise.
pub const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8701);

/// The configuration of a Keyward gateway.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Keyward configuration")]
pub struct Config {
    /// Directory of the journal and the database; made on first start, readable by its owner only.
    pub data_dir: PathBuf,
    /// The address of the admin listener as people reach it, for links in refusals and approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "http-url"))]
    pub public_url: Option<String>,
    /// The address of the data listener as callers reach it, for the base URLs that the API and `keyward run` name. Without
    /// it, the listener's own where that is on loopback, and none elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "http-url"))]
    pub data_url: Option<String>,
    /// Addresses that the gateway listens on.
    #[serde(default)]
    pub listen: Listen,
    /// The key that protects the embedded secrets and the journal: `file:///path` or `env://NAME`.
    pub master_key: Reference,
    /// Who vouches for callers; at least one.
    pub issuers: Vec<Issuer>,
    /// Where calls may go; at least one.
    pub connections: Vec<ConnectionSettings>,
    /// Policy documents: `builtin:base` and other shipped packs, or files relative to this one; at least one.
    pub policies: Vec<String>,
    /// Services that rules with `effect: consult` ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decision_points: Vec<DecisionPoint>,
    /// Whom to tell when somebody waits for an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
    /// Packs of detectors of one's own, beside the shipped ones: files relative to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<String>,
    /// Who may use the admin API, beyond what everybody may do with their own sessions and approvals.
    #[serde(default)]
    pub roles: Roles,
    /// People with several accounts: each is one when it comes to deciding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Who may open a window without an approval, in an emergency; without it, nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// How people sign in to the web interface with a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// How exchanges are recorded.
    #[serde(default)]
    pub journal: Journal,
    /// How a call waits for a human.
    #[serde(default)]
    pub holding: Holding,
    /// Bounds of the data listener.
    #[serde(default)]
    pub limits: Limits,
    /// How long streams in flight may go on after a stop was asked for.
    #[serde(default = "drain")]
    pub drain: Period,
    /// What is logged, and how.
    #[serde(default)]
    pub log: Log,
}

fn drain() -> Period {
    Period::from_secs(30)
}

/// Addresses that the gateway listens on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Callers' traffic.
    pub data: DataListener,
    /// Admin API, health and metrics.
    pub admin: AdminListener,
}

/// Where callers connect to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataListener {
    /// IP address and port.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub address: SocketAddr,
    /// Certificate and key; without it, plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Allows plain HTTP on an address that is not loopback: tokens and prompts can then be read on the way.
    pub insecure_plaintext: bool,
}

impl Default for DataListener {
    fn default() -> Self {
        Self { address: DATA_ADDRESS, tls: None, insecure_plaintext: false }
    }
}

/// Where administrators and probes connect to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminListener {
    /// IP address and port.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub address: SocketAddr,
    /// Certificate and key; without it, plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Allows plain HTTP on an address that is not loopback: tokens and decisions can then be read on the way.
    pub insecure_plaintext: bool,
}

impl Default for AdminListener {
    fn default() -> Self {
        Self { address: ADMIN_ADDRESS, tls: None, insecure_plaintext: false }
    }
}

/// A listener's certificate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain, relative to this file.
    pub certificate: PathBuf,
    /// The private key (PEM) by reference: `file:///path/key.pem`.
    pub key: Reference,
}

/// An OpenID Connect issuer whose tokens are accepted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its short name, for logs and messages.
    pub name: String,
    /// Its identifier, byte for byte as in `iss`; discovery is read below it.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// Accepted audiences (`aud`); at least one.
    pub audiences: Vec<String>,
    /// Accepted clients (`azp`, `client_id`); empty accepts all.
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// The claim that holds the groups; dots lead into objects.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Accepted signature algorithms.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// What kind of caller its tokens stand for; `auto` looks at the claims.
    #[serde(default)]
    pub kind: IssuerKind,
    /// How far its clock may differ from ours; at most 5m.
    #[serde(default = "clock_skew")]
    pub clock_skew: Period,
    /// Allows plain HTTP towards an issuer that is not on loopback: whoever sits between can then forge tokens.
    #[serde(default)]
    pub insecure_http: bool,
    /// Where its keys are, when discovery does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "http-url"))]
    pub jwks_uri: Option<String>,
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256, Algorithm::Es256]
}

fn clock_skew() -> Period {
    Period::from_secs(60)
}

/// A signature algorithm for tokens. Only public-key ones: nobody shares a key with the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Its registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What kind of caller an issuer's tokens stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IssuerKind {
    /// By the token's claims.
    #[default]
    Auto,
    /// People.
    User,
    /// Machines.
    Service,
    /// Programs that act by a model's choice.
    Agent,
}

impl IssuerKind {
    /// The fixed kind; none for `auto`.
    pub const fn fixed(self) -> Option<PrincipalKind> {
        match self {
            Self::Auto => None,
            Self::User => Some(PrincipalKind::User),
            Self::Service => Some(PrincipalKind::Service),
            Self::Agent => Some(PrincipalKind::Agent),
        }
    }
}

/// A registered endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// The first segment of the path that callers use: lower-case letters, digits, `-`, `_`; at most 63.
    pub name: String,
    /// The dialect it speaks.
    pub kind: ConnectionKind,
    /// What calls of a connection of kind `http` do, where their methods say too little: the first route that fits holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// `https://host[:port][/base/path]`.
    #[schemars(extend("format" = "http-url"))]
    pub upstream: String,
    /// What is put on requests; `openai`, `anthropic` and `gemini` need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Host names that lead here without the name in the path.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Free words for policy (`connection.tags.env == "prod"`).
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Who owns it, for rules that ask the `owner`: `group:NAME` or `user:ISSUER#SUBJECT`, or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owners>,
    /// HTTP/2 towards the upstream.
    #[serde(default)]
    pub h2: Http2,
    /// PEM file with certificate authorities to trust for this upstream besides the system's, relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Allows plain HTTP towards an upstream that is not on loopback: the credential can then be read on the way.
    #[serde(default)]
    pub insecure_http_upstream: bool,
    /// Bounds of one exchange.
    #[serde(default)]
    pub limits: ConnectionLimits,
}

/// Which secret is put on requests, and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The secret by reference: `keyward://name`, `env://NAME` or `file:///path`.
    pub secret: Reference,
    /// Where it goes.
    pub inject: Inject,
}

/// Where a credential goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Inject {
    /// `Authorization: Bearer …`
    Bearer,
    /// The value of this header.
    Header(String),
}

/// HTTP/2 towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// When TLS negotiates it.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// Always, without asking (h2c).
    PriorKnowledge,
}

/// Bounds of one exchange on a connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// Longest request body; none means no bound of its own (bodies stream).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body_bytes_max: Option<ByteSize>,
    /// From this size on, an answer that is no text is taken for weights of a model, and judged as `model.export`; so is
    /// what one caller takes of one path piece by piece within a day. `0`: its size says nothing.
    pub weights_bytes: ByteSize,
    /// How long the upstream may take to its response head.
    pub header_timeout: Period,
    /// How long the upstream may be silent within a response body.
    pub idle_timeout: Period,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            request_body_bytes_max: None,
            weights_bytes: ByteSize::from_mib(1024),
            header_timeout: Period::from_secs(600),
            idle_timeout: Period::from_secs(300),
        }
    }
}

/// Who may use the admin API: each entry is `group:NAME` or `user:ISSUER#SUBJECT`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// May see and change everything.
    pub admin: Vec<String>,
    /// May see everything.
    pub auditor: Vec<String>,
}

/// How exchanges are recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// When a record counts as written.
    pub durability: Durability,
    /// A segment file grows to this.
    pub segment_bytes_max: ByteSize,
    /// Below this much free space no new exchange is accepted.
    pub min_free_bytes: ByteSize,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            durability: Durability::Written,
            segment_bytes_max: ByteSize::from_mib(256),
            min_free_bytes: ByteSize::from_mib(256),
        }
    }
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Handed to the operating system: a killed process loses nothing.
    Written,
    /// On disk: a power cut loses nothing.
    Synced,
}

/// How a call waits for a human.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Holding {
    /// Longest silent wait before the caller is asked to retry.
    pub wait: Period,
    /// A stream's status goes out after this.
    pub stream_commit_after: Period,
    /// A waiting stream gets a comment line this often.
    pub keepalive: Period,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            wait: Period::from_secs(50),
            stream_commit_after: Period::from_secs(2),
            keepalive: Period::from_secs(15),
        }
    }
}

/// Bounds of the data listener.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest body that is read to decide; a longer one that must be read is refused.
    pub inspect_body_bytes_max: ByteSize,
    /// Longest request head.
    pub header_bytes_max: ByteSize,
    /// Most callers' connections at once.
    pub connections_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inspect_body_bytes_max: ByteSize::from_mib(8),
            header_bytes_max: ByteSize::new(64 * 1024),
            connections_max: 20_000,
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least severe level that is logged; `KEYWARD_LOG` overrides it.
    pub level: LogLevel,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Auto }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual five, and off")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
}
