//! `keyward locks`: keeping somebody out at once.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote, duration};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct LocksArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: LocksCommand,
}

#[derive(Debug, Subcommand)]
enum LocksCommand {
    /// List the locks in force; for auditors and administrators
    #[command(visible_alias = "list")]
    Ls,
    /// Keep somebody out from now on, and end what they have under way; for administrators
    #[command(after_help = "Examples:
  keyward locks add user:https://idp.example.com#alice --reason \"token leaked\"
  keyward locks add group:contractors --for 2h
  keyward locks add connection:models --reason \"incident 17\"")]
    Add {
        /// user:ISSUER#SUBJECT (and whoever acts for them), group:NAME or connection:NAME
        target: String,
        /// Why; whoever is kept out is told
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// For how long (90s, 30m, 2h, 7d); without it until it is lifted
        #[arg(long = "for", value_name = "SPAN")]
        span: Option<String>,
    },
    /// Lift a lock; for administrators
    Lift {
        /// The lock
        id: String,
    },
}

pub(super) fn run(args: LocksArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: LocksCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    match command {
        LocksCommand::Ls => rows(&client.get(&["locks"], &[]).await?, session),
        LocksCommand::Add { target, reason, span } => {
            let seconds = match span.as_deref() {
                None => None,
                Some(text) => Some(duration(text).map(|span| span.as_secs()).ok_or_else(|| {
                    Failure::usage("this is not a span of time", "write it as 90s, 30m, 2h or 7d")
                })?),
            };
            let body = json!({"target": target, "reason": reason, "seconds": seconds});
            let lock = client.post(&["locks"], &body).await?;
            session.output.object(&lock, || {
                format!("{} keeps out {}\n", view::at(&lock, "/id"), view::at(&lock, "/target"))
            })
        }
        LocksCommand::Lift { id } => rows(&client.post(&["locks", &id, "lift"], &json!({})).await?, session),
    }
}

fn rows(found: &Value, session: &Session) -> Result<(), Failure> {
    let headings = ["ID", "TARGET", "REASON", "BY", "SINCE", "UNTIL"];
    session.output.rows(view::list(found, "/locks"), &headings, |row| {
        vec![
            view::at(row, "/id"),
            view::at(row, "/target"),
            view::at(row, "/reason"),
            view::person(view::part(row, "created_by")),
            view::at(row, "/created_at"),
            view::at(row, "/expires_at"),
        ]
    })
}
