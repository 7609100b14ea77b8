//! The gateway at work: one configuration, immutable, and what outlives it.
//!
//! A reload builds a new [`Gateway`] and swaps it in whole; an exchange keeps the one that it began with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_core::People;
use keyward_core::policy::PolicySet;
use keyward_journal::Journal;
use keyward_journal::record::End;
use keyward_secrets::Secrets;
use keyward_store::Db;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::anonymous::Anonymous;
use crate::budgets::Budgets;
use crate::consult::Points;
use crate::fetch::FetchClient;
use crate::forward::{Pools, TlsSetupError};
use crate::grants::Grants;
use crate::hold::{Answers, Approvals, Spool};
use crate::identify::{Identity, SettingsError};
use crate::life::Life;
use crate::locks::Locks;
use crate::metrics::Metrics;
use crate::moderate::Moderation;
use crate::notify::{Audience, Notifier, Target as Told};
use crate::respond::{Profiles, Weights};
use crate::risk::Seen;
use crate::route::{Routes, Target, Way};
use crate::sessions::Sessions;
use crate::settings::{Holding, Limits, Roles, Settings, SignIn};
use crate::tokens::ClientTokens;

/// One configuration at work.
pub struct Gateway {
    /// Where calls may go.
    pub routes: Routes,
    /// Who is believed about callers.
    pub identity: Identity,
    /// What is allowed.
    pub policy: Arc<PolicySet>,
    /// Whom its rules consult.
    pub points: Points,
    /// Whom it tells.
    pub notify: Vec<Arc<Told>>,
    /// How calls wait for a human.
    pub holding: Holding,
    /// Bounds.
    pub limits: Limits,
    /// Base of links, without a slash at the end.
    pub public_url: String,
    /// Where callers reach the data listener, without a slash at the end; none where nobody said so.
    pub data_url: Option<String>,
    /// Roles of the admin API.
    pub roles: Roles,
    /// How long a window is open at most that is opened without an approval; none: nobody opens one.
    pub break_glass: Option<Duration>,
    /// Which accounts are whose.
    pub people: People,
    /// How people sign in with a browser.
    pub sign_in: Option<SignIn>,
    /// What outlives this configuration.
    pub shared: Arc<Shared>,
}

/// Why a configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An issuer.
    #[error("an issuer cannot be used")]
    Issuer(#[from] SettingsError),
    /// A connection's TLS.
    #[error("connection {connection}: TLS cannot be set up")]
    Tls {
        /// Its name.
        connection: String,
        /// Why.
        source: TlsSetupError,
    },
}

impl Gateway {
    /// Makes this configuration the one that approvals are checked against.
    pub fn put_in_force(&self) {
        let way = |target: &Arc<Target>| (Arc::clone(&target.settings.connection.name), target.way());
        let ways = self.routes.all().into_iter().map(way).collect();
        self.shared.in_force.store(Arc::new(InForce { policy: Arc::clone(self.policy.version()), ways }));
        self.shared.db.know(self.people.clone());
        let audience = Audience { targets: self.notify.clone(), public_url: self.public_url.clone() };
        self.shared.notifier.put_in_force(audience);
    }

    /// Puts a configuration to work. `before` is the one it replaces: issuers that did not change keep their keys.
    pub fn build(settings: Settings, shared: Arc<Shared>, before: Option<&Self>) -> Result<Self, BuildError> {
        let identity = match before {
            Some(before) => before.identity.reconfigured(settings.issuers, shared.fetch.clone())?,
            None => Identity::new(settings.issuers, shared.fetch.clone())?,
        };
        let mut targets = Vec::with_capacity(settings.connections.len());
        for connection in settings.connections {
            let pools = Pools::new(&connection).map_err(|source| BuildError::Tls {
                connection: connection.connection.name.to_string(),
                source,
            })?;
            let profiles = Profiles::new(Arc::clone(&settings.detectors), shared.placeholder_key);
            targets.push(Target { settings: connection, pools, profiles });
        }
        Ok(Self {
            routes: Routes::new(targets),
            identity,
            policy: settings.policy,
            points: settings.points,
            notify: settings.notify,
            holding: settings.holding,
            limits: settings.limits,
            public_url: settings.public_url,
            data_url: settings.data_url,
            roles: settings.roles,
            break_glass: settings.break_glass,
            people: settings.people,
            sign_in: settings.sign_in,
            shared,
        })
    }
}

