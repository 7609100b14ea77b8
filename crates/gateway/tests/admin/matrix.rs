//! Endpoint × role → status and record, as one table (catalogue 137, 141, 209). A route of the document that is not in
//! it fails the test.

use std::time::Duration;

use keyward_core::SessionId;
use keyward_gateway::anonymous::PER_SECOND_MAX;
use keyward_gateway::clock;
use keyward_journal::Record;
use keyward_journal::record::SessionOpened;
use serde_json::json;

use crate::kit::{Who, World};
use crate::schema;

/// What a role gets, and whether the journal says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// An answer that leaves no record.
    Quiet,
    /// An answer that is recorded first.
    Seen,
    /// A refusal with this status, recorded.
    No(u16),
}

use Cell::{No, Quiet, Seen};

struct Row {
    route: &'static str,
    path: &'static str,
    /// In the order of [`Who::ALL`]: nobody, other, requester, approver, auditor, admin.
    cells: [Cell; 6],
}

const fn row(route: &'static str, path: &'static str, cells: [Cell; 6]) -> Row {
    Row { route, path, cells }
}

const OPEN: [Cell; 6] = [Quiet; 6];
/// Everybody with a token; what is there is the same for all.
const SIGNED_IN: [Cell; 6] = [No(401), Quiet, Quiet, Quiet, Quiet, Quiet];
/// Auditors and administrators.
const BY_ROLE: [Cell; 6] = [No(401), No(403), No(403), No(403), Seen, Seen];
/// Administrators alone.
const BY_ADMIN: [Cell; 6] = [No(401), No(403), No(403), No(403), No(403), Seen];
/// Administrators alone, and what is named is not there.
const ABSENT_TO_ADMIN: [Cell; 6] = [No(401), No(403), No(403), No(403), No(403), No(404)];
/// Each sees what is theirs, and those with a role everything.
const LISTS: [Cell; 6] = [No(401), Quiet, Quiet, Quiet, Seen, Seen];
/// The requester's session.
const SESSION: [Cell; 6] = [No(401), No(404), Quiet, No(404), Seen, Seen];
/// The requester's approval, which the approver may decide.
const APPROVAL: [Cell; 6] = [No(401), No(404), Quiet, Quiet, Seen, Seen];

