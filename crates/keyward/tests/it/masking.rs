//! What comes back holds no credential, wherever and however an upstream sends it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::kit::modern::{ModernUpstream, h2, whole};
use crate::kit::{
    ALLOW, Answer, Caller, Gateway, Upstream, World, get, holds, keyed, post_json, reply, request, runtime,
};

pub(crate) const SECRET: &str = concat!("kq7vR2", "mX9tLw4ZpB8nYc1H", "sJ6dF3gA5u");

/// Rules that let everything through and mask what the detectors find.
const DETECT: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: mask, effect: mask, when: 'true', mask: {detect: [credentials], where: [response, stream, headers, errors]}}
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, c| {
        write!(text, "\\u{:04x}", u32::from(c)).unwrap();
        text
    })
}

/// The part of base64 that a value fills alone, at each of its three alignments.
fn base64_cores(value: &str) -> Vec<String> {
    let cores = (0..3).map(|shift| {
        let padded = [&vec![0; shift], value.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        let from = if shift == 0 { 0 } else { 4 };
        text[from..padded.len() / 3 * 4].to_owned()
    });
    cores.collect()
}

/// Every spelling in which a value must not appear (S0).
fn spellings(value: &str) -> Vec<String> {
    let mut all = vec![
        value.to_owned(),
        hex(value.as_bytes()),
        hex(value.as_bytes()).to_uppercase(),
        percent(value),
        escaped(value),
    ];
    all.extend(base64_cores(value));
    all.extend(base64_cores(value).iter().map(|core| core.replace('+', "-").replace('/', "_")));
    all
}

/// Spellings in which an upstream sends a value, base64 at each of its three alignments.
fn sent() -> Vec<String> {
    let mut all = spellings(SECRET)[..5].to_vec();
    for before in ["", "x", "xy"] {
        let text = format!("{before}{SECRET}");
        all.extend([STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)]);
        all.push(STANDARD.encode(format!("{text}:after")));
    }
    all
}

pub(crate) fn assert_absent(bytes: &[u8], value: &str, what: &str) {
    for spelling in spellings(value) {
        let found = holds(bytes, spelling.as_bytes());
        assert!(!found, "{spelling} in {what}: {}", String::from_utf8_lossy(bytes));
    }
}

pub(crate) fn world(upstream: &Upstream, rules: &str) -> World {
    World::new(&keyed("models", "openai", &upstream.url(), "KEY"), rules).secret("KEY", SECRET)
}

/// The answer to a GET, of which no byte may hold the secret.
pub(crate) fn clean(gateway: &Gateway, token: &str, path: &str) -> Answer {
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", path, token, &[("TE", "trailers")], b""));
    let answer = caller.answer();
    assert_absent(&caller.line.raw, SECRET, path);
    answer
}

