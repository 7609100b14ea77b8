//! `keyward login` and `keyward logout`: with a browser and by a device's code, against the demo's issuer and against a
//! real provider (npm's `oidc-provider`); what is kept, who may read it, and how it is renewed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use serde_json::{Value, json};

use crate::kit::{ALLOW, Answer, Gateway, Upstream, World, get, http, reply, until, until_true};
use crate::signing_in::{apart, raw};

struct Scene {
    _upstream: Upstream,
    world: World,
    gateway: Gateway,
}

impl Scene {
    fn of(world: impl FnOnce(&str) -> World) -> Self {
        let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "text/plain")], b"hello"));
        let world = world(&upstream.url());
        let gateway = world.start();
        Self { _upstream: upstream, world, gateway }
    }

    /// Vouched for by the demo's issuer.
    fn demo() -> Self {
        let sign_in = "sign_in: {issuer: test, client_id: keyward-ui, cli: {client_id: keyward-cli}}";
        Self::of(|upstream| World::new(&http("plain", upstream), ALLOW).with(sign_in))
    }

    fn server(&self) -> String {
        format!("http://{}", self.gateway.admin)
    }

    fn file(&self) -> PathBuf {
        self.world.path("config/keyward/credentials.json")
    }

    fn kept(&self) -> Value {
        let text = std::fs::read_to_string(self.file()).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["servers"][self.server()].clone()
    }

    /// A command of somebody who has signed in, or not, and says no token.
    fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.env("KEYWARD_SERVER", self.server());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(self.cli(arguments).output().unwrap())
    }

    fn whoami(&self) -> Value {
        let (code, out, said) = self.run(&["whoami", "-o", "json"]);
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&out).unwrap()
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A `keyward login` under way.
struct Login {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Drop for Login {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Login {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// The first of its lines that this finds something in.
    fn find(&mut self, find: impl Fn(&str) -> Option<String>) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some(found) = find(line.trim()) {
                return found;
            }
        }
    }

    /// Where it sends the browser.
    fn url(&mut self) -> String {
        self.find(|line| line.starts_with("http://").then(|| line.to_owned()))
    }

    fn end(mut self) -> (i32, String, String) {
        let status = until("the end of the login", || self.child.try_wait().unwrap());
        let (mut out, mut said) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.said.read_to_string(&mut said).unwrap();
        (status.code().unwrap_or(-1), out, said)
    }
}

/// A browser that keeps cookies and follows where it is led, up to an address of somebody else's.
struct Browser {
    jar: Vec<(String, String)>,
}

impl Browser {
    fn ask(&mut self, method: &str, url: &str, body: &str) -> Answer {
        let (address, path) = apart(url);
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = raw(address, method, &path, &headers, body.as_bytes());
        for line in answer.all("set-cookie") {
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap().to_owned();
            self.jar.retain(|(known, _)| known != name);
            self.jar.push((name.to_owned(), value));
        }
        answer
    }

    /// Follows redirects within one host: the first answer that is none, or leads away, and its address.
    fn follow(&mut self, mut answer: Answer, from: &str) -> (Answer, String) {
        let origin = |url: &str| apart(url).0;
        let mut at = from.to_owned();
        while matches!(answer.status, 302 | 303) {
            let to = answer.header("location").to_owned();
            let to = if to.starts_with('/') { format!("http://{}{to}", origin(&at)) } else { to };
            if origin(&to) != origin(&at) {
                return (answer, to);
            }
            answer = self.ask("GET", &to, "");
            at = to;
        }
        (answer, at)
    }
}

