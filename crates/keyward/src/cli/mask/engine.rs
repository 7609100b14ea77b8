//! Feeds maskers and counts.

use std::io::{BufRead as _, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::Finding;
use keyward_mask::Profile;
use keyward_mask::walk::{BodyFormat, BodyMasker, Dialect};
use serde::Serialize;
use serde_json::Value;

use super::report::Report;
use crate::exit::Failure;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Longest line of JSON lines.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How the input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// By the first bytes.
    Auto,
    /// As this.
    As(BodyFormat),
}

/// The short names of formats, and the media types they stand for.
const FORMATS: [(&str, &str); 11] = [
    ("text", "text/plain"),
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("sse", "text/event-stream"),
    ("eventstream", "application/vnd.amazon.eventstream"),
    ("form", "application/x-www-form-urlencoded"),
    ("xml", "application/xml"),
    ("html", "text/html"),
    ("yaml", "application/yaml"),
    ("toml", "application/toml"),
    ("protobuf", "application/x-protobuf"),
];

/// Understands a format's short name, or any media type as a `Content-Type` names it.
pub(super) fn reading(word: &str) -> Result<Reading, String> {
    if word == "auto" {
        return Ok(Reading::Auto);
    }
    if word == "multipart" {
        return Err("the boundary is needed too, as in 'multipart/form-data; boundary=XYZ'".to_owned());
    }
    let short = FORMATS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
    if let Some(kind) = short.or_else(|| word.contains('/').then_some(word)) {
        return match BodyFormat::of(Some(kind), Dialect::Generic) {
            BodyFormat::Unreadable if kind.starts_with("multipart/") => {
                Err("a body of parts is read by exactly one boundary, and no pieces of a body are".to_owned())
            }
            BodyFormat::Unreadable => Err("this charset is not read".to_owned()),
            format => Ok(Reading::As(format)),
        };
    }
    Err(format!(
        "auto, {}, or a media type such as application/json",
        FORMATS.map(|(name, _)| name).join(", ")
    ))
}

/// Feeds maskers and counts.
pub(super) struct Engine {
    profile: Arc<Profile>,
    chunk: usize,
    spent: Duration,
    pub(super) report: Report,
}

impl Engine {
    /// `chunk`: feed so many bytes at a time.
    pub(super) fn new(profile: Arc<Profile>, chunk: Option<usize>) -> Self {
        let report = Report::default();
        Self { profile, chunk: chunk.unwrap_or(READ_BYTES), spent: Duration::ZERO, report }
    }

    /// One body from `input` to `output`; what is decided is written whenever the input has nothing more at once.
    pub(super) fn body(
        &mut self,
        name: &str,
        reading: Reading,
        mut input: impl Read,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        self.report.begin(name);
        let mut buffer = vec![0; READ_BYTES];
        let (mut length, format) = match reading {
            Reading::As(format) => (read(&mut input, &mut buffer)?, format),
            Reading::Auto => begin(&mut input, &mut buffer)?,
        };
        let mut walker = BodyMasker::new(Arc::clone(&self.profile), format);
        let mut masked = Vec::new();
        while length > 0 {
            self.push(&mut walker, buffer.get(..length).unwrap_or_default(), &mut masked)?;
            output.write_all(&masked)?;
            output.flush()?;
            masked.clear();
            length = read(&mut input, &mut buffer)?;
        }
        self.finish(&mut walker, &mut masked)?;
        output.write_all(&masked)?;
        output.flush()?;
        Ok(())
    }

    /// JSON lines: each object comes back with `masked` and `findings`.
    pub(super) fn lines(
        &mut self,
        field: &str,
        mut input: impl std::io::BufRead,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        self.report.begin("-");
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
        output.flush()?;
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
        self.report.add(u64::try_from(input.len()).unwrap_or(u64::MAX), &findings);
        Ok(findings)
    }

    fn finish(&mut self, walker: &mut BodyMasker, masked: &mut Vec<u8>) -> Result<Vec<Finding>, Failure> {
        let start = Instant::now();
        walker.finish(masked).map_err(failed)?;
        self.spent += start.elapsed();
        let findings = walker.take_findings();
        self.report.add(0, &findings);
        Ok(findings)
    }

