//! What a rule with `effect: approve` asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_saphyr::Location;

use super::document::span;
use super::yaml::{At, Report};
use crate::{ApprovalRule, Approvers, Bind, Escalation, OWNER};

/// Longest time an approval may wait or be used.
pub const APPROVAL_TTL_MAX: Duration = Duration::from_hours(7 * 24);
/// Longest window that may be approved in place of single calls.
pub const GRANT_MAX: Duration = Duration::from_hours(24);
/// How long nobody may watch a moderated call before it is ended, where the rule does not say.
const GRACE_DEFAULT: Duration = Duration::from_mins(1);
/// The longest such time.
const GRACE_MAX: Duration = Duration::from_mins(10);
/// Most distinct people that one approval can ask for.
pub const APPROVERS_NEEDED_MAX: i64 = 20;

pub(super) fn read(report: &mut Report<'_>, node: &At) -> Option<ApprovalRule> {
    let map = report.map(
        node,
        "approval",
        &["approvers", "min", "bind", "ttl", "grant", "escalate", "moderated"],
    )?;
    let approvers = map.need(report, "approvers", "approval")?;
    let names = report.texts(approvers, "approvers");
    if names.is_empty() {
        report.at(approvers.referenced, "nobody could approve: `approvers` is empty", None);
    }
    check_names(report, &names);
    let ttl = map.need(report, "ttl", "approval").and_then(|ttl| read_ttl(report, ttl));
    let escalate = map.get("escalate").map(|node| read_escalation(report, node, &names, ttl));
    let min = map.get("min").map_or(Some(1), |min| report.number(min, "min", 1..=APPROVERS_NEEDED_MAX));
    let added = escalate.iter().flatten().flat_map(|escalate| escalate.to.iter().map(String::as_str));
    let distinct: BTreeSet<&str> = names.iter().map(|(name, _)| *name).chain(added).collect();
    if let Some(min) = min.and_then(|min| usize::try_from(min).ok())
        && distinct.iter().all(|name| name.starts_with("user:"))
        && min > distinct.len()
    {
        report.at(
            node.referenced,
            format!("{min} people must approve, and {} are named", distinct.len()),
            None,
        );
    }
    let bind = map.get("bind").map_or(Some(Bind::default()), |bind| report.word(bind, "bind", &Bind::ALL));
    let grant = map.get("grant").map(|node| span(report, node, "grant", GRANT_MAX, "1d"));
    let moderated = map.get("moderated").map(|node| read_moderated(report, node));
    if let (Some(node), Some(_)) = (map.get("grant"), &moderated) {
        let message = "`grant` does nothing in an approval that is `moderated`: each call is watched";
        report.at(node.referenced, message, Some("remove one of them".to_owned()));
    }
    Some(ApprovalRule {
        approvers: Approvers { names: owned(&names), escalate: escalate.flatten() },
        and: Vec::new(),
        min: u32::try_from(min?).ok()?,
        ttl: ttl?,
        bind: bind?,
        grant: grant.flatten(),
        moderated: moderated.flatten(),
    })
}

/// Who is added, and when. `approvers` and `ttl` are those of the approval; an error beside them is told already.
fn read_escalation(
    report: &mut Report<'_>,
    node: &At,
    approvers: &[(&str, Location)],
    ttl: Option<Duration>,
) -> Option<Escalation> {
    let map = report.map(node, "escalate", &["after", "to"])?;
    let after = map.need(report, "after", "escalate").and_then(|after| {
        let span = span(report, after, "after", APPROVAL_TTL_MAX, "7d")?;
        if ttl.is_some_and(|ttl| span >= ttl) {
            let help = Some("`after` is shorter than `ttl`".to_owned());
            report.at(after.referenced, "the approval is over before it escalates", help);
        }
        Some(span)
    });
    let to = map.need(report, "to", "escalate")?;
    let names = report.texts(to, "to");
    check_names(report, &names);
    if names.iter().all(|(name, _)| approvers.iter().any(|(known, _)| known == name)) {
        let help = Some("name somebody who is not among `approvers`".to_owned());
        report.at(to.referenced, "the escalation does nothing: `to` adds nobody", help);
    }
    Some(Escalation { after: after?, to: owned(&names) })
}

/// `moderated: {}` or `moderated: {grace: 2m}`.
fn read_moderated(report: &mut Report<'_>, node: &At) -> Option<Duration> {
    let map = report.map(node, "moderated", &["grace"])?;
    map.get("grace").map_or(Some(GRACE_DEFAULT), |grace| span(report, grace, "grace", GRACE_MAX, "10m"))
}

fn check_names(report: &mut Report<'_>, names: &[(&str, Location)]) {
    for (name, at) in names {
        let group = name.strip_prefix("group:").is_some_and(|group| !group.is_empty());
        let user = name.strip_prefix("user:").and_then(|user| user.rsplit_once('#'));
        let owner = *name == OWNER;
        if !owner
            && !group
            && !user.is_some_and(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
        {
            let help = "write `group:NAME`, `user:ISSUER#SUBJECT` or `owner`".to_owned();
            report.at(*at, format!("`{name}` is no approver"), Some(help));
        }
    }
}

fn owned(names: &[(&str, Location)]) -> Vec<String> {
    names.iter().map(|(name, _)| (*name).to_owned()).collect()
}

fn read_ttl(report: &mut Report<'_>, node: &At) -> Option<Duration> {
    span(report, node, "ttl", APPROVAL_TTL_MAX, "7d")
}
