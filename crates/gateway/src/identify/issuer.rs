//! One issuer's keys: fetched, kept, renewed.
//!
//! Promise: keys come from the pinned address, or from one at the issuer's own origin that a discovery document named
//! whose `issuer` is the configured url byte for byte (catalogue 8); no other address is ever asked. One fetch at a time
//! runs per issuer, however many callers wait for it, and it goes on when they leave. Unknown key ids force at most one
//! fetch per [`IssuerSettings::forced_refresh_every`] (5). A removed key is refused when keys were renewed, and they
//! are never more than a quarter older than [`IssuerSettings::keys_refresh`] while the issuer answers (6).
//! While it does not, the keys at hand serve up to [`IssuerSettings::keys_age_max`]; then its tokens are refused. *Fails
//! closed.* A document without usable keys counts as no answer.
//!
//! All ages are of the caller's clock; a clock that jumps back makes keys old, not new.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use keyward_core::Timestamp;
use serde::Deserialize;
use tokio::sync::watch;

use super::error::IdentifyError;
use super::jwks::KeySet;
use super::settings::IssuerSettings;
use crate::fetch::{FetchClient, FetchError, FetchLimits, FetchUrl};

/// The caps of the two documents.
pub(super) const DISCOVERY_LIMITS: FetchLimits =
    FetchLimits { body_bytes_max: 256 * 1_024, deadline: Duration::from_secs(5) };
pub(super) const JWKS_LIMITS: FetchLimits =
    FetchLimits { body_bytes_max: 512 * 1_024, deadline: Duration::from_secs(5) };
/// How long a discovery document is believed.
const DISCOVERY_AGE_MAX: Duration = Duration::from_hours(1);
/// After a failed fetch the next one waits this long, doubled by every further failure …
const RETRY_MIN: Duration = Duration::from_secs(1);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Why a fetch is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Age,
    UnknownKey,
}

pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    http: FetchClient,
    keys: ArcSwapOption<KeySet>,
    /// When the last fetch that is over began; `i64::MIN` before the first.
    tried_at: AtomicI64,
    flight: Mutex<Flight>,
    landings: watch::Sender<u64>,
}

#[derive(Default)]
struct Flight {
    running: bool,
    failures: u32,
    began_at: Option<Timestamp>,
    forced_at: Option<Timestamp>,
    discovered: Option<(FetchUrl, Timestamp)>,
}

/// What is known about an issuer's keys, for readiness and diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerHealth {
    /// [`IssuerSettings::name`].
    pub name: String,
    /// How many keys are in use.
    pub keys: usize,
    /// When the fetch that brought them began.
    pub fetched_at: Option<Timestamp>,
    /// How many fetches in a row have failed since.
    pub failures: u32,
}

impl Issuer {
    pub(super) fn new(settings: IssuerSettings, http: FetchClient) -> Self {
        Self {
            settings,
            http,
            keys: ArcSwapOption::empty(),
            tried_at: AtomicI64::new(i64::MIN),
            flight: Mutex::default(),
            landings: watch::Sender::new(0),
        }
    }

    /// Takes over the keys of an issuer that has the same url and the same pin.
    pub(super) fn take_over(&self, old: &Self) {
        if self.settings.url != old.settings.url || self.settings.jwks_uri != old.settings.jwks_uri {
            return;
        }
        self.keys.store(old.keys.load_full());
        self.tried_at.store(old.tried_at.load(Ordering::Acquire), Ordering::Release);
        self.flight().forced_at = old.flight().forced_at;
    }

    pub(super) fn health(&self) -> IssuerHealth {
        let keys = self.keys.load();
        IssuerHealth {
            name: self.settings.name.clone(),
            keys: keys.as_ref().map_or(0, |keys| keys.len()),
            fetched_at: keys.as_ref().map(|keys| keys.fetched_at),
            failures: self.flight().failures,
        }
    }

