//! The tests that stand in a policy document: facts in part, and the verdict that is expected.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde_saphyr::Location;

use super::yaml::{At, Map, Report, nearest};
use super::{Facts, HeaderText, Headers, PolicySet, RequestFacts, RequestFindings, TestResult};
use crate::principal::PrincipalRef;
use crate::{
    Connection, ConnectionKind, Operation, OperationClass, Principal, PrincipalKind, Resource, Timestamp,
    Upstream, Verdict,
};

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Location,
    principal: Principal,
    connection: Connection,
    operation: Operation,
    headers: Table,
    peer: Option<IpAddr>,
    findings: RequestFindings,
    now: Timestamp,
    /// None where only the rules are told.
    verdict: Option<Verdict>,
    /// Rules that must be among those that matched, and where the test names them.
    rules: Vec<(String, Location)>,
    /// Rules that must not.
    not_rules: Vec<(String, Location)>,
}

#[derive(Debug, Clone, Default)]
struct Table(BTreeMap<String, String>);

impl Headers for Table {
    fn header(&self, name: &str) -> HeaderText<'_> {
        self.0.get(name).map_or(HeaderText::Absent, |value| HeaderText::Text(value.as_str().into()))
    }
}

impl Case {
    /// Names every rule of the test that does not exist.
    pub(super) fn check(&self, report: &mut Report<'_>, ids: &[&str]) {
        for (id, at) in self.rules.iter().chain(&self.not_rules) {
            if !ids.contains(&id.as_str()) {
                report.at(*at, format!("there is no rule `{id}`"), Some(nearest(id, ids)));
            }
        }
    }

    /// Runs it, and notes which rules its facts touch.
    pub(super) fn run(&self, policy: &PolicySet, file: &str, touched: &mut HashSet<Arc<str>>) -> TestResult {
        let facts = Facts {
            principal: &self.principal,
            connection: &self.connection,
            operation: &self.operation,
            request: RequestFacts { headers: &self.headers, peer: self.peer, findings: Some(&self.findings) },
            now: self.now,
        };
        let decision = policy.decide(&facts);
        touched.extend(decision.matched.iter().chain(&decision.observed).cloned());
        let named = |id: &str| decision.matched.iter().chain(&decision.observed).any(|rule| &**rule == id);
        let mut differences = Vec::new();
        if let Some(wanted) = self.verdict.filter(|wanted| *wanted != decision.verdict) {
            let by = decision.rule.as_deref().unwrap_or("no rule");
            let (want, got) = (wanted.as_str(), decision.verdict.as_str());
            differences.push(format!("the verdict is {got} (by {by}), not {want}"));
        }
        for (id, _) in self.rules.iter().filter(|(id, _)| !named(id)) {
            differences.push(format!("rule {id} did not match"));
        }
        for (id, _) in self.not_rules.iter().filter(|(id, _)| named(id)) {
            differences.push(format!("rule {id} matched"));
        }
        TestResult {
            file: file.to_owned(),
            line: self.at.line(),
            name: self.name.clone(),
            failure: (!differences.is_empty()).then(|| differences.join("; ")),
        }
    }
}

