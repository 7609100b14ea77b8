//! One exchange's way into the journal.
//!
//! Promise: the intent is written before the request leaves, every piece of a response's body is handed to the journal
//! in masked form, and each intent gets exactly one outcome, also when the caller goes away (on drop). When a piece
//! cannot be recorded the response ends with an error: *fails closed*.
//! Exceptions: pieces are written together, at most [`FLUSH_BYTES`] or [`FLUSH_AFTER`] late, so a killed process may
//! lose the last of them (its outcome is then `unknown`); past [`CONTENT_BYTES_MAX`] a body is counted, not kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use keyward_core::{Finding, Place, RequestId, SessionId};
use keyward_journal::record::{
    BodyFrames, End, FindingCount, Frame, HeaderField, Intent, Outcome, ResponseHead,
};
use keyward_journal::{Journal, JournalError, Receipt, Record};
use tokio::time::Instant;

use crate::clock;
use crate::snapshot::InFlight;

/// Pieces of a body are written once they are this many bytes together.
pub const FLUSH_BYTES: usize = 16 * 1024;
/// Pieces of a body are written at the latest with the first piece after this time.
pub const FLUSH_AFTER: Duration = Duration::from_millis(100);
/// The longest piece in one record.
const PIECE_BYTES_MAX: usize = 256 * 1024;
/// How much of one body is kept; its length is counted to the end.
pub const CONTENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes one exchange into the journal, from its intent to its outcome.
pub struct Recorder {
    journal: Journal,
    request: RequestId,
    session: SessionId,
    began: Instant,
    pending: Vec<Record>,
    frames: Vec<Frame>,
    /// Of what the caller sends after the head of the response.
    sent: Vec<Frame>,
    frames_bytes: usize,
    flushed: Instant,
    kept: u64,
    sent_kept: u64,
    status: Option<StatusCode>,
    bytes_up: Arc<std::sync::atomic::AtomicU64>,
    bytes_down: u64,
    findings: BTreeMap<(Arc<str>, u8), u64>,
    ended: bool,
    in_flight: InFlight,
}

impl Recorder {
    /// Writes the intent. Nothing may be sent before this returned.
    pub fn begin(
        journal: Journal,
        intent: Intent,
        in_flight: InFlight,
    ) -> Result<(Self, Receipt), JournalError> {
        let (request, session) = (intent.request, intent.session);
        let receipt = journal.append(&Record::Intent(Box::new(intent)))?;
        in_flight.begin();
        let now = Instant::now();
        let recorder = Self {
            journal,
            request,
            session,
            began: now,
            pending: Vec::new(),
            frames: Vec::new(),
            sent: Vec::new(),
            frames_bytes: 0,
            flushed: now,
            kept: 0,
            sent_kept: 0,
            status: None,
            bytes_up: Arc::default(),
            bytes_down: 0,
            findings: BTreeMap::new(),
            ended: false,
            in_flight,
        };
        Ok((recorder, receipt))
    }

    /// Counts the bytes of the request body that were sent.
    pub fn bytes_up(&self) -> Arc<std::sync::atomic::AtomicU64> {
        Arc::clone(&self.bytes_up)
    }

