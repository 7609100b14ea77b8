//! Telling people that somebody waits for them: what reaches a webhook, a chat and a mail relay, what is tried again, and where
//! nothing may go (catalogue 118). The receivers are fakes that write down what they got.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::kit::{Answer, Gateway, Person, Seen, Upstream, World, call, get, http, reply, until, until_true};

const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - id: hold
    effect: approve
    when: 'operation.path.startsWith(\"/held\")'
    reason: Wait for an owner
    approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}
";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

struct Place {
    hook: Upstream,
    world: World,
    gateway: Gateway,
    /// The status that the receiver answers with.
    status: Arc<Mutex<&'static str>>,
}

impl Place {
    fn new(targets: impl Fn(&str) -> String) -> Self {
        let status = Arc::new(Mutex::new("204 No Content"));
        let says = Arc::clone(&status);
        let hook = Upstream::answering(move |_| {
            reply(*says.lock().unwrap(), &[("location", "http://127.0.0.1:1/")], "")
        });
        let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
        let config = format!(
            "roles: {{admin: ['group:model-owners']}}\nholding: {{wait: 1s, stream_commit_after: 200ms}}\nbreak_glass: {{who: ['group:eng'], max: 10m}}\nnotifications:\n{}",
            targets(&hook.url())
        );
        let world = World::new(&http("plain", &upstream.url()), RULES)
            .with(&config)
            .secret("HOOK", &format!("whsec_{}", BASE64_STANDARD.encode(KEY)))
            .secret("CHAT", &format!("{}/chat", hook.url()));
        let gateway = world.start();
        Self { hook, world, gateway, status }
    }

    fn hold(&self, path: &str) -> String {
        let answer = get(self.gateway.data, path, &self.world.alice());
        assert_eq!(answer.status, 409, "{answer:?}");
        answer.header("keyward-approval").to_owned()
    }

    fn post(&self, who: Person, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1{path}");
        call(self.gateway.admin, "POST", &path, &self.world.token(who), &headers, body.to_string().as_bytes())
    }

    fn dead(&self) -> Vec<Value> {
        let list = get(self.gateway.admin, "/api/v1/notifications", &self.world.olivia()).json();
        list["dead"].as_array().unwrap().clone()
    }

    /// What the receiver got of an event, as soon as it did.
    fn told(&self, event: &str) -> Seen {
        until(event, || {
            self.hook.seen().into_iter().find(|seen| crate::kit::holds(&seen.body, event.as_bytes()))
        })
    }
}

fn webhook(url: &str) -> String {
    format!("  - {{name: hook, webhook: {{url: '{url}/hook', secret: 'env://HOOK'}}, allow_private: true}}\n")
}

#[test]
fn a_webhook_is_signed_and_says_who_waits_and_never_what_was_sent() {
    let place = Place::new(webhook);
    let headers = [("content-type", "application/json")];
    let body = b"{\"prompt\": \"the body of the call\"}";
    let held = call(place.gateway.data, "POST", "/plain/held", &place.world.alice(), &headers, body);
    let id = held.header("keyward-approval").to_owned();
    let seen = place.told("approval.pending");
    assert_eq!(seen.line, "POST /hook HTTP/1.1");
    let notice: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        (&notice["data"]["id"], &notice["data"]["operation"]),
        (&json!(id), &json!("http.write")),
        "{notice}"
    );
    assert_eq!(notice["data"]["requester"], "Alice Engineer");
    assert!(notice["data"]["url"].as_str().unwrap().ends_with(&format!("/approvals/{id}")), "{notice}");
    assert!(!crate::kit::holds(&seen.body, b"the body of the call"));
    // Standard Webhooks: HMAC-SHA256 over identifier, time and body.
    let of = |name: &str| seen.all(name).concat();
    let signed =
        [format!("{}.{}.", of("webhook-id"), of("webhook-timestamp")).as_bytes(), &seen.body].concat();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY);
    let signature = BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, &signed).as_ref());
    assert_eq!(of("webhook-signature"), format!("v1,{signature}"));
    // A reminder, once; then the decision.
    let nudge = format!("/approvals/{id}/nudge");
    assert_eq!(place.post(Person::Olivia, &nudge, &json!({})).status, 403);
    assert_eq!(place.post(Person::Alice, &nudge, &json!({})).status, 200);
    assert_eq!(place.post(Person::Alice, &nudge, &json!({})).status, 409);
    place.told("approval.nudged");
    assert_eq!(place.post(Person::Olivia, &format!("/approvals/{id}/deny"), &json!({})).status, 200);
    let decided = place.told("approval.decided");
    assert!(crate::kit::holds(&decided.body, b"\"denied\""));
    assert_eq!(place.post(Person::Alice, &nudge, &json!({})).status, 409, "nobody is waited for any more");
    assert_eq!(
        place.post(Person::Alice, "/break-glass", &json!({"connection": "plain", "reason": "INC-7"})).status,
        200
    );
    let broken = place.told("break_glass.opened");
    assert!(crate::kit::holds(&broken.body, b"INC-7"));
}

