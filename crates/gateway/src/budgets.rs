//! Budgets: how much is drawn from each, and who has to wait.
//!
//! Promise: a call of whom a budget is used up is refused before anything is sent, and told when to come again. A budget
//! refills evenly: 600 an hour is one more every six seconds, and at most 600 at once. Calls are counted before they are
//! sent; tokens and bytes when they are known, at the end of the answer, so that calls under way together may draw
//! more than is left; what was drawn too much is waited for by those after them. (That is why the counters are ours: a
//! limiter that decides beforehand cannot go below nothing.)
//!
//! Exceptions: budgets are kept in memory, so a restart begins with full ones. When [`BUDGETS_MAX`] callers draw at once,
//! a new one is refused: *fails closed*.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_core::{LimitBy, LimitRule, Measure, Principal};
use tokio::time::Instant;

/// Most budgets that are not full, at once.
pub const BUDGETS_MAX: usize = 100_000;

/// All budgets that were drawn from.
#[derive(Default)]
pub struct Budgets {
    drawn: Mutex<HashMap<Purse, Drawn>>,
}

/// Which budget: of a rule, of what, of whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Purse {
    rule: Arc<str>,
    measure: Measure,
    whose: Box<str>,
    most: u64,
    per: Duration,
}

/// How much is drawn from one, at a time.
struct Drawn {
    amount: f64,
    at: Instant,
}

/// Why a call must wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// The rule.
    pub rule: Arc<str>,
    /// What is used up.
    pub measure: Measure,
    /// How much there is of it.
    pub most: u64,
    /// In which time.
    pub per: Duration,
    /// When there is some again.
    pub wait: Duration,
}

impl Purse {
    /// The budgets that this caller draws from on this connection.
    pub fn of(limits: &[LimitRule], who: &Principal, connection: &str) -> Vec<Self> {
        let mut purses = Vec::new();
        for limit in limits {
            let whose: Vec<String> = match limit.by {
                LimitBy::Principal => vec![who.to_string()],
                LimitBy::Group => who.groups.iter().map(ToString::to_string).collect(),
                LimitBy::Connection => vec![connection.to_owned()],
                LimitBy::All => vec![String::new()],
            };
            for (measure, most) in &limit.most {
                let purse = |whose: &String| Self {
                    rule: Arc::clone(&limit.rule),
                    measure: *measure,
                    whose: whose.as_str().into(),
                    most: *most,
                    per: limit.per,
                };
                purses.extend(whose.iter().map(purse));
            }
        }
        purses
    }

    /// What it counts.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    fn refill_per_second(&self) -> f64 {
        as_f64(self.most) / self.per.as_secs_f64()
    }
}

impl Budgets {
    /// Draws one call from each of these, or from none of them.
    ///
    /// # Errors
    /// One of them is used up.
    pub fn draw_call(&self, purses: &[Purse]) -> Result<(), UsedUp> {
        let now = Instant::now();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        for purse in purses {
            let amount = drawn.get(purse).map_or(0.0, |drawn| drawn.left(purse, now));
            // A call needs room for itself; of tokens and bytes nobody knows how many it will take.
            let over =
                if purse.measure == Measure::Requests { amount + 1.0 } else { amount } - as_f64(purse.most);
            let room = if purse.measure == Measure::Requests { over <= 0.0 } else { over < 0.0 };
            if !room {
                return Err(purse.used_up(over.max(f64::MIN_POSITIVE) / purse.refill_per_second()));
            }
        }
        for purse in purses.iter().filter(|purse| purse.measure == Measure::Requests) {
            if !add(&mut drawn, purse, 1.0, now) {
                return Err(purse.used_up(1.0));
            }
        }
        Ok(())
    }

    /// Draws what a call turned out to take.
    pub fn draw(&self, purse: &Purse, amount: u64) {
        let now = Instant::now();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if !add(&mut drawn, purse, as_f64(amount), now) {
            tracing::warn!(rule = &*purse.rule, "too many budgets at once; one call was not counted");
        }
    }
}

impl Purse {
    fn used_up(&self, seconds: f64) -> UsedUp {
        UsedUp {
            rule: Arc::clone(&self.rule),
            measure: self.measure,
            most: self.most,
            per: self.per,
            wait: Duration::try_from_secs_f64(seconds).unwrap_or(self.per),
        }
    }
}