/// What outlives a configuration: records, approvals, secrets, sessions.
pub struct Shared {
    /// The journal.
    pub journal: Journal,
    /// The control database.
    pub db: Db,
    /// Credentials by reference.
    pub secrets: Arc<Secrets>,
    /// Approvals and those who wait for them.
    pub approvals: Approvals,
    /// Where calls that are watched meet those who watch.
    pub moderation: Moderation,
    /// Where long bodies of held calls lie.
    pub spool: Spool,
    /// Answers of approved calls, for identical retries.
    pub answers: Arc<Answers>,
    /// Open sessions.
    pub sessions: Sessions,
    /// Who is kept out.
    pub locks: Locks,
    /// Tells people outside.
    pub notifier: Notifier,
    /// Windows in place of approvals.
    pub grants: Grants,
    /// Short-lived tokens of our own.
    pub client_tokens: ClientTokens,
    /// What is drawn from budgets.
    pub budgets: Arc<Budgets>,
    /// What callers did before.
    pub seen: Seen,
    /// Answers that turned out to be weights.
    pub weights: Weights,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Limits the records of refusals of unknown callers.
    pub anonymous: Anonymous,
    /// Fetches keys of issuers.
    pub fetch: FetchClient,
    /// Exchanges under way.
    pub running: Running,
    /// What placeholders that are the same in every session are derived with.
    pub placeholder_key: [u8; 32],
    /// What is in force now, whatever configuration an exchange began with.
    pub in_force: ArcSwap<InForce>,
}

/// What approvals are checked against when they are used.
#[derive(Default)]
pub struct InForce {
    /// The policy's version.
    pub policy: Arc<str>,
    /// Where each connection leads, and with what.
    pub ways: HashMap<Arc<str>, Way>,
}

/// Exchanges under way, and the switch that ends them.
#[derive(Clone, Default)]
pub struct Running {
    tracker: TaskTracker,
    cut: Arc<AtomicBool>,
}

impl Running {
    /// Counts an exchange until the guard is dropped.
    pub fn enter(&self, metrics: &Arc<Metrics>) -> InFlight {
        metrics.in_flight.inc();
        let guard = Arc::new(Guard {
            _token: self.tracker.token(),
            cut: Arc::clone(&self.cut),
            began: AtomicBool::new(false),
            metrics: Arc::clone(metrics),
        });
        InFlight { guard, life: Arc::default() }
    }

    /// Waits until none is under way.
    pub async fn idle(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// From now on, exchanges that are still under way end with an error.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }
}

/// Counts one exchange as under way, and knows what ends it early.
#[derive(Clone)]
pub struct InFlight {
    guard: Arc<Guard>,
    life: Arc<Life>,
}

struct Guard {
    _token: TaskTrackerToken,
    cut: Arc<AtomicBool>,
    /// Its intent was recorded, so its outcome will be.
    began: AtomicBool,
    metrics: Arc<Metrics>,
}

impl InFlight {
    /// Whether the gateway stops and the grace time is over.
    pub fn is_cut(&self) -> bool {
        self.guard.cut.load(Ordering::Acquire)
    }

    /// Notes that its intent was recorded.
    pub fn begin(&self) {
        self.guard.began.store(true, Ordering::Release);
    }

    /// Whether its intent was recorded.
    pub fn began(&self) -> bool {
        self.guard.began.load(Ordering::Acquire)
    }

    /// The session's life, which ends the exchange with it.
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// The same exchange, now that its session is known.
    #[must_use]
    pub fn within(self, life: Arc<Life>) -> Self {
        Self { life, ..self }
    }

    /// How an exchange ended that was dropped before its end.
    pub fn dropped(&self) -> End {
        if self.is_cut() {
            End::Stopped
        } else if self.life.is_over() {
            End::SessionEnded
        } else {
            End::ClientGone
        }
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.guard.metrics
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}
