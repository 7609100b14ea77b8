//! HTTP/1.1 and HTTP/2 towards callers and upstreams, and which upstream connections are shared.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;

use crate::kit::modern::{Certificate, ModernUpstream, h2, over_tls, whole};
use crate::kit::{ALLOW, Caller, Seen, Upstream, World, get, http, keyed, reply, request, runtime};

fn posted(uri: &str, token: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(uri).header("authorization", format!("Bearer {token}"));
    request.body(Full::new(body.into())).unwrap()
}

fn echo(seen: &Seen) -> Vec<u8> {
    reply("200 OK", &[("content-type", "application/octet-stream")], &seen.body)
}

#[test]
fn callers_may_speak_h2_on_a_plain_listener() {
    let upstream = Upstream::answering(echo);
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    runtime().block_on(async {
        let sender = h2(gateway.data).await;
        let calls: Vec<_> = (0..50)
            .map(|number| {
                let mut sender = sender.clone();
                let request = posted("http://gateway/plain/x", &token, vec![b'0' + number % 10; 1000]);
                tokio::spawn(async move {
                    let response = sender.send_request(request).await.unwrap();
                    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
                    assert_eq!(whole(response.into_body()).await.unwrap(), vec![b'0' + number % 10; 1000]);
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    });
    let seen = upstream.seen();
    assert_eq!(seen.len(), 50);
    for seen in &seen {
        assert_eq!(seen.line, "POST /x HTTP/1.1");
        assert_eq!(seen.all("content-length"), ["1000"]);
        assert!(seen.all("transfer-encoding").is_empty());
        assert_eq!(seen.all("host"), [upstream.address.to_string()]);
    }
    // 49: an empty body stays empty.
    runtime().block_on(async {
        let response =
            h2(gateway.data).await.send_request(posted("http://gateway/plain/x", &token, "")).await;
        assert_eq!(response.unwrap().status(), 200);
    });
    let last = upstream.seen().pop().unwrap();
    assert!(last.body.is_empty() && last.all("transfer-encoding").is_empty(), "{last:?}");
}

#[test]
fn callers_negotiate_their_version_over_tls() {
    let upstream = Upstream::answering(echo);
    let certificate = Certificate::new();
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    std::fs::write(world.path("cert.pem"), &certificate.certificate).unwrap();
    std::fs::write(world.path("key.pem"), &certificate.key).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.path("key.pem"), mode).unwrap();
    let dir = world.dir.path().display().to_string();
    let mut world = world;
    world.tls = format!(", tls: {{certificate: {dir}/cert.pem, key: 'file://{dir}/key.pem'}}");
    let gateway = world.start();
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let token = world.alice();
        let uri = if version == Version::HTTP_2 { "https://localhost/plain/x" } else { "/plain/x" };
        let mut request = posted(uri, &token, "hello");
        if version == Version::HTTP_11 {
            request.headers_mut().insert("host", "localhost".parse().unwrap());
        }
        let response = runtime().block_on(over_tls(gateway.data, &certificate, protocols, request));
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        assert_eq!(runtime().block_on(whole(response.into_body())).unwrap(), "hello");
    }
}

#[test]
fn upstreams_may_speak_h2_by_agreement_or_by_prior_knowledge() {
    let certificate = Certificate::new();
    let both = ModernUpstream::start(Some((&certificate, &["h2", "http/1.1"])));
    let old = ModernUpstream::start(Some((&certificate, &["http/1.1"])));
    let plain = ModernUpstream::start(None);
    let other = Certificate::new();
    let connection = |name: &str, scheme: &str, port: u16, more: &str| {
        format!("  - {{name: {name}, kind: http, upstream: '{scheme}://localhost:{port}'{more}}}\n")
    };
    let both_port = both.address.port();
    let connections = [
        connection("agreed", "https", both_port, ", ca: ca.pem"),
        connection("never", "https", both_port, ", ca: ca.pem, h2: never"),
        connection("old", "https", old.address.port(), ", ca: ca.pem"),
        connection("known", "http", plain.address.port(), ", h2: prior-knowledge"),
        connection("plain", "http", plain.address.port(), ""),
        connection("foreign", "https", both_port, ", ca: other.pem"),
    ];
    let world = World::new(&connections.concat(), ALLOW);
    std::fs::write(world.path("ca.pem"), &certificate.certificate).unwrap();
    std::fs::write(world.path("other.pem"), &other.certificate).unwrap();
    let gateway = world.start();
    let token = world.alice();
    for (name, upstream, version) in [
        ("agreed", &both, Version::HTTP_2),
        ("never", &both, Version::HTTP_11),
        ("old", &old, Version::HTTP_11),
        ("known", &plain, Version::HTTP_2),
        ("plain", &plain, Version::HTTP_11),
    ] {
        let body = vec![b'x'; 100_000];
        let mut caller = Caller::connect(gateway.data);
        caller.send(request("POST", &format!("/{name}/x"), &token, &[], &body));
        let answer = caller.answer();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.body, body);
        let got = upstream.got().pop().unwrap();
        assert_eq!(got.version, version, "{name}");
        // Where the version is agreed on while connecting, `host` stands beside `:authority`, with the same value.
        let host = got.headers.get("host").map(|host| host.to_str().unwrap().to_owned());
        let expected = format!("localhost:{}", upstream.address.port());
        assert!(host.as_ref().is_none_or(|host| *host == expected) && (host.is_some() || name == "known"));
    }
    // 153: a certificate of nobody that is trusted: nothing is sent, and the caller learns no detail.
    let before = both.got().len();
    let answer = get(gateway.data, "/foreign/x", &token);
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
    assert!(
        !answer.text().contains("localhost") && !answer.text().contains("certificate"),
        "{}",
        answer.text()
    );
    assert_eq!(both.got().len(), before);
}

#[test]
fn one_upstream_connection_serves_many_calls() {
    let upstream = Upstream::answering(echo);
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    let gateway = world.start();
    let token = world.alice();
    let mut caller = Caller::connect(gateway.data);
    for number in 0..20 {
        caller.send(request("POST", "/plain/x", &token, &[], format!("{number}").as_bytes()));
        assert_eq!(caller.answer().text(), number.to_string());
    }
    assert_eq!(get(gateway.data, "/plain/x", &token).status, 200);
    assert_eq!((upstream.seen().len(), upstream.connections()), (21, 1));
}

#[test]
fn catalogue_54_144_no_upstream_connection_serves_two_credentials() {
    const CONNECTIONS: usize = 4;
    const CALLERS: usize = 8;
    const CALLS: usize = 40;
    let upstream = Upstream::answering(|seen| {
        let credential = seen.all("authorization").concat();
        reply(
            "200 OK",
            &[("set-cookie", "upstream=state"), ("x-length", &credential.len().to_string())],
            "ok",
        )
    });
    let name = |number: usize| format!("c{number}");
    let key = |number: usize| format!("credential-{number}-{}", "kq7v".repeat(3 + number));
    let connections: String =
        (0..CONNECTIONS).map(|n| keyed(&name(n), "http", &upstream.url(), &format!("KEY{n}"))).collect();
    let mut world = World::new(&connections, ALLOW);
    for number in 0..CONNECTIONS {
        world.environment.push((format!("KEY{number}"), key(number)));
    }
    let gateway = world.start();
    let tokens = [world.alice(), world.olivia()];
    std::thread::scope(|scope| {
        for caller_number in 0..CALLERS {
            let (tokens, data) = (&tokens, gateway.data);
            scope.spawn(move || {
                let mut caller = Caller::connect(data);
                for call in 0..CALLS {
                    let connection = (caller_number * 7 + call * 3) % CONNECTIONS;
                    let path = format!("/{}/{connection}", name(connection));
                    caller.send(request("GET", &path, &tokens[(caller_number + call) % 2], &[], b""));
                    let answer = caller.answer();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert_eq!(
                        answer.header("x-length"),
                        format!("Bearer {}", key(connection)).len().to_string()
                    );
                }
            });
        }
    });
    let seen = upstream.seen();
    assert_eq!(seen.len(), CALLERS * CALLS);
    let mut credentials: HashMap<usize, HashSet<String>> = HashMap::new();
    for seen in &seen {
        let number: usize = seen.line.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        assert_eq!(seen.all("authorization"), [format!("Bearer {}", key(number))]);
        credentials.entry(seen.connection).or_default().insert(seen.all("authorization").concat());
    }
    assert!(credentials.values().all(|credentials| credentials.len() == 1));
    // Connections are reused all the same.
    assert!(upstream.connections() <= CALLERS * CONNECTIONS, "{}", upstream.connections());
}

#[test]
fn catalogue_148_a_refused_version_is_replaced_once_and_on_a_connection_of_its_own() {
    let (first, second) = (concat!("rotated-", "first-0123456789"), concat!("rotated-", "second-9876543210"));
    let accepted = std::sync::Arc::new(std::sync::Mutex::new(first));
    let current = std::sync::Arc::clone(&accepted);
    let upstream = Upstream::answering(move |seen| {
        let good = seen.all("authorization") == [format!("Bearer {}", current.lock().unwrap())];
        reply(if good { "200 OK" } else { "401 Unauthorized" }, &[], "answer")
    });
    let world = World::new("", ALLOW);
    let file = world.path("credential");
    let write = |value: &str| {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut open = std::fs::OpenOptions::new();
        let mut file = open.create(true).write(true).truncate(true).mode(0o600).open(&file).unwrap();
        file.write_all(value.as_bytes()).unwrap();
    };
    write(first);
    let mut world = world;
    world.connections = format!(
        "  - {{name: models, kind: http, upstream: '{}', credential: {{secret: 'file://{}', inject: bearer}}}}\n",
        upstream.url(),
        file.display()
    );
    let gateway = world.start();
    let token = world.alice();
    assert_eq!(get(gateway.data, "/models/x", &token).status, 200);
    write(second);
    *accepted.lock().unwrap() = second;
    // The store is asked again at most once a second: until then the old version's 401 passes.
    crate::kit::until_true("the new version", || get(gateway.data, "/models/x", &token).status == 200);
    let seen = upstream.seen();
    let by_version = |value: &str| -> HashSet<usize> {
        let ours = seen.iter().filter(|seen| seen.all("authorization") == [format!("Bearer {value}")]);
        ours.map(|seen| seen.connection).collect()
    };
    assert!(by_version(first).is_disjoint(&by_version(second)));
    assert!(!by_version(second).is_empty());
    // Each attempt is on record with the version that it used.
    let versions: HashSet<_> = world.intents().iter().map(|i| i.secret.clone().unwrap().version).collect();
    assert_eq!(versions.len(), 2);
    assert_eq!(world.intents().len(), seen.len());
}
