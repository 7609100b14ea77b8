//! One small HTTP client for what the gateway itself asks of identity providers: discovery and keys.
//!
//! Promise: a fetch goes to the address that was checked and nowhere else (redirects are never followed, proxies from
//! the environment never used), is over as a whole at its deadline, and never holds more of an answer than its cap. Plain
//! HTTP goes to loopback only, unless the caller says [`PlainHttp::Anywhere`]. *Fails closed*: everything else is an error.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::understand::is_private;

/// The longest address that is fetched, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// The most idle connections kept per host.
const IDLE_PER_HOST_MAX: usize = 1;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Where plain HTTP may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To `localhost`, `127.0.0.0/8` and `[::1]` only.
    LoopbackOnly,
    /// Anywhere: the operator said so.
    Anywhere,
}

/// An address that may be fetched: checked once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchUrl(Uri);

impl FetchUrl {
    /// Checks an address: absolute, `https` (or `http` as `plain` allows), a host, no user name, no fragment.
    pub fn parse(text: &str, plain: PlainHttp) -> Result<Self, FetchError> {
        if text.len() > URL_BYTES_MAX {
            return Err(FetchError::Url("is too long"));
        }
        if text.contains('#') {
            return Err(FetchError::Url("has a fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| FetchError::Url("is not an absolute http(s) address"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(FetchError::Url("is not an absolute http(s) address"));
        };
        if authority.as_str().contains('@') {
            return Err(FetchError::Url("has a user name"));
        }
        if authority.host().is_empty() {
            return Err(FetchError::Url("has no host"));
        }
        match scheme {
            "https" => Ok(Self(uri)),
            "http" if plain == PlainHttp::Anywhere || is_loopback(authority.host()) => Ok(Self(uri)),
            "http" => Err(FetchError::Url("is plain http to a host that is not loopback: use https")),
            _ => Err(FetchError::Url("is neither https nor http")),
        }
    }

    /// Whether scheme, host and port are the same; a missing port is the scheme's own.
    pub fn same_origin(&self, other: &Self) -> bool {
        let port = |uri: &Uri| {
            uri.port_u16().or(if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) })
        };
        let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
        self.0.scheme() == other.0.scheme()
            && host(&self.0) == host(&other.0)
            && port(&self.0) == port(&other.0)
    }

    /// Whether it has a query.
    pub fn has_query(&self) -> bool {
        self.0.query().is_some()
    }
}

impl fmt::Display for FetchUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Which addresses a fetch may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any: the operator named the host for what it is.
    Anywhere,
    /// Those that are handed out on the internet, and none inside of a network: no metadata service, no loopback.
    Outside,
}

impl Reach {
    /// Refuses a host of which an address lies where nobody may go.
    pub async fn check(self, host: &str, port: u16) -> Result<(), FetchError> {
        if self == Self::Anywhere {
            return Ok(());
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let found =
            tokio::net::lookup_host((bare, port)).await.map_err(|e| FetchError::Unreachable(e.into()))?;
        for address in found {
            if is_private(address.ip()) {
                return Err(FetchError::Inside);
            }
        }
        Ok(())
    }
}

/// Looks names up; of those that lie inside of a network none is given to who may not go there. It is asked anew for each
/// connection, so that a name that changes what it stands for leads nowhere.
#[derive(Clone)]
struct Names(Reach);

type Looked = Pin<Box<dyn Future<Output = Result<std::vec::IntoIter<SocketAddr>, FetchError>> + Send>>;

impl tower_service::Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = FetchError;
    type Future = Looked;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Looked {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|e| FetchError::Unreachable(e.into()))?.collect();
            if reach == Reach::Outside && found.iter().any(|address| is_private(address.ip())) {
                return Err(FetchError::Inside);
            }
            Ok(found.into_iter())
        })
    }
}

/// How much of an answer is read and how long all of it may take.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
    /// From the first step (name look-up) to the last byte.
    pub deadline: Duration,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its status; never followed when it is a redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, within the cap.
    pub body: Bytes,
}

