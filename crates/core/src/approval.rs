//! Who may approve: what a rule asks for, whom it names, and who is added once nobody decided for a while.
//!
//! Promise: whether somebody is named is a question of the rule and of how long the approval waited, and of nothing else, so
//! that every room answers it alike and over restarts. An escalation adds people and takes none away; it lessens neither the
//! number of people nor any other rule that asks for the same approval: each list escalates for itself, and an approver is
//! one of each — *fails closed*.

use std::fmt;
use std::time::Duration;

use crate::Principal;
use crate::time::span;

/// What one approval is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// The exact request, byte for byte.
    #[default]
    Request,
    /// What it does: class, method, path, query and resource; headers and body may be others.
    Operation,
}

impl Bind {
    /// By the word of policies.
    pub const ALL: [(&'static str, Self); 2] = [("request", Self::Request), ("operation", Self::Operation)];
}

/// Stands among approvers for whoever owns the connection, until that is looked up; it names nobody by itself.
pub const OWNER: &str = "owner";

/// People and groups of whom an approver is one. As JSON it is the plain list of names where nobody is added later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Approvers {
    /// `group:NAME` or `user:ISSUER#SUBJECT`; never empty.
    pub names: Vec<String>,
    /// Who is added once nobody decided for a while.
    pub escalate: Option<Escalation>,
}

/// Who may decide as well, once an approval waited long enough.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Escalation {
    /// How long it waited then.
    pub after: Duration,
    /// `group:NAME` or `user:ISSUER#SUBJECT`; never empty.
    pub to: Vec<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Written {
    Names(Vec<String>),
    Escalating { names: Vec<String>, escalate: Escalation },
}

impl From<Written> for Approvers {
    fn from(written: Written) -> Self {
        match written {
            Written::Names(names) => Self { names, escalate: None },
            Written::Escalating { names, escalate } => Self { names, escalate: Some(escalate) },
        }
    }
}

impl From<Approvers> for Written {
    fn from(Approvers { names, escalate }: Approvers) -> Self {
        match escalate {
            None => Self::Names(names),
            Some(escalate) => Self::Escalating { names, escalate },
        }
    }
}

impl From<Vec<String>> for Approvers {
    fn from(names: Vec<String>) -> Self {
        Self { names, escalate: None }
    }
}

impl Approvers {
    /// How long an approval has to have waited until it names this principal; none: it never does.
    fn named_after(&self, principal: &Principal, reference: &str) -> Option<Duration> {
        let listed = |list: &[String]| {
            list.iter().any(|approver| match approver.split_once(':') {
                Some(("group", group)) => principal.is_in(group),
                Some(("user", user)) => user == reference,
                _ => false,
            })
        };
        if listed(&self.names) {
            return Some(Duration::ZERO);
        }
        self.escalate.as_ref().filter(|escalate| listed(&escalate.to)).map(|escalate| escalate.after)
    }

    fn asks_owner(&self) -> bool {
        let added = self.escalate.iter().flat_map(|escalate| &escalate.to);
        self.names.iter().chain(added).any(|name| name == OWNER)
    }

    fn owned_by(&self, owners: &[String]) -> Self {
        let with = |names: &[String]| {
            let mut all: Vec<String> = Vec::new();
            for name in names {
                let stands_for = if name == OWNER { owners } else { std::slice::from_ref(name) };
                for name in stands_for {
                    if !all.contains(name) {
                        all.push(name.clone());
                    }
                }
            }
            all
        };
        let escalate = self.escalate.as_ref();
        Self {
            names: with(&self.names),
            escalate: escalate.map(|it| Escalation { after: it.after, to: with(&it.to) }),
        }
    }

    /// Whether whoever is one of these, at any time, is one of `other` then as well, as far as that shows.
    fn covers(&self, other: &Self) -> bool {
        self.names == other.names && (self.escalate.is_none() || self.escalate == other.escalate)
    }
}

impl fmt::Display for Approvers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match &self.escalate {
            None => Ok(()),
            Some(Escalation { after, to }) => write!(f, ", after {} also of {}", span(*after), to.join(", ")),
        }
    }
}