/// Echoes the credential in the place that the last segment of the path names, or in a spelling of [`sent`].
fn echo(seen: &crate::kit::Seen) -> Vec<u8> {
    let echoed = seen.all("authorization").concat();
    let body = json!({"headers": seen.headers.clone(), "echo": echoed}).to_string();
    let json = ("content-type", "application/json");
    let place = seen.line.split(['/', ' ']).nth(4).unwrap();
    match place {
        "body" => reply("200 OK", &[json], body),
        "text" => reply("200 OK", &[("content-type", "text/plain")], &echoed),
        "binary" => reply("200 OK", &[("content-type", "application/octet-stream")], [b"\0\xff", echoed.as_bytes(), b"\x01"].concat()),
        "error" => reply("401 Unauthorized", &[json, ("www-authenticate", &format!("Bearer error=\"{echoed}\""))], body),
        "failure" => reply("500 Oops", &[("content-type", "text/html")], format!("<b>{echoed}</b>")),
        "redirect" => reply("302 Found", &[("location", &format!("https://other.example/?key={SECRET}&next=1"))], ""),
        "headers" => reply(
            "200 OK",
            &[
                ("x-echo", &echoed),
                ("set-cookie", &format!("key={SECRET}; Path=/")),
                ("link", &format!("</x?k={}>; rel=next", percent(SECRET))),
                ("server-timing", &format!("key;desc=\"{}\"", STANDARD.encode(SECRET))),
                ("x-hex", &hex(SECRET.as_bytes())),
                ("x-twice", SECRET),
                ("x-twice", &format!("a{SECRET}b")),
            ],
            "{}",
        ),
        "reason" => reply(&format!("200 {SECRET}"), &[], "{}"),
        "trailer" => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n2\r\nok\r\n0\r\n\
             x-end: {echoed}\r\nauthorization: x\r\nhost: x\r\ncontent-length: 7\r\nkeyward-rule: x\r\nset-cookie: x\r\n\r\n"
        )
        .into_bytes(),
        number => {
            let number: usize = number.parse().unwrap();
            let spelled = &sent()[number];
            let inner = json!({"a": json!({"b": spelled}).to_string()}).to_string();
            reply("200 OK", &[json], format!("{{\"plain\":\"{spelled}\",\"inner\":{}}}", json!(inner)))
        }
    }
}

#[test]
fn catalogue_64_67_68_an_injected_value_is_masked_wherever_it_is_echoed() {
    let upstream = Upstream::answering(echo);
    let world = world(&upstream, ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let at = |place: &str| clean(&gateway, &token, &format!("/models/v1/models/{place}"));

    let body = at("body").json();
    assert_eq!(body["echo"], "Bearer [REDACTED:secret:KEY]");
    assert_eq!(at("text").text(), "Bearer [REDACTED:secret:KEY]");
    assert_eq!(at("binary").body, b"\0\xffBearer [REDACTED:secret:KEY]\x01");
    let error = at("error");
    assert_eq!((error.status, error.json()["echo"].as_str()), (401, Some("Bearer [REDACTED:secret:KEY]")));
    assert_eq!(error.header("www-authenticate"), "Bearer error=\"Bearer [REDACTED:secret:KEY]\"");
    assert_eq!((at("failure").status, &*at("failure").text()), (500, "<b>Bearer [REDACTED:secret:KEY]</b>"));
    // Not followed, and the rest of the address stays.
    let redirect = at("redirect");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, "https://other.example/?key=[REDACTED:secret:KEY]&next=1")
    );
    let headers = at("headers");
    assert_eq!(headers.header("x-echo"), "Bearer [REDACTED:secret:KEY]");
    assert!(headers.all("set-cookie").is_empty());
    assert_eq!(headers.all("x-twice"), ["[REDACTED:secret:KEY]", "a[REDACTED:secret:KEY]b"]);
    assert_eq!(at("reason").status, 200);
    // 50: HTTP/1.1 callers get no trailers; in HTTP/2 what frames or identifies does not pass as one.
    let trailer = at("trailer");
    assert!(trailer.complete && trailer.trailers.is_empty(), "{trailer:?}");
    let trailers = runtime().block_on(async {
        let request = http::Request::get("http://gateway/models/v1/models/trailer");
        let request =
            request.header("authorization", format!("Bearer {token}")).body(Full::default()).unwrap();
        let mut body = h2(gateway.data).await.send_request(request).await.unwrap().into_body();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            trailers = frame.unwrap().into_trailers().ok();
        }
        trailers.expect("trailers")
    });
    let trailers: Vec<_> =
        trailers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(trailers, [("x-end", "Bearer [REDACTED:secret:KEY]")]);
    for (number, spelled) in sent().iter().enumerate() {
        let answer = at(&number.to_string());
        let plain = answer.json()["plain"].as_str().unwrap().to_owned();
        assert!(plain.contains("[REDACTED:secret:KEY]") && plain.len() < 40, "{spelled} became {plain}");
        serde_json::from_str::<Value>(answer.json()["inner"].as_str().unwrap()).unwrap();
    }

    // Nor does it lie in the log (at debug), in the journal or in any file.
    let log = gateway.log();
    gateway.stop();
    assert_absent(log.as_bytes(), SECRET, "the log");
    assert_absent(format!("{:?}", world.records()).as_bytes(), SECRET, "the journal");
    let mut files = vec![world.path("data")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_absent(&std::fs::read(&path).unwrap(), SECRET, &path.display().to_string());
        }
    }
}

