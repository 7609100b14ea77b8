//! `keyward approvals`: calls that wait for a human.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote, span};
use super::{Session, safe, view, watching};
use crate::exit::{Exit, Failure};

/// One long poll, in seconds.
const POLL_SECONDS: u64 = 50;

#[derive(Debug, Args)]
pub(super) struct ApprovalsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: ApprovalsCommand,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List approvals: one's own and those that one may decide; all for auditors
    #[command(visible_alias = "list")]
    Ls {
        /// A state, `live` (pending and approved) or `all`
        #[arg(long, default_value = "live")]
        state: String,
        /// Only those that one asked for
        #[arg(long)]
        mine: bool,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only those older than this one
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Show an approval: who asks, what would happen, the masked request
    Show {
        /// The approval
        id: String,
    },
    /// Let exactly this call through, once
    #[command(after_help = "Example:
  keyward approvals show apr_…       look at it, and note the digest
  keyward approvals approve apr_… --digest 3fd0…")]
    Approve {
        /// The approval
        id: String,
        /// Why, for the requester and the record
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Decide only if the request still has this digest, as `show` printed it
        #[arg(long, value_name = "HEX")]
        digest: Option<String>,
        /// Approve less: the call runs within this time (5m), or the window is open for no longer
        #[arg(long = "for", value_name = "SPAN")]
        span: Option<String>,
        /// Approve less: the window lets no more calls through than that
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
    },
    /// Refuse a call; its requester is told the reason
    Deny {
        /// The approval
        id: String,
        /// Why, for the requester and the record
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Withdraw one's own call
    Cancel {
        /// The approval
        id: String,
        /// Why, for the record
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Watch a moderated call run: it goes on only while somebody does, until Ctrl-C
    #[command(
        after_help = "Exit codes: 0 the call is over, 1 the stream broke off: the call stands still unless somebody else watches."
    )]
    Watch {
        /// The approval
        id: String,
    },
    /// Wait until an approval is decided
    #[command(
        after_help = "Exit codes: 0 approved, 10 still pending when the time is over, 11 denied or withdrawn,
12 expired, or void because something it depends on changed."
    )]
    Wait {
        /// The approval
        id: String,
        /// How long at most (90s, 30m, 2h); without it until it is decided or expires
        #[arg(long, value_name = "SPAN")]
        timeout: Option<String>,
    },
}

pub(super) fn run(args: ApprovalsArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: ApprovalsCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    match command {
        ApprovalsCommand::Ls { state, mine, limit, before } => {
            let query = [
                ("state", Some(state)),
                ("mine", mine.then(|| "true".to_owned())),
                ("limit", Some(limit.to_string())),
                ("before", before),
            ];
            let found = client.get(&["approvals"], &query).await?;
            let headings =
                ["ID", "STATE", "REQUESTER", "CONNECTION", "OPERATION", "RULE", "EXPIRES", "MINE TO DECIDE"];
            session.output.rows(view::list(&found, "/approvals"), &headings, |row| {
                vec![
                    view::at(row, "/id"),
                    view::at(row, "/state"),
                    view::person(view::part(row, "requester")),
                    view::at(row, "/connection"),
                    view::operation(view::part(row, "operation")),
                    view::at(row, "/rule"),
                    view::at(row, "/expires_at"),
                    if view::is_true(row, "/may_i_decide") { "yes" } else { "no" }.to_owned(),
                ]
            })?;
            view::more(session.output, &found, "--before");
            Ok(())
        }
        ApprovalsCommand::Show { id } => {
            let approval = client.get(&["approvals", &id], &[]).await?;
            session.output.object(&approval, || whole(&approval))
        }
        ApprovalsCommand::Approve { id, reason, digest, span: within, uses } => {
            let seconds = within.as_deref().map(span).transpose()?.map(|span| span.as_secs());
            let body = json!({"reason": reason, "digest": digest, "seconds": seconds, "uses": uses});
            decide(client, session, &id, "approve", &body).await
        }
        ApprovalsCommand::Deny { id, reason } => {
            decide(client, session, &id, "deny", &json!({"reason": reason})).await
        }
        ApprovalsCommand::Cancel { id, reason } => {
            decide(client, session, &id, "cancel", &json!({"reason": reason})).await
        }
        ApprovalsCommand::Watch { id } => watching::watch(client, session.output, &id).await,
        ApprovalsCommand::Wait { id, timeout } => {
            let patience = timeout.as_deref().map(span).transpose()?;
            wait(client, session, &id, patience).await
        }
    }
}

