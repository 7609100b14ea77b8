//! Bodies of any size pass in constant memory; whoever goes away ends the other side too.

use std::io::Write as _;
use std::time::Instant;

use keyward_journal::record::End;

use crate::kit::{
    ALLOW, Caller, Gateway, Seen, Upstream, Wire, World, http, keyed, reply, request, until_true,
};

const MIB: u64 = 1 << 20;
/// By how much the gateway's memory may grow while a body of any size passes.
const GROWTH_MAX: u64 = 64 * MIB;

/// The size of a big body.
const BIG: u64 = 8 << 30;

/// Notes the gateway's memory at its highest while a body passes.
struct Memory<'a> {
    gateway: &'a Gateway,
    before: u64,
    highest: u64,
}

impl<'a> Memory<'a> {
    fn watch(gateway: &'a Gateway) -> Self {
        let before = gateway.memory();
        Self { gateway, before, highest: before }
    }

    fn look(&mut self) {
        self.highest = self.highest.max(self.gateway.memory());
    }

    fn assert_flat(&self, what: &str, bytes: u64, began: Instant) {
        let grown = (self.highest - self.before) / MIB;
        println!(
            "{what}: {} MiB in {:?}, memory {} MiB + {grown} MiB",
            bytes / MIB,
            began.elapsed(),
            self.before / MIB
        );
        assert!(self.highest - self.before < GROWTH_MAX, "{what}: memory grew by {grown} MiB");
    }
}

/// Reads a body to its end without keeping it; `Err` when the connection ends before.
fn drained(wire: &mut Wire, seen: &Seen) -> Result<u64, u64> {
    let mut left = seen.all("content-length")[0].parse::<u64>().unwrap();
    let all = left;
    while left > 0 {
        let Some(piece) = wire.line.piece() else { return Err(all - left) };
        left -= piece.len() as u64;
    }
    Ok(all)
}

fn warm(gateway: &Gateway, token: &str) {
    // Whatever is made once is made now: keys, masks, pools.
    for _ in 0..3 {
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("POST", "/plain/warm", token, &[], b"small"));
        assert_eq!(caller.answer().status, 200);
    }
}