impl Drawn {
    /// What is still drawn after what came back since.
    fn left(&self, purse: &Purse, now: Instant) -> f64 {
        let back = now.saturating_duration_since(self.at).as_secs_f64() * purse.refill_per_second();
        (self.amount - back).max(0.0)
    }
}

/// Adds to what is drawn. False when there is no room for one more budget.
fn add(drawn: &mut HashMap<Purse, Drawn>, purse: &Purse, amount: f64, now: Instant) -> bool {
    if let Some(known) = drawn.get_mut(purse) {
        *known = Drawn { amount: known.left(purse, now) + amount, at: now };
        return true;
    }
    if drawn.len() >= BUDGETS_MAX {
        drawn.retain(|purse, drawn| drawn.left(purse, now) > 0.0);
        if drawn.len() >= BUDGETS_MAX {
            return false;
        }
    }
    drawn.insert(purse.clone(), Drawn { amount, at: now });
    true
}

#[expect(clippy::cast_precision_loss, reason = "amounts end at 10^12, far below 2^53")]
fn as_f64(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use keyward_core::PrincipalKind;

    use super::*;

    fn who(subject: &str, groups: &[&str]) -> Principal {
        Principal {
            issuer: "https://idp".into(),
            subject: subject.into(),
            kind: PrincipalKind::User,
            groups: groups.iter().map(|group| (*group).into()).collect(),
            name: None,
            acting_for: Vec::new(),
        }
    }

    fn limit(measure: Measure, most: u64, seconds: u64, by: LimitBy) -> Vec<LimitRule> {
        vec![LimitRule {
            rule: "r".into(),
            most: vec![(measure, most)],
            per: Duration::from_secs(seconds),
            by,
        }]
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_counted_before_and_come_back_evenly() {
        let budgets = Budgets::default();
        let purses = Purse::of(&limit(Measure::Requests, 3, 30, LimitBy::Principal), &who("a", &[]), "m");
        for _ in 0..3 {
            assert_eq!(budgets.draw_call(&purses), Ok(()));
        }
        let refused = budgets.draw_call(&purses).unwrap_err();
        assert_eq!((refused.measure, refused.most), (Measure::Requests, 3));
        assert!((9_999..=10_001).contains(&refused.wait.as_millis()), "{refused:?}");
        tokio::time::advance(refused.wait + Duration::from_millis(1)).await;
        assert_eq!(budgets.draw_call(&purses), Ok(()));
        assert!(budgets.draw_call(&purses).is_err());
        let other = Purse::of(&limit(Measure::Requests, 3, 30, LimitBy::Principal), &who("b", &[]), "m");
        assert_eq!(budgets.draw_call(&other), Ok(()), "another caller has a budget of their own");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_counted_after_and_may_go_below_nothing() {
        let budgets = Budgets::default();
        let purses = Purse::of(&limit(Measure::Tokens, 100, 100, LimitBy::All), &who("a", &[]), "m");
        assert_eq!(budgets.draw_call(&purses), Ok(()));
        budgets.draw(&purses[0], 150);
        let wait = budgets.draw_call(&purses).unwrap_err().wait;
        assert!((49_999..=50_001).contains(&wait.as_millis()), "{wait:?}");
        tokio::time::advance(wait + Duration::from_millis(1)).await;
        assert_eq!(budgets.draw_call(&purses), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_several_groups_draws_from_each_or_from_none() {
        let budgets = Budgets::default();
        let limits = limit(Measure::Requests, 1, 3600, LimitBy::Group);
        let (both, one) = (who("a", &["x", "y"]), who("b", &["y"]));
        assert_eq!(budgets.draw_call(&Purse::of(&limits, &one, "m")), Ok(()));
        assert!(budgets.draw_call(&Purse::of(&limits, &both, "m")).is_err());
        assert_eq!(
            budgets.draw_call(&Purse::of(&limits, &who("c", &["x"]), "m")),
            Ok(()),
            "nothing was drawn from x"
        );
        assert_eq!(
            budgets.draw_call(&Purse::of(&limits, &who("d", &[]), "m")),
            Ok(()),
            "in no group, no budget"
        );
    }
}
