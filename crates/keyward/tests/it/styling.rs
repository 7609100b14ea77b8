//! What a rule makes of what it masks; packs of one's own; and the same engine as a command.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{Upstream, World, get, http, reply, until_true};

const PACK: &str = "group: credentials
detectors:
  - id: acme_key
    name: Acme key
    description: Acts on Acme.
    prefixes: [acme_]
    pattern: 'acme_[0-9a-f]{12}\\b'
    confidence: high
    max_bytes: 64
    examples: ['x «acme_0123456789ab» y']
    counterexamples: ['acme_0123']
";

/// Parts of no real key.
fn github() -> String {
    ["ghp_", "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd6Hs4Gf0LAnCC"].concat()
}

fn answering(body: &str) -> Upstream {
    let headers = [("content-type", "application/json"), ("x-inner", "weak"), ("x-gone", "weak")];
    Upstream::saying(reply("200 OK", &headers, body))
}

#[test]
fn each_rule_has_its_style_and_fields_are_masked_whatever_they_hold() {
    let body = json!({"key": github(), "user": {"email": "weak", "pin": 4711}, "trace": github(), "n": 1});
    let upstream = answering(&body.to_string());
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - id: mask
    effect: mask
    when: 'true'
    mask:
      detect: [credentials]
      where: [response, headers]
      style: keep-last-4
      fields: [{path: $.user.email, style: hash}, {path: $..pin, style: redact}, {header: X-Inner, style: redact}, {header: x-gone, style: drop}]
      except: [$.trace]
";
    let world = World::new(&http("plain", &upstream.url()), rules);
    let gateway = world.start();
    let answer = get(gateway.data, "/plain/x", &world.alice());
    assert_eq!(answer.header("x-inner"), "[REDACTED:field:x-inner]");
    assert!(answer.all("x-gone").is_empty());
    let got = answer.json();
    assert_eq!(got["key"], "[REDACTED:github_pat:*AnCC]");
    assert_eq!(
        (&got["user"]["pin"], &got["trace"], &got["n"]),
        (&"[REDACTED:field:pin]".into(), &github().into(), &1.into())
    );
    let hash = got["user"]["email"].as_str().unwrap().to_owned();
    assert!(hash.starts_with("[HASHED:field:email:"), "{hash}");
    gateway.stop();

    // The same value, after a restart and in another session: the same hash.
    let gateway = world.start();
    assert_eq!(get(gateway.data, "/plain/x", &world.olivia()).json()["user"]["email"], hash);
    gateway.stop();
    world.verify();
}

#[test]
fn a_form_field_is_masked_whatever_it_holds_in_forms_and_in_parts() {
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - id: mask
    effect: mask
    when: 'true'
    mask: {where: [response], style: redact, fields: [{form: pin code}, {form: note, style: drop}]}
";
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = |pin: &str, note: &str| {
        [part("pin code", pin), part("note", note), part("other", "4711"), "--b--\r\n".into()].concat()
    };
    for (kind, body, masked) in [
        (
            "application/x-www-form-urlencoded",
            "pin+code=4711&note=weak&other=4711".to_owned(),
            "pin+code=%5BREDACTED%3Afield%3Apin_code%5D&note=&other=4711".to_owned(),
        ),
        ("multipart/form-data; boundary=b", parts("4711", "weak"), parts("[REDACTED:field:pin_code]", "")),
    ] {
        let upstream = Upstream::saying(reply("200 OK", &[("content-type", kind)], &body));
        let world = World::new(&http("plain", &upstream.url()), rules);
        let gateway = world.start();
        assert_eq!(get(gateway.data, "/plain/x", &world.alice()).text(), masked, "{kind}");
        gateway.stop();
    }
}

