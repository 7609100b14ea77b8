//! What these tests share: an upstream that records raw bytes, a caller that sends raw bytes, a gateway process in a
//! directory of its own, and the journal that it leaves.

mod caller;
mod gateway;
pub(crate) mod modern;
mod scene;
pub(crate) mod socket;
mod upstream;
mod wire;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

pub(crate) use caller::{Answer, Caller, call, get, post_json, request};
pub(crate) use gateway::{Gateway, World, http, keyed};
pub(crate) use keyward::demo::issuer::Caller as Person;
pub(crate) use scene::Scene;
pub(crate) use upstream::{Seen, Upstream, Wire, reply};
pub(crate) use wire::Headers;

/// After this long, what did not happen will not happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Rules that let everything through and mask nothing.
pub(crate) const ALLOW: &str = "  - {id: all, effect: allow, when: 'true'}\n";

/// Drives the issuer, and clients and upstreams that speak HTTP/2 or TLS.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Waits until `probe` sees it.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = probe() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `probe` holds.
pub(crate) fn until_true(what: &str, mut probe: impl FnMut() -> bool) {
    until(what, || probe().then_some(()));
}

/// Whether `text` holds `part`.
pub(crate) fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
