//! Text Generation Inference.

use keyward_core::OperationClass::{ChatCompletions, MetricsRead, ModelInfer, ModelsList};

use super::routes::Body::{Json, Nothing};
use super::routes::{Route, Table};

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["v1"], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("POST", "", ModelInfer, Json),
    ("POST", "generate", ModelInfer, Json),
    ("POST", "generate_stream", ModelInfer, Json),
    ("POST", "invocations", ModelInfer, Json),
    ("POST", "tokenize", ModelInfer, Json),
    ("POST", "chat_tokenize", ModelInfer, Json),
    ("POST", "chat/completions", ChatCompletions, Json),
    ("POST", "completions", ChatCompletions, Json),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "info", MetricsRead, Nothing),
    ("GET", "health", MetricsRead, Nothing),
    ("GET", "ping", MetricsRead, Nothing),
    ("GET", "metrics", MetricsRead, Nothing),
    ("GET", "docs", MetricsRead, Nothing),
    ("GET", "api-doc/openapi.json", MetricsRead, Nothing),
];
