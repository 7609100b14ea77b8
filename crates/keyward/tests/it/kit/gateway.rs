//! The real binary with a directory, an issuer and a configuration of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use keyward::demo::Issuer;
use keyward::demo::issuer::Caller as Person;
use keyward_gateway::start::{JOURNAL_KEY, journal_dir};
use keyward_journal::record::{End, Intent, Outcome};
use keyward_journal::{Reader, Record};
use keyward_secrets::MasterKey;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, runtime, until};

const BINARY: &str = env!("CARGO_BIN_EXE_keyward");

/// Everything around a gateway; outlives its restarts.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) issuer: Issuer,
    /// Variables of the gateway's process.
    pub(crate) environment: Vec<(String, String)>,
    /// Lines of the configuration beside the ones that every test needs.
    pub(crate) extra: String,
    pub(crate) connections: String,
    /// Issuers beside the one of every world, as its configuration has them.
    pub(crate) issuers: String,
    /// Address of the data listener.
    pub(crate) data: String,
    /// TLS of the data listener, as its configuration has it after the address.
    pub(crate) tls: String,
}

/// A connection of kind `http` without a credential.
pub(crate) fn http(name: &str, upstream: &str) -> String {
    format!("  - {{name: {name}, kind: http, upstream: '{upstream}'}}\n")
}

/// A connection with a credential out of a variable of the process.
pub(crate) fn keyed(name: &str, kind: &str, upstream: &str, variable: &str) -> String {
    format!(
        "  - {{name: {name}, kind: {kind}, upstream: '{upstream}', credential: {{secret: 'env://{variable}', inject: bearer}}}}\n"
    )
}

impl World {
    /// With these connections and rules.
    pub(crate) fn new(connections: &str, rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let issuer = runtime().block_on(Issuer::start()).unwrap();
        MasterKey::generate_file(&dir.path().join("master.key")).unwrap();
        let world = Self {
            dir,
            issuer,
            environment: Vec::new(),
            extra: String::new(),
            connections: connections.to_owned(),
            issuers: String::new(),
            data: "127.0.0.1:0".to_owned(),
            tls: String::new(),
        };
        world.write_rules(rules);
        world
    }

    #[must_use]
    pub(crate) fn with(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self.extra.push('\n');
        self
    }

    #[must_use]
    pub(crate) fn secret(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn token(&self, person: Person) -> String {
        self.issuer.token(person).unwrap()
    }

    pub(crate) fn alice(&self) -> String {
        self.token(Person::Alice)
    }

    pub(crate) fn olivia(&self) -> String {
        self.token(Person::Olivia)
    }

    pub(crate) fn write_rules(&self, rules: &str) {
        let text =
            format!("apiVersion: keyward/v1\nkind: Policy\nmetadata: {{name: tests}}\nrules:\n{rules}");
        std::fs::write(self.path("policy.yaml"), text).unwrap();
    }

    /// The configuration as it is written at each start.
    pub(crate) fn configuration(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "data_dir: {dir}/data\nmaster_key: file://{dir}/master.key\nlisten:\n  data: {{address: '{}'{}}}\n  admin: \
             {{address: '127.0.0.1:0'}}\nissuers:\n  - {{name: test, url: '{}', audiences: [keyward], algorithms: \
             [ES256]}}\n{}connections:\n{}policies: [policy.yaml]\njournal: {{min_free_bytes: 1MiB}}\nlog: {{level: \
             debug, format: json}}\n{}",
            self.data,
            self.tls,
            self.issuer.url(),
            self.issuers,
            self.connections,
            self.extra
        )
    }

    pub(crate) fn write_configuration(&self) {
        std::fs::write(self.path("keyward.yaml"), self.configuration()).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(self.path("keyward.yaml")).args(arguments);
        command.env_remove("KEYWARD_LOG").envs(self.environment.iter().map(|(name, value)| (name, value)));
        // What the machine's user, or its CI, is signed in to is nothing to a test.
        command.env("XDG_CONFIG_HOME", self.path("config"));
        for name in
            ["KEYWARD_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITLAB_CI"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the gateway, which must come up.
    pub(crate) fn start(&self) -> Gateway {
        self.write_configuration();
        Gateway::start(self.command(&["serve"]))
    }

    /// Starts the gateway, which must not come up: its exit code and what it said.
    pub(crate) fn fails_to_start(&self) -> (i32, String) {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            BufReader::new(stderr).read_to_string(&mut text).unwrap();
            text
        });
        let mut guard = Gateway::guarding(child);
        let status = guard.ended();
        (status.code().unwrap_or(-1), said.join().unwrap())
    }

    /// Everything that the journal holds, also while the gateway writes it.
    pub(crate) fn records(&self) -> Vec<Record> {
        let key = format!("file://{}", self.path("master.key").display()).parse().unwrap();
        let key = MasterKey::load(&key).unwrap().derive(JOURNAL_KEY).unwrap();
        let reader = Reader::open(&journal_dir(&self.path("data")), &key).unwrap();
        let mut records = Vec::new();
        reader
            .records(0, &mut |_, record| {
                records.push(record);
                true
            })
            .unwrap();
        records
    }

    pub(crate) fn intents(&self) -> Vec<Intent> {
        let intent = |record| if let Record::Intent(intent) = record { Some(*intent) } else { None };
        self.records().into_iter().filter_map(intent).collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |record| if let Record::Outcome(outcome) = record { Some(outcome) } else { None };
        self.records().into_iter().filter_map(outcome).collect()
    }

    /// Waits for the outcome of a request that is the only one, or the only one still open.
    pub(crate) fn outcome(&self) -> Outcome {
        until("an outcome in the journal", || {
            let (intents, outcomes) = (self.intents().len(), self.outcomes());
            (intents == outcomes.len()).then(|| outcomes.last().cloned()).flatten()
        })
    }

    pub(crate) fn ends(&self) -> Vec<End> {
        self.outcomes().iter().map(|outcome| outcome.end).collect()
    }

    /// `keyward verify` proves the journal.
    pub(crate) fn verify(&self) {
        let output = self.run(&["verify", "-o", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A gateway's process; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Starts it and waits until it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut gateway = Self::guarding(child);
        let (tell, told) = mpsc::channel();
        let log = Arc::clone(&gateway.log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                let json: Option<Value> = serde_json::from_str(&line).ok();
                if let Some(json) = json.filter(|json| json["message"] == "keyward serves") {
                    _ = tell.send(json);
                }
                log.lock().unwrap().push(line);
            }
        });
        let Ok(said) = told.recv_timeout(PATIENCE) else { panic!("it did not start: {}", gateway.log()) };
        let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
        (gateway.data, gateway.admin) = (address("data"), address("admin"));
        gateway
    }

    fn guarding(child: Child) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { child, data: nowhere, admin: nowhere, log: Arc::default() }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// `kill -9`, and a new process over the same state.
    pub(crate) fn restart(&mut self, world: &World) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = world.start();
    }

    /// SIGTERM, and the end of the process, which must be in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Waits for the process to end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the end of the process", || self.child.try_wait().unwrap())
    }

    /// The resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
