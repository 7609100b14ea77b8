//! What was judged is what is sent, and what was approved is what is executed: nothing more, nothing else, and each use
//! of a secret on record.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::kit::{Caller, Person, Upstream, World, call, http, keyed, reply, request, until, until_true};

const ALL: &str = "  - {id: all, effect: allow, when: 'true'}\n";

fn ok() -> Vec<u8> {
    reply("200 OK", &[("content-type", "text/plain")], "done")
}

#[test]
fn a_rule_does_not_see_headers_that_are_not_sent() {
    let upstream = Upstream::saying(ok());
    let rule = "  - {id: dry, effect: allow, when: 'request.headers[\"x-dry-run\"] == \"true\"'}\n";
    let world = World::new(&http("plain", &upstream.url()), rule);
    let gateway = world.start();
    let post = |headers: &[(&str, &str)]| {
        call(gateway.data, "POST", "/plain/delete", &world.alice(), headers, b"").status
    };
    assert_eq!(post(&[("x-dry-run", "true")]), 200);
    assert_eq!(upstream.only().all("x-dry-run"), ["true"]);
    // 38: the caller nominates the header as one of this hop: it is not sent, so it is not judged either.
    assert_eq!(post(&[("x-dry-run", "true"), ("connection", "x-dry-run")]), 403);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn catalogue_25_37_40_headers_that_name_another_person_method_or_path_do_not_pass() {
    let upstream = Upstream::saying(ok());
    let world = World::new(&http("plain", &upstream.url()), ALL);
    let gateway = world.start();
    let sent = [
        ("impersonate-user", "root"),
        ("x-forwarded-prefix", "/admin"),
        ("x-http-method", "DELETE"),
        ("x-rewrite-url", "/admin"),
        ("x-webauth-user", "admin"),
        ("x_http_method_override", "DELETE"),
        ("x-plain", "stays"),
    ];
    assert_eq!(call(gateway.data, "GET", "/plain/x", &world.alice(), &sent, b"").status, 200);
    let seen = upstream.only();
    let passed: Vec<&str> =
        sent.iter().map(|(name, _)| *name).filter(|name| !seen.all(name).is_empty()).collect();
    assert_eq!(passed, ["x-plain"]);
}

#[test]
fn routes_from_configuration_class_calls_and_no_other_spelling_gets_past_them() {
    const ROUTES: &str = "routes: [{method: '*', path: '/admin/**', class: admin.config}, {method: DELETE, path: '/jobs/*', class: files.delete}, {method: GET, path: '/jobs/*', class: files.read}]";
    let rules = format!(
        "{ALL}  - {{id: no-admin, effect: block, when: 'operation.class in [\"admin.config\", \"files.delete\"]'}}\n"
    );
    let upstream = Upstream::saying(ok());
    let connection = |routes: &str| {
        format!("  - {{name: plain, kind: http, upstream: '{}/base', {routes}}}\n", upstream.url())
    };
    let mut world = World::new(&connection(ROUTES), &rules);
    let gateway = world.start();
    let token = world.alice();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (method, path, body, status) in [
        ("GET", "/plain/admin/users", "", 403),
        ("POST", "/plain/admin/users/7/", "", 403),
        ("GET", "/plain/Admin/users", "", 400),
        ("GET", "/plain/admin;v=1/users", "", 400),
        ("GET", "/plain/%2561dmin/users", "", 400),
        ("GET", "/plain/x%252f..%252fadmin%252fusers", "", 400),
        ("DELETE", "/plain/jobs/7", "", 403),
        ("DELETE", "/plain/jobs/7/", "", 400),
        ("GET", "/plain/jobs/7?_method=DELETE", "", 400),
        ("POST", "/plain/jobs/7", "_method=DELETE", 400),
    ] {
        let answer = call(gateway.data, method, path, &token, &form, body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    assert!(upstream.saw_nothing());
    assert_eq!(call(gateway.data, "GET", "/plain/jobs/7", &token, &[], b"").status, 200);
    assert_eq!(upstream.only().line, "GET /base/jobs/7 HTTP/1.1");

    world.connections = connection("routes: [{method: GET, path: '/jobs/*', class: admin.config}]");
    world.write_configuration();
    gateway.signal(Signal::HUP);
    until_true("the reload", || gateway.log().contains("was reloaded"));
    assert_eq!(call(gateway.data, "GET", "/plain/jobs/7", &token, &[], b"").status, 403);
    assert_eq!(upstream.seen().len(), 1);
}

const HELD: &str = "  - id: held
    effect: approve
    when: 'true'
    reason: Look first
    approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}
";
const PATIENT: &str = "holding: {wait: 1s, stream_commit_after: 200ms, keepalive: 1s}";

fn pending(world: &World, gateway: &crate::kit::Gateway) -> Vec<serde_json::Value> {
    let path = "/api/v1/approvals?state=pending";
    let answer = call(gateway.admin, "GET", path, &world.olivia(), &[], b"");
    answer.json()["approvals"].as_array().unwrap().clone()
}

fn approve(world: &World, gateway: &crate::kit::Gateway, id: &str) {
    let path = format!("/api/v1/approvals/{id}/approve");
    let json = [("content-type", "application/json")];
    assert_eq!(call(gateway.admin, "POST", &path, &world.token(Person::Olivia), &json, b"{}").status, 200);
}

#[test]
fn catalogue_97_an_approval_does_not_fit_a_call_with_another_header() {
    let upstream = Upstream::saying(ok());
    let world = World::new(&http("plain", &upstream.url()), HELD).with(PATIENT);
    let gateway = world.start();
    let put = |source: &str, retry: &str| {
        let headers = [("x-amz-copy-source", source), ("x-stainless-retry-count", retry)];
        call(gateway.data, "PUT", "/plain/pay", &world.alice(), &headers, b"")
    };
    assert_eq!(put("/public/a", "0").status, 409);
    let asked = pending(&world, &gateway);
    let id = asked[0]["id"].as_str().unwrap();
    approve(&world, &gateway, id);
    // Another header is another call: it waits for an approval of its own.
    assert_eq!(put("/secret/b", "1").status, 409);
    assert!(upstream.saw_nothing());
    // What an SDK counts of its own tries is no part of the call.
    assert_eq!(put("/public/a", "1").status, 200);
    assert_eq!(upstream.only().all("x-amz-copy-source"), ["/public/a"]);
}

#[test]
fn catalogue_99_an_approval_for_one_credential_is_void_with_another_of_the_same_value() {
    let upstream = Upstream::saying(ok());
    let mut world = World::new(&keyed("models", "http", &upstream.url(), "ONE"), HELD)
        .with(PATIENT)
        .secret("ONE", concat!("the-same-", "credential-012345"))
        .secret("TWO", concat!("the-same-", "credential-012345"));
    let gateway = world.start();
    let get = || call(gateway.data, "GET", "/models/x", &world.alice(), &[], b"");
    assert_eq!(get().status, 409);
    let first = pending(&world, &gateway)[0]["id"].as_str().unwrap().to_owned();
    approve(&world, &gateway, &first);
    let token = world.alice();
    world.connections = keyed("models", "http", &upstream.url(), "TWO");
    world.write_configuration();
    gateway.signal(Signal::HUP);
    until_true("the reload", || gateway.log().contains("was reloaded"));
    let again = call(gateway.data, "GET", "/models/x", &token, &[], b"");
    assert_eq!(again.status, 409, "{again:?}");
    assert!(upstream.saw_nothing());
    let now = pending(&world, &gateway);
    assert_ne!(now[0]["id"].as_str().unwrap(), first);
}

#[test]
fn catalogue_148_a_refused_version_is_replaced_once_and_both_uses_are_on_record() {
    static ROTATED: AtomicBool = AtomicBool::new(false);
    let upstream = Upstream::answering(|seen| {
        let stale = ROTATED.load(Ordering::SeqCst) && seen.all("authorization").concat().contains("first");
        if stale { reply("401 Unauthorized", &[("content-type", "text/plain")], "stale") } else { ok() }
    });
    let world = World::new("", ALL);
    let file = world.path("credential");
    let put = |value: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&file, value).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    put(concat!("first-version-", "0123456789"));
    let connections = format!(
        "  - {{name: plain, kind: http, upstream: '{}', credential: {{secret: 'file://{}', inject: bearer}}}}\n",
        upstream.url(),
        file.display()
    );
    let world = World { connections, ..world };
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    let mut get = || {
        caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
        caller.answer().status
    };
    assert_eq!(get(), 200);
    put(concat!("second-version-", "0123456789"));
    ROTATED.store(true, Ordering::SeqCst);
    // The store is asked anew at most once a second; until then the refusal of the old version is the caller's.
    assert_eq!(until("the second version", || (get() == 200).then_some(200)), 200);
    let seen = upstream.seen();
    let last = seen.last().unwrap().all("authorization").concat();
    assert_eq!(last, concat!("Bearer second-version-", "0123456789"));
    drop(caller);
    gateway.stop();
    let intents = world.intents();
    let versions: Vec<_> = intents.iter().map(|i| i.secret.as_ref().unwrap().version.to_string()).collect();
    assert_eq!(intents.len(), seen.len(), "each use is on record");
    assert_ne!(versions.first(), versions.last());
    let retries: Vec<_> = intents.iter().filter_map(|intent| intent.retry_of).collect();
    assert_eq!(retries.len(), 1, "{retries:?}");
    let mut requests: Vec<_> = intents.iter().map(|intent| intent.request).collect();
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests.len(), intents.len(), "each try is an exchange of its own");
    world.verify();
}
