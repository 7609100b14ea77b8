//! The rooms of the house and the one direction between them, held against what cargo says.

#[cfg(test)]
mod house {
    use std::collections::BTreeSet;
    use std::process::Command;

    /// Every edge that there may be, to the crate from those that may use it.
    const EDGES: [(&str, &[&str]); 8] = [
        (
            "keyward-core",
            &[
                "keyward-mask",
                "keyward-journal",
                "keyward-store",
                "keyward-secrets",
                "keyward-gateway",
                "keyward",
            ],
        ),
        ("keyward-wire", &["keyward-mask", "keyward-gateway"]),
        ("keyward-mask", &["keyward-gateway", "keyward"]),
        ("keyward-journal", &["keyward-gateway", "keyward"]),
        ("keyward-store", &["keyward-secrets", "keyward-gateway", "keyward"]),
        ("keyward-secrets", &["keyward-gateway", "keyward"]),
        ("keyward-gateway", &["keyward"]),
        ("keyward", &[]),
    ];

    /// Crates that no pure room may use: they do I/O, read clocks, or run tasks.
    const IMPURE: [&str; 7] = ["tokio", "hyper", "sqlx", "axum", "rustls", "tracing-subscriber", "uuid"];

    fn metadata() -> serde_json::Value {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn normal_dependencies(package: &serde_json::Value) -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|d| d["kind"].is_null()).map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_rooms_use_each_other_in_one_direction() {
        let metadata = metadata();
        let packages = metadata["packages"].as_array().unwrap();
        let rooms: BTreeSet<&str> = EDGES.iter().map(|(room, _)| *room).collect();
        let found: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(found, rooms, "a room more or less than the house has");
        for package in packages {
            let user = package["name"].as_str().unwrap();
            for used in normal_dependencies(package) {
                if let Some((_, users)) = EDGES.iter().find(|(room, _)| *room == used) {
                    assert!(users.contains(&user), "{user} may not use {used}");
                }
            }
        }
    }

    #[test]
    fn the_pure_rooms_stay_pure() {
        let metadata = metadata();
        for package in metadata["packages"].as_array().unwrap() {
            let room = package["name"].as_str().unwrap();
            if !["keyward-core", "keyward-wire", "keyward-mask"].contains(&room) {
                continue;
            }
            let used = normal_dependencies(package);
            let impure: Vec<_> = IMPURE.iter().filter(|name| used.contains(**name)).collect();
            assert!(impure.is_empty(), "{room} uses {impure:?}");
        }
    }

    #[test]
    fn every_crate_has_the_licence_of_the_project() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../LICENSE");
        let licence = std::fs::read_to_string(root).unwrap();
        assert!(licence.contains("Apache License") && licence.contains("Version 2.0"));
        for package in metadata()["packages"].as_array().unwrap() {
            assert_eq!(package["license"], "Apache-2.0", "{}", package["name"]);
        }
    }
}
