//! The web interface: files that `make ui` built and `build.rs` made part of the binary.
//!
//! Promise: what is served here is the same for everybody and shows nothing of anybody; the interface asks the API for the
//! rest, as its user. Its page runs scripts and styles of its own origin alone, talks to no other, and stands in no
//! frame (catalogue 201, 204). Paths of the API are never answered with a page.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, Method, StatusCode};

use super::problem::Problem;

/// A file of the interface.
struct File {
    /// Its path below `ui/dist`.
    name: &'static str,
    bytes: &'static [u8],
    /// The same, compressed: content coding and bytes, the best first.
    copies: &'static [(&'static str, &'static [u8])],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// The page that all paths of the interface lead to.
const INDEX: &str = "index.html";
/// Where the page says what its addresses are relative to.
const BASE: &str = "<base href=\"/\" />";
/// Names below this hold a digest of their content, so what is behind one never changes.
const HASHED: &str = "assets/";
/// What is never a page of the interface.
const NOT_PAGES: [&str; 3] = ["/api/", "/auth/", "/assets/"];

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
base-uri 'self'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const ABSENT_STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem;\
color-scheme:light dark}code{font:14px/1.6 ui-monospace,monospace}";

/// One style, by its hash.
static ABSENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, ABSENT_STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Whether the interface is part of this binary.
pub fn ui_embedded() -> bool {
    !FILES.is_empty()
}

/// Answers what no route of the API takes: pages and files of the interface, and for the rest that it does not exist.
pub(super) async fn fallback(request: Request) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Problem::absent().into_response();
    }
    let found = FILES.iter().find(|file| file.name == path.trim_start_matches('/') && file.name != INDEX);
    if let Some(file) = found {
        return serve(file, headers);
    }
    if !wants_page(headers) || NOT_PAGES.iter().any(|prefix| path.starts_with(prefix)) {
        return Problem::absent().into_response();
    }
    page(path).unwrap_or_else(absent)
}

/// A browser asks for a page, and not a program for data.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|kind| essence(kind).eq_ignore_ascii_case("text/html"))
}

/// The interface, for whatever stands at this path; none when it is not part of the binary.
pub(super) fn page(path: &str) -> Option<Response> {
    let file = FILES.iter().find(|file| file.name == INDEX)?;
    let text = std::str::from_utf8(file.bytes).ok()?;
    let based = text.replacen(BASE, &format!("<base href=\"{}\" />", base(path)), 1);
    Some(with_policy(Html(based).into_response(), PAGE_POLICY))
}

/// The way from a path up to where the interface begins. Relative, so that it holds below any prefix that a proxy adds.
fn base(path: &str) -> String {
    match path.matches('/').count().saturating_sub(1) {
        0 => "./".to_owned(),
        depth => "../".repeat(depth),
    }
}

fn absent() -> Response {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
content=\"width=device-width\"><title>Keyward</title><style>{ABSENT_STYLE}</style></head><body><h1>Keyward works; its \
web interface is not in this binary</h1><p>It is built before the binary, with Node 20 and npm: <code>make ui</code>, \
then build again. <code>make demo</code> does both.</p><p>The command line does the same: <code>keyward approvals \
ls</code>. The API describes itself under <code>api/v1/openapi.json</code>.</p></body></html>\n"
    );
    with_policy(Html(text).into_response(), &ABSENT_POLICY)
}

fn with_policy(mut response: Response, policy: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// A file, compressed as the client takes it; nothing but a head where it has it already.
fn serve(file: &'static File, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, file.bytes)));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let copy = file.copies.iter().find(|(coding, _)| takes(headers, coding));
    let mut response = match (known == Some(etag.as_str()), copy) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Some((coding, bytes))) => {
            let body = Body::from(Bytes::from_static(bytes));
            ([(CONTENT_ENCODING, HeaderValue::from_static(coding))], body).into_response()
        }
        (false, None) => Body::from(Bytes::from_static(file.bytes)).into_response(),
    };
    let caching = if file.name.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=3600"
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(file.name)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// Whether the client takes this content coding, as far as it says so by name and not with a weight of zero.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|each| {
        let refused = each.split_once(";q=").is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0));
        essence(each).eq_ignore_ascii_case(coding) && !refused
    })
}

fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCRIPT: File = File {
        name: "assets/a-1.js",
        bytes: b"let plain;",
        copies: &[("br", b"brotli"), ("gzip", b"gzipped")],
    };

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_file_comes_in_the_coding_that_the_client_takes() {
        for (accept, coding, bytes) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("gzip;q=1.0, br;q=0", Some("gzip"), "gzipped"),
            ("identity", None, "let plain;"),
        ] {
            let response = serve(&SCRIPT, &headers(&[(ACCEPT_ENCODING, accept)]));
            let got =
                response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(got.as_deref(), coding, "{accept}");
            assert_eq!(response.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
            assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            assert_eq!(body(response).await, bytes.as_bytes(), "{accept}");
        }
    }

    #[tokio::test]
    async fn a_file_that_the_client_has_is_not_sent_again() {
        let first = serve(&SCRIPT, &HeaderMap::new());
        let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
        let again = serve(&SCRIPT, &headers(&[(IF_NONE_MATCH, &etag)]));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(body(again).await.is_empty());
        let other = serve(&SCRIPT, &headers(&[(IF_NONE_MATCH, "\"other\"")]));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn addresses_are_relative_to_where_the_interface_begins() {
        for (path, up) in [("/", "./"), ("/inbox", "./"), ("/approvals/a", "../"), ("/a/b/c", "../../")] {
            assert_eq!(base(path), up, "{path}");
        }
    }

    #[test]
    fn only_who_asks_for_a_page_gets_one() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(wants_page(&headers(&[(ACCEPT, browser)])));
        for other in ["*/*", "application/json", "text/plain, text/htmlx"] {
            assert!(!wants_page(&headers(&[(ACCEPT, other)])), "{other}");
        }
        assert!(!wants_page(&HeaderMap::new()));
    }

    #[test]
    fn the_policies_allow_nothing_inline_and_nothing_from_elsewhere() {
        for policy in [PAGE_POLICY, &ABSENT_POLICY] {
            for word in ["unsafe", "http", "data:", "blob:", "*"] {
                assert!(!policy.contains(word), "{policy}");
            }
            assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
        }
    }

    /// What `make ui` built fits what is done with it here.
    #[test]
    fn the_built_page_has_one_base_and_no_inline_script() {
        let Some(file) = FILES.iter().find(|file| file.name == INDEX) else {
            assert!(!ui_embedded());
            return;
        };
        let text = std::str::from_utf8(file.bytes).unwrap();
        assert_eq!(text.matches("<base").count(), 1);
        assert!(text.find(BASE).unwrap() < text.find("<script").unwrap());
        for script in text.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').unwrap();
            assert!(tag.contains(" src=\"./assets/") && rest.starts_with("</script>"), "{tag}");
        }
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("://"), "{text}");
    }
}
