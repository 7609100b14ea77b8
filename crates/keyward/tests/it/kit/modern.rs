//! HTTP/2 and TLS, for both ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::runtime;

/// A certificate for `localhost` that signs itself, made for one test.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<_, _>>().unwrap()
    }

    fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), key)
            .unwrap();
        config.alpn_protocols = names(protocols);
        TlsAcceptor::from(Arc::new(config))
    }

    fn connector(&self, protocols: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        self.chain().into_iter().for_each(|certificate| roots.add(certificate).unwrap());
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = names(protocols);
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn names(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// What a [`ModernUpstream`] got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

/// An upstream that speaks HTTP/1.1 and HTTP/2, and answers with the body that it got: in two frames, cut where the last
/// segment of the path says, if it is a number.
pub(crate) struct ModernUpstream {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl ModernUpstream {
    /// In plain text, or with TLS and these protocols to choose from.
    pub(crate) fn start(tls: Option<(&Certificate, &[&str])>) -> Self {
        let acceptor = tls.map(|(certificate, protocols)| certificate.acceptor(protocols));
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let seen = Arc::clone(&got);
        runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, got) = (acceptor.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    match acceptor {
                        None => echo(stream, got).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                echo(stream, got).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, got }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, got: Arc<Mutex<Vec<Got>>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let got = Arc::clone(&got);
        async move {
            let (parts, body) = request.into_parts();
            let cut = parts.uri.path().rsplit('/').next().and_then(|cut| cut.parse().ok());
            got.lock().unwrap().push(Got { version: parts.version, headers: parts.headers });
            let mut body = whole(body).await?;
            let first = body.split_to(cut.unwrap_or_default());
            Ok::<_, hyper::Error>(Response::new(Frames([first, body].into())))
        }
    });
    _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A body of pieces, each a frame.
struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// A body to its end.
pub(crate) async fn whole(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all.into())
}

/// A caller's HTTP/2 connection in plain text, without negotiation.
pub(crate) async fn h2<B>(address: SocketAddr) -> http2::SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    h2_over(TcpStream::connect(address).await.unwrap()).await
}

async fn h2_over<B>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> http2::SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends one request over TLS in whichever version is negotiated.
pub(crate) async fn over_tls(
    address: SocketAddr,
    certificate: &Certificate,
    protocols: &[&str],
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = certificate.connector(protocols).connect(name, stream).await.unwrap();
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return h2_over(stream).await.send_request(request).await.unwrap();
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}
