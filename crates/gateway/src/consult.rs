//! Decision points outside: services that are asked over REST about a call that the rules let pass (Open Policy Agent's data
//! API: `POST` with `{"input": …}`, answered by `{"result": …}`).
//!
//! Promise: an answer only ever narrows. It may forbid the call, or name findings over which the rules decide once more, of which
//! the stricter verdict holds. What does not answer in time, or not in the form that is asked for, counts as a no wherever
//! its rule does not say `on_failure: ignore`: *fails closed*. What is told is what records show: never a body, never a
//! value that was found.
//!
//! Exceptions: calls of tools in an answer, and answers that turn out to be weights, are judged by the rules alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use keyward_core::policy::RequestFindings;
use keyward_core::{ConsultRule, Decision, OnFailure, Risk, Verdict};
use keyward_secrets::SecretRef;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::clock;
use crate::fetch::{FetchError, FetchLimits, FetchUrl};
use crate::inject;
use crate::session::Session;
use crate::settings::Inject;

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest reason that is passed on, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Most findings that one answer can name.
const FINDINGS_MAX: usize = 100;

/// Whom to ask.
#[derive(Clone)]
pub struct PointSettings {
    /// Where questions are posted.
    pub url: FetchUrl,
    /// The bearer token that it wants.
    pub token: Option<SecretRef>,
    /// The longest time to its answer.
    pub timeout: Duration,
}

/// The decision points of one configuration, by name.
pub type Points = HashMap<Arc<str>, PointSettings>;

/// What a point says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    allowed: bool,
    reason: String,
    findings: Vec<Arc<str>>,
}

/// The result as it is written: a truth value, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(bool),
    Full {
        allow: bool,
        #[serde(default)]
        reason: String,
        #[serde(default)]
        findings: Vec<String>,
    },
}

/// Why a point said nothing that can be used.
#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error("the configuration has no such decision point")]
    Unknown,
    #[error("its token cannot be had")]
    Token,
    #[error("it was not reached")]
    Fetch(#[from] FetchError),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("its answer has no `result` that is a truth value or an object with `allow`")]
    Form,
}

impl Session {
    /// Asks whoever the decision's rules want asked; the decision that holds then.
    pub(crate) async fn consult(
        &self,
        call: &Call,
        decision: Arc<Decision>,
        (findings, risk): (Option<&RequestFindings>, Option<&Risk>),
    ) -> Arc<Decision> {
        if decision.verdict == Verdict::Block || decision.consult.is_empty() {
            return decision;
        }
        Box::pin(self.ask_points(call, decision, (findings, risk))).await
    }

    async fn ask_points(
        &self,
        call: &Call,
        decision: Arc<Decision>,
        (findings, risk): (Option<&RequestFindings>, Option<&Risk>),
    ) -> Arc<Decision> {
        let question = Bytes::from(self.question(call, &decision, (findings, risk)).to_string());
        let mut told = findings.cloned();
        let before = told.as_ref().map_or(0, |told| told.detectors.len());
        for rule in &decision.consult {
            let said = match self.ask_point(rule, question.clone()).await {
                Ok(said) => said,
                Err(error) => {
                    let (point, rule_id): (&str, &str) = (&rule.point, &rule.rule);
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(point, rule = rule_id, error, "a decision point did not answer");
                    match rule.on_failure {
                        OnFailure::Ignore => continue,
                        OnFailure::Block => {
                            let why = format!("The decision point \"{point}\" could not be asked.");
                            return forbidden(&decision, rule, why);
                        }
                    }
                }
            };
            if !said.allowed {
                let why = if said.reason.is_empty() {
                    format!("The decision point \"{}\" does not allow it.", rule.point)
                } else {
                    said.reason
                };
                return forbidden(&decision, rule, why);
            }
            if let Some(told) = &mut told {
                told.count += said.findings.len() as u64;
                told.detectors.extend(said.findings);
                told.detectors.sort();
                told.detectors.dedup();
            }
        }
        if told.as_ref().map_or(0, |told| told.detectors.len()) == before {
            return decision;
        }
        let again = self.decide_on(&call.operation, &call.headers, (told.as_ref(), risk));
        Arc::new((*decision).clone().and(&again))
    }

