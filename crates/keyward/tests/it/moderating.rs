//! Calls that run only while somebody watches (catalogue 117).

use std::io::Read as _;
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use keyward_journal::Record;
use keyward_journal::record::End;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kit::{Answer, Caller, Gateway, Person, Upstream, World, call, get, http, request, until_true};

/// Within this long after its cause, a call stands still.
const PAUSED_WITHIN: Duration = Duration::from_secs(1);
/// How long it is looked at that nothing moves.
const LOOKED_FOR: Duration = Duration::from_millis(700);
/// Of the long answer: more than fits into what the kernel keeps on its way.
const PIECES: usize = 4_096;
const PIECE_BYTES: usize = 8 * 1_024;
/// What the upstream sends before it is told to go on.
const FIRST_PIECES: usize = 64;
/// So much came that something passes.
const SOME_BYTES: usize = 32 * PIECE_BYTES;

/// The nth event of the answer.
fn piece(number: usize) -> Vec<u8> {
    let mut event = format!("data: {number:08} ").into_bytes();
    event.resize(PIECE_BYTES - 2, b'.');
    event.extend_from_slice(b"\n\n");
    event
}

struct Scene {
    upstream: Upstream,
    /// Pieces that the upstream may send.
    allowed: Arc<AtomicUsize>,
    /// Pieces that it got rid of.
    written: Arc<AtomicUsize>,
    world: World,
    gateway: Gateway,
}

impl Scene {
    fn new(grace: &str) -> Self {
        let (allowed, written) = (Arc::new(AtomicUsize::new(FIRST_PIECES)), Arc::new(AtomicUsize::new(0)));
        let (most, counted) = (Arc::clone(&allowed), Arc::clone(&written));
        let upstream = Upstream::serving(move |wire| {
            while wire.request().is_some() {
                wire.line.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
                );
                for number in 0..PIECES {
                    while number >= most.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    let piece = piece(number);
                    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
                    if !wire.line.write(&chunk) {
                        return;
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                wire.line.write(b"0\r\n\r\n");
            }
        });
        let rules = format!(
            "  - id: watched
    effect: approve
    when: 'true'
    reason: Somebody looks on
    approval: {{approvers: ['group:model-owners'], ttl: 10m, moderated: {{grace: {grace}}}}}\n"
        );
        let world = World::new(&http("plain", &upstream.url()), &rules)
            .with("roles: {admin: ['group:eng']}\nholding: {wait: 50s}");
        let gateway = world.start();
        Self { upstream, allowed, written, world, gateway }
    }

    /// Has the upstream send all the rest, as fast as it is read.
    fn flood(&self) {
        self.allowed.store(PIECES, Ordering::SeqCst);
    }

    fn admin(&self, who: Person, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let path = format!("/api/v1{path}");
        call(self.gateway.admin, method, &path, &self.world.token(who), &headers, body.as_bytes())
    }

    /// A call of Alice that is approved and waits.
    fn held(&self, path: &str) -> (Taking, String) {
        let taking = Taking::of(&self.gateway, &self.world.alice(), path);
        let mut id = String::new();
        until_true("the approval", || {
            let all = self.admin(Person::Olivia, "GET", "/approvals?state=pending", &json!({})).json();
            id = all["approvals"][0]["id"].as_str().unwrap_or_default().to_owned();
            !id.is_empty()
        });
        let approved = self.admin(Person::Olivia, "POST", &format!("/approvals/{id}/approve"), &json!({}));
        assert_eq!(approved.status, 200, "{approved:?}");
        (taking, id)
    }

    fn watch(&self, id: &str) -> Watching {
        Watching::of(&self.gateway, &self.world.olivia(), id)
    }

    /// Since its cause, the call stands still in time, on both sides.
    fn stands_still(&self, taking: &Taking, since: Instant) {
        thread::sleep(PAUSED_WITHIN.saturating_sub(since.elapsed()));
        let before = (taking.length(), self.written.load(Ordering::SeqCst));
        thread::sleep(LOOKED_FOR);
        assert_eq!((taking.length(), self.written.load(Ordering::SeqCst)), before);
        assert!(before.1 < PIECES, "all of the answer was read");
    }
}

/// A caller who takes what comes.
struct Taking {
    got: Arc<Mutex<Vec<u8>>>,
    end: JoinHandle<bool>,
}

impl Taking {
    fn of(gateway: &Gateway, token: &str, path: &str) -> Self {
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("GET", path, token, &[], b""));
        let got = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&got);
        let end = thread::spawn(move || {
            let Some(head) = caller.head() else { return false };
            assert_eq!(head.status, 200, "{head:?}");
            while let Some(chunk) = caller.line.chunk() {
                if chunk.is_empty() {
                    return true;
                }
                into.lock().unwrap().extend_from_slice(&chunk);
            }
            false
        });
        Self { got, end }
    }

    fn length(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// All that came, when it is over: whether it was whole.
    fn ended(self) -> (Vec<u8>, bool) {
        let whole = self.end.join().unwrap();
        (std::mem::take(&mut self.got.lock().unwrap()), whole)
    }
}