/// Reads one test; what it does not give is a harmless default.
pub(super) fn read(report: &mut Report<'_>, node: &At) -> Option<Case> {
    let map = report.map(node, "a test", &["name", "given", "expect"])?;
    let name = map.need(report, "name", "a test").and_then(|name| report.text(name, "name"));
    let given = map.need(report, "given", "a test").and_then(|given| {
        report.map(given, "given", &["principal", "connection", "operation", "request", "finding", "time"])
    });
    let expect = map
        .need(report, "expect", "a test")
        .and_then(|expect| report.map(expect, "expect", &["verdict", "rules", "not_rules"]));
    let (name, given, expect) = (name?.to_owned(), given?, expect?);

    let words = [("allow", Verdict::Allow), ("approve", Verdict::Approve), ("block", Verdict::Block)];
    let verdict = match expect.get("verdict") {
        Some(verdict) => report.word(verdict, "verdict", &words).map(Some),
        None => Some(None),
    };
    let mut named = |key: &str| match expect.get(key) {
        Some(node) => report.texts(node, key).into_iter().map(|(id, at)| (id.to_owned(), at)).collect(),
        None => Vec::new(),
    };
    let (rules, not_rules) = (named("rules"), named("not_rules"));
    if verdict == Some(None) && rules.is_empty() && not_rules.is_empty() {
        report.at(
            expect.at,
            "the test expects nothing: it has none of `verdict`, `rules` and `not_rules`",
            None,
        );
    }

    let principal = read_principal(report, given);
    let connection = read_connection(report, given);
    let operation = read_operation(report, given);
    let (headers, peer) = read_request(report, given);
    let findings = read_findings(report, given);
    let now = match given.get("time") {
        Some(time) => report.text(time, "time").and_then(|text| {
            let parsed = text.parse::<jiff::Timestamp>().ok();
            if parsed.is_none() {
                let help = Some("write it like `2026-01-31T22:00:00Z`".to_owned());
                report.at(time.referenced, format!("`{text}` is no point in time"), help);
            }
            Some(Timestamp::from_micros(parsed?.as_microsecond()))
        }),
        // A Wednesday at noon.
        None => Some(Timestamp::from_micros(1_767_787_200_000_000)),
    };
    Some(Case {
        name,
        at: map.at,
        principal: principal?,
        connection: connection?,
        operation: operation?,
        headers,
        peer,
        findings,
        now: now?,
        verdict: verdict?,
        rules,
        not_rules,
    })
}

/// The text at `key`, or `default`.
fn text_or(report: &mut Report<'_>, map: Option<Map<'_>>, key: &str, default: &str) -> String {
    let node = map.and_then(|map| map.get(key));
    node.and_then(|node| report.text(node, key)).unwrap_or(default).to_owned()
}

fn texts_or_none(report: &mut Report<'_>, map: Option<Map<'_>>, key: &str) -> Vec<String> {
    match map.and_then(|map| map.get(key)) {
        Some(node) => report.texts(node, key).into_iter().map(|(text, _)| text.to_owned()).collect(),
        None => Vec::new(),
    }
}

fn table_or_none(report: &mut Report<'_>, map: Option<Map<'_>>, key: &str) -> BTreeMap<String, String> {
    let Some(node) = map.and_then(|map| map.get(key)) else { return BTreeMap::new() };
    let super::yaml::Node::Map(entries) = &node.value else {
        report.map(node, key, &[]);
        return BTreeMap::new();
    };
    let text = |(name, value): &(serde_saphyr::Spanned<String>, At)| {
        Some((name.value.clone(), report.text(value, key)?.to_owned()))
    };
    entries.iter().filter_map(text).collect()
}

/// The mapping at `key`, if given.
fn below<'n>(report: &mut Report<'_>, map: Map<'n>, key: &str, known: &[&str]) -> Option<Map<'n>> {
    map.get(key).and_then(|node| report.map(node, key, known))
}

fn read_principal(report: &mut Report<'_>, given: Map<'_>) -> Option<Principal> {
    let map = below(report, given, "principal", &["issuer", "subject", "kind", "groups", "acting_for"]);
    let words =
        [("user", PrincipalKind::User), ("service", PrincipalKind::Service), ("agent", PrincipalKind::Agent)];
    let kind = match map.and_then(|map| map.get("kind")) {
        Some(kind) => report.word(kind, "kind", &words),
        None => Some(PrincipalKind::User),
    };
    let acting_for = texts_or_none(report, map, "acting_for");
    Some(Principal {
        issuer: Arc::from(text_or(report, map, "issuer", "https://issuer.example")),
        subject: Arc::from(text_or(report, map, "subject", "someone")),
        kind: kind?,
        groups: texts_or_none(report, map, "groups").into_iter().map(Arc::from).collect(),
        name: None,
        acting_for: acting_for
            .iter()
            .map(|actor| {
                let (issuer, subject) = actor.rsplit_once('#').unwrap_or(("", actor));
                PrincipalRef { issuer: Arc::from(issuer), subject: Arc::from(subject) }
            })
            .collect(),
    })
}

