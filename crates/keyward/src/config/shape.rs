//! Holds a file against the JSON Schema of [`Config`](super::document::Config) and names every deviation.
//!
//! Only what schemars makes of our types is understood; a test walks the schema and fails on any other keyword, so
//! that nothing is skipped silently.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use super::problem::Report;
use keyward_secrets::{ReferenceError, SecretRef};

use super::reference::FORMS;
use super::scalar::{ByteSize, Period};
use super::suggest;
use super::tree::{At, Content, Node, join};
use super::url::HttpUrl;

/// The JSON Schema of the configuration file.
pub fn schema() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<super::document::Config>()
        .to_value()
}

/// Reports whatever in `node` does not fit the schema.
pub fn check(node: &Node, report: &mut Report<'_>) {
    let schema = schema();
    Walk { root: &schema, report }.node(&schema, node, "");
}

struct Walk<'a, 'r> {
    root: &'a Value,
    report: &'a mut Report<'r>,
}

impl Walk<'_, '_> {
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    fn node(&mut self, schema: &Value, node: &Node, path: &str) {
        let schema = self.resolve(schema).clone();
        let Value::Object(rules) = &schema else { return };
        if let Some(alternatives) = alternatives(&schema) {
            return self.one_of(alternatives, node, path);
        }
        if let Some(words) = words(&schema) {
            return self.word(&words, node, path);
        }
        if !types(rules).iter().any(|name| is_a(name, node)) {
            return self.wrong_kind(&types(rules), node, path);
        }
        match &node.content {
            Content::Map(_) => self.map(rules, node, path),
            Content::List(items) => {
                if let Some(inner) = rules.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.node(inner, item, &format!("{path}[{index}]"));
                    }
                }
            }
            Content::Scalar(value) => self.scalar(rules, value, node.at, path),
        }
    }

    /// The alternatives, and in the place of one that has some itself, those.
    fn flat(&self, of: &[Value]) -> Vec<Value> {
        let each = |one: &Value| {
            let one = self.resolve(one);
            alternatives(one).map_or_else(|| vec![one.clone()], |inner| self.flat(inner))
        };
        of.iter().flat_map(each).collect()
    }

    /// Reports against the alternative that the value was probably meant to be.
    fn one_of(&mut self, alternatives: &[Value], node: &Node, path: &str) {
        let alternatives = self.flat(alternatives);
        let all_words: Vec<String> = alternatives.iter().filter_map(words).flatten().collect();
        let fitting = alternatives.iter().find(|alternative| {
            words(alternative).is_none()
                && alternative
                    .as_object()
                    .is_some_and(|rules| types(rules).iter().any(|name| is_a(name, node)))
        });
        if let Some(alternative) = fitting {
            return self.node(alternative, node, path);
        }
        if !all_words.is_empty() && is_a("string", node) {
            return self.word(&all_words, node, path);
        }
        let mut kinds: Vec<&str> = alternatives.iter().filter_map(Value::as_object).flat_map(types).collect();
        kinds.retain(|kind| *kind != "null");
        self.wrong_kind(&kinds, node, path);
    }

    fn word(&mut self, words: &[String], node: &Node, path: &str) {
        let Content::Scalar(Value::String(text)) = &node.content else {
            return self.wrong_kind(&["string"], node, path);
        };
        if words.contains(text) {
            return;
        }
        let listed = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let names: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = match suggest::nearest(text, &names) {
            Some(word) => format!("did you mean `{word}`? ({listed} are known)"),
            None => format!("write one of {listed}"),
        };
        self.report.at(node.at, format!("`{path}` does not know this word"), help);
    }

    fn map(&mut self, rules: &Map<String, Value>, node: &Node, path: &str) {
        let Content::Map(entries) = &node.content else { return };
        let empty = Map::new();
        let properties = rules.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        for (key, value) in entries {
            let inner = join(path, &key.name);
            if let Some(schema) = properties.get(&key.name) {
                self.node(schema, value, &inner);
            } else if let Some(schema) = rules.get("additionalProperties").filter(|s| s.is_object()) {
                self.node(schema, value, &inner);
            } else if rules.get("additionalProperties") == Some(&Value::Bool(false)) {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                self.report.concealed(
                    key.at,
                    format!("unknown field `{}`", key.name),
                    unknown_help(&key.name, &known),
                );
            }
        }
        let required = rules.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if node.get(name).is_none() {
                let here = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
                self.report.concealed(node.at, format!("{here} has no `{name}`"), missing_help(name));
            }
        }
    }

    fn scalar(&mut self, rules: &Map<String, Value>, value: &Value, at: At, path: &str) {
        let format = rules.get("format").and_then(Value::as_str).unwrap_or_default();
        let text = value.as_str().unwrap_or_default();
        let problem = match format {
            "duration-text" => text.parse::<Period>().err().map(|error| error.to_string()),
            "byte-size" if value.is_string() => text.parse::<ByteSize>().err().map(|error| error.to_string()),
            "byte-size" => value.as_u64().is_none().then(|| "a size is not negative".to_owned()),
            "socket-address" => text.parse::<SocketAddr>().err().map(|_| {
                "an address is an IP address and a port, such as 127.0.0.1:8700 or [::1]:8700".to_owned()
            }),
            "http-url" => {
                if let Err(error) = HttpUrl::parse(text) {
                    let report = format!("`{path}`: {error}");
                    // What does not parse, or has a user name, may hold a password.
                    self.report.concealed(at, report, error.help());
                }
                return;
            }
            "secret-reference" => {
                if let Err(why) = text.parse::<SecretRef>() {
                    self.not_a_reference(why, text, at, path);
                }
                return;
            }
            "uint32" => value
                .as_u64()
                .is_none_or(|n| u32::try_from(n).is_err() || n == 0)
                .then(|| "a number from 1 to 4294967295 is expected".to_owned()),
            _ => None,
        };
        if let Some(message) = problem {
            self.report.at(at, format!("`{path}`: {message}"), "");
        }
    }

    fn not_a_reference(&mut self, why: ReferenceError, text: &str, at: At, path: &str) {
        let message = match why {
            ReferenceError::Inline => {
                format!("`{path}` holds something that is not a reference to a secret ({FORMS})")
            }
            other => format!("`{path}`: {other}"),
        };
        let help = if why != ReferenceError::Inline {
            ""
        } else if text.starts_with('/') {
            "a file is named as file:///absolute/path"
        } else if path == "master_key" {
            "write file:///path or env://NAME; if this was a real key, replace it: it stood in a file"
        } else {
            "store it with `keyward secrets put NAME` and write keyward://NAME here; if it was a real secret, \
             replace it: it stood in a file"
        };
        self.report.concealed(at, message, help);
    }

    fn wrong_kind(&mut self, wanted: &[&str], node: &Node, path: &str) {
        let (is, fix) = match &node.content {
            Content::Scalar(Value::Null) => ("nothing", "give it a value, or remove the key"),
            Content::Scalar(Value::Bool(_)) => ("a boolean", "put it in quotes if a text is meant"),
            Content::Scalar(Value::Number(_)) => ("a number", "put it in quotes if a text is meant"),
            Content::Scalar(_) => ("a text", ""),
            Content::List(_) => ("a list", ""),
            Content::Map(_) => ("a mapping", ""),
        };
        let wants: Vec<&str> = wanted.iter().map(|kind| called(kind)).collect();
        let fix = if wanted.contains(&"string") || is == "nothing" { fix } else { "" };
        let fix = if wanted == ["array"] && is == "a text" { "write [value], even for one" } else { fix };
        let here = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        self.report.concealed(node.at, format!("{here} must be {}, and is {is}", wants.join(" or ")), fix);
    }
}

