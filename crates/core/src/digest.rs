//! The digest that binds an approval to one exact request.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::{Connection, Operation, Principal};

/// SHA-256 over everything that an approver approves: principal, connection (name and upstream), operation class,
/// method, path, query, policy-relevant headers, body. Two requests share a digest only if all of it is equal, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// Digests a request. `headers` are the policy-relevant ones, lower-case names, in the order received.
    pub fn of(
        principal: &Principal,
        connection: &Connection,
        operation: &Operation,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Self {
        let mut context = Context::new(&SHA256);
        // Every part goes in with its length, so that no two different lists of parts share one encoding.
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        part(b"keyward/request-digest/v1");
        part(principal.issuer.as_bytes());
        part(principal.subject.as_bytes());
        for actor in &principal.acting_for {
            part(actor.issuer.as_bytes());
            part(actor.subject.as_bytes());
        }
        part(b"connection");
        part(connection.name.as_bytes());
        part(connection.upstream.to_string().as_bytes());
        part(operation.class.as_str().as_bytes());
        part(operation.method.as_bytes());
        part(operation.path.as_bytes());
        part(operation.query.as_bytes());
        part(&(headers.len() as u64).to_be_bytes());
        for (name, value) in headers {
            part(name.as_bytes());
            part(value);
        }
        part(body);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// Digests what a request does, whatever its headers and body are beyond that: everything that was understood of it, and of
    /// each operation that it holds.
    pub fn of_operation(principal: &Principal, connection: &Connection, operation: &Operation) -> Self {
        let understood = |of: &Operation| {
            let of = Operation { body_bytes: None, inner: Vec::new(), ..of.clone() };
            serde_json::json!(of).to_string()
        };
        let whole: Vec<String> = std::iter::once(operation).chain(&operation.inner).map(understood).collect();
        let parts: Vec<(&str, &[u8])> =
            whole.iter().map(|text| ("keyward/operation", text.as_bytes())).collect();
        Self::of(principal, connection, operation, &parts, b"")
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
