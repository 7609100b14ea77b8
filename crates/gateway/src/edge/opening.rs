//! The first bytes of a connection, and how long they may take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

/// Longest time to a connection's first bytes.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes after which hyper knows the protocol: the preface of HTTP/2 (RFC 9113, section 3.4). No request of HTTP/1.1 is
/// shorter.
const OPENING_BYTES: usize = 24;

/// A stream whose peer must begin within [`OPENING_TIMEOUT`]: hyper waits without limit for the bytes by which it tells
/// HTTP/1.1 from HTTP/2, and whoever sends none of them would keep a place for ever.
pub(super) struct Opening<S> {
    /// Written to as it is.
    pub(super) stream: S,
    /// None once [`OPENING_BYTES`] came.
    deadline: Option<Pin<Box<Sleep>>>,
    missing: usize,
}

impl<S> Opening<S> {
    pub(super) fn new(stream: S) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep(OPENING_TIMEOUT)));
        Self { stream, deadline, missing: OPENING_BYTES }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(deadline) = &mut self.deadline else { return read };
        if read.is_pending() {
            std::task::ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        self.missing = self.missing.saturating_sub(buffer.filled().len() - before);
        if self.missing == 0 {
            self.deadline = None;
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_begin_is_let_go() {
        for begun in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut peer, ours) = tokio::io::duplex(64);
            peer.write_all(begun.as_bytes()).await.unwrap();
            let mut all = Vec::new();
            let error = Opening::new(ours).read_to_end(&mut all).await.unwrap_err();
            assert_eq!((error.kind(), all.as_slice()), (std::io::ErrorKind::TimedOut, begun.as_bytes()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_began_may_be_silent() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(&[b'x'; OPENING_BYTES]).await.unwrap();
        let mut ours = Opening::new(ours);
        ours.read_exact(&mut [0; OPENING_BYTES]).await.unwrap();
        let later = tokio::time::timeout(OPENING_TIMEOUT * 3, ours.read_u8()).await;
        assert!(later.is_err(), "still open: {later:?}");
    }
}
