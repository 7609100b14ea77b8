//! The stores against real files and a real database: the contract that all of them keep, and what each refuses.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use keyward_core::Timestamp;
use keyward_store::Db;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    AnyStore, Embedded, Env, File, Flaw, MasterKey, MasterKeyError, SECRET_BYTES_MAX, Secret, SecretError,
    SecretRef, SecretStore,
};

fn master(seed: u8) -> MasterKey {
    let mut bytes = [0; 32];
    (seed..).zip(bytes.iter_mut()).for_each(|(value, byte)| *byte = value);
    MasterKey::new(Zeroizing::new(bytes)).unwrap()
}

fn secret(value: &str) -> Secret {
    Secret::new(Zeroizing::new(value.as_bytes().to_vec())).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

async fn embedded() -> (TempDir, Db, Embedded) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    let store = Embedded::new(db.clone(), &master(1)).unwrap();
    (dir, db, store)
}

fn keyward(name: &str) -> SecretRef {
    format!("keyward://{name}").parse().unwrap()
}

fn file(path: &Path) -> SecretRef {
    format!("file://{}", path.display()).parse().unwrap()
}

fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn refused(store: &impl SecretStore, reference: &SecretRef) -> SecretError {
    match store.fetch(reference).await {
        Ok(fetched) => panic!("{reference} gave version {}", fetched.version),
        Err(error) => error,
    }
}

/// What every store promises, given one with `present` and without `absent`, and a reference that it does not serve.
async fn contract(store: AnyStore, present: SecretRef, absent: SecretRef, foreign: SecretRef) {
    assert!(store.serves(&present) && !store.serves(&foreign));
    let (first, second) = (store.fetch(&present).await.unwrap(), store.fetch(&present).await.unwrap());
    assert_eq!(first.secret.expose(), b"the-value");
    assert_eq!(first.version, second.version, "the same value has the same version");
    assert!(!first.version.contains("the-value"));
    let gone = refused(&store, &absent).await;
    assert!(matches!(&gone, SecretError::Absent { reference } if *reference == absent), "{gone}");
    assert!(gone.to_string().contains(&absent.to_string()) && !gone.is_outage(), "{gone}");
    assert!(matches!(refused(&store, &foreign).await, SecretError::NoStore { .. }));
}

#[tokio::test]
async fn every_store_keeps_the_contract() {
    let (dir, _db, store) = embedded().await;
    store.put("present", &secret("the-value"), at(0)).await.unwrap();
    let elsewhere = "env://ELSEWHERE".parse::<SecretRef>().unwrap();
    contract(AnyStore::Embedded(store), keyward("present"), keyward("absent"), elsewhere).await;

    let variables = Env::with(&master(1), |name| (name == "PRESENT").then(|| OsString::from("the-value")));
    let (present, absent) = ("env://PRESENT".parse().unwrap(), "env://ABSENT".parse().unwrap());
    contract(AnyStore::Env(variables), present, absent, keyward("elsewhere")).await;

    let path = dir.path().join("present");
    write(&path, "the-value\n", 0o600);
    let store = AnyStore::File(File::new(&master(1)));
    contract(store, file(&path), file(&dir.path().join("absent")), keyward("elsewhere")).await;
}

#[tokio::test]
async fn the_environment_is_the_one_of_this_process() {
    // Cargo sets it for every test.
    let reference = "env://CARGO_PKG_NAME".parse().unwrap();
    assert_eq!(Env::new(&master(1)).fetch(&reference).await.unwrap().secret.expose(), b"keyward-secrets");
}

