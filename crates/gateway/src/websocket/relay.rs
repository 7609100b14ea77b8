//! What passes over an open WebSocket, both ways in one task.
//!
//! Promise: bytes wait for their side in bounded buffers of whole frames. What one side cannot take holds up the side
//! that sends it, and nothing else.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use keyward_core::{OperationClass, Place};
use keyward_wire::websocket::{Item, Kind, Messages};
use memchr::memmem;
use tokio::time::Instant;

use super::down::{Down, Passed};
use super::ending::{Ending, NORMAL, Who};
use super::peer::{Controls, Reader, Writer};
use super::up::Up;
use crate::budgets::Purse;
use crate::record::{FLUSH_AFTER, Recorder};
use crate::respond::Meter;

/// How long the upstream may take to its close frame once the caller sent one.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long the last words to both sides may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// An open WebSocket.
pub(super) struct Relay {
    pub(super) from_caller: Reader,
    pub(super) to_caller: Writer,
    pub(super) from_upstream: Reader,
    pub(super) to_upstream: Writer,
    /// What the caller said.
    pub(super) said: Messages,
    /// What the upstream said.
    pub(super) heard: Messages,
    pub(super) controls: (Controls, Controls),
    pub(super) up: Up,
    pub(super) down: Down,
    pub(super) recorder: Recorder,
    pub(super) purses: Vec<Purse>,
    pub(super) meter: Option<Meter>,
    /// Set once the caller said that it is done.
    pub(super) closing: Option<Instant>,
}

enum Event {
    Said(io::Result<usize>),
    Heard(io::Result<usize>),
    Written(Who, io::Result<()>),
    Flush,
    Silent,
}

impl Relay {
    /// Passes messages on until something ends it.
    pub(super) async fn pass(&mut self) -> Ending {
        loop {
            let event = self.next().await;
            let passed = match event {
                Event::Said(Ok(0)) => Err(Ending::lost(Who::Caller, None)),
                // Some hang up, or say nothing more, where they should have answered the close frame.
                Event::Heard(Ok(0)) | Event::Silent if self.closing.is_some() => Err(Ending::agreed(NORMAL)),
                Event::Heard(Ok(0)) => Err(Ending::lost(Who::Upstream, None)),
                Event::Said(Ok(length)) => self.take_said(length).await,
                Event::Heard(Ok(length)) => self.take_heard(length),
                Event::Said(Err(error)) => Err(Ending::lost(Who::Caller, Some(&error))),
                Event::Heard(Err(error)) => Err(Ending::lost(Who::Upstream, Some(&error))),
                Event::Written(who, Err(error)) => Err(Ending::lost(who, Some(&error))),
                Event::Written(_, Ok(())) => Ok(()),
                Event::Flush => self.recorder.flush().map_err(|error| Ending::unrecorded(&error)),
                Event::Silent => Err(Ending::silent()),
            };
            if let Err(ending) = passed {
                return ending;
            }
        }
    }

    /// Waits for what happens next.
    async fn next(&mut self) -> Event {
        let quiet = self.up.session.target.settings.idle_timeout;
        let patience = self.closing.unwrap_or_else(|| Instant::now() + quiet);
        let (said_room, heard_room) = (self.to_upstream.has_room(), self.to_caller.has_room());
        tokio::select! {
            read = self.from_caller.read(), if self.closing.is_none() && said_room => Event::Said(read),
            read = self.from_upstream.read(), if heard_room => Event::Heard(read),
            written = self.to_caller.drain(), if self.to_caller.is_behind() => Event::Written(Who::Caller, written),
            written = self.to_upstream.drain(), if self.to_upstream.is_behind() => {
                Event::Written(Who::Upstream, written)
            }
            () = tokio::time::sleep(FLUSH_AFTER), if self.recorder.is_behind() => Event::Flush,
            () = tokio::time::sleep_until(patience) => Event::Silent,
        }
    }

