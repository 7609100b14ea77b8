//! Records to test with. Also compiled into the crate's own tests.

use std::sync::Arc;

use bytes::Bytes;
use keyward_core::principal::PrincipalRef;
use keyward_core::{
    ApprovalId, Operation, OperationClass, Place, Principal, PrincipalKind, RequestId, Resource, SessionId,
    Timestamp, Verdict,
};

use super::record::{
    BodyFrames, BodyNote, DecisionRecord, End, FindingCount, Frame, HeaderField, Intent, Outcome, Record,
    ResponseHead, SecretUse, SessionClosed, SessionOpened,
};

/// A moment.
pub(crate) fn at(number: u128) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(number % 1_000_000).unwrap() * 1_000_000)
}

/// A caller.
pub(crate) fn principal(name: &str) -> Principal {
    Principal {
        issuer: "https://idp.example".into(),
        subject: name.into(),
        kind: PrincipalKind::User,
        groups: vec!["eng".into()],
        name: None,
        acting_for: Vec::new(),
    }
}

/// The beginning of a session.
pub(crate) fn opened(session: u128, who: &str, connection: &str) -> Record {
    Record::SessionOpened(SessionOpened {
        session: SessionId::new(session),
        at: at(session),
        principal: Arc::new(principal(who)),
        connection: connection.into(),
        peer: "127.0.0.1:4711".into(),
    })
}

/// The end of a session.
pub(crate) fn closed(session: u128) -> Record {
    let session_id = SessionId::new(session);
    Record::SessionClosed(SessionClosed { session: session_id, at: at(session + 9), reason: "idle".into() })
}

fn frame(offset_us: u64, bytes: &[u8]) -> Frame {
    Frame { offset_us, bytes: Bytes::copy_from_slice(bytes) }
}

/// An intent with a body.
pub(crate) fn intent(request: u128, session: u128) -> Record {
    let operation = Operation {
        class: OperationClass::ChatCompletions,
        resource: Resource { model: "tiny".into(), ..Resource::default() },
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        query: String::new(),
        stream: true,
        body_bytes: Some(17),
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    };
    let decision = DecisionRecord {
        verdict: Verdict::Approve,
        rule: Some("chat".into()),
        policy: "ab".repeat(32).into(),
        matched: vec!["chat".into()],
        observed: Vec::new(),
        risk: None,
        grant: None,
    };
    Record::Intent(Box::new(Intent {
        request: RequestId::new(request),
        session: SessionId::new(session),
        at: at(request),
        principal: principal("alice").reference(),
        acting_for: vec![PrincipalRef { issuer: "https://idp.example".into(), subject: "boss".into() }],
        connection: "openai".into(),
        operation: Arc::new(operation),
        decision,
        approval: Some(ApprovalId::new(request)),
        moderators: Vec::new(),
        retry_of: None,
        secret: Some(SecretUse { reference: "keyward://openai".into(), version: "3".into() }),
        digest: None,
        headers: vec![HeaderField::new("user-agent", b"a\nb\0}{\x1b[2J\xff")],
        body: BodyNote::Content,
        content: vec![frame(0, b"{\"model\":"), frame(12, b"\"tiny\"}\n")],
    }))
}

/// What follows an intent: more of the request, the response, the outcome.
pub(crate) fn answer(request: u128, session: u128) -> Vec<Record> {
    let (request_id, session_id) = (RequestId::new(request), SessionId::new(session));
    let body = |frames| BodyFrames { request: request_id, session: session_id, frames };
    vec![
        Record::RequestBody(body(vec![frame(20, b"more")])),
        Record::ResponseHead(ResponseHead {
            request: request_id,
            session: session_id,
            at: at(request),
            status: 200,
            headers: vec![HeaderField::new("content-type", b"text/event-stream")],
        }),
        Record::Frames(body(vec![frame(900, b"data: one\n\n"), frame(1900, b"\xff\x00data: two\n\n")])),
        Record::Outcome(Outcome {
            request: request_id,
            session: session_id,
            at: at(request + 1),
            end: End::Completed,
            status: Some(200),
            bytes_up: 21,
            bytes_down: 24,
            findings: vec![FindingCount { detector: "known:openai".into(), place: Place::Stream, count: 2 }],
            error: None,
        }),
    ]
}
