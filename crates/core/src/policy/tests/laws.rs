//! Laws: agreement with the `cel` crate's interpreter, independence of order, the cache, and of hostile text.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::{DETECTORS, LADDER, World, allow, load};
use crate::Resource;

const WORDS: [&str; 5] = ["", "eng", "engops", "ops", "e"];

fn arbitrary_world() -> impl Strategy<Value = World> {
    let word = || proptest::sample::select(&WORDS[..]);
    (
        proptest::collection::vec(word(), 0..4),
        (word(), word(), word(), word()),
        proptest::collection::vec(word(), 0..3),
        any::<bool>(),
        proptest::option::of(0..3_u64),
        any::<bool>(),
    )
        .prop_map(|(groups, (model, file, query, team), tools, stream, body_bytes, broken)| {
            let mut made = World::new();
            made.principal.groups = groups.into_iter().map(Arc::from).collect();
            made.operation.resource = Resource {
                model: model.into(),
                file: file.into(),
                tools: tools.into_iter().map(String::from).collect(),
            };
            made.operation.query = query.into();
            made.operation.stream = stream;
            made.operation.body_bytes = body_bytes;
            made.headers.insert("x-team".to_owned(), team.to_owned());
            made.broken = broken.then(|| "x-team".to_owned());
            made
        })
}

fn arbitrary_condition() -> impl Strategy<Value = String> {
    let text = proptest::sample::select(vec![
        "operation.resource.model",
        "operation.resource.file",
        "operation.query",
        "request.headers['x-team']",
        "'eng'",
        "'e'",
    ]);
    let list =
        proptest::sample::select(vec!["principal.groups", "operation.resource.tools", "['eng', 'ops']"]);
    let number = proptest::sample::select(vec!["operation.body_bytes", "1", "2", "principal.groups.size()"]);
    let leaf = prop_oneof![
        Just("operation.stream".to_owned()),
        (text.clone(), proptest::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), text.clone())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number.clone(), proptest::sample::select(vec!["==", "!=", "<", ">="]), number.clone(), number)
            .prop_map(|(a, op, b, c)| format!("{a} - {c} {op} {b}")),
        (text.clone(), list.clone()).prop_map(|(a, b)| format!("{a} in {b}")),
        (text.clone(), proptest::sample::select(vec!["startsWith", "endsWith", "contains"]), text.clone())
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        (list, proptest::sample::select(vec!["exists", "all", "exists_one"]), text)
            .prop_map(|(l, q, t)| format!("{l}.{q}(x, x == {t} || x.startsWith({t}))")),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

