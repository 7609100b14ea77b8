//! What a decision costs over 500 rules: `cargo bench -p keyward-core`. The design's aim is 20 µs for facts that were never
//! seen before; facts that were seen are remembered.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that ends with an error where it cannot be made"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use keyward_core::policy::{Facts, NoHeaders, PolicySet, PolicySource, RequestFacts, RequestFindings};
use keyward_core::{
    Connection, ConnectionKind, Operation, OperationClass, Principal, PrincipalKind, Resource, Timestamp,
    Upstream,
};

const RULES: usize = 500;

/// Rules as an organisation has them: by group, class, connection, tag and model. `scoped` of ten name a class.
fn rules(scoped: usize) -> PolicySet {
    let classes = OperationClass::ALL;
    let rule = |number: usize| {
        let class = classes[number % classes.len()].as_str();
        let group = format!("'team-{}' in principal.groups", number % 50);
        let when = match number % 5 {
            _ if number % 10 >= scoped => {
                format!("{group} && operation.resource.model.startsWith('m-{number}')")
            }
            0 => format!("operation.class == '{class}' && {group}"),
            1 => format!("operation.class in ['{class}', 'chat.completions'] && {group} && time.hour > 22"),
            2 => format!("connection.name == 'c-{}' && operation.class == '{class}'", number % 40),
            3 => format!("{group} && connection.tags.env == 'prod' && operation.class == '{class}'"),
            _ => format!("operation.class == '{class}' && operation.path.startsWith('/v1/x{number}')"),
        };
        let effect = ["allow", "block"][number % 2];
        format!("  - {{id: r{number}, effect: {effect}, when: \"{when}\"}}\n")
    };
    let text: String = (0..RULES).map(rule).collect::<Vec<_>>().concat();
    let text = format!("apiVersion: keyward/v1\nkind: Policy\nmetadata: {{name: bench}}\nrules:\n{text}");
    let sources = [PolicySource { name: "bench.yaml".to_owned(), text }];
    match PolicySet::load(&sources, &["credentials"]) {
        Ok(set) => set,
        Err(errors) => panic!("{errors:?}"),
    }
}

struct World {
    principal: Principal,
    connection: Connection,
    operation: Operation,
    findings: RequestFindings,
}

impl World {
    fn new() -> Self {
        Self {
            principal: Principal {
                issuer: "https://issuer.example".into(),
                subject: "somebody".into(),
                kind: PrincipalKind::User,
                groups: ["eng", "all", "berlin", "team-7", "team-31"].map(Arc::from).to_vec(),
                name: None,
                acting_for: Vec::new(),
            },
            connection: Connection {
                name: "c-7".into(),
                kind: ConnectionKind::OpenAi,
                upstream: Upstream {
                    https: true,
                    host: "models.example".into(),
                    port: 443,
                    base_path: "".into(),
                },
                tags: [("env".to_owned(), "prod".to_owned())].into(),
                owners: Vec::new(),
            },
            operation: Operation {
                class: OperationClass::ChatCompletions,
                resource: Resource { model: "m-77-large".into(), ..Resource::default() },
                method: "POST".into(),
                path: "/v1/chat/completions".into(),
                query: String::new(),
                stream: true,
                body_bytes: Some(2000),
                touches_secret_file: false,
                fetches_private: false,
                fields: Vec::new(),
                inner: Vec::new(),
            },
            findings: RequestFindings::default(),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            principal: &self.principal,
            connection: &self.connection,
            operation: &self.operation,
            request: RequestFacts {
                headers: &NoHeaders,
                peer: None,
                findings: Some(&self.findings),
                risk: None,
            },
            now: Timestamp::from_micros(1_767_787_200_000_000),
        }
    }
}

fn decisions(criterion: &mut Criterion) {
    let world = World::new();
    for (name, scoped) in [
        ("500 rules, all name a class", 10),
        ("500 rules, half name a class", 5),
        ("500 rules, none names a class", 0),
    ] {
        let set = rules(scoped);
        criterion.bench_function(&format!("{name}: facts that are new"), |bencher| {
            bencher.iter(|| set.decide_anew(black_box(&world.facts())));
        });
        criterion.bench_function(&format!("{name}: facts that were seen"), |bencher| {
            bencher.iter(|| set.decide(black_box(&world.facts())));
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
