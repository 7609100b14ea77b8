//! Bodies that say one thing to a guard and another to an upstream: judged as the upstream reads them, or refused before a
//! byte has left.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::{Answer, Caller, Scene, Upstream, World, http, keyed, post_json, reply, until_true};

const SECRET: &str = concat!("evading-", "credential-0123456789");

/// The model `forbidden` and secret files are blocked, everything else passes.
const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: no-such-model, effect: block, when: 'operation.resource.model == \"forbidden\"', message: Not that one.}
  - {id: no-secret-files, effect: block, when: operation.touches_secret_file, message: Not those.}
";
const CHAT: &str = "/models/v1/chat/completions";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORBIDDEN: &str = r#"{"model": "forbidden", "messages": [{}]}"#;

fn scene(extra: &str) -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "application/json")], "{}"));
    let connections =
        [keyed("models", "openai", &upstream.url(), "KEY"), http("plain", &upstream.url())].concat();
    let world = World::new(&connections, RULES).with(extra).secret("KEY", SECRET);
    Scene::of(upstream, world)
}

/// Ends in one of these statuses, and nothing leaves.
fn refused(scene: &Scene, name: &str, path: &str, headers: &[(&str, &str)], body: &[u8], statuses: &[u16]) {
    let answer = scene.post(path, headers, body);
    assert!(statuses.contains(&answer.status), "{name}: {answer:?}");
    assert!(scene.upstream.saw_nothing(), "{name} reached the upstream");
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn catalogue_82_a_guarded_body_is_read_as_the_upstream_reads_it_or_refused() {
    let scene = scene("");
    let zstd = zstd::encode_all(FORBIDDEN.as_bytes(), 1).unwrap();
    let mut brotli = Vec::new();
    brotli::CompressorWriter::new(&mut brotli, 4096, 4, 20).write_all(FORBIDDEN.as_bytes()).unwrap();
    for (name, encoding, body) in [
        ("gzip", "gzip", gzip(FORBIDDEN.as_bytes())),
        ("gzip twice", "gzip, gzip", gzip(&gzip(FORBIDDEN.as_bytes()))),
        ("zstd", "zstd", zstd),
        ("br", "br", brotli),
        ("a lie", "gzip", FORBIDDEN.as_bytes().to_vec()),
    ] {
        refused(&scene, name, CHAT, &[JSON, ("Content-Encoding", encoding)], &body, &[403, 415]);
        refused(&scene, &format!("{name}, unsaid"), CHAT, &[JSON], &body, &[400, 403]);
    }
    refused(&scene, "utf-16", CHAT, &[JSON], &utf16(FORBIDDEN), &[400, 403, 415]);
    let wide = ("Content-Type", "application/json; charset=utf-16");
    refused(&scene, "utf-16, said", CHAT, &[wide], &utf16(FORBIDDEN), &[403, 415]);
    for (name, body) in [
        ("escaped name", r#"{"mo\u0064el": "forbidden", "messages": [{}]}"#),
        ("escaped value", r#"{"model": "\u0066orbidden", "messages": [{}]}"#),
        ("white space", " \r\n\t{\t\"model\"\n:\r\"forbidden\" , \"messages\":[{}]}\n"),
        ("last of two", r#"{"model": "fine", "model": "forbidden", "messages": [{}]}"#),
        ("first of two", r#"{"model": "forbidden", "model": "fine", "messages": [{}]}"#),
        ("two, one escaped", r#"{"model": "fine", "m\u006fdel": "forbidden", "messages": [{}]}"#),
        ("other letters", r#"{"model": "fine", "Model": "forbidden", "messages": [{}]}"#),
        ("other letters alone", r#"{"MODEL": "forbidden", "messages": [{}]}"#),
        ("a list", r#"{"model": ["forbidden"], "messages": [{}]}"#),
        ("comment", "{\"model\": \"fine\", /* \"x\": 1, */ \"messages\": [{}]}"),
        ("line comment", "{\"model\": \"fine\", // x\n \"messages\": [{}]}"),
        ("trailing comma", r#"{"model": "forbidden", "messages": [{}],}"#),
        ("single quotes", "{'model': 'forbidden'}"),
        ("NaN", r#"{"model": "fine", "messages": [{}], "temperature": NaN}"#),
        ("byte order mark", "\u{feff}{\"model\": \"forbidden\", \"messages\": [{}]}"),
        ("two documents", r#"{"model": "fine", "messages": [{}]}{"model": "forbidden"}"#),
        ("NUL behind it", "{\"model\": \"fine\", \"messages\": [{}]}\0"),
        ("lone surrogate", r#"{"model": "\ud800forbidden", "messages": [{}]}"#),
        ("not UTF-8", "\u{0}"),
        ("too deep", &format!("{{\"model\": \"fine\", \"x\": {}{}}}", "[".repeat(80), "]".repeat(80))),
    ] {
        refused(&scene, name, CHAT, &[JSON], body.as_bytes(), &[400, 403]);
    }
    refused(
        &scene,
        "bytes that are no UTF-8",
        CHAT,
        &[JSON],
        b"{\"model\": \"f\xc3\x28\", \"messages\": [{}]}",
        &[400],
    );
    // What is harmless passes, byte for byte.
    let body = " {\"model\": \"f\\u0069ne\", \"messages\": [{}], \"temperature\": 1e-2}\n";
    assert_eq!(scene.post(CHAT, &[JSON], body.as_bytes()).status, 200);
    assert_eq!(scene.upstream.only().body, body.as_bytes());
}

#[test]
fn catalogue_83_a_body_is_what_its_type_says_or_refused() {
    let scene = scene("");
    let form = "model=forbidden";
    for (name, headers, body) in [
        ("text/plain", vec![("Content-Type", "text/plain")], FORBIDDEN),
        ("no type", vec![], FORBIDDEN),
        ("two types", vec![JSON, ("Content-Type", "text/plain")], FORBIDDEN),
        ("two types in one", vec![("Content-Type", "application/json, text/plain")], FORBIDDEN),
        ("form under JSON", vec![JSON], form),
        ("JSON under form", vec![("Content-Type", "application/x-www-form-urlencoded")], FORBIDDEN),
        ("multipart without a boundary", vec![("Content-Type", "multipart/form-data")], FORBIDDEN),
        ("another charset", vec![("Content-Type", "application/json; charset=utf-7")], FORBIDDEN),
        ("a type that is none", vec![("Content-Type", "application")], FORBIDDEN),
        ("a lying parameter", vec![("Content-Type", "text/plain; x=application/json")], FORBIDDEN),
    ] {
        refused(&scene, name, CHAT, &headers, body.as_bytes(), &[400, 403, 415]);
    }
    // A type that means JSON is JSON, in any letters.
    for kind in ["Application/JSON", "application/json;charset=UTF-8", "application/vnd.api+json"] {
        refused(&scene, kind, CHAT, &[("Content-Type", kind)], FORBIDDEN.as_bytes(), &[403]);
    }
    // On a generic connection, forms and JSON are read by their type.
    for (headers, body) in [
        (("Content-Type", "application/x-www-form-urlencoded"), "a=1&file=%2Fetc%2Fshadow"),
        (("Content-Type", "application/json"), r#"{"a": ["/etc/shadow"]}"#),
        (("Content-Type", "application/json"), "[\"\\/etc\\/shadow\"]"),
    ] {
        refused(&scene, "a generic endpoint", "/plain/x", &[headers], body.as_bytes(), &[403]);
    }
}

#[test]
fn catalogue_84_a_body_beyond_what_is_looked_at_is_a_413() {
    let scene = scene("limits: {inspect_body_bytes_max: 4KiB}");
    let body = |length: usize| {
        let rest = length - FORBIDDEN.len();
        format!("{}{FORBIDDEN}", " ".repeat(rest))
    };
    for length in [4097, 5000, 100_000] {
        let body = body(length);
        refused(&scene, "declared", CHAT, &[JSON], body.as_bytes(), &[413]);
        let answer = chunked(&scene, &body);
        assert_eq!(answer.status, 413, "{length} in chunks");
        assert!(answer.text().contains("4096 bytes"), "{}", answer.text());
        assert!(scene.upstream.saw_nothing());
    }
    assert_eq!(scene.post(CHAT, &[JSON], body(4096).as_bytes()).status, 403, "at the limit it is looked at");
    assert!(scene.upstream.saw_nothing());
    let fine = body(4096).replace("forbidden", "fine-____");
    assert_eq!(chunked(&scene, &fine).status, 200);
    assert_eq!(scene.upstream.only().body, fine.as_bytes());
}

fn chunked(scene: &Scene, body: &str) -> Answer {
    let mut caller = Caller::connect(scene.gateway.data);
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        scene.token
    );
    caller.send(head);
    for piece in body.as_bytes().chunks(1000) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        if !caller.line.write(&chunk) {
            break;
        }
    }
    caller.line.write(b"0\r\n\r\n");
    caller.answer()
}

#[test]
fn catalogue_86_nothing_leaves_before_the_last_byte_was_judged() {
    let scene = scene("");
    for (last, status) in [(r#""model": "forbidden"}"#, 403), (r#""model": "fine"}"#, 200)] {
        let first = r#"{"messages": [{}], "#;
        let mut caller = Caller::connect(scene.gateway.data);
        caller.send(format!(
            "POST {CHAT} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
            scene.token,
            first.len() + last.len()
        ));
        for letter in last.bytes() {
            std::thread::sleep(Duration::from_millis(20));
            assert!(scene.upstream.saw_nothing() && scene.upstream.connections() == 0);
            caller.send([letter]);
        }
        assert_eq!(caller.answer().status, status);
    }
    assert_eq!(scene.upstream.seen().len(), 1);
}

#[test]
fn catalogue_87_every_value_of_a_name_is_judged() {
    let scene = scene("");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (name, path, headers, body) in [
        ("second in the form", "/plain/x", vec![form], "cmd=ls&cmd=cat%20.env"),
        ("first in the form", "/plain/x", vec![form], "cmd=cat+.env&cmd=ls"),
        ("query beside a form", "/plain/x?cmd=.env", vec![form], "cmd=ls"),
        ("form beside a query", "/plain/x?cmd=ls", vec![form], "cmd=.env"),
        ("semicolons", "/plain/x?cmd=ls;cmd=.env", vec![], ""),
        ("a name", "/plain/x?.env=1", vec![], ""),
        ("a list", "/plain/x?cmd%5B%5D=ls&cmd%5B%5D=.env", vec![], ""),
        ("twice encoded", "/plain/x?cmd=%252eenv", vec![], ""),
    ] {
        refused(&scene, name, path, &headers, body.as_bytes(), &[400, 403]);
    }
    assert_eq!(scene.post("/plain/x?cmd=ls&cmd=cat", &[form], b"cmd=environment").status, 200);
}

#[test]
fn catalogue_93_a_rule_that_is_bad_changes_nothing_and_says_so() {
    let scene = scene("");
    let good = std::fs::read_to_string(scene.world.path("policy.yaml")).unwrap();
    let refuses = || post_json(scene.gateway.data, CHAT, &scene.token, FORBIDDEN).status;
    for (number, rules) in [
        "  - {id: bad, effect: block, when: 'operation.path.matches(\"(\")'}\n",
        "  - {id: bad, effect: block, when: 'operation.classs == \"x\"'}\n",
        "  - {id: bad, effect: block, when: '((((('}\n",
        "",
    ]
    .into_iter()
    .enumerate()
    {
        scene.world.write_rules(rules);
        scene.gateway.signal(Signal::HUP);
        until_true("the refusal of the rules", || {
            scene.gateway.log().matches("not reloaded").count() > number
        });
        assert_eq!(refuses(), 403, "the rules before stay");
    }
    std::fs::remove_file(scene.world.path("policy.yaml")).unwrap();
    scene.gateway.signal(Signal::HUP);
    until_true("the refusal of what is absent", || scene.gateway.log().matches("not reloaded").count() > 4);
    assert_eq!(refuses(), 403);
    std::fs::write(scene.world.path("policy.yaml"), good).unwrap();
    assert!(scene.upstream.saw_nothing());
}

#[test]
fn catalogue_94_a_condition_cannot_exhaust_the_engine() {
    let upstream = Upstream::saying(reply("200 OK", &[], "ok"));
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    let long = format!("'{}'", vec!["operation.path == \"/x\""; 2000].join(" || "));
    // Conditions have no patterns, so none can explode.
    let pattern = "'operation.path.matches(\"(a{1000}){1000}\")'".to_owned();
    for (name, when) in [("deep", format!("'{deep}'")), ("long", long), ("a pattern", pattern)] {
        let world = World::new(
            &http("plain", &upstream.url()),
            &format!(
                "  - {{id: all, effect: allow, when: 'true'}}\n  - {{id: {name}, effect: block, when: {when}}}\n"
            ),
        );
        world.write_configuration();
        let (status, said) = world.fails_to_start();
        assert!(status != 0 && said.contains("policy.yaml:"), "{name}: {said}");
    }
}
