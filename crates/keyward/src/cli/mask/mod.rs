//! `keyward mask`: the engine of the data path as a filter over stdin and files, and what it knows.
//!
//! Promise: what the data path would mask is masked here, in any chunking; what is decided is written when the input
//! pauses; when the engine fails, the command fails and writes nothing more. Exceptions: none.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use keyward_core::{Field, FieldRule, JsonPath, Style};
use keyward_mask::{Detectors, KnownValue, Profile};

use super::Session;
use crate::config::packs::{self, Pack};
use crate::config::suggest;
use crate::exit::{Exit, Failure};
use engine::{Engine, Reading};

mod catalogue;
mod engine;
mod progress;
mod report;

/// Longest file of known values.
const KNOWN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest file with a key for placeholders.
const KEY_BYTES_MAX: u64 = 4096;
/// Shortest key for placeholders.
const KEY_BYTES_MIN: usize = 16;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl logs -f pod | keyward mask
  keyward mask --report app.log > masked.log            and a count of what was found
  keyward mask --style hash --key-file mask.key < a.json  the same value, the same placeholder, every time
  keyward mask --field '$.user.email=drop' < users.json  a place, whatever it holds
  keyward mask --format sse --chunk 1 < stream.txt
  keyward mask --format html < page.html
  keyward mask --jsonl text --stats < corpus.jsonl > masked.jsonl
  keyward mask --list; keyward mask --explain github_pat
  keyward mask --check-pack own.yaml && keyward mask --pack own.yaml < app.log")]
pub(super) struct MaskArgs {
    /// Files to mask, one after the other; without any, stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the input is read: auto, text, json, ndjson, sse, eventstream, form, xml, html, yaml, toml, protobuf, or a media
    /// type such as 'multipart/form-data; boundary=XYZ'
    #[arg(long, default_value = "auto", value_name = "FORMAT", value_parser = engine::reading)]
    format: Reading,
    /// What a value becomes
    #[arg(long, value_name = "STYLE", default_value = "redact", value_parser = style)]
    style: Style,
    /// What hashes, tokens and surrogates are derived from; without it, a key of this run alone
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Mask this place in JSON whatever it holds, as in '$.user.email' or '$..pin=drop'
    #[arg(long, value_name = "PATH[=STYLE]")]
    field: Vec<String>,
    /// Look for known values only at this place in JSON
    #[arg(long, value_name = "PATH")]
    except: Vec<String>,
    /// Feed the engine this many bytes at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunk: Option<u32>,
    /// Mask these exact values too, one a line, in every common encoding
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Use only these detectors or groups of detectors; without it, all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    detect: Vec<String>,
    /// Use the detectors of this pack too
    #[arg(long, value_name = "FILE")]
    pack: Vec<PathBuf>,
    /// Read JSON lines and add `masked` and `findings` for the text in this field
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["format", "files"])]
    jsonl: Option<String>,
    /// Print bytes, seconds spent masking and MB/s to stderr
    #[arg(long)]
    stats: bool,
    /// Say what was found and where, never the value: to stderr, or as JSON to a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "absent, present, and present with a file")]
    report: Option<Option<PathBuf>>,
    /// List the detectors
    #[arg(long, group = "question")]
    list: bool,
    /// Explain a detector: what it finds, where that leads, how it is recognised
    #[arg(long, value_name = "DETECTOR", group = "question")]
    explain: Option<String>,
    /// Check packs of one's own against their examples
    #[arg(long, value_name = "FILE", num_args = 1.., group = "question")]
    check_pack: Vec<PathBuf>,
}

fn style(word: &str) -> Result<Style, String> {
    let words = Style::ALL.map(|(word, _)| word);
    Style::ALL
        .into_iter()
        .find_map(|(known, style)| (known == word).then_some(style))
        .ok_or_else(|| format!("one of {}", words.join(", ")))
}

pub(super) fn run(args: &MaskArgs, session: &Session) -> Result<(), Failure> {
    if !args.check_pack.is_empty() {
        return catalogue::check(&args.check_pack, session);
    }
    let packs = args.pack.iter().map(|path| packs::pack(path)).collect::<Result<Vec<Pack>, _>>();
    let packs = packs.map_err(|why| Failure::new(Exit::NotFound, why, ""))?;
    let detectors = packs::compile(&packs)
        .map_err(|error| Failure::error(error.to_string(), "`--check-pack FILE` names everything"))?;
    if args.list {
        return catalogue::list(&detectors, session);
    }
    if let Some(id) = &args.explain {
        return catalogue::explain(id, &packs, &detectors, session);
    }
    let profile = Arc::new(profile(args, &detectors)?);
    let chunk = args.chunk.and_then(|chunk| usize::try_from(chunk).ok());
    let mut engine = Engine::new(profile, chunk);
    let mut output = std::io::stdout().lock();
    match &args.jsonl {
        Some(field) => engine.lines(field, std::io::stdin().lock(), &mut std::io::BufWriter::new(output))?,
        None if args.files.is_empty() => {
            engine.body("-", args.format, std::io::stdin().lock(), &mut output)?;
        }
        None => {
            for path in &args.files {
                let name = path.display().to_string();
                let file = open(path).map_err(|error| unreadable(&name, &error))?;
                let file = progress::Watched::new(file, session);
                engine.body(&name, args.format, file, &mut output)?;
            }
            output.flush()?;
        }
    }
    if args.stats {
        session.output.say(&engine.stats());
    }
    match &args.report {
        None => Ok(()),
        Some(None) => {
            session.output.say(&engine.report.text(session.output.is_table())?);
            Ok(())
        }
        Some(Some(path)) => std::fs::write(path, engine.report.text(false)?).map_err(|error| {
            Failure::error(format!("the report {} cannot be written: {}", path.display(), error.kind()), "")
        }),
    }
}

