//! Reloading and stopping a gateway at work.

use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};

use keyward_journal::Record;
use keyward_journal::record::{ConfigEvent, End};
use rustix::process::Signal;

use crate::kit::{ALLOW, Caller, Gateway, Upstream, World, get, http, request, until, until_true};

/// An upstream that begins a stream, and ends it when it is told to.
pub(crate) struct Streaming {
    pub(crate) upstream: Upstream,
    pub(crate) finish: mpsc::Sender<()>,
}

impl Streaming {
    pub(crate) fn new() -> Self {
        let (finish, finished) = mpsc::channel();
        let finished = Arc::new(Mutex::new(finished));
        let upstream = Upstream::serving(move |wire| {
            while let Some(seen) = wire.request() {
                if !seen.line.contains("/stream") {
                    wire.line.write(&crate::kit::reply("200 OK", &[], "ok"));
                    continue;
                }
                wire.line.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n",
                );
                _ = finished.lock().unwrap().recv();
                wire.line.write(b"b\r\ndata: two\n\n\r\n0\r\n\r\n");
            }
        });
        Self { upstream, finish }
    }

    /// Lets the stream end; it must end in order.
    pub(crate) fn end(&self, caller: &mut Caller) {
        self.finish.send(()).unwrap();
        assert_eq!(caller.line.chunk().unwrap(), b"data: two\n\n");
        assert_eq!(caller.line.chunk().unwrap(), b"");
    }
}

/// A caller that got the first event.
pub(crate) fn begun(gateway: &Gateway, token: &str) -> Caller {
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/stream", token, &[], b""));
    assert_eq!(caller.head().unwrap().status, 200);
    assert_eq!(caller.line.chunk().unwrap(), b"data: one\n\n");
    caller
}

fn configurations(world: &World) -> Vec<ConfigEvent> {
    let event = |record| if let Record::Config(event) = record { Some(event) } else { None };
    world.records().into_iter().filter_map(event).collect()
}

fn next_configuration(world: &World, number: usize) -> ConfigEvent {
    until("a configuration event", || configurations(world).get(number).cloned())
}

const BLOCK: &str = "  - {id: all, effect: allow, when: 'true'}\n  - {id: no, effect: block, when: 'operation.method == \"GET\"', message: No.}\n";

#[test]
fn catalogue_230_a_reload_is_all_or_nothing_and_leaves_streams_alone() {
    let streaming = Streaming::new();
    let world = World::new(&http("plain", &streaming.upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let status = || get(gateway.data, "/plain/x", &token).status;
    assert_eq!(status(), 200);
    let mut caller = begun(&gateway, &token);

    // By signal, or by the change itself: whichever comes first.
    world.write_rules(BLOCK);
    gateway.signal(Signal::HUP);
    let event = next_configuration(&world, 1);
    assert!(event.accepted, "{event:?}");
    assert_eq!(status(), 403);

    // A bad one: the last good one stays, and the journal says why.
    std::fs::write(world.path("policy.yaml"), "rules: nonsense").unwrap();
    gateway.signal(Signal::HUP);
    let event = next_configuration(&world, 2);
    assert!(
        !event.accepted && event.error.as_ref().is_some_and(|why| why.contains("policy.yaml")),
        "{event:?}"
    );
    assert_eq!(status(), 403);

    // By the change alone; the connection of the stream is not in it any more.
    let good = world.configuration();
    world.write_rules(ALLOW);
    std::fs::write(world.path("keyward.yaml"), good.replace("name: plain", "name: other")).unwrap();
    until_true("the change to be noticed", || {
        configurations(&world).last().is_some_and(|event| event.accepted)
    });
    until_true("the new connection", || get(gateway.data, "/other/x", &token).status == 200);
    assert_eq!(status(), 404);
    assert!(configurations(&world).iter().any(|event| event.cause == "file"));

    streaming.end(&mut caller);
    until_true("its outcome", || world.ends().last() == Some(&End::Completed));
    gateway.stop();
    world.verify();
}

#[test]
fn a_change_of_the_file_alone_is_noticed_also_when_it_is_bad() {
    let streaming = Streaming::new();
    let world = World::new(&http("plain", &streaming.upstream.url()), ALLOW);
    let gateway = world.start();
    std::fs::write(world.path("keyward.yaml"), "nonsense: [").unwrap();
    let event = next_configuration(&world, 1);
    assert!(!event.accepted && event.cause == "file", "{event:?}");
    assert_eq!(get(gateway.data, "/plain/x", &world.alice()).status, 200);
    world.write_rules(BLOCK);
    world.write_configuration();
    until_true("the good one", || get(gateway.data, "/plain/x", &world.alice()).status == 403);
}

/// Nobody is let in any more.
fn refused(gateway: &Gateway) -> bool {
    TcpStream::connect(gateway.data).is_err()
}

#[test]
fn catalogue_223_a_stop_lets_streams_finish_and_lets_nobody_in() {
    let streaming = Streaming::new();
    let world = World::new(&http("plain", &streaming.upstream.url()), ALLOW).with("drain: 1h");
    let mut gateway = world.start();
    let token = world.alice();
    // A connection that is kept alive and idle does not keep the gateway.
    let mut idle = Caller::connect(gateway.data);
    idle.send(request("GET", "/plain/x", &token, &[], b""));
    assert_eq!(idle.answer().status, 200);
    let mut caller = begun(&gateway, &token);
    gateway.signal(Signal::TERM);
    until_true("new callers to be refused", || refused(&gateway));
    assert!(idle.line.piece().is_none());
    streaming.end(&mut caller);
    let status = gateway.ended();
    assert!(status.success(), "{status}: {}", gateway.log());
    world.verify();
    assert_eq!(world.ends(), [End::Completed; 2]);
    let records = world.records();
    let opened = records.iter().filter(|record| matches!(record, Record::SessionOpened(_))).count();
    let closed = records.iter().filter(|record| matches!(record, Record::SessionClosed(_))).count();
    assert_eq!((opened, closed), (1, 1));
    assert!(matches!(records.last(), Some(Record::Stopped(_))), "{:?}", records.last());
}

#[test]
fn a_stream_that_outlasts_the_grace_time_is_cut_and_on_record() {
    let streaming = Streaming::new();
    let world = World::new(&http("plain", &streaming.upstream.url()), ALLOW).with("drain: 1s");
    let mut gateway = world.start();
    let mut caller = begun(&gateway, &world.alice());
    gateway.signal(Signal::TERM);
    // No end in order: the connection breaks.
    assert!(caller.line.chunk().is_none());
    let status = gateway.ended();
    assert!(status.success(), "{status}: {}", gateway.log());
    world.verify();
    assert_eq!(world.ends(), [End::Stopped]);
    assert!(matches!(world.records().last(), Some(Record::Stopped(_))));
    drop(streaming.finish);
}
