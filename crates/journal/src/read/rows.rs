//! Questions and answers: filters, and the rows that come back.

use std::sync::Arc;

use keyward_core::principal::PrincipalRef;
use keyward_core::{ApprovalId, OperationClass, Principal, RequestId, SessionId, Timestamp, Verdict};

use crate::record::{End, Frame, Intent, Outcome, Record, Refused, ResponseHead, SecretUse, SessionOpened};

/// The most rows that one question is answered with.
pub const ROWS_MAX: usize = 10_000;

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Part of `ISSUER#SUBJECT` or of the name.
    pub principal: Option<String>,
    /// The connection's whole name.
    pub connection: Option<String>,
    /// Opened at or after.
    pub since: Option<Timestamp>,
    /// Opened before.
    pub until: Option<Timestamp>,
    /// At most so many, the newest; [`ROWS_MAX`] when none or more.
    pub limit: Option<usize>,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSummary {
    /// The session.
    pub session: SessionId,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended; none while open, or when the process died.
    pub closed: Option<Timestamp>,
    /// Whose it is.
    pub principal: Arc<Principal>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// The caller's network address.
    pub peer: String,
    /// Exchanges that reached the upstream.
    pub exchanges: u64,
    /// When its last record with a time was written.
    pub last: Timestamp,
    /// How the last finished exchange ended.
    pub last_end: Option<End>,
    /// Findings that were masked, over all exchanges.
    pub findings: u64,
}

/// One exchange as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Who did what, why, and the request.
    pub intent: Intent,
    /// Number of the intent's record.
    pub sequence: u64,
    /// The whole recorded request body, with times.
    pub request_body: Vec<Frame>,
    /// The head of the response; none when there was none.
    pub head: Option<ResponseHead>,
    /// The response's body as the caller got it, with times.
    pub frames: Vec<Frame>,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
}

/// What was decided of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// It was about to reach its upstream.
    Sent(Box<Intent>),
    /// It never did.
    Refused(Box<Refused>),
}

/// Which rows of the ledger.
#[derive(Debug, Clone, Default)]
pub struct LedgerFilter {
    /// The secret's reference, whole.
    pub secret: Option<String>,
    /// Part of `ISSUER#SUBJECT`; also matches the chain on whose behalf.
    pub principal: Option<String>,
    /// The connection's whole name.
    pub connection: Option<String>,
    /// The session.
    pub session: Option<SessionId>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// At most so many, the newest; [`ROWS_MAX`] when none or more.
    pub limit: Option<usize>,
    /// Only exchanges that used a secret.
    pub with_secret_only: bool,
}

/// One row of the ledger: one exchange, and the secret that was injected for it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    /// Number of the intent's record.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Which secret, which version; none where nothing was injected.
    pub secret: Option<SecretUse>,
    /// Who.
    pub principal: PrincipalRef,
    /// On whose behalf, nearest first.
    pub acting_for: Vec<PrincipalRef>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// What.
    pub class: OperationClass,
    /// Method and path at the upstream.
    pub method: String,
    /// Path at the upstream.
    pub path: String,
    /// The decision.
    pub verdict: Verdict,
    /// The rule behind it.
    pub rule: Option<Arc<str>>,
    /// The policy's version.
    pub policy: Arc<str>,
    /// The approval that it consumed.
    pub approval: Option<ApprovalId>,
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// How it ended; none while it runs.
    pub end: Option<End>,
    /// The status that the caller got.
    pub status: Option<u16>,
}

/// The exchanges of a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exchanges {
    /// In the order of their intents.
    pub exchanges: Vec<Exchange>,
    /// Bodies or exchanges were left out because of the bound.
    pub truncated: bool,
}

fn within(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

fn is_or_any(wanted: Option<&String>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == name)
}

impl SessionFilter {
    pub(super) fn matches(&self, opened: &SessionOpened) -> bool {
        let principal = &opened.principal;
        let named = self.principal.as_ref().is_none_or(|part| {
            principal.to_string().contains(part)
                || principal.name.as_ref().is_some_and(|name| name.contains(part.as_str()))
        });
        named
            && is_or_any(self.connection.as_ref(), &opened.connection)
            && within(opened.at, self.since, self.until)
    }
}

impl LedgerFilter {
    pub(super) fn matches(&self, intent: &Intent) -> bool {
        let mut chain = std::iter::once(&intent.principal).chain(&intent.acting_for);
        let secret = intent.secret.as_ref().map(|secret| &secret.reference);
        (!self.with_secret_only || secret.is_some())
            && self.secret.as_ref().is_none_or(|wanted| secret.is_some_and(|secret| **secret == **wanted))
            && self.principal.as_ref().is_none_or(|part| chain.any(|who| who.to_string().contains(part)))
            && is_or_any(self.connection.as_ref(), &intent.connection)
            && within(intent.at, self.since, self.until)
    }
}

impl SessionSummary {
    pub(super) fn new(opened: &SessionOpened) -> Self {
        Self {
            session: opened.session,
            opened: opened.at,
            closed: None,
            principal: Arc::clone(&opened.principal),
            connection: Arc::clone(&opened.connection),
            peer: opened.peer.clone(),
            exchanges: 0,
            last: opened.at,
            last_end: None,
            findings: 0,
        }
    }

    pub(super) fn follow(&mut self, record: &Record) {
        match record {
            Record::Intent(intent) => {
                self.exchanges += 1;
                self.last = intent.at;
            }
            Record::Outcome(outcome) => {
                self.last = outcome.at;
                self.last_end = Some(outcome.end);
                let findings = outcome.findings.iter().map(|finding| finding.count);
                self.findings = findings.fold(self.findings, u64::saturating_add);
            }
            Record::SessionClosed(closed) => {
                self.last = closed.at;
                self.closed = Some(closed.at);
            }
            _ => {}
        }
    }
}

impl LedgerRow {
    pub(super) fn new(sequence: u64, intent: &Intent) -> Self {
        Self {
            sequence,
            at: intent.at,
            secret: intent.secret.clone(),
            principal: intent.principal.clone(),
            acting_for: intent.acting_for.clone(),
            connection: Arc::clone(&intent.connection),
            class: intent.operation.class,
            method: intent.operation.method.clone(),
            path: intent.operation.path.clone(),
            verdict: intent.decision.verdict,
            rule: intent.decision.rule.clone(),
            policy: Arc::clone(&intent.decision.policy),
            approval: intent.approval,
            request: intent.request,
            session: intent.session,
            end: None,
            status: None,
        }
    }
}