/// Of which one has to fit.
fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array)
}

fn called(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    }
}

fn types(rules: &Map<String, Value>) -> Vec<&str> {
    match rules.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_a(kind: &str, node: &Node) -> bool {
    match (&node.content, kind) {
        (Content::Map(_), "object") | (Content::List(_), "array") => true,
        (Content::Scalar(value), _) => match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => false,
        },
        _ => false,
    }
}

/// The closed list of words that a schema allows, if it is one.
fn words(schema: &Value) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word.to_owned()]);
    }
    let words = schema.get("enum")?.as_array()?;
    Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn unknown_help(name: &str, known: &[&str]) -> String {
    if let Some(near) = suggest::nearest(name, known) {
        return format!("did you mean `{near}`?");
    }
    let lower = name.to_ascii_lowercase();
    if ["key", "token", "password", "secret"].iter().any(|word| lower.contains(word)) {
        return "a secret never stands in the file: store it with `keyward secrets put NAME` and write \
                `credential: {secret: keyward://NAME, inject: bearer}`"
            .to_owned();
    }
    format!("known here: {}", known.join(", "))
}

fn missing_help(name: &str) -> &'static str {
    match name {
        "data_dir" => "add `data_dir: /var/lib/keyward`, a directory that only Keyward's user can read",
        "master_key" => {
            "add `master_key: file:///etc/keyward/master.key` (32 random bytes in base64, mode 0600)"
        }
        "issuers" => {
            "without an issuer nobody could call: add `issuers: [{name: corp, url: https://…, audiences: [keyward]}]`"
        }
        "connections" => {
            "add a connection: `- {name: openai, kind: openai, upstream: https://…, credential: {…}}`"
        }
        "policies" => "without a policy every call would be refused: add `policies: [builtin:base]`",
        "audiences" => {
            "tokens are made for somebody: add `audiences: [keyward]`, the value your issuer writes into `aud`"
        }
        "upstream" => "add `upstream: https://host`",
        "inject" => "add `inject: bearer` or `inject: {header: x-api-key}`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn problems(text: &str) -> Vec<(u64, u64, String)> {
        let mut report = Report::new("k.yaml", text);
        check(&tree::parse(text).unwrap(), &mut report);
        report
            .finish()
            .into_iter()
            .map(|p| (p.line, p.column, format!("{} | {}", p.message, p.help)))
            .collect()
    }

    #[test]
    fn every_keyword_of_our_schema_is_understood() {
        const KNOWN: &[&str] = &[
            "$schema",
            "$defs",
            "$ref",
            "title",
            "description",
            "default",
            "examples",
            "type",
            "format",
            "pattern",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "oneOf",
            "anyOf",
            "const",
            "enum",
            "minimum",
        ];
        fn walk(schema: &Value) {
            let Value::Object(rules) = schema else { return };
            for (name, inner) in rules {
                assert!(KNOWN.contains(&name.as_str()), "{name} in {schema}");
                match name.as_str() {
                    "properties" | "$defs" => inner.as_object().unwrap().values().for_each(walk),
                    "items" | "additionalProperties" => walk(inner),
                    "oneOf" | "anyOf" => inner.as_array().unwrap().iter().for_each(walk),
                    _ => {}
                }
            }
        }
        walk(&schema());
    }

    #[test]
    fn every_deviation_is_named_at_its_place() {
        let text = "data_dir: /d\nmaster_key: env://K\nisuers: []\nissuers:\n  - {name: a, url: 'https://i', audiences: k}\nconnections:\n  - name: 7\n    kind: opnai\n    upstream: https://u\n    credential: {secret: env://K, inject: {heder: x}}\npolicies: [builtin:base]\nholding: {wait: 15}\ndrain: 5x\nlisten:\nlog: {level: warning}\n";
        let found = problems(text);
        let expect = [
            (3, 1, "did you mean `issuers`?"),
            (5, 44, "must be a list"),
            (7, 11, "must be a text, and is a number"),
            (8, 11, "did you mean `openai`?"),
            (10, 44, "unknown field `heder`"),
            (10, 43, "has no `header`"),
            (12, 17, "must be a text, and is a number"),
            (13, 8, "a duration is"),
            (14, 0, "and is nothing"),
            (15, 14, "did you mean `warn`?"),
        ];
        for (line, column, text) in expect {
            assert!(
                found.iter().any(|(l, c, t)| *l == line && (column == 0 || *c == column) && t.contains(text)),
                "{line}:{column} {text} not in {found:#?}"
            );
        }
        assert_eq!(found.len(), expect.len(), "{found:#?}");
    }

    #[test]
    fn what_is_missing_has_a_remedy() {
        let found = problems("{}\n");
        for name in ["data_dir", "master_key", "issuers", "connections", "policies"] {
            assert!(
                found.iter().any(|(_, _, t)| t.contains(&format!("no `{name}`")) && !t.ends_with("| ")),
                "{name}"
            );
        }
    }
}
