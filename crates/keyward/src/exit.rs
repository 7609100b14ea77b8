//! How a command ends: its exit code, and one clear message with a remedy. The only place that knows the numbers.

use std::fmt;
use std::process::ExitCode;

/// Every exit code of the program. `run` alone gives back its child's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// It did not, for a reason that has no code of its own.
    Error = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// Nobody is signed in, or the sign-in has expired.
    SignInNeeded = 4,
    /// Signed in, and not permitted.
    PermissionDenied = 5,
    /// The call waits for a human.
    ApprovalPending = 10,
    /// A human said no.
    ApprovalDenied = 11,
    /// No human answered in time.
    ApprovalExpired = 12,
    /// A rule blocks it.
    BlockedByPolicy = 13,
    /// A policy's own test failed.
    PolicyTestFailed = 14,
    /// The gateway does not answer.
    ServerUnreachable = 20,
    /// `run`: the command cannot be executed, as shells say it.
    CommandNotExecutable = 126,
    /// `run`: there is no such command, as shells say it.
    CommandNotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, told once on stderr.
#[derive(Debug)]
pub struct Failure {
    /// The code that the process ends with.
    pub exit: Exit,
    /// One sentence: what happened. Empty when everything was said already.
    pub message: String,
    /// What to do about it; empty when the message says it.
    pub help: String,
}

impl Failure {
    /// A failure with a code of its own.
    pub fn new(exit: Exit, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: help.into() }
    }

    /// A failure without a code of its own.
    pub fn error(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Error, message, help)
    }

    /// A command line that clap accepts and we do not.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, help)
    }

    /// Everything was said already; only the code is left.
    pub const fn said(exit: Exit) -> Self {
        Self { exit, message: String::new(), help: String::new() }
    }

    /// From an error of another room, with everything that caused it.
    pub fn caused(error: &dyn std::error::Error, help: impl Into<String>) -> Self {
        Self::error(chain(error), help)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Writing to stdout or reading stdin failed. A reader that went away (`| head`) is no error to talk about.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::said(Exit::Ok)
        } else {
            Self::error(format!("input or output failed: {}", error.kind()), "")
        }
    }
}

/// An error and its causes as one line; a cause that says the same again is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the store cannot be opened")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_is_one_line() {
        let error = Outer(std::io::Error::other("the disk is full"));
        assert_eq!(chain(&error), "the store cannot be opened: the disk is full");
        assert_eq!(Failure::caused(&error, "").exit, Exit::Error);
    }

    #[test]
    fn a_closed_pipe_is_quiet() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Ok, ""));
    }
}
