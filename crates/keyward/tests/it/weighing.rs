//! Answers that turn out to be weights of a model, although nothing in the request said so.

use serde_json::json;

use crate::kit::{Person, Scene, Upstream, World, call, reply, request, until};

/// The size that counts as weights in these tests.
const MOST: usize = 64 * 1024;
const BLOCKED: &str = "  - {id: read, effect: allow, when: 'operation.class == \"http.read\"'}
  - {id: no-export, effect: block, when: 'operation.class == \"model.export\"', message: Weights stay inside.}
";
const APPROVED: &str = "  - {id: read, effect: allow, when: 'operation.class == \"http.read\"'}
  - id: export
    effect: approve
    when: 'operation.class == \"model.export\"'
    reason: Weights leave
    approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}
";

fn scene(rules: &str, answer: impl Fn(&crate::kit::Seen) -> Vec<u8> + Send + Sync + 'static) -> Scene {
    let upstream = Upstream::answering(answer);
    let connection = format!(
        "  - {{name: files, kind: http, upstream: '{}', limits: {{weights_bytes: 64KiB}}}}\n",
        upstream.url()
    );
    let world = World::new(&connection, rules).with("holding: {wait: 50s}");
    Scene::of(upstream, world)
}

/// A file of its path's name, in one piece or, with a range, a piece of it.
fn file(seen: &crate::kit::Seen) -> Vec<u8> {
    const BULK: (&str, &str) = ("content-type", "application/octet-stream");
    let safetensors = [&12u64.to_le_bytes()[..], b"{\"a\": \"F32\"}"].concat();
    let line = &seen.line;
    let named = |part: &str| line.contains(part);
    if named("/gguf") {
        return reply("200 OK", &[BULK], [&b"GGUF\x03\0\0\0"[..], &[7; 500]].concat());
    }
    if named("/tensors") {
        return reply("200 OK", &[BULK], [safetensors, vec![7; 500]].concat());
    }
    if named("/typed") {
        return reply("200 OK", &[("content-type", "application/x-safetensors")], "anything");
    }
    if named("/named") {
        let named = ("content-disposition", "attachment; filename=\"model.gguf\"");
        return reply("200 OK", &[BULK, named], "anything");
    }
    if named("/large") {
        return reply("200 OK", &[BULK], vec![7; MOST]);
    }
    if named("/unsaid") {
        let pieces: Vec<u8> =
            (0..40).flat_map(|_| [&b"1000\r\n"[..], &[7; 4096], b"\r\n"].concat()).collect();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        return [head.as_bytes(), &pieces, b"0\r\n\r\n"].concat();
    }
    if named("/piece") {
        let range = ("content-range", "bytes 0-20479/*");
        return reply("206 Partial Content", &[BULK, range], vec![7; 20 * 1024]);
    }
    if named("/text") {
        return reply("200 OK", &[("content-type", "text/csv")], vec![b'x'; 2 * MOST]);
    }
    reply("200 OK", &[BULK], vec![7; MOST - 1])
}

#[test]
fn what_turns_out_to_be_weights_does_not_leave() {
    let scene = scene(BLOCKED, file);
    for (path, why) in [
        ("/gguf", "its first bytes"),
        ("/tensors", "its first bytes"),
        ("/typed", "its type"),
        ("/named", "the name of its file"),
        ("/large", "its size"),
    ] {
        let answer = call(scene.gateway.data, "GET", &format!("/files{path}"), &scene.token, &[], b"");
        assert_eq!((answer.status, answer.code().as_str()), (403, "blocked_by_policy"), "{path}: {answer:?}");
        assert!(
            answer.text().contains(why) && answer.text().contains("no-export"),
            "{path}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("GGUF"), "{path}");
    }
    for path in ["/other", "/text"] {
        let answer = call(scene.gateway.data, "GET", &format!("/files{path}"), &scene.token, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.body.len() >= MOST - 1, "{path}");
    }
}

#[test]
fn what_is_taken_piece_by_piece_or_without_a_length_counts() {
    let scene = scene(BLOCKED, file);
    let get = |path: &str| call(scene.gateway.data, "GET", path, &scene.token, &[], b"");
    let statuses: Vec<u16> = (0..5).map(|piece| get(&format!("/files/piece?n={piece}")).status).collect();
    assert_eq!(statuses, [200, 200, 200, 403, 403].map(|status| if status == 200 { 206 } else { status }));
    let by_offset: Vec<u16> = (0..3).map(|at| get(&format!("/files/other?offset={at}")).status).collect();
    assert_eq!(by_offset, [200, 403, 403]);
    // What has no length is broken off before the bound; nothing tells the caller that it is whole.
    let mut caller = crate::kit::Caller::connect(scene.gateway.data);
    caller.send(request("GET", "/files/unsaid", &scene.token, &[], b""));
    let answer = caller.answer_to("GET");
    let kept =
        |answer: &crate::kit::Answer| answer.status == 403 || (!answer.complete && answer.body.len() < MOST);
    assert!(answer.as_ref().is_none_or(kept), "it went on: {answer:?}");
}

#[test]
fn what_may_pass_with_an_approval_is_asked_about_when_it_is_sent_again() {
    let scene = scene(APPROVED, file);
    let get = || call(scene.gateway.data, "GET", "/files/gguf", &scene.token, &[], b"");
    let first = get();
    assert_eq!((first.status, first.code().as_str()), (409, "approval_pending"), "{first:?}");
    assert_eq!(first.header("x-should-retry"), "true");
    assert!(first.text().contains("send the same call again"), "{}", first.text());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(get);
        let admin = |method: &str, path: &str, body: &[u8]| {
            let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
            let token = scene.world.token(Person::Olivia);
            call(scene.gateway.admin, method, &format!("/api/v1{path}"), &token, headers, body).json()
        };
        let asked = until("an approval", || {
            let list = admin("GET", "/approvals?state=pending", b"");
            list["approvals"].as_array()?.first().cloned()
        });
        assert_eq!(asked["operation"]["class"], "model.export", "{asked}");
        let id = asked["id"].as_str().unwrap();
        admin("POST", &format!("/approvals/{id}/approve"), json!({"reason": ""}).to_string().as_bytes());
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with(b"GGUF"), "{answer:?}");
    });
    assert_eq!(scene.upstream.seen().len(), 2, "the look that gave it away, and the approved call");
}
