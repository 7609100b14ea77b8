//! Routes that a configuration gives a connection of kind `http`: what its calls do, where methods say too little.
//!
//! **Promise.** A call has the class of the first route that fits, in the route's exact spelling. Where another reading
//! of the path (letters' case, escapes once more, parameters, dots, slashes) fits a route of another class, or a field
//! changes the method, the call is refused: what the upstream makes of it cannot be known.
//!
//! Exceptions:
//! - a `_method` in a multipart body, which may pass unread, is not looked for: *where an upstream heeds it, give the routes
//!   that take such bodies the class of the worst method*.

use std::borrow::Cow;

use keyward_core::OperationClass;

use super::UnderstandError;
use super::form::{self, percent_decoded};
use super::routes::{Body, Found, Path, matched};

/// Most layers of escapes.
const ESCAPES_MAX: usize = 4;
/// The field by which frameworks let a call change its method.
const METHOD_FIELD: &str = "_method";

/// One route of a connection: a method, a path below the upstream's base path, and the class of calls that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRoute {
    /// None for every method.
    method: Option<Box<str>>,
    /// Without the slash that it begins with.
    pattern: Box<str>,
    /// The pattern as other readings of a path are compared with it.
    loose: Box<str>,
    class: OperationClass,
    /// Whether its calls may go on as a WebSocket.
    websocket: bool,
}

/// Why a path cannot be a route's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnRouteError {
    /// It does not begin with a slash.
    #[error("a route's path begins with `/`")]
    Relative,
    /// An empty segment that is not the last, or dots.
    #[error("a route's path has no empty segments, and none that ends in a dot")]
    Segment,
    /// `**` before the end.
    #[error("`**` stands for the rest of a path, so it is the last segment")]
    Rest,
    /// A star within a segment.
    #[error("`*` stands for a whole segment, or for what comes before a `:verb`")]
    Star,
    /// A character that a canonical path does not have.
    #[error("a route's path is of letters, digits and `-._~!$&'()+,=:@`, without escapes, query or fragment")]
    Character,
}

impl OwnRoute {
    /// A route for `method`, or for every method where there is none.
    ///
    /// # Errors
    /// No canonical path could fit `path`.
    pub fn new(method: Option<&str>, path: &str, class: OperationClass) -> Result<Self, OwnRouteError> {
        let pattern = path.strip_prefix('/').ok_or(OwnRouteError::Relative)?;
        let last = pattern.split('/').count() - 1;
        for (index, segment) in pattern.split('/').enumerate() {
            check(segment, index == last)?;
        }
        let loose = pattern.strip_suffix('/').unwrap_or(pattern).to_ascii_lowercase();
        Ok(Self {
            method: method.map(Box::from),
            pattern: pattern.into(),
            loose: loose.into(),
            class,
            websocket: false,
        })
    }

    /// The same route, of which calls may go on as a WebSocket.
    #[must_use]
    pub fn with_websocket(self) -> Self {
        Self { websocket: true, ..self }
    }

    /// Whether `later` would do nothing behind this route: every call that fits it fits this one too, or is refused
    /// because it is this one in another spelling.
    pub fn covers(&self, later: &Self) -> bool {
        let rest = |route: &Self| route.pattern.split('/').next_back() == Some("**");
        let segments: Vec<&str> = later.pattern.split('/').collect();
        let loose: Vec<&str> = later.loose.split('/').collect();
        (self.method.is_none() || self.method == later.method)
            && (rest(self) || !rest(later))
            && (self.fit(&segments, &mut scratch())
                || self.class != later.class && matched(&self.loose, &loose, &mut scratch()))
    }

    fn takes(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own == method)
    }

    fn fit(&self, segments: &[&str], found: &mut Found) -> bool {
        let segments = match segments {
            // Below `**`, a directory is what a file is.
            [before @ .., ""] if self.pattern.ends_with("**") => before,
            all => all,
        };
        matched(&self.pattern, segments, found)
    }
}

