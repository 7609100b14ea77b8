//! What belongs to one hop stays on it: upgrades, trailers, cookies of HTTP/2, and answers whose framing has two readings.

use http::Request;
use http_body_util::{BodyExt as _, Full};
use keyward_journal::record::End;

use crate::kit::modern::{h2, whole};
use crate::kit::{ALLOW, Caller, Upstream, World, http, keyed, reply, request, runtime, until_true};

#[test]
fn catalogue_44_45_nothing_is_tunnelled() {
    let upstream = Upstream::answering(|_| reply("200 OK", &[], "no tunnel"));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let after = "\u{0}\u{1}frames that no request begins with\r\n\r\n";
    // 44: bytes before 101.
    let mut caller = Caller::connect(gateway.data);
    let websocket = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    caller.send(request("GET", "/plain/x", &token, &websocket, b""));
    caller.line.write(after.as_bytes());
    let answer = caller.answer();
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
    assert!(answer.text().contains("WebSocket"), "{}", answer.text());
    assert_eq!(caller.answer_to("GET").map_or(0, |answer| answer.status), 400, "the frames are no request");
    assert!(caller.head().is_none());
    assert!(upstream.saw_nothing());
    // 45: an offer of h2c, and bytes of HTTP/2 behind it.
    let mut caller = Caller::connect(gateway.data);
    let h2c = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ];
    caller.send(request("GET", "/plain/x", &token, &h2c, b""));
    caller.line.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(caller.answer().text(), "no tunnel");
    assert_eq!(caller.answer().status, 505);
    assert!(caller.head().is_none());
    let seen = upstream.only();
    assert_eq!((seen.line.as_str(), seen.headers.len()), ("GET /x HTTP/1.1", 1));
    // A method by which some clients begin a tunnel.
    let mut caller = Caller::connect(gateway.data);
    caller.send(format!(
        "CONNECT plain:443 HTTP/1.1\r\nHost: plain:443\r\nAuthorization: Bearer {token}\r\n\r\n{after}"
    ));
    assert!(matches!(caller.answer().status, 400 | 405));
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn catalogue_44_51_an_upstream_changes_no_protocol() {
    for asked in [&[][..], &[("Connection", "upgrade"), ("Upgrade", "h2c")]] {
        let upstream = Upstream::serving(|wire| {
            if wire.request().is_some() {
                wire.line.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\ntunnelled");
                wire.line.piece();
            }
        });
        let world = World::new(&http("plain", &upstream.url()), ALLOW);
        let gateway = world.start();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", "/plain/x", &world.alice(), asked, b""));
        let answer = caller.answer();
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid"));
        until_true("the end of the upstream's connection", || upstream.closed() == 1);
    }
}

#[test]
fn catalogue_49_h2_becomes_http1_that_is_sound() {
    let upstream = Upstream::answering(|seen| reply("200 OK", &[], &seen.body));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let wide = "x-".to_owned() + &"w".repeat(8000);
    runtime().block_on(async {
        for method in ["GET", "DELETE", "POST"] {
            let request = Request::builder()
                .method(method)
                .uri("http://gateway/plain/x")
                .header("authorization", format!("Bearer {token}"))
                // Crumbs, as HTTP/2 has them (RFC 9113, 8.2.3). A cookie is a credential of the caller.
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .header(wide.as_str(), "1")
                .body(Full::new(bytes::Bytes::new()))
                .unwrap();
            let response = h2(gateway.data).await.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200, "{method}");
        }
        let request = Request::get("http://gateway/plain/x")
            .header("authorization", format!("Bearer {token}"))
            .header("x-long", "x".repeat(70_000))
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        let refused = h2(gateway.data).await.send_request(request).await;
        assert!(refused.as_ref().is_ok_and(|r| r.status() == 431) || refused.is_err(), "{refused:?}");
    });
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for seen in seen {
        assert!(seen.complete && seen.body.is_empty());
        assert!(seen.all("cookie").is_empty() && seen.all("transfer-encoding").is_empty(), "{seen:?}");
        assert!(seen.all("content-length").iter().all(|length| *length == "0"), "{seen:?}");
        assert_eq!(seen.all(&wide), ["1"]);
    }
}

#[test]
fn catalogue_50_trailers_of_a_request_go_nowhere() {
    const KEY: &str = concat!("trailing-", "credential-0123456789");
    let upstream = Upstream::answering(|seen| reply("200 OK", &[], &seen.body));
    let connections =
        [http("plain", &upstream.url()), keyed("keyed", "http", &upstream.url(), "KEY")].concat();
    let world = World::new(&connections, ALLOW).secret("KEY", KEY);
    let gateway = world.start();
    let token = world.alice();
    let names =
        ["authorization", "content-length", "host", "keyward-principal", "transfer-encoding", "x-plain"];
    let lines = names.map(|name| format!("{name}: forged\r\n")).concat();
    for connection in ["plain", "keyed"] {
        // Read first, and passed on as it comes.
        for content_type in ["application/json", "application/octet-stream"] {
            let mut caller = Caller::connect(gateway.data);
            caller.send(format!(
                "POST /{connection}/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\n\
                 TE: trailers\r\nTrailer: authorization\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{lines}\r\n"
            ));
            assert_eq!(caller.answer().text(), "{}", "{connection} {content_type}");
        }
        runtime().block_on(async {
            let mut trailers = http::HeaderMap::new();
            for name in
                names.iter().filter(|name| !matches!(**name, "transfer-encoding" | "content-length" | "host"))
            {
                trailers.insert(*name, "forged".parse().unwrap());
            }
            let body = Full::new(bytes::Bytes::from_static(b"{}"))
                .with_trailers(std::future::ready(Some(Ok(trailers))));
            let request = Request::post(format!("http://gateway/{connection}/x"))
                .header("authorization", format!("Bearer {token}"))
                .body(body)
                .unwrap();
            let response = h2(gateway.data).await.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(whole(response.into_body()).await.unwrap(), "{}");
        });
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 6);
    for seen in seen {
        assert!(seen.complete && seen.trailers.is_empty(), "{seen:?}");
        assert!(!seen.headers.iter().any(|(_, value)| value == "forged"), "{seen:?}");
        assert!(seen.all("authorization").iter().all(|value| *value == format!("Bearer {KEY}")));
    }
}

#[test]
fn catalogue_51_an_answer_whose_framing_has_two_readings_is_a_502() {
    let many = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10_000);
    let wide = format!("HTTP/1.1 200 OK\r\nx-wide: {}\r\ncontent-length: 0\r\n\r\n", "w".repeat(1 << 20));
    for (name, answer) in [
        (
            "both framings",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "both framings, the other way",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("coded", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("list", "HTTP/1.1 200 OK\r\ntransfer-encoding: ,chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
        ("a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello"),
        ("NUL", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n"),
        ("folded", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n"),
        ("space before the colon", "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n"),
        ("ten thousand hints", many.as_str()),
        ("a header of a megabyte", wide.as_str()),
    ] {
        let answer = answer.to_owned();
        let upstream = Upstream::serving(move |wire| {
            if wire.request().is_some() {
                wire.line.write(answer.as_bytes());
                wire.line.close();
            }
        });
        let world = World::new(&http("plain", &upstream.url()), ALLOW);
        let gateway = world.start();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
        let got = caller.answer();
        assert_eq!((got.status, got.code().as_str()), (502, "upstream_invalid"), "{name}: {got:?}");
        assert_ne!(world.outcome().end, End::Completed, "{name}");
        assert_eq!(upstream.seen().len(), 1, "{name}: sent once");
    }
}