/// Somebody who watches until they leave.
struct Watching {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<u8>>>,
    end: JoinHandle<()>,
}

impl Watching {
    fn of(gateway: &Gateway, token: &str, id: &str) -> Self {
        let mut caller = Caller::connect(gateway.admin);
        caller.send(request("POST", &format!("/api/v1/approvals/{id}/watch"), token, &[], b""));
        let head = caller.head().unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"), "{head:?}");
        let stream = caller.line.stream.try_clone().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        let end = thread::spawn(move || {
            while let Some(chunk) = caller.line.chunk().filter(|chunk| !chunk.is_empty()) {
                into.lock().unwrap().extend_from_slice(&chunk);
            }
        });
        Self { stream, seen, end }
    }

    /// Every event of a name, as it came.
    fn events(&self, name: &str) -> Vec<Value> {
        let seen = String::from_utf8(self.seen.lock().unwrap().clone()).unwrap();
        let whole = seen.rsplit_once("\n\n").map_or("", |(whole, _)| whole).to_owned();
        let named = format!("event: {name}\ndata: ");
        let events =
            whole.split("\n\n").filter_map(|event| event.trim_start_matches('\n').strip_prefix(&named));
        events.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    fn states(&self) -> Vec<String> {
        self.events("state").iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    }

    fn text(&self) -> String {
        self.events("text").iter().map(|it| it["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Goes away without a word.
    fn leave(self) -> Instant {
        let at = Instant::now();
        self.stream.shutdown(Shutdown::Both).unwrap();
        self.end.join().unwrap();
        at
    }
}

#[test]
fn catalogue_117_a_call_runs_while_somebody_watches_and_stands_still_while_nobody_does() {
    let scene = Scene::new("1m");
    let (taking, id) = scene.held("/plain/x");
    let shown = scene.admin(Person::Olivia, "GET", &format!("/approvals/{id}"), &json!({})).json();
    assert_eq!(shown["moderated"], 60, "{shown}");
    // The requester does not watch, whatever their role; somebody else does not know of it; a GET is no watching.
    let path = format!("/approvals/{id}/watch");
    let own = scene.admin(Person::Alice, "POST", &path, &json!({}));
    assert_eq!((own.status, own.code().as_str()), (403, "self_approval"), "{own:?}");
    assert_eq!(scene.admin(Person::CiBot, "POST", &path, &json!({})).status, 404);
    assert_eq!(scene.admin(Person::Olivia, "GET", &path, &json!({})).status, 405);
    thread::sleep(LOOKED_FOR);
    assert!(scene.upstream.saw_nothing(), "nobody watches yet");

    let watching = scene.watch(&id);
    until_true("the answer", || taking.length() > SOME_BYTES);
    until_true("what passes", || watching.text().contains("data: 00000001 "));
    assert!(watching.states().contains(&"running".to_owned()), "{:?}", watching.states());
    assert_eq!(watching.events("head")[0], json!({"status": 200, "content_type": "text/event-stream"}));
    let left = watching.leave();
    scene.flood();
    scene.stands_still(&taking, left);

    // Two who watch; one is enough. What they are shown is what passes.
    let (first, second) = (scene.watch(&id), scene.watch(&id));
    let before = taking.length();
    until_true("it to go on", || taking.length() > before);
    first.leave();
    let (got, whole) = taking.ended();
    assert!(whole && got == (0..PIECES).map(piece).collect::<Vec<_>>().concat(), "{}", got.len());
    until_true("the end", || second.states().last().is_some_and(|state| state == "ended"));
    assert_eq!(second.events("state").last().unwrap()["end"], "completed");
    assert!(second.text().ends_with(&String::from_utf8(piece(PIECES - 1)).unwrap()));

    let intents = scene.world.intents();
    let watched_by: Vec<String> = intents[0].moderators.iter().map(ToString::to_string).collect();
    assert_eq!(watched_by, [format!("{}#olivia", scene.world.issuer.url())]);
    assert_eq!(scene.world.outcome().end, End::Completed);
    let watched = |action: &str| {
        let is = |record: &Record| matches!(record, Record::Admin(it) if it.action == action && it.allowed && it.target == id);
        scene.world.records().iter().filter(|record| is(record)).count()
    };
    until_true("their going on record", || watched("approval.watch_end") == 3);
    assert_eq!(watched("approval.watch"), 3);
    // Nothing of it is kept for an identical call: it is another one, and asks anew.
    let headers = [("prefer", "respond-async")];
    assert_eq!(call(scene.gateway.data, "GET", "/plain/x", &scene.world.alice(), &headers, b"").status, 202);
    scene.world.verify();
}

#[test]
fn catalogue_117_nobody_comes_back_in_time_and_the_call_is_ended() {
    let scene = Scene::new("2s");
    let (taking, id) = scene.held("/plain/x");
    let watching = scene.watch(&id);
    until_true("the answer", || taking.length() > SOME_BYTES);
    let left = watching.leave();
    scene.flood();
    let (got, _) = taking.ended();
    let waited = left.elapsed();
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(10), "{waited:?}");
    let tail = String::from_utf8_lossy(&got[got.len() - 1_024..]).into_owned();
    assert!(tail.contains("session_ended") && tail.contains("moderator left"), "{tail}");
    assert!(got.len() < PIECES * PIECE_BYTES);
    let outcome = scene.world.outcome();
    assert_eq!(outcome.end, End::SessionEnded);
    assert!(outcome.error.as_ref().is_some_and(|why| why.contains("moderator left")), "{outcome:?}");
    let metrics = get(scene.gateway.admin, "/metrics", &scene.world.alice()).text();
    for counted in ["keyward_moderators_left_total 1", "keyward_moderated_paused_total 1"] {
        assert!(metrics.contains(counted), "{metrics}");
    }
    let late = scene.admin(Person::Olivia, "POST", &format!("/approvals/{id}/watch"), &json!({}));
    assert_eq!((late.status, late.code().as_str()), (409, "over"), "{late:?}");
}

#[test]
fn catalogue_117_who_is_locked_out_does_not_count_any_more_and_what_stands_still_ends_with_its_session() {
    let scene = Scene::new("1m");
    let (taking, id) = scene.held("/plain/x");
    let watching = scene.watch(&id);
    until_true("the answer", || taking.length() > SOME_BYTES);
    let olivia = format!("user:{}#olivia", scene.world.issuer.url());
    let locked = scene.admin(Person::Alice, "POST", "/locks", &json!({"target": olivia, "reason": "left"}));
    assert_eq!(locked.status, 200, "{locked:?}");
    let since = Instant::now();
    thread::sleep(Duration::from_millis(500));
    scene.flood();
    scene.stands_still(&taking, since);
    watching.end.join().unwrap(); // her stream ended
    let again = scene.admin(Person::Olivia, "POST", &format!("/approvals/{id}/watch"), &json!({}));
    assert_eq!((again.status, again.code().as_str()), (403, "locked"), "{again:?}");
    let session = scene.world.intents()[0].session.to_string();
    let killed = scene.admin(
        Person::Alice,
        "POST",
        &format!("/sessions/{session}/kill"),
        &json!({"reason": "enough"}),
    );
    assert_eq!(killed.status, 200, "{killed:?}");
    let (got, _) = taking.ended();
    let tail = String::from_utf8_lossy(&got[got.len() - 1_024..]).into_owned();
    assert!(tail.contains("session_ended") && tail.contains("enough"), "{tail}");
    assert_eq!(scene.world.outcome().end, End::SessionEnded);
}

#[test]
fn a_stop_lets_a_call_finish_under_the_eyes_of_who_watches() {
    let mut scene = Scene::new("1m");
    let (taking, id) = scene.held("/plain/x");
    let watching = scene.watch(&id);
    until_true("the answer", || taking.length() > SOME_BYTES);
    scene.gateway.signal(Signal::TERM);
    until_true("nobody to be let in", || TcpStream::connect(scene.gateway.data).is_err());
    thread::sleep(LOOKED_FOR);
    scene.flood();
    let (got, whole) = taking.ended();
    assert!(whole, "{}: {:?}", got.len(), watching.states());
    watching.end.join().unwrap();
    let status = scene.gateway.ended();
    assert!(status.success(), "{status}: {}", scene.gateway.log());
    assert_eq!(scene.world.ends(), [End::Completed]);
}

#[test]
fn the_command_line_watches_until_it_ends() {
    let scene = Scene::new("1m");
    let (taking, id) = scene.held("/plain/x");
    let server = format!("http://{}", scene.gateway.admin);
    let mut command = scene.world.command(&["approvals", "watch", &id, "--server", &server]);
    let mut child = command
        .env("KEYWARD_TOKEN", scene.world.olivia())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = vec![0; SOME_BYTES];
    stdout.read_exact(&mut seen).unwrap();
    assert!(seen.starts_with(b"data: 00000000 ."), "{}", String::from_utf8_lossy(&seen[..64]));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let since = Instant::now();
    assert!(!child.wait().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(
        said.contains("-- running (1 watch)") && said.contains("-- answer 200 text/event-stream"),
        "{said}"
    );
    until_true("nobody to watch", || {
        get(scene.gateway.admin, "/metrics", &scene.world.alice())
            .text()
            .contains("keyward_moderated_paused_total 1")
    });
    scene.flood();
    scene.stands_still(&taking, since);
}
