//! One side's connection: what is read from it, and what waits to be written to it.

use std::io;

use bytes::{Buf as _, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use keyward_wire::websocket::{
    Kind, write_close, write_masked_close, write_masked_message, write_message, write_pong,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::ending::{Ending, Who};
use super::{CONTROL_FRAMES_MAX, CONTROL_FRAMES_PER, random};
use crate::refusal::Refusal;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 32 * 1024;
/// While so much waits to be written, nothing is read that would add to it, in bytes.
const WAITING_BYTES_MAX: usize = 256 * 1024;

type Io = TokioIo<Upgraded>;

/// What one side sends.
pub(super) struct Reader {
    half: ReadHalf<Io>,
    buffer: Vec<u8>,
}

/// What one side is sent: whole frames.
pub(super) struct Writer {
    half: WriteHalf<Io>,
    /// Frames that wait; the first may have left in part.
    waiting: BytesMut,
    unflushed: bool,
    who: Who,
    /// A close frame is among what waits, or has left: nothing follows it.
    closed: bool,
}

pub(super) fn split(upgraded: Upgraded, who: Who) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(TokioIo::new(upgraded));
    let reader = Reader { half: read, buffer: vec![0; READ_BYTES] };
    (reader, Writer { half: write, waiting: BytesMut::new(), unflushed: false, who, closed: false })
}

impl Reader {
    /// Waits for the next bytes: how many there are; none at the end. Nothing is lost where the wait is given up.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.half.read(&mut self.buffer).await
    }

    /// The bytes that were read last.
    pub(super) fn got(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// Reads away what still comes, so that the other side can read what it was told.
    pub(super) async fn read_away(&mut self) {
        while self.read().await.is_ok_and(|length| length > 0) {}
    }
}

impl Writer {
    /// Whether more may be added.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_BYTES_MAX
    }

    /// Whether something is to be written.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.unflushed
    }

    /// Whether it was sent a close frame.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Adds whole frames as they are.
    pub(super) fn frames(&mut self, frames: &[u8]) {
        if !self.closed {
            self.waiting.extend_from_slice(frames);
        }
    }

    /// Adds a message.
    pub(super) fn message(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Refusal> {
        let mut frame = Vec::with_capacity(payload.len() + 16);
        match self.who {
            Who::Caller => write_message(kind, payload, &mut frame),
            Who::Upstream => write_masked_message(kind, payload, random()?, &mut frame),
        }
        self.frames(&frame);
        Ok(())
    }

    /// Answers a ping. Where much is waiting already it is left out: who floods gets no more back than anybody else.
    pub(super) fn pong(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        if self.has_room() {
            let key = if self.who == Who::Upstream { Some(random()?) } else { None };
            let mut frame = Vec::new();
            write_pong(payload, key, &mut frame);
            self.frames(&frame);
        }
        Ok(())
    }

    /// Adds a close frame, the last. A code that may not be sent, or none, is an empty one.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> Result<(), Refusal> {
        let mut payload = Vec::new();
        if may_be_sent(code) {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        let mut frame = Vec::new();
        match self.who {
            Who::Caller => write_close(&payload, &mut frame),
            Who::Upstream => write_masked_close(&payload, random()?, &mut frame),
        }
        self.frames(&frame);
        self.closed = true;
        Ok(())
    }

    /// Adds whole frames, of which the last is a close frame.
    pub(super) fn last_frames(&mut self, frames: &[u8]) {
        self.frames(frames);
        self.closed = true;
    }

    /// Writes what waits. Nothing is lost or written twice where the wait is given up.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let written = self.half.write(&self.waiting).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.waiting.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            self.half.flush().await?;
            self.unflushed = false;
        }
        if self.waiting.capacity() > WAITING_BYTES_MAX {
            self.waiting = BytesMut::new();
        }
        Ok(())
    }

    /// Writes the rest and ends this direction.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.drain().await?;
        self.half.shutdown().await
    }
}

/// Whether a code may stand in a close frame (RFC 6455, 7.4).
pub(super) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Counts the control frames of one side.
pub(super) struct Controls {
    who: Who,
    since: Instant,
    count: u32,
}

impl Controls {
    pub(super) fn of(who: Who) -> Self {
        Self { who, since: Instant::now(), count: 0 }
    }

    /// One more.
    pub(super) fn count(&mut self) -> Result<(), Ending> {
        if self.since.elapsed() >= CONTROL_FRAMES_PER {
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        if self.count > CONTROL_FRAMES_MAX { Err(Ending::flood(self.who)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_control_frames_is_one_beyond_the_bound() {
        let mut controls = Controls::of(Who::Caller);
        for _ in 0..3 {
            for _ in 0..CONTROL_FRAMES_MAX {
                assert!(controls.count().is_ok());
            }
            tokio::time::advance(CONTROL_FRAMES_PER).await;
        }
        for _ in 0..CONTROL_FRAMES_MAX {
            assert!(controls.count().is_ok());
        }
        assert_eq!(controls.count().unwrap_err().code, 1008);
    }

    #[test]
    fn codes_that_are_for_nobody_else_are_not_sent() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert!(!may_be_sent(code), "{code}");
        }
        for code in [1000, 1001, 1008, 1011, 3000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
    }
}
