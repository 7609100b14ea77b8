//! Reading: sessions, exchanges, the ledger. Works on a closed journal and beside a running writer; writes nothing.
//!
//! Memory is bounded: segments are streamed, and no answer holds more than its limit.

mod rows;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use keyward_core::seal::SealingKey;
use keyward_core::{RequestId, SessionId};

use crate::disk;
use crate::error::{Doing, JournalError};
use crate::identity::{IDENTITY, Identity};
use crate::newest::Newest;
use crate::record::{End, Frame, Kind, Record, SessionOpened};
use crate::scan::{Next, Opened, Place, Scan};
use crate::verify::FirstBad;

pub use rows::{
    Exchange, Exchanges, Judged, LedgerFilter, LedgerRow, ROWS_MAX, SessionFilter, SessionSummary,
};

/// Reads one journal.
pub struct Reader {
    dir: PathBuf,
    identity: Identity,
}

impl Reader {
    /// Opens the journal in `dir` for reading. `key` is the journal's key, as in [`crate::Options::key`].
    pub fn open(dir: &Path, key: &SealingKey) -> Result<Self, JournalError> {
        let missing = || JournalError::NotAJournal { dir: dir.to_owned(), missing: IDENTITY };
        let identity = Identity::read(dir, key)?.ok_or_else(missing)?;
        Ok(Self { dir: dir.to_owned(), identity })
    }

    /// Sessions, newest first.
    pub fn sessions(&self, filter: &SessionFilter) -> Result<Vec<SessionSummary>, JournalError> {
        let mut rows: Newest<SessionId, SessionSummary> = Newest::new(rows_max(filter.limit));
        let wanted = |place: &Place| place.head.session.is_some() && !is_content(place);
        self.scan(0, wanted, |_, record| {
            match &record {
                Record::SessionOpened(opened) if filter.matches(opened) => {
                    rows.push(opened.session, SessionSummary::new(opened));
                }
                record => {
                    if let Some(row) = record.session().and_then(|session| rows.get_mut(&session)) {
                        row.follow(record);
                    }
                }
            }
            true
        })?;
        Ok(rows.into_newest_first())
    }

    /// One session; none when it is not in the journal or was shredded.
    pub fn session(&self, session: SessionId) -> Result<Option<SessionSummary>, JournalError> {
        let mut found: Option<SessionSummary> = None;
        let wanted = |place: &Place| place.head.session == Some(session) && !is_content(place);
        self.scan(0, wanted, |_, record| {
            match (&record, &mut found) {
                (Record::SessionOpened(opened), None) => found = Some(SessionSummary::new(opened)),
                (record, Some(found)) => found.follow(record),
                _ => {}
            }
            true
        })?;
        Ok(found)
    }

    /// What was decided of one request: its intent, or the refusal that it got; none when it is not in the journal or its
    /// session was shredded.
    pub fn request(&self, request: RequestId) -> Result<Option<Judged>, JournalError> {
        let mut found = None;
        let wanted =
            |place: &Place| place.head.kind == Kind::Intent as u8 || place.head.kind == Kind::Refused as u8;
        self.scan(0, wanted, |_, record| {
            found = match record {
                Record::Intent(intent) if intent.request == request => Some(Judged::Sent(intent)),
                Record::Refused(refused) if refused.request == request => Some(Judged::Refused(refused)),
                _ => None,
            };
            found.is_none()
        })?;
        Ok(found)
    }

    /// Calls `each` with every request that was judged, in order, and the session that it was judged in. Requests without a
    /// session, and those of shredded ones, are passed over. Memory grows with the sessions, not with their content.
    pub fn judged(&self, each: &mut dyn FnMut(&SessionOpened, &Judged)) -> Result<(), JournalError> {
        let mut sessions: HashMap<SessionId, SessionOpened> = HashMap::new();
        let kinds = [Kind::SessionOpened, Kind::SessionClosed, Kind::Intent, Kind::Refused];
        let wanted = |place: &Place| kinds.iter().any(|kind| place.head.kind == *kind as u8);
        self.scan(0, wanted, |_, record| {
            let (session, judged) = match record {
                Record::SessionOpened(opened) => {
                    sessions.insert(opened.session, opened);
                    return true;
                }
                Record::SessionClosed(closed) => {
                    sessions.remove(&closed.session);
                    return true;
                }
                Record::Intent(intent) => (Some(intent.session), Judged::Sent(intent)),
                Record::Refused(refused) => (refused.session, Judged::Refused(refused)),
                _ => return true,
            };
            if let Some(opened) = session.and_then(|session| sessions.get(&session)) {
                each(opened, &judged);
            }
            true
        })?;
        Ok(())
    }