// Catalogue 145.
#[tokio::test]
async fn a_value_that_cannot_be_meant_is_refused_by_name_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let (store, reference) = (File::new(&master(1)), file(&path));
    let long = vec![b'a'; SECRET_BYTES_MAX + 1];
    for (content, flaw) in [
        (b"".as_slice(), Flaw::Empty),
        (b"\n", Flaw::Empty),
        (b"canary\r\ncanary", Flaw::LineBreak),
        (b"canary\0", Flaw::Control),
        ("canary-\u{e9}".as_bytes(), Flaw::NotAscii),
        (&long, Flaw::TooLong),
        (&long.repeat(3), Flaw::TooLong),
    ] {
        write(&path, content, 0o600);
        let error = refused(&store, &reference).await;
        assert!(matches!(error, SecretError::Unusable { flaw: f, .. } if f == flaw), "{error:?}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("canary") && !shown.contains("aaaa"), "{shown}");
            assert!(shown.contains("/key"), "{shown}");
        }
    }
    let variables = Env::with(&master(1), |_| Some(OsString::from_vec(b"canary\xff".to_vec())));
    let error = refused(&variables, &"env://KEY".parse().unwrap()).await;
    assert!(matches!(error, SecretError::Unusable { flaw: Flaw::NotAscii, .. }));
    assert!(
        error.to_string().contains("env://KEY") && error.to_string().contains("set the variable KEY"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let store = File::new(&master(1));
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601, 0o610, 0o620, 0o602] {
        write(&path, "value", mode);
        let error = refused(&store, &file(&path)).await;
        assert!(matches!(error, SecretError::Exposed { mode: m, .. } if m == mode), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("{mode:04o}")) && text.contains("chmod 600"), "{text}");
    }
    for mode in [0o600, 0o400, 0o700] {
        write(&path, "value", mode);
        assert!(store.fetch(&file(&path)).await.is_ok(), "{mode:o}");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_link_counts_as_what_it_leads_to() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // As Kubernetes mounts a secret: key -> ..data/key, ..data -> a directory by date.
    fs::create_dir(at("..2026")).unwrap();
    write(&at("..2026/key"), "value", 0o400);
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    let store = File::new(&master(1));
    assert_eq!(store.fetch(&file(&at("key"))).await.unwrap().secret.expose(), b"value");
    fs::set_permissions(at("..2026/key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(refused(&store, &file(&at("key"))).await, SecretError::Exposed { mode: 0o644, .. }));
    symlink("nowhere", at("dangling")).unwrap();
    assert!(matches!(refused(&store, &file(&at("dangling"))).await, SecretError::Absent { .. }));
    symlink("loop", at("loop")).unwrap();
    assert!(matches!(refused(&store, &file(&at("loop"))).await, SecretError::Io { .. }));
}

#[tokio::test]
async fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let store = File::new(&master(1));
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [dir.path().to_owned(), pipe, socket, PathBuf::from("/dev/null")] {
        let error = refused(&store, &file(&path)).await;
        assert!(matches!(error, SecretError::NotAFile { .. }), "{}: {error:?}", path.display());
    }
    let under_a_file = dir.path().join("file");
    write(&under_a_file, "x", 0o600);
    assert!(matches!(refused(&store, &file(&under_a_file.join("key"))).await, SecretError::Absent { .. }));
}

// Catalogue 132: who knows all values but not the key cannot tell which one it is.
#[tokio::test]
async fn a_version_tells_values_apart_only_to_who_has_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write(&a, "1234", 0o600);
    write(&b, "1234", 0o600);
    let version =
        async |seed: u8, path: &Path| File::new(&master(seed)).fetch(&file(path)).await.unwrap().version;
    let first = version(1, &a).await;
    assert_eq!(first.len(), 16);
    assert_eq!(version(1, &a).await, first);
    assert_ne!(version(2, &a).await, first, "depends on the key");
    assert_ne!(version(1, &b).await, first, "equal values elsewhere do not show");
    write(&a, "1235", 0o600);
    assert_ne!(version(1, &a).await, first);
}

