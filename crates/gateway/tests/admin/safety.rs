//! What a web page, a prefetch or a confused client could try (catalogue 108, 203), and what an answer may hold.

use std::sync::Arc;

use http::Method;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use keyward_gateway::admin::{BODY_BYTES_MAX, Exposure, PARAMETER_BYTES_MAX, router};
use keyward_store::ApprovalState;
use tokio_util::sync::CancellationToken;

use crate::kit::{Who, World};

const APPROVE: &str = "POST /api/v1/approvals/{id}/approve";

type Headers<'a> = Vec<(&'a str, &'a str)>;

#[tokio::test]
async fn only_a_plain_post_of_our_own_decides() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id;
    let path = format!("/api/v1/approvals/{id}/approve");
    let bearer = format!("Bearer {}", world.token(Who::Approver));
    let auth = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    let tries: Vec<(Method, Headers<'_>, &str, u16)> = vec![
        (Method::GET, vec![auth], "", 405),
        (Method::HEAD, vec![auth], "", 405),
        (Method::PUT, vec![auth, json], "{}", 405),
        (Method::GET, vec![auth, ("x-http-method-override", "POST")], "", 405),
        (Method::GET, vec![auth, ("x-method-override", "POST")], "", 405),
        (Method::POST, vec![auth, ("origin", "https://evil.example")], "", 403),
        (Method::POST, vec![auth, ("origin", "null")], "", 403),
        (Method::POST, vec![auth, ("sec-fetch-site", "cross-site")], "", 403),
        (Method::POST, vec![auth, ("content-type", "text/plain")], "{}", 415),
        (Method::POST, vec![auth, ("content-type", "application/x-www-form-urlencoded")], "reason=x", 415),
        (Method::POST, vec![auth], "{}", 415),
        (Method::POST, vec![auth, json], "{", 400),
        (Method::POST, vec![auth, json], "{\"unknown\":1}", 400),
        (Method::POST, vec![auth, json], long.as_str(), 413),
        (Method::POST, vec![("cookie", "session=1")], "", 401),
        (Method::POST, vec![auth, ("x-api-key", "another")], "", 400),
    ];
    for (method, headers, body, status) in tries {
        let answer = world.send(method.clone(), &path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {headers:?} {:?}", answer.body);
        if method != Method::HEAD {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        if method == Method::POST {
            world.holds(APPROVE, &answer);
        }
        let state = world.shared.approvals.get(id).await.unwrap().unwrap().state;
        assert_eq!(state, ApprovalState::Pending, "{method} {headers:?}");
    }
    let token = world.token(Who::Approver);
    let query = world.send(Method::POST, &format!("{path}?access_token={token}"), &[], "").await;
    assert_eq!(
        (query.status, world.shared.approvals.get(id).await.unwrap().unwrap().state),
        (400, ApprovalState::Pending)
    );
    let own = [auth, json, ("origin", world.url.as_str()), ("sec-fetch-site", "same-origin")];
    let longest = format!("{{}}{}", " ".repeat(BODY_BYTES_MAX - 2));
    assert_eq!(world.send(Method::POST, &path, &own, &longest).await.status, 200);
}

/// Off loopback, counters are for auditors; on it they are open, which the matrix shows.
#[tokio::test]
async fn metrics_need_a_role_on_a_network() {
    let world = World::start().await;
    let routes = router(
        Arc::clone(&world.current),
        Arc::clone(&world.records),
        Exposure::Network,
        CancellationToken::new(),
    );
    let routes = TowerToHyperService::new(routes);
    for (who, status) in Who::ALL.into_iter().zip([401, 403, 403, 403, 200, 200]) {
        let mut request = http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        if who != Who::Nobody {
            let bearer = format!("Bearer {}", world.token(who));
            request.headers_mut().insert("authorization", bearer.parse().unwrap());
        }
        assert_eq!(routes.call(request).await.unwrap().status(), status, "{who:?}");
    }
}

#[tokio::test]
async fn parameters_are_bounded_and_known() {
    let world = World::start().await;
    let long = "x".repeat(PARAMETER_BYTES_MAX + 1);
    for (path, status) in [
        ("/api/v1/audit/what?principal=x&since=yesterday".to_owned(), 400),
        ("/api/v1/audit/what?principal=".to_owned(), 400),
        ("/api/v1/audit/what".to_owned(), 400),
        ("/api/v1/audit/what?principal=x&before=1".to_owned(), 400),
        (format!("/api/v1/audit/what?principal={long}"), 400),
        ("/api/v1/audit/what?principal=x&limit=-1".to_owned(), 400),
        ("/api/v1/audit/what?principal=x&unknown=1".to_owned(), 400),
        ("/api/v1/audit/what?principal=x&limit=4294967295".to_owned(), 200),
        // Catalogue 142: data, not syntax.
        ("/api/v1/audit/what?principal=%27%20OR%201%3D1--%0a%00%1b[2J".to_owned(), 200),
        (
            "/api/v1/audit/what?principal=x&since=0001-01-01T00:00:00Z&until=9999-12-30T00:00:00Z".to_owned(),
            200,
        ),
    ] {
        let answer = world.ask(Who::Auditor, "GET /api/v1/audit/what", &path, None).await;
        assert_eq!(answer.status, status, "{path} {:?}", answer.body);
    }
    for path in
        ["/api/v1/approvals?state=nonsense", "/api/v1/approvals?before=x", "/api/v1/approvals?limit=x"]
    {
        let answer = world.ask(Who::Auditor, "GET /api/v1/approvals", path, None).await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[tokio::test]
async fn other_paths_are_problems_too() {
    let world = World::start().await;
    for path in
        ["/", "/api/v1/", "/api/v1/nonsense", "/api/v2/whoami", "/approvals/apr_1", "/approvals/%3Cscript%3E"]
    {
        let answer = world.send(Method::GET, path, &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{path}");
    }
}

/// The page behind a link holds nothing but what is in its address, and the same for an approval that does not exist.
#[tokio::test]
async fn the_page_says_nothing_of_the_call() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id.to_string();
    let absent = format!("apr_{}", "0".repeat(32));
    let text = async |id: &str| {
        let answer = world.send(Method::GET, &format!("/approvals/{id}"), &[], "").await;
        world.holds("GET /approvals/{id}", &answer);
        let policy = answer.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    assert_eq!(text(&id).await.replace(&id, ""), text(&absent).await.replace(&absent, ""));
}

#[tokio::test]
async fn a_connection_shows_its_reference_and_no_value() {
    let world = World::start().await;
    let answer =
        world.ask(Who::Other, "GET /api/v1/connections/{name}", "/api/v1/connections/models", None).await;
    let shown = answer.json();
    assert_eq!(shown["credential"]["reference"], "keyward://models");
    assert_eq!(shown["upstream"], "http://127.0.0.1:9/v1");
    assert_eq!(shown["path"], "/models");
    let who = world.ask(Who::Auditor, "GET /api/v1/whoami", "/api/v1/whoami", None).await.json();
    assert_eq!((&who["roles"][0], &who["principal"]["subject"]), (&"auditor".into(), &"audrey".into()));
}
