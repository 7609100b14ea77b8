//! Reads a secret value: from a terminal without echo, or from a pipe. Asks yes or no.
//!
//! Promise: the value is never echoed, never in the command line and wiped when dropped. The terminal's echo is put
//! back on every way out but a kill. Exceptions: none.

use std::io::{IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd as _;

use keyward_secrets::{SECRET_BYTES_MAX, Secret};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Turns echo back on when dropped.
struct Quiet {
    terminal: std::fs::File,
    before: Termios,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is no better moment to try again.
        _ = tcsetattr(self.terminal.as_fd(), OptionalActions::Now, &self.before);
    }
}

/// Asks on the terminal, or reads stdin to its end when it is not one.
pub(super) fn secret(question: &str) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    let value = if stdin.is_terminal() { ask(question)? } else { bounded(stdin.lock())? };
    Secret::new(value)
        .map_err(|flaw| Failure::error(format!("the value cannot be used: {flaw}"), "nothing was stored"))
}

/// Asks something that is answered with yes or no; anything but yes is no.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage("there is no terminal to ask on", "say --yes to go on without asking"));
    }
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let answer = line(stdin.lock())?;
    Ok(matches!(answer.trim_ascii().to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

fn ask(question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unusable = || Failure::error("the terminal cannot be made silent", "pipe the value in instead");
    let terminal =
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| unusable())?;
    let before = tcgetattr(terminal.as_fd()).map_err(|_| unusable())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
    let quiet = Quiet { terminal: terminal.try_clone()?, before };
    tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent).map_err(|_| unusable())?;
    let mut prompt = &terminal;
    prompt.write_all(question.as_bytes())?;
    let line = line(&terminal)?;
    drop(quiet);
    Ok(line)
}

/// One line, without its end.
fn line(mut terminal: impl Read) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Reserved at once, so that no copy of a part stays behind in memory that was given back.
    let mut value = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    let mut byte = [0];
    while terminal.read(&mut byte)? == 1 && byte != *b"\n" {
        value.extend_from_slice(&byte);
        if value.len() > SECRET_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(value)
}

/// Everything, up to the longest secret and the line end after it.
fn bounded(input: impl Read) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let limit = SECRET_BYTES_MAX + 2;
    let mut value = Zeroizing::new(Vec::with_capacity(limit + 1));
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    input.take(limit_bytes + 1).read_to_end(&mut value)?;
    if value.len() > limit { Err(too_long()) } else { Ok(value) }
}

fn too_long() -> Failure {
    Failure::error(format!("the value is longer than {SECRET_BYTES_MAX} bytes"), "nothing was stored")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_bounded() {
        let at_limit = vec![b'a'; SECRET_BYTES_MAX + 2];
        assert_eq!(bounded(at_limit.as_slice()).unwrap().len(), at_limit.len());
        assert!(bounded([at_limit.as_slice(), b"a"].concat().as_slice()).is_err());
        assert_eq!(line(b"value\nmore".as_slice()).unwrap().as_slice(), b"value");
        assert!(line(vec![b'a'; SECRET_BYTES_MAX + 1].as_slice()).is_err());
    }
}