    /// The keys to verify with now.
    pub(super) async fn keys(self: &Arc<Self>, now: Timestamp) -> Result<Arc<KeySet>, IdentifyError> {
        let mut keys = self.keys.load_full();
        if keys.as_ref().is_none_or(|keys| apart(now, keys.fetched_at) >= self.settings.keys_refresh) {
            let landing = self.begin(Cause::Age, now);
            let tried_lately = apart(now, Timestamp::from_micros(self.tried_at.load(Ordering::Acquire)))
                < self.settings.keys_refresh + self.settings.keys_refresh / 4;
            // Keys that are a little old serve while new ones are fetched; so do very old ones when the issuer was asked
            // lately and did not answer. Otherwise the answer is waited for: a key may have been removed.
            if keys.is_none() || !tried_lately {
                wait(landing).await;
                keys = self.keys.load_full();
            }
        }
        keys.filter(|keys| apart(now, keys.fetched_at) < self.settings.keys_age_max)
            .ok_or(IdentifyError::KeysUnavailable)
    }

    /// The keys after one more look at what the issuer publishes, where that is allowed now; else `None`. A fetch that
    /// is under way is waited for first, and taken as the look when it brought something else than `seen`.
    pub(super) async fn newer_keys(
        self: &Arc<Self>,
        seen: &Arc<KeySet>,
        now: Timestamp,
    ) -> Option<Arc<KeySet>> {
        let changed = |keys: &Arc<KeySet>| !Arc::ptr_eq(keys, seen);
        let under_way = self.landing_of(&self.flight());
        wait(under_way).await;
        if let Some(keys) = self.keys.load_full().filter(changed) {
            return Some(keys);
        }
        wait(self.begin(Cause::UnknownKey, now)).await;
        self.keys.load_full().filter(changed)
    }

    /// Begins a fetch, or joins the one under way. `None` when neither is to be had now.
    fn begin(self: &Arc<Self>, cause: Cause, now: Timestamp) -> Option<Landing> {
        let mut flight = self.flight();
        if !flight.running {
            let pause = match flight.failures {
                0 => Duration::ZERO,
                failures => RETRY_MIN.saturating_mul(1 << (failures - 1).min(8)).min(RETRY_MAX),
            };
            let lately = |at: Option<Timestamp>, pause| at.is_some_and(|at| apart(now, at) < pause);
            if lately(flight.began_at, pause) {
                return None;
            }
            if cause == Cause::UnknownKey {
                if lately(flight.forced_at, self.settings.forced_refresh_every) {
                    return None;
                }
                flight.forced_at = Some(now);
            }
            flight.running = true;
            flight.began_at = Some(now);
            let issuer = Arc::clone(self);
            // A task of its own: it ends at its deadlines, and a caller that hangs up cannot make the next one start again.
            tokio::spawn(async move {
                let mut landed = Landed { issuer: &issuer, began_at: now, result: None };
                landed.result = Some(issuer.fetch(now).await);
            });
        }
        self.landing_of(&flight)
    }

    fn landing_of(&self, flight: &Flight) -> Option<Landing> {
        flight.running.then(|| {
            let landings = self.landings.subscribe();
            let before = *landings.borrow();
            Landing { landings, before }
        })
    }

