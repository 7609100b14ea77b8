//! Workloads that sign in by what runs them. The endpoint of GitHub Actions is a fake of this test; the tokens are real ones
//! of the demo's issuer, for its service `ci-bot`.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::kit::{ALLOW, Person, Scene, Upstream, World, get, http, reply};

fn scene() -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "text/plain")], b"hello"));
    let world = World::new(&http("plain", &upstream.url()), ALLOW);
    Scene::of(upstream, world)
}

impl Scene {
    /// A command of a workload, which has no token of its own in a variable.
    fn workload(&self, arguments: &[&str]) -> Command {
        let mut command = self.cli(arguments);
        command.env_remove("KEYWARD_TOKEN");
        command
    }
}

/// GitHub's end: gives the service's token for one audience, to who brings the job's own.
fn fake_github(token: String) -> Upstream {
    Upstream::answering(move |seen| {
        let right = seen.line.starts_with("GET /token?api-version=2.0&audience=keyward%20test ")
            && seen.all("authorization") == ["Bearer job-token"];
        let body = if right { json!({"value": token}) } else { json!({"message": "no"}) };
        let status = if right { "200 OK" } else { "403 Forbidden" };
        reply(status, &[("content-type", "application/json")], body.to_string())
    })
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_kind_of_workload_gets_a_token_of_minutes() {
    let scene = scene();
    let service = scene.world.token(Person::CiBot);
    let file = scene.world.path("sa-token");
    std::fs::write(&file, format!("{service}\n")).unwrap();
    let github = fake_github(service.clone());
    let at = |path: &std::path::Path, word: &str| format!("{word}:{}", path.display());
    let request_url = format!("{}/token?api-version=2.0", github.url());
    let on_github = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", request_url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token"),
    ];
    for (from, variables) in [
        (Some(at(&file, "kubernetes")), vec![]),
        (Some(at(&file, "file")), vec![]),
        (Some("gitlab".to_owned()), vec![("KEYWARD_ID_TOKEN", service.as_str())]),
        (Some("gitlab:OTHER".to_owned()), vec![("OTHER", service.as_str())]),
        (Some("github-actions".to_owned()), on_github.to_vec()),
        // As is found out where nothing is said.
        (None, vec![("GITLAB_CI", "true"), ("KEYWARD_ID_TOKEN", service.as_str())]),
        (None, on_github.to_vec()),
    ] {
        let mut arguments = vec!["token", "plain", "--audience", "keyward test"];
        arguments.extend(from.iter().flat_map(|from| ["--from", from]));
        let mut command = scene.workload(&arguments);
        let token = text(command.envs(variables.iter().copied()).output().unwrap());
        assert_eq!(get(scene.gateway.data, "/plain/x", token.trim()).status, 200, "{from:?}");
    }
    let listed =
        text(scene.workload(&["tokens", "ls", "-o", "json", "--from", &at(&file, "file")]).output().unwrap());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for row in listed.as_array().unwrap() {
        assert_eq!(row["owner"]["subject"], "ci-bot");
        let time = |name: &str| row[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(time("expires_at") - time("created_at"), 15 * 60);
    }
    let mut whoami = scene.workload(&["whoami", "--audience", "keyward test"]);
    assert!(text(whoami.envs(on_github).output().unwrap()).contains("github-actions"));
}

#[test]
fn a_command_of_a_workload_cannot_become_the_workload() {
    let scene = scene();
    let github = fake_github(scene.world.token(Person::CiBot));
    let mut run = scene.workload(&["run", "plain", "--audience", "keyward test", "--", "env"]);
    run.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2.0", github.url()));
    let output = run.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token").output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let environment = text(output);
    assert!(environment.contains("KEYWARD_PLAIN_TOKEN=kw_"), "{environment}");
    assert!(!environment.contains("ACTIONS_ID_TOKEN") && !environment.contains("job-token"), "{environment}");
}

#[test]
fn a_workload_that_nothing_vouches_for_is_told_what_to_do() {
    let scene = scene();
    let github = fake_github(String::new());
    let absent = scene.world.path("absent");
    for (from, variables, code, says) in [
        (format!("kubernetes:{}", absent.display()), vec![], 4, "projected"),
        ("gitlab".to_owned(), vec![], 4, "id_tokens"),
        ("github-actions".to_owned(), vec![], 4, "id-token: write"),
        (
            "github-actions".to_owned(),
            vec![
                ("ACTIONS_ID_TOKEN_REQUEST_URL", github.url()),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x".to_owned()),
            ],
            20,
            "403",
        ),
        (
            "github-actions".to_owned(),
            vec![
                ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://example.com/x".to_owned()),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x".to_owned()),
            ],
            20,
            "plain http",
        ),
        ("teleport".to_owned(), vec![], 2, "github-actions"),
    ] {
        let mut command = scene.workload(&["token", "plain", "--from", &from]);
        let output = command.envs(variables).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{from} {said}");
        assert!(said.contains(says), "{from} {said}");
    }
}
