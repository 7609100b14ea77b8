//! Where calls go: a registered endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Which dialect an endpoint speaks; decides the adapter that understands a request and the shape of errors.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionKind {
    /// The OpenAI API and servers compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
    /// The Anthropic API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// vLLM: the OpenAI API and its own administration.
    Vllm,
    /// Text Generation Inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// The Open Inference Protocol over HTTP: Triton, MLServer, `KServe`; `TorchServe` and TensorFlow Serving too.
    KserveV2,
    /// MLflow, and hubs from which models are downloaded.
    Mlflow,
    /// Any other HTTP endpoint.
    Http,
}

impl ConnectionKind {
    /// The word used in configuration, policy, API and journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Vllm => "vllm",
            Self::Tgi => "tgi",
            Self::Ollama => "ollama",
            Self::KserveV2 => "kserve-v2",
            Self::Mlflow => "mlflow",
            Self::Http => "http",
        }
    }

    /// Every kind, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Vllm,
        Self::Tgi,
        Self::Ollama,
        Self::KserveV2,
        Self::Mlflow,
        Self::Http,
    ];

    /// Whether models are served behind it, so that an operation nobody understands is worth blocking.
    pub const fn serves_models(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// Whether it is a service on the internet that is of no use without a credential.
    pub const fn needs_credential(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Gemini)
    }

    /// Whether a request for a stream is answered with server-sent events that begin with comments as well.
    pub const fn streams_events(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Vllm)
    }
}

/// The address behind a connection: `scheme://host:port/base_path`. Fixed by configuration; a request never chooses it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Upstream {
    /// TLS towards the upstream.
    pub https: bool,
    /// Host name or IP literal (IPv6 in brackets), lower case.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// Put before the request's path; empty or starting with `/`, never ending with `/`.
    pub base_path: Arc<str>,
}

impl Upstream {
    /// `host` or `host:port`, as `Host` and `:authority` carry it: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let default = if self.https { 443 } else { 80 };
        if self.port == default { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path)
    }
}

/// A registered endpoint, as policy sees it. How its credential is injected is the gateway's business.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Connection {
    /// Its name: the first segment of the path that callers use. Lower-case letters, digits, `-`, `_`, at most 63.
    pub name: Arc<str>,
    /// The dialect it speaks.
    pub kind: ConnectionKind,
    /// Where it leads.
    pub upstream: Upstream,
    /// Free words for policy (`connection.tags.env == "prod"`).
    pub tags: BTreeMap<String, String>,
    /// Who owns it: `group:NAME` or `user:ISSUER#SUBJECT`. Rules may ask them ([`OWNER`](crate::OWNER)).
    pub owners: Vec<String>,
}