    async fn fetch(&self, now: Timestamp) -> Result<KeySet, FetchError> {
        let url = match &self.settings.jwks_uri {
            Some(pinned) => FetchUrl::parse(pinned, self.settings.plain_http())?,
            None => self.discover(now).await?,
        };
        let answer = self.http.get(&url, JWKS_LIMITS).await?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status));
        }
        KeySet::parse(&answer.body, now).map_err(|problem| {
            tracing::warn!(issuer = self.settings.name, %problem, "issuer's keys cannot be used");
            FetchError::Content("is not a usable key set")
        })
    }

    async fn discover(&self, now: Timestamp) -> Result<FetchUrl, FetchError> {
        let known = self.flight().discovered.clone();
        if let Some((url, at)) = known
            && apart(now, at) < DISCOVERY_AGE_MAX
        {
            return Ok(url);
        }
        let document = self.document().await?;
        let (url, plain) = (self.discovery_url()?, self.settings.plain_http());
        let jwks_uri = FetchUrl::parse(&document.jwks_uri, plain)?;
        if !jwks_uri.same_origin(&url) {
            return Err(FetchError::Content(
                "names a jwks_uri at another origin: pin it with jwks_uri if that is right",
            ));
        }
        self.flight().discovered = Some((jwks_uri.clone(), now));
        Ok(jwks_uri)
    }

    /// Where people sign in, and where a code is exchanged: as discovery says, the latter at the issuer's own origin.
    pub(super) async fn endpoints(&self) -> Result<(FetchUrl, FetchUrl), FetchError> {
        let document = self.document().await?;
        let (url, plain) = (self.discovery_url()?, self.settings.plain_http());
        let missing = FetchError::Content("names no authorization_endpoint and token_endpoint");
        let (Some(authorization), Some(token)) = (document.authorization_endpoint, document.token_endpoint)
        else {
            return Err(missing);
        };
        let (authorization, token) =
            (FetchUrl::parse(&authorization, plain)?, FetchUrl::parse(&token, plain)?);
        if !token.same_origin(&url) {
            return Err(FetchError::Content("names a token_endpoint at another origin"));
        }
        Ok((authorization, token))
    }

    fn discovery_url(&self) -> Result<FetchUrl, FetchError> {
        let base = self.settings.url.trim_end_matches('/');
        FetchUrl::parse(&format!("{base}/.well-known/openid-configuration"), self.settings.plain_http())
    }

    async fn document(&self) -> Result<Discovery, FetchError> {
        let answer = self.http.get(&self.discovery_url()?, DISCOVERY_LIMITS).await?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status));
        }
        let document: Discovery = serde_json::from_slice(&answer.body)
            .map_err(|_| FetchError::Content("is not a discovery document with issuer and jwks_uri"))?;
        if document.issuer != self.settings.url {
            return Err(FetchError::Content("names another issuer than the configured url"));
        }
        Ok(document)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a discovery document must say. Everything else in it is not looked at.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint: Option<String>,
}

/// The end of a fetch that somebody waits for.
struct Landing {
    landings: watch::Receiver<u64>,
    before: u64,
}

/// Ends a flight whatever happened to it, a panic too: those that wait must go on.
struct Landed<'a> {
    issuer: &'a Issuer,
    began_at: Timestamp,
    result: Option<Result<KeySet, FetchError>>,
}

impl Drop for Landed<'_> {
    fn drop(&mut self) {
        let issuer = self.issuer;
        let name = issuer.settings.name.as_str();
        let mut flight = issuer.flight();
        flight.running = false;
        match self.result.take() {
            Some(Ok(keys)) => {
                if flight.failures > 0 {
                    tracing::info!(issuer = name, "issuer answers again");
                }
                flight.failures = 0;
                issuer.keys.store(Some(Arc::new(keys)));
            }
            failed => {
                flight.failures = flight.failures.saturating_add(1);
                flight.discovered = None;
                let error = failed.and_then(Result::err);
                let source = error.as_ref().and_then(std::error::Error::source).map(ToString::to_string);
                let error = error.map(|error| error.to_string());
                tracing::warn!(
                    issuer = name,
                    error,
                    source,
                    failures = flight.failures,
                    "issuer's keys not fetched"
                );
            }
        }
        issuer.tried_at.store(self.began_at.micros(), Ordering::Release);
        // Under the lock, so that nobody subscribes between the end of the flight and the news of it.
        issuer.landings.send_modify(|count| *count = count.wrapping_add(1));
        drop(flight);
    }
}

async fn wait(landing: Option<Landing>) {
    if let Some(Landing { mut landings, before }) = landing {
        // An error means that the issuer is gone, and with it the fetch: then there is nothing to wait for.
        drop(landings.wait_for(|count| *count != before).await);
    }
}

/// How far apart two moments are, whichever is later.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
