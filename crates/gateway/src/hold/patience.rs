//! How long a client can be kept waiting, and how.

use std::time::Duration;

use http::HeaderMap;
use keyward_core::ConnectionKind;

use crate::settings::Holding;

/// Taken off a deadline that the client announced, so that our answer arrives before it.
const MARGIN: Duration = Duration::from_secs(5);
/// The shortest wait, whatever the client says.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// How a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: it asked to poll.
    None,
    /// In silence, this long; then it is told to send the call again.
    Silent(Duration),
    /// In silence this long, then with a stream that stays open.
    Stream(Duration),
}

impl Patience {
    /// Reads a client's patience off its request.
    pub fn of(headers: &HeaderMap, stream: bool, kind: ConnectionKind, holding: &Holding) -> Self {
        let prefer = Prefer::of(headers);
        if prefer.respond_async {
            return Self::None;
        }
        if stream && kind.streams_events() {
            return Self::Stream(holding.commit_after);
        }
        let announced =
            [seconds(headers, "x-stainless-read-timeout"), seconds(headers, "x-stainless-timeout")];
        let mut silence = holding.wait;
        for deadline in announced.into_iter().flatten() {
            silence = silence.min(deadline.saturating_sub(MARGIN));
        }
        if let Some(wait) = prefer.wait {
            silence = silence.min(wait);
        }
        Self::Silent(silence.max(SILENCE_MIN))
    }

    /// How long nothing is said.
    pub const fn silence(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Silent(wait) | Self::Stream(wait) => wait,
        }
    }
}

fn seconds(headers: &HeaderMap, name: &str) -> Option<Duration> {
    let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(value).ok()
}

/// The preferences that matter here (RFC 7240).
#[derive(Default)]
struct Prefer {
    respond_async: bool,
    wait: Option<Duration>,
}

impl Prefer {
    fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split(',')) {
            let preference = preference.trim();
            if preference.eq_ignore_ascii_case("respond-async") {
                prefer.respond_async = true;
            } else if let Some(wait) = preference.strip_prefix("wait=") {
                prefer.wait = wait.trim().parse().ok().map(Duration::from_secs);
            }
        }
        prefer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)], stream: bool, kind: ConnectionKind) -> Patience {
        let headers =
            pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), http::HeaderValue::from_static(v)));
        Patience::of(&headers.collect(), stream, kind, &Holding::default())
    }

    #[test]
    fn each_client_waits_as_it_can() {
        use ConnectionKind::{Http, OpenAi};
        let silent = |s| Patience::Silent(Duration::from_secs(s));
        assert_eq!(of(&[], false, OpenAi), silent(50));
        assert_eq!(of(&[], true, OpenAi), Patience::Stream(Duration::from_secs(2)));
        assert_eq!(of(&[], true, Http), silent(50));
        assert_eq!(of(&[("x-stainless-read-timeout", "600")], false, OpenAi), silent(50));
        assert_eq!(of(&[("x-stainless-timeout", "20.0")], false, OpenAi), silent(15));
        assert_eq!(of(&[("x-stainless-timeout", "2")], false, OpenAi), silent(1));
        assert_eq!(of(&[("x-stainless-timeout", "NaN")], false, OpenAi), silent(50));
        assert_eq!(of(&[("prefer", "wait=7, handling=strict")], false, Http), silent(7));
        assert_eq!(of(&[("prefer", "respond-async")], true, OpenAi), Patience::None);
    }
}
