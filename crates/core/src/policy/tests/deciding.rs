//! From rules to one verdict, and what is remembered of it.

use super::*;

#[test]
fn block_over_approve_over_allow_and_obligations_add_up() {
    let policy = load(LADDER).expect("loads");
    let mut world = World::new();
    let decision = policy.decide(&world.facts());
    assert_eq!(decision.verdict, Verdict::Approve);
    assert_eq!(decision.rule.as_deref(), Some("b-approve"));
    assert_eq!(decision.reason.as_deref(), Some("B"));
    let approval = decision.approval.clone().expect("approval");
    assert_eq!((approval.min, approval.ttl), (2, Duration::from_mins(30)));
    assert_eq!(approval.approvers, vec!["group:k".to_owned()].into());
    assert_eq!(approval.and, [vec!["group:g".to_owned(), "group:h".to_owned()].into()]);
    let with = |groups: &[&str]| {
        let mut approver = world.principal.clone();
        approver.groups = groups.iter().map(|g| Arc::from(*g)).collect();
        approval.names(&approver, Duration::ZERO)
    };
    assert!(with(&["k", "h"]));
    assert!(!with(&["k"]) && !with(&["g", "h"]) && !with(&["group:k", "h"]) && !with(&[]));
    assert_eq!(decision.mask.iter().map(|m| &*m.rule).collect::<Vec<_>>(), ["m-one", "m-two"]);
    assert_eq!(
        decision.matched.iter().map(|m| &**m).collect::<Vec<_>>(),
        ["b-approve", "m-one", "m-two", "y-approve", "z-allow"]
    );
    assert_eq!(decision.observed.iter().map(|m| &**m).collect::<Vec<_>>(), ["n-block"]);

    world.operation.touches_secret_file = true;
    let decision = policy.decide(&world.facts());
    assert_eq!((decision.verdict, decision.rule.as_deref()), (Verdict::Block, Some("a-block")));
    assert!(decision.approval.is_none());

    world.operation.touches_secret_file = false;
    world.operation.stream = false;
    let decision = policy.decide(&world.facts());
    assert_eq!((decision.verdict, decision.rule.as_deref()), (Verdict::Allow, Some("z-allow")));
    assert_eq!(decision.mask.len(), 1);
}

#[test]
fn approvers_are_named_by_issuer_and_subject() {
    let rule = ApprovalRule {
        approvers: vec!["user:https://issuer.example#alice".to_owned()].into(),
        and: Vec::new(),
        min: 1,
        ttl: Duration::from_secs(1),
        bind: crate::Bind::Request,
        grant: None,
        moderated: None,
    };
    let mut principal = World::new().principal;
    assert!(rule.names(&principal, Duration::ZERO));
    principal.issuer = "https://other.example".into();
    assert!(!rule.names(&principal, Duration::ZERO));
}

#[test]
fn what_an_approval_is_for_and_windows_in_its_stead_are_the_narrower_of_all_rules() {
    let rule = |id: &str, when: &str, more: &str| {
        format!(
            "  - {{id: {id}, effect: approve, when: '{when}', approval: {{approvers: ['group:{id}'], ttl: 1m{more}}}}}\n"
        )
    };
    let rules = [
        rule("a", "operation.class == \"chat.completions\"", ", bind: operation, grant: 4h"),
        rule(
            "b",
            "operation.class == \"chat.completions\" && connection.name == \"models\"",
            ", min: 2, bind: operation, grant: 1h",
        ),
        rule("c", "operation.class == \"model.export\"", ""),
    ];
    let policy = load(&rules.concat()).expect("loads");
    let asked = policy.decide(&World::new().facts()).approval.clone().expect("an approval");
    assert_eq!((asked.bind, asked.grant), (crate::Bind::Operation, Some(Duration::from_hours(1))));
    let models = World::new().connection;
    let other = Connection { name: "other".into(), ..models.clone() };
    let window = policy.window_for(&[OperationClass::ChatCompletions], &models).expect("a window");
    assert!(window.covers(&asked) && asked.covers(&window));
    assert_eq!((window.min, window.grant), (2, Some(Duration::from_hours(1))));
    let alone = policy.window_for(&[OperationClass::ChatCompletions], &other).expect("a window");
    assert!(!alone.covers(&asked), "fewer people, of one list alone");
    assert_eq!(policy.window_for(&[OperationClass::ModelExport], &models), None);
    for wrong in ["bind: body", "grant: 2d", "grant: 0s"] {
        assert!(load(&rule("a", "true", &format!(", {wrong}"))).is_err(), "{wrong}");
    }
}

