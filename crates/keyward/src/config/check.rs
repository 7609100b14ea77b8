//! What a well-formed configuration must also hold: names that are unique, addresses that are safe, settings that
//! would do nothing refused. Sections that are malformed were reported before and are skipped here.

use std::collections::HashMap;
use std::net::SocketAddr;

use keyward_gateway::understand::OwnRoute;
use serde::de::DeserializeOwned;

use super::document::{
    AdminListener, ConnectionSettings, DataListener, Holding, Inject, Issuer, Journal, Limits, Roles, Tls,
};
use super::problem::Report;
use super::reference::Reference;
use super::routes::RouteMethod;
use super::scalar::Period;
use super::tree::{At, Node, Places};
use super::url::{HttpUrl, is_host_name};

/// First path segments that the gateway keeps for itself, and `v1`, which a base URL without a connection leads to.
pub const RESERVED_NAMES: &[&str] =
    &["admin", "api", "healthz", "keyward", "metrics", "oauth", "readyz", "ui", "v1", "well-known"];
/// Longest connection name.
pub const NAME_BYTES_MAX: usize = 63;
/// Most that an issuer's clock may differ.
pub const CLOCK_SKEW_MAX: Period = Period::from_secs(300);
/// Longest silent wait for a human.
pub const HOLD_WAIT_MAX: Period = Period::from_secs(600);

/// Reports what is wrong with the meaning of `root`.
pub fn check(root: &Node, places: &Places, report: &mut Report<'_>) {
    let mut check = Check { places, report };
    check.listeners(root);
    check.data_url(root);
    if let Some(key) = decode::<Reference>(root.get("master_key"))
        && key.is_embedded()
    {
        check.say(
            "master_key",
            "the master key cannot lie in the store that it opens",
            "use file:///path or env://NAME",
        );
    }
    check.issuers(root);
    super::sign_in::check(root, &mut |path, message, help| check.say(path, message, help));
    check.connections(root);
    check.decision_points(root);
    check.break_glass(root);
    check.people(root);
    check.notifications(root);
    check.bounds(root);
    if let Some(roles) = decode::<Roles>(root.get("roles")) {
        for (role, entries) in [("admin", &roles.admin), ("auditor", &roles.auditor)] {
            for (index, entry) in entries.iter().enumerate() {
                check.role(&format!("roles.{role}[{index}]"), entry);
            }
        }
    }
}

/// The section as its type; none when it is absent or malformed.
pub(super) fn decode<T: DeserializeOwned>(node: Option<&Node>) -> Option<T> {
    serde_json::from_value(node?.to_json()).ok()
}

pub(super) struct Check<'a, 'r> {
    places: &'a Places,
    report: &'a mut Report<'r>,
}

impl Check<'_, '_> {
    pub(super) fn say(&mut self, path: &str, message: &str, help: &str) {
        self.report.at(self.places.nearest(path), message, help);
    }

    fn listeners(&mut self, root: &Node) {
        let listen = root.get("listen");
        let data: DataListener = decode(listen.and_then(|l| l.get("data"))).unwrap_or_default();
        let admin: AdminListener = decode(listen.and_then(|l| l.get("admin"))).unwrap_or_default();
        self.listener("listen.data", data.address, data.tls.as_ref(), data.insecure_plaintext);
        self.listener("listen.admin", admin.address, admin.tls.as_ref(), admin.insecure_plaintext);
        if data.address == admin.address && data.address.port() != 0 {
            self.say(
                "listen.admin.address",
                "the data and the admin listener cannot share an address",
                "give the admin listener another port, such as 8701",
            );
        }
    }

    fn listener(&mut self, path: &str, address: SocketAddr, tls: Option<&Tls>, insecure: bool) {
        match (tls, insecure, address.ip().is_loopback()) {
            (None, false, false) => self.say(
                &format!("{path}.address"),
                "plain HTTP outside loopback would show tokens to the network",
                "add `tls: {certificate: …, key: file:///…}`, or listen on 127.0.0.1; where something in front already \
                 ends TLS, write `insecure_plaintext: true`",
            ),
            (Some(_), true, _) => self.say(
                &format!("{path}.insecure_plaintext"),
                "`insecure_plaintext` does nothing beside `tls`",
                "remove it",
            ),
            _ => {}
        }
        if let Some(tls) = tls
            && !tls.key.is_file()
        {
            self.say(
                &format!("{path}.tls.key"),
                "a listener's key is a PEM file of several lines",
                "use file:///path/key.pem",
            );
        }
    }

