//! Windows in place of approvals: opened by those who would approve each call, bounded, ended at once; and break-glass
//! (catalogue 116).

use keyward_journal::Record;
use keyward_journal::record::Intent;
use serde_json::{Value, json};

use crate::kit::{Answer, Caller, Gateway, Person, World, call, get, http, request, until, until_true};
use crate::running::{Streaming, begun};

const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - id: guarded
    effect: approve
    when: 'operation.class == \"http.read\" && !operation.path.startsWith(\"/free\")'
    reason: Reading leaves
    approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m, grant: 1h}
  - id: writing
    effect: approve
    when: 'operation.class == \"http.write\"'
    reason: Writing changes
    approval: {approvers: ['group:model-owners'], min: 1, bind: operation, ttl: 10m}
  - {id: never, effect: block, when: 'operation.path.startsWith(\"/never\")', message: Never.}
";
const CONFIG: &str = "roles: {admin: ['group:model-owners']}
break_glass: {who: ['group:eng'], max: 10m}
holding: {wait: 1s, stream_commit_after: 200ms}
";

struct Scene {
    streaming: Streaming,
    world: World,
    gateway: Gateway,
}

impl Scene {
    fn new() -> Self {
        let streaming = Streaming::new();
        let world = World::new(&http("plain", &streaming.upstream.url()), RULES).with(CONFIG);
        let gateway = world.start();
        Self { streaming, world, gateway }
    }

    fn post(&self, who: Person, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1{path}");
        call(self.gateway.admin, "POST", &path, &self.world.token(who), &headers, body.to_string().as_bytes())
    }

    fn grant(&self, id: &str) -> Value {
        get(self.gateway.admin, &format!("/api/v1/grants/{id}"), &self.world.olivia()).json()
    }

    /// Asks for a window as Alice, and approves it as Olivia with these bounds.
    fn opened(&self, asked: &Value, narrower: &Value) -> String {
        let asked = self.post(Person::Alice, "/grants", asked);
        assert_eq!(asked.status, 200, "{asked:?}");
        let grant = asked.json();
        assert_eq!(grant["state"], "pending");
        let (id, approval) = (grant["id"].as_str().unwrap(), grant["approval"].as_str().unwrap());
        let approved = self.post(Person::Olivia, &format!("/approvals/{approval}/approve"), narrower);
        assert_eq!(approved.status, 200, "{approved:?}");
        until_true("the window", || self.grant(id)["state"] == "open");
        id.to_owned()
    }

    fn read(&self, who: Person, path: &str) -> Answer {
        get(self.gateway.data, path, &self.world.token(who))
    }

    fn intents(&self) -> Vec<Intent> {
        self.world.intents()
    }
}

fn window() -> Value {
    json!({"connection": "plain", "classes": ["http.read"], "seconds": 600, "reason": "the backup"})
}

#[test]
fn a_window_lets_through_what_it_names_and_nothing_else() {
    let mut scene = Scene::new();
    assert_eq!(scene.read(Person::Alice, "/plain/free").status, 200);
    let held = scene.read(Person::Alice, "/plain/x");
    assert_eq!((held.status, held.code().as_str()), (409, "approval_pending"), "{held:?}");
    let id = scene.opened(&window(), &json!({}));
    let passed = scene.read(Person::Alice, "/plain/x");
    assert_eq!((passed.status, passed.header("keyward-rule")), (200, "guarded"), "{passed:?}");
    let on_it = |intent: &Intent| intent.decision.grant.map(|grant| grant.to_string()) == Some(id.clone());
    assert_eq!(scene.intents().iter().filter(|intent| on_it(intent)).count(), 1, "it is in the record");
    // What is blocked stays blocked; another class, and another caller, still wait.
    assert_eq!(scene.read(Person::Alice, "/plain/never").status, 403);
    let written = call(scene.gateway.data, "POST", "/plain/x", &scene.world.alice(), &[], b"");
    assert_eq!(written.status, 409, "{written:?}");
    assert_eq!(scene.read(Person::CiBot, "/plain/x").status, 409);
    // It is there after a restart, with what was used of it.
    let Scene { streaming: _, world, gateway } = &mut scene;
    gateway.restart(world);
    assert_eq!(scene.read(Person::Alice, "/plain/x").status, 200);
    let hers = get(scene.gateway.admin, "/api/v1/grants?mine=true", &scene.world.alice()).json();
    assert_eq!(hers["grants"][0]["id"], id.as_str(), "{hers}");
    let bots = get(scene.gateway.admin, "/api/v1/grants", &scene.world.token(Person::CiBot)).json();
    assert_eq!(bots["grants"].as_array().unwrap().len(), 0, "{bots}");
    assert_eq!(
        get(scene.gateway.admin, &format!("/api/v1/grants/{id}"), &scene.world.token(Person::CiBot)).status,
        404
    );
}

