//! Callers that are kept out while they have something under way (catalogue 17, 18).

use keyward_journal::Record;
use keyward_journal::record::End;
use serde_json::json;

use crate::kit::{
    ALLOW, Answer, Caller, Gateway, Person, World, call, get, http, request, until, until_true,
};
use crate::running::{Streaming, begun};

const ADMIN: &str = "roles: {admin: ['group:model-owners']}";

struct Scene {
    streaming: Streaming,
    world: World,
    gateway: Gateway,
}

impl Scene {
    fn new(rules: &str) -> Self {
        let streaming = Streaming::new();
        let world = World::new(&http("plain", &streaming.upstream.url()), rules).with(ADMIN);
        let gateway = world.start();
        Self { streaming, world, gateway }
    }

    fn admin(&self, path: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1{path}");
        let answer = call(self.gateway.admin, "POST", &path, &self.world.olivia(), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    fn lock(&self, target: &str) -> String {
        let body = json!({"target": target, "reason": "her token leaked"}).to_string();
        self.admin("/locks", &body).json()["id"].as_str().unwrap().to_owned()
    }

    fn alice(&self) -> String {
        format!("user:{}#alice", self.world.issuer.url())
    }
}

/// The stream ends with an error that the caller can read, before anything else of the upstream came.
fn assert_cut(caller: &mut Caller) {
    let last = String::from_utf8(caller.line.chunk().unwrap()).unwrap();
    assert!(last.contains("session_ended") && !last.contains("two"), "{last}");
    assert!(caller.line.chunk().is_none_or(|rest| rest.is_empty()));
}

#[test]
fn catalogue_17_a_lock_keeps_out_cuts_streams_and_survives_a_restart() {
    let mut scene = Scene::new(ALLOW);
    let (alice, bot) = (scene.world.alice(), scene.world.token(Person::CiBot));
    let mut hers = begun(&scene.gateway, &alice);
    let mut others = begun(&scene.gateway, &bot);
    let id = scene.lock(&scene.alice());
    assert_cut(&mut hers);
    let before = scene.streaming.upstream.seen().len();
    let refused = get(scene.gateway.data, "/plain/x", &alice);
    assert_eq!((refused.status, refused.code().as_str()), (403, "locked"), "{refused:?}");
    assert!(refused.text().contains("her token leaked"), "{refused:?}");
    assert_eq!(scene.streaming.upstream.seen().len(), before);
    scene.streaming.finish.send(()).unwrap(); // the upstream of the stream that was cut
    scene.streaming.end(&mut others);
    until_true("both outcomes", || scene.world.ends().len() == 2);
    assert_eq!(scene.world.ends(), [End::SessionEnded, End::Completed]);
    let records = scene.world.records();
    assert!(
        records.iter().any(|record| matches!(record, Record::SessionClosed(it) if it.reason.contains(&id)))
    );
    assert!(
        records
            .iter()
            .any(|record| matches!(record, Record::Admin(it) if it.action == "lock.add" && it.allowed))
    );
    let Scene { streaming: _, world, gateway } = &mut scene;
    gateway.restart(world);
    assert_eq!(get(gateway.data, "/plain/x", &world.alice()).status, 403);
    scene.admin(&format!("/locks/{id}/lift"), "{}");
    assert_eq!(get(scene.gateway.data, "/plain/x", &scene.world.alice()).status, 200);
}

#[test]
fn catalogue_18_a_locked_group_or_connection_is_cut() {
    for target in ["group:eng", "connection:plain"] {
        let scene = Scene::new(ALLOW);
        let mut hers = begun(&scene.gateway, &scene.world.alice());
        scene.lock(target);
        assert_cut(&mut hers);
        assert_eq!(get(scene.gateway.data, "/plain/x", &scene.world.alice()).status, 403, "{target}");
    }
}

#[test]
fn catalogue_17_a_call_that_is_held_ends_with_the_lock_and_never_runs() {
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: hold, effect: approve, when: 'true', reason: Wait, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 1h}}
";
    let scene = Scene::new(rules);
    let mut caller = Caller::connect(scene.gateway.data);
    caller.send(request("GET", "/plain/x", &scene.world.alice(), &[], b""));
    let token = scene.world.olivia();
    let approval = until("the approval", || {
        let list = get(scene.gateway.admin, "/api/v1/approvals?state=pending", &token).json();
        list["approvals"][0]["id"].as_str().map(str::to_owned)
    });
    scene.lock(&scene.alice());
    let answer = caller.answer();
    assert_eq!((answer.status, answer.code().as_str()), (403, "session_ended"), "{answer:?}");
    scene.admin(&format!("/approvals/{approval}/approve"), "{}");
    assert_eq!(get(scene.gateway.data, "/plain/x", &scene.world.alice()).status, 403);
    assert!(scene.streaming.upstream.saw_nothing());
}

#[test]
fn a_killed_session_ends_its_streams_and_a_new_one_may_begin() {
    let scene = Scene::new(ALLOW);
    let mut hers = begun(&scene.gateway, &scene.world.alice());
    let session = until("the session", || {
        let opened = |record| if let Record::SessionOpened(it) = record { Some(it.session) } else { None };
        scene.world.records().into_iter().find_map(opened)
    });
    scene.admin(&format!("/sessions/{session}/kill"), "{\"reason\": \"runs wild\"}");
    assert_cut(&mut hers);
    let next = get(scene.gateway.data, "/plain/x", &scene.world.alice());
    assert_eq!(next.status, 200);
    assert_ne!(next.header("keyward-session"), session.to_string());
    let closed =
        |record: &Record| matches!(record, Record::SessionClosed(it) if it.reason.contains("runs wild"));
    assert!(scene.world.records().iter().any(closed));
}

/// A token that names a locked person, but is not from the issuer, learns nothing of the lock.
#[test]
fn catalogue_26_a_lock_is_told_only_to_whom_it_hits() {
    let scene = Scene::new(ALLOW);
    scene.lock(&scene.alice());
    let token = scene.world.alice();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let answers = [forged, "nonsense".to_owned(), scene.world.token(Person::CiBot).replace('.', "_")]
        .map(|token| get(scene.gateway.data, "/plain/x", &token));
    for answer in &answers {
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{answer:?}");
        assert!(!answer.text().contains("lock"), "{answer:?}");
    }
    assert_eq!(get(scene.gateway.data, "/plain/x", &token).code(), "locked");
}
