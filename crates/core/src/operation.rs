//! What an exchange does, understood.

use std::fmt;
use std::str::FromStr;

macro_rules! classes {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// The intent of an operation: a closed list. What fits none is [`OperationClass::Unknown`], which policy can match.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum OperationClass { $(#[doc = concat!("`", $text, "`")] $variant),* }
        impl OperationClass {
            /// Every class, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// The word used in policy, API and journal.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),* } }
        }
        impl FromStr for OperationClass {
            type Err = UnknownClass;
            fn from_str(text: &str) -> Result<Self, UnknownClass> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(UnknownClass(text.chars().take(80).collect())) }
            }
        }
    };
}

classes! {
    ChatCompletions = "chat.completions", Responses = "responses", Embeddings = "embeddings", Rerank = "rerank",
    Images = "images", Audio = "audio", Moderations = "moderations", BatchCreate = "batch.create",
    FilesRead = "files.read", FilesWrite = "files.write", FilesDelete = "files.delete", ModelsList = "models.list",
    ModelInfer = "model.infer", ModelLoad = "model.load", ModelUnload = "model.unload", ModelExport = "model.export",
    LoraLoad = "lora.load", FinetuneCreate = "finetune.create", AdminConfig = "admin.config", MetricsRead = "metrics.read",
    ToolCall = "tool.call", McpList = "mcp.list", McpCall = "mcp.call", ResourceRead = "resource.read",
    SqlRead = "sql.read", SqlWrite = "sql.write", SqlDdl = "sql.ddl", SqlAdmin = "sql.admin",
    RedisRead = "redis.read", RedisWrite = "redis.write", RedisAdmin = "redis.admin",
    HttpRead = "http.read", HttpWrite = "http.write", GrpcCall = "grpc.call", FileRead = "file.read",
    FileWrite = "file.write", ShellExec = "shell.exec", SecretRead = "secret.read", SecretWrite = "secret.write",
    AccessGrant = "access.grant", Realtime = "realtime", Unknown = "unknown",
}

/// A word that is not in the list of classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an operation class")]
pub struct UnknownClass(String);

impl fmt::Display for OperationClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for OperationClass {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for OperationClass {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What an operation acts on. Every part is what the request said after canonicalisation; empty where it said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Resource {
    /// The model's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// A file's id or path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The tools offered to the model, or the tool called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

/// What an exchange does. `method` and `path` are canonical: what was judged is what is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Operation {
    /// The intent.
    pub class: OperationClass,
    /// What it acts on.
    pub resource: Resource,
    /// The request method, upper case.
    pub method: String,
    /// The path at the upstream, without query, starting with `/`.
    pub path: String,
    /// The raw query, without `?`; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The caller asked for a stream (`"stream": true`).
    pub stream: bool,
    /// Length of the request body in bytes where it was read to the end or declared; none while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Whether the request reaches for a file that commonly holds secrets.
    pub touches_secret_file: bool,
    /// Whether it names a URL or host inside of a private network, which whoever reads the request may fetch.
    #[serde(default)]
    pub fetches_private: bool,
    /// The names at the top of a JSON body of a model API, sorted; those of its parameters' objects as `options.num_ctx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What it holds: the requests of a batch, each of which is judged too, and which are not recorded one by one.
    #[serde(skip)]
    pub inner: Vec<Self>,
}
