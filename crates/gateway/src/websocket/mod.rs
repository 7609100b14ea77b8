//! WebSocket: a connection that goes on after its handshake, message by message.
//!
//! Promise:
//! - a WebSocket opens with a [`Permit`](crate::admit::Permit) for its handshake, and each message of the caller leaves
//!   whole, with a permit of its own: it is judged and masked as the body of a request is, and what a rule blocks ends
//!   both sides with 1008 before a byte of it left;
//! - messages of the upstream pass the guard of tool calls, the masker and the recorder like the events of a stream: the
//!   injected credential is masked also where it is split over the deltas of one item, or over texts that follow each
//!   other;
//! - nothing passes that cannot be looked into. Extensions are not asked for, so a compressed message breaks the
//!   protocol (1002). Messages beyond the bound (1009), texts that are no UTF-8 (1007) and floods of control frames (1008)
//!   end both sides. Pings are answered here and pongs end here: what they carry is judged by nobody;
//! - it ends with its session, with the caller's token, with the gateway, after [`OPEN_MAX`], and when both sides are
//!   silent for the connection's `idle_timeout`. It runs in the task of the caller's connection, and leaves none behind.
//!
//! Everything that fails ends both sides: *fails closed*.
//!
//! Exceptions:
//! - a rule that holds a message or a handshake for a human ends it, since neither can wait; windows hold for both;
//! - what masks the messages of the upstream is what the verdict over the handshake says, for as long as it is open, and
//!   a policy that is loaded meanwhile holds for what opens after it;
//! - a WebSocket counts as one request of a budget; tokens and bytes are drawn at the end of each response, and a message
//!   is refused when a budget of those is used up;
//! - the reason of a caller's close frame is not passed on, only its code.

mod down;
mod ending;
mod handshake;
mod peer;
mod relay;
mod tunnel;
mod up;

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use keyward_core::Operation;

pub(crate) use self::handshake::{Asked, Wish};
pub(crate) use self::tunnel::{Tunnel, is_accepted, open};
use crate::edge::Handover;
use crate::refusal::{Refusal, RefusalKind};

/// The longest that a WebSocket is open.
pub const OPEN_MAX: Duration = Duration::from_hours(2);
/// Control frames that one side may send within [`CONTROL_FRAMES_PER`].
pub const CONTROL_FRAMES_MAX: u32 = 60;
/// The time that [`CONTROL_FRAMES_MAX`] is for.
pub const CONTROL_FRAMES_PER: Duration = Duration::from_secs(10);

/// A handshake of a caller, with what its connection needs to leave HTTP.
pub(crate) struct Opening {
    wish: Wish,
    caller: OnUpgrade,
    handover: Handover,
}

impl Opening {
    /// Takes what belongs to the handshake off a request.
    pub(crate) fn take(wish: Wish, parts: &mut Parts) -> Result<Self, Refusal> {
        handshake::strip(&mut parts.headers);
        match (parts.extensions.remove(), parts.extensions.remove()) {
            (Some(caller), Some(handover)) => Ok(Self { wish, caller, handover }),
            _ => Err(Refusal::new(RefusalKind::Internal, "This connection cannot go on as a WebSocket.")),
        }
    }
}

/// What a WebSocket was opened as.
pub(crate) struct Opened {
    /// The operation of its handshake.
    pub(crate) operation: Arc<Operation>,
    /// The rule that asked for an approval, where a window took its place.
    pub(crate) granted: Option<Arc<str>>,
}

/// Fresh random bytes.
fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| {
        Refusal::new(RefusalKind::Internal, "The gateway has no randomness at the moment.").because(error)
    })?;
    Ok(bytes)
}
