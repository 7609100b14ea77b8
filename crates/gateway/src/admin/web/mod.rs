//! Browsers that signed in: their sessions, and the cookies that stand for them.
//!
//! Promise: a session is a random text that only the browser holds (here it is a hash), made anew at each sign-in, over at
//! sign-out, after its time, or without use for [`IDLE_MAX`]. Its cookie is out of reach of scripts, goes to no other
//! site and comes from none (`SameSite=Strict`); whatever changes something needs the session's token in a header and the
//! own origin besides (catalogue 203, 205). Sessions are kept in memory: a restart ends them.

mod sign_in;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use keyward_core::Timestamp;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::clock;
use crate::identify::{Attempt, Person, TokenHash, Verified};
use crate::settings::SignIn;

pub(super) use sign_in::{__path_callback, __path_login, __path_logout, callback, is_secure, login, logout};

/// Without use for this long, a session is over.
pub(super) const IDLE_MAX: Duration = Duration::from_hours(1);
/// Sessions at once; past it the oldest ends.
const SESSIONS_MAX: usize = 10_000;
/// Sign-ins under way at once; past it the oldest is forgotten.
const ATTEMPTS_MAX: usize = 10_000;
/// How long somebody may take to sign in.
const ATTEMPT_MAX: Duration = Duration::from_mins(10);
/// The header that a change by a browser carries.
pub(super) const CSRF_HEADER: &str = "keyward-csrf";

/// A browser that signed in.
pub(super) struct WebSession {
    pub(super) verified: Arc<Verified>,
    /// What its changes carry in [`CSRF_HEADER`].
    pub(super) csrf: String,
    /// When the person proved to the issuer who they are.
    pub(super) proved_at: Timestamp,
    used_at: AtomicI64,
    /// Ends its event streams.
    pub(super) over: CancellationToken,
}

/// A sign-in under way.
struct Pending {
    attempt: Attempt,
    /// The hash of what the browser's cookie holds.
    browser: [u8; 32],
    way: Way,
    began: Timestamp,
}

/// What somebody wants who signs in.
#[derive(Debug, Clone)]
struct Way {
    /// The path to be at afterwards.
    next: String,
    /// A new proof is asked for, as decisions need one.
    fresh: bool,
}

impl Default for Way {
    fn default() -> Self {
        Self { next: "/".to_owned(), fresh: false }
    }
}

/// Sessions and sign-ins.
#[derive(Default)]
pub(super) struct Web {
    sessions: Mutex<HashMap<[u8; 32], Arc<WebSession>>>,
    pending: Mutex<HashMap<String, Pending>>,
}

impl Web {
    /// The session that the request's cookie stands for.
    pub(super) fn session(&self, headers: &HeaderMap, secure: bool) -> Option<Arc<WebSession>> {
        let key = hash(&cookie(headers, Cookie::Session, secure)?);
        let now = clock::now();
        let mut sessions = lock(&self.sessions);
        let session = Arc::clone(sessions.get(&key)?);
        let used_at = Timestamp::from_micros(session.used_at.load(Ordering::Relaxed));
        if now >= session.verified.expires_at || now.since(used_at) >= IDLE_MAX {
            end(sessions.remove(&key));
            return None;
        }
        session.used_at.store(now.micros(), Ordering::Relaxed);
        Some(session)
    }

