//! Facts of then: what policy saw of a request that is in the journal.
//!
//! Promise: what was not recorded is unknown, never empty: a condition that reads it fails, and counts as a match where that is
//! the safer side. Unknown are: what detectors found in a request; headers and body of a refused one. Texts are as they may be
//! recorded: a credential in them is masked. Kind and tags are those of the connection that bears the name today.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use keyward_core::policy::{Scene, SceneHeaders};
use keyward_core::{Connection, Principal};
use keyward_journal::read::Judged;
use keyward_journal::record::{DecisionRecord, HeaderField, Refused};

/// What policy saw of a request. None where it was refused before anybody understood it.
pub fn scene(judged: &Judged, principal: &Principal, peer: &str, connection: &Connection) -> Option<Scene> {
    let (operation, headers, now) = match judged {
        Judged::Sent(intent) => (&intent.operation, known(&intent.headers), intent.at),
        Judged::Refused(refused) => (refused.operation.as_ref()?, SceneHeaders::Unknown, refused.at),
    };
    Some(Scene {
        principal: principal.clone(),
        connection: connection.clone(),
        operation: (**operation).clone(),
        headers,
        peer: peer.parse::<SocketAddr>().ok().map(|peer| peer.ip()),
        findings: None,
        risk: decision(judged).and_then(|decision| decision.risk.clone()),
        now,
    })
}

/// What policy answered then; none where it was not asked.
pub fn decision(judged: &Judged) -> Option<&DecisionRecord> {
    match judged {
        Judged::Sent(intent) => Some(&intent.decision),
        Judged::Refused(refused) => refused.decision.as_ref(),
    }
}

/// The refusal, where there was one.
pub fn refusal(judged: &Judged) -> Option<&Refused> {
    match judged {
        Judged::Sent(_) => None,
        Judged::Refused(refused) => Some(refused),
    }
}

/// As policy read them: lines of one name together. A value that is no text makes all of them unknown.
fn known(fields: &[HeaderField]) -> SceneHeaders {
    let mut table: BTreeMap<String, String> = BTreeMap::new();
    for field in fields {
        if field.latin1 {
            return SceneHeaders::Unknown;
        }
        let name = field.name.to_ascii_lowercase();
        if let Some(value) = table.get_mut(&name) {
            value.push_str(", ");
            value.push_str(&field.value);
        } else {
            table.insert(name, field.value.clone());
        }
    }
    SceneHeaders::Known(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_header_are_read_together_and_what_is_no_text_is_unknown() {
        let fields = [("X-Team", "a"), ("x-team", "b"), ("other", "c")]
            .map(|(name, value)| HeaderField::new(name, value.as_bytes()));
        let SceneHeaders::Known(table) = known(&fields) else { panic!("known") };
        assert_eq!((table["x-team"].as_str(), table["other"].as_str()), ("a, b", "c"));
        assert_eq!(known(&[HeaderField::new("x", b"\xff")]), SceneHeaders::Unknown);
    }
}
