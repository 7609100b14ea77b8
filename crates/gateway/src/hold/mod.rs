//! Holding a call for a human (design §7).
//!
//! Promise: a held call is bound to the digest of the exact request (with `bind: operation` to that of all that was
//! understood of it), to the policy version and to the credential version;
//! at release all of it is checked again, and the approval is used up before the first byte leaves. Whoever asked never
//! decides. A caller that goes away executes nothing later; an identical retry attaches.
//! What an unmodified client sees while it waits depends on what it can stand: a stream gets comment lines, anything
//! else silence and then 409 with `x-should-retry: true`, which the SDKs turn into a retry.

mod answers;
mod approvals;
mod decided;
mod patience;
mod put_by;
mod spool;
mod stream;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response};
use keyward_core::{ApprovalId, Bind, Decision, MaskRule, Place, RequestDigest, Risk};
use keyward_journal::record::{BodyNote, DecisionRecord, End, Intent};
use keyward_mask::mask_bytes;
use keyward_secrets::Lease;
use keyward_store::{ApprovalState, Binding, CreateError, NewApproval, RequestSummary};

pub use answers::{AnswerCopy, Answers, Kept, LastRun, RunningNote};
pub use approvals::{Approvals, AskError, CHANGES_KEPT, WAITERS_MAX, Watched};
pub use patience::Patience;
use put_by::PackedHeaders;
pub use spool::Spool;
use spool::Spooled;
pub use stream::HeldStream;

use crate::admit::{Admission, Approved, Permit};
use crate::body::Body;
use crate::call::{Call, CallBody};
use crate::clock;
use crate::moderate::Room;
use crate::record::Recorder;
use crate::refusal::{Refusal, RefusalKind};
use crate::session::Session;

/// How much of a body an approver is shown, in bytes.
const SUMMARY_BODY_BYTES_MAX: usize = 128 * 1024;
/// Headers that differ between a call and its retry by the same client, and do not change what it does: these are no
/// part of what is approved. Every other header that is forwarded is.
const VOLATILE: [&str; 12] = [
    "accept-encoding",
    "baggage",
    "content-length",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "prefer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
];
/// What the SDKs tell of themselves, and of their tries.
const VOLATILE_FAMILIES: [&str; 2] = ["x-stainless-", "x-b3-"];

/// A call that waits.
pub struct Held {
    call: Call,
    /// The exact request.
    exact: RequestDigest,
    /// Its headers, while it waits.
    headers: Option<PackedHeaders>,
    /// Its body while it waits, where that is long.
    spooled: Option<Spooled>,
    decision: DecisionRecord,
    obligations: Arc<Decision>,
    binding: Binding,
    watched: Watched,
    /// Where those come to who have to watch it, if somebody has to.
    room: Option<Arc<Room>>,
}

impl Session {
    /// Asks for an approval of this call, or attaches to the one it has.
    pub(crate) async fn ask(
        &self,
        call: Call,
        decision: Arc<Decision>,
        record: DecisionRecord,
    ) -> Result<Admission, Refusal> {
        let call = self.with_whole_body(call).await?;
        let exact = self.digest(&call);
        let digest = self.bound(&call, &decision, exact);
        let shared = &self.gateway.shared;
        match shared.answers.last_run(&exact) {
            Some(LastRun::Answered(kept)) => return self.answer_again(&call, *kept, record, exact),
            Some(LastRun::Running) => return Err(runs_already()),
            None => {}
        }
        if let Some((id, state)) = shared.approvals.take_untold(&digest) {
            return Err(self.ended(id, state).await);
        }
        let lease = self.lease().await?;
        let binding = Binding {
            digest,
            policy_version: self.gateway.policy.version().to_string(),
            credential_version: self.target.credential_version(lease.as_deref()),
        };
        let risk = match &record.risk {
            Some(risk) => risk.clone(),
            None => self.risk(&call, self.detect(&call)?.as_ref()),
        };
        let new = self.new_approval(&call, &decision, binding.clone(), (lease.as_ref(), risk))?;
        let watched = shared.approvals.ask(new, self.request).await.map_err(not_asked)?;
        let grace = decision.approval.as_ref().and_then(|asked| asked.moderated);
        let room = grace.map(|grace| shared.moderation.room(watched.id, grace));
        Ok(Admission::Held(Box::new(Held {
            call,
            exact,
            headers: None,
            spooled: None,
            decision: record,
            obligations: decision,
            binding,
            watched,
            room,
        })))
    }

