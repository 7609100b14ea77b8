//! The admin API: who may see and decide what, under `/api/v1`, and the probes beside it.
//!
//! Promise: callers are verified as on the data path, and see what is theirs, what is theirs to decide, or what their
//! role shows them; anything else is answered as if it did not exist. Each change, each refusal and each read by role is
//! in the journal ([`auth`]). No answer holds the value of a secret. Bodies, waits, scans of the journal and
//! answers have bounds. What is served without a token shows nothing of anybody: see [`auth::NOT_AUDITED`].
//!
//! In suggested reading order:

pub mod auth;
pub mod problem;

mod input;

mod approvals;
mod audit;
mod connections;
mod content;
mod decide;
mod events;
mod explain;
mod grants;
mod locks;
mod notifications;
mod openapi;
mod opening;
mod page;
mod people;
mod sessions;
mod sign_in;
mod status;
mod tokens;
mod trial;
mod ui;
mod watching;
mod web;

mod server;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use keyward_core::RequestId;
use keyward_journal::{JournalError, Reader};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Problem;
use crate::snapshot::Gateway;
use crate::{clock, edge};

pub use content::CONTENT_BYTES_MAX;
pub use decide::{WAIT_MAX, WAITS_MAX};
pub use input::{BODY_BYTES_MAX, PARAMETER_BYTES_MAX};
pub use openapi::openapi;
pub use server::AdminServer;
pub use ui::ui_embedded;

/// Scans of the journal at once; more wait.
pub const SCANS_MAX: usize = 2;
/// How long a scan waits for its turn.
const SCAN_TURN_MAX: Duration = Duration::from_secs(10);
/// The longest time to an answer, apart from long polls.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Who can reach the admin listener without a network in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It is bound to a loopback address: `/metrics` is open to whoever is on the machine.
    Loopback,
    /// Anything else: `/metrics` needs the role auditor or admin.
    Network,
}

/// What the handlers share.
struct Admin {
    current: Arc<ArcSwap<Gateway>>,
    records: Arc<Reader>,
    exposure: Exposure,
    scans: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Browsers that signed in.
    web: Arc<web::Web>,
    /// Ends long polls early.
    stop: CancellationToken,
}

impl Admin {
    /// Reads the journal on a thread that may block, a few at a time.
    async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.scans).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(SCAN_TURN_MAX, turn).await else {
            return Err(Problem::busy());
        };
        let records = Arc::clone(&self.records);
        let scan = tokio::task::spawn_blocking(move || {
            // Held until the scan ends, also when nobody waits for it any more.
            let _turn = turn;
            work(&records)
        });
        scan.await.map_err(|_| Problem::internal())?.map_err(Problem::from)
    }
}

/// The routes, over the configuration at work and the journal's records. Long polls are answered at once after `stop`.
pub fn router(
    current: Arc<ArcSwap<Gateway>>,
    records: Arc<Reader>,
    exposure: Exposure,
    stop: CancellationToken,
) -> Router {
    let admin = Admin {
        current,
        records,
        exposure,
        scans: Arc::new(Semaphore::new(SCANS_MAX)),
        waits: Arc::new(Semaphore::new(WAITS_MAX)),
        streams: Arc::new(Semaphore::new(events::STREAMS_MAX)),
        web: Arc::default(),
        stop,
    };
    let (router, _) = table().split_for_parts();
    router
        .fallback(ui::fallback)
        .method_not_allowed_fallback(async || Problem::method())
        .layer(middleware::from_fn(around))
        .with_state(Arc::new(admin))
}

/// Every route and its description.
fn table() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(status::metrics))
        .routes(routes!(openapi::document))
        .routes(routes!(page::approval))
        .routes(routes!(web::login))
        .routes(routes!(web::callback))
        .routes(routes!(web::logout))
        .routes(routes!(sign_in::show))
        .routes(routes!(status::whoami))
        .routes(routes!(status::policy))
        .routes(routes!(status::journal))
        .routes(routes!(connections::list))
        .routes(routes!(connections::show))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::show))
        .routes(routes!(events::listen))
        .routes(routes!(decide::wait))
        .routes(routes!(decide::approve))
        .routes(routes!(decide::deny))
        .routes(routes!(decide::cancel))
        .routes(routes!(watching::watch))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show))
        .routes(routes!(locks::kill))
        .routes(routes!(locks::list))
        .routes(routes!(locks::add))
        .routes(routes!(locks::lift))
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::make))
        .routes(routes!(tokens::revoke))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::test))
        .routes(routes!(notifications::retry))
        .routes(routes!(notifications::forget))
        .routes(routes!(notifications::nudge))
        .routes(routes!(grants::list))
        .routes(routes!(grants::show))
        .routes(routes!(opening::ask))
        .routes(routes!(opening::break_glass))
        .routes(routes!(grants::revoke))
        .routes(routes!(grants::review))
        .routes(routes!(content::show))
        .routes(routes!(explain::show))
        .routes(routes!(trial::attempt))
        .routes(routes!(audit::who_used))
        .routes(routes!(audit::what))
}

/// What holds for every answer: a bound on its time, an identifier, and headers that keep browsers from doing anything
/// with it but showing it.
async fn around(request: Request, next: Next) -> Response {
    let id = RequestId::new(clock::fresh_id());
    let limit = if request.uri().path().ends_with("/wait") { WAIT_MAX + ANSWER_MAX } else { ANSWER_MAX };
    let mut response = match edge::fault(request.extensions()) {
        Some(fault) => Problem::bad_request(fault.to_string()).into_response(),
        None => tokio::time::timeout(limit, next.run(request))
            .await
            .unwrap_or_else(|_| Problem::too_slow().into_response()),
    };
    let headers = response.headers_mut();
    // Files of the interface say themselves for how long they hold.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    crate::session::set(headers, "keyward-request-id", &id.to_string());
    response
}