    /// The exchanges of one session, in the order of their intents. `content_bytes_max` bounds the bytes of bodies
    /// held, [`ROWS_MAX`] the exchanges; what is beyond is left out, and the answer says so.
    pub fn exchanges(&self, session: SessionId, content_bytes_max: usize) -> Result<Exchanges, JournalError> {
        let mut found = Found { room: content_bytes_max, ..Found::default() };
        self.scan(
            0,
            |place| place.head.session == Some(session),
            |sequence, record| {
                found.take(sequence, record);
                true
            },
        )?;
        Ok(found.answer)
    }

    /// Rows of the ledger, newest first.
    pub fn ledger(&self, filter: &LedgerFilter) -> Result<Vec<LedgerRow>, JournalError> {
        let mut rows: Newest<RequestId, LedgerRow> = Newest::new(rows_max(filter.limit));
        let wanted = |place: &Place| {
            let kind = place.head.kind == Kind::Intent as u8 || place.head.kind == Kind::Outcome as u8;
            kind && filter.session.is_none_or(|session| place.head.session == Some(session))
        };
        self.scan(0, wanted, |sequence, record| {
            match record {
                Record::Intent(intent) if filter.matches(&intent) => {
                    rows.push(intent.request, LedgerRow::new(sequence, &intent));
                }
                Record::Outcome(outcome) => {
                    if let Some(row) = rows.get_mut(&outcome.request) {
                        (row.end, row.status) = (Some(outcome.end), outcome.status);
                    }
                }
                _ => {}
            }
            true
        })?;
        let mut rows = rows.into_newest_first();
        if filter.with_secret_only {
            // Recorded as intended, then refused before a byte left: the secret was not used.
            rows.retain(|row| row.end != Some(End::Refused));
        }
        Ok(rows)
    }

    /// Every use of one secret, newest first: one row per injection.
    pub fn who_used(&self, reference: &str) -> Result<Vec<LedgerRow>, JournalError> {
        let secret = Some(reference.to_owned());
        self.ledger(&LedgerFilter { secret, with_secret_only: true, ..LedgerFilter::default() })
    }

    /// What a principal did, newest first.
    pub fn what(&self, principal: &str) -> Result<Vec<LedgerRow>, JournalError> {
        self.ledger(&LedgerFilter { principal: Some(principal.to_owned()), ..LedgerFilter::default() })
    }

    /// Calls `each` with every record from number `from` on, in order, until it returns `false`. Records of shredded
    /// sessions are passed over. Returns the number of the first record not seen: where a follower goes on.
    pub fn records(&self, from: u64, each: &mut dyn FnMut(u64, Record) -> bool) -> Result<u64, JournalError> {
        self.scan(from, |_| true, each)
    }