#[test]
fn somebody_signs_in_with_a_browser_and_out() {
    let scene = Scene::demo();
    let (code, _, said) = scene.run(&["whoami"]);
    assert!(code == 4 && said.contains("`keyward login`"), "{code} {said}");
    let mut login = Login::start(scene.cli(&["login", "--no-browser"]));
    let url = login.url();
    assert!(url.contains("code_challenge_method=S256") && !url.contains("verifier"), "{url}");
    let mut browser = Browser { jar: Vec::new() };
    let given = browser.ask("GET", &format!("{url}&as=alice"), "");
    let back = given.header("location").to_owned();
    let (address, path) = apart(&back);
    assert!(address.ip().is_loopback() && path.starts_with("/callback?"), "{back}");
    // What is not the answer to this attempt changes nothing.
    assert_eq!(raw(address, "GET", "/callback", &[], b"").status, 400);
    assert_eq!(raw(address, "GET", "/callback?code=x&state=y", &[], b"").status, 400);
    assert_eq!(raw(address, "GET", "/", &[], b"").status, 404);
    let page = raw(address, "GET", &path, &[], b"");
    assert!(page.status == 200 && page.text().contains("close this window"), "{page:?}");
    let (code, out, said) = login.end();
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(out.starts_with("signed in as Alice Engineer"), "{out}");
    assert!(TcpStream::connect(address).is_err(), "the port is closed");

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&scene.file()), mode(scene.file().parent().unwrap())), (0o600, 0o700));
    let whoami = scene.whoami();
    assert_eq!(whoami["principal"]["subject"], "alice");
    assert!(whoami["token_from"].as_str().unwrap().starts_with("keyward login"), "{whoami}");
    let (code, token, _) = scene.run(&["token", "plain"]);
    assert_eq!((code, get(scene.gateway.data, "/plain/x", token.trim()).status), (0, 200));
    let mut other = scene.cli(&["whoami", "-o", "json"]);
    let (_, out, _) = told(other.env("KEYWARD_TOKEN", scene.world.olivia()).output().unwrap());
    let other: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&other["principal"]["subject"], &other["token_from"]),
        (&json!("olivia"), &json!("KEYWARD_TOKEN"))
    );

    std::fs::set_permissions(scene.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, said) = scene.run(&["whoami"]);
    assert!(code == 1 && said.contains("chmod 600"), "{code} {said}");
    std::fs::set_permissions(scene.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, _, said) = scene.run(&["logout"]);
    assert!(code == 0 && said.contains("revokes nothing"), "the demo's issuer cannot: {code} {said}");
    assert_eq!((scene.run(&["whoami"]).0, scene.run(&["logout"]).0), (4, 3));
}

#[test]
fn catalogue_23_another_answer_signs_nobody_in() {
    let scene = Scene::demo();
    for (answer, says) in [
        ("error=access_denied", "access_denied"),
        ("code=x&iss=https%3A%2F%2Fevil.example", "another identity provider"),
        ("code=guessed", "invalid_grant"),
        ("code=", "no code"),
    ] {
        let mut login = Login::start(scene.cli(&["login", "--no-browser"]));
        let url = login.url();
        let part = |name: &str| {
            let value = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap();
            value.replace("%3A", ":").replace("%2F", "/")
        };
        let (address, _) = apart(&part("redirect_uri="));
        let page = raw(address, "GET", &format!("/callback?{answer}&state={}", part("state=")), &[], b"");
        assert!(matches!(page.status, 200 | 403), "{page:?}");
        let (code, _, said) = login.end();
        assert!(code == 4 && said.contains(says), "{answer}: {code} {said}");
        assert!(!scene.file().exists(), "{answer}");
    }
}

#[test]
fn a_browser_is_opened_with_the_address_alone() {
    let scene = Scene::demo();
    let (browser, opened) = (scene.world.path("browser"), scene.world.path("opened"));
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$1\" \"$KEYWARD_TOKEN\" > {0}.new\nmv {0}.new {0}\n",
        opened.display()
    );
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = scene.cli(&["login"]);
    command.env("BROWSER", &browser).env("KEYWARD_TOKEN", "not-for-browsers");
    let mut login = Login::start(command);
    let url = login.url();
    until_true("the browser", || opened.exists());
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), format!("1\n{url}\n\n"));
    let mut browser = Browser { jar: Vec::new() };
    let given = browser.ask("GET", &format!("{url}&as=olivia"), "");
    let (address, path) = apart(given.header("location"));
    assert_eq!(raw(address, "GET", &path, &[], b"").status, 200);
    let (code, _, said) = login.end();
    assert!(code == 0 && said.contains("goes before"), "{code} {said}");
}

