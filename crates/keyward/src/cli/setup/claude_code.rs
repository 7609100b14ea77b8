//! Claude Code's settings file, whose `apiKeyHelper` is a command that prints a token.
//!
//! Members that are not ours stay as they are, in their order and in their own spelling; a file that is not plain JSON is
//! not touched.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Advice;
use crate::config::load::read;
use crate::exit::Failure;

/// The longest settings file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// For how long a token is made, and after how many milliseconds Claude Code asks for the next one.
const TOKEN_LIFE: (&str, &str) = ("1h", "3000000");
/// Variables that win over `apiKeyHelper`.
const STRONGER: [&str; 2] = ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"];

/// The members of a JSON object, in their order, each value as it is written.
#[derive(Clone, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Members {
    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Sets a member; whether it said something else before.
    fn set(&mut self, name: &str, value: Box<RawValue>) -> bool {
        let before = self.get(name).map(|value| value.get().to_owned());
        match self.0.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
        before.is_some_and(|before| self.get(name).is_none_or(|now| now.get() != before))
    }

    /// As text: each member on a line of its own, `depth` steps of `step` in.
    fn render(&self, step: &str, depth: usize) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        let inner = step.repeat(depth + 1);
        let line = |(name, value): &(String, Box<RawValue>)| {
            format!("{inner}{}: {}", serde_json::Value::from(name.as_str()), value.get())
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        format!("{{\n{}\n{}}}", lines.join(",\n"), step.repeat(depth))
    }
}

