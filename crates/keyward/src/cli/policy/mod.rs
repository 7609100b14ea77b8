//! `keyward policy`: check, test and ask policy, with and without a gateway.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use keyward_core::policy::{BASE_NAME, PolicySet};
use keyward_mask::Detectors;
use serde::Serialize;

mod curl;
mod eval;
mod explain;
mod shown;
mod simulate;
mod test;

use super::Session;
use crate::config::policies::{Document, compile, document};
use crate::config::problem::render;
use crate::exit::{Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check documents: every mistake with file, line, column and remedy
    #[command(after_help = "Examples:
  keyward policy validate policies/own.yaml
  keyward policy validate                      the documents of the configuration, together")]
    Validate {
        /// Files, or shipped packs like builtin:base; without any, those of the configuration
        files: Vec<String>,
    },
    /// Run the tests that stand in documents; ends with 14 when one fails
    #[command(after_help = "Examples:
  keyward policy test policies/own.yaml builtin:base
  keyward policy test --strict --format junit > policy.xml     for CI; a rule without a test fails too
  keyward policy test -o json                                  the documents of the configuration, for programs")]
    Test(test::TestArgs),
    /// Say why a recorded request was decided as it was: each rule, and the values it read
    #[command(after_help = "One's own requests; auditors may ask about any, and that is recorded.
Examples:
  keyward policy explain req_…
  keyward policy explain req_… --policy new.yaml --policy builtin:base   by other documents, on this machine
  keyward policy explain req_… -o json                                   its `given` can be pasted into a policy test")]
    Explain(explain::ExplainArgs),
    /// Say what would happen to a call; nothing is sent. Ends with 13 when blocked, 10 when held
    #[command(after_help = "Examples:
  keyward policy eval --as https://idp.example.com#alice --group eng models --path /v1/models
  keyward policy eval --as https://idp.example.com#bot --kind agent models -- curl /v1/chat/completions --json @chat.json
  keyward policy eval --as https://idp.example.com#alice models -- curl -X DELETE http://gateway:8700/models/v1/models/m")]
    Eval(eval::EvalArgs),
    /// Decide the recorded requests anew: what would newly be blocked, held, masked or allowed
    #[command(
        after_help = "Reads the journal of the configuration's data directory, beside a running gateway; sends and changes nothing.
Examples:
  keyward policy simulate --policy policies/new.yaml --policy builtin:base
  keyward policy simulate --since 7d --policy policies/new.yaml -o json
  keyward policy simulate                  the documents of the configuration, against what was decided then"
    )]
    Simulate(simulate::SimulateArgs),
}

#[derive(Serialize)]
struct Validation<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    documents: Vec<&'a str>,
}

pub(super) fn run(command: PolicyCommand, session: &Session) -> Result<(), Failure> {
    match command {
        PolicyCommand::Validate { files } => {
            let documents = documents(&files, session)?;
            let set = compiled(&documents, session)?;
            let names: Vec<&str> = documents.iter().map(|document| document.source.name.as_str()).collect();
            let version = set.version();
            session.output.object(
                &Validation { valid: true, version: Some(version.as_ref()), documents: names.clone() },
                || format!("valid: {} (policy version {})\n", names.join(", "), short(version)),
            )
        }
        PolicyCommand::Explain(args) => explain::run(&args, session),
        PolicyCommand::Eval(args) => eval::run(&args, session),
        PolicyCommand::Simulate(args) => simulate::run(&args, session),
        PolicyCommand::Test(args) => {
            let documents = documents(&args.files, session)?;
            test::run(&compiled(&documents, session)?, &args, session)
        }
    }
}

fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

/// The documents that were named, relative to the working directory, or those of the configuration.
fn documents(files: &[String], session: &Session) -> Result<Vec<Document>, Failure> {
    if files.is_empty() {
        if session.config.is_none() && session.config_file().is_err() {
            return Err(Failure::usage(
                "no document was named, and there is no configuration that names some",
                format!("name files, or {BASE_NAME}"),
            ));
        }
        return Ok(session.load_config()?.policies);
    }
    files
        .iter()
        .map(|name| {
            document(name, Path::new(""))
                .map_err(|(message, help)| Failure::new(Exit::NotFound, message, help))
        })
        .collect()
}

/// What `mask` rules may name: the shipped detectors, and those of the configuration where one was named.
fn detectors(session: &Session) -> Result<Arc<Detectors>, Failure> {
    match &session.config {
        Some(_) => Ok(session.load_config()?.detectors),
        None => Ok(Detectors::builtin()),
    }
}

fn compiled(documents: &[Document], session: &Session) -> Result<PolicySet, Failure> {
    let detectors = detectors(session)?;
    compile(documents, &detectors).map_err(|problems| {
        if session.output.is_table() {
            session.output.say(&render(&problems, session.output.color()));
        } else if let Err(failure) =
            session.output.object(&serde_json::json!({"valid": false, "problems": problems}), String::new)
        {
            return failure;
        }
        Failure::said(Exit::Error)
    })
}
