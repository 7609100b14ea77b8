//! Calls that wait for a human: what their caller sees, who may decide, and that each runs once or not at all.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use keyward_journal::Record;
use keyward_journal::record::{End, Intent};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{
    Answer, Caller, Gateway, Person, Upstream, World, call, http, keyed, post_json, reply, request, until,
    until_true,
};

const HOLDING: &str = "holding: {wait: 1s, stream_commit_after: 200ms, keepalive: 1s}";
const WEIGHTS: &str = "/models/v1/models/m/weights";

/// Exports and chats with the model `held` wait for an owner; `ttl` bounds how long.
fn rules(ttl: &str) -> String {
    format!(
        "  - {{id: all, effect: allow, when: 'true'}}
  - id: hold
    effect: approve
    when: 'operation.class == \"model.export\" || operation.resource.model == \"held\" || operation.path.startsWith(\"/held\")'
    reason: Wait for an owner
    approval: {{approvers: ['group:model-owners'], min: 1, bind: request, ttl: {ttl}}}
"
    )
}

pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) world: World,
    pub(crate) gateway: Gateway,
}

impl Scene {
    pub(crate) fn new(ttl: &str, wait: &str) -> Self {
        Self::before(Upstream::answering(answer), ttl, wait)
    }

    pub(crate) fn before(upstream: Upstream, ttl: &str, wait: &str) -> Self {
        let url = upstream.url();
        let connections = [
            keyed("models", "openai", &url, "KEY"),
            keyed("claude", "anthropic", &url, "KEY"),
            http("plain", &url),
        ];
        let world = World::new(&connections.concat(), &rules(ttl))
            .with(&HOLDING.replace("wait: 1s", &format!("wait: {wait}")))
            .secret("KEY", concat!("holding-", "credential-0123456789"));
        let gateway = world.start();
        Self { upstream, world, gateway }
    }

    /// Sends a request on a thread of its own.
    pub(crate) fn waiting(&self, bytes: Vec<u8>) -> JoinHandle<Option<Answer>> {
        let mut caller = Caller::connect(self.gateway.data);
        std::thread::spawn(move || {
            caller.send(bytes);
            caller.answer_to("GET")
        })
    }

    pub(crate) fn export(&self) -> Vec<u8> {
        request("GET", WEIGHTS, &self.world.alice(), &[], b"")
    }

    pub(crate) fn admin(&self, person: Person, method: &str, path: &str, body: &str) -> Answer {
        let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        call(
            self.gateway.admin,
            method,
            &format!("/api/v1{path}"),
            &self.world.token(person),
            headers,
            body.as_bytes(),
        )
    }