const TABLE: &[Row] = &[
    row("GET /healthz", "/healthz", OPEN),
    row("GET /readyz", "/readyz", OPEN),
    row("GET /metrics", "/metrics", OPEN),
    row("GET /api/v1/openapi.json", "/api/v1/openapi.json", OPEN),
    row("GET /approvals/{id}", "/approvals/{approval}", OPEN),
    row("GET /api/v1/sign-in", "/api/v1/sign-in", OPEN),
    row("POST /auth/logout", "/auth/logout", [No(401), Seen, Seen, Seen, Seen, Seen]),
    row("GET /api/v1/whoami", "/api/v1/whoami", SIGNED_IN),
    row("GET /api/v1/policy", "/api/v1/policy", BY_ROLE),
    row("GET /api/v1/journal", "/api/v1/journal", BY_ROLE),
    row("GET /api/v1/connections", "/api/v1/connections", SIGNED_IN),
    row("GET /api/v1/connections/{name}", "/api/v1/connections/models", SIGNED_IN),
    row("GET /api/v1/approvals", "/api/v1/approvals", LISTS),
    row("GET /api/v1/approvals/{id}", "/api/v1/approvals/{approval}", APPROVAL),
    row("GET /api/v1/approvals/{id}/wait", "/api/v1/approvals/{approval}/wait?timeout=0", APPROVAL),
    row(
        "POST /api/v1/approvals/{id}/approve",
        "/api/v1/approvals/{approval}/approve",
        [No(401), No(404), No(403), Seen, No(403), No(403)],
    ),
    row(
        "POST /api/v1/approvals/{id}/deny",
        "/api/v1/approvals/{approval}/deny",
        [No(401), No(404), No(403), Seen, No(403), No(403)],
    ),
    row(
        "POST /api/v1/approvals/{id}/cancel",
        "/api/v1/approvals/{approval}/cancel",
        [No(401), No(404), Seen, No(403), No(403), No(403)],
    ),
    row("GET /api/v1/sessions", "/api/v1/sessions", LISTS),
    row("GET /api/v1/sessions/{id}", "/api/v1/sessions/{session}", SESSION),
    row(
        "GET /api/v1/sessions/{id}/exchanges/{exchange}",
        "/api/v1/sessions/{session}/exchanges/{exchange}",
        SESSION,
    ),
    row(
        "POST /api/v1/sessions/{id}/kill",
        "/api/v1/sessions/{live}/kill",
        [No(401), No(404), Seen, No(404), No(403), Seen],
    ),
    row("GET /api/v1/locks", "/api/v1/locks", BY_ROLE),
    row("POST /api/v1/locks", "/api/v1/locks", BY_ADMIN),
    row("POST /api/v1/locks/{id}/lift", "/api/v1/locks/{lock}/lift", BY_ADMIN),
    row("GET /api/v1/tokens", "/api/v1/tokens", LISTS),
    row("POST /api/v1/tokens", "/api/v1/tokens", [No(401), Seen, Seen, Seen, Seen, Seen]),
    row(
        "POST /api/v1/tokens/{id}/revoke",
        "/api/v1/tokens/{token}/revoke",
        [No(401), No(404), Seen, No(404), No(403), Seen],
    ),
    row("GET /api/v1/notifications", "/api/v1/notifications", BY_ROLE),
    row("POST /api/v1/notifications/{name}/test", "/api/v1/notifications/x/test", ABSENT_TO_ADMIN),
    row("POST /api/v1/notifications/{id}/retry", "/api/v1/notifications/ntf_x/retry", ABSENT_TO_ADMIN),
    row("POST /api/v1/notifications/{id}/forget", "/api/v1/notifications/ntf_x/forget", ABSENT_TO_ADMIN),
    // Nobody is told of anything there.
    row(
        "POST /api/v1/approvals/{id}/nudge",
        "/api/v1/approvals/{approval}/nudge",
        [No(401), No(404), No(409), No(403), No(403), No(403)],
    ),
    row("GET /api/v1/grants", "/api/v1/grants", LISTS),
    row("GET /api/v1/grants/{id}", "/api/v1/grants/{grant}", APPROVAL),
    row("POST /api/v1/grants", "/api/v1/grants", [No(401), Seen, Seen, Seen, Seen, Seen]),
    row(
        "POST /api/v1/break-glass",
        "/api/v1/break-glass",
        [No(401), No(403), No(403), No(403), No(403), No(403)],
    ),
    row(
        "POST /api/v1/grants/{id}/revoke",
        "/api/v1/grants/{grant}/revoke",
        [No(401), No(404), Seen, Seen, No(403), Seen],
    ),
    row(
        "POST /api/v1/grants/{id}/review",
        "/api/v1/grants/{grant}/review",
        [No(401), No(404), No(403), No(403), No(409), No(409)],
    ),
    row("GET /api/v1/requests/{id}/explanation", "/api/v1/requests/{exchange}/explanation", SESSION),
    row("POST /api/v1/policy/try", "/api/v1/policy/try", BY_ROLE),
    row("GET /api/v1/audit/who-used", "/api/v1/audit/who-used?secret=keyward://models", BY_ROLE),
    row("GET /api/v1/audit/what", "/api/v1/audit/what?principal=alice", BY_ROLE),
];

/// What needs a browser, or does not end by itself, has tests of its own on the real binary (`it::signing_in`,
/// `it::moderating`).
const ELSEWHERE: [&str; 4] =
    ["GET /api/v1/events", "POST /api/v1/approvals/{id}/watch", "GET /auth/login", "GET /auth/callback"];

#[test]
fn every_route_is_in_the_table() {
    let mut described = schema::routes(&schema::document());
    let mut tabled: Vec<String> = TABLE.iter().map(|row| row.route.to_owned()).collect();
    tabled.extend(ELSEWHERE.map(str::to_owned));
    described.sort();
    tabled.sort();
    assert_eq!(described, tabled);
}

