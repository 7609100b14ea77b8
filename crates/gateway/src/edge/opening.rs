//! The first bytes of a connection: which version of HTTP it speaks, and how long its peer may take to say so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use keyward_wire::http1::HTTP2_PREFACE;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// Longest time to a connection's first bytes.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes after which the version is known (RFC 9113, section 3.4). No request of HTTP/1.1 is shorter.
const OPENING_BYTES: usize = HTTP2_PREFACE.len();

/// A stream that has begun. What was read to tell its version is read again, and with it, in one go, what came since:
/// hyper makes its buffer larger for the rest of a request whose beginning comes alone.
pub(crate) struct Begun<S> {
    /// Written to as it is.
    pub(super) stream: S,
    head: [u8; OPENING_BYTES],
    /// Bytes of `head` that came, and that were read again.
    came: usize,
    given: usize,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Waits until the version is known, or the stream ends. A peer that takes too long keeps no place for ever: it is an
    /// error ([`io::ErrorKind::TimedOut`]).
    pub(crate) async fn of(stream: S) -> io::Result<Self> {
        let mut begun = Self { stream, head: [0; OPENING_BYTES], came: 0, given: 0 };
        tokio::time::timeout(OPENING_TIMEOUT, begun.begin()).await??;
        Ok(begun)
    }

    async fn begin(&mut self) -> io::Result<()> {
        while self.may_be_http2() && !self.is_http2() {
            let read = self.stream.read(self.head.get_mut(self.came..).unwrap_or_default()).await?;
            if read == 0 {
                break;
            }
            self.came += read;
        }
        Ok(())
    }

    fn may_be_http2(&self) -> bool {
        self.head.get(..self.came).is_some_and(|head| HTTP2_PREFACE.starts_with(head))
    }

    /// Whether it speaks HTTP/2; HTTP/1.1 otherwise.
    pub(crate) fn is_http2(&self) -> bool {
        self.head == HTTP2_PREFACE
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let again = self.head.get(self.given..self.came).unwrap_or_default();
        let again = again.get(..again.len().min(buffer.remaining())).unwrap_or_default();
        let length = again.len();
        if length == 0 {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        buffer.put_slice(again);
        self.given += length;
        if self.given == self.came
            && buffer.remaining() > 0
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_read(cx, buffer)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_begin_is_let_go() {
        for begun in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut peer, ours) = tokio::io::duplex(64);
            peer.write_all(begun.as_bytes()).await.unwrap();
            let error = Begun::of(ours).await.map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{begun}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_began_may_be_silent() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(HTTP2_PREFACE).await.unwrap();
        let mut ours = Begun::of(ours).await.unwrap();
        ours.read_exact(&mut [0; OPENING_BYTES]).await.unwrap();
        let later = tokio::time::timeout(OPENING_TIMEOUT * 3, ours.read_u8()).await;
        assert!(later.is_err(), "still open: {later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_version_is_told_and_nothing_is_lost() {
        let preface_and_more = [HTTP2_PREFACE, b"more"].concat();
        for (all, is_http2) in [
            (&b""[..], false),
            (b"G", false),
            (b"PRI * HTTP/1.1\r\nhost: h\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", false),
            (b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", false),
            (HTTP2_PREFACE, true),
            (&preface_and_more, true),
        ] {
            for (piece, room) in [(1, 1), (1, 64), (7, 3), (24, 24), (64, 5), (64, 64)] {
                let (mut peer, ours) = tokio::io::duplex(piece);
                let writing = async {
                    peer.write_all(all).await.unwrap();
                    drop(peer);
                };
                let reading = async {
                    let mut begun = Begun::of(ours).await.unwrap();
                    let (version, mut read, mut buffer) = (begun.is_http2(), Vec::new(), vec![0; room]);
                    loop {
                        match begun.read(&mut buffer).await.unwrap() {
                            0 => return (version, read),
                            length => read.extend_from_slice(&buffer[..length]),
                        }
                    }
                };
                let ((), (version, read)) = tokio::join!(writing, reading);
                assert_eq!((version, read.as_slice()), (is_http2, all), "{piece} {room}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_there_whole_is_read_in_one_go() {
        let (mut peer, ours) = tokio::io::duplex(1024);
        let request = [&b"POST /a HTTP/1.1\r\ncontent-length: 300\r\n\r\n"[..], &[b'x'; 300]].concat();
        peer.write_all(&request).await.unwrap();
        let mut ours = Begun::of(ours).await.unwrap();
        let mut buffer = [0; 8192];
        assert_eq!(ours.read(&mut buffer).await.unwrap(), request.len());
    }
}
