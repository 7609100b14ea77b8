//! All that a caller may be told when a call does not go through.
//!
//! Promise: what a caller sees is built from `Refusal::kind` and `Refusal::public` alone; the cause goes to the
//! log. No upstream address, no library error text and no value of the request is in it. Rendered once per dialect.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use keyward_core::{ApprovalId, ConnectionKind, Operation, RequestId, SessionId};
use keyward_journal::JournalError;
use keyward_journal::record::DecisionRecord;

use keyward_store::StoreError;

use crate::body::Body;

/// Why a call did not go through: a closed list with stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The request is ambiguous or malformed.
    BadRequest,
    /// No credential, or one that does not hold.
    Unauthenticated,
    /// No such connection.
    UnknownConnection,
    /// A method that is not served.
    MethodNotAllowed,
    /// The request line and headers are longer or more than what is read.
    HeadTooLarge,
    /// The body is longer than what is inspected or forwarded.
    BodyTooLarge,
    /// A body that cannot be inspected (encoding, type).
    UnsupportedBody,
    /// The caller asked for something that can't be granted with masking (HTTP/1.0, …).
    UnsupportedProtocol,
    /// A lock keeps the caller out.
    Locked,
    /// The client token is not for this connection or operation.
    OutOfScope,
    /// Somebody ended the session while the call was under way.
    SessionEnded,
    /// A budget of the caller is used up.
    LimitReached,
    /// A rule blocks it, or none allows it.
    Blocked,
    /// It waits for a human.
    ApprovalPending,
    /// A human said no.
    ApprovalDenied,
    /// Nobody decided in time.
    ApprovalExpired,
    /// It was approved, then something it depended on changed.
    ApprovalStale,
    /// Too many pending approvals for one principal.
    ApprovalQuota,
    /// The upstream credential cannot be had.
    SecretUnavailable,
    /// The journal cannot be written: no record, no effect.
    JournalUnavailable,
    /// The control database cannot be reached.
    StoreUnavailable,
    /// The identity provider's keys cannot be had.
    IdentityUnavailable,
    /// The upstream cannot be reached.
    UpstreamUnreachable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream's answer cannot be passed on (unknown encoding, malformed).
    UpstreamInvalid,
    /// The gateway is shutting down.
    Draining,
    /// Something broke inside the gateway.
    Internal,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller's.
    Downstream,
    /// The upstream's.
    Upstream,
    /// The gateway's own.
    Gateway,
}

/// Whether an SDK may send the same call again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Sending it again cannot help.
    Never,
    /// It may help after this time.
    After(Duration),
}

impl RefusalKind {
    /// The stable code that programs match on.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Whose fault.
    pub const fn blame(self) -> Blame {
        self.row().2
    }

    /// Whether a retry may help.
    pub const fn retry(self) -> Retry {
        match self.row().3 {
            None => Retry::Never,
            Some(seconds) => Retry::After(Duration::from_secs(seconds)),
        }
    }

    const fn row(self) -> (&'static str, StatusCode, Blame, Option<u64>) {
        use Blame::{Downstream, Gateway, Upstream};
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST, Downstream, None),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED, Downstream, None),
            Self::UnknownConnection => ("unknown_connection", StatusCode::NOT_FOUND, Downstream, None),
            Self::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, Downstream, None)
            }
            Self::HeadTooLarge => {
                ("head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Downstream, None)
            }
            Self::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, Downstream, None),
            Self::UnsupportedBody => {
                ("unsupported_body", StatusCode::UNSUPPORTED_MEDIA_TYPE, Downstream, None)
            }
            Self::UnsupportedProtocol => {
                ("unsupported_protocol", StatusCode::HTTP_VERSION_NOT_SUPPORTED, Downstream, None)
            }
            Self::Locked => ("locked", StatusCode::FORBIDDEN, Downstream, None),
            Self::OutOfScope => ("out_of_scope", StatusCode::FORBIDDEN, Downstream, None),
            Self::SessionEnded => ("session_ended", StatusCode::FORBIDDEN, Downstream, None),
            Self::LimitReached => ("limit_reached", StatusCode::TOO_MANY_REQUESTS, Downstream, Some(1)),
            Self::Blocked => ("blocked_by_policy", StatusCode::FORBIDDEN, Downstream, None),
            Self::ApprovalPending => ("approval_pending", StatusCode::CONFLICT, Downstream, Some(1)),
            Self::ApprovalDenied => ("approval_denied", StatusCode::FORBIDDEN, Downstream, None),
            Self::ApprovalExpired => ("approval_expired", StatusCode::FORBIDDEN, Downstream, None),
            Self::ApprovalStale => ("approval_stale", StatusCode::FORBIDDEN, Downstream, None),
            Self::ApprovalQuota => ("approval_quota", StatusCode::TOO_MANY_REQUESTS, Downstream, None),
            Self::SecretUnavailable => {
                ("secret_unavailable", StatusCode::SERVICE_UNAVAILABLE, Gateway, Some(5))
            }
            Self::JournalUnavailable => {
                ("journal_unavailable", StatusCode::SERVICE_UNAVAILABLE, Gateway, Some(5))
            }
            Self::StoreUnavailable => {
                ("store_unavailable", StatusCode::SERVICE_UNAVAILABLE, Gateway, Some(5))
            }
            Self::IdentityUnavailable => {
                ("identity_unavailable", StatusCode::SERVICE_UNAVAILABLE, Gateway, Some(5))
            }
            Self::UpstreamUnreachable => ("upstream_unreachable", StatusCode::BAD_GATEWAY, Upstream, Some(2)),
            Self::UpstreamTimeout => ("upstream_timeout", StatusCode::GATEWAY_TIMEOUT, Upstream, None),
            Self::UpstreamInvalid => ("upstream_invalid", StatusCode::BAD_GATEWAY, Upstream, None),
            Self::Draining => ("draining", StatusCode::SERVICE_UNAVAILABLE, Gateway, Some(1)),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, Gateway, None),
        }
    }
}

