//! Signing in with a browser on another device: the device authorization grant (RFC 8628).

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::Session;
use super::super::safe;
use super::provider::{Given, Provider, PublicClient, Refusal};
use crate::exit::{Exit, Failure};

/// How often the provider is asked when it does not say.
const INTERVAL: Duration = Duration::from_secs(5);
/// By how much more seldom when it says that this is too often (RFC 8628, 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Neither a provider's mistake nor its malice makes it longer.
const INTERVAL_MAX: Duration = Duration::from_mins(1);
/// The longest that somebody may take.
const PATIENCE_MAX: Duration = Duration::from_mins(30);
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

pub(super) async fn sign_in(
    provider: &Provider,
    client: &PublicClient,
    session: &Session,
) -> Result<Given, Failure> {
    let endpoint = provider.device().ok_or_else(|| {
        Failure::error(
            "the identity provider signs nobody in by a device's code",
            "try `keyward login`, or `keyward login --no-browser`",
        )
    })?;
    let scope = client.scopes.join(" ");
    let mut form: Vec<(&str, &str)> = vec![("client_id", &client.client_id), ("scope", &scope)];
    form.extend(client.resource.as_deref().map(|resource| ("resource", resource)));
    let begun: Begun = provider.ask(endpoint, &form).await.map_err(Refusal::failure)?;
    let (uri, code) = (safe::line(&begun.verification_uri), safe::line(&begun.user_code));
    session.output.say(&format!("Open {uri} on any device, and enter the code\n  {code}\n"));
    if let Some(whole) = &begun.verification_uri_complete {
        session.output.say(&format!("or open {}\n", safe::line(whole)));
    }
    wait(provider, client, &begun).await
}

async fn wait(provider: &Provider, client: &PublicClient, begun: &Begun) -> Result<Given, Failure> {
    let over = || {
        Failure::new(
            Exit::SignInNeeded,
            "nobody entered the code in time",
            "begin again with `keyward login --device`",
        )
    };
    let patience = Duration::from_secs(begun.expires_in).min(PATIENCE_MAX);
    let since = Instant::now();
    let mut interval = begun.interval.map_or(INTERVAL, Duration::from_secs).min(INTERVAL_MAX);
    let mut form: Vec<(&str, &str)> =
        vec![("grant_type", GRANT), ("device_code", &begun.device_code), ("client_id", &client.client_id)];
    form.extend(client.resource.as_deref().map(|resource| ("resource", resource)));
    loop {
        tokio::time::sleep(interval).await;
        if since.elapsed() > patience {
            return Err(over());
        }
        match provider.token(&form).await {
            Ok(given) => return Ok(given),
            Err(Refusal::Said { code, .. }) if code == "authorization_pending" => {}
            Err(Refusal::Said { code, .. }) if code == "slow_down" => interval = slower(interval),
            Err(Refusal::Said { code, .. }) if code == "expired_token" => return Err(over()),
            // A connection that breaks is no answer; the next try comes later (RFC 8628, 3.5).
            Err(Refusal::Failed(failure)) if failure.exit == Exit::ServerUnreachable => {
                interval = slower(interval);
            }
            Err(refusal) => return Err(refusal.failure()),
        }
    }
}

fn slower(interval: Duration) -> Duration {
    (interval + SLOWER).min(INTERVAL_MAX)
}