async fn decide(
    client: &Client,
    session: &Session,
    id: &str,
    verb: &str,
    body: &Value,
) -> Result<(), Failure> {
    let approval = client.post(&["approvals", id, verb], body).await?;
    session.output.object(&approval, || short(&approval))
}

async fn wait(
    client: &Client,
    session: &Session,
    id: &str,
    patience: Option<Duration>,
) -> Result<(), Failure> {
    let end = patience.map(|patience| tokio::time::Instant::now() + patience);
    let approval = loop {
        let left = end.map_or(POLL_SECONDS, |end| {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            // Up to a whole second, so that the last part of one is not asked for in a busy loop.
            left.as_millis().div_ceil(1_000).try_into().unwrap_or(POLL_SECONDS).min(POLL_SECONDS)
        });
        let approval = client.get(&["approvals", id, "wait"], &[("timeout", Some(left.to_string()))]).await?;
        let over = end.is_some_and(|end| tokio::time::Instant::now() >= end);
        if view::at(&approval, "/state") != "pending" || over {
            break approval;
        }
    };
    session.output.object(&approval, || short(&approval))?;
    match view::at(&approval, "/state").as_str() {
        "approved" | "consumed" => Ok(()),
        "pending" => Err(Failure::said(Exit::ApprovalPending)),
        "denied" | "cancelled" => Err(Failure::said(Exit::ApprovalDenied)),
        "expired" | "stale" => Err(Failure::said(Exit::ApprovalExpired)),
        _ => Err(Failure::error(
            "the gateway names a state that this program does not know",
            "use a newer keyward",
        )),
    }
}

/// Where it stands, in a line.
fn short(approval: &Value) -> String {
    let mut text = format!("{} {}", view::at(approval, "/id"), view::at(approval, "/state"));
    if view::at(approval, "/state") == "pending" {
        text = format!(
            "{text}, {} of {} approvals",
            view::at(approval, "/approvals"),
            view::at(approval, "/approvals_needed")
        );
    }
    if let Some(vote) = view::list(approval, "/votes").last() {
        let reason = view::at(vote, "/reason");
        let says = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        text = format!(
            "{text} ({} by {}{says})",
            view::at(vote, "/decision"),
            view::person(view::part(vote, "by"))
        );
    }
    text + "\n"
}

/// Everything, to decide by.
fn whole(approval: &Value) -> String {
    let operation = view::part(approval, "operation");
    let request = format!("{} {}", view::at(operation, "/method"), view::at(operation, "/path"));
    let query = view::at(operation, "/query");
    let on_behalf: Vec<String> =
        view::list(approval, "/requester/acting_for").iter().map(view::exact_person).collect();
    let lists = view::list(approval, "/approvers").iter();
    let approvers: Vec<String> = lists
        .map(|list| view::list(list, "").iter().map(|one| view::at(one, "")).collect::<Vec<_>>().join(" or "))
        .collect();
    let needed =
        format!("{} of {}", view::at(approval, "/approvals"), view::at(approval, "/approvals_needed"));
    let mine = if view::is_true(approval, "/may_i_decide") {
        "yes".to_owned()
    } else {
        format!("no: {}", view::at(approval, "/why_not"))
    };
    let mut text = view::facts(&[
        ("approval", view::at(approval, "/id")),
        ("state", view::at(approval, "/state")),
        ("requester", view::exact_person(view::part(approval, "requester"))),
        ("kind", view::at(approval, "/requester/kind")),
        ("on behalf of", on_behalf.join(", ")),
        ("connection", view::at(approval, "/connection")),
        ("operation", view::operation(operation)),
        ("request", if query.is_empty() { request } else { format!("{request}?{query}") }),
        ("rule", view::at(approval, "/rule")),
        ("reason", view::at(approval, "/reason")),
        ("secrets", joined(approval, "/secrets")),
        ("similar", view::at(approval, "/similar/id")),
        ("risk", risk(approval)),
        ("approvers", approvers.join(", and ")),
        ("escalation", escalations(approval)),
        ("approvals", needed),
        ("moderated", moderated(approval)),
        ("mine to decide", mine),
        ("asked at", view::at(approval, "/created_at")),
        ("expires at", view::at(approval, "/expires_at")),
        ("digest", view::at(approval, "/digest")),
    ]);
    for vote in view::list(approval, "/votes") {
        let (decision, who) = (view::at(vote, "/decision"), view::exact_person(view::part(vote, "by")));
        text = format!(
            "{text}vote: {decision} by {who} at {} {}\n",
            view::at(vote, "/at"),
            view::at(vote, "/reason")
        );
    }
    let bytes = view::at(approval, "/request/body_bytes");
    let shown = if view::is_true(approval, "/request/complete") { "masked" } else { "masked, its beginning" };
    let body = safe::text(view::part(view::part(approval, "request"), "body").as_str().unwrap_or_default());
    if bytes == "0" { text } else { format!("{text}\nbody ({bytes} bytes, {shown}):\n{body}\n") }
}

