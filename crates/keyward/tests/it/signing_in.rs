//! Browsers that sign in: the way to the issuer and back, their cookies, and what a page of somebody else could try
//! (catalogue 23, 203 to 207, 212). The issuer is the demo's, which takes anybody for whom they say they are.

use std::net::SocketAddr;

use keyward_journal::Record;
use serde_json::{Value, json};

use crate::kit::{ALLOW, Answer, Caller, Gateway, Upstream, World, http, reply, request};

const HOLD: &str = "  - {id: hold, effect: approve, when: 'true', reason: Wait, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 1h}}\n";

struct Scene {
    _upstream: Upstream,
    world: World,
    gateway: Gateway,
}

/// What a browser keeps: cookies by name.
#[derive(Default)]
struct Browser {
    jar: Vec<(String, String)>,
    csrf: String,
}

impl Scene {
    fn new(sign_in: &str) -> Self {
        let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
        let world = World::new(&http("plain", &upstream.url()), &format!("{ALLOW}{HOLD}"))
            .with(&format!("sign_in: {{issuer: test, client_id: keyward-ui{sign_in}}}"))
            .with("roles: {admin: ['group:model-owners'], auditor: ['group:ci']}");
        let gateway = world.start();
        Self { _upstream: upstream, world, gateway }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.gateway.admin)
    }

    /// Begins at our login and signs in as somebody: the address that the issuer sends the browser back to.
    fn at_the_issuer(&self, browser: &mut Browser, path: &str, who: &str) -> String {
        let begun = browser.get(self.gateway.admin, path);
        assert_eq!(begun.status, 303, "{begun:?}");
        let url = begun.header("location").to_owned();
        assert!(url.contains("code_challenge_method=S256") && url.contains("nonce="), "{url}");
        let (address, path) = apart(&url);
        let given = raw(address, "GET", &format!("{path}&as={who}"), &[], b"");
        assert_eq!(given.status, 303, "{given:?}");
        given.header("location").to_owned()
    }

    fn signed_in(&self, who: &str) -> Browser {
        let mut browser = Browser::default();
        let back = self.at_the_issuer(&mut browser, "/auth/login?next=/approvals", who);
        let (address, path) = apart(&back);
        assert_eq!(address, self.gateway.admin);
        let done = browser.get(address, &path);
        assert_eq!(
            (done.status, done.header("location")),
            (303, format!("{}/approvals", self.origin()).as_str())
        );
        let me = browser.get(self.gateway.admin, "/api/v1/whoami");
        assert_eq!(me.status, 200, "{me:?}");
        assert_eq!(me.json()["principal"]["subject"], who);
        me.json()["csrf"].as_str().unwrap().clone_into(&mut browser.csrf);
        browser
    }

    /// A call of alice's that waits: its approval.
    fn held(&self) -> String {
        let mut caller = Caller::connect(self.gateway.data);
        caller.send(request("GET", "/plain/x", &self.world.alice(), &[("prefer", "respond-async")], b""));
        let answer = caller.answer();
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["approval"].as_str().unwrap().to_owned()
    }

    fn state(&self, id: &str) -> Value {
        let path = format!("/api/v1/approvals/{id}");
        crate::kit::get(self.gateway.admin, &path, &self.world.olivia()).json()["state"].clone()
    }
}

impl Browser {
    fn cookies(&self) -> String {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            assert!(line.contains("; HttpOnly"), "{line}");
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap().to_owned();
            self.jar.retain(|(known, _)| known != name);
            if !line.contains("Max-Age=0") {
                self.jar.push((name.to_owned(), value));
            }
        }
    }

    fn get(&mut self, address: SocketAddr, path: &str) -> Answer {
        let cookies = self.cookies();
        let headers: &[_] = if cookies.is_empty() { &[] } else { &[("cookie", cookies.as_str())] };
        let answer = raw(address, "GET", path, headers, b"");
        self.keep(&answer);
        answer
    }

    /// A change as our own page sends it, but for what `changed` says.
    fn post(&mut self, address: SocketAddr, path: &str, changed: &[(&str, Option<&str>)]) -> Answer {
        let (cookies, origin, csrf) = (self.cookies(), format!("http://{address}"), self.csrf.clone());
        let mut headers = vec![
            ("cookie", cookies.as_str()),
            ("origin", origin.as_str()),
            ("keyward-csrf", csrf.as_str()),
            ("content-type", "application/json"),
        ];
        for (name, value) in changed {
            headers.retain(|(known, _)| known != name);
            headers.extend(value.map(|value| (*name, value)));
        }
        let answer = raw(address, "POST", path, &headers, b"{}");
        self.keep(&answer);
        answer
    }
}

