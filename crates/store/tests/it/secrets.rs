use keyward_store::SealedSecret;

use crate::fixture::{at, db};

#[tokio::test]
async fn two_versions_are_kept_and_numbers_never_come_back() {
    let (dir, db) = db().await;
    for version in 1..=5 {
        assert!(
            db.secret_put("openai", version, &[u8::try_from(version).unwrap()], at(version)).await.unwrap()
        );
    }
    let kept = db.secret_get("openai").await.unwrap();
    let expected = |version: i64| SealedSecret {
        version,
        sealed: vec![u8::try_from(version).unwrap()],
        created_at: at(version),
    };
    assert_eq!(kept, [expected(5), expected(4)]);
    for stale in [-1, 0, 1, 4, 5, 7, i64::MAX] {
        assert!(!db.secret_put("openai", stale, b"x", at(9)).await.unwrap(), "version {stale}");
    }
    assert_eq!(db.secret_get("openai").await.unwrap(), kept);
    assert_eq!(db.secret_get("absent").await.unwrap(), []);
    db.close().await;
    let again = keyward_store::Db::open(dir.path().join("keyward.db")).await.unwrap();
    assert_eq!(again.secret_get("openai").await.unwrap(), kept);
}

#[tokio::test]
async fn one_of_many_takes_a_version() {
    let (_dir, db) = db().await;
    let puts: Vec<_> = (0..50_u8)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move { db.secret_put("a", 1, &[n], at(0)).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for put in puts {
        winners += usize::from(put.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn listed_by_name_newest_first() {
    let (_dir, db) = db().await;
    for (name, version) in [("b", 1), ("a", 1), ("b", 2), ("a/c", 1)] {
        assert!(db.secret_put(name, version, b"s", at(version)).await.unwrap());
    }
    let listed: Vec<_> =
        db.secret_list().await.unwrap().into_iter().map(|meta| (meta.name, meta.version)).collect();
    assert_eq!(listed, [("a".into(), 1), ("a/c".into(), 1), ("b".into(), 2), ("b".into(), 1)]);
}
