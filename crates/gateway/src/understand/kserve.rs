//! The Open Inference Protocol (`KServe` V2) over HTTP, with what its servers add: Triton's repository, shared memory, trace
//! and log settings, MLServer, `KServe` V1, `TorchServe` and TensorFlow Serving.

use keyward_core::OperationClass::{
    AdminConfig, MetricsRead, ModelInfer, ModelLoad, ModelUnload, ModelsList,
};

use super::routes::Body::{Json, JsonOrNothing, JsonOrOther, Nothing, Unread};
use super::routes::{Route, Table};

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &[], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("GET", "v2", MetricsRead, Nothing),
    ("GET", "v2/health/live", MetricsRead, Nothing),
    ("GET", "v2/health/ready", MetricsRead, Nothing),
    ("GET", "v2/models/stats", MetricsRead, Nothing),
    ("GET", "v2/models/*", ModelsList, Nothing),
    ("GET", "v2/models/*/ready", ModelsList, Nothing),
    ("GET", "v2/models/*/versions/*", ModelsList, Nothing),
    ("GET", "v2/models/*/versions/*/ready", ModelsList, Nothing),
    ("GET", "v2/models/*/stats", MetricsRead, Nothing),
    ("GET", "v2/models/*/versions/*/stats", MetricsRead, Nothing),
    ("GET", "v2/models/*/config", AdminConfig, Nothing),
    ("GET", "v2/models/*/versions/*/config", AdminConfig, Nothing),
    ("POST", "v2/models/*/infer", ModelInfer, JsonOrOther),
    ("POST", "v2/models/*/versions/*/infer", ModelInfer, JsonOrOther),
    ("POST", "v2/models/*/generate", ModelInfer, Json),
    ("POST", "v2/models/*/versions/*/generate", ModelInfer, Json),
    ("POST", "v2/models/*/generate_stream", ModelInfer, Json),
    ("POST", "v2/models/*/versions/*/generate_stream", ModelInfer, Json),
    ("POST", "v2/models/*/infer_stream", ModelInfer, Json),
    // Triton
    ("POST", "v2/repository/index", ModelsList, JsonOrNothing),
    ("POST", "v2/repository/models/*/load", ModelLoad, JsonOrNothing),
    ("POST", "v2/repository/models/*/unload", ModelUnload, JsonOrNothing),
    ("GET", "v2/systemsharedmemory/**", AdminConfig, Nothing),
    ("POST", "v2/systemsharedmemory/**", AdminConfig, Unread),
    ("GET", "v2/cudasharedmemory/**", AdminConfig, Nothing),
    ("POST", "v2/cudasharedmemory/**", AdminConfig, Unread),
    ("GET", "v2/trace/setting", AdminConfig, Nothing),
    ("POST", "v2/trace/setting", AdminConfig, Unread),
    ("GET", "v2/models/*/trace/setting", AdminConfig, Nothing),
    ("POST", "v2/models/*/trace/setting", AdminConfig, Unread),
    ("GET", "v2/logging", AdminConfig, Nothing),
    ("POST", "v2/logging", AdminConfig, Unread),
    ("GET", "metrics", MetricsRead, Nothing),
    // MLServer
    ("GET", "v2/docs", MetricsRead, Nothing),
    ("GET", "v2/docs/dataplane.json", MetricsRead, Nothing),
    ("GET", "v2/models/*/docs", MetricsRead, Nothing),
    // KServe V1 and TensorFlow Serving
    ("POST", "v1/models/*:predict", ModelInfer, Json),
    ("POST", "v1/models/*:explain", ModelInfer, Json),
    ("POST", "v1/models/*:classify", ModelInfer, Json),
    ("POST", "v1/models/*:regress", ModelInfer, Json),
    ("POST", "v1/models/*/versions/*:predict", ModelInfer, Json),
    ("POST", "v1/models/*/versions/*:classify", ModelInfer, Json),
    ("POST", "v1/models/*/versions/*:regress", ModelInfer, Json),
    ("GET", "v1/models", ModelsList, Nothing),
    ("GET", "v1/models/*", ModelsList, Nothing),
    ("GET", "v1/models/*/metadata", ModelsList, Nothing),
    ("GET", "v1/models/*/versions/*", ModelsList, Nothing),
    ("GET", "v1/models/*/versions/*/metadata", ModelsList, Nothing),
    // TorchServe
    ("GET", "ping", MetricsRead, Nothing),
    ("GET", "api-description", MetricsRead, Nothing),
    ("POST", "predictions/*", ModelInfer, JsonOrOther),
    ("POST", "predictions/*/*", ModelInfer, JsonOrOther),
    ("POST", "explanations/*", ModelInfer, JsonOrOther),
    ("POST", "wfpredict/*", ModelInfer, JsonOrOther),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "models/**", ModelsList, Nothing),
    ("POST", "models", ModelLoad, Unread),
    ("PUT", "models/**", AdminConfig, Unread),
    ("DELETE", "models/**", ModelUnload, Unread),
    ("GET", "workflows", ModelsList, Nothing),
    ("GET", "workflows/*", ModelsList, Nothing),
    ("POST", "workflows", ModelLoad, Unread),
    ("DELETE", "workflows/*", ModelUnload, Unread),
];
