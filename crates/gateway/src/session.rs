//! One principal on one connection: what belongs together in the record, and the way in for each of its exchanges.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use keyward_core::{RequestId, SessionId};
use keyward_journal::Record;
use keyward_journal::record::{DecisionRecord, Refused};
use keyward_secrets::Lease;
use tokio::time::Instant;

use crate::clock;
use crate::identify::Verified;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::Target;
use crate::snapshot::{Gateway, InFlight};

/// One exchange within its session.
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// The exchange.
    pub request: RequestId,
    /// The configuration that it began with.
    pub gateway: Arc<Gateway>,
    /// Whose it is.
    pub verified: Arc<Verified>,
    /// Where it goes.
    pub target: Arc<Target>,
    /// The caller's address.
    pub peer: SocketAddr,
    /// When the request arrived.
    pub arrived: Instant,
    /// Counts it as under way.
    pub in_flight: InFlight,
}

impl Gateway {
    /// Opens the session of this principal on this connection, or joins the one that is open. Recorded from here on.
    pub fn open(
        self: &Arc<Self>,
        verified: Arc<Verified>,
        target: Arc<Target>,
        peer: SocketAddr,
        request: RequestId,
        in_flight: InFlight,
    ) -> Result<Session, Refusal> {
        let (id, life) = self.shared.sessions.join(&self.shared.journal, &verified, &target, peer)?;
        let arrived = Instant::now();
        let in_flight = in_flight.within(life);
        Ok(Session { id, request, gateway: Arc::clone(self), verified, target, peer, arrived, in_flight })
    }
}

impl Session {
    /// The same call as an exchange of its own, for a second try.
    pub(crate) fn again(&self) -> Self {
        Self {
            id: self.id,
            request: RequestId::new(clock::fresh_id()),
            gateway: Arc::clone(&self.gateway),
            verified: Arc::clone(&self.verified),
            target: Arc::clone(&self.target),
            peer: self.peer,
            arrived: self.arrived,
            in_flight: self.in_flight.clone(),
        }
    }

    /// Goes on until the session is ended, which ends `work` wherever it is.
    pub(crate) async fn unless_ended<T>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            ended = self.in_flight.life().ended() => Err(ended),
            done = work => done,
        }
    }

    /// Fetches the credential of the connection; none where it needs none.
    pub async fn lease(&self) -> Result<Option<Arc<Lease>>, Refusal> {
        let Some(credential) = &self.target.settings.credential else { return Ok(None) };
        match self.gateway.shared.secrets.lease(&credential.reference).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) => Err(secret_unavailable(error)),
        }
    }

    /// The headers of every governed reply.
    pub fn mark(&self, headers: &mut HeaderMap, decision: &DecisionRecord) {
        set(headers, "keyward-request-id", &self.request.to_string());
        set(headers, "keyward-session", &self.id.to_string());
        set(headers, "keyward-decision", decision.verdict.as_str());
        if let Some(rule) = &decision.rule {
            set(headers, "keyward-rule", rule);
        }
    }

    /// Records a refusal in this session, unless the exchange has its outcome already.
    pub fn refused(&self, mut refusal: Refusal) -> Refusal {
        if refusal.session.is_some() {
            return refusal;
        }
        if refusal.kind == RefusalKind::SessionEnded && self.in_flight.began() {
            refusal.session = Some(self.id); // its outcome was recorded when what was under way was dropped
            return refusal;
        }
        let (operation, decision) = match refusal.judged.take() {
            Some(judged) => (Some(judged.operation), Some(judged.decision)),
            None => (None, None),
        };
        let record = Record::Refused(Box::new(Refused {
            request: self.request,
            session: Some(self.id),
            at: clock::now(),
            principal: Some(self.verified.principal.reference()),
            connection: Some(Arc::clone(&self.target.settings.connection.name)),
            operation,
            decision,
            code: refusal.kind.code().to_owned(),
            status: refusal.kind.status().as_u16(),
            peer: self.peer.to_string(),
            detail: Some(detail(&refusal)),
        }));
        if let Err(error) = self.gateway.shared.journal.append(&record) {
            tracing::error!(error = &error as &dyn std::error::Error, "refusal not recorded");
        }
        refusal.session = Some(self.id);
        refusal
    }
}

/// A credential that cannot be had, told without its value.
pub fn secret_unavailable(error: keyward_secrets::SecretError) -> Refusal {
    Refusal::new(
        RefusalKind::SecretUnavailable,
        "The upstream credential of this connection cannot be had; whoever runs the gateway finds the reason in its log.",
    )
    .because(error)
}

/// The refusal and its causes in one line, for log and journal.
pub fn detail(refusal: &Refusal) -> String {
    with_causes(refusal.public.to_string(), std::error::Error::source(refusal))
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    with_causes(error.to_string(), error.source())
}

fn with_causes(mut text: String, mut source: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Sets a header of ours; a value that cannot stand in a header is left out.
pub fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
