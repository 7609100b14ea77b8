//! Hand-made hostile tokens against an issuer in this process: catalogue part A, by number. What hostile keys and
//! hostile issuers do is in `keys.rs`; where a credential may stand, in `src/identify/credential.rs`.

use crate::kit::{Answer, FakeIssuer, Key, Scene, at, client, encode, with};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_core::PrincipalKind;
use keyward_gateway::identify::{Algorithm, IdentifyError, Identity, TOKEN_BYTES_MAX};
use serde_json::json;

#[tokio::test]
async fn every_algorithm_is_taken_with_its_own_key() {
    let keys = [
        Key::shared_rsa("rs256", "RS256"),
        Key::shared_rsa("rs384", "RS384"),
        Key::shared_rsa("rs512", "RS512"),
        Key::shared_rsa("ps256", "PS256"),
        Key::shared_rsa("ps384", "PS384"),
        Key::shared_rsa("ps512", "PS512"),
        Key::ec("es256", "ES256"),
        Key::ec("es384", "ES384"),
        Key::ed("ed"),
    ];
    let issuer = FakeIssuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let identity = issuer.identity();
    for key in &keys {
        let verified = identity.verify(&key.sign(&issuer.claims()), at(0.0)).await.unwrap();
        assert_eq!(verified.principal.to_string(), format!("{}#alice", issuer.url));
        assert_eq!(verified.principal.kind, PrincipalKind::User);
        assert!(verified.principal.is_in("eng"));
        assert_eq!(verified.expires_at, at(330.0));
    }
    assert_eq!(issuer.jwks_fetches(), 1);
}

#[tokio::test]
async fn an_issuer_may_narrow_the_algorithms() {
    let (rsa, ec) = (Key::shared_rsa("r", "RS256"), Key::ec("e", "ES256"));
    let issuer = FakeIssuer::start(&[&rsa, &ec]).await;
    let mut settings = issuer.settings();
    settings.algorithms = vec![Algorithm::Es256];
    let identity = Identity::new(vec![settings], client()).unwrap();
    assert!(identity.verify(&ec.sign(&issuer.claims()), at(0.0)).await.is_ok());
    let refused = identity.verify(&rsa.sign(&issuer.claims()), at(0.0)).await.unwrap_err();
    assert_eq!(refused, IdentifyError::AlgorithmRefused);
}

#[tokio::test]
async fn catalogue_1_no_signature_is_no_token() {
    let scene = Scene::new().await;
    for alg in ["none", "None", "nOnE", "NONE", "", "rs256", "RS256 ", "RS1", "ES256K", "ES512", "dir"] {
        let header = with(scene.key.header(), json!({"alg": alg})).to_string();
        let signed = format!("{}.{}", encode(header), encode(scene.issuer.claims().to_string()));
        let signature = encode(scene.key.sign_bytes(signed.as_bytes()));
        for token in [format!("{signed}."), format!("{signed}.{signature}")] {
            assert_eq!(scene.error(&token).await, Some(IdentifyError::AlgorithmRefused), "{alg}");
        }
        assert_eq!(scene.error(&signed).await, Some(IdentifyError::NotAJwt), "{alg} in two parts");
    }
    for alg in [json!(null), json!(["RS256"]), json!(1)] {
        let token = scene.with_header(json!({"alg": alg}));
        assert_eq!(scene.error(&token).await, Some(IdentifyError::AlgorithmRefused), "{alg}");
    }
    let token = scene.token(json!({}));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(scene.error(&format!("{signed}.")).await, Some(IdentifyError::SignatureBad));
    assert_eq!(scene.error(signed).await, Some(IdentifyError::NotAJwt));
    for text in [
        "",
        ".",
        "..",
        "...",
        "opaque-token",
        "a.b.c",
        &format!("{token}="),
        &format!("{signed}.{signature}.x"),
    ] {
        assert_eq!(scene.error(text).await, Some(IdentifyError::NotAJwt), "{text}");
    }
    assert!(scene.error(&token).await.is_none(), "the control is taken");
}

