//! Any other HTTP endpoint: what is read and what is written.

use keyward_core::OperationClass;

use super::body::Encoding;
use super::form::percent_decoded;
use super::routes::{Body, Found};

/// The longest body without a type that is read in case it is JSON, in bytes; a longer one is an upload.
const UNTYPED_BYTES_MAX: u64 = 1024 * 1024;

/// What a request does. `_method` in a query is how some frameworks change a method; such a call writes.
pub(super) fn find(method: &str, query: &str, encoding: Encoding, declared: Option<u64>) -> Found {
    let overridden = query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded(name).is_some_and(|name| name == "_method")
    });
    let class = match method {
        "GET" | "HEAD" | "OPTIONS" if !overridden => OperationClass::HttpRead,
        "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE" => OperationClass::HttpWrite,
        _ => OperationClass::Unknown,
    };
    let body = match encoding {
        Encoding::Json => Body::JsonOrNothing,
        Encoding::Form => Body::Form,
        // Some servers take JSON for JSON whatever its type says.
        Encoding::Text => Body::Text,
        Encoding::Absent if declared.is_some_and(|length| length <= UNTYPED_BYTES_MAX) => Body::Text,
        Encoding::Absent | Encoding::Multipart | Encoding::Other => Body::Unread,
    };
    Found::of(class, body)
}
