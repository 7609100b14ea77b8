//! `keyward mask`: the engine of the data path over stdin and stdout, for trying detectors and for measuring.
//!
//! Promise: what the data path would mask is masked here, in any chunking; when the engine fails, the command fails
//! and writes nothing more. Exceptions: none.

use std::io::{BufRead as _, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use keyward_core::Finding;
use keyward_mask::walk::{BodyFormat, BodyMasker, Dialect};
use keyward_mask::{Detectors, KnownValue, Profile};
use serde::Serialize;
use serde_json::Value;

use super::Session;
use crate::exit::{Exit, Failure};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Longest line of JSON lines.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest file of known values.
const KNOWN_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl logs pod | keyward mask
  keyward mask --format sse --chunk 1 < stream.txt
  keyward mask --jsonl text --stats < corpus.jsonl > masked.jsonl")]
pub(super) struct MaskArgs {
    /// How the input is read
    #[arg(long, value_enum, default_value_t = Reading::Auto, value_name = "FORMAT")]
    format: Reading,
    /// Feed the engine this many bytes at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunk: Option<u32>,
    /// Mask these exact values too, one a line, in every common encoding
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Use only these detectors or groups of detectors; without it, all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    detect: Vec<String>,
    /// Read JSON lines and add `masked` and `findings` for the text in this field
    #[arg(long, value_name = "FIELD", conflicts_with = "format")]
    jsonl: Option<String>,
    /// Print bytes, seconds spent masking and MB/s to stderr
    #[arg(long)]
    stats: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Reading {
    /// By the first bytes
    Auto,
    /// Plain text
    Text,
    /// One JSON document
    Json,
    /// Server-sent events
    Sse,
    /// One JSON document a line
    Ndjson,
}

/// Feeds maskers and counts.
struct Engine {
    profile: Arc<Profile>,
    chunk: usize,
    bytes: u64,
    findings: u64,
    spent: Duration,
}

pub(super) fn run(args: &MaskArgs, session: &Session) -> Result<(), Failure> {
    let mut engine = Engine {
        profile: Arc::new(profile(args)?),
        chunk: args.chunk.and_then(|chunk| usize::try_from(chunk).ok()).unwrap_or(READ_BYTES),
        bytes: 0,
        findings: 0,
        spent: Duration::ZERO,
    };
    let (input, mut output) = (std::io::stdin().lock(), std::io::BufWriter::new(std::io::stdout().lock()));
    match &args.jsonl {
        Some(field) => engine.lines(field, input, &mut output)?,
        None => engine.body(args.format, input, &mut output)?,
    }
    output.flush()?;
    if args.stats {
        session.output.say(&engine.stats());
    }
    Ok(())
}

fn profile(args: &MaskArgs) -> Result<Profile, Failure> {
    let detectors = Detectors::builtin();
    let names: Vec<String> = if args.detect.is_empty() {
        detectors.iter().map(|detector| detector.id().to_owned()).collect()
    } else {
        args.detect.clone()
    };
    let known = match &args.known {
        Some(path) => known_values(path)?,
        None => Vec::new(),
    };
    Profile::builder()
        .known(known)
        .detectors(detectors, &names)
        .build()
        .map_err(|error| Failure::usage(error.to_string(), "see `detectors/` for the names"))
}

fn known_values(path: &std::path::Path) -> Result<Vec<KnownValue>, Failure> {
    let text = crate::config::load::read(path, KNOWN_BYTES_MAX)
        .map(zeroize::Zeroizing::new)
        .map_err(|why| Failure::new(Exit::NotFound, format!("the file of known values {why}"), ""))?;
    let mut values = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let value = KnownValue::new(&format!("line-{number}"), line.as_bytes()).map_err(|error| {
            Failure::error(format!("{}:{number}: {error}", path.display()), "remove the line")
        })?;
        values.push(value);
    }
    Ok(values)
}

impl Engine {
    /// One body from `input` to `output`.
    fn body(
        &mut self,
        reading: Reading,
        mut input: impl Read,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; READ_BYTES];
        let mut length = fill(&mut input, &mut buffer)?;
        let format = format(reading, buffer.get(..length).unwrap_or_default());
        let mut walker = BodyMasker::new(Arc::clone(&self.profile), format);
        let mut masked = Vec::new();
        while length > 0 {
            self.push(&mut walker, buffer.get(..length).unwrap_or_default(), &mut masked)?;
            output.write_all(&masked)?;
            masked.clear();
            length = input.read(&mut buffer)?;
        }
        self.finish(&mut walker, &mut masked)?;
        output.write_all(&masked)?;
        Ok(())
    }

    /// JSON lines: each object comes back with `masked` and `findings`.
    fn lines(
        &mut self,
        field: &str,
        mut input: impl std::io::BufRead,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                break;
            }
            let bad = |what: &str| {
                Failure::error(format!("line {number} {what}"), "--jsonl reads one JSON object a line")
            };
            if u64::try_from(line.len()).is_ok_and(|bytes| bytes > LINE_BYTES_MAX) {
                return Err(bad("is too long"));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let Ok(Value::Object(mut object)) = serde_json::from_slice(&line) else {
                return Err(bad("is not a JSON object"));
            };
            let text = object.get(field).and_then(Value::as_str);
            let text = text.ok_or_else(|| bad(&format!("has no text in `{field}`")))?;
            let (masked, findings) = self.text(text.as_bytes())?;
            let masked = String::from_utf8(masked).map_err(|_| bad("did not stay UTF-8"))?;
            object.insert("masked".to_owned(), masked.into());
            object.insert("findings".to_owned(), serde_json::to_value(findings).unwrap_or_default());
            serde_json::to_writer(&mut *output, &object).map_err(std::io::Error::from)?;
            output.write_all(b"\n")?;
        }
        Ok(())
    }

    /// One text as a whole.
    fn text(&mut self, text: &[u8]) -> Result<(Vec<u8>, Vec<Found>), Failure> {
        let mut walker = BodyMasker::new(Arc::clone(&self.profile), BodyFormat::Text);
        let mut masked = Vec::with_capacity(text.len());
        let mut found = self.push(&mut walker, text, &mut masked)?;
        found.extend(self.finish(&mut walker, &mut masked)?);
        let found =
            found.into_iter().map(|f| Found { detector: f.detector, start: f.start, end: f.end }).collect();
        Ok((masked, found))
    }

    fn push(
        &mut self,
        walker: &mut BodyMasker,
        input: &[u8],
        masked: &mut Vec<u8>,
    ) -> Result<Vec<Finding>, Failure> {
        let start = Instant::now();
        let mut findings = Vec::new();
        for piece in input.chunks(self.chunk) {
            walker.push(piece, masked).map_err(failed)?;
            findings.append(&mut walker.take_findings());
        }
        self.spent += start.elapsed();
        self.bytes += u64::try_from(input.len()).unwrap_or(u64::MAX);
        self.findings += u64::try_from(findings.len()).unwrap_or(u64::MAX);
        Ok(findings)
    }

    fn finish(&mut self, walker: &mut BodyMasker, masked: &mut Vec<u8>) -> Result<Vec<Finding>, Failure> {
        let start = Instant::now();
        walker.finish(masked).map_err(failed)?;
        self.spent += start.elapsed();
        let findings = walker.take_findings();
        self.findings += u64::try_from(findings.len()).unwrap_or(u64::MAX);
        Ok(findings)
    }

    fn stats(&self) -> String {
        let seconds = self.spent.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
        let speed = if seconds > 0.0 { self.bytes as f64 / 1e6 / seconds } else { 0.0 };
        format!("{} bytes, {seconds:.6} seconds, {speed:.1} MB/s, {} findings\n", self.bytes, self.findings)
    }
}