#[test]
fn a_moderated_call_is_watched_with_the_shortest_grace_and_lets_no_window_stand_in() {
    let rule = |id: &str, more: &str| {
        format!(
            "  - {{id: {id}, effect: approve, when: 'true', approval: {{approvers: ['group:{id}'], ttl: 1m{more}}}}}\n"
        )
    };
    let asked = |rules: &[String]| {
        let policy = load(&rules.concat()).expect("loads");
        policy.decide(&World::new().facts()).approval.clone().expect("an approval")
    };
    let plain = asked(&[rule("a", ", grant: 1h")]);
    assert_eq!(plain.moderated, None);
    let default = asked(&[rule("a", ", moderated: {}")]);
    assert_eq!(default.moderated, Some(Duration::from_mins(1)));
    let both = asked(&[rule("a", ", moderated: {grace: 2m}"), rule("b", ", grant: 1h")]);
    assert_eq!((both.moderated, both.grant), (Some(Duration::from_mins(2)), None));
    let shortest = asked(&[rule("a", ", moderated: {grace: 2m}"), rule("b", ", moderated: {grace: 5s}")]);
    assert_eq!(shortest.moderated, Some(Duration::from_secs(5)));
    assert!(shortest.to_string().contains("watched while it runs (grace 5 s)"), "{shortest}");
    for wrong in [
        "moderated: true",
        "moderated: {grace: 0s}",
        "moderated: {grace: 11m}",
        "moderated: {wait: 1m}",
        "moderated: {}, grant: 1h",
    ] {
        assert!(load(&rule("a", &format!(", {wrong}"))).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_allows_by_default() {
    let policy = load("  - {id: m, effect: mask, when: 'true', mask: {detect: [pii], where: [stream]}}\n")
        .expect("loads");
    let decision = policy.decide(&World::new().facts());
    assert_eq!((decision.verdict, decision.rule.clone()), (Verdict::Block, None));
}

#[test]
fn decisions_are_remembered_within_bounds() {
    let policy =
        load("  - {id: a, effect: allow, when: 'operation.path == \"/7\" || operation.query == \"q\"'}\n")
            .expect("loads");
    let mut world = World::new();
    for n in 0..(3 * DECISIONS_MAX) {
        world.operation.path = format!("/{n}");
        let expected = if n == 7 { Verdict::Allow } else { Verdict::Block };
        assert_eq!(policy.decide(&world.facts()).verdict, expected);
    }
    assert!(policy.cache.len() <= 2 * DECISIONS_MAX);
    let before = policy.cache.len();
    world.operation.path = format!("/{}", "x".repeat(KEY_BYTES_MAX));
    for _ in 0..2 {
        assert_eq!(policy.decide(&world.facts()).verdict, Verdict::Block);
    }
    assert_eq!(policy.cache.len(), before, "too long a key is not remembered");
    // A fact that no rule reads does not make another decision.
    world.operation.path = "/7".to_owned();
    let first = policy.decide(&world.facts());
    world.operation.resource.model = "other".to_owned();
    assert!(Arc::ptr_eq(&first, &policy.decide(&world.facts())));
}

#[test]
fn catalogue_95_the_strictest_verdict_over_what_an_operation_holds() {
    use OperationClass::{AdminConfig, ChatCompletions, Embeddings, Images, Rerank};
    let policy = load(
        "  - {id: allowed, effect: allow, when: 'operation.class in [\"batch.create\", \"chat.completions\", \"embeddings\"]'}
  - {id: asked, effect: approve, when: 'operation.class == \"embeddings\"', reason: R, approval: {approvers: ['group:a'], min: 1, ttl: 10m}}
  - {id: asked-more, effect: approve, when: 'operation.class == \"rerank\"', reason: R, approval: {approvers: ['group:b'], min: 2, ttl: 5m}}
  - {id: blocked, effect: block, when: 'operation.class == \"admin.config\"', message: M}
  - {id: limited, effect: limit, when: 'operation.class == \"rerank\"', limit: {requests: 5, per: 1h}}
  - {id: masked, effect: mask, when: 'operation.class == \"embeddings\"', mask: {detect: [pii], where: [response]}}
",
    )
    .expect("loads");
    let mut world = World::new();
    world.operation.class = OperationClass::BatchCreate;
    let mut decided = |classes: &[OperationClass]| {
        world.operation.inner.clear();
        for class in classes {
            let mut inner = world.operation.clone();
            (inner.class, inner.inner) = (*class, Vec::new());
            world.operation.inner.push(inner);
        }
        let decision = policy.decide(&world.facts());
        assert_eq!(*decision, policy.decide_anew(&world.facts()));
        (*decision).clone()
    };
    let plain = decided(&[ChatCompletions, ChatCompletions]);
    assert_eq!((plain.verdict, plain.rule.as_deref()), (Verdict::Allow, Some("allowed")));
    let asks = decided(&[ChatCompletions, Embeddings, Rerank]);
    assert_eq!((asks.verdict, asks.rule.as_deref(), asks.mask.len()), (Verdict::Approve, Some("asked"), 1));
    assert_eq!(asks.limits.iter().map(|limit| &*limit.rule).collect::<Vec<_>>(), ["limited"]);
    let approval = asks.approval.expect("an approval");
    assert_eq!(
        (approval.min, approval.ttl, approval.and),
        (2, Duration::from_mins(5), vec![vec!["group:b".to_owned()].into()])
    );
    let blocked = decided(&[Embeddings, AdminConfig, ChatCompletions]);
    assert_eq!((blocked.verdict, blocked.rule.as_deref()), (Verdict::Block, Some("blocked")));
    assert!(blocked.approval.is_none());
    // What no rule allows is blocked inside as well.
    assert_eq!(decided(&[ChatCompletions, Images]).verdict, Verdict::Block);
}
