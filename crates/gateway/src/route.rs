//! Which connection a request is for.
//!
//! Promise: one deterministic match or none; there is no default to fall through to (catalogue 55). The upstream's
//! address comes from configuration alone.

use std::collections::HashMap;
use std::sync::Arc;

use keyward_core::Upstream;
use keyward_secrets::Lease;

use crate::edge::Head;
use crate::forward::Pools;
use crate::inject;
use crate::refusal::{Refusal, RefusalKind};
use crate::respond::Profiles;
use crate::settings::{ConnectionSettings, Credential};
use crate::understand::{OwnRoute, takes_websocket};
use crate::websocket::Wish;

/// A connection at work: its settings and what is kept for it between exchanges.
pub struct Target {
    /// As configured.
    pub settings: ConnectionSettings,
    /// Open upstream connections, by credential version.
    pub pools: Pools,
    /// Compiled masks.
    pub profiles: Profiles,
}

/// Where a connection leads and which credential it uses there: what an approver approves beside the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    upstream: Upstream,
    credential: Option<Credential>,
    ca_pem: Option<Vec<u8>>,
    /// What its calls are taken for.
    routes: Arc<[OwnRoute]>,
}

impl Target {
    /// Where it leads, and with what.
    pub fn way(&self) -> Way {
        Way {
            upstream: self.settings.connection.upstream.clone(),
            credential: self.settings.credential.clone(),
            ca_pem: self.settings.ca_pem.clone(),
            routes: Arc::clone(&self.settings.routes),
        }
    }

    /// Names the credential, its version and its place, as an approval is bound to them; empty where there is none.
    pub fn credential_version(&self, lease: Option<&Lease>) -> String {
        match (&self.settings.credential, lease) {
            (Some(credential), Some(lease)) => {
                format!("{}@{} in {}", lease.reference, lease.version, inject::header_of(&credential.inject))
            }
            _ => String::new(),
        }
    }
}

/// A request's way: the connection, and the path that is left for its upstream.
pub struct Route {
    /// Where to.
    pub target: Arc<Target>,
    /// The path at the upstream, starting with `/`, without the upstream's base path.
    pub path: String,
    /// The raw query, empty when absent.
    pub query: String,
    /// The WebSocket that it asks for, on a route that is one.
    pub(crate) websocket: Option<Wish>,
}

/// All connections, by name and by host.
#[derive(Default)]
pub struct Routes {
    by_name: HashMap<String, Arc<Target>>,
    by_host: HashMap<String, Arc<Target>>,
}

impl Routes {
    /// Builds the table. Names and hosts were checked to be distinct by the configuration; a later one never replaces
    /// an earlier one.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let mut routes = Self::default();
        for target in targets {
            let target = Arc::new(target);
            for host in &target.settings.hosts {
                routes.by_host.entry(host.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&target));
            }
            let name = target.settings.connection.name.to_string();
            routes.by_name.entry(name).or_insert(target);
        }
        routes
    }

    /// Finds a request's way. Whoever asks for a WebSocket where there is none would wait for one in vain.
    pub fn find(&self, head: Head) -> Result<Route, Refusal> {
        let route = self.lookup(head)?;
        if route.websocket.is_some() && !takes_websocket(route.target.settings.api(), &route.path) {
            return Err(Refusal::new(
                RefusalKind::BadRequest,
                "This route is not passed on as a WebSocket; use the HTTP routes of the upstream.",
            ));
        }
        Ok(route)
    }

    /// By host where one is registered, by the first path segment otherwise.
    fn lookup(&self, head: Head) -> Result<Route, Refusal> {
        let websocket = head.websocket;
        if let Some(target) = self.by_host.get(&head.host) {
            return Ok(Route { target: Arc::clone(target), path: head.path, query: head.query, websocket });
        }
        let rest = head.path.strip_prefix('/').unwrap_or(&head.path);
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let Some(target) = self.by_name.get(name) else {
            return Err(Refusal::new(
                RefusalKind::UnknownConnection,
                "No connection has this name; the path must be /CONNECTION/…, and `keyward connections ls` lists them.",
            ));
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Route { target: Arc::clone(target), path: path.to_owned(), query: head.query, websocket })
    }

    /// The connection of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Target>> {
        self.by_name.get(name)
    }

    /// All connections, ordered by name.
    pub fn all(&self) -> Vec<&Arc<Target>> {
        let mut all: Vec<_> = self.by_name.values().collect();
        all.sort_by(|a, b| a.settings.connection.name.cmp(&b.settings.connection.name));
        all
    }
}
