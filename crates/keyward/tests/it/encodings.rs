//! Content codings and charsets, said and unsaid, and what only looks like them; bombs.

use std::io::Write as _;

use keyward_journal::record::End;
use serde_json::json;

use crate::kit::{ALLOW, Caller, Upstream, reply, request};
use crate::masking::{SECRET, assert_absent, clean, world};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8], framed: bool) -> Vec<u8> {
    let mut encoder = flate2::Compress::new(flate2::Compression::default(), framed);
    let mut out = Vec::with_capacity(plain.len() + 100);
    encoder.compress_vec(plain, &mut out, flate2::FlushCompress::Finish).unwrap();
    out
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(plain).unwrap();
    out
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 3).unwrap()
}

/// Answers with an echo of the credential, encoded as the last segment of the path says.
fn encoded(seen: &crate::kit::Seen) -> Vec<u8> {
    let plain = json!({"echo": seen.all("authorization").concat(), "accepted": seen.all("accept-encoding")});
    let plain = plain.to_string().into_bytes();
    let json = ("content-type", "application/json");
    let with = |name: &str, body: Vec<u8>| reply("200 OK", &[json, ("content-encoding", name)], body);
    match seen.line.split(['/', ' ']).nth(4).unwrap() {
        "gzip" => with("gzip", gzip(&plain)),
        "upper" => with("GZIP", gzip(&plain)),
        "x-gzip" => with("x-gzip", gzip(&plain)),
        "deflate" => with("deflate", deflate(&plain, true)),
        "bare" => with("deflate", deflate(&plain, false)),
        "br" => with("br", brotli(&plain)),
        "zstd" => with("zstd", zstd(&plain)),
        "twice" => with("gzip, gzip", gzip(&gzip(&plain))),
        "mixed" => with("gzip, br", brotli(&gzip(&plain))),
        "lines" => reply(
            "200 OK",
            &[json, ("content-encoding", "zstd"), ("content-encoding", "gzip")],
            gzip(&zstd(&plain)),
        ),
        "identity" => with("identity", plain),
        "error" => reply("500 Oops", &[json, ("content-encoding", "br")], brotli(&plain)),
        "four" => with("gzip, gzip, gzip, gzip", gzip(&gzip(&gzip(&gzip(&plain))))),
        "unknown" => with("compress", plain),
        "unsaid-gzip" => reply("200 OK", &[json], gzip(&plain)),
        "unsaid-zstd" => reply("200 OK", &[json], zstd(&plain)),
        "unsaid-zlib" => reply("200 OK", &[("content-type", "text/plain")], deflate(&plain, true)),
        "lie-gzip" => with("gzip", plain),
        "lie-br" => with("br", plain),
        "lie-zstd" => with("zstd", gzip(&plain)),
        "lie-deflate" => with("deflate", plain),
        "half-gzip" => with("gzip", gzip(&plain)[..60].to_vec()),
        "half-br" => with("br", brotli(&plain)[..60].to_vec()),
        "half-zstd" => with("zstd", zstd(&plain)[..60].to_vec()),
        charset => {
            reply("200 OK", &[("content-type", &format!("application/json; charset={charset}"))], plain)
        }
    }
}

#[test]
fn catalogue_59_60_62_encodings_are_decoded_and_masked_or_refused() {
    let upstream = Upstream::answering(encoded);
    let world = world(&upstream, ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let decoded = [
        "gzip", "upper", "x-gzip", "deflate", "bare", "br", "zstd", "twice", "mixed", "lines", "identity",
        "error", "utf-8", "UTF8", "us-ascii", "utf-16", "utf-32le",
    ];
    for place in decoded {
        let mut caller = Caller::connect(gateway.data);
        let accepts = [("accept-encoding", "zstd, br, *")];
        caller.send(request("GET", &format!("/models/v1/models/{place}"), &token, &accepts, b""));
        let answer = caller.answer();
        assert_absent(&caller.line.raw, SECRET, place);
        assert_eq!(answer.status, if place == "error" { 500 } else { 200 }, "{place}: {answer:?}");
        // 60: what the caller accepts is narrowed, and what comes anyway is decoded.
        let wanted = json!({"echo": "Bearer [REDACTED:secret:KEY]", "accepted": ["identity"]});
        assert_eq!(answer.json(), wanted, "{place}");
        assert!(answer.all("content-encoding").is_empty(), "{place}");
    }
    let refused = [
        "four",
        "unknown",
        "unsaid-gzip",
        "unsaid-zstd",
        "unsaid-zlib",
        "lie-gzip",
        "lie-br",
        "lie-zstd",
        "lie-deflate",
        "half-gzip",
        "half-br",
        "half-zstd",
        "utf-7",
        "shift_jis",
    ];
    for place in refused {
        let answer = clean(&gateway, &token, &format!("/models/v1/models/{place}"));
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid"), "{place}: {answer:?}");
    }
    let ends = world.ends();
    assert_eq!(ends.iter().filter(|end| **end == End::MaskFailed).count(), refused.len());
    assert_eq!(ends.len(), decoded.len() + refused.len());
}

#[test]
fn catalogue_61_bombs_end_in_an_error_and_in_constant_memory() {
    let zeros = vec![b'0'; 96 << 20];
    let twice = gzip(&gzip(&zeros));
    let bombs =
        [("gzip", gzip(&zeros)), ("br", brotli(&zeros)), ("zstd", zstd(&zeros)), ("gzip, gzip", twice)];
    drop(zeros);
    // Two thousand megabytes of a window, which no zstd over HTTP may ask for (RFC 9659).
    let window = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3][..], &[1, 0, 0]].concat();
    let count = bombs.len() + 1;
    let upstream = Upstream::answering(move |seen| {
        let number: usize = seen.line.split(['/', ' ']).nth(4).unwrap().parse().unwrap();
        let (name, body) = bombs.get(number).cloned().unwrap_or(("zstd", window.clone()));
        reply("200 OK", &[("content-encoding", name), ("content-type", "text/plain")], body)
    });
    let world = world(&upstream, ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let before = gateway.memory();
    for number in 0..count {
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", &format!("/models/v1/models/{number}"), &token, &[], b""));
        let mut caller_got = 0;
        if caller.head().unwrap().status == 200 {
            // A chunk of no bytes would be an end in order; the connection must end instead.
            while let Some(chunk) = caller.line.chunk() {
                assert!(!chunk.is_empty(), "the bomb {number} came to an end after {caller_got} bytes");
                caller_got += chunk.len();
            }
        }
        assert!(caller_got < 48 << 20, "{number}: {caller_got}");
        let grown = gateway.memory().saturating_sub(before);
        assert!(grown < 64 << 20, "{number}: {grown}");
    }
    let ends = world.ends();
    assert_eq!(ends, vec![End::MaskFailed; count]);
}
