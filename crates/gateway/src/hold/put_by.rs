//! What waits of a held call: as little as can be, for thousands may.
//!
//! Its headers and a short body are pieces of what was read off the connection, and would keep all of it for as long as the
//! call waits; a table of headers has far more room than headers in it. So the body is copied, the headers are written
//! one after the other, and a long body lies on disk ([`super::Spool`]).
//!
//! Promise: what is taken back is what was put by, or nothing is.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Held;
use super::spool::{SPOOLED_BYTES_MIN, Spool};
use crate::call::CallBody;
use crate::refusal::{Refusal, RefusalKind};

impl Held {
    /// Puts its headers and its body by, for as long as it waits.
    pub(super) async fn put_by(&mut self, spool: &Spool) {
        self.headers = Some(PackedHeaders::of(&std::mem::take(&mut self.call.headers)));
        let CallBody::Whole(body) = &mut self.call.body else { return };
        if body.len() < SPOOLED_BYTES_MIN {
            *body = Bytes::copy_from_slice(body);
            return;
        }
        match spool.put(std::mem::take(body), self.exact).await {
            Ok(spooled) => self.spooled = Some(spooled),
            Err(kept) => *body = kept,
        }
    }

    /// Takes back what was put by.
    pub(super) async fn take_back(&mut self) -> Result<(), Refusal> {
        if let Some(packed) = self.headers.take() {
            let unpacked = packed.unpack().ok_or_else(|| {
                Refusal::new(
                    RefusalKind::Internal,
                    "The headers of this call were lost while it waited; send it again.",
                )
            });
            self.call.headers = unpacked.map_err(|refusal| refusal.on_approval(self.id()))?;
        }
        if let Some(spooled) = self.spooled.take() {
            self.call.body =
                CallBody::Whole(spooled.take().await.map_err(|refusal| refusal.on_approval(self.id()))?);
        }
        Ok(())
    }
}

/// Headers in one piece: of each the lengths of name and value, whether it is sensitive, and both.
pub(super) struct PackedHeaders(Box<[u8]>);

/// Bytes before each name.
const LENGTHS_BYTES: usize = 9;

impl PackedHeaders {
    fn of(headers: &HeaderMap) -> Self {
        let length =
            |(name, value): (&HeaderName, &HeaderValue)| LENGTHS_BYTES + name.as_str().len() + value.len();
        let mut packed = Vec::with_capacity(headers.iter().map(length).sum());
        for (name, value) in headers {
            let (name, sensitive, value) = (name.as_str(), value.is_sensitive(), value.as_bytes());
            for length in [name.len(), value.len()] {
                // A head is bounded far below this; were it not, unpacking would find less than it was told.
                packed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            }
            packed.push(u8::from(sensitive));
            packed.extend_from_slice(name.as_bytes());
            packed.extend_from_slice(value);
        }
        Self(packed.into_boxed_slice())
    }

    /// As they were; none where they are broken.
    fn unpack(self) -> Option<HeaderMap> {
        let mut rest = Bytes::from(self.0);
        let mut headers = HeaderMap::new();
        while !rest.is_empty() {
            let (lengths, _) = rest.split_first_chunk::<LENGTHS_BYTES>()?;
            let [n0, n1, n2, n3, v0, v1, v2, v3, sensitive] = *lengths;
            let lengths = [u32::from_le_bytes([n0, n1, n2, n3]), u32::from_le_bytes([v0, v1, v2, v3])];
            let [name, value] = lengths.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
            let start = LENGTHS_BYTES.checked_add(name)?;
            let end = start.checked_add(value).filter(|end| *end <= rest.len())?;
            let head = rest.split_to(end);
            let name = HeaderName::from_bytes(head.get(LENGTHS_BYTES..start)?).ok()?;
            let mut value = HeaderValue::from_maybe_shared(head.slice(start..)).ok()?;
            value.set_sensitive(sensitive != 0);
            headers.append(name, value);
        }
        Some(headers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> impl Strategy<Value = HeaderMap> {
        let header = ("[a-z][a-z0-9-]{0,20}", proptest::collection::vec(32..=255_u8, 0..60), any::<bool>());
        proptest::collection::vec(header, 0..30).prop_map(|headers| {
            let mut map = HeaderMap::new();
            for (name, value, sensitive) in headers {
                let Ok(mut value) = HeaderValue::from_bytes(&value) else { continue };
                value.set_sensitive(sensitive);
                map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            }
            map
        })
    }

    fn all(headers: &HeaderMap) -> Vec<(String, Vec<u8>, bool)> {
        let one = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.as_bytes().to_vec(), value.is_sensitive())
        };
        headers.iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn headers_come_back_as_they_were(headers in headers()) {
            let unpacked = PackedHeaders::of(&headers).unpack().unwrap();
            // Also several of one name in their order, and names in theirs.
            prop_assert_eq!(all(&unpacked), all(&headers));
        }

        #[test]
        fn what_is_cut_short_is_never_taken_for_whole(headers in headers(), cut in any::<prop::sample::Index>()) {
            let PackedHeaders(packed) = PackedHeaders::of(&headers);
            prop_assume!(!packed.is_empty());
            let cut = packed[..cut.index(packed.len())].into();
            if let Some(unpacked) = PackedHeaders(cut).unpack() {
                prop_assert!(unpacked.len() < headers.len());
            }
        }
    }
}
