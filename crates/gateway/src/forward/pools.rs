//! Open connections to one upstream.
//!
//! Promise: connections are kept per connection *and credential version*, so that nothing an upstream remembers about a
//! connection crosses credentials (catalogue 54, 144). Certificates are always verified. Redirects are not followed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use keyward_core::Upstream;

use crate::body::Outgoing;
use crate::refusal::{Refusal, RefusalKind};
use crate::settings::{ConnectionSettings, Http2};

/// Longest time to open a connection to an upstream.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle upstream connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// Credential versions whose pools are kept: the current one and the one it replaces.
const VERSIONS_MAX: usize = 2;

type HttpClient = Client<HttpsConnector<HttpConnector>, Outgoing>;

/// Open upstream connections of one connection, by credential version.
pub struct Pools {
    clients: RwLock<Vec<(Arc<str>, HttpClient)>>,
    tls: rustls::ClientConfig,
    http2: Http2,
}

impl Pools {
    /// Makes empty pools.
    pub fn new(settings: &ConnectionSettings) -> Result<Self, TlsSetupError> {
        Ok(Self {
            clients: RwLock::new(Vec::new()),
            tls: tls_config(settings.ca_pem.as_deref())?,
            http2: settings.http2,
        })
    }

    /// The client for a credential version, made when it is not there.
    pub(super) fn client(&self, version: &str) -> HttpClient {
        let find = |clients: &Vec<(Arc<str>, HttpClient)>| {
            clients.iter().find(|(v, _)| **v == *version).map(|(_, client)| client.clone())
        };
        if let Some(client) = find(&self.clients.read().unwrap_or_else(std::sync::PoisonError::into_inner)) {
            return client;
        }
        let mut clients = self.clients.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = find(&clients) {
            return client;
        }
        if clients.len() >= VERSIONS_MAX {
            clients.remove(0); // requests under way keep their connection until they end
        }
        let client = self.builder().build(self.connector(self.http2));
        clients.push((version.into(), client.clone()));
        client
    }

    /// A client for one request that changes the protocol, over a connection of its own of HTTP/1.1.
    pub(super) fn alone(&self) -> HttpClient {
        self.builder().http2_only(false).pool_max_idle_per_host(0).build(self.connector(Http2::Never))
    }

    fn connector(&self, http2: Http2) -> HttpsConnector<HttpConnector> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http();
        match http2 {
            Http2::Auto => tls.enable_all_versions().wrap_connector(tcp),
            Http2::Never => tls.enable_http1().wrap_connector(tcp),
            Http2::PriorKnowledge => tls.enable_http2().wrap_connector(tcp),
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_only(self.http2 == Http2::PriorKnowledge)
            .http2_initial_stream_window_size(256 * 1024)
            .http2_initial_connection_window_size(4 * 1024 * 1024)
            .http1_max_headers(256)
            .set_host(false);
        builder
    }
}

/// Sends a request and waits for the head of the answer, at most `header_timeout` after the last byte of the request that
/// went out; `sent` counts those.
pub(super) async fn send(
    client: HttpClient,
    request: Request<Outgoing>,
    header_timeout: Duration,
    sent: &AtomicU64,
) -> Result<Response<Incoming>, Refusal> {
    let response = client.request(request);
    tokio::pin!(response);
    let mut seen = sent.load(Ordering::Relaxed);
    loop {
        match tokio::time::timeout(header_timeout, &mut response).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) if error.is_connect() => {
                return Err(Refusal::new(
                    RefusalKind::UpstreamUnreachable,
                    "The upstream of this connection cannot be reached; nothing was sent.",
                )
                .because(error));
            }
            Ok(Err(error)) => return Err(broken(error)),
            // A long upload is no silence.
            Err(_) if sent.load(Ordering::Relaxed) != seen => seen = sent.load(Ordering::Relaxed),
            Err(_) => {
                return Err(Refusal::new(
                    RefusalKind::UpstreamTimeout,
                    format!("The upstream did not begin to answer within {} s.", header_timeout.as_secs()),
                ));
            }
        }
    }
}

/// The caller's own body failing is the caller's fault; everything else is the upstream's.
fn broken(error: hyper_util::client::legacy::Error) -> Refusal {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(body) = cause.downcast_ref::<crate::body::BodyError>() {
            let kind = match body {
                crate::body::BodyError::TooLarge(_) => RefusalKind::BodyTooLarge,
                _ => RefusalKind::BadRequest,
            };
            return Refusal::new(kind, format!("The request did not reach the upstream whole: {body}."))
                .because(error);
        }
        source = cause.source();
    }
    Refusal::new(RefusalKind::UpstreamInvalid, "The upstream's answer broke off or is not valid HTTP.")
        .because(error)
}

/// The URI of a request at its upstream: configured scheme and authority, base path, judged path and query.
pub(super) fn upstream_uri(upstream: &Upstream, path: &str, query: &str) -> Result<Uri, Refusal> {
    let mut target = String::with_capacity(upstream.base_path.len() + path.len() + query.len() + 1);
    target.push_str(&upstream.base_path);
    target.push_str(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    let internal = |error: http::Error| {
        Refusal::new(RefusalKind::Internal, "The upstream address is not valid.").because(error)
    };
    let path_and_query = PathAndQuery::try_from(target).map_err(|e| internal(e.into()))?;
    Uri::builder()
        .scheme(if upstream.https { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(upstream.authority())
        .path_and_query(path_and_query)
        .build()
        .map_err(internal)
}

/// Certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The PEM file of a connection.
    #[error("the certificate authorities are not valid PEM certificates")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No TLS version can be offered.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// TLS towards an upstream: certificates are always verified; there is no switch to turn that off (catalogue 153).
fn tls_config(ca_pem: Option<&[u8]>) -> Result<rustls::ClientConfig, TlsSetupError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    if let Some(pem) = ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| TlsSetupError::Authorities(Box::new(e)))?;
            roots.add(certificate).map_err(|e| TlsSetupError::Authorities(Box::new(e)))?;
        }
        if roots.is_empty() {
            return Err(TlsSetupError::Authorities("there is no certificate in it".into()));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_comes_from_configuration_alone() {
        let upstream =
            Upstream { https: true, host: "models.internal".into(), port: 8443, base_path: "/base".into() };
        let uri = upstream_uri(&upstream, "/v1/x", "a=b").unwrap();
        assert_eq!(uri.to_string(), "https://models.internal:8443/base/v1/x?a=b");
        // A path can never move the authority.
        let uri = upstream_uri(&upstream, "/@evil.example/x", "").unwrap();
        assert_eq!(uri.host(), Some("models.internal"));
    }

    #[test]
    fn certificate_authorities_that_are_none_are_refused() {
        assert!(tls_config(Some(b"not a certificate")).is_err());
    }
}
