//! `keyward policy explain`: why a recorded request was decided as it was, by the gateway's policy or by another set.

use keyward_core::policy::Scene;
use serde::Serialize;
use serde_json::Value;

use super::super::Session;
use super::super::client::{Client, Remote};
use super::shown::{self, ShownRule};
use super::{compiled, documents, short};
use crate::exit::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The request, as the header keyward-request-id of its answer names it
    request: String,
    /// Explain against these documents instead of the gateway's policy; may be given again
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What another set says.
#[derive(Serialize)]
struct Other<'a> {
    request: &'a str,
    #[serde(skip_serializing_if = "Value::is_null")]
    recorded: &'a Value,
    policy: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    rules: Vec<ShownRule>,
    given: &'a Value,
}

pub(super) fn run(args: &ExplainArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::super::block_on(async {
        let answer = client.get(&["requests", &args.request, "explanation"], &[]).await?;
        if args.policy.is_empty() { in_force(&answer, session) } else { other(&answer, args, session) }
    })
}

fn in_force(answer: &Value, session: &Session) -> Result<(), Failure> {
    if !session.output.is_table() {
        return session.output.object(answer, String::new);
    }
    let rules: Vec<ShownRule> = serde_json::from_value(answer.get("rules").cloned().unwrap_or_default())
        .map_err(|_| Failure::error("the gateway's answer cannot be read", "use a client of its version"))?;
    let same = if answer.get("same_policy") == Some(&Value::Bool(true)) { "the same" } else { "another" };
    let version = short(word(answer, "policy"));
    let now = answer.get("verdict").and_then(Value::as_str).map_or_else(
        || "there is nothing to explain: policy was not asked, or its connection is gone\n".to_owned(),
        |verdict| {
            let then = outcome(word(answer, "reason"), word(answer, "approval"));
            format!("now: {} (policy {version}, {same})\n{then}\n", by(verdict, answer))
        },
    );
    let text = recorded(answer) + &now;
    session.output.bytes(text.as_bytes())?;
    if rules.is_empty() { Ok(()) } else { shown::table(&rules, session) }
}

fn other(answer: &Value, args: &ExplainArgs, session: &Session) -> Result<(), Failure> {
    let given = answer.get("given").filter(|given| given.is_object()).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "there is nothing to explain: policy was not asked, or its connection is gone",
            "",
        )
    })?;
    let scene = Scene::parse("the request's facts", &given.to_string()).map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        Failure::error(
            format!("the recorded facts cannot be read: {first}"),
            "use a client of the gateway's version",
        )
    })?;
    let set = compiled(&documents(&args.policy, session)?, session)?;
    let explained = set.explain(&scene.facts());
    let decision = &explained.decision;
    let other = Other {
        request: &args.request,
        recorded: answer.get("recorded").unwrap_or(&Value::Null),
        policy: set.version(),
        verdict: decision.verdict.as_str(),
        rule: decision.rule.as_deref(),
        reason: decision.reason.as_deref(),
        approval: decision.approval.as_ref().map(ToString::to_string),
        rules: shown::rules(&explained),
        given,
    };
    if !session.output.is_table() {
        return session.output.object(&other, String::new);
    }
    let rule = other.rule.unwrap_or("no rule");
    let then = outcome(other.reason.unwrap_or_default(), other.approval.as_deref().unwrap_or_default());
    let line = format!(
        "with these documents: {} by {rule} (policy {})\n{then}\n",
        other.verdict,
        short(other.policy)
    );
    session.output.bytes((recorded(answer) + &line).as_bytes())?;
    shown::table(&other.rules, session)
}

/// What the caller would be told, and whom the call would wait for; a line each.
fn outcome(reason: &str, approval: &str) -> String {
    let line =
        |what: &str, said: &str| if said.is_empty() { String::new() } else { format!("{what}{said}\n") };
    line("reason: ", reason) + &line("it would wait for ", approval)
}

/// What was decided then, in a line.
fn recorded(answer: &Value) -> String {
    let (request, at) = (word(answer, "request"), word(answer, "at"));
    match (answer.get("recorded"), answer.get("code").and_then(Value::as_str)) {
        (Some(then), _) => {
            let verdict = by(word(then, "verdict"), then);
            format!("{request} of {at}: {verdict} (policy {})\n", short(word(then, "policy")))
        }
        (None, Some(code)) => format!("{request} of {at}: refused before policy was asked ({code})\n"),
        (None, None) => format!("{request} of {at}\n"),
    }
}

fn by(verdict: &str, of: &Value) -> String {
    format!("{verdict} by {}", of.get("rule").and_then(Value::as_str).unwrap_or("no rule"))
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}
