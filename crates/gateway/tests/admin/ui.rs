//! The web interface as browsers get it, and what stands in its place where it is not part of the binary.

use std::sync::Arc;

use axum::body::Body;
use http::Method;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use keyward_gateway::admin::{Exposure, router, ui_embedded};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::kit::{Who, World};
use crate::schema;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// Every path that is no data leads a browser to the same page, which runs and shows nothing but its own (catalogue 201,
/// 204), finds itself below any prefix, and is kept by no cache (213).
#[tokio::test]
async fn browsers_get_a_page_that_trusts_nobody_else() {
    let world = World::start().await;
    let approval = format!("/approvals/{}", world.approval(Who::Requester).await.id);
    for path in ["/", "/inbox?view=mine", "/sessions/ses_1", approval.as_str(), "/approvals/nonsense"] {
        let answer = world.send(Method::GET, path, &[BROWSER], "").await;
        if path == "/approvals/nonsense" && !ui_embedded() {
            assert_eq!(answer.status, 404);
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with("text/html"));
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), value, "{path}");
        }
        let text = std::str::from_utf8(&answer.body).unwrap();
        if ui_embedded() {
            let base =
                if path.matches('/').count() == 2 { "<base href=\"../\" />" } else { "<base href=\"./\" />" };
            assert!(text.contains(base), "{path}: {text}");
        } else {
            assert!(!text.contains("<script"), "{path}: {text}");
        }
    }
}

/// Programs, the API's own paths and methods that change something never get a page.
#[tokio::test]
async fn data_is_never_answered_with_a_page() {
    let world = World::start().await;
    for (method, path, accept) in [
        (Method::GET, "/inbox", "application/json"),
        (Method::GET, "/inbox", "*/*"),
        (Method::GET, "/api/v1/nonsense", BROWSER.1),
        (Method::GET, "/auth/nonsense", BROWSER.1),
        (Method::GET, "/assets/nonsense.js", BROWSER.1),
        (Method::GET, "/index.html.br", BROWSER.1),
        (Method::POST, "/inbox", BROWSER.1),
        (Method::DELETE, "/", BROWSER.1),
    ] {
        let answer = world.send(method.clone(), path, &[("accept", accept)], "").await;
        let embedded_page = method == Method::GET && path == "/index.html.br";
        if embedded_page {
            assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
            continue;
        }
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{method} {path} {accept}");
    }
}

/// Each file that the page names is there, compressed where the client takes it, and kept for good under its name.
#[tokio::test]
async fn files_of_the_page_are_served() {
    let world = World::start().await;
    let page = world.send(Method::GET, "/", &[BROWSER], "").await;
    let text = std::str::from_utf8(&page.body).unwrap();
    let named: Vec<&str> = text.split('"').filter(|part| part.starts_with("./assets/")).collect();
    assert_eq!(!named.is_empty(), ui_embedded());
    let routes = TowerToHyperService::new(router(
        Arc::clone(&world.current),
        Arc::clone(&world.records),
        Exposure::Loopback,
        CancellationToken::new(),
    ));
    let get = async |path: &str, name: &str, value: &str| {
        let request = http::Request::get(path).header(name, value).body(Body::empty()).unwrap();
        let (head, body) = routes.call(request).await.unwrap().into_parts();
        (head, axum::body::to_bytes(body, 16 << 20).await.unwrap())
    };
    for name in named {
        let path = name.trim_start_matches('.');
        let (plain, bytes) = get(path, "accept", "*/*").await;
        let (small, compressed) = get(path, "accept-encoding", "br, gzip").await;
        assert_eq!((plain.status.as_u16(), small.status.as_u16()), (200, 200), "{path}");
        assert!(compressed.len() * 2 < bytes.len(), "{path}");
        assert_eq!(small.headers["content-encoding"], "br");
        assert_eq!(plain.headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(plain.headers["x-content-type-options"], "nosniff");
        let (again, nothing) = get(path, "if-none-match", plain.headers["etag"].to_str().unwrap()).await;
        assert_eq!((again.status.as_u16(), nothing.len()), (304, 0), "{path}");
    }
}

/// The interface was made for `ui/openapi.json`: whatever that says, the API still is. To take over what was added, run
/// this test with `KEYWARD_UPDATE=1` and look at the difference.
#[test]
fn the_api_is_what_the_interface_was_made_for() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/openapi.json");
    if std::env::var_os("KEYWARD_UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&schema::document()).unwrap();
        std::fs::write(file, text + "\n").unwrap();
    }
    let known: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut faults = Vec::new();
    lost(&known, &schema::document(), "", &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What `before` says and `after` does not. Sentences may change.
fn lost(before: &Value, after: &Value, at: &str, faults: &mut Vec<String>) {
    const WORDS: [&str; 5] = ["description", "summary", "example", "operationId", "info"];
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before.iter().filter(|(name, _)| !WORDS.contains(&name.as_str())) {
                match after.get(name) {
                    Some(other) => lost(value, other, &format!("{at}/{name}"), faults),
                    None => faults.push(format!("{at}/{name} is gone")),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            let gone = before.iter().filter(|value| {
                !after.iter().any(|other| {
                    let mut inner = Vec::new();
                    lost(value, other, at, &mut inner);
                    inner.is_empty()
                })
            });
            faults.extend(gone.map(|value| format!("{at} does not hold {value} any more")));
        }
        _ if before == after => {}
        _ => faults.push(format!("{at} was {before} and is {after}")),
    }
}

#[test]
fn what_is_lost_is_found() {
    let before = serde_json::json!({"a": {"enum": ["x", "y"], "description": "old"}, "b": 1});
    let faults = |after: Value| {
        let mut faults = Vec::new();
        lost(&before, &after, "", &mut faults);
        faults
    };
    assert!(faults(serde_json::json!({"a": {"enum": ["y", "x", "z"]}, "b": 1, "c": 2})).is_empty());
    for after in [
        serde_json::json!({"a": {"enum": ["x"]}, "b": 1}),
        serde_json::json!({"a": {"enum": ["x", "y"]}}),
        serde_json::json!({"a": {"enum": ["x", "y"]}, "b": 2}),
    ] {
        assert_eq!(faults(after).len(), 1);
    }
}
