//! The one place that reads the wall clock and makes identifiers.

use std::time::{SystemTime, UNIX_EPOCH};

use keyward_core::Timestamp;

/// The time now, in microseconds since the epoch.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// 128 bits for an identifier: a UUID version 7, so that identifiers sort by time.
pub fn fresh_id() -> u128 {
    uuid::Uuid::now_v7().as_u128()
}
