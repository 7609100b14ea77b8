//! Reading: sessions, exchanges, who used what.

use keyward_core::{RequestId, SessionId};
use keyward_journal::Reader;
use keyward_journal::read::{LedgerFilter, SessionFilter};
use keyward_journal::record::{End, HeaderField, Record};
use tempfile::TempDir;

use crate::sample;
use crate::setup::{append_all, key, open, story};

#[test]
fn sessions_are_listed_newest_first_and_filtered() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    for session in 1..=20 {
        let (who, connection) = if session % 2 == 0 { ("ann", "openai") } else { ("bob", "http") };
        journal.append(&sample::opened(session, who, connection)).unwrap();
    }
    append_all(&journal, story().iter().skip(2));
    // The writer runs: reading works beside it.
    let reader = Reader::open(dir.path(), &key()).unwrap();
    let list = |filter: SessionFilter| {
        let sessions = reader.sessions(&filter).unwrap();
        sessions.iter().map(|row| row.session.bits()).collect::<Vec<_>>()
    };
    let all = SessionFilter::default;
    assert_eq!(list(all()), (1..=20).rev().collect::<Vec<_>>());
    assert_eq!(list(SessionFilter { limit: Some(3), ..all() }), [20, 19, 18]);
    assert_eq!(list(SessionFilter { limit: Some(0), ..all() }), [0u128; 0]);
    let ann = SessionFilter { principal: Some("#ann".into()), limit: Some(2), ..all() };
    assert_eq!(list(ann), [20, 18]);
    let http = SessionFilter { connection: Some("http".into()), limit: Some(2), ..all() };
    assert_eq!(list(http), [19, 17]);
    assert_eq!(list(SessionFilter { connection: Some("htt".into()), ..all() }), [0u128; 0]);
    let time = SessionFilter { since: Some(sample::at(5)), until: Some(sample::at(8)), ..all() };
    assert_eq!(list(time), [7, 6, 5]);

    let one = reader.session(SessionId::new(1)).unwrap().unwrap();
    assert_eq!((one.exchanges, one.last_end, one.findings), (2, Some(End::Completed), 4));
    assert_eq!((one.closed, &*one.connection), (Some(sample::at(10)), "http"));
    assert_eq!(reader.session(SessionId::new(99)).unwrap(), None);
    assert_eq!(reader.sessions(&all()).unwrap().pop().unwrap(), one);
}

#[test]
fn an_exchange_comes_back_byte_for_byte_with_its_times() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append_all(&journal, &story());
    let reader = Reader::open(dir.path(), &key()).unwrap();
    let found = reader.exchanges(SessionId::new(1), 1 << 20).unwrap();
    assert!(!found.truncated);
    let requests: Vec<u128> = found.exchanges.iter().map(|exchange| exchange.intent.request.bits()).collect();
    assert_eq!(requests, [10, 12]);
    let exchange = &found.exchanges[1];
    let times: Vec<u64> = exchange.frames.iter().map(|frame| frame.offset_us).collect();
    assert_eq!(times, [900, 1900]);
    assert_eq!(&exchange.frames[1].bytes[..], b"\xff\x00data: two\n\n");
    let sent: Vec<u8> = exchange.request_body.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
    assert_eq!(sent, b"{\"model\":\"tiny\"}\nmore");
    assert_eq!(exchange.head.as_ref().unwrap().status, 200);
    assert_eq!(exchange.outcome.as_ref().unwrap().end, End::Completed);
    assert_eq!(exchange.intent.headers[0].bytes(), b"a\nb\0}{\x1b[2J\xff");

    let short = reader.exchanges(SessionId::new(1), 21 + 11).unwrap();
    assert!(short.truncated);
    assert_eq!((short.exchanges[0].frames.len(), short.exchanges[1].request_body.len()), (1, 0));
    assert_eq!(short.exchanges.len(), 2, "what happened is listed even where content is left out");
}

#[test]
fn the_ledger_says_who_used_a_secret_and_what_somebody_did() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append_all(&journal, &story());
    journal.append(&sample::intent(77, 2)).unwrap();
    let reader = Reader::open(dir.path(), &key()).unwrap();
    let rows = reader.who_used("keyward://openai").unwrap();
    let requests: Vec<u128> = rows.iter().map(|row| row.request.bits()).collect();
    assert_eq!(requests, [77, 13, 12, 11, 10]);
    assert_eq!((rows[0].end, rows[1].end), (None, Some(End::Completed)));
    let row = &rows[1];
    assert_eq!((&*row.secret.as_ref().unwrap().version, row.status), ("3", Some(200)));
    assert_eq!((row.rule.as_deref(), &*row.acting_for[0].subject), (Some("chat"), "boss"));
    assert_eq!(row.approval.unwrap().bits(), 13);
    assert!(reader.who_used("keyward://open").unwrap().is_empty());
    assert_eq!(reader.what("#alice").unwrap().len(), 5);
    assert_eq!(reader.what("#boss").unwrap().len(), 5, "the chain on whose behalf counts");
    assert!(reader.what("#carol").unwrap().is_empty());
    let filter = LedgerFilter { session: Some(SessionId::new(1)), limit: Some(1), ..LedgerFilter::default() };
    assert_eq!(reader.ledger(&filter).unwrap()[0].request, RequestId::new(12));
}

#[test]
fn a_follower_goes_on_where_it_was() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    let reader = Reader::open(dir.path(), &key()).unwrap();
    let (mut next, mut seen) = (0, Vec::new());
    for record in story() {
        journal.append(&record).unwrap();
        next = reader
            .records(next, &mut |_, record| {
                seen.push(record);
                true
            })
            .unwrap();
    }
    assert_eq!(seen, story());
    let mut first = Vec::new();
    let stopped = reader.records(3, &mut |sequence, _| {
        first.push(sequence);
        first.len() < 2
    });
    assert_eq!((stopped.unwrap(), first), (5, vec![3, 4]));
}

#[test]
fn hostile_text_stays_one_record() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    let long = "x".repeat(1 << 20);
    let texts = ["\n", "\0", "}{", "\x1b]52;c;AAAA\x07", "\u{202e}abc", "\u{2028}", "\"\\", long.as_str()];
    let mut expected = Vec::new();
    for text in texts {
        let Record::Intent(mut intent) = sample::intent(1, 1) else { unreachable!() };
        let mut operation = (*intent.operation).clone();
        operation.path = format!("/{text}");
        intent.operation = operation.into();
        intent.headers =
            vec![HeaderField::new(text, text.as_bytes()), HeaderField::new("x", b"\xff\xfe\n\x80")];
        let record = Record::Intent(intent);
        journal.append(&record).unwrap();
        expected.push(record);
    }
    assert_eq!(crate::recovery::records(dir.path()), expected);
}
