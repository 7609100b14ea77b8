//! Client tokens on the real binary: made, used within their scope, revoked while they have something under way
//! (catalogue 17, 19, 26).

use std::process::{Command, Output};

use keyward_journal::Record;
use keyward_journal::record::End;
use serde_json::{Value, json};

use crate::kit::{
    ALLOW, Answer, Scene, Upstream, World, call, get, http, post_json, reply, request, until, until_true,
};
use crate::running::Streaming;

fn scene() -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "text/plain")], b"hello"));
    let connections = http("plain", &upstream.url()) + &http("other", &upstream.url());
    let world = World::new(&connections, ALLOW).with("roles: {admin: ['group:model-owners']}");
    Scene::of(upstream, world)
}

impl Scene {
    fn make(&self, body: &Value) -> Answer {
        post_json(self.gateway.admin, "/api/v1/tokens", &self.token, &body.to_string())
    }

    /// A token for the connection `plain`, and its id.
    fn made(&self, mut more: Value) -> (String, String) {
        if more.get("connections").is_none() {
            more["connections"] = json!(["plain"]);
        }
        let answer = self.make(&more);
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        (text("token"), text("id"))
    }

    fn post_admin(&self, path: &str, token: &str) -> Answer {
        post_json(self.gateway.admin, &format!("/api/v1{path}"), token, "{}")
    }

    /// A command against the admin listener, with Alice's token.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.env("KEYWARD_SERVER", format!("http://{}", self.gateway.admin));
        command.env("KEYWARD_TOKEN", &self.token);
        command
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Where a call was refused, with nothing sent.
fn refused(scene: &Scene, path: &str, token: &str) -> (u16, String) {
    let before = scene.upstream.seen().len();
    let answer = get(scene.gateway.data, path, token);
    assert_eq!(scene.upstream.seen().len(), before, "{answer:?}");
    (answer.status, answer.code())
}

#[test]
fn catalogue_26_a_token_makes_its_owners_calls_within_its_scope_and_is_never_sent_on() {
    let scene = scene();
    let (token, id) = scene.made(json!({"classes": ["http.read"]}));
    let answer = get(scene.gateway.data, "/plain/x", &token);
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{answer:?}");
    let header = call(scene.gateway.data, "GET", "/plain/x", "", &[("x-api-key", &token)], b"");
    assert_eq!(header.status, 200, "{header:?}");
    for seen in scene.upstream.seen() {
        assert!(!format!("{:?} {:?}", seen.line, seen.headers).contains("kw_"));
    }
    let scope = (403, "out_of_scope".to_owned());
    assert_eq!(refused(&scene, "/other/x", &token), scope, "another connection");
    let before = scene.upstream.seen().len();
    let write = post_json(scene.gateway.data, "/plain/x", &token, "{}");
    assert_eq!((write.status, write.code()), scope, "another class");
    assert_eq!(scene.upstream.seen().len(), before);
    let records = scene.world.records();
    let whose = records.iter().find_map(|record| match record {
        Record::SessionOpened(it) => Some(it.principal.subject.to_string()),
        _ => None,
    });
    assert_eq!(whose.as_deref(), Some("alice"));
    let made = |record: &Record| matches!(record, Record::Admin(it) if it.action == "token.make" && it.target.contains(&id) && it.allowed);
    assert!(records.iter().any(made));
    assert!(!format!("{records:?}").contains(&token) && !scene.gateway.log().contains(&token));
}

#[test]
fn catalogue_26_unknown_and_revoked_tokens_are_refused_alike_and_survive_no_restart() {
    let mut scene = scene();
    let (token, id) = scene.made(json!({}));
    let (kept, _) = scene.made(json!({}));
    let unknown = format!("kw_{}", "A".repeat(43));
    assert_eq!(scene.post_admin(&format!("/tokens/{id}/revoke"), &scene.token).status, 200);
    let sentence = |answer: Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{answer:?}");
        answer.json()["detail"].as_str().unwrap().split(" (request").next().unwrap().to_owned()
    };
    let data = scene.gateway.data;
    assert_eq!(sentence(get(data, "/plain/x", &token)), sentence(get(data, "/plain/x", &unknown)));
    let Scene { world, gateway, .. } = &mut scene;
    gateway.restart(world);
    assert_eq!(get(scene.gateway.data, "/plain/x", &token).status, 401);
    assert_eq!(get(scene.gateway.data, "/plain/x", &kept).status, 200);
    let (short, _) = scene.made(json!({"seconds": 1}));
    let expired = until("the end of its second", || {
        let answer = get(scene.gateway.data, "/plain/x", &short);
        (answer.status == 401).then_some(answer)
    });
    assert!(sentence(expired).contains("expired"));
}

