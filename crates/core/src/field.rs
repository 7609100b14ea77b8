//! Fields: places that are masked, or left alone, by what they are called and not by what they hold.

use std::fmt;
use std::sync::Arc;

use crate::Style;

/// The longest path, header's or form field's name, in bytes.
pub const FIELD_BYTES_MAX: usize = 256;
/// The most steps of a path.
pub const FIELD_STEPS_MAX: usize = 32;
/// The most fields, and the most exceptions, of one rule.
pub const FIELDS_MAX: usize = 64;

/// A place, and what the value there becomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FieldRule {
    /// Where.
    pub field: Field,
    /// What it becomes.
    pub style: Style,
}

/// A place that a value is found at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// In a JSON document, and everything inside of it.
    Path(JsonPath),
    /// A header or trailer, in lower case.
    Header(Arc<str>),
    /// A field of a form.
    Form(Arc<str>),
}

/// Where in a JSON document: the part of JSONPath (RFC 9535) whose places are known while a document is read. `.name`,
/// `['name']`, `[3]`, `.*`, `[*]`, and `..` before any of them for "at any depth". A path stands for its place and for
/// everything inside of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsonPath {
    text: Arc<str>,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// At any depth below, not only right there.
    pub deep: bool,
    /// What the place is called.
    pub name: StepName,
}

/// What a step names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepName {
    /// A member of an object.
    Key(Box<str>),
    /// An element of an array, from 0.
    Index(u64),
    /// Any member or element.
    Any,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(&'static str);

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > FIELD_BYTES_MAX {
            return Err(PathError("the path is longer than 256 bytes"));
        }
        let mut rest = text.strip_prefix('$').ok_or(PathError("a path begins with `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            if steps.len() == FIELD_STEPS_MAX {
                return Err(PathError("a path has at most 32 steps"));
            }
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() {
            return Err(PathError("`$` alone is the whole document: name a place in it"));
        }
        Ok(Self { text: Arc::from(text), steps })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its steps, from the root.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn step(text: &str) -> Result<(Step, &str), PathError> {
    let (deep, rest) = match text.strip_prefix("..") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('.').unwrap_or(text)),
    };
    let bracket = rest.strip_prefix('[').filter(|_| deep || !text.starts_with('.'));
    let (name, rest) = match bracket {
        Some(inner) => in_brackets(inner)?,
        None if !text.starts_with('.') => return Err(PathError("a step begins with `.` or `[`")),
        None => bare(rest)?,
    };
    Ok((Step { deep, name }, rest))
}

fn bare(text: &str) -> Result<(StepName, &str), PathError> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((StepName::Any, rest));
    }
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if name.is_empty() {
        return Err(PathError("a name follows `.`; one with other characters is written ['…']"));
    }
    Ok((StepName::Key(name.into()), rest))
}

fn in_brackets(text: &str) -> Result<(StepName, &str), PathError> {
    if let Some(rest) = text.strip_prefix("*]") {
        return Ok((StepName::Any, rest));
    }
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let inner = text.get(1..).unwrap_or_default();
        let (name, rest) = inner.split_once(quote).ok_or(PathError("the quotation mark is not closed"))?;
        let rest = rest.strip_prefix(']').ok_or(PathError("`]` is missing"))?;
        if name.is_empty() || name.contains('\\') {
            return Err(PathError("a name in brackets is not empty and has no backslash"));
        }
        return Ok((StepName::Key(name.into()), rest));
    }
    let (number, rest) = text.split_once(']').ok_or(PathError("`]` is missing"))?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let index = digits.then(|| number.parse().ok()).flatten();
    let index =
        index.ok_or(PathError("in brackets stands `*`, a number from 0, or a name in quotation marks"))?;
    Ok((StepName::Index(index), rest))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Form(name) => write!(f, "form field {name}"),
        }
    }
}

impl serde::Serialize for JsonPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for JsonPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_step_by_step() {
        let key = |deep, name: &str| Step { deep, name: StepName::Key(name.into()) };
        let any = |deep| Step { deep, name: StepName::Any };
        let index = |n| Step { deep: false, name: StepName::Index(n) };
        for (text, steps) in [
            ("$.user.email", vec![key(false, "user"), key(false, "email")]),
            ("$..api_key", vec![key(true, "api_key")]),
            ("$.items[*].ssn", vec![key(false, "items"), any(false), key(false, "ssn")]),
            ("$[0]['a.b'][\"c'd\"].*", vec![index(0), key(false, "a.b"), key(false, "c'd"), any(false)]),
            ("$..['x y']..*", vec![key(true, "x y"), any(true)]),
            ("$.größe-1", vec![key(false, "größe-1")]),
        ] {
            let path = JsonPath::parse(text).unwrap();
            assert_eq!(path.steps(), steps, "{text}");
            assert_eq!(path.as_str(), text);
        }
    }

    #[test]
    fn what_is_no_path_says_why() {
        let long = format!("$.{}", "a".repeat(FIELD_BYTES_MAX - 1));
        let deep = format!("${}", ".a".repeat(FIELD_STEPS_MAX + 1));
        for (text, why) in [
            ("user.email", "begins with `$`"),
            ("$", "whole document"),
            ("$user", "begins with `.` or `[`"),
            ("$.a..", "a name follows"),
            ("$.a b", "begins with `.` or `[`"),
            ("$.[0]", "a name follows"),
            ("$[-1]", "a number from 0"),
            ("$[?(@.a)]", "a number from 0"),
            ("$['a'", "`]` is missing"),
            ("$['a", "not closed"),
            ("$['']", "not empty"),
            ("$[99999999999999999999]", "a number from 0"),
            (long.as_str(), "longer than 256"),
            (deep.as_str(), "at most 32"),
        ] {
            let error = JsonPath::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(JsonPath::parse(&format!("$.{}", "a".repeat(FIELD_BYTES_MAX - 2))).is_ok());
        assert!(JsonPath::parse(&format!("${}", ".a".repeat(FIELD_STEPS_MAX))).is_ok());
    }
}
