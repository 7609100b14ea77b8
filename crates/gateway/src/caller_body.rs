//! A caller's request body: read to its end even when nobody wants it any more.
//!
//! A refusal often goes out before the body has come in. HTTP/1.1 then has to close the connection while the caller
//! still writes: it loses the refusal to a reset, or sends its next call into a closed connection, and an SDK takes
//! either for a broken network and tries again. So what is left of a short body is read and dropped.
//! Exceptions: a body that is long or slow is not waited for, and one that the caller holds back until it is asked for
//! (`Expect: 100-continue`) is not asked for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// The most that is read of an unwanted body, in bytes.
pub const UNWANTED_BYTES_MAX: u64 = 256 * 1024;
/// The longest time that an unwanted body is read for.
pub const UNWANTED_FOR: Duration = Duration::from_secs(5);

/// The body of a caller's request.
pub struct CallerBody {
    /// None once it was read to its end.
    incoming: Option<Incoming>,
    held_back: bool,
}

impl CallerBody {
    /// The body that came with these headers.
    pub fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        Self { incoming: Some(incoming), held_back: headers.contains_key(EXPECT) }
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        let unwanted = !self.held_back
            && !incoming.is_end_stream()
            && incoming.size_hint().lower() <= UNWANTED_BYTES_MAX;
        if unwanted && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(UNWANTED_FOR, read_away(incoming)));
        }
    }
}

async fn read_away(mut incoming: Incoming) {
    let mut left = UNWANTED_BYTES_MAX;
    while let Some(Ok(frame)) = incoming.frame().await {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(incoming).poll_frame(cx));
        if frame.is_none() {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
