//! `keyward approvals watch`: watches a moderated call run, which goes on while this does.
//!
//! Promise: what the call's answer says is printed as text that does nothing to a terminal. The end of this process, however
//! it comes, ends the stream, and with it the watching.

use serde_json::{Value, json};

use super::client::Client;
use super::output::Output;
use super::{safe, view};
use crate::exit::Failure;

/// The longest event that is read, in bytes.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Prints what passes until it is over.
pub(super) async fn watch(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let mut stream = client.stream(&["approvals", id, "watch"]).await?;
    let mut events = Events::default();
    loop {
        let Some(piece) = stream.piece().await.map_err(|error| client.not_asked(&error))? else {
            let help = "sign in again if that is over; the call stands still unless somebody else watches it";
            return Err(Failure::error("the gateway ended the stream, and you do not watch any more", help));
        };
        events.push(&piece)?;
        while let Some((name, data)) = events.next() {
            show(output, &name, &data)?;
            if name == "state" && view::at(&data, "/state") == "ended" {
                return Ok(());
            }
        }
    }
}

/// For people the text itself on stdout, and what is said about it on stderr; for programs each event as data.
fn show(output: Output, name: &str, data: &Value) -> Result<(), Failure> {
    if !output.is_table() {
        return output.object(&json!({"event": name, "data": data}), String::new);
    }
    let line = match name {
        "text" => {
            let text = view::part(data, "text").as_str().unwrap_or_default();
            return output.bytes(safe::text(text).as_bytes());
        }
        "bytes" => {
            let length = view::part(data, "base64").as_str().unwrap_or_default().len() / 4 * 3;
            format!("about {length} bytes that are no text")
        }
        "head" => format!("answer {} {}", view::at(data, "/status"), view::at(data, "/content_type")),
        "missed" => "you were too slow to see everything: something is missing here".to_owned(),
        "state" => {
            let end = view::at(data, "/end");
            let end = if end.is_empty() { end } else { format!(": {end}") };
            format!("{}{end} ({} watch)", view::at(data, "/state"), view::at(data, "/watchers"))
        }
        _ => return Ok(()),
    };
    output.say(&format!("-- {}\n", safe::line(&line)));
    Ok(())
}

/// Makes events of pieces.
#[derive(Default)]
struct Events {
    held: Vec<u8>,
    /// Up to here there is no end of an event.
    looked: usize,
}

impl Events {
    fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        if self.held.len() + piece.len() > EVENT_BYTES_MAX {
            return Err(Failure::error("the gateway's stream has an event that is too long", ""));
        }
        self.held.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole event: its name, and its data.
    fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let rest = self.held.get(self.looked..).unwrap_or_default();
            let Some(at) = rest.windows(2).position(|two| two == b"\n\n") else {
                self.looked = self.held.len().saturating_sub(1);
                return None;
            };
            let after = self.held.split_off(self.looked + at + 2);
            let event = std::mem::replace(&mut self.held, after);
            self.looked = 0;
            let event = String::from_utf8_lossy(&event);
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(|value| value.trim_start_matches(' '))
            };
            // Comments only say that somebody is there.
            if let (Some(name), Some(Ok(data))) = (field("event:"), field("data:").map(serde_json::from_str))
            {
                return Some((name.to_owned(), data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream = b":\n\nevent: state\ndata: {\"state\":\"running\"}\n\n:\n\nevent: text\ndata: {\"text\":\"a\\n\\nb\"}\n\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                events.push(piece).unwrap();
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            let expected = [
                ("state".to_owned(), json!({"state": "running"})),
                ("text".to_owned(), json!({"text": "a\n\nb"})),
            ];
            assert_eq!(seen, expected, "{size}");
        }
    }
}