#[test]
fn a_pack_is_loaded_and_reloaded_with_the_configuration() {
    let upstream = answering(r#"{"a":"acme_0123456789ab","b":"acme-0123456789ab"}"#);
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: mask, effect: mask, when: 'true', mask: {detect: [acme_key], where: [response]}}
";
    let world = World::new(&http("plain", &upstream.url()), rules).with("detectors: [pack.yaml]");
    std::fs::write(world.path("pack.yaml"), PACK).unwrap();
    let gateway = world.start();
    let token = world.alice();
    let body = || get(gateway.data, "/plain/x", &token).text();
    let masked = |id: &str| body().contains(id);
    assert!(masked(r#""a":"[REDACTED:acme_key]","b":"acme-0123456789ab""#), "{}", body());

    // A pack that does not find its own examples changes nothing.
    std::fs::write(world.path("pack.yaml"), PACK.replace("{12}", "{13}")).unwrap();
    gateway.signal(Signal::HUP);
    until_true("the refusal", || {
        world.records().iter().any(|record| match record {
            keyward_journal::Record::Config(event) => {
                event.error.as_ref().is_some_and(|why| why.contains("pack.yaml:3"))
            }
            _ => false,
        })
    });
    assert!(masked("[REDACTED:acme_key]"));

    // By the change of the pack alone.
    std::fs::write(world.path("pack.yaml"), PACK.replace("acme_", "acme-").replace("acme-key", "acme_key"))
        .unwrap();
    until_true("the new pack", || masked(r#""a":"acme_0123456789ab","b":"[REDACTED:acme_key]""#));
    gateway.stop();
    world.verify();
}

#[test]
fn a_policy_may_name_what_a_pack_of_its_configuration_has() {
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: mask, effect: mask, when: 'true', mask: {detect: [acme_key], where: [response]}}
";
    let world = World::new(&http("plain", "http://127.0.0.1:9"), rules);
    world.write_configuration();
    let said = |output: Output| (output.status.code(), String::from_utf8(output.stderr).unwrap());
    let (code, text) = said(world.run(&["config", "validate"]));
    assert!(code == Some(1) && text.contains("no group of detectors `acme_key`"), "{text}");
    let world = world.with("detectors: [pack.yaml]");
    std::fs::write(world.path("pack.yaml"), PACK).unwrap();
    world.write_configuration();
    assert_eq!(said(world.run(&["config", "validate"])).0, Some(0));
    assert_eq!(said(world.run(&["policy", "validate"])).0, Some(0));
}

/// `keyward mask` with these arguments over `input`.
fn mask(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .arg("mask")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that only answers a question does not read.
    _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_filter_masks_files_and_stdin_and_reports_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (one, two) = (file("one", &format!("a {}\n", github())), file("two", "nothing \u{fffd}\n"));
    let report = dir.path().join("report.json").display().to_string();
    let output = mask(&[&format!("--report={report}"), &one, &two], b"");
    assert_eq!(out(&output), "a [REDACTED:github_pat]\nnothing \u{fffd}\n");
    let text = std::fs::read_to_string(&report).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&told["findings"], &told["detectors"][0]["places"][0]["file"]),
        (&1.into(), &one.as_str().into())
    );
    assert!(!text.contains(&github()));
    let output = mask(&["--report"], format!("x {}", github()).as_bytes());
    assert!(
        err(&output).contains("github_pat  (-:2-42)") && !err(&output).contains(&github()),
        "{}",
        err(&output)
    );

    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(mask(&["--format", "text"], &bytes).stdout, bytes, "bytes that are no text pass as they are");
    let output = mask(&["/does/not/exist"], b"");
    assert!(output.status.code() == Some(3) && err(&output).contains("/does/not/exist"), "{}", err(&output));
}

#[test]
fn the_filter_reads_each_format_by_what_it_means() {
    let escaped = |format: fn(u8) -> String| github().bytes().map(format).collect::<String>();
    let (percent, entity, hex) = (
        escaped(|b| format!("%{b:02x}")),
        escaped(|b| format!("&#{b};")),
        escaped(|b| format!("\\x{b:02x}")),
    );
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    // A message of one text: field 1, length-delimited.
    let message = |text: &str| [&[0x0a, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let placeholder = "[REDACTED:github_pat]";
    for (format, input, masked) in [
        ("form", format!("a={percent}&b=1").into_bytes(), b"a=%5BREDACTED%3Agithub_pat%5D&b=1".to_vec()),
        ("xml", format!("<a>{entity}</a>").into(), format!("<a>{placeholder}</a>").into()),
        ("html", format!("<p x=\"{entity}\">").into(), format!("<p x=\"{placeholder}\">").into()),
        ("yaml", format!("a: \"{hex}\"\n").into(), format!("a: \"{placeholder}\"\n").into()),
        ("toml", format!("a = \"{}\"\n", github()).into(), format!("a = \"{placeholder}\"\n").into()),
        ("protobuf", message(&github()), message(placeholder)),
        ("auto", wide(&format!("a {} b", github())), wide(&format!("a {placeholder} b"))),
        (
            "multipart/form-data; boundary=b",
            format!("--b\r\n\r\n{}\r\n--b--\r\n", github()).into(),
            format!("--b\r\n\r\n{placeholder}\r\n--b--\r\n").into(),
        ),
    ] {
        for chunk in ["1", "65536"] {
            let output = mask(&["--format", format, "--chunk", chunk], &input);
            assert!(output.stdout == masked, "{format}: {}{}", out(&output), err(&output));
        }
    }
}

#[test]
fn the_filter_has_styles_fields_and_packs() {
    let dir = tempfile::tempdir().unwrap();
    let (key, pack) = (dir.path().join("key"), dir.path().join("pack.yaml"));
    std::fs::write(&key, "0123456789abcdef0123\n").unwrap();
    std::fs::write(&pack, PACK).unwrap();
    let (key, pack) = (key.to_str().unwrap(), pack.to_str().unwrap());
    let hashed =
        |arguments: &[&str]| out(&mask(&[&["--style", "hash"], arguments].concat(), github().as_bytes()));
    assert_eq!(hashed(&["--key-file", key]), hashed(&["--key-file", key]));
    assert_ne!(hashed(&[]), hashed(&[]), "a key of each run's own");
    let fields = ["--field", "$.user.email=drop", "--field", "$..pin", "--except", "$.t"];
    let input = json!({"pin": 4711, "t": github(), "user": {"email": "weak"}}).to_string();
    let expected = json!({"pin": "[REDACTED:field:pin]", "t": github(), "user": {"email": ""}}).to_string();
    assert_eq!(out(&mask(&fields, input.as_bytes())), expected);
    assert_eq!(out(&mask(&["--pack", pack], b"acme_0123456789ab")), "[REDACTED:acme_key]");

    for (arguments, code, says) in [
        (&["--style", "sha1"][..], 2, "format-preserving"),
        (&["--format", "jsno"], 2, "a media type"),
        (&["--format", "multipart/mixed"], 2, "one boundary"),
        (&["--field", "user"], 2, "begins with `$`"),
        (&["--field", "$.a=sha1"], 2, "there is no style `sha1`"),
        (&["--known", "/does/not/exist"], 3, "/does/not/exist does not exist"),
        (&["/"], 1, "/ cannot be read: is a directory"),
        (&["--detect", "githb_pat"], 3, "did you mean `github_pat`?"),
        (&["--pack", key], 1, "--check-pack"),
    ] {
        let output = mask(arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(out(&output).is_empty());
        assert!(err(&output).contains(says), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn the_detectors_are_listed_explained_and_checked() {
    let listed: Value = serde_json::from_str(&out(&mask(&["--list", "-o", "json"], b""))).unwrap();
    let github = listed.as_array().unwrap().iter().find(|row| row["id"] == "github_pat").unwrap();
    assert_eq!((&github["group"], &github["confidence"]), (&"credentials".into(), &"high".into()));
    assert!(out(&mask(&["--list"], b"")).lines().next().unwrap().trim_start().starts_with("DETECTOR"));
    let explained = out(&mask(&["--explain", "github_pat"], b""));
    assert!(explained.contains("begins with ghp_") && explained.contains('«'), "{explained}");
    let output = mask(&["--explain", "github_pta"], b"");
    assert!(
        output.status.code() == Some(3) && err(&output).contains("did you mean `github_pat`?"),
        "{}",
        err(&output)
    );

    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.yaml"), dir.path().join("bad.yaml"));
    std::fs::write(&good, PACK).unwrap();
    std::fs::write(&bad, PACK.replace("acme_0123']", "acme_0123456789ab']")).unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let output = mask(&["--check-pack", good], b"");
    assert!(output.status.success() && err(&output).contains("1 detectors hold"), "{}", err(&output));
    let output = mask(&["--check-pack", good, bad], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("bad.yaml:3: detector acme_key: counterexample 1"), "{}", err(&output));
    let output = mask(&["--check-pack", bad, "-o", "json"], b"");
    let told: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&told[0]["line"], &told[0]["detector"]), (&3.into(), &"acme_key".into()));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(["mask", "--detect", "credentials"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    while input.write_all(&b"some line of text\n".repeat(4096)).is_ok() {}
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", err(&output));
}
