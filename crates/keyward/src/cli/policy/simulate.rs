//! `keyward policy simulate`: the recorded requests, decided anew by other documents.
//!
//! What was not recorded is unknown, and falls to the safe side, as `policy explain` says: a rule that reads it may seem to
//! block more than it would. Such requests are counted apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_core::policy::{PolicySet, Scene};
use keyward_core::{Connection, Decision, RequestId, Timestamp, Verdict};
use keyward_gateway::recall;
use keyward_gateway::start::{JOURNAL_KEY, journal_dir};
use keyward_journal::Reader;
use keyward_journal::read::Judged;
use keyward_journal::record::{DecisionRecord, SessionOpened};
use keyward_secrets::MasterKey;
use serde::Serialize;

use super::super::Session;
use super::super::client::moment;
use super::{compiled, documents, short};
use crate::exit::Failure;

/// Requests that are named for each change.
const EXAMPLES_MAX: usize = 3;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SimulateArgs {
    /// Only requests at or after: RFC 3339, or a span back from now (30m, 2h, 7d)
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Only requests before: RFC 3339, or a span back from now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Decide by these documents instead of the configuration's; may be given again
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,
}

/// What changes for some requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    /// `allow -> block`, or `newly masked`.
    what: String,
    /// The rule that decides now, or masks.
    rule: String,
    connection: String,
    class: &'static str,
}

#[derive(Default)]
struct Affected {
    requests: u64,
    uncertain: u64,
    principals: BTreeSet<String>,
    examples: Vec<RequestId>,
}

#[derive(Serialize)]
struct Row {
    change: String,
    rule: String,
    connection: String,
    class: &'static str,
    requests: u64,
    /// Of those: some condition reads what was not recorded.
    uncertain: u64,
    principals: usize,
    examples: Vec<String>,
}

#[derive(Serialize)]
struct Simulated<'a> {
    policy: &'a str,
    requests: u64,
    unchanged: u64,
    /// Refused before policy was asked, or on a connection that is gone.
    passed_over: u64,
    changes: Vec<Row>,
}

/// The recorded requests of a time, decided anew.
struct Simulation {
    set: PolicySet,
    connections: HashMap<String, Connection>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    requests: u64,
    unchanged: u64,
    passed_over: u64,
    changes: BTreeMap<Change, Affected>,
}

pub(super) fn run(args: &SimulateArgs, session: &Session) -> Result<(), Failure> {
    let loaded = session.load_config()?;
    let set = compiled(&documents(&args.policy, session)?, session)?;
    let mut connections = HashMap::new();
    for connection in &loaded.config.connections {
        let settings = crate::serve::connection_settings(connection)?;
        connections.insert(connection.name.clone(), settings.connection);
    }
    let now = jiff::Timestamp::now();
    let mut simulation = Simulation {
        set,
        connections,
        since: bound(Some(&args.since), now)?,
        until: bound(args.until.as_deref(), now)?,
        requests: 0,
        unchanged: 0,
        passed_over: 0,
        changes: BTreeMap::new(),
    };
    let master = MasterKey::load(&loaded.config.master_key.0).map_err(|error| Failure::caused(&error, ""))?;
    let key = master.derive(JOURNAL_KEY).map_err(|error| Failure::caused(&error, ""))?;
    let reader = Reader::open(&journal_dir(&loaded.config.data_dir), &key)
        .map_err(|error| Failure::caused(&error, "the gateway makes its journal at its first start"))?;
    reader
        .judged(&mut |opened, judged| simulation.take(opened, judged))
        .map_err(|error| Failure::caused(&error, "`keyward verify` says where the journal is damaged"))?;
    tell(simulation, session)
}

fn bound(text: Option<&str>, now: jiff::Timestamp) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = moment(text, now)? else { return Ok(None) };
    let at = text
        .parse::<jiff::Timestamp>()
        .map_err(|_| Failure::usage("this is not a time", "write it as 7d"))?;
    Ok(Some(Timestamp::from_micros(at.as_microsecond())))
}

