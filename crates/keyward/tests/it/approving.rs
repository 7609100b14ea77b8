//! What an approval is good for, however it is raced, repeated or stretched (part E of the hostile catalogue).

use std::collections::BTreeMap;
use std::thread;

use serde_json::json;

use crate::holding::Scene;
use crate::kit::{Answer, Person, call, request};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Asks for an approval without waiting for it.
fn ask(scene: &Scene, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = [&[("prefer", "respond-async")], headers].concat();
    call(scene.gateway.data, method, path, &scene.world.alice(), &headers, body)
}

fn approval_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["approval"].as_str().unwrap().to_owned()
}

#[test]
fn catalogue_97_an_approval_covers_one_request_to_the_byte() {
    let scene = Scene::new("10m", "50s");
    let json = ("content-type", "application/json");
    let body = b"{\"a\": 1, \"b\": 2}";
    let id = approval_of(&ask(&scene, "POST", "/plain/held", &[json, ("x-team", "blue")], body));
    scene.approve(&id);
    let others: [(&str, &str, &str, Headers<'_>, &[u8]); 9] = [
        ("one byte", "POST", "/plain/held", &[json, ("x-team", "blue")], b"{\"a\": 1, \"b\": 3}"),
        ("a blank", "POST", "/plain/held", &[json, ("x-team", "blue")], b"{\"a\": 1, \"b\": 2} "),
        ("the order of names", "POST", "/plain/held", &[json, ("x-team", "blue")], b"{\"b\": 2, \"a\": 1}"),
        ("another method", "PUT", "/plain/held", &[json, ("x-team", "blue")], body),
        ("another path", "POST", "/plain/held/x", &[json, ("x-team", "blue")], body),
        ("a query", "POST", "/plain/held?a=b", &[json, ("x-team", "blue")], body),
        ("another header", "POST", "/plain/held", &[json, ("x-team", "red")], body),
        ("a header more", "POST", "/plain/held", &[json, ("x-team", "blue"), ("x-more", "1")], body),
        ("a header less", "POST", "/plain/held", &[json], body),
    ];
    for (what, method, path, headers, body) in others {
        let other = approval_of(&ask(&scene, method, path, headers, body));
        assert_ne!(other, id, "{what}");
    }
    // A name twice has two readings, so it is refused before anybody is asked.
    let twice =
        ask(&scene, "POST", "/plain/held", &[json, ("x-team", "blue")], b"{\"a\": 1, \"a\": 1, \"b\": 2}");
    assert_eq!(twice.status, 400, "{twice:?}");
    // Another host is another connection, or none.
    let host = ask(&scene, "POST", "/models/held", &[json, ("x-team", "blue")], body);
    assert_ne!(host.status, 200, "{host:?}");
    assert!(scene.upstream.saw_nothing());
    let mine = ask(&scene, "POST", "/plain/held", &[json, ("x-team", "blue")], body);
    assert_eq!(mine.status, 200, "{mine:?}");
    assert_eq!(scene.upstream.only().body, body);
}

/// 1,000 calls, each decided by several at once while it waits: one end each, and the upstream saw just those that were let
/// through.
#[test]
fn catalogue_101_a_thousand_decisions_at_once_end_in_one_state_and_the_upstream_agrees() {
    const ROUNDS: usize = 1_000;
    const AT_ONCE: usize = 50;
    let scene = &Scene::new("10m", "1s");

    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for first in (0..ROUNDS).step_by(AT_ONCE) {
        let told: Vec<(String, u16)> = thread::scope(|scope| {
            let rounds: Vec<_> = (first..first + AT_ONCE)
                .map(|round| scope.spawn(move || decided_at_once(scene, round)))
                .collect();
            rounds.into_iter().map(|round| round.join().unwrap()).collect()
        });
        for (state, status) in told {
            // Approved at last: the caller that waited has its answer. Anything else: it was refused.
            assert_eq!(status == 200, state == "consumed", "{state} {status}");
            *ends.entry(state).or_default() += 1;
        }
    }
    let consumed = ends.get("consumed").copied().unwrap_or(0);
    let seen = scene.upstream.seen().len();
    assert_eq!(seen, consumed, "{ends:?}");
    assert!(ends.len() >= 2 && ends.values().sum::<usize>() == ROUNDS, "the races were no races: {ends:?}");
    assert_eq!(scene.executed().len(), consumed);
}

/// One call, and what approving and denying at once make of it: its state, and the caller's status. (Withdrawing and
/// expiring race in the store's own test: a call that comes after such an end asks anew.)
fn decided_at_once(scene: &Scene, round: usize) -> (String, u16) {
    let path = format!("/plain/held/{round}");
    let id = approval_of(&ask(scene, "GET", &path, &[], b""));
    let held = scene.waiting(request("GET", &path, &scene.world.alice(), &[], b""));
    let mut decisions = ["approve", "deny"];
    decisions.rotate_left(round % 2);
    thread::scope(|scope| {
        for decision in decisions {
            let id = &id;
            scope.spawn(move || scene.decide(Person::Olivia, id, decision, ""));
        }
    });
    let answer = held.join().unwrap().unwrap();
    if answer.status == 409 {
        // It came in the very moment of the denial, and asked anew.
        scene.decide(Person::Alice, answer.header("keyward-approval"), "cancel", "");
    }
    (scene.state(&id), answer.status)
}

#[test]
fn catalogue_115_one_caller_waits_for_so_many_and_no_more() {
    let scene = Scene::new("10m", "50s");
    let mut last = None;
    for round in 0..=100 {
        last = Some(ask(&scene, "GET", &format!("/plain/held/{round}"), &[], b""));
    }
    let refused = last.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (429, "approval_quota"), "{refused:?}");
    // Nobody else is kept from asking, and what waits can be decided.
    let other = call(
        scene.gateway.data,
        "GET",
        "/plain/held/x",
        &scene.world.token(Person::CiBot),
        &[("prefer", "respond-async")],
        b"",
    );
    assert_eq!(other.status, 202, "{other:?}");
    let pending = scene.admin(Person::Olivia, "GET", "/approvals?state=pending&limit=200", "").json();
    assert_eq!(pending["approvals"].as_array().unwrap().len(), 101);
    let first = pending["approvals"][100]["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.decide(Person::Olivia, &first, "deny", "").status, 200);
    assert_eq!(ask(&scene, "GET", "/plain/held/100", &[], b"").status, 202, "there is room for one more");
}

#[test]
fn catalogue_111_who_names_another_digest_decides_nothing() {
    let scene = Scene::new("10m", "50s");
    let id = approval_of(&ask(&scene, "GET", "/plain/held", &[], b""));
    let shown = scene.admin(Person::Olivia, "GET", &format!("/approvals/{id}"), "").json();
    let path = format!("/approvals/{id}/approve");
    let decide =
        |digest: &str| scene.admin(Person::Olivia, "POST", &path, &json!({"digest": digest}).to_string());
    let other = "0".repeat(64);
    assert_eq!(decide(&other).status, 409);
    assert_eq!(scene.state(&id), "pending");
    assert_eq!(decide(shown["digest"].as_str().unwrap()).status, 200);
    assert_eq!(ask(&scene, "GET", "/plain/held", &[], b"").status, 200);
    // What ran is what was shown: the record of it has the same digest.
    assert_eq!(scene.executed()[0].digest.as_deref(), shown["digest"].as_str());
}
