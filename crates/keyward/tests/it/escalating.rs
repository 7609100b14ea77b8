//! Approvals that nobody decides in time: who may decide as well then, who is told, and what a restart changes of it.

use serde_json::{Value, json};

use crate::kit::{
    Answer, Caller, Gateway, Person, Upstream, World, call, get, holds, http, reply, request, until,
    until_true,
};

/// Alice is the lead: what is held under `/soon` escalates to her at once, nearly, and what is held under `/late` much later.
const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - id: soon
    effect: approve
    when: 'operation.path.startsWith(\"/soon\")'
    reason: Wait for an owner
    approval: {approvers: ['group:model-owners'], ttl: 10m, escalate: {after: 1s, to: ['group:eng']}}
  - id: late
    effect: approve
    when: 'operation.path.startsWith(\"/late\")'
    reason: Wait for an owner
    approval: {approvers: ['group:model-owners'], ttl: 10m, escalate: {after: 9m, to: ['group:eng']}}
";

struct Place {
    hook: Upstream,
    upstream: Upstream,
    world: World,
    gateway: Gateway,
}

impl Place {
    fn new() -> Self {
        let hook = Upstream::answering(|_| reply("204 No Content", &[], ""));
        let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
        // It names no escalations: whoever is told of pending approvals is told of these.
        let target = format!(
            "notifications:\n  - {{name: hook, webhook: {{url: '{}/hook', secret: 'env://HOOK'}}, allow_private: true, events: [approval.pending]}}\n",
            hook.url()
        );
        let world = World::new(&http("plain", &upstream.url()), RULES)
            .with(&target)
            .secret("HOOK", "0123456789abcdef0123456789abcdef");
        let gateway = world.start();
        Self { hook, upstream, world, gateway }
    }

    /// Held, asked for by the service.
    fn hold(&self, path: &str) -> String {
        let token = self.world.token(Person::CiBot);
        let answer = call(self.gateway.data, "GET", path, &token, &[("Prefer", "respond-async")], b"");
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["approval"].as_str().unwrap().to_owned()
    }

    fn show(&self, who: Person, id: &str) -> Value {
        let answer = get(self.gateway.admin, &format!("/api/v1/approvals/{id}"), &self.world.token(who));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn decide(&self, who: Person, id: &str, decision: &str) -> Answer {
        let path = format!("/api/v1/approvals/{id}/{decision}");
        let headers = [("content-type", "application/json")];
        call(self.gateway.admin, "POST", &path, &self.world.token(who), &headers, b"{}")
    }

    /// The notices of an event about an approval.
    fn told(&self, event: &str, id: &str) -> Vec<Value> {
        let about = |body: &[u8]| holds(body, event.as_bytes()) && holds(body, id.as_bytes());
        let seen = self.hook.seen().into_iter().filter(|seen| about(&seen.body));
        seen.map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
    }

    fn cli_shows(&self, id: &str) -> String {
        let token = self.world.path("token");
        std::fs::write(&token, self.world.olivia()).unwrap();
        let server = format!("http://{}", self.gateway.admin);
        let output = self
            .world
            .command(&["approvals", "show", id, "--server", &server])
            .arg("--token-file")
            .arg(token)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_lead_decides_once_nobody_else_did_and_people_are_told() {
    let mut place = Place::new();
    let mut listening = Caller::connect(place.gateway.admin);
    listening.send(request("GET", "/api/v1/events", &place.world.olivia(), &[], b""));
    assert_eq!(listening.head().unwrap().status, 200);

    let late = place.hold("/plain/late");
    let refused = place.decide(Person::Alice, &late, "approve");
    assert_eq!((refused.status, &*refused.code()), (403, "not_yet"), "{refused:?}");
    let denied = place.decide(Person::Alice, &late, "deny");
    assert_eq!((denied.status, &*denied.code()), (403, "not_yet"), "{denied:?}");
    let shown = place.show(Person::Alice, &late);
    assert_eq!((&shown["may_i_decide"], &shown["state"]), (&json!(false), &json!("pending")));
    let escalation = &shown["escalations"][0];
    assert_eq!(
        (&escalation["to"], &escalation["escalated"]),
        (&json!(["group:eng"]), &json!(false)),
        "{shown}"
    );
    assert!(place.cli_shows(&late).contains("escalates to group:eng at "), "{}", place.cli_shows(&late));

    let who = format!("{}#ci-bot", place.world.issuer.url());
    let tried = place.world.run(&["policy", "eval", "--as", &who, "plain", "--path", "/late"]);
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(said.contains("1 person of group:model-owners, after 9 min also of group:eng"), "{said}");

    let soon = place.hold("/plain/soon");
    until_true("the lead's turn", || place.show(Person::Alice, &soon)["may_i_decide"] == true);
    let notice = until("the notice", || place.told("approval.escalated", &soon).pop());
    assert_eq!(notice["data"]["escalated_to"], json!(["group:eng"]), "{notice}");
    let mut heard = String::new();
    while !heard.contains("escalated_to") {
        heard.push_str(std::str::from_utf8(&listening.line.chunk().expect("the stream broke off")).unwrap());
    }
    assert!(heard.contains(&soon) && heard.contains("group:eng"), "{heard}");
    assert!(place.cli_shows(&soon).contains("escalated to group:eng at "));

    // A restart changes nothing, and tells nobody twice.
    place.gateway.restart(&place.world);
    assert_eq!(place.decide(Person::Alice, &late, "approve").status, 403);
    let approved = place.decide(Person::Alice, &soon, "approve");
    assert_eq!(approved.status, 200, "{approved:?}");
    assert_eq!(get(place.gateway.data, "/plain/soon", &place.world.token(Person::CiBot)).status, 200);
    assert_eq!(place.upstream.seen().len(), 1);
    assert_eq!(place.decide(Person::Olivia, &late, "deny").status, 200, "those before still may");
    let once = |event: &str, id: &str| place.told(event, id).len() == 1;
    assert!(
        once("approval.escalated", &soon)
            && once("approval.pending", &soon)
            && once("approval.pending", &late)
    );
    assert!(place.told("approval.escalated", &late).is_empty());
    place.world.verify();
}

#[test]
fn an_escalation_while_nobody_was_there_is_told_at_the_next_start() {
    let mut place = Place::new();
    let soon = place.hold("/plain/soon");
    place.gateway.restart(&place.world);
    until("the notice", || place.told("approval.escalated", &soon).pop());
    assert_eq!(place.decide(Person::Alice, &soon, "deny").status, 200);
}
