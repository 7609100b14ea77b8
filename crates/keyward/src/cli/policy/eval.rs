//! `keyward policy eval`: what would happen to a call. Nothing is sent, and nobody is asked.
//!
//! The head is read by the gateway's own edge, the call understood by its own adapters, and the rules are those of the
//! configuration. What needs the gateway at work stays unknown: the peer's address, and what detectors find in the request.

use http::Request;
use keyward_core::policy::{RequestFindings, Scene, SceneHeaders};
use keyward_core::{Decision, Place, Principal, PrincipalKind, Risk, Verdict};
use keyward_gateway::settings::ConnectionSettings;
use keyward_gateway::understand::{BodyNeed, body_need, understand};
use keyward_gateway::{clock, edge, inject};
use serde::Serialize;

use super::super::Session;
use super::curl;
use super::shown::{self, ShownRule};
use super::{compiled, documents};
use crate::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EvalArgs {
    /// Who calls, as ISSUER#SUBJECT
    #[arg(long = "as", value_name = "ISSUER#SUBJECT")]
    who: String,
    /// What kind of caller it is
    #[arg(long, value_enum, default_value_t = Kind::User)]
    kind: Kind,
    /// A group of the caller; may be given again
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Decide by these documents instead of the configuration's; may be given again
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,
    /// The method; GET, or POST with data
    #[arg(long)]
    method: Option<String>,
    /// The path below the connection, with its query
    #[arg(long)]
    path: Option<String>,
    /// A header (`Name: value`); may be given again
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// The body, or @FILE
    #[arg(long)]
    data: Option<String>,
    /// The connection's name
    connection: String,
    /// After `--`: the call as curl would make it
    #[arg(last = true, value_name = "curl ARGS")]
    curl: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A person
    User,
    /// A machine
    Service,
    /// A program that acts by a model's choice
    Agent,
}

/// What would happen.
#[derive(Serialize)]
struct Evaluated {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// What `mask` rules ask for.
    mask: Vec<MaskShown>,
    policy: String,
    rules: Vec<ShownRule>,
    given: serde_json::Value,
}

#[derive(Serialize)]
struct MaskShown {
    rule: String,
    detect: Vec<String>,
    r#where: Vec<&'static str>,
}

pub(super) fn run(args: &EvalArgs, session: &Session) -> Result<(), Failure> {
    let loaded = session.load_config()?;
    let named = loaded.config.connections.iter().find(|it| it.name.as_str() == args.connection);
    let connection = named.ok_or_else(|| {
        let message = format!("the configuration has no connection `{}`", args.connection);
        Failure::new(Exit::NotFound, message, "`keyward connections ls` lists them")
    })?;
    let connection = crate::serve::connection_settings(connection)?;
    let set = if args.policy.is_empty() {
        compiled(&loaded.policies, session)?
    } else {
        compiled(&documents(&args.policy, session)?, session)?
    };
    let scene = scene(args, connection, set.reads_findings())?;
    let explained = set.explain(&scene.facts());
    let decision = &explained.decision;
    let evaluated = Evaluated {
        verdict: decision.verdict.as_str(),
        rule: decision.rule.as_deref().map(str::to_owned),
        reason: decision.reason.as_deref().map(str::to_owned),
        approval: decision.approval.as_ref().map(ToString::to_string),
        mask: masks(decision),
        policy: set.version().to_string(),
        rules: shown::rules(&explained),
        given: scene.given(),
    };
    if session.output.is_table() {
        session.output.bytes(text(&evaluated).as_bytes())?;
        shown::table(&evaluated.rules, session)?;
    } else {
        session.output.object(&evaluated, String::new)?;
    }
    match decision.verdict {
        Verdict::Allow => Ok(()),
        Verdict::Approve => Err(Failure::said(Exit::ApprovalPending)),
        Verdict::Block => Err(Failure::said(Exit::BlockedByPolicy)),
    }
}

fn masks(decision: &Decision) -> Vec<MaskShown> {
    let shown = |rule: &keyward_core::MaskRule| MaskShown {
        rule: rule.rule.to_string(),
        detect: rule.detect.iter().map(ToString::to_string).collect(),
        r#where: rule.places.iter().map(|place| place_word(*place)).collect(),
    };
    decision.mask.iter().map(shown).collect()
}

const fn place_word(place: Place) -> &'static str {
    match place {
        Place::Response => "response",
        Place::Stream => "stream",
        Place::Headers => "headers",
        Place::Errors => "errors",
        Place::Request => "request",
    }
}