#[test]
fn a_body_of_any_size_goes_up_in_constant_memory() {
    let upstream = Upstream::serving(|wire| {
        while let Some(seen) = wire.head() {
            let length = drained(wire, &seen).unwrap();
            wire.record(&seen);
            wire.line.write(&reply("200 OK", &[("x-length", &length.to_string())], "ok"));
        }
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    warm(&gateway, &token);
    let mut memory = Memory::watch(&gateway);
    let began = Instant::now();
    let size = BIG;
    let mut caller = Caller::connect(gateway.data);
    caller.send(format!(
        "POST /plain/up HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n"
    ));
    let piece = vec![b'u'; 256 * 1024];
    for number in 0..size / piece.len() as u64 {
        caller.send(&piece);
        if number % 64 == 0 {
            memory.look();
        }
    }
    let answer = caller.answer();
    memory.look();
    assert_eq!((answer.status, answer.header("x-length")), (200, &*size.to_string()));
    memory.assert_flat("up", size, began);
    let outcome = world.outcome();
    assert_eq!((outcome.end, outcome.bytes_up), (End::Completed, size));
}

#[test]
fn a_body_of_any_size_comes_down_in_constant_memory() {
    let size = BIG;
    let upstream = Upstream::serving(move |wire| {
        let piece = vec![b'd'; 256 * 1024];
        while let Some(seen) = wire.request() {
            if seen.line.contains("warm") {
                wire.line.write(&reply("200 OK", &[], "ok"));
                continue;
            }
            wire.line.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").as_bytes());
            for _ in 0..size / piece.len() as u64 {
                if !wire.line.write(&piece) {
                    return;
                }
            }
        }
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    warm(&gateway, &token);
    let mut memory = Memory::watch(&gateway);
    let began = Instant::now();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/down", &token, &[], b""));
    assert_eq!(caller.head().unwrap().header("content-length"), size.to_string());
    let (mut read, mut number) = (0, 0_u64);
    while read < size {
        read += caller.line.piece().expect("the body broke off").len() as u64;
        number += 1;
        if number.is_multiple_of(256) {
            memory.look();
        }
    }
    memory.look();
    assert_eq!(read, size);
    memory.assert_flat("down", size, began);
    let outcome = world.outcome();
    assert_eq!((outcome.end, outcome.bytes_down), (End::Completed, size));
}

#[test]
fn a_masked_body_of_many_megabytes_comes_down_in_constant_memory() {
    const SIZE: u64 = 192 * MIB;
    let upstream = Upstream::serving(|wire| {
        let piece = "some text that holds nothing worth hiding, line after line\n".repeat(4096);
        if wire.request().is_none() {
            return;
        }
        wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n");
        let mut left = SIZE;
        while left > 0 {
            let length = left.min(piece.len() as u64);
            if !wire.line.write(&piece.as_bytes()[..usize::try_from(length).unwrap()]) {
                return;
            }
            left -= length;
        }
    });
    let world = World::new(&keyed("plain", "http", &upstream.url(), "KEY"), ALLOW)
        .secret("KEY", concat!("masked-", "credential-0123456789"));
    let gateway = world.start();
    let token = world.alice();
    let mut memory = Memory::watch(&gateway);
    let began = Instant::now();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/down", &token, &[], b""));
    assert_eq!(caller.head().unwrap().status, 200);
    let mut read = 0;
    loop {
        let chunk = caller.line.chunk().expect("the body broke off");
        if chunk.is_empty() {
            break;
        }
        read += chunk.len() as u64;
        memory.look();
    }
    assert_eq!(read, SIZE);
    memory.assert_flat("masked down", SIZE, began);
}

#[test]
fn a_slow_caller_slows_the_upstream() {
    let (written, writes) = std::sync::mpsc::channel();
    let written = std::sync::Mutex::new(written);
    let upstream = Upstream::serving(move |wire| {
        if wire.request().is_none() {
            return;
        }
        wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n");
        wire.line.stream.set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        let (piece, mut sent) = (vec![b's'; 64 * 1024], 0_u64);
        // Ends when nothing more is taken for a second.
        while let Ok(length) = wire.line.stream.write(&piece) {
            sent += length as u64;
        }
        written.lock().unwrap().send(sent).unwrap();
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
    assert_eq!(caller.head().unwrap().status, 200);
    // The caller reads nothing: what the upstream could send lies in socket buffers, not in the gateway.
    let sent = writes.recv_timeout(crate::kit::PATIENCE).unwrap();
    assert!(
        sent < 64 * MIB,
        "{} MiB were taken from the upstream for a caller that reads nothing",
        sent / MIB
    );
}

#[test]
fn a_caller_that_goes_away_ends_the_call_upstream() {
    let upstream = Upstream::serving(|wire| {
        if wire.request().is_none() {
            return;
        }
        wire.line.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n");
        // Ends when the gateway hangs up.
        assert!(wire.line.piece().is_none());
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
    assert_eq!(caller.head().unwrap().status, 200);
    assert_eq!(caller.line.chunk().unwrap(), b"data: one\n\n");
    assert_eq!(upstream.closed(), 0);
    caller.line.close();
    until_true("the end of the upstream's connection", || upstream.closed() == 1);
    let outcome = world.outcome();
    assert_eq!((outcome.end, outcome.bytes_down), (End::ClientGone, 11));
}

#[test]
fn a_caller_that_goes_away_before_the_answer_ends_the_call_upstream() {
    let upstream = Upstream::serving(|wire| {
        if wire.request().is_some() {
            assert!(wire.line.piece().is_none());
        }
    });
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let mut caller = Caller::connect(gateway.data);
    caller.send(request("POST", "/plain/x", &world.alice(), &[], b"hello"));
    until_true("the request upstream", || upstream.seen().len() == 1);
    caller.line.close();
    until_true("the end of the upstream's connection", || upstream.closed() == 1);
    assert_eq!(world.outcome().end, End::ClientGone);
}

#[test]
fn catalogue_134_227_an_upstream_that_breaks_off_ends_the_answer_with_an_error() {
    for (head, body, whole) in [
        ("content-length: 100", "forty bytes and then nothing but silence", false),
        ("transfer-encoding: chunked", "5\r\nhello\r\n", false),
        ("transfer-encoding: chunked", "5\r\nhello\r\nzz\r\n", false),
        ("connection: close", "to the end of the connection", true),
    ] {
        let upstream = Upstream::serving(move |wire| {
            if wire.request().is_some() {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{head}\r\n\r\n");
                wire.line.write(head.as_bytes());
                wire.line.write(body.as_bytes());
            }
        });
        let world = World::new(&http("plain", &upstream.url()), ALLOW);
        let gateway = world.start();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", "/plain/x", &world.alice(), &[], b""));
        let answer = caller.answer();
        assert_eq!(answer.complete, whole, "{head}: {answer:?}");
        let outcome = world.outcome();
        assert_eq!(outcome.end, if whole { End::Completed } else { End::UpstreamReset }, "{head}");
        drop(gateway);
        world.verify();
    }
}

#[test]
fn catalogue_51_227_an_answer_that_is_no_http_is_a_502_and_nothing_is_sent_twice() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nframes",
        "<html>an answer of HTTP/0.9</html>",
    ] {
        let upstream = Upstream::serving(move |wire| {
            if wire.request().is_some() {
                wire.line.write(answer.as_bytes());
            }
        });
        let world = World::new(&http("plain", &upstream.url()), ALLOW);
        let gateway = world.start();
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("POST", "/plain/x", &world.alice(), &[], b"once"));
        let got = caller.answer();
        assert_eq!((got.status, got.code().as_str()), (502, "upstream_invalid"), "{answer:?}: {got:?}");
        assert_eq!(upstream.seen().len(), 1, "{answer:?}");
        assert_ne!(world.outcome().end, End::Completed);
    }
}
