//! WebSocket through the real binary (catalogue 46): what passes is looked into message by message, both ways, and what
//! cannot be ends both sides.

mod ending;
mod opening;

use std::sync::{Arc, Mutex};

use keyward_journal::Record;
use keyward_journal::record::{End, Frame as Piece};
use serde_json::{Value, json};

use crate::kit::socket::{Far, Frame, KEY, Socket, accepting, frame, handshake, sockets};
use crate::kit::{ALLOW, Caller, Scene, Upstream, World, holds, keyed, until, until_true};

const SECRET: &str = concat!("talking-", "credential-0123456789");
const PATH: &str = "/models/v1/realtime?model=gpt-realtime";
/// Made up for this test.
const LEAKED: &str = concat!("ghp_", "Zk3vTq8Wn1LsYb6Rd0HxGm4Jc7Pf2AeUi9Ko");

const RULES: &str = "  - {id: talk, effect: allow, when: 'operation.class == \"realtime\" && operation.resource.model == \"gpt-realtime\"'}
  - {id: no-secret-files, effect: block, when: operation.touches_secret_file, message: Not those.}
  - {id: no-bash, effect: block, when: '\"bash\" in operation.resource.tools', message: No shell.}
  - {id: ask-first, effect: approve, when: '\"deploy\" in operation.resource.tools', reason: Look first, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}}
  - {id: mask-prompts, effect: mask, when: 'true', mask: {detect: [credentials], where: [request], style: redact}}
";

