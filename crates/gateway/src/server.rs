//! The data listener: hands each request to [`answer`], within bounds on heads, headers and streams.
//!
//! Promise: stopping lets exchanges under way finish within the grace time, then ends them with an error, and records each.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::exchange::answer;
use crate::listen::{Http, Listener};
use crate::metrics::Metrics;
use crate::settings::Limits;
use crate::snapshot::Gateway;

/// Concurrent streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Streams of one connection that its peer may reset before they were answered.
const RESETS_MAX: usize = 64;
/// hyper needs this much room to read into.
const READ_BYTES_MIN: usize = 8 * 1024;

/// A data listener.
pub struct DataServer {
    /// Where it listens.
    pub listener: TcpListener,
    /// TLS; plain text when none.
    pub tls: Option<TlsAcceptor>,
    /// The configuration at work, swapped by a reload.
    pub gateway: Arc<ArcSwap<Gateway>>,
    /// Ends accepting; open connections finish what is under way.
    pub stop: CancellationToken,
}

impl DataServer {
    /// Serves until `stop`, then until every connection has ended or `grace` is over.
    pub async fn run(self, grace: Duration) {
        let Self { listener, tls, gateway, stop } = self;
        let limits = gateway.load().limits;
        let listener = Listener {
            socket: listener,
            tls,
            http: http(&limits),
            heads: keyward_wire::http1::Limits {
                head_bytes: usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX),
                headers: limits.headers_max,
            },
            connections_max: limits.connections_max,
            unheard_max: None,
            stop,
        };
        let serving = Arc::clone(&gateway);
        let service = move |peer| {
            let open = Open::new(&serving.load().shared.metrics);
            let gateway = Arc::clone(&serving);
            service_fn(move |request| {
                let _open = &open;
                let gateway = gateway.load_full();
                // On the heap: hyper keeps as much room as this takes for as long as the connection is open.
                Box::pin(answer(gateway, peer, request).map(Ok::<_, Infallible>))
            })
        };
        // What is dropped then records its outcome.
        listener.run(grace, service, || gateway.load().shared.running.cut()).await;
    }
}

fn http(limits: &Limits) -> Http {
    let (mut http1, mut http2) = (http1::Builder::new(), http2::Builder::new(TokioExecutor::new()));
    http1
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX).max(READ_BYTES_MIN))
        .half_close(false)
        .keep_alive(true);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(limits.header_bytes_max)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(Some(RESETS_MAX))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024);
    Http { http1, http2 }
}

/// Counts a connection while it is open.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No certificate in the file.
    #[error("the certificate file holds no PEM certificate")]
    Certificate,
    /// No key in the file.
    #[error("the key file holds no PEM private key")]
    Key,
    /// They do not fit together, or the key is of an unknown kind.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// TLS for a listener, from PEM texts.
pub fn tls_acceptor(certificate_pem: &[u8], key_pem: &[u8]) -> Result<TlsAcceptor, CertificateError> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::Certificate)?;
    if chain.is_empty() {
        return Err(CertificateError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CertificateError::Key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(CertificateError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
