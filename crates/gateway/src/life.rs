//! Whether a session goes on. Its exchanges share one [`Life`]; ending it ends them all at once, wherever they are.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::refusal::{Refusal, RefusalKind};

/// A session's life.
#[derive(Default)]
pub struct Life {
    over: CancellationToken,
    why: OnceLock<Box<str>>,
}

impl Life {
    /// Ends it. The first reason stands.
    pub(crate) fn end(&self, why: &str) {
        _ = self.why.set(why.into());
        self.over.cancel();
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until it is over: what the caller is told then.
    pub async fn ended(&self) -> Refusal {
        self.over.cancelled().await;
        self.refusal()
    }

    /// What the caller of an ended session is told.
    pub fn refusal(&self) -> Refusal {
        let why = self.why.get().map_or("", |why| why);
        let text = format!(
            "The session was ended while this call was under way ({why}); ask whoever runs the gateway."
        );
        Refusal::new(RefusalKind::SessionEnded, text)
    }
}

/// Waits for the end of a session within a body that is polled. Costs nothing until it waits.
pub(crate) struct Watch {
    life: Arc<Life>,
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Watch {
    pub(crate) const fn new(life: Arc<Life>) -> Self {
        Self { life, waiting: None }
    }

    /// The refusal, when the session is over; to be asked before anything goes out.
    pub(crate) fn over(&self) -> Option<Refusal> {
        self.life.is_over().then(|| self.life.refusal())
    }

    /// Ready when the session is over; to be asked where nothing can go out now.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let token = &self.life.over;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
        waiting.as_mut().poll(cx).map(|()| self.life.refusal())
    }
}
