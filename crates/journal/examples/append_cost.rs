//! What one append costs: CPU time per record, measured over this process's user and system time.
//!
//! Run with `cargo run --release -p keyward-journal --example append_cost`.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use keyward_core::principal::PrincipalRef;
use keyward_core::seal::SealingKey;
use keyward_core::{Operation, OperationClass, RequestId, Resource, SessionId, Timestamp, Verdict};
use keyward_journal::record::{BodyFrames, BodyNote, DecisionRecord, End, Frame, Intent, Outcome};
use keyward_journal::{Durability, Journal, Options, Record, Recovery};
use zeroize::Zeroizing;

const RECORDS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for (name, sessions) in [("one session", 1), ("a session per 4 records", u128::from(RECORDS / 4))] {
        for (what, make) in [
            ("1 KB of body", body as fn(u128, u128) -> Record),
            ("an intent", intent),
            ("an outcome", outcome),
        ] {
            let dir = tempfile::tempdir()?;
            let journal = open(dir.path())?;
            let started = (cpu_us()?, std::time::Instant::now());
            for number in 0..RECORDS {
                let number = u128::from(number);
                journal.append(&make(1 + number / 4, 1 + (number / 4) % sessions))?;
                if what == "an intent" && number % 50_000 == 49_999 {
                    // Keeps the list of open exchanges at a size that happens.
                    for request in 1..=number / 4 + 1 {
                        journal.append(&outcome(request, 1))?;
                    }
                }
            }
            let (cpu, wall) = (cpu_us()? - started.0, started.1.elapsed().as_secs_f64() * 1e6);
            let each = |us: f64| us / f64::from(RECORDS);
            writeln!(
                out,
                "{what}, {name}: {:.2} µs CPU, {:.2} µs elapsed per append",
                each(cpu),
                each(wall)
            )?;
            journal.close()?;
            drop(journal);
            let started = std::time::Instant::now();
            let (journal, recovery) = open_again(dir.path())?;
            let start = started.elapsed().as_secs_f64() * 1e3;
            drop(journal);
            let started = std::time::Instant::now();
            keyward_journal::verify(dir.path(), &key()?)?;
            let proof = started.elapsed().as_secs_f64();
            writeln!(out, "    {} records: start {start:.1} ms, proof {proof:.2} s", recovery.records)?;
        }
    }
    Ok(())
}

fn key() -> Result<SealingKey, keyward_core::seal::SealError> {
    SealingKey::new(Zeroizing::new([1; 32]))
}

fn open(dir: &std::path::Path) -> Result<Journal, Box<dyn std::error::Error>> {
    Ok(open_again(dir)?.0)
}

fn open_again(dir: &std::path::Path) -> Result<(Journal, Recovery), Box<dyn std::error::Error>> {
    let options = Options {
        dir: dir.to_owned(),
        key: key()?,
        durability: Durability::Written,
        segment_bytes_max: 64 << 20,
        min_free_bytes: 1 << 20,
        clock: || Timestamp::from_micros(1_700_000_000_000_000),
    };
    Ok(Journal::open(options)?)
}

/// User and system time of this process so far, from the kernel's clock ticks (10 ms).
fn cpu_us() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) * 10_000.0)
}

fn body(request: u128, session: u128) -> Record {
    let frames = vec![Frame { offset_us: 1_234, bytes: Bytes::from_static(&[b'x'; 1024]) }];
    Record::Frames(BodyFrames { request: RequestId::new(request), session: SessionId::new(session), frames })
}

fn intent(request: u128, session: u128) -> Record {
    let operation = Operation {
        class: OperationClass::ChatCompletions,
        resource: Resource { model: "gpt-5".into(), ..Resource::default() },
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        query: String::new(),
        stream: true,
        body_bytes: Some(600),
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    };
    Record::Intent(Box::new(Intent {
        request: RequestId::new(request),
        session: SessionId::new(session),
        at: Timestamp::from_micros(1_700_000_000_000_000),
        principal: PrincipalRef { issuer: "https://idp.example".into(), subject: "alice".into() },
        acting_for: Vec::new(),
        connection: "openai".into(),
        operation: Arc::new(operation),
        decision: DecisionRecord {
            verdict: Verdict::Allow,
            rule: Some("chat".into()),
            policy: "ab".repeat(32).into(),
            matched: vec!["chat".into()],
            observed: Vec::new(),
            risk: None,
            grant: None,
        },
        approval: None,
        moderators: Vec::new(),
        retry_of: None,
        secret: None,
        digest: None,
        headers: Vec::new(),
        body: BodyNote::Content,
        content: vec![Frame { offset_us: 0, bytes: Bytes::from_static(&[b'y'; 600]) }],
    }))
}

fn outcome(request: u128, session: u128) -> Record {
    Record::Outcome(Outcome {
        request: RequestId::new(request),
        session: SessionId::new(session),
        at: Timestamp::from_micros(1_700_000_000_000_000),
        end: End::Completed,
        status: Some(200),
        bytes_up: 600,
        bytes_down: 1024,
        findings: Vec::new(),
        error: None,
    })
}
