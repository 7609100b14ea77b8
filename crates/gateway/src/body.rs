//! Bodies in both directions, and the one capped reader.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::caller_body::CallerBody;

/// The longest piece of a body that goes up while somebody watches, in bytes.
const ATTENDED_BYTES_MAX: usize = 16 * 1024;
/// The longest silence between two pieces of a request body.
pub const BODY_SILENCE_MAX: Duration = Duration::from_mins(1);

/// Why a body ended early. hyper turns it into a reset towards the peer, so that a cut is never taken for an end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender's connection broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// It is longer than the limit.
    #[error("the body is longer than {0} bytes")]
    TooLarge(u64),
    /// Nothing came for too long.
    #[error("no byte of the body came for too long")]
    Silent,
    /// It could not be masked, so the rest is withheld.
    #[error("the body could not be masked: the rest is withheld")]
    Mask(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be recorded, so the rest is withheld.
    #[error("the body could not be recorded: the rest is withheld")]
    Record(#[source] keyward_journal::JournalError),
    /// A rule blocks what was found in it (a call of a tool, weights), so the rest is withheld.
    #[error("what is in it is blocked: {0}")]
    Blocked(crate::refusal::Refusal),
    /// Its session was ended, so the rest is withheld.
    #[error("the session was ended: {0}")]
    Ended(crate::refusal::Refusal),
    /// The gateway stops and the grace time is over.
    #[error("the gateway is shutting down")]
    Draining,
}

/// What goes back to the caller.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// All of it at once.
    Full(Bytes),
    /// An upstream's answer, masked and recorded as it passes.
    Reply(Box<crate::respond::Reply>),
    /// A stream that begins while a human decides.
    Held(Box<crate::hold::HeldStream>),
}

impl Body {
    /// A whole body.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Reply(reply) => Pin::new(&mut **reply).poll_frame(cx),
            Self::Held(held) => Pin::new(&mut **held).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Reply(_) | Self::Held(_) => SizeHint::default(),
        }
    }
}

/// What goes to the upstream.
pub enum Outgoing {
    /// Nothing, or a body that was read and judged whole.
    Full(Bytes),
    /// A whole body that goes up piece by piece, while somebody watches; `sent` counts its bytes.
    Attended {
        /// What is left of it.
        bytes: Bytes,
        /// Open while somebody watches.
        gate: Box<crate::moderate::Gate>,
        /// Bytes passed on so far.
        sent: Arc<AtomicU64>,
    },
    /// A body that no rule looks at, passed on as it comes; `sent` counts its bytes.
    Stream {
        /// The caller's body.
        incoming: CallerBody,
        /// Bytes that may still come before the limit.
        left: u64,
        /// The limit, for the message.
        limit: u64,
        /// Bytes passed on so far.
        sent: Arc<AtomicU64>,
    },
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Attended { bytes, .. } if bytes.is_empty() => Poll::Ready(None),
            Self::Attended { bytes, gate, sent } => {
                if let Err(refusal) = std::task::ready!(gate.poll(cx)) {
                    return Poll::Ready(Some(Err(BodyError::Ended(refusal))));
                }
                let piece = bytes.split_to(bytes.len().min(ATTENDED_BYTES_MAX));
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Stream { incoming, left, limit, sent } => loop {
                let data = match std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => data,
                        // Request trailers are not judged by any rule, so they are not forwarded (catalogue 50).
                        Err(_) => continue,
                    },
                };
                let length = data.len() as u64;
                let Some(rest) = left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(BodyError::TooLarge(*limit))));
                };
                *left = rest;
                sent.fetch_add(length, Ordering::Relaxed);
                return Poll::Ready(Some(Ok(Frame::data(data))));
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) | Self::Attended { bytes, .. } => bytes.is_empty(),
            Self::Stream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) | Self::Attended { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// Reads a body to its end, at most `limit` bytes. Trailers are dropped.
pub async fn read_to_end(mut incoming: CallerBody, limit: u64) -> Result<Bytes, BodyError> {
    if incoming.size_hint().lower() > limit {
        return Err(BodyError::TooLarge(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length: u64 = 0;
    while !incoming.is_end_stream() {
        let Some(frame) =
            tokio::time::timeout(BODY_SILENCE_MAX, incoming.frame()).await.map_err(|_| BodyError::Silent)?
        else {
            break;
        };
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        length += data.len() as u64;
        if length > limit {
            return Err(BodyError::TooLarge(limit));
        }
        match first.take() {
            // Most bodies are one piece, which is kept without a copy.
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(before) => {
                rest.extend_from_slice(&before);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}
