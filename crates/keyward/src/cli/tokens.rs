//! `keyward token` and `keyward tokens`: short-lived tokens for tools that cannot sign in by themselves.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote, span};
use super::{Session, view};
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    wanted: Wanted,
}

/// What a token is to be good for.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// The connections that it is for
    #[arg(value_name = "CONNECTION", required_unless_present = "all")]
    pub(super) connections: Vec<String>,
    /// For all connections
    #[arg(long, conflicts_with = "connections")]
    pub(super) all: bool,
    /// For this class of operation alone, such as chat.completions; may be given several times
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// For how long (90s, 30m, 2h); at most 24h. Without it 1h, and 15m for a workload (--from)
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<String>,
    /// What to call it in lists
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct TokensArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// List the client tokens that hold, with their last use: one's own; for auditors and administrators, all
    #[command(visible_alias = "list")]
    Ls {
        /// Only one's own
        #[arg(long)]
        mine: bool,
    },
    /// Revoke a client token at once, and end the calls that it has under way
    #[command(after_help = "Example:\n  keyward tokens revoke tok_01990000000070008000000000000001")]
    Revoke {
        /// The token's id, never the token itself
        id: String,
    },
}

/// Makes a token and prints it alone.
pub(super) fn make(args: &TokenArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(async {
        let made = client.post(&["tokens"], &args.wanted.body(client.credential().is_workload())?).await?;
        let token = view::part(&made, "token").as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(Failure::error("the gateway made no token", "is it as new as this program?"));
        }
        let (id, until) = (view::at(&made, "/id"), view::at(&made, "/expires_at"));
        session
            .output
            .say(&format!("{id} holds until {until}; `keyward tokens revoke {id}` ends it before\n"));
        session.output.object(&made, || format!("{token}\n"))
    })
}

impl Wanted {
    /// The body that asks for it.
    pub(super) fn body(&self, for_workload: bool) -> Result<Value, Failure> {
        let usual = if for_workload { "15m" } else { "1h" };
        let life = span(self.span.as_deref().unwrap_or(usual))?;
        Ok(body(&self.connections, self.all, &self.classes, life, &self.name))
    }
}

/// The body that asks for a token; without classes it is for all.
pub(super) fn body(
    connections: &[String],
    all: bool,
    classes: &[String],
    life: Duration,
    name: &str,
) -> Value {
    let mut body = json!({"connections": connections, "all": all, "seconds": life.as_secs(), "name": name});
    if let (false, Some(body)) = (classes.is_empty(), body.as_object_mut()) {
        body.insert("classes".to_owned(), json!(classes));
    }
    body
}

/// Lists or revokes tokens.
pub(super) fn run(args: TokensArgs, session: &Session) -> Result<(), Failure> {
    if let TokensCommand::Revoke { id } = &args.command
        && id.starts_with("kw_")
    {
        return Err(Failure::new(
            Exit::Usage,
            "this is a token, not its id",
            "name it by its id (tok_…), which `keyward tokens ls` shows; now that it was typed, revoke it",
        ));
    }
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: TokensCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    match command {
        TokensCommand::Ls { mine } => {
            let found = client.get(&["tokens"], &[("mine", mine.then(|| "true".to_owned()))]).await?;
            let headings = ["ID", "NAME", "OWNER", "FOR", "CLASSES", "UNTIL", "LAST USED"];
            session.output.rows(view::list(&found, "/tokens"), &headings, |row| {
                vec![
                    view::at(row, "/id"),
                    view::at(row, "/name"),
                    view::person(view::part(row, "owner")),
                    words(row, "/connections"),
                    words(row, "/classes"),
                    view::at(row, "/expires_at"),
                    view::at(row, "/last_used_at"),
                ]
            })
        }
        TokensCommand::Revoke { id } => {
            let revoked = client.post(&["tokens", &id, "revoke"], &json!({})).await?;
            session.output.object(&revoked, || format!("{} is revoked\n", view::at(&revoked, "/id")))
        }
    }
}

/// The words of a scope; one that is absent stands for all.
fn words(row: &Value, pointer: &str) -> String {
    if row.pointer(pointer).is_none() {
        return "all".to_owned();
    }
    let words: Vec<String> = view::list(row, pointer).iter().map(|word| view::at(word, "")).collect();
    words.join(", ")
}
