//! What was recorded, read back: sessions, content with times, the ledger.

use bytes::Bytes;
use keyward_core::{RequestId, SessionId, Verdict};
use keyward_gateway::admin::CONTENT_BYTES_MAX;
use keyward_gateway::clock;
use keyward_journal::Record;
use keyward_journal::record::{
    BodyFrames, BodyNote, DecisionRecord, End, Frame, HeaderField, Intent, Outcome, ResponseHead, SecretUse,
    SessionOpened,
};

use crate::kit::{Who, World, at, operation};

const CONTENT: &str = "GET /api/v1/sessions/{id}/exchanges/{exchange}";

impl World {
    /// A session with one exchange whose response came in three pieces.
    pub(crate) fn recorded_session(&self, who: Who) -> (SessionId, RequestId) {
        let session = SessionId::new(clock::fresh_id());
        let principal = std::sync::Arc::new(self.principal(who));
        self.append(&Record::SessionOpened(SessionOpened {
            session,
            at: at(0),
            principal,
            connection: "models".into(),
            peer: "127.0.0.1:1".to_owned(),
        }));
        let pieces = [
            (10, Bytes::from_static(b"he")),
            (20, Bytes::from_static(b"l\xff")),
            (30, Bytes::from_static(b"lo")),
        ];
        (session, self.recorded_exchange(who, session, &pieces))
    }

    fn recorded_exchange(&self, who: Who, session: SessionId, pieces: &[(u64, Bytes)]) -> RequestId {
        let request = RequestId::new(clock::fresh_id());
        let frame = |offset_us: u64, bytes: &[u8]| Frame { offset_us, bytes: Bytes::copy_from_slice(bytes) };
        self.append(&Record::Intent(Box::new(Intent {
            request,
            session,
            at: at(1),
            principal: self.principal(who).reference(),
            acting_for: Vec::new(),
            connection: "models".into(),
            operation: std::sync::Arc::new(operation()),
            decision: DecisionRecord {
                verdict: Verdict::Allow,
                rule: Some("chat".into()),
                policy: "p1".into(),
                matched: Vec::new(),
                observed: Vec::new(),
                risk: None,
                grant: None,
            },
            approval: None,
            moderators: Vec::new(),
            retry_of: None,
            secret: Some(SecretUse { reference: "keyward://models".into(), version: "1".into() }),
            digest: None,
            headers: vec![HeaderField::new("accept", b"*/*")],
            body: BodyNote::Content,
            content: vec![frame(0, b"question")],
        })));
        let headers = vec![HeaderField::new("content-type", b"text/plain")];
        self.append(&Record::ResponseHead(ResponseHead {
            request,
            session,
            at: at(6),
            status: 200,
            headers,
        }));
        for (offset_us, bytes) in pieces {
            self.append(&Record::Frames(BodyFrames {
                request,
                session,
                frames: vec![frame(*offset_us, bytes)],
            }));
        }
        self.append(&Record::Outcome(Outcome {
            request,
            session,
            at: at(40),
            end: End::Completed,
            status: Some(200),
            bytes_up: 8,
            bytes_down: pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
            findings: Vec::new(),
            error: None,
        }));
        request
    }

    fn append(&self, record: &Record) {
        self.shared.journal.append(record).unwrap();
    }
}

