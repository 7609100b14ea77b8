//! Deciding: who may, once, and never over one's own request.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use keyward_core::{Principal, PrincipalKind};
use keyward_gateway::admin::{Exposure, WAITS_MAX, router};
use keyward_store::ApprovalState;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::kit::{Who, World};

const APPROVE: &str = "POST /api/v1/approvals/{id}/approve";
const DENY: &str = "POST /api/v1/approvals/{id}/deny";
const CANCEL: &str = "POST /api/v1/approvals/{id}/cancel";
const SHOW: &str = "GET /api/v1/approvals/{id}";
const WAIT: &str = "GET /api/v1/approvals/{id}/wait";

#[tokio::test]
async fn an_approver_approves_once() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id;
    let shown = world.ask(Who::Approver, SHOW, &format!("/api/v1/approvals/{id}"), None).await.json();
    assert_eq!(shown["may_i_decide"], true);
    assert_eq!(shown["request"]["body"], "{\"model\":\"m\"}");
    let path = format!("/api/v1/approvals/{id}/approve");
    // Catalogue 111: the digest that was looked at is the one that is decided.
    let other = world.ask(Who::Approver, APPROVE, &path, Some(json!({"digest": "00"}))).await;
    assert_eq!((other.status, other.code().as_str()), (409, "other_digest"));
    let body = json!({"reason": "ticket 7", "digest": shown["digest"]});
    let approved = world.ask(Who::Approver, APPROVE, &path, Some(body)).await;
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("approved")));
    assert_eq!(approved.json()["votes"][0]["reason"], "ticket 7");
    assert_eq!(shown["secrets"], json!(["keyward://models"]));
    assert!(shown.get("similar").is_none(), "{shown}");
    // Once it ran, it is what the next one is held against.
    let approval = world.shared.db.approval_get(id).await.unwrap().unwrap();
    let request = keyward_core::RequestId::new(keyward_gateway::clock::fresh_id());
    let consumed = world.shared.approvals.consume(id, approval.binding, request).await.unwrap();
    assert!(matches!(consumed, keyward_store::Consumption::Won(_)));
    let next = world.approval(Who::Requester).await.id;
    let next = world.ask(Who::Approver, SHOW, &format!("/api/v1/approvals/{next}"), None).await.json();
    assert_eq!(next["similar"]["id"], id.to_string());
    assert_eq!(next["similar"]["request"]["body"], "{\"model\":\"m\"}");
    let again = world.ask(Who::Approver, APPROVE, &path, None).await;
    assert_eq!((again.status, again.code().as_str()), (409, "not_pending"));
    let denied = world.ask(Who::Approver, DENY, &format!("/api/v1/approvals/{id}/deny"), None).await;
    assert_eq!(denied.status, 409);
}

/// Nobody approves their own request, whatever their role; nor does a service, or somebody on behalf of another.
#[tokio::test]
async fn nobody_decides_over_their_own() {
    let world = World::start().await;
    let groups = json!(["eng", "model-owners", "ops", "audit"]);
    let everything = world.token_of(&json!({"sub": "alice", "groups": groups}));
    let alice = world.principal(Who::Requester);
    let id = world.approval_of(alice.clone(), 1).await.id;
    for (route, verb) in [(APPROVE, "approve"), (DENY, "deny")] {
        let path = format!("/api/v1/approvals/{id}/{verb}");
        let answer = world.ask_with(Some(&everything), route, &path, None).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "self_approval"));
        let service = world.token_of(&json!({"sub": "cli", "client_id": "cli", "groups": groups}));
        let answer = world.ask_with(Some(&service), route, &path, None).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "not_a_person"));
    }
    // An agent of alice asked; alice is behind it.
    let agent = Principal {
        subject: "agent-1".into(),
        kind: PrincipalKind::Agent,
        acting_for: vec![alice.reference()],
        ..alice
    };
    let id = world.approval_of(agent, 1).await.id;
    let path = format!("/api/v1/approvals/{id}/approve");
    let answer = world.ask_with(Some(&everything), APPROVE, &path, None).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "self_approval"));
    let state = world.shared.approvals.get(id).await.unwrap().unwrap().state;
    assert_eq!(state, ApprovalState::Pending);
    // But she withdraws it.
    let answer =
        world.ask_with(Some(&everything), CANCEL, &format!("/api/v1/approvals/{id}/cancel"), None).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("cancelled")));
}

