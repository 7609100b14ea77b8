//! Refusals of callers that nobody knows: recorded, but not without bound.
//!
//! Promise: each is counted in the metrics; of those within one second [`PER_SECOND_MAX`] are recorded in full, and the
//! next record after them says how many were not. So whoever has no token cannot fill the journal, which would stop all
//! governed traffic. Refusals of known callers are always recorded.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Refusals of unknown callers that are recorded in full within one second.
pub const PER_SECOND_MAX: u32 = 20;

/// Limits the records of refusals of unknown callers.
#[derive(Default)]
pub struct Anonymous {
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    recorded: u32,
    left_out: u64,
}

impl Anonymous {
    /// Whether one more refusal is to be recorded: then with how many were left out since the last record.
    pub fn turn(&self) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| began.elapsed() >= Duration::from_secs(1)) {
            window.began = Some(Instant::now());
            window.recorded = 0;
        }
        if window.recorded >= PER_SECOND_MAX {
            window.left_out += 1;
            return None;
        }
        window.recorded += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_not_written() {
        let anonymous = Anonymous::default();
        for _ in 0..PER_SECOND_MAX {
            assert_eq!(anonymous.turn(), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(anonymous.turn(), None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(anonymous.turn(), Some(1000));
        assert_eq!(anonymous.turn(), Some(0));
    }
}
