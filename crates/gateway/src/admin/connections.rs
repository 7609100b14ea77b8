//! Connections over the API: where calls may go, with the reference of the credential and never its value.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::input::Segment;
use super::problem::{OnRead, Problem};
use crate::route::Target;
use crate::settings::Inject;

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionView {
    /// Its name.
    #[schema(example = "openai")]
    name: String,
    /// The dialect it speaks: `openai`, `anthropic`, `http`.
    kind: String,
    /// The path that leads to it on the data listener.
    #[schema(example = "/openai")]
    path: String,
    /// The base URL under which callers reach it; absent where the gateway was not told its own address (`data_url`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://keyward.example.com/openai")]
    url: Option<String>,
    /// Host names that lead to it without the name in the path.
    hosts: Vec<String>,
    /// Where it leads.
    #[schema(example = "https://api.openai.com/v1")]
    upstream: String,
    /// Free words for policy.
    tags: BTreeMap<String, String>,
    /// Who owns it, for rules that ask them: `group:NAME` or `user:ISSUER#SUBJECT`.
    owners: Vec<String>,
    /// The credential that is put on its calls; none for an open endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialView>,
}

/// Which credential, and where it is put. Never its value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialView {
    /// The reference.
    #[schema(example = "keyward://openai")]
    reference: String,
    /// The header that it is put in.
    #[schema(example = "authorization")]
    header: String,
    /// `bearer` when the header's value is `Bearer` and the secret, `value` when it is the secret alone.
    form: String,
}

/// All connections, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionList {
    connections: Vec<ConnectionView>,
}

impl ConnectionView {
    fn new(target: &Target, data_url: Option<&str>) -> Self {
        let settings = &target.settings;
        let connection = &settings.connection;
        let credential = settings.credential.as_ref().map(|credential| {
            let (header, form) = match &credential.inject {
                Inject::Bearer => ("authorization", "bearer"),
                Inject::Header(name) => (name.as_str(), "value"),
            };
            let reference = credential.reference.to_string();
            CredentialView { reference, header: header.to_owned(), form: form.to_owned() }
        });
        Self {
            name: connection.name.to_string(),
            kind: connection.kind.as_str().to_owned(),
            path: format!("/{}", connection.name),
            url: data_url.map(|base| format!("{base}/{}", connection.name)),
            hosts: settings.hosts.clone(),
            upstream: connection.upstream.to_string(),
            tags: connection.tags.clone(),
            owners: connection.owners.clone(),
            credential,
        }
    }
}

impl Caller {
    /// The connection that a change names.
    pub(super) fn place(&self, connection: &str) -> Result<&Arc<Target>, Problem> {
        self.gateway.routes.named(connection).ok_or_else(|| {
            Problem::bad_request("No connection has this name; `keyward connections ls` lists them.")
        })
    }
}

/// List connections
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", security(("token" = [])),
    responses((status = 200, description = "All of them, by name", body = ConnectionList), OnRead))]
pub(super) async fn list(caller: Caller) -> Json<ConnectionList> {
    let data_url = caller.gateway.data_url.as_deref();
    let view = |target: &Arc<Target>| ConnectionView::new(target, data_url);
    let connections = caller.gateway.routes.all().into_iter().map(view).collect();
    Json(ConnectionList { connections })
}

/// Show a connection
#[utoipa::path(get, path = "/api/v1/connections/{name}", tag = "connections", security(("token" = [])),
    params(("name" = String, Path, description = "The connection's name")),
    responses((status = 200, description = "The connection", body = ConnectionView), OnRead))]
pub(super) async fn show(caller: Caller, Segment(name): Segment) -> Result<Json<ConnectionView>, Problem> {
    match caller.gateway.routes.named(&name) {
        Some(target) => Ok(Json(ConnectionView::new(target, caller.gateway.data_url.as_deref()))),
        None => Err(caller.absent("connection.read", &name)),
    }
}
