//! Shell text as the words that a shell would run.
//!
//! Promise: every word that a POSIX shell or bash would pass to a program stands in [`Script::commands`] as it would be
//! after quotes, escapes, variables that the text itself sets, `$IFS` and command substitutions of `echo` and `printf` are
//! gone; also the words of subshells, substitutions, here-documents, and of scripts inside: `sh -c`, `eval`, and what is
//! piped into a shell through `echo`, `printf`, `base64 -d`, `xxd -r -p` and `rev`. Words keep their wildcards and braces.
//! Exceptions: what only running it would tell (other programs' output, files, arithmetic) is empty; keywords are read as
//! loosely as they need be, so that more words may be found than a shell would see, never fewer.
//! Text beyond the limits below is an error, which a caller must take for the worst: *fails closed*.
//!
//! This is no grammar of a whole shell on purpose: those at hand recurse without a bound or are not permissively licensed.

mod inside;
mod output;
mod parse;
#[cfg(test)]
mod tests;

/// Longest text that is read, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 256 * 1024;
/// Scripts, subshells and substitutions inside of each other.
pub const DEPTH_MAX: usize = 16;
/// All words of a script together, in bytes, beyond the script's own length: variables can make much of little.
const EXTRA_BYTES_MAX: usize = 256 * 1024;

/// Why text is no script that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// A quote, a substitution or a here-document has no end.
    #[error("the script has no end")]
    Unfinished,
    /// More than [`DEPTH_MAX`] levels, more than [`SCRIPT_BYTES_MAX`], or words that grow beyond measure.
    #[error("the script is longer or deeper than what is read")]
    TooMuch,
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Its name and its arguments.
    pub words: Vec<String>,
    /// Values set in front of it.
    pub assignments: Vec<String>,
    /// Where it reads from and writes to.
    pub files: Vec<String>,
    /// A here-document or here-string.
    pub input: String,
    /// It reads what the command before it writes.
    pub piped: bool,
}

impl Command {
    /// The program's name without its directory; empty where there is none.
    pub fn name(&self) -> &str {
        self.words.first().and_then(|name| name.rsplit(['/', '\\']).next()).unwrap_or_default()
    }

    /// Every word, wherever it stands.
    pub fn all_words(&self) -> impl Iterator<Item = &str> {
        let parts = [&self.words, &self.assignments, &self.files];
        parts.into_iter().flatten().map(String::as_str).chain(std::iter::once(&*self.input))
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.assignments.is_empty() && self.files.is_empty() && self.input.is_empty()
    }
}

/// What a text would run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Every command, also those inside of others; a pipeline's stand one after another.
    pub commands: Vec<Command>,
}

impl Script {
    /// Reads a text as a shell would.
    ///
    /// # Errors
    /// It has no end, or goes beyond the limits.
    pub fn parse(text: &str) -> Result<Self, ShellError> {
        let mut commands = Vec::new();
        let mut budget = EXTRA_BYTES_MAX + text.len();
        inside::parse_all(text, 0, &mut budget, &mut commands)?;
        Ok(Self { commands })
    }
}
