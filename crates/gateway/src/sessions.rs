//! The sessions that are open: joined by each exchange of the same caller on the same connection, ended by idleness, by a
//! lock, by somebody, or by a newer token that lacks a group.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{ClientTokenId, Principal, SessionId, Timestamp};
use keyward_journal::record::{SessionClosed, SessionOpened};
use keyward_journal::{Journal, Record};

use crate::clock;
use crate::identify::Verified;
use crate::life::Life;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::Target;

/// A session without an exchange for this long is closed.
pub const IDLE_MAX: Duration = Duration::from_mins(30);
/// Sessions kept open at once; past it the one that was idle longest is closed.
const OPEN_MAX: usize = 50_000;

/// The open sessions.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    id: SessionId,
    /// The newest token of the caller that was seen here.
    newest: Arc<Verified>,
    connection: Arc<str>,
    last: Timestamp,
    /// Shared with its exchanges.
    life: Arc<Life>,
}

impl Sessions {
    /// The open session of this caller on this connection, or a new one, recorded.
    ///
    /// # Errors
    /// A new one cannot be recorded, or the token has a group that a newer one of the same client lacks (catalogue 18).
    pub(crate) fn join(
        &self,
        journal: &Journal,
        verified: &Arc<Verified>,
        target: &Target,
        peer: SocketAddr,
    ) -> Result<(SessionId, Arc<Life>), Refusal> {
        let principal = &verified.principal;
        let connection = &target.settings.connection.name;
        // Issuer and subject hold no NUL, so two callers never share a key.
        let mut key = format!("{}\0{}\0{connection}", principal.issuer, principal.subject);
        for actor in &principal.acting_for {
            key.push('\0');
            key.push_str(&actor.to_string());
        }
        let at = clock::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &verified.client_token {
            // It has a session of its own, which ends with it; its groups count as long as its owner's do.
            if open.get(&key).is_some_and(|own| lost_group(verified, &own.newest)) {
                return Err(outdated());
            }
            key.push('\0'); // an actor's text has a `#`, this has none
            key.push_str(&token.id.to_string());
        }
        if let Some(session) = open.get_mut(&key) {
            if lost_group(verified, &session.newest) {
                return Err(outdated());
            }
            if !lost_group(&session.newest, verified) {
                session.last = at;
                if is_newer(verified, &session.newest) {
                    session.newest = Arc::clone(verified);
                }
                return Ok((session.id, Arc::clone(&session.life)));
            }
            end_outdated(&mut open, journal, verified, connection);
        }
        if open.len() >= OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, session)| session.last).map(|(key, _)| key.clone());
            if let Some(session) = oldest.and_then(|key| open.remove(&key)) {
                close(journal, session.id, "too many sessions are open");
            }
        }
        let id = SessionId::new(clock::fresh_id());
        journal.append(&Record::SessionOpened(SessionOpened {
            session: id,
            at,
            principal: Arc::clone(principal),
            connection: Arc::clone(connection),
            peer: peer.to_string(),
        }))?;
        let life = Arc::new(Life::default());
        open.insert(
            key,
            Open {
                id,
                newest: Arc::clone(verified),
                connection: Arc::clone(connection),
                last: at,
                life: Arc::clone(&life),
            },
        );
        Ok((id, life))
    }

    /// Ends the sessions that `hits` says, and every exchange in them. How many there were.
    pub fn end_where(
        &self,
        journal: &Journal,
        reason: &str,
        hits: impl Fn(&Principal, &str) -> bool,
    ) -> usize {
        self.end(journal, reason, |session| hits(&session.newest.principal, &session.connection))
    }

    /// Ends one session, and every exchange in it. False when it is not open.
    pub fn kill(&self, journal: &Journal, id: SessionId, reason: &str) -> bool {
        self.end(journal, reason, |session| session.id == id) > 0
    }

    /// Ends the sessions of a client token, and every exchange in them.
    pub(crate) fn end_of_client_token(&self, journal: &Journal, id: ClientTokenId, reason: &str) {
        self.end(journal, reason, |session| {
            session.newest.client_token.as_ref().is_some_and(|token| token.id == id)
        });
    }

    fn end(&self, journal: &Journal, reason: &str, hits: impl Fn(&Open) -> bool) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        end_all(&mut open, journal, reason, hits)
    }

    /// Whether it is open, and whose.
    pub fn owner(&self, id: SessionId) -> Option<Arc<Principal>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().find(|session| session.id == id).map(|session| Arc::clone(&session.newest.principal))
    }

    /// Closes sessions that were idle too long.
    pub fn sweep(&self, journal: &Journal, now: Timestamp) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| {
            let busy = Arc::strong_count(&session.life) > 1;
            let stays = busy || now.since(session.last) < IDLE_MAX;
            if !stays {
                close(journal, session.id, "idle");
            }
            stays
        });
    }

    /// Closes all sessions.
    pub fn close_all(&self, journal: &Journal, reason: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, session) in open.drain() {
            close(journal, session.id, reason);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Ends the sessions that `hits` says. How many there were.
fn end_all(
    open: &mut HashMap<String, Open>,
    journal: &Journal,
    reason: &str,
    hits: impl Fn(&Open) -> bool,
) -> usize {
    let before = open.len();
    open.retain(|_, session| {
        let ends = hits(session);
        if ends {
            session.life.end(reason);
            close(journal, session.id, reason);
        }
        !ends
    });
    before - open.len()
}

/// Ends the sessions of a caller on a connection that rest on a group which their newer token lacks: their own, and those
/// of their client tokens.
fn end_outdated(
    open: &mut HashMap<String, Open>,
    journal: &Journal,
    newer: &Verified,
    connection: &Arc<str>,
) {
    let same = |one: &Principal, other: &Principal| {
        one.reference() == other.reference() && one.acting_for == other.acting_for
    };
    end_all(open, journal, "a newer token lacks a group", |session| {
        session.connection == *connection
            && same(&session.newest.principal, &newer.principal)
            && lost_group(&session.newest, newer)
    });
}

/// Whether `token` was issued to the same client after `other`.
fn is_newer(token: &Verified, other: &Verified) -> bool {
    token.client == other.client && token.issued_at > other.issued_at
}

/// Whether `older` has a group that `newer`, issued later to the same client, lacks.
fn lost_group(older: &Verified, newer: &Verified) -> bool {
    let lacks = |group: &Arc<str>| !newer.principal.is_in(group);
    is_newer(newer, older) && older.principal.groups.iter().any(lacks)
}

fn outdated() -> Refusal {
    Refusal::new(
        RefusalKind::Unauthenticated,
        "A newer token of yours lacks a group that this one has, so this one does not count any more; use the newer one.",
    )
}

fn close(journal: &Journal, session: SessionId, reason: &str) {
    let record =
        Record::SessionClosed(SessionClosed { session, at: clock::now(), reason: reason.to_owned() });
    if let Err(error) = journal.append(&record) {
        tracing::error!(%session, error = &error as &dyn std::error::Error, "end of a session not recorded");
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::PrincipalKind;

    use super::*;
    use crate::identify::TokenHash;

    fn token(issued: i64, client: &str, groups: &[&str]) -> Verified {
        Verified {
            principal: Arc::new(Principal {
                issuer: "https://idp".into(),
                subject: "alice".into(),
                kind: PrincipalKind::User,
                groups: groups.iter().map(|group| (*group).into()).collect(),
                name: None,
                acting_for: Vec::new(),
            }),
            expires_at: Timestamp::from_micros(i64::MAX),
            issued_at: Some(Timestamp::from_micros(issued)),
            client: Some(client.into()),
            token_hash: TokenHash::of("token"),
            client_token: None,
        }
    }

    #[test]
    fn catalogue_18_a_group_is_lost_by_a_newer_token_of_the_same_client() {
        let older = token(1, "cli", &["eng", "owners"]);
        assert!(lost_group(&older, &token(2, "cli", &["eng"])));
        assert!(!lost_group(&older, &token(2, "cli", &["owners", "eng", "more"])));
        assert!(!lost_group(&older, &token(1, "cli", &["eng"])), "issued at the same time");
        assert!(!lost_group(&older, &token(2, "ui", &["eng"])), "another client asks for other groups");
        assert!(!lost_group(&token(3, "cli", &["eng", "owners"]), &token(2, "cli", &["eng"])));
    }
}
