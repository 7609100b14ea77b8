//! Client tokens over the API: made by who signed in themselves, shown once, revoked at once.
//!
//! Promise: only people and services make one, with a token of their issuer and never with a client token; it carries
//! nobody but its owner. Its text is in the one answer to its making and nowhere else. The owner and administrators
//! revoke; what is answered with 200 holds from then on. Recorded before it happens.

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use http::StatusCode;
use keyward_core::{ClientTokenId, OperationClass, PrincipalKind, Timestamp};
use keyward_store::ClientToken;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Sight};
use super::input::{Change, Params, Segment};
use super::locks::Nothing;
use super::people::Person;
use super::problem::{OnChange, OnRead, Problem};
use crate::clock;
use crate::tokens::{LIFE, LIFE_MAX, MakeError, NewClientToken, fresh_token_id};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Most connections, or classes, that are named one by one.
const NAMES_MAX: usize = 100;

/// A client token that holds, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Names the token, and is not it.
    #[schema(example = "tok_01990000000070008000000000000001")]
    id: String,
    /// What its owner calls it.
    name: String,
    /// Whose calls it makes.
    owner: Person,
    /// The connections that it is for; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<String>>,
    /// The operation classes that it is for; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<String>>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was last used; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl TokenView {
    fn new(token: &ClientToken, last_used_at: Option<Timestamp>) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            owner: Person::named(&token.owner.reference(), token.owner.name.as_deref()),
            connections: token.connections.as_ref().map(|all| all.iter().map(ToString::to_string).collect()),
            classes: token.classes.as_ref().map(|all| all.iter().map(ToString::to_string).collect()),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            last_used_at: last_used_at.map(|at| at.to_string()),
        }
    }
}

/// The tokens that hold.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// The oldest first.
    tokens: Vec<TokenView>,
}

/// Which tokens.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only the caller's own.
    #[serde(default)]
    mine: bool,
}

/// List client tokens
///
/// One's own; for auditors and administrators, all.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(ListParams), security(("token" = [])),
    responses((status = 200, description = "Those that hold", body = TokenList), OnRead))]
pub(super) async fn list(
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<TokenList>, Problem> {
    let owner = (params.mine || !caller.audits()).then(|| caller.principal().reference());
    if owner.is_none() {
        caller.record("tokens.list", "all")?;
    }
    let live = caller.gateway.shared.client_tokens.live(owner.as_ref(), clock::now());
    Ok(Json(TokenList { tokens: live.iter().map(|(token, used)| TokenView::new(token, *used)).collect() }))
}

/// A client token to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// The connections that it is for.
    #[serde(default)]
    #[schema(example = json!(["openai"]), max_items = 100)]
    connections: Vec<String>,
    /// It is for all connections; then none is named.
    #[serde(default)]
    all: bool,
    /// The operation classes that it is for; without it all.
    #[serde(default)]
    #[schema(example = json!(["chat.completions"]), min_items = 1, max_items = 100)]
    classes: Option<Vec<String>>,
    /// For how many seconds it holds: 1 to 86,400; 3,600 when not given.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86_400)]
    seconds: Option<u64>,
    /// What to call it; at most 128 bytes.
    #[serde(default)]
    #[schema(max_length = 128)]
    name: String,
}

/// A client token that was made. No `Debug`: it holds the text.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// Its text: shown here, once, and kept nowhere.
    token: String,
    /// Names it.
    id: String,
    /// From when on it is refused.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Make a client token
///
/// For a tool that cannot sign in by itself: it makes the caller's calls on the named connections, and nothing else.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", security(("token" = [])), request_body = NewToken,
    responses((status = 200, description = "The token, shown once", body = MadeToken), OnChange))]
pub(super) async fn make(change: Change<NewToken>) -> Result<Json<MadeToken>, Problem> {
    let Change { caller, asked } = change;
    let action = "token.make";
    let id = fresh_token_id();
    let scope = if asked.all { "all".to_owned() } else { asked.connections.join(", ") };
    let target = format!("{id} for {scope}");
    caller.fresh(action, &target)?;
    if caller.principal().kind == PrincipalKind::Agent {
        let detail = "Only people and services make client tokens; this token is an agent's.";
        let problem = Problem::new("agent", StatusCode::FORBIDDEN, detail);
        return Err(caller.denied(action, &target, problem));
    }
    let new = match checked(&caller, asked) {
        Ok(new) => new,
        Err(problem) => return Err(caller.denied(action, &target, problem)),
    };
    caller.record(action, &target)?;
    let tokens = &caller.gateway.shared.client_tokens;
    match tokens.make(id, new, &caller.verified, clock::now()).await {
        Ok((text, made)) => Ok(Json(MadeToken {
            token: text.to_string(),
            id: made.id.to_string(),
            expires_at: made.expires_at.to_string(),
        })),
        Err(error) => Err(caller.denied(action, &target, not_made(error))),
    }
}

