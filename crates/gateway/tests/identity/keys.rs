//! Hostile keys, hostile issuers and issuers that fail: catalogue part A (5 to 8) and 225.

use std::time::Duration;

use crate::kit::{Answer, FakeIssuer, Key, OURS, T0, at, client, encode, with};
use keyward_gateway::identify::{IdentifyError, Identity, IssuerSettings, SettingsError};
use serde_json::json;

#[tokio::test]
async fn catalogue_5_unknown_key_ids_force_one_fetch_per_30_s() {
    let key = Key::ec("k1", "ES256");
    let stranger = Key::ec("k2", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let identity = issuer.identity();
    assert!(identity.verify(&key.sign(&issuer.claims()), at(0.0)).await.is_ok());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20 {
        let (identity, claims) = (identity.clone(), issuer.claims().to_string());
        let tokens: Vec<_> = (0..500)
            .map(|n| {
                let header = json!({"alg": "ES256", "kid": format!("made-up-{task}-{n}")}).to_string();
                [encode(header), encode(&claims), encode([1; 64])].join(".")
            })
            .collect();
        tasks.spawn(async move {
            for (n, token) in (0_u32..).zip(&tokens) {
                let seconds = 1.0 + f64::from(n) * 28.9 / 500.0;
                assert_eq!(identity.verify(token, at(seconds)).await.unwrap_err(), IdentifyError::KeyUnknown);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!(issuer.jwks_fetches(), 2, "the first, and one forced by ten thousand");
    let unknown = stranger.sign(&issuer.claims());
    assert_eq!(identity.verify(&unknown, at(30.9)).await.unwrap_err(), IdentifyError::KeyUnknown);
    assert_eq!(issuer.jwks_fetches(), 2);
    assert_eq!(identity.verify(&unknown, at(31.0)).await.unwrap_err(), IdentifyError::KeyUnknown);
    assert_eq!(issuer.jwks_fetches(), 3, "one more after 30 s");
    assert!(
        identity.verify(&key.sign(&issuer.claims()), at(31.0)).await.is_ok(),
        "others are served all along"
    );
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let key = Key::ec("k1", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    issuer.close();
    let identity = issuer.identity();
    // The first caller goes away while it waits: the fetch that it began goes on for the others.
    let impatient = identity.clone();
    let token = key.sign(&issuer.claims());
    let first = tokio::spawn(async move { impatient.verify(&token, at(0.0)).await.map(|_| ()) });
    issuer.asked().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (identity, token) = (identity.clone(), key.sign(&with(issuer.claims(), json!({"jti": n}))));
        tasks.spawn(async move { identity.verify(&token, at(0.0)).await.map(|_| ()) });
    }
    first.abort();
    assert!(first.await.is_err());
    issuer.open();
    while let Some(outcome) = tasks.join_next().await {
        assert_eq!(outcome.unwrap(), Ok(()));
    }
    assert_eq!(issuer.requests().len(), 2, "one discovery, one key set");
}

#[tokio::test]
async fn catalogue_6_keys_rotate() {
    let (old, new) = (Key::ec("old", "ES256"), Key::ec("new", "ES256"));
    let issuer = FakeIssuer::start(&[&old]).await;
    let identity = issuer.identity();
    let (by_old, by_new) = (old.sign(&issuer.claims()), new.sign(&issuer.claims()));
    assert!(identity.verify(&by_old, at(0.0)).await.is_ok());
    issuer.publish(&[&new, &old]);
    assert!(identity.verify(&by_new, at(1.0)).await.is_ok(), "after one fetch");
    assert_eq!(issuer.jwks_fetches(), 2);
    assert!(identity.verify(&by_old, at(1.0)).await.is_ok(), "both hold while both are published");
    issuer.publish(&[&new]);
    // Keys in use are renewed: at the latest 60 s after the removal the old one is refused, however the token is known.
    assert_eq!(
        identity.verify(&by_old, at(52.0)).await.unwrap_err(),
        IdentifyError::KeyUnknown,
        "a known token"
    );
    let unseen = old.sign(&with(issuer.claims(), json!({"jti": "2"})));
    assert_eq!(
        identity.verify(&unseen, at(52.0)).await.unwrap_err(),
        IdentifyError::KeyUnknown,
        "a new token"
    );
    assert!(identity.verify(&by_new, at(52.0)).await.is_ok());
}

#[tokio::test]
async fn catalogue_6_a_key_replaced_under_its_id_is_another_key() {
    let (before, after) = (Key::ec("k", "ES256"), Key::ec("k", "ES256"));
    let issuer = FakeIssuer::start(&[&before]).await;
    let identity = issuer.identity();
    let (by_before, by_after) = (before.sign(&issuer.claims()), after.sign(&issuer.claims()));
    assert!(identity.verify(&by_before, at(0.0)).await.is_ok());
    assert_eq!(identity.verify(&by_after, at(0.0)).await.unwrap_err(), IdentifyError::SignatureBad);
    issuer.publish(&[&after]);
    assert_eq!(identity.verify(&by_before, at(51.0)).await.unwrap_err(), IdentifyError::SignatureBad);
    assert!(
        identity.verify(&by_after, at(51.0)).await.is_ok(),
        "what was refused under the old key is judged anew"
    );
}

#[tokio::test]
async fn a_token_without_key_id_takes_the_only_key_that_fits() {
    let (mut one, mut two, mut three) = (Key::ec("-", "ES256"), Key::ec("-", "ES256"), Key::ec("-", "ES384"));
    for key in [&mut one, &mut two, &mut three] {
        key.jwk.as_object_mut().unwrap().remove("kid");
    }
    let issuer = FakeIssuer::start(&[&one, &three]).await;
    let identity = issuer.identity();
    let sign = |key: &Key| key.sign_raw(&json!({"alg": key.alg}).to_string(), &issuer.claims().to_string());
    assert!(identity.verify(&sign(&one), at(0.0)).await.is_ok());
    assert!(identity.verify(&sign(&three), at(0.0)).await.is_ok());
    assert_eq!(issuer.jwks_fetches(), 1);
    issuer.publish(&[&two, &three]);
    assert!(
        identity.verify(&sign(&two), at(1.0)).await.is_ok(),
        "a signature that does not hold asks for newer keys"
    );
    assert_eq!(issuer.jwks_fetches(), 2);
    issuer.publish(&[&one, &two]);
    assert_eq!(
        identity.verify(&sign(&one), at(60.0)).await.unwrap_err(),
        IdentifyError::HeaderRefused("kid")
    );
}

#[tokio::test]
async fn catalogue_7_keys_are_used_for_what_they_are_published_for() {
    let good = Key::ec("good", "ES256");
    let (twice_rsa, twice_ec) = (Key::shared_rsa("twice", "RS256"), Key::ec("twice", "ES256"));
    let mut enc = Key::ec("enc", "ES256");
    enc.jwk = with(enc.jwk, json!({"use": "enc"}));
    let mut also_enc = Key::ec("also-enc", "ES256");
    let mut shadow = Key::ec("also-enc", "ES256");
    shadow.jwk = with(shadow.jwk, json!({"use": "enc"}));
    also_enc.jwk = with(also_enc.jwk, json!({"use": "sig"}));
    let mut ops = Key::ec("ops", "ES256");
    ops.jwk = with(ops.jwk, json!({"key_ops": ["deriveKey"]}));
    let mut other_alg = Key::shared_rsa("other-alg", "RS256");
    other_alg.jwk = with(other_alg.jwk, json!({"alg": "PS256"}));
    let mut oaep = Key::shared_rsa("oaep", "RS256");
    oaep.jwk = with(oaep.jwk, json!({"alg": "RSA-OAEP"}));
    let mut private = Key::ec("private", "ES256");
    private.jwk = with(private.jwk, json!({"d": "AA"}));
    let issuer = FakeIssuer::start(&[
        &twice_rsa, &twice_ec, &enc, &also_enc, &shadow, &ops, &other_alg, &oaep, &private, &good,
    ])
    .await;
    let identity = issuer.identity();
    for key in [&twice_rsa, &twice_ec, &enc, &also_enc, &shadow, &ops, &other_alg, &oaep, &private] {
        let error = identity.verify(&key.sign(&issuer.claims()), at(0.0)).await.unwrap_err();
        assert!(
            matches!(error, IdentifyError::KeyUnknown | IdentifyError::AlgorithmRefused),
            "{}: {error}",
            key.kid()
        );
    }
    assert!(
        identity.verify(&good.sign(&issuer.claims()), at(0.0)).await.is_ok(),
        "the others do not spoil it"
    );
}

#[tokio::test]
async fn catalogue_8_keys_come_from_the_issuer_alone() {
    let key = Key::ec("k1", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let evil = FakeIssuer::start(&[&key]).await;
    let (url, evil_url) = (&issuer.url, &evil.url);
    let token = key.sign(&issuer.claims());
    for answer in [
        Answer::Json(json!({"issuer": url, "jwks_uri": format!("{evil_url}/jwks")})),
        Answer::Json(json!({"issuer": url, "jwks_uri": "http://169.254.169.254/latest/meta-data"})),
        Answer::Json(json!({"issuer": url, "jwks_uri": "https://169.254.169.254/latest/meta-data"})),
        Answer::Json(json!({"issuer": url, "jwks_uri": "https://keys.example.test/jwks"})),
        Answer::Json(json!({"issuer": url, "jwks_uri": url.replace("http://", "https://")})),
        Answer::Json(json!({"issuer": url, "jwks_uri": url.replace("http://", "http://user@")})),
        Answer::Json(json!({"issuer": url, "jwks_uri": "file:///etc/passwd"})),
        Answer::Json(json!({"issuer": url, "jwks_uri": "/jwks"})),
        Answer::Json(json!({"issuer": format!("{url}/"), "jwks_uri": format!("{url}/jwks")})),
        Answer::Json(json!({"issuer": evil_url, "jwks_uri": format!("{url}/jwks")})),
        Answer::Json(json!({"jwks_uri": format!("{url}/jwks")})),
        Answer::Json(json!({"issuer": url})),
        Answer::Redirect(format!("{evil_url}/.well-known/openid-configuration")),
        Answer::Status(204),
        Answer::Text("<html>"),
        Answer::Bytes(256 * 1_024 + 1),
    ] {
        issuer.answer_discovery(answer);
        let error = issuer.identity().verify(&token, at(0.0)).await.unwrap_err();
        assert_eq!(error, IdentifyError::KeysUnavailable);
    }
    assert_eq!(issuer.jwks_fetches(), 0);
    issuer.answer_discovery(Answer::Json(json!({"issuer": url, "jwks_uri": format!("{url}/jwks"), "token_endpoint": "http://169.254.169.254/"})));
    issuer.answer_jwks(Answer::Redirect(format!("{evil_url}/jwks")));
    assert_eq!(issuer.identity().verify(&token, at(0.0)).await.unwrap_err(), IdentifyError::KeysUnavailable);
    assert!(evil.requests().is_empty(), "no other host was ever asked");
    // What the operator pins is asked, and discovery is not.
    let mut settings = issuer.settings();
    settings.jwks_uri = Some(format!("{evil_url}/jwks"));
    let before = issuer.requests();
    let pinned = Identity::new(vec![settings], client()).unwrap();
    assert!(pinned.verify(&token, at(0.0)).await.is_ok());
    assert_eq!((issuer.requests(), evil.requests()), (before, vec!["/jwks".to_owned()]));
}

#[tokio::test]
async fn catalogue_225_old_keys_serve_until_they_are_too_old() {
    let (key, other) = (Key::ec("k1", "ES256"), Key::ec("k2", "ES256"));
    let issuer = FakeIssuer::start(&[&key]).await;
    let identity = issuer.identity();
    let day = 24.0 * 3_600.0;
    let far = json!({"exp": T0 + 10 * 86_400});
    let known = key.sign(&with(issuer.claims(), far.clone()));
    assert!(identity.verify(&known, at(0.0)).await.is_ok());
    let answers = [
        Answer::Status(503),
        Answer::Text("<html>down</html>"),
        Answer::Bytes(512 * 1_024 + 1),
        Answer::Redirect(format!("{}/jwks2", issuer.url)),
        Answer::Json(json!({"keys": []})),
        Answer::Json(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})),
        Answer::Text(r#"{"keys": [{"kty":"RSA""#),
    ];
    for (n, answer) in (1_u32..).zip(answers) {
        issuer.answer_jwks(answer);
        let seconds = 60.0 * f64::from(n);
        let fetches = issuer.jwks_fetches();
        let unseen = key.sign(&with(issuer.claims(), with(far.clone(), json!({"jti": n}))));
        assert!(identity.verify(&known, at(seconds)).await.is_ok(), "{n} known");
        assert!(identity.verify(&unseen, at(seconds)).await.is_ok(), "{n} unseen");
        assert_eq!(issuer.jwks_fetches(), fetches + 1, "{n}: asked once, not per caller");
    }
    assert!(identity.verify(&known, at(day - 1.0)).await.is_ok());
    let stale = key.sign(&with(issuer.claims(), with(far.clone(), json!({"jti": "stale"}))));
    assert_eq!(identity.verify(&known, at(day)).await.unwrap_err(), IdentifyError::KeysUnavailable);
    assert_eq!(identity.verify(&stale, at(day)).await.unwrap_err(), IdentifyError::KeysUnavailable);
    assert_eq!(identity.health()[0].keys, 1);
    // It comes back, and with it the new keys.
    issuer.publish(&[&other]);
    assert!(identity.verify(&other.sign(&with(issuer.claims(), far)), at(day + 60.0)).await.is_ok());
    assert_eq!(identity.health()[0].failures, 0);
}

#[tokio::test]
async fn an_issuer_that_is_not_there_at_the_start_is_asked_again() {
    let key = Key::ec("k1", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    issuer.answer_jwks(Answer::Status(500));
    let identity = issuer.identity();
    let health = identity.warm(at(0.0)).await;
    assert_eq!((health[0].keys, health[0].failures), (0, 1));
    let token = key.sign(&issuer.claims());
    issuer.publish(&[&key]);
    assert_eq!(
        identity.verify(&token, at(0.5)).await.unwrap_err(),
        IdentifyError::KeysUnavailable,
        "not so soon"
    );
    assert!(identity.verify(&token, at(1.0)).await.is_ok());
    assert_eq!(identity.warm(at(1.0)).await[0].fetched_at, Some(at(1.0)));
}

#[tokio::test]
async fn an_issuer_that_hangs_delays_nobody() {
    let key = Key::ec("k1", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let identity = issuer.identity();
    let token = key.sign(&issuer.claims());
    assert!(identity.verify(&token, at(0.0)).await.is_ok());
    let before = issuer.requests().len();
    issuer.close();
    for n in 0..10 {
        let unseen = key.sign(&with(issuer.claims(), json!({"jti": n})));
        assert!(identity.verify(&token, at(45.0)).await.is_ok());
        assert!(identity.verify(&unseen, at(45.0)).await.is_ok());
    }
    assert_eq!(identity.health()[0].failures, 0, "none of them waited for the fetch to end");
    issuer.asked_again(before).await;
    assert_eq!(issuer.requests().len(), before + 1, "which one of them began");
    issuer.open();
}

#[tokio::test]
async fn a_reload_keeps_the_keys_while_the_issuer_is_down() {
    let key = Key::ec("k1", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let identity = issuer.identity();
    let token = key.sign(&issuer.claims());
    assert!(identity.verify(&token, at(0.0)).await.is_ok());
    issuer.answer_jwks(Answer::Status(503));
    let mut settings = issuer.settings();
    settings.audiences.push("urn:more".into());
    let reloaded = identity.reconfigured(vec![settings.clone()], client()).unwrap();
    assert!(reloaded.verify(&token, at(10.0)).await.is_ok());
    settings.audiences.remove(0);
    let reloaded = reloaded.reconfigured(vec![settings], client()).unwrap();
    assert_eq!(
        reloaded.verify(&token, at(10.0)).await.unwrap_err(),
        IdentifyError::AudienceWrong,
        "judged anew"
    );
}

#[test]
fn settings_that_cannot_hold_are_refused() {
    let good = || IssuerSettings::new("corp", "https://idp.example.test", vec![OURS.into()]);
    assert!(Identity::new(vec![good()], client()).is_ok());
    assert!(matches!(Identity::new(vec![], client()), Err(SettingsError::Count(0))));
    assert!(matches!(Identity::new(vec![good(), good()], client()), Err(SettingsError::Twice(_))));
    let changes: [fn(&mut IssuerSettings); 12] = [
        |s| s.url = "http://idp.example.test".into(),
        |s| s.url = "https://user@idp.example.test".into(),
        |s| s.url = "idp.example.test".into(),
        |s| s.url = "https://idp.example.test/?x=1".into(),
        |s| s.url = "https://idp.example.test/#x".into(),
        |s| s.jwks_uri = Some("http://idp.example.test/jwks".into()),
        |s| s.audiences.clear(),
        |s| s.audiences.push(String::new()),
        |s| s.groups_claim.clear(),
        |s| s.clock_skew = Duration::from_secs(301),
        |s| s.keys_refresh = Duration::ZERO,
        |s| s.keys_age_max = Duration::from_secs(1),
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut settings = good();
        change(&mut settings);
        let error = Identity::new(vec![settings], client()).unwrap_err();
        assert!(error.to_string().contains("corp"), "{n}: {error}");
    }
    let mut plain = good();
    plain.url = "http://idp.example.test".into();
    plain.insecure_http = true;
    assert!(Identity::new(vec![plain], client()).is_ok(), "where the operator says so");
    assert!("rs256".parse::<keyward_gateway::identify::Algorithm>().is_err());
    assert!("none".parse::<keyward_gateway::identify::Algorithm>().is_err());
}