    /// Begins a session: the text for its cookie.
    fn begin(&self, person: Person, settings: &SignIn) -> Result<String, Problem> {
        let (text, now) = (random()?, clock::now());
        let session = WebSession {
            verified: Arc::new(Verified {
                principal: Arc::new(person.principal),
                expires_at: now.plus(settings.session),
                issued_at: Some(now),
                client: Some(settings.client_id.as_str().into()),
                token_hash: TokenHash::of(&text),
                client_token: None,
            }),
            csrf: random()?,
            proved_at: person.at,
            used_at: AtomicI64::new(now.micros()),
            over: CancellationToken::new(),
        };
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| now < session.verified.expires_at);
            let oldest = sessions.iter().min_by_key(|(_, it)| it.used_at.load(Ordering::Relaxed));
            if let Some(key) = oldest.map(|(key, _)| *key).filter(|_| sessions.len() >= SESSIONS_MAX) {
                end(sessions.remove(&key));
            }
        }
        sessions.insert(hash(&text), Arc::new(session));
        Ok(text)
    }

    /// Ends the session of this cookie.
    fn finish(&self, headers: &HeaderMap, secure: bool) {
        if let Some(text) = cookie(headers, Cookie::Session, secure) {
            end(lock(&self.sessions).remove(&hash(&text)));
        }
    }

    fn await_answer(&self, pending: Pending) {
        let mut all = lock(&self.pending);
        all.retain(|_, it| pending.began.since(it.began) < ATTEMPT_MAX);
        if all.len() >= ATTEMPTS_MAX {
            let oldest = all.iter().min_by_key(|(_, it)| it.began).map(|(state, _)| state.clone());
            oldest.and_then(|state| all.remove(&state));
        }
        all.insert(pending.attempt.state.clone(), pending);
    }

    /// The sign-in that a state belongs to, once, and only for the browser that began it (catalogue 23).
    fn answered(&self, state: &str, headers: &HeaderMap, secure: bool) -> Option<Pending> {
        let pending = lock(&self.pending).remove(state)?;
        let browser = hash(&cookie(headers, Cookie::SignIn, secure)?);
        let same = verify_slices_are_equal(&browser, &pending.browser).is_ok();
        (same && clock::now().since(pending.began) < ATTEMPT_MAX).then_some(pending)
    }
}

impl WebSession {
    /// Whether the headers carry its token.
    pub(super) fn is_meant(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(CSRF_HEADER).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => verify_slices_are_equal(value.as_bytes(), self.csrf.as_bytes()).is_ok(),
            _ => false,
        }
    }
}

/// What cookies stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cookie {
    Session,
    SignIn,
}

impl Cookie {
    /// Over TLS the prefix keeps other hosts and paths from setting it (RFC 6265bis, section 4.1.3).
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-keyward",
            (Self::Session, false) => "keyward",
            (Self::SignIn, true) => "__Host-keyward-sign-in",
            (Self::SignIn, false) => "keyward-sign-in",
        }
    }

    /// The header that sets it, or takes it away.
    fn set(self, value: Option<&str>, secure: bool) -> Option<HeaderValue> {
        // The browser comes back from the issuer's site, so the cookie of a sign-in must pass there once.
        let (same_site, age) = match (self, value) {
            (_, None) => ("Strict", "; Max-Age=0".to_owned()),
            (Self::SignIn, Some(_)) => ("Lax", format!("; Max-Age={}", ATTEMPT_MAX.as_secs())),
            (Self::Session, Some(_)) => ("Strict", String::new()),
        };
        let (name, value) = (self.name(secure), value.unwrap_or_default());
        let secure = if secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{age}");
        HeaderValue::from_str(&text).ok()
    }
}

/// The one value of a cookie; none where there are two.
fn cookie(headers: &HeaderMap, which: Cookie, secure: bool) -> Option<String> {
    let name = which.name(secure);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value.to_owned()),
        _ => None,
    }
}

/// 256 random bits as text.
fn random() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Problem::internal())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

fn end(session: Option<Arc<WebSession>>) {
    if let Some(session) = session {
        session.over.cancel();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_of_a_name_counts() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, text.parse().unwrap());
            cookie(&headers, Cookie::Session, false)
        };
        assert_eq!(of("a=b; keyward=x; c=d").as_deref(), Some("x"));
        for text in ["keyward=x; keyward=y", "keyward=", "__Host-keyward=x", "xkeyward=x", "keyward"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_other_sites() {
        let text = |value| Cookie::Session.set(value, true).unwrap().to_str().unwrap().to_owned();
        assert_eq!(text(Some("x")), "__Host-keyward=x; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert!(text(None).ends_with("; Max-Age=0"));
        let plain = Cookie::SignIn.set(Some("x"), false).unwrap();
        assert_eq!(plain.to_str().unwrap(), "keyward-sign-in=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    }
}
