//! `keyward run`: what the command gets, what of the caller it does not get, signals and exit codes, and that its token
//! ends with it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kit::{ALLOW, Scene, Upstream, World, get, http, keyed, reply, until, until_true};

fn scene() -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "text/plain")], b"hello"));
    let url = upstream.url();
    let connections = http("plain", &url)
        + &keyed("gpt", "openai", &url, "UP")
        + &keyed("local", "vllm", &format!("{url}/v1"), "UP")
        + &keyed("claude", "anthropic", &url, "UP")
        + &keyed("gem", "gemini", &url, "UP");
    Scene::of(upstream, World::new(&connections, ALLOW).secret("UP", "up-secret"))
}

/// A `keyward run` under way.
struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its end closes the input of what it runs, which ends by that.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Run {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Closes its input: the exit code, the rest of what it printed, and what it said.
    fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.stdin.take());
        let status = until("the end of the run", || self.child.try_wait().unwrap());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), out, err)
    }
}

impl Scene {
    fn run_sh(&self, options: &[&str], script: &str) -> Command {
        self.cli(&[&["run"], options, &["--", "sh", "-c", script]].concat())
    }

    fn live_tokens(&self) -> usize {
        let output = self.cli(&["tokens", "ls", "-o", "json"]).output().unwrap();
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        listed.as_array().unwrap().len()
    }
}

#[test]
fn a_command_gets_a_token_that_ends_with_it() {
    let scene = scene();
    let mut run =
        Run::start(scene.run_sh(&["plain", "--for", "10m"], "echo $KEYWARD_PLAIN_TOKEN; read x; exit 7"));
    let token = run.line();
    assert!(token.starts_with("kw_"), "{token}");
    assert_eq!(get(scene.gateway.data, "/plain/x", &token).status, 200);
    assert_eq!(get(scene.gateway.data, "/gpt/v1/models", &token).status, 403, "for this connection alone");
    let (code, _, said) = run.end();
    assert_eq!((code, said.as_str()), (Some(7), ""));
    assert_eq!(get(scene.gateway.data, "/plain/x", &token).status, 401, "it was revoked");
    assert!(!scene.gateway.log().contains(&token));
}

#[test]
fn the_variables_that_clients_read_are_set_and_the_callers_own_are_not() {
    let scene = scene();
    let environment = |options: &[&str]| {
        let mut command = scene.run_sh(options, "env");
        command.env("ANTHROPIC_API_KEY", "sk-ant-own").env("OPENAI_API_KEY", "sk-own");
        command.env("GOOGLE_API_KEY", "own").env("UNTOUCHED", "yes");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = environment(&["plain", "gpt", "claude", "gem"]);
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    let data = scene.gateway.data;
    for (name, expected) in [
        ("OPENAI_BASE_URL", format!("http://{data}/gpt/v1")),
        ("ANTHROPIC_BASE_URL", format!("http://{data}/claude")),
        ("GOOGLE_GEMINI_BASE_URL", format!("http://{data}/gem")),
        ("KEYWARD_PLAIN_URL", format!("http://{data}/plain")),
        ("KEYWARD_GPT_URL", format!("http://{data}/gpt")),
        ("UNTOUCHED", "yes".to_owned()),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name}");
    }
    let token = value(&text, "OPENAI_API_KEY").unwrap();
    for name in ["ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY", "KEYWARD_PLAIN_TOKEN", "KEYWARD_CLAUDE_TOKEN"] {
        assert_eq!(value(&text, name).as_ref(), Some(&token), "{name}");
    }
    for gone in ["KEYWARD_TOKEN", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"] {
        assert_eq!(value(&text, gone), None, "{gone}");
    }
    assert!(!text.contains(&scene.token), "the caller's own token stays with the caller");
    // The upstream's address has the version already.
    let text = environment(&["local", "claude", "--as", "anthropic-key=claude"]);
    assert_eq!(value(&text, "OPENAI_BASE_URL"), Some(format!("http://{data}/local")));
    assert!(value(&text, "ANTHROPIC_API_KEY").unwrap().starts_with("kw_"));
    assert_eq!(value(&text, "ANTHROPIC_AUTH_TOKEN"), None);
    let text = environment(&["plain", "--as", "openai=plain", "--data-url", "https://k.example.com/"]);
    assert_eq!(value(&text, "OPENAI_BASE_URL").as_deref(), Some("https://k.example.com/plain/v1"));
}

