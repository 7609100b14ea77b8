//! Requests of HTTP/2 that two parsers could read in two ways: nothing of them reaches the upstream.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::kit::{ALLOW, PATIENCE, Scene};
use crate::refusing::scene;

/// HTTP/2 as frames, with header fields written literally, so that nothing is normalised.
mod frames {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const DATA: u8 = 0;
    pub(super) const SETTINGS: u8 = 4;

    pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Fields as literals without indexing (RFC 7541, 6.2.2).
    pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        let mut text = |text: &str| {
            let length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                block.push(127);
                let mut rest = length - 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
            block.extend_from_slice(text.as_bytes());
        };
        let mut all = Vec::new();
        for (name, value) in fields {
            text(name);
            text(value);
        }
        // Each field begins with a zero byte; it is put in afterwards.
        let mut rest = &block[..];
        for (name, value) in fields {
            all.push(0);
            let length = encoded_length(name) + encoded_length(value);
            all.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
        all
    }

    fn encoded_length(text: &str) -> usize {
        let mut length = 1 + text.len();
        if text.len() >= 127 {
            let mut rest = text.len() - 127;
            length += 1;
            while rest >= 128 {
                length += 1;
                rest /= 128;
            }
        }
        length
    }
}

/// The kind of the first frame that ends or answers stream 1, and its payload.
fn h2_end(scene: &Scene, fields: &[(&str, &str)], data: Option<&[u8]>) -> (u8, Vec<u8>) {
    let mut stream = TcpStream::connect(scene.gateway.data).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frames::frame(frames::SETTINGS, 0, 0, &[]));
    let end_stream = u8::from(data.is_none());
    bytes.extend(frames::frame(frames::HEADERS, 4 | end_stream, 1, &frames::fields(fields)));
    if let Some(data) = data {
        bytes.extend(frames::frame(frames::DATA, 1, 1, data));
    }
    stream.write_all(&bytes).unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return (frames::GOAWAY, Vec::new());
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).is_err() {
            return (frames::GOAWAY, Vec::new());
        }
        if matches!(head[3], frames::HEADERS | frames::RST_STREAM | frames::GOAWAY) {
            return (head[3], payload);
        }
    }
}

#[test]
fn catalogue_47_48_h2_requests_in_two_readings_send_nothing() {
    let scene = scene(ALLOW);
    let bearer = format!("Bearer {}", scene.token);
    let good = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "gateway"),
        (":path", "/plain/x"),
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&good[..], more].concat();
    let without = |name: &str| good.iter().filter(|field| field.0 != name).copied().collect::<Vec<_>>();
    let but = |name: &'static str, value: &'static str| {
        good.iter().map(|field| if field.0 == name { (name, value) } else { *field }).collect::<Vec<_>>()
    };
    // 200 and 400 stand in HPACK's static table: 0x88, 0x8c.
    let (kind, payload) = h2_end(&scene, &good, Some(b"{}"));
    assert_eq!((kind, payload[0]), (frames::HEADERS, 0x88), "the good one passes");
    assert_eq!(scene.upstream.seen().len(), 1);
    let pseudo_last = [&without(":path")[..], &[(":path", "/plain/x")]].concat();
    let bearer_twice = [&good[..], &[("authorization", bearer.as_str())]].concat();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("47 te", with(&[("te", "gzip")])),
        ("47 connection", with(&[("connection", "close")])),
        ("47 transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("47 CRLF in a value", with(&[("x-a", "a\r\nx-b: b")])),
        ("47 NUL in a value", with(&[("x-a", "a\0b")])),
        ("47 upper case", with(&[("X-A", "a")])),
        ("47 space in the path", but(":path", "/plain/x y")),
        ("47 empty path", but(":path", "")),
        ("47 two paths", with(&[(":path", "/plain/y")])),
        ("47 two methods", with(&[(":method", "GET")])),
        ("47 unknown pseudo-header", with(&[(":protocol", "websocket")])),
        ("47 pseudo-header after a header", pseudo_last),
        ("47 length over data", with(&[("content-length", "5")])),
        ("47 length under data", with(&[("content-length", "1")])),
        ("47 length twice", with(&[("content-length", "2"), ("content-length", "3")])),
        ("48 no authority", without(":authority")),
        ("48 authority with user", but(":authority", "u@gateway")),
        ("48 authority and host differ", with(&[("host", "other")])),
        ("48 two authorizations", bearer_twice),
        ("48 two credentials", with(&[("x-api-key", "x")])),
        ("35 dots", but(":path", "/plain/../x")),
        ("37 method", but(":method", "TRACE")),
    ];
    for (name, fields) in cases {
        let (kind, payload) = h2_end(&scene, &fields, Some(b"{}"));
        let passed = kind == frames::HEADERS && payload.first() == Some(&0x88);
        assert!(!passed, "{name}");
        assert_eq!(scene.upstream.seen().len(), 1, "{name} reached the upstream");
    }
}
