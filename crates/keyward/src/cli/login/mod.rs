//! `keyward login` and `keyward logout`: a sign-in that the other commands use.

mod browser;
mod device;
mod provider;
mod store;

use clap::Args;
use http::header::HeaderValue;
use keyward_gateway::fetch::FetchClient;
use serde_json::json;
use zeroize::Zeroizing;

use super::client::{Client, Remote};
use super::credential::header;
use super::{Session, view};
use crate::exit::{Exit, Failure};
use browser::Opening;
use provider::{Provider, PublicClient, Refusal};
pub(super) use store::{Kept, Store};

/// A token that ends so soon is renewed before it is used, in seconds.
const RENEW_BEFORE: i64 = 30;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  keyward login                                          opens a browser
  keyward login --server https://keyward.example.com:8701 --device
                                                         on a machine without one

The gateway says where to sign in (`sign_in.cli` in its configuration). The sign-in is kept in
$XDG_CONFIG_HOME/keyward/credentials.json (~/.config/keyward), for its owner alone to read; KEYWARD_TOKEN and
--token-file go before it.")]
pub(super) struct LoginArgs {
    #[command(flatten)]
    remote: Remote,
    /// Sign in with a browser on another device, by a code
    #[arg(long, conflicts_with = "no_browser")]
    device: bool,
    /// Open no browser; show the address to open in one on this machine
    #[arg(long)]
    no_browser: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  keyward logout --server https://keyward.example.com:8701")]
pub(super) struct LogoutArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Signs in, and keeps what the gateway takes.
pub(super) fn login(args: &LoginArgs, session: &Session) -> Result<(), Failure> {
    let store = Store::new()?;
    super::block_on(async {
        let (http, server) = (args.remote.http()?, args.remote.server());
        let anonymous = Client::anonymous(http.clone(), server);
        let client: PublicClient = anonymous.understood(&["sign-in"]).await?;
        let issuer = super::safe::line(&client.issuer);
        session.output.say(&format!("Signing in to {server} at {issuer}\n"));
        let provider = Provider::discover(&http, &client.issuer).await?;
        let given = if args.device {
            device::sign_in(&provider, &client, session).await?
        } else {
            let opening = if args.no_browser { Opening::AddressOnly } else { Opening::Browser };
            browser::sign_in(&provider, &client, opening, session).await?
        };
        let kept = given.kept(&client, None, now());
        // Kept only when the gateway takes it.
        let whoami = Client::with(http, server, header(&kept.access_token)?).get(&["whoami"], &[]).await;
        let whoami = whoami.map_err(|failure| {
            Failure::new(
                failure.exit,
                format!("the gateway does not take what the identity provider gave: {}", failure.message),
                "whoever runs the gateway checks `sign_in.cli` (scopes, resource) and the issuer's `audiences`",
            )
        })?;
        store.put(&store.turn()?, server, kept)?;
        if args.remote.says_a_token() {
            session
                .output
                .say("warning: KEYWARD_TOKEN or --token-file is given, and goes before this sign-in\n");
        }
        let who = view::exact_person(view::part(&whoami, "principal"));
        let told = json!({"server": server, "principal": view::part(&whoami, "principal")});
        session.output.object(&told, || format!("signed in as {who}\n"))
    })
}

/// Revokes and forgets a sign-in.
pub(super) fn logout(args: &LogoutArgs, session: &Session) -> Result<(), Failure> {
    let store = Store::new()?;
    super::block_on(async {
        let server = args.remote.server();
        let kept = store
            .remove(&store.turn()?, server)?
            .ok_or_else(|| Failure::new(Exit::NotFound, format!("nobody is signed in to {server}"), ""))?;
        match revoke(&args.remote.http()?, &kept).await {
            Ok(true) => {}
            Ok(false) => session.output.say(
                "warning: the identity provider revokes nothing; a copy of the token would hold until it ends\n",
            ),
            Err(failure) => session.output.say(&format!(
                "warning: the sign-in could not be revoked at the identity provider: {}\n",
                failure.message
            )),
        }
        session
            .output
            .object(&json!({"server": server, "signed_in": false}), || format!("signed out of {server}\n"))
    })
}

/// Both tokens, the one that brings others first. Whether the provider did it.
async fn revoke(http: &FetchClient, kept: &Kept) -> Result<bool, Failure> {
    let provider = Provider::discover(http, &kept.issuer).await?;
    let mut revoked = match &kept.refresh_token {
        Some(token) => provider.revoke(&kept.client_id, token, "refresh_token").await?,
        None => false,
    };
    // Where access tokens are not revocable, the provider says so (RFC 7009, 2.2.1), and they end by themselves.
    revoked |= provider.revoke(&kept.client_id, &kept.access_token, "access_token").await?;
    Ok(revoked)
}

/// The credential of a sign-in that is kept, renewed where it has ended.
pub(super) async fn current(store: &Store, http: &FetchClient, server: &str) -> Result<HeaderValue, Failure> {
    let lives = |kept: &Kept| kept.expires_at.is_none_or(|at| now() < at - RENEW_BEFORE);
    let gone = || needed(format!("nobody is signed in to {server}"));
    let kept = store.kept(server)?.ok_or_else(gone)?;
    if lives(&kept) {
        return header(&kept.access_token);
    }
    let turn = store.turn()?;
    // Another command may have renewed it in the meantime; a refresh token is good for one use.
    let kept = store.kept(server)?.ok_or_else(gone)?;
    if lives(&kept) {
        return header(&kept.access_token);
    }
    let Some(before) = kept.refresh_token.clone().map(Zeroizing::new) else {
        return Err(needed(format!("the sign-in to {server} has ended")));
    };
    let provider = Provider::discover(http, &kept.issuer).await?;
    let mut form: Vec<(&str, &str)> =
        vec![("grant_type", "refresh_token"), ("refresh_token", &before), ("client_id", &kept.client_id)];
    form.extend(kept.resource.as_deref().map(|resource| ("resource", resource)));
    let given = provider.token(&form).await.map_err(|refusal| match refusal {
        Refusal::Said { code, .. } if code == "invalid_grant" => {
            needed(format!("the sign-in to {server} has ended"))
        }
        refusal => refusal.failure(),
    })?;
    let client = PublicClient {
        issuer: kept.issuer.clone(),
        client_id: kept.client_id.clone(),
        scopes: Vec::new(),
        resource: kept.resource.clone(),
    };
    let renewed = given.kept(&client, Some(before), now());
    let header = header(&renewed.access_token)?;
    store.put(&turn, server, renewed)?;
    Ok(header)
}

fn needed(message: String) -> Failure {
    Failure::new(Exit::SignInNeeded, message, "sign in with `keyward login`")
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
