//! Who has a say in decisions beside the rules: decision points that rules consult, and people who break the glass.

use std::collections::HashMap;

use keyward_core::PrincipalRef;
use keyward_core::policy::PolicySet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Check, decode};
use super::policies::Document;
use super::problem::{Problem, Report};
use super::reference::Reference;
use super::scalar::Period;
use super::tree::{At, Node};
use super::url::HttpUrl;

/// The longest time that a call waits for a decision point.
const TIMEOUT_MAX: Period = Period::from_secs(30);

/// The longest window that is opened without an approval.
const BREAK_GLASS_MAX: Period = Period::from_secs(4 * 3600);

/// A service that is asked about calls which rules with `effect: consult` name, such as Open Policy Agent's data API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionPoint {
    /// What rules call it.
    pub name: String,
    /// Where questions are posted, such as `http://127.0.0.1:8181/v1/data/keyward/decision`.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// The bearer token that it wants: `keyward://name`, `env://NAME` or `file:///path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Reference>,
    /// The longest time to its answer; at most 30s.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Allows plain HTTP to a host that is not loopback: whoever sits between can then answer for it.
    #[serde(default)]
    pub insecure_http: bool,
}

/// Who may open a window without an approval, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Each entry is `group:NAME` or `user:ISSUER#SUBJECT`; at least one.
    pub who: Vec<String>,
    /// The longest window; at most 4h.
    #[serde(default = "break_glass_max")]
    pub max: Period,
}

/// Somebody with several accounts, at one issuer or at many.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// For people to read.
    pub name: String,
    /// `ISSUER#SUBJECT`, at least two; the first stands for them.
    pub accounts: Vec<String>,
}

impl Person {
    /// The accounts; none where one is not written as it must be.
    pub fn accounts(&self) -> Option<Vec<PrincipalRef>> {
        let account = |text: &String| {
            let (issuer, subject) = text.rsplit_once('#')?;
            let sound = issuer.contains("://") && !issuer.contains('#') && !subject.is_empty();
            sound.then(|| PrincipalRef { issuer: issuer.into(), subject: subject.into() })
        };
        self.accounts.iter().map(account).collect()
    }
}

fn break_glass_max() -> Period {
    Period::from_secs(1800)
}

fn timeout() -> Period {
    Period::from_secs(1)
}

impl Check<'_, '_> {
    /// Holds the decision points against what they must be.
    pub(super) fn decision_points(&mut self, root: &Node) {
        let Some(node) = root.get("decision_points") else { return };
        let mut names = HashMap::new();
        for (index, item) in node.items().iter().enumerate() {
            let path = format!("decision_points[{index}]");
            self.unique(&mut names, item.get("name"), "decision point", "name");
            let Some(point) = decode::<DecisionPoint>(Some(item)) else { continue };
            self.plain_http(&path, &point.url, point.insecure_http, "the answer can be replaced on the way");
            if point.timeout.get().is_zero() || point.timeout > TIMEOUT_MAX {
                let help = "more than 0 and at most 30s, such as 1s";
                self.say(&format!("{path}.timeout"), "no call can wait that long for an answer", help);
            }
        }
    }

    /// Holds break-glass against what it must be.
    pub(super) fn break_glass(&mut self, root: &Node) {
        let Some(settings) = decode::<BreakGlass>(root.get("break_glass")) else { return };
        if settings.who.is_empty() {
            let help = "name at least one, such as `group:oncall`, or remove `break_glass`";
            self.say("break_glass.who", "nobody could break the glass", help);
        }
        for (index, entry) in settings.who.iter().enumerate() {
            self.role(&format!("break_glass.who[{index}]"), entry);
        }
        if settings.max.get().is_zero() || settings.max > BREAK_GLASS_MAX {
            let help = "more than 0 and at most 4h, such as 30m";
            self.say("break_glass.max", "a window without an approval is short", help);
        }
    }

    /// Holds the accounts of people against what they must be.
    pub(super) fn people(&mut self, root: &Node) {
        let Some(node) = root.get("people") else { return };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, item) in node.items().iter().enumerate() {
            let path = format!("people[{index}]");
            let Some(person) = decode::<Person>(Some(item)) else { continue };
            if person.accounts.len() < 2 {
                let help = "name the others, or remove the entry";
                self.say(&path, "one account alone is one person anyway", help);
            }
            if person.accounts().is_none() {
                let help = "write each as `ISSUER#SUBJECT`, such as https://idp.example.com#olivia";
                self.say(&format!("{path}.accounts"), "an account is not written as one", help);
            }
            for account in &person.accounts {
                if seen.insert(account.clone(), index).is_some_and(|other| other != index) {
                    let message = format!("`{account}` belongs to two people");
                    self.say(&format!("{path}.accounts"), &message, "name it once");
                }
            }
        }
    }

    /// Says so where an address is plain HTTP to elsewhere and nobody allowed it, or allowed what needs no leave.
    pub(super) fn plain_http(&mut self, path: &str, url: &str, insecure: bool, why: &str) {
        let Ok(parsed) = HttpUrl::parse(url) else { return };
        let plain = !parsed.target.https;
        if plain && !parsed.is_loopback() && !insecure {
            let help = "use https://; on a network that you trust, write `insecure_http: true`";
            self.say(&format!("{path}.url"), why, help);
        }
        if insecure && !plain {
            self.say(
                &format!("{path}.insecure_http"),
                "`insecure_http` does nothing beside https://",
                "remove it",
            );
        }
    }
}

/// Says which rules consult a decision point that the configuration does not name.
pub(super) fn consulted(root: &Node, policy: &PolicySet, documents: &[Document], report: &mut Report<'_>) {
    let points = root.get("decision_points").map(Node::items).unwrap_or_default();
    let known: Vec<String> =
        points.iter().filter_map(|point| Some(point.get("name")?.to_json().as_str()?.to_owned())).collect();
    for (point, place) in policy.consulted().filter(|(point, _)| !known.iter().any(|name| **name == ***point))
    {
        let text = documents.iter().find(|document| document.source.name == *place.file);
        let text = text.map_or("", |document| document.source.text.as_str());
        let message =
            format!("rule `{}` consults `{point}`, which `decision_points` does not name", place.rule);
        let help = format!("add `decision_points: [{{name: {point}, url: https://…}}]` to the configuration");
        report.other(Problem::at(
            &place.file,
            text,
            At { line: place.line, column: 1, width: 1 },
            message,
            help,
        ));
    }
}