#[tokio::test]
async fn each_role_gets_what_the_table_says() {
    let world = World::start().await;
    let (session, exchange) = world.recorded_session(Who::Requester);
    let mut unknown = 0;
    for row in TABLE {
        for (who, cell) in Who::ALL.into_iter().zip(row.cells) {
            let approval = world.approval(Who::Requester).await.id;
            let path = row
                .path
                .replace("{approval}", &approval.to_string())
                .replace("{session}", &session.to_string())
                .replace("{exchange}", &exchange.to_string());
            let path = path
                .replace("{live}", &world.live_session(Who::Requester).await.to_string())
                .replace("{lock}", &world.lock("user:https://idp#mallory").await.to_string());
            let path = if path.contains("{token}") {
                path.replace("{token}", &world.client_token(Who::Requester).await.to_string())
            } else {
                path
            };
            let path = if path.contains("{grant}") {
                path.replace("{grant}", &world.grant(Who::Requester).await.to_string())
            } else {
                path
            };
            let (_, from) = world.admin_records(0);
            let body = match row.route {
                "POST /api/v1/locks" => {
                    Some(json!({"target": "user:https://idp#mallory", "reason": "because"}))
                }
                "POST /api/v1/tokens" => Some(json!({"connections": ["models"]})),
                "POST /api/v1/grants" => {
                    Some(json!({"connection": "models", "classes": ["model.export"], "reason": "because"}))
                }
                "POST /api/v1/break-glass" => Some(json!({"connection": "models", "reason": "because"})),
                "POST /api/v1/policy/try" => Some(json!({
                    "connection": "models", "path": "/models", "as": {"subject": "alice"},
                })),
                "POST /api/v1/approvals/{id}/nudge"
                | "POST /api/v1/notifications/{name}/test"
                | "POST /api/v1/notifications/{id}/retry"
                | "POST /api/v1/notifications/{id}/forget"
                | "POST /api/v1/tokens/{id}/revoke"
                | "POST /api/v1/locks/{id}/lift"
                | "POST /auth/logout" => Some(json!({})),
                route => route.starts_with("POST").then(|| json!({"reason": "because"})),
            };
            unknown += u32::from(who == Who::Nobody);
            if who == Who::Nobody && unknown % PER_SECOND_MAX == 0 {
                // More within a second are refused, but not each is recorded.
                tokio::time::sleep(Duration::from_millis(1050)).await;
            }
            let answer = world.ask(who, row.route, &path, body).await;
            let (events, _) = world.admin_records(from);
            let expected = match cell {
                Quiet | Seen => 200,
                No(status) => status,
            };
            let place = format!("{} as {who:?}: {:?}", row.route, answer.body);
            assert_eq!(answer.status, expected, "{place}");
            match cell {
                Quiet => assert_eq!(events, [], "{place}"),
                Seen => assert!(
                    !events.is_empty() && events.iter().all(|event| event.allowed),
                    "{place} {events:?}"
                ),
                No(_) => assert!(events.last().is_some_and(|event| !event.allowed), "{place} {events:?}"),
            }
            let by = events.last().and_then(|event| event.by.clone());
            if !events.is_empty() && who != Who::Nobody {
                assert_eq!(by, Some(world.principal(who).reference()), "{place}");
            }
        }
    }
}

