//! How risky a call is: named signals, each with its points. The same facts always give the same score, and a person can
//! read where it comes from.

use std::fmt;

use crate::{Operation, OperationClass, Timestamp};

macro_rules! signals {
    ($($variant:ident = $text:literal, $points:literal, $why:literal);* $(;)?) => {
        /// Something about a call that makes it riskier.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Signal { $(#[doc = $why] $variant),* }
        impl Signal {
            /// Every signal.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// The word in policies and in the API.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),* } }
            /// The signal of this word.
            pub fn of_word(word: &str) -> Option<Self> { match word { $($text => Some(Self::$variant),)* _ => None } }
            /// What it adds to the score.
            pub const fn points(self) -> u8 { match self { $(Self::$variant => $points),* } }
            /// What it means, for people.
            pub const fn why(self) -> &'static str { match self { $(Self::$variant => $why),* } }
        }
    };
}

signals! {
    FirstUseOfConnection = "first_use_of_connection", 15, "The caller never used this connection before.";
    FirstUseOfSecret = "first_use_of_secret", 10, "The caller never used this upstream credential before.";
    OffHours = "off_hours", 10, "It is night or weekend (before 06:00 or after 20:00 UTC, Saturday, Sunday).";
    Volume = "volume", 20, "The caller sends many more calls than people do (over 300 in 10 minutes).";
    Destructive = "destructive_verb", 30, "It deletes, unloads, exports or administers something, or runs a command.";
    SecretInRequest = "secret_in_request", 30, "The request carries a credential.";
    SecretFile = "secret_file", 30, "It reaches for a file that commonly holds secrets.";
    PrivateAddress = "private_address", 20, "It names an address inside of a network for the server to fetch.";
    ToolChanged = "changed_tool", 30, "A tool that it offers to the model is described in another way than before.";
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call shows by itself, without knowing what its caller did before. `credential_found` tells whether detectors found
/// a credential in the request. What an operation holds shows as if it were done by itself.
pub fn shown(operation: &Operation, now: Timestamp, credential_found: bool) -> impl Iterator<Item = Signal> {
    let any = |seen: fn(&Operation) -> bool| seen(operation) || operation.inner.iter().any(seen);
    [
        (Signal::OffHours, off_hours(now)),
        (Signal::Destructive, any(is_destructive)),
        (Signal::SecretInRequest, credential_found),
        (Signal::SecretFile, any(|it| it.touches_secret_file)),
        (Signal::PrivateAddress, any(|it| it.fetches_private)),
    ]
    .into_iter()
    .filter_map(|(signal, seen)| seen.then_some(signal))
}

/// Before 06:00 or from 20:00 on, Saturday or Sunday, in UTC. A time outside of the calendar counts.
fn off_hours(now: Timestamp) -> bool {
    use jiff::civil::Weekday::{Saturday, Sunday};
    let Ok(at) = jiff::Timestamp::from_microsecond(now.micros()) else { return true };
    let at = jiff::tz::Offset::UTC.to_datetime(at);
    !(6..20).contains(&at.hour()) || matches!(at.weekday(), Saturday | Sunday)
}

fn is_destructive(operation: &Operation) -> bool {
    use OperationClass::{
        AdminConfig, FileWrite, FilesDelete, ModelExport, ModelUnload, RedisAdmin, SecretWrite, ShellExec,
        SqlAdmin, SqlDdl,
    };
    operation.method == "DELETE"
        || matches!(
            operation.class,
            AdminConfig
                | FileWrite
                | FilesDelete
                | ModelExport
                | ModelUnload
                | RedisAdmin
                | SecretWrite
                | ShellExec
                | SqlAdmin
                | SqlDdl
        )
}

/// The signals of one call, in their order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Risk {
    signals: Vec<Signal>,
}

impl Risk {
    /// Of these signals.
    pub fn of(signals: impl IntoIterator<Item = Signal>) -> Self {
        let mut signals: Vec<Signal> = signals.into_iter().collect();
        signals.sort_unstable();
        signals.dedup();
        Self { signals }
    }

    /// What was seen.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// 0 (nothing was seen) to 100: the points of all signals together, and never more.
    pub fn score(&self) -> u8 {
        let sum = self.signals.iter().map(|signal| u32::from(signal.points())).sum::<u32>();
        u8::try_from(sum).unwrap_or(100).min(100)
    }
}

impl serde::Serialize for Risk {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.signals.iter().map(|signal| signal.as_str()))
    }
}

impl<'de> serde::Deserialize<'de> for Risk {
    /// A word that this version does not know is left out.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(d)?;
        Ok(Self::of(words.iter().filter_map(|word| Signal::of_word(word))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;

    #[test]
    fn a_call_shows_what_it_does_and_when() {
        let mut operation = Operation {
            class: OperationClass::ChatCompletions,
            resource: Resource::default(),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: String::new(),
            stream: false,
            body_bytes: None,
            touches_secret_file: false,
            fetches_private: false,
            fields: Vec::new(),
            inner: Vec::new(),
        };
        // Wednesday, 2026-01-07: noon, and the last and first minutes of night.
        let minute = |minute: i64| Timestamp::from_micros((1_767_744_000 + minute * 60) * 1_000_000);
        let at = |operation: &Operation, time| shown(operation, time, false).collect::<Vec<_>>();
        assert_eq!(at(&operation, minute(12 * 60)), []);
        assert_eq!(at(&operation, minute(6 * 60)), []);
        assert_eq!(at(&operation, minute(6 * 60 - 1)), [Signal::OffHours]);
        assert_eq!(at(&operation, minute(20 * 60)), [Signal::OffHours]);
        assert_eq!(at(&operation, minute((3 * 24 + 12) * 60)), [Signal::OffHours], "Saturday");
        operation.class = OperationClass::ModelExport;
        operation.fetches_private = true;
        assert_eq!(at(&operation, minute(12 * 60)), [Signal::Destructive, Signal::PrivateAddress]);
        // In a batch as well.
        let mut batch = operation.clone();
        (batch.class, batch.fetches_private) = (OperationClass::BatchCreate, false);
        "POST".clone_into(&mut batch.method);
        assert_eq!(at(&batch, minute(12 * 60)), []);
        batch.inner.push(operation.clone());
        assert_eq!(at(&batch, minute(12 * 60)), [Signal::Destructive, Signal::PrivateAddress]);
        assert!(shown(&operation, minute(0), true).any(|signal| signal == Signal::SecretInRequest));
    }

    #[test]
    fn each_signal_counts_once_and_the_score_ends_at_100() {
        assert_eq!(Risk::default().score(), 0);
        let twice = Risk::of([Signal::Volume, Signal::OffHours, Signal::Volume]);
        assert_eq!((twice.score(), twice.signals()), (30, &[Signal::OffHours, Signal::Volume][..]));
        assert_eq!(Risk::of(Signal::ALL.iter().copied()).score(), 100);
    }
}
