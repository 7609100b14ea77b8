//! The admin listener: hands each request to the routes, within bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::service::TowerToHyperService;
use keyward_journal::Reader;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Exposure, router};
use crate::listen::{Http, Listener};
use crate::snapshot::Gateway;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Who hears nothing of what is sent for so long is gone: a machine that fell asleep watches no call any more.
const UNHEARD_MAX: Duration = Duration::from_secs(5);
/// Longest time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
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
        let heads = keyward_wire::http1::Limits {
            head_bytes: usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX),
            headers: HEADERS_MAX,
        };
        let listener = Listener {
            socket: listener,
            tls,
            http: http(),
            heads,
            connections_max: CONNECTIONS_MAX,
            unheard_max: Some(UNHEARD_MAX),
            stop,
        };
        let service = move |peer: SocketAddr| {
            let routes = TowerToHyperService::new(routes.clone());
            service_fn(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                routes.call(request)
            })
        };
        listener.run(grace, service, || ()).await;
    }
}

fn http() -> Http {
    let (mut http1, mut http2) = (http1::Builder::new(), http2::Builder::new(TokioExecutor::new()));
    http1.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_headers(HEADERS_MAX);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    Http { http1, http2 }
}
