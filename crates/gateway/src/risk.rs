//! What makes a call risky beyond what it shows: whether its caller did the like before.
//!
//! Promise: the same calls in the same order give the same signals. What was seen outlives a restart, in the database, which
//! is written behind and never waited for. Texts of callers are kept as hashes.
//!
//! Exceptions: past [`MARKS_MAX`] nothing more is remembered, and everything new counts as a first time: *fails closed*.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use keyward_core::policy::RequestFindings;
use keyward_core::{LimitBy, LimitRule, Measure, Principal, Risk, Signal, risk};
use keyward_store::{Db, StoreError};
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::budgets::Purse;
use crate::call::{Call, CallBody};
use crate::clock;
use crate::session::Session;

/// Most things that are remembered.
pub const MARKS_MAX: u32 = 1_000_000;
/// More calls than this in [`VOLUME_PER`] are a signal.
const VOLUME_MAX: u64 = 300;
const VOLUME_PER: Duration = Duration::from_mins(10);
/// The group of detectors that finds credentials.
const CREDENTIALS: &str = "credentials";

/// What callers did before.
pub struct Seen {
    db: Db,
    marks: RwLock<HashSet<i64>>,
    /// Writes under way.
    writes: TaskTracker,
}

impl Seen {
    /// Loads what was kept.
    pub async fn load(db: Db) -> Result<Self, StoreError> {
        let marks = db.seen_list(MARKS_MAX).await?.into_iter().collect();
        Ok(Self { db, marks: RwLock::new(marks), writes: TaskTracker::new() })
    }

    /// Waits until what was noted is kept.
    pub async fn kept(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    fn knows(&self, mark: i64) -> bool {
        self.marks.read().unwrap_or_else(PoisonError::into_inner).contains(&mark)
    }

    /// Remembers; a new mark is written to the database behind.
    fn note(&self, mark: i64) {
        if self.knows(mark) {
            return;
        }
        {
            let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
            if marks.len() >= MARKS_MAX as usize || !marks.insert(mark) {
                return;
            }
        }
        let db = self.db.clone();
        self.writes.spawn(async move {
            if let Err(error) = db.seen_add(mark).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a first use was not kept");
            }
        });
    }
}

/// The marks of what one call does.
struct Marks {
    connection: i64,
    secret: Option<i64>,
    /// Of each tool that it offers: that there is one, and how it is described.
    tools: Vec<(i64, i64)>,
}

impl Session {
    /// The call's risk, where a rule reads it.
    pub(crate) fn risk_where_read(&self, call: &Call, found: Option<&RequestFindings>) -> Option<Risk> {
        self.gateway.policy.reads_risk().then(|| self.risk(call, found))
    }

    /// The call's risk. What could not be looked into counts as carrying a credential.
    pub(crate) fn risk(&self, call: &Call, found: Option<&RequestFindings>) -> Risk {
        let carries = found.is_none_or(|found| found.groups.iter().any(|group| &**group == CREDENTIALS));
        let shared = &self.gateway.shared;
        let marks = self.marks(&described_tools(call));
        let unseen = |mark| !shared.seen.knows(mark);
        let changed = |(tool, described): &(i64, i64)| !unseen(*tool) && unseen(*described);
        let history = [
            (Signal::FirstUseOfConnection, unseen(marks.connection)),
            (Signal::FirstUseOfSecret, marks.secret.is_some_and(unseen)),
            (Signal::ToolChanged, marks.tools.iter().any(changed)),
            (Signal::Volume, shared.budgets.draw_call(&self.volume()).is_err()),
        ];
        let history = history.into_iter().filter_map(|(signal, seen)| seen.then_some(signal));
        Risk::of(risk::shown(&call.operation, clock::now(), carries).chain(history))
    }

    /// Remembers what a call does that may happen. Tools are looked at where a rule reads risk only: it takes reading the
    /// whole body once more.
    pub(crate) fn remember(&self, call: &Call) {
        let tools = if self.gateway.policy.reads_risk() { described_tools(call) } else { Vec::new() };
        let marks = self.marks(&tools);
        let seen = &self.gateway.shared.seen;
        seen.note(marks.connection);
        marks.secret.into_iter().for_each(|mark| seen.note(mark));
        for (tool, described) in marks.tools {
            seen.note(tool);
            seen.note(described);
        }
    }

    fn marks(&self, tools: &[(String, String)]) -> Marks {
        let who = &self.verified.principal;
        let settings = &self.target.settings;
        let connection: &str = &settings.connection.name;
        let secret = settings.credential.as_ref().map(|it| it.reference.to_string());
        Marks {
            connection: mark(who, &["connection", connection]),
            secret: secret.map(|reference| mark(who, &["secret", &reference])),
            tools: tools
                .iter()
                .map(|(name, described)| {
                    let tool = ["tool", connection, name];
                    (mark(who, &tool), mark(who, &["description", connection, name, described]))
                })
                .collect(),
        }
    }

    /// A budget that is used up by more calls than people make.
    fn volume(&self) -> Vec<Purse> {
        let limit = LimitRule {
            rule: "volume".into(),
            most: vec![(Measure::Requests, VOLUME_MAX)],
            per: VOLUME_PER,
            by: LimitBy::Principal,
        };
        Purse::of(&[limit], &self.verified.principal, "")
    }
}

/// The first eight bytes of a hash over who and what; lengths stand between the parts.
pub(crate) fn mark(who: &Principal, parts: &[&str]) -> i64 {
    let mut text = Vec::with_capacity(256);
    for part in [&*who.issuer, &*who.subject].iter().chain(parts) {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let hash = digest(&SHA256, &text);
    hash.as_ref().first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// The tools that a request offers to a model: each name, and all that is said of it. It was read strictly before.
fn described_tools(call: &Call) -> Vec<(String, String)> {
    if call.operation.resource.tools.is_empty() {
        return Vec::new();
    }
    let CallBody::Whole(body) = &call.body else { return Vec::new() };
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let lists = ["tools", "functions"].into_iter().filter_map(|name| body.get(name)?.as_array());
    let named = |tool: &Value| {
        let name = tool.get("name").or_else(|| tool.get("function")?.get("name"))?;
        Some((name.as_str()?.to_owned(), tool.to_string()))
    };
    lists.flatten().filter_map(named).collect()
}
