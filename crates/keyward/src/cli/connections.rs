//! `keyward connections`: where calls may go.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, Remote};
use super::{Session, safe, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct ConnectionsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: ConnectionsCommand,
}

#[derive(Debug, Subcommand)]
enum ConnectionsCommand {
    /// List connections
    #[command(visible_alias = "list")]
    Ls,
    /// Show a connection; its credential as a reference
    Show {
        /// The connection's name
        name: String,
    },
}

pub(super) fn run(args: &ConnectionsArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(async {
        match &args.command {
            ConnectionsCommand::Ls => {
                let found = client.get(&["connections"], &[]).await?;
                let headings = ["NAME", "KIND", "URL", "UPSTREAM", "CREDENTIAL"];
                session.output.rows(view::list(&found, "/connections"), &headings, |row| {
                    // A gateway that does not know its own address names the path alone.
                    let reached = if row.get("url").is_some() { "/url" } else { "/path" };
                    ["/name", "/kind", reached, "/upstream", "/credential/reference"]
                        .map(|pointer| view::at(row, pointer))
                        .to_vec()
                })
            }
            ConnectionsCommand::Show { name } => {
                let connection = client.get(&["connections", name], &[]).await?;
                session.output.object(&connection, || whole(&connection))
            }
        }
    })
}

fn whole(connection: &Value) -> String {
    let hosts: Vec<String> = view::list(connection, "/hosts").iter().map(|host| view::at(host, "")).collect();
    let owners: Vec<String> = view::list(connection, "/owners").iter().map(|one| view::at(one, "")).collect();
    let tags = view::part(connection, "tags").as_object().into_iter().flatten();
    let tags: Vec<String> =
        tags.map(|(name, value)| format!("{}={}", safe::line(name), view::at(value, ""))).collect();
    view::facts(&[
        ("name", view::at(connection, "/name")),
        ("kind", view::at(connection, "/kind")),
        ("path", view::at(connection, "/path")),
        ("url", view::at(connection, "/url")),
        ("hosts", hosts.join(", ")),
        ("upstream", view::at(connection, "/upstream")),
        ("tags", tags.join(", ")),
        ("owners", owners.join(", ")),
        ("credential", view::at(connection, "/credential/reference")),
        ("put in", view::at(connection, "/credential/header")),
    ])
}
