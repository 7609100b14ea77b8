//! From a file to a [`Config`], or to everything that is wrong with it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward_mask::Detectors;
use serde_json::Value;

use super::document::Config;
use super::problem::{Problem, Report};
use super::tree::{self, Places};
use super::{check, inline, packs, policies, shape};

/// Longest configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// A configuration that holds, and where its values come from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values, relative paths made absolute.
    pub config: Config,
    /// The policy documents that it names, read.
    pub policies: Vec<policies::Document>,
    /// The packs of detectors that it names, read.
    pub packs: Vec<packs::Pack>,
    /// Those and the shipped ones.
    pub detectors: Arc<Detectors>,
    /// The file as it was named.
    pub file: String,
    /// Where each value stands in it.
    pub places: Places,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// Every problem found, in the order of the file; never empty.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let name = path.display().to_string();
    let text = read(path, CONFIG_BYTES_MAX).map_err(|why| {
        vec![Problem::whole(&name, format!("the configuration {why}"), "name it with --config FILE")]
    })?;
    let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    // What is relative to the file must stay so when the process changes its directory.
    let base =
        std::path::absolute(if base.as_os_str().is_empty() { Path::new(".") } else { &base }).unwrap_or(base);
    parse(&name, &text, &base)
}

/// Checks `text`, the content of `name`; files that it names are relative to `base`.
///
/// # Errors
/// Every problem found, in the order of the file; never empty.
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Loaded, Vec<Problem>> {
    let mut report = Report::new(name, text);
    let root = match tree::parse(text) {
        Ok(root) => root,
        Err((at, why)) => {
            report.concealed(at, format!("this is not YAML: {why}"), "");
            return Err(report.finish());
        }
    };
    let places = Places::of(&root);
    shape::check(&root, &mut report);
    check::check(&root, &places, &mut report);
    inline::check(&root, &mut report);
    let (packs, detectors) = packs::read_all(&root, &places, base, &mut report);
    let documents = policies::read_all(&root, &places, base, &detectors, &mut report);
    if !report.is_empty() {
        return Err(report.finish());
    }
    match serde_json::from_value::<Config>(root.to_json()) {
        Ok(mut config) => {
            make_absolute(&mut config, base);
            Ok(Loaded { config, policies: documents, packs, detectors, file: name.to_owned(), places })
        }
        // The schema said it fits: a difference between schema and type. Serde's words may quote a value.
        Err(_) => Err(vec![Problem::whole(
            name,
            "the configuration does not fit its own schema",
            "please report this",
        )]),
    }
}

/// Reads a text file of at most `bytes_max` bytes. The error continues a sentence ("the file …").
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        kind => format!("cannot be read: {kind}"),
    })?;
    let mut text = String::new();
    let read = file.take(bytes_max + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        kind => format!("cannot be read: {kind}"),
    })?;
    if u64::try_from(read).is_ok_and(|read| read > bytes_max) {
        return Err(format!("is longer than {bytes_max} bytes"));
    }
    Ok(text)
}

/// The first problem as one line, where there is no room for all.
pub fn first(problems: &[Problem]) -> String {
    problems.first().map(|p| format!("{}:{}: {}", p.file, p.line, p.message)).unwrap_or_default()
}

fn make_absolute(config: &mut Config, base: &Path) {
    let absolute = |path: &mut PathBuf| *path = base.join(&path);
    absolute(&mut config.data_dir);
    for tls in [&mut config.listen.data.tls, &mut config.listen.admin.tls].into_iter().flatten() {
        absolute(&mut tls.certificate);
    }
    for connection in &mut config.connections {
        if let Some(ca) = &mut connection.ca {
            absolute(ca);
        }
    }
}

