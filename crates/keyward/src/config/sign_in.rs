//! How people sign in: the shape of the section, and what it must also hold.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::decode;
use super::document::Issuer;
use super::reference::Reference;
use super::scalar::Period;
use super::tree::Node;

/// The longest time that a browser stays signed in.
pub const WEB_SESSION_MAX: Duration = Duration::from_hours(24);

/// How people sign in with a browser: the authorization code flow of OpenID Connect with PKCE.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The name of one of the issuers.
    pub issuer: String,
    /// The client's identifier there. Its redirect URI is `/auth/callback` below `public_url`.
    pub client_id: String,
    /// The client's secret, where it has one: `keyward://name`, `env://NAME` or `file:///path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Reference>,
    /// What is asked for; `openid` must be among them, and whatever the issuer gives groups for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// How long a browser stays signed in; at most 24h.
    #[serde(default = "web_session")]
    pub session: Period,
    /// How old the proof of who one is may be for a decision; older ones ask to sign in again.
    #[serde(default = "fresh")]
    pub fresh: Period,
    /// How people sign in with `keyward login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli: Option<CliSignIn>,
}

/// How people sign in on a command line: a public client with PKCE, or a device's code.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CliSignIn {
    /// The client's identifier at the issuer. It has no secret; its redirect URI is `http://127.0.0.1/callback` on any port.
    pub client_id: String,
    /// What is asked for. With `offline_access`, the issuer is asked for the consent that this needs.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// What the token is for (RFC 8707), where the issuer wants to be told so that it has our audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "groups"].map(str::to_owned).to_vec()
}

fn web_session() -> Period {
    Period::from_secs(8 * 3600)
}

fn fresh() -> Period {
    Period::from_secs(300)
}

/// Takes a problem: the path of the value, what is wrong, and what to do.
type Say<'s> = dyn FnMut(&str, &str, &str) + 's;

/// Says what is wrong with the meaning of the section: where, what, and what to do.
pub(super) fn check(root: &Node, say: &mut Say<'_>) {
    let Some(sign_in) = decode::<SignIn>(root.get("sign_in")) else { return };
    let issuers = root.get("issuers").map(Node::items).unwrap_or_default();
    let issuers: Vec<Issuer> = issuers.iter().filter_map(|item| decode(Some(item))).collect();
    let issuer = issuers.iter().find(|issuer| issuer.name == sign_in.issuer);
    if issuer.is_none() {
        say("sign_in.issuer", "there is no issuer of this name", "write the `name` of one under `issuers`");
    }
    if sign_in.client_id.is_empty() {
        say(
            "sign_in.client_id",
            "the client has no identifier",
            "register one at the issuer, and write it here",
        );
    }
    if !sign_in.scopes.iter().any(|scope| scope == "openid") {
        say("sign_in.scopes", "without `openid` the issuer says nothing of who signs in", "add `openid`");
    }
    if sign_in.session.get().is_zero() || sign_in.session.get() > WEB_SESSION_MAX {
        say("sign_in.session", "a browser stays signed in for more than 0 and at most 24h", "such as 8h");
    }
    if sign_in.fresh.get().is_zero() || sign_in.fresh > sign_in.session {
        let help = "more than 0 and at most `session`, such as 5m";
        say("sign_in.fresh", "nobody could decide, or a proof of any age would do", help);
    }
    if let Some(cli) = &sign_in.cli {
        check_cli(cli, issuer, say);
    }
}

fn check_cli(cli: &CliSignIn, issuer: Option<&Issuer>, say: &mut Say<'_>) {
    let path = "sign_in.cli.client_id";
    if cli.client_id.is_empty() {
        let help = "register a public one at the issuer, and write it here";
        return say(path, "the client has no identifier", help);
    }
    if issuer.is_some_and(|issuer| {
        !issuer.authorized_parties.is_empty() && !issuer.authorized_parties.contains(&cli.client_id)
    }) {
        say(
            path,
            "the issuer's `authorized_parties` do not name this client, so its tokens would be refused",
            "add it there",
        );
    }
    if cli.scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
        say("sign_in.cli.scopes", "a scope is one word", "write [openid, profile], a word each");
    }
    if cli.resource.as_ref().is_some_and(|resource| resource.is_empty() || resource.contains('#')) {
        let help = "such as https://keyward.example.com, or leave it out";
        say("sign_in.cli.resource", "a resource is an absolute URI without a fragment", help);
    }
}