#[tokio::test]
async fn catalogue_2_a_public_key_is_no_shared_secret() {
    let scene = Scene::new().await;
    let n = scene.key.jwk["n"].as_str().unwrap();
    let der = scene.key.rsa_public_der();
    let base64 = STANDARD.encode(&der);
    let pem = format!(
        "-----BEGIN RSA PUBLIC KEY-----
{base64}
-----END RSA PUBLIC KEY-----
"
    );
    for secret in [n.as_bytes(), &der, pem.as_bytes(), b""] {
        for (alg, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let header = json!({"alg": alg, "kid": "k1", "typ": "JWT"}).to_string();
            let signed = format!("{}.{}", encode(header), encode(scene.issuer.claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
            let token = format!("{signed}.{}", encode(tag.as_ref()));
            assert_eq!(scene.error(&token).await, Some(IdentifyError::AlgorithmRefused));
        }
    }
}

#[tokio::test]
async fn catalogue_3_a_token_brings_no_key() {
    let scene = Scene::new().await;
    let evil_key = Key::ec("k1", "ES256");
    let evil = FakeIssuer::start(&[&evil_key]).await;
    for (name, value) in [
        ("jwk", evil_key.jwk.clone()),
        ("jku", json!(format!("{}/jwks", evil.url))),
        ("x5u", json!(format!("{}/jwks", evil.url))),
        ("x5c", json!(["MIIB"])),
        ("jku", json!(7)),
    ] {
        let expected = Some(IdentifyError::HeaderRefused(name));
        assert_eq!(scene.error(&scene.with_header(json!({name: value}))).await, expected, "rightly signed");
        let header = with(evil_key.header(), json!({name: value})).to_string();
        let forged = evil_key.sign_raw(&header, &scene.issuer.claims().to_string());
        assert_eq!(scene.error(&forged).await, expected, "signed by its own key");
    }
    let forged = Key::rsa("k1", "RS256").sign(&scene.issuer.claims());
    assert_eq!(scene.error(&forged).await, Some(IdentifyError::SignatureBad));
    let other_type = evil_key.sign(&scene.issuer.claims());
    assert_eq!(
        scene.error(&other_type).await,
        Some(IdentifyError::AlgorithmRefused),
        "ES256 does not fit an RSA key"
    );
    assert!(evil.requests().is_empty(), "nothing was fetched from an address in a token");
}

#[tokio::test]
async fn catalogue_4_a_key_id_is_only_compared() {
    let scene = Scene::new().await;
    assert!(scene.error(&scene.token(json!({}))).await.is_none());
    let before = scene.issuer.requests();
    for kid in ["../../dev/null", "k1' OR '1'='1", "x;y", "k1/../k2", "a b"] {
        let token = scene.with_header(json!({"kid": kid}));
        assert_eq!(scene.error(&token).await, Some(IdentifyError::KeyUnknown), "{kid}");
    }
    for kid in
        [json!("k1\0"), json!(""), json!("k\n"), json!("ké"), json!("k".repeat(257)), json!(1), json!(null)]
    {
        // Null removes the member in `with`, so it is written by hand.
        let header = scene.key.header().to_string().replace("\"kid\":\"k1\"", &format!("\"kid\":{kid}"));
        let token = scene.key.sign_raw(&header, &scene.issuer.claims().to_string());
        assert_eq!(scene.error(&token).await, Some(IdentifyError::HeaderRefused("kid")), "{kid}");
    }
    let huge = scene.with_header(json!({"kid": "k".repeat(1_000_000)}));
    assert_eq!(scene.error(&huge).await, Some(IdentifyError::TokenTooLong));
    assert_eq!(scene.issuer.requests(), before, "and none of them made us fetch");
    let longest = Key::ec(&"k".repeat(256), "ES256");
    let issuer = FakeIssuer::start(&[&longest]).await;
    assert!(
        issuer.identity().verify(&longest.sign(&issuer.claims()), at(0.0)).await.is_ok(),
        "256 bytes are taken"
    );
}

#[tokio::test]
async fn catalogue_15_nothing_wrapped_packed_or_critical() {
    let scene = Scene::new().await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
    ] {
        let error = scene.error(&scene.with_header(json!({name: value}))).await;
        assert_eq!(error, Some(IdentifyError::HeaderRefused(name)), "{name}: {value}");
    }
    let header = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "k1"}).to_string();
    let jwe =
        format!("{}.{}.{}.{}.{}", encode(header), encode("key"), encode("iv"), encode("text"), encode("tag"));
    assert!(scene.error(&jwe).await.is_some_and(|error| error.status() == 401));
    let inner = scene.token(json!({}));
    let nested = scene.key.sign_raw(&scene.key.header().to_string(), &json!(inner).to_string());
    assert_eq!(scene.error(&nested).await, Some(IdentifyError::NotAJwt), "a token in a token");
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    assert_eq!(scene.error(&scene.token_raw("deep", &deep)).await, Some(IdentifyError::NotAJwt));
    // At the limit: padded to the byte, then one more.
    let fill = |n: usize| scene.token(json!({"pad": "x".repeat(n)}));
    let mut room = (TOKEN_BYTES_MAX - fill(0).len()) * 3 / 4;
    while fill(room).len() > TOKEN_BYTES_MAX {
        room -= 1;
    }
    assert_eq!(scene.error(&fill(room)).await, None);
    assert_eq!(scene.error(&fill(room + 2)).await, Some(IdentifyError::TokenTooLong));
}