    /// Notes the head of the response, as the caller gets it. Written with the first of what follows.
    pub fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        self.pending.push(Record::ResponseHead(ResponseHead {
            request: self.request,
            session: self.session,
            at: clock::now(),
            status: status.as_u16(),
            headers: fields(headers),
        }));
    }

    /// Notes a masked piece of the response's body.
    pub fn piece(&mut self, bytes: &Bytes) -> Result<(), JournalError> {
        self.bytes_down += bytes.len() as u64;
        let kept = bytes.slice(..room(self.kept, bytes.len()));
        self.kept += kept.len() as u64;
        self.keep(&kept, |recorder| &mut recorder.frames)
    }

    /// Notes a masked piece of what the caller sends while the response goes on already: a message over a WebSocket.
    pub(crate) fn sent_piece(&mut self, bytes: &Bytes) -> Result<(), JournalError> {
        let kept = bytes.slice(..room(self.sent_kept, bytes.len()));
        self.sent_kept += kept.len() as u64;
        self.keep(&kept, |recorder| &mut recorder.sent)
    }

    fn keep(
        &mut self,
        bytes: &Bytes,
        list: impl Fn(&mut Self) -> &mut Vec<Frame>,
    ) -> Result<(), JournalError> {
        let offset_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut from = 0;
        while from < bytes.len() {
            let to = bytes.len().min(from + PIECE_BYTES_MAX);
            list(self).push(Frame { offset_us, bytes: bytes.slice(from..to) });
            self.frames_bytes += to - from;
            from = to;
            if self.frames_bytes >= FLUSH_BYTES {
                self.flush()?;
            }
        }
        if self.is_behind() && self.flushed.elapsed() >= FLUSH_AFTER {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether pieces wait to be written.
    pub(crate) fn is_behind(&self) -> bool {
        !self.frames.is_empty() || !self.sent.is_empty()
    }

    /// Counts findings of one place.
    pub fn findings(&mut self, place: Place, findings: &[Finding]) {
        for finding in findings {
            *self.findings.entry((Arc::clone(&finding.detector), place_number(place))).or_default() += 1;
        }
    }

    /// Everything that was found so far, counted.
    pub fn findings_total(&self) -> u64 {
        self.findings.values().sum()
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.collect_frames();
        self.flushed = Instant::now();
        if self.pending.is_empty() {
            return Ok(());
        }
        self.journal.append_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is pending and how the exchange ended.
    pub fn end(&mut self, end: End, error: Option<String>) -> Result<(), JournalError> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        self.collect_frames();
        self.pending.push(Record::Outcome(Outcome {
            request: self.request,
            session: self.session,
            at: clock::now(),
            end,
            status: self.status.map(|s| s.as_u16()),
            bytes_up: self.bytes_up.load(std::sync::atomic::Ordering::Relaxed),
            bytes_down: self.bytes_down,
            findings: std::mem::take(&mut self.findings).into_iter().map(count).collect(),
            error,
        }));
        self.journal.append_all(&self.pending)?; // what stays pending is tried once more when this is dropped
        self.pending.clear();
        Ok(())
    }

    fn collect_frames(&mut self) {
        self.frames_bytes = 0;
        if !self.sent.is_empty() {
            self.pending.push(Record::RequestBody(BodyFrames {
                request: self.request,
                session: self.session,
                frames: std::mem::take(&mut self.sent),
            }));
        }
        if !self.frames.is_empty() {
            self.pending.push(Record::Frames(BodyFrames {
                request: self.request,
                session: self.session,
                frames: std::mem::take(&mut self.frames),
            }));
        }
    }
}

/// How much of a piece is kept where so much was kept before.
fn room(kept: u64, length: usize) -> usize {
    usize::try_from(CONTENT_BYTES_MAX - kept).unwrap_or(usize::MAX).min(length)
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let recorded = if self.ended {
            if self.pending.is_empty() { Ok(()) } else { self.journal.append_all(&self.pending).map(|_| ()) }
        } else {
            self.end(self.in_flight.dropped(), None)
        };
        if let Err(error) = recorded {
            tracing::error!(request = %self.request, error = &error as &dyn std::error::Error, "outcome not recorded");
        }
    }
}

fn count(((detector, place), count): ((Arc<str>, u8), u64)) -> FindingCount {
    FindingCount { detector, place: place_of(place), count }
}

/// `Place` has no order of its own; the outcome lists findings in this one.
const PLACES: [Place; 5] = [Place::Response, Place::Stream, Place::Headers, Place::Errors, Place::Request];

fn place_number(place: Place) -> u8 {
    PLACES.iter().zip(0..).find_map(|(p, n)| (*p == place).then_some(n)).unwrap_or(0)
}

fn place_of(number: u8) -> Place {
    PLACES.get(usize::from(number)).copied().unwrap_or(Place::Response)
}

/// Headers as the journal keeps them.
pub fn fields(headers: &HeaderMap) -> Vec<HeaderField> {
    headers.iter().map(|(name, value)| HeaderField::new(name.as_str(), value.as_bytes())).collect()
}