#[test]
fn a_window_that_is_ended_or_whose_time_is_over_cuts_its_streams() {
    let scene = Scene::new();
    let id = scene.opened(&window(), &json!({}));
    let mut stream = begun(&scene.gateway, &scene.world.alice());
    let ended = scene.post(Person::Alice, &format!("/grants/{id}/revoke"), &json!({"reason": "done early"}));
    assert_eq!(ended.status, 200, "{ended:?}");
    let last = String::from_utf8(stream.line.chunk().unwrap()).unwrap();
    assert!(last.contains("session_ended") && last.contains("done early"), "{last}");
    assert_eq!(scene.read(Person::Alice, "/plain/x").status, 409);
    let again = scene.post(Person::Alice, &format!("/grants/{id}/revoke"), &json!({}));
    assert_eq!((again.status, again.code().as_str()), (409, "over"));
    // A shorter time than was asked for, by who approves.
    let short = scene.opened(&window(), &json!({"seconds": 2}));
    assert_eq!(scene.grant(&short)["seconds"], 2);
    let mut stream = begun(&scene.gateway, &scene.world.alice());
    let last = String::from_utf8(stream.line.chunk().unwrap()).unwrap();
    assert!(last.contains("session_ended") && last.contains("its time is over"), "{last}");
    assert_eq!(scene.grant(&short)["state"], "over");
}

