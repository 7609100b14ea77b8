mod approvals;
mod conditions;
mod deciding;
mod documents;
mod explaining;
mod findings;
mod laws;
mod limits;
mod masks;
mod packs;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::principal::PrincipalRef;
use crate::{ConnectionKind, OperationClass, PrincipalKind, Resource, Upstream, Verdict};

const DETECTORS: &[&str] = &["credentials", "pii"];

fn source(rules: &str) -> PolicySource {
    let text = format!("apiVersion: keyward/v1\nkind: Policy\nmetadata: {{name: test}}\nrules:\n{rules}");
    PolicySource { name: "test.yaml".to_owned(), text }
}

fn load(rules: &str) -> Result<PolicySet, Vec<PolicyError>> {
    PolicySet::load(&[source(rules)], DETECTORS)
}

fn allow(when: &str) -> Result<PolicySet, Vec<PolicyError>> {
    load(&format!("  - id: a\n    effect: allow\n    when: |-\n      {when}\n"))
}

/// The message and help of the only mistake in a condition.
fn mistake(when: &str) -> String {
    let errors = allow(when).expect_err(when);
    assert_eq!(errors.len(), 1, "{when}: {errors:?}");
    let error = &errors[0];
    format!("{} ({})", error.message, error.help.as_deref().unwrap_or(""))
}

#[derive(Debug, Clone)]
struct World {
    principal: Principal,
    connection: Connection,
    operation: Operation,
    headers: BTreeMap<String, String>,
    findings: Option<RequestFindings>,
    risk: Option<Risk>,
    broken: Option<String>,
    now: Timestamp,
}

impl Headers for World {
    fn header(&self, name: &str) -> HeaderText<'_> {
        if self.broken.as_deref() == Some(name) {
            return HeaderText::Unreadable;
        }
        self.headers.get(name).map_or(HeaderText::Absent, |value| HeaderText::Text(Cow::Borrowed(value)))
    }
}

impl World {
    fn new() -> Self {
        Self {
            principal: Principal {
                issuer: "https://issuer.example".into(),
                subject: "alice".into(),
                kind: PrincipalKind::User,
                groups: vec!["eng".into(), "ops".into()],
                name: None,
                acting_for: vec![PrincipalRef {
                    issuer: "https://issuer.example".into(),
                    subject: "bob".into(),
                }],
            },
            connection: Connection {
                name: "models".into(),
                kind: ConnectionKind::OpenAi,
                upstream: Upstream {
                    https: true,
                    host: "models.example".into(),
                    port: 443,
                    base_path: "/v1".into(),
                },
                tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
                owners: vec!["group:platform".to_owned()],
            },
            operation: Operation {
                class: OperationClass::ChatCompletions,
                resource: Resource {
                    model: "small".to_owned(),
                    file: String::new(),
                    tools: vec!["search".to_owned()],
                },
                method: "POST".to_owned(),
                path: "/chat/completions".to_owned(),
                query: String::new(),
                stream: true,
                body_bytes: Some(600),
                touches_secret_file: false,
                fetches_private: false,
                fields: vec!["messages".to_owned(), "model".to_owned()],
                inner: Vec::new(),
            },
            headers: BTreeMap::from([("x-team".to_owned(), "blue".to_owned())]),
            risk: Some(Risk::default()),
            broken: None,
            findings: Some(RequestFindings {
                detectors: vec!["email".into(), "github_token".into()],
                groups: vec!["credentials".into(), "pii".into()],
                count: 3,
            }),
            // Saturday 2026-01-31, 22:05 UTC
            now: Timestamp::from_micros(1_769_897_100_000_000),
        }
    }

    fn facts(&self) -> Facts<'_> {
        let peer = Some(IpAddr::from([10, 0, 0, 7]));
        Facts {
            principal: &self.principal,
            connection: &self.connection,
            operation: &self.operation,
            request: RequestFacts {
                headers: self,
                peer,
                findings: self.findings.as_ref(),
                risk: self.risk.as_ref(),
            },
            now: self.now,
        }
    }
}

fn matches(when: &str, world: &World) -> bool {
    let policy = allow(when).unwrap_or_else(|errors| panic!("{when}: {errors:?}"));
    policy.decide(&world.facts()).verdict == Verdict::Allow
}

const LADDER: &str = "  - {id: z-allow, effect: allow, when: 'true'}
  - {id: y-approve, effect: approve, when: 'operation.stream', reason: Y, approval: {approvers: ['group:g', 'group:h'], min: 1, ttl: 1h}}
  - {id: b-approve, effect: approve, when: 'operation.stream', message: B, approval: {approvers: ['group:k'], min: 2, ttl: 30m}}
  - {id: a-block, effect: block, when: 'operation.touches_secret_file', message: No}
  - {id: n-block, effect: block, mode: observe, when: 'true'}
  - {id: m-one, effect: mask, when: 'true', mask: {detect: [credentials], where: [stream]}}
  - {id: m-two, effect: mask, when: 'operation.stream', mask: {detect: [pii], where: [response], style: token}}
";
