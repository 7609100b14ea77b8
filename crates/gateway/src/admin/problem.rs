//! Errors of the admin API: problem details (RFC 9457) with a stable `code`.
//!
//! Promise: what is told is one of the sentences here, or of [`IdentifyError::public`]; no library text, no path, no
//! value. What does not exist and what the caller may not see have the same answer, byte for byte.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use keyward_journal::JournalError;
use keyward_store::{CancelError, StoreError, VoteError, WhyNot};
use serde::Serialize;
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoResponses, ToSchema};

use crate::identify::IdentifyError;

/// Why a request was not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: &'static str,
    status: StatusCode,
    detail: Cow<'static, str>,
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// An address that names the code.
    #[serde(rename = "type")]
    #[schema(example = "https://keyward.dev/problems/not_found")]
    kind: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// One sentence: what happened, and what to do.
    detail: String,
    /// The stable code that programs match on.
    code: String,
}

impl Problem {
    /// A problem with its own sentence.
    pub(super) fn new(code: &'static str, status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, detail: detail.into() }
    }

    /// The stable code.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// It does not exist, or the caller may not see it: nobody can tell which.
    pub(super) fn absent() -> Self {
        Self::new(
            "not_found",
            StatusCode::NOT_FOUND,
            "There is nothing here under this name, or you may not see it.",
        )
    }