impl Loaded {
    /// The effective configuration as JSON. It holds references, never secrets.
    pub fn effective(&self) -> Value {
        serde_json::to_value(&self.config).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "data_dir: data\nmaster_key: env://KEYWARD_MASTER_KEY\nissuers:\n  - {name: corp, url: 'https://idp.example.com', audiences: [keyward]}\nconnections:\n  - name: openai\n    kind: openai\n    upstream: https://api.example.com\n    credential: {secret: keyward://openai, inject: bearer}\npolicies: [builtin:base]\n";

    fn problems(text: &str) -> Vec<String> {
        let found = parse("k.yaml", text, Path::new("/base")).err().unwrap_or_default();
        found.into_iter().map(|p| format!("{}:{} {} | {}", p.line, p.column, p.message, p.help)).collect()
    }

    #[test]
    fn a_small_file_is_enough() {
        let loaded = parse("k.yaml", GOOD, Path::new("/base")).unwrap();
        assert_eq!(loaded.config.data_dir, Path::new("/base/data"));
        assert_eq!(loaded.config.listen.data.address.to_string(), "127.0.0.1:8700");
        assert_eq!(loaded.config.holding.wait.to_string(), "50s");
        assert_eq!(loaded.policies.len(), 1);
    }

    #[test]
    fn each_rule_is_held() {
        let with = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replace(from, to)
        };
        let and = |more: &str| format!("{GOOD}{more}\n");
        let twice = with(
            "policies:",
            "  - {name: openai, kind: http, upstream: 'https://x', hosts: [a.b]}\n  - {name: z, kind: http, upstream: 'https://x', hosts: [a.b]}\npolicies:",
        );
        for (text, wants) in [
            (with("env://KEYWARD_MASTER_KEY", "keyward://k"), vec!["2:13", "cannot lie in the store"]),
            (with("env://KEYWARD_MASTER_KEY", "c2VjcmV0c2VjcmV0"), vec!["2:13", "not a reference"]),
            (with("[keyward]", "[]"), vec!["4:", "no audience"]),
            (with("https://idp", "http://idp"), vec!["plain HTTP", "insecure_http: true"]),
            (with("name: openai", "name: api"), vec!["6:11", "keeps this name"]),
            (with("name: openai", "name: Open/AI"), vec!["cannot be the name"]),
            (
                with("https://api.example.com", "http://api.example.com"),
                vec!["8:15", "insecure_http_upstream"],
            ),
            (
                with("https://api.example.com", "https://u:hunter2@api.example.com"),
                vec!["user name or password"],
            ),
            (with("inject: bearer", "inject: {header: content-length}"), vec!["frames the request"]),
            (with("    credential: {secret: keyward://openai, inject: bearer}\n", ""), vec!["no credential"]),
            (twice.clone(), vec!["two connections have this name"]),
            (twice, vec!["`a.b` leads to two connections"]),
            (with("[builtin:base]", "[]"), vec!["no policy", "refused"]),
            (with("[builtin:base]", "[builtin:bose]"), vec!["did you mean `builtin:base`"]),
            (with("[builtin:base]", "[own.yaml]"), vec!["/base/own.yaml", "does not exist"]),
            (and("detectors: [packs/own.yaml]"), vec!["11:", "/base/packs/own.yaml", "does not exist"]),
            (
                and("listen: {data: {address: '0.0.0.0:8700'}}"),
                vec!["plain HTTP outside loopback", "insecure_plaintext: true"],
            ),
            (and("listen: {admin: {address: '127.0.0.1:8700'}}"), vec!["share an address"]),
            (and("data_url: http://keyward.example.com"), vec!["11:11", "show tokens", "insecure_plaintext"]),
            (and("data_url: keyward.example.com"), vec!["11:11", "starts with https://"]),
            (
                with(
                    "policies:",
                    "  - {name: z, kind: http, upstream: 'https://x', hosts: [a.b]}\ndata_url: https://a.b\npolicies:",
                ),
                vec!["11:11", "leads to the connection `z`"],
            ),
            (
                and("sign_in: {issuer: corp, client_id: a, cli: {client_id: ''}}"),
                vec!["11:", "no identifier"],
            ),
            (
                with("[keyward]", "[keyward], authorized_parties: [web]")
                    + "sign_in: {issuer: corp, client_id: web, cli: {client_id: cli}}\n",
                vec!["11:", "`authorized_parties` do not name"],
            ),
            (
                and("sign_in: {issuer: corp, client_id: a, cli: {client_id: a, scopes: ['openid groups']}}"),
                vec!["11:", "one word"],
            ),
            (and("holding: {wait: 11m}"), vec!["11:", "from 1s to 10m"]),
            (and("roles: {admin: [admins]}"), vec!["group:NAME"]),
            (and("journal: {segment_bytes_max: 1KiB}"), vec!["1MiB to 4GiB"]),
            (and("limits: {connections_max: 0}"), vec!["from 1 to"]),
        ] {
            let found = problems(&text);
            assert!(
                found.iter().any(|line| wants.iter().all(|want| line.contains(want))),
                "{wants:?} not in {found:#?}"
            );
        }
    }

