//! May this call happen?
//!
//! Promise: [`Permit`] is the proof that exactly this call was judged. Only this module makes one; it can't be cloned, and
//! sending a request consumes it. It owns the request, so what was judged is byte for byte what is sent.
//! A call that no rule allows, or whose policy cannot be evaluated, is refused: *fails closed*.
//!
//! ```compile_fail
//! fn forge(permit: keyward_gateway::admit::Permit) -> keyward_gateway::admit::Permit {
//!     permit.clone()
//! }
//! ```

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use keyward_core::policy::{Facts, PolicySet, RequestFacts, RequestFindings};
use keyward_core::{ApprovalId, Decision, MaskRule, Measure, Operation, RequestDigest, Risk, Verdict, span};
use keyward_journal::record::DecisionRecord;
use keyward_store::Binding;

use crate::budgets::{Purse, UsedUp};
use crate::call::{Call, CallBody, CallForm};
use crate::clock;
use crate::hold::Held;
use crate::refusal::{Refusal, RefusalKind};
use crate::session::Session;
use crate::websocket::Opening;

/// Proof that one call was judged and may proceed.
#[must_use]
pub struct Permit {
    call: Call,
    decision: DecisionRecord,
    obligations: Arc<Decision>,
    approved: Option<Approved>,
    purses: Vec<Purse>,
}

/// The approval that a permit rests on; it is consumed when the call is sent.
#[derive(Debug, Clone)]
pub struct Approved {
    /// Which.
    pub id: ApprovalId,
    /// The exact request.
    pub digest: RequestDigest,
    /// What it was bound to when it was asked for.
    pub binding: Binding,
}

/// What comes of asking.
pub enum Admission {
    /// It may happen now.
    Granted(Box<Permit>),
    /// It waits for a human.
    Held(Box<Held>),
    /// It was approved and happened already: the recorded answer, for an identical retry.
    Answered(Box<http::Response<crate::body::Body>>),
}

impl Permit {
    /// What it permits.
    pub fn operation(&self) -> &Arc<Operation> {
        &self.call.operation
    }

    /// What it permits, as it may be recorded.
    pub fn shown(&self) -> &Arc<Operation> {
        &self.call.shown
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.call.method
    }

    /// The decision behind it.
    pub fn decision(&self) -> &DecisionRecord {
        &self.decision
    }

    /// What must be masked in the answer.
    pub fn mask(&self) -> &[MaskRule] {
        &self.obligations.mask
    }

    /// The approval it rests on, if one was needed.
    pub fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }

    /// The approval, and for how long at most nobody may watch, where the call runs only while somebody does.
    pub fn moderated(&self) -> Option<(ApprovalId, Duration)> {
        let approved = self.approved.as_ref()?;
        Some((approved.id, self.obligations.approval.as_ref()?.moderated?))
    }

    /// The budgets that it draws from.
    pub fn purses(&self) -> &[Purse] {
        &self.purses
    }

    /// The call itself.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The WebSocket that it permits to open, if it is one.
    pub(crate) fn take_opening(&mut self) -> Option<Box<Opening>> {
        match std::mem::replace(&mut self.call.form, CallForm::Request) {
            CallForm::Handshake(opening) => Some(opening),
            form => {
                self.call.form = form;
                None
            }
        }
    }

    /// The call's headers and body, taken to be sent; the rest of the permit stays as the record of it, with the headers
    /// that rules read.
    pub(crate) fn take_request(&mut self, policy: &PolicySet) -> (http::HeaderMap, CallBody) {
        let body = std::mem::replace(&mut self.call.body, CallBody::Whole(bytes::Bytes::new()));
        let mut read = http::HeaderMap::new();
        for name in policy.headers_read().filter_map(|name| name.parse::<http::HeaderName>().ok()) {
            for value in self.call.headers.get_all(&name) {
                read.append(name.clone(), value.clone());
            }
        }
        (std::mem::replace(&mut self.call.headers, read), body)
    }
}