    /// Reads every record from number `from` on whose frame is `wanted`. An unfinished record at the very end is
    /// passed over: a writer may be at it.
    fn scan(
        &self,
        from: u64,
        wanted: impl Fn(&Place) -> bool,
        mut each: impl FnMut(u64, Record) -> bool,
    ) -> Result<u64, JournalError> {
        let segments = disk::segments(&self.dir).doing("list the journal's segments")?;
        let mut sequence = 0;
        for segment in self.segments_from(&segments, from)? {
            let damaged = |sequence, offset, what| {
                let file = disk::segment_name(segment);
                Err(JournalError::Damaged(FirstBad { file, segment, sequence, offset, what }))
            };
            let mut scan = match Scan::open(&self.dir, &self.identity, segment)? {
                Opened::Segment(scan) => scan,
                Opened::Torn(_) => break,
                Opened::Bad => return damaged(sequence, 0, "the head of a segment is not what was written"),
            };
            sequence = scan.head().first;
            loop {
                let place = match scan.next()? {
                    Next::Frame(place) => place,
                    Next::End | Next::Torn(_) => break,
                    Next::Bad(what) => return damaged(sequence, scan.offset(), what),
                };
                sequence = place.head.sequence;
                if sequence >= from && wanted(&place) {
                    let record = match scan.record(&place) {
                        Ok(record) => record,
                        Err(JournalError::Seal(_) | JournalError::Decode) => {
                            return damaged(sequence, place.offset, "a record does not open");
                        }
                        Err(error) => return Err(error),
                    };
                    if record.is_some_and(|record| !each(sequence, record)) {
                        return Ok(sequence + 1);
                    }
                }
                sequence += 1;
            }
        }
        Ok(sequence.max(from))
    }

    /// The segments that hold record `from` and what comes after it.
    fn segments_from(&self, segments: &[u64], from: u64) -> Result<Vec<u64>, JournalError> {
        let mut begin = 0;
        for (index, &segment) in segments.iter().enumerate().skip(1).rev() {
            if from == 0 {
                break;
            }
            if let Opened::Segment(scan) = Scan::open(&self.dir, &self.identity, segment)?
                && scan.head().first <= from
            {
                begin = index;
                break;
            }
        }
        Ok(segments.get(begin..).unwrap_or_default().to_vec())
    }
}

/// Whether a frame holds nothing but parts of bodies and heads.
fn is_content(place: &Place) -> bool {
    [Kind::RequestBody, Kind::Frames, Kind::ResponseHead].iter().any(|&kind| place.head.kind == kind as u8)
}

fn rows_max(limit: Option<usize>) -> usize {
    limit.unwrap_or(ROWS_MAX).min(ROWS_MAX)
}

/// The exchanges found so far.
#[derive(Default)]
struct Found {
    answer: Exchanges,
    room: usize,
}

impl Found {
    fn take(&mut self, sequence: u64, record: Record) {
        match record {
            Record::Intent(mut intent) => {
                if self.answer.exchanges.len() >= ROWS_MAX {
                    self.answer.truncated = true;
                    return;
                }
                let content = std::mem::take(&mut intent.content);
                let request_body = self.keep(content);
                let exchange = Exchange {
                    intent: *intent,
                    sequence,
                    request_body,
                    head: None,
                    frames: Vec::new(),
                    outcome: None,
                };
                self.answer.exchanges.push(exchange);
            }
            Record::RequestBody(body) => {
                let kept = self.keep(body.frames);
                self.with(body.request, |exchange| exchange.request_body.extend(kept));
            }
            Record::Frames(body) => {
                let kept = self.keep(body.frames);
                self.with(body.request, |exchange| exchange.frames.extend(kept));
            }
            Record::ResponseHead(head) => self.with(head.request, |exchange| exchange.head = Some(head)),
            Record::Outcome(outcome) => {
                self.with(outcome.request, |exchange| exchange.outcome = Some(outcome));
            }
            _ => {}
        }
    }

    /// As many of these as there is room for. Once something was left out, nothing later is kept.
    fn keep(&mut self, frames: Vec<Frame>) -> Vec<Frame> {
        let fits = |frame: &Frame| {
            let left = self.room.checked_sub(frame.bytes.len()).filter(|_| !self.answer.truncated);
            match left {
                Some(left) => self.room = left,
                None => self.answer.truncated = true,
            }
            left.is_some()
        };
        let mut fits = fits;
        frames.into_iter().take_while(|frame| fits(frame)).collect()
    }

    fn with(&mut self, request: RequestId, change: impl FnOnce(&mut Exchange)) {
        let mut latest_first = self.answer.exchanges.iter_mut().rev();
        if let Some(exchange) = latest_first.find(|exchange| exchange.intent.request == request) {
            change(exchange);
        }
    }
}
