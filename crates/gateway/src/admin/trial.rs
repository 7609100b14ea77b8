//! Trying a request: what the policy in force would say of it, rule by rule. Nothing is sent, nobody is asked, no budget is
//! drawn from.
//!
//! Promise: for auditors and administrators, recorded first. The head is read by the data path's own edge and the call
//! understood by its own adapters, so that what they refuse is refused here. What only a call at work has stays unknown: the
//! caller's address, what they did before, and what detectors find in the request; a condition that reads it falls to the
//! safe side. No secret is looked up, and a credential among the headers is dropped before anything reads them.

use axum::Json;
use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use keyward_core::policy::{Explanation, RequestFindings, Scene, SceneHeaders};
use keyward_core::{Place, Principal, PrincipalKind, Risk};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Caller;
use super::explain::RuleView;
use super::input::{Change, PARAMETER_BYTES_MAX};
use super::people::OperationView;
use super::problem::{OnChange, Problem};
use crate::settings::ConnectionSettings;
use crate::understand::{BodyNeed, body_need, understand};
use crate::{clock, edge, inject};

/// Most groups of a caller, and headers of a request, that are named one by one.
const NAMES_MAX: usize = 100;

/// A request to try.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// The connection that it goes over.
    #[schema(example = "openai")]
    connection: String,
    /// The method; GET, or POST with a body, when not given.
    #[serde(default)]
    #[schema(example = "POST")]
    method: Option<String>,
    /// The path below the connection, with its query.
    #[schema(example = "/v1/chat/completions")]
    path: String,
    /// Headers; with a body, `content-type` is `application/json` when it is not among them.
    #[serde(default)]
    #[schema(max_items = 100)]
    headers: Vec<TrialHeader>,
    /// The body.
    #[serde(default)]
    body: Option<String>,
    /// Who calls.
    #[serde(rename = "as")]
    who: TrialCaller,
}

/// A header of a request to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialHeader {
    name: String,
    value: String,
}

/// Who would call.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialCaller {
    /// The issuer that vouches for them; one's own when not given.
    #[serde(default)]
    #[schema(example = "https://idp.example.com")]
    issuer: Option<String>,
    /// The subject within the issuer.
    #[schema(example = "alice", max_length = 512)]
    subject: String,
    /// What kind of caller it is.
    #[serde(default)]
    kind: TrialKind,
    /// The groups that the token would name.
    #[serde(default)]
    #[schema(max_items = 100)]
    groups: Vec<String>,
}

/// What kind of caller.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TrialKind {
    /// A person.
    #[default]
    User,
    /// A machine.
    Service,
    /// A program that acts by a model's choice.
    Agent,
}

/// What would come of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialView {
    /// The version of the policy that was asked.
    policy: String,
    /// Why the gateway refuses the request before any rule is asked; then there is no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// `allow`, `approve` or `block`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "approve")]
    verdict: Option<String>,
    /// The rule behind the verdict; absent where no rule allows the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// What the caller would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whom it would wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// What the request does, understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<OperationView>,
    /// What rules would have masked.
    masks: Vec<MaskView>,
    /// Every rule, sorted by id.
    rules: Vec<RuleView>,
    /// The facts, as the `given` of a policy test: paste them into one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    given: Option<Value>,
}

/// What a rule has masked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MaskView {
    /// The rule.
    rule: String,
    /// Detectors and groups of detectors.
    detect: Vec<String>,
    /// `response`, `stream`, `headers`, `errors` or `request`.
    #[schema(value_type = Vec<String>)]
    places: Vec<Place>,
}

/// Try a request
///
/// What the policy in force would say of a request, rule by rule. Nothing is sent, and nobody is asked.
#[utoipa::path(post, path = "/api/v1/policy/try", tag = "policy", security(("token" = [])), request_body = Trial,
    responses((status = 200, description = "The verdict, and every rule with what it read", body = TrialView), OnChange))]
pub(super) async fn attempt(change: Change<Trial>) -> Result<Json<TrialView>, Problem> {
    const ACTION: &str = "policy.try";
    let Change { caller, asked } = change;
    let target = format!("{} on {}", asked.who.subject, asked.connection);
    caller.audit(ACTION, &target)?;
    let tried = tried(&caller, &asked);
    tried.map(Json).map_err(|problem| caller.denied(ACTION, &target, problem))
}

fn tried(caller: &Caller, asked: &Trial) -> Result<TrialView, Problem> {
    let policy = &caller.gateway.policy;
    let target = caller.place(&asked.connection)?;
    let principal = principal(caller, &asked.who)?;
    let (parts, body) = request(asked)?;
    let scene = match scene(&target.settings, principal, parts, body.as_bytes(), policy.reads_findings()) {
        Ok(scene) => scene,
        Err(refused) => return Ok(TrialView::refused(policy.version(), refused)),
    };
    Ok(TrialView::new(policy.version(), policy.explain(&scene.facts()), &scene))
}

