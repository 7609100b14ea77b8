//! Every effective value with the place that it comes from: `keyward.yaml:12`, or `default`.

use serde_json::Value;

use super::load::Loaded;
use super::tree::join;

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// Its path: `connections[0].upstream`.
    pub setting: String,
    /// Its value.
    pub value: Value,
    /// `FILE:LINE`, or `default`.
    pub origin: String,
}

/// Every effective value, in the order of their paths.
pub fn effective(loaded: &Loaded) -> Vec<Effective> {
    let mut rows = Vec::new();
    add(&mut rows, loaded, String::new(), &loaded.effective());
    rows
}

fn add(rows: &mut Vec<Effective>, loaded: &Loaded, setting: String, value: &Value) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (name, inner) in entries {
                add(rows, loaded, join(&setting, name), inner);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                add(rows, loaded, format!("{setting}[{index}]"), inner);
            }
        }
        _ => {
            let origin = match origin(loaded, &setting) {
                Some(line) => format!("{}:{line}", loaded.file),
                None => "default".to_owned(),
            };
            rows.push(Effective { setting, value: value.clone(), origin });
        }
    }
}

/// The line that says `setting`. A default list's items have no line, and neither has the list.
fn origin(loaded: &Loaded, setting: &str) -> Option<u64> {
    loaded.places.exact(setting).map(|at| at.line)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load;

    #[test]
    fn what_the_file_says_has_a_line_and_the_rest_is_default() {
        let text = "data_dir: /d\nmaster_key: env://K\nissuers: [{name: a, url: 'https://i', audiences: [k]}]\nconnections:\n  - {name: c, kind: http, upstream: 'https://u'}\npolicies: ['builtin:base']\nholding:\n  wait: 20s\n";
        let loaded = load::parse("k.yaml", text, Path::new("/")).unwrap();
        let rows = effective(&loaded);
        let row = |setting: &str| {
            let row = rows.iter().find(|row| row.setting == setting).unwrap_or_else(|| panic!("{setting}"));
            (row.value.clone(), row.origin.as_str())
        };
        assert_eq!(row("holding.wait"), ("20s".into(), "k.yaml:8"));
        assert_eq!(row("holding.keepalive"), ("15s".into(), "default"));
        assert_eq!(row("connections[0].upstream"), ("https://u".into(), "k.yaml:5"));
        assert_eq!(row("issuers[0].algorithms[0]"), ("RS256".into(), "default"));
        assert_eq!(row("limits.inspect_body_bytes_max"), ("8MiB".into(), "default"));
    }
}
