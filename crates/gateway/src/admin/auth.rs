//! Who uses the admin API, what they may, and the record of it.
//!
//! Promise: every handler that shows or changes anything takes a `Caller`, which exists only for a verified token.
//! Whatever changes something is in the journal before it happens, and whatever is seen by role before it is shown: no
//! record, no effect, *fails closed*. A request that is refused is recorded too, as far as the journal can be written.
//! Not recorded, and published as such: [`NOT_AUDITED`].
//!
//! Exceptions: the record of a refusal may be lost while the journal cannot be written — the refusal stands: *fails
//! closed*.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::StatusCode;
use http::request::Parts;
use keyward_core::Principal;
use keyward_journal::Record;
use keyward_journal::record::AdminEvent;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::problem::Problem;
use super::web::{WebSession, is_secure};
use crate::clock;
use crate::identify::{CREDENTIAL_HEADERS, Verified, presented_credential};
use crate::locks::sentence;
use crate::settings::Roles;
use crate::snapshot::Gateway;

/// What leaves no record: what shows nothing of anybody, and what is one's own to see.
pub const NOT_AUDITED: [&str; 13] = [
    "GET /healthz",
    "GET /readyz",
    "GET /metrics on a loopback listener",
    "GET /approvals/{id} (a page without data)",
    "GET of the web interface's pages and files (the same for everybody)",
    "GET /api/v1/openapi.json",
    "GET /api/v1/sign-in (what `keyward login` needs, the same for everybody)",
    "GET /api/v1/whoami",
    "GET /api/v1/connections and one of them",
    "GET /api/v1/approvals: one's own, and those that one may decide",
    "GET /api/v1/sessions: one's own",
    "GET /api/v1/tokens: one's own",
    "GET /api/v1/requests/{id}/explanation: one's own",
];
/// How much of what a request was about is recorded, in bytes.
const TARGET_BYTES_MAX: usize = 512;

/// What somebody may do beside what everybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads all sessions, approvals and the ledger; each read is recorded.
    Auditor,
    /// The same; makes and lifts locks, and ends sessions. Approves nothing by it.
    Admin,
}

impl Role {
    const ALL: [Self; 2] = [Self::Auditor, Self::Admin];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl Roles {
    /// The roles of this principal, by group or by name.
    pub fn of(&self, who: &Principal) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.has(role.as_str(), who)).collect()
    }

    /// Whether a list names this principal.
    pub fn has(&self, list: &str, who: &Principal) -> bool {
        let reference = who.to_string();
        let is_member = |member: &String| match member.split_once(':') {
            Some(("group", group)) => who.is_in(group),
            // An issuer holds no `#`; one that does could make two people read the same.
            Some(("user", user)) => user == reference && !who.issuer.contains('#'),
            _ => false,
        };
        self.members.get(list).is_some_and(|members| members.iter().any(is_member))
    }
}

/// A verified caller of the admin API, and the configuration that their request began with.
pub(super) struct Caller {
    pub(super) gateway: Arc<Gateway>,
    pub(super) verified: Arc<Verified>,
    pub(super) roles: Vec<Role>,
    /// The browser's session, where one signed in.
    pub(super) web: Option<Arc<WebSession>>,
    peer: SocketAddr,
}

/// Why somebody sees something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is theirs, or theirs to decide.
    Own,
    /// Their role shows it to them.
    Role,
}

impl Caller {
    /// Who.
    pub(super) fn principal(&self) -> &Arc<Principal> {
        &self.verified.principal
    }

    /// Goes on unless a lock keeps the caller out.
    fn unless_locked(self, path: &str) -> Result<Self, Problem> {
        match self.gateway.shared.locks.hit(self.principal(), None, clock::now()) {
            None => Ok(self),
            Some(lock) => {
                let problem = Problem::new("locked", StatusCode::FORBIDDEN, sentence(&lock));
                Err(self.denied("sign_in", path, problem))
            }
        }
    }

    /// Goes on only for who proved lately who they are: a browser that was left open decides nothing (catalogue 212).
    pub(super) fn fresh(&self, action: &'static str, target: &str) -> Result<(), Problem> {
        let Some(web) = &self.web else { return Ok(()) };
        let age_max = self.gateway.sign_in.as_ref().map_or(Duration::ZERO, |settings| settings.fresh);
        if clock::now().since(web.proved_at) < age_max {
            return Ok(());
        }
        Err(self.denied(action, target, Problem::sign_in_again()))
    }

