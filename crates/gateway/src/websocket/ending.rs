//! Why a WebSocket ends: what each side is told, and what is on record.

use keyward_journal::JournalError;
use keyward_journal::record::End;
use keyward_mask::walk::MaskError;
use keyward_wire::websocket::WebSocketError;

use crate::refusal::{Refusal, RefusalKind};
use crate::session::{chain, detail};

/// The end of a WebSocket.
#[derive(Debug)]
pub(super) struct Ending {
    /// The status code of the close frames (RFC 6455, 7.4.1).
    pub(super) code: u16,
    /// What the caller is told.
    pub(super) reason: String,
    /// How the exchange ended.
    pub(super) end: End,
    /// For the record only.
    pub(super) detail: Option<String>,
    /// The refusal behind it, for the caller's dialect and the counters.
    pub(super) refusal: Option<Refusal>,
}

/// Which side did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Caller,
    Upstream,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "the caller",
            Self::Upstream => "the upstream",
        }
    }
}

pub(super) const NORMAL: u16 = 1000;
pub(super) const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const NOT_UTF8: u16 = 1007;
const POLICY: u16 = 1008;
const TOO_LONG: u16 = 1009;
const INTERNAL: u16 = 1011;

impl Ending {
    fn new(code: u16, reason: impl Into<String>, end: End) -> Self {
        Self { code, reason: reason.into(), end, detail: None, refusal: None }
    }

    fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Both sides said that they are done.
    pub(super) fn agreed(code: u16) -> Self {
        Self::new(code, "", End::Completed)
    }

    /// One side's connection is gone without a close frame.
    pub(super) fn lost(who: Who, error: Option<&std::io::Error>) -> Self {
        let ending = match who {
            Who::Caller => Self::new(GOING_AWAY, "", End::ClientGone),
            Who::Upstream => Self::new(INTERNAL, "The upstream's connection broke off.", End::UpstreamReset),
        };
        match error {
            Some(error) => ending.with_detail(error.to_string()),
            None => ending,
        }
    }

    /// One side breaks the protocol, or sends what cannot be looked into.
    pub(super) fn breach(who: Who, error: WebSocketError) -> Self {
        let code = match error {
            WebSocketError::Protocol | WebSocketError::Extension => PROTOCOL,
            WebSocketError::TooLong => TOO_LONG,
            WebSocketError::Text => NOT_UTF8,
        };
        Self::blamed(who, code, format!("Stopped: {error} ({}).", who.name()))
    }

    /// One side sends more control frames than anybody needs.
    pub(super) fn flood(who: Who) -> Self {
        Self::blamed(who, POLICY, format!("Stopped: too many control frames ({}).", who.name()))
    }

    fn blamed(who: Who, code: u16, reason: String) -> Self {
        let end = if who == Who::Caller { End::Refused } else { End::UpstreamReset };
        Self::new(code, reason.clone(), end).with_detail(reason)
    }

    /// What the upstream sent cannot be masked.
    pub(super) fn unmasked(error: MaskError) -> Self {
        let code = if error == MaskError::FrameTooLong { TOO_LONG } else { PROTOCOL };
        Self::new(code, "Stopped: a message of the upstream cannot be masked.", End::MaskFailed)
            .with_detail(error.to_string())
    }

    /// What passes cannot be recorded.
    pub(super) fn unrecorded(error: &JournalError) -> Self {
        Self::new(INTERNAL, "Stopped: it cannot be recorded.", End::JournalFailed).with_detail(chain(error))
    }

    /// A message is refused.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let (code, end) = match refusal.kind {
            RefusalKind::BodyTooLarge => (TOO_LONG, End::Refused),
            RefusalKind::UnsupportedBody => (UNSUPPORTED, End::Refused),
            RefusalKind::JournalUnavailable => (INTERNAL, End::JournalFailed),
            RefusalKind::StoreUnavailable | RefusalKind::SecretUnavailable | RefusalKind::Internal => {
                (INTERNAL, End::Refused)
            }
            RefusalKind::SessionEnded => (POLICY, End::SessionEnded),
            _ => (POLICY, End::Refused),
        };
        let ending = Self::new(code, refusal.public.to_string(), end).with_detail(detail(&refusal));
        Self { refusal: Some(refusal), ..ending }
    }

    /// Nobody said anything for too long.
    pub(super) fn silent() -> Self {
        let reason = "Nothing was sent for too long.";
        Self::new(GOING_AWAY, reason, End::UpstreamTimeout).with_detail(reason)
    }

    /// It was open for as long as it may be.
    pub(super) fn over() -> Self {
        let reason = "It was open for as long as it may be, or the token expired; connect again.";
        Self::new(POLICY, reason, End::Refused).with_detail(reason)
    }

    /// The gateway stops.
    pub(super) fn stopped() -> Self {
        Self::new(GOING_AWAY, "The gateway is shutting down; connect again.", End::Stopped)
    }
}