    fn data_url(&mut self, root: &Node) {
        let Some(url) = decode::<String>(root.get("data_url")).and_then(|url| HttpUrl::parse(&url).ok())
        else {
            return;
        };
        let data: DataListener =
            decode(root.get("listen").and_then(|listen| listen.get("data"))).unwrap_or_default();
        if !url.target.https && !url.is_loopback() && !data.insecure_plaintext {
            self.say(
                "data_url",
                "plain HTTP outside loopback would show tokens to the network",
                "use https://; on a network that you trust, write `insecure_plaintext: true` under `listen.data`",
            );
        }
        for item in root.get("connections").map(Node::items).unwrap_or_default() {
            let hosts: Vec<String> = decode(item.get("hosts")).unwrap_or_default();
            if hosts.iter().any(|host| **host == *url.target.host) {
                let name: String = decode(item.get("name")).unwrap_or_default();
                let message = format!("this host leads to the connection `{name}`, whatever the path");
                self.say("data_url", &message, "name a host that is under no connection's `hosts`");
            }
        }
    }

    fn issuers(&mut self, root: &Node) {
        let Some(node) = root.get("issuers") else { return };
        if node.items().is_empty() {
            return self.say(
                "issuers",
                "there is no issuer, so nobody could call",
                "add `- {name: corp, url: https://idp.example.com, audiences: [keyward]}`",
            );
        }
        let mut names = HashMap::new();
        let mut urls = HashMap::new();
        for (index, item) in node.items().iter().enumerate() {
            let path = format!("issuers[{index}]");
            self.unique(&mut names, item.get("name"), "issuer", "name");
            self.unique(&mut urls, item.get("url"), "issuer", "url");
            if let Some(issuer) = decode::<Issuer>(Some(item)) {
                self.issuer(&path, &issuer);
            }
        }
    }

    fn issuer(&mut self, path: &str, issuer: &Issuer) {
        for (name, url) in [("url", Some(&issuer.url)), ("jwks_uri", issuer.jwks_uri.as_ref())] {
            if let Some(parsed) = url.and_then(|url| HttpUrl::parse(url).ok())
                && !parsed.target.https
                && !parsed.is_loopback()
                && !issuer.insecure_http
            {
                self.say(
                    &format!("{path}.{name}"),
                    "keys fetched over plain HTTP can be replaced on the way",
                    "use https://; on a network that you trust, write `insecure_http: true`",
                );
            }
        }
        if issuer.insecure_http && issuer.url.starts_with("https://") && issuer.jwks_uri.is_none() {
            self.say(
                &format!("{path}.insecure_http"),
                "`insecure_http` does nothing beside https://",
                "remove it",
            );
        }
        if issuer.audiences.is_empty() || issuer.audiences.iter().any(String::is_empty) {
            self.say(
                &format!("{path}.audiences"),
                "no audience: a token made for anybody else would be accepted",
                "write the value that your issuer puts into `aud` for Keyward",
            );
        }
        if issuer.algorithms.is_empty() {
            self.say(
                &format!("{path}.algorithms"),
                "no algorithm, so no token could be accepted",
                "remove the key for RS256 and ES256",
            );
        }
        if issuer.groups_claim.split('.').any(str::is_empty) {
            self.say(
                &format!("{path}.groups_claim"),
                "an empty step in the path of the groups claim",
                "such as `groups` or `realm_access.roles`",
            );
        }
        if issuer.clock_skew > CLOCK_SKEW_MAX {
            self.say(
                &format!("{path}.clock_skew"),
                "a clock that is off by more than 5m keeps dead tokens alive",
                "at most 5m",
            );
        }
    }

