//! The gateway as a running process: started from a configuration, reloaded, stopped without losing anything.
//!
//! Promise: a reload is all or nothing; a configuration that does not hold leaves the last good one at work, and either
//! way the journal says so. Stopping first ends accepting, lets exchanges under way finish within the grace time, ends
//! the rest with an error, and closes every recording.
//! Exceptions: listeners, data directory, master key and journal settings are read at start alone; a reload that changes
//! them says that a restart is needed.

mod reload;
mod settings;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_gateway::admin::AdminServer;
use keyward_gateway::clock;
use keyward_gateway::server::{DataServer, tls_acceptor};
use keyward_gateway::snapshot::{Gateway, Shared};
use keyward_gateway::start::{JOURNAL_KEY, State, journal_dir};
use keyward_journal::record::ConfigEvent;
use keyward_journal::{Durability, Reader, Record};
use keyward_secrets::MasterKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::compose::prepare_data_dir;
use crate::config::Loaded;
use crate::config::document::{self, Config, Tls};
use crate::exit::Failure;

pub(crate) use settings::connection as connection_settings;
pub use watch::watch;

/// How long the last outcomes may take to be written once all connections are closed.
const LAST_OUTCOMES: Duration = Duration::from_secs(5);

/// A running gateway.
pub struct Server {
    data: SocketAddr,
    admin: SocketAddr,
    gateway: Arc<ArcSwap<Gateway>>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    drain: Duration,
    /// What a reload cannot change.
    fixed: serde_json::Value,
}

impl Server {
    /// Starts everything that a configuration describes; returns once both listeners accept.
    pub async fn start(loaded: &Loaded) -> Result<Self, Failure> {
        let config = &loaded.config;
        let data = bind(config.listen.data.address, "data").await?;
        let admin = bind(config.listen.admin.address, "admin").await?;
        let data_tls = acceptor(config.listen.data.tls.as_ref())?;
        let admin_tls = acceptor(config.listen.admin.tls.as_ref())?;
        let (data_address, admin_address) = (data.local_addr()?, admin.local_addr()?);

        let master = MasterKey::load(&config.master_key.0).map_err(|error| Failure::caused(&error, ""))?;
        let journal_key = master.derive(JOURNAL_KEY).map_err(|error| Failure::caused(&error, ""))?;
        prepare_data_dir(&config.data_dir)?;
        let shared =
            Shared::open(state(config, master)).await.map_err(|error| Failure::caused(&error, ""))?;
        let records = Reader::open(&journal_dir(&config.data_dir), &journal_key)
            .map_err(|error| Failure::caused(&error, ""))?;

        let settings = settings::settings(loaded, data_address, admin_address)?;
        let gateway = Gateway::build(settings, Arc::clone(&shared), None)
            .map_err(|error| Failure::caused(&error, "`keyward config validate` checks the file"))?;
        record_config(&shared, loaded, &gateway, "start").map_err(|error| Failure::caused(&error, ""))?;
        gateway.put_in_force();
        let gateway = Arc::new(ArcSwap::from_pointee(gateway));

        let stop = CancellationToken::new();
        let drain = config.drain.get();
        let data_server =
            DataServer { listener: data, tls: data_tls, gateway: Arc::clone(&gateway), stop: stop.clone() };
        let admin_server = AdminServer {
            listener: admin,
            tls: admin_tls,
            current: Arc::clone(&gateway),
            records: Arc::new(records),
            stop: stop.clone(),
        };
        let tasks = vec![
            tokio::spawn(data_server.run(drain)),
            tokio::spawn(admin_server.run(drain)),
            tokio::spawn(Arc::clone(&shared).housekeeping(stop.clone())),
        ];
        tracing::info!(data = %data_address, admin = %admin_address, version = env!("CARGO_PKG_VERSION"), "keyward serves");
        Ok(Self {
            data: data_address,
            admin: admin_address,
            gateway,
            shared,
            stop,
            tasks,
            drain,
            fixed: fixed(config),
        })
    }

