//! Requests that two parsers could read in two ways, or that no rule allows: nothing of them reaches the upstream.

use crate::kit::{ALLOW, Caller, Scene, Upstream, World, http, keyed, reply, request, until_true};

const SECRET: &str = concat!("refusing-", "credential-0123456789");

/// Everything under `/denied` is blocked, everything else passes.
const DENIED: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: denied, effect: block, when: 'operation.path.startsWith(\"/denied\")', message: Not this.}
";

/// A connection without and one with a credential, to an upstream that shows what it got.
pub(crate) fn scene(rules: &str) -> Scene {
    let upstream = Upstream::answering(|seen| reply("200 OK", &[("x-line", &seen.line)], &seen.body));
    let connections =
        [http("plain", &upstream.url()), keyed("keyed", "http", &upstream.url(), "KEY")].concat();
    let world = World::new(&connections, rules).secret("KEY", SECRET);
    Scene::of(upstream, world)
}

#[test]
fn catalogue_27_28_30_framing_in_two_readings_sends_nothing() {
    let scene = scene(ALLOW);
    let smuggled = "GET /plain/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = "POST /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let framings = [
        ("28 list", format!("Transfer-Encoding: ,chunked\r\n\r\n{chunked}")),
        ("28 xchunked", format!("Transfer-Encoding: xchunked\r\n\r\n{chunked}")),
        ("28 identity", format!("Transfer-Encoding: identity\r\n\r\n{chunked}")),
        ("28 gzip, chunked", format!("Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}")),
        ("28 chunked, gzip", format!("Transfer-Encoding: chunked, gzip\r\n\r\n{chunked}")),
        (
            "28 two lines",
            format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"),
        ),
        ("28 vertical tab", format!("Transfer-Encoding: \x0bchunked\r\n\r\n{chunked}")),
        ("30 differing", format!("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc{smuggled}")),
        ("30 list", format!("Content-Length: 3, 3\r\n\r\nabc{smuggled}")),
        ("30 plus", format!("Content-Length: +3\r\n\r\nabc{smuggled}")),
        ("30 hex", format!("Content-Length: 0x3\r\n\r\nabc{smuggled}")),
        ("30 underscore", format!("Content-Length: 1_0\r\n\r\nabc{smuggled}")),
        ("30 empty", format!("Content-Length: \r\n\r\nabc{smuggled}")),
        ("30 negative", format!("Content-Length: -1\r\n\r\nabc{smuggled}")),
        ("30 2^64", format!("Content-Length: 18446744073709551616\r\n\r\nabc{smuggled}")),
    ];
    for (name, framing) in framings {
        scene.refused(name, format!("{head}{framing}"), &[400]);
    }
    assert!(scene.upstream.saw_nothing());
    // 27: both framings.
    for framing in
        ["Content-Length: 6\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 6"]
    {
        let mut caller = Caller::connect(scene.gateway.data);
        let head = head.replace("TOKEN", &format!("Authorization: Bearer {}", scene.token));
        caller.send(format!("{head}{framing}\r\n\r\n1\r\nz\r\n{chunked}"));
        let answer = caller.answer();
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{answer:?}");
        assert_eq!(answer.header("connection"), "close");
        assert!(answer.text().contains("not both"), "{}", answer.text());
        assert!(caller.head().is_none(), "something followed");
    }
    scene.refused("30 equal", format!("{head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), &[400]);
    assert!(scene.upstream.saw_nothing());
    // Inside of a connection that is kept alive: what came before is answered, and nothing after it is read.
    let mut caller = Caller::connect(scene.gateway.data);
    let sound = request("POST", "/plain/x", &scene.token, &[], b"first");
    let two = head.replace("TOKEN", &format!("Authorization: Bearer {}", scene.token));
    let bad = format!("{two}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    caller.send([sound.as_slice(), bad.as_bytes(), &sound].concat());
    assert_eq!(caller.answer().text(), "first");
    assert_eq!(caller.answer().status, 400);
    assert!(caller.head().is_none(), "something followed");
    assert_eq!(scene.upstream.only().line, "POST /x HTTP/1.1");
}

#[test]
fn catalogue_29_other_versions_are_not_served() {
    let scene = scene(ALLOW);
    for (name, line, rest) in [
        ("1.0", "GET /plain/x HTTP/1.0", ""),
        ("1.0 with TE", "POST /plain/x HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
        ("1.0 kept alive", "GET /plain/x HTTP/1.0", "Connection: keep-alive\r\n"),
        ("1.2", "GET /plain/x HTTP/1.2", ""),
        ("2.0", "GET /plain/x HTTP/2.0", ""),
        ("0.9", "GET /plain/x", ""),
        ("lower case", "GET /plain/x http/1.1", ""),
    ] {
        scene.refused(name, format!("{line}\r\nHost: x\r\nTOKEN\r\n{rest}\r\n"), &[400, 505]);
    }
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn catalogue_31_chunks_that_are_malformed_never_complete_a_request() {
    let scene = scene(ALLOW);
    for (name, body) in [
        ("hex prefix", "0x1\r\na\r\n0\r\n\r\n"),
        ("plus", "+1\r\na\r\n0\r\n\r\n"),
        ("underscore", "1_0\r\naaaaaaaaaaaaaaaa\r\n0\r\n\r\n"),
        ("minus", "-1\r\na\r\n0\r\n\r\n"),
        ("17 digits", "10000000000000001\r\na\r\n0\r\n\r\n"),
        ("bare LF in an extension", "1;a\nb\r\na\r\n0\r\n\r\n"),
        ("wrong terminator", "1\r\naXX0\r\n\r\n"),
        ("bare LF after the size", "1\na\r\n0\r\n\r\n"),
        ("no size", "\r\na\r\n0\r\n\r\n"),
    ] {
        // As bytes that pass unread, and as JSON that is read first.
        for content_type in ["application/octet-stream", "application/json"] {
            let head = format!(
                "POST /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let answer = scene.raw(format!("{head}{body}"));
            assert!(answer.as_ref().is_none_or(|answer| answer.status >= 400), "{name}: {answer:?}");
        }
    }
    until_true("the end of what was begun", || scene.upstream.closed() == scene.upstream.connections());
    assert!(scene.upstream.seen().iter().all(|seen| !seen.complete), "{:?}", scene.upstream.seen());
}

#[test]
fn catalogue_32_33_34_heads_in_two_readings_send_nothing() {
    let scene = scene(ALLOW);
    let with = |line: &str| format!("GET /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n{line}\r\n\r\n");
    for (name, line) in [
        ("32 bare CR", "X-A: a\rb"),
        ("32 NUL", "X-A: a\0b"),
        ("32 obs-fold", "X-A: a\r\n b"),
        ("32 space before the colon", "X-A : a"),
        ("32 tab before the colon", "X-A\t: a"),
        ("32 empty name", ": a"),
        ("32 no token", "X A: a"),
        ("32 no colon", "X-A"),
        ("33 two hosts", "Host: x"),
        ("33 two different hosts", "Host: y"),
    ] {
        scene.refused(name, with(line), &[400]);
    }
    scene.refused(
        "32 first header begins with a blank",
        "GET /plain/x HTTP/1.1\r\n Host: x\r\nTOKEN\r\n\r\n",
        &[400],
    );
    scene.refused("33 no host", "GET /plain/x HTTP/1.1\r\nTOKEN\r\n\r\n", &[400]);
    scene.refused("33 absolute form", "GET http://y/plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n", &[400]);
    for host in ["a/x?", "u@b", "a b", "[::1", "a.", "a:99999", "a:", "", "a,b", "a\tb", "a\\b", "\u{e4}"] {
        scene.refused("34 host", format!("GET /plain/x HTTP/1.1\r\nHost: {host}\r\nTOKEN\r\n\r\n"), &[400]);
    }
    for (name, head) in [
        ("32 LF alone", "GET /plain/x HTTP/1.1\nHost: x\nTOKEN\n\n"),
        ("32 one LF alone", "GET /plain/x HTTP/1.1\r\nHost: x\nTOKEN\r\n\r\n"),
        ("32 LF at the end", "GET /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\n"),
        ("32 no line", "\x16\x03\x01\x02\x00"),
    ] {
        scene.refused(name, head, &[400]);
    }
    assert!(scene.upstream.saw_nothing());
    // The upstream's host is always the configured one.
    assert_eq!(scene.raw("GET http://x/plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n").unwrap().status, 200);
    let seen = scene.upstream.only();
    assert_eq!((&*seen.line, seen.headers.len()), ("GET /x HTTP/1.1", 1));
    assert_eq!(seen.all("host"), [scene.upstream.address.to_string()]);
}

#[test]
fn limits_of_a_head_are_named_in_the_refusal() {
    let scene = scene(ALLOW);
    let head = "GET /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n";
    for (name, headers, limit) in [
        ("many", "X-A: 1\r\n".repeat(99), "100 headers"),
        ("long", format!("X-A: {}\r\n", "x".repeat(64 * 1024)), "65536 bytes"),
    ] {
        let answer = scene.raw(format!("{head}{headers}\r\n")).unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (431, "head_too_large"), "{name}");
        assert!(answer.text().contains(limit), "{}", answer.text());
    }
    let answer = scene.raw(format!("GET /plain/{} HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n", "x".repeat(9000)));
    assert!(
        answer.as_ref().is_some_and(|a| a.status == 400 && a.text().contains("8192 bytes")),
        "{answer:?}"
    );
    assert!(scene.upstream.saw_nothing());
    assert_eq!(scene.raw(format!("{head}{}\r\n", "X-A: 1\r\n".repeat(90))).unwrap().status, 200);
}

#[test]
fn catalogue_35_a_path_is_judged_as_it_is_forwarded() {
    let scene = scene(DENIED);
    let at = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n").into_bytes();
    for path in [
        "/plain/a/../denied",
        "/plain/../denied",
        "/plain/%2e%2e/denied",
        "/plain/a/%2E%2E/denied",
        "/plain/%252e%252e/denied",
        "/plain/..;/denied",
        "/plain/a/..;x/denied",
        "/plain/./denied",
        "/plain//denied",
        "//plain/denied",
        "/plain/%2fdenied",
        "/plain/%5cdenied",
        "/plain/\\denied",
        "/plain/a%00",
        "/plain/%64enied",
        "/plain/%c0%ae%c0%ae/denied%",
        "/plain/\u{e9}",
        "plain/x",
        "*",
        "/plain/a%zz",
        "/plain/a#/denied",
        "/plain/a?b#c",
    ] {
        scene.refused("35 path", at(path), &[400, 404]);
    }
    for path in ["/plain/denied", "/plain/denied/x?a=b", "/plain/denied;a=b"] {
        scene.refused("35 denied", at(path), &[403]);
    }
    assert!(scene.upstream.saw_nothing());
    for path in
        ["/plain/a%20b", "/plain/a;x=y/z", "/plain/x?q=/../denied&r=%2e%2e", "/plain/", "/plain/Denied"]
    {
        let answer = scene.raw(at(path)).unwrap();
        assert_eq!(
            answer.header("x-line"),
            format!("GET {} HTTP/1.1", path.strip_prefix("/plain").unwrap()),
            "{path}"
        );
    }
}

#[test]
fn catalogue_37_methods_outside_the_list_are_refused() {
    let scene = scene(ALLOW);
    for method in ["get", "TRACE", "PROPFIND", "Post", "G\u{45}TT"] {
        scene.refused("37 method", format!("{method} /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n"), &[405]);
    }
    scene.refused(
        "37 CONNECT",
        "CONNECT plain:443 HTTP/1.1\r\nHost: plain:443\r\nTOKEN\r\n\r\n",
        &[400, 405],
    );
    scene.refused("37 CONNECT", "CONNECT /plain/x HTTP/1.1\r\nHost: x\r\nTOKEN\r\n\r\n", &[0, 400, 405]);
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn catalogue_25_38_to_41_45_143_what_belongs_to_one_hop_or_to_us_does_not_pass() {
    let scene = scene(ALLOW);
    let head = [
        "GET /keyed/x HTTP/1.1",
        "Host: x",
        "TOKEN",
        "Connection: authorization, keyward-principal, x-nominated, upgrade, HTTP2-Settings",
        "Connection: x-other",
        "X-Nominated: 1",
        "X-Other: 1",
        "TE: trailers",
        "Trailer: x",
        "Keep-Alive: timeout=5",
        "Proxy-Authorization: Basic eDp5",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: keep-alive",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABk",
        "Keyward-Principal: root",
        "KEYWARD_PRINCIPAL: root",
        "keyward-rule: x",
        "keyward-anything: x",
        "X-Forwarded-For: 203.0.113.1",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
        "X-Forwarded-User: root",
        "X-Forwarded-Client-Cert: x",
        "Forwarded: for=203.0.113.1",
        "X-Real-IP: 203.0.113.1",
        "True-Client-IP: 203.0.113.1",
        "X-HTTP-Method-Override: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /denied",
        "Cookie: session=1",
        "X-Amz-Security-Token: x",
        "X-Kept: 1",
    ];
    let answer = scene.raw(format!("{}\r\n\r\n", head.join("\r\n"))).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut headers: Vec<_> = scene.upstream.only().headers;
    headers.sort();
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let host = scene.upstream.address.to_string();
    let expected = [
        pair("accept-encoding", "identity".to_owned()),
        pair("authorization", format!("Bearer {SECRET}")),
        pair("host", host),
        pair("x-kept", "1".to_owned()),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn catalogue_19_20_two_credentials_or_one_in_the_wrong_place_are_refused() {
    let scene = scene(ALLOW);
    let token = &scene.token;
    let with = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    scene.refused("20 twice", with("/plain/x", &bearer.repeat(2)), &[400]);
    // The very same text in both is one credential; anything else is two.
    scene.refused("20 two headers", with("/plain/x", &format!("{bearer}x-api-key: {token}x\r\n")), &[400]);
    scene.refused(
        "20 joined",
        with("/plain/x", &format!("Authorization: Bearer {token}, Bearer {token}\r\n")),
        &[400, 401],
    );
    scene.refused(
        "19 query beside a header",
        with(&format!("/plain/x?access_token={token}"), &bearer),
        &[400],
    );
    scene.refused("19 query", with(&format!("/plain/x?access_token={token}"), ""), &[400, 401]);
    scene.refused("19 cookie", with("/plain/x", &format!("Cookie: token={token}\r\n")), &[400, 401]);
    scene.refused("none", with("/plain/x", ""), &[401]);
    assert!(scene.upstream.saw_nothing());
    let log = scene.gateway.log();
    assert!(!log.contains(token.as_str()), "a token is in the log");
}

#[test]
fn catalogue_42_a_denied_call_does_not_ask_for_its_body() {
    let scene = scene(DENIED);
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(format!(
        "POST /plain/denied HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        scene.token
    ));
    // The first thing that comes is the refusal, not 100.
    let answer = caller.answer();
    assert_eq!((answer.status, answer.code().as_str()), (403, "blocked_by_policy"));
    assert!(scene.upstream.saw_nothing());
    // An allowed one asks, and the upstream gets the body without `expect`.
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(format!(
        "POST /plain/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        scene.token
    ));
    assert_eq!(caller.head().unwrap().status, 100);
    caller.send("{}");
    assert_eq!(caller.answer().text(), "{}");
    assert!(scene.upstream.only().all("expect").is_empty());
}

#[test]
fn catalogue_43_86_a_denied_upload_is_not_taken_for_requests() {
    let scene = scene(DENIED);
    let smuggled =
        format!("GET /plain/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", scene.token);
    let body = smuggled.repeat(2000);
    for content_type in ["application/octet-stream", "application/json"] {
        let mut caller = Caller::connect(scene.gateway.data);
        caller.send(format!(
            "POST /plain/denied HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            scene.token,
            body.len()
        ));
        caller.send(&smuggled);
        if content_type == "application/octet-stream" {
            // The verdict is there while the body is still coming.
            assert_eq!(caller.answer().status, 403);
            caller.line.write(&body.as_bytes()[smuggled.len()..]);
        } else {
            caller.line.write(&body.as_bytes()[smuggled.len()..]);
            assert_eq!(caller.answer().status, 400);
        }
        // Whatever follows on this connection is the answer to the next request, or its end.
        if caller.line.write(&request("GET", "/plain/denied/next", &scene.token, &[], b""))
            && let Some(next) = caller.answer_to("GET")
        {
            assert_eq!(next.status, 403);
        }
    }
    assert!(scene.upstream.saw_nothing(), "{:?}", scene.upstream.seen());
}

#[test]
fn catalogue_53_pipelined_calls_are_answered_in_order_and_each_is_on_record() {
    let scene = scene(DENIED);
    let mut caller = Caller::connect(scene.gateway.data);
    let denied = |number: usize| number.is_multiple_of(3);
    let calls = (0..100).flat_map(|number| {
        let path =
            if denied(number) { format!("/plain/denied/{number}") } else { format!("/plain/{number}") };
        request(
            "POST",
            &path,
            &scene.token,
            &[("Content-Type", "application/octet-stream")],
            number.to_string().as_bytes(),
        )
    });
    caller.send(calls.collect::<Vec<_>>());
    for number in 0..100 {
        let answer = caller.answer();
        if denied(number) {
            assert_eq!(answer.status, 403, "{number}");
        } else {
            assert_eq!((answer.status, answer.text()), (200, number.to_string()));
        }
    }
    assert_eq!(scene.upstream.seen().len(), 66);
    until_true("66 outcomes", || scene.world.outcomes().len() == 66);
    let refused =
        scene.world.records().iter().filter(|r| matches!(r, keyward_journal::Record::Refused(_))).count();
    assert_eq!(refused, 34);
}