    pub(super) fn stats(&self) -> String {
        let (bytes, findings) = (self.report.bytes(), self.report.findings());
        let seconds = self.spent.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
        let speed = if seconds > 0.0 { bytes as f64 / 1e6 / seconds } else { 0.0 };
        format!("{bytes} bytes, {seconds:.6} seconds, {speed:.1} MB/s, {findings} findings\n")
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

/// What there is at once; nothing at the end.
fn read(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Reads until the format shows, the buffer is full or the input has ended.
fn begin(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<(usize, BodyFormat)> {
    let mut length = 0;
    loop {
        let rest = buffer.get_mut(length..).unwrap_or_default();
        let more = if rest.is_empty() { 0 } else { read(input, rest)? };
        length += more;
        let head = buffer.get(..length).unwrap_or_default();
        if let Some(format) = guess(head, more == 0) {
            return Ok((length, format));
        }
    }
}

/// What the first bytes look like; none while they may yet become something else.
fn guess(head: &[u8], ended: bool) -> Option<BodyFormat> {
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b": "];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let end = head.iter().position(|byte| *byte == b'\n');
    let first = head.get(..end.unwrap_or(head.len())).unwrap_or_default().trim_ascii();
    if FIELDS.iter().any(|field| first.starts_with(field)) {
        return Some(BodyFormat::EventStream(Dialect::Generic));
    }
    let open = end.is_none() && !ended;
    if !first.starts_with(b"{") && !first.starts_with(b"[") {
        let may_become = open && FIELDS.iter().any(|field| field.starts_with(first));
        return (!may_become).then_some(BodyFormat::Text);
    }
    if open {
        return None;
    }
    // A document that ends with its line: more of them may follow, now or much later.
    let whole = end.is_some() && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok();
    Some(if whole { BodyFormat::Ndjson } else { BodyFormat::Json })
}

#[cfg(test)]
mod tests {
    use keyward_mask::{Detectors, KnownValue};

    use super::*;

    fn engine(chunk: usize) -> Engine {
        let known = KnownValue::new("mine", b"a-known-Value-0815").unwrap();
        let builder = Profile::builder().known([known]).detectors(Detectors::builtin(), &["credentials"]);
        Engine::new(Arc::new(builder.build().unwrap()), Some(chunk))
    }

    #[test]
    fn a_body_is_masked_in_any_chunking() {
        let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"it is a-known-\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Value-0815.\"}}]}\n\n";
        let mask = |chunk| {
            let mut output = Vec::new();
            engine(chunk).body("-", Reading::Auto, text.as_bytes(), &mut output).unwrap();
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
        let report: Value = serde_json::from_str(&engine.report.text(false).unwrap()).unwrap();
        assert_eq!((&report["findings"], &report["detectors"][0]["count"]), (&1.into(), &1.into()));
        assert_eq!(
            report["detectors"][0]["places"][0],
            serde_json::json!({"file": "-", "start": 3, "end": 21})
        );
        for bad in ["[]", "{\"text\": 1}", "x"] {
            assert!(engine.lines("text", bad.as_bytes(), &mut Vec::new()).is_err(), "{bad}");
        }
    }

    /// Gives one piece at each read, and says when it is asked for more.
    struct Paused<'a> {
        pieces: Vec<&'a [u8]>,
        written: std::rc::Rc<std::cell::RefCell<Vec<u8>>>,
        seen: Vec<Vec<u8>>,
    }

    impl Read for &mut Paused<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.seen.push(self.written.borrow().clone());
            if self.pieces.is_empty() {
                return Ok(0);
            }
            let piece = self.pieces.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_before_the_next_one_comes() {
        for lines in [
            ["one line\n", "two lines\n"],
            ["{\"a\":1}\n", "{\"a\":2}\n"],
            ["data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n"],
        ] {
            let written = std::rc::Rc::default();
            let pieces = lines.iter().map(|line| line.as_bytes()).collect();
            let mut input = Paused { pieces, written: std::rc::Rc::clone(&written), seen: Vec::new() };
            engine(READ_BYTES).body("-", Reading::Auto, &mut input, &mut Shared(written)).unwrap();
            let seen: Vec<_> = input.seen.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
            assert_eq!(seen, [String::new(), lines[0].to_owned(), lines.concat()]);
        }
    }

    #[test]
    fn formats_are_guessed_as_soon_as_they_show() {
        let events = Some(BodyFormat::EventStream(Dialect::Generic));
        for (head, early, late) in [
            ("{\"a\": 1}\n", Some(BodyFormat::Ndjson), Some(BodyFormat::Ndjson)),
            ("{\"a\": 1}", None, Some(BodyFormat::Json)),
            ("{\n \"a\": 1}", Some(BodyFormat::Json), Some(BodyFormat::Json)),
            ("{\"a\":1}\n{\"a\":2}\n", Some(BodyFormat::Ndjson), Some(BodyFormat::Ndjson)),
            ("event: x\ndata: 1\n\n", events, events),
            ("dat", None, Some(BodyFormat::Text)),
            ("dat\n", Some(BodyFormat::Text), Some(BodyFormat::Text)),
            ("hello", Some(BodyFormat::Text), Some(BodyFormat::Text)),
            ("", None, Some(BodyFormat::Text)),
        ] {
            assert_eq!(
                (guess(head.as_bytes(), false), guess(head.as_bytes(), true)),
                (early, late),
                "{head}"
            );
        }
    }

    #[test]
    fn a_format_is_a_name_or_a_media_type() {
        assert_eq!(reading("auto"), Ok(Reading::Auto));
        assert_eq!(reading("sse"), Ok(Reading::As(BodyFormat::EventStream(Dialect::Generic))));
        assert_eq!(reading("application/problem+json"), Ok(Reading::As(BodyFormat::Json)));
        for (name, kind) in FORMATS {
            assert_eq!(reading(name), reading(kind));
            assert!(kind == "text/plain" || reading(name) != reading("text/plain"), "{name} is read as text");
        }
        assert!(matches!(reading("multipart/mixed; boundary=b"), Ok(Reading::As(BodyFormat::Multipart(_)))));
        for (word, says) in [
            (
                "jsno",
                "auto, text, json, ndjson, sse, eventstream, form, xml, html, yaml, toml, protobuf, or a media type",
            ),
            ("multipart", "boundary=XYZ"),
            ("multipart/mixed", "exactly one boundary"),
            ("text/plain; charset=utf-7", "charset"),
        ] {
            let error = reading(word).unwrap_err();
            assert!(error.contains(says), "{word}: {error}");
        }
    }
}
