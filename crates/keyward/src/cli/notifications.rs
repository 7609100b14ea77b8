//! `keyward notifications`: whom the configuration tells, a test, and what could not be told.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Client, Remote};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct NotificationsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: NotificationsCommand,
}

#[derive(Debug, Subcommand)]
enum NotificationsCommand {
    /// List whom the configuration tells
    #[command(visible_alias = "list")]
    Ls,
    /// Send a target a test, and say what came of it
    Test {
        /// The target's name
        name: String,
    },
    /// List what could not be told
    Dead,
    /// Try to tell it again
    Retry {
        /// What could not be told, as `dead` lists it
        id: String,
    },
    /// Forget it
    Forget {
        /// What could not be told, as `dead` lists it
        id: String,
    },
}

pub(super) fn run(args: NotificationsArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: NotificationsCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    let output = session.output;
    match command {
        NotificationsCommand::Ls => {
            let found = client.get(&["notifications"], &[]).await?;
            output.rows(view::list(&found, "/targets"), &["NAME", "KIND", "EVENTS"], |row| {
                let events: Vec<String> =
                    view::list(row, "/events").iter().map(|word| view::at(word, "")).collect();
                let events = if events.is_empty() { "all".to_owned() } else { events.join(", ") };
                vec![view::at(row, "/name"), view::at(row, "/kind"), events]
            })
        }
        NotificationsCommand::Dead => {
            let found = client.get(&["notifications"], &[]).await?;
            let headings = ["ID", "TARGET", "EVENT", "ABOUT", "SINCE", "TRIES", "LAST ERROR"];
            output.rows(view::list(&found, "/dead"), &headings, |row| {
                ["/id", "/target", "/event", "/subject", "/created_at", "/attempts", "/error"]
                    .map(|pointer| view::at(row, pointer))
                    .to_vec()
            })
        }
        NotificationsCommand::Test { name } => {
            let tested = client.post(&["notifications", &name, "test"], &json!({})).await?;
            if view::is_true(&tested, "/told") {
                return output.object(&tested, || format!("{name} took it\n"));
            }
            Err(Failure::error(format!("{name} was not told: {}", view::at(&tested, "/error")), ""))
        }
        NotificationsCommand::Retry { id } => {
            let left = client.post(&["notifications", &id, "retry"], &json!({})).await?;
            output.object(&left, || format!("{id} is tried again\n"))
        }
        NotificationsCommand::Forget { id } => {
            let left = client.post(&["notifications", &id, "forget"], &json!({})).await?;
            output.object(&left, || format!("{id} is forgotten\n"))
        }
    }
}
