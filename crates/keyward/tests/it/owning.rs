//! Connections that somebody owns, and rules that ask the owner.

use serde_json::json;

use crate::kit::{Answer, Person, Upstream, World, call, get, reply};

const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - id: owned
    effect: approve
    when: 'operation.path.startsWith(\"/held\")'
    reason: Wait for the owner
    approval: {approvers: [owner, 'group:nobody'], bind: request, ttl: 10m}
  - id: written
    effect: approve
    when: 'operation.class == \"http.write\"'
    reason: Wait for the owner
    approval: {approvers: [owner], bind: operation, ttl: 10m}
";

fn connection(name: &str, upstream: &Upstream, more: &str) -> String {
    format!("  - {{name: {name}, kind: http, upstream: '{}'{more}}}\n", upstream.url())
}

fn held(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["approval"].as_str().unwrap().to_owned()
}

#[test]
fn the_owner_of_the_connection_decides_and_without_one_the_call_is_refused() {
    let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
    let connections = [
        connection("owned", &upstream, ", owner: 'group:model-owners'"),
        connection("shared", &upstream, ", owner: ['group:others', 'group:model-owners']"),
        connection("open", &upstream, ""),
    ];
    let world = World::new(&connections.concat(), RULES);
    let gateway = world.start();
    assert!(gateway.log().contains("a connection without one"), "{}", gateway.log());
    let send = |method: &str, path: &str| {
        call(gateway.data, method, path, &world.alice(), &[("Prefer", "respond-async")], b"")
    };
    let approve = |who: Person, id: &str| {
        let path = format!("/api/v1/approvals/{id}/approve");
        call(gateway.admin, "POST", &path, &world.token(who), &[("content-type", "application/json")], b"{}")
    };
    for (method, path, names) in [
        ("GET", "/owned/held", json!([["group:model-owners", "group:nobody"]])),
        ("GET", "/shared/held", json!([["group:others", "group:model-owners", "group:nobody"]])),
        ("POST", "/owned/x", json!([["group:model-owners"]])),
    ] {
        let before = upstream.seen().len();
        let id = held(&send(method, path));
        let shown = get(gateway.admin, &format!("/api/v1/approvals/{id}"), &world.olivia()).json();
        assert_eq!(shown["approvers"], names, "{shown}");
        assert_eq!(approve(Person::Alice, &id).status, 403, "whoever asked never decides");
        assert_eq!(approve(Person::Olivia, &id).status, 200);
        assert_eq!(send(method, path).status, 200);
        assert_eq!(upstream.seen().len(), before + 1);
    }
    let before = upstream.seen().len();
    for (method, path, rule) in [("GET", "/open/held", "owned"), ("POST", "/open/x", "written")] {
        let refused = send(method, path);
        assert_eq!((refused.status, refused.header("keyward-rule")), (403, rule), "{refused:?}");
        assert!(
            refused.text().contains("owner of the connection") && refused.text().contains("open"),
            "{refused:?}"
        );
    }
    assert_eq!(upstream.seen().len(), before);
    let refused = send("GET", "/open/held");
    let server = format!("http://{}", gateway.admin);
    let explain = ["policy", "explain", refused.header("keyward-request-id"), "--server", &server];
    let explained = world.command(&explain).env("KEYWARD_TOKEN", world.alice()).output().unwrap();
    let said = String::from_utf8_lossy(&explained.stdout);
    assert!(
        said.contains("block by owned") && said.contains("reason: It asks an owner of the connection"),
        "{said}"
    );
    assert!(said.contains("connection.owners"), "{said}");
    assert_eq!(get(gateway.data, "/open/free", &world.alice()).status, 200);
    let listed = get(gateway.admin, "/api/v1/connections/shared", &world.alice()).json();
    assert_eq!(listed["owners"], json!(["group:others", "group:model-owners"]));
}

#[test]
fn owners_that_are_none_and_rules_that_could_ask_nobody_do_not_load() {
    let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
    let refuses = |owner: &str, words: &str| {
        let world = World::new(&connection("plain", &upstream, owner), RULES);
        world.write_configuration();
        let output = world.run(&["config", "validate"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{owner}: {said}");
        assert!(said.contains(words), "{owner}: {said}");
    };
    refuses(", owner: platform", "neither a group nor a user");
    refuses(", owner: ['group:a', 'user:b']", "neither a group nor a user");
    refuses(", owner: []", "nobody owns it");
    refuses(", owner: 7", "must be");
    refuses("", "none that it can apply to has one");
    let world = World::new(&connection("plain", &upstream, ", owner: 'user:https://a.example#b'"), RULES);
    world.write_configuration();
    assert!(world.run(&["config", "validate"]).status.success());
}
