//! One listener: accepts connections, speaks TLS where it is told to, serves HTTP/1.1 and HTTP/2, and stops in order.
//!
//! Promise: connections are bounded, handshakes have a time limit, and running out of file descriptors pauses accepting
//! and recovers by itself (catalogue 219). Requests of HTTP/1.1 are screened before they are parsed. Stopping lets what is
//! under way finish within the grace time, then drops it.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::edge::{Begun, screened};
use crate::websocket::Tunnel;

/// Longest time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, for lack of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket and how it is served.
pub(crate) struct Listener {
    /// Where it listens.
    pub(crate) socket: TcpListener,
    /// TLS; plain text when none.
    pub(crate) tls: Option<TlsAcceptor>,
    /// HTTP and its bounds.
    pub(crate) http: Http,
    /// What one head of HTTP/1.1 may have.
    pub(crate) heads: keyward_wire::http1::Limits,
    /// Connections at once; more wait to be accepted.
    pub(crate) connections_max: usize,
    /// How long what was sent may stay unheard of before a connection counts as gone; none: as long as the kernel likes.
    pub(crate) unheard_max: Option<Duration>,
    /// Ends accepting; open connections finish what is under way.
    pub(crate) stop: CancellationToken,
}

/// Both versions of HTTP, with their bounds.
pub(crate) struct Http {
    /// Of connections that do not begin with the preface of HTTP/2.
    pub(crate) http1: http1::Builder,
    /// Of those that do.
    pub(crate) http2: http2::Builder<TokioExecutor>,
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
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { socket, tls, http, heads, connections_max, unheard_max, stop } = self;
        let http = Arc::new(http);
        let room = Arc::new(Semaphore::new(connections_max));
        let open = TaskTracker::new();
        let end = CancellationToken::new();
        while let Some((stream, peer, turn)) = accept(&socket, &room, &stop).await {
            if let Some(unheard) = unheard_max {
                let millis = u32::try_from(unheard.as_millis()).unwrap_or(u32::MAX);
                if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, millis) {
                    tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
                }
            }
            let connection =
                Connection { http: Arc::clone(&http), tls: tls.clone(), heads, stop: stop.clone(), peer };
            let (service, end) = (service(peer), end.clone());
            open.spawn(async move {
                let next = tokio::select! {
                    next = connection.serve(stream, service) => next,
                    () = end.cancelled() => None,
                };
                if let Some(next) = next {
                    Box::pin(next.run(end)).await;
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
    http: Arc<Http>,
    tls: Option<TlsAcceptor>,
    heads: keyward_wire::http1::Limits,
    stop: CancellationToken,
    peer: SocketAddr,
}

impl Connection {
    /// Serves HTTP to its end; what goes on with the connection then, where something does.
    async fn serve<S, B>(self, stream: TcpStream, service: S) -> Option<Box<Tunnel>>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        match &self.tls {
            None => self.http(stream, service).await,
            Some(tls) => {
                let stream = Box::pin(self.handshake(tls, stream)).await?;
                self.http(stream, service).await
            }
        }
    }

    /// A connection's own part of TLS, on the heap: it is large, and what follows moves it about.
    async fn handshake(&self, tls: &TlsAcceptor, stream: TcpStream) -> Option<Box<TlsStream<TcpStream>>> {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer, %error, "TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(peer = %self.peer, "TLS handshake took too long");
                None
            }
        }
    }

    /// The stream once it has begun.
    async fn begin<T: AsyncRead + Unpin>(&self, stream: T) -> Option<Begun<T>> {
        let begun = tokio::select! {
            begun = Begun::of(stream) => begun,
            () = self.stop.cancelled() => return None,
        };
        begun.inspect_err(|error| tracing::debug!(peer = %self.peer, %error, "connection did not begin")).ok()
    }

    async fn http<S, B>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        service: S,
    ) -> Option<Box<Tunnel>>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // Each step on the heap, so that a connection takes no more than what it is for as long as it is open.
        let begun = Box::pin(self.begin(stream)).await?;
        let is_http2 = begun.is_http2();
        let (stream, service, handover) = screened(begun, service, self.heads);
        let stream = TokioIo::new(stream);
        let served = if is_http2 {
            let connection = Box::pin(self.http.http2.serve_connection(stream, service));
            self.to_its_end(connection, http2::Connection::graceful_shutdown).await
        } else {
            let connection = Box::pin(self.http.http1.serve_connection(stream, service).with_upgrades());
            self.to_its_end(connection, http1::UpgradeableConnection::graceful_shutdown).await
        };
        if let Err(error) = served {
            tracing::debug!(peer = %self.peer, error = &error as &dyn Error, "connection ended");
        }
        handover.next()
    }

    /// Serves a connection until it ends; from the stop on, what is under way.
    async fn to_its_end<C>(&self, mut connection: Pin<Box<C>>, wind_up: fn(Pin<&mut C>)) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        tokio::select! {
            served = connection.as_mut() => return served,
            () = self.stop.cancelled() => wind_up(connection.as_mut()),
        }
        connection.await
    }
}
