//! The page behind the link in a refusal. Browsers get the web interface where it is part of the binary; everybody else a
//! page that has no script and shows nothing that does not stand in its address: what an approval is, how it is decided.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use http::{HeaderMap, StatusCode};
use keyward_core::ApprovalId;

use super::input::Segment;
use super::problem::{OnRead, Problem};
use super::ui;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:10vh auto;padding:0 1rem;\
color-scheme:light dark}code,pre{font:14px/1.6 ui-monospace,monospace}pre{padding:.8rem 1rem;border:1px solid;\
border-radius:.4rem;overflow-x:auto;opacity:.85}";

/// No script, no picture, no form, no frame; one style, by its hash.
static CONTENT_POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text).ok()
});

/// A page about an approval
///
/// For people who follow the link in a refusal. Static and without a token, so it shows nothing but the identifier in
/// its own address, whether or not there is such an approval. Browsers get the web interface, which asks who they are.
#[utoipa::path(get, path = "/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "The approval")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        OnRead,
    ))]
pub(super) async fn approval(Segment(id): Segment, headers: HeaderMap) -> Result<Response, Problem> {
    let interface = ui::wants_page(&headers).then(|| ui::page("/approvals/id")).flatten();
    if let Some(interface) = interface {
        return Ok(interface);
    }
    // Only the canonical text goes into the page: 36 characters of a-z, 0-9 and `_`.
    let id: ApprovalId = id.parse().map_err(|_| Problem::absent())?;
    let mut response = (StatusCode::OK, Html(text(id))).into_response();
    if let Some(policy) = &*CONTENT_POLICY {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    Ok(response)
}

fn text(id: ApprovalId) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Keyward approval {id}</title><style>{STYLE}</style></head>\
<body><h1>A call waits for a human</h1>\
<p>Someone sent a call through Keyward that a rule allows only after a person has looked at it. The call is on hold; it \
has not reached its destination. Approving it lets exactly this call through, once, and nothing else.</p>\
<p>If you are asked to decide, look at it first:</p><pre>keyward approvals show {id}</pre>\
<p>Then one of:</p><pre>keyward approvals approve {id}\nkeyward approvals deny {id} --reason \"…\"</pre>\
<p>If you sent the call, you can wait for the answer or withdraw it. Nobody decides over their own call.</p>\
<pre>keyward approvals wait {id}\nkeyward approvals cancel {id}</pre>\
<p>The commands ask this gateway with the token in <code>KEYWARD_TOKEN</code>. This page shows nothing of the call \
itself and changes nothing.</p></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_inert() {
        let text = text(ApprovalId::new(7));
        assert!(!text.contains("<script") && !text.contains("http") && !text.contains("<form"), "{text}");
        let policy = CONTENT_POLICY.as_ref().unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }
}
