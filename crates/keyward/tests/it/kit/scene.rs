//! A gateway at work before an upstream that records, and a caller who may.

use super::{Answer, Caller, Gateway, Upstream, World, call};

/// What most tests stand on.
pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) world: World,
    pub(crate) gateway: Gateway,
    /// Alice's.
    pub(crate) token: String,
}

impl Scene {
    /// Starts the gateway of a world.
    pub(crate) fn of(upstream: Upstream, world: World) -> Self {
        let gateway = world.start();
        let token = world.alice();
        Self { upstream, world, gateway, token }
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        call(self.gateway.data, "POST", path, &self.token, headers, body)
    }

    /// Sends bytes in which `TOKEN` stands for a good credential line, and reads what comes back: the first answer, if
    /// there is one.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Option<Answer> {
        let credential = format!("Authorization: Bearer {}", self.token);
        let bytes = bytes.as_ref();
        let at = bytes.windows(5).position(|window| window == b"TOKEN");
        let bytes = match at {
            Some(at) => [&bytes[..at], credential.as_bytes(), &bytes[at + 5..]].concat(),
            None => bytes.to_vec(),
        };
        let mut caller = Caller::connect(self.gateway.data);
        caller.line.write(&bytes);
        caller.answer_to("GET")
    }

    /// Must end in one of these statuses, or in a closed connection (0), and send nothing.
    pub(crate) fn refused(&self, name: &str, bytes: impl AsRef<[u8]>, statuses: &[u16]) {
        let before = self.upstream.seen().len();
        let answer = self.raw(&bytes);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        assert!(statuses.contains(&status), "{name}: {status} for {text:?}: {answer:?}");
        assert_eq!(self.upstream.seen().len(), before, "{name}: {text:?} reached the upstream");
    }
}
