//! One listener: accepts connections, speaks TLS where it is told to, serves HTTP/1.1 and HTTP/2, and stops in order.
//!
//! Promise: connections are bounded, handshakes have a time limit, and running out of file descriptors pauses accepting
//! and recovers by itself (catalogue 219). Requests of HTTP/1.1 are screened before they are parsed. Stopping lets what is under way finish within the grace time, then drops it.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::edge::screened;

/// Longest time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to a connection's first bytes.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes after which hyper knows the protocol: the preface of HTTP/2 (RFC 9113, section 3.4). No request of HTTP/1.1 is
/// shorter.
const OPENING_BYTES: usize = 24;
/// Pause after an accept that failed, for lack of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket and how it is served.
pub(crate) struct Listener {
    /// Where it listens.
    pub(crate) socket: TcpListener,
    /// TLS; plain text when none.
    pub(crate) tls: Option<TlsAcceptor>,
    /// HTTP and its bounds.
    pub(crate) http: auto::Builder<TokioExecutor>,
    /// What one head of HTTP/1.1 may have.
    pub(crate) heads: keyward_wire::http1::Limits,
    /// Connections at once; more wait to be accepted.
    pub(crate) connections_max: usize,
    /// Ends accepting; open connections finish what is under way.
    pub(crate) stop: CancellationToken,
}

impl Listener {
    /// Serves each connection with what `service` makes for its peer, until the stop, then until every connection has
    /// ended or `grace` is over; `cut` is told before the rest is dropped.
    pub(crate) async fn run<S, B>(
        self,
        grace: Duration,
        service: impl Fn(SocketAddr) -> S,
        cut: impl FnOnce(),
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { socket, tls, http, heads, connections_max, stop } = self;
        let http = Arc::new(http);
        let room = Arc::new(Semaphore::new(connections_max));
        let open = TaskTracker::new();
        let end = CancellationToken::new();
        while let Some((stream, peer, turn)) = accept(&socket, &room, &stop).await {
            let connection =
                Connection { http: Arc::clone(&http), tls: tls.clone(), heads, stop: stop.clone(), peer };
            let (service, end) = (service(peer), end.clone());
            open.spawn(async move {
                tokio::select! {
                    () = connection.serve(stream, service) => {}
                    () = end.cancelled() => {}
                }
                drop(turn);
            });
        }
        drop(socket);
        open.close();
        if tokio::time::timeout(grace, open.wait()).await.is_err() {
            cut();
            end.cancel();
            open.wait().await;
        }
    }
}

/// The next connection, once there is room for it; none when accepting ends.
async fn accept(
    socket: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let next = async {
        let turn = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, turn)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        next = next => next,
    }
}

struct Connection {
    http: Arc<auto::Builder<TokioExecutor>>,
    tls: Option<TlsAcceptor>,
    heads: keyward_wire::http1::Limits,
    stop: CancellationToken,
    peer: SocketAddr,
}

impl Connection {
    async fn serve<S, B>(self, stream: TcpStream, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        match &self.tls {
            None => self.http(stream, service).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream, service).await,
                Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
            },
        }
    }

    async fn http<S, B>(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (stream, service) = screened(Opening::new(stream), service, self.heads);
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %self.peer, error = &*error, "connection ended");
        }
    }
}

/// A stream whose peer must begin within [`OPENING_TIMEOUT`]: hyper waits without limit for the bytes by which it tells
/// HTTP/1.1 from HTTP/2, and whoever sends none of them would keep a place for ever.
struct Opening<S> {
    stream: S,
    /// None once [`OPENING_BYTES`] came.
    deadline: Option<Pin<Box<Sleep>>>,
    missing: usize,
}

impl<S> Opening<S> {
    fn new(stream: S) -> Self {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