fn scene(rules: &str, serve: impl Fn(&mut Far<'_>) + Send + Sync + 'static) -> Scene {
    of(rules, sockets(serve))
}

fn of(rules: &str, upstream: Upstream) -> Scene {
    let world = World::new(&keyed("models", "openai", &upstream.url(), "KEY"), rules)
        .secret("KEY", SECRET)
        .with("roles: {admin: ['group:model-owners']}\ndrain: 1s");
    Scene::of(upstream, world)
}

impl Scene {
    fn socket(&self) -> Socket {
        Socket::open(&self.gateway, PATH, &self.token, &[])
    }

    fn refuses(&self, path: &str, more: &[(&str, &str)]) -> crate::kit::Answer {
        let mut caller = Caller::connect(self.gateway.data);
        caller.send(handshake(path, &self.token, more));
        caller.answer()
    }
}

/// What came to an upstream, as far as it is text or a close frame.
type Got = Arc<Mutex<Vec<Frame>>>;

/// An upstream that keeps what comes until it is told to close or loses the connection.
fn listening(got: &Got) -> impl Fn(&mut Far<'_>) + Send + Sync + 'static {
    let got = Arc::clone(got);
    move |far| keep(far, &got)
}

/// Keeps what comes until it is told to close, and answers that, or loses the connection.
fn keep(far: &mut Far<'_>, got: &Got) {
    while let Some(frame) = far.next() {
        let close = frame.first == 0x88;
        got.lock().unwrap().push(frame.clone());
        if close {
            far.send(0x88, &frame.payload);
            return;
        }
    }
}

fn event(kind: &str, more: &Value) -> String {
    let mut event = json!({"type": kind});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event.to_string()
}

fn says(text: &str) -> String {
    let content = json!([{"type": "input_text", "text": text}]);
    event(
        "conversation.item.create",
        &json!({"item": {"type": "message", "role": "user", "content": content}}),
    )
}

fn joined(frames: &[Frame], name: &str) -> String {
    frames.iter().filter_map(|frame| frame.json()[name].as_str().map(str::to_owned)).collect()
}

/// An upstream that begins with two messages, keeps what comes, and ends when the caller does.
fn conversing(got: &Got) -> Upstream {
    let keep = Arc::clone(got);
    Upstream::serving(move |wire| {
        let Some(seen) = wire.request() else { return };
        wire.line.write(&accepting(
            &seen,
            "Sec-WebSocket-Protocol: realtime\r\nX-Request-Id: r1\r\nSet-Cookie: a=b\r\n",
        ));
        let mut far = Far { wire };
        far.say(event("session.created", &json!({"session": {"note": SECRET}})));
        // In fragments, a ping between them.
        far.send(0x01, "{\"type\":");
        far.send(0x89, "are you there");
        far.send(0x80, "\"response.done\"}");
        while let Some(frame) = far.next() {
            keep.lock().unwrap().push(frame.clone());
            if frame.first == 0x88 {
                far.send(0x88, &frame.payload);
                return;
            }
        }
    })
}

/// What was said both ways is on record, masked, a message a line.
fn assert_recorded(scene: &Scene) {
    let outcome = scene.world.outcome();
    assert_eq!((outcome.end, outcome.status), (End::Completed, Some(101)), "{outcome:?}");
    let intent = scene.world.intents().remove(0);
    assert_eq!(intent.operation.class.as_str(), "realtime");
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    let all =
        |frames: Vec<Piece>| frames.iter().map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>().concat();
    for record in scene.world.records() {
        match record {
            Record::RequestBody(body) => sent.extend(all(body.frames)),
            Record::Frames(body) => answered.extend(all(body.frames)),
            _ => {}
        }
    }
    let (sent, answered) = (String::from_utf8(sent).unwrap(), String::from_utf8(answered).unwrap());
    assert_eq!(sent.lines().count(), 2, "{sent}");
    assert!(sent.contains("hello") && !sent.contains(LEAKED), "{sent}");
    assert_eq!(answered.lines().last(), Some("{\"type\":\"response.done\"}"), "{answered}");
    assert!(!answered.contains(SECRET));
    assert!(!scene.gateway.log().contains(SECRET) && !scene.gateway.log().contains(LEAKED));
}

#[test]
fn catalogue_46_a_conversation_passes_both_ways_and_is_on_record() {
    let got = Got::default();
    let scene = of(RULES, conversing(&got));
    let mut socket = Socket::open(
        &scene.gateway,
        PATH,
        &scene.token,
        &[
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
            ("Sec-WebSocket-Protocol", "realtime"),
            ("OpenAI-Beta", "realtime=v1"),
        ],
    );
    for (name, value) in [
        ("keyward-decision", "allow"),
        ("sec-websocket-protocol", "realtime"),
        ("x-request-id", "r1"),
        ("upgrade", "websocket"),
    ] {
        assert_eq!(socket.answer.header(name), value);
    }
    assert!(
        socket.answer.all("set-cookie").is_empty()
            && socket.answer.all("sec-websocket-extensions").is_empty()
    );
    let created = socket.next().unwrap().text();
    assert!(!created.contains(SECRET) && created.contains("session.created"), "{created}");
    let (mut fragments, mut first) = (Vec::new(), Vec::new());
    while fragments.last() != Some(&b'}') {
        let frame = socket.next().unwrap();
        first.push(frame.first);
        fragments.extend(frame.payload);
    }
    assert_eq!(
        (first.as_slice(), fragments.as_slice()),
        (&[0x01, 0x80][..], &b"{\"type\":\"response.done\"}"[..])
    );
    // The caller's, in fragments, with a ping between, and a credential that a rule masks.
    let said = says(&format!("my token is {LEAKED}"));
    let (head, tail) = said.as_bytes().split_at(40);
    assert!(
        socket.send(0x01, head) && socket.send(0x89, "p") && socket.send(0x00, "") && socket.send(0x80, tail)
    );
    assert_eq!(socket.next().unwrap(), Frame { first: 0x8a, masked: false, payload: b"p".to_vec() });
    socket.say(says("hello"));
    assert!(socket.send(0x88, b"\x03\xe8a reason that nobody judged"));
    assert_eq!(socket.rest().1.0, 1000);
    assert!(socket.next().is_none());

    let seen = scene.upstream.only();
    assert_eq!(seen.line, "GET /v1/realtime?model=gpt-realtime HTTP/1.1");
    assert_eq!(seen.all("authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(seen.all("sec-websocket-protocol"), ["realtime"]);
    assert_eq!(seen.all("openai-beta"), ["realtime=v1"]);
    assert!(seen.all("sec-websocket-extensions").is_empty());
    assert_ne!(seen.all("sec-websocket-key"), [KEY]);
    let got = got.lock().unwrap().clone();
    let first: Vec<u8> = got.iter().map(|frame| frame.first).collect();
    assert_eq!(first, [0x8a, 0x81, 0x81, 0x88], "{got:?}");
    assert_eq!(got[0].payload, b"are you there");
    assert!(!holds(&got[1].payload, LEAKED.as_bytes()) && holds(&got[1].payload, b"my token is "), "{got:?}");
    assert_eq!(got[2].text(), says("hello"));
    assert_eq!(got[3].close(), (1000, String::new()));

    assert_recorded(&scene);
    drop(scene.gateway);
    scene.world.verify();
}

#[test]
fn catalogue_46_what_the_caller_may_not_send_ends_both_sides() {
    let key = Some([1, 2, 3, 4]);
    let long = [&[0x81, 0xff][..], &(16u64 * 1024 * 1024 + 1).to_be_bytes(), &[1, 2, 3, 4]].concat();
    let fragment = frame(0x01, &vec![b' '; 5 * 1024 * 1024], key);
    let more = frame(0x80, &vec![b' '; 4 * 1024 * 1024], key);
    let flood = frame(0x89, b"p", key).repeat(1000);
    let got = Got::default();
    let scene = scene(RULES, listening(&got));
    for (name, bytes, code) in [
        ("compressed (RSV1)", frame(0xc1, b"\xaaV\x00\x00", key), 1002),
        ("not masked", frame(0x81, b"{}", None), 1002),
        ("an unknown opcode", frame(0x83, b"", key), 1002),
        ("a continuation of nothing", frame(0x80, b"x", key), 1002),
        ("a fragmented ping", frame(0x09, b"x", key), 1002),
        ("a long ping", frame(0x89, &[b'x'; 126], key), 1002),
        ("more than 16 MiB", long, 1009),
        ("more than is inspected, in fragments", [fragment, more].concat(), 1009),
        ("no UTF-8", frame(0x81, b"\xff\xfe", key), 1007),
        ("a flood of pings", flood, 1008),
        ("no JSON", frame(0x81, b"hello", key), 1008),
        ("binary", frame(0x82, b"{}", key), 1008),
        ("a name twice", frame(0x81, br#"{"type": "a", "session": {}, "Session": {}}"#, key), 1008),
        ("another model", frame(0x81, br#"{"type": "session.update", "session": {"model": "dear"}}"#, key), 1008),
        ("what needs an approval", frame(0x81, br#"{"type": "response.create", "response": {"tools": [{"type": "function", "name": "deploy"}]}}"#, key), 1008),
    ] {
        let before = scene.upstream.closed();
        let mut socket = scene.socket();
        socket.say(says("hello"));
        socket.caller.line.write(&bytes);
        let (frames, (closed, reason)) = socket.rest();
        assert_eq!(closed, code, "{name}: {reason}");
        assert!(!reason.is_empty(), "{name}");
        assert!(frames.iter().all(|frame| matches!(frame.first, 0x8a | 0x81)), "{name}: {frames:?}");
        until_true("the end of the upstream's connection", || scene.upstream.closed() == before + 1);
        let got = std::mem::take(&mut *got.lock().unwrap());
        assert_eq!(got.len(), 2, "{name}: {got:?}");
        assert_eq!((got[0].text(), got[1].close()), (says("hello"), (code, String::new())), "{name}");
        assert_eq!(scene.world.outcome().end, End::Refused, "{name}");
    }
}

#[test]
fn catalogue_46_what_the_upstream_may_not_send_ends_both_sides() {
    let long = [&[0x81, 127][..], &(16u64 * 1024 * 1024 + 1).to_be_bytes()].concat();
    let next = Arc::new(Mutex::new(Vec::new()));
    let scene = scene(RULES, {
        let next = Arc::clone(&next);
        move |far| {
            far.say(event("session.created", &json!({})));
            far.wire.line.write(&next.lock().unwrap());
            while far.next().is_some_and(|frame| frame.first != 0x88) {}
        }
    });
    for (name, bytes, code) in [
        ("compressed (RSV1)", frame(0xc1, b"\xaaV\x00\x00", None), 1002),
        ("masked", frame(0x81, b"{}", Some([1, 2, 3, 4])), 1002),
        ("an unknown opcode", frame(0x8b, b"", None), 1002),
        ("more than 16 MiB", long, 1009),
        ("no UTF-8", frame(0x81, b"\xff\xfe", None), 1007),
        ("a flood of pings", frame(0x89, b"p", None).repeat(1000), 1008),
    ] {
        *next.lock().unwrap() = bytes;
        let before = scene.upstream.closed();
        let mut socket = scene.socket();
        let (frames, (closed, _)) = socket.rest();
        assert_eq!((frames.len(), closed), (1, code), "{name}: {frames:?}");
        until_true("the end of the upstream's connection", || scene.upstream.closed() == before + 1);
        assert_eq!(scene.world.outcome().end, End::UpstreamReset, "{name}");
    }
}

#[test]
fn catalogue_46_a_blocked_operation_in_message_1000_closes_with_the_rule() {
    let got = Got::default();
    let scene = scene(RULES, listening(&got));
    let mut socket = scene.socket();
    for number in 1..1000 {
        socket.say(says(&format!("message {number}")));
    }
    let item = json!({"type": "function_call", "name": "read_file", "arguments": "{\"path\": \"/root/.aws/credentials\"}"});
    socket.say(event("conversation.item.create", &json!({"item": item})));
    let (frames, (code, reason)) = socket.rest();
    assert_eq!(code, 1008);
    assert!(reason.contains("no-secret-files"), "{reason}");
    let error = frames.last().unwrap().json();
    assert_eq!(
        (error["type"].as_str(), error["error"]["code"].as_str()),
        (Some("error"), Some("blocked_by_policy"))
    );
    until_true("the end of the upstream's connection", || scene.upstream.closed() == 1);
    let got = got.lock().unwrap().clone();
    assert_eq!(got.len(), 1000);
    assert_eq!(got[998].text(), says("message 999"));
    assert_eq!(got[999].close(), (1008, String::new()));
    let outcome = scene.world.outcome();
    assert_eq!(outcome.end, End::Refused);
    assert!(outcome.error.unwrap().contains("no-secret-files"));
}

#[test]
fn the_injected_credential_is_masked_where_deltas_split_it() {
    for kind in [
        "response.output_text.delta",
        "response.output_audio_transcript.delta",
        "response.function_call_arguments.delta",
    ] {
        let scene = scene(RULES, move |far| {
            for (index, _) in SECRET.char_indices() {
                let delta = &SECRET[index..=index];
                far.say(event(kind, &json!({"item_id": "i", "response_id": "r", "output_index": 0, "content_index": 0, "delta": delta})));
            }
            far.say(event("response.done", &json!({"response": {"id": "r"}})));
            far.send(0x88, [b"\x03\xe8", SECRET.as_bytes()].concat());
            while far.next().is_some() {}
        });
        let mut socket = scene.socket();
        let (frames, (code, reason)) = socket.rest();
        let said = joined(&frames, "delta");
        assert!(!said.contains(SECRET) && !said.contains("0123456789") && !said.is_empty(), "{kind}: {said}");
        assert_eq!(code, 1000);
        assert!(!reason.contains(SECRET), "{reason}");
        assert_eq!(scene.world.outcome().end, End::Completed);
    }
    // What a control frame carries is judged by nobody, so it does not pass.
    let scene = scene(RULES, |far| {
        far.send(0x89, SECRET);
        far.send(0x8a, SECRET);
        far.send(0x88, b"\x03\xe8");
        while far.next().is_some() {}
    });
    assert_eq!(scene.socket().rest(), (Vec::new(), (1000, String::new())));
}

#[test]
fn catalogue_96_a_blocked_tool_call_over_a_websocket_ends_it_before_its_last_byte() {
    let call = |arguments: &'static str| {
        move |far: &mut Far<'_>| {
            let item = json!({"id": "i", "type": "function_call", "name": "read_file", "call_id": "c", "arguments": ""});
            far.say(event(
                "response.output_item.added",
                &json!({"response_id": "r", "output_index": 0, "item": item}),
            ));
            for piece in arguments.split_inclusive(|c: char| !c.is_alphanumeric()) {
                far.say(event(
                    "response.function_call_arguments.delta",
                    &json!({"item_id": "i", "response_id": "r", "output_index": 0, "delta": piece}),
                ));
            }
            far.say(event(
                "response.function_call_arguments.done",
                &json!({"item_id": "i", "response_id": "r", "output_index": 0, "arguments": arguments}),
            ));
            far.say(event("response.done", &json!({"response": {"id": "r"}})));
            far.send(0x88, b"\x03\xe8");
            while far.next().is_some() {}
        }
    };
    let scene = scene(RULES, call("{\"path\": \"/root/.aws/credentials\"}"));
    let (frames, (code, reason)) = scene.socket().rest();
    assert_eq!(code, 1008);
    assert!(reason.contains("no-secret-files"), "{reason}");
    assert!(!joined(&frames, "delta").contains('}') && !joined(&frames, "type").contains(".done"));
    assert_eq!(scene.world.outcome().end, End::Refused);
    let scene = self::scene(RULES, call("{\"path\": \"notes.txt\"}"));
    let (frames, (code, _)) = scene.socket().rest();
    assert_eq!((code, joined(&frames, "delta").as_str()), (1000, "{\"path\": \"notes.txt\"}"));
}

#[test]
fn a_route_of_ones_own_is_a_websocket_where_it_says_so() {
    let got = Got::default();
    let upstream = sockets({
        let got = Arc::clone(&got);
        move |far| {
            far.send(0x82, [b"\x00\xff", SECRET.as_bytes()].concat());
            far.say(format!("$ {}", &SECRET[..10]));
            far.say(format!("{}\n", &SECRET[10..]));
            keep(far, &got);
        }
    });
    let connection = format!(
        "  - {{name: terminal, kind: http, upstream: '{}', credential: {{secret: 'env://KEY', inject: bearer}}, routes: [{{method: GET, path: /ws, class: shell.exec, websocket: true}}]}}\n",
        upstream.url()
    );
    let rules =
        [ALLOW, "  - {id: no-secret-files, effect: block, when: operation.touches_secret_file}\n"].concat();
    let world = World::new(&connection, &rules).secret("KEY", SECRET);
    let scene = Scene::of(upstream, world);
    assert_eq!(scene.refuses("/terminal/other", &[]).status, 400);
    let mut socket = Socket::open(&scene.gateway, "/terminal/ws", &scene.token, &[]);
    let mut heard = Vec::new();
    while !holds(&heard, b"\n") {
        heard.extend(socket.next().unwrap().payload);
    }
    assert!(!holds(&heard, SECRET.as_bytes()) && heard.starts_with(b"\x00\xff"), "{heard:?}");
    socket.say("ls");
    assert!(socket.send(0x82, b"\x00\x01"));
    socket.say("cat ~/.ssh/id_rsa");
    let (_, (code, reason)) = socket.rest();
    assert_eq!(code, 1008);
    assert!(reason.contains("no-secret-files"), "{reason}");
    let payloads = until("the end at the upstream", || {
        let got = got.lock().unwrap();
        (got.last()?.first == 0x88).then(|| got.iter().map(|frame| frame.payload.clone()).collect::<Vec<_>>())
    });
    assert_eq!(payloads[..2], [b"ls".to_vec(), b"\x00\x01".to_vec()]);
    assert_eq!(payloads.len(), 3);
}
