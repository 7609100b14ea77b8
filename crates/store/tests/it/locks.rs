use keyward_core::LockId;
use keyward_store::{Db, Lock};

use crate::fixture::{at, db, person};

fn lock(number: u128, target: &str) -> Lock {
    Lock {
        id: LockId::new(number),
        target: target.parse().unwrap(),
        reason: "left the company".to_owned(),
        created_by: person("root", &[]).reference(),
        created_at: at(0),
        expires_at: None,
    }
}

#[tokio::test]
async fn locks_survive_a_restart_until_they_are_lifted_once() {
    let (dir, db) = db().await;
    let (first, second) = (lock(1, "user:https://issuer.test#alice"), lock(2, "group:eng"));
    db.lock_add(&first).await.unwrap();
    db.lock_add(&second).await.unwrap();
    db.close().await;
    let again = Db::open(dir.path().join("keyward.db")).await.unwrap();
    assert_eq!(again.lock_list().await.unwrap(), [first.clone(), second.clone()]);
    let by = person("root", &[]).reference();
    assert!(again.lock_lift(first.id, &by, at(1)).await.unwrap());
    assert!(!again.lock_lift(first.id, &by, at(2)).await.unwrap());
    assert_eq!(again.lock_list().await.unwrap(), [second]);
}

#[test]
fn a_lock_with_an_end_holds_until_then() {
    let mut lock = lock(1, "group:eng");
    assert!(lock.holds(at(i64::from(u32::MAX))));
    lock.expires_at = Some(at(10));
    assert!(lock.holds(at(9)) && !lock.holds(at(10)));
}
