//! What a body claims to be, held against what its route takes.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};

use super::UnderstandError;
use super::routes::Body;
use crate::requests::is_encoded;

/// What the `Content-Type` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Absent,
    Json,
    Form,
    Multipart,
    Text,
    Other,
}

impl Encoding {
    /// Of a request. Two headers, a charset other than UTF-8, or parameters that cannot be read make it [`Self::Other`].
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let Some(value) = values.next() else { return Self::Absent };
        let (None, Ok(text)) = (values.next(), value.to_str()) else { return Self::Other };
        let lower = text.to_ascii_lowercase();
        let (essence, parameters) = lower.split_once(';').unwrap_or((lower.as_str(), ""));
        let utf8 =
            parameters.split(';').map(str::trim).filter(|parameter| !parameter.is_empty()).all(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                name != "charset" || matches!(value.trim_matches('"'), "utf-8" | "utf8" | "us-ascii")
            });
        match essence.trim() {
            "multipart/form-data" => Self::Multipart,
            "application/json" if utf8 => Self::Json,
            "application/x-www-form-urlencoded" if utf8 => Self::Form,
            other if utf8 && other.starts_with("application/") && other.ends_with("+json") => Self::Json,
            other if other.starts_with("text/") => Self::Text,
            _ => Self::Other,
        }
    }
}

/// Whether the body is a multipart form that stands there as it is.
pub(super) fn is_plain_multipart(headers: &HeaderMap) -> bool {
    Encoding::of(headers) == Encoding::Multipart && !headers.contains_key(CONTENT_ENCODING)
}

/// The length that the head declares.
pub(super) fn declared(headers: &HeaderMap) -> Option<u64> {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None => None,
    }
}

/// Refuses a body that cannot be read as what the route takes.
pub(super) fn check_headers(body: Body, headers: &HeaderMap) -> Result<(), UnderstandError> {
    let read = matches!(body, Body::Json | Body::JsonOrNothing | Body::Form | Body::Text);
    if (read || body == Body::Multipart) && is_encoded(headers) {
        return Err(UnderstandError::ContentEncoding);
    }
    let encoding = Encoding::of(headers);
    let fits = match body {
        // Without a type it is read as JSON, and whoever reads it otherwise finds nothing else in it.
        Body::Json | Body::JsonOrNothing => matches!(encoding, Encoding::Json | Encoding::Absent),
        Body::Form => encoding == Encoding::Form,
        Body::Multipart => encoding == Encoding::Multipart,
        Body::Nothing => {
            let declared = declared(headers).is_some_and(|length| length > 0);
            if declared || headers.contains_key(TRANSFER_ENCODING) {
                return Err(UnderstandError::BodyUnexpected);
            }
            true
        }
        Body::Unread | Body::JsonOrOther | Body::Text => true,
    };
    if fits { Ok(()) } else { Err(UnderstandError::ContentType) }
}
