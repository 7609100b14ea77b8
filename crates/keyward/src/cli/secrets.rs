//! `keyward secrets`: the embedded store of a data directory. Values go in; nothing shows them again.

use std::fmt::Write as _;

use clap::Subcommand;
use keyward_core::Timestamp;
use keyward_secrets::{SecretInfo, VersionInfo};
use serde::Serialize;

use super::{Session, prompt};
use crate::compose::Control;
use crate::exit::{Exit, Failure, chain};

#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Keep a value under a name: asked for on the terminal, or read from stdin
    #[command(after_help = "Examples:
  keyward secrets put openai                    asks for the value, without echo
  pass show openai | keyward secrets put openai")]
    Put {
        /// The name: a-z 0-9 . _ / -, used as keyward://NAME
        name: String,
        /// Not taken: a value on the command line stands in the shell's history and the process list
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        value: Vec<std::ffi::OsString>,
    },
    /// List names and versions
    #[command(visible_alias = "list")]
    Ls,
    /// Show a secret's versions, not its value
    Show {
        /// The name
        name: String,
    },
    /// Open every version of every secret, and say which do not open
    Check,
}

/// A secret as it is shown.
#[derive(Serialize)]
struct Shown {
    name: String,
    reference: String,
    versions: Vec<ShownVersion>,
}

#[derive(Serialize)]
struct ShownVersion {
    version: i64,
    created_at: String,
}

impl From<SecretInfo> for Shown {
    fn from(info: SecretInfo) -> Self {
        let version =
            |v: VersionInfo| ShownVersion { version: v.version, created_at: v.created_at.to_string() };
        Self {
            reference: format!("keyward://{}", info.name),
            versions: info.versions.into_iter().map(version).collect(),
            name: info.name,
        }
    }
}

#[derive(Serialize)]
struct CheckedRow {
    name: String,
    version: i64,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

pub(super) fn run(command: SecretsCommand, session: &Session) -> Result<(), Failure> {
    if let SecretsCommand::Put { value, .. } = &command
        && !value.is_empty()
    {
        return Err(Failure::usage(
            "a value is not taken from the command line: it would stand in the shell's history and the process list",
            "leave it out to be asked, or pipe it in; replace the value if it was a real one",
        ));
    }
    let config = session.load_config()?.config;
    super::block_on(async {
        let control = Control::open(&config).await?;
        let result = answer(command, session, &control).await;
        control.db.close().await;
        result
    })
}

async fn answer(command: SecretsCommand, session: &Session, control: &Control) -> Result<(), Failure> {
    let secrets = &control.embedded;
    match command {
        SecretsCommand::Put { name, .. } => {
            if !keyward_secrets::is_secret_name(&name) {
                return Err(Failure::usage(
                    "this cannot be the name of a secret",
                    "up to 128 of a-z 0-9 . _ / -, beginning with a letter or digit",
                ));
            }
            let value = prompt::secret(&format!("Value of {name} (not shown): "))?;
            let put = secrets.put(&name, &value, now()).await.map_err(|error| Failure::caused(&error, ""))?;
            let shown = serde_json::json!({"reference": put.reference, "version": put.version});
            session.output.object(&shown, || format!("{}, version {}\n", put.reference, put.version))
        }
        SecretsCommand::Ls => {
            let list = secrets.list().await.map_err(|error| Failure::caused(&error, ""))?;
            let rows: Vec<Shown> = list.into_iter().map(Shown::from).collect();
            session.output.rows(&rows, &["REFERENCE", "VERSION", "SINCE", "KEPT"], |row| {
                let newest = row.versions.first();
                vec![
                    row.reference.clone(),
                    newest.map_or_else(String::new, |v| v.version.to_string()),
                    newest.map_or_else(String::new, |v| v.created_at.clone()),
                    row.versions.len().to_string(),
                ]
            })
        }
        SecretsCommand::Show { name } => {
            let info = secrets.show(&name).await.map_err(|error| Failure::caused(&error, ""))?;
            let shown: Shown = info
                .ok_or_else(|| {
                    Failure::new(
                        Exit::NotFound,
                        "there is no secret of this name",
                        "`keyward secrets ls` lists them",
                    )
                })?
                .into();
            session.output.object(&shown, || {
                let mut text = format!("{}\n", shown.reference);
                for version in &shown.versions {
                    // Writing to a String cannot fail.
                    _ = writeln!(text, "  version {} since {}", version.version, version.created_at);
                }
                text
            })
        }
        SecretsCommand::Check => check(session, control).await,
    }
}

async fn check(session: &Session, control: &Control) -> Result<(), Failure> {
    let checked = control.embedded.check().await.map_err(|error| Failure::caused(&error, ""))?;
    let rows: Vec<CheckedRow> = checked
        .into_iter()
        .map(|one| CheckedRow {
            usable: one.fault.is_none(),
            fault: one.fault.as_ref().map(|fault| chain(fault)),
            name: one.name,
            version: one.version,
        })
        .collect();
    session.output.rows(&rows, &["NAME", "VERSION", "RESULT"], |row| {
        let result = row.fault.clone().unwrap_or_else(|| "ok".to_owned());
        vec![row.name.clone(), row.version.to_string(), result]
    })?;
    match rows.iter().filter(|row| !row.usable).count() {
        0 => Ok(()),
        faults => Err(Failure::error(
            format!("{faults} of {} versions cannot be used", rows.len()),
            "put the values again",
        )),
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
