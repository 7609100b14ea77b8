//! The admin listener: accepts connections, speaks TLS where it is told to, and hands each request to the routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keyward_journal::Reader;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Exposure, router};
use crate::snapshot::Gateway;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Longest time for a TLS handshake, and for the head of a request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, for lack of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// All headers of one request together, in bytes.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// Concurrent streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;

/// An admin listener.
pub struct AdminServer {
    /// Where it listens.
    pub listener: TcpListener,
    /// TLS; plain text when none.
    pub tls: Option<TlsAcceptor>,
    /// The configuration at work, swapped by a reload.
    pub current: Arc<ArcSwap<Gateway>>,
    /// The journal's records.
    pub records: Arc<Reader>,
    /// Ends accepting; open connections finish what is under way.
    pub stop: CancellationToken,
}

impl AdminServer {
    /// Serves until `stop`, then until every connection has ended or `grace` is over.
    pub async fn run(self, grace: Duration) {
        let Self { listener, tls, current, records, stop } = self;
        let loopback = listener.local_addr().is_ok_and(|at| at.ip().is_loopback());
        let exposure = if loopback { Exposure::Loopback } else { Exposure::Network };
        let routes = router(current, records, exposure, stop.clone());
        let builder = Arc::new(http_server());
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let open = TaskTracker::new();
        let end = CancellationToken::new();
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let connection = Connection {
                builder: Arc::clone(&builder),
                routes: routes.clone(),
                tls: tls.clone(),
                stop: stop.clone(),
                peer,
            };
            let end = end.clone();
            open.spawn(async move {
                tokio::select! {
                    () = connection.serve(stream) => {}
                    () = end.cancelled() => {}
                }
                drop(permit);
            });
        }
        drop(listener);
        open.close();
        if tokio::time::timeout(grace, open.wait()).await.is_err() {
            end.cancel();
            open.wait().await;
        }
    }
}

fn http_server() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT).max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    builder
}

struct Connection {
    builder: Arc<auto::Builder<TokioExecutor>>,
    routes: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
    peer: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        match self.tls.clone() {
            None => self.http(stream).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream).await,
                Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
            },
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { builder, routes, stop, peer, .. } = self;
        let routes = TowerToHyperService::new(routes);
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            routes.call(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%peer, error = &*error, "connection ended");
        }
    }
}