    /// Takes what was read from the caller.
    async fn take_said(&mut self, length: usize) -> Result<(), Ending> {
        let Self { from_caller, to_caller, to_upstream, said, controls, up, recorder, meter, .. } = self;
        let mut input = from_caller.got(length);
        while let Some(item) = said.next(&mut input).map_err(|error| Ending::breach(Who::Caller, error))? {
            match item {
                Item::Control { ping, payload, .. } => {
                    controls.0.count()?;
                    if ping {
                        to_caller.pong(payload).map_err(Ending::refused)?;
                    }
                }
                Item::Message { kind, payload, .. } => {
                    let message = up.judge(kind, payload).await.map_err(Ending::refused)?;
                    if !message.masked.is_empty() {
                        up.session.gateway.shared.metrics.found(&message.masked);
                        recorder.findings(Place::Request, &message.masked);
                    }
                    let bytes = message.payload.len() as u64;
                    recorder.bytes_up().fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
                    if let Some(meter) = meter {
                        meter.sent(bytes);
                    }
                    if let Some(shown) = &message.shown {
                        recorder.sent_piece(shown).map_err(|error| Ending::unrecorded(&error))?;
                    }
                    to_upstream.message(kind, &message.payload).map_err(Ending::refused)?;
                }
                Item::Close { payload, .. } => {
                    // A reason is a text that nobody judged, so the code goes on alone.
                    to_upstream.close(code_of(payload), "").map_err(Ending::refused)?;
                    self.closing = Some(Instant::now() + CLOSE_WAIT);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes what was read from the upstream. What came before something that may not pass is the caller's.
    fn take_heard(&mut self, length: usize) -> Result<(), Ending> {
        let mut messages = Vec::new();
        let over = self.look_into(length, &mut messages);
        for passed in messages {
            self.tell(&passed)?;
            self.to_caller.frames(&passed.frames);
        }
        match over? {
            None => Ok(()),
            Some((last, code)) => {
                self.tell(&last)?;
                self.to_caller.last_frames(&last.frames);
                Err(Ending::agreed(code))
            }
        }
    }

    /// Looks into what was read from the upstream; what passes with its close frame, and the code of that.
    fn look_into(
        &mut self,
        length: usize,
        messages: &mut Vec<Passed>,
    ) -> Result<Option<(Passed, u16)>, Ending> {
        let Self { from_upstream, to_upstream, heard, controls, down, .. } = self;
        let mut input = from_upstream.got(length);
        while let Some(item) = heard.next(&mut input).map_err(|error| Ending::breach(Who::Upstream, error))? {
            match item {
                Item::Control { ping, payload, .. } => {
                    controls.1.count()?;
                    if ping {
                        to_upstream.pong(payload).map_err(Ending::refused)?;
                    }
                }
                Item::Message { payload, raw, .. } => messages.push(down.message(payload, raw)?),
                Item::Close { raw, payload } => return Ok(Some((down.close(raw)?, code_of(payload)))),
            }
        }
        Ok(None)
    }

    /// Counts and records what the caller is about to get.
    fn tell(&mut self, passed: &Passed) -> Result<(), Ending> {
        let session = &self.up.session;
        if !passed.masked.is_empty() {
            session.gateway.shared.metrics.found(&passed.masked);
            self.recorder.findings(Place::Stream, &passed.masked);
        }
        for shown in &passed.shown {
            self.recorder.piece(shown).map_err(|error| Ending::unrecorded(&error))?;
            if let Some(meter) = &mut self.meter {
                meter.piece(shown);
            }
            if self.meter.is_some()
                && self.up.opened.operation.class == OperationClass::Realtime
                && ends(shown)
            {
                // What it was drops here, which draws what the response took.
                self.meter = Meter::new(&session.gateway.shared.budgets, self.purses.clone(), 0);
            }
        }
        Ok(())
    }

    /// Ends both sides: the outcome is recorded, then each is told as much as it may know.
    pub(super) async fn finish(mut self, ending: Ending) {
        let session = &self.up.session;
        if let Some(refusal) = &ending.refusal {
            session.gateway.shared.metrics.refused(refusal.kind.code());
            if session.target.settings.connection.kind.serves_models() && !self.to_caller.is_closed() {
                let event = refusal.socket_event(session.request);
                _ = self.recorder.piece(&Bytes::from(event.clone() + "\n"));
                _ = self.to_caller.message(Kind::Text, event.as_bytes());
            }
        }
        if let Some(detail) = &ending.detail {
            tracing::info!(request = %session.request, code = ending.code, detail, "WebSocket ended");
        }
        if let Err(error) = self.recorder.end(ending.end, ending.detail) {
            tracing::error!(error = &error as &dyn std::error::Error, "outcome not recorded");
        }
        for (writer, reason) in [(&mut self.to_caller, &*ending.reason), (&mut self.to_upstream, "")] {
            if !writer.is_closed() {
                _ = writer.close(ending.code, reason);
            }
        }
        let Self { mut from_caller, mut to_caller, mut from_upstream, mut to_upstream, .. } = self;
        let caller = async {
            if to_caller.end().await.is_ok() {
                from_caller.read_away().await;
            }
        };
        let upstream = async {
            if to_upstream.end().await.is_ok() {
                from_upstream.read_away().await;
            }
        };
        _ = tokio::time::timeout(LAST_WORDS, async { tokio::join!(caller, upstream) }).await;
    }
}

/// Whether a message ends a response of the realtime API, and says what it took.
fn ends(message: &[u8]) -> bool {
    memmem::find(message, b"\"response.done\"").is_some()
}

/// The code of a close frame; 0 where it has none.
fn code_of(payload: &[u8]) -> u16 {
    payload.first_chunk::<2>().map_or(0, |code| u16::from_be_bytes(*code))
}