#[tokio::test]
async fn distinct_people_are_counted() {
    let world = World::start().await;
    let id = world.approval_of(world.principal(Who::Requester), 2).await.id;
    let path = format!("/api/v1/approvals/{id}/approve");
    let first = world.ask(Who::Approver, APPROVE, &path, None).await;
    assert_eq!((first.status, &first.json()["state"]), (200, &json!("pending")));
    let again = world.ask(Who::Approver, APPROVE, &path, None).await;
    assert_eq!((again.status, again.code().as_str()), (409, "already_voted"));
    let second = world.token_of(&json!({"sub": "oscar", "groups": ["model-owners"]}));
    let second = world.ask_with(Some(&second), APPROVE, &path, None).await;
    assert_eq!((second.status, &second.json()["state"]), (200, &json!("approved")));
    assert_eq!(second.json()["approvals"], 2);
}

/// A long poll ends with the decision, and with the time when there is none.
#[tokio::test]
async fn waiting_ends_with_the_decision() {
    let world = Arc::new(World::start().await);
    let approval = world.approval(Who::Requester).await;
    let id = approval.id;
    let pending =
        world.ask(Who::Requester, WAIT, &format!("/api/v1/approvals/{id}/wait?timeout=0"), None).await;
    assert_eq!(pending.json()["state"], "pending");
    let waiting = tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            world.ask(Who::Requester, WAIT, &format!("/api/v1/approvals/{id}/wait?timeout=60"), None).await
        }
    });
    // The decision may come before or after the wait began; either way the wait tells it.
    let body = Some(json!({"reason": "not today"}));
    world.ask(Who::Approver, DENY, &format!("/api/v1/approvals/{id}/deny"), body).await;
    let told = waiting.await.unwrap().json();
    assert_eq!((&told["state"], &told["votes"][0]["reason"]), (&json!("denied"), &json!("not today")));
    let over =
        world.ask(Who::Requester, WAIT, &format!("/api/v1/approvals/{id}/wait?timeout=61"), None).await;
    assert_eq!(over.json()["state"], "denied");
}

/// As many may wait as there is room for; one more is told so at once. Stopping ends every wait.
#[tokio::test]
async fn waits_have_a_bound_and_end_when_the_gateway_stops() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id;
    let stop = CancellationToken::new();
    let (current, records) = (Arc::clone(&world.current), Arc::clone(&world.records));
    let routes = TowerToHyperService::new(router(current, records, Exposure::Loopback, stop.clone()));
    let bearer = format!("Bearer {}", world.token(Who::Requester));
    let ask = |_| {
        let request = http::Request::get(format!("/api/v1/approvals/{id}/wait?timeout=60"));
        let request = request.header("authorization", &bearer).body(axum::body::Body::empty()).unwrap();
        let answer = routes.call(request);
        async move { answer.await.unwrap().status().as_u16() }
    };
    let mut waits: FuturesUnordered<_> = (0..=WAITS_MAX).map(ask).collect();
    assert_eq!(waits.next().await, Some(503));
    stop.cancel();
    let rest: Vec<u16> = waits.collect().await;
    assert_eq!(rest, vec![200; WAITS_MAX]);
    assert_eq!(ask(0).await, 200, "the room is free again");
}

/// No record, no effect: nothing is decided while the journal cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_does_not_happen() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id;
    // The answer names it once the keys are there; later calls find the journal closed.
    assert_eq!(world.ask(Who::Approver, SHOW, &format!("/api/v1/approvals/{id}"), None).await.status, 200);
    let journal = world.shared.journal.clone();
    tokio::task::spawn_blocking(move || journal.close()).await.unwrap().unwrap();
    let answer = world.ask(Who::Approver, APPROVE, &format!("/api/v1/approvals/{id}/approve"), None).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "journal_unavailable"));
    let state = world.shared.approvals.get(id).await.unwrap().unwrap().state;
    assert_eq!(state, ApprovalState::Pending);
    let read = world.ask(Who::Auditor, SHOW, &format!("/api/v1/approvals/{id}"), None).await;
    assert_eq!(read.status, 503);
    let ready = world.ask(Who::Nobody, "GET /readyz", "/readyz", None).await;
    assert_eq!((ready.status, &ready.json()["parts"][0]["ok"]), (503, &json!(false)));
}
