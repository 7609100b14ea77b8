//! The command line: what can be typed, and who answers it. Data goes to stdout, talk to stderr; a secret is never
//! printed; how a command ends is decided in [`crate::exit`].

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::Color;
use crate::exit::{Exit, Failure};
use output::{Format, Output};

mod approvals;
mod audit;
mod child;
mod client;
mod config;
mod connections;
mod credential;
mod demo;
mod endpoints;
mod grants;
mod locks;
mod login;
mod mask;
mod notifications;
mod output;
mod play;
mod policy;
mod prompt;
mod run;
mod safe;
mod secrets;
mod serve;
mod sessions;
mod setup;
mod tokens;
mod variables;
mod verify;
mod view;
mod watching;
mod whoami;
mod workload;

/// Where the configuration is looked for when nothing names it, in this order.
const CONFIG_FILES: [&str; 2] = ["keyward.yaml", "/etc/keyward/keyward.yaml"];

/// Identity-aware gateway for inference: callers never hold an upstream credential.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  keyward demo                                    see it work on this machine, in seconds
  keyward serve --config keyward.yaml             run the gateway
  keyward config validate --config keyward.yaml   check a configuration, with file, line and remedy
  keyward secrets put openai                      keep a credential; asks for it without echo
  keyward login                                   sign in with the gateway's identity provider
  keyward run openai -- python chat.py            run a command with a token that ends with it
  keyward policy test policies/own.yaml           run the tests that stand in a policy
  kubectl logs pod | keyward mask                 mask credentials in any text
  keyward completions bash > keyward.bash         complete commands in the shell

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 sign-in needed, 5 permission denied, 10 approval pending,
11 denied, 12 expired, 13 blocked by policy, 14 policy test failed, 20 server unreachable; `run` ends with its
command's own, 126 where that cannot be executed, 127 where there is none.")]
struct Cli {
    /// The configuration file; without it ./keyward.yaml, then /etc/keyward/keyward.yaml
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_CONFIG")]
    config: Option<PathBuf>,
    /// How data is written to stdout
    #[arg(short = 'o', long = "output", global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything on loopback, with a model server that leaks on purpose
    Demo(demo::DemoArgs),
    /// Run the gateway
    #[command(after_help = "Example:\n  keyward serve --config /etc/keyward/keyward.yaml")]
    Serve,
    /// Check, show or describe the configuration file
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check, test and ask policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Keep upstream credentials in the encrypted store of the data directory
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Prove the journal, or name the first record that is bad
    #[command(after_help = "Examples:
  keyward verify
  keyward verify --checkpoint kept/checkpoint.txt -o json")]
    Verify(verify::VerifyArgs),
    /// Mask stdin to stdout with the engine of the data path
    Mask(mask::MaskArgs),
    /// See and decide calls that wait for a human
    Approvals(approvals::ApprovalsArgs),
    /// See and replay what was recorded
    Sessions(sessions::SessionsArgs),
    /// Keep somebody out at once
    Locks(locks::LocksArgs),
    /// See whom the gateway tells that somebody waits, test it, and send again what could not be told
    Notifications(notifications::NotificationsArgs),
    /// Ask for windows in which calls of a kind need no approval of their own, and end them
    Grants(grants::GrantsArgs),
    /// Open a window at once, without an approval, in an emergency; it is told, and somebody else has to sign for it
    #[command(after_help = "Examples:
  keyward break-glass models --for 15m --reason 'INC-42: rollback needs the old weights'
  keyward break-glass review grt_01990000000070008000000000000001 --reason 'checked the session, as described'")]
    BreakGlass(grants::BreakGlassArgs),
    /// Run a command with a token of its own, which is revoked when the command ends
    Run(run::RunArgs),
    /// Say what to set so that a tool calls through the gateway
    Setup(setup::SetupArgs),
    /// Make a short-lived token for a tool that cannot sign in, and print it alone; `keyward tokens` lists and revokes
    #[command(after_help = "Examples:
  OPENAI_API_KEY=$(keyward token openai) some-tool
  keyward token openai anthropic --for 8h --name notebook
  keyward token models --class chat.completions --for 30m
  keyward token models --from github-actions     in a job with `permissions: {id-token: write}`")]
    Token(tokens::TokenArgs),
    /// See and revoke client tokens
    Tokens(tokens::TokensArgs),
    /// Ask the ledger who used a secret, or what somebody did
    Audit(audit::AuditArgs),
    /// See where calls may go
    Connections(connections::ConnectionsArgs),
    /// Sign in to a gateway with its identity provider
    Login(login::LoginArgs),
    /// Revoke and forget a sign-in
    Logout(login::LogoutArgs),
    /// Show who one is to the gateway, and where the token came from
    Whoami(whoami::WhoamiArgs),
    /// Write a completion script for a shell to stdout
    #[command(
        after_help = "Example:\n  keyward completions bash > ~/.local/share/bash-completion/completions/keyward"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

/// What every command gets.
struct Session {
    config: Option<PathBuf>,
    output: Output,
}

impl Session {
    /// The configuration file that was named, or the first that exists of the usual ones.
    fn config_file(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.config {
            return Ok(path.clone());
        }
        CONFIG_FILES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
            Failure::usage(
                "there is no configuration: neither ./keyward.yaml nor /etc/keyward/keyward.yaml exists",
                "name it with --config FILE or in KEYWARD_CONFIG",
            )
        })
    }

    /// The configuration, checked. Its problems are told here.
    fn load_config(&self) -> Result<crate::config::Loaded, Failure> {
        crate::config::load(&self.config_file()?).map_err(|problems| {
            self.output.say(&crate::config::problem::render(&problems, self.output.color()));
            Failure::said(Exit::Error)
        })
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` arrive here too, for stdout and with code 0; a mistake goes to stderr with 2.
            _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    let output = Output::new(cli.output, color_on_stderr());
    let session = Session { config: cli.config, output };
    let private = crate::hardening::keep_memory_private();
    match private.and_then(|()| dispatch(cli.command, &session)) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                session.output.failure(&failure);
            }
            failure.exit.into()
        }
    }
}

/// The code to end with when nothing failed: a child's own where a command ran one.
fn dispatch(command: Command, session: &Session) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Run(args) => return run::run(&args, session),
        Command::Demo(args) => demo::run(&args, session),
        Command::Serve => serve::run(session),
        Command::Config(command) => config::run(&command, session),
        Command::Policy(command) => policy::run(command, session),
        Command::Secrets(command) => secrets::run(command, session),
        Command::Verify(args) => verify::run(&args, session),
        Command::Mask(args) => mask::run(&args, session),
        Command::Approvals(args) => approvals::run(args, session),
        Command::Sessions(args) => sessions::run(args, session),
        Command::Locks(args) => locks::run(args, session),
        Command::Notifications(args) => notifications::run(args, session),
        Command::Grants(args) => grants::run(args, session),
        Command::BreakGlass(args) => grants::break_glass(args, session),
        Command::Setup(args) => setup::run(&args, session),
        Command::Token(args) => tokens::make(&args, session),
        Command::Tokens(args) => tokens::run(args, session),
        Command::Audit(args) => audit::run(args, session),
        Command::Connections(args) => connections::run(&args, session),
        Command::Login(args) => login::login(&args, session),
        Command::Logout(args) => login::logout(&args, session),
        Command::Whoami(args) => whoami::run(&args, session),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyward", &mut script);
            session.output.bytes(&script)
        }
        Command::Version => {
            let version = serde_json::json!({"name": "keyward", "version": env!("CARGO_PKG_VERSION")});
            session.output.object(&version, || format!("keyward {}\n", env!("CARGO_PKG_VERSION")))
        }
    };
    done.map(|()| Exit::Ok.into())
}

/// Runs a command's future on this thread.
fn block_on(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future)
}

/// Colours on stderr: on a terminal, unless `NO_COLOR` says otherwise (no-color.org).
fn color_on_stderr() -> Color {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stderr().is_terminal() && !forbidden { Color::On } else { Color::Off }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_explained() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
            for argument in
                command.get_arguments().filter(|a| a.get_id() != "help" && a.get_id() != "version")
            {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }

    #[test]
    fn a_wrong_command_line_ends_with_2() {
        let code = |words: &[&str]| format!("{:?}", run(words.iter().map(OsString::from)));
        assert_eq!(code(&["keyward", "nonsense"]), format!("{:?}", ExitCode::from(2)));
        assert_eq!(
            code(&["keyward", "config", "validate", "--config", "/does/not/exist"]),
            format!("{:?}", ExitCode::from(1))
        );
    }
}