    fn connections(&mut self, root: &Node) {
        let Some(node) = root.get("connections") else { return };
        if node.items().is_empty() {
            return self.say(
                "connections",
                "there is no connection, so no call could go anywhere",
                "add one",
            );
        }
        let mut names = HashMap::new();
        let mut hosts: HashMap<String, At> = HashMap::new();
        for (index, item) in node.items().iter().enumerate() {
            let path = format!("connections[{index}]");
            self.unique(&mut names, item.get("name"), "connection", "name");
            if let Some(Err(why)) = decode::<String>(item.get("name")).map(|name| name_is_good(&name)) {
                self.say(
                    &format!("{path}.name"),
                    why,
                    "lower-case letters, digits, `-` and `_`, at most 63, beginning with a letter",
                );
            }
            let Some(connection) = decode::<ConnectionSettings>(Some(item)) else { continue };
            self.connection(&path, &connection);
            for (index, host) in connection.hosts.iter().enumerate() {
                let path = format!("{path}.hosts[{index}]");
                if !is_host_name(host) {
                    self.say(&path, "this is not a host name", "lower-case ASCII, without scheme or port");
                } else if let Some(first) = hosts.insert(host.clone(), self.places.nearest(&path)) {
                    let message =
                        format!("`{host}` leads to two connections; line {} has it too", first.line);
                    self.say(&path, &message, "a host leads to one connection");
                }
            }
        }
    }

    fn connection(&mut self, path: &str, connection: &ConnectionSettings) {
        if connection.credential.is_none() && connection.kind.needs_credential() {
            let message = format!("`{}` has no credential to put on requests", connection.name);
            let help = format!("add `credential: {{secret: keyward://{}, inject: bearer}}`", connection.name);
            self.say(path, &message, &help);
        }
        if let Some(Inject::Header(header)) =
            connection.credential.as_ref().map(|credential| &credential.inject)
            && let Err(why) = header_is_good(header)
        {
            self.say(&format!("{path}.credential.inject"), why, "such as `x-api-key`");
        }
        if let Some(owners) = &connection.owner {
            self.owners(&format!("{path}.owner"), owners);
        }
        self.routes(path, connection);
        let Ok(url) = HttpUrl::parse(&connection.upstream) else { return };
        let plain = !url.target.https;
        if plain && !url.is_loopback() && !connection.insecure_http_upstream {
            self.say(
                &format!("{path}.upstream"),
                "plain HTTP to an upstream that is not on loopback would show the credential to the network",
                "use https://; on a network that you trust, write `insecure_http_upstream: true`",
            );
        }
        if !plain && connection.insecure_http_upstream {
            self.say(
                &format!("{path}.insecure_http_upstream"),
                "`insecure_http_upstream` does nothing beside https://",
                "remove it",
            );
        }
        if plain && connection.ca.is_some() {
            self.say(&format!("{path}.ca"), "`ca` does nothing beside http://", "remove it, or use https://");
        }
        let limits = &connection.limits;
        for (name, period) in
            [("header_timeout", limits.header_timeout), ("idle_timeout", limits.idle_timeout)]
        {
            if period == Period::from_secs(0) {
                self.say(
                    &format!("{path}.limits.{name}"),
                    "a timeout of zero fails every call",
                    "such as 5m",
                );
            }
        }
    }

    fn routes(&mut self, path: &str, connection: &ConnectionSettings) {
        if !connection.routes.is_empty() && connection.kind.serves_models() {
            let message = format!(
                "`routes` does nothing on a connection of kind `{}`, whose routes are known",
                connection.kind.as_str()
            );
            return self.say(&format!("{path}.routes"), &message, "remove it, or use `kind: http`");
        }
        let mut before: Vec<(usize, OwnRoute)> = Vec::new();
        for (index, route) in connection.routes.iter().enumerate() {
            let path = format!("{path}.routes[{index}]");
            if route.websocket && !matches!(route.method, RouteMethod::Get | RouteMethod::Any) {
                let message = "`websocket` does nothing on a route that no `GET` fits";
                self.say(&format!("{path}.websocket"), message, "remove it, or use `method: GET`");
            }
            let route = match route.own() {
                Ok(route) => route,
                Err(error) => {
                    self.say(&format!("{path}.path"), &error.to_string(), "such as `/jobs/*` or `/admin/**`");
                    continue;
                }
            };
            if let Some((first, _)) = before.iter().find(|(_, earlier)| earlier.covers(&route)) {
                let message = format!("this route is never reached: routes[{first}] fits before it does");
                self.say(&path, &message, "put the narrower one first, or remove it");
            }
            before.push((index, route));
        }
    }