#[tokio::test]
async fn put_rotated_shown_and_listed() {
    let (_dir, _db, store) = embedded().await;
    let reference = keyward("team/openai");
    assert!(matches!(
        store.rotate("team/openai", &secret("one"), at(0)).await,
        Err(SecretError::Absent { .. })
    ));
    assert_eq!(store.put("team/openai", &secret("one"), at(1)).await.unwrap().version, 1);
    let same = store.rotate("team/openai", &secret("one"), at(2)).await;
    assert!(matches!(same, Err(SecretError::SameValue { .. })), "{same:?}");
    assert_eq!(store.rotate("team/openai", &secret("two"), at(2)).await.unwrap().version, 2);
    assert_eq!(store.put("team/openai", &secret("three"), at(3)).await.unwrap().version, 3);
    let fetched = store.fetch(&reference).await.unwrap();
    assert_eq!((fetched.version.as_str(), fetched.secret.expose()), ("v3", b"three".as_slice()));
    let info = store.show("team/openai").await.unwrap().unwrap();
    let versions: Vec<_> = info.versions.iter().map(|v| (v.version, v.created_at)).collect();
    assert_eq!(versions, [(3, at(3)), (2, at(2))]);
    store.put("a", &secret("x"), at(4)).await.unwrap();
    let names: Vec<_> = store.list().await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["a", "team/openai"]);
    assert!(store.show("absent").await.unwrap().is_none());
    for name in ["", "A", "../x", "a b", &"a".repeat(129)] {
        assert!(matches!(store.put(name, &secret("x"), at(0)).await, Err(SecretError::Name)), "{name:?}");
        assert!(matches!(store.show(name).await, Err(SecretError::Name)), "{name:?}");
    }
}

#[tokio::test]
async fn nothing_readable_lies_in_the_database_files() {
    let (dir, db, store) = embedded().await;
    let value = "canary-0123456789-abcdefghij";
    store.put("openai", &secret(value), at(0)).await.unwrap();
    let contains = |needle: &[u8]| {
        fs::read_dir(dir.path()).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    assert!(contains(b"openai"), "the files are those that hold the row");
    assert!(!contains(value.as_bytes()) && !contains(b"canary"));
    db.close().await;
    assert!(contains(b"openai") && !contains(b"canary"));
}

#[tokio::test]
async fn a_row_opens_only_in_its_place_and_under_its_key() {
    let (_dir, db, store) = embedded().await;
    store.put("a", &secret("value-of-a"), at(0)).await.unwrap();
    store.put("b", &secret("value-of-b"), at(0)).await.unwrap();
    let of_a = db.secret_get("a").await.unwrap().remove(0);
    // a's row under b's name, and again as the next version of a.
    assert!(db.secret_put("b", 2, &of_a.sealed, at(1)).await.unwrap());
    assert!(db.secret_put("a", 2, &of_a.sealed, at(1)).await.unwrap());
    assert!(db.secret_put("c", 1, b"short", at(1)).await.unwrap());
    for name in ["a", "b", "c"] {
        let error = refused(&store, &keyward(name)).await;
        assert!(matches!(error, SecretError::Sealed { .. }) && !error.is_outage(), "{name}: {error:?}");
    }
    let checked: Vec<_> =
        store.check().await.unwrap().into_iter().map(|c| (c.name, c.version, c.fault.is_none())).collect();
    let expected = [("a", 2, false), ("a", 1, true), ("b", 2, false), ("b", 1, true), ("c", 1, false)];
    assert_eq!(checked, expected.map(|(name, version, opens)| (name.to_owned(), version, opens)));
    let other_key = Embedded::new(db, &master(2)).unwrap();
    assert!(other_key.check().await.unwrap().iter().all(|c| c.fault.is_some()));
}

#[tokio::test]
async fn equal_values_are_sealed_differently() {
    let (_dir, db, store) = embedded().await;
    store.put("a", &secret("same"), at(0)).await.unwrap();
    store.put("a", &secret("same"), at(0)).await.unwrap();
    let rows = db.secret_get("a").await.unwrap();
    assert_ne!(rows[0].sealed, rows[1].sealed);
    assert_ne!(rows[0].sealed[..12], rows[1].sealed[..12], "nonces");
}

#[tokio::test]
async fn the_wrong_master_key_is_refused_at_once() {
    let (_dir, db, _store) = embedded().await;
    master(1).verify(&db).await.unwrap();
    master(1).verify(&db).await.unwrap();
    let error = master(2).verify(&db).await.unwrap_err();
    assert!(matches!(error, MasterKeyError::Wrong { .. }));
    assert!(error.to_string().contains("keyward.db"), "{error}");
    master(1).verify(&db).await.unwrap();
}

fn load(text: impl AsRef<[u8]>) -> Result<MasterKey, MasterKeyError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    write(&path, text, 0o600);
    MasterKey::load(&file(&path))
}