/// The chunks of a stream, one write each.
fn stream(chunks: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let framed = chunks
        .iter()
        .filter(|c| !c.is_empty())
        .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    std::iter::once(head).chain(framed).chain([b"0\r\n\r\n".to_vec()]).collect()
}

fn delta(choice: usize, content: &str) -> String {
    let event = json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": choice, "delta": {"content": content}}]});
    format!("data: {event}\n\n")
}

/// What a client shows: the contents of one choice, put together.
fn shown(stream: &str, choice: u64, field: &str) -> String {
    let events = stream
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|event| *event != "[DONE]");
    let mut text = String::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}"));
        for part in event["choices"].as_array().unwrap().iter().filter(|part| part["index"] == choice) {
            text.push_str(part["delta"].pointer(field).and_then(Value::as_str).unwrap_or(""));
        }
    }
    text
}

/// A gateway before an upstream that answers the call number N with the chunks of `streams[N]`.
fn streams(streams: Vec<Vec<Vec<u8>>>, rules: &str, check: impl Fn(usize, &Answer)) {
    let count = streams.len();
    let upstream = Upstream::serving(move |wire| {
        while let Some(seen) = wire.request() {
            let body: Value = serde_json::from_slice(&seen.body).unwrap();
            let number = usize::try_from(body["seed"].as_u64().unwrap()).unwrap();
            for piece in stream(&streams[number]) {
                if !wire.line.write(&piece) {
                    return;
                }
            }
        }
    });
    let world = world(&upstream, rules);
    let gateway = world.start();
    let token = world.alice();
    for number in 0..count {
        let body = json!({"model": "m", "stream": true, "seed": number, "messages": [{}]}).to_string();
        let answer = post_json(gateway.data, "/models/v1/chat/completions", &token, &body);
        assert!(answer.status == 200 && answer.complete, "{number}: {answer:?}");
        check(number, &answer);
    }
    drop(gateway);
    world.verify();
}

#[test]
fn catalogue_57_58_a_value_split_over_events_at_every_offset_is_masked() {
    let split = |at: usize| {
        // Two choices that take turns, each with the value cut in two, at different offsets.
        let other = SECRET.len() - at;
        let events = [
            delta(0, "first: "),
            delta(1, "second: "),
            delta(0, &SECRET[..at]),
            delta(1, &SECRET[..other]),
            delta(0, &SECRET[at..]),
            delta(1, &SECRET[other..]),
            delta(0, " end"),
            delta(1, " end"),
            "data: [DONE]\n\n".to_owned(),
        ];
        events.map(String::into_bytes).to_vec()
    };
    streams((1..SECRET.len()).map(split).collect(), ALLOW, |number, answer| {
        let text = answer.text();
        assert_eq!(shown(&text, 0, "/content"), "first: [REDACTED:secret:KEY] end", "{number}: {text}");
        assert_eq!(shown(&text, 1, "/content"), "second: [REDACTED:secret:KEY] end", "{number}: {text}");
        assert!(text.ends_with("data: [DONE]\n\n"));
    });
}

