//! Locks and the ending of sessions (catalogue 17, 106), at the admin listener.

use keyward_core::{LockId, RequestId, SessionId};
use keyward_gateway::clock;
use serde_json::json;

use crate::kit::{Who, World};

const ADD: &str = "POST /api/v1/locks";
const APPROVE: &str = "POST /api/v1/approvals/{id}/approve";

impl World {
    /// A session that is open now.
    pub(crate) async fn live_session(&self, who: Who) -> SessionId {
        let gateway = self.current.load_full();
        let verified = gateway.identity.verify(&self.token(who), clock::now()).await.unwrap();
        let target = std::sync::Arc::clone(gateway.routes.all()[0]);
        let in_flight = self.shared.running.enter(&self.shared.metrics);
        let request = RequestId::new(clock::fresh_id());
        gateway.open(verified, target, ([127, 0, 0, 1], 1).into(), request, in_flight).unwrap().id
    }

    /// A lock by the administrator.
    pub(crate) async fn lock(&self, target: &str) -> LockId {
        let by = self.principal(Who::Admin).reference();
        let shared = &self.shared;
        let ends = (&shared.sessions, &shared.journal);
        shared.locks.add(target.parse().unwrap(), "because".to_owned(), by, None, ends).await.unwrap().id
    }
}

#[tokio::test]
async fn catalogue_106_a_locked_approver_decides_nothing() {
    let world = World::start().await;
    let id = world.approval(Who::Requester).await.id;
    let path = format!("/api/v1/approvals/{id}/approve");
    let olivia = world.principal(Who::Approver);
    let lock = world.lock(&format!("user:{olivia}")).await;
    let answer = world.ask(Who::Approver, APPROVE, &path, Some(json!({}))).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "locked"), "{:?}", answer.body);
    assert!(answer.json()["detail"].as_str().unwrap().contains("because"), "{:?}", answer.body);
    assert!(world.shared.locks.lift(lock, &world.principal(Who::Admin).reference()).await.unwrap());
    assert_eq!(world.ask(Who::Approver, APPROVE, &path, Some(json!({}))).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_locked_is_refused() {
    let world = World::start().await;
    let long = "x".repeat(1_025);
    for (body, status, code) in [
        (json!({}), 400, "bad_request"),
        (json!({"target": "alice"}), 400, "bad_request"),
        (json!({"target": "group:x", "reason": long}), 400, "bad_request"),
        (json!({"target": "group:ops"}), 409, "locks_oneself"),
    ] {
        let answer = world.ask(Who::Admin, ADD, "/api/v1/locks", Some(body.clone())).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    assert!(world.shared.locks.in_force(clock::now()).is_empty());
    let brief = json!({"target": "group:contractors", "seconds": 1});
    assert_eq!(world.ask(Who::Admin, ADD, "/api/v1/locks", Some(brief)).await.status, 200);
    let later = clock::now().plus(std::time::Duration::from_secs(2));
    assert!(world.shared.locks.in_force(later).is_empty());
}
