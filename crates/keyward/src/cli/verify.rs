//! `keyward verify`: proves the journal of a data directory, or names the first record that is bad.

use std::path::PathBuf;

use clap::Args;
use keyward_journal::{Report, VerifyError, verify_against};
use keyward_secrets::MasterKey;
use serde::Serialize;

use super::Session;
use crate::exit::{Exit, Failure};
use keyward_gateway::start::{JOURNAL_KEY, journal_dir};

/// Longest kept checkpoint in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A checkpoint that was kept elsewhere; the journal must continue it. May be given again
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Proved {
    verified: bool,
    records: u64,
    segments: u64,
    sessions: u64,
    shredded: u64,
    root: String,
    tree_size: u64,
    checkpoints: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_checkpoint: Option<String>,
    unsigned_records: u64,
    torn_bytes: u64,
}

#[derive(Serialize)]
struct Bad<'a> {
    verified: bool,
    file: &'a str,
    segment: u64,
    sequence: u64,
    offset: u64,
    what: &'a str,
}

impl From<Report> for Proved {
    fn from(report: Report) -> Self {
        Self {
            verified: true,
            records: report.records,
            segments: report.segments,
            sessions: report.sessions,
            shredded: report.shredded,
            root: report.root.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
            tree_size: report.tree_size,
            checkpoints: report.checkpoints,
            last_checkpoint: report.last_checkpoint.map(|at| at.to_string()),
            unsigned_records: report.tail.records,
            torn_bytes: report.tail.torn_bytes,
        }
    }
}

pub(super) fn run(args: &VerifyArgs, session: &Session) -> Result<(), Failure> {
    let kept = args
        .checkpoint
        .iter()
        .map(|path| {
            crate::config::load::read(path, CHECKPOINT_BYTES_MAX).map_err(|why| {
                Failure::new(Exit::NotFound, format!("the checkpoint {} {why}", path.display()), "")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let config = session.load_config()?.config;
    let master = MasterKey::load(&config.master_key.0).map_err(|error| Failure::caused(&error, ""))?;
    let key = master.derive(JOURNAL_KEY).map_err(|error| Failure::caused(&error, ""))?;
    match verify_against(&journal_dir(&config.data_dir), &key, &kept) {
        Ok(report) => {
            let proved = Proved::from(report);
            session.output.object(&proved, || text(&proved))
        }
        Err(VerifyError::Bad(bad)) => {
            if !session.output.is_table() {
                session.output.object(
                    &Bad {
                        verified: false,
                        file: &bad.file,
                        segment: bad.segment,
                        sequence: bad.sequence,
                        offset: bad.offset,
                        what: bad.what,
                    },
                    String::new,
                )?;
            }
            Err(Failure::error(
                format!("the journal is not what was written: {bad}"),
                "keep a copy of the directory as it is; what lies before that record is proved",
            ))
        }
        Err(error) => Err(Failure::caused(&error, "")),
    }
}

fn text(proved: &Proved) -> String {
    let last = proved.last_checkpoint.as_ref().map_or_else(String::new, |at| format!(", the last of {at}"));
    let mut lines = vec![
        format!(
            "verified: {} records of {} sessions in {} segments",
            proved.records, proved.sessions, proved.segments
        ),
        format!("  root {} (tree size {})", proved.root, proved.tree_size),
        format!("  {} signed checkpoints{last}", proved.checkpoints),
    ];
    if proved.shredded > 0 {
        lines
            .push(format!("  {} sessions were shredded on purpose: proved, and unreadable", proved.shredded));
    }
    if proved.unsigned_records > 0 || proved.torn_bytes > 0 {
        let (records, bytes) = (proved.unsigned_records, proved.torn_bytes);
        lines.push(format!("  beyond the last checkpoint: {records} records, {bytes} bytes unfinished"));
    }
    lines.join("\n") + "\n"
}
