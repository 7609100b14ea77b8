//! `keyward run`: a command with a token of its own that ends with it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::child::{self, Signals};
use super::client::{Client, Remote, span};
use super::endpoints::{self, DataUrl, Endpoint};
use super::variables::{self, Setting};
use super::{Session, tokens, view};
use crate::exit::{Exit, Failure};

/// How long revoking may take when the command has ended.
const REVOKING_MAX: Duration = Duration::from_secs(10);
/// The longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 128;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  keyward run openai -- python chat.py
  keyward run anthropic --for 2h -- claude
  keyward run models other --as openai=other -- make evaluate

What it sets, by the connection's kind:
  openai, vllm, tgi  OPENAI_BASE_URL, OPENAI_API_BASE, OPENAI_API_KEY
  anthropic          ANTHROPIC_BASE_URL, ANTHROPIC_AUTH_TOKEN
                     (--as anthropic-key=NAME: ANTHROPIC_API_KEY, for tools that read that one alone)
  gemini             GOOGLE_GEMINI_BASE_URL, GEMINI_API_KEY
  ollama             OLLAMA_HOST, OLLAMA_API_KEY (for its libraries; the command `ollama` sends no token)
  mlflow             MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN
  every kind         KEYWARD_NAME_URL, KEYWARD_NAME_TOKEN

It ends with the command's own exit code: 128+n where signal n ended it, 127 where there is no such command,
126 where it cannot be executed.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    data_url: DataUrl,
    /// The connections that it may call; without any, all
    #[arg(value_name = "CONNECTION")]
    connections: Vec<String>,
    /// For how long at most (90s, 30m, 2h); at most 24h
    #[arg(long = "for", value_name = "SPAN", default_value = "8h")]
    span: String,
    /// For this class of operation alone, such as chat.completions; may be given several times
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// Which connection the clients of an API are led to, where several could be; may be given several times
    #[arg(long = "as", value_name = "API=CONNECTION")]
    wishes: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The token that the command gets.
struct Made {
    text: Zeroizing<String>,
    id: String,
    until: String,
}

/// Runs the command to its end; gives the exit code to end with.
pub(super) fn run(args: &RunArgs, session: &Session) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_to_end(args, session))
}

async fn run_to_end(args: &RunArgs, session: &Session) -> Result<ExitCode, Failure> {
    // Caught first, so that from the token's making on nothing ends us before it is revoked.
    let mut signals = Signals::catch()?;
    let client = Client::new(&args.remote, session.output)?;
    let found = endpoints::find(&client, &args.connections, &args.data_url).await?;
    let mut command = command(args, &client)?;
    let variables = environment(&found, &args.wishes, &mut command)?;
    let made = make(&client, args).await?;
    drop(client);
    for (name, setting) in variables {
        match setting {
            Setting::Text(text) => command.env(name, text),
            Setting::Token => command.env(name, &*made.text),
        };
    }
    let ended = match signals.next().now_or_never() {
        Some(signal) => Ok(ExitCode::from(code(128 + signal.as_raw()))),
        None => follow(&mut command, &mut signals).await,
    };
    drop(command);
    if let Err(failure) = revoke(args, &made.id, session).await {
        let help = if failure.help.is_empty() { String::new() } else { format!(" ({})", failure.help) };
        session.output.say(&format!(
            "warning: the token {} of this run could not be revoked: {}{help}; it holds until {}\n",
            made.id, failure.message, made.until
        ));
    }
    ended
}

/// What is to be executed, without what could make it the caller itself.
fn command(args: &RunArgs, client: &Client) -> Result<Command, Failure> {
    let (program, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| Failure::usage("there is no command to run", "write it after `--`"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    for name in client.credential().variables() {
        command.env_remove(name);
    }
    Ok(command)
}

/// The variables to set. Takes off the command's environment what would win over them.
fn environment(
    found: &[Endpoint],
    wishes: &[String],
    command: &mut Command,
) -> Result<Vec<(String, Setting)>, Failure> {
    let mut variables = variables::own(found)?;
    for (reader, endpoint) in variables::choose(found, wishes)? {
        for name in reader.conflicting() {
            command.env_remove(name);
        }
        variables.extend(
            reader.variables(&endpoint).into_iter().map(|(name, setting)| (name.to_owned(), setting)),
        );
    }
    Ok(variables)
}

async fn make(client: &Client, args: &RunArgs) -> Result<Made, Failure> {
    let all = args.connections.is_empty();
    let body = tokens::body(&args.connections, all, &args.classes, span(&args.span)?, &name(args));
    let mut made = client.post(&["tokens"], &body).await?;
    let text = match made.get_mut("token").map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Zeroizing::new(text),
        _ => return Err(Failure::error("the gateway made no token", "is it as new as this program?")),
    };
    Ok(Made { text, id: view::at(&made, "/id"), until: view::at(&made, "/expires_at") })
}

/// What the token is called in lists.
fn name(args: &RunArgs) -> String {
    let program = args.command.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let name = format!("run {}", program.to_string_lossy());
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_owned()
}

async fn follow(command: &mut Command, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let mut child = child::start(command)?;
    let status: ExitStatus = child::follow(&mut child, signals).await?;
    let ended = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(ended.map_or(Exit::Error as u8, code)))
}

fn code(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(Exit::Error as u8)
}

/// Asks anew who the caller is: the token of the beginning may be an old one by now.
async fn revoke(args: &RunArgs, id: &str, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    let revoked = tokio::time::timeout(REVOKING_MAX, client.revoke_token(id)).await;
    revoked.unwrap_or_else(|_| {
        Err(Failure::new(Exit::ServerUnreachable, "the gateway takes too long to answer", ""))
    })
}