/// Catalogue 110, 209: what is hidden has the answer of what is absent, byte for byte.
#[tokio::test]
async fn hidden_and_absent_are_the_same() {
    let world = World::start().await;
    let (session, exchange) = world.recorded_session(Who::Requester);
    let approval = world.approval(Who::Requester).await.id.to_string();
    let absent = "00000000000000000000000000000000";
    let routes = [
        (
            "GET /api/v1/approvals/{id}",
            format!("/api/v1/approvals/{approval}"),
            format!("/api/v1/approvals/apr_{absent}"),
        ),
        (
            "GET /api/v1/sessions/{id}",
            format!("/api/v1/sessions/{session}"),
            format!("/api/v1/sessions/ses_{absent}"),
        ),
        (
            "GET /api/v1/sessions/{id}/exchanges/{exchange}",
            format!("/api/v1/sessions/{session}/exchanges/{exchange}"),
            format!("/api/v1/sessions/ses_{absent}/exchanges/req_{absent}"),
        ),
        (
            "GET /api/v1/requests/{id}/explanation",
            format!("/api/v1/requests/{exchange}/explanation"),
            format!("/api/v1/requests/req_{absent}/explanation"),
        ),
        (
            "POST /api/v1/approvals/{id}/approve",
            format!("/api/v1/approvals/{approval}/approve"),
            format!("/api/v1/approvals/apr_{absent}/approve"),
        ),
    ];
    for (route, hidden, absent) in routes {
        let hidden = world.ask(Who::Other, route, &hidden, None).await;
        let none = world.ask(Who::Other, route, &absent, None).await;
        let malformed = world.ask(Who::Other, route, &absent.replace("0000", "zzzz"), None).await;
        assert_eq!((hidden.status, &hidden.body), (404, &none.body), "{route}");
        assert_eq!((none.status, &none.body), (404, &malformed.body), "{route}");
        assert_eq!(malformed.status, 404);
        let names = |answer: &crate::kit::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&hidden), names(&none), "{route}");
    }
}

/// Lists hold what is one's own, what one may decide, or by role everything.
#[tokio::test]
async fn lists_hold_only_what_may_be_seen() {
    let world = World::start().await;
    let mine = world.approval(Who::Other).await.id.to_string();
    let theirs = world.approval(Who::Requester).await.id.to_string();
    for who in [Who::Other, Who::Requester] {
        let principal = std::sync::Arc::new(world.principal(who));
        let opened = Record::SessionOpened(SessionOpened {
            session: SessionId::new(clock::fresh_id()),
            at: clock::now(),
            principal,
            connection: "models".into(),
            peer: "127.0.0.1:1".to_owned(),
        });
        world.shared.journal.append(&opened).unwrap();
    }
    let ids = |answer: &crate::kit::Answer, list: &str| -> Vec<String> {
        let json = answer.json();
        json[list].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let route = "GET /api/v1/approvals";
    let list = async |who, query: &str| {
        ids(&world.ask(who, route, &format!("/api/v1/approvals{query}"), None).await, "approvals")
    };
    assert_eq!(list(Who::Other, "").await, std::slice::from_ref(&mine));
    assert_eq!(list(Who::Requester, "").await, std::slice::from_ref(&theirs));
    assert_eq!(list(Who::Approver, "").await, [theirs.clone(), mine.clone()]);
    assert_eq!(list(Who::Approver, "?mine=true").await, Vec::<String>::new());
    assert_eq!(list(Who::Auditor, "?state=pending").await, [theirs.clone(), mine.clone()]);
    assert_eq!(list(Who::Auditor, "?state=denied").await, Vec::<String>::new());
    let first = world.ask(Who::Auditor, route, "/api/v1/approvals?limit=1", None).await;
    assert_eq!(ids(&first, "approvals"), std::slice::from_ref(&theirs));
    let next = first.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(list(Who::Auditor, &format!("?limit=1&before={next}")).await, [mine]);

    let route = "GET /api/v1/sessions";
    let count = async |who, query: &str| {
        let answer = world.ask(who, route, &format!("/api/v1/sessions{query}"), None).await;
        answer.json()["sessions"].as_array().unwrap().len()
    };
    assert_eq!(count(Who::Other, "").await, 1);
    assert_eq!(count(Who::Approver, "").await, 0);
    assert_eq!(count(Who::Auditor, "").await, 2);
    assert_eq!(count(Who::Auditor, "?principal=alice").await, 1);
    assert_eq!(count(Who::Other, "?principal=alice").await, 0);
    assert_eq!(count(Who::Auditor, "?until=2020-01-01T00:00:00Z").await, 0);
    let first = world.ask(Who::Auditor, route, "/api/v1/sessions?limit=1", None).await;
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second =
        world.ask(Who::Auditor, route, &format!("/api/v1/sessions?limit=1&before={next}"), None).await;
    assert_ne!(ids(&first, "sessions"), ids(&second, "sessions"));
    assert!(second.json().get("next").is_none());
}