    pub(crate) fn pending(&self) -> Vec<String> {
        let answer = self.admin(Person::Olivia, "GET", "/approvals?state=pending", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let list = answer.json();
        let ids =
            list["approvals"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    /// The one approval that is waited for.
    pub(crate) fn asked(&self) -> String {
        until("a pending approval", || {
            let pending = self.pending();
            assert!(pending.len() < 2, "{pending:?}");
            pending.into_iter().next()
        })
    }

    pub(crate) fn state(&self, id: &str) -> String {
        let answer = self.admin(Person::Olivia, "GET", &format!("/approvals/{id}"), "");
        answer.json()["state"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    pub(crate) fn decide(&self, person: Person, id: &str, decision: &str, reason: &str) -> Answer {
        self.admin(
            person,
            "POST",
            &format!("/approvals/{id}/{decision}"),
            &json!({"reason": reason}).to_string(),
        )
    }

    pub(crate) fn approve(&self, id: &str) {
        let answer = self.decide(Person::Olivia, id, "approve", "");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The intents on the strength of an approval that were acted on.
    pub(crate) fn executed(&self) -> Vec<Intent> {
        let refused: Vec<_> =
            self.world.outcomes().iter().filter(|o| o.end == End::Refused).map(|o| o.request).collect();
        let acted = |intent: &Intent| {
            intent.approval.is_some() && intent.retry_of.is_none() && !refused.contains(&intent.request)
        };
        self.world.intents().into_iter().filter(acted).collect()
    }
}

fn answer(seen: &crate::kit::Seen) -> Vec<u8> {
    if seen.line.starts_with("POST") && crate::kit::holds(&seen.body, b"\"stream\":true") {
        let events = "event: x\ndata: {\"a\" :1}\n\n: comment\n\ndata: [DONE]\n\n";
        return reply("200 OK", &[("content-type", "text/event-stream")], events);
    }
    reply("200 OK", &[("content-type", "application/octet-stream"), ("x-line", &seen.line)], "the weights")
}

#[test]
fn an_approved_call_runs_once_and_an_identical_one_gets_its_answer() {
    let scene = Scene::new("10m", "50s");
    let held = scene.waiting(scene.export());
    let id = scene.asked();
    // Neither who asked, nor who is no approver.
    for person in [Person::Alice, Person::CiBot] {
        let answer = scene.decide(person, &id, "approve", "");
        assert!(matches!(answer.status, 403 | 404), "{answer:?}");
    }
    assert_eq!(scene.state(&id), "pending");
    assert!(scene.upstream.saw_nothing());
    scene.approve(&id);
    let answer = held.join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"));
    assert_eq!((answer.header("keyward-decision"), answer.header("keyward-rule")), ("approve", "hold"));
    assert_eq!(scene.state(&id), "consumed");

    let again = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!(
        (again.status, &*again.text(), again.header("x-line")),
        (200, "the weights", answer.header("x-line"))
    );
    assert_eq!(scene.upstream.seen().len(), 1);
    let executed = scene.executed();
    assert_eq!(executed.len(), 1);
    assert_eq!(executed[0].approval.unwrap().to_string(), id);
    // A second decision comes too late.
    assert!(scene.decide(Person::Olivia, &id, "deny", "").status >= 400);
}

#[test]
fn whoever_asks_never_decides_even_as_an_approver() {
    let scene = Scene::new("10m", "50s");
    let held = scene.waiting(request("GET", WEIGHTS, &scene.world.olivia(), &[], b""));
    let id = scene.asked();
    let answer = scene.decide(Person::Olivia, &id, "approve", "mine");
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(scene.state(&id), "pending");
    // But may withdraw.
    assert_eq!(scene.decide(Person::Olivia, &id, "cancel", "").status, 200);
    let answer = held.join().unwrap().unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn a_denied_call_learns_the_reason_and_is_not_to_be_sent_again() {
    let scene = Scene::new("10m", "50s");
    let held = scene.waiting(scene.export());
    let id = scene.asked();
    assert_eq!(scene.decide(Person::Olivia, &id, "deny", "Not on a Friday.").status, 200);
    let answer = held.join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.code()), (403, "approval_denied"));
    assert_eq!(answer.header("x-should-retry"), "false");
    assert!(answer.text().contains("Not on a Friday."), "{answer:?}");
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn a_call_that_nobody_decides_expires() {
    let scene = Scene::new("2s", "50s");
    let answer = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.code()), (403, "approval_expired"), "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(scene.state(answer.header("keyward-approval")), "expired");
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn a_call_that_waits_too_long_is_told_to_come_back_and_attaches() {
    let scene = Scene::new("10m", "1s");
    let first = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((first.status, &*first.code()), (409, "approval_pending"), "{first:?}");
    assert_eq!((first.header("retry-after"), first.header("x-should-retry")), ("1", "true"));
    let id = first.header("keyward-approval").to_owned();
    assert!(first.text().contains(&id), "{first:?}");
    let second = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((second.status, second.header("keyward-approval")), (409, &*id));
    assert_eq!(scene.pending(), [&*id]);
    // 97: another request, by one byte, is another approval.
    let other = scene.waiting(request("GET", &format!("{WEIGHTS}?"), &scene.world.alice(), &[], b""));
    let other = other.join().unwrap().unwrap();
    let third = scene.waiting(request("GET", &format!("{WEIGHTS}?a"), &scene.world.alice(), &[], b""));
    let third = third.join().unwrap().unwrap();
    assert_eq!((other.status, third.status), (409, 409));
    assert_ne!(third.header("keyward-approval"), id);
    scene.approve(&id);
    let answer = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"));
    assert_eq!(scene.upstream.seen().len(), 1);
    // What was approved was that request, nothing else.
    let third = scene.waiting(request("GET", &format!("{WEIGHTS}?a"), &scene.world.alice(), &[], b""));
    assert_eq!(third.join().unwrap().unwrap().status, 409);
    // Nor somebody else's.
    let olivia =
        scene.waiting(request("GET", WEIGHTS, &scene.world.olivia(), &[], b"")).join().unwrap().unwrap();
    assert_eq!(olivia.status, 409);
    assert_eq!(scene.upstream.seen().len(), 1);
}

#[test]
fn a_caller_that_prefers_to_poll_gets_202_and_the_answer_once_approved() {
    let scene = Scene::new("10m", "50s");
    let prefer = request("GET", WEIGHTS, &scene.world.alice(), &[("Prefer", "respond-async")], b"");
    let first = scene.waiting(prefer.clone()).join().unwrap().unwrap();
    assert_eq!((first.status, first.header("preference-applied")), (202, "respond-async"));
    let id = first.json()["approval"].as_str().unwrap().to_owned();
    let location = first.header("location");
    let path = location.strip_prefix(&format!("http://{}", scene.gateway.admin)).unwrap();
    let seen = call(scene.gateway.admin, "GET", path, &scene.world.alice(), &[], b"");
    assert_eq!((seen.status, &seen.json()["state"]), (200, &json!("pending")));
    scene.approve(&id);
    let answer = scene.waiting(prefer).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"));
    assert_eq!(scene.upstream.seen().len(), 1);
}

fn chat(path: &str, token: &str) -> Vec<u8> {
    let body = "{\"model\":\"held\",\"stream\":true,\"max_tokens\":9,\"messages\":[{}]}";
    request("POST", path, token, &[("Content-Type", "application/json")], body.as_bytes())
}

#[test]
fn a_held_stream_gets_comments_and_then_the_upstreams_events_untouched() {
    let scene = Scene::new("10m", "50s");
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(chat("/models/v1/chat/completions", &scene.world.alice()));
    let head = caller.head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    let id = scene.asked();
    let comment = format!(": keyward approval={id} url=http://{}/approvals/{id}\n\n", scene.gateway.admin);
    // At once, and then every second.
    for _ in 0..3 {
        assert_eq!(String::from_utf8(caller.line.chunk().unwrap()).unwrap(), comment);
    }
    assert!(scene.upstream.saw_nothing());
    scene.approve(&id);
    let mut rest = String::new();
    loop {
        let chunk = caller.line.chunk().expect("the stream broke off");
        if chunk.is_empty() {
            break;
        }
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(rest.replace(&comment, ""), "event: x\ndata: {\"a\" :1}\n\n: comment\n\ndata: [DONE]\n\n");
    assert_eq!(scene.upstream.seen().len(), 1);
    assert_eq!(scene.world.outcome().end, End::Completed);
}

#[test]
fn a_held_stream_that_is_denied_ends_in_an_event_of_its_dialect() {
    let scene = Scene::new("10m", "50s");
    for path in ["/models/v1/chat/completions", "/claude/v1/messages"] {
        let mut caller = Caller::connect(scene.gateway.data);
        caller.send(chat(path, &scene.world.alice()));
        assert_eq!(caller.head().unwrap().status, 200);
        let id = scene.asked();
        assert_eq!(scene.decide(Person::Olivia, &id, "deny", "no").status, 200);
        let mut text = String::new();
        loop {
            let chunk = caller.line.chunk().expect("the stream broke off");
            if chunk.is_empty() {
                break;
            }
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let event = text
            .split("\n\n")
            .filter(|event| !event.starts_with(':'))
            .find(|event| !event.is_empty())
            .unwrap();
        let (kind, data) = event.split_once("data: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        if path.starts_with("/claude") {
            assert_eq!((kind, &data["type"]), ("event: error\n", &json!("error")));
        } else {
            assert_eq!((kind, &data["error"]["code"]), ("", &json!("approval_denied")));
        }
        assert!(!text.contains("event: ping"));
    }
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn catalogue_99_an_approval_is_void_when_the_policy_changed() {
    let scene = Scene::new("10m", "50s");
    let held = scene.waiting(scene.export());
    let id = scene.asked();
    scene.world.write_rules(&rules("9m"));
    scene.gateway.signal(Signal::HUP);
    until_true("the reload", || {
        let configs = |record: &Record| matches!(record, Record::Config(event) if event.accepted);
        scene.world.records().iter().filter(|record| configs(record)).count() == 2
    });
    scene.approve(&id);
    let answer = held.join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.code()), (403, "approval_stale"), "{answer:?}");
    assert_eq!(scene.state(&id), "stale");
    assert!(scene.upstream.saw_nothing());
    // A new one, under the new policy, goes through.
    let held = scene.waiting(scene.export());
    scene.approve(&scene.asked());
    assert_eq!(held.join().unwrap().unwrap().status, 200);
    assert_eq!(scene.upstream.seen().len(), 1);
}

#[test]
fn catalogue_99_an_approval_is_void_when_the_credential_was_rotated() {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let (first, second) = (concat!("holding-", "first-0123456789"), concat!("holding-", "second-9876543210"));
    let accepted = Arc::new(Mutex::new(first));
    let current = Arc::clone(&accepted);
    let upstream = Upstream::answering(move |seen| {
        let good = seen.all("authorization") == [format!("Bearer {}", current.lock().unwrap())];
        reply(if good { "200 OK" } else { "401 Unauthorized" }, &[], "answer")
    });
    let mut world = World::new("", &rules("10m")).with(HOLDING);
    let file = world.path("credential");
    let write = |value: &str| {
        let mut open = std::fs::OpenOptions::new();
        let mut file = open.create(true).write(true).truncate(true).mode(0o600).open(&file).unwrap();
        file.write_all(value.as_bytes()).unwrap();
    };
    write(first);
    world.connections = format!(
        "  - {{name: models, kind: openai, upstream: '{}', credential: {{secret: 'file://{}', inject: bearer}}}}\n",
        upstream.url(),
        file.display()
    );
    let gateway = world.start();
    let scene = Scene { upstream, world, gateway };
    let asked =
        scene.waiting(request("GET", WEIGHTS, &scene.world.alice(), &[("Prefer", "respond-async")], b""));
    assert_eq!(asked.join().unwrap().unwrap().status, 202);
    let id = scene.asked();
    scene.approve(&id);
    write(second);
    *accepted.lock().unwrap() = second;
    // Another call's 401 makes the gateway read the new version.
    until_true("the new version", || {
        call(scene.gateway.data, "GET", "/models/v1/models", &scene.world.alice(), &[], b"").status == 200
    });
    let before = scene.upstream.seen().len();
    let answer = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!(answer.status, if answer.code() == "approval_stale" { 403 } else { 409 }, "{answer:?}");
    assert_eq!(scene.state(&id), "stale");
    assert_eq!(scene.upstream.seen().len(), before);
}

#[test]
fn catalogue_112_what_was_pending_survives_a_kill_and_runs_once() {
    let mut scene = Scene::new("10m", "1s");
    let first = scene.waiting(scene.export()).join().unwrap().unwrap();
    let id = first.header("keyward-approval").to_owned();
    let held = scene.waiting(scene.export());
    until_true("it waits", || {
        let metrics = call(scene.gateway.admin, "GET", "/metrics", &scene.world.alice(), &[], b"");
        metrics.text().lines().any(|line| line == "keyward_held 1")
    });
    scene.gateway.restart(&scene.world);
    // The one that waited was cut off, or was told to come back just before.
    assert!(held.join().unwrap().is_none_or(|answer| answer.status == 409));
    assert_eq!(scene.pending(), [&*id]);
    assert!(scene.upstream.saw_nothing());
    scene.approve(&id);
    let answer = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"), "{answer:?}");
    assert_eq!(scene.state(&id), "consumed");
    assert_eq!(scene.upstream.seen().len(), 1);
    // Killed after it ran: it does not run again on the strength of that approval.
    scene.gateway.restart(&scene.world);
    let again = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!(again.status, 409, "{again:?}");
    assert_ne!(again.header("keyward-approval"), id);
    assert_eq!(scene.upstream.seen().len(), 1);
    drop(scene.gateway);
    scene.world.verify();
}

#[test]
fn catalogue_100_of_fifty_identical_calls_one_runs() {
    const CALLS: usize = 50;
    let scene = Scene::new("10m", "50s");
    let held: Vec<_> = (0..CALLS).map(|_| scene.waiting(scene.export())).collect();
    let id = scene.asked();
    until_true("all of them to wait", || {
        let metrics = call(scene.gateway.admin, "GET", "/metrics", &scene.world.alice(), &[], b"").text();
        metrics.lines().any(|line| line.starts_with("keyward_held") && line.ends_with(&format!(" {CALLS}")))
    });
    assert_eq!(scene.pending(), [&*id]);
    scene.approve(&id);
    let answers: Vec<Answer> = held.into_iter().map(|held| held.join().unwrap().unwrap()).collect();
    assert_eq!(scene.upstream.seen().len(), 1);
    let (ran, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!ran.is_empty());
    for answer in ran {
        assert_eq!(answer.text(), "the weights");
    }
    for answer in others {
        assert_eq!((answer.status, answer.header("x-should-retry")), (409, "true"), "{answer:?}");
    }
    let again: Vec<_> = (0..CALLS).map(|_| scene.waiting(scene.export())).collect();
    for answer in again {
        let answer = answer.join().unwrap().unwrap();
        assert_eq!((answer.status, &*answer.text()), (200, "the weights"));
    }
    assert_eq!((scene.upstream.seen().len(), scene.executed().len()), (1, 1));
}

#[test]
fn catalogue_114_a_caller_that_goes_away_while_held_executes_nothing_later() {
    let scene = Scene::new("10m", "50s");
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(scene.export());
    let id = scene.asked();
    caller.line.close();
    until_true("the caller to be gone", || {
        let metrics = call(scene.gateway.admin, "GET", "/metrics", &scene.world.alice(), &[], b"").text();
        metrics.lines().any(|line| line.starts_with("keyward_held") && line.ends_with(" 0"))
    });
    scene.approve(&id);
    assert_eq!(scene.state(&id), "approved");
    assert!(scene.upstream.saw_nothing());
    // It comes back for it.
    let answer = scene.waiting(scene.export()).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"));
    assert_eq!(scene.upstream.seen().len(), 1);
}

#[test]
fn a_held_upload_is_bound_to_every_byte_of_its_body() {
    let scene = Scene::new("10m", "1s");
    let token = scene.world.alice();
    let send = |body: &str| {
        let prefer = [("Prefer", "respond-async"), ("Content-Type", "application/octet-stream")];
        call(scene.gateway.data, "POST", "/plain/held", &token, &prefer, body.as_bytes())
    };
    let first = send("{\"a\":1}");
    assert_eq!(first.status, 202, "{first:?}");
    scene.approve(first.json()["approval"].as_str().unwrap());
    let other = send("{\"a\":2}");
    assert_eq!(other.status, 202);
    assert!(scene.upstream.saw_nothing());
    assert_eq!(send("{\"a\":1}").status, 200);
    assert_eq!(scene.upstream.only().body, b"{\"a\":1}");
    assert_eq!(post_json(scene.gateway.data, "/plain/held", &token, "{\"a\":1}").status, 409);
}