    /// A parameter that cannot be understood.
    pub(super) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new("bad_request", StatusCode::BAD_REQUEST, detail)
    }

    /// A role that is needed.
    pub(super) fn role_needed() -> Self {
        let detail = "This needs the role auditor or admin; whoever runs the gateway gives it under `roles`.";
        Self::new("role_needed", StatusCode::FORBIDDEN, detail)
    }

    /// The role of an administrator is needed.
    pub(super) fn admin_needed() -> Self {
        let detail = "This needs the role admin; whoever runs the gateway gives it under `roles`.";
        Self::new("role_needed", StatusCode::FORBIDDEN, detail)
    }

    /// Nobody can sign in with a browser here.
    pub(super) fn sign_in_absent() -> Self {
        let detail =
            "Signing in with a browser is not set up: whoever runs the gateway does so under `sign_in`.";
        Self::new("sign_in_absent", StatusCode::NOT_FOUND, detail)
    }

    /// Nobody can sign in with a command line here.
    pub(super) fn cli_sign_in_absent() -> Self {
        let detail = "Signing in with `keyward login` is not set up: whoever runs the gateway does so under `sign_in.cli`.";
        Self::new("sign_in_absent", StatusCode::NOT_FOUND, detail)
    }

    /// The issuer does not serve.
    pub(super) fn sign_in_unavailable() -> Self {
        let detail = "The identity provider cannot be reached at the moment; try again soon.";
        Self::new("sign_in_unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// An answer that no attempt of this browser asked for.
    pub(super) fn sign_in_unknown() -> Self {
        let detail = "This sign-in was not begun in this browser, took too long, or is over; begin again.";
        Self::new("sign_in_unknown", StatusCode::BAD_REQUEST, detail)
    }

    /// Somebody went away from the issuer's form, or the issuer says that they may not come in.
    pub(super) fn sign_in_denied() -> Self {
        let detail = "Signing in was cancelled, or the identity provider says that you may not use Keyward.";
        Self::new("sign_in_denied", StatusCode::FORBIDDEN, detail)
    }

    /// The issuer, or what it says, does not let somebody in.
    pub(super) fn sign_in_refused() -> Self {
        let detail = "The identity provider did not confirm who you are; begin again, or ask whoever runs the gateway.";
        Self::new("sign_in_refused", StatusCode::FORBIDDEN, detail)
    }

    /// A proof of who one is that is too old to decide with.
    pub(super) fn sign_in_again() -> Self {
        let detail = "Signing in was too long ago to decide; sign in again, then decide.";
        Self::new("sign_in_again", StatusCode::FORBIDDEN, detail)
    }

    /// Too much is asked at once.
    pub(super) fn busy() -> Self {
        Self::new(
            "busy",
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests of this kind are under way; try again soon.",
        )
    }

    /// The request took too long.
    pub(super) fn too_slow() -> Self {
        let detail = "The answer took too long; narrow the question.";
        Self::new("timeout", StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Something broke inside; the log knows more.
    pub(super) fn internal() -> Self {
        let detail = "Something broke inside the gateway; its log says more.";
        Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// A method that is not served here.
    pub(super) fn method() -> Self {
        let detail = "This method is not served here; what changes something is a POST.";
        Self::new("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("https://keyward.dev/problems/{}", self.code),
            title: self.code.replace('_', " "),
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            code: self.code.to_owned(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keyward\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.entry(ALLOW).or_insert(HeaderValue::from_static("GET, POST"));
            }
            _ => {}
        }
        response
    }
}

impl From<IdentifyError> for Problem {
    fn from(error: IdentifyError) -> Self {
        Self::new(error.code(), error.status(), error.public())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the control database does not answer");
        let detail = "The gateway's database cannot be reached at the moment; try again soon.";
        Self::new("store_unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the journal does not serve");
        if matches!(error, JournalError::Damaged(_)) {
            let detail = "The journal is damaged: `keyward verify` on the gateway's machine names the first bad record.";
            return Self::new("journal_damaged", StatusCode::INTERNAL_SERVER_ERROR, detail);
        }
        let detail = "The gateway's journal cannot be used at the moment, and nothing is done unrecorded; try again later.";
        Self::new("journal_unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<WhyNot> for Problem {
    fn from(why: WhyNot) -> Self {
        let (code, detail) = match why {
            WhyNot::NotYet(at) => {
                let detail = format!("The rule names you, or a group of yours, as approver from {at} on.");
                return Self::new("not_yet", StatusCode::FORBIDDEN, detail);
            }
            WhyNot::SelfApproval => (
                "self_approval",
                "Nobody decides over their own request, whatever their role; `cancel` withdraws it.",
            ),
            WhyNot::NotAPerson => {
                ("not_a_person", "Only people decide; this token is a service's or an agent's.")
            }
            WhyNot::OnBehalf => {
                ("on_behalf", "A decision is given in person, not with a token for somebody else.")
            }
            WhyNot::NotAnApprover => {
                ("not_an_approver", "The rule names neither you nor a group of yours as approver.")
            }
        };
        Self::new(code, StatusCode::FORBIDDEN, detail)
    }
}

impl From<VoteError> for Problem {
    fn from(error: VoteError) -> Self {
        match error {
            VoteError::NotFound => Self::absent(),
            VoteError::NotPending(state) => {
                let detail = format!("The approval is not pending any more: it is {state}.");
                Self::new("not_pending", StatusCode::CONFLICT, detail)
            }
            VoteError::AlreadyVoted => {
                let detail = "You approved already, and one person counts once; others have to approve too.";
                Self::new("already_voted", StatusCode::CONFLICT, detail)
            }
            VoteError::Refused(why) => why.into(),
            VoteError::ReasonTooLong => reason_too_long(),
            VoteError::Store(error) => error.into(),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::absent(),
            CancelError::NotLive(state) => {
                Self::new("not_live", StatusCode::CONFLICT, format!("The approval is over: it is {state}."))
            }
            CancelError::NotTheRequester => {
                let detail = "Only who asked withdraws a request; an approver denies it.";
                Self::new("not_the_requester", StatusCode::FORBIDDEN, detail)
            }
            CancelError::ReasonTooLong => reason_too_long(),
            CancelError::Store(error) => error.into(),
        }
    }
}

/// The problems that any read may end in, for the description of the API.
pub(super) enum OnRead {}

/// The problems that any change may end in, for the description of the API.
pub(super) enum OnChange {}

const ON_READ: [(&str, &str); 7] = [
    ("400", "A parameter or the credential cannot be understood"),
    ("401", "No token, or one that does not hold"),
    ("403", "Not with the roles of this caller"),
    ("404", "Absent, or not to be seen by this caller"),
    ("405", "Another method"),
    ("500", "Something broke inside"),
    ("503", "It cannot be read or recorded at the moment, or too much is asked at once"),
];
const ON_CHANGE: [(&str, &str); 3] = [
    ("409", "It does not stand any more as the caller believes"),
    ("413", "The body is too long"),
    ("415", "The body is not JSON"),
];

impl IntoResponses for OnRead {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        ON_READ.iter().map(described).collect()
    }
}

impl IntoResponses for OnChange {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        ON_READ.iter().chain(&ON_CHANGE).map(described).collect()
    }
}

fn described((status, description): &(&str, &str)) -> (String, RefOr<openapi::Response>) {
    let content = openapi::Content::new(Some(openapi::Ref::from_schema_name("Problem")));
    let response = openapi::ResponseBuilder::new()
        .description(*description)
        .content("application/problem+json", content);
    ((*status).to_owned(), response.build().into())
}

fn reason_too_long() -> Problem {
    Problem::bad_request("The reason is too long: at most 4,096 bytes.")
}