/// A request without a credential of its own.
pub(crate) fn raw(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head = format!("{head}{name}: {value}\r\n");
    }
    let mut caller = Caller::connect(address);
    caller.send([head.as_bytes(), b"\r\n", body].concat());
    caller.answer()
}

pub(crate) fn apart(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    (address.parse().unwrap(), format!("/{path}"))
}

#[test]
fn an_approver_signs_in_decides_and_signs_out() {
    let scene = Scene::new("");
    let admin = scene.gateway.admin;
    let mut olivia = scene.signed_in("olivia");
    let id = scene.held();
    let shown = olivia.get(admin, &format!("/api/v1/approvals/{id}"));
    assert_eq!((shown.status, &shown.json()["may_i_decide"]), (200, &json!(true)), "{shown:?}");
    let approved = olivia.post(admin, &format!("/api/v1/approvals/{id}/approve"), &[]);
    assert_eq!(approved.status, 200, "{approved:?}");
    assert_eq!(scene.state(&id), "approved");
    let signed_in =
        |record: &Record| matches!(record, Record::Admin(it) if it.action == "sign_in" && it.allowed);
    assert!(scene.world.records().iter().any(signed_in));
    let before = olivia.cookies();
    assert_eq!(olivia.post(admin, "/auth/logout", &[]).status, 200);
    assert!(olivia.jar.is_empty(), "{:?}", olivia.jar);
    let replayed = raw(admin, "GET", "/api/v1/whoami", &[("cookie", &before)], b"");
    assert_eq!(replayed.status, 401, "a session that is over stays over");
}

#[test]
fn catalogue_203_a_page_of_somebody_else_changes_nothing() {
    let scene = Scene::new("");
    let admin = scene.gateway.admin;
    let mut olivia = scene.signed_in("olivia");
    let id = scene.held();
    let path = format!("/api/v1/approvals/{id}/approve");
    let others = scene.signed_in("olivia").csrf;
    for changed in [
        [("origin", Some("https://evil.example"))],
        [("origin", Some("null"))],
        [("origin", None)],
        [("keyward-csrf", None)],
        [("keyward-csrf", Some("x"))],
        [("keyward-csrf", Some(others.as_str()))],
        [("sec-fetch-site", Some("cross-site"))],
    ] {
        let answer = olivia.post(admin, &path, &changed);
        assert_eq!(answer.status, 403, "{changed:?}: {answer:?}");
        assert_eq!(scene.state(&id), "pending", "{changed:?}");
    }
    let form = [("content-type", Some("application/x-www-form-urlencoded"))];
    assert_eq!(olivia.post(admin, &path, &form).status, 415);
    assert_eq!(olivia.get(admin, &path).status, 405);
    assert_eq!(olivia.post(admin, &path, &[]).status, 200);
}

#[test]
fn catalogue_23_only_the_browser_that_began_comes_back_and_once() {
    let scene = Scene::new("");
    let admin = scene.gateway.admin;
    let mut mine = Browser::default();
    let back = scene.at_the_issuer(&mut mine, "/auth/login", "olivia");
    let (_, path) = apart(&back);
    // Somebody else's browser: without the cookie, and with one of an attempt of its own.
    let mut other = Browser::default();
    assert_eq!(other.get(admin, &path).status, 400);
    let mut mine = Browser::default();
    let back = scene.at_the_issuer(&mut mine, "/auth/login", "olivia");
    let (_, path) = apart(&back);
    let mut begun_elsewhere = Browser::default();
    scene.at_the_issuer(&mut begun_elsewhere, "/auth/login", "alice");
    assert_eq!(begun_elsewhere.get(admin, &path).status, 400);
    // Its own, with the state of nobody, another issuer's name, the issuer's refusal, a code of nobody.
    for change in [
        |path: &str| path.replace("state=", "state=x"),
        |path: &str| format!("{}&iss=https://evil.example", path.split("&iss=").next().unwrap()),
        |path: &str| format!("{path}&error=access_denied"),
        |path: &str| path.replace("code=", "code=x"),
    ] {
        let mut browser = Browser::default();
        let (_, path) = apart(&scene.at_the_issuer(&mut browser, "/auth/login", "olivia"));
        let answer = browser.get(admin, &change(&path));
        assert!(matches!(answer.status, 400 | 403), "{answer:?}");
        assert!(!browser.cookies().contains("keyward="), "{answer:?}");
        assert_eq!(browser.get(admin, "/api/v1/whoami").status, 401);
    }
    let mut browser = Browser::default();
    let (_, path) = apart(&scene.at_the_issuer(&mut browser, "/auth/login", "olivia"));
    let cookies = browser.cookies();
    assert_eq!(browser.get(admin, &path).status, 303);
    assert_eq!(raw(admin, "GET", &path, &[("cookie", &cookies)], b"").status, 400, "a second time");
}