    #[test]
    fn routes_are_checked_where_they_stand() {
        let with = |kind: &str, routes: &str| {
            let kind = format!("kind: {kind}\n    routes:\n{routes}");
            problems(&GOOD.replace("kind: openai", &kind))
        };
        let good = "      - {method: GET, path: '/jobs/*', class: models.list}\n      - {method: '*', path: '/admin/**', class: admin.config}\n";
        assert_eq!(with("http", good), Vec::<String>::new());
        let second = |row: &str| with("http", &format!("{good}      - {row}\n"));
        for (row, wants) in [
            ("{method: GET, path: /x, class: admin.confg}", vec!["11:40", "did you mean `admin.config`"]),
            ("{method: GTE, path: /x, class: unknown}", vec!["11:18", "did you mean `GET`"]),
            ("{method: get, path: /x, class: unknown}", vec!["11:18", "did you mean `GET`"]),
            ("{method: HEAD, path: /x, class: unknown}", vec!["11:18", "write one of"]),
            ("{method: GET, path: x, class: unknown}", vec!["11:29", "begins with `/`"]),
            ("{method: GET, path: '/**/x', class: unknown}", vec!["11:29", "the last segment"]),
            ("{method: GET, path: '/jobs/7', class: unknown}", vec!["11:9", "never reached: routes[0]"]),
            ("{method: GET, path: /x}", vec!["11:9", "has no `class`"]),
            ("{method: POST, path: /x, class: unknown, websocket: true}", vec!["11:61", "no `GET` fits"]),
            ("{method: GET, path: /x, clas: unknown}", vec!["11:33", "did you mean `class`"]),
        ] {
            let found = second(row);
            assert!(
                found.iter().any(|line| wants.iter().all(|want| line.contains(want))),
                "{wants:?} not in {found:#?}"
            );
        }
        let found = with("vllm", good);
        assert!(
            found.iter().any(|line| line.starts_with("9:7 ") && line.contains("kind `vllm`")),
            "{found:#?}"
        );
    }

    #[test]
    fn form_and_meaning_are_reported_together_and_without_secrets() {
        let text = GOOD
            .replace("keyward://openai", "hunter2-hunter2")
            .replace("name: openai", "name: api")
            .replace("[keyward]", "[]")
            .replace("data_dir", "data_dri");
        let found = parse("k.yaml", &text, Path::new("/base")).unwrap_err();
        let shown = super::super::problem::render(&found, super::super::problem::Color::Off)
            + &serde_json::to_string(&found).unwrap();
        assert!(found.len() >= 4, "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_credential_is_refused_wherever_it_stands() {
        // Parts of no real credential, put together here so that none stands in the source.
        let leaks = [
            ["AK", "IA", "Q3EGZ7KDVN2RHXMT"].concat(),
            ["xox", "b-", "2938475610293-", "5647382910293-", "Qz7Rk2Wm9Xc4Vb8Nh3Jt6Lp1"].concat(),
        ];
        for leak in leaks {
            let text = GOOD
                .replace("    credential:", &format!("    tags: {{note: 'see {leak}'}}\n    credential:"));
            let found = parse("k.yaml", &text, Path::new("/base")).unwrap_err();
            let shown = super::super::problem::render(&found, super::super::problem::Color::Off);
            assert!(shown.contains("`connections[0].tags.note` holds a credential"), "{shown}");
            assert!(!shown.contains(&leak), "{shown}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.yaml");
        let at_limit = " ".repeat(usize::try_from(CONFIG_BYTES_MAX).unwrap());
        std::fs::write(&path, &at_limit).unwrap();
        assert!(read(&path, CONFIG_BYTES_MAX).is_ok());
        std::fs::write(&path, at_limit + " ").unwrap();
        assert!(load(&path).unwrap_err()[0].message.contains("longer than"));
    }
}