/// An answer whose body is still to come; dropping it ends it.
#[derive(Debug)]
pub struct Opened {
    /// Its status; never followed when it is a redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    incoming: Incoming,
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// An address that may not be fetched.
    #[error("the address {0}")]
    Url(&'static str),
    /// A certificate file that cannot be read.
    #[error("the CA certificates cannot be read")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, TLS failed, or the answer was cut off.
    #[error("the host cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An address inside of a network, where the fetch may not go.
    #[error("the host is inside of a network, which is not allowed for it")]
    Inside,
    /// Not done at the deadline.
    #[error("the answer took too long")]
    Deadline,
    /// More bytes than the cap.
    #[error("the answer is too long")]
    TooLong,
    /// A content encoding that was not asked for.
    #[error("the answer has a content encoding that was not asked for")]
    Encoding,
    /// A status other than the expected one.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// A body that is not what was asked for.
    #[error("the answer {0}")]
    Content(&'static str),
}

/// The client: cheap to clone; its few idle connections are shared.
#[derive(Clone)]
pub struct FetchClient {
    clients: Arc<Clients>,
    reach: Reach,
}

type Connected = Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>;

/// One for each reach: what one keeps open is not the other's.
struct Clients {
    anywhere: Connected,
    outside: Connected,
}

impl fmt::Debug for FetchClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchClient")
    }
}

impl FetchClient {
    /// A client that trusts the system's roots and, beside them, the certificates in `extra_ca` (PEM).
    pub fn new(extra_ca: Option<&[u8]>) -> Result<Self, FetchError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if let Some(pem) = extra_ca {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| FetchError::Certificate(e.into()))?;
                roots.add(certificate).map_err(|e| FetchError::Certificate(e.into()))?;
            }
            if roots.len() == before {
                return Err(FetchError::Certificate("no certificate in the file".into()));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| FetchError::Certificate(e.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = |reach| {
            let mut plain = HttpConnector::new_with_resolver(Names(reach));
            plain.enforce_http(false);
            plain.set_nodelay(true);
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_http1()
                .enable_http2()
                .wrap_connector(plain);
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .build(connector)
        };
        let clients = Clients { anywhere: client(Reach::Anywhere), outside: client(Reach::Outside) };
        Ok(Self { clients: Arc::new(clients), reach: Reach::Anywhere })
    }

    /// The same client, going no farther than that.
    #[must_use]
    pub fn within(&self, reach: Reach) -> Self {
        Self { clients: Arc::clone(&self.clients), reach }
    }

    /// GETs a JSON document; any status is an answer.
    pub async fn get(&self, url: &FetchUrl, limits: FetchLimits) -> Result<Fetched, FetchError> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new(), limits).await
    }

    /// Sends one request and reads the whole answer; any status is an answer, redirects too.
    pub async fn send(
        &self,
        method: Method,
        url: &FetchUrl,
        headers: HeaderMap,
        body: Bytes,
        limits: FetchLimits,
    ) -> Result<Fetched, FetchError> {
        let exchange = async {
            self.open(method, url, headers, body, limits.deadline).await?.whole(limits.body_bytes_max).await
        };
        tokio::time::timeout(limits.deadline, exchange).await.map_err(|_| FetchError::Deadline)?
    }

    /// Sends one request and waits so long for the head of its answer, whose body then comes piece by piece.
    pub async fn open(
        &self,
        method: Method,
        url: &FetchUrl,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Opened, FetchError> {
        // A host that is an address is not looked up.
        let host = url.0.host().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if self.reach == Reach::Outside && literal.is_ok_and(is_private) {
            return Err(FetchError::Inside);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url.0.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("keyward/", env!("CARGO_PKG_VERSION"))));
        let client = match self.reach {
            Reach::Anywhere => &self.clients.anywhere,
            Reach::Outside => &self.clients.outside,
        };
        let response = tokio::time::timeout(deadline, client.request(request))
            .await
            .map_err(|_| FetchError::Deadline)?
            .map_err(|e| FetchError::Unreachable(e.into()))?;
        let (head, incoming) = response.into_parts();
        if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(FetchError::Encoding);
        }
        Ok(Opened { status: head.status, headers: head.headers, incoming })
    }
}

impl Opened {
    /// The next piece of the body; none at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        while let Some(frame) = self.incoming.frame().await {
            let frame = frame.map_err(|e| FetchError::Unreachable(e.into()))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All of it, within the cap.
    pub async fn whole(mut self, body_bytes_max: usize) -> Result<Fetched, FetchError> {
        let announced = self.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > body_bytes_max as u64) {
            return Err(FetchError::TooLong);
        }
        let mut body = BytesMut::new();
        while !self.incoming.is_end_stream() {
            let Some(data) = self.piece().await? else { break };
            if data.len() > body_bytes_max.saturating_sub(body.len()) {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&data);
        }
        Ok(Fetched { status: self.status, headers: self.headers, body: body.freeze() })
    }
}

/// Whether a host is this machine: `localhost`, or a loopback address.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