/// What is asked for, within its bounds.
fn checked(caller: &Caller, asked: NewToken) -> Result<NewClientToken, Problem> {
    if asked.all != asked.connections.is_empty() {
        return Err(Problem::bad_request(
            "Name the connections that the token is for, or say `all`, and not both.",
        ));
    }
    if asked.connections.len() > NAMES_MAX || asked.classes.as_ref().is_some_and(|it| it.len() > NAMES_MAX) {
        return Err(Problem::bad_request(
            "There are more than 100 names; say `all`, or leave `classes` out.",
        ));
    }
    if asked.name.len() > NAME_BYTES_MAX {
        return Err(Problem::bad_request("`name` is longer than 128 bytes."));
    }
    let life = asked.seconds.map_or(LIFE, Duration::from_secs);
    if life.is_zero() || life > LIFE_MAX {
        return Err(Problem::bad_request("`seconds` is from 1 to 86,400, which is a day."));
    }
    let known = |name: &String| {
        let target = caller.gateway.routes.named(name)?;
        Some(Arc::clone(&target.settings.connection.name))
    };
    let connections: Option<Vec<Arc<str>>> = asked.connections.iter().map(known).collect();
    let connections = connections.ok_or_else(|| {
        Problem::bad_request("A connection has none of these names; `keyward connections ls` lists them.")
    })?;
    let classes = asked.classes.map(|words| words.iter().map(|word| word.parse()).collect());
    let classes: Option<Vec<OperationClass>> = classes
        .transpose()
        .map_err(|_| Problem::bad_request("`classes` has a word that is no operation class."))?;
    if classes.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::bad_request("`classes` is empty; leave it out for all."));
    }
    let connections = (!asked.all).then_some(connections);
    Ok(NewClientToken { name: asked.name, connections, classes, life })
}

fn not_made(error: MakeError) -> Problem {
    let conflict = |code, detail: &'static str| Problem::new(code, StatusCode::CONFLICT, detail);
    match error {
        MakeError::TooManyOfOwner => {
            conflict("too_many_tokens", "You have 100 client tokens already; revoke some.")
        }
        MakeError::TooMany => {
            conflict("too_many_tokens", "There are 10,000 client tokens already; some have to end first.")
        }
        MakeError::ByClientToken => crate::identify::IdentifyError::ClientToken.into(),
        MakeError::Random => Problem::internal(),
        MakeError::Store(error) => error.into(),
    }
}

/// A client token that was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revoked {
    /// Which.
    id: String,
}

/// Revoke a client token
///
/// It is refused from now on, and its calls that are under way end with an error. One's own; for administrators, any.
#[utoipa::path(post, path = "/api/v1/tokens/{id}/revoke", tag = "tokens", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id")), request_body = Option<Nothing>,
    responses((status = 200, description = "It is revoked", body = Revoked), OnChange))]
pub(super) async fn revoke(Segment(id): Segment, change: Change<Nothing>) -> Result<Json<Revoked>, Problem> {
    let caller = change.caller;
    let action = "token.revoke";
    let token: ClientTokenId = caller.id(action, &id)?;
    let shared = &caller.gateway.shared;
    let found = shared.client_tokens.named(token, clock::now());
    let mine = found.as_ref().is_some_and(|it| it.owner.is(&caller.principal().reference()));
    if found.is_none() || !(mine || caller.audits()) {
        return Err(caller.absent(action, &id));
    }
    caller.own_or_administer(if mine { Sight::Own } else { Sight::Role }, action, &id)?;
    if !shared.client_tokens.revoke(token, (&shared.sessions, &shared.journal)).await? {
        return Err(caller.absent(action, &id)); // somebody else was first
    }
    Ok(Json(Revoked { id }))
}