impl Session {
    /// Asks policy, and a human where policy says so.
    pub async fn admit(&self, call: Call) -> Result<Admission, Refusal> {
        let (call, findings) = self.look_into(call).await?;
        let risk = self.risk_where_read(&call, findings.as_ref());
        let decision = self.decide_on(&call.operation, &call.headers, (findings.as_ref(), risk.as_ref()));
        let decision = self.consult(&call, decision, (findings.as_ref(), risk.as_ref())).await;
        self.note(&decision, &call.operation);
        let call = if decision.verdict == Verdict::Block {
            call
        } else {
            self.mask_request(call, &decision).await?
        };
        let record = DecisionRecord::new(&decision, Arc::clone(self.gateway.policy.version()), risk);
        match decision.verdict {
            Verdict::Allow => self.permit(call, record, decision, None).map(Admission::Granted),
            Verdict::Block => Err(blocked(&decision).judged(call.shown, record)),
            Verdict::Approve => {
                if call.form.is_granted(&decision) {
                    return self.permit(call, record, decision, None).map(Admission::Granted);
                }
                if let Some(grant) = Box::pin(self.granted(&call.operation, &decision)).await? {
                    let record = DecisionRecord { grant: Some(grant), ..record };
                    return self.permit(call, record, decision, None).map(Admission::Granted);
                }
                if !matches!(call.form, CallForm::Request) {
                    return Err(cannot_wait(&decision).judged(call.shown, record));
                }
                let operation = Arc::clone(&call.shown);
                let judged = record.clone();
                Box::pin(self.ask(call, decision, record))
                    .await
                    .map_err(|refusal| refusal.judged(operation, judged))
            }
        }
    }

    /// The permit of a held call, once it was approved.
    pub(crate) fn release(&self, held: Held) -> Result<Box<Permit>, Refusal> {
        let (call, decision, obligations, approved) = held.into_approved(self)?;
        self.permit(call, decision, obligations, Some(approved))
    }

    /// The permit of a call that was judged, after its budgets were drawn from.
    fn permit(
        &self,
        call: Call,
        decision: DecisionRecord,
        obligations: Arc<Decision>,
        approved: Option<Approved>,
    ) -> Result<Box<Permit>, Refusal> {
        let connection = &self.target.settings.connection.name;
        let mut purses = Purse::of(&obligations.limits, &self.verified.principal, connection);
        if matches!(call.form, CallForm::Message(..)) {
            // Its WebSocket was counted as the request that it began with.
            purses.retain(|purse| purse.measure() != Measure::Requests);
        }
        if let Err(used_up) = self.gateway.shared.budgets.draw_call(&purses) {
            return Err(limited(&used_up).judged(call.shown, decision));
        }
        self.remember(&call);
        Ok(Box::new(Permit { call, decision, obligations, approved, purses }))
    }

    /// Whether a call of a tool that stands in an answer may reach the caller. It passes where no rule speaks of it: the
    /// answer itself was allowed. Half an answer cannot be held, so a rule that would hold the call blocks it.
    pub(crate) fn judge_tool_call(
        &self,
        operation: &Operation,
        headers: &http::HeaderMap,
    ) -> Result<(), Refusal> {
        let decision = self.judge_in_answer(operation, headers);
        let why = match (decision.verdict, &decision.rule) {
            (Verdict::Allow, _) | (Verdict::Block, None) => return Ok(()),
            (Verdict::Block, Some(_)) => "a tool call in the model's answer was stopped",
            (Verdict::Approve, _) => {
                "a tool call in the model's answer needs an approval, which half an answer cannot wait for"
            }
        };
        let mut refusal = blocked(&decision);
        refusal.public = format!("{} ({why})", refusal.public.trim_end_matches('.')).into();
        Err(refusal)
    }

    /// Whether an answer that turned out to be weights of a model may reach the caller. Where that takes an approval, the
    /// call is known for what it is from now on: sent again, it is held beforehand.
    pub(crate) fn judge_weights(
        &self,
        operation: &Operation,
        headers: &http::HeaderMap,
        why: &str,
    ) -> Result<(), Refusal> {
        let decision = self.judge_in_answer(operation, headers);
        let mut refusal = blocked(&decision);
        let told = match decision.verdict {
            Verdict::Allow => return Ok(()),
            Verdict::Block => "",
            Verdict::Approve => {
                self.gateway.shared.weights.learn(&self.target.settings.connection.name, operation);
                if operation.method == "GET" {
                    refusal.kind = RefusalKind::ApprovalPending;
                }
                "; they pass with an approval only: send the same call again to ask for it"
            }
        };
        let said = refusal.public.trim_end_matches('.');
        refusal.public =
            format!("{said} (the answer turned out to be weights of a model by {why}{told}).").into();
        Err(refusal)
    }

    /// What the rules say of something that an answer turned out to hold, which detectors looked at on no request.
    fn judge_in_answer(&self, operation: &Operation, headers: &http::HeaderMap) -> Arc<Decision> {
        let risk = Risk::of(keyward_core::risk::shown(operation, clock::now(), false));
        let findings = RequestFindings::default();
        let decision = self.decide_on(operation, headers, (Some(&findings), Some(&risk)));
        self.note(&decision, operation);
        decision
    }

