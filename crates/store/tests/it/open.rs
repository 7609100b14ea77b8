use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyward_store::{Db, StoreError};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::fixture::{asked_by, at, db, person};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

async fn by_hand(path: &Path, sql: &'static str) {
    let mut connection =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_any_of_its_files() {
    let (dir, db) = db().await;
    db.secret_put("a", 1, b"sealed", at(0)).await.unwrap();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["keyward.db", "keyward.db-shm", "keyward.db-wal"]);
    for name in names() {
        assert_eq!(mode(&dir.path().join(&name)), 0o600, "{name}");
    }
    db.close().await;
    assert_eq!(names(), ["keyward.db"]);
    fs::set_permissions(dir.path().join("keyward.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    assert_eq!(mode(db.path()), 0o600);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    fs::write(&path, "these are notes and no database\n".repeat(400)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path: named } if *named == path), "{error:?}");
    assert!(error.to_string().contains("notes.txt") && error.to_string().contains("backup"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn damage_in_the_middle_is_found_at_open() {
    let (dir, db) = db().await;
    for n in 0..200_u8 {
        db.approval_create_or_attach(&asked_by(&person("alice", &[]), &[n]), at(0)).await.unwrap();
    }
    db.close().await;
    let path = dir.path().join("keyward.db");
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 64 * 1024, "enough pages to damage one");
    bytes[20 * 4096..21 * 4096].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_truncated_file_is_found_at_open() {
    let (dir, db) = db().await;
    db.close().await;
    let path = dir.path().join("keyward.db");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 4096 - 100]).unwrap();
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("plain.db", "CREATE TABLE theirs (x TEXT)"),
        ("marked.db", "PRAGMA application_id = 7; CREATE TABLE theirs (x TEXT)"),
    ] {
        let path = dir.path().join(name);
        by_hand(&path, sql).await;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Db::open(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{name}: {error:?}");
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
        assert_eq!(mode(&path), 0o644, "{name}");
    }
}

// Catalogue 231.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (dir, db) = db().await;
    db.close().await;
    let path = dir.path().join("keyward.db");
    by_hand(&path, "INSERT INTO schema_step (version) VALUES (4711)").await;
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 4711, .. }), "{error:?}");
    assert!(error.to_string().contains("newer keyward"), "{error}");
}

#[tokio::test]
async fn a_start_killed_before_its_first_commit_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.db");
    fs::write(&empty, b"").unwrap();
    Db::open(&empty).await.unwrap().ping().await.unwrap();
    let only_a_header = dir.path().join("header.db");
    by_hand(&only_a_header, "PRAGMA journal_mode = WAL").await;
    assert!(fs::metadata(&only_a_header).unwrap().len() > 0);
    Db::open(&only_a_header).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("a.db")).await.unwrap();
    db.secret_put("kept", 1, b"sealed", at(0)).await.unwrap();
    // The files as a killed process leaves them: the log not folded in.
    for suffix in ["", "-wal"] {
        fs::copy(dir.path().join(format!("a.db{suffix}")), dir.path().join(format!("b.db{suffix}"))).unwrap();
    }
    let again = Db::open(dir.path().join("b.db")).await.unwrap();
    assert_eq!(again.secret_get("kept").await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_open_a_new_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyward.db");
    let opened: Vec<_> = (0..8).map(|_| tokio::spawn(Db::open(path.clone()))).collect();
    for open in opened {
        open.await.unwrap().unwrap().ping().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("absent/keyward.db")] {
        let error = Db::open(&path).await.unwrap_err();
        assert!(matches!(&error, StoreError::Open { path: named, .. } if *named == path), "{error:?}");
    }
}

#[tokio::test]
async fn the_first_fact_kept_stands() {
    let (_dir, db) = db().await;
    assert_eq!(db.meta_get("k").await.unwrap(), None);
    assert_eq!(db.meta_keep("k", b"first").await.unwrap(), b"first");
    assert_eq!(db.meta_keep("k", b"second").await.unwrap(), b"first");
    assert_eq!(db.meta_get("k").await.unwrap().as_deref(), Some(b"first".as_slice()));
}
