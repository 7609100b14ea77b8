//! Hostile claims in rightly signed tokens: catalogue 10 to 14, 21, 22.

use keyward_core::PrincipalKind;
use keyward_gateway::identify::{IdentifyError, Identity, KindRule, TokenTypes};
use serde_json::json;

use crate::kit::{FakeIssuer, Key, OURS, Scene, T0, at, client, with};

#[tokio::test]
async fn catalogue_10_the_audience_is_ours() {
    use IdentifyError::{AudienceMissing, AudienceWrong, ClaimMalformed, PartyWrong};

    let scene = Scene::new().await;
    for (changes, expected) in [
        (json!({"aud": null}), Some(AudienceMissing)),
        (json!({"aud": []}), Some(AudienceMissing)),
        (json!({"aud": ""}), Some(AudienceMissing)),
        (json!({"aud": "urn:other"}), Some(AudienceWrong)),
        (json!({"aud": format!("{OURS}/")}), Some(AudienceWrong)),
        (json!({"aud": OURS.to_uppercase()}), Some(AudienceWrong)),
        (json!({"aud": ["urn:other"], "azp": OURS}), Some(AudienceWrong)),
        (json!({"aud": ["urn:other", OURS]}), Some(PartyWrong)),
        (json!({"aud": [OURS, OURS]}), Some(PartyWrong)),
        (json!({"aud": ["urn:other", OURS], "azp": "urn:other"}), Some(PartyWrong)),
        (json!({"aud": ["urn:other", OURS], "azp": "urn:other", "client_id": OURS}), Some(PartyWrong)),
        (json!({"aud": {"0": OURS}}), Some(ClaimMalformed("aud"))),
        (json!({"aud": [OURS, 1], "azp": OURS}), Some(ClaimMalformed("aud"))),
        (json!({"aud": 1}), Some(ClaimMalformed("aud"))),
        (json!({"azp": 1}), Some(ClaimMalformed("azp"))),
        (json!({"aud": [OURS]}), None),
        (json!({"aud": ["urn:other", OURS], "azp": OURS}), None),
        (json!({"azp": "any-client"}), None),
    ] {
        assert_eq!(scene.error(&scene.token(changes.clone())).await, expected, "{changes}");
    }
    let mut settings = scene.issuer.settings();
    settings.authorized_parties = vec!["cli".into()];
    let identity = Identity::new(vec![settings], client()).unwrap();
    for (changes, expected) in [
        (json!({}), Some(PartyWrong)),
        (json!({"azp": "web"}), Some(PartyWrong)),
        (json!({"aud": ["urn:other", OURS], "azp": OURS}), Some(PartyWrong)),
        (json!({"azp": "cli"}), None),
        (json!({"client_id": "cli"}), None),
        (json!({"aud": ["urn:other", OURS], "azp": "cli"}), None),
    ] {
        let outcome = identity.verify(&scene.token(changes.clone()), at(0.0)).await;
        assert_eq!(outcome.err(), expected, "{changes} with authorized parties");
    }
}

#[tokio::test]
async fn catalogue_11_the_issuer_is_compared_byte_for_byte() {
    let scene = Scene::new().await;
    let url = scene.issuer.url.clone();
    for iss in [
        format!("{url}/"),
        url.to_uppercase(),
        url.replace("http:", "https:"),
        url.replace("127.0.0.1", "localhost"),
        url.replace("127", "１27"),
        format!("{url}/tenant-b"),
        format!("{url}\0"),
        String::new(),
    ] {
        let error = scene.error(&scene.token(json!({"iss": iss}))).await;
        assert_eq!(error, Some(IdentifyError::IssuerUnknown), "{iss}");
    }
    for iss in [json!([url]), json!(1), json!({})] {
        let error = scene.error(&scene.token(json!({"iss": iss}))).await;
        assert_eq!(error, Some(IdentifyError::ClaimMalformed("iss")), "{iss}");
    }
    assert!(scene.issuer.requests().is_empty(), "an unknown issuer is never asked");
}

#[tokio::test]
async fn catalogue_11_22_two_issuers_do_not_vouch_for_each_other() {
    let (one, two) = (Key::ec("k", "ES256"), Key::ec("k", "ES256"));
    let (a, b) = (FakeIssuer::start(&[&one]).await, FakeIssuer::start(&[&two]).await);
    let mut settings = vec![a.settings(), b.settings()];
    settings[1].name = "other".into();
    let identity = Identity::new(settings, client()).unwrap();
    assert_eq!(
        identity.verify(&two.sign(&a.claims()), at(0.0)).await.unwrap_err(),
        IdentifyError::SignatureBad,
        "b's key under a's name"
    );
    let at_a = identity.verify(&one.sign(&a.claims()), at(0.0)).await.unwrap();
    let at_b = identity.verify(&two.sign(&b.claims()), at(0.0)).await.unwrap();
    assert_ne!(at_a.principal.reference(), at_b.principal.reference(), "one subject, two principals");
}

