//! Counters and their text for Prometheus. Labels come from closed sets or from configuration, never from a caller, so
//! that their number is bounded and none can hold a secret (catalogue 152).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use keyward_core::{Finding, Verdict};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the duration histogram, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Labels of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ExchangeLabels {
    connection: String,
    decision: &'static str,
    status: u16,
}

/// Labels of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    code: &'static str,
}

/// Labels of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FindingLabels {
    detector: String,
}

/// Labels of a rule: as the policy's documents name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabels {
    rule: String,
}

/// Labels of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConnectionLabels {
    connection: String,
}

/// All counters of the gateway.
pub struct Metrics {
    registry: Registry,
    exchanges: Family<ExchangeLabels, Counter>,
    head_seconds: Family<ConnectionLabels, Histogram, fn() -> Histogram>,
    refusals: Family<RefusalLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    policy_observed: Family<RuleLabels, Counter>,
    /// Exchanges under way.
    pub in_flight: Gauge,
    /// Calls that wait for a human.
    pub held: Gauge,
    /// Connections from callers.
    pub connections: Gauge,
    /// Configurations refused at reload.
    pub reloads_refused: Counter<u64, AtomicU64>,
    broken_glass: Counter<u64, AtomicU64>,
    moderated_paused: Counter<u64, AtomicU64>,
    moderators_left: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("keyward"),
            exchanges: Family::default(),
            head_seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            refusals: Family::default(),
            findings: Family::default(),
            policy_observed: Family::default(),
            in_flight: Gauge::default(),
            held: Gauge::default(),
            connections: Gauge::default(),
            reloads_refused: Counter::default(),
            broken_glass: Counter::default(),
            moderated_paused: Counter::default(),
            moderators_left: Counter::default(),
        };
        let r = &mut metrics.registry;
        r.register("exchanges", "Exchanges by connection, verdict and status", metrics.exchanges.clone());
        r.register(
            "response_head_seconds",
            "Time from the caller's request to the head of the response",
            metrics.head_seconds.clone(),
        );
        r.register("refusals", "Calls that did not go through, by code", metrics.refusals.clone());
        r.register("findings", "Values masked, by detector", metrics.findings.clone());
        r.register(
            "policy_observed",
            "Calls to which a rule in mode observe would have applied",
            metrics.policy_observed.clone(),
        );
        r.register("break_glass", "Windows opened without an approval", metrics.broken_glass.clone());
        r.register(
            "moderated_paused",
            "Times that a moderated call stood still because nobody watched",
            metrics.moderated_paused.clone(),
        );
        r.register(
            "moderators_left",
            "Moderated calls that were ended because nobody watched",
            metrics.moderators_left.clone(),
        );
        r.register("in_flight", "Exchanges under way", metrics.in_flight.clone());
        r.register("held", "Calls that wait for a human", metrics.held.clone());
        r.register("connections", "Connections from callers", metrics.connections.clone());
        r.register("reloads_refused", "Configurations refused at reload", metrics.reloads_refused.clone());
        metrics
    }
}

impl Metrics {
    /// Counts an exchange whose head goes out now.
    pub fn answered(&self, connection: &str, verdict: Verdict, status: u16, after: Duration) {
        let connection = connection.to_owned();
        self.head_seconds
            .get_or_create(&ConnectionLabels { connection: connection.clone() })
            .observe(after.as_secs_f64());
        self.exchanges
            .get_or_create(&ExchangeLabels { connection, decision: verdict.as_str(), status })
            .inc();
    }

    /// Counts a refusal.
    pub fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { code }).inc();
    }

    /// Counts a call as waiting for a human until the guard is dropped.
    pub fn hold(&self) -> HeldCount {
        self.held.inc();
        HeldCount(self.held.clone())
    }

    /// Counts a window that was opened without an approval.
    pub fn broke_glass(&self) {
        self.broken_glass.inc();
    }

    /// Counts a moderated call that stands still.
    pub fn paused(&self) {
        self.moderated_paused.inc();
    }

    /// Counts a moderated call that was ended because nobody watched.
    pub fn moderator_left(&self) {
        self.moderators_left.inc();
    }

    /// Counts the rules in `mode: observe` that would have applied to a call.
    pub fn observed(&self, rules: &[Arc<str>]) {
        for rule in rules {
            self.policy_observed.get_or_create(&RuleLabels { rule: rule.to_string() }).inc();
        }
    }

    /// Counts findings.
    pub fn found(&self, findings: &[Finding]) {
        for finding in findings {
            self.findings.get_or_create(&FindingLabels { detector: finding.detector.to_string() }).inc();
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// One call that waits.
pub struct HeldCount(Gauge);

impl Drop for HeldCount {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_show_up_under_their_names() {
        let metrics = Metrics::default();
        metrics.refused("blocked_by_policy");
        metrics.answered("openai", Verdict::Allow, 200, Duration::from_millis(3));
        let text = metrics.text().unwrap();
        assert!(text.contains("keyward_refusals_total{code=\"blocked_by_policy\"} 1"), "{text}");
        assert!(
            text.contains(
                "keyward_exchanges_total{connection=\"openai\",decision=\"allow\",status=\"200\"} 1"
            ),
            "{text}"
        );
    }
}
