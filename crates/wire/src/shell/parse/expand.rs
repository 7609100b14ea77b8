//! What stands in quotes, behind `$` and in backticks, and what becomes of it.

use super::{Command, End, Parser, ShellError, output};

impl<'t> Parser<'t, '_> {
    pub(super) fn double_quoted(&mut self) -> Result<String, ShellError> {
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
    pub(super) fn expanded(&mut self, text: &str) -> Result<String, ShellError> {
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

    pub(super) fn ansi_quoted(&mut self) -> Result<String, ShellError> {
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

    pub(super) fn backticks(&mut self) -> Result<String, ShellError> {
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
    pub(super) fn dollar(&mut self) -> Result<String, ShellError> {
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
    pub(super) fn balanced(
        &mut self,
        open: char,
        close: char,
        closing: usize,
    ) -> Result<&'t str, ShellError> {
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
}