#[tokio::test]
async fn catalogue_12_times_are_numbers() {
    let scene = Scene::new().await;
    for name in ["exp", "nbf", "iat"] {
        for raw in
            ["\"1900000100\"", "null", "true", "-1", "-0.5", "[1900000100]", "{}", "253402300800", "1e300"]
        {
            let error = scene.error(&scene.token_raw(name, raw)).await;
            assert_eq!(error, Some(IdentifyError::ClaimMalformed(name)), "{name}: {raw}");
        }
        for raw in ["1e400", "NaN", "Infinity", "0x10", "01"] {
            let error = scene.error(&scene.token_raw(name, raw)).await;
            assert_eq!(error, Some(IdentifyError::NotAJwt), "{name}: {raw} is no JSON");
        }
    }
    assert_eq!(
        scene.error(&scene.token(json!({"exp": null}))).await,
        Some(IdentifyError::ClaimMalformed("exp"))
    );
    for raw in ["1900000100", "1900000100.75", "1.9000001e9", "253402300799"] {
        assert_eq!(scene.error(&scene.token_raw("exp", raw)).await, None, "{raw}");
    }
    assert_eq!(scene.error(&scene.token(json!({"iat": null}))).await, None, "only exp is needed");
}

#[tokio::test]
async fn catalogue_13_the_boundaries_are_exact() {
    let scene = Scene::new().await;
    let skew = 30.0;
    let microsecond = 1e-6;
    let expires = scene.token(json!({"exp": T0 + 100}));
    let begins = scene.token(json!({"nbf": T0 + 100}));
    let issued = scene.token(json!({"iat": T0 + 100}));
    for (token, seconds, expected) in [
        (&expires, 100.0 + skew - microsecond, None),
        (&expires, 100.0 + skew, Some(IdentifyError::Expired)),
        (&begins, 100.0 - skew - microsecond, Some(IdentifyError::NotYetValid)),
        (&begins, 100.0 - skew, None),
        (&issued, 100.0 - skew - microsecond, Some(IdentifyError::IssuedInFuture)),
        (&issued, 100.0 - skew, None),
    ] {
        // Once cold, once from what is remembered.
        for round in ["cold", "warm"] {
            let outcome = scene.identity.verify(token, at(seconds)).await;
            assert_eq!(outcome.err(), expected, "{seconds} {round}");
        }
        scene.identity.clear();
    }
    // What time heals is not held against a token, and what time ends is not forgiven it.
    for token in [&begins, &issued] {
        assert!(scene.identity.verify(token, at(0.0)).await.is_err());
        assert!(scene.identity.verify(token, at(70.0)).await.is_ok());
    }
    assert!(scene.identity.verify(&expires, at(0.0)).await.is_ok());
    assert_eq!(scene.identity.verify(&expires, at(130.0)).await.unwrap_err(), IdentifyError::Expired);
}

#[tokio::test]
async fn catalogue_14_only_access_tokens() {
    let scene = Scene::new().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt"] {
        assert_eq!(scene.error(&scene.with_header(json!({"typ": typ}))).await, None, "{typ}");
    }
    assert_eq!(scene.error(&scene.with_header(json!({"typ": null}))).await, None, "no typ");
    for typ in [
        "refresh+jwt",
        "Refresh",
        "id_token+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JWE",
        "",
        "at+jwt ",
    ] {
        let error = scene.error(&scene.with_header(json!({"typ": typ}))).await;
        assert_eq!(error, Some(IdentifyError::TokenTypeRefused("header typ")), "{typ}");
    }
    assert_eq!(
        scene.error(&scene.with_header(json!({"typ": 1}))).await,
        Some(IdentifyError::HeaderRefused("typ"))
    );
    for name in ["nonce", "at_hash", "c_hash", "s_hash", "events", "cnf"] {
        let error = scene.error(&scene.token(json!({name: "x"}))).await;
        assert_eq!(error, Some(IdentifyError::TokenTypeRefused(name)), "{name}");
    }
    for typ in ["ID", "Refresh", "Offline", "Logout", "refresh"] {
        let error = scene.error(&scene.token(json!({"typ": typ}))).await;
        assert_eq!(error, Some(IdentifyError::TokenTypeRefused("claim typ")), "{typ}");
    }
    assert_eq!(scene.error(&scene.token(json!({"typ": "Bearer"}))).await, None);
    let mut settings = scene.issuer.settings();
    settings.token_types = TokenTypes::AccessOnly;
    let strict = Identity::new(vec![settings], client()).unwrap();
    for (typ, taken) in [(json!("at+jwt"), true), (json!("JWT"), false), (json!(null), false)] {
        let outcome = strict.verify(&scene.with_header(json!({"typ": typ})), at(0.0)).await;
        assert_eq!(outcome.is_ok(), taken, "{typ} when strict");
    }
}

