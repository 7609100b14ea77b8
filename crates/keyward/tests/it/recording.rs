//! No record, no effect: what a killed gateway had answered is on record, and what cannot be recorded does not happen.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use keyward_core::RequestId;
use keyward_journal::Record;
use keyward_journal::record::End;
use rustix::process::{Resource, Rlimit, prlimit};

use crate::kit::{ALLOW, Caller, Gateway, Upstream, World, call, get, http, reply, request, until_true};

/// Answers at once, but for `/slow`, which begins a stream that never ends.
fn upstream() -> Upstream {
    Upstream::serving(|wire| {
        while let Some(seen) = wire.request() {
            if !seen.line.contains("/slow") {
                if !wire.line.write(&reply("200 OK", &[("x-line", &seen.line)], &seen.body)) {
                    return;
                }
                continue;
            }
            wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n");
            while wire.line.piece().is_some() {}
        }
    })
}

/// Sends calls one after the other until the gateway is gone; notes those that were answered to their end.
fn traffic(gateway: &Gateway, token: &str, answered: &Mutex<Vec<String>>, over: &AtomicBool) {
    let mut caller = Caller::connect(gateway.data);
    for number in 0_u32.. {
        let body = format!("{number}:").repeat(1 + number as usize % 300);
        if over.load(Ordering::SeqCst)
            || !caller.line.write(&request("POST", "/plain/x", token, &[], body.as_bytes()))
        {
            return;
        }
        let Some(answer) = caller.answer_to("POST").filter(|answer| answer.complete) else { return };
        assert_eq!((answer.status, answer.text()), (200, body));
        answered.lock().unwrap().push(answer.header("keyward-request-id").to_owned());
    }
}

#[test]
fn catalogue_120_222_a_kill_in_the_middle_of_traffic_loses_no_record() {
    const ROUNDS: usize = 8;
    const CALLERS: usize = 3;
    let upstream = upstream();
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let token = world.alice();
    let answered = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        let mut gateway = world.start();
        let mut slow = Caller::connect(gateway.data);
        slow.send(request("GET", "/plain/slow", &token, &[], b""));
        assert_eq!(slow.head().unwrap().status, 200);
        let (before, over) = (answered.lock().unwrap().len(), AtomicBool::new(false));
        let pid = gateway.pid();
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| traffic(&gateway, &token, &answered, &over));
            }
            until_true("some answers", || answered.lock().unwrap().len() >= before + 10 + 17 * round);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            over.store(true, Ordering::SeqCst);
        });
        assert!(!gateway.ended().success());
        world.verify();
    }
    world.start().stop();
    world.verify();

    let intents: HashSet<RequestId> = world.intents().iter().map(|intent| intent.request).collect();
    let mut ends: HashMap<RequestId, End> = HashMap::new();
    for outcome in world.outcomes() {
        assert!(ends.insert(outcome.request, outcome.end).is_none(), "two outcomes of {}", outcome.request);
    }
    // Every intent has one outcome, every answered call is completed, and the upstream saw nothing without an intent.
    assert_eq!(ends.keys().copied().collect::<HashSet<_>>(), intents);
    let answered = answered.into_inner().unwrap();
    for request in &answered {
        let request: RequestId = request.parse().unwrap();
        assert_eq!(ends.get(&request), Some(&End::Completed), "{request}");
    }
    assert!(upstream.seen().len() <= intents.len());
    // What was open when it died: at least the slow one of each round.
    let unknown = ends.values().filter(|end| **end == End::Unknown).count();
    assert!((ROUNDS..=ROUNDS * (1 + CALLERS)).contains(&unknown), "{unknown}");
    println!("{} answered, {} intents, {unknown} unknown", answered.len(), intents.len());
}

/// Lets the process write no file beyond this many bytes: a disk that is full for the journal.
fn limit_files(gateway: &Gateway, bytes: Option<u64>) {
    prlimit(Some(gateway.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn start_unkillable_by_file_size(world: &World) -> Gateway {
    world.write_configuration();
    let serve = world.command(&["serve"]);
    let mut command = std::process::Command::new("sh");
    // A write beyond the limit is to be an error, not a signal.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Gateway::start(command)
}

#[test]
fn catalogue_121_a_full_disk_stops_calls_and_nothing_else_and_they_resume_by_themselves() {
    let upstream = upstream();
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = start_unkillable_by_file_size(&world);
    let token = world.alice();
    let ready = || call(gateway.admin, "GET", "/readyz", "", &[], b"").status;
    assert_eq!(get(gateway.data, "/plain/x", &token).status, 200);
    until_true("readiness", || ready() == 200);
    let mut slow = Caller::connect(gateway.data);
    slow.send(request("GET", "/plain/slow", &token, &[], b""));
    assert_eq!(slow.head().unwrap().status, 200);

    for round in 0..3 {
        let segment = world.path("data/journal/00000001.seg");
        // Room for a part of a record, so that it is torn and must be taken back.
        limit_files(&gateway, Some(std::fs::metadata(&segment).unwrap().len() + 20));
        let before = upstream.seen().len();
        for _ in 0..5 {
            let answer = get(gateway.data, "/plain/x", &token);
            assert_eq!((answer.status, &*answer.code()), (503, "journal_unavailable"), "{round}: {answer:?}");
            assert_eq!(answer.header("x-should-retry"), "true");
        }
        assert_eq!(upstream.seen().len(), before);
        until_true("readyz to say so", || ready() == 503);
        assert_eq!(call(gateway.admin, "GET", "/healthz", "", &[], b"").status, 200);
        limit_files(&gateway, None);
        until_true("calls to go through again", || get(gateway.data, "/plain/x", &token).status == 200);
        until_true("readiness", || ready() == 200);
    }
    drop(slow);
    gateway.stop();
    world.verify();
    let records = world.records();
    let resumed = records.iter().filter(|record| matches!(record, Record::Resumed(_))).count();
    assert_eq!(resumed, 3);
    let intents: HashSet<_> = world.intents().iter().map(|intent| intent.request).collect();
    assert_eq!(intents.len(), upstream.seen().len());
}

#[test]
fn a_stream_that_cannot_be_recorded_any_more_ends_with_an_error() {
    let upstream = Upstream::serving(|wire| {
        if wire.request().is_some() {
            wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
            let event = format!("data: {}\n\n", "x".repeat(20_000));
            while wire.line.write(event.as_bytes()) {}
        }
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = start_unkillable_by_file_size(&world);
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
    assert_eq!(caller.head().unwrap().status, 200);
    assert!(!caller.line.chunk().unwrap().is_empty());
    let segment = world.path("data/journal/00000001.seg");
    limit_files(&gateway, Some(std::fs::metadata(&segment).unwrap().len()));
    // The rest is withheld, and the end is not taken for one in order.
    while let Some(chunk) = caller.line.chunk() {
        assert!(!chunk.is_empty(), "the stream ended as if it were complete");
    }
    until_true("the upstream to be left", || upstream.closed() == 1);
    limit_files(&gateway, None);
    until_true("the journal to be well", || {
        call(gateway.admin, "GET", "/readyz", "", &[], b"").status == 200
    });
    drop(gateway);
    world.start().stop();
    world.verify();
    let ends = world.ends();
    assert!(matches!(ends[..], [End::JournalFailed | End::Unknown]), "{ends:?}");
}
