//! Messages of the caller: each is judged and masked like the body of a request before a byte of it leaves.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use keyward_core::Finding;
use keyward_mask::Profile;
use keyward_wire::websocket::Kind;
use serde::de::IgnoredAny;

use super::Opened;
use crate::admit::Admission;
use crate::call::CallBody;
use crate::refusal::{Refusal, RefusalKind};
use crate::requests::mask_whole;
use crate::session::Session;

/// Judges what the caller says.
pub(super) struct Up {
    pub(super) session: Arc<Session>,
    pub(super) opened: Arc<Opened>,
    /// Of the handshake's headers those that rules read.
    pub(super) headers: HeaderMap,
    /// What the record is masked with.
    pub(super) mask: Option<Arc<Profile>>,
}

/// A message that may leave.
pub(super) struct Judged {
    /// As the upstream gets it.
    pub(super) payload: Bytes,
    /// As it is kept; none where it cannot be masked.
    pub(super) shown: Option<Bytes>,
    /// What was masked in it.
    pub(super) masked: Vec<Finding>,
}

impl Up {
    /// Judges one message.
    pub(super) async fn judge(&self, kind: Kind, payload: &[u8]) -> Result<Judged, Refusal> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, type_of(kind, payload));
        let message = (kind, Bytes::copy_from_slice(payload));
        let call = self.session.understand_message(&self.opened, headers, message).await?;
        let Admission::Granted(mut permit) = self.session.admit(call).await? else {
            return Err(Refusal::new(RefusalKind::Internal, "A message over a WebSocket cannot be held."));
        };
        let masked = permit.call().masked.clone();
        let CallBody::Whole(payload) = permit.take_request(&self.session.gateway.policy).1 else {
            return Err(Refusal::new(RefusalKind::Internal, "A message over a WebSocket is no stream."));
        };
        Ok(Judged { shown: self.shown(kind, &payload), payload, masked })
    }

    /// A message for the record: masked, a text with a line's end.
    fn shown(&self, kind: Kind, payload: &Bytes) -> Option<Bytes> {
        let shown = match &self.mask {
            None => payload.clone(),
            Some(mask) => {
                let headers = HeaderMap::from_iter([(CONTENT_TYPE, type_of(kind, payload))]);
                mask_whole(mask, &headers, payload).ok()?.0
            }
        };
        Some(line(kind, &shown))
    }
}

/// A message as it is kept: texts are lines.
pub(super) fn line(kind: Kind, payload: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(payload.len() + 1);
    line.extend_from_slice(payload);
    if kind == Kind::Text {
        line.extend_from_slice(b"\n");
    }
    line.freeze()
}

/// What a message is, for whoever looks into it.
fn type_of(kind: Kind, payload: &[u8]) -> HeaderValue {
    let json = || {
        let first = payload.trim_ascii_start().first();
        matches!(first, Some(b'{' | b'[' | b'"')) && serde_json::from_slice::<IgnoredAny>(payload).is_ok()
    };
    HeaderValue::from_static(match kind {
        _ if json() => "application/json",
        Kind::Text => "text/plain",
        Kind::Binary => "application/octet-stream",
    })
}