fn text(it: &Evaluated) -> String {
    let mut out = format!("{} by {}", it.verdict, it.rule.as_deref().unwrap_or("no rule"));
    if let Some(reason) = &it.reason {
        out.extend([": ", reason]);
    }
    out.push('\n');
    if let Some(approval) = &it.approval {
        out.extend(["it would wait for ", approval, "\n"]);
    }
    for mask in &it.mask {
        out.extend([&*format!(
            "{} masks {} in {}\n",
            mask.rule,
            mask.detect.join(", "),
            mask.r#where.join(", ")
        )]);
    }
    out.push('\n');
    out
}

/// The facts of the call, read as the gateway reads them.
fn scene(args: &EvalArgs, settings: ConnectionSettings, reads_findings: bool) -> Result<Scene, Failure> {
    let asked = curl::read(&words(args)?)?;
    let refused =
        |public: &str| Failure::error(format!("the gateway refuses this call before any rule: {public}"), "");
    let mut request = Request::builder().method(asked.method).uri(asked.uri);
    if let Some(headers) = request.headers_mut() {
        *headers = asked.headers;
    }
    let (mut parts, body) = request
        .body(asked.body)
        .map_err(|_| Failure::usage("this is no request", "check method, path and headers"))?
        .into_parts();
    // As HTTP/1.1 puts it on the wire: the host in its header, the rest in the target.
    if !parts.headers.contains_key(http::header::HOST)
        && let Some(host) = parts.uri.authority().and_then(|host| host.as_str().parse().ok())
    {
        parts.headers.insert(http::header::HOST, host);
    }
    if let Some(target) = parts.uri.path_and_query().cloned() {
        parts.uri = target.into();
    }
    let head = edge::read(&parts).map_err(|refusal| refused(&refusal.public))?;
    inject::strip_request(&mut parts.headers);
    let path = below(&head.path, &settings.connection.name);
    let bytes = match body_need(settings.connection.kind, &parts.method, path, &parts.headers) {
        BodyNeed::None if !body.is_empty() => None,
        _ => Some(&*body),
    };
    let method = parts.method.as_str();
    let mut operation = understand(settings.api(), method, path, &head.query, &parts.headers, bytes)
        .map_err(|error| refused(&error.public()))?;
    operation.body_bytes = Some(body.len() as u64);
    let headers = parts.headers.keys().map(|name| {
        let values: Vec<&str> =
            parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (name.as_str().to_owned(), values.join(", "))
    });
    let now = clock::now();
    // What the caller did before, only the gateway knows.
    let risk = Risk::of(keyward_core::risk::shown(&operation, now, false));
    Ok(Scene {
        principal: principal(args)?,
        connection: settings.connection,
        operation,
        headers: SceneHeaders::Known(headers.collect()),
        peer: None,
        findings: (!reads_findings).then(RequestFindings::default),
        risk: Some(risk),
        now,
    })
}

/// The path below the connection: `/models/v1/x` of the gateway is `/v1/x` of the connection `models`.
fn below<'p>(path: &'p str, connection: &str) -> &'p str {
    match path.strip_prefix('/').and_then(|rest| rest.strip_prefix(connection)) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// The words of curl, or those that the options stand for.
fn words(args: &EvalArgs) -> Result<Vec<String>, Failure> {
    let by_options =
        args.path.is_some() || args.method.is_some() || args.data.is_some() || !args.header.is_empty();
    match (args.curl.is_empty(), by_options) {
        (false, false) => return Ok(args.curl.clone()),
        (true, true) => {}
        (false, true) => {
            return Err(Failure::usage("the call is given twice", "use --path and its like, or `-- curl …`"));
        }
        (true, false) => {
            return Err(Failure::usage(
                "no call is given",
                "add --path /v1/models, or `-- curl …` as you would run it",
            ));
        }
    }
    let path = args
        .path
        .clone()
        .ok_or_else(|| Failure::usage("--path is missing", "it is the path below the connection"))?;
    let mut words = vec![path];
    let mut push = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
    if let Some(method) = &args.method {
        push("-X", method);
    }
    args.header.iter().for_each(|header| push("-H", header));
    if let Some(data) = &args.data {
        let typed = args.header.iter().any(|header| header.to_ascii_lowercase().starts_with("content-type:"));
        push(if typed { "--data-binary" } else { "--json" }, data);
    }
    Ok(words)
}

fn principal(args: &EvalArgs) -> Result<Principal, Failure> {
    let (issuer, subject) = args
        .who
        .rsplit_once('#')
        .filter(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
        .ok_or_else(|| Failure::usage("--as takes ISSUER#SUBJECT", "like https://idp.example.com#alice"))?;
    Ok(Principal {
        issuer: issuer.into(),
        subject: subject.into(),
        kind: match args.kind {
            Kind::User => PrincipalKind::User,
            Kind::Service => PrincipalKind::Service,
            Kind::Agent => PrincipalKind::Agent,
        },
        groups: args.group.iter().map(|group| group.as_str().into()).collect(),
        name: None,
        acting_for: Vec::new(),
    })
}
