//! The right to use a secret until it is read anew.
//!
//! Promise: [`Secrets::lease`] answers from memory while the last read is younger than `refresh`; then one caller reads
//! anew and nobody else does at the same time. While a store does not answer, the last value is used for at most
//! `stale_max` since it was last proved; then, and at once when the store answers that the value is gone or unusable,
//! there is no lease — *fails closed*. A failing store is asked at most once a second per secret.
//! Exception: a lease that was handed out stays readable until its holder drops it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use crate::{AnyStore, Secret, SecretError, SecretRef, SecretStore};

/// Most different secrets held at once.
const LEASES_MAX: usize = 10_000;
/// How long a store may take to answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nobody asks again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// How long a value is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretsOptions {
    /// A value younger than this is used without asking its store.
    pub refresh: Duration,
    /// While a store does not answer, a value is used for this long since the store last confirmed it.
    pub stale_max: Duration,
}

impl Default for SecretsOptions {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(30), stale_max: Duration::from_mins(5) }
    }
}

/// A value at its time. The same value read again is the same lease.
pub struct Lease {
    /// Where it came from.
    pub reference: SecretRef,
    /// Its version: for the ledger, and to tell one value from another.
    pub version: String,
    /// The value.
    pub secret: Secret,
    /// When this version was first read.
    pub fetched_at: Instant,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("reference", &self.reference)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// All secrets of a gateway, from whichever store.
pub struct Secrets {
    stores: Vec<AnyStore>,
    options: SecretsOptions,
    entries: RwLock<HashMap<SecretRef, Arc<Entry>>>,
}

struct Entry {
    state: ArcSwap<State>,
    /// Held by the one who reads anew.
    gate: Mutex<()>,
    /// How often a recheck was asked for: a read that began before the last one does not settle it.
    rechecks: AtomicU64,
}

#[derive(Clone)]
struct State {
    lease: Option<Arc<Lease>>,
    /// Why the last read failed.
    fault: Option<SecretError>,
    /// When the store last confirmed the lease.
    proved_at: Instant,
    /// From when on the store is asked again.
    due_at: Instant,
}

impl Entry {
    fn recheck(&self, now: Instant) {
        self.rechecks.fetch_add(1, Ordering::SeqCst);
        self.state.rcu(|state| State { due_at: now, ..State::clone(state) });
    }
}

impl State {
    /// What this state allows at `now`.
    fn answer(&self, now: Instant, stale_max: Duration) -> Option<Result<Arc<Lease>, SecretError>> {
        let believed = now.saturating_duration_since(self.proved_at) <= stale_max;
        match (&self.lease, &self.fault) {
            (Some(lease), _) if believed => Some(Ok(Arc::clone(lease))),
            (_, Some(fault)) => Some(Err(fault.clone())),
            (_, None) => None,
        }
    }
}

impl Secrets {
    /// Over these stores; a reference goes to the first that serves its kind.
    pub fn new(stores: Vec<AnyStore>, options: SecretsOptions) -> Self {
        Self { stores, options, entries: RwLock::new(HashMap::new()) }
    }

    /// The lease on the current value.
    pub async fn lease(&self, reference: &SecretRef) -> Result<Arc<Lease>, SecretError> {
        let now = Instant::now();
        let entry = self.entry(reference, now)?;
        let state = entry.state.load();
        if now < state.due_at
            && let Some(answer) = state.answer(now, self.options.stale_max)
        {
            return answer;
        }
        let guard = if let Ok(guard) = entry.gate.try_lock() {
            guard
        } else {
            // Somebody reads it anew right now. A value that may still be used is not worth waiting for.
            if let Some(Ok(lease)) = state.answer(now, self.options.stale_max) {
                return Ok(lease);
            }
            entry.gate.lock().await
        };
        drop(state);
        self.read(&entry, reference, guard).await
    }