#[test]
fn where_nobody_can_sign_in_that_is_said() {
    let scene = Scene::of(|upstream| World::new(&http("plain", upstream), ALLOW));
    let (code, _, said) = scene.run(&["login"]);
    assert!(code == 3 && said.contains("`sign_in.cli`"), "{code} {said}");
    let demo = Scene::demo();
    let (code, _, said) = demo.run(&["login", "--device"]);
    assert!(code == 1 && said.contains("keyward login"), "the demo's issuer gives no codes: {code} {said}");
    let (code, _, said) = demo.run(&["login", "--server", "http://127.0.0.1:9"]);
    assert_eq!(code, 20, "{said}");
}

/// The real provider's process; it ends when its input does.
struct Provider {
    child: Child,
    issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Provider {
    /// None where it is not installed and need not be.
    fn start() -> Option<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oidc");
        if !directory.join("node_modules/oidc-provider").is_dir() {
            let required = std::env::var("CI").is_ok_and(|value| !value.is_empty());
            assert!(
                !required,
                "CI is set, but the OpenID Provider is not installed: run tests/oidc/install.sh"
            );
            eprintln!("SKIPPED: the OpenID Provider is not installed: run tests/oidc/install.sh");
            return None;
        }
        let mut node = Command::new("node");
        node.arg("server.mjs").current_dir(directory).stdin(Stdio::piped());
        let mut child = node.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        // It goes on to talk, and would end where nobody listens.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let hello: Value = serde_json::from_str(&line).unwrap();
        Some(Self { child, issuer: hello["issuer"].as_str().unwrap().to_owned() })
    }

    /// A gateway that believes it.
    fn scene(&self) -> Scene {
        let issuer = &self.issuer;
        Scene::of(|upstream| {
            let sign_in = "sign_in: {issuer: real, client_id: keyward-ui, cli: {client_id: keyward-cli, scopes: [openid, \
                           offline_access, infer], resource: 'urn:keyward:es256'}}";
            let mut world = World::new(&http("plain", upstream), ALLOW).with(sign_in);
            world.issuers = format!("  - {{name: real, url: '{issuer}', audiences: ['urn:keyward']}}\n");
            world
        })
    }

    fn post(&self, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        raw(apart(&format!("{}/", self.issuer)).0, "POST", path, &headers, form.as_bytes())
    }
}

/// The value of a hidden field in a page.
fn hidden(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_real_provider_signs_in_renews_and_revokes() {
    let Some(provider) = Provider::start() else { return };
    let scene = provider.scene();
    let mut login = Login::start(scene.cli(&["login", "--no-browser"]));
    let url = login.url();
    assert!(url.contains("&prompt=consent"), "{url}");
    let mut browser = Browser { jar: Vec::new() };
    let begun = browser.ask("GET", &url, "");
    let (_, back) = browser.follow(begun, &url);
    let (address, path) = apart(&back);
    assert_eq!(raw(address, "GET", &path, &[], b"").status, 200);
    let (code, out, said) = login.end();
    assert_eq!(code, 0, "{said}");
    assert!(out.contains("alice"), "{out}");
    let first = scene.kept();
    assert!(first["expires_at"].is_i64() && first["refresh_token"].is_string(), "{}", first["expires_at"]);
    assert_eq!(scene.whoami()["principal"]["groups"], json!(["eng"]));

    // It has ended: several commands at once renew it, once, as a refresh token is good for one use.
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(scene.file()).unwrap()).unwrap();
    file["servers"][scene.server()]["expires_at"] = json!(1);
    std::fs::write(scene.file(), file.to_string()).unwrap();
    let mut commands: Vec<Child> = Vec::new();
    for _ in 0..4 {
        let mut command = scene.cli(&["whoami"]);
        commands.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    }
    for command in commands {
        let (code, _, said) = told(command.wait_with_output().unwrap());
        assert_eq!((code, said.as_str()), (0, ""));
    }
    let second = scene.kept();
    assert_ne!(first["access_token"], second["access_token"]);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let mode = std::fs::metadata(scene.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (code, _, said) = scene.run(&["logout"]);
    assert_eq!((code, said.as_str()), (0, ""), "revoked, and nothing to warn of");
    let refresh = second["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&client_id=keyward-cli");
    assert_eq!(provider.post("/token", &form).status, 400, "a copy of it is worth nothing");
}

#[test]
fn a_real_provider_signs_in_by_a_devices_code() {
    let Some(provider) = Provider::start() else { return };
    let scene = provider.scene();
    let mut login = Login::start(scene.cli(&["login", "--device"]));
    let url = login.find(|line| line.strip_prefix("or open ").map(str::to_owned));
    let mut phone = Browser { jar: Vec::new() };
    let page = phone.ask("GET", &url, "").text();
    let form = format!("xsrf={}&user_code={}", hidden(&page, "xsrf"), hidden(&page, "user_code"));
    let device = url.split('?').next().unwrap().to_owned();
    let confirmed = phone.ask("POST", &device, &format!("{form}&confirm=yes"));
    let (done, _) = phone.follow(confirmed, &device);
    assert!(done.status == 200 && done.text().contains("Success"), "{done:?}");
    let (code, out, said) = login.end();
    assert!(code == 0 && out.contains("alice"), "{code} {said}");
    assert!(scene.whoami()["token_from"].as_str().unwrap().contains("credentials.json"));
    // A refresh token that the provider does not know any more.
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(scene.file()).unwrap()).unwrap();
    file["servers"][scene.server()]["expires_at"] = json!(1);
    file["servers"][scene.server()]["refresh_token"] = json!("unknown");
    std::fs::write(scene.file(), file.to_string()).unwrap();
    let (code, _, said) = scene.run(&["whoami"]);
    assert!(code == 4 && said.contains("has ended") && said.contains("`keyward login`"), "{code} {said}");
}

