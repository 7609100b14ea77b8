//! Who owns a connection, and the rules that ask its owners.

use keyward_core::OWNER;
use keyward_core::policy::PolicySet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Check, decode};
use super::policies::Document;
use super::problem::{Problem, Report};
use super::tree::{At, Node};

/// Most owners of one connection.
pub const OWNERS_MAX: usize = 16;

/// Who owns a connection: each entry is `group:NAME` or `user:ISSUER#SUBJECT`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Owners {
    /// One.
    One(String),
    /// Several; each of them may approve.
    Many(Vec<String>),
}

impl Owners {
    /// All of them.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl Check<'_, '_> {
    /// Holds the owners of a connection against what they must be.
    pub(super) fn owners(&mut self, path: &str, owners: &Owners) {
        let names = owners.names();
        if names.is_empty() {
            self.say(path, "nobody owns it: `owner` is empty", "name somebody, or remove the key");
        }
        if names.len() > OWNERS_MAX {
            self.say(path, "a connection has at most 16 owners", "name a group that they are in");
        }
        for (number, name) in names.iter().enumerate() {
            match owners {
                Owners::One(_) => self.role(path, name),
                Owners::Many(_) => self.role(&format!("{path}[{number}]"), name),
            }
        }
    }
}

/// Says which rules ask an owner and can meet no connection that has one: they could only refuse.
pub(super) fn asked(root: &Node, policy: &PolicySet, documents: &[Document], report: &mut Report<'_>) {
    let connections = root.get("connections").map(Node::items).unwrap_or_default();
    let owned = |connection: &Node| {
        decode::<Owners>(connection.get("owner")).is_some_and(|owners| !owners.names().is_empty())
    };
    let mut met = Vec::new();
    for connection in connections {
        let Some(name) = decode::<String>(connection.get("name")) else { continue };
        met.extend(policy.asks_owner_of(&name).map(|place| (place, owned(connection))));
    }
    met.sort_by(|(a, a_owned), (b, b_owned)| (&a.rule, !a_owned).cmp(&(&b.rule, !b_owned)));
    met.dedup_by(|(later, _), (first, _)| later.rule == first.rule);
    for (place, _) in met.into_iter().filter(|(_, owned)| !owned) {
        let text = documents.iter().find(|document| document.source.name == *place.file);
        let text = text.map_or("", |document| document.source.text.as_str());
        let message = format!(
            "rule `{}` asks the `{OWNER}` of the connection, and none that it can apply to has one",
            place.rule
        );
        let help = "add `owner: group:NAME` to the connection; without it every call of the rule is refused";
        let at = At { line: place.line, column: 1, width: 1 };
        report.other(Problem::at(&place.file, text, at, message, help));
    }
}
