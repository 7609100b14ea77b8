use std::sync::Arc;

use keyward_core::{ClientTokenId, OperationClass};
use keyward_store::{ClientToken, Db};

use crate::fixture::{at, db, person};

fn token(number: u8) -> ClientToken {
    ClientToken {
        id: ClientTokenId::new(u128::from(number)),
        hash: [number; 32],
        name: "laptop".to_owned(),
        owner: Arc::new(person("alice", &["eng"])),
        owner_client: Some("cli".into()),
        owner_issued_at: Some(at(-5)),
        connections: Some(vec!["models".into()]),
        classes: Some(vec![OperationClass::ChatCompletions]),
        created_at: at(0),
        expires_at: at(i64::from(number) * 10),
        last_used_at: None,
    }
}

#[tokio::test]
async fn client_tokens_survive_a_restart_until_they_are_removed_once() {
    let (dir, db) = db().await;
    let wide = ClientToken {
        connections: None,
        classes: None,
        owner_client: None,
        owner_issued_at: None,
        ..token(2)
    };
    db.client_token_add(&token(1)).await.unwrap();
    db.client_token_add(&wide).await.unwrap();
    db.close().await;
    let again = Db::open(dir.path().join("keyward.db")).await.unwrap();
    assert_eq!(again.client_token_list().await.unwrap(), [token(1), wide.clone()]);
    assert!(again.client_token_remove(token(1).id).await.unwrap());
    assert!(!again.client_token_remove(token(1).id).await.unwrap());
    assert_eq!(again.client_token_list().await.unwrap(), [wide]);
}

#[tokio::test]
async fn a_sweep_forgets_what_is_over_and_writes_the_last_use() {
    let (_dir, db) = db().await;
    db.client_token_add(&token(1)).await.unwrap();
    db.client_token_add(&token(2)).await.unwrap();
    db.client_token_sweep(at(10), &[(token(2).id, at(7))]).await.unwrap();
    let used = ClientToken { last_used_at: Some(at(7)), ..token(2) };
    assert_eq!(db.client_token_list().await.unwrap(), [token(1), used.clone()], "over at 10, not before it");
    db.client_token_sweep(at(11), &[]).await.unwrap();
    assert_eq!(db.client_token_list().await.unwrap(), [used]);
}