    /// Gives an identical call the answer that the approved one got. Nothing is sent; it is recorded like any exchange.
    fn answer_again(
        &self,
        call: &Call,
        kept: Kept,
        decision: DecisionRecord,
        digest: RequestDigest,
    ) -> Result<Admission, Refusal> {
        let Kept { mut response, body, request } = kept;
        self.mark(response.headers_mut(), &decision);
        let principal = &self.verified.principal;
        let intent = Intent {
            request: self.request,
            session: self.id,
            at: clock::now(),
            principal: principal.reference(),
            acting_for: principal.acting_for.clone(),
            connection: Arc::clone(&self.target.settings.connection.name),
            operation: Arc::clone(&call.shown),
            decision,
            approval: None, // it was used up by the exchange that this repeats
            moderators: Vec::new(),
            retry_of: Some(request),
            secret: None,
            digest: Some(digest.to_string()),
            headers: Vec::new(),
            body: BodyNote::NotKept,
            content: Vec::new(),
        };
        let journal = self.gateway.shared.journal.clone();
        let (mut recorder, _) = Recorder::begin(journal, intent, self.in_flight.clone())?;
        recorder.head(response.status(), response.headers());
        recorder.piece(&body)?;
        recorder.end(End::Completed, None)?;
        Ok(Admission::Answered(Box::new(response)))
    }

    pub(crate) async fn with_whole_body(&self, mut call: Call) -> Result<Call, Refusal> {
        if let CallBody::Passing(incoming) = call.body {
            call.body = CallBody::Whole(self.whole(incoming).await?);
        }
        Ok(call)
    }

    fn digest(&self, call: &Call) -> RequestDigest {
        let mut headers: Vec<(&str, &[u8])> =
            approved_headers(&call.headers).map(|(name, value)| (name, value.as_bytes())).collect();
        headers.sort_by_key(|(name, _)| *name); // stable: several values of one name keep their order
        let connection = &self.target.settings.connection;
        RequestDigest::of(&self.verified.principal, connection, &call.operation, &headers, whole(call))
    }

    /// What an approval of this call is for.
    fn bound(&self, call: &Call, decision: &Decision, exact: RequestDigest) -> RequestDigest {
        let bind = decision.approval.as_ref().map_or(Bind::Request, |approval| approval.bind);
        let connection = &self.target.settings.connection;
        match bind {
            Bind::Request => exact,
            Bind::Operation => {
                RequestDigest::of_operation(&self.verified.principal, connection, &call.operation)
            }
        }
    }

    fn new_approval(
        &self,
        call: &Call,
        decision: &Decision,
        binding: Binding,
        (lease, risk): (Option<&Arc<Lease>>, Risk),
    ) -> Result<NewApproval, Refusal> {
        let Some(approval) = decision.approval.clone() else {
            return Err(Refusal::new(
                RefusalKind::Internal,
                "The rule asks for an approval without saying whose.",
            ));
        };
        Ok(NewApproval {
            id: ApprovalId::new(clock::fresh_id()),
            binding,
            principal: (*self.verified.principal).clone(),
            connection: self.target.settings.connection.name.to_string(),
            operation: (*call.shown).clone(),
            rule: decision.rule.as_deref().unwrap_or("").to_owned(),
            reason: decision.reason.as_deref().unwrap_or("").to_owned(),
            approval,
            summary: self.summary(call, lease)?,
            risk,
            live_max: self.gateway.holding.pending_per_principal_max,
        })
    }