#[test]
fn catalogue_17_revoking_cuts_what_is_under_way_and_leaves_the_owners_own_calls() {
    let streaming = Streaming::new();
    let world = World::new(&http("plain", &streaming.upstream.url()), ALLOW);
    let gateway = world.start();
    let alice = world.alice();
    let made = post_json(gateway.admin, "/api/v1/tokens", &alice, "{\"connections\": [\"plain\"]}").json();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    let mut by_token = crate::running::begun(&gateway, token);
    let mut own = crate::running::begun(&gateway, &alice);
    let path = format!("/api/v1/tokens/{id}/revoke");
    assert_eq!(post_json(gateway.admin, &path, &alice, "{}").status, 200);
    let last = String::from_utf8(by_token.line.chunk().unwrap()).unwrap();
    assert!(last.contains("session_ended") && last.contains(id), "{last}");
    streaming.finish.send(()).unwrap(); // the upstream of the stream that was cut
    streaming.end(&mut own);
    until_true("both outcomes", || world.ends().len() == 2);
    assert_eq!(world.ends(), [End::SessionEnded, End::Completed]);
}

#[test]
fn catalogue_17_a_lock_on_the_owner_holds_for_their_tokens() {
    let scene = scene();
    let (token, _) = scene.made(json!({}));
    let target = format!("user:{}#alice", scene.world.issuer.url());
    let lock = json!({"target": target, "reason": "left"}).to_string();
    assert_eq!(post_json(scene.gateway.admin, "/api/v1/locks", &scene.world.olivia(), &lock).status, 200);
    assert_eq!(refused(&scene, "/plain/x", &token), (403, "locked".to_owned()));
}

#[test]
fn catalogue_19_a_token_in_the_address_or_beside_another_is_refused() {
    let scene = scene();
    let (token, _) = scene.made(json!({}));
    assert_eq!(refused(&scene, &format!("/plain/x?k={token}"), "").0, 400);
    assert_eq!(refused(&scene, &format!("/plain/x?k={token}"), &scene.token).0, 400);
    scene.refused(
        "two credentials",
        request("GET", "/plain/x", &token, &[("x-api-key", &scene.token)], b""),
        &[400],
    );
}

#[test]
fn a_client_token_decides_nothing_and_makes_no_other() {
    let scene = scene();
    let (token, id) = scene.made(json!({}));
    for (method, path, body) in [
        ("POST", "/tokens".to_owned(), "{\"connections\": [\"plain\"]}"),
        ("POST", format!("/tokens/{id}/revoke"), "{}"),
        ("GET", "/tokens".to_owned(), ""),
        ("GET", "/whoami".to_owned(), ""),
        ("GET", "/approvals".to_owned(), ""),
    ] {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1{path}");
        let answer = call(scene.gateway.admin, method, &path, &token, &headers, body.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (401, "client_token"), "{path} {answer:?}");
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let scene = scene();
    for body in [
        json!({}),
        json!({"connections": ["plain"], "all": true}),
        json!({"connections": ["nowhere"]}),
        json!({"connections": ["plain"], "classes": []}),
        json!({"connections": ["plain"], "classes": ["reading"]}),
        json!({"connections": ["plain"], "seconds": 0}),
        json!({"connections": ["plain"], "seconds": 86_401}),
        json!({"connections": ["plain"], "name": "x".repeat(129)}),
        json!({"connections": ["plain"], "owner": "olivia"}),
    ] {
        let answer = scene.make(&body);
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{body} {answer:?}");
    }
    assert_eq!(scene.make(&json!({"all": true, "seconds": 86_400})).status, 200);
}

#[test]
fn the_command_prints_the_token_alone_and_lists_and_revokes_it() {
    let scene = scene();
    let output = scene.cli(&["token", "plain", "--for", "10m", "--name", "laptop"]).output().unwrap();
    let token = stdout(&output);
    assert!(token.starts_with("kw_") && token.len() == 47 && token.ends_with('\n'), "{token:?}");
    let token = token.trim();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("tok_") && !said.contains("kw_"), "{said}");
    assert_eq!(get(scene.gateway.data, "/plain/x", token).status, 200);
    let listed = stdout(&scene.cli(&["tokens", "ls", "-o", "json"]).output().unwrap());
    assert!(!listed.contains("kw_"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["connections"]), (&json!("laptop"), &json!(["plain"])));
    assert!(listed[0]["last_used_at"].is_string(), "{listed}");
    let id = listed[0]["id"].as_str().unwrap();
    stdout(&scene.cli(&["tokens", "revoke", id]).output().unwrap());
    assert_eq!(get(scene.gateway.data, "/plain/x", token).status, 401);
    let code = |arguments: &[&str]| scene.cli(arguments).output().unwrap().status.code();
    assert_eq!(code(&["tokens", "revoke", id]), Some(3));
    assert_eq!(code(&["token"]), Some(2));
    assert_eq!(code(&["token", "plain", "--for", "2d"]), Some(2));
    assert_eq!(code(&["tokens", "revoke", token]), Some(2));
}
