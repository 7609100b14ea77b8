//! What a command line needs to sign somebody in. It is for callers that are nobody yet: a client's identifier and an
//! address, no secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::problem::{OnRead, Problem};

/// How people sign in on a command line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignInView {
    /// The issuer's identifier; discovery is read below it.
    #[schema(example = "https://idp.example.com")]
    issuer: String,
    /// The public client there.
    #[schema(example = "keyward-cli")]
    client_id: String,
    /// What to ask for.
    #[schema(example = json!(["openid", "profile", "groups"]))]
    scopes: Vec<String>,
    /// What to ask the token for (RFC 8707); absent: the issuer is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
}

/// How to sign in on a command line
///
/// For `keyward login`. Without a token.
#[utoipa::path(get, path = "/api/v1/sign-in", tag = "status",
    responses((status = 200, description = "The issuer and the client", body = SignInView), OnRead))]
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Json<SignInView>, Problem> {
    let gateway = admin.current.load_full();
    let settings = gateway.sign_in.as_ref().ok_or_else(Problem::cli_sign_in_absent)?;
    let cli = settings.cli.as_ref().ok_or_else(Problem::cli_sign_in_absent)?;
    Ok(Json(SignInView {
        issuer: settings.issuer.clone(),
        client_id: cli.client_id.clone(),
        scopes: cli.scopes.clone(),
        resource: cli.resource.clone(),
    }))
}