#[test]
fn what_is_not_taken_is_tried_again_after_a_restart_and_can_be_sent_by_hand() {
    let mut place = Place::new(|url| {
        format!(
            "{}  - {{name: chat, slack: 'env://CHAT', allow_private: true, events: [break_glass.opened]}}\n",
            webhook(url)
        )
    });
    *place.status.lock().unwrap() = "503 Service Unavailable";
    place.hold("/plain/held");
    until_true("the first try", || !place.hook.seen().is_empty());
    *place.status.lock().unwrap() = "200 OK";
    let Place { world, gateway, .. } = &mut place;
    gateway.restart(world);
    until_true("the second try", || place.hook.seen().len() >= 2);
    assert!(place.hook.seen().iter().all(|seen| seen.line.contains("/hook")), "the chat wants no such event");
    assert_eq!(place.dead(), [] as [Value; 0]);
    // Gone for good: it is not tried again by itself.
    *place.status.lock().unwrap() = "410 Gone";
    place.hold("/plain/held/2");
    until_true("a dead one", || !place.dead().is_empty());
    let dead = place.dead();
    assert_eq!(
        (&dead[0]["target"], &dead[0]["event"]),
        (&json!("hook"), &json!("approval.pending")),
        "{dead:?}"
    );
    assert!(dead[0]["error"].as_str().unwrap().contains("410"), "{dead:?}");
    let id = dead[0]["id"].as_str().unwrap();
    *place.status.lock().unwrap() = "200 OK";
    let retry = format!("/notifications/{id}/retry");
    assert_eq!(place.post(Person::Alice, &retry, &json!({})).status, 403);
    assert_eq!(place.post(Person::Olivia, &retry, &json!({})).status, 200);
    until_true("it was told", || place.dead().is_empty());
    let tested = place.post(Person::Olivia, "/notifications/chat/test", &json!({}));
    assert_eq!(tested.json(), json!({"told": true}));
    assert_eq!(place.told("a test").line, "POST /chat HTTP/1.1");
    assert_eq!(place.post(Person::Olivia, "/notifications/other/test", &json!({})).status, 404);
}

#[test]
fn catalogue_118_nothing_goes_inside_of_a_network_or_where_a_redirect_points() {
    let place = Place::new(|url| {
        let targets = [
            ("inside", url.to_owned()),
            ("metadata", "https://169.254.169.254/latest".to_owned()),
            ("mapped", "https://[::ffff:169.254.169.254]/x".to_owned()),
            ("name", "https://localhost/x".to_owned()),
        ];
        let line = |(name, url): &(&str, String)| {
            format!("  - {{name: {name}, webhook: {{url: '{url}', secret: 'env://HOOK'}}}}\n")
        };
        let redirected = format!(
            "  - {{name: redirected, webhook: {{url: '{url}/r', secret: 'env://HOOK'}}, allow_private: true}}\n"
        );
        targets.iter().map(line).collect::<String>() + &redirected
    });
    for name in ["inside", "metadata", "mapped", "name"] {
        let tested = place.post(Person::Olivia, &format!("/notifications/{name}/test"), &json!({})).json();
        let error = tested["error"].as_str().unwrap_or_default();
        assert!(error.contains("inside of a network"), "{name}: {tested}");
    }
    assert!(place.hook.saw_nothing());
    *place.status.lock().unwrap() = "302 Found";
    let tested = place.post(Person::Olivia, "/notifications/redirected/test", &json!({})).json();
    assert!(tested["error"].as_str().unwrap().contains("302"), "{tested}");
}

#[test]
fn mail_goes_over_a_relay_as_plain_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let letters = Arc::new(Mutex::new(Vec::<String>::new()));
    let got = Arc::clone(&letters);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let got = Arc::clone(&got);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut say = |text: &str| _ = stream.write_all(format!("{text}\r\n").as_bytes());
                say("220 relay");
                let mut letter = None::<String>;
                while let Some(Ok(line)) = lines.next() {
                    match &mut letter {
                        Some(text) if line == "." => {
                            got.lock().unwrap().push(std::mem::take(text));
                            letter = None;
                            say("250 taken");
                        }
                        Some(text) => {
                            text.push_str(&line);
                            text.push('\n');
                        }
                        None if line == "DATA" => {
                            letter = Some(String::new());
                            say("354 go on");
                        }
                        None if line == "QUIT" => return say("221 bye"),
                        None => say("250 fine"),
                    }
                }
            });
        }
    });
    let place = Place::new(|_| {
        format!(
            "  - {{name: mail, allow_private: true, email: {{host: 127.0.0.1, port: {port}, tls: never, from: 'Keyward <keyward@example.com>', to: [owners@example.com]}}}}\n"
        )
    });
    let id = place.hold("/plain/held");
    let letter = until("a letter", || letters.lock().unwrap().first().cloned());
    for part in [
        "Subject: Keyward: Alice Engineer asks for http.read on plain",
        "To: owners@example.com",
        "Reason: Wait for an owner",
        &id,
    ] {
        assert!(letter.contains(part), "{part} in {letter}");
    }
}
