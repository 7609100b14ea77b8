//! From the configuration file's values to what the gateway takes. The file was checked before; what can still go wrong
//! here depends on the machine: a certificate that cannot be read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;
use keyward_core::{Connection, People};
use keyward_gateway::consult::PointSettings;
use keyward_gateway::fetch::{FetchError, FetchUrl, PlainHttp};
use keyward_gateway::identify::{Algorithm, IssuerSettings, KindRule};
use keyward_gateway::notify::{Channel, Smtp, SmtpTls, Target};
use keyward_gateway::settings::{
    CliSignIn, ConnectionSettings, Credential, Holding, Http2, Inject, Limits, Roles, Settings, SignIn,
};

use crate::config::deciders::{DecisionPoint, Person};
use crate::config::document::{self, Config};
use crate::config::notifications::{MailTls, Notification};
use crate::config::routes::Route;
use crate::config::scalar::ByteSize;
use crate::config::url::HttpUrl;
use crate::config::{Loaded, policies};
use crate::exit::{Exit, Failure};

/// Longest request body where the configuration names no limit: none.
const BODY_UNBOUNDED: u64 = u64::MAX;

/// The gateway's settings.
pub(super) fn settings(loaded: &Loaded, data: SocketAddr, admin: SocketAddr) -> Result<Settings, Failure> {
    let config = &loaded.config;
    let policy = policies::compile(&loaded.policies, &loaded.detectors).map_err(|problems| {
        let text = crate::config::problem::render(&problems, crate::config::Color::Off);
        Failure::new(Exit::Error, text, "")
    })?;
    for connection in config.connections.iter().filter(|it| it.owner.is_none()) {
        let connection = connection.name.as_str();
        for place in policy.asks_owner_of(connection) {
            let rule = &*place.rule;
            tracing::warn!(
                connection,
                rule,
                "a rule asks an owner of a connection without one: calls that it applies to are refused"
            );
        }
    }
    Ok(Settings {
        issuers: config.issuers.iter().map(issuer).collect::<Result<_, _>>()?,
        connections: config.connections.iter().map(connection).collect::<Result<_, _>>()?,
        policy: Arc::new(policy),
        points: config.decision_points.iter().map(point).collect::<Result<_, _>>()?,
        detectors: Arc::clone(&loaded.detectors),
        public_url: public_url(config, admin),
        notify: config.notifications.iter().map(told).collect::<Result<_, _>>()?,
        data_url: data_url(config, data),
        holding: Holding {
            wait: config.holding.wait.get(),
            commit_after: config.holding.stream_commit_after.get(),
            keepalive: config.holding.keepalive.get(),
            ..Holding::default()
        },
        limits: Limits {
            inspect_body_bytes_max: config.limits.inspect_body_bytes_max.get(),
            header_bytes_max: u32::try_from(config.limits.header_bytes_max.get()).unwrap_or(u32::MAX),
            connections_max: usize::try_from(config.limits.connections_max).unwrap_or(usize::MAX),
            ..Limits::default()
        },
        people: People::new(config.people.iter().filter_map(Person::accounts)),
        break_glass: config.break_glass.as_ref().map(|settings| settings.max.get()),
        sign_in: config.sign_in.as_ref().and_then(|sign_in| {
            let issuer = config.issuers.iter().find(|issuer| issuer.name == sign_in.issuer)?;
            Some(SignIn {
                issuer: issuer.url.clone(),
                client_id: sign_in.client_id.clone(),
                client_secret: sign_in.client_secret.as_ref().map(|reference| reference.0.clone()),
                scopes: sign_in.scopes.clone(),
                session: sign_in.session.get(),
                fresh: sign_in.fresh.get(),
                cli: sign_in.cli.as_ref().map(|cli| CliSignIn {
                    client_id: cli.client_id.clone(),
                    scopes: cli.scopes.clone(),
                    resource: cli.resource.clone(),
                }),
            })
        }),
        roles: Roles {
            members: BTreeMap::from([
                ("admin".to_owned(), config.roles.admin.clone()),
                ("auditor".to_owned(), config.roles.auditor.clone()),
                (
                    "break_glass".to_owned(),
                    config.break_glass.as_ref().map(|settings| settings.who.clone()).unwrap_or_default(),
                ),
            ]),
        },
    })
}

fn point(point: &DecisionPoint) -> Result<(Arc<str>, PointSettings), Failure> {
    let named = |error: &FetchError| Failure::caused(error, format!("check decision point `{}`", point.name));
    let plain = if point.insecure_http { PlainHttp::Anywhere } else { PlainHttp::LoopbackOnly };
    let settings = PointSettings {
        url: FetchUrl::parse(&point.url, plain).map_err(|error| named(&error))?,
        token: point.token.as_ref().map(|reference| reference.0.clone()),
        timeout: point.timeout.get(),
    };
    Ok((point.name.as_str().into(), settings))
}

