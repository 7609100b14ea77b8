//! The same verdict for every spelling: forbidden operations in thousands of spellings each, and harmless ones that
//! resemble them. All of them through the gateway's reading of a request and the base policy; a part of them as raw bytes
//! through the real binary, whose upstream writes down what arrives.

use http::{HeaderMap, HeaderName, HeaderValue};
use keyward_core::policy::{Facts, NoHeaders, PolicySet, PolicySource, RequestFacts, RequestFindings};
use keyward_core::{
    Connection, ConnectionKind, Principal, PrincipalKind, Timestamp, Upstream as Address, Verdict,
};
use keyward_gateway::edge;
use keyward_gateway::understand::{BodyNeed, body_need, understand};

use crate::kit::{Caller, Upstream, World};

/// Spellings of each operation.
const SPELLINGS: usize = 2000;
/// How many of them go through the real binary.
const SENT: usize = 40;
const JSON: &str = "application/json";

/// A request before it is spelled otherwise.
#[derive(Clone, Copy)]
struct Plain {
    kind: ConnectionKind,
    method: &'static str,
    target: &'static str,
    body: &'static str,
}

const fn of(kind: ConnectionKind, method: &'static str, target: &'static str, body: &'static str) -> Plain {
    Plain { kind, method, target, body }
}

use ConnectionKind::{Anthropic, Gemini, Http, KserveV2, Mlflow, Ollama, OpenAi, Tgi, Vllm};