/// Whether two keys are the same key.
fn equal(a: &MasterKey, b: &MasterKey) -> bool {
    let sealed = a.derive("test").unwrap().seal([0; 12], b"", b"x").unwrap();
    b.derive("test").unwrap().open(b"", &sealed).is_ok()
}

#[test]
fn a_master_key_is_32_bytes_in_base64_or_hex() {
    let hex = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20".to_owned();
    let base64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        format!("{hex}\n"),
        base64.to_owned(),
        format!("  {base64}\r\n"),
        base64.trim_end_matches('=').to_owned(),
    ] {
        let key = load(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(equal(&key, &master(1)), "{text}");
    }
    for text in [
        "",
        "\n",
        "canary",
        &hex[..62],
        &hex[..63],
        &format!("{hex}00"),
        &base64[..40],
        &"g".repeat(64),
        &"a".repeat(257),
    ] {
        let error = load(text).err().unwrap_or_else(|| panic!("{text}: taken"));
        assert!(matches!(error, MasterKeyError::Malformed { .. }), "{text}: {error}");
        assert!(
            !error.to_string().contains("canary") && error.to_string().contains("openssl rand"),
            "{error}"
        );
    }
    for text in ["00".repeat(32), "ab".repeat(32), "0123456789abcdef".repeat(4)] {
        assert!(matches!(load(&text), Err(MasterKeyError::Weak { .. })), "{text}");
    }
}

#[test]
fn a_master_key_file_is_private_regular_and_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    let made = MasterKey::generate_file(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(equal(&made, &MasterKey::load(&file(&path)).unwrap()));
    let before = fs::read(&path).unwrap();
    let again = MasterKey::generate_file(&path).err().unwrap();
    assert!(
        matches!(&again, MasterKeyError::Write { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists)
    );
    assert_eq!(fs::read(&path).unwrap(), before, "never replaced");
    let other = MasterKey::generate_file(&dir.path().join("other.key")).unwrap();
    assert!(!equal(&made, &other));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = MasterKey::load(&file(&path)).err().unwrap();
    assert!(
        matches!(error, MasterKeyError::Exposed { mode: 0o640, .. })
            && error.to_string().contains("chmod 600")
    );
    assert!(matches!(MasterKey::load(&file(dir.path())), Err(MasterKeyError::NotAFile { .. })));
    assert!(matches!(MasterKey::load(&file(&dir.path().join("no"))), Err(MasterKeyError::Absent { .. })));
    assert!(matches!(MasterKey::load(&keyward("master")), Err(MasterKeyError::Reference)));
    let absent = "env://KEYWARD_TEST_NO_SUCH_VARIABLE".parse().unwrap();
    assert!(matches!(MasterKey::load(&absent), Err(MasterKeyError::Absent { .. })));
    let malformed = "env://CARGO_PKG_NAME".parse().unwrap();
    assert!(matches!(MasterKey::load(&malformed), Err(MasterKeyError::Malformed { .. })));
}

#[test]
fn a_master_key_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    MasterKey::generate_file(&path).unwrap();
    // Only root can give a file away; everybody else could not have made this state.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        assert!(matches!(MasterKey::load(&file(&path)), Err(MasterKeyError::Owner { owner: 12_345, .. })));
    }
}