/// Somebody who is told.
fn told(target: &Notification) -> Result<Arc<Target>, Failure> {
    let failed = |why: &str| Failure::error(format!("notification `{}`: {why}", target.name), "");
    let channel = if let Some(webhook) = &target.webhook {
        let url = FetchUrl::parse(&webhook.url, PlainHttp::LoopbackOnly)
            .map_err(|error| failed(&error.to_string()))?;
        Channel::Webhook { url, secret: webhook.secret.0.clone() }
    } else if let Some(address) = &target.slack {
        Channel::Slack(address.0.clone())
    } else if let Some(address) = &target.teams {
        Channel::Teams(address.0.clone())
    } else if let Some(email) = &target.email {
        Channel::Email(Smtp {
            host: email.host.clone(),
            port: email.port(),
            tls: match email.tls {
                MailTls::Always => SmtpTls::Always,
                MailTls::Starttls => SmtpTls::Starttls,
                MailTls::Never => SmtpTls::Never,
            },
            from: email.from.clone(),
            to: email.to.clone(),
            username: email.username.clone(),
            password: email.password.as_ref().map(|reference| reference.0.clone()),
        })
    } else {
        return Err(failed("it does not say how to tell it"));
    };
    Ok(Arc::new(Target {
        name: target.name.as_str().into(),
        events: target.events.clone(),
        channel,
        allow_private: target.allow_private,
    }))
}

fn public_url(config: &Config, admin: SocketAddr) -> String {
    if let Some(url) = &config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let scheme = if config.listen.admin.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{admin}")
}

/// Where callers reach the data listener. What it is bound to says nothing of that but on loopback.
fn data_url(config: &Config, data: SocketAddr) -> Option<String> {
    if let Some(url) = &config.data_url {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let scheme = if config.listen.data.tls.is_some() { "https" } else { "http" };
    data.ip().is_loopback().then(|| format!("{scheme}://{data}"))
}

fn issuer(issuer: &document::Issuer) -> Result<IssuerSettings, Failure> {
    let algorithms: Result<Vec<Algorithm>, _> =
        issuer.algorithms.iter().map(|algorithm| algorithm.as_str().parse()).collect();
    Ok(IssuerSettings {
        authorized_parties: issuer.authorized_parties.clone(),
        algorithms: algorithms.map_err(|error| Failure::caused(&error, ""))?,
        groups_claim: issuer.groups_claim.clone(),
        kind: issuer.kind.fixed().map_or(KindRule::ByClient, KindRule::Fixed),
        clock_skew: issuer.clock_skew.get(),
        insecure_http: issuer.insecure_http,
        jwks_uri: issuer.jwks_uri.clone(),
        ..IssuerSettings::new(&issuer.name, &issuer.url, issuer.audiences.clone())
    })
}

/// The connection that policy decides about.
fn connection_of(connection: &document::ConnectionSettings) -> Result<Connection, Failure> {
    let upstream = HttpUrl::parse(&connection.upstream).map_err(|error| {
        Failure::error(format!("connection `{}`: {error}", connection.name), error.help())
    })?;
    Ok(Connection {
        name: connection.name.as_str().into(),
        kind: connection.kind,
        upstream: upstream.target,
        tags: connection.tags.clone(),
        owners: connection.owner.as_ref().map(|owners| owners.names().to_vec()).unwrap_or_default(),
    })
}

/// A connection as the gateway takes it.
///
/// # Errors
/// A file that it names cannot be read, or a value of it does not hold.
pub(crate) fn connection(connection: &document::ConnectionSettings) -> Result<ConnectionSettings, Failure> {
    let named = |what: &str| format!("connection `{}`: {what}", connection.name);
    let ca_pem = match &connection.ca {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            Failure::error(
                named(&format!("{} cannot be read: {}", path.display(), error.kind())),
                "check `ca`",
            )
        })?),
    };
    let credential = connection
        .credential
        .as_ref()
        .map(|credential| {
            let inject = match &credential.inject {
                document::Inject::Bearer => Inject::Bearer,
                document::Inject::Header(name) => {
                    Inject::Header(name.to_ascii_lowercase().parse::<HeaderName>().map_err(|_| {
                        Failure::error(named("the credential's header has no valid name"), "")
                    })?)
                }
            };
            Ok::<_, Failure>(Credential { reference: credential.secret.0.clone(), inject })
        })
        .transpose()?;
    Ok(ConnectionSettings {
        connection: connection_of(connection)?,
        routes: connection
            .routes
            .iter()
            .map(Route::own)
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::error(named(&error.to_string()), ""))?,
        credential,
        hosts: connection.hosts.clone(),
        http2: match connection.h2 {
            document::Http2::Auto => Http2::Auto,
            document::Http2::Never => Http2::Never,
            document::Http2::PriorKnowledge => Http2::PriorKnowledge,
        },
        ca_pem,
        header_timeout: connection.limits.header_timeout.get(),
        idle_timeout: connection.limits.idle_timeout.get(),
        request_body_bytes_max: connection
            .limits
            .request_body_bytes_max
            .map_or(BODY_UNBOUNDED, ByteSize::get),
        weights_bytes: Some(connection.limits.weights_bytes.get()).filter(|bytes| *bytes > 0),
    })
}
