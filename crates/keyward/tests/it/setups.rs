//! `keyward setup`: what it says works as it stands, holds no token, and spoils no settings.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::kit::{ALLOW, Scene, Upstream, World, call, get, http, keyed, reply};

fn scene() -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "application/json")], b"{}"));
    let url = upstream.url();
    let connections = http("plain", &url)
        + &keyed("gpt", "openai", &url, "UP")
        + &keyed("local", "vllm", &url, "UP")
        + &keyed("claude", "anthropic", &url, "UP");
    Scene::of(upstream, World::new(&connections, ALLOW).secret("UP", "up-secret"))
}

impl Scene {
    fn setup(&self, arguments: &[&str]) -> Output {
        let output = self.cli(&[&["setup"], arguments].concat()).env("HOME", self.world.dir.path()).output();
        let output = output.unwrap();
        let all = [output.stdout.as_slice(), &output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(!all.contains("kw_") && !all.contains(&self.token), "{all}");
        output
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.setup(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A shell in which `keyward` is this one.
    fn shell(&self, script: &str) -> String {
        let mut shell = Command::new("sh");
        let command = self.cli(&[]);
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        let directory = Path::new(env!("CARGO_BIN_EXE_keyward")).parent().unwrap();
        let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
        let output = shell.args(["-c", script]).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn what_is_printed_works_as_it_stands() {
    let scene = scene();
    let data = scene.gateway.data;
    let exports = scene.text(&["openai", "gpt"]);
    assert!(exports.contains(&format!("export OPENAI_BASE_URL=http://{data}/gpt/v1\n")), "{exports}");
    let token = scene.shell("eval \"$(keyward setup openai gpt)\"; printf %s \"$OPENAI_API_KEY\"");
    assert_eq!(get(data, "/gpt/v1/models", &token).status, 200);
    let anthropic = scene.text(&["anthropic"]);
    assert!(anthropic.contains("unset ANTHROPIC_API_KEY"), "{anthropic}");
    // curl itself, with what it is told to do.
    let request = scene.text(&["curl", "gpt"]);
    assert!(!request.contains("-H \"authorization"), "no token among arguments: {request}");
    let before = scene.upstream.seen().len();
    scene.shell(&format!("{} -sS --fail", request.trim_end()));
    assert_eq!(scene.upstream.seen().len(), before + 1);
    for (tool, says) in
        [("python", "openai.OpenAI(base_url=\"http"), ("node", "new OpenAI({ baseURL: \"http")]
    {
        let text = scene.text(&[tool, "gpt"]);
        assert!(text.contains(says) && text.contains("\"token\", \"gpt\""), "{text}");
    }
    let data: Value = serde_json::from_str(&scene.text(&["openai", "gpt", "-o", "json"])).unwrap();
    assert_eq!((&data["connection"], &data["text"]), (&json!("gpt"), &json!(exports)));
}

#[test]
fn what_cannot_be_set_up_is_said() {
    let scene = scene();
    for (arguments, code, says) in [
        (vec!["openai"], 2, "gpt, local"),
        (vec!["gemini"], 3, "no connection that gemini can call"),
        (vec!["openai", "claude"], 2, "of kind `anthropic`"),
        (vec!["openai", "nowhere"], 3, "`nowhere`"),
        (vec!["openai", "gpt", "--write"], 2, "no settings file"),
        (vec!["claude-code", "--write"], 2, "--yes"),
        (vec!["vim"], 2, "claude-code"),
    ] {
        let output = scene.setup(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {said}");
        assert!(said.contains(says), "{arguments:?} {said}");
    }
    assert!(!scene.world.path(".claude").exists());
}

#[test]
fn claude_codes_settings_keep_what_is_there() {
    let scene = scene();
    let file = scene.world.path(".claude/settings.json");
    let fragment: Value = serde_json::from_str(&scene.text(&["claude-code"])).unwrap();
    scene.text(&["claude-code", "--write", "--yes"]);
    let read = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read()).unwrap(), fragment);
    let backups = || {
        let names =
            std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".bak")).count()
    };
    assert_eq!(backups(), 0, "there was nothing to keep");
    let own = "{\n  \"model\": \"opus\",\n  \"env\": {\n    \"FOO\": \"1\"\n  }\n}\n";
    std::fs::write(&file, own).unwrap();
    scene.text(&["claude-code", "--write", "--yes"]);
    let written = read();
    assert!(
        written.starts_with("{\n  \"model\": \"opus\",\n  \"env\": {\n    \"FOO\": \"1\",\n"),
        "{written}"
    );
    assert_eq!(backups(), 1);
    scene.text(&["claude-code", "--write", "--yes"]);
    assert_eq!((read(), backups()), (written.clone(), 1), "a second time changes nothing");
    // What Claude Code does with it: the helper's output goes into both headers.
    let settings: Value = serde_json::from_str(&written).unwrap();
    let token = scene.shell(settings["apiKeyHelper"].as_str().unwrap());
    let (token, headers) =
        (token.trim(), [("content-type", "application/json"), ("x-api-key", token.trim())]);
    let base = settings["env"]["ANTHROPIC_BASE_URL"].as_str().unwrap();
    assert_eq!(base, format!("http://{}/claude", scene.gateway.data));
    let body = br#"{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}"#;
    let answer = call(scene.gateway.data, "POST", "/claude/v1/messages", token, &headers, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(scene.upstream.seen().iter().all(|seen| !format!("{seen:?}").contains("kw_")));
    // One that would not do what it says, and one that is not ours to change.
    for other in ["{\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"x\"}}", "// mine\n{}"] {
        std::fs::write(&file, other).unwrap();
        assert_eq!(scene.setup(&["claude-code", "--write", "--yes"]).status.code(), Some(1));
        assert_eq!(read(), other);
    }
}