    /// After an upstream refused version `seen`: the value read anew, unless it is another one already, or was read
    /// within the last second (so that a flood of refusals does not become a flood of reads).
    pub async fn renew(&self, reference: &SecretRef, seen: &str) -> Result<Arc<Lease>, SecretError> {
        let now = Instant::now();
        let entry = self.entry(reference, now)?;
        let state = entry.state.load_full();
        let same = state.lease.as_ref().is_some_and(|lease| lease.version == seen);
        if same && now.saturating_duration_since(state.proved_at) >= RETRY {
            entry.recheck(now);
        }
        self.lease(reference).await
    }

    /// Asks the store at the next use, because the value was just changed.
    pub fn recheck(&self, reference: &SecretRef) {
        let now = Instant::now();
        let known =
            self.entries.read().unwrap_or_else(PoisonError::into_inner).get(reference).map(Arc::clone);
        if let Some(entry) = known {
            entry.recheck(now);
        }
    }

    fn entry(&self, reference: &SecretRef, now: Instant) -> Result<Arc<Entry>, SecretError> {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(reference) {
            return Ok(Arc::clone(entry));
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= LEASES_MAX && !entries.contains_key(reference) {
            // What nobody asked for lately belongs to connections that are gone.
            let kept = self.options.refresh.max(self.options.stale_max);
            entries.retain(|_, entry| now.saturating_duration_since(entry.state.load().due_at) <= kept);
            if entries.len() >= LEASES_MAX {
                return Err(SecretError::TooMany { limit: LEASES_MAX });
            }
        }
        let entry = entries.entry(reference.clone()).or_insert_with(|| {
            let state = State { lease: None, fault: None, proved_at: now, due_at: now };
            Arc::new(Entry {
                state: ArcSwap::from_pointee(state),
                gate: Mutex::new(()),
                rechecks: AtomicU64::new(0),
            })
        });
        Ok(Arc::clone(entry))
    }

    async fn read(
        &self,
        entry: &Entry,
        reference: &SecretRef,
        guard: MutexGuard<'_, ()>,
    ) -> Result<Arc<Lease>, SecretError> {
        let now = Instant::now();
        let before = entry.state.load_full();
        if now < before.due_at
            && let Some(answer) = before.answer(now, self.options.stale_max)
        {
            return answer; // who held the gate before read it for us
        }
        let store = self
            .stores
            .iter()
            .find(|store| store.serves(reference))
            .ok_or_else(|| SecretError::NoStore { reference: reference.clone() })?;
        let rechecks = entry.rechecks.load(Ordering::SeqCst);
        let fetched = timeout(FETCH_TIMEOUT, store.fetch(reference))
            .await
            .unwrap_or_else(|_| Err(SecretError::Timeout { reference: reference.clone() }));
        let now = Instant::now();
        let after = match fetched {
            Ok(fetched) => {
                let same = before.lease.clone().filter(|lease| {
                    lease.version == fetched.version && lease.secret.same_as(&fetched.secret)
                });
                let lease = same.unwrap_or_else(|| {
                    Arc::new(Lease {
                        reference: reference.clone(),
                        version: fetched.version,
                        secret: fetched.secret,
                        fetched_at: now,
                    })
                });
                State { lease: Some(lease), fault: None, proved_at: now, due_at: now + self.options.refresh }
            }
            Err(fault) => {
                if before.fault.is_none() {
                    tracing::warn!(secret = %reference, error = %fault, "secret cannot be read");
                }
                let lease = before.lease.clone().filter(|_| fault.is_outage());
                State { lease, fault: Some(fault), proved_at: before.proved_at, due_at: now + RETRY }
            }
        };
        let answer = after.answer(now, self.options.stale_max);
        entry.state.store(Arc::new(after));
        if entry.rechecks.load(Ordering::SeqCst) != rechecks {
            entry.state.rcu(|state| State { due_at: now, ..State::clone(state) });
        }
        drop(guard);
        answer.unwrap_or_else(|| Err(SecretError::Absent { reference: reference.clone() }))
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
pub(crate) mod tests;