fn check(segment: &str, last: bool) -> Result<(), OwnRouteError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,=:@".contains(c);
    match segment {
        "" | "**" if last => return Ok(()),
        "**" => return Err(OwnRouteError::Rest),
        _ if segment.is_empty() || segment.ends_with('.') => return Err(OwnRouteError::Segment),
        _ => {}
    }
    let name = match segment.strip_prefix('*') {
        Some(verb) if !verb.is_empty() && !verb.starts_with(':') => return Err(OwnRouteError::Star),
        Some(verb) => verb,
        None => segment,
    };
    if name.contains('*') {
        Err(OwnRouteError::Star)
    } else if name.chars().all(plain) {
        Ok(())
    } else {
        Err(OwnRouteError::Character)
    }
}

/// What the routes make of a call that `found` describes by its method alone.
pub(super) fn classify(
    routes: &[OwnRoute],
    method: &str,
    path: &Path<'_>,
    (query, body): (&[(String, String)], Option<&[u8]>),
    mut found: Found,
) -> Result<Found, UnderstandError> {
    if routes.is_empty() {
        return Ok(found);
    }
    if query.iter().any(|(name, _)| is_method(name)) || body.is_some_and(|body| overrides(found.body, body)) {
        return Err(UnderstandError::Method);
    }
    let method = if method == "HEAD" { "GET" } else { method };
    let candidates = || routes.iter().filter(|route| route.takes(method));
    let class = |route: Option<&OwnRoute>| route.map_or(found.class, |route| route.class);
    let exact = candidates().find(|route| route.fit(path.segments(), &mut scratch()));
    for reading in readings(path.decoded())? {
        let segments: Vec<&str> = reading.iter().map(String::as_str).collect();
        let other = candidates().find(|route| matched(&route.loose, &segments, &mut scratch()));
        if class(other) != class(exact) {
            return Err(UnderstandError::Route);
        }
    }
    if let Some(route) = exact {
        found.class = route.class;
        // What the wildcards stand for.
        route.fit(path.segments(), &mut found);
    }
    Ok(found)
}

/// Whether a call that fits goes on as a WebSocket where its caller asks for one.
pub(super) fn takes_websocket(routes: &[OwnRoute], path: &Path<'_>) -> bool {
    let mut candidates = routes.iter().filter(|route| route.takes("GET"));
    candidates.find(|route| route.fit(path.segments(), &mut scratch())).is_some_and(|route| route.websocket)
}

fn scratch() -> Found {
    Found::unknown()
}

fn is_method(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case(METHOD_FIELD)
}

/// Whether a body that is read changes the method. One that cannot be read is refused elsewhere.
fn overrides(form: Body, body: &[u8]) -> bool {
    match form {
        Body::Form => form::pairs_of(body).is_ok_and(|pairs| pairs.iter().any(|(name, _)| is_method(name))),
        Body::Json | Body::JsonOrNothing => {
            serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|value| {
                value.as_object().is_some_and(|fields| fields.keys().any(|name| is_method(name)))
            })
        }
        _ => false,
    }
}

/// The path as others may read it: in small letters; without parameters, dots and slashes that file systems and
/// frameworks drop; and so for every layer of escapes.
fn readings(decoded: &str) -> Result<Vec<Vec<String>>, UnderstandError> {
    let plain = decoded.trim_start_matches('/').to_lowercase();
    let plain = plain.strip_suffix('/').unwrap_or(&plain);
    let mut readings = vec![plain.split('/').map(str::to_owned).collect()];
    let mut text = Cow::Borrowed(decoded);
    for _ in 0..ESCAPES_MAX {
        readings.push(loosened(&text));
        match percent_decoded(&text) {
            Some(next) if next != text => text = Cow::Owned(next.into_owned()),
            _ => return Ok(readings),
        }
    }
    Err(UnderstandError::Path)
}

fn loosened(text: &str) -> Vec<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in text.to_lowercase().split(['/', '\\']) {
        let name = segment.split([';', '?', '#', '\0']).next().unwrap_or_default();
        match name.trim() {
            ".." => drop(segments.pop()),
            name => segments.push(name.trim_end_matches(['.', ' ']).to_owned()),
        }
        segments.pop_if(|name| name.is_empty());
    }
    if segments.is_empty() {
        segments.push(String::new());
    }
    segments
}
