//! What is wrong at start ends in one clear message with a remedy and exit code 1, and loses nothing; what is wrong
//! around a gateway that runs ends in a clear answer.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keyward_journal::record::End;
use keyward_secrets::MasterKey;

use crate::kit::{ALLOW, Upstream, World, call, get, http, keyed, reply, until_true};

fn world() -> (Upstream, World) {
    let upstream = Upstream::saying(reply("200 OK", &[], "ok"));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    world.write_configuration();
    (upstream, world)
}

/// A world whose gateway ran once, served a call, and stopped in order.
fn used() -> (Upstream, World) {
    let (upstream, world) = world();
    let gateway = world.start();
    for _ in 0..20 {
        assert_eq!(get(gateway.data, "/plain/x", &world.alice()).status, 200);
    }
    gateway.stop();
    world.verify();
    (upstream, world)
}

/// It does not start: exit code 1, a message that holds all of these words, no trace of a panic.
fn refuses(world: &World, words: &[&str]) {
    let (code, said) = world.fails_to_start();
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// The segments of the journal, in order.
fn segments(world: &World) -> Vec<PathBuf> {
    let files = std::fs::read_dir(world.path("data/journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "seg")).collect();
    files.sort();
    files
}

#[test]
fn a_broken_configuration() {
    let (_upstream, world) = world();
    let good = world.configuration();
    let broken = |text: String, words: &[&str]| {
        std::fs::write(world.path("keyward.yaml"), text).unwrap();
        refuses(&world, words);
    };
    broken(good.replace("upstream:", "upstraem:"), &["keyward.yaml:9:", "upstraem", "upstream"]);
    broken(good.replace("kind: http", "kind: htp"), &["keyward.yaml:9:", "htp", "http"]);
    broken(good.replace("policies: [policy.yaml]\n", ""), &["policies"]);
    broken(good.replace("[policy.yaml]", "[absent.yaml]"), &["absent.yaml"]);
    broken(format!("{good}\n  : ["), &["keyward.yaml:"]);
    std::fs::write(world.path("policy.yaml"), "apiVersion: keyward/v1\nkind: Policy\nmetadata: {name: t}\nrules:\n  - {id: a, effect: allow, when: 'operation.classs == \"x\"'}\n").unwrap();
    broken(good.clone(), &["policy.yaml:5", "classs", "class"]);
    std::fs::remove_file(world.path("keyward.yaml")).unwrap();
    refuses(&world, &["keyward.yaml"]);
}

#[test]
fn a_port_in_use() {
    let (_upstream, mut world) = world();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    world.data = taken.local_addr().unwrap().to_string();
    world.write_configuration();
    refuses(&world, &[&world.data, "another process listens there", "listen.data.address"]);
    drop(taken);
    world.start().stop();
}

#[test]
fn a_data_directory_that_cannot_be_used() {
    let (_upstream, world) = world();
    std::fs::write(world.path("data"), "a file").unwrap();
    refuses(&world, &["data", "not a directory", "data_dir"]);
    std::fs::remove_file(world.path("data")).unwrap();
    std::fs::create_dir(world.path("data")).unwrap();
    std::fs::set_permissions(world.path("data"), PermissionsExt::from_mode(0o777)).unwrap();
    refuses(&world, &["others may write", "chmod 700"]);
    std::fs::set_permissions(world.path("data"), PermissionsExt::from_mode(0o700)).unwrap();
    world.start().stop();
}

#[test]
fn a_master_key_that_is_absent_exposed_or_another_one() {
    let (_upstream, world) = used();
    let (key, kept) = (world.path("master.key"), world.path("kept.key"));
    std::fs::rename(&key, &kept).unwrap();
    refuses(&world, &["there is no master key", "openssl rand -base64 32"]);
    MasterKey::generate_file(&key).unwrap();
    refuses(&world, &["not the master key of the database", "start with the key that it was made with"]);
    std::fs::remove_file(&key).unwrap();
    std::fs::rename(&kept, &key).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    refuses(&world, &["can be read by others", "chmod 600"]);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    world.start().stop();
    world.verify();
}

#[test]
fn a_corrupt_database() {
    let (_upstream, world) = used();
    let file = world.path("data/keyward.db");
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, vec![b'x'; kept.len()]).unwrap();
    refuses(&world, &["keyward.db"]);
    // It is left as it is, for whoever repairs it.
    assert_eq!(std::fs::read(&file).unwrap(), vec![b'x'; kept.len()]);
    std::fs::write(&file, kept).unwrap();
    world.start().stop();
}

#[test]
fn catalogue_124_a_damaged_journal() {
    let (_upstream, world) = used();
    let records = world.records().len();
    let segment = segments(&world).remove(0);
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&segment, &bad).unwrap();
    let output = world.run(&["verify"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not what was written"), "{said}");
    // What a signed checkpoint covers is missing: it does not start, and cuts nothing off.
    let short = &good[..good.len() - 100];
    std::fs::write(&segment, short).unwrap();
    refuses(&world, &["the journal is damaged", "records are missing"]);
    assert_eq!(std::fs::read(&segment).unwrap(), short);
    std::fs::remove_file(&segment).unwrap();
    refuses(&world, &["the journal is damaged"]);
    std::fs::write(&segment, good).unwrap();
    assert_eq!(world.records().len(), records);
    world.verify();
    world.start().stop();
}

#[test]
fn a_secret_that_is_absent_when_it_is_needed() {
    let upstream = Upstream::saying(reply("200 OK", &[], "ok"));
    let connections =
        [keyed("models", "openai", &upstream.url(), "KEYWARD_TEST_ABSENT"), http("plain", &upstream.url())];
    let world = World::new(&connections.concat(), ALLOW);
    let gateway = world.start();
    let answer = get(gateway.data, "/models/v1/models", &world.alice());
    assert_eq!((answer.status, &*answer.code()), (503, "secret_unavailable"), "{answer:?}");
    assert!(!answer.text().contains("KEYWARD_TEST_ABSENT"), "{answer:?}");
    assert!(upstream.saw_nothing());
    // Whoever runs it finds the reason; other connections go on.
    until_true("the reason in the log", || gateway.log().contains("KEYWARD_TEST_ABSENT"));
    assert_eq!(get(gateway.data, "/plain/x", &world.alice()).status, 200);
}

#[test]
fn catalogue_225_an_issuer_that_is_unreachable_at_start() {
    let (upstream, world) = world();
    world.issuer.stop();
    let gateway = world.start();
    let ready = call(gateway.admin, "GET", "/readyz", "", &[], b"");
    assert_eq!(ready.status, 503, "{ready:?}");
    let parts = ready.json()["parts"].clone();
    let identity = parts.as_array().unwrap().iter().find(|part| part["name"] == "identity").unwrap().clone();
    assert_eq!(identity["ok"], false);
    assert_eq!(call(gateway.admin, "GET", "/healthz", "", &[], b"").status, 200);
    let answer = get(gateway.data, "/plain/x", &world.alice());
    assert_eq!((answer.status, &*answer.code()), (503, "identity_unavailable"), "{answer:?}");
    assert!(upstream.saw_nothing());
}

#[test]
fn catalogue_151_an_upstream_that_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let secret = concat!("starting-", "credential-0123456789");
    let connections = [
        keyed("models", "openai", &format!("http://{closed}/base"), "KEY"),
        http("nowhere", "http://does-not-exist.invalid:80")
            .replace("}\n", ", insecure_http_upstream: true}\n"),
    ];
    let world = World::new(&connections.concat(), ALLOW).secret("KEY", secret);
    let gateway = world.start();
    for path in ["/models/v1/models", "/nowhere/x"] {
        let answer = get(gateway.data, path, &world.alice());
        assert_eq!((answer.status, &*answer.code()), (502, "upstream_unreachable"), "{answer:?}");
        let text = answer.text();
        for inner in [secret, &closed.port().to_string(), "does-not-exist", "127.0.0.1", "os error"] {
            assert!(!text.contains(inner), "{inner} in {text}");
        }
    }
    assert_eq!(world.ends(), [End::UpstreamUnreachable; 2]);
}
