//! Attempts to carry a credential past the masker, part C of the catalogue: by format, by framing, by failure.

use std::sync::Arc;

use keyward_journal::record::End;
use serde_json::{Value, json};

use crate::kit::{
    ALLOW, Answer, Caller, Gateway, Seen, Upstream, World, get, holds, http, keyed, post_json, reply,
    request, until_true,
};

pub(crate) const SECRET: &str = concat!("kq7vR2", "mX9tLw4ZpB8nYc1H", "sJ6dF3gA5u");
pub(crate) const MASKED: &str = "[REDACTED:secret:KEY]";

pub(crate) fn world(upstream: &Upstream) -> World {
    World::new(&keyed("models", "openai", &upstream.url(), "KEY"), ALLOW).secret("KEY", SECRET)
}

/// The last segment of the path.
pub(crate) fn place(seen: &Seen) -> String {
    seen.line.split(['/', ' ']).nth(4).unwrap().to_owned()
}

/// The answer to a GET, of which no byte may hold the secret.
pub(crate) fn clean(gateway: &Gateway, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", path, token, headers, b""));
    let answer = caller.answer();
    assert!(!holds(&caller.line.raw, SECRET.as_bytes()), "{path}: {answer:?}");
    answer
}

pub(crate) fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    units.concat()
}