#[tokio::test]
async fn an_exchange_comes_back_with_its_times() {
    let world = World::start().await;
    let (session, exchange) = world.recorded_session(Who::Requester);
    let route = "GET /api/v1/sessions/{id}";
    let shown = world.ask(Who::Requester, route, &format!("/api/v1/sessions/{session}"), None).await.json();
    assert_eq!((&shown["exchanges"], &shown["requests"][0]["id"]), (&1.into(), &exchange.to_string().into()));
    assert_eq!(shown["requests"][0]["end"], "completed");
    let path = format!("/api/v1/sessions/{session}/exchanges/{exchange}");
    let content = world.ask(Who::Requester, CONTENT, &path, None).await.json();
    let pieces: Vec<(u64, String)> = content["response"]
        .as_array()
        .unwrap()
        .iter()
        .map(|piece| {
            let text = piece.get("text").or_else(|| piece.get("base64")).unwrap();
            (piece["offset_us"].as_u64().unwrap(), text.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(pieces, [(10, "he".to_owned()), (20, "bP8=".to_owned()), (30, "lo".to_owned())]);
    assert_eq!(content["request"][0]["text"], "question");
    assert_eq!((&content["head"]["status"], &content["head"]["offset_us"]), (&200.into(), &5.into()));
    assert!(content.get("next").is_none());
    // An exchange of another session is not in this one.
    let (other, _) = world.recorded_session(Who::Requester);
    let path = format!("/api/v1/sessions/{other}/exchanges/{exchange}");
    assert_eq!(world.ask(Who::Requester, CONTENT, &path, None).await.status, 404);
}

/// The bound on an answer: what is beyond it is there when it is asked for, byte for byte.
#[tokio::test]
async fn long_content_comes_in_parts() {
    let world = World::start().await;
    let (session, _) = world.recorded_session(Who::Requester);
    let piece = Bytes::from(vec![b'a'; 1 << 20]);
    let pieces: Vec<(u64, Bytes)> = (0..5).map(|n| (n, piece.clone())).collect();
    let exchange = world.recorded_exchange(Who::Requester, session, &pieces);
    let path = format!("/api/v1/sessions/{session}/exchanges/{exchange}");
    let (mut from, mut total, mut answers) = (0, 0, 0);
    loop {
        let path = format!("{path}?from={from}");
        let content = world.ask(Who::Requester, CONTENT, &path, None).await.json();
        let bytes = |piece: &serde_json::Value| piece["text"].as_str().unwrap().len() as u64;
        let got: u64 = content["response"].as_array().unwrap().iter().map(bytes).sum();
        assert!(got <= CONTENT_BYTES_MAX);
        total += got;
        answers += 1;
        let Some(next) = content.get("next") else {
            assert_eq!(content["end"], "completed");
            break;
        };
        from = next.as_u64().unwrap();
        assert_eq!(from, total);
    }
    assert_eq!((total, answers), (5 << 20, 2));
}

#[tokio::test]
async fn the_ledger_says_who_used_a_secret() {
    let world = World::start().await;
    let (session, first) = world.recorded_session(Who::Requester);
    let second = world.recorded_exchange(Who::Requester, session, &[]);
    let route = "GET /api/v1/audit/who-used";
    let path = "/api/v1/audit/who-used?secret=keyward://models";
    let ledger = world.ask(Who::Auditor, route, path, None).await.json();
    let requests = |ledger: &serde_json::Value| -> Vec<String> {
        ledger["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["request"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(requests(&ledger), [second.to_string(), first.to_string()]);
    assert_eq!(
        (&ledger["rows"][0]["principal"]["subject"], &ledger["rows"][0]["version"]),
        (&"alice".into(), &"1".into())
    );
    let page = world.ask(Who::Auditor, route, &format!("{path}&limit=1"), None).await.json();
    assert_eq!(page["next"], second.to_string());
    let rest = world.ask(Who::Auditor, route, &format!("{path}&limit=1&before={second}"), None).await.json();
    assert_eq!((requests(&rest), rest.get("next")), (vec![first.to_string()], None));
    let none =
        world.ask(Who::Auditor, route, "/api/v1/audit/who-used?secret=keyward://model", None).await.json();
    assert_eq!(requests(&none), Vec::<String>::new());
    let what = "GET /api/v1/audit/what";
    let did = world.ask(Who::Admin, what, "/api/v1/audit/what?principal=%23alice", None).await.json();
    assert_eq!(requests(&did).len(), 2);
    // Catalogue 142: the questions themselves are in the journal.
    let (events, _) = world.admin_records(0);
    assert!(
        events.iter().any(|event| event.action == "audit.who_used" && event.target == "keyward://models")
    );
    assert!(events.iter().any(|event| event.action == "audit.what" && event.target == "#alice"));
}