/// Conditions over class and connection, mixed with others.
fn scoped_condition() -> impl Strategy<Value = String> {
    let scope = proptest::sample::select(vec![
        "operation.class == 'chat.completions'",
        "'embeddings' == operation.class",
        "operation.class != 'unknown'",
        "operation.class in ['sql.read', 'sql.write', 'unknown']",
        "!(operation.class in ['chat.completions'])",
        "operation.class.startsWith('sql.')",
        "connection.name == 'models'",
        "connection.name in ['models', 'other']",
        "connection.name != 'models'",
        "true",
        "false",
    ]);
    let leaf = prop_oneof![scope.prop_map(str::to_owned), arbitrary_condition()];
    leaf.prop_recursive(3, 10, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

/// What the `cel` crate's own interpreter makes of a condition.
fn reference(when: &str, world: &World) -> Option<bool> {
    let mut context = cel::Context::default();
    let operation = serde_json::json!({
        "resource": {
            "model": world.operation.resource.model, "file": world.operation.resource.file,
            "tools": world.operation.resource.tools,
        },
        "query": world.operation.query, "stream": world.operation.stream,
    });
    let mut operation = match cel::to_value(operation) {
        Ok(cel::Value::Map(map)) => (*map.map).clone(),
        other => panic!("{other:?}"),
    };
    if let Some(bytes) = world.operation.body_bytes {
        operation.insert("body_bytes".into(), cel::Value::Int(bytes.try_into().expect("small")));
    }
    context.add_variable_from_value("operation", operation);
    let groups: Vec<String> = world.principal.groups.iter().map(ToString::to_string).collect();
    context.add_variable("principal", BTreeMap::from([("groups", groups)])).expect("principal");
    let headers = if world.broken.is_some() { BTreeMap::new() } else { world.headers.clone() };
    context.add_variable("request", BTreeMap::from([("headers", headers)])).expect("request");
    match cel::Program::compile(when).expect(when).execute(&context) {
        Ok(cel::Value::Bool(value)) => Some(value),
        Ok(other) => panic!("{when}: {other:?}"),
        Err(_) => None,
    }
}

proptest! {
    /// Our evaluation of CEL agrees with the interpreter of the `cel` crate, failures included.
    #[test]
    fn evaluation_agrees_with_the_reference(when in arbitrary_condition(), world in arbitrary_world()) {
        if when.len() > CONDITION_BYTES_MAX {
            return Ok(());
        }
        let Ok(checked) = &condition::compile_all(&[&when])[0] else {
            return Err(TestCaseError::fail(format!("{when} does not compile")));
        };
        prop_assert_eq!(eval::holds(&checked.test, &world.facts()).ok(), reference(&when, &world), "{}", when);
    }

    /// The order of rules never matters.
    #[test]
    fn order_never_matters(seed in any::<u64>(), stream in any::<bool>(), secret in any::<bool>()) {
        let mut lines: Vec<&str> = LADDER.lines().collect();
        let mut state = seed;
        for i in (1..lines.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            lines.swap(i, usize::try_from(state >> 33).expect("fits") % (i + 1));
        }
        let mut world = World::new();
        world.operation.stream = stream;
        world.operation.touches_secret_file = secret;
        let shuffled = load(&(lines.join("\n") + "\n")).expect("loads");
        let straight = load(LADDER).expect("loads");
        prop_assert_eq!(shuffled.decide(&world.facts()), straight.decide(&world.facts()));
    }

    /// A remembered decision is the one that would be made.
    #[test]
    fn remembering_changes_nothing(when in arbitrary_condition(), worlds in proptest::collection::vec(arbitrary_world(), 1..12)) {
        let Ok(policy) = allow(&when) else { return Ok(()) };
        for world in worlds.iter().chain(&worlds) {
            let facts = world.facts();
            prop_assert_eq!(&*policy.decide(&facts), &decide::decide(&policy.rules, 0..policy.rules.len(), &facts));
        }
    }

    /// Asking only the rules that may apply gives what asking all of them gives, for every class and connection.
    #[test]
    fn the_index_leaves_nothing_out(
        whens in proptest::collection::vec(scoped_condition(), 1..6),
        effects in proptest::collection::vec(proptest::sample::select(vec!["allow", "block"]), 6),
        made in arbitrary_world(),
    ) {
        let rules: Vec<String> = whens
            .iter()
            .zip(effects)
            .enumerate()
            .map(|(number, (when, effect))| {
                let when = serde_json::to_string(when).expect("json");
                format!("  - {{id: r{number}, effect: {effect}, when: {when}}}\n")
            })
            .collect();
        let Ok(policy) = load(&rules.concat()) else { return Ok(()) };
        for class in OperationClass::ALL {
            for name in ["models", "other", ""] {
                let mut world = made.clone();
                world.operation.class = *class;
                world.connection.name = name.into();
                let facts = world.facts();
                let all = decide::decide(&policy.rules, 0..policy.rules.len(), &facts);
                prop_assert_eq!(policy.decide_anew(&facts), all, "{} {} {:?}", class, name, whens);
            }
        }
    }

    /// Whatever the text, loading ends with a set or with errors.
    #[test]
    fn any_text_loads_or_is_refused(text in ".{0,200}", when in "[a-z.()&|!=<>'\"\\[\\]0-9?:, ]{0,80}") {
        let loaded = PolicySet::load(&[PolicySource { name: "x".to_owned(), text }], DETECTORS);
        prop_assert!(loaded.is_err());
        let json = serde_json::to_string(&when).expect("json");
        if let Err(errors) = load(&format!("  - {{id: a, effect: allow, when: {json}}}\n")) {
            prop_assert!(!errors.is_empty());
        }
    }
}