#[test]
fn catalogue_57_a_value_split_over_segments_at_every_offset_is_masked() {
    let whole =
        format!("{}{}data: [DONE]\n\n", delta(0, &format!("key {SECRET}")), delta(0, " end")).into_bytes();
    let from = whole.windows(SECRET.len()).position(|window| window == SECRET.as_bytes()).unwrap();
    let mut chunkings: Vec<Vec<Vec<u8>>> =
        (from..=from + SECRET.len()).map(|at| vec![whole[..at].to_vec(), whole[at..].to_vec()]).collect();
    chunkings.push(whole.iter().map(|byte| vec![*byte]).collect());
    streams(chunkings, ALLOW, |number, answer| {
        let text = answer.text();
        assert_eq!(shown(&text, 0, "/content"), "key [REDACTED:secret:KEY] end", "{number}: {text}");
    });
}

#[test]
fn catalogue_57_a_value_split_over_frames_of_h2_at_every_offset_is_masked() {
    let upstream = ModernUpstream::start(None);
    let connection = format!(
        "  - {{name: plain, kind: http, upstream: 'http://localhost:{}', h2: prior-knowledge, \
         credential: {{secret: 'env://KEY', inject: bearer}}}}\n",
        upstream.address.port()
    );
    let world = World::new(&connection, ALLOW).secret("KEY", SECRET);
    let gateway = world.start();
    let token = world.alice();
    let body = format!("see {SECRET} there");
    for cut in 0..=body.len() {
        let received = runtime().block_on(async {
            let request = http::Request::post(format!("http://gateway/plain/{cut}"))
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "text/plain")
                .body(Full::new(body.clone().into()))
                .unwrap();
            let response = h2(gateway.data).await.send_request(request).await.unwrap();
            whole(response.into_body()).await.unwrap()
        });
        assert_eq!(String::from_utf8_lossy(&received), "see [REDACTED:secret:KEY] there", "cut at {cut}");
    }
    assert!(upstream.got().iter().all(|got| got.version == http::Version::HTTP_2));
}

#[test]
fn what_detectors_find_is_masked_in_streams_and_bodies_alike() {
    let found = concat!("AKIA", "Q3EGRZ7MXT4WLKPN");
    let arguments = |text: &str| {
        let event = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]});
        format!("data: {event}\n\n").into_bytes()
    };
    let split = |at: usize| {
        vec![
            arguments("{\"key\": \""),
            arguments(&found[..at]),
            arguments(&found[at..]),
            arguments("\"}"),
            b"data: [DONE]\n\n".to_vec(),
        ]
    };
    streams((1..found.len()).map(split).collect(), DETECT, |number, answer| {
        let text = answer.text();
        let shown = shown(&text, 0, "/tool_calls/0/function/arguments");
        assert!(!holds(text.as_bytes(), found.as_bytes()) && !shown.contains(found), "{number}: {text}");
        let arguments: Value = serde_json::from_str(&shown).unwrap();
        assert!(arguments["key"].as_str().unwrap().starts_with("[REDACTED:aws"), "{shown}");
    });
    let upstream =
        Upstream::saying(reply("404 Not Found", &[("x-key", found)], format!("key {found} is unknown")));
    let world = world(&upstream, DETECT);
    let gateway = world.start();
    let answer = get(gateway.data, "/models/v1/models/x", &world.alice());
    assert!(answer.header("x-key").starts_with("[REDACTED:aws"), "{answer:?}");
    assert!(!answer.text().contains(found) && answer.text().starts_with("key [REDACTED:aws"), "{answer:?}");
    assert!(world.outcome().findings.len() >= 2);
}

#[test]
fn catalogue_71_head_shows_no_length_of_the_unmasked_body() {
    let upstream = Upstream::serving(|wire| {
        while wire.request().is_some() {
            wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4711\r\netag: \"x\"\r\n\r\n");
        }
    });
    let world = world(&upstream, ALLOW);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("HEAD", "/models/v1/models", &world.alice(), &[], b""));
    let answer = caller.answer_to("HEAD").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.all("etag").is_empty(), "{answer:?}");
    assert!(answer.all("content-length").iter().all(|length| *length != "4711"), "{answer:?}");
}
