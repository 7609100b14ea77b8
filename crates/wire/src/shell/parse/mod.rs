//! Words, operators and commands; [`expand`] reads what stands in quotes and behind `$`.

mod expand;

use std::collections::HashMap;

use super::{Command, DEPTH_MAX, SCRIPT_BYTES_MAX, ShellError, output};

/// Words that may stand before a command's name without being one.
const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "esac", "{", "}", "!", "time",
    "function", "coproc",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Text,
    Paren,
}

/// What the next word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Next {
    #[default]
    Word,
    File,
    HereString,
    HereDocument {
        tabs: bool,
    },
}

struct HereDocument {
    delimiter: String,
    tabs: bool,
    expands: bool,
    /// The command in the list that reads it, where it is in this one.
    command: usize,
}

/// The commands of a list while they are put together.
#[derive(Default)]
struct Line {
    list: Vec<Command>,
    command: Command,
    word: Option<String>,
    quoted: bool,
    next: Next,
}

pub(super) struct Parser<'t, 'b> {
    text: &'t str,
    at: usize,
    depth: usize,
    budget: &'b mut usize,
    variables: HashMap<String, String>,
    waiting: Vec<HereDocument>,
    /// Commands of what was inside of words.
    pub(super) inner: Vec<Command>,
}

impl<'t, 'b> Parser<'t, 'b> {
    pub(super) fn new(text: &'t str, depth: usize, budget: &'b mut usize) -> Result<Self, ShellError> {
        if text.len() > SCRIPT_BYTES_MAX || depth > DEPTH_MAX {
            return Err(ShellError::TooMuch);
        }
        let (variables, waiting, inner) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Self { text, at: 0, depth, budget, variables, waiting, inner })
    }

    /// The commands of the whole text.
    pub(super) fn whole(&mut self) -> Result<Vec<Command>, ShellError> {
        self.list(End::Text)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ShellError> {
        *self.budget = self.budget.checked_sub(bytes).ok_or(ShellError::TooMuch)?;
        Ok(())
    }

    fn list(&mut self, end: End) -> Result<Vec<Command>, ShellError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ShellError::TooMuch);
        }
        let mut line = Line::default();
        loop {
            let Some(c) = self.next() else {
                if end != End::Text {
                    return Err(ShellError::Unfinished);
                }
                break;
            };
            match c {
                ')' if end == End::Paren => break,
                '#' if line.word.is_none() => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '\'' | '"' | '\\' | '$' | '`' => self.word_part(c, &mut line)?,
                ' ' | '\t' | '\r' => self.end_word(&mut line)?,
                '\n' => {
                    self.end_command(&mut line, false)?;
                    self.here_documents(&mut line)?;
                }
                '<' | '>' => self.redirection(c, &mut line)?,
                '&' if self.eat(">>") || self.eat(">") => {
                    self.end_word(&mut line)?;
                    line.next = Next::File;
                }
                '|' => {
                    let piped = !self.eat("|");
                    self.eat("&");
                    self.end_command(&mut line, piped)?;
                }
                ';' | '&' | ')' => self.end_command(&mut line, false)?,
                '(' => self.paren(&mut line)?,
                c => line.word.get_or_insert_default().push(c),
            }
        }
        self.end_command(&mut line, false)?;
        if end == End::Text {
            self.here_documents(&mut line)?;
        }
        // What is still announced begins behind the line that this list stands in.
        for document in &mut self.waiting {
            document.command = usize::MAX;
        }
        self.depth -= 1;
        Ok(line.list)
    }

    /// What stands behind one of the characters that quote or expand.
    fn word_part(&mut self, c: char, line: &mut Line) -> Result<(), ShellError> {
        match c {
            '\'' => {
                let end = self.rest().find('\'').ok_or(ShellError::Unfinished)?;
                let text = self.rest().get(..end).unwrap_or_default();
                self.at += end + 1;
                line.quoted = true;
                line.word.get_or_insert_default().push_str(text);
            }
            '"' => {
                line.quoted = true;
                let text = self.double_quoted()?;
                line.word.get_or_insert_default().push_str(&text);
            }
            '\\' => match self.next() {
                None | Some('\n') => {}
                Some(c) => {
                    line.quoted = true;
                    line.word.get_or_insert_default().push(c);
                }
            },
            '`' => {
                let value = self.backticks()?;
                self.split_into(&value, line)?;
            }
            _ if self.rest().starts_with('\'') => {
                self.at += 1;
                let text = self.ansi_quoted()?;
                line.quoted = true;
                line.word.get_or_insert_default().push_str(&text);
            }
            _ if self.rest().starts_with('"') => {}
            _ => {
                let value = self.dollar()?;
                self.split_into(&value, line)?;
            }
        }
        Ok(())
    }

    /// Adds an unquoted value, which blanks cut into words.
    fn split_into(&mut self, value: &str, line: &mut Line) -> Result<(), ShellError> {
        self.spend(value.len())?;
        line.word.get_or_insert_default();
        for (number, piece) in value.split([' ', '\t', '\n']).enumerate() {
            if number > 0 {
                self.end_word(line)?;
            }
            if !piece.is_empty() {
                line.word.get_or_insert_default().push_str(piece);
            }
        }
        Ok(())
    }

    fn redirection(&mut self, c: char, line: &mut Line) -> Result<(), ShellError> {
        // A number in front is a descriptor.
        if line.word.as_ref().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) {
            line.word = None;
        }
        self.end_word(line)?;
        if self.eat("(") {
            let commands = self.list(End::Paren)?;
            self.inner.extend(commands);
            return Ok(());
        }
        line.next = if c == '<' && self.eat("<<") {
            Next::HereString
        } else if c == '<' && self.eat("<-") {
            Next::HereDocument { tabs: true }
        } else if c == '<' && self.eat("<") {
            Next::HereDocument { tabs: false }
        } else {
            let _ = self.eat(">") || self.eat("&") || self.eat("|");
            Next::File
        };
        Ok(())
    }

    fn paren(&mut self, line: &mut Line) -> Result<(), ShellError> {
        // `@(a|b)` is a pattern.
        if line.word.as_ref().is_some_and(|word| word.ends_with(['@', '?', '+', '*', '!'])) {
            let pattern = self.balanced('(', ')', 1)?;
            let word = line.word.get_or_insert_default();
            word.extend(["(", pattern, ")"]);
            return Ok(());
        }
        // The parentheses of a function's definition are empty; those of a list hold words.
        self.end_word(line)?;
        let commands = self.list(End::Paren)?;
        if commands.is_empty() && line.command.words.len() == 1 {
            self.end_command(line, false)?;
        }
        self.inner.extend(commands);
        Ok(())
    }

    fn end_word(&mut self, line: &mut Line) -> Result<(), ShellError> {
        let Some(word) = line.word.take() else { return Ok(()) };
        let quoted = std::mem::take(&mut line.quoted);
        self.spend(word.len())?;
        match std::mem::take(&mut line.next) {
            Next::File => line.command.files.push(word),
            Next::HereString => line.command.input.push_str(&word),
            Next::HereDocument { tabs } => {
                let command = line.list.len();
                self.waiting.push(HereDocument { delimiter: word, tabs, expands: !quoted, command });
            }
            Next::Word if line.command.words.is_empty() => {
                if !quoted && KEYWORDS.contains(&&*word) {
                    return Ok(());
                }
                match assignment(&word) {
                    Some((name, value)) => {
                        self.variables.insert(name.to_owned(), value.to_owned());
                        line.command.assignments.push(word);
                    }
                    None => line.command.words.push(word),
                }
            }
            Next::Word => {
                if matches!(
                    line.command.name(),
                    "export" | "declare" | "local" | "readonly" | "typeset" | "set" | "alias"
                ) && let Some((name, value)) = assignment(&word)
                {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                // `for x in a b`: the last is as good as any.
                if let [first, name, within] = &*line.command.words
                    && (first == "for" || first == "select")
                    && within == "in"
                {
                    self.variables.insert(name.clone(), word.clone());
                }
                line.command.words.push(word);
            }
        }
        Ok(())
    }

    fn end_command(&mut self, line: &mut Line, piped: bool) -> Result<(), ShellError> {
        self.end_word(line)?;
        line.next = Next::Word;
        let mut command = std::mem::take(&mut line.command);
        line.command.piped = piped;
        let waits = self.waiting.iter().any(|document| document.command == line.list.len());
        if command.is_empty() && !waits {
            command.piped = false;
            return Ok(());
        }
        line.list.push(command);
        Ok(())
    }

    /// Reads the here-documents that were announced before this line's end.
    fn here_documents(&mut self, line: &mut Line) -> Result<(), ShellError> {
        for document in std::mem::take(&mut self.waiting) {
            let mut body = String::new();
            let mut ended = false;
            while !self.rest().is_empty() {
                let next = self.rest().split_inclusive('\n').next().unwrap_or_default();
                self.at += next.len();
                let content = if document.tabs { next.trim_start_matches('\t') } else { next };
                if content.trim_end_matches(['\n', '\r']) == document.delimiter {
                    ended = true;
                    break;
                }
                body.push_str(content);
            }
            let body = if document.expands { self.expanded(&body)? } else { body };
            self.spend(body.len())?;
            let command = line.list.get_mut(document.command);
            if !ended || command.is_none() {
                // Perhaps no document at all (`1<<2`): then these are commands.
                let words = vec!["sh".to_owned()];
                self.inner.push(Command { words, input: body.clone(), ..Command::default() });
            }
            if let Some(command) = command {
                command.input.push_str(&body);
            }
        }
        Ok(())
    }
}

/// The name and the value that a word sets.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.is_empty();
    (sound && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, value))
}
