//! Against a real OpenID Provider that nobody here wrote: npm's `oidc-provider`, in `tests/oidc` (`tests/oidc/install.sh`
//! installs it). Without it the test says so and passes, unless `CI` is set: then it fails.

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{BufRead as _, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStdin, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use bytes::Bytes;
    use http::header::{AUTHORIZATION, CONTENT_TYPE};
    use http::{HeaderMap, Method, StatusCode};
    use keyward_core::{PrincipalKind, Timestamp};
    use keyward_gateway::fetch::{FetchClient, FetchLimits, FetchUrl, PlainHttp};
    use keyward_gateway::identify::{Algorithm, IdentifyError, Identity, IssuerSettings};
    use serde_json::Value;
    use tokio::sync::watch;
    use tokio::task::JoinSet;

    const LIMITS: FetchLimits = FetchLimits { body_bytes_max: 64 * 1_024, deadline: Duration::from_secs(30) };
    const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];
    const WORKERS: u64 = 8;
    const ROUNDS: usize = 3;

    /// The provider's process; it ends when its stdin does.
    struct Provider {
        child: Child,
        _stdin: Option<ChildStdin>,
        issuer: String,
        audience: String,
        clients: HashMap<String, String>,
        http: FetchClient,
    }

    impl Drop for Provider {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    impl Provider {
        /// `None` where it is not installed and need not be.
        fn start() -> Option<Self> {
            let directory: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oidc");
            if !directory.join("node_modules/oidc-provider").is_dir() {
                let required = std::env::var("CI").is_ok_and(|value| !value.is_empty());
                assert!(
                    !required,
                    "CI is set, but the OpenID Provider is not installed: run tests/oidc/install.sh"
                );
                eprintln!("SKIPPED: the OpenID Provider is not installed: run tests/oidc/install.sh");
                return None;
            }
            let mut child = Command::new("node")
                .arg("server.mjs")
                .current_dir(directory)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("node starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let hello: Value = serde_json::from_str(&line).expect("the provider says where it listens");
            Some(Self {
                _stdin: child.stdin.take(),
                child,
                issuer: hello["issuer"].as_str().unwrap().into(),
                audience: hello["audience"].as_str().unwrap().into(),
                clients: serde_json::from_value(hello["clients"].clone()).unwrap(),
                http: FetchClient::new(None).unwrap(),
            })
        }

        fn identity(&self) -> Identity {
            let settings = IssuerSettings::new("real", &*self.issuer, vec![self.audience.clone()]);
            Identity::new(vec![settings], self.http.clone()).unwrap()
        }

        async fn post(&self, path: &str, headers: HeaderMap, body: String) -> Value {
            let url = FetchUrl::parse(&format!("{}{path}", self.issuer), PlainHttp::LoopbackOnly).unwrap();
            let answer =
                self.http.send(Method::POST, &url, headers, Bytes::from(body), LIMITS).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
            serde_json::from_slice(&answer.body).unwrap()
        }

        /// An access token by client credentials.
        async fn token(&self, client: &str, algorithm: Algorithm) -> String {
            let basic = STANDARD.encode(format!("{client}:{}", self.clients[client]));
            let resource = algorithm.as_str().to_lowercase();
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
            headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
            let form =
                format!("grant_type=client_credentials&scope=infer&resource=urn%3Akeyward%3A{resource}");
            let answer = self.post("/token", headers, form).await;
            answer["access_token"].as_str().unwrap().to_owned()
        }

        /// One token for each algorithm.
        async fn tokens(&self) -> Vec<String> {
            let mut tokens = Vec::new();
            for algorithm in ALGORITHMS {
                tokens.push(self.token("svc-ci", algorithm).await);
            }
            tokens
        }

        async fn control(&self, what: &str) -> Vec<String> {
            let answer = self.post(&format!("/control/{what}"), HeaderMap::new(), String::new()).await;
            serde_json::from_value(answer["kids"].clone()).unwrap()
        }
    }

    fn header(token: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
    }

    /// The wall clock, and what the test has moved it by.
    #[derive(Clone, Default)]
    struct Clock(Arc<AtomicU64>);

    impl Clock {
        fn now(&self) -> Timestamp {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            Timestamp::from_micros(0).plus(wall).plus(Duration::from_secs(self.0.load(Ordering::SeqCst)))
        }

        fn forward(&self, seconds: u64) {
            self.0.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    /// Tasks that verify the given tokens all the time, and fail on the first refusal.
    struct Load {
        tasks: JoinSet<u64>,
        tokens: watch::Sender<Vec<String>>,
        passes: watch::Receiver<u64>,
    }

    impl Load {
        fn start(identity: &Identity, clock: &Clock, tokens: Vec<String>) -> Self {
            let (tokens, _) = watch::channel(tokens);
            let (count, passes) = watch::channel(0_u64);
            let count = Arc::new(count);
            let mut tasks = JoinSet::new();
            for worker in 0..WORKERS {
                let (identity, clock, tokens, count) =
                    (identity.clone(), clock.clone(), tokens.subscribe(), Arc::clone(&count));
                tasks.spawn(async move {
                    let mut verified = 0;
                    loop {
                        let tokens = tokens.borrow().clone();
                        if tokens.is_empty() {
                            return verified;
                        }
                        if worker == 0 {
                            identity.clear(); // so that signatures are verified all the time, too
                        }
                        for token in tokens {
                            let outcome = identity.verify(&token, clock.now()).await;
                            assert!(outcome.is_ok(), "{:?}: {}", outcome.err(), header(&token));
                            verified += 1;
                        }
                        count.send_modify(|passes| *passes += 1);
                        tokio::task::yield_now().await;
                    }
                });
            }
            Self { tasks, tokens, passes }
        }

        /// Waits for a few passes more than were begun when it is called.
        async fn go_on(&mut self) {
            let target = *self.passes.borrow() + 4 * WORKERS;
            tokio::select! {
                reached = self.passes.wait_for(|passes| *passes >= target) => drop(reached.unwrap()),
                ended = self.tasks.join_next() => panic!("a worker ended: {ended:?}"),
            }
        }

        async fn stop(self) -> u64 {
            self.tokens.send_replace(Vec::new());
            self.tasks.join_all().await.into_iter().sum()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn client_credentials_by_rs256_and_es256() {
        let Some(provider) = Provider::start() else { return };
        let identity = provider.identity();
        for algorithm in ALGORITHMS {
            let token = provider.token("svc-agent", algorithm).await;
            assert_eq!(header(&token)["alg"], algorithm.as_str());
            let verified = identity.verify(&token, Clock::default().now()).await.unwrap();
            let principal = &verified.principal;
            assert_eq!((&*principal.issuer, &*principal.subject), (&*provider.issuer, "svc-agent"));
            assert_eq!(principal.kind, PrincipalKind::Service);
            assert_eq!(principal.groups, ["agents".into(), "gateway-users".into()]);
        }
        // The same tokens for another audience, and with one bit of the signature changed.
        let token = provider.token("svc-ci", Algorithm::Es256).await;
        let other = IssuerSettings::new("real", &*provider.issuer, vec!["urn:other".into()]);
        let other = Identity::new(vec![other], provider.http.clone()).unwrap();
        assert_eq!(
            other.verify(&token, Clock::default().now()).await.unwrap_err(),
            IdentifyError::AudienceWrong
        );
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[40] ^= 1;
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(
            identity.verify(&forged, Clock::default().now()).await.unwrap_err(),
            IdentifyError::SignatureBad
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn catalogue_6_keys_rotate_under_load() {
        let Some(provider) = Provider::start() else { return };
        let identity = provider.identity();
        let clock = Clock::default();
        let mut published = provider.tokens().await;
        let mut load = Load::start(&identity, &clock, published.clone());
        load.go_on().await;
        for round in 0..ROUNDS {
            let kids = provider.control("rotate").await;
            assert_eq!(kids.len(), 2 * (round + 2));
            load.go_on().await;
            let fresh = provider.tokens().await;
            for token in &fresh {
                let kid = header(token)["kid"].clone();
                assert!(kids[..2].iter().any(|new| kid == **new), "signed by a new key");
                assert!(published.iter().all(|old| header(old)["kid"] != kid));
            }
            published.extend(fresh);
            load.tokens.send_replace(published.clone());
            load.go_on().await;
            // From here the next unknown key may be asked for.
            clock.forward(31);
            load.go_on().await;
        }
        let verified = load.stop().await;
        assert!(verified > 0);
        // The old keys are gone: the tokens they signed are refused within 60 s, known or not, while the others hold.
        let kept = published.split_off(2 * ROUNDS);
        let removed = published;
        assert_eq!(provider.control("drop-old").await.len(), 2);
        let mut load = Load::start(&identity, &clock, kept);
        load.go_on().await;
        clock.forward(60);
        load.go_on().await;
        for token in &removed {
            let error = identity.verify(token, clock.now()).await.unwrap_err();
            assert_eq!(error, IdentifyError::KeyUnknown, "{}", header(token));
        }
        load.go_on().await;
        load.stop().await;
        println!("{verified} verifications during {ROUNDS} rotations, none refused");
    }
}