#[test]
fn a_window_of_so_many_calls_lets_no_more_through_however_many_race() {
    let scene = Scene::new();
    let id = scene.opened(
        &json!({"connection": "plain", "classes": ["http.read"], "uses": 9, "reason": "some"}),
        &json!({"uses": 5}),
    );
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                scope.spawn({
                    let scene = &scene;
                    move || scene.read(Person::Alice, &format!("/plain/x{n}")).status
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert_eq!(scene.grant(&id)["uses"], 5);
}

#[test]
fn a_window_is_asked_for_within_what_the_rules_let_and_approved_by_others() {
    let scene = Scene::new();
    for (more, status, said) in [
        (json!({"classes": []}), 400, "classes"),
        (json!({"classes": ["no.class"]}), 400, "no operation class"),
        (json!({"classes": ["http.write"]}), 409, "No rule"),
        (json!({"seconds": 3601}), 400, "3600"),
        (json!({"seconds": 0}), 400, "seconds"),
        (json!({"uses": 0}), 400, "uses"),
        (json!({"reason": " "}), 400, "reason"),
        (json!({"connection": "other"}), 400, "connection"),
    ] {
        let mut asked = window();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = scene.post(Person::Alice, "/grants", &asked);
        assert_eq!(answer.status, status, "{more}: {answer:?}");
        assert!(answer.text().contains(said), "{more}: {}", answer.text());
    }
    let asked = scene.post(Person::Olivia, "/grants", &window()).json();
    let own = format!("/approvals/{}/approve", asked["approval"].as_str().unwrap());
    assert_eq!(scene.post(Person::Olivia, &own, &json!({})).status, 403, "nobody opens their own");
    let asked = scene.post(Person::Alice, "/grants", &window()).json();
    let denied = format!("/approvals/{}/deny", asked["approval"].as_str().unwrap());
    assert_eq!(scene.post(Person::Olivia, &denied, &json!({"reason": "no"})).status, 200);
    until_true("the refusal", || scene.grant(asked["id"].as_str().unwrap())["state"] == "refused");
    assert_eq!(scene.read(Person::Alice, "/plain/x").status, 409);
}

#[test]
fn catalogue_116_glass_is_broken_with_a_reason_recorded_and_signed_for_by_somebody_else() {
    let scene = Scene::new();
    let asked = |reason: &str| json!({"connection": "plain", "reason": reason});
    let silent = scene.post(Person::Alice, "/break-glass", &asked(""));
    assert_eq!(silent.status, 400, "{silent:?}");
    assert_eq!(scene.post(Person::CiBot, "/break-glass", &asked("bot")).status, 403);
    assert_eq!(
        scene
            .post(
                Person::Alice,
                "/break-glass",
                &json!({"connection": "plain", "reason": "long", "seconds": 601})
            )
            .status,
        400
    );
    let broken = scene.post(Person::Alice, "/break-glass", &asked("INC-42"));
    assert_eq!(broken.status, 200, "{broken:?}");
    let id = broken.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.read(Person::Alice, "/plain/x").status, 200);
    assert_eq!(call(scene.gateway.data, "POST", "/plain/x", &scene.world.alice(), &[], b"").status, 200);
    assert_eq!(scene.read(Person::Alice, "/plain/never").status, 403, "what is blocked stays blocked");
    let told = |record: &Record| matches!(record, Record::Admin(it) if it.action == "break_glass" && it.allowed && it.target.contains("INC-42"));
    assert!(scene.world.records().iter().any(told));
    assert!(
        get(scene.gateway.admin, "/metrics", &scene.world.olivia())
            .text()
            .contains("keyward_break_glass_total 1")
    );
    // It cannot be silenced by who did it: it waits for somebody else after its end, too.
    let review = format!("/grants/{id}/review");
    let mine = scene.post(Person::Alice, &review, &json!({"reason": "all good"}));
    assert_eq!(mine.status, 403, "{mine:?}");
    assert_eq!(scene.post(Person::Alice, &format!("/grants/{id}/revoke"), &json!({})).status, 200);
    assert_eq!(scene.read(Person::Alice, "/plain/x").status, 409);
    let list = get(scene.gateway.admin, "/api/v1/grants", &scene.world.olivia()).json();
    assert_eq!(
        (&list["grants"][0]["id"], &list["grants"][0]["wants_review"]),
        (&json!(id), &json!(true)),
        "{list}"
    );
    let signed = scene.post(Person::Olivia, &review, &json!({"reason": "as described"}));
    assert_eq!((signed.status, signed.json()["wants_review"].clone()), (200, json!(false)), "{signed:?}");
    assert_eq!(scene.post(Person::Olivia, &review, &json!({"reason": "twice"})).status, 409);
    let list = get(scene.gateway.admin, "/api/v1/grants", &scene.world.olivia()).json();
    assert_eq!(list["grants"].as_array().unwrap().len(), 0, "{list}");
}

#[test]
fn an_approval_of_an_operation_is_for_one_call_with_any_body() {
    let scene = Scene::new();
    let write = |path: &str, body: &[u8]| {
        let headers = [("content-type", "application/octet-stream")];
        call(scene.gateway.data, "POST", path, &scene.world.alice(), &headers, body)
    };
    assert_eq!(write("/plain/a", b"first").status, 409);
    let token = scene.world.olivia();
    let id = until("the approval", || {
        let list = get(scene.gateway.admin, "/api/v1/approvals?state=pending", &token).json();
        list["approvals"][0]["id"].as_str().map(str::to_owned)
    });
    assert_eq!(write("/plain/a", b"second").status, 409, "it waits for the same approval");
    let pending = get(scene.gateway.admin, "/api/v1/approvals?state=pending", &token).json();
    assert_eq!(pending["approvals"].as_array().unwrap().len(), 1, "{pending}");
    assert_eq!(scene.post(Person::Olivia, &format!("/approvals/{id}/approve"), &json!({})).status, 200);
    assert_eq!(write("/plain/a", b"third").status, 200);
    assert_eq!(write("/plain/a", b"fourth").status, 409, "once, and another body does not get its answer");
    let mut other = Caller::connect(scene.gateway.data);
    other.send(request("POST", "/plain/b", &scene.world.alice(), &[], b"third"));
    assert_eq!(other.answer().status, 409);
    let seen = scene.streaming.upstream.seen();
    assert_eq!(seen.iter().map(|it| it.body.clone()).collect::<Vec<_>>(), [b"third".to_vec()]);
}
