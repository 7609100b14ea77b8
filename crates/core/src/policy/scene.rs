//! Facts that are owned: of a test, of a request in the journal, of a question. Written as the `given` of a test, so that
//! what was recorded can be pasted into one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::yaml::{At, Map, Node, Report, documents};
use super::{Facts, HeaderText, Headers, PolicyError, RequestFacts, RequestFindings};
use crate::principal::PrincipalRef;
use crate::{
    Connection, ConnectionKind, Operation, OperationClass, Principal, PrincipalKind, Resource, Risk, Signal,
    Timestamp, Upstream,
};

/// Stands for headers, findings and the length of a body that nobody knows.
const UNKNOWN: &str = "unknown";

/// Everything a verdict depends on, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Who calls.
    pub principal: Principal,
    /// Where to.
    pub connection: Connection,
    /// What it does.
    pub operation: Operation,
    /// The request's headers.
    pub headers: SceneHeaders,
    /// The socket's peer.
    pub peer: Option<IpAddr>,
    /// What detectors found in the request; none where nobody knows.
    pub findings: Option<RequestFindings>,
    /// How risky it is; none where nobody knows.
    pub risk: Option<Risk>,
    /// When.
    pub now: Timestamp,
}

/// The headers of a [`Scene`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SceneHeaders {
    /// By lower-case name.
    Known(BTreeMap<String, String>),
    /// They were not recorded: a condition that reads one fails, and falls to the safe side.
    Unknown,
}

impl Headers for SceneHeaders {
    fn header(&self, name: &str) -> HeaderText<'_> {
        match self {
            Self::Known(table) => {
                table.get(name).map_or(HeaderText::Absent, |value| HeaderText::Text(value.as_str().into()))
            }
            Self::Unknown => HeaderText::Unreadable,
        }
    }
}

impl Scene {
    /// As a decision takes them.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            principal: &self.principal,
            connection: &self.connection,
            operation: &self.operation,
            request: RequestFacts {
                headers: &self.headers,
                peer: self.peer,
                findings: self.findings.as_ref(),
                risk: self.risk.as_ref(),
            },
            now: self.now,
        }
    }

    /// Reads what [`Self::given`] wrote, or the `given` of a test. `name` is what errors call the text.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<PolicyError>> {
        let mut report = Report { file: name, errors: Vec::new() };
        let parts = documents(&mut report, text);
        let scene = parts.first().and_then(|part| read(&mut report, part));
        match scene {
            Some(scene) if report.errors.is_empty() => Ok(scene),
            _ => {
                if report.errors.is_empty() {
                    report.line(1, 1, "there are no facts in it", None);
                }
                Err(report.errors)
            }
        }
    }

    /// The facts as the `given` of a test.
    pub fn given(&self) -> Value {
        let (principal, connection, operation) = (&self.principal, &self.connection, &self.operation);
        let acting_for: Vec<String> = principal.acting_for.iter().map(ToString::to_string).collect();
        let resource = &operation.resource;
        let headers = match &self.headers {
            SceneHeaders::Known(table) => json!(table),
            SceneHeaders::Unknown => json!(UNKNOWN),
        };
        let mut request = json!({"headers": headers});
        if let (Some(peer), Some(request)) = (self.peer, request.as_object_mut()) {
            request.insert("peer".to_owned(), json!(peer.to_string()));
        }
        let finding = self.findings.as_ref().map_or_else(
            || json!(UNKNOWN),
            |found| json!({"detectors": found.detectors, "groups": found.groups, "count": found.count}),
        );
        let risk = self.risk.as_ref().map_or_else(|| json!(UNKNOWN), |risk| json!({"signals": risk}));
        json!({
            "principal": {
                "issuer": principal.issuer, "subject": principal.subject, "kind": principal.kind.as_str(),
                "groups": principal.groups, "acting_for": acting_for,
            },
            "connection": {
                "name": connection.name, "kind": connection.kind.as_str(), "tags": connection.tags,
                "owners": connection.owners,
                "upstream": {"host": connection.upstream.host},
            },
            "operation": {
                "class": operation.class.as_str(), "method": operation.method, "path": operation.path,
                "query": operation.query, "stream": operation.stream,
                "body_bytes": operation.body_bytes.map_or_else(|| json!(UNKNOWN), |bytes| json!(bytes)),
                "touches_secret_file": operation.touches_secret_file,
                "fetches_private": operation.fetches_private,
                "fields": operation.fields,
                "resource": {"model": resource.model, "file": resource.file, "tools": resource.tools},
            },
            "request": request,
            "finding": finding,
            "risk": risk,
            "time": self.now.to_string(),
        })
    }
}