    /// Where callers connect to.
    pub const fn data_address(&self) -> SocketAddr {
        self.data
    }

    /// Where administrators connect to.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Stops in order: nothing new is accepted, what is under way gets the grace time, recordings are closed.
    pub async fn stop(self, reason: &str) -> Result<(), Failure> {
        let under_way = self.shared.running.count();
        tracing::info!(reason, under_way, grace_seconds = self.drain.as_secs(), "keyward stops");
        self.stop.cancel();
        for task in self.tasks {
            if task.await.is_err() {
                tracing::error!("a listener ended in a panic");
            }
        }
        // Streams of HTTP/2 end in tasks of their own; their outcomes belong in the journal before it closes.
        if tokio::time::timeout(LAST_OUTCOMES, self.shared.running.idle()).await.is_err() {
            tracing::warn!(
                left = self.shared.running.count(),
                "exchanges did not end; the next start records them"
            );
        }
        self.shared
            .close(reason)
            .await
            .map_err(|error| Failure::caused(&error, "the journal repairs its tail at the next start"))
    }
}

/// What is read at start alone.
fn fixed(config: &Config) -> serde_json::Value {
    serde_json::json!({
        "listen": config.listen, "data_dir": config.data_dir, "master_key": config.master_key,
        "journal": config.journal, "drain": config.drain, "log": config.log,
        "connections_max": config.limits.connections_max, "header_bytes_max": config.limits.header_bytes_max,
    })
}

fn state(config: &Config, master_key: MasterKey) -> State {
    State {
        data_dir: config.data_dir.clone(),
        master_key,
        durability: match config.journal.durability {
            document::Durability::Written => Durability::Written,
            document::Durability::Synced => Durability::Synced,
        },
        segment_bytes_max: config.journal.segment_bytes_max.get(),
        min_free_bytes: config.journal.min_free_bytes.get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

async fn bind(address: SocketAddr, which: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let (why, help) = match error.kind() {
            std::io::ErrorKind::AddrInUse => (
                "another process listens there".to_owned(),
                format!("stop it, or set another address under `listen.{which}.address`"),
            ),
            std::io::ErrorKind::PermissionDenied => {
                ("this user may not listen there".to_owned(), "use a port from 1024 up".to_owned())
            }
            kind => {
                (kind.to_string(), format!("set an address of this machine under `listen.{which}.address`"))
            }
        };
        Failure::error(format!("the {which} listener cannot be opened on {address}: {why}"), help)
    })
}

fn acceptor(tls: Option<&Tls>) -> Result<Option<TlsAcceptor>, Failure> {
    let Some(tls) = tls else { return Ok(None) };
    let unreadable = |path: &std::path::Path, error: &std::io::Error| {
        Failure::error(
            format!("{} cannot be read: {}", path.display(), error.kind()),
            "check its path and mode",
        )
    };
    let certificate =
        std::fs::read(&tls.certificate).map_err(|error| unreadable(&tls.certificate, &error))?;
    let keyward_secrets::SecretRef::File(path) = &tls.key.0 else {
        return Err(Failure::error("the listener's private key must be a file:// reference", ""));
    };
    let key = zeroize::Zeroizing::new(std::fs::read(path).map_err(|error| unreadable(path, &error))?);
    let acceptor = tls_acceptor(&certificate, &key).map_err(|error| {
        Failure::caused(&error, format!("certificate {}, key {}", tls.certificate.display(), path.display()))
    })?;
    Ok(Some(acceptor))
}

/// Records that a configuration is at work.
fn record_config(
    shared: &Shared,
    loaded: &Loaded,
    gateway: &Gateway,
    cause: &str,
) -> Result<(), keyward_journal::JournalError> {
    shared.journal.append(&Record::Config(ConfigEvent {
        at: clock::now(),
        accepted: true,
        version: watch::version(loaded),
        policy: gateway.policy.version().to_string(),
        cause: cause.to_owned(),
        error: None,
    }))?;
    Ok(())
}