    /// Counts what rules in `mode: observe` would have done, and writes the decision's line of the log. Calls that merely
    /// pass are told at level debug: the journal has each of them.
    fn note(&self, decision: &Decision, operation: &Operation) {
        let (verdict, class) = (decision.verdict.as_str(), operation.class.as_str());
        let rule = decision.rule.as_deref().unwrap_or("none");
        let policy: &str = self.gateway.policy.version();
        let connection: &str = &self.target.settings.connection.name;
        if decision.verdict == Verdict::Allow && decision.observed.is_empty() {
            tracing::debug!(request = %self.request, connection, class, verdict, rule, policy, "call decided");
            return;
        }
        let observed = decision.observed.join(",");
        self.gateway.shared.metrics.observed(&decision.observed);
        tracing::info!(request = %self.request, connection, class, verdict, rule, observed, policy, "call decided");
    }

    /// What the rules say of an operation, for themselves.
    pub(crate) fn decide_on(
        &self,
        operation: &Operation,
        headers: &http::HeaderMap,
        (findings, risk): (Option<&RequestFindings>, Option<&Risk>),
    ) -> Arc<Decision> {
        let facts = Facts {
            principal: &self.verified.principal,
            connection: &self.target.settings.connection,
            operation,
            request: RequestFacts {
                headers: &HeaderView(headers),
                peer: Some(self.peer.ip()),
                findings,
                risk,
            },
            now: clock::now(),
        };
        self.gateway.policy.decide(&facts)
    }
}

/// Request headers as policy reads them.
struct HeaderView<'a>(&'a http::HeaderMap);

impl keyward_core::policy::Headers for HeaderView<'_> {
    fn header(&self, name: &str) -> keyward_core::policy::HeaderText<'_> {
        use keyward_core::policy::HeaderText;
        let mut values = self.0.get_all(name).iter();
        let Some(first) = values.next() else { return HeaderText::Absent };
        let Ok(first) = first.to_str() else { return HeaderText::Unreadable };
        let mut text = std::borrow::Cow::Borrowed(first);
        for value in values {
            let Ok(value) = value.to_str() else { return HeaderText::Unreadable };
            text.to_mut().push_str(", ");
            text.to_mut().push_str(value);
        }
        HeaderText::Text(text)
    }
}

/// The sentence for whoever has to wait.
fn limited(used_up: &UsedUp) -> Refusal {
    let UsedUp { rule, measure, most, per, wait } = used_up;
    // Up to a whole second, so that nobody comes a moment too soon.
    let wait = Duration::from_secs(wait.as_secs() + 1);
    let text = format!(
        "The budget of rule \"{rule}\" is used up: {most} {} in {}. Try again in {}.",
        measure.as_str(),
        span(*per),
        span(wait)
    );
    let mut refusal = Refusal::new(RefusalKind::LimitReached, text).by_rule(Some(Arc::clone(rule)));
    refusal.retry_after = Some(wait);
    refusal
}

impl CallForm {
    /// Whether the window that let a WebSocket open lets this message through: the same rule asks once more. When the
    /// window ends, so does the session.
    fn is_granted(&self, decision: &Decision) -> bool {
        let Self::Message(opened, _) = self else { return false };
        opened.granted.is_some() && opened.granted == decision.rule
    }
}

/// A rule holds what cannot be held: a WebSocket's opening has no retry that would attach, and what is open cannot wait.
fn cannot_wait(decision: &Decision) -> Refusal {
    let rule = decision.rule.as_deref().unwrap_or("none");
    let public = format!(
        "Rule \"{rule}\" asks for an approval, which a WebSocket cannot wait for; ask for a window (`keyward grants request`) instead."
    );
    Refusal::new(RefusalKind::Blocked, public).by_rule(decision.rule.clone())
}

fn blocked(decision: &Decision) -> Refusal {
    let public = match (&decision.rule, &decision.reason) {
        (Some(rule), Some(reason)) => format!("Blocked by rule \"{rule}\": {reason}"),
        (Some(rule), None) => format!("Blocked by rule \"{rule}\"."),
        (None, _) => "Blocked: no rule allows this call; ask whoever writes the gateway's policy.".to_owned(),
    };
    Refusal::new(RefusalKind::Blocked, public).by_rule(decision.rule.clone())
}
