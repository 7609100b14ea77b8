//! The shipped policies: each alone, and all together.

use std::collections::BTreeSet;

use super::*;

/// Every word that stands in a `detect` list of the packs; `keyward`'s tests hold them against the real detectors.
const NAMED: &[&str] = &[
    "base64_private_key",
    "credentials",
    "email_address",
    "iban",
    "payment_card",
    "phone_international",
    "phone_national",
    "phone_turkey",
    "phone_us",
    "pii",
    "private_key",
    "putty_private_key",
];

fn packs() -> Vec<PolicySource> {
    builtin_names().map(|name| PolicySource::builtin(name).expect(name)).collect()
}

fn passes(sources: &[PolicySource]) -> PolicySet {
    let policy = PolicySet::load(sources, NAMED).unwrap_or_else(|errors| panic!("{errors:?}"));
    let run = policy.run_tests();
    for result in &run.results {
        assert!(result.passed(), "{result:?}");
    }
    assert_eq!(run.untouched, []);
    policy
}

#[test]
fn each_pack_passes_its_tests_and_each_rule_is_named_by_one() {
    for pack in packs() {
        let policy = passes(std::slice::from_ref(&pack));
        let tests = pack.text.split_once("\ntests:\n").expect("tests").1;
        for id in policy.rule_ids() {
            assert!(tests.contains(&**id), "{}: no test names {id}", pack.name);
        }
    }
}

#[test]
fn all_packs_together_load_and_pass() {
    let rules = passes(&packs()).rule_ids().count();
    let alone: usize = packs().into_iter().map(|pack| passes(&[pack]).rule_ids().count()).sum();
    assert_eq!(rules, alone);
}

/// Whoever adds a pack to base gets a stricter policy, apart from metrics for ops.
#[test]
fn beside_base_only_metrics_become_allowed() {
    let (base, all) = (passes(&[PolicySource::base()]), passes(&packs()));
    let mut opened = BTreeSet::new();
    let mut world = World::new();
    for class in OperationClass::ALL {
        for kind in ConnectionKind::ALL {
            for groups in [vec![], vec!["eng"], vec!["model-owners"], vec!["ops"], vec!["eng", "ops"]] {
                for who in [PrincipalKind::User, PrincipalKind::Service, PrincipalKind::Agent] {
                    world.operation.class = *class;
                    world.connection.kind = *kind;
                    world.principal.kind = who;
                    world.principal.groups = groups.iter().map(|group| Arc::from(*group)).collect();
                    let facts = world.facts();
                    let (with, without) = (all.decide(&facts), base.decide(&facts));
                    if with.verdict < without.verdict {
                        opened.insert(class.as_str());
                    }
                }
            }
        }
    }
    assert_eq!(opened.into_iter().collect::<Vec<_>>(), ["metrics.read"]);
}

#[test]
fn a_pack_that_does_not_exist_is_none() {
    assert_eq!(PolicySource::builtin("builtin:nothing"), None);
    assert_eq!(PolicySource::builtin("base"), None);
}