#[test]
fn catalogue_56_63_a_value_anywhere_in_json_is_masked_and_the_json_stays_valid() {
    let nested = |levels: usize, inner: Value| (0..levels).fold(inner, |inner, _| json!({ "a": [inner] }));
    let in_strings =
        (0..3).fold(format!("[\"{}\"]", escaped(SECRET)), |inner, _| json!({ "in": inner }).to_string());
    let documents = [
        json!({ "a": SECRET, (SECRET): SECRET, "list": [1, SECRET, format!("x{SECRET}y")] }).to_string(),
        nested(50, json!(SECRET)).to_string(),
        format!("{{\"a\":\"{}\",\"b\":\"\\/{}\"}}", escaped(SECRET), SECRET.replace('7', "\\u0037")),
        format!("{{\"a\":\"\\ud83d\\ude00{SECRET}\",\"a\":\"{SECRET}\"}}"),
        in_strings,
    ];
    let sent = Arc::new(documents.clone());
    let upstream = Upstream::answering(move |seen| {
        let validators = [
            ("content-type", "application/json"),
            ("etag", "\"a\""),
            ("content-md5", "x"),
            ("digest", "sha-256=x"),
            ("repr-digest", "sha-256=:x:"),
            ("accept-ranges", "bytes"),
        ];
        reply("200 OK", &validators, &sent[place(seen).parse::<usize>().unwrap()])
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    for (number, document) in documents.iter().enumerate() {
        let answer = clean(&gateway, &token, &format!("/models/v1/models/{number}"), &[]);
        assert!(answer.complete, "{answer:?}");
        let mut got = answer.json();
        if number == documents.len() - 1 {
            for _ in 0..3 {
                got = serde_json::from_str(got["in"].as_str().unwrap()).unwrap();
            }
            assert_eq!(got, json!([MASKED]));
        } else {
            let was: Value = serde_json::from_str(document).unwrap();
            let wanted: Value = serde_json::from_str(&was.to_string().replace(SECRET, MASKED)).unwrap();
            assert_eq!(got, wanted, "{number}");
        }
        for validator in ["etag", "content-md5", "digest", "repr-digest", "accept-ranges"] {
            assert!(answer.all(validator).is_empty(), "{validator}");
        }
    }
}

#[test]
fn catalogue_62_wide_text_is_refused_or_masked_under_any_name() {
    let upstream = Upstream::answering(|seen| {
        let text = format!("{{\"a\": \"{SECRET}\"}}");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let json = [("content-type", "application/json")];
        match place(seen).as_str() {
            "little" => reply("200 OK", &json, little),
            "big" => reply("200 OK", &json, big),
            "marked" => {
                reply("200 OK", &[("content-type", "text/plain")], [&[0xff, 0xfe][..], &little].concat())
            }
            "four" => reply(
                "200 OK",
                &json,
                text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>(),
            ),
            _ => {
                reply("200 OK", &[("content-type", "application/json; charset=utf-8; charset=utf-16")], text)
            }
        }
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    for place in ["little", "big", "marked", "four", "twice"] {
        let answer = clean(&gateway, &token, &format!("/models/v1/models/{place}"), &[]);
        let wide: Vec<u8> = SECRET.bytes().flat_map(|b| [b, 0]).collect();
        assert!(!holds(&answer.body, &wide[..wide.len() - 1]), "{place}: {answer:?}");
    }
}

#[test]
fn catalogue_70_71_pieces_and_validators_are_no_oracle() {
    let whole = format!("0123456789{SECRET}");
    let upstream = Upstream::answering(move |seen| {
        let range = format!("bytes 10-19/{}", whole.len());
        match place(seen).as_str() {
            // Nobody asked for a piece: what comes is one anyway.
            "piece" => reply(
                "206 Partial Content",
                &[("content-type", "text/plain"), ("content-range", &range)],
                &whole[10..20],
            ),
            "pieces" => {
                let parts = format!("--b\r\ncontent-range: {range}\r\n\r\n{}\r\n--b--\r\n", &whole[10..20]);
                reply("200 OK", &[("content-type", "multipart/byteranges; boundary=b")], parts)
            }
            "unchanged" => b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n".to_vec(),
            _ => reply("200 OK", &[("content-type", "text/plain"), ("etag", "\"a\"")], &whole),
        }
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    let asking = [
        ("Range", "bytes=10-19"),
        ("If-Range", "\"a\""),
        ("If-None-Match", "\"a\""),
        ("If-Modified-Since", "Thu, 26 Nov 2026 00:00:00 GMT"),
    ];
    let answer = clean(&gateway, &token, "/models/v1/models/whole", &asking);
    assert_eq!((answer.status, answer.text()), (200, format!("0123456789{MASKED}")));
    assert!(answer.all("etag").is_empty(), "{answer:?}");
    let seen = upstream.only();
    for (name, _) in asking {
        assert!(seen.all(&name.to_ascii_lowercase()).is_empty(), "{name} went on: {seen:?}");
    }
    for place in ["piece", "pieces"] {
        let answer =
            clean(&gateway, &token, &format!("/models/v1/models/{place}"), &[("Range", "bytes=10-19")]);
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid"), "{place}");
        assert!(!answer.text().contains(&SECRET[..8]));
    }
    let unchanged = clean(&gateway, &token, "/models/v1/models/unchanged", &[]);
    assert!(unchanged.all("etag").is_empty(), "{unchanged:?}");
}

#[test]
fn catalogue_72_an_answer_is_fetched_anew_for_each_caller_and_no_shared_cache_may_keep_it() {
    let upstream = Upstream::answering(|seen| {
        let headers =
            [("content-type", "text/plain"), ("cache-control", "public, max-age=3600, s-maxage=3600")];
        reply("200 OK", &headers, format!("{} {SECRET}", place(seen)))
    });
    let world = world(&upstream);
    let gateway = world.start();
    for (number, token) in [world.olivia(), world.alice()].iter().enumerate() {
        let answer = clean(&gateway, token, "/models/v1/models/x", &[]);
        assert_eq!(answer.text(), format!("x {MASKED}"));
        assert_eq!(answer.header("cache-control"), "private", "{answer:?}");
        assert_eq!(upstream.seen().len(), number + 1);
    }
}

/// A chunk of a chunked body.
fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

#[test]
fn catalogue_78_what_drips_in_is_flushed_at_its_end_and_never_after_a_break() {
    for whole in [true, false] {
        let upstream = Upstream::serving(move |wire| {
            if wire.request().is_none() {
                return;
            }
            wire.line
                .write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n");
            for byte in format!("so far: {}", &SECRET[..20]).bytes() {
                wire.line.write(&chunk(&[byte]));
            }
            if whole {
                wire.line.write(b"0\r\n\r\n");
            }
        });
        let world = world(&upstream);
        let gateway = world.start();
        let answer = clean(&gateway, &world.alice(), "/models/v1/models/x", &[]);
        assert_eq!(answer.complete, whole);
        if whole {
            assert_eq!(answer.text(), format!("so far: {}", &SECRET[..20]));
        } else {
            // A break that comes with the last bytes may take what was not written yet with it.
            assert!("so far: ".starts_with(&answer.text()), "{}", answer.text());
        }
        assert_eq!(world.outcome().end, if whole { End::Completed } else { End::UpstreamReset });
    }
}

#[test]
fn catalogue_79_304_where_masking_fails_the_answer_breaks_off_and_nothing_follows() {
    // Each begins well, then cannot be read any more; the value comes behind.
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, plain).unwrap();
        std::io::Write::flush(&mut encoder).unwrap();
        encoder.get_ref().clone()
    };
    let begin = b"data: {\"begin\": 1}\n\n".to_vec();
    let cases: Vec<(&'static str, Vec<u8>, Vec<u8>)> = vec![
        (
            "content-type: text/event-stream\r\ncontent-encoding: gzip",
            gzip(&begin),
            b"this is no gzip".to_vec(),
        ),
        (
            "content-type: text/event-stream",
            begin.clone(),
            format!("data: {}\n\n", "[".repeat(2000)).into_bytes(),
        ),
        ("content-type: application/json", b"{\"begin\": 1, \"a\": ".to_vec(), "[".repeat(2000).into_bytes()),
        (
            "content-type: multipart/mixed; boundary=b",
            b"begin\r\n--b\r\n\r\nbegin\r\n".to_vec(),
            b"--b\r\ncontent-transfer-encoding: quoted-printable\r\n\r\n".to_vec(),
        ),
    ];
    for (head, good, bad) in cases {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\ntransfer-encoding: chunked\r\n\r\n");
        let (proceed, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let upstream = Upstream::serving(move |wire| {
            if wire.request().is_some() {
                wire.line.write(answer.as_bytes());
                wire.line.write(&chunk(&good));
                _ = wait.lock().unwrap().recv();
                wire.line.write(&chunk(&[&bad[..], b" ", SECRET.as_bytes(), b" the raw tail"].concat()));
                wire.line.write(b"0\r\n\r\n");
            }
        });
        let world = world(&upstream);
        let gateway = world.start();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", "/models/v1/models/x", &world.alice(), &[], b""));
        let mut got = caller.head().unwrap();
        assert_eq!(got.status, 200, "{head}");
        let first = caller.line.chunk().unwrap();
        assert!(holds(&first, b"begin"), "{head}: {}", String::from_utf8_lossy(&first));
        proceed.send(()).unwrap();
        while let Some(piece) = caller.line.chunk() {
            assert!(!piece.is_empty(), "{head}: it ended as if it were whole");
            got.body.extend_from_slice(&piece);
        }
        for hidden in [SECRET.as_bytes(), b"the raw tail"] {
            assert!(
                !holds(&caller.line.raw, hidden),
                "{head}: {}",
                String::from_utf8_lossy(&caller.line.raw)
            );
        }
        assert_eq!(world.outcome().end, End::MaskFailed, "{head}");
        drop(gateway);
        world.verify();
    }
}

#[test]
fn catalogue_301_303_every_text_of_an_answer_is_masked_streamed_or_not() {
    // Longer than any window that holds a fixed number of bytes back.
    let long = (0..12).map(|n| format!("{SECRET}{n}")).collect::<Vec<_>>().concat();
    let spots = [
        "/delta/content",
        "/delta/reasoning_content",
        "/delta/reasoning",
        "/delta/refusal",
        "/delta/tool_calls/0/function/arguments",
        "/delta/audio/transcript",
    ];
    let choice = |index: usize, spot: &str, text: &str| {
        let delta = match spot {
            "/delta/tool_calls/0/function/arguments" => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            }
            "/delta/audio/transcript" => json!({"audio": {"transcript": text}}),
            spot => json!({ (spot.rsplit('/').next().unwrap()): text }),
        };
        json!({"index": index, "delta": delta})
    };
    let (sent, value) = (spots, long.clone());
    let upstream = Upstream::answering(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let spot = sent[usize::try_from(body["seed"].as_u64().unwrap()).unwrap()];
        if body["stream"] != true {
            let choices: Vec<Value> = (0..2).map(|n| choice(n, spot, &format!("a {value} b"))).collect();
            return reply(
                "200 OK",
                &[("content-type", "application/json")],
                json!({ "choices": choices }).to_string(),
            );
        }
        let mut events = Vec::new();
        for piece in format!("a {value} b").as_bytes().chunks(4) {
            for index in 0..2 {
                let piece = choice(index, spot, std::str::from_utf8(piece).unwrap());
                events.extend([
                    "data: ".to_owned(),
                    json!({ "choices": [piece] }).to_string(),
                    "\n\n".to_owned(),
                ]);
            }
        }
        reply("200 OK", &[("content-type", "text/event-stream")], events.concat() + "data: [DONE]\n\n")
    });
    let world = World::new(&keyed("models", "openai", &upstream.url(), "KEY"), ALLOW).secret("KEY", &long);
    let gateway = world.start();
    let token = world.alice();
    for (number, spot) in spots.iter().enumerate() {
        for stream in [true, false] {
            let body =
                json!({"model": "m", "stream": stream, "seed": number, "n": 2, "messages": [{}]}).to_string();
            let answer = post_json(gateway.data, "/models/v1/chat/completions", &token, &body);
            let documents: Vec<Value> = if stream {
                let text = answer.text();
                let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
                events
                    .filter(|event| *event != "[DONE]")
                    .map(|event| serde_json::from_str(event).unwrap())
                    .collect()
            } else {
                vec![answer.json()]
            };
            for index in 0..2 {
                let pieces = documents.iter().flat_map(|d| d["choices"].as_array().unwrap());
                let text: String = pieces
                    .filter(|choice| choice["index"] == index)
                    .filter_map(|choice| choice.pointer(spot).and_then(Value::as_str))
                    .collect();
                assert_eq!(text, format!("a {MASKED} b"), "{spot}, streamed: {stream}");
            }
        }
    }
}

#[test]
fn catalogue_302_314_a_mask_stays_with_its_connection() {
    let found = concat!("AKIA", "Q3EGRZ7MXT4WLKPN");
    let body = format!("data: {{\"x\": \"{found} {SECRET} other-value-5Tk9\"}}\n\n");
    let upstream =
        Upstream::saying(reply("200 OK", &[("content-type", "text/event-stream"), ("etag", "\"a\"")], &body));
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: mask, effect: mask, when: 'connection.name == \"guarded\"', mask: {detect: [credentials], where: [response, stream]}}
";
    let connections = [
        http("guarded", &upstream.url()),
        http("open", &upstream.url()),
        keyed("keyed", "http", &upstream.url(), "KEY"),
        keyed("other", "http", &upstream.url(), "OTHER"),
    ];
    let world =
        World::new(&connections.concat(), rules).secret("KEY", SECRET).secret("OTHER", "other-value-5Tk9");
    let gateway = world.start();
    let token = world.alice();
    let at = |name: &str| get(gateway.data, &format!("/{name}/x"), &token);
    let guarded = at("guarded").text();
    assert!(!guarded.contains(found) && guarded.contains(SECRET), "{guarded}");
    let open = at("open");
    assert_eq!((open.text(), open.header("etag")), (body.clone(), "\"a\""));
    assert_eq!(at("keyed").text(), body.replace(SECRET, MASKED));
    assert_eq!(at("other").text(), body.replace("other-value-5Tk9", "[REDACTED:secret:OTHER]"));
}

#[test]
fn catalogue_76_314_a_value_that_would_shred_text_is_not_used() {
    for value in ["s", "sk-1", "password", "12345678", "aaaaaaaaaaaa"] {
        let upstream = Upstream::saying(reply("200 OK", &[], "the password is s"));
        let world =
            World::new(&keyed("models", "openai", &upstream.url(), "KEY"), ALLOW).secret("KEY", value);
        let gateway = world.start();
        let answer = get(gateway.data, "/models/v1/models/x", &world.alice());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "secret_unavailable"),
            "{value}: {answer:?}"
        );
        assert!(!answer.text().contains("[REDACTED"));
        assert!(upstream.saw_nothing(), "{value}");
    }
}

#[test]
fn catalogue_315_a_caller_that_leaves_ends_its_stream_and_leaves_nothing_held() {
    let upstream = Upstream::serving(|wire| {
        if wire.request().is_some() {
            wire.line.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            );
            let event = format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x {}\"}}}}]}}\n\n",
                &SECRET[..20]
            );
            while wire.line.write(&chunk(event.as_bytes())) {}
        }
    });
    let world = world(&upstream);
    let gateway = world.start();
    let token = world.alice();
    let round = || {
        let before = upstream.closed();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", "/models/v1/models/x", &token, &[], b""));
        assert_eq!(caller.head().unwrap().status, 200);
        assert!(caller.line.chunk().is_some());
        caller.line.close();
        until_true("the end of the upstream's connection", || upstream.closed() == before + 1);
    };
    (0..10).for_each(|_| round());
    let before = gateway.memory();
    (0..40).for_each(|_| round());
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown}");
    until_true("every outcome", || world.ends().len() == 50);
    assert!(world.ends().iter().all(|end| *end == End::ClientGone));
}
