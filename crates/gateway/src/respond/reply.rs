//! The body of an upstream's answer on its way to the caller: decoded, masked, recorded, piece by piece.
//!
//! Promise: a byte leaves only after the calls of tools in it were judged, the masker decided on it and the recorder took it. When decoding, masking or
//! recording fails the body ends with an error, never with the rest in clear: *fails closed*. A moderated call's stands still,
//! unread, while nobody watches, and who does is shown each byte before it leaves. When the caller goes
//! away, this is dropped, which ends the upstream's body too.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use keyward_core::{ConnectionKind, Place, RequestId};
use keyward_journal::record::End;
use keyward_mask::Profile;
use keyward_mask::walk::BodyMasker;
use keyward_wire::coding::{CodingError, Decoder};
use tokio::time::Sleep;

use super::calls::{CallGuard, Form};
use super::decode::PIECE_BYTES;
use super::packed::Packed;
use super::usage::Meter;
use super::weights::WeightsGuard;
use crate::body::BodyError;
use crate::hold::AnswerCopy;
use crate::inject;
use crate::life::Watch;
use crate::moderate::{Attended, Went};
use crate::record::Recorder;
use crate::refusal::Refusal;
use crate::snapshot::InFlight;

/// How much of a body may be taken at once when it is there already.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// An upstream's answer as it passes.
pub struct Reply {
    pub(super) state: State,
    pub(super) decoder: Option<Decoder>,
    /// Judges the calls of tools in it.
    pub(super) calls: Option<CallGuard>,
    /// Sees whether it is weights of a model.
    pub(super) weights: Option<WeightsGuard>,
    /// How a stream ends that was stopped: as events or lines, in which dialect, in which exchange.
    pub(super) ending: (Option<Form>, ConnectionKind, RequestId),
    pub(super) masker: Option<BodyMasker>,
    /// Whether it may begin like compressed data.
    pub(super) packed: Packed,
    /// The mask of trailers.
    pub(super) trailer_mask: Option<Arc<Profile>>,
    pub(super) place: Place,
    pub(super) recorder: Recorder,
    /// Kept for an identical retry of an approved call.
    pub(super) copy: Option<AnswerCopy>,
    /// Makes a drain wait for this exchange.
    pub(super) in_flight: InFlight,
    /// The upstream answered with an error status.
    pub(super) error_status: bool,
    /// Ends a body whose upstream is silent for too long.
    pub(super) silence: Silence,
    /// Counts it for budgets of tokens and bytes.
    pub(super) meter: Option<Meter>,
    /// Ends a body with its session.
    pub(super) ended: Watch,
    /// Lets it pass only while somebody watches, where its approval asks for that.
    pub(super) attended: Option<Attended>,
}

/// Watches how long an upstream is silent. Armed only while nothing is there to read, so that a busy stream costs no timer.
pub(super) struct Silence {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Something came.
    fn broken(&mut self) {
        self.timer = None;
    }

    /// Ready when the silence is too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }
}

/// Where a body is.
pub(super) enum State {
    /// Masked bytes that were taken before the first poll, then encoded bytes that were not decoded yet, then the rest
    /// from the upstream.
    Open { first: Bytes, unread: Bytes, upstream: Incoming },
    /// The upstream is done; trailers may be left.
    Ended { trailers: Option<HeaderMap> },
    /// All is said.
    Done,
}

