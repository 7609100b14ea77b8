//! Credentials in files, forms, markup and parts.

use crate::evasion::{MASKED, SECRET, clean, escaped, place, world};
use crate::kit::{Upstream, call, reply};

/// Files with a value in their metadata, as their writers lay them out.
fn files(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let value = value.as_bytes();
    let noise: Vec<u8> =
        (0..3000u32).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let joined = |parts: &[&[u8]]| parts.concat();
    let mut tar = vec![0; 1536];
    tar[..5].copy_from_slice(b"a.env");
    tar[257..262].copy_from_slice(b"ustar");
    tar[512..512 + value.len().min(512)].copy_from_slice(&value[..value.len().min(512)]);
    vec![
        (
            "application/octet-stream",
            joined(&[&64u64.to_le_bytes(), b"{\"__metadata__\":{\"key\":\"", value, b"\"}}", &noise]),
        ),
        (
            "application/octet-stream",
            joined(&[b"GGUF\x03\0\0\0", &[0; 16], b"\x03\0\0\0\0\0\0\0key\x08\0\0\0", value, &noise]),
        ),
        ("image/png", joined(&[b"\x89PNG\r\n\x1a\n\0\0\0\x20tEXtComment\0", value, b"\0\0\0\0", &noise])),
        (
            "application/octet-stream",
            joined(&[b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'key': '", value, b"'}\n", &noise]),
        ),
        ("application/vnd.apache.parquet", joined(&[b"PAR1", &noise, value, b"\x1c\0\0\0PAR1"])),
        ("application/x-tar", tar),
        ("audio/mpeg", joined(&[b"ID3\x03\0\0\0\0\0\x30TXXX", value, &noise])),
        ("application/pdf", joined(&[b"%PDF-1.7\n1 0 obj<</Title(", value, b")>>\n", &noise])),
        ("application/x-protobuf", joined(&[&[0x0a, u8::try_from(value.len()).unwrap()], value, &[0x10, 1]])),
        (
            "multipart/mixed; boundary=b",
            joined(&[
                b"--b\r\ncontent-type: application/octet-stream\r\n\r\n",
                &noise,
                value,
                b"\r\n--b--\r\n",
            ]),
        ),
    ]
}

#[test]
fn catalogue_73_files_hold_no_value_and_are_otherwise_the_same() {
    let upstream = Upstream::answering(|seen| {
        let (kind, body) = files(SECRET)[place(seen).parse::<usize>().unwrap()].clone();
        reply("200 OK", &[("content-type", kind)], body)
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    for (number, (kind, body)) in files(SECRET).into_iter().enumerate() {
        let answer = clean(&gateway, &token, &format!("/models/v1/models/{number}"), &[]);
        let at = body.windows(SECRET.len()).position(|w| w == SECRET.as_bytes()).unwrap();
        let mut wanted = [&body[..at], MASKED.as_bytes(), &body[at + SECRET.len()..]].concat();
        if kind == "application/x-protobuf" {
            wanted[1] = u8::try_from(MASKED.len()).unwrap();
        }
        assert_eq!((answer.status, answer.body == wanted), (200, true), "{number} {kind}: {answer:?}");
    }
}

#[test]
fn catalogue_311_forms_markup_and_parts_are_looked_into() {
    let hex = SECRET.bytes().map(|b| format!("%{b:02x}")).collect::<Vec<_>>().concat();
    let references = SECRET.bytes().map(|b| format!("&#{b};")).collect::<Vec<_>>().concat();
    let bodies = [
        (
            "application/x-www-form-urlencoded",
            format!("a=1&key={hex}"),
            "a=1&key=%5BREDACTED%3Asecret%3AKEY%5D".to_owned(),
        ),
        (
            "text/html",
            format!("<a b='{references}'>{references}</a>"),
            format!("<a b='{MASKED}'>{MASKED}</a>"),
        ),
        ("application/yaml", format!("key: \"{}\"\n", escaped(SECRET)), format!("key: \"{MASKED}\"\n")),
        ("text/plain", format!("{{\"a\":\"{}\"}}", escaped(SECRET)), format!("{{\"a\":\"{MASKED}\"}}")),
        (
            "multipart/form-data; boundary=\"a b\"",
            format!("--a b\r\nContent-Type: application/json\r\n\r\n\"{}\"\r\n--a b--", escaped(SECRET)),
            format!("--a b\r\nContent-Type: application/json\r\n\r\n\"{MASKED}\"\r\n--a b--"),
        ),
    ];
    let sent = bodies.clone();
    let upstream = Upstream::answering(move |seen| match place(seen).parse::<usize>() {
        Ok(number) => reply("200 OK", &[("content-type", sent[number].0)], &sent[number].1),
        Err(_) => reply("200 OK", &[("content-type", "multipart/mixed; boundary=a; boundary=b")], SECRET),
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    for (number, (kind, _, wanted)) in bodies.iter().enumerate() {
        let answer = clean(&gateway, &token, &format!("/models/v1/models/{number}"), &[]);
        assert_eq!(&answer.text(), wanted, "{kind}");
    }
    let refused = clean(&gateway, &token, "/models/v1/models/two", &[]);
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_invalid"));
    // What is looked at before the verdict must be readable.
    let before = upstream.seen().len();
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let answer = call(gateway.data, "POST", "/models/v1/chat/completions", &token, &headers, b"{}");
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_body"));
    assert_eq!(upstream.seen().len(), before);
}
