use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::*;
use crate::{Fetched, Flaw};

/// A store that the tests command.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    answer: StdMutex<Result<(&'static str, &'static str), SecretError>>,
    fetches: AtomicUsize,
    /// Each fetch takes one; a test that holds them back holds the store.
    permits: Semaphore,
}

impl Fake {
    fn new() -> Self {
        Self(Arc::new(Inner {
            answer: StdMutex::new(Ok(("v1", "value-one"))),
            fetches: AtomicUsize::new(0),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
        }))
    }

    fn answer(&self, answer: Result<(&'static str, &'static str), SecretError>) {
        *self.0.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }
}

impl SecretStore for Fake {
    async fn fetch(&self, _: &SecretRef) -> Result<Fetched, SecretError> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.answer.lock().unwrap().clone();
        self.0.permits.acquire().await.unwrap().forget();
        let (version, value) = answer?;
        let secret = Secret::new(Zeroizing::new(value.as_bytes().to_vec())).unwrap();
        Ok(Fetched { secret, version: version.to_owned() })
    }
}

fn reference() -> SecretRef {
    "keyward://openai".parse().unwrap()
}

fn outage() -> SecretError {
    SecretError::Timeout { reference: reference() }
}

fn absent() -> SecretError {
    SecretError::Absent { reference: reference() }
}

fn with_fake() -> (Fake, Arc<Secrets>) {
    let fake = Fake::new();
    let options = SecretsOptions { refresh: Duration::from_secs(30), stale_max: Duration::from_mins(5) };
    (fake.clone(), Arc::new(Secrets::new(vec![AnyStore::Fake(fake)], options)))
}

async fn version(secrets: &Secrets) -> String {
    secrets.lease(&reference()).await.unwrap().version.clone()
}