#[derive(Serialize)]
struct Found {
    detector: Arc<str>,
    start: u64,
    end: u64,
}

fn failed(error: keyward_mask::walk::MaskError) -> Failure {
    Failure::error(format!("the input cannot be masked: {error}"), "nothing more was written")
}

/// Reads until the buffer is full or the input has ended.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

fn format(reading: Reading, head: &[u8]) -> BodyFormat {
    match reading {
        Reading::Text => BodyFormat::Text,
        Reading::Json => BodyFormat::Json,
        Reading::Ndjson => BodyFormat::Ndjson,
        Reading::Sse => BodyFormat::EventStream(Dialect::Generic),
        Reading::Auto => guess(head),
    }
}

/// What the first bytes look like.
fn guess(head: &[u8]) -> BodyFormat {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default().trim_ascii();
    let is_event =
        [&b"data:"[..], b"event:", b"id:", b"retry:", b": "].iter().any(|field| first.starts_with(field));
    if is_event {
        return BodyFormat::EventStream(Dialect::Generic);
    }
    if !first.starts_with(b"{") && !first.starts_with(b"[") {
        return BodyFormat::Text;
    }
    let whole = serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok();
    let more = lines.any(|line| !line.trim_ascii().is_empty());
    if whole && more { BodyFormat::Ndjson } else { BodyFormat::Json }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(chunk: usize) -> Engine {
        let known = KnownValue::new("mine", b"a-known-Value-0815").unwrap();
        let detectors = Detectors::builtin();
        let names: Vec<String> = detectors.iter().map(|detector| detector.id().to_owned()).collect();
        let profile = Profile::builder().known([known]).detectors(detectors, &names).build().unwrap();
        Engine { profile: Arc::new(profile), chunk, bytes: 0, findings: 0, spent: Duration::ZERO }
    }

    #[test]
    fn a_body_is_masked_in_any_chunking() {
        let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"it is a-known-\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Value-0815.\"}}]}\n\n";
        let mask = |chunk| {
            let mut output = Vec::new();
            engine(chunk).body(Reading::Auto, text.as_bytes(), &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        let whole = mask(READ_BYTES);
        assert!(!whole.contains("Value-0815") && whole.contains("REDACTED"), "{whole}");
        for chunk in [1, 2, 7] {
            assert_eq!(mask(chunk), whole);
        }
    }

    #[test]
    fn json_lines_get_the_masked_text_and_the_places() {
        let line = "{\"id\": 7, \"text\": \"ü a-known-Value-0815!\"}\n\n{\"text\": \"nothing\"}";
        let mut output = Vec::new();
        let mut engine = engine(3);
        engine.lines("text", line.as_bytes(), &mut output).unwrap();
        let rows: Vec<Value> = std::str::from_utf8(&output)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((&rows[0]["id"], &rows[1]["masked"]), (&7.into(), &"nothing".into()));
        assert_eq!(
            rows[0]["findings"][0],
            serde_json::json!({"detector": "known:mine", "start": 3, "end": 21})
        );
        assert!(!rows[0]["masked"].as_str().unwrap().contains("0815"));
        assert_eq!(engine.findings, 1);
        for bad in ["[]", "{\"text\": 1}", "x"] {
            assert!(engine.lines("text", bad.as_bytes(), &mut Vec::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn formats_are_guessed() {
        for (head, format) in [
            ("{\"a\": 1}\n", BodyFormat::Json),
            ("{\n \"a\": 1}", BodyFormat::Json),
            ("{\"a\":1}\n{\"a\":2}\n", BodyFormat::Ndjson),
            ("event: x\ndata: 1\n\n", BodyFormat::EventStream(Dialect::Generic)),
            ("hello", BodyFormat::Text),
            ("", BodyFormat::Text),
        ] {
            assert_eq!(guess(head.as_bytes()), format, "{head}");
        }
    }
}
