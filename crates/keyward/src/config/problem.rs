//! What is wrong with a configuration: every problem with its place and remedy, shown as a compiler would.
//!
//! Promise: a value that may be a secret is never repeated. A [`Problem`] made with [`Problem::concealed`] shows its
//! line only up to the key. Exceptions: none.

use std::fmt::Write as _;

use super::tree::At;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1; 0 when the problem has no place.
    pub line: u64,
    /// Column, from 1; 0 when the problem has no place.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when the message says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// The excerpt: the line as it may be shown, and how many characters to underline.
    #[serde(skip)]
    excerpt: Option<(String, u64)>,
}

impl Problem {
    /// A problem at a place in `source`, the text of `file`.
    pub fn at(file: &str, source: &str, at: At, message: impl Into<String>, help: impl Into<String>) -> Self {
        let excerpt = line_of(source, at).map(|line| (line.to_owned(), at.width));
        Self {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            message: message.into(),
            help: help.into(),
            excerpt,
        }
    }

    /// The same, for a place whose value may be a secret: the line is shown up to its first value only.
    pub fn concealed(
        file: &str,
        source: &str,
        at: At,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let mut problem = Self::at(file, source, at, message, help);
        problem.excerpt = problem.excerpt.map(|(line, width)| (conceal(&line), width));
        problem
    }

    /// A problem that concerns a whole file.
    pub fn whole(file: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            help: help.into(),
            excerpt: None,
        }
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Report<'a> {
    file: &'a str,
    source: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// An empty report on `file`, whose text is `source`.
    pub const fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, problems: Vec::new() }
    }

    /// Notes a problem.
    pub fn at(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::at(self.file, self.source, at, message, help));
    }

    /// Notes a problem whose line may hold a secret.
    pub fn concealed(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::concealed(self.file, self.source, at, message, help));
    }

    /// Notes a problem of another file.
    pub fn other(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether anything was noted.
    pub const fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Everything noted, in the order of the file.
    pub fn finish(mut self) -> Vec<Problem> {
        // Problems of this file first, then those of the files that it names.
        let file = self.file;
        self.problems.sort_by(|a, b| {
            (a.file != file, &a.file, a.line, a.column).cmp(&(b.file != file, &b.file, b.line, b.column))
        });
        self.problems
    }
}

fn line_of(source: &str, at: At) -> Option<&str> {
    let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
    source.lines().nth(index)
}

/// The line up to and with its key, when it begins with one; nothing of the rest.
fn conceal(line: &str) -> String {
    let key = line.split_once(':').map_or("", |(key, _)| key);
    let name = key.trim_start().trim_start_matches("- ");
    let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain && !name.is_empty() { format!("{key}: …") } else { "…".to_owned() }
}

/// All problems as text for people, in the order of their places.
pub fn render(problems: &[Problem], color: Color) -> String {
    let (red, blue, bold, plain) = match color {
        Color::On => ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"),
        Color::Off => ("", "", "", ""),
    };
    let mut out = String::new();
    for problem in problems {
        render_one(&mut out, problem, (red, blue, bold, plain));
        out.push('\n');
    }
    out
}

/// Whether to write escape sequences for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// A terminal that may be coloured.
    On,
    /// Everything else.
    Off,
}

fn render_one(out: &mut String, problem: &Problem, (red, blue, bold, plain): (&str, &str, &str, &str)) {
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        _ = out.write_fmt(text);
        out.push('\n');
    };
    line(format_args!("{red}error{plain}{bold}: {}{plain}", printable(&problem.message)));
    if problem.line == 0 {
        line(format_args!(" {blue}-->{plain} {}", printable(&problem.file)));
    } else {
        let number = problem.line.to_string();
        let pad = " ".repeat(number.len());
        line(format_args!(
            "{pad}{blue}-->{plain} {}:{}:{}",
            printable(&problem.file),
            problem.line,
            problem.column
        ));
        if let Some((text, width)) = &problem.excerpt {
            let text: String = printable(text).chars().take(160).collect();
            let shown = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            let start = problem.column.saturating_sub(1).min(shown);
            let width = (*width).min(shown.saturating_sub(start)).max(1);
            let spaces = " ".repeat(usize::try_from(start).unwrap_or(0));
            let marks = "^".repeat(usize::try_from(width).unwrap_or(1));
            line(format_args!("{pad} {blue}|{plain}"));
            line(format_args!("{blue}{number} |{plain} {text}"));
            line(format_args!("{pad} {blue}|{plain} {spaces}{red}{marks}{plain}"));
        }
    }
    if !problem.help.is_empty() {
        line(format_args!("  {blue}={plain} {bold}help{plain}: {}", printable(&problem.help)));
    }
}

/// Control characters would let a file write to the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_a_compiler_would() {
        let source = "a: 1\nconections: []\n";
        let at = At { line: 2, column: 1, width: 10 };
        let problem = Problem::at(
            "keyward.yaml",
            source,
            at,
            "unknown field `conections`",
            "did you mean `connections`?",
        );
        let want = "error: unknown field `conections`\n --> keyward.yaml:2:1\n  |\n2 | conections: []\n  | ^^^^^^^^^^\n  = help: did you mean `connections`?\n\n";
        assert_eq!(render(&[problem], Color::Off), want);
    }

    #[test]
    fn a_concealed_line_ends_at_its_key() {
        let source = "  secret: hunter2-hunter2\n- hunter2\nhunter2\n";
        for line in 1..=3 {
            let at = At { line, column: 3, width: 99 };
            let shown = render(&[Problem::concealed("k", source, at, "inline", "")], Color::Off);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_file_cannot_write_to_the_terminal() {
        let problem = Problem::whole("k\x1b[2J", "bad \x07", "");
        assert!(!render(&[problem], Color::Off).contains(['\x1b', '\x07']));
    }
}