    fn bounds(&mut self, root: &Node) {
        if let Some(journal) = decode::<Journal>(root.get("journal"))
            && !(1 << 20..=4 << 30).contains(&journal.segment_bytes_max.get())
        {
            self.say("journal.segment_bytes_max", "a segment is from 1MiB to 4GiB", "256MiB suits most");
        }
        if let Some(holding) = decode::<Holding>(root.get("holding")) {
            let second = Period::from_secs(1);
            if holding.wait < second || holding.wait > HOLD_WAIT_MAX {
                self.say(
                    "holding.wait",
                    "a silent wait is from 1s to 10m",
                    "most clients give up after 60s: 50s suits them",
                );
            }
            if holding.keepalive < second {
                self.say(
                    "holding.keepalive",
                    "comment lines more often than every second only cost",
                    "15s suits most proxies",
                );
            }
            if holding.stream_commit_after > holding.wait {
                self.say(
                    "holding.stream_commit_after",
                    "`stream_commit_after` is longer than `wait` and would do nothing",
                    "2s suits most",
                );
            }
        }
        if let Some(limits) = decode::<Limits>(root.get("limits")) {
            if !(1024..=256 << 20).contains(&limits.inspect_body_bytes_max.get()) {
                self.say(
                    "limits.inspect_body_bytes_max",
                    "a body that is read to decide is from 1KiB to 256MiB",
                    "8MiB suits most",
                );
            }
            if !(8 << 10..=1 << 20).contains(&limits.header_bytes_max.get()) {
                self.say(
                    "limits.header_bytes_max",
                    "a request head is from 8KiB to 1MiB",
                    "64KiB suits most",
                );
            }
        }
        if decode::<Period>(root.get("drain")).is_some_and(|drain| drain > Period::from_secs(3600)) {
            self.say("drain", "a stop that takes longer than 1h is not one", "30s suits most");
        }
    }

    pub(super) fn role(&mut self, path: &str, entry: &str) {
        let good = entry.strip_prefix("group:").is_some_and(|group| !group.is_empty())
            || entry
                .strip_prefix("user:")
                .and_then(|user| user.split_once('#'))
                .is_some_and(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty());
        if !good {
            self.say(
                path,
                "this names neither a group nor a user",
                "write `group:NAME` or `user:ISSUER#SUBJECT`",
            );
        }
    }

    pub(super) fn unique(
        &mut self,
        seen: &mut HashMap<String, At>,
        node: Option<&Node>,
        what: &str,
        field: &str,
    ) {
        let Some(node) = node else { return };
        let Some(text) = node.to_json().as_str().map(str::to_owned) else { return };
        if let Some(first) = seen.insert(text, node.at) {
            let message = format!("two {what}s have this {field}; the other is in line {}", first.line);
            self.report.concealed(node.at, message, format!("every {what} has a {field} of its own"));
        }
    }
}

fn name_is_good(name: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.bytes().all(plain) {
        Err("this cannot be the name of a connection")
    } else if name.len() > NAME_BYTES_MAX {
        Err("the name is longer than 63 characters")
    } else if RESERVED_NAMES.contains(&name) {
        Err("the gateway keeps this name for itself")
    } else {
        Ok(())
    }
}

fn header_is_good(name: &str) -> Result<(), &'static str> {
    // Setting one of these would change how the request is framed or routed.
    const FRAMING: &[&str] = &[
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if http::HeaderName::from_lowercase(name.as_bytes()).is_err() {
        Err("this is not a header name in lower case")
    } else if FRAMING.contains(&name) {
        Err("this header frames the request and cannot carry a credential")
    } else {
        Ok(())
    }
}