    /// Whether the caller may read what is not theirs.
    pub(super) fn audits(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Whether the caller may change what is not theirs.
    pub(super) fn administers(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// Goes on only for auditors and administrators, and records that they do.
    pub(super) fn audit(&self, action: &'static str, target: &str) -> Result<(), Problem> {
        if self.audits() {
            return self.record(action, target);
        }
        Err(self.denied(action, target, Problem::role_needed()))
    }

    /// Goes on only for administrators, and records that they do.
    pub(super) fn administer(&self, action: &'static str, target: &str) -> Result<(), Problem> {
        if self.administers() {
            return self.record(action, target);
        }
        Err(self.denied(action, target, Problem::admin_needed()))
    }

    /// Goes on for whose it is, and for administrators, and records that they do. Who may see it but not change it is told
    /// which role they lack.
    pub(super) fn own_or_administer(
        &self,
        sight: Sight,
        action: &'static str,
        target: &str,
    ) -> Result<(), Problem> {
        match sight {
            Sight::Own => self.record(action, target),
            Sight::Role => self.administer(action, target),
        }
    }

    /// Records what the caller is about to do or see.
    pub(super) fn record(&self, action: &'static str, target: &str) -> Result<(), Problem> {
        append(&self.gateway, Some(self.principal()), self.peer, action, target, None).map_err(Problem::from)
    }

    /// Records that the caller was refused.
    pub(super) fn denied(&self, action: &'static str, target: &str, problem: Problem) -> Problem {
        refused(&self.gateway, Some(self.principal()), self.peer, action, target, &problem);
        problem
    }

    /// Records a look-up that found nothing to show: absent and hidden things leave the same record.
    pub(super) fn absent(&self, action: &'static str, target: &str) -> Problem {
        self.denied(action, target, Problem::absent())
    }

    /// Reads an identifier; a text that is none names nothing.
    pub(super) fn id<T: FromStr>(&self, action: &'static str, text: &str) -> Result<T, Problem> {
        text.parse().map_err(|_| self.absent(action, text))
    }
}

impl FromRequestParts<Arc<Admin>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let gateway = admin.current.load_full();
        let peer = peer(parts);
        // A browser's session, where no credential says who one is.
        let none_said = CREDENTIAL_HEADERS.iter().all(|name| !parts.headers.contains_key(name));
        let web = if none_said { admin.web.session(&parts.headers, is_secure(&gateway)) } else { None };
        let verified = match (&web, presented_credential(&parts.headers, &parts.uri)) {
            (Some(web), _) => Ok(Arc::clone(&web.verified)),
            (None, Ok(presented)) => gateway.identity.verify(presented.token(), clock::now()).await,
            (None, Err(error)) => Err(error),
        };
        match verified {
            Ok(verified) => {
                let roles = gateway.roles.of(&verified.principal);
                Self { gateway, verified, roles, web, peer }.unless_locked(parts.uri.path())
            }
            Err(error) => {
                let problem = Problem::from(error);
                refused(&gateway, None, peer, "sign_in", parts.uri.path(), &problem);
                Err(problem)
            }
        }
    }
}

/// The caller's address.
pub(super) fn peer(parts: &Parts) -> SocketAddr {
    let known = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    known.map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0)
}

/// Records that somebody signed in with a browser.
pub(super) fn signed_in(gateway: &Gateway, who: &Principal, peer: SocketAddr) -> Result<(), Problem> {
    append(gateway, Some(who), peer, "sign_in", "browser", None).map_err(Problem::from)
}

/// Records a refusal.
pub(super) fn refused(
    gateway: &Gateway,
    by: Option<&Principal>,
    peer: SocketAddr,
    action: &'static str,
    target: &str,
    problem: &Problem,
) {
    if by.is_none() && gateway.shared.anonymous.turn().is_none() {
        return;
    }
    if let Err(error) = append(gateway, by, peer, action, target, Some(problem.code())) {
        tracing::error!(action, error = &error as &dyn std::error::Error, "refusal not recorded");
    }
}

fn append(
    gateway: &Gateway,
    by: Option<&Principal>,
    peer: SocketAddr,
    action: &'static str,
    target: &str,
    refused: Option<&'static str>,
) -> Result<(), keyward_journal::JournalError> {
    let record = Record::Admin(AdminEvent {
        at: clock::now(),
        by: by.map(Principal::reference),
        action: action.to_owned(),
        target: beginning(target, TARGET_BYTES_MAX).to_owned(),
        allowed: refused.is_none(),
        peer: peer.to_string(),
        detail: refused.map(str::to_owned),
    });
    gateway.shared.journal.append(&record).map(drop)
}

/// At most so many bytes from the beginning of a text, cut between characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use keyward_core::PrincipalKind;

    use super::*;

    fn principal(issuer: &str, subject: &str, groups: &[&str]) -> Principal {
        Principal {
            issuer: issuer.into(),
            subject: subject.into(),
            kind: PrincipalKind::User,
            groups: groups.iter().map(|group| (*group).into()).collect(),
            name: None,
            acting_for: Vec::new(),
        }
    }

    #[test]
    fn roles_come_from_exact_groups_and_names() {
        let members = [
            ("auditor".to_owned(), vec!["group:audit".to_owned()]),
            ("admin".to_owned(), vec!["user:https://idp#root".to_owned(), "ops".to_owned()]),
        ];
        let roles = Roles { members: members.into() };
        assert_eq!(roles.of(&principal("https://idp", "a", &["audit"])), [Role::Auditor]);
        assert_eq!(roles.of(&principal("https://idp", "root", &[])), [Role::Admin]);
        for (issuer, subject, group) in [
            ("https://idp", "a", "Audit"),
            ("https://idp", "a", "audit "),
            ("https://idp", "a", "ops"),
            ("https://other", "root", "x"),
            ("https://idp#ro", "ot", "x"),
        ] {
            assert_eq!(roles.of(&principal(issuer, subject, &[group])), [], "{issuer} {subject} {group}");
        }
        assert_eq!(roles.of(&principal("https://id", "p#root", &[])), []);
        let crafted = Roles { members: [("admin".to_owned(), vec!["user:a#b#c".to_owned()])].into() };
        assert_eq!(crafted.of(&principal("a#b", "c", &[])), []);
    }

    #[test]
    fn long_targets_are_cut_between_characters() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
        assert_eq!(beginning("", TARGET_BYTES_MAX), "");
    }
}
