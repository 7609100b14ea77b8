//! `keyward grants` and `keyward break-glass`: windows in which calls of a kind need no approval of their own.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote, span};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct GrantsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: GrantsCommand,
}

#[derive(Debug, Subcommand)]
enum GrantsCommand {
    /// Ask for a window: those who would have to approve each call approve it
    #[command(
        after_help = "Example:\n  keyward grants request models --class model.export --for 2h --reason 'nightly backup, OPS-17'"
    )]
    Request {
        /// The connection that it is for
        connection: String,
        /// The class of operation that it lets through, such as model.export; may be given several times
        #[arg(long = "class", value_name = "CLASS", required = true)]
        classes: Vec<String>,
        /// For how long (30m, 2h)
        #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
        span: String,
        /// For how many calls; without it any number
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        /// Why; who approves reads it
        #[arg(long)]
        reason: String,
    },
    /// List windows that wait or are open: one's own, those that one may approve; for auditors and administrators, all
    #[command(visible_alias = "list")]
    Ls {
        /// Only one's own
        #[arg(long)]
        mine: bool,
        /// Also those that are over or were refused
        #[arg(long)]
        all: bool,
    },
    /// Show a window
    Show {
        /// The window
        id: String,
    },
    /// End a window at once, and the calls that it has under way
    Revoke {
        /// The window
        id: String,
        /// Why, for the record
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BreakGlassArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<BreakGlassCommand>,
    /// The connection to open
    #[arg(value_name = "CONNECTION", required = true)]
    connection: Option<String>,
    /// For how long (10m); as long as the configuration lets it when not given
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<String>,
    /// Why; everybody who is alerted reads it
    #[arg(long, required = true)]
    reason: Option<String>,
}

#[derive(Debug, Subcommand)]
enum BreakGlassCommand {
    /// Sign for a break-glass of somebody else, after looking at what was done
    Review {
        /// The window
        id: String,
        /// What you found
        #[arg(long)]
        reason: String,
    },
}

/// Asks for, lists, shows or ends windows.
pub(super) fn run(args: GrantsArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: GrantsCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    let output = session.output;
    match command {
        GrantsCommand::Request { connection, classes, span: window, uses, reason } => {
            let asked = json!({"connection": connection, "classes": classes, "seconds": span(&window)?.as_secs(), "uses": uses,
                "reason": reason});
            let grant = client.post(&["grants"], &asked).await?;
            let approval = view::at(&grant, "/approval");
            output.say(&format!("waits for {approval}; `keyward approvals wait {approval}` waits with it\n"));
            output.object(&grant, || facts(&grant))
        }
        GrantsCommand::Ls { mine, all } => {
            let yes = |it: bool| it.then(|| "true".to_owned());
            let found = client.get(&["grants"], &[("mine", yes(mine)), ("over", yes(all))]).await?;
            let headings = ["ID", "STATE", "REQUESTER", "CONNECTION", "CLASSES", "USES", "UNTIL", "REASON"];
            output.rows(view::list(&found, "/grants"), &headings, |row| {
                vec![
                    view::at(row, "/id"),
                    state(row),
                    view::person(view::part(row, "requester")),
                    view::at(row, "/connection"),
                    classes(row),
                    uses(row),
                    view::at(row, "/expires_at"),
                    view::at(row, "/reason"),
                ]
            })
        }
        GrantsCommand::Show { id } => {
            let grant = client.get(&["grants", &id], &[]).await?;
            output.object(&grant, || facts(&grant))
        }
        GrantsCommand::Revoke { id, reason } => {
            let grant = client.post(&["grants", &id, "revoke"], &json!({"reason": reason})).await?;
            output.object(&grant, || format!("{id} is over\n"))
        }
    }
}

/// Opens a window without an approval, or signs for one.
pub(super) fn break_glass(args: BreakGlassArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    let output = session.output;
    super::block_on(async {
        if let Some(BreakGlassCommand::Review { id, reason }) = args.command {
            let grant = client.post(&["grants", &id, "review"], &json!({"reason": reason})).await?;
            return output.object(&grant, || format!("you signed for {id}\n"));
        }
        let seconds = args.span.as_deref().map(span).transpose()?.map(|span| span.as_secs());
        let asked = json!({"connection": args.connection, "seconds": seconds, "reason": args.reason});
        let grant = client.post(&["break-glass"], &asked).await?;
        let id = view::at(&grant, "/id");
        output.say(&format!(
            "open, recorded and told; `keyward grants revoke {id}` ends it, and somebody else signs for it\n"
        ));
        output.object(&grant, || facts(&grant))
    })
}

fn classes(row: &Value) -> String {
    let words: Vec<String> = view::list(row, "/classes").iter().map(|word| view::at(word, "")).collect();
    if words.is_empty() { "all (break-glass)".to_owned() } else { words.join(", ") }
}

fn state(row: &Value) -> String {
    let review = if view::is_true(row, "/wants_review") { ", wants a review" } else { "" };
    format!("{}{review}", view::at(row, "/state"))
}

fn uses(row: &Value) -> String {
    let most = if row.pointer("/uses_max").is_some() {
        format!(" of {}", view::at(row, "/uses_max"))
    } else {
        String::new()
    };
    format!("{}{most}", view::at(row, "/uses"))
}

fn facts(grant: &Value) -> String {
    view::facts(&[
        ("window", view::at(grant, "/id")),
        ("state", state(grant)),
        ("requester", view::exact_person(view::part(grant, "requester"))),
        ("connection", view::at(grant, "/connection")),
        ("classes", classes(grant)),
        ("reason", view::at(grant, "/reason")),
        ("approval", view::at(grant, "/approval")),
        ("seconds", view::at(grant, "/seconds")),
        ("uses", uses(grant)),
        ("opened", view::at(grant, "/starts_at")),
        ("until", view::at(grant, "/expires_at")),
        ("ended", view::at(grant, "/ended_at")),
        ("because", view::at(grant, "/ended_why")),
        ("signed for by", grant.get("reviewed_by").map(view::exact_person).unwrap_or_default()),
        ("they found", view::at(grant, "/review")),
    ])
}
