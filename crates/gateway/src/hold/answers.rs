//! Answers of approved calls, kept for a short time for identical retries.
//!
//! Promise: while an approved call runs, and for [`KEPT_FOR`] after it ended, an identical call does not run again: it
//! gets the same, already masked answer, or is told to wait. The digest names the principal, so nobody gets an answer
//! that was not made for them. Kept in memory alone: after a restart the approval is spent, and an identical call asks a
//! human again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use keyward_core::{RequestDigest, RequestId};
use tokio::time::Instant;

use crate::body::Body;

/// How long an answer is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_mins(5);
/// The longest answer that is kept, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// All kept answers together, in bytes; past it the oldest goes.
pub(super) const ANSWERS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is known about the last run of an approved call.
pub enum LastRun {
    /// It runs right now.
    Running,
    /// It ended; this was its answer.
    Answered(Box<Kept>),
}

/// An answer that is kept.
pub struct Kept {
    /// What the caller got.
    pub response: Response<Body>,
    /// Its body.
    pub body: Bytes,
    /// The exchange that it was given in.
    pub request: RequestId,
}

/// Answers by the digest of their request.
#[derive(Default)]
pub struct Answers {
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    by_digest: HashMap<RequestDigest, Run>,
    bytes: usize,
}

enum Run {
    Running,
    Answered { status: StatusCode, headers: HeaderMap, body: Bytes, at: Instant, of: RequestId },
}

impl Answers {
    /// The last run of this exact request, if it is under way or its answer is kept.
    pub fn last_run(&self, digest: &RequestDigest) -> Option<LastRun> {
        let mut runs = self.lock();
        runs.forget_old();
        match runs.by_digest.get(digest)? {
            Run::Running => Some(LastRun::Running),
            Run::Answered { status, headers, body, of, .. } => {
                let mut response = Response::new(Body::full(body.clone()));
                *response.status_mut() = *status;
                *response.headers_mut() = headers.clone();
                Some(LastRun::Answered(Box::new(Kept { response, body: body.clone(), request: *of })))
            }
        }
    }

    /// Notes that a request runs, unless it does already or its answer is kept. The guard takes the note back when it is
    /// dropped before an answer was noted.
    pub fn running(self: &Arc<Self>, digest: RequestDigest, request: RequestId) -> Option<RunningNote> {
        let mut runs = self.lock();
        runs.forget_old();
        if runs.by_digest.contains_key(&digest) {
            return None;
        }
        runs.by_digest.insert(digest, Run::Running);
        Some(RunningNote { answers: Arc::clone(self), digest, of: request })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    fn forget_old(&mut self) {
        let mut freed = 0;
        self.by_digest.retain(|_, run| match run {
            Run::Running => true,
            Run::Answered { at, body, .. } => {
                let stays = at.elapsed() < KEPT_FOR;
                if !stays {
                    freed += body.len();
                }
                stays
            }
        });
        self.bytes -= freed;
    }

    fn forget_oldest(&mut self) {
        let oldest = self.by_digest.iter().filter_map(|(digest, run)| match run {
            Run::Running => None,
            Run::Answered { at, .. } => Some((*at, *digest)),
        });
        if let Some((_, digest)) = oldest.min_by_key(|(at, _)| *at)
            && let Some(Run::Answered { body, .. }) = self.by_digest.remove(&digest)
        {
            self.bytes -= body.len();
        }
    }
}

/// A request that runs right now.
pub struct RunningNote {
    answers: Arc<Answers>,
    digest: RequestDigest,
    of: RequestId,
}

impl Drop for RunningNote {
    fn drop(&mut self) {
        let mut runs = self.answers.lock();
        if matches!(runs.by_digest.get(&self.digest), Some(Run::Running)) {
            runs.by_digest.remove(&self.digest);
        }
    }
}

/// Collects an answer while it goes out.
pub struct AnswerCopy {
    note: RunningNote,
    status: StatusCode,
    headers: HeaderMap,
    /// None once it is too long to be kept.
    body: Option<BytesMut>,
}

impl AnswerCopy {
    /// Begins with the head, as the caller gets it.
    pub fn new(note: RunningNote, status: StatusCode, headers: &HeaderMap) -> Self {
        Self { note, status, headers: headers.clone(), body: Some(BytesMut::new()) }
    }

    /// Of a call whose answer is not kept: while it runs, an identical one waits; after that, it is another call.
    pub fn unkept(note: RunningNote) -> Self {
        Self { note, status: StatusCode::OK, headers: HeaderMap::new(), body: None }
    }

    /// Adds a masked piece.
    pub fn piece(&mut self, piece: &Bytes) {
        match &mut self.body {
            Some(body) if body.len() + piece.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(piece),
            _ => self.body = None,
        }
    }

    /// The answer is complete: keep it.
    pub fn complete(mut self) {
        let Some(body) = self.body.take() else { return };
        let mut runs = self.note.answers.lock();
        runs.forget_old();
        while runs.bytes + body.len() > ANSWERS_BYTES_MAX {
            runs.forget_oldest();
        }
        runs.bytes += body.len();
        let headers = std::mem::take(&mut self.headers);
        let run = Run::Answered {
            status: self.status,
            headers,
            body: body.freeze(),
            at: Instant::now(),
            of: self.note.of,
        };
        if let Some(Run::Answered { body, .. }) = runs.by_digest.insert(self.note.digest, run) {
            runs.bytes -= body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(fill: u8) -> RequestDigest {
        RequestDigest::from_bytes([fill; 32])
    }

    fn running(answers: &Arc<Answers>, fill: u8) -> Option<RunningNote> {
        answers.running(digest(fill), RequestId::new(2))
    }

    #[test]
    fn a_running_call_is_known_until_it_ends() {
        let answers = Arc::new(Answers::default());
        let note = running(&answers, 1).unwrap();
        assert!(running(&answers, 1).is_none());
        assert!(matches!(answers.last_run(&digest(1)), Some(LastRun::Running)));
        drop(note);
        assert!(answers.last_run(&digest(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_answer_is_kept_for_a_while_and_no_longer() {
        let answers = Arc::new(Answers::default());
        let mut copy = AnswerCopy::new(running(&answers, 1).unwrap(), StatusCode::OK, &HeaderMap::new());
        copy.piece(&Bytes::from_static(b"hello"));
        copy.complete();
        assert!(matches!(answers.last_run(&digest(1)), Some(LastRun::Answered(_))));
        assert!(answers.last_run(&digest(2)).is_none());
        tokio::time::advance(KEPT_FOR).await;
        assert!(answers.last_run(&digest(1)).is_none());
    }

    #[test]
    fn an_answer_past_the_limit_or_broken_off_is_not_kept() {
        let answers = Arc::new(Answers::default());
        let mut copy = AnswerCopy::new(running(&answers, 1).unwrap(), StatusCode::OK, &HeaderMap::new());
        copy.piece(&Bytes::from(vec![0; ANSWER_BYTES_MAX]));
        copy.piece(&Bytes::from_static(b"!"));
        copy.complete();
        assert!(answers.last_run(&digest(1)).is_none());
        drop(AnswerCopy::new(running(&answers, 2).unwrap(), StatusCode::OK, &HeaderMap::new()));
        assert!(answers.last_run(&digest(2)).is_none());
    }
}