#[test]
fn it_ends_as_its_command_does_or_says_why_not() {
    let scene = scene();
    let plain = scene.world.path("plain-file");
    std::fs::write(&plain, "no program").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let plain = plain.to_str().unwrap();
    for (arguments, code, says) in [
        (vec!["plain", "--", "sh", "-c", "exit 0"], 0, ""),
        (vec!["plain", "--", "sh", "-c", "kill -KILL $$"], 137, ""),
        (vec!["plain", "--", "no-such-command"], 127, "no command `no-such-command`"),
        (vec!["plain", "--", plain], 126, "cannot be executed"),
        (vec!["nowhere", "--", "true"], 3, "`nowhere`"),
        (vec!["gpt", "local", "--", "true"], 2, "--as openai=gpt"),
        (vec!["--", "true"], 2, "`gpt` and `local`"),
        (vec!["plain", "--as", "openai=gpt", "--", "true"], 2, "not among the connections"),
        (vec!["plain", "--for", "2d", "--", "true"], 2, "86,400"),
        (vec!["plain"], 2, "<CMD>"),
    ] {
        let output = scene.cli(&[&["run"], &*arguments].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {said}");
        assert!(said.contains(says) && (!says.is_empty() || said.is_empty()), "{arguments:?} {said}");
    }
    let all = scene.cli(&["run", "--as", "openai=local", "--", "true"]).output().unwrap();
    assert_eq!(all.status.code(), Some(0), "{}", String::from_utf8_lossy(&all.stderr));
    assert_eq!(scene.live_tokens(), 0, "all of them are revoked");
    let mut nobody = scene.cli(&["run", "plain", "--", "true"]);
    assert_eq!(nobody.env_remove("KEYWARD_TOKEN").output().unwrap().status.code(), Some(4));
    let mut nowhere = scene.cli(&["run", "plain", "--", "true"]);
    assert_eq!(nowhere.env("KEYWARD_SERVER", "http://127.0.0.1:9").output().unwrap().status.code(), Some(20));
}

#[test]
fn signals_reach_the_command_and_the_token_is_revoked() {
    let scene = scene();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
    ] {
        let script = format!("trap 'echo got; exit 3' {name}; echo ready; while :; do sleep 0.02; done");
        let mut run = Run::start(scene.run_sh(&["plain"], &script));
        assert_eq!(run.line(), "ready");
        run.signal(signal);
        let (code, out, said) = run.end();
        assert_eq!((code, out.as_str(), said.as_str()), (Some(3), "got\n", ""), "{name}");
    }
    // One that does not catch it.
    let mut run = Run::start(scene.run_sh(&["plain"], "echo ready; exec sleep 60"));
    assert_eq!(run.line(), "ready");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(143));
    assert_eq!(scene.live_tokens(), 0);
}

#[test]
fn what_was_ignored_before_stays_ignored() {
    let scene = scene();
    let keyward = env!("CARGO_BIN_EXE_keyward");
    let mut command = scene.cli(&[]);
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &format!("trap '' HUP; exec {keyward} run plain -- sh -c 'echo ready; read x; exit 5'"),
    ]);
    for (name, value) in command.env("NONE", "").get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let mut run = Run::start(shell);
    assert_eq!(run.line(), "ready");
    run.signal(Signal::HUP);
    assert_eq!(run.end().0, Some(5), "as under nohup");
}

#[test]
fn a_terminals_interrupt_reaches_the_command_once() {
    let scene = scene();
    let counted = scene.world.path("interrupts");
    let inner = scene.world.path("inner.sh");
    let script = format!(
        "trap 'echo one >> {}' INT\necho ready\nwhile [ ! -e {}.stop ]; do sleep 0.02; done\nexit 9\n",
        counted.display(),
        counted.display()
    );
    std::fs::write(&inner, script).unwrap();
    // util-linux's `script` gives it a terminal of its own, whose Ctrl-C is what is typed. `exec`, for not every $SHELL
    // gives way to its last command, and one that stays dies of the interrupt.
    let mut command = scene.cli(&[]);
    let run = format!("exec {} run plain -- sh {}", env!("CARGO_BIN_EXE_keyward"), inner.display());
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-e", "-f", "-c", &run, "/dev/null"]);
    for (name, value) in command.env("NONE", "").get_envs() {
        terminal.env(name, value.unwrap_or_default());
    }
    let mut run = Run::start(terminal);
    assert_eq!(run.line(), "ready");
    let typed = run.stdin.as_mut().unwrap();
    typed.write_all(b"\x03").unwrap();
    typed.flush().unwrap();
    let interrupts = || std::fs::read_to_string(&counted).unwrap_or_default().lines().count();
    until_true("the interrupt", || interrupts() > 0);
    std::fs::write(counted.with_extension("stop"), "").unwrap();
    let status = until("the end of the run", || run.child.try_wait().unwrap());
    assert_eq!((status.code(), interrupts()), (Some(9), 1));
    assert_eq!(scene.live_tokens(), 0);
}

#[test]
fn a_token_that_cannot_be_revoked_is_said() {
    let Scene { world, gateway, token, upstream: _upstream } = scene();
    let mut command = world.command(&["run", "plain", "--", "sh", "-c", "echo ready; read x; exit 4"]);
    command.env("KEYWARD_SERVER", format!("http://{}", gateway.admin)).env("KEYWARD_TOKEN", &token);
    let mut run = Run::start(command);
    assert_eq!(run.line(), "ready");
    gateway.stop();
    let (code, _, said) = run.end();
    assert_eq!(code, Some(4), "the command's own");
    assert!(said.starts_with("warning: the token tok_") && said.contains("holds until"), "{said}");
    assert!(!said.contains("kw_"), "{said}");
}