impl Simulation {
    fn take(&mut self, opened: &SessionOpened, judged: &Judged) {
        let (request, at, connection) = match judged {
            Judged::Sent(it) => (it.request, it.at, &opened.connection),
            Judged::Refused(it) => (it.request, it.at, &opened.connection),
        };
        if self.since.is_some_and(|since| at < since) || self.until.is_some_and(|until| at >= until) {
            return;
        }
        let scene = self
            .connections
            .get(&**connection)
            .and_then(|connection| recall::scene(judged, &opened.principal, &opened.peer, connection));
        let (Some(scene), Some(then)) = (scene, recall::decision(judged)) else {
            self.passed_over += 1;
            return;
        };
        self.requests += 1;
        let decision = self.set.decide_anew(&scene.facts());
        let changes = changes(then, &decision, &scene);
        if changes.is_empty() {
            self.unchanged += 1;
            return;
        }
        let explained = self.set.explain(&scene.facts());
        let uncertain = explained.rules.iter().any(|rule| rule.failed);
        for change in changes {
            let affected = self.changes.entry(change).or_default();
            affected.requests += 1;
            affected.uncertain += u64::from(uncertain);
            affected.principals.insert(opened.principal.to_string());
            if affected.examples.len() < EXAMPLES_MAX {
                affected.examples.push(request);
            }
        }
    }
}

/// How a decision of now differs from the one of then.
fn changes(then: &DecisionRecord, now: &Decision, scene: &Scene) -> Vec<Change> {
    let change = |what: String, rule: &str| Change {
        what,
        rule: rule.to_owned(),
        connection: scene.connection.name.to_string(),
        class: scene.operation.class.as_str(),
    };
    if then.verdict != now.verdict {
        let what = format!("{} -> {}", then.verdict.as_str(), now.verdict.as_str());
        return vec![change(what, now.rule.as_deref().unwrap_or("no rule"))];
    }
    if now.verdict == Verdict::Block {
        return Vec::new(); // nothing of it is sent or answered
    }
    let new = |rule: &&std::sync::Arc<str>| !then.matched.contains(rule);
    let masked = now
        .mask
        .iter()
        .map(|mask| &mask.rule)
        .filter(new)
        .map(|rule| change("newly masked".to_owned(), rule));
    let limited = now
        .limits
        .iter()
        .map(|limit| &limit.rule)
        .filter(new)
        .map(|rule| change("newly limited".to_owned(), rule));
    masked.chain(limited).collect()
}

fn tell(simulation: Simulation, session: &Session) -> Result<(), Failure> {
    let row = |(change, affected): (Change, Affected)| Row {
        change: change.what,
        rule: change.rule,
        connection: change.connection,
        class: change.class,
        requests: affected.requests,
        uncertain: affected.uncertain,
        principals: affected.principals.len(),
        examples: affected.examples.iter().map(ToString::to_string).collect(),
    };
    let mut changes: Vec<Row> = simulation.changes.into_iter().map(row).collect();
    changes.sort_by_key(|row| std::cmp::Reverse(row.requests));
    let simulated = Simulated {
        policy: simulation.set.version(),
        requests: simulation.requests,
        unchanged: simulation.unchanged,
        passed_over: simulation.passed_over,
        changes,
    };
    if !session.output.is_table() {
        return session.output.object(&simulated, String::new);
    }
    let line = format!(
        "{} requests decided anew by policy {}: {} as before, {} passed over\n",
        simulated.requests,
        short(simulated.policy),
        simulated.unchanged,
        simulated.passed_over
    );
    session.output.bytes(line.as_bytes())?;
    if simulated.changes.is_empty() {
        return Ok(());
    }
    let headings =
        ["CHANGE", "RULE", "CONNECTION", "CLASS", "REQUESTS", "UNCERTAIN", "PRINCIPALS", "EXAMPLES"];
    session.output.rows(&simulated.changes, &headings, |row| {
        vec![
            row.change.clone(),
            row.rule.clone(),
            row.connection.clone(),
            row.class.to_owned(),
            row.requests.to_string(),
            row.uncertain.to_string(),
            row.principals.to_string(),
            row.examples.join(" "),
        ]
    })
}