fn read_connection(report: &mut Report<'_>, given: Map<'_>) -> Option<Connection> {
    let map = below(report, given, "connection", &["name", "kind", "tags", "upstream"]);
    let words: Vec<(&str, ConnectionKind)> =
        ConnectionKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let kind = match map.and_then(|map| map.get("kind")) {
        Some(kind) => report.word(kind, "kind", &words),
        None => Some(ConnectionKind::OpenAi),
    };
    let upstream = map.and_then(|map| below(report, map, "upstream", &["host"]));
    let host = text_or(report, upstream, "host", "upstream.example");
    Some(Connection {
        name: Arc::from(text_or(report, map, "name", "models")),
        kind: kind?,
        upstream: Upstream { https: true, host: Arc::from(host), port: 443, base_path: Arc::from("") },
        tags: table_or_none(report, map, "tags"),
    })
}

const OPERATION_KEYS: &[&str] =
    &["class", "resource", "method", "path", "query", "stream", "body_bytes", "touches_secret_file"];

fn read_operation(report: &mut Report<'_>, given: Map<'_>) -> Option<Operation> {
    let map = below(report, given, "operation", OPERATION_KEYS);
    let words: Vec<(&str, OperationClass)> =
        OperationClass::ALL.iter().map(|class| (class.as_str(), *class)).collect();
    let class = match map.and_then(|map| map.get("class")) {
        Some(class) => report.word(class, "class", &words),
        None => Some(OperationClass::Unknown),
    };
    let resource = map.and_then(|map| below(report, map, "resource", &["model", "file", "tools"]));
    let mut flag = |key: &str| match map.and_then(|map| map.get(key)) {
        Some(node) => report.bool(node, key),
        None => Some(false),
    };
    let (stream, touches_secret_file) = (flag("stream"), flag("touches_secret_file"));
    let body_bytes = match map.and_then(|map| map.get("body_bytes")) {
        Some(node) => report.number(node, "body_bytes", 0..=i64::MAX).and_then(|n| u64::try_from(n).ok()),
        None => Some(0),
    };
    Some(Operation {
        class: class?,
        resource: Resource {
            model: text_or(report, resource, "model", ""),
            file: text_or(report, resource, "file", ""),
            tools: texts_or_none(report, resource, "tools"),
        },
        method: text_or(report, map, "method", "POST"),
        path: text_or(report, map, "path", "/"),
        query: text_or(report, map, "query", ""),
        stream: stream?,
        body_bytes,
        touches_secret_file: touches_secret_file?,
    })
}

/// What was found; nothing when nothing is given. Each detector that is named counts once, unless `count` says more.
fn read_findings(report: &mut Report<'_>, given: Map<'_>) -> RequestFindings {
    let map = below(report, given, "finding", &["detectors", "groups", "count"]);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>()
    };
    let detectors = sorted(texts_or_none(report, map, "detectors"));
    let groups = sorted(texts_or_none(report, map, "groups"));
    let count = match map.and_then(|map| map.get("count")) {
        Some(node) => {
            report.number(node, "count", 0..=i64::MAX).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        }
        None => detectors.len() as u64,
    };
    RequestFindings { detectors, groups, count }
}

fn read_request(report: &mut Report<'_>, given: Map<'_>) -> (Table, Option<IpAddr>) {
    let map = below(report, given, "request", &["headers", "peer"]);
    let headers = table_or_none(report, map, "headers");
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let peer = map.and_then(|map| map.get("peer")).and_then(|node| {
        let text = report.text(node, "peer")?;
        let peer = text.parse().ok();
        if peer.is_none() {
            report.at(node.referenced, format!("`{text}` is no IP address"), None);
        }
        peer
    });
    (Table(headers), peer)
}
