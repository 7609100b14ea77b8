//! MLflow's tracking server and registry, and hubs whose files stand below `resolve/`: where models are kept and fetched.
//! What fetches weights is an export, whatever the route is called.

use keyward_core::OperationClass::{
    AdminConfig, FilesDelete, FilesRead, FilesWrite, MetricsRead, ModelExport, ModelsList,
};

use super::routes::Body::{JsonOrNothing, Nothing, Unread};
use super::routes::{Route, Table};

/// The table.
pub(super) const TABLE: Table = Table { prefixes: &["api", "ajax-api"], routes: ROUTES };

const ROUTES: &[Route] = &[
    ("GET", "2.0/mlflow/registered-models/get", ModelsList, Nothing),
    ("GET", "2.0/mlflow/registered-models/search", ModelsList, Nothing),
    ("GET", "2.0/mlflow/registered-models/list", ModelsList, Nothing),
    ("GET", "2.0/mlflow/registered-models/alias", ModelsList, Nothing),
    ("POST", "2.0/mlflow/registered-models/get-latest-versions", ModelsList, JsonOrNothing),
    ("GET", "2.0/mlflow/registered-models/get-latest-versions", ModelsList, Nothing),
    ("GET", "2.0/mlflow/model-versions/get", ModelsList, Nothing),
    ("GET", "2.0/mlflow/model-versions/search", ModelsList, Nothing),
    ("GET", "2.0/mlflow/model-versions/get-download-uri", ModelExport, Nothing),
    ("GET", "2.0/mlflow/logged-models/*", ModelsList, Nothing),
    ("POST", "2.0/mlflow/logged-models/search", ModelsList, JsonOrNothing),
    ("GET", "2.0/mlflow/logged-models/*/artifacts/**", FilesRead, Nothing),
    ("GET", "2.0/mlflow/experiments/get", ModelsList, Nothing),
    ("GET", "2.0/mlflow/experiments/get-by-name", ModelsList, Nothing),
    ("GET", "2.0/mlflow/experiments/list", ModelsList, Nothing),
    ("GET", "2.0/mlflow/experiments/search", ModelsList, Nothing),
    ("POST", "2.0/mlflow/experiments/search", ModelsList, JsonOrNothing),
    ("GET", "2.0/mlflow/runs/get", ModelsList, Nothing),
    ("POST", "2.0/mlflow/runs/search", ModelsList, JsonOrNothing),
    ("GET", "2.0/mlflow/metrics/get-history", ModelsList, Nothing),
    ("GET", "2.0/mlflow/artifacts/list", FilesRead, Nothing),
    ("GET", "2.0/mlflow-artifacts/artifacts", FilesRead, Nothing),
    ("GET", "2.0/mlflow-artifacts/artifacts/**", FilesRead, Nothing),
    ("PUT", "2.0/mlflow-artifacts/artifacts/**", FilesWrite, Unread),
    ("DELETE", "2.0/mlflow-artifacts/artifacts/**", FilesDelete, Nothing),
    ("POST", "2.0/mlflow-artifacts/mpu/**", FilesWrite, Unread),
    ("POST", "2.0/mlflow/runs/create", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/update", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/log-metric", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/log-parameter", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/log-batch", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/log-model", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/log-inputs", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/set-tag", FilesWrite, JsonOrNothing),
    ("POST", "2.0/mlflow/runs/delete", FilesDelete, JsonOrNothing),
    ("POST", "2.0/mlflow/experiments/delete", FilesDelete, JsonOrNothing),
    // Whatever else changes the registry, who may use it, or what it calls.
    ("POST", "2.0/mlflow/**", AdminConfig, Unread),
    ("PATCH", "2.0/mlflow/**", AdminConfig, Unread),
    ("PUT", "2.0/mlflow/**", AdminConfig, Unread),
    ("DELETE", "2.0/mlflow/**", AdminConfig, Unread),
    ("GET", "2.0/mlflow/users/**", AdminConfig, Nothing),
    ("GET", "2.0/mlflow/webhooks/**", AdminConfig, Nothing),
    ("GET", "get-artifact", FilesRead, Nothing),
    ("GET", "model-versions/get-artifact", ModelExport, Nothing),
    ("GET", "health", MetricsRead, Nothing),
    ("GET", "version", MetricsRead, Nothing),
    // Hubs
    ("GET", "models/**", ModelsList, Nothing),
    ("GET", "models", ModelsList, Nothing),
    ("GET", "*/resolve/*/**", FilesRead, Nothing),
    ("GET", "*/*/resolve/*/**", FilesRead, Nothing),
    ("GET", "*/raw/*/**", FilesRead, Nothing),
    ("GET", "*/*/raw/*/**", FilesRead, Nothing),
];
