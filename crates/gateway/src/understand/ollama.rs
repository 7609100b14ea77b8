//! Ollama: inference, and a store of models that is administered on the same port. `push` sends weights to a registry.

use keyward_core::OperationClass::{
    AdminConfig, ChatCompletions, Embeddings, FilesRead, FilesWrite, MetricsRead, ModelExport, ModelLoad,
    ModelUnload, ModelsList, Responses,
};

use super::routes::Body::{Json, Nothing, Unread};
use super::routes::{Route, Table};

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["v1"], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("POST", "api/generate", ChatCompletions, Json),
    ("POST", "api/chat", ChatCompletions, Json),
    ("POST", "api/embed", Embeddings, Json),
    ("POST", "api/embeddings", Embeddings, Json),
    ("GET", "api/tags", ModelsList, Nothing),
    ("POST", "api/show", ModelsList, Json),
    ("GET", "api/ps", MetricsRead, Nothing),
    ("GET", "api/version", MetricsRead, Nothing),
    ("GET", "", MetricsRead, Nothing),
    ("POST", "api/pull", ModelLoad, Json),
    ("POST", "api/create", ModelLoad, Json),
    ("POST", "api/copy", AdminConfig, Json),
    ("POST", "api/push", ModelExport, Json),
    ("DELETE", "api/delete", ModelUnload, Json),
    ("GET", "api/blobs/*", FilesRead, Nothing),
    ("POST", "api/blobs/*", FilesWrite, Unread),
    ("POST", "chat/completions", ChatCompletions, Json),
    ("POST", "completions", ChatCompletions, Json),
    ("POST", "responses", Responses, Json),
    ("POST", "messages", ChatCompletions, Json),
    ("POST", "embeddings", Embeddings, Json),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/**", ModelsList, Nothing),
];