/// Who may approve, how many, for how long.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApprovalRule {
    /// An approver is one of these.
    pub approvers: Approvers,
    /// Where several rules ask for an approval: the approvers of the others. An approver is one of *each* list too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub and: Vec<Approvers>,
    /// Distinct people needed; at least 1.
    pub min: u32,
    /// How long a pending approval waits, and an approved one may be used.
    pub ttl: Duration,
    /// What one approval is for.
    #[serde(default)]
    pub bind: Bind,
    /// The longest window that may be approved in place of single calls; none: no window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Duration>,
    /// The call runs only while somebody who may decide watches it, and is ended when nobody did for so long; none: nobody
    /// has to watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderated: Option<Duration>,
}

impl ApprovalRule {
    /// The approvers of every rule that asks; an approver is one of each.
    pub fn lists(&self) -> impl Iterator<Item = &Approvers> {
        std::iter::once(&self.approvers).chain(&self.and)
    }

    /// Whether it asks the owners of the connection.
    pub fn asks_owner(&self) -> bool {
        self.lists().any(Approvers::asks_owner)
    }

    /// The same rule for a connection with these owners, who stand in the place of [`OWNER`]. None where it asks them and there
    /// are none: nobody else takes their place.
    pub fn owned_by(&self, owners: &[String]) -> Option<Self> {
        if !self.asks_owner() {
            return Some(self.clone());
        }
        let with = |list: &Approvers| list.owned_by(owners);
        (!owners.is_empty()).then(|| Self {
            approvers: with(&self.approvers),
            and: self.and.iter().map(with).collect(),
            ..self.clone()
        })
    }

    /// How long an approval has to have waited until every rule that asks for it names this principal: nothing where they
    /// do from the beginning; none where they never do, or only when its time is over.
    pub fn named_after(&self, principal: &Principal) -> Option<Duration> {
        let reference = principal.to_string();
        let named = self.lists().try_fold(Duration::ZERO, |most, list| {
            list.named_after(principal, &reference).map(|after| most.max(after))
        });
        named.filter(|after| *after < self.ttl)
    }

    /// Whether every rule that asks for the approval names this principal, when it waited that long. That it is not the
    /// requester is for the caller to check.
    pub fn names(&self, principal: &Principal, waited: Duration) -> bool {
        self.named_after(principal).is_some_and(|after| after <= waited)
    }

    /// What is added to which of [`Self::lists`] (from 0) while it waits.
    pub fn escalations(&self) -> impl Iterator<Item = (usize, &Escalation)> {
        let in_time = |escalate: &&Escalation| escalate.after < self.ttl;
        self.lists()
            .enumerate()
            .filter_map(move |(number, list)| Some((number, list.escalate.as_ref().filter(in_time)?)))
    }

    /// When somebody is added next, by how long it waited; none: nobody is any more.
    pub fn next_escalation(&self, waited: Duration) -> Option<Duration> {
        self.escalations().map(|(_, escalate)| escalate.after).filter(|after| *after > waited).min()
    }

    /// The rule that satisfies both: approvers that both name, the greater number of people, the shorter time.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        other.lists().for_each(|list| self.require(list));
        self.min = self.min.max(other.min);
        self.ttl = self.ttl.min(other.ttl);
        if other.bind == Bind::Request {
            self.bind = Bind::Request;
        }
        self.grant = self.grant.zip(other.grant).map(|(mine, other)| mine.min(other));
        self.moderated = self.moderated.into_iter().chain(other.moderated).min();
        self
    }

    /// Adds a list of which an approver is one too. The same names without an escalation are fewer people.
    fn require(&mut self, list: &Approvers) {
        let mut known = std::iter::once(&mut self.approvers).chain(&mut self.and);
        match known.find(|known| known.covers(list) || list.covers(known)) {
            Some(known) if list.escalate.is_none() => known.escalate = None,
            Some(_) => {}
            None => self.and.push(list.clone()),
        }
    }

    /// Whether who may approve this, and as many of them, may approve `other` as well: it names each list that `other`
    /// names, adds nobody whom that does not add, and asks for at least as many people.
    pub fn covers(&self, other: &Self) -> bool {
        let named = |wanted: &Approvers| self.lists().any(|list| list.covers(wanted));
        other.lists().all(named) && self.min >= other.min
    }
}

impl fmt::Display for ApprovalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (people, plural) = (self.min, if self.min == 1 { "person" } else { "people" });
        write!(f, "{people} {plural} of {}", self.approvers)?;
        self.and.iter().try_for_each(|list| write!(f, " who also is of {list}"))?;
        self.moderated.map_or(Ok(()), |grace| write!(f, ", watched while it runs (grace {})", span(grace)))
    }
}
