//! Which headers cross the gateway, and the credential that is put on.
//!
//! Promise: what the caller sent as credential never goes upstream; ours is *set*, so that the upstream sees exactly
//! one (catalogue 143). Hop-by-hop headers, headers that the caller's `Connection` names, forwarded-for headers and
//! headers in our own name are removed (38 to 41). Everything else passes with name, value and multiplicity kept.
//! A credential that cannot stand in a header *fails closed*.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use keyward_secrets::Secret;

use crate::refusal::{Refusal, RefusalKind};
use crate::settings::Inject;

/// Headers that belong to one hop (RFC 9110 §7.6.1), and requests to change the protocol.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authentication-info",
];

/// Headers that may carry the caller's credential.
const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "x-amz-security-token"];

/// Headers by which a caller could pretend to be somebody else, or another method.
const IDENTITY: [&str; 12] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
    "true-client-ip",
    "x-forwarded-user",
    "x-forwarded-client-cert",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
];

/// Removes from a request what must not reach the upstream.
pub fn strip_request(headers: &mut HeaderMap) {
    remove_nominated(headers);
    for name in HOP_BY_HOP.into_iter().chain(CREDENTIALS).chain(IDENTITY) {
        headers.remove(name);
    }
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(name);
    }
    remove_ours(headers);
}

/// Removes what may carry the caller's credential.
pub fn strip_credentials(headers: &mut HeaderMap) {
    for name in CREDENTIALS {
        headers.remove(name);
    }
}

/// Removes from a response what belongs to the hop between gateway and upstream.
pub fn strip_response(headers: &mut HeaderMap) {
    remove_nominated(headers);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("alt-svc"); // it would lead the caller past the gateway
    remove_ours(headers);
}

/// Names the credential's header for this way of injecting.
pub fn header_of(inject: &Inject) -> HeaderName {
    match inject {
        Inject::Bearer => header::AUTHORIZATION,
        Inject::Header(name) => name.clone(),
    }
}

/// Sets the credential.
pub fn set_credential(headers: &mut HeaderMap, inject: &Inject, secret: &Secret) -> Result<(), Refusal> {
    let value = match inject {
        Inject::Bearer => {
            let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(7 + secret.expose().len()));
            bytes.extend_from_slice(b"Bearer ");
            bytes.extend_from_slice(secret.expose());
            HeaderValue::from_bytes(&bytes)
        }
        Inject::Header(_) => HeaderValue::from_bytes(secret.expose()),
    };
    let mut value = value.map_err(|_| {
        Refusal::new(RefusalKind::SecretUnavailable, "The upstream credential cannot stand in a header.")
    })?;
    value.set_sensitive(true); // never indexed by HPACK, never shown by Debug
    headers.insert(header_of(inject), value);
    Ok(())
}

/// Headers that the peer's `Connection` header nominates are for this hop alone.
fn remove_nominated(headers: &mut HeaderMap) {
    let Some(_) = headers.get(header::CONNECTION) else { return };
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

/// `keyward-…` in any spelling that an upstream could fold into ours (catalogue 40).
fn remove_ours(headers: &mut HeaderMap) {
    let ours = |name: &HeaderName| {
        name.as_str().get(..8).is_some_and(|start| matches!(start, "keyward-" | "keyward_"))
    };
    let found: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn catalogue_38_to_41_only_end_to_end_headers_pass() {
        let mut headers = map(&[
            ("connection", "x-drop, keep-alive"),
            ("x-drop", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("x-forwarded-for", "1.2.3.4"),
            ("keyward_principal", "admin"),
            ("keyward-rule", "x"),
            ("x-http-method-override", "DELETE"),
            ("x-keep", "1"),
            ("x-keep", "2"),
            ("openai-beta", "a"),
        ]);
        strip_request(&mut headers);
        let left: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(left, [("x-keep", "1"), ("x-keep", "2"), ("openai-beta", "a")]);
    }

    #[test]
    fn catalogue_38_a_nominated_credential_header_is_still_set() {
        let mut headers = map(&[("connection", "authorization"), ("authorization", "Bearer caller")]);
        strip_request(&mut headers);
        set_credential(
            &mut headers,
            &Inject::Bearer,
            &Secret::new(zeroize::Zeroizing::new(b"ours-123".to_vec())).unwrap(),
        )
        .unwrap();
        assert_eq!(headers.get_all("authorization").iter().count(), 1);
        assert_eq!(headers["authorization"], "Bearer ours-123");
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn catalogue_143_no_credential_of_the_caller_passes() {
        let mut headers = map(&[
            ("authorization", "a"),
            ("x-api-key", "b"),
            ("api-key", "c"),
            ("x-goog-api-key", "d"),
            ("cookie", "e"),
        ]);
        strip_request(&mut headers);
        assert!(headers.is_empty());
    }
}
