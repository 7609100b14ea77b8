//! What no rule touches passes unchanged, byte for byte, both ways.

use crate::kit::{ALLOW, Caller, Headers, Upstream, World, http, keyed, reply};

const ODD: &str =
    "{ \"a\" :\t1.0 ,\r\n\"a_b\":[ ],  \"\\u0041\":\"\\/\",\"big\":1e308,\"n\":12345678901234567890 }\n\n";

fn lower(headers: &Headers) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sorted(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.sort();
    headers
}

/// Which of the response's headers are not the gateway's own marks.
fn without_ours(headers: &Headers) -> Vec<(String, String)> {
    lower(headers).into_iter().filter(|(name, _)| !name.starts_with("keyward-")).collect()
}

#[test]
fn without_credential_and_mask_everything_passes_as_it_is() {
    let upstream = Upstream::saying(reply(
        "218 This Is Fine",
        &[
            ("Content-Type", "application/json"),
            ("Set-Cookie", "a=1; Path=/"),
            ("X-Twice", "first"),
            ("Set-Cookie", "b=2"),
            ("X-Twice", "second"),
            ("x-empty", ""),
            ("ETag", "\"v1\""),
            ("Accept-Ranges", "bytes"),
            ("Content-MD5", "abc"),
            ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
            ("Connection", "x-hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Alt-Svc", "h3=\":443\""),
            ("keyward-rule", "forged"),
        ],
        ODD,
    ));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    let head = [
        "POST /plain/a;b=c/%C3%A9/x?q=%20&q=2&&=z HTTP/1.1",
        "Host: gateway.example",
        &format!("Authorization: Bearer {}", world.alice()),
        "Content-Type: application/json",
        "X-Twice: first",
        "Accept-Encoding: br;q=0.5, gzip",
        "x-twice: second",
        "X-Empty:",
        "User-Agent: odd/1.0 (\"quoted\")",
        "If-None-Match: \"v0\"",
        "Range: bytes=0-9",
        "Accept: */*",
        "X-Last:   inner  blanks   ",
        "Connection: keep-alive, X-Nominated",
        "X-Nominated: 1",
        "Cookie: session=caller",
        "TE: trailers",
        "X-Forwarded-For: 203.0.113.9",
        "Keyward_Rule: forged",
        &format!("Content-Length: {}", ODD.len()),
    ];
    caller.send(format!("{}\r\n\r\n{ODD}", head.join("\r\n")));
    let answer = caller.answer();
    assert_eq!(answer.status, 218, "{answer:?}: {}", answer.text());

    let seen = upstream.only();
    assert_eq!(seen.line, "POST /a;b=c/%C3%A9/x?q=%20&q=2&&=z HTTP/1.1");
    assert_eq!(String::from_utf8_lossy(&seen.body), ODD);
    // Everything but: credentials (authorization, cookie), hop-by-hop (connection, what it names, te), forwarded-for,
    // headers in our name. `host` is the upstream's own.
    let host = upstream.address.to_string();
    let expected = pairs(&[
        ("accept", "*/*"),
        ("accept-encoding", "br;q=0.5, gzip"),
        ("content-length", &ODD.len().to_string()),
        ("content-type", "application/json"),
        ("host", &host),
        ("if-none-match", "\"v0\""),
        ("range", "bytes=0-9"),
        ("user-agent", "odd/1.0 (\"quoted\")"),
        ("x-empty", ""),
        ("x-last", "inner  blanks"),
        ("x-twice", "first"),
        ("x-twice", "second"),
    ]);
    assert_eq!(sorted(lower(&seen.headers)), expected);
    assert_eq!(seen.all("x-twice"), ["first", "second"]);

    assert_eq!(String::from_utf8_lossy(&answer.body), ODD);
    assert_eq!(answer.all("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(answer.all("x-twice"), ["first", "second"]);
    let expected = pairs(&[
        ("accept-ranges", "bytes"),
        ("content-length", &ODD.len().to_string()),
        ("content-md5", "abc"),
        ("content-type", "application/json"),
        ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("etag", "\"v1\""),
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("x-empty", ""),
        ("x-twice", "first"),
        ("x-twice", "second"),
    ]);
    assert_eq!(sorted(without_ours(&answer.headers)), expected);
    let mut ours: Vec<_> =
        lower(&answer.headers).into_iter().map(|(n, _)| n).filter(|n| n.starts_with("keyward-")).collect();
    ours.sort();
    assert_eq!(ours, ["keyward-decision", "keyward-request-id", "keyward-rule", "keyward-session"]);
    assert_eq!(answer.header("keyward-rule"), "all");
}

#[test]
fn with_a_credential_only_what_must_change_changes() {
    let secret = concat!("upstream-", "credential-0123456789");
    let upstream = Upstream::saying(reply(
        "200 OK",
        &[
            ("Content-Type", "application/json"),
            ("X-Twice", "first"),
            ("X-Twice", "second"),
            ("Set-Cookie", "a=1"),
            ("ETag", "\"v1\""),
            ("Accept-Ranges", "bytes"),
            ("Digest", "sha-256=abc"),
            ("Content-MD5", "abc"),
            ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ],
        ODD,
    ));
    let world = World::new(&keyed("models", "openai", &format!("{}/base", upstream.url()), "KEY"), ALLOW)
        .secret("KEY", secret);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    let body = "{\"model\" : \"m\",\n  \"messages\":[ {\"role\":\"user\",\"content\":\"\\u0041\"} ] ,\"unknown\":{\"x\":[1.0,1E2]}}  ";
    let head = [
        "POST /models/v1/chat/completions HTTP/1.1",
        "Host: gateway.example",
        &format!("x-api-key: {}", world.alice()),
        "Content-Type: application/json",
        "OpenAI-Organization: org",
        "X-Twice: first",
        "X-Twice: second",
        "Accept-Encoding: br, zstd, *",
        "If-None-Match: \"v0\"",
        "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
        "If-Range: \"v0\"",
        "Range: bytes=0-9",
        &format!("Content-Length: {}", body.len()),
    ];
    caller.send(format!("{}\r\n\r\n{body}", head.join("\r\n")));
    let answer = caller.answer();

    let seen = upstream.only();
    assert_eq!(seen.line, "POST /base/v1/chat/completions HTTP/1.1");
    assert_eq!(String::from_utf8_lossy(&seen.body), body);
    // 60, 70, 71: encodings narrowed, no ranges, no validators. 143: the caller's credential is gone, ours is there once.
    let host = upstream.address.to_string();
    let bearer = format!("Bearer {secret}");
    let expected = pairs(&[
        ("accept-encoding", "identity"),
        ("authorization", &bearer),
        ("content-length", &body.len().to_string()),
        ("content-type", "application/json"),
        ("host", &host),
        ("openai-organization", "org"),
        ("x-twice", "first"),
        ("x-twice", "second"),
    ]);
    assert_eq!(sorted(lower(&seen.headers)), expected);

    // Cookies of the injected account's session are nobody's to keep (54).
    assert_eq!(answer.status, 200);
    assert_eq!(String::from_utf8_lossy(&answer.body), ODD);
    let expected = pairs(&[
        ("content-length", &ODD.len().to_string()),
        ("content-type", "application/json"),
        ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("x-twice", "first"),
        ("x-twice", "second"),
    ]);
    assert_eq!(sorted(without_ours(&answer.headers)), expected);
}
