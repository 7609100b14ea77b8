//! Client tokens: short-lived credentials for tools that cannot speak OpenID Connect (catalogue 26).
//!
//! Promise: a token is 256 random bits, told once and kept as its SHA-256. It makes its owner's calls and nothing else: on
//! the connections and for the operation classes that it was made for, until its time is over, it is revoked, its owner
//! is locked out, or the issuer that vouched for them is not configured any more. Whatever does not say so exactly is
//! refused: *fails closed*. The tokens are read from memory; the database keeps them over restarts, and without it none is
//! made or revoked. They are loaded before the first listener opens.
//!
//! Exceptions: the owner's groups are those at issue. A newer token of theirs that lacks one ends it, as it ends an
//! older token ([`crate::sessions`]); an issuer that forgets somebody does not, for at most [`LIFE_MAX`]. When a token
//! was last used may be lost for the last minute before a crash.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_core::{ClientTokenId, Operation, OperationClass, PrincipalRef, Timestamp};
use keyward_journal::Journal;
use keyward_store::{ClientToken, Db, StoreError};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock;
use crate::identify::{CLIENT_TOKEN_PREFIX, IdentifyError, Identity, TokenHash, Verified};
use crate::refusal::{Refusal, RefusalKind};
use crate::session::Session;
use crate::sessions::Sessions;

/// The longest life of a token.
pub const LIFE_MAX: Duration = Duration::from_hours(24);
/// The life of a token where nothing is said.
pub const LIFE: Duration = Duration::from_hours(1);
/// Most tokens that one owner has at once.
pub const TOKENS_PER_OWNER_MAX: usize = 100;
/// Most tokens at once.
pub const TOKENS_MAX: usize = 10_000;
/// How long a token that is over is still told from one that never was.
const OVER_KEPT: Duration = Duration::from_hours(1);
/// Random bytes of a token.
const RANDOM_BYTES: usize = 32;

/// The tokens that are kept.
pub struct ClientTokens {
    db: Db,
    all: ArcSwap<HashMap<TokenHash, Arc<Kept>>>,
    /// One change at a time, so that memory holds what the database holds.
    change: Mutex<()>,
}

struct Kept {
    token: Arc<ClientToken>,
    verified: Arc<Verified>,
    /// When it was last used, in microseconds since the epoch; 0: never.
    used_at: AtomicI64,
    /// As much of it as the database has.
    written: AtomicI64,
}

/// A token to make.
pub struct NewClientToken {
    /// What its owner calls it.
    pub name: String,
    /// The connections that it is for; none: all.
    pub connections: Option<Vec<Arc<str>>>,
    /// The operation classes that it is for; none: all.
    pub classes: Option<Vec<OperationClass>>,
    /// How long it holds, at most [`LIFE_MAX`].
    pub life: Duration,
}

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The owner has [`TOKENS_PER_OWNER_MAX`].
    #[error("the owner has {TOKENS_PER_OWNER_MAX} tokens already")]
    TooManyOfOwner,
    /// There are [`TOKENS_MAX`].
    #[error("there are {TOKENS_MAX} tokens already")]
    TooMany,
    /// A client token makes no other.
    #[error("a client token makes no other")]
    ByClientToken,
    /// The system gives no random bytes.
    #[error("no random bytes")]
    Random,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Kept {
    fn new(token: ClientToken) -> Arc<Self> {
        let token = Arc::new(token);
        let used = token.last_used_at.map_or(0, Timestamp::micros);
        Arc::new(Self {
            verified: Arc::new(Verified {
                principal: Arc::clone(&token.owner),
                expires_at: token.expires_at,
                issued_at: token.owner_issued_at,
                client: token.owner_client.clone(),
                token_hash: TokenHash::from_bytes(token.hash),
                client_token: Some(Arc::clone(&token)),
            }),
            token,
            used_at: AtomicI64::new(used),
            written: AtomicI64::new(used),
        })
    }

    fn used_at(&self) -> Option<Timestamp> {
        Some(self.used_at.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Timestamp::from_micros)
    }
}