/// Reads facts; what is not given is a harmless default.
pub(super) fn read(report: &mut Report<'_>, node: &At) -> Option<Scene> {
    const KEYS: [&str; 7] = ["principal", "connection", "operation", "request", "finding", "risk", "time"];
    let given = report.map(node, "given", &KEYS)?;
    let principal = read_principal(report, given);
    let connection = read_connection(report, given);
    let operation = read_operation(report, given);
    let (headers, peer) = read_request(report, given);
    let findings = read_findings(report, given);
    let risk = read_risk(report, given);
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
    Some(Scene {
        principal: principal?,
        connection: connection?,
        operation: operation?,
        headers,
        peer,
        findings,
        risk,
        now: now?,
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
    let Node::Map(entries) = &node.value else {
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
    let map = below(report, given, "connection", &["name", "kind", "tags", "owners", "upstream"]);
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
        owners: texts_or_none(report, map, "owners"),
    })
}

const OPERATION_KEYS: &[&str] = &[
    "class",
    "resource",
    "method",
    "path",
    "query",
    "stream",
    "body_bytes",
    "touches_secret_file",
    "fetches_private",
    "fields",
];

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
    let fetches_private = flag("fetches_private");
    let body_bytes = match map.and_then(|map| map.get("body_bytes")) {
        Some(node) if is_unknown(node) => None,
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
        fetches_private: fetches_private?,
        fields: texts_or_none(report, map, "fields"),
        inner: Vec::new(),
    })
}

/// What was not recorded: a condition that reads it fails, and falls to the safe side.
fn is_unknown(node: &At) -> bool {
    matches!(&node.value, Node::Text(text) if text == UNKNOWN)
}

/// What was found; nothing when nothing is given. Each detector that is named counts once, unless `count` says more.
fn read_findings(report: &mut Report<'_>, given: Map<'_>) -> Option<RequestFindings> {
    if given.get("finding").is_some_and(is_unknown) {
        return None;
    }
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
    Some(RequestFindings { detectors, groups, count })
}

/// The signals of its risk; none when none are given.
fn read_risk(report: &mut Report<'_>, given: Map<'_>) -> Option<Risk> {
    if given.get("risk").is_some_and(is_unknown) {
        return None;
    }
    let words: Vec<(&str, Signal)> = Signal::ALL.iter().map(|signal| (signal.as_str(), *signal)).collect();
    let map = below(report, given, "risk", &["signals"]);
    let Some(node) = map.and_then(|map| map.get("signals")) else { return Some(Risk::default()) };
    let signals: Vec<Signal> =
        report.list(node, "signals").iter().filter_map(|item| report.word(item, "signals", &words)).collect();
    Some(Risk::of(signals))
}

fn read_request(report: &mut Report<'_>, given: Map<'_>) -> (SceneHeaders, Option<IpAddr>) {
    let map = below(report, given, "request", &["headers", "peer"]);
    let unknown = map.and_then(|map| map.get("headers")).is_some_and(is_unknown);
    let headers = if unknown {
        SceneHeaders::Unknown
    } else {
        let table = table_or_none(report, map, "headers");
        SceneHeaders::Known(
            table.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        )
    };
    let peer = map.and_then(|map| map.get("peer")).and_then(|node| {
        let text = report.text(node, "peer")?;
        let peer = text.parse().ok();
        if peer.is_none() {
            report.at(node.referenced, format!("`{text}` is no IP address"), None);
        }
        peer
    });
    (headers, peer)
}
