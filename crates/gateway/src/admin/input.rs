//! What a request says, read strictly: query parameters, path segments, and the body of a change.
//!
//! Promise: what changes something comes as a POST with a JSON body (or none), from no other web origin than the
//! gateway's own, by a verified caller — checked in this order, before the body is read. A browser's cookie alone changes
//! nothing: the session's token must come in a header. There is no method override, and no form. Unknown parameters and
//! members are refused.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::{CONTENT_TYPE, HeaderMap, ORIGIN};
use http::request::Parts;
use http::{StatusCode, Uri};
use keyward_core::Timestamp;
use serde::de::DeserializeOwned;

use super::Admin;
use super::auth::{Caller, peer, refused};
use super::problem::Problem;

/// The longest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest value of a parameter, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 512;

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(Problem::bad_request(
                "A query parameter is unknown here, given twice, or not of its type; the OpenAPI document lists them.",
            )),
        }
    }
}

/// The one segment of the path that varies.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(segment)| Self(segment)).map_err(|_| Problem::absent())
    }
}

/// The two segments of the path that vary.
pub(super) struct Segments(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        path.map(|Path((first, second))| Self(first, second)).map_err(|_| Problem::absent())
    }
}

/// A change that a verified caller asks for.
pub(super) struct Change<T> {
    pub(super) caller: Caller,
    pub(super) asked: T,
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Admin>> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let gateway = admin.current.load_full();
        if !is_own_origin(&parts.headers, &gateway.public_url) {
            let detail = "A change is not taken from a page of another origin.";
            let problem = Problem::new("foreign_origin", StatusCode::FORBIDDEN, detail);
            refused(&gateway, None, peer(&parts), "change", parts.uri.path(), &problem);
            return Err(problem);
        }
        let caller = Caller::from_request_parts(&mut parts, admin).await?;
        if let Some(web) = &caller.web {
            // A browser sends its cookie by itself; a change must be meant (catalogue 203).
            if !parts.headers.contains_key(ORIGIN) || !web.is_meant(&parts.headers) {
                let detail = "A change from a browser needs its session's token in the header keyward-csrf.";
                let problem = Problem::new("csrf", StatusCode::FORBIDDEN, detail);
                return Err(caller.denied("change", parts.uri.path(), problem));
            }
        }
        let refuse = |problem| Err(caller.denied("change", parts.uri.path(), problem));
        let is_json = is_json(&parts.headers);
        if is_json == Some(false) {
            let detail = "The body of a change is application/json, or there is none.";
            return refuse(Problem::new(
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                detail,
            ));
        }
        let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
            let detail = "The body cannot be read, or is longer than 64 KiB.";
            return refuse(Problem::new("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, detail));
        };
        if body.is_empty() {
            return Ok(Self { caller, asked: T::default() });
        }
        if is_json.is_none() {
            let detail = "The body has no content type; it must be application/json.";
            return refuse(Problem::new(
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                detail,
            ));
        }
        let Ok(asked) = serde_json::from_slice(&body) else {
            let detail =
                "The body is not the JSON object that is taken here; the OpenAPI document describes it.";
            return refuse(Problem::bad_request(detail));
        };
        Ok(Self { caller, asked })
    }
}

/// Whether the one content type is JSON; none when there is none. Two count as not JSON.
fn is_json(headers: &HeaderMap) -> Option<bool> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let first = types.next()?;
    let essence = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    Some(types.next().is_none() && essence.eq_ignore_ascii_case("application/json"))
}

/// Whether a browser page, if it is one that asks, is served by the gateway itself. Programs send no `Origin`.
fn is_own_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let cross_site =
        headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let mut origins = headers.get_all(ORIGIN).iter();
    let own = match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => {
            let own = origin_of(public_url);
            own.is_some() && origin.to_str().ok().map(str::to_ascii_lowercase) == own
        }
        (Some(_), Some(_)) => false,
    };
    own && !cross_site
}

/// `scheme://host[:port]` of an address, as browsers write it.
fn origin_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let default = if scheme == "https" { 443 } else { 80 };
    let port = authority
        .port_u16()
        .filter(|port| *port != default)
        .map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{scheme}://{}{port}", authority.host()).to_ascii_lowercase())
}

/// A text parameter within its bounds.
pub(super) fn bounded(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    match value {
        Some(text) if text.len() > PARAMETER_BYTES_MAX => Err(Problem::bad_request(format!(
            "The parameter {name} is longer than {PARAMETER_BYTES_MAX} bytes."
        ))),
        Some(text) if text.is_empty() => Ok(None),
        other => Ok(other),
    }
}

/// A moment (RFC 3339).
pub(super) fn moment(name: &str, value: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = value.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.parse::<jiff::Timestamp>();
    let refuse =
        |_| Problem::bad_request(format!("The parameter {name} is not a time such as 2026-11-23T18:00:00Z."));
    parsed.map(|at| Some(Timestamp::from_micros(at.as_microsecond()))).map_err(refuse)
}

/// How many rows: the default when nothing is said, and never more than the most.
pub(super) fn rows(limit: Option<u32>, default: usize, most: usize) -> usize {
    limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(most).clamp(1, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn only_its_own_origin_may_change_anything() {
        let own = "https://Keyward.example:443/prefix";
        let taken = |pairs: &[_]| is_own_origin(&headers(pairs), own);
        assert!(taken(&[]));
        assert!(taken(&[("origin", "https://keyward.example")]));
        assert!(taken(&[("origin", "https://keyward.example"), ("sec-fetch-site", "same-origin")]));
        for bad in
            ["https://evil.example", "null", "http://keyward.example", "https://keyward.example:444", ""]
        {
            assert!(!taken(&[("origin", bad)]), "{bad}");
        }
        assert!(!taken(&[("origin", "https://keyward.example"), ("origin", "https://keyward.example")]));
        assert!(!taken(&[("sec-fetch-site", "cross-site")]));
        assert!(!taken(&[("sec-fetch-site", "same-site")]));
        assert!(!is_own_origin(&headers(&[("origin", "https://a")]), "not an address"));
    }

    #[test]
    fn only_json_is_json() {
        assert_eq!(is_json(&headers(&[])), None);
        assert_eq!(is_json(&headers(&[("content-type", "Application/JSON; charset=utf-8")])), Some(true));
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json5",
            "text/plain; application/json",
        ] {
            assert_eq!(is_json(&headers(&[("content-type", bad)])), Some(false), "{bad}");
        }
        let two = headers(&[("content-type", "application/json"), ("content-type", "text/plain")]);
        assert_eq!(is_json(&two), Some(false));
    }

    #[test]
    fn parameters_have_bounds() {
        assert!(bounded("secret", Some("a".repeat(PARAMETER_BYTES_MAX))).is_ok());
        assert!(bounded("secret", Some("a".repeat(PARAMETER_BYTES_MAX + 1))).is_err());
        assert_eq!(rows(None, 50, 500), 50);
        assert_eq!(rows(Some(0), 50, 500), 1);
        assert_eq!(rows(Some(501), 50, 500), 500);
        assert!(moment("since", Some("yesterday")).is_err());
        assert_eq!(
            moment("since", Some("1970-01-01T00:00:01Z")),
            Ok(Some(Timestamp::from_micros(1_000_000)))
        );
    }
}