#[test]
fn catalogue_205_a_session_is_new_at_each_sign_in() {
    let scene = Scene::new("");
    let admin = scene.gateway.admin;
    let mut browser = scene.signed_in("alice");
    let first = browser.cookies();
    let back = scene.at_the_issuer(&mut browser, "/auth/login", "olivia");
    assert_eq!(browser.get(admin, &apart(&back).1).status, 303);
    assert_ne!(browser.cookies(), first);
    assert_eq!(raw(admin, "GET", "/api/v1/whoami", &[("cookie", &first)], b"").status, 401);
    // A cookie that somebody planted is no session, and becomes none.
    let planted = raw(admin, "GET", "/api/v1/whoami", &[("cookie", "keyward=planted")], b"");
    assert_eq!(planted.status, 401);
}

#[test]
fn catalogue_212_an_old_proof_decides_nothing() {
    let scene = Scene::new(", fresh: 1s");
    let mut olivia = scene.signed_in("olivia");
    let id = scene.held();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let refused = olivia.post(scene.gateway.admin, &format!("/api/v1/approvals/{id}/approve"), &[]);
    assert_eq!((refused.status, refused.code().as_str()), (403, "sign_in_again"), "{refused:?}");
    assert_eq!(scene.state(&id), "pending");
    let begun = Browser::default().get(scene.gateway.admin, "/auth/login?fresh=true");
    assert!(begun.header("location").contains("&max_age=1"), "{begun:?}");
}

#[test]
fn catalogue_207_events_are_heard_by_whom_they_concern_and_end_with_the_session() {
    let scene = Scene::new("");
    let admin = scene.gateway.admin;
    let listen = |browser: &Browser| {
        let mut line = Caller::connect(admin);
        line.send(format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {admin}\r\ncookie: {}\r\n\r\n",
            browser.cookies()
        ));
        let head = line.head().unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
        assert!(String::from_utf8(line.line.chunk().unwrap()).unwrap().contains("event: hello"));
        line
    };
    let nobody = raw(admin, "GET", "/api/v1/events", &[], b"");
    assert_eq!(nobody.status, 401, "{nobody:?}");
    let (mut olivia, mut requester) = (scene.signed_in("olivia"), scene.signed_in("alice"));
    let (mut hers, mut his) = (listen(&olivia), listen(&requester));
    let id = scene.held();
    for line in [&mut hers, &mut his] {
        let event = String::from_utf8(line.line.chunk().unwrap()).unwrap();
        assert!(
            event.contains("event: approval") && event.contains(&id) && event.contains("pending"),
            "{event}"
        );
    }
    assert_eq!(olivia.post(admin, "/auth/logout", &[]).status, 200);
    assert!(hers.line.chunk().is_none_or(|rest| rest.is_empty()), "it ends with the session");
    let target = format!("user:{}#alice", scene.world.issuer.url());
    let body = json!({"target": target}).to_string();
    let headers = [("content-type", "application/json")];
    let locked =
        crate::kit::call(admin, "POST", "/api/v1/locks", &scene.world.olivia(), &headers, body.as_bytes());
    assert_eq!(locked.status, 200, "{locked:?}");
    assert!(his.line.chunk().is_none_or(|rest| rest.is_empty()), "it ends with the lock");
    assert_eq!(requester.get(admin, "/api/v1/whoami").status, 403);
}

#[test]
fn without_a_client_nobody_signs_in() {
    let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let answer = raw(gateway.admin, "GET", "/auth/login", &[], b"");
    assert_eq!((answer.status, answer.code().as_str()), (404, "sign_in_absent"));
    assert!(upstream.saw_nothing());
}
