//! Handshakes: what is no WebSocket, and what an upstream may make of one.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use keyward_journal::record::End;

use super::{Got, PATH, RULES, SECRET, of, says};
use crate::kit::socket::{ACCEPT, Far, KEY, accepting, frame, handshake, sockets};
use crate::kit::{Caller, Scene, Upstream, World, get, http, keyed, reply, until_true};

#[test]
fn catalogue_44_46_what_is_no_websocket_here_is_refused_before_anything_is_sent() {
    let upstream = sockets(|_| {});
    let connections =
        [keyed("models", "openai", &upstream.url(), "KEY"), http("plain", &upstream.url())].concat();
    let approve = "  - {id: hold, effect: approve, when: 'operation.query.contains(\"held\")', reason: Look, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}}\n";
    let world = World::new(&connections, &[RULES, approve].concat()).secret("KEY", SECRET);
    let scene = Scene::of(upstream, world);
    let credential = ["realtime, openai-insecure-api-key.", "sk-", "0123456789"].concat();
    for (path, more, status, word) in [
        ("/models/v1/chat/completions", &[][..], 400, "WebSocket"),
        ("/plain/v1/realtime", &[], 400, "WebSocket"),
        ("/models/v1/realtime/x", &[], 400, "WebSocket"),
        (PATH, &[("Sec-WebSocket-Protocol", credential.as_str())], 400, "credential"),
        (PATH, &[("Sec-WebSocket-Version", "8")], 400, "version 13"),
        (PATH, &[("Upgrade", "h2c")], 400, "once"),
        (PATH, &[("Content-Length", "0"), ("Sec-WebSocket-Key", KEY)], 400, "once"),
        ("/models/v1/realtime?model=other", &[], 403, "no rule allows"),
        ("/models/v1/realtime?model=gpt-realtime&model=other", &[], 400, "query"),
        ("/models/v1/realtime?model=gpt-realtime&held=1", &[], 403, "window"),
    ] {
        let answer = scene.refuses(path, more);
        assert_eq!(answer.status, status, "{path} {more:?}: {answer:?}");
        assert!(answer.text().contains(word), "{path} {more:?}: {answer:?}");
        assert!(!answer.text().contains("sk-"));
    }
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(handshake(PATH, "", &[]));
    assert_eq!(caller.answer().status, 401);
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn an_upstream_that_does_not_accept_is_an_answer_or_a_502() {
    let refusing = Upstream::saying(reply(
        "426 Upgrade Required",
        &[("content-type", "text/plain")],
        format!("no: {SECRET}"),
    ));
    let scene = of(RULES, refusing);
    let answer = scene.refuses(PATH, &[]);
    assert_eq!((answer.status, answer.complete), (426, true));
    assert!(answer.text().starts_with("no: ") && !answer.text().contains(SECRET), "{answer:?}");
    for more in [
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Protocol: other\r\n",
        "Sec-WebSocket-Accept: again\r\n",
    ] {
        let upstream = Upstream::serving(move |wire| {
            if let Some(seen) = wire.request() {
                wire.line.write(&accepting(&seen, more));
                wire.line.piece();
            }
        });
        let scene = of(RULES, upstream);
        let answer = scene.refuses(PATH, &[]);
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_invalid"), "{more}");
        until_true("the end of the upstream's connection", || scene.upstream.closed() == 1);
        assert_eq!(scene.world.outcome().end, End::UpstreamReset);
    }
    // The right key for another handshake.
    let scene = of(
        RULES,
        Upstream::serving(|wire| {
            if wire.request().is_some() {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
                );
                wire.line.write(head.as_bytes());
                wire.line.piece();
            }
        }),
    );
    assert_eq!(scene.refuses(PATH, &[]).status, 502);
}

#[test]
fn bytes_before_the_agreement_end_the_connection() {
    let got = Got::default();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let keep = Arc::clone(&got);
    let upstream = Upstream::serving(move |wire| {
        let Some(seen) = wire.request() else { return };
        _ = wait.lock().unwrap().recv();
        wire.line.write(&accepting(&seen, ""));
        let mut far = Far { wire };
        while let Some(frame) = far.next() {
            keep.lock().unwrap().push(frame);
        }
    });
    let scene = of(RULES, upstream);
    for early in [
        frame(0x81, says("early").as_bytes(), Some([1, 2, 3, 4])),
        b"GET /models/v1/models HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
        b"G".to_vec(),
    ] {
        let before = scene.upstream.seen().len();
        let mut caller = Caller::connect(scene.gateway.data);
        caller.send(handshake(PATH, &scene.token, &[]));
        caller.send(&early);
        until_true("the handshake at the upstream", || scene.upstream.seen().len() == before + 1);
        std::thread::sleep(Duration::from_millis(100));
        go.send(()).unwrap();
        while caller.line.piece().is_some() {}
        until_true("the end of the upstream's connection", || scene.upstream.closed() == before + 1);
    }
    assert!(got.lock().unwrap().iter().all(|frame| frame.first == 0x88), "{got:?}");
    assert_eq!(get(scene.gateway.data, "/models/v1/nothing", &scene.token).status, 403);
}
