//! Replays a recording on the terminal, in the rhythm in which it came.
//!
//! Promise: on a terminal, no byte of a recording acts on it (see [`safe`]). Memory is bounded: content comes in parts,
//! and a line of an event stream that is longer than [`LINE_BYTES_MAX`] is printed as it is.

use std::io::IsTerminal as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::Client;
use super::safe::{self, Pieces};
use super::{Session, view};
use crate::exit::Failure;

/// The longest line of an event stream that is understood, in bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The longest silence that is replayed.
const SILENCE_MAX: Duration = Duration::from_hours(1);

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// How many times as fast; 0 means without waiting.
    pub(super) speed: f64,
    /// The recorded bytes instead of the text in them.
    pub(super) raw: bool,
}

/// Plays one exchange of a session, or all of them.
pub(super) async fn play(
    client: &Client,
    session: &Session,
    id: &str,
    request: Option<String>,
    manner: Manner,
) -> Result<(), Failure> {
    if let Some(request) = request {
        return play_one(client, session, id, &request, manner).await;
    }
    let mut after = None;
    loop {
        let page = client.get(&["sessions", id], &[("after", after)]).await?;
        for exchange in view::list(&page, "/requests") {
            let request = view::part(exchange, "id").as_str().unwrap_or_default();
            play_one(client, session, id, request, manner).await?;
        }
        match view::part(&page, "next").as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

async fn play_one(
    client: &Client,
    session: &Session,
    id: &str,
    request: &str,
    manner: Manner,
) -> Result<(), Failure> {
    let output = session.output;
    let mut from = 0;
    let mut sheet = None;
    let mut played_us = 0;
    loop {
        let query = [("from", Some(from.to_string()))];
        let content = client.get(&["sessions", id, "exchanges", request], &query).await?;
        if output.is_table() {
            let sheet = sheet.get_or_insert_with(|| {
                output.say(&heading(&content));
                Sheet::new(&content, manner)
            });
            for piece in view::list(&content, "/response") {
                let offset_us = view::part(piece, "offset_us").as_u64().unwrap_or(played_us);
                tokio::time::sleep(silence(offset_us.saturating_sub(played_us), manner.speed)).await;
                played_us = played_us.max(offset_us);
                output.bytes(&sheet.print(&bytes_of(piece)))?;
            }
        } else {
            output.object(&content, String::new)?;
        }
        if let Some(next) = view::part(&content, "next").as_u64().filter(|next| *next > from) {
            from = next;
            continue;
        }
        if let Some(mut sheet) = sheet {
            output.bytes(&sheet.end())?;
            output.say(&format!("\n-- {}\n", end(&content)));
        }
        return Ok(());
    }
}

/// How long to wait for what came so much later.
fn silence(us: u64, speed: f64) -> Duration {
    let recorded = Duration::from_micros(us).as_secs_f64();
    if speed > 0.0 {
        Duration::try_from_secs_f64(recorded / speed).unwrap_or(SILENCE_MAX).min(SILENCE_MAX)
    } else {
        Duration::ZERO
    }
}

fn heading(content: &Value) -> String {
    let operation = view::part(content, "operation");
    format!(
        "-- {} {} {} {} status {}\n",
        view::at(content, "/at"),
        view::at(operation, "/class"),
        view::at(operation, "/method"),
        view::at(operation, "/path"),
        view::at(content, "/head/status"),
    )
}

fn end(content: &Value) -> String {
    let end = view::at(content, "/end");
    if end.is_empty() { "still running".to_owned() } else { end }
}

fn bytes_of(piece: &Value) -> Vec<u8> {
    match (view::part(piece, "text").as_str(), view::part(piece, "base64").as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

/// Turns recorded bytes into what is printed.
enum Sheet {
    /// As they are: not to a terminal.
    Exact,
    /// As text that is safe for a terminal.
    Text(Pieces),
    /// The texts within an event stream.
    Events(Events),
}

impl Sheet {
    fn new(content: &Value, manner: Manner) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let is_type = |header: &&Value| {
            view::part(header, "name").as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type"))
        };
        let content_type = view::list(content, "/head/headers").iter().find(is_type);
        let events =
            content_type.is_some_and(|header| view::at(header, "/value").starts_with("text/event-stream"));
        match (manner.raw, terminal, events) {
            (true, false, _) => Self::Exact,
            (false, _, true) => Self::Events(Events::default()),
            _ => Self::Text(Pieces::default()),
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Exact => bytes.to_vec(),
            Self::Text(pieces) => pieces.next(bytes).into_bytes(),
            Self::Events(events) => events.next(bytes).into_bytes(),
        }
    }

    fn end(&mut self) -> Vec<u8> {
        match self {
            Self::Exact => Vec::new(),
            Self::Text(pieces) => pieces.end().into_bytes(),
            Self::Events(events) => events.end().into_bytes(),
        }
    }
}

/// The texts within an event stream of a model.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
}

impl Events {
    fn next(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                out.push_str(&said(&String::from_utf8_lossy(&line)));
            } else if self.line.len() > LINE_BYTES_MAX {
                let line = std::mem::take(&mut self.line);
                out.push_str(&safe::text(&String::from_utf8_lossy(&line)));
            }
        }
        out
    }

    fn end(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        said(&String::from_utf8_lossy(&line))
    }
}

