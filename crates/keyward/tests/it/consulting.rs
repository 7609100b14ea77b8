//! Decision points outside. A fake stands in for Open Policy Agent: it speaks its data API, and its answers are chosen here.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::kit::{Scene, Upstream, World, call, http, reply};

const RULES: &str = "  - {id: all, effect: allow, when: '!(\"pii\" in finding.groups) || finding.count < 5'}
  - {id: flagged, effect: block, when: '\"email\" in finding.detectors', message: It was flagged.}
  - {id: ask, effect: consult, when: 'operation.path.startsWith(\"/asked\")', consult: {point: opa}}
  - {id: hint, effect: consult, when: 'operation.path == \"/hinted\"', consult: {point: opa, on_failure: ignore}}
";

struct Place {
    scene: Scene,
    point: Upstream,
    says: Arc<Mutex<(String, String)>>,
}

impl Place {
    fn new() -> Self {
        let says = Arc::new(Mutex::new(("200 OK".to_owned(), String::new())));
        let answer = Arc::clone(&says);
        let point = Upstream::answering(move |_| {
            let (status, body) = answer.lock().unwrap().clone();
            reply(&status, &[("content-type", "application/json")], body)
        });
        let upstream = Upstream::answering(|_| reply("200 OK", &[], "done"));
        let world = World::new(&http("plain", &upstream.url()), RULES).secret("POINT", "point-credential-01").with(&format!(
            "decision_points: [{{name: opa, url: '{}/v1/data/keyward/decision', token: 'env://POINT', timeout: 1s}}]",
            point.url()
        ));
        Self { scene: Scene::of(upstream, world), point, says }
    }

    fn ask(&self, path: &str, status: &str, says: &str) -> crate::kit::Answer {
        *self.says.lock().unwrap() = (status.to_owned(), says.to_owned());
        call(
            self.scene.gateway.data,
            "POST",
            path,
            &self.scene.token,
            &[("content-type", "application/json")],
            b"{\"a\": \"in the body\"}",
        )
    }
}

#[test]
fn a_decision_point_forbids_and_never_allows_more() {
    let place = Place::new();
    let good = place.ask("/plain/asked?q=1", "200 OK", r#"{"result": {"allow": true}}"#);
    assert_eq!(good.status, 200, "{good:?}");
    let denied =
        place.ask("/plain/asked", "200 OK", r#"{"result": {"allow": false, "reason": "Not on a Friday."}}"#);
    assert_eq!((denied.status, denied.header("keyward-rule")), (403, "ask"), "{denied:?}");
    assert!(denied.text().contains("Not on a Friday."), "{}", denied.text());
    let plain = place.ask("/plain/asked", "200 OK", r#"{"result": false}"#);
    assert_eq!(plain.status, 403);
    // What it names is decided over once more, and only the stricter verdict holds.
    let flagged =
        place.ask("/plain/asked", "200 OK", r#"{"result": {"allow": true, "findings": ["email"]}}"#);
    assert_eq!((flagged.status, flagged.header("keyward-rule")), (403, "flagged"), "{flagged:?}");
    assert_eq!(place.scene.upstream.seen().len(), 1, "what was forbidden reached the upstream");
    // It is not asked about what no rule names.
    let asked = place.point.seen().len();
    assert_eq!(place.ask("/plain/other", "200 OK", r#"{"result": false}"#).status, 200);
    assert_eq!(place.point.seen().len(), asked);
    let question = &place.point.seen()[0];
    assert_eq!(question.line, "POST /v1/data/keyward/decision HTTP/1.1");
    assert_eq!(question.all("authorization"), ["Bearer point-credential-01"]);
    let input: Value = serde_json::from_slice(&question.body).unwrap();
    let input = &input["input"];
    assert_eq!(input["operation"]["path"], "/asked");
    assert_eq!(input["connection"]["name"], "plain");
    assert_eq!((&input["verdict"], &input["rule"]), (&json!("allow"), &json!("all")));
    assert!(input["principal"]["subject"].is_string(), "{input}");
    assert!(!input.to_string().contains("in the body"), "{input}");
}

#[test]
fn a_decision_point_that_fails_blocks_where_its_rule_does_not_say_otherwise() {
    let place = Place::new();
    for (status, says) in [
        ("500 Internal Server Error", r#"{"result": true}"#),
        ("302 Found", r#"{"result": true}"#),
        ("200 OK", "{}"),
        ("200 OK", "not json"),
        ("200 OK", r#"{"result": {"reason": "no verdict"}}"#),
    ] {
        let answer = place.ask("/plain/asked", status, says);
        assert_eq!((answer.status, answer.header("keyward-rule")), (403, "ask"), "{says}: {answer:?}");
        assert!(answer.text().contains("could not be asked"), "{}", answer.text());
        assert_eq!(place.ask("/plain/hinted", status, says).status, 200, "{says}");
    }
    assert_eq!(place.scene.upstream.seen().len(), 5);
}