impl TrialView {
    fn refused(policy: &str, why: String) -> Self {
        Self {
            policy: policy.to_owned(),
            refused: Some(why),
            verdict: None,
            rule: None,
            reason: None,
            approval: None,
            operation: None,
            masks: Vec::new(),
            rules: Vec::new(),
            given: None,
        }
    }

    fn new(policy: &str, explained: Explanation, scene: &Scene) -> Self {
        let decision = explained.decision;
        let mask = |it: &keyward_core::MaskRule| MaskView {
            rule: it.rule.to_string(),
            detect: it.detect.iter().map(ToString::to_string).collect(),
            places: it.places.clone(),
        };
        Self {
            policy: policy.to_owned(),
            refused: None,
            verdict: Some(decision.verdict.as_str().to_owned()),
            rule: decision.rule.as_deref().map(str::to_owned),
            reason: decision.reason.as_deref().map(str::to_owned),
            approval: decision.approval.as_ref().map(ToString::to_string),
            operation: Some(OperationView::from(&scene.operation)),
            masks: decision.mask.iter().map(mask).collect(),
            rules: explained.rules.into_iter().map(|rule| RuleView::new(rule, true)).collect(),
            given: Some(scene.given()),
        }
    }
}

fn principal(caller: &Caller, who: &TrialCaller) -> Result<Principal, Problem> {
    let issuer = who.issuer.as_deref().unwrap_or(&caller.principal().issuer);
    let sound = |text: &str| !text.is_empty() && text.len() <= PARAMETER_BYTES_MAX;
    if !sound(issuer) || !sound(&who.subject) {
        return Err(Problem::bad_request(
            "`as` needs a subject, and none of its texts is longer than 512 bytes.",
        ));
    }
    if who.groups.len() > NAMES_MAX || !who.groups.iter().all(|group| sound(group)) {
        return Err(Problem::bad_request("`groups` has at most 100 names of 1 to 512 bytes."));
    }
    Ok(Principal {
        issuer: issuer.into(),
        subject: who.subject.as_str().into(),
        kind: match who.kind {
            TrialKind::User => PrincipalKind::User,
            TrialKind::Service => PrincipalKind::Service,
            TrialKind::Agent => PrincipalKind::Agent,
        },
        groups: who.groups.iter().map(|group| group.as_str().into()).collect(),
        name: None,
        acting_for: Vec::new(),
    })
}

/// The request as HTTP/1.1 would bring it.
fn request(asked: &Trial) -> Result<(Parts, &str), Problem> {
    let wrong = || Problem::bad_request("This is no request: check method, path and headers.");
    if !asked.path.starts_with('/') {
        return Err(Problem::bad_request("`path` is the path below the connection, and begins with `/`."));
    }
    if asked.headers.len() > NAMES_MAX {
        return Err(Problem::bad_request("There are more than 100 headers."));
    }
    let body = asked.body.as_deref().unwrap_or_default();
    let method = asked.method.as_deref().filter(|method| !method.is_empty());
    let method = method.unwrap_or(if body.is_empty() { "GET" } else { "POST" });
    let request = Request::builder().method(method).uri(&asked.path).body(()).map_err(|_| wrong())?;
    let (mut parts, ()) = request.into_parts();
    for TrialHeader { name, value } in &asked.headers {
        let name = name.parse::<HeaderName>().map_err(|_| wrong())?;
        parts.headers.append(name, value.parse::<HeaderValue>().map_err(|_| wrong())?);
    }
    parts.headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    if !body.is_empty() {
        parts.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    Ok((parts, body))
}

/// The facts of the request, read as the data path reads them; or why it would be refused there.
fn scene(
    settings: &ConnectionSettings,
    principal: Principal,
    mut parts: Parts,
    body: &[u8],
    reads_findings: bool,
) -> Result<Scene, String> {
    let head = edge::read(&parts).map_err(|refusal| refusal.public.to_string())?;
    inject::strip_request(&mut parts.headers);
    let read = match body_need(settings.connection.kind, &parts.method, &head.path, &parts.headers) {
        BodyNeed::None if !body.is_empty() => None,
        _ => Some(body),
    };
    let method = parts.method.as_str();
    let mut operation = understand(settings.api(), method, &head.path, &head.query, &parts.headers, read)
        .map_err(|error| error.public().to_string())?;
    operation.body_bytes = Some(body.len() as u64);
    let headers = parts.headers.keys().map(|name| {
        let values: Vec<&str> =
            parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (name.as_str().to_owned(), values.join(", "))
    });
    let now = clock::now();
    Ok(Scene {
        principal,
        connection: settings.connection.clone(),
        headers: SceneHeaders::Known(headers.collect()),
        peer: None,
        findings: (!reads_findings).then(RequestFindings::default),
        risk: Some(Risk::of(keyward_core::risk::shown(&operation, now, false))),
        operation,
        now,
    })
}
