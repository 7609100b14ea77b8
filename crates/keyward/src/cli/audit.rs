//! `keyward audit`: the ledger. Needs the role auditor or admin; the question itself is recorded.

use clap::{Args, Subcommand};

use super::client::{Client, Remote, moment};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Every use of one secret: when, by whom, for what
    #[command(after_help = "Example:\n  keyward audit who-used keyward://openai --since 7d")]
    WhoUsed {
        /// The secret's reference; a bare NAME means keyward://NAME
        secret: String,
        #[command(flatten)]
        range: Range,
    },
    /// What a principal did
    #[command(after_help = "Example:\n  keyward audit what '#alice' --since 2h")]
    What {
        /// Part of ISSUER#SUBJECT; also finds what was done on their behalf
        principal: String,
        /// Only on this connection
        #[arg(long, value_name = "NAME")]
        connection: Option<String>,
        #[command(flatten)]
        range: Range,
    },
}

#[derive(Debug, Args)]
struct Range {
    /// At or after: RFC 3339, or a span back from now (30m, 2h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before: RFC 3339, or a span back from now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many rows at most
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Only those older than this exchange
    #[arg(long, value_name = "REQUEST")]
    before: Option<String>,
}

pub(super) fn run(args: AuditArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(async {
        let (question, mut query, range) = match args.command {
            AuditCommand::WhoUsed { secret, range } => {
                let secret = if secret.contains("://") { secret } else { format!("keyward://{secret}") };
                ("who-used", vec![("secret", Some(secret))], range)
            }
            AuditCommand::What { principal, connection, range } => {
                ("what", vec![("principal", Some(principal)), ("connection", connection)], range)
            }
        };
        let now = jiff::Timestamp::now();
        query.extend([
            ("since", moment(range.since.as_deref(), now)?),
            ("until", moment(range.until.as_deref(), now)?),
            ("limit", Some(range.limit.to_string())),
            ("before", range.before),
        ]);
        let found = client.get(&["audit", question], &query).await?;
        let headings = [
            "AT",
            "PRINCIPAL",
            "CONNECTION",
            "OPERATION",
            "SECRET",
            "VERSION",
            "DECISION",
            "RULE",
            "END",
            "SESSION",
        ];
        session.output.rows(view::list(&found, "/rows"), &headings, |row| {
            vec![
                view::at(row, "/at"),
                view::person(view::part(row, "principal")),
                view::at(row, "/connection"),
                view::operation(row),
                view::at(row, "/secret"),
                view::at(row, "/version"),
                view::at(row, "/decision"),
                view::at(row, "/rule"),
                view::at(row, "/end"),
                view::at(row, "/session"),
            ]
        })?;
        view::more(session.output, &found, "--before");
        Ok(())
    })
}