impl Reply {
    /// Takes what is there of the body already, without waiting. `Some` when that was all of it; the exchange is then
    /// recorded to its end.
    pub(super) fn take_whole(&mut self) -> Option<Result<Bytes, BodyError>> {
        let State::Open { first, unread, upstream } = &mut self.state else { return None };
        let mut raw: Vec<Bytes> = Vec::new();
        let mut length = first.len();
        let mut at_end = upstream.is_end_stream();
        let most = if self.decoder.is_some() { PIECE_BYTES } else { WHOLE_BYTES_MAX };
        while !at_end && length < most {
            match Pin::new(&mut *upstream).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => break,
                Poll::Ready(None) => at_end = true,
                Poll::Ready(Some(Err(error))) => return Some(Err(self.broke_off(error))),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers need the streaming way; they end the body, so nothing is lost by leaving it here.
                    let Ok(mut data) = frame.into_data() else { break };
                    at_end = upstream.is_end_stream();
                    if self.decoder.is_some() && data.len() > most - length {
                        *unread = data.split_off(most - length);
                        at_end = false;
                    }
                    length += data.len();
                    raw.push(data);
                }
            }
        }
        match self.mask_all(&raw, at_end) {
            Err(error) => Some(Err(error)),
            Ok(masked) if at_end => {
                self.state = State::Done;
                Some(Ok(masked))
            }
            Ok(masked) => {
                if let State::Open { first, .. } = &mut self.state {
                    *first = masked;
                }
                None
            }
        }
    }

    /// Ends an answer that has no body by its method or status; what its headers say about a body stays.
    pub(super) fn leave_out(&mut self) -> Result<(), BodyError> {
        self.state = State::Done;
        self.completed()
    }

    /// Whether everything was passed on.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn mask_all(&mut self, pieces: &[Bytes], at_end: bool) -> Result<Bytes, BodyError> {
        let mut masked = match pieces {
            [one] => self.mask(one)?,
            many => {
                let mut all = Vec::new();
                for piece in many {
                    all.extend_from_slice(&self.mask(piece)?);
                }
                Bytes::from(all)
            }
        };
        if at_end {
            let rest = self.finish()?;
            if !rest.is_empty() {
                masked = Bytes::from([masked, rest].concat());
            }
        }
        if !masked.is_empty() {
            self.note(&masked)?;
        }
        if at_end {
            self.completed()?;
        }
        Ok(masked)
    }

    /// Decodes and masks a piece: what may leave now.
    fn mask(&mut self, data: &Bytes) -> Result<Bytes, BodyError> {
        if self.decoder.is_none() && self.masker.is_none() && self.calls.is_none() {
            let seen = look(&mut self.weights, data);
            self.settle(seen)?;
            return Ok(data.clone());
        }
        if self.packed.sees(data) {
            let error = BodyError::Mask("compressed data under the name of text".into());
            return Err(self.fail(End::MaskFailed, error));
        }
        let mut out = Vec::with_capacity(data.len() + 64);
        let (calls, masker, weights) = (&mut self.calls, &mut self.masker, &mut self.weights);
        let mut sink = |plain: &[u8]| {
            look(weights, plain)?;
            judge_and_mask(calls, masker, plain, &mut out)
        };
        let result = match &mut self.decoder {
            Some(decoder) => decoder.push(data, &mut sink),
            None => sink(data),
        };
        self.settle(result)?;
        Ok(Bytes::from(out))
    }

    /// What is left at the end of the upstream's body.
    fn finish(&mut self) -> Result<Bytes, BodyError> {
        let mut out = Vec::new();
        let (calls, masker, weights) = (&mut self.calls, &mut self.masker, &mut self.weights);
        let mut result = Ok(());
        if let Some(decoder) = &mut self.decoder {
            result = decoder.finish(&mut |plain| {
                look(weights, plain)?;
                judge_and_mask(calls, masker, plain, &mut out)
            });
        }
        if let (Ok(()), Some(guard)) = (&result, calls) {
            let mut rest = Vec::new();
            result = guard
                .finish(&mut rest)
                .map_err(BodyError::Blocked)
                .and_then(|()| mask_into(masker, &rest, &mut out));
        }
        if let (Ok(()), Some(masker)) = (&result, masker) {
            result = masker.finish(&mut out).map_err(mask_failed);
        }
        self.settle(result)?;
        Ok(Bytes::from(out))
    }

    /// Counts findings; records that masking failed, where it did.
    fn settle(&mut self, result: Result<(), BodyError>) -> Result<(), BodyError> {
        if let Some(masker) = &mut self.masker {
            let findings = masker.take_findings();
            if !findings.is_empty() {
                self.in_flight.metrics().found(&findings);
                self.recorder.findings(self.place, &findings);
            }
        }
        result.map_err(|error| {
            let end = if matches!(error, BodyError::Blocked(_)) { End::Refused } else { End::MaskFailed };
            self.fail(end, error)
        })
    }

    /// Hands a masked piece to the recorder.
    fn note(&mut self, masked: &Bytes) -> Result<(), BodyError> {
        if let Some(copy) = &mut self.copy {
            copy.piece(masked);
        }
        if let Some(meter) = &mut self.meter {
            meter.piece(masked);
        }
        if let Err(error) = self.recorder.piece(masked) {
            return Err(self.fail(End::JournalFailed, BodyError::Record(error)));
        }
        if let Some(attended) = &self.attended {
            attended.piece(masked);
        }
        Ok(())
    }

    fn completed(&mut self) -> Result<(), BodyError> {
        let end = if self.error_status { End::UpstreamError } else { End::Completed };
        self.recorder.end(end, None).map_err(BodyError::Record)?;
        if let Some(attended) = &self.attended {
            attended.end(end);
        }
        if let Some(copy) = self.copy.take() {
            copy.complete();
        }
        Ok(())
    }

    /// What a stream ends with when a call in it is blocked; none where nothing can be said any more.
    fn last_event(&self, refusal: &Refusal) -> Option<Bytes> {
        let (form, dialect, request) = self.ending;
        match form? {
            Form::Events => Some(refusal.event(dialect, request).into()),
            Form::Lines => Some((refusal.body(Some(dialect), request).1 + "\n").into()),
            Form::Whole => None,
        }
    }

    fn broke_off(&mut self, error: hyper::Error) -> BodyError {
        self.fail(End::UpstreamReset, BodyError::Broken(error))
    }

    /// Ends the exchange with an error; what the masker still holds is dropped, not sent.
    fn fail(&mut self, end: End, error: BodyError) -> BodyError {
        self.state = State::Done;
        (self.masker, self.calls, self.weights) = (None, None, None);
        if let Err(unrecorded) = self.recorder.end(end, Some(error.to_string())) {
            tracing::error!(error = &unrecorded as &dyn std::error::Error, "outcome not recorded");
        }
        if let Some(attended) = &self.attended {
            attended.end(end);
        }
        error
    }

    fn masked_trailers(&mut self, mut trailers: HeaderMap) -> Result<HeaderMap, BodyError> {
        inject::strip_response(&mut trailers);
        for name in ["authorization", "content-length", "host", "set-cookie"] {
            trailers.remove(name);
        }
        let Some(profile) = &self.trailer_mask else { return Ok(trailers) };
        let findings = match super::mask_headers(profile, &mut trailers) {
            Ok(findings) => findings,
            Err(error) => return Err(self.fail(End::MaskFailed, BodyError::Mask(Box::new(error)))),
        };
        self.recorder.findings(Place::Headers, &findings);
        Ok(trailers)
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let State::Open { first, unread, upstream } = &mut self.state else { return Poll::Ready(None) };
            if !first.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(first)))));
            }
            if !unread.is_empty() {
                let piece = unread.split_to(unread.len().min(PIECE_BYTES));
                let masked = self.mask(&piece)?;
                if masked.is_empty() {
                    continue;
                }
                self.note(&masked)?;
                return Poll::Ready(Some(Ok(Frame::data(masked))));
            }
            let Poll::Ready(frame) = Pin::new(&mut *upstream).poll_frame(cx) else {
                if let Poll::Ready(refusal) = self.ended.poll(cx) {
                    return Poll::Ready(Some(Err(self.fail(End::SessionEnded, BodyError::Ended(refusal)))));
                }
                ready!(self.silence.poll(cx));
                return Poll::Ready(Some(Err(self.fail(End::UpstreamTimeout, BodyError::Silent))));
            };
            let at_end = upstream.is_end_stream();
            self.silence.broken();
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => {
                        self.state = State::Ended { trailers: frame.into_trailers().ok() };
                        return self.poll_ended();
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(self.broke_off(error)))),
                None => {
                    self.state = State::Ended { trailers: None };
                    return self.poll_ended();
                }
            };
            // Piece by piece where one may become many times as long, or waits for people to see it.
            if (self.decoder.is_some() || self.attended.is_some())
                && let State::Open { unread, .. } = &mut self.state
            {
                *unread = data;
                continue;
            }
            let masked = self.mask(&data)?;
            if !masked.is_empty() {
                self.note(&masked)?;
                if at_end && self.masker.is_none() && self.calls.is_none() {
                    // Its length was announced: hyper lets go of it with its last byte, and never asks for its end.
                    self.state = State::Done;
                    self.completed()?;
                }
                return Poll::Ready(Some(Ok(Frame::data(masked))));
            }
        }
    }

    /// Goes on while somebody watches, where somebody has to; ends with its session also while it stands still.
    fn poll_attended(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(attended) = &mut self.attended {
            let refusal = match attended.poll(cx) {
                Poll::Ready(Ok(Went::On)) => None,
                Poll::Ready(Ok(Went::OnAgain)) => {
                    self.silence.broken(); // it was not read, so it was not silent
                    None
                }
                Poll::Ready(Err(refusal)) => Some(refusal),
                Poll::Pending => Some(ready!(self.ended.poll(cx))),
            };
            if let Some(refusal) = refusal {
                return Poll::Ready(Some(Err(self.fail(End::SessionEnded, BodyError::Ended(refusal)))));
            }
        }
        if matches!(self.state, State::Open { .. }) { self.poll_open(cx) } else { self.poll_ended() }
    }

    /// Sends the masker's rest, then the trailers, and records the end with whichever is the last.
    fn poll_ended(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let looked_at = self.masker.is_some() || self.decoder.is_some() || self.calls.is_some();
        let rest = if looked_at { self.finish()? } else { Bytes::new() };
        (self.masker, self.decoder, self.calls) = (None, None, None);
        if !rest.is_empty() {
            self.note(&rest)?;
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let State::Ended { trailers } = std::mem::replace(&mut self.state, State::Done) else {
            return Poll::Ready(None);
        };
        let trailers = trailers.map(|trailers| self.masked_trailers(trailers)).transpose()?;
        self.completed()?;
        Poll::Ready(trailers.filter(|t| !t.is_empty()).map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.in_flight.is_cut() && !matches!(self.state, State::Done) {
            let error = self.fail(End::Stopped, BodyError::Draining);
            return Poll::Ready(Some(Err(error)));
        }
        let polled = match (&self.state, self.ended.over()) {
            (State::Done, _) => Poll::Ready(None),
            (_, Some(refusal)) => {
                Poll::Ready(Some(Err(self.fail(End::SessionEnded, BodyError::Ended(refusal)))))
            }
            (State::Open { .. } | State::Ended { .. }, None) => self.poll_attended(cx),
        };
        match polled {
            // A stream ends with the refusal, as an event; anything else breaks off.
            Poll::Ready(Some(Err(BodyError::Blocked(refusal) | BodyError::Ended(refusal))))
                if let Some(event) = self.last_event(&refusal) =>
            {
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            polled => polled,
        }
    }
}

/// Looks whether decoded bytes are weights of a model, which may have to stay.
fn look(weights: &mut Option<WeightsGuard>, plain: &[u8]) -> Result<(), BodyError> {
    weights.as_mut().map_or(Ok(()), |guard| guard.sees(plain).map_err(BodyError::Blocked))
}

/// Judges the calls of tools in decoded bytes, and masks what may pass.
fn judge_and_mask(
    calls: &mut Option<CallGuard>,
    masker: &mut Option<BodyMasker>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), BodyError> {
    let Some(calls) = calls else { return mask_into(masker, plain, out) };
    let mut passes = Vec::with_capacity(plain.len());
    calls.push(plain, &mut passes).map_err(BodyError::Blocked)?;
    mask_into(masker, &passes, out)
}

/// Masks decoded bytes; passes them where there is nothing to mask with.
fn mask_into(masker: &mut Option<BodyMasker>, plain: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
    if let Some(masker) = masker {
        return masker.push(plain, out).map_err(mask_failed);
    }
    out.extend_from_slice(plain);
    Ok(())
}

fn mask_failed(error: keyward_mask::walk::MaskError) -> BodyError {
    BodyError::Mask(Box::new(error))
}

impl From<CodingError> for BodyError {
    fn from(error: CodingError) -> Self {
        Self::Mask(Box::new(error))
    }
}
