//! `keyward sessions`: what was recorded, and its replay.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote, moment};
use super::play::{Manner, play};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct SessionsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: SessionsCommand,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// List sessions: one's own; all for auditors
    #[command(visible_alias = "list")]
    Ls {
        /// Part of ISSUER#SUBJECT or of a name
        #[arg(long)]
        principal: Option<String>,
        /// The connection's name
        #[arg(long, value_name = "NAME")]
        connection: Option<String>,
        /// Opened at or after: RFC 3339, or a span back from now (30m, 2h, 7d)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Opened before: RFC 3339, or a span back from now
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only one's own
        #[arg(long)]
        mine: bool,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only those older than this one
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Show a session and its exchanges
    Show {
        /// The session
        id: String,
        /// Only exchanges after this one
        #[arg(long, value_name = "REQUEST")]
        after: Option<String>,
    },
    /// End a session and every call of it that is under way: one's own; any for administrators
    #[command(after_help = "Whoever it was may begin a new session; `keyward locks add` keeps them out.")]
    Kill {
        /// The session
        id: String,
        /// Why, for the one whose it is, and for the record
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Print what was answered, in the rhythm in which it came
    #[command(after_help = "On a terminal, control characters of the recording are always shown as escapes.
Examples:
  keyward sessions play ses_…              what the model said, as it said it
  keyward sessions play ses_… --speed 4    four times as fast; 0 means at once
  keyward sessions play ses_… --raw > x    the recorded bytes")]
    Play {
        /// The session
        id: String,
        /// Only this exchange
        request: Option<String>,
        /// How many times as fast; 0 means without waiting
        #[arg(long, default_value_t = 1.0, value_name = "N")]
        speed: f64,
        /// The recorded bytes instead of the text in them
        #[arg(long)]
        raw: bool,
    },
}

pub(super) fn run(args: SessionsArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(answer(args.command, &client, session))
}

async fn answer(command: SessionsCommand, client: &Client, session: &Session) -> Result<(), Failure> {
    match command {
        SessionsCommand::Ls { principal, connection, since, until, mine, limit, before } => {
            let now = jiff::Timestamp::now();
            let query = [
                ("principal", principal),
                ("connection", connection),
                ("since", moment(since.as_deref(), now)?),
                ("until", moment(until.as_deref(), now)?),
                ("mine", mine.then(|| "true".to_owned())),
                ("limit", Some(limit.to_string())),
                ("before", before),
            ];
            let found = client.get(&["sessions"], &query).await?;
            let headings = ["ID", "OPENED", "PRINCIPAL", "CONNECTION", "EXCHANGES", "MASKED", "LAST", "END"];
            session.output.rows(view::list(&found, "/sessions"), &headings, |row| {
                vec![
                    view::at(row, "/id"),
                    view::at(row, "/opened_at"),
                    view::person(view::part(row, "principal")),
                    view::at(row, "/connection"),
                    view::at(row, "/exchanges"),
                    view::at(row, "/findings"),
                    view::at(row, "/last_at"),
                    view::at(row, "/last_end"),
                ]
            })?;
            view::more(session.output, &found, "--before");
            Ok(())
        }
        SessionsCommand::Show { id, after } => {
            let found = client.get(&["sessions", &id], &[("after", after)]).await?;
            show(&found, session)
        }
        SessionsCommand::Kill { id, reason } => {
            let killed = client.post(&["sessions", &id, "kill"], &json!({"reason": reason})).await?;
            session.output.object(&killed, || format!("{} is over\n", view::at(&killed, "/id")))
        }
        SessionsCommand::Play { id, request, speed, raw } => {
            if !(speed.is_finite() && speed >= 0.0) {
                return Err(Failure::usage("the speed must be 0 or more", "1 is the rhythm as it was"));
            }
            play(client, session, &id, request, Manner { speed, raw }).await
        }
    }
}

fn show(found: &Value, session: &Session) -> Result<(), Failure> {
    if session.output.is_table() {
        let text = view::facts(&[
            ("session", view::at(found, "/id")),
            ("principal", view::exact_person(view::part(found, "principal"))),
            ("connection", view::at(found, "/connection")),
            ("from", view::at(found, "/peer")),
            ("opened", view::at(found, "/opened_at")),
            ("closed", view::at(found, "/closed_at")),
            ("last", view::at(found, "/last_at")),
        ]);
        session.output.bytes((text + "\n").as_bytes())?;
        let headings =
            ["REQUEST", "AT", "OPERATION", "DECISION", "RULE", "SECRET", "STATUS", "END", "BYTES", "MASKED"];
        session.output.rows(view::list(found, "/requests"), &headings, |row| {
            let masked = view::list(row, "/findings")
                .iter()
                .filter_map(|finding| view::part(finding, "count").as_u64())
                .sum::<u64>();
            vec![
                view::at(row, "/id"),
                view::at(row, "/at"),
                view::operation(view::part(row, "operation")),
                view::at(row, "/decision"),
                view::at(row, "/rule"),
                view::at(row, "/secret"),
                view::at(row, "/status"),
                view::at(row, "/end"),
                view::at(row, "/bytes_down"),
                masked.to_string(),
            ]
        })?;
    } else {
        session.output.object(found, String::new)?;
    }
    view::more(session.output, found, "--after");
    Ok(())
}