/// What one line of an event stream says, in the dialects of OpenAI and Anthropic; nothing for other lines.
fn said(line: &str) -> String {
    const TEXTS: [&str; 8] = [
        "/delta",
        "/delta/text",
        "/delta/thinking",
        "/delta/partial_json",
        "/delta/content",
        "/delta/reasoning_content",
        "/delta/refusal",
        "/text",
    ];
    let Some(data) = line.strip_prefix("data:") else { return String::new() };
    let Ok(event) = serde_json::from_str::<Value>(data) else { return String::new() };
    let mut out = String::new();
    let mut say = |value: &Value, pointers: &[&str]| {
        for text in pointers.iter().filter_map(|pointer| value.pointer(pointer)?.as_str()) {
            out.push_str(&safe::text(text));
        }
    };
    // A responses stream repeats whole texts in its `done` events; only what is new is said.
    if event.get("delta").is_some() {
        say(&event, &TEXTS);
    }
    for choice in view::list(&event, "/choices") {
        say(choice, &TEXTS);
        for call in view::list(choice, "/delta/tool_calls") {
            say(call, &["/function/name", "/function/arguments"]);
        }
    }
    if let Some(message) = event.pointer("/error/message").and_then(Value::as_str) {
        out.push_str("[error: ");
        out.push_str(&safe::text(message));
        out.push(']');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_said_is_found_in_any_chunking() {
        let stream = concat!(
            "event: x\ndata: {\"choices\":[{\"delta\":{\"content\":\"He\"}}]}\n\n",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"l\\u001b[2J\"}}\r\n\r\n",
            ": comment\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"lo\"}\n\n",
            "data: {\"type\":\"response.output_text.done\",\"text\":\"Hello\"}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n",
            "data: [DONE]\n\ndata: {\"error\":{\"message\":\"cut\"}}",
        );
        let expected = "Hel\\u{1b}[2Jlo{}[error: cut]";
        for size in [1, 2, 7, 1_000] {
            let mut events = Events::default();
            let mut out: String = stream.as_bytes().chunks(size).map(|chunk| events.next(chunk)).collect();
            out.push_str(&events.end());
            assert_eq!(out, expected, "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut events = Events::default();
        let piece = vec![b'x'; 64 * 1024];
        let mut printed = 0;
        for _ in 0..64 {
            printed += events.next(&piece).len();
            assert!(events.line.len() <= LINE_BYTES_MAX + piece.len());
        }
        printed += events.end().len();
        assert!(printed >= LINE_BYTES_MAX, "{printed}");
    }

    #[test]
    fn the_rhythm_is_kept() {
        assert_eq!(silence(1_500_000, 1.0), Duration::from_millis(1_500));
        assert_eq!(silence(1_000_000, 4.0), Duration::from_millis(250));
        assert_eq!(silence(1_000_000, 0.0), Duration::ZERO);
        assert_eq!(silence(u64::MAX, f64::MIN_POSITIVE), SILENCE_MAX);
    }
}