    /// What the approver is shown: masked, with the true length.
    fn summary(&self, call: &Call, lease: Option<&Arc<Lease>>) -> Result<RequestSummary, Refusal> {
        let body = whole(call);
        let shown = body.get(..SUMMARY_BODY_BYTES_MAX).unwrap_or(body);
        let mask = self.request_mask(lease)?;
        let masked = |bytes: &[u8]| match &mask {
            Some(profile) => mask_bytes(profile, bytes).bytes,
            None => bytes.to_vec(),
        };
        let header = |(name, value): (&str, &HeaderValue)| {
            let line = masked(&[name.as_bytes(), b": ", value.as_bytes()].concat());
            let value = line.get(name.len() + 2..).unwrap_or_default();
            (name.to_owned(), String::from_utf8_lossy(value).into_owned())
        };
        let text = masked(shown);
        Ok(RequestSummary {
            headers: approved_headers(&call.headers).map(header).collect(),
            complete: shown.len() == body.len() && std::str::from_utf8(&text).is_ok(),
            body: String::from_utf8_lossy(&text).into_owned(),
            body_bytes: body.len() as u64,
        })
    }

    /// Masks what the caller sent, for people and records: all credentials, whatever the rules say.
    pub(crate) fn request_mask(
        &self,
        lease: Option<&Arc<Lease>>,
    ) -> Result<Option<Arc<keyward_mask::Profile>>, Refusal> {
        let rule = MaskRule {
            rule: "request".into(),
            detect: vec!["credentials".into()],
            places: vec![Place::Request],
            style: keyward_core::Style::Redact,
            fields: Vec::new(),
            except: Vec::new(),
        };
        self.target.profiles.at(Place::Request, &[rule], lease, self.id.bits())
    }

    /// The sentence for an approval that ended without leave.
    async fn ended(&self, id: ApprovalId, state: ApprovalState) -> Refusal {
        let reason = match self.gateway.shared.approvals.get(id).await {
            Ok(Some(approval)) => approval.votes.last().map(|vote| vote.reason.clone()).unwrap_or_default(),
            Ok(None) | Err(_) => String::new(),
        };
        let why = if reason.is_empty() { String::new() } else { format!(" Their reason: {reason}") };
        let (kind, public) = match state {
            ApprovalState::Denied => {
                (RefusalKind::ApprovalDenied, format!("The approval {id} was denied.{why}"))
            }
            ApprovalState::Expired => (
                RefusalKind::ApprovalExpired,
                format!("Nobody decided over the approval {id} in time; send the call again to ask anew."),
            ),
            ApprovalState::Cancelled => {
                (RefusalKind::ApprovalDenied, format!("The approval {id} was withdrawn by its requester."))
            }
            ApprovalState::Consumed => return runs_already(),
            ApprovalState::Stale | ApprovalState::Pending | ApprovalState::Approved => (
                RefusalKind::ApprovalStale,
                format!(
                    "The approval {id} is void, because what it was given for changed; send the call again."
                ),
            ),
        };
        Refusal::new(kind, public).on_approval(id)
    }

    fn link(&self, id: ApprovalId) -> String {
        format!("{}/approvals/{id}", self.gateway.public_url)
    }

    fn pending(&self, held: &Held) -> Refusal {
        let id = held.id();
        let Watched { approvers, rule, state, .. } = &held.watched;
        let waiting = match *state.borrow() {
            ApprovalState::Approved => "Approved, and waiting for somebody who watches it run:",
            _ => "Waiting for",
        };
        let text = format!(
            "{waiting} approval {id} by {approvers} (rule \"{rule}\"); send the same call again to go on waiting. {}",
            self.link(id)
        );
        Refusal::new(RefusalKind::ApprovalPending, text).by_rule(Some(rule.as_str().into())).on_approval(id)
    }
}

impl Held {
    /// The approval that is waited for.
    pub fn id(&self) -> ApprovalId {
        self.watched.id
    }

    /// What a permit is made of, after everything that may have changed was looked at again.
    pub(crate) fn into_approved(
        self,
        session: &Session,
    ) -> Result<(Call, DecisionRecord, Arc<Decision>, Approved), Refusal> {
        if session.verified.expires_at <= clock::now() {
            let public = "The token expired while the call waited; sign in again and send the call again.";
            return Err(Refusal::new(RefusalKind::Unauthenticated, public).on_approval(self.id()));
        }
        let approved = Approved { id: self.id(), digest: self.exact, binding: self.binding };
        Ok((self.call, self.decision, self.obligations, approved))
    }
}

