//! Google's Gemini API: what is done stands behind a colon in the last segment.

use keyward_core::OperationClass::{
    AdminConfig, BatchCreate, ChatCompletions, Embeddings, FilesDelete, FilesRead, FilesWrite,
    FinetuneCreate, Images, ModelUnload, ModelsList,
};

use super::routes::Body::{Json, JsonOrNothing, Nothing, Unread};
use super::routes::{Route, Table};

/// The table. Uploads stand below `upload/` before the version.
pub(super) const TABLE: Table = Table { prefixes: &["v1", "v1beta", "v1alpha"], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("POST", "models/*:generateContent", ChatCompletions, Json),
    ("POST", "models/*:streamGenerateContent", ChatCompletions, Json),
    ("POST", "models/*:countTokens", ChatCompletions, Json),
    ("POST", "models/*:embedContent", Embeddings, Json),
    ("POST", "models/*:batchEmbedContents", Embeddings, Json),
    ("POST", "models/*:asyncBatchEmbedContent", BatchCreate, Json),
    ("POST", "models/*:batchGenerateContent", BatchCreate, Json),
    ("POST", "models/*:predict", Images, Json),
    ("POST", "models/*:predictLongRunning", Images, Json),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/*", ModelsList, Nothing),
    ("GET", "models/*/operations/*", BatchCreate, Nothing),
    ("POST", "tunedModels/*:generateContent", ChatCompletions, Json),
    ("POST", "tunedModels/*:streamGenerateContent", ChatCompletions, Json),
    ("POST", "tunedModels", FinetuneCreate, Json),
    ("PATCH", "tunedModels/*", FinetuneCreate, Json),
    ("GET", "tunedModels", ModelsList, Nothing),
    ("GET", "tunedModels/*", ModelsList, Nothing),
    ("DELETE", "tunedModels/*", ModelUnload, Nothing),
    ("POST", "tunedModels/*:transferOwnership", AdminConfig, Unread),
    ("GET", "tunedModels/*/permissions/**", AdminConfig, Unread),
    ("POST", "tunedModels/*/permissions", AdminConfig, Unread),
    ("PATCH", "tunedModels/*/permissions/**", AdminConfig, Unread),
    ("DELETE", "tunedModels/*/permissions/**", AdminConfig, Unread),
    ("POST", "upload/v1beta/files", FilesWrite, Unread),
    ("POST", "upload/v1/files", FilesWrite, Unread),
    ("PUT", "upload/v1beta/files", FilesWrite, Unread),
    ("POST", "files", FilesWrite, JsonOrNothing),
    ("GET", "files", FilesRead, Nothing),
    ("GET", "files/*:download", FilesRead, Nothing),
    ("GET", "files/*", FilesRead, Nothing),
    ("DELETE", "files/*", FilesDelete, Nothing),
    ("POST", "cachedContents", FilesWrite, Json),
    ("GET", "cachedContents", FilesRead, Nothing),
    ("GET", "cachedContents/*", FilesRead, Nothing),
    ("PATCH", "cachedContents/*", FilesWrite, Json),
    ("DELETE", "cachedContents/*", FilesDelete, Nothing),
    ("GET", "batches", BatchCreate, Nothing),
    ("GET", "batches/*", BatchCreate, Nothing),
    ("POST", "batches/*:cancel", BatchCreate, JsonOrNothing),
    ("DELETE", "batches/*", FilesDelete, Nothing),
];
