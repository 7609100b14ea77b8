//! How a connection goes on that leaves HTTP.
//!
//! Promise: only whoever holds what came with a request that asked to change the protocol can make its connection leave
//! HTTP. What goes on then runs in the connection's own task: it keeps the connection's place among those that may be
//! open, and a stop of the listener waits for it and ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::websocket::Tunnel;

/// Of one connection; comes with each of its requests that ask to change the protocol.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<State>);

#[derive(Default)]
struct State {
    left: AtomicBool,
    next: Mutex<Option<Box<Tunnel>>>,
}

impl Handover {
    /// The connection leaves HTTP with the answer that is about to be written; `next` goes on with it.
    pub(crate) fn leave(&self, next: Tunnel) {
        *self.0.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(next));
        self.0.left.store(true, Ordering::Release);
    }

    /// Whether what is read now is HTTP no more.
    pub(crate) fn has_left(&self) -> bool {
        self.0.left.load(Ordering::Acquire)
    }

    /// What goes on; none where it stays with HTTP.
    pub(crate) fn next(&self) -> Option<Box<Tunnel>> {
        self.0.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
