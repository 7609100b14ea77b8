//! The OpenAI API, and what servers compatible with it add.

use keyward_core::OperationClass::{
    AdminConfig, Audio, BatchCreate, ChatCompletions, Embeddings, FilesDelete, FilesRead, FilesWrite,
    FinetuneCreate, Images, LoraLoad, MetricsRead, ModelUnload, ModelsList, Moderations, Realtime, Rerank,
    Responses,
};

use super::routes::Body::{Json, JsonOrNothing, Multipart, Nothing, Unread};
use super::routes::{Route, Table};

/// Asking after a batch, a job or a stored response is what creating it is. `realtime` is the WebSocket (`super::message`
/// reads what passes over it). Stored chat completions, client secrets and calls of `realtime`, assistants, vector stores, containers and evaluations are not in the table, and so unknown.
const ROUTES: &[Route] = &[
    ("POST", "chat/completions", ChatCompletions, Json),
    ("POST", "completions", ChatCompletions, Json),
    ("POST", "responses", Responses, Json),
    ("POST", "responses/input_tokens", Responses, Json),
    ("POST", "responses/compact", Responses, Json),
    ("GET", "responses/*", Responses, Nothing),
    ("GET", "responses/*/input_items", Responses, Nothing),
    ("POST", "responses/*/cancel", Responses, JsonOrNothing),
    ("DELETE", "responses/*", Responses, Nothing),
    ("GET", "realtime", Realtime, Nothing),
    ("POST", "embeddings", Embeddings, Json),
    ("POST", "rerank", Rerank, Json),
    ("POST", "moderations", Moderations, Json),
    ("POST", "images/generations", Images, Json),
    ("POST", "images/edits", Images, Multipart),
    ("POST", "images/variations", Images, Multipart),
    ("POST", "audio/speech", Audio, Json),
    ("POST", "audio/transcriptions", Audio, Multipart),
    ("POST", "audio/translations", Audio, Multipart),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/**", ModelsList, Nothing),
    ("DELETE", "models/**", ModelUnload, Nothing),
    ("GET", "files", FilesRead, Nothing),
    ("GET", "files/*", FilesRead, Nothing),
    ("GET", "files/*/content", FilesRead, Nothing),
    ("POST", "files", FilesWrite, Multipart),
    ("DELETE", "files/*", FilesDelete, Nothing),
    ("POST", "uploads", FilesWrite, Json),
    ("POST", "uploads/*/parts", FilesWrite, Multipart),
    ("POST", "uploads/*/complete", FilesWrite, Json),
    ("POST", "uploads/*/cancel", FilesWrite, JsonOrNothing),
    ("GET", "batches", BatchCreate, Nothing),
    ("GET", "batches/*", BatchCreate, Nothing),
    ("POST", "batches", BatchCreate, Json),
    ("POST", "batches/*/cancel", BatchCreate, JsonOrNothing),
    ("GET", "fine_tuning/jobs", FinetuneCreate, Nothing),
    ("GET", "fine_tuning/jobs/*", FinetuneCreate, Nothing),
    ("GET", "fine_tuning/jobs/*/events", FinetuneCreate, Nothing),
    ("GET", "fine_tuning/jobs/*/checkpoints", FinetuneCreate, Nothing),
    ("POST", "fine_tuning/jobs", FinetuneCreate, Json),
    ("POST", "fine_tuning/jobs/*/cancel", FinetuneCreate, JsonOrNothing),
    ("POST", "fine_tuning/jobs/*/pause", FinetuneCreate, JsonOrNothing),
    ("POST", "fine_tuning/jobs/*/resume", FinetuneCreate, JsonOrNothing),
    ("GET", "fine_tuning/checkpoints/**", AdminConfig, Unread),
    ("POST", "fine_tuning/checkpoints/**", AdminConfig, Unread),
    ("DELETE", "fine_tuning/checkpoints/**", AdminConfig, Unread),
    ("GET", "organization/**", AdminConfig, Unread),
    ("POST", "organization/**", AdminConfig, Unread),
    ("DELETE", "organization/**", AdminConfig, Unread),
    ("POST", "load_lora_adapter", LoraLoad, Json),
    ("POST", "unload_lora_adapter", ModelUnload, Json),
    ("GET", "metrics", MetricsRead, Nothing),
    ("GET", "health", MetricsRead, Nothing),
    ("GET", "version", MetricsRead, Nothing),
];

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["v1"], routes: ROUTES };
