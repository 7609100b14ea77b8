//! What ends a WebSocket that nobody broke.

use std::time::{Duration, Instant};

use keyward_journal::record::End;
use serde_json::{Value, json};

use super::{Got, PATH, RULES, event, listening, says, scene};
use crate::kit::socket::Socket;
use crate::kit::{Scene, get, post_json, until_true};

#[test]
fn a_websocket_is_cut_with_its_token_its_session_and_the_gateway() {
    for cut in ["token", "lock", "drain"] {
        let got = Got::default();
        let scene = scene(RULES, listening(&got));
        let made =
            post_json(scene.gateway.admin, "/api/v1/tokens", &scene.token, "{\"connections\": [\"models\"]}")
                .json();
        let token = if cut == "token" { made["token"].as_str().unwrap() } else { &scene.token };
        let mut socket = Socket::open(&scene.gateway, PATH, token, &[]);
        socket.say(says("hello"));
        until_true("the first message", || got.lock().unwrap().len() == 1);
        let began = Instant::now();
        match cut {
            "token" => {
                let path = format!("/api/v1/tokens/{}/revoke", made["id"].as_str().unwrap());
                assert_eq!(post_json(scene.gateway.admin, &path, &scene.token, "{}").status, 200);
            }
            "lock" => {
                let target = format!("user:{}#alice", scene.world.issuer.url());
                let lock = json!({"target": target, "reason": "her laptop is gone"}).to_string();
                assert_eq!(
                    post_json(scene.gateway.admin, "/api/v1/locks", &scene.world.olivia(), &lock).status,
                    200
                );
            }
            _ => scene.gateway.signal(rustix::process::Signal::TERM),
        }
        let (_, (code, reason)) = socket.rest();
        let (wanted, end, within) = match cut {
            "drain" => (1001, End::Stopped, Duration::from_secs(3)),
            _ => (1008, End::SessionEnded, Duration::from_secs(1)),
        };
        assert!(began.elapsed() < within, "{cut}: {:?}", began.elapsed());
        assert_eq!(code, wanted, "{cut}: {reason}");
        assert!(socket.next().is_none());
        until_true("the end of the upstream's connection", || scene.upstream.closed() == 1);
        assert_eq!(got.lock().unwrap().len(), 2, "{cut}: one message and the close frame");
        assert_eq!(scene.world.outcome().end, end, "{cut}");
        if cut == "drain" {
            let Scene { mut gateway, world, .. } = scene;
            assert!(gateway.ended().success());
            world.verify();
        }
    }
}

#[test]
fn who_is_gone_leaves_nothing_behind() {
    let got = Got::default();
    let scene = scene(RULES, listening(&got));
    let mut socket = scene.socket();
    socket.say(says("hello"));
    until_true("the first message", || got.lock().unwrap().len() == 1);
    socket.caller.line.close();
    until_true("the end of the upstream's connection", || scene.upstream.closed() == 1);
    assert_eq!(scene.world.outcome().end, End::ClientGone);
    // The upstream breaks off.
    let scene = super::scene(RULES, |far| {
        far.say(event("session.created", &json!({})));
        far.wire.line.close();
    });
    let (frames, (code, _)) = scene.socket().rest();
    assert_eq!((frames.len(), code), (1, 1011));
    assert_eq!(scene.world.outcome().end, End::UpstreamReset);
}

/// A window takes the place of the approval for the handshake and for what is said while it is open; what ends it ends the
/// WebSocket.
#[test]
fn a_window_lets_a_websocket_open_and_its_end_cuts_it() {
    const HELD: &str = "  - {id: talk, effect: approve, when: 'operation.class == \"realtime\"', reason: Look, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m, grant: 1h}}
  - {id: no-secret-files, effect: block, when: operation.touches_secret_file, message: Not those.}
";
    let got = Got::default();
    let scene = scene(HELD, listening(&got));
    let refused = scene.refuses(PATH, &[]);
    assert_eq!((refused.status, refused.header("keyward-rule")), (403, "talk"), "{refused:?}");
    assert!(scene.upstream.saw_nothing());
    let post = |token: &str, path: &str, body: &Value| {
        let answer = post_json(scene.gateway.admin, &format!("/api/v1{path}"), token, &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let asked = json!({"connection": "models", "classes": ["realtime"], "seconds": 600, "uses": 1, "reason": "a demo"});
    let grant = post(&scene.token, "/grants", &asked);
    let olivia = scene.world.olivia();
    post(&olivia, &format!("/approvals/{}/approve", grant["approval"].as_str().unwrap()), &json!({}));
    let id = grant["id"].as_str().unwrap();
    until_true("the window", || {
        get(scene.gateway.admin, &format!("/api/v1/grants/{id}"), &olivia).json()["state"] == "open"
    });
    let mut socket = scene.socket();
    for number in 0..3 {
        socket.say(says(&format!("message {number}")));
    }
    until_true("the messages", || got.lock().unwrap().len() == 3);
    post(&olivia, &format!("/grants/{id}/revoke"), &json!({}));
    assert_eq!(socket.rest().1.0, 1008);
    assert_eq!(scene.world.outcome().end, End::SessionEnded);
}

#[test]
fn a_websocket_ends_with_the_token_that_it_began_with() {
    let got = Got::default();
    let scene = scene(RULES, listening(&got));
    let asked = json!({"connections": ["models"], "seconds": 2}).to_string();
    let token = post_json(scene.gateway.admin, "/api/v1/tokens", &scene.token, &asked).json();
    let mut socket = Socket::open(&scene.gateway, PATH, token["token"].as_str().unwrap(), &[]);
    socket.say(says("hello"));
    let (_, (code, reason)) = socket.rest();
    assert_eq!(code, 1008);
    assert!(reason.contains("expired") || reason.contains("over"), "{reason}");
    until_true("the end of the upstream's connection", || scene.upstream.closed() == 1);
    assert!(matches!(scene.world.outcome().end, End::Refused | End::SessionEnded));
}
