//! The Anthropic API.

use keyward_core::OperationClass::{
    AdminConfig, BatchCreate, ChatCompletions, FilesDelete, FilesRead, FilesWrite, ModelsList,
};

use super::routes::Body::{Json, JsonOrNothing, Multipart, Nothing, Unread};
use super::routes::{Route, Table};

/// Asking after a batch is what creating it is.
const ROUTES: &[Route] = &[
    ("POST", "messages", ChatCompletions, Json),
    ("POST", "messages/count_tokens", ChatCompletions, Json),
    ("POST", "complete", ChatCompletions, Json),
    ("GET", "messages/batches", BatchCreate, Nothing),
    ("GET", "messages/batches/*", BatchCreate, Nothing),
    ("GET", "messages/batches/*/results", BatchCreate, Nothing),
    ("POST", "messages/batches", BatchCreate, Json),
    ("POST", "messages/batches/*/cancel", BatchCreate, JsonOrNothing),
    ("DELETE", "messages/batches/*", FilesDelete, Nothing),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/**", ModelsList, Nothing),
    ("GET", "files", FilesRead, Nothing),
    ("GET", "files/*", FilesRead, Nothing),
    ("GET", "files/*/content", FilesRead, Nothing),
    ("POST", "files", FilesWrite, Multipart),
    ("DELETE", "files/*", FilesDelete, Nothing),
    ("GET", "organizations/**", AdminConfig, Unread),
    ("POST", "organizations/**", AdminConfig, Unread),
    ("DELETE", "organizations/**", AdminConfig, Unread),
];

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["v1"], routes: ROUTES };
