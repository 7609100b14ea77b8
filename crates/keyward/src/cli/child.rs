//! A child process that stands where we stand: its input, output and terminal are ours, signals to us are passed on, and
//! its end is ours.
//!
//! Promise: a signal reaches the child once. Those that a terminal sends to all of its foreground (Ctrl-C, Ctrl-\) have
//! reached it already and are not sent again; what this process was started to ignore, both ignore. Exception: SIGKILL
//! ends us alone, and an interrupt by `kill` from elsewhere, while a terminal shows us in its foreground, is taken for
//! the terminal's own.

use std::future::poll_fn;
use std::process::ExitStatus;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

use crate::exit::{Exit, Failure};

/// Signals that are passed on.
const PASSED: [Signal; 6] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Signals to this process, which no longer end it.
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// From now on.
    pub(super) fn catch() -> Result<Self, Failure> {
        let ignored = ignored();
        let mut streams = Vec::new();
        for signal in PASSED {
            if ignored & (1 << (signal.as_raw() - 1)) == 0 {
                streams.push((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
            }
        }
        Ok(Self(streams))
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut arrived = self.0.iter_mut().filter_map(|(signal, stream)| {
                matches!(stream.poll_recv(context), Poll::Ready(Some(()))).then_some(*signal)
            });
            arrived.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The signals that this process was started to ignore (`nohup`, `&` in scripts), as bits from 0 for signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Starts a command.
pub(super) fn start(command: &mut Command) -> Result<Child, Failure> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(
            Exit::CommandNotFound,
            format!("there is no command `{name}`, or what would run it is not there"),
            "check its name and PATH",
        ),
        kind => Failure::new(
            Exit::CommandNotExecutable,
            format!("`{name}` cannot be executed: {kind}"),
            "check its mode; a script begins with #!",
        ),
    })
}

/// Waits for the child's end; passes on what arrives until then.
pub(super) async fn follow(child: &mut Child, signals: &mut Signals) -> Result<ExitStatus, Failure> {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(ended?),
            signal = signals.next() => {
                if let Some(pid) = pid && !sent_to_all(signal) {
                    // It may have ended in this moment.
                    _ = kill_process(pid, signal);
                }
            }
        }
    }
}

/// Whether a terminal sent it to all of its foreground, which the child belongs to as we do.
fn sent_to_all(signal: Signal) -> bool {
    let by_key = signal == Signal::INT || signal == Signal::QUIT;
    by_key && std::fs::File::open("/dev/tty").is_ok_and(|tty| tcgetpgrp(&tty).is_ok_and(|it| it == getpgrp()))
}