/// Who may decide as well, and from when on.
fn escalations(approval: &Value) -> String {
    let one = |it: &Value| {
        let word = if view::is_true(it, "/escalated") { "escalated" } else { "escalates" };
        let to = view::list(it, "/to").iter().map(|one| view::at(one, "")).collect::<Vec<_>>();
        format!("{word} to {} at {}", to.join(" or "), view::at(it, "/at"))
    };
    view::list(approval, "/escalations").iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A list of texts in a line.
fn joined(of: &Value, pointer: &str) -> String {
    view::list(of, pointer).iter().map(|one| view::at(one, "")).collect::<Vec<_>>().join(", ")
}

/// Whether somebody has to watch it run.
fn moderated(approval: &Value) -> String {
    match view::part(approval, "moderated").as_u64() {
        Some(grace) => format!("it runs while one of them watches, and may stand still for {grace} s"),
        None => String::new(),
    }
}

/// The score, and what it comes from.
fn risk(approval: &Value) -> String {
    let signals: Vec<String> =
        view::list(approval, "/risk/signals").iter().map(|signal| view::at(signal, "/name")).collect();
    let score = view::at(approval, "/risk/score");
    if signals.is_empty() { score } else { format!("{score} ({})", signals.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use axum::Json;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    /// An API that answers `apr_STATE` with an approval in that state.
    fn api() -> String {
        let wait = async |Path(id): Path<String>| match id.strip_prefix("apr_") {
            Some(state) => (StatusCode::OK, Json(json!({"id": id, "state": state, "votes": []}))),
            None => (StatusCode::NOT_FOUND, Json(json!({"code": "not_found", "detail": "There is none."}))),
        };
        let (address, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                address.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
                let routes = axum::Router::new().route("/api/v1/approvals/{id}/wait", get(wait));
                axum::serve(listener, routes).await.unwrap();
            });
        });
        told.recv().unwrap()
    }

    fn code(exit: Exit) -> String {
        format!("{:?}", ExitCode::from(exit))
    }

    #[test]
    fn waiting_ends_in_the_code_of_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, "a.b.c\n").unwrap();
        let server = api();
        let token = token.to_str().unwrap();
        let run = |server: &str, id: &str| {
            let words = [
                "keyward",
                "approvals",
                "wait",
                id,
                "--timeout",
                "0s",
                "--server",
                server,
                "--token-file",
                token,
            ];
            format!("{:?}", super::super::run(words.map(std::ffi::OsString::from)))
        };
        for (id, exit) in [
            ("apr_approved", Exit::Ok),
            ("apr_consumed", Exit::Ok),
            ("apr_pending", Exit::ApprovalPending),
            ("apr_denied", Exit::ApprovalDenied),
            ("apr_cancelled", Exit::ApprovalDenied),
            ("apr_expired", Exit::ApprovalExpired),
            ("apr_stale", Exit::ApprovalExpired),
            ("apr_nonsense", Exit::Error),
            ("other", Exit::NotFound),
        ] {
            assert_eq!(run(&server, id), code(exit), "{id}");
        }
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(run(&format!("http://{closed}"), "apr_approved"), code(Exit::ServerUnreachable));
        assert_eq!(run("http://gateway.example", "apr_approved"), code(Exit::Usage));
    }
}
