//! YAML read as a tree that knows where every part stands, so that all mistakes of a document are reported at once,
//! each at its place and with the nearest word that would have been right.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::PolicyError;

/// Longest policy source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a document.
const DEPTH_MAX: usize = 24;

/// A part of a document and where it stands.
pub(super) type At = Spanned<Node>;

/// A part of a document.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float,
    Text(String),
    List(Vec<At>),
    Map(Vec<(Spanned<String>, At)>),
}

impl Node {
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a number",
            Self::Float => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: serde::Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        Node::deserialize(d)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float, Node::Int))
    }
    fn visit_f64<E>(self, _value: f64) -> Result<Node, E> {
        Ok(Node::Float)
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<At>()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key, map.next_value::<At>()?));
        }
        Ok(Node::Map(entries))
    }
}

/// Collects the mistakes of one source.
pub(super) struct Report<'s> {
    pub(super) file: &'s str,
    pub(super) errors: Vec<PolicyError>,
}

impl Report<'_> {
    pub(super) fn at(&mut self, location: Location, message: impl Into<String>, help: Option<String>) {
        self.line(location.line(), location.column(), message, help);
    }

    pub(super) fn line(&mut self, line: u64, column: u64, message: impl Into<String>, help: Option<String>) {
        let (line, column) = (line.max(1), column.max(1));
        self.errors.push(PolicyError {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            help,
        });
    }

    fn wrong(&mut self, node: &At, what: &str, want: &str) {
        self.at(node.referenced, format!("`{what}` must be {want}, not {}", node.value.name()), None);
    }

    /// A text.
    pub(super) fn text<'n>(&mut self, node: &'n At, what: &str) -> Option<&'n str> {
        if let Node::Text(text) = &node.value {
            return Some(text);
        }
        self.wrong(node, what, "a text");
        None
    }

    /// A boolean.
    pub(super) fn bool(&mut self, node: &At, what: &str) -> Option<bool> {
        if let Node::Bool(value) = node.value {
            return Some(value);
        }
        self.wrong(node, what, "true or false");
        None
    }

    /// A whole number in `range`.
    pub(super) fn number(
        &mut self,
        node: &At,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        match node.value {
            Node::Int(value) if range.contains(&value) => Some(value),
            Node::Int(value) => {
                let (low, high) = (range.start(), range.end());
                self.at(node.referenced, format!("`{what}` is {value}, and must be {low} to {high}"), None);
                None
            }
            _ => {
                self.wrong(node, what, "a whole number");
                None
            }
        }
    }

    /// A list.
    pub(super) fn list<'n>(&mut self, node: &'n At, what: &str) -> &'n [At] {
        if let Node::List(items) = &node.value {
            return items;
        }
        self.wrong(node, what, "a list");
        &[]
    }

    /// A list of texts.
    pub(super) fn texts<'n>(&mut self, node: &'n At, what: &str) -> Vec<(&'n str, Location)> {
        let items = self.list(node, what);
        items.iter().filter_map(|item| Some((self.text(item, what)?, item.referenced))).collect()
    }

    /// A mapping with keys of `known` only; every other key is a mistake.
    pub(super) fn map<'n>(&mut self, node: &'n At, what: &str, known: &[&str]) -> Option<Map<'n>> {
        let Node::Map(entries) = &node.value else {
            self.wrong(node, what, "a mapping");
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.value.as_str()) {
                let message = format!("unknown key `{}` in {what}", key.value);
                self.at(key.referenced, message, Some(nearest(&key.value, known)));
            }
        }
        Some(Map { entries, at: node.referenced })
    }

    /// A word of a closed list.
    pub(super) fn word<T: Copy>(&mut self, node: &At, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.at(node.referenced, format!("`{what}` cannot be `{text}`"), Some(nearest(text, &known)));
        None
    }
}

/// A mapping's entries.
#[derive(Clone, Copy)]
pub(super) struct Map<'n> {
    entries: &'n [(Spanned<String>, At)],
    /// Where it begins.
    pub(super) at: Location,
}

impl<'n> Map<'n> {
    /// The value of `key`; an explicit null is an absent one.
    pub(super) fn get(&self, key: &str) -> Option<&'n At> {
        let (_, value) = self.entries.iter().find(|(k, _)| k.value == key)?;
        (!matches!(value.value, Node::Null)).then_some(value)
    }

    /// The value of `key`, whose absence is a mistake.
    pub(super) fn need(&self, report: &mut Report<'_>, key: &str, what: &str) -> Option<&'n At> {
        let value = self.get(key);
        if value.is_none() {
            report.at(self.at, format!("{what} needs `{key}`"), None);
        }
        value
    }
}

/// The documents of one source, or the place where it stops being YAML.
pub(super) fn documents(report: &mut Report<'_>, text: &str) -> Vec<At> {
    if text.len() > SOURCE_BYTES_MAX {
        let message = format!("the source has {} bytes, and at most {SOURCE_BYTES_MAX} are read", text.len());
        report.line(1, 1, message, None);
        return Vec::new();
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_aliases: 64, max_documents: 256 },
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_multiple_with_options::<At>(text, options) {
        Ok(documents) => documents,
        Err(error) => {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = error.without_snippet().to_string();
            report.line(line, column, format!("not valid YAML: {}", one_line(&message)), None);
            Vec::new()
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// `did you mean …?`, or the list of what would have been right.
pub(super) fn nearest(word: &str, known: &[&str]) -> String {
    near(word, known).map_or_else(
        || format!("known are: {}", known.join(", ")),
        |candidate| format!("did you mean `{candidate}`?"),
    )
}

/// The known word that was likely meant.
pub(super) fn near<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_lowercase();
    let (distance, candidate) = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + candidate.len() / 3).then_some(candidate)
}
