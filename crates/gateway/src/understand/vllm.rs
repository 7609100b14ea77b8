//! vLLM: inference as OpenAI has it, more of its own, and administration on the same port.

use keyward_core::OperationClass::{
    AdminConfig, Audio, ChatCompletions, Embeddings, LoraLoad, MetricsRead, ModelInfer, ModelUnload,
    ModelsList, Rerank, Responses,
};

use super::routes::Body::{Json, JsonOrNothing, Multipart, Nothing, Unread};
use super::routes::{Route, Table};

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["v1", "v2"], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("POST", "chat/completions", ChatCompletions, Json),
    ("POST", "completions", ChatCompletions, Json),
    ("POST", "messages", ChatCompletions, Json),
    ("POST", "messages/count_tokens", ChatCompletions, Json),
    ("POST", "responses", Responses, Json),
    ("GET", "responses/*", Responses, Nothing),
    ("POST", "responses/*/cancel", Responses, JsonOrNothing),
    ("POST", "embeddings", Embeddings, Json),
    ("POST", "embed", Embeddings, Json),
    ("POST", "pooling", ModelInfer, Json),
    ("POST", "classify", ModelInfer, Json),
    ("POST", "score", Rerank, Json),
    ("POST", "rerank", Rerank, Json),
    ("POST", "invocations", ModelInfer, Json),
    ("POST", "tokenize", ModelInfer, Json),
    ("POST", "detokenize", ModelInfer, Json),
    ("POST", "audio/transcriptions", Audio, Multipart),
    ("POST", "audio/translations", Audio, Multipart),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/**", ModelsList, Nothing),
    ("GET", "metrics", MetricsRead, Nothing),
    ("GET", "health", MetricsRead, Nothing),
    ("GET", "ping", MetricsRead, Nothing),
    ("POST", "ping", MetricsRead, JsonOrNothing),
    ("GET", "version", MetricsRead, Nothing),
    ("GET", "load", MetricsRead, Nothing),
    ("GET", "docs", MetricsRead, Nothing),
    ("GET", "redoc", MetricsRead, Nothing),
    ("GET", "openapi.json", MetricsRead, Nothing),
    ("GET", "is_sleeping", MetricsRead, Nothing),
    ("GET", "is_paused", MetricsRead, Nothing),
    ("GET", "is_scaling_elastic_ep", MetricsRead, Nothing),
    ("POST", "is_scaling_elastic_ep", MetricsRead, JsonOrNothing),
    ("POST", "load_lora_adapter", LoraLoad, Json),
    ("POST", "unload_lora_adapter", ModelUnload, Json),
    ("POST", "sleep", AdminConfig, Unread),
    ("POST", "wake_up", AdminConfig, Unread),
    ("POST", "collective_rpc", AdminConfig, Unread),
    ("POST", "reset_prefix_cache", AdminConfig, Unread),
    ("POST", "reset_mm_cache", AdminConfig, Unread),
    ("POST", "reset_encoder_cache", AdminConfig, Unread),
    ("POST", "pause", AdminConfig, Unread),
    ("POST", "resume", AdminConfig, Unread),
    ("POST", "start_profile", AdminConfig, Unread),
    ("POST", "stop_profile", AdminConfig, Unread),
    ("POST", "abort_requests", AdminConfig, Unread),
    ("POST", "scale_elastic_ep", AdminConfig, Unread),
    ("POST", "init_weight_transfer_engine", AdminConfig, Unread),
    ("POST", "update_weights", AdminConfig, Unread),
    ("POST", "start_weight_update", AdminConfig, Unread),
    ("POST", "finish_weight_update", AdminConfig, Unread),
    ("GET", "get_world_size", AdminConfig, Nothing),
    ("GET", "server_info", AdminConfig, Nothing),
];
