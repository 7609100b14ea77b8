//! What the gateway fetches for itself, and what it does not: caps, deadlines, redirects, certificates.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use keyward_gateway::fetch::{FetchClient, FetchError, FetchLimits, FetchUrl, PlainHttp, URL_BYTES_MAX};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::kit::{Answer, FakeIssuer, client};

const LIMITS: FetchLimits = FetchLimits { body_bytes_max: 1_000, deadline: Duration::from_secs(30) };

fn url(text: &str) -> FetchUrl {
    FetchUrl::parse(text, PlainHttp::LoopbackOnly).unwrap()
}

#[test]
fn plain_http_goes_to_loopback_only() {
    for good in [
        "http://127.0.0.1:1/x",
        "http://127.8.9.1/",
        "http://[::1]:80/",
        "http://localhost/",
        "https://a.test/",
    ] {
        assert!(FetchUrl::parse(good, PlainHttp::LoopbackOnly).is_ok(), "{good}");
    }
    for bad in [
        "http://a.test/",
        "http://169.254.169.254/latest",
        "http://localhost.a.test/",
        "http://127.0.0.1.a.test/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
    ] {
        assert!(matches!(FetchUrl::parse(bad, PlainHttp::LoopbackOnly), Err(FetchError::Url(_))), "{bad}");
        assert!(FetchUrl::parse(bad, PlainHttp::Anywhere).is_ok(), "{bad}");
    }
    for bad in [
        "",
        "/x",
        "a.test",
        "https://",
        "https:///x",
        "ftp://a.test/",
        "https://u@a.test/",
        "https://a.test/#f",
        "file:///etc/x",
    ] {
        assert!(FetchUrl::parse(bad, PlainHttp::Anywhere).is_err(), "{bad}");
    }
    let longest = format!("https://a.test/{}", "x".repeat(URL_BYTES_MAX - 15));
    assert!(FetchUrl::parse(&longest, PlainHttp::LoopbackOnly).is_ok());
    assert!(FetchUrl::parse(&format!("{longest}x"), PlainHttp::LoopbackOnly).is_err());
    assert!(url("https://A.test/x").same_origin(&url("https://a.test:443/y")));
    for other in ["https://a.test:444/", "https://b.test/", "https://sub.a.test/", "https://a.test.b.test/"] {
        assert!(!url("https://a.test/").same_origin(&url(other)), "{other}");
    }
}

#[tokio::test]
async fn a_body_ends_at_its_cap() {
    let server = FakeIssuer::start(&[]).await;
    let target = url(&format!("{}/jwks", server.url));
    for (bytes, fits) in [(1_000, true), (1_001, false), (10_000_000, false)] {
        server.answer_jwks(Answer::Bytes(bytes));
        let outcome = client().get(&target, LIMITS).await;
        assert_eq!(outcome.as_ref().is_ok_and(|answer| answer.body.len() == bytes), fits, "{bytes}");
        assert!(fits || matches!(outcome, Err(FetchError::TooLong)));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (server, other) = (FakeIssuer::start(&[]).await, FakeIssuer::start(&[]).await);
    server.answer_jwks(Answer::Redirect(format!("{}/jwks", other.url)));
    let target = url(&format!("{}/jwks", server.url));
    for method in [Method::GET, Method::POST] {
        let answer =
            client().send(method, &target, HeaderMap::new(), Bytes::from_static(b"x"), LIMITS).await.unwrap();
        assert_eq!(answer.status, StatusCode::FOUND);
    }
    assert!(other.requests().is_empty());
}

/// Accepts one connection after the other, and writes to each what `answer` says; then keeps it open.
async fn raw_server(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 4_096]).await);
            drop(stream.write_all(&answer).await);
            open.push(stream);
        }
    });
    url
}

#[tokio::test]
async fn an_answer_that_does_not_end_ends_at_the_deadline() {
    let limits = FetchLimits { deadline: Duration::from_millis(50), ..LIMITS };
    for answer in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n1234\r\n",
    ] {
        let outcome = client().get(&url(&raw_server(answer).await), limits).await;
        assert!(matches!(outcome, Err(FetchError::Deadline)), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_was_announced_too_long_or_packed_is_not_read() {
    let too_long = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n").await;
    assert!(matches!(client().get(&url(&too_long), LIMITS).await, Err(FetchError::TooLong)));
    for (bytes, fits) in [(1_000, true), (1_001, false)] {
        let body = "x".repeat(bytes);
        let chunked =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n");
        let outcome = client().get(&url(&raw_server(chunked).await), LIMITS).await;
        assert_eq!(outcome.is_ok(), fits, "{bytes} bytes that were not announced");
    }
    let packed = raw_server(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n").await;
    assert!(matches!(client().get(&url(&packed), LIMITS).await, Err(FetchError::Encoding)));
}

#[tokio::test]
async fn certificates_are_checked() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(signing_key.serialize_der().into()))
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            drop(stream.read(&mut [0; 4_096]).await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
        }
    });
    let target = url(&format!("https://localhost:{port}/"));
    assert!(
        matches!(client().get(&target, LIMITS).await, Err(FetchError::Unreachable(_))),
        "an unknown certificate"
    );
    let trusting = FetchClient::new(Some(cert.pem().as_bytes())).unwrap();
    assert_eq!(trusting.get(&target, LIMITS).await.unwrap().body, "ok");
    let by_address = url(&format!("https://127.0.0.1:{port}/"));
    assert!(
        matches!(trusting.get(&by_address, LIMITS).await, Err(FetchError::Unreachable(_))),
        "another name"
    );
    assert!(matches!(FetchClient::new(Some(b"no certificate")), Err(FetchError::Certificate(_))));
}