impl ClientTokens {
    /// Loads what was kept.
    pub async fn load(db: Db) -> Result<Self, StoreError> {
        let kept = db.client_token_list().await?.into_iter();
        let all = kept.map(|token| (TokenHash::from_bytes(token.hash), Kept::new(token))).collect();
        Ok(Self { db, all: ArcSwap::from_pointee(all), change: Mutex::new(()) })
    }

    /// Whose call a token makes, with the groups as they were at issue; notes that it is used.
    ///
    /// # Errors
    /// It is not kept, is over, or its owner's issuer is not configured any more.
    pub fn verify(
        &self,
        token: &str,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentifyError> {
        let all = self.all.load();
        let kept = all.get(&TokenHash::of(token)).ok_or(IdentifyError::ClientTokenUnknown)?;
        if now >= kept.token.expires_at {
            return Err(IdentifyError::ClientTokenExpired);
        }
        if !identity.trusts(&kept.token.owner.issuer) {
            return Err(IdentifyError::IssuerUnknown);
        }
        kept.used_at.fetch_max(now.micros(), Ordering::Relaxed);
        Ok(Arc::clone(&kept.verified))
    }

    /// The tokens that hold at this time, the oldest first, each with its last use. `owner`: only theirs.
    pub fn live(
        &self,
        owner: Option<&PrincipalRef>,
        now: Timestamp,
    ) -> Vec<(Arc<ClientToken>, Option<Timestamp>)> {
        let all = self.all.load();
        let wanted = |kept: &&Arc<Kept>| {
            now < kept.token.expires_at && owner.is_none_or(|owner| kept.token.owner.is(owner))
        };
        let found = all.values().filter(wanted);
        let mut found: Vec<_> = found.map(|kept| (Arc::clone(&kept.token), kept.used_at())).collect();
        found.sort_by_key(|(token, _)| token.id);
        found
    }

    /// A token that holds, by its name.
    pub fn named(&self, id: ClientTokenId, now: Timestamp) -> Option<Arc<ClientToken>> {
        let all = self.all.load();
        let kept = all.values().find(|kept| kept.token.id == id && now < kept.token.expires_at)?;
        Some(Arc::clone(&kept.token))
    }

    /// Makes a token for who signed in: its text, which is kept nowhere.
    pub async fn make(
        &self,
        id: ClientTokenId,
        new: NewClientToken,
        by: &Verified,
        now: Timestamp,
    ) -> Result<(Zeroizing<String>, Arc<ClientToken>), MakeError> {
        if by.client_token.is_some() {
            return Err(MakeError::ByClientToken);
        }
        let text = random_text()?;
        let _one = self.change.lock().await;
        let mut all = HashMap::clone(&self.all.load());
        let owner = by.principal.reference();
        if all.values().filter(|kept| kept.token.owner.is(&owner)).count() >= TOKENS_PER_OWNER_MAX {
            all.retain(|_, kept| now < kept.token.expires_at || !kept.token.owner.is(&owner));
            if all.values().filter(|kept| kept.token.owner.is(&owner)).count() >= TOKENS_PER_OWNER_MAX {
                return Err(MakeError::TooManyOfOwner);
            }
        }
        if all.len() >= TOKENS_MAX {
            return Err(MakeError::TooMany);
        }
        let hash = TokenHash::of(&text);
        let token = ClientToken {
            id,
            hash: hash.bytes(),
            name: new.name,
            owner: Arc::clone(&by.principal),
            owner_client: by.client.clone(),
            owner_issued_at: by.issued_at,
            connections: new.connections,
            classes: new.classes,
            created_at: now,
            expires_at: now.plus(new.life.min(LIFE_MAX)),
            last_used_at: None,
        };
        self.db.client_token_add(&token).await?;
        let kept = Kept::new(token);
        let token = Arc::clone(&kept.token);
        all.insert(hash, kept);
        self.all.store(Arc::new(all));
        Ok((text, token))
    }

    /// Revokes a token and ends what it has under way. False when there is none.
    pub async fn revoke(
        &self,
        id: ClientTokenId,
        (sessions, journal): (&Sessions, &Journal),
    ) -> Result<bool, StoreError> {
        let _one = self.change.lock().await;
        let removed = self.db.client_token_remove(id).await?;
        let mut all = HashMap::clone(&self.all.load());
        all.retain(|_, kept| kept.token.id != id);
        self.all.store(Arc::new(all));
        sessions.end_of_client_token(journal, id, &format!("token {id} was revoked"));
        Ok(removed)
    }

    /// Forgets what is over for long, and writes when the others were last used.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        let _one = self.change.lock().await;
        let over_before = Timestamp::from_micros(
            now.micros().saturating_sub(i64::try_from(OVER_KEPT.as_micros()).unwrap_or(i64::MAX)),
        );
        let mut all = HashMap::clone(&self.all.load());
        let before = all.len();
        all.retain(|_, kept| kept.token.expires_at >= over_before);
        let unwritten = all.values().filter_map(|kept| {
            let at = kept.used_at()?;
            (at.micros() != kept.written.load(Ordering::Relaxed)).then(|| (Arc::clone(kept), at))
        });
        let unwritten: Vec<_> = unwritten.collect();
        if before == all.len() && unwritten.is_empty() {
            return Ok(());
        }
        let used: Vec<_> = unwritten.iter().map(|(kept, at)| (kept.token.id, *at)).collect();
        self.db.client_token_sweep(over_before, &used).await?;
        for (kept, at) in unwritten {
            kept.written.store(at.micros(), Ordering::Relaxed);
        }
        self.all.store(Arc::new(all));
        Ok(())
    }