#[tokio::test(start_paused = true)]
async fn read_once_and_again_after_the_refresh_time() {
    let (fake, secrets) = with_fake();
    let first = secrets.lease(&reference()).await.unwrap();
    assert_eq!((first.version.as_str(), first.secret.expose()), ("v1", b"value-one".as_slice()));
    tokio::time::advance(Duration::from_millis(29_999)).await;
    fake.answer(Ok(("v2", "value-two")));
    assert!(Arc::ptr_eq(&first, &secrets.lease(&reference()).await.unwrap()));
    assert_eq!(fake.fetches(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(version(&secrets).await, "v2");
    assert_eq!(fake.fetches(), 2);
    // Who still holds the old one can finish with it.
    assert_eq!(first.secret.expose(), b"value-one");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_value_is_the_same_lease() {
    let (fake, secrets) = with_fake();
    let first = secrets.lease(&reference()).await.unwrap();
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(Arc::ptr_eq(&first, &secrets.lease(&reference()).await.unwrap()));
    assert_eq!(fake.fetches(), 2);
    // The same version with another value is another lease.
    fake.answer(Ok(("v1", "value-two")));
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(secrets.lease(&reference()).await.unwrap().secret.expose(), b"value-two");
}

// Catalogue 146: at most one fetch per secret in flight.
#[tokio::test(start_paused = true)]
async fn a_thousand_cold_callers_fetch_once() {
    let (fake, secrets) = with_fake();
    fake.0.permits.forget_permits(Semaphore::MAX_PERMITS);
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let secrets = Arc::clone(&secrets);
        callers.spawn(async move { version(&secrets).await });
    }
    while fake.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    fake.0.permits.add_permits(1);
    assert!(callers.join_all().await.iter().all(|version| version == "v1"));
    assert_eq!(fake.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_one_reads_anew_the_others_go_on_with_what_they_have() {
    let (fake, secrets) = with_fake();
    assert_eq!(version(&secrets).await, "v1");
    fake.0.permits.forget_permits(Semaphore::MAX_PERMITS);
    fake.answer(Ok(("v2", "value-two")));
    tokio::time::advance(Duration::from_secs(30)).await;
    let reader = tokio::spawn({
        let secrets = Arc::clone(&secrets);
        async move { version(&secrets).await }
    });
    while fake.fetches() == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(version(&secrets).await, "v1");
    fake.0.permits.add_permits(1);
    assert_eq!(reader.await.unwrap(), "v2");
    assert_eq!(version(&secrets).await, "v2");
}

// Catalogue 146: within the declared bound, then closed; open again by itself.
#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_for_the_declared_time_and_no_longer() {
    let (fake, secrets) = with_fake();
    assert_eq!(version(&secrets).await, "v1");
    fake.answer(Err(outage()));
    for _ in 0..300 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(version(&secrets).await, "v1");
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(matches!(secrets.lease(&reference()).await, Err(SecretError::Timeout { .. })));
    fake.answer(Ok(("v2", "value-two")));
    tokio::time::advance(RETRY).await;
    assert_eq!(version(&secrets).await, "v2");
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_asked_once_a_second() {
    for fault in [outage(), absent()] {
        let (fake, secrets) = with_fake();
        fake.answer(Err(fault));
        for _ in 0..500 {
            assert!(secrets.lease(&reference()).await.is_err());
        }
        assert_eq!(fake.fetches(), 1);
        tokio::time::advance(RETRY).await;
        for _ in 0..500 {
            assert!(secrets.lease(&reference()).await.is_err());
        }
        assert_eq!(fake.fetches(), 2);
    }
}

// Catalogue 145: an answer that the value is gone or unusable is an answer; nothing earlier takes its place.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_gone_or_spoiled_is_not_used_any_more() {
    for fault in [absent(), SecretError::Unusable { reference: reference(), flaw: Flaw::Empty }] {
        let (fake, secrets) = with_fake();
        assert_eq!(version(&secrets).await, "v1");
        fake.answer(Err(fault));
        tokio::time::advance(Duration::from_secs(30)).await;
        let refused = secrets.lease(&reference()).await.unwrap_err();
        assert!(!refused.is_outage(), "{refused}");
        // Nor does it come back when the store falls silent after that answer.
        fake.answer(Err(outage()));
        tokio::time::advance(RETRY).await;
        assert!(secrets.lease(&reference()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_an_outage() {
    let (fake, secrets) = with_fake();
    fake.0.permits.forget_permits(Semaphore::MAX_PERMITS);
    let started = Instant::now();
    assert!(matches!(secrets.lease(&reference()).await, Err(SecretError::Timeout { .. })));
    assert_eq!(started.elapsed(), FETCH_TIMEOUT, "in paused time");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_blocks_nobody() {
    let (fake, secrets) = with_fake();
    fake.0.permits.forget_permits(Semaphore::MAX_PERMITS);
    let reader = tokio::spawn({
        let secrets = Arc::clone(&secrets);
        async move { version(&secrets).await }
    });
    while fake.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled());
    fake.0.permits.add_permits(1);
    assert_eq!(version(&secrets).await, "v1");
}

// Catalogue 148.
#[tokio::test(start_paused = true)]
async fn renewed_after_an_upstream_refused_the_version() {
    let (fake, secrets) = with_fake();
    let first = secrets.lease(&reference()).await.unwrap();
    fake.answer(Ok(("v2", "value-two")));
    // Read a moment ago: not read again for one refusal, nor for a thousand.
    for _ in 0..1_000 {
        assert!(Arc::ptr_eq(&first, &secrets.renew(&reference(), "v1").await.unwrap()));
    }
    assert_eq!(fake.fetches(), 1);
    tokio::time::advance(RETRY).await;
    assert_eq!(secrets.renew(&reference(), "v1").await.unwrap().version, "v2");
    for _ in 0..1_000 {
        assert_eq!(secrets.renew(&reference(), "v1").await.unwrap().version, "v2");
    }
    assert_eq!(fake.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn rechecked_when_it_was_just_put() {
    let (fake, secrets) = with_fake();
    fake.answer(Err(absent()));
    assert!(secrets.lease(&reference()).await.is_err());
    fake.answer(Ok(("v1", "value-one")));
    secrets.recheck(&reference());
    assert_eq!(version(&secrets).await, "v1");
    fake.answer(Ok(("v2", "value-two")));
    secrets.recheck(&reference());
    assert_eq!(version(&secrets).await, "v2");
}

#[tokio::test(start_paused = true)]
async fn a_recheck_is_not_settled_by_a_read_that_began_before_it() {
    let (fake, secrets) = with_fake();
    fake.0.permits.forget_permits(Semaphore::MAX_PERMITS);
    let reader = tokio::spawn({
        let secrets = Arc::clone(&secrets);
        async move { version(&secrets).await }
    });
    while fake.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    fake.answer(Ok(("v2", "value-two")));
    secrets.recheck(&reference());
    fake.0.permits.add_permits(2);
    assert_eq!(reader.await.unwrap(), "v1");
    assert_eq!(version(&secrets).await, "v2");
}

#[tokio::test(start_paused = true)]
async fn a_reference_without_a_store_is_refused() {
    let secrets = Secrets::new(Vec::new(), SecretsOptions::default());
    assert!(matches!(secrets.lease(&reference()).await, Err(SecretError::NoStore { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded() {
    let (_fake, secrets) = with_fake();
    let nth = |n: usize| format!("keyward://n{n}").parse::<SecretRef>().unwrap();
    for n in 0..LEASES_MAX {
        secrets.lease(&nth(n)).await.unwrap();
    }
    let more = secrets.lease(&nth(LEASES_MAX)).await.unwrap_err();
    assert!(matches!(more, SecretError::TooMany { limit: LEASES_MAX }), "{more}");
    assert!(secrets.lease(&nth(0)).await.is_ok(), "those in use go on");
    tokio::time::advance(Duration::from_mins(10)).await;
    assert!(secrets.lease(&nth(LEASES_MAX)).await.is_ok(), "those that nobody uses make room");
}

#[tokio::test(start_paused = true)]
async fn a_lease_shows_its_name_and_version_only() {
    let (_fake, secrets) = with_fake();
    let shown = format!("{:?}", secrets.lease(&reference()).await.unwrap());
    assert!(shown.contains("openai") && shown.contains("v1") && !shown.contains("value"), "{shown}");
}
