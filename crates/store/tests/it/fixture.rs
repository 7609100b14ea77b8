use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_core::principal::PrincipalRef;
use keyward_core::{
    ApprovalId, ApprovalRule, Connection, ConnectionKind, Operation, OperationClass, Principal,
    PrincipalKind, RequestDigest, Resource, Timestamp, Upstream,
};
use keyward_store::{Binding, Db, Narrower, NewApproval, NewVote, RequestSummary, VoteDecision};
use tempfile::TempDir;

pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const TTL: Duration = Duration::from_mins(15);

/// A database of its own, gone with the fixture.
pub(crate) async fn db() -> (TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    (dir, db)
}

/// A moment, in seconds after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000)
}

pub(crate) fn person(subject: &str, groups: &[&str]) -> Principal {
    Principal {
        issuer: ISSUER.into(),
        subject: subject.into(),
        kind: PrincipalKind::User,
        groups: groups.iter().map(|&group| group.into()).collect(),
        name: Some(subject.to_uppercase().into()),
        acting_for: Vec::new(),
    }
}

pub(crate) fn owner(subject: &str) -> Principal {
    person(subject, &["model-owners"])
}

pub(crate) fn reference(subject: &str) -> PrincipalRef {
    person(subject, &[]).reference()
}

pub(crate) fn rule(min: u32) -> ApprovalRule {
    ApprovalRule {
        approvers: vec!["group:model-owners".to_owned()].into(),
        and: Vec::new(),
        min,
        ttl: TTL,
        bind: keyward_core::Bind::Request,
        grant: None,
        moderated: None,
    }
}

/// A request of `who` with this body, not asked for before.
pub(crate) fn asked_by(who: &Principal, body: &[u8]) -> NewApproval {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let connection = Connection {
        name: "llm".into(),
        kind: ConnectionKind::OpenAi,
        upstream: Upstream { https: true, host: "models.test".into(), port: 443, base_path: "".into() },
        tags: std::collections::BTreeMap::new(),
        owners: Vec::new(),
    };
    let operation = Operation {
        class: OperationClass::ModelExport,
        resource: Resource { model: "m".into(), ..Resource::default() },
        method: "GET".into(),
        path: "/v1/models/m/weights".into(),
        query: String::new(),
        stream: false,
        body_bytes: Some(body.len() as u64),
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    };
    NewApproval {
        id: ApprovalId::new(u128::from(NEXT.fetch_add(1, Ordering::Relaxed))),
        binding: Binding {
            digest: RequestDigest::of(who, &connection, &operation, &[], body),
            policy_version: "policy-1".into(),
            credential_version: "v1".into(),
        },
        principal: who.clone(),
        connection: "llm".into(),
        operation,
        rule: "export-needs-owner".into(),
        reason: "Exporting weights leaves the perimeter".into(),
        approval: rule(1),
        summary: RequestSummary {
            headers: vec![("content-type".into(), "application/json".into())],
            body: "{}".into(),
            body_bytes: body.len() as u64,
            complete: true,
        },
        risk: keyward_core::Risk::default(),
        live_max: 1_000,
    }
}

/// A decision with these words.
pub(crate) fn vote(decision: VoteDecision, reason: &str) -> NewVote {
    NewVote { decision, reason: reason.to_owned(), narrower: Narrower::default() }
}