/// The longest time that a client is asked to wait and try again by itself; the SDKs wait up to a minute.
const RETRY_WAIT_MAX: Duration = Duration::from_mins(1);

/// A call that does not go through: what the caller is told, and, apart from it, why.
#[derive(Debug)]
pub struct Refusal(Box<Told>);

/// What is in a [`Refusal`].
#[derive(Debug)]
pub struct Told {
    /// The reason's kind.
    pub kind: RefusalKind,
    /// One plain sentence for the caller: what happened, which rule, what to do.
    pub public: Cow<'static, str>,
    /// The rule that decided, where one did.
    pub rule: Option<Arc<str>>,
    /// The approval that is waited for or was refused.
    pub approval: Option<ApprovalId>,
    /// The session it was recorded in; none while it is not recorded yet.
    pub session: Option<SessionId>,
    /// What was understood and decided before it was refused; for the journal only.
    pub judged: Option<Judged>,
    /// When a retry may help, where that is known better than by its kind.
    pub retry_after: Option<Duration>,
    /// For the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl std::ops::Deref for Refusal {
    type Target = Told;
    fn deref(&self) -> &Told {
        &self.0
    }
}

impl std::ops::DerefMut for Refusal {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.public)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// An operation and the decision over it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What it would have done.
    pub operation: Arc<Operation>,
    /// What policy answered.
    pub decision: DecisionRecord,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(kind: RefusalKind, public: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Told {
            kind,
            public: public.into(),
            rule: None,
            approval: None,
            session: None,
            judged: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the rule.
    #[must_use]
    pub fn by_rule(mut self, rule: Option<Arc<str>>) -> Self {
        self.rule = rule;
        self
    }

    /// Adds what was judged, for the journal.
    #[must_use]
    pub fn judged(mut self, operation: Arc<Operation>, decision: DecisionRecord) -> Self {
        self.judged = Some(Judged { operation, decision });
        self
    }

    /// Adds the approval.
    #[must_use]
    pub fn on_approval(mut self, id: ApprovalId) -> Self {
        self.approval = Some(id);
        self
    }

    /// The body in the caller's dialect, and its content type.
    pub fn body(&self, dialect: Option<ConnectionKind>, request: RequestId) -> (&'static str, String) {
        let code = self.kind.code();
        let status = self.kind.status();
        match dialect {
            Some(ConnectionKind::OpenAi | ConnectionKind::Vllm) => {
                let error = serde_json::json!({"error": {
                    "message": self.sentence(request), "type": openai_type(status), "param": null, "code": code}});
                ("application/json", error.to_string())
            }
            Some(ConnectionKind::Anthropic) => {
                let error = serde_json::json!({"type": "error", "error": {
                    "type": anthropic_type(status), "message": self.sentence(request)}, "request_id": request});
                ("application/json", error.to_string())
            }
            Some(ConnectionKind::Gemini) => {
                let error = serde_json::json!({"error": {"code": status.as_u16(), "message": self.sentence(request),
                    "status": google_status(status)}});
                ("application/json", error.to_string())
            }
            Some(ConnectionKind::Tgi) => {
                let error = serde_json::json!({"error": self.sentence(request), "error_type": code});
                ("application/json", error.to_string())
            }
            Some(ConnectionKind::Ollama | ConnectionKind::KserveV2) => {
                ("application/json", serde_json::json!({"error": self.sentence(request)}).to_string())
            }
            Some(ConnectionKind::Mlflow) => {
                let error =
                    serde_json::json!({"error_code": mlflow_code(status), "message": self.sentence(request)});
                ("application/json", error.to_string())
            }
            Some(ConnectionKind::Http) | None => {
                let problem = serde_json::json!({
                    "type": format!("https://keyward.dev/problems/{code}"), "title": code.replace('_', " "),
                    "status": status.as_u16(), "detail": self.sentence(request), "code": code,
                    "rule": self.rule, "approval": self.approval, "request_id": request});
                ("application/problem+json", problem.to_string())
            }
        }
    }

    /// One event in the caller's dialect, for a stream that has begun already.
    pub fn event(&self, dialect: ConnectionKind, request: RequestId) -> String {
        let (_, body) = self.body(Some(dialect), request);
        match dialect {
            ConnectionKind::Anthropic => format!("event: error\ndata: {body}\n\n"),
            _ => format!("data: {body}\n\n"),
        }
    }

    /// A message over a WebSocket that has opened already: an error event of the realtime API.
    pub(crate) fn socket_event(&self, request: RequestId) -> String {
        let code = self.kind.code();
        serde_json::json!({"type": "error", "event_id": request, "error": {
            "type": openai_type(self.kind.status()), "code": code, "message": self.sentence(request), "param": null,
            "event_id": null}})
        .to_string()
    }

    /// The whole response.
    pub fn response(&self, dialect: Option<ConnectionKind>, request: RequestId) -> Response<Body> {
        let (content_type, body) = self.body(dialect, request);
        let mut response = Response::new(Body::full(Bytes::from(body)));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        match self.retry() {
            Retry::Never => {
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
            Retry::After(wait) => {
                headers.insert("x-should-retry", HeaderValue::from_static("true"));
                headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            }
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.kind == RefusalKind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keyward\""));
        }
        response
    }

    /// Whether a client may try again by itself: not where it would have to wait for longer than clients do.
    fn retry(&self) -> Retry {
        match (self.kind.retry(), self.retry_after) {
            (Retry::After(_), Some(wait)) if wait > RETRY_WAIT_MAX => Retry::Never,
            (Retry::After(_), Some(wait)) => Retry::After(wait),
            (kind, _) => kind,
        }
    }

    fn sentence(&self, request: RequestId) -> String {
        format!("{} (request {request})", self.public)
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        Self::new(
            RefusalKind::JournalUnavailable,
            "The gateway cannot record calls at the moment, so none goes through; try again later.",
        )
        .because(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(
            RefusalKind::StoreUnavailable,
            "The gateway's database cannot be reached at the moment; calls that need an approval must wait.",
        )
        .because(error)
    }
}

/// The error types of the OpenAI API by status.
fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The error types of the Anthropic API by status.
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The error statuses of Google's APIs by status.
fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        502..=504 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

/// The error codes of MLflow by status.
fn mlflow_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "RESOURCE_DOES_NOT_EXIST",
        429 => "REQUEST_LIMIT_EXCEEDED",
        502..=504 => "TEMPORARILY_UNAVAILABLE",
        400..=499 => "INVALID_PARAMETER_VALUE",
        _ => "INTERNAL_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_callers_dialect() {
        let refusal = Refusal::new(RefusalKind::Blocked, "No.").by_rule(Some("r".into()));
        let id = RequestId::new(1);
        let openai: serde_json::Value =
            serde_json::from_str(&refusal.body(Some(ConnectionKind::OpenAi), id).1).unwrap();
        assert_eq!(openai["error"]["type"], "permission_error");
        assert_eq!(openai["error"]["code"], "blocked_by_policy");
        let anthropic: serde_json::Value =
            serde_json::from_str(&refusal.body(Some(ConnectionKind::Anthropic), id).1).unwrap();
        assert_eq!(anthropic["type"], "error");
        let response = refusal.response(None, id);
        assert_eq!(response.headers()["x-should-retry"], "false");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_pending_approval_asks_for_a_retry() {
        let response = Refusal::new(RefusalKind::ApprovalPending, "Wait.").response(None, RequestId::new(1));
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()["x-should-retry"], "true");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
}
