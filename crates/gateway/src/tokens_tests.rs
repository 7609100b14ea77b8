use keyward_core::{Principal, PrincipalKind, Resource};

use super::*;
use crate::fetch::FetchClient;
use crate::identify::IssuerSettings;

const ISSUER: &str = "https://idp.test";

fn identity(issuer: &str) -> Identity {
    let settings = IssuerSettings::new("test", issuer, vec!["keyward".to_owned()]);
    Identity::new(vec![settings], FetchClient::new(None).unwrap()).unwrap()
}

fn signed_in(subject: &str) -> Verified {
    Verified {
        principal: Arc::new(Principal {
            issuer: ISSUER.into(),
            subject: subject.into(),
            kind: PrincipalKind::User,
            groups: vec!["eng".into()],
            name: None,
            acting_for: Vec::new(),
        }),
        expires_at: at(60),
        issued_at: Some(at(-10)),
        client: Some("cli".into()),
        token_hash: TokenHash::of("own"),
        client_token: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn wanted(seconds: u64) -> NewClientToken {
    let life = Duration::from_secs(seconds);
    NewClientToken { name: String::new(), connections: None, classes: None, life }
}

async fn tokens() -> (tempfile::TempDir, ClientTokens) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    (dir, ClientTokens::load(db).await.unwrap())
}

/// Catalogue 26: a text of the right form that was never made is unknown, whatever it says.
#[tokio::test]
async fn catalogue_26_a_token_holds_for_its_time_and_only_as_it_was_told() {
    let (_dir, tokens) = tokens().await;
    let (text, made) = tokens.make(fresh_token_id(), wanted(100), &signed_in("alice"), at(0)).await.unwrap();
    assert!(text.starts_with("kw_") && text.len() == 46, "256 bits in base64url");
    let identity = identity(ISSUER);
    let verified = tokens.verify(&text, &identity, at(99)).unwrap();
    assert_eq!(*verified.principal, *signed_in("alice").principal);
    assert_eq!((verified.issued_at, verified.client.as_deref()), (Some(at(-10)), Some("cli")));
    assert_eq!(tokens.verify(&text, &identity, at(100)).unwrap_err(), IdentifyError::ClientTokenExpired);
    let last = if text.ends_with('A') { 'B' } else { 'A' };
    let other = format!("{}{last}", &text[..45]);
    for wrong in [&*other, "kw_", &text[..45], &format!("{}A", &*text), &made.id.to_string()] {
        assert_eq!(tokens.verify(wrong, &identity, at(1)).unwrap_err(), IdentifyError::ClientTokenUnknown);
    }
    assert_eq!(identity.verify(&text, at(1)).await.unwrap_err(), IdentifyError::ClientToken);
}

#[tokio::test]
async fn a_token_ends_with_the_trust_in_its_issuer_and_makes_no_other() {
    let (_dir, tokens) = tokens().await;
    let (text, _) = tokens.make(fresh_token_id(), wanted(100), &signed_in("alice"), at(0)).await.unwrap();
    let other = identity("https://other.test");
    assert_eq!(tokens.verify(&text, &other, at(1)).unwrap_err(), IdentifyError::IssuerUnknown);
    let verified = tokens.verify(&text, &identity(ISSUER), at(1)).unwrap();
    let again = tokens.make(fresh_token_id(), wanted(100), &verified, at(1)).await;
    assert!(matches!(again, Err(MakeError::ByClientToken)));
}

#[tokio::test]
async fn the_text_is_nowhere_in_the_database_and_the_last_use_is_written_behind() {
    let (dir, tokens) = tokens().await;
    let id = fresh_token_id();
    let (text, _) = tokens.make(id, wanted(100_000_000), &signed_in("alice"), at(0)).await.unwrap();
    tokens.verify(&text, &identity(ISSUER), at(5)).unwrap();
    assert_eq!(tokens.db.client_token_list().await.unwrap()[0].last_used_at, None);
    tokens.sweep(at(6)).await.unwrap();
    let kept = tokens.db.client_token_list().await.unwrap();
    assert_eq!((kept[0].last_used_at, kept[0].expires_at), (Some(at(5)), at(86_400)), "at most a day");
    let again = ClientTokens::load(tokens.db.clone()).await.unwrap();
    assert_eq!(again.live(None, at(7))[0].1, Some(at(5)));
    assert!(again.verify(&text, &identity(ISSUER), at(7)).is_ok());
    tokens.db.close().await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_over_is_told_for_an_hour_and_then_unknown() {
    let (_dir, tokens) = tokens().await;
    let (text, _) = tokens.make(fresh_token_id(), wanted(10), &signed_in("alice"), at(0)).await.unwrap();
    let identity = identity(ISSUER);
    tokens.sweep(at(10 + 3_600)).await.unwrap();
    assert_eq!(tokens.verify(&text, &identity, at(3_610)).unwrap_err(), IdentifyError::ClientTokenExpired);
    assert!(tokens.live(None, at(3_610)).is_empty());
    tokens.sweep(at(10 + 3_601)).await.unwrap();
    assert_eq!(tokens.verify(&text, &identity, at(3_611)).unwrap_err(), IdentifyError::ClientTokenUnknown);
    assert_eq!(tokens.db.client_token_list().await.unwrap(), []);
}

#[tokio::test]
async fn an_owner_has_a_hundred_and_others_still_make_theirs() {
    let (_dir, tokens) = tokens().await;
    for _ in 0..TOKENS_PER_OWNER_MAX {
        tokens.make(fresh_token_id(), wanted(10), &signed_in("alice"), at(0)).await.unwrap();
    }
    let more = tokens.make(fresh_token_id(), wanted(10), &signed_in("alice"), at(9)).await;
    assert!(matches!(more, Err(MakeError::TooManyOfOwner)));
    assert!(tokens.make(fresh_token_id(), wanted(10), &signed_in("bob"), at(9)).await.is_ok());
    assert!(
        tokens.make(fresh_token_id(), wanted(10), &signed_in("alice"), at(10)).await.is_ok(),
        "they are over"
    );
}

#[test]
fn a_batch_is_within_scope_only_with_all_that_it_holds() {
    let operation = |class, inner| Operation {
        class,
        resource: Resource::default(),
        method: "POST".to_owned(),
        path: "/v1/batches".to_owned(),
        query: String::new(),
        stream: false,
        body_bytes: None,
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner,
    };
    let (batch, chat) = (OperationClass::BatchCreate, OperationClass::ChatCompletions);
    let held =
        operation(batch, vec![operation(chat, Vec::new()), operation(OperationClass::Images, Vec::new())]);
    assert!(!covers(&[chat], &held));
    assert!(!covers(&[batch, chat], &held));
    assert!(covers(&[batch, chat, OperationClass::Images], &held));
}
