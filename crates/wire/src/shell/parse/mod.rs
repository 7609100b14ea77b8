//! Quotes, expansions, operators.

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

    fn double_quoted(&mut self) -> Result<String, ShellError> {
        let mut out = String::new();
        loop {
            match self.next().ok_or(ShellError::Unfinished)? {
                '"' => return Ok(out),
                '\\' => match self.next().ok_or(ShellError::Unfinished)? {
                    '\n' => {}
                    c @ ('"' | '\\' | '$' | '`') => out.push(c),
                    c => out.extend(['\\', c]),
                },
                '`' => out.push_str(&self.backticks()?),
                '$' => out.push_str(&self.dollar()?),
                c => out.push(c),
            }
        }
    }

    /// A text in which only `$` and backticks are special, as here-documents are.
    fn expanded(&mut self, text: &str) -> Result<String, ShellError> {
        if !text.contains(['$', '`']) {
            return Ok(text.to_owned());
        }
        self.spend(self.variables.len())?;
        let mut budget = *self.budget;
        let mut inside = Parser::new(text, self.depth + 1, &mut budget)?;
        inside.variables.clone_from(&self.variables);
        let mut out = String::new();
        while let Some(c) = inside.next() {
            match c {
                '\\' => out.extend(inside.next()),
                '`' => out.push_str(&inside.backticks()?),
                '$' => out.push_str(&inside.dollar()?),
                c => out.push(c),
            }
        }
        self.inner.append(&mut inside.inner);
        *self.budget = budget;
        self.spend(out.len())?;
        Ok(out)
    }

    fn ansi_quoted(&mut self) -> Result<String, ShellError> {
        let start = self.at;
        loop {
            match self.next().ok_or(ShellError::Unfinished)? {
                '\'' => break,
                '\\' => drop(self.next()),
                _ => {}
            }
        }
        Ok(output::unescaped(self.text.get(start..self.at - 1).unwrap_or_default()))
    }

    fn backticks(&mut self) -> Result<String, ShellError> {
        let mut script = String::new();
        loop {
            match self.next().ok_or(ShellError::Unfinished)? {
                '`' => break,
                '\\' => match self.next().ok_or(ShellError::Unfinished)? {
                    c @ ('`' | '\\' | '$') => script.push(c),
                    c => script.extend(['\\', c]),
                },
                c => script.push(c),
            }
        }
        self.spend(self.variables.len())?;
        let mut budget = *self.budget;
        let mut inside = Parser::new(&script, self.depth, &mut budget)?;
        inside.variables.clone_from(&self.variables);
        let commands = inside.whole()?;
        self.inner.append(&mut inside.inner);
        *self.budget = budget;
        Ok(self.substituted(commands))
    }

    /// What a substitution stands for, as far as it can be told.
    fn substituted(&mut self, commands: Vec<Command>) -> String {
        let value = output::of(&commands).unwrap_or_default();
        self.inner.extend(commands);
        value.trim_end_matches('\n').to_owned()
    }

    /// What stands behind a `$`. Arithmetic is read as commands: a shell falls back to that too.
    fn dollar(&mut self) -> Result<String, ShellError> {
        if self.eat("(") {
            let commands = self.list(End::Paren)?;
            return Ok(self.substituted(commands));
        }
        if self.eat("{") {
            let inside = self.balanced('{', '}', 1)?;
            return self.parameter(inside);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = self.rest().split(|c| !is_name(c)).next().unwrap_or_default();
        if name.is_empty() {
            // `$@`, `$*` and the like are empty here; a `$` before anything else stands for itself.
            let special = self.rest().starts_with(['@', '*', '#', '?', '!', '-', '$']);
            self.at += usize::from(special);
            return Ok(if special { String::new() } else { "$".to_owned() });
        }
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        let name = if digit { name.get(..1).unwrap_or(name) } else { name };
        self.at += name.len();
        Ok(self.value(name).unwrap_or_default())
    }

    fn value(&self, name: &str) -> Option<String> {
        match (self.variables.get(name), name) {
            (Some(value), _) => Some(value.clone()),
            (None, "IFS") => Some(" ".to_owned()),
            (None, "HOME") => Some("/root".to_owned()),
            (None, "PWD" | "OLDPWD" | "PATH" | "SHELL") => Some("/".to_owned()),
            _ => None,
        }
    }

    /// `${…}`.
    fn parameter(&mut self, inside: &str) -> Result<String, ShellError> {
        let indirect = inside.trim_start_matches(['!', '#']);
        let length = indirect.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, rest) =
            (indirect.get(..length).unwrap_or_default(), indirect.get(length..).unwrap_or_default());
        let value = self.value(name);
        if rest.is_empty() || rest.starts_with('[') {
            return Ok(value.unwrap_or_default());
        }
        let mark = rest.trim_start_matches(':');
        if let Some(other) = mark.strip_prefix(['-', '=', '+', '?']) {
            let other = self.expanded(&other.replace(['"', '\''], ""))?;
            return Ok(value.filter(|_| !mark.starts_with('+')).unwrap_or(other));
        }
        self.expanded(rest)?;
        let value = value.unwrap_or_default();
        if let Some((from, count)) = rest.strip_prefix(':').and_then(|cut| cut.split_once(':')) {
            let number = |text: &str| text.trim().parse::<usize>().ok();
            if let (Some(from), Some(count)) = (number(from), number(count)) {
                return Ok(value.chars().skip(from).take(count).collect());
            }
        }
        // `${x//a/b}`
        let replacement = rest.strip_prefix("//").or(rest.strip_prefix('/')).and_then(|r| r.split_once('/'));
        if let Some((from, to)) = replacement.filter(|(from, _)| !from.is_empty()) {
            let replaced = value.replace(from, to);
            self.spend(replaced.len())?;
            return Ok(replaced);
        }
        // `${PATH%%u*}` is how a slash is written without one.
        Ok(if rest.starts_with('%') && value.starts_with('/') { "/".to_owned() } else { value })
    }

    /// The text up to the end of brackets that are open; it takes `closing` of them.
    fn balanced(&mut self, open: char, close: char, closing: usize) -> Result<&'t str, ShellError> {
        let start = self.at;
        let mut depth = closing;
        loop {
            let c = self.next().ok_or(ShellError::Unfinished)?;
            match c {
                '\\' => drop(self.next()),
                c if c == open => depth += 1,
                c if c == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.text.get(start..self.at - closing).unwrap_or_default());
            }
        }
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