/// What the settings must say.
pub(super) struct Fragment {
    helper: Box<RawValue>,
    environment: Vec<(&'static str, Box<RawValue>)>,
}

pub(super) fn fragment(advice: &Advice) -> Result<Fragment, Failure> {
    let (life, refresh) = TOKEN_LIFE;
    let helper = format!("{} --for {life} --name claude-code", advice.token_command());
    Ok(Fragment {
        helper: raw(&helper)?,
        environment: vec![
            ("ANTHROPIC_BASE_URL", raw(&advice.endpoint.url)?),
            ("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", raw(refresh)?),
        ],
    })
}

impl Fragment {
    /// As it would stand in an empty file.
    pub(super) fn pretty(&self) -> String {
        let mut environment = Members::default();
        let mut whole = Members::default();
        for (name, value) in &self.environment {
            environment.set(name, value.clone());
        }
        whole.set("apiKeyHelper", self.helper.clone());
        if let Ok(environment) = RawValue::from_string(environment.render("  ", 1)) {
            whole.set("env", environment);
        }
        whole.render("  ", 0) + "\n"
    }
}

/// A change of the file that is not made yet.
pub(super) struct Plan {
    file: PathBuf,
    before: Option<String>,
    after: String,
    replaced: Vec<String>,
}

impl Plan {
    /// Reads the file, where there is one, and says what it would become.
    pub(super) fn new(fragment: &Fragment) -> Result<Self, Failure> {
        let file = file()?;
        // A link is followed, so that the file it leads to is changed and the link stays.
        let file = file.canonicalize().unwrap_or(file);
        let before = if file.exists() {
            let named = |why| Failure::error(format!("{} {why}", file.display()), "nothing was changed");
            Some(read(&file, FILE_BYTES_MAX).map_err(named)?)
        } else {
            None
        };
        let (after, replaced) = merged(before.as_deref().unwrap_or_default(), fragment)
            .map_err(|why| Failure::error(format!("{}: {why}", file.display()), "nothing was changed"))?;
        Ok(Self { file, before, after, replaced })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Members that say something else now. Their values may be secrets and are not shown.
    pub(super) fn replaced(&self) -> &[String] {
        &self.replaced
    }

    pub(super) fn changes(&self) -> bool {
        self.before.as_deref() != Some(&self.after)
    }

    /// Writes it whole or not at all; the name of the copy of what was there.
    pub(super) fn write(&self) -> Result<Option<PathBuf>, Failure> {
        let failed = |error: std::io::Error| {
            Failure::error(
                format!("{} cannot be written: {}", self.file.display(), error.kind()),
                "nothing was changed",
            )
        };
        let directory = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(failed)?;
        let mut new = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        new.write_all(self.after.as_bytes()).map_err(failed)?;
        let mut copy = None;
        if self.before.is_some() {
            let mode = std::fs::metadata(&self.file).map_err(failed)?.permissions();
            new.as_file().set_permissions(mode).map_err(failed)?;
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            let name = self.file.with_added_extension(format!("{now}.bak"));
            std::fs::copy(&self.file, &name).map_err(failed)?;
            copy = Some(name);
        }
        new.persist(&self.file).map_err(|error| failed(error.error))?;
        Ok(copy)
    }
}

/// Where Claude Code keeps its settings for this user.
fn file() -> Result<PathBuf, Failure> {
    let directory = match (std::env::var_os("CLAUDE_CONFIG_DIR"), std::env::var_os("HOME")) {
        (Some(directory), _) if !directory.is_empty() => PathBuf::from(directory),
        (_, Some(home)) if !home.is_empty() => Path::new(&home).join(".claude"),
        _ => return Err(Failure::error("there is no home directory", "set HOME")),
    };
    Ok(directory.join("settings.json"))
}

/// The file with what the fragment says, and the members that said something else.
fn merged(text: &str, fragment: &Fragment) -> Result<(String, Vec<String>), String> {
    let object = |text: &str| {
        serde_json::from_str::<Members>(text)
            .map_err(|_| "this is not a JSON object without comments".to_owned())
    };
    let mut whole = if text.trim().is_empty() { Members::default() } else { object(text)? };
    let mut environment = match whole.get("env") {
        Some(value) => object(value.get()).map_err(|why| format!("`env`: {why}"))?,
        None => Members::default(),
    };
    if let Some(stronger) = STRONGER.into_iter().find(|name| environment.get(name).is_some()) {
        return Err(format!("`env` sets {stronger}, which wins over `apiKeyHelper`: take it out first"));
    }
    let mut replaced = Vec::new();
    if whole.set("apiKeyHelper", fragment.helper.clone()) {
        replaced.push("apiKeyHelper".to_owned());
    }
    for (name, value) in &fragment.environment {
        if environment.set(name, value.clone()) {
            replaced.push(format!("env.{name}"));
        }
    }
    let step = step(text);
    let environment =
        RawValue::from_string(environment.render(&step, 1)).map_err(|_| "`env` cannot be written")?;
    whole.set("env", environment);
    Ok((whole.render(&step, 0) + "\n", replaced))
}

/// By how much the file's lines are set in.
fn step(text: &str) -> String {
    let second = text.lines().nth(1).unwrap_or_default();
    let blank: String = second.chars().take_while(|c| *c == ' ' || *c == '\t').collect();
    if blank.is_empty() { "  ".to_owned() } else { blank }
}

fn raw(text: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(serde_json::Value::from(text).to_string())
        .map_err(|_| Failure::error("the settings cannot be written as JSON", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Fragment {
        Fragment {
            helper: raw("keyward token claude").unwrap(),
            environment: vec![("ANTHROPIC_BASE_URL", raw("http://g/claude").unwrap())],
        }
    }

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        let before = "{\n    \"z\": [1,  2.50, 1e3],\n    \"apiKeyHelper\": \"other\",\n    \"env\": {\n        \"FOO\": \"\\u0041\"\n    },\n    \"a\": {\n        \"b\": null\n    }\n}\n";
        let (after, replaced) = merged(before, &ours()).unwrap();
        let expected = "{\n    \"z\": [1,  2.50, 1e3],\n    \"apiKeyHelper\": \"keyward token claude\",\n    \"env\": {\n        \"FOO\": \"\\u0041\",\n        \"ANTHROPIC_BASE_URL\": \"http://g/claude\"\n    },\n    \"a\": {\n        \"b\": null\n    }\n}\n";
        assert_eq!(after, expected);
        assert_eq!(replaced, ["apiKeyHelper"]);
        assert_eq!(
            merged(&after, &ours()).unwrap(),
            (after.clone(), Vec::new()),
            "a second time changes nothing"
        );
    }

    #[test]
    fn an_empty_file_gets_the_fragment() {
        for empty in ["", "{}", " \n"] {
            assert_eq!(merged(empty, &ours()).unwrap().0, ours().pretty(), "{empty:?}");
        }
    }

    #[test]
    fn what_cannot_be_merged_is_left_alone() {
        for bad in [
            "[]",
            "{",
            "{\"a\": 1,}",
            "// c\n{}",
            "{\"env\": []}",
            "{\"env\": {\"ANTHROPIC_API_KEY\": \"k\"}}",
        ] {
            assert!(merged(bad, &ours()).is_err(), "{bad}");
        }
    }
}
