//! What a command writes: data to stdout as table, JSON, JSON lines or YAML; talk to stderr.

use std::io::Write as _;

use comfy_table::Table;
use serde::Serialize;

use crate::config::Color;
use crate::exit::Failure;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// YAML
    Yaml,
}

/// Writes data and talk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    format: Format,
    color: Color,
}

impl Output {
    pub(super) const fn new(format: Format, color: Color) -> Self {
        Self { format, color }
    }

    /// Whether talk may be coloured.
    pub(super) const fn color(self) -> Color {
        self.color
    }

    /// Whether people read the data.
    pub(super) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// Whether a program reads one object a line.
    pub(super) fn is_json_lines(self) -> bool {
        self.format == Format::Jsonl
    }

    /// A list: as a table with these headings, or as data.
    pub(super) fn rows<T: Serialize>(
        self,
        rows: &[T],
        headings: &[&str],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                let mut table = Table::new();
                table.load_style(comfy_table::presets::NOTHING).set_header(headings.iter().copied());
                for row in rows {
                    table.add_row(cells(row).iter().map(|cell| printable(cell)));
                }
                let mut text = String::new();
                for line in table.lines() {
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
                self.bytes(text.as_bytes())
            }
            Format::Jsonl => {
                let mut lines = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut lines, row).map_err(unwritable)?;
                    lines.push(b'\n');
                }
                self.bytes(&lines)
            }
            Format::Json | Format::Yaml => self.object(&rows, String::new),
        }
    }

    /// One thing: as text for people, or as data.
    pub(super) fn object<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => text(),
            Format::Json => serde_json::to_string_pretty(value).map_err(unwritable)? + "\n",
            Format::Jsonl => serde_json::to_string(value).map_err(unwritable)? + "\n",
            Format::Yaml => serde_saphyr::to_string(value)
                .map_err(|_| Failure::error("the answer cannot be written as YAML", "use -o json"))?,
        };
        self.bytes(text.as_bytes())
    }

    /// Bytes as they are.
    #[expect(clippy::unused_self, reason = "all that is written to stdout goes through one type")]
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Talk.
    #[expect(clippy::unused_self, reason = "all that is written to stderr goes through one type")]
    pub(super) fn say(self, text: &str) {
        // There is nowhere left to say that stderr is closed.
        _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Why the command failed.
    pub(super) fn failure(self, failure: &Failure) {
        let (red, bold, plain) = match self.color {
            Color::On => ("\x1b[1;31m", "\x1b[1m", "\x1b[0m"),
            Color::Off => ("", "", ""),
        };
        let mut text = format!("{red}error{plain}: {}\n", printable(&failure.message));
        if !failure.help.is_empty() {
            text = format!("{text}  = {bold}help{plain}: {}\n", printable(&failure.help));
        }
        self.say(&text);
    }
}

fn unwritable(_: serde_json::Error) -> Failure {
    Failure::error("the answer cannot be written as JSON", "")
}

/// Control characters in data would write to the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