#[test]
fn somebody_who_refuses_on_the_device_is_not_signed_in() {
    let Some(provider) = Provider::start() else { return };
    let scene = provider.scene();
    let mut login = Login::start(scene.cli(&["login", "--device"]));
    let url = login.find(|line| line.strip_prefix("or open ").map(str::to_owned));
    let mut phone = Browser { jar: Vec::new() };
    let page = phone.ask("GET", &url, "").text();
    let form = format!("xsrf={}&user_code={}&abort=yes", hidden(&page, "xsrf"), hidden(&page, "user_code"));
    phone.ask("POST", url.split('?').next().unwrap(), &form);
    let (code, _, said) = login.end();
    assert!(code == 4 && said.contains("access_denied"), "{code} {said}");
    assert!(!scene.file().exists());
}

/// A provider of this test's own, as the real one never says that it is asked too often. Its token is the demo's.
#[test]
fn a_provider_that_is_asked_too_often_is_asked_less() {
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let (token, times): (Arc<OnceLock<String>>, _) = (Arc::default(), Arc::clone(&asked));
    let given = Arc::clone(&token);
    let provider = Upstream::answering(move |seen| {
        let url = format!("http://{}", seen.all("host")[0]);
        let (status, body) = if seen.line.starts_with("GET /.well-known/openid-configuration") {
            let endpoint = |path: &str| format!("{url}/{path}");
            let document = json!({"issuer": url, "jwks_uri": endpoint("jwks"), "token_endpoint": endpoint("token"), "device_authorization_endpoint": endpoint("device")});
            ("200 OK", document)
        } else if seen.line.starts_with("POST /device") {
            let begun = json!({"device_code": "d", "user_code": "U", "verification_uri": url, "expires_in": 60, "interval": 1});
            ("200 OK", begun)
        } else {
            let mut times = times.lock().unwrap();
            times.push(Instant::now());
            match times.len() {
                1 => ("400 Bad Request", json!({"error": "authorization_pending"})),
                2 => ("400 Bad Request", json!({"error": "slow_down"})),
                _ => ("200 OK", json!({"access_token": given.get().unwrap(), "token_type": "Bearer"})),
            }
        };
        reply(status, &[("content-type", "application/json")], body.to_string())
    });
    let scene = Scene::of(|upstream| {
        let sign_in = "sign_in: {issuer: fake, client_id: ui, cli: {client_id: cli}}";
        let mut world = World::new(&http("plain", upstream), ALLOW).with(sign_in);
        world.issuers = format!("  - {{name: fake, url: '{}', audiences: [keyward]}}\n", provider.url());
        world
    });
    token.set(scene.world.alice()).unwrap();
    let (code, out, said) = scene.run(&["login", "--device"]);
    assert!(code == 0 && out.contains("Alice"), "{code} {said}");
    let asked = asked.lock().unwrap();
    let pauses: Vec<u64> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert!(pauses.len() == 2 && pauses[0] >= 1 && pauses[1] >= 6, "{pauses:?}");
}