/// Waits in the way that the caller's client can stand, then goes on with `proceed`.
pub async fn wait<F>(
    session: Arc<Session>,
    mut held: Box<Held>,
    proceed: impl FnOnce(Arc<Session>, Box<Permit>) -> F + Send + 'static,
) -> Result<Response<Body>, Refusal>
where
    F: Future<Output = Result<Response<Body>, Refusal>> + Send + 'static,
{
    let _held = session.gateway.shared.metrics.hold();
    let kind = session.target.settings.connection.kind;
    let patience =
        Patience::of(&held.call.headers, held.call.operation.stream, kind, &session.gateway.holding);
    if patience == Patience::None {
        // Who polls sends the call again once it is decided, and then wants its answer.
        let state = *held.watched.state.borrow();
        if state == ApprovalState::Pending || held.wants_watcher(state) {
            return Ok(accepted(&session, &held, state));
        }
        return go_on(session, held, state, proceed).await;
    }
    Box::pin(held.put_by(&session.gateway.shared.spool)).await;
    if let Ok(state) = tokio::time::timeout(patience.silence(), held.decided()).await {
        return go_on(session, held, state, proceed).await;
    }
    match patience {
        Patience::Stream(_) => Ok(stream::commit(&session, held, proceed)),
        Patience::None | Patience::Silent(_) => Err(session.pending(&held)),
    }
}

/// Goes on with a decided call.
async fn go_on<F>(
    session: Arc<Session>,
    mut held: Box<Held>,
    state: ApprovalState,
    proceed: impl FnOnce(Arc<Session>, Box<Permit>) -> F,
) -> Result<Response<Body>, Refusal>
where
    F: Future<Output = Result<Response<Body>, Refusal>>,
{
    if state != ApprovalState::Approved {
        return Err(session.ended(held.id(), state).await);
    }
    Box::pin(held.take_back()).await?;
    let permit = session.release(*held)?;
    Box::pin(proceed(session, permit)).await
}

/// 202 for a caller that asked to poll (`Prefer: respond-async`, RFC 7240).
fn accepted(session: &Session, held: &Held, state: ApprovalState) -> Response<Body> {
    let id = held.id();
    let body = serde_json::json!({"approval": id, "state": state.as_str(), "url": session.link(id)});
    let mut response = Response::new(Body::full(body.to_string().into()));
    *response.status_mut() = http::StatusCode::ACCEPTED;
    let headers: &mut HeaderMap = response.headers_mut();
    session.mark(headers, &held.decision);
    crate::session::set(headers, "content-type", "application/json");
    crate::session::set(
        headers,
        "location",
        &format!("{}/api/v1/approvals/{id}", session.gateway.public_url),
    );
    crate::session::set(headers, "preference-applied", "respond-async");
    response
}

/// The headers that an approver approves.
fn approved_headers(headers: &HeaderMap) -> impl Iterator<Item = (&str, &HeaderValue)> {
    let volatile = |name: &str| {
        VOLATILE.contains(&name) || VOLATILE_FAMILIES.iter().any(|family| name.starts_with(family))
    };
    headers.iter().map(|(name, value)| (name.as_str(), value)).filter(move |(name, _)| !volatile(name))
}

fn whole(call: &Call) -> &[u8] {
    match &call.body {
        CallBody::Whole(bytes) => bytes,
        CallBody::Passing(_) => &[],
    }
}

/// An identical call won the approval.
pub(crate) fn runs_already() -> Refusal {
    Refusal::new(
        RefusalKind::ApprovalPending,
        "This very call was approved and is running now; send it again to get its answer.",
    )
}

fn not_asked(error: AskError) -> Refusal {
    let error = match error {
        AskError::Create(error) => error,
        AskError::TooManyWaiters => {
            let public = "Too many identical calls wait for this approval already; one of them is enough.";
            return Refusal::new(RefusalKind::ApprovalQuota, public).because(error);
        }
    };
    match error {
        CreateError::TooManyLive { limit } => Refusal::new(
            RefusalKind::ApprovalQuota,
            format!(
                "You have {limit} calls waiting for approval, the most there may be; cancel one or wait."
            ),
        ),
        CreateError::Invalid(what) => {
            Refusal::new(RefusalKind::Internal, "This call cannot be put before an approver.").because(what)
        }
        CreateError::Store(error) => error.into(),
    }
}