#[tokio::test]
async fn catalogue_21_groups_are_exact() {
    let scene = Scene::new().await;
    let odd = ["admin ", "Admin", "admin\0", "ａdmin", ""];
    let verified = scene.identity.verify(&scene.token(json!({"groups": odd})), at(0.0)).await.unwrap();
    assert_eq!(verified.principal.groups.iter().map(|g| &**g).collect::<Vec<_>>(), odd);
    assert!(!verified.principal.is_in("admin"));
    for (groups, expected) in
        [(json!("admin"), vec!["admin"]), (json!("a,b c"), vec!["a,b c"]), (json!(null), vec![])]
    {
        let verified = scene.identity.verify(&scene.token(json!({"groups": groups})), at(0.0)).await.unwrap();
        assert_eq!(verified.principal.groups.iter().map(|g| &**g).collect::<Vec<_>>(), expected);
    }
    for groups in [
        json!({"admin": true}),
        json!(1),
        json!(true),
        json!(["a", 1]),
        json!(["a", ["admin"]]),
        json!(["a", null]),
    ] {
        let error = scene.error(&scene.token(json!({"groups": groups}))).await;
        assert_eq!(error, Some(IdentifyError::ClaimMalformed("groups")), "{groups}");
    }
    assert_eq!(
        scene.error(&scene.token_raw("groups", "null")).await,
        Some(IdentifyError::ClaimMalformed("groups"))
    );
    for (path, claims) in [
        ("realm_access.roles", json!({"realm_access": {"roles": ["x"]}})),
        ("https://example.test/groups", json!({"https://example.test/groups": ["x"]})),
        ("a.b", json!({"a.b": ["x"], "a": {"b": ["y"]}})),
    ] {
        let mut settings = scene.issuer.settings();
        settings.groups_claim = path.into();
        let identity = Identity::new(vec![settings], client()).unwrap();
        let verified = identity.verify(&scene.token(claims), at(0.0)).await.unwrap();
        assert_eq!(verified.principal.groups, ["x".into()], "{path}");
    }
}

#[tokio::test]
async fn subjects_and_actors_have_bounds() {
    let scene = Scene::new().await;
    for (sub, taken) in [
        (json!("s".repeat(255)), true),
        (json!("s".repeat(256)), false),
        (json!(""), false),
        (json!(7), false),
    ] {
        assert_eq!(scene.error(&scene.token(json!({"sub": sub}))).await.is_none(), taken, "{sub}");
    }
    assert_eq!(
        scene.error(&scene.token(json!({"sub": null}))).await,
        Some(IdentifyError::ClaimMalformed("sub"))
    );
    let chain = |depth: usize| {
        (0..depth).fold(json!(null), |inner, n| with(json!({"sub": format!("a{n}")}), json!({"act": inner})))
    };
    let verified = scene.identity.verify(&scene.token(json!({"act": chain(4)})), at(0.0)).await.unwrap();
    let names: Vec<_> = verified.principal.acting_for.iter().map(|actor| &*actor.subject).collect();
    assert_eq!(names, ["a3", "a2", "a1", "a0"]);
    assert_eq!(&*verified.principal.acting_for[0].issuer, scene.issuer.url);
    assert_eq!(verified.principal.kind, PrincipalKind::Agent);
    for act in [
        chain(5),
        json!("a"),
        json!({}),
        json!({"sub": ""}),
        json!({"sub": "a", "act": 1}),
        json!({"sub": "a", "iss": 1}),
    ] {
        let error = scene.error(&scene.token(json!({"act": act}))).await;
        assert_eq!(error, Some(IdentifyError::ClaimMalformed("act")), "{act}");
    }
}

#[tokio::test]
async fn the_kind_follows_its_rule() {
    use PrincipalKind::{Agent, Service, User};

    let scene = Scene::new().await;
    let fixed = KindRule::Fixed(Service);
    let by_claim = KindRule::Claim("kw.kind".into());
    for (rule, changes, expected) in [
        (KindRule::ByClient, json!({"client_id": "alice"}), Some(Service)),
        (KindRule::ByClient, json!({"azp": "alice"}), Some(Service)),
        (KindRule::ByClient, json!({"client_id": "web"}), Some(User)),
        (fixed, json!({"act": {"sub": "a"}}), Some(Service)),
        (by_claim.clone(), json!({"kw": {"kind": "agent"}}), Some(Agent)),
        (by_claim.clone(), json!({"client_id": "alice"}), Some(Service)),
        (by_claim.clone(), json!({"kw": {"kind": "Agent"}}), None),
        (by_claim, json!({"kw": {"kind": ["agent"]}}), None),
    ] {
        let mut settings = scene.issuer.settings();
        settings.kind = rule.clone();
        let identity = Identity::new(vec![settings], client()).unwrap();
        let outcome = identity.verify(&scene.token(changes.clone()), at(0.0)).await;
        assert_eq!(outcome.ok().map(|verified| verified.principal.kind), expected, "{rule:?} {changes}");
    }
}