    fn holds(&self, token: &ClientToken) -> bool {
        self.all.load().contains_key(&TokenHash::from_bytes(token.hash))
    }
}

impl Session {
    /// Goes on unless the call comes with a client token that is not for this connection. One that was revoked while the
    /// session was joined is refused here.
    pub(crate) fn for_connection(&self) -> Result<(), Refusal> {
        let Some(token) = &self.verified.client_token else { return Ok(()) };
        if !self.gateway.shared.client_tokens.holds(token) {
            let error = IdentifyError::ClientTokenUnknown;
            return Err(Refusal::new(RefusalKind::Unauthenticated, error.public()).because(error));
        }
        let here = &self.target.settings.connection.name;
        match &token.connections {
            Some(names) if !names.contains(here) => Err(out_of_scope(token, "connection")),
            _ => Ok(()),
        }
    }

    /// Goes on unless the call comes with a client token that is not for what it does, or for what a request in it does.
    pub(crate) fn for_operation(&self, operation: &Operation) -> Result<(), Refusal> {
        match &self.verified.client_token {
            Some(token) if !token.classes.as_deref().is_none_or(|classes| covers(classes, operation)) => {
                Err(out_of_scope(token, "kind of operation"))
            }
            _ => Ok(()),
        }
    }
}

fn covers(classes: &[OperationClass], operation: &Operation) -> bool {
    classes.contains(&operation.class) && operation.inner.iter().all(|inner| covers(classes, inner))
}

fn out_of_scope(token: &ClientToken, what: &str) -> Refusal {
    let id = token.id;
    let text =
        format!("The client token {id} is not for this {what}: make one that is, with `keyward token`.");
    Refusal::new(RefusalKind::OutOfScope, text)
}

fn random_text() -> Result<Zeroizing<String>, MakeError> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| MakeError::Random)?;
    let mut text = Zeroizing::new(String::with_capacity(64)); // never grown, so never left behind in memory
    text.push_str(CLIENT_TOKEN_PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut text);
    Ok(text)
}

/// A name for a new token.
pub fn fresh_token_id() -> ClientTokenId {
    ClientTokenId::new(clock::fresh_id())
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