#[tokio::test]
async fn a_member_given_twice_is_refused() {
    let scene = Scene::new().await;
    let claims = scene.issuer.claims().to_string();
    let header = scene.key.header().to_string();
    for (name, value) in [("sub", "\"mallory\""), ("aud", "\"x\""), ("exp", "1"), ("groups", "[\"admin\"]")] {
        let twice = format!("{{\"{name}\":{value},{}", claims.trim_start_matches('{'));
        assert_eq!(
            scene.error(&scene.key.sign_raw(&header, &twice)).await,
            Some(IdentifyError::NotAJwt),
            "{name}"
        );
    }
    let nested = scene.token_raw("realm", r#"{"roles":["a"],"roles":["b"]}"#);
    assert_eq!(scene.error(&nested).await, Some(IdentifyError::NotAJwt), "inside a claim");
    let twice = format!("{{\"alg\":\"none\",{}", header.trim_start_matches('{'));
    assert_eq!(
        scene.error(&scene.key.sign_raw(&twice, &claims)).await,
        Some(IdentifyError::NotAJwt),
        "in the header"
    );
}

#[tokio::test]
async fn no_answer_says_more_than_it_should() {
    let scene = Scene::new().await;
    // Expired and for another audience, but not proved: the caller learns only that it is not trusted.
    let forged = Key::rsa("k1", "RS256").sign(&with(scene.issuer.claims(), json!({"exp": 1, "aud": "x"})));
    let unknown_key = scene.with_header(json!({"kid": "k2"}));
    let wrong_algorithm = scene.with_header(json!({"alg": "PS256"}));
    for token in [&forged, &unknown_key, &wrong_algorithm] {
        let error = scene.error(token).await.unwrap();
        assert_eq!((error.status().as_u16(), error.code()), (401, "token_untrusted"));
        assert_eq!(error.public(), IdentifyError::SignatureBad.public());
    }
    scene.issuer.answer_jwks(Answer::Status(503));
    let error = scene.issuer.identity().verify(&forged, at(0.0)).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.code()), (503, "identity_unavailable"));
}

#[tokio::test]
async fn no_character_of_a_token_may_change() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for key in [Key::ec("k", "ES256"), Key::shared_rsa("k", "RS256"), Key::ed("k")] {
        let issuer = FakeIssuer::start(&[&key]).await;
        let identity = issuer.identity();
        let token = key.sign(&issuer.claims());
        assert!(identity.verify(&token, at(0.0)).await.is_ok());
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            // The neighbour in the alphabet: the smallest change, down to the unused bits at the end of a part.
            let index = ALPHABET.iter().position(|c| *c == changed[position]);
            changed[position] = index.map_or(b'A', |index| ALPHABET[index ^ 1]);
            let changed = String::from_utf8(changed).unwrap();
            assert!(identity.verify(&changed, at(0.0)).await.is_err(), "{} at {position}", key.alg);
        }
    }
}
