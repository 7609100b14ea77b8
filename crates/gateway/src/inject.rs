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
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "proxy-authentication-info",
];

/// Headers that may carry the caller's credential.
const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "x-amz-security-token"];

/// Headers by which a caller could pretend to be somebody else, or ask for another method or path than the one judged.
const IDENTITY: [&str; 13] = [
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-client-cert",
    "remote-user",
    "x-user",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-original-method",
    "x-rewrite-url",
];
/// Families of such headers.
const IDENTITY_FAMILIES: [&str; 7] = [
    "x-forwarded-",
    "impersonate-",
    "x-webauth-",
    "x-auth-request-",
    "x-remote-",
    "x-ms-client-principal",
    OURS,
];
/// Headers that describe the bytes of a body.
const DIGESTS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];
/// Headers that only the gateway sets.
const OURS: &str = "keyward-";
/// Headers that frame a message; hyper reads them, and sets its own towards the upstream.
const FRAMING: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];

/// Removes from a request what is not end to end, before anything is judged: what is left is what is forwarded, apart
/// from its framing.
pub fn strip_request(headers: &mut HeaderMap) {
    remove_nominated(headers);
    for name in HOP_BY_HOP.into_iter().chain(CREDENTIALS).chain(IDENTITY) {
        headers.remove(name);
    }
    remove_families(headers);
}

/// Removes the caller's framing; the upstream gets its own.
pub fn strip_framing(headers: &mut HeaderMap) {
    for name in FRAMING {
        headers.remove(name);
    }
}

/// Removes from a response what belongs to the hop between gateway and upstream.
pub fn strip_response(headers: &mut HeaderMap) {
    remove_nominated(headers);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove("alt-svc"); // it would lead the caller past the gateway
    remove_if(headers, |name| name.starts_with(OURS));
}

/// Removes what describes a body that is changed on its way.
pub fn remove_digests(headers: &mut HeaderMap) {
    for name in DIGESTS {
        headers.remove(name);
    }
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

/// Headers that the peer's `Connection` header nominates are for this hop alone. Framing is not its to remove.
fn remove_nominated(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !FRAMING.contains(name))
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

/// Families of identity headers, ours among them, and names with `_`, which many servers read as `-` (catalogue 40).
fn remove_families(headers: &mut HeaderMap) {
    remove_if(headers, |name| {
        name.contains('_') || IDENTITY_FAMILIES.iter().any(|family| name.starts_with(family))
    });
}

fn remove_if(headers: &mut HeaderMap, bad: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| bad(name.as_str())).cloned().collect();
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
            ("x_real_ip", "1.2.3.4"),
            ("impersonate-user", "root"),
            ("x-forwarded-prefix", "/admin"),
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
