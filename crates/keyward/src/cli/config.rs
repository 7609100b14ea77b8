//! `keyward config`: check, show or describe the configuration file.

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use crate::config::origin::{Effective, effective};
use crate::config::problem::render;
use crate::config::{Problem, load, shape};
use crate::exit::{Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the file and the policies that it names; every problem with line, column and remedy
    #[command(after_help = "Examples:
  keyward config validate --config keyward.yaml
  keyward config validate --config keyward.yaml -o json | jq '.problems[].message'")]
    Validate,
    /// Show every effective value; secrets appear as the references they are
    #[command(after_help = "Example:\n  keyward config show --origin --config keyward.yaml")]
    Show {
        /// Say for each value where it comes from: FILE:LINE, or default
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of the file, for editors
    #[command(after_help = "Example:\n  keyward config schema > keyward.schema.json")]
    Schema,
}

/// What `validate` found, for programs.
#[derive(Serialize)]
struct Validation<'a> {
    valid: bool,
    problems: &'a [Problem],
}

pub(super) fn run(command: &ConfigCommand, session: &Session) -> Result<(), Failure> {
    match command {
        ConfigCommand::Validate => validate(session),
        ConfigCommand::Show { origin } => show(session, *origin),
        ConfigCommand::Schema => {
            let schema = shape::schema();
            let text = serde_json::to_string_pretty(&schema)
                .map_err(|_| Failure::error("the schema cannot be written", ""))?;
            session.output.object(&schema, || text + "\n")
        }
    }
}

fn validate(session: &Session) -> Result<(), Failure> {
    let file = session.config_file()?;
    let output = &session.output;
    match load(&file) {
        Ok(loaded) => output.object(&Validation { valid: true, problems: &[] }, || {
            let config = &loaded.config;
            format!(
                "{} is valid: {}, {}, {}\n",
                loaded.file,
                count(config.issuers.len(), "issuer"),
                count(config.connections.len(), "connection"),
                count(config.policies.len(), "policy document"),
            )
        }),
        Err(problems) => {
            if output.is_table() {
                output.say(&render(&problems, output.color()));
                output.say(&format!("{} in {}\n", count(problems.len(), "problem"), file.display()));
            } else {
                output.object(&Validation { valid: false, problems: &problems }, String::new)?;
            }
            Err(Failure::said(Exit::Error))
        }
    }
}

fn show(session: &Session, origin: bool) -> Result<(), Failure> {
    let loaded = session.load_config()?;
    if !origin {
        let value = loaded.effective();
        // The table of a tree is the YAML that would say the same.
        let text = serde_saphyr::to_string(&value)
            .map_err(|_| Failure::error("the configuration cannot be written as YAML", "use -o json"))?;
        return session.output.object(&value, || text);
    }
    let text = |row: &Effective| match &row.value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    session.output.rows(&effective(&loaded), &["SETTING", "VALUE", "ORIGIN"], |row| {
        vec![row.setting.clone(), text(row), row.origin.clone()]
    })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
