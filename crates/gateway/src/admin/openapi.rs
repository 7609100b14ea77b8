//! The description of the API (OpenAPI 3.1), made from the handlers themselves.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// What stands around the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyward admin API",
        description = "Approvals, sessions, connections and the ledger of a Keyward gateway. Authenticated by the \
            gateway's issuers; what a caller may not see is answered like what does not exist.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(super::problem::ProblemBody)),
    tags(
        (name = "status", description = "Probes, metrics, and who one is"),
        (name = "connections", description = "Where calls may go"),
        (name = "approvals", description = "Calls that wait for a human"),
        (name = "sessions", description = "What was recorded"),
        (name = "locks", description = "Who is kept out"),
        (name = "tokens", description = "Short-lived tokens for tools that cannot sign in"),
        (name = "policy", description = "Why a request was decided as it was, and what would come of another"),
        (name = "audit", description = "The ledger: who used which secret, who did what"),
    ),
)]
struct Frame;

/// The document without routes.
pub(super) fn frame() -> Document {
    let mut document = Frame::openapi();
    document.components.get_or_insert_default().add_security_scheme(
        "token",
        SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build()),
    );
    document
}

/// The whole document.
pub fn openapi() -> Document {
    super::table().into_openapi()
}

/// The OpenAPI document
///
/// Served without a token; it is the same for everybody.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "status", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn document() -> Json<Document> {
    Json(openapi())
}
