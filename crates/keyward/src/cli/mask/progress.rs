//! How far a file is masked, for people who wait.

use std::io::{IsTerminal as _, Read};
use std::time::{Duration, Instant};

use crate::cli::Session;
use crate::cli::output::Output;

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);

/// A file that is being read; a line on stderr says how far, where both that is a terminal and the output is not.
pub(super) struct Watched {
    file: std::fs::File,
    shown: Option<Output>,
    total: u64,
    read: u64,
    last: Instant,
    begun: bool,
}

impl Watched {
    pub(super) fn new(file: std::fs::File, session: &Session) -> Self {
        let total = file.metadata().map_or(0, |found| found.len());
        let people = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() && total > 0;
        let shown = people.then_some(session.output);
        Self { file, shown, total, read: 0, last: Instant::now(), begun: false }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += u64::try_from(read).unwrap_or_default();
        if let Some(output) = self.shown
            && self.last.elapsed() >= EVERY
        {
            (self.last, self.begun) = (Instant::now(), true);
            let percent = self.read.saturating_mul(100) / self.total.max(1);
            output.say(&format!("\r{:>3} % of {} MB", percent.min(100), self.total / 1_000_000));
        }
        Ok(read)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(output) = self.shown.filter(|_| self.begun) {
            output.say("\r                              \r");
        }
    }
}