    async fn ask_point(&self, rule: &ConsultRule, question: Bytes) -> Result<Said, Silent> {
        let point = self.gateway.points.get(&rule.point).ok_or(Silent::Unknown)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(reference) = &point.token {
            let lease = self.gateway.shared.secrets.lease(reference).await.map_err(|_| Silent::Token)?;
            inject::set_credential(&mut headers, &Inject::Bearer, &lease.secret)
                .map_err(|_| Silent::Token)?;
        }
        let limits = FetchLimits { body_bytes_max: ANSWER_BYTES_MAX, deadline: point.timeout };
        let answer =
            self.gateway.shared.fetch.send(Method::POST, &point.url, headers, question, limits).await?;
        if answer.status != StatusCode::OK {
            return Err(Silent::Status(answer.status));
        }
        read(&answer.body).ok_or(Silent::Form)
    }

    fn question(
        &self,
        call: &Call,
        decision: &Decision,
        (findings, risk): (Option<&RequestFindings>, Option<&Risk>),
    ) -> Value {
        let connection = &self.target.settings.connection;
        let findings = findings
            .map(|found| json!({"detectors": found.detectors, "groups": found.groups, "count": found.count}));
        json!({"input": {
            "request": self.request,
            "session": self.id,
            "at": clock::now().to_string(),
            "peer": self.peer.ip().to_string(),
            "principal": *self.verified.principal,
            "connection": {"name": connection.name, "kind": connection.kind.as_str(), "tags": connection.tags,
                "owners": connection.owners},
            "operation": *call.shown,
            "findings": findings,
            "risk": risk,
            "verdict": decision.verdict,
            "rule": decision.rule,
            "matched": decision.matched,
        }})
    }
}

fn forbidden(decision: &Decision, rule: &ConsultRule, why: String) -> Arc<Decision> {
    Arc::new(Decision {
        verdict: Verdict::Block,
        rule: Some(Arc::clone(&rule.rule)),
        reason: Some(why.into()),
        approval: None,
        ..decision.clone()
    })
}

/// Reads an answer. What it names beyond its bounds is no answer.
fn read(body: &[u8]) -> Option<Said> {
    let mut answer: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    match serde_json::from_value(answer.remove("result")?).ok()? {
        Written::Plain(allowed) => Some(Said { allowed, ..Said::default() }),
        Written::Full { allow, reason, findings } => {
            let fits = findings.len() <= FINDINGS_MAX && findings.iter().all(|name| name.len() <= 128);
            let one_line = |c: char| if c.is_control() { ' ' } else { c };
            let reason: String = reason.chars().map(one_line).take(REASON_CHARS_MAX).collect();
            let reason = reason.trim().to_owned();
            let findings = findings.into_iter().map(Arc::from).collect();
            fits.then_some(Said { allowed: allow, reason, findings })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_truth_value_or_an_object_and_nothing_else() {
        let said = |text: &str| read(text.as_bytes());
        assert!(said(r#"{"result": true}"#).unwrap().allowed);
        assert!(!said(r#"{"result": false, "decision_id": "x"}"#).unwrap().allowed);
        let full =
            said(r#"{"result": {"allow": false, "reason": "Not\ntoday.", "findings": ["pii"]}}"#).unwrap();
        assert_eq!(full, Said { allowed: false, reason: "Not today.".into(), findings: vec!["pii".into()] });
        for other in [
            "",
            "true",
            "{}",
            r#"{"result": null}"#,
            r#"{"result": "true"}"#,
            r#"{"result": 1}"#,
            r#"{"result": {}}"#,
            r#"{"result": {"allow": "yes"}}"#,
            r#"{"result": {"allow": true, "findings": "pii"}}"#,
            r#"[{"result": true}]"#,
        ] {
            assert_eq!(said(other), None, "{other}");
        }
        let many =
            format!(r#"{{"result": {{"allow": true, "findings": {:?}}}}}"#, vec!["x"; FINDINGS_MAX + 1]);
        assert_eq!(said(&many), None);
    }
}