/// A file, not a directory, which opens too.
fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(Exit::NotFound, format!("{name} does not exist"), ""),
        kind => Failure::error(format!("{name} cannot be read: {kind}"), ""),
    }
}

fn profile(args: &MaskArgs, detectors: &Arc<Detectors>) -> Result<Profile, Failure> {
    if let Some(name) = args.detect.iter().find(|name| !detectors.knows(name)) {
        return Err(unknown(name, detectors));
    }
    let names: Vec<String> = if args.detect.is_empty() {
        detectors.iter().map(|detector| detector.id().to_owned()).collect()
    } else {
        args.detect.clone()
    };
    let known = match &args.known {
        Some(path) => known_values(path)?,
        None => Vec::new(),
    };
    let fields = args.field.iter().map(|text| field(text, args.style)).collect::<Result<Vec<_>, _>>()?;
    let except = args.except.iter().map(|text| path(text)).collect::<Result<Vec<_>, _>>()?;
    let key = key(args.key_file.as_deref())?;
    Profile::builder()
        .known(known)
        .detectors(Arc::clone(detectors), &names)
        .fields(fields)
        .except(except)
        .style(args.style)
        .session_key(key)
        .deployment_key(key)
        .build()
        .map_err(|error| Failure::usage(error.to_string(), "`keyward mask --list` shows the names"))
}

/// A name that no detector has, and the nearest that one has.
fn unknown(name: &str, detectors: &Detectors) -> Failure {
    let known: Vec<&str> = detectors.iter().flat_map(|d| [d.id(), d.group()]).collect();
    let help = match suggest::nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`keyward mask --list` shows the names".to_owned(),
    };
    Failure::new(Exit::NotFound, format!("there is no detector and no group of detectors `{name}`"), help)
}

fn path(text: &str) -> Result<JsonPath, Failure> {
    JsonPath::parse(text).map_err(|error| {
        let help = "a path is written like $.user.email, $..api_key or $.items[*].ssn";
        Failure::usage(format!("`{text}`: {error}"), help)
    })
}

fn field(text: &str, default: Style) -> Result<FieldRule, Failure> {
    let (text, style) = match text.rsplit_once('=') {
        // A name in quotes may hold `=` itself.
        Some((path, word)) if !word.ends_with(']') => {
            let style = style(word).map_err(|known| {
                Failure::usage(format!("`{text}`: there is no style `{word}`"), format!("it is {known}"))
            })?;
            (path, style)
        }
        _ => (text, default),
    };
    Ok(FieldRule { field: Field::Path(path(text)?), style })
}

/// The key that placeholders are derived from.
fn key(file: Option<&Path>) -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    let Some(path) = file else {
        aws_lc_rs::rand::fill(&mut key).map_err(|_| Failure::error("there is no randomness", ""))?;
        return Ok(key);
    };
    let text = crate::config::load::read(path, KEY_BYTES_MAX)
        .map(zeroize::Zeroizing::new)
        .map_err(|why| Failure::new(Exit::NotFound, format!("the key {} {why}", path.display()), ""))?;
    if text.trim().len() < KEY_BYTES_MIN {
        let message = format!("the key has fewer than {KEY_BYTES_MIN} characters");
        return Err(Failure::error(message, "make one with `openssl rand -base64 32`"));
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.trim().as_bytes());
    key.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    Ok(key)
}

fn known_values(path: &Path) -> Result<Vec<KnownValue>, Failure> {
    let text =
        crate::config::load::read(path, KNOWN_BYTES_MAX).map(zeroize::Zeroizing::new).map_err(|why| {
            Failure::new(Exit::NotFound, format!("the file of known values {} {why}", path.display()), "")
        })?;
    let mut values = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let value = KnownValue::new(&format!("line-{number}"), line.as_bytes()).map_err(|error| {
            Failure::error(format!("{}:{number}: {error}", path.display()), "remove the line")
        })?;
        values.push(value);
    }
    Ok(values)
}