/// What the base policy lets nobody do alone.
const FORBIDDEN: &[Plain] = &[
    of(Vllm, "POST", "/sleep", "{}"),
    of(Vllm, "POST", "/wake_up", "{}"),
    of(Vllm, "POST", "/collective_rpc", r#"{"method": "x"}"#),
    of(Vllm, "POST", "/v1/load_lora_adapter", r#"{"lora_name": "a", "lora_path": "/x"}"#),
    of(Vllm, "POST", "/v1/unload_lora_adapter", r#"{"lora_name": "a"}"#),
    of(Vllm, "POST", "/update_weights", "{}"),
    of(Vllm, "POST", "/reset_prefix_cache", "{}"),
    of(Vllm, "POST", "/pause", "{}"),
    of(Vllm, "GET", "/server_info", ""),
    of(Ollama, "POST", "/api/pull", r#"{"model": "evil/model"}"#),
    of(Ollama, "POST", "/api/push", r#"{"model": "me/mine"}"#),
    of(Ollama, "DELETE", "/api/delete", r#"{"model": "mine"}"#),
    of(Ollama, "POST", "/api/create", r#"{"model": "a", "from": "b"}"#),
    of(Ollama, "POST", "/api/copy", r#"{"source": "a", "destination": "b"}"#),
    of(KserveV2, "POST", "/v2/repository/models/iris/load", r#"{"parameters": {}}"#),
    of(KserveV2, "POST", "/v2/repository/models/iris/unload", "{}"),
    of(KserveV2, "GET", "/v2/models/iris/config", ""),
    of(KserveV2, "POST", "/v2/systemsharedmemory/region/a/register", r#"{"key": "/x"}"#),
    of(KserveV2, "POST", "/v2/trace/setting", r#"{"trace_file": "/x"}"#),
    of(KserveV2, "POST", "/v2/logging", r#"{"log_file": "/x"}"#),
    of(KserveV2, "POST", "/models?url=https://x/y.mar", ""),
    of(KserveV2, "DELETE", "/models/iris", ""),
    of(Mlflow, "GET", "/api/2.0/mlflow/model-versions/get-download-uri?name=a", ""),
    of(Mlflow, "GET", "/api/2.0/mlflow-artifacts/artifacts/1/model.pt", ""),
    of(Mlflow, "GET", "/org/model/resolve/main/model.safetensors", ""),
    of(Mlflow, "POST", "/api/2.0/mlflow/registered-models/delete", r#"{"name": "a"}"#),
    of(OpenAi, "POST", "/v1/fine_tuning/jobs", r#"{"model": "m", "training_file": "f"}"#),
    of(OpenAi, "DELETE", "/v1/files/file-1", ""),
    of(OpenAi, "GET", "/v1/organization/admin_api_keys", ""),
    of(OpenAi, "GET", "/v1/models/small/weights", ""),
    of(Anthropic, "GET", "/v1/organizations/api_keys", ""),
    of(Gemini, "POST", "/v1beta/tunedModels/mine:transferOwnership", "{}"),
    of(Gemini, "POST", "/v1beta/tunedModels", "{}"),
    of(Http, "GET", "/srv/app/.env", ""),
    of(Http, "GET", "/files/home/me/.aws/credentials", ""),
    of(Http, "POST", "/run", r#"{"argument": "/etc/shadow"}"#),
    of(
        OpenAi,
        "POST",
        "/v1/chat/completions",
        r#"{"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "read", "arguments": "{\"path\": \"/root/.ssh/id_rsa\"}"}}]}]}"#,
    ),
];

/// What engineers do all day.
const HARMLESS: &[Plain] = &[
    of(
        OpenAi,
        "POST",
        "/v1/chat/completions",
        r#"{"model": "m", "messages": [{"role": "user", "content": "WORDS"}]}"#,
    ),
    of(OpenAi, "POST", "/v1/embeddings", r#"{"model": "m", "input": "WORDS"}"#),
    of(OpenAi, "POST", "/v1/responses", r#"{"model": "m", "input": "WORDS"}"#),
    of(OpenAi, "GET", "/v1/models/WORD", ""),
    of(OpenAi, "GET", "/v1/files/WORD/content", ""),
    of(OpenAi, "POST", "/v1/moderations", r#"{"input": "WORDS"}"#),
    of(
        Anthropic,
        "POST",
        "/v1/messages",
        r#"{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "WORDS"}]}"#,
    ),
    of(
        Gemini,
        "POST",
        "/v1beta/models/WORD:generateContent",
        r#"{"contents": [{"parts": [{"text": "WORDS"}]}]}"#,
    ),
    of(Vllm, "POST", "/v1/completions", r#"{"model": "m", "prompt": "WORDS"}"#),
    of(Tgi, "POST", "/generate", r#"{"inputs": "WORDS"}"#),
    of(Ollama, "POST", "/api/chat", r#"{"model": "m", "messages": [{"role": "user", "content": "WORDS"}]}"#),
    of(KserveV2, "POST", "/v2/models/WORD/infer", r#"{"inputs": [{"name": "WORDS", "data": [1]}]}"#),
    of(Mlflow, "GET", "/api/2.0/mlflow/registered-models/get?name=WORD", ""),
    of(Http, "GET", "/docs/WORD", ""),
];

/// Words of harmless requests that look like something else.
const WORDS: &[&str] = &[
    "environment",
    "sleep",
    "wake_up",
    "load",
    "unload",
    "delete",
    "push",
    "pull",
    "config",
    "admin",
    "weights-and-biases",
    "my.envoy",
    "credentials-of-a-play",
    "passwd",
    "shadow-puppet",
    "id_rsa_explained",
    "organization",
    "resolve",
    "safetensors",
    "fine_tuning",
    "models",
    "lora",
    "dotenv",
    "etc",
    "proc",
    "root",
    "ssh",
    "aws",
    "kube",
    "rm",
    "select",
    "drop",
];

/// Deterministic: the same spellings in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

/// A request as it is sent.
struct Spelled {
    method: String,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

fn spelled(plain: &Plain, dice: &mut Dice) -> Spelled {
    let (path, query) = plain.target.split_once('?').unwrap_or((plain.target, ""));
    let mut path = path.to_owned();
    for _ in 0..dice.roll(4) {
        path = respelled(&path, dice);
    }
    let mut target = path;
    if !query.is_empty() {
        target = format!("{target}?{query}");
    }
    match dice.roll(6) {
        0 => target.push_str(if query.is_empty() { "?a=b" } else { "&a=b" }),
        1 if query.is_empty() => target.push('?'),
        2 => target = format!("http://h{target}"),
        _ => {}
    }
    let method = match dice.roll(8) {
        0 => plain.method.to_ascii_lowercase(),
        1 if plain.method == "GET" => "HEAD".to_owned(),
        _ => plain.method.to_owned(),
    };
    let mut body = plain.body.to_owned();
    for _ in 0..dice.roll(3) {
        body = reworded(&body, dice);
    }
    let mut kinds =
        vec![JSON, JSON, "Application/JSON", "application/json; charset=utf-8", "text/plain", "text/html"];
    if plain.kind != Http {
        // Of other endpoints these pass unread, as documented.
        kinds.extend([
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "multipart/form-data; boundary=x",
        ]);
    }
    let content_type = (!body.is_empty() && dice.roll(20) > 0).then(|| dice.pick(&kinds).to_owned());
    Spelled { method, target, content_type, body: body.into_bytes() }
}

/// One change to a path by which some server reads the same path.
fn respelled(path: &str, dice: &mut Dice) -> String {
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    if slashes.is_empty() {
        return path.to_owned();
    }
    let slash = slashes[dice.roll(slashes.len())];
    let letters: Vec<usize> =
        path.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let letter = letters[dice.roll(letters.len())];
    let byte = path.as_bytes()[letter];
    let instead = |at: usize, with: &str| format!("{}{with}{}", &path[..at], &path[at + 1..]);
    match dice.roll(16) {
        0 => {
            instead(letter, &char::from(byte ^ if byte.is_ascii_alphabetic() { 0x20 } else { 0 }).to_string())
        }
        1 => path.to_ascii_uppercase(),
        2 => instead(letter, &format!("%{byte:02x}")),
        3 => instead(letter, &format!("%25{byte:02X}")),
        4 => instead(slash, "//"),
        5 => instead(slash, "/./"),
        6 => instead(slash, "/x/../"),
        7 => instead(slash, "/%2e%2e/x/"),
        8 => instead(slash, dice.pick(&["%2f", "%2F", "\\", "%5c", "%252f", "/;/", "/..;/"])),
        9 => format!("{path}/"),
        10 => format!(
            "{path}{}",
            dice.pick(&[";a=b", ";", "%3b", "%00", "%20", "%09", ".", "..", "%23", "%3f", "#", "/."])
        ),
        11 => format!("{}{path}", dice.pick(&["/v1", "/V1", "/v2", "/v1/v1", "/v1beta", "/api", "/."])),
        12 => path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned(),
        13 => instead(slash, &format!("/{}", dice.pick(&["%c0%af", "\u{2215}", "\u{ff0f}", "%e2%88%95"]))),
        14 => instead(letter, &format!("%{byte:02X}")),
        _ => path.to_owned(),
    }
}

/// One change to a JSON body by which some parser reads the same.
fn reworded(body: &str, dice: &mut Dice) -> String {
    if !body.starts_with('{') {
        return body.to_owned();
    }
    let letters: Vec<usize> =
        body.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()).map(|(at, _)| at).collect();
    match dice.roll(9) {
        0 if !letters.is_empty() => {
            let at = letters[dice.roll(letters.len())];
            // Not within an escape.
            if body[..at].ends_with('\\') {
                return body.to_owned();
            }
            format!("{}\\u{:04x}{}", &body[..at], body.as_bytes()[at], &body[at + 1..])
        }
        1 => body.replace(": ", " \t:\n"),
        2 => format!("  \r\n{body}\n"),
        3 => body.replacen('{', "{\"model\": \"fine\", ", 1),
        4 => body.replacen('{', "{\"x\": {\"y\": [[[1]]]}, ", 1),
        5 => format!("\u{feff}{body}"),
        6 => body.replace('/', "\\/"),
        7 => format!("{body}{{}}"),
        _ => body.to_owned(),
    }
}

/// The verdict over a request, or none where it is refused before anybody is asked.
fn verdict(policy: &PolicySet, kind: ConnectionKind, request: &Spelled) -> Option<Verdict> {
    let mut built =
        http::Request::builder().method(&*request.method).uri(&*request.target).header("host", "h");
    if let Some(kind) = &request.content_type {
        built = built.header("content-type", kind);
    }
    built = built.header("content-length", request.body.len());
    let (parts, ()) = built.body(()).ok()?.into_parts();
    let head = edge::read(&parts).ok()?;
    let need = body_need(kind, &parts.method, &head.path, &parts.headers);
    let body = (need != BodyNeed::None).then_some(&*request.body);
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        headers.insert::<HeaderName>(name.clone(), HeaderValue::clone(value));
    }
    let operation = understand(kind, parts.method.as_str(), &head.path, &head.query, &headers, body).ok()?;
    let principal = Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        kind: PrincipalKind::User,
        groups: vec!["eng".into(), "model-owners".into()],
        name: None,
        acting_for: Vec::new(),
    };
    let connection = Connection {
        name: "models".into(),
        kind,
        upstream: Address { https: true, host: "models.example".into(), port: 443, base_path: "".into() },
        tags: [("readers".to_owned(), "eng".to_owned()), ("writers".to_owned(), "eng".to_owned())].into(),
        owners: Vec::new(),
    };
    let findings = RequestFindings::default();
    let facts = Facts {
        principal: &principal,
        connection: &connection,
        operation: &operation,
        request: RequestFacts { headers: &NoHeaders, peer: None, findings: Some(&findings), risk: None },
        now: Timestamp::from_micros(1_767_787_200_000_000),
    };
    Some(policy.decide(&facts).verdict)
}

fn base() -> PolicySet {
    PolicySet::load(&[PolicySource::base()], &["credentials"]).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[test]
fn no_spelling_of_a_forbidden_operation_is_allowed() {
    let policy = base();
    assert!(FORBIDDEN.len() >= 30);
    for (number, plain) in FORBIDDEN.iter().enumerate() {
        let mut dice = Dice(0x9e37_79b9 + number as u64);
        let mut refused = 0;
        for _ in 0..SPELLINGS {
            let request = spelled(plain, &mut dice);
            let verdict = verdict(&policy, plain.kind, &request);
            refused += usize::from(verdict.is_none());
            assert_ne!(
                verdict,
                Some(Verdict::Allow),
                "{:?} {} {} {:?} {}",
                plain.kind,
                request.method,
                request.target,
                request.content_type,
                String::from_utf8_lossy(&request.body)
            );
        }
        assert!(
            refused < SPELLINGS,
            "{} {}: every spelling is refused before it is judged",
            plain.method,
            plain.target
        );
    }
}

#[test]
fn harmless_operations_that_resemble_them_are_allowed() {
    let policy = base();
    for (number, plain) in HARMLESS.iter().enumerate() {
        let mut dice = Dice(0x51ed_270b + number as u64);
        for _ in 0..SPELLINGS {
            let word = format!("{}-{}", dice.pick(WORDS), dice.roll(1000));
            let words: Vec<&str> = (0..=dice.roll(8)).map(|_| dice.pick(WORDS)).collect();
            let request = Spelled {
                method: plain.method.to_owned(),
                target: plain.target.replace("WORD", &word),
                content_type: (!plain.body.is_empty()).then(|| JSON.to_owned()),
                body: plain
                    .body
                    .replace("WORDS", &words.join(dice.pick(&[" ", ", ", " / ", "\\n"])))
                    .into_bytes(),
            };
            assert_eq!(
                verdict(&policy, plain.kind, &request),
                Some(Verdict::Allow),
                "{:?} {} {}",
                plain.kind,
                request.target,
                String::from_utf8_lossy(&request.body)
            );
        }
    }
}

#[test]
fn no_spelling_reaches_the_upstream_of_the_real_binary() {
    let upstream = Upstream::saying(crate::kit::reply("200 OK", &[], "reached"));
    let connections: String = ConnectionKind::ALL
        .iter()
        .map(|kind| {
            format!(
                "  - {{name: {kind}, kind: {kind}, upstream: '{}', credential: {{secret: 'env://KEY', inject: bearer}}, tags: {{readers: eng, writers: eng}}}}\n",
                upstream.url(),
                kind = kind.as_str()
            )
        })
        .collect::<Vec<_>>()
        .concat();
    // The base policy, with what waits for a human blocked, so that nobody waits.
    let base = PolicySource::base().text;
    let rules = base.split_once("rules:\n").unwrap().1.split_once("\ntests:").unwrap().0;
    let blocked: Vec<String> = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with("approval:"))
        .map(|line| line.replace("effect: approve", "effect: block") + "\n")
        .collect();
    let world = World::new(&connections, &blocked.concat())
        .secret("KEY", concat!("spelling-", "credential-0123456789"));
    let gateway = world.start();
    let token = world.alice();
    for (number, plain) in FORBIDDEN.iter().enumerate() {
        let mut dice = Dice(0x2545_f491 + number as u64);
        let mut caller = Caller::connect(gateway.data);
        for _ in 0..SENT {
            let request = spelled(plain, &mut dice);
            let target = request.target.strip_prefix("http://h").unwrap_or(&request.target);
            let mut bytes =
                format!("{} /{}{target} HTTP/1.1\r\nHost: h\r\n", request.method, plain.kind.as_str())
                    .into_bytes();
            bytes.extend(format!("Authorization: Bearer {token}\r\n").as_bytes());
            if let Some(kind) = &request.content_type {
                bytes.extend(format!("Content-Type: {kind}\r\n").as_bytes());
            }
            bytes.extend(format!("Content-Length: {}\r\n\r\n", request.body.len()).as_bytes());
            bytes.extend(&request.body);
            if !caller.line.write(&bytes) {
                caller = Caller::connect(gateway.data);
                caller.send(&bytes);
            }
            let status = caller.answer_to(&request.method.to_ascii_uppercase()).map(|answer| answer.status);
            if status.is_none() {
                caller = Caller::connect(gateway.data);
            }
            assert!(
                upstream.seen().is_empty(),
                "{} {} {:?} reached the upstream ({status:?})",
                request.method,
                request.target,
                String::from_utf8_lossy(&request.body)
            );
        }
    }
    assert!(upstream.saw_nothing());
    // The same way is open for what is allowed.
    let mut caller = Caller::connect(gateway.data);
    caller.send(crate::kit::request(
        "POST",
        "/openai/v1/embeddings",
        &token,
        &[("Content-Type", JSON)],
        br#"{"model": "m", "input": "x"}"#,
    ));
    assert_eq!(caller.answer().text(), "reached");
}
