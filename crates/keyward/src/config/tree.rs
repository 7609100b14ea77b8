//! The configuration file as a tree in which every key and value knows its place.
//!
//! The typed [`Config`](super::document::Config) is made from it, and so are messages and origins: serde stops at
//! the first mistake, the tree lets us name all of them.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// Line, from 1; 0 when unknown.
    pub line: u64,
    /// Column in characters, from 1; 0 when unknown.
    pub column: u64,
    /// Characters covered on that line, at least 1.
    pub width: u64,
}

impl From<serde_saphyr::Location> for At {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column(), width: location.span().len().max(1) }
    }
}

/// One value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it stands (for an alias: where it is used).
    pub at: At,
    /// What it is.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// A scalar: null, boolean, number or string.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Debug, Clone)]
pub struct Key {
    /// Where it stands.
    pub at: At,
    /// Its text.
    pub name: String,
}

impl Node {
    /// The same without places.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect())
            }
        }
    }

    /// The value under `name`, when this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The items, when this is a list; else none.
    pub fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }
}

/// Where each path of the tree stands: `connections[0].upstream` → its value's place.
#[derive(Debug, Default, Clone)]
pub struct Places(HashMap<String, At>);

impl Places {
    /// Of every node under `root`.
    pub fn of(root: &Node) -> Self {
        let mut places = Self::default();
        places.add(String::new(), root);
        places
    }

    fn add(&mut self, path: String, node: &Node) {
        match &node.content {
            Content::Scalar(_) => {}
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(format!("{path}[{index}]"), item);
                }
            }
            Content::Map(entries) => {
                for (key, item) in entries {
                    self.add(join(&path, &key.name), item);
                }
            }
        }
        self.0.insert(path, node.at);
    }

    /// The place of `path`, or of the nearest thing around it that is in the file.
    pub fn nearest(&self, path: &str) -> At {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return *at;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None if path.is_empty() => return At::default(),
                None => path = "",
            }
        }
    }

    /// The place of `path` itself; none when the file does not say it.
    pub fn exact(&self, path: &str) -> Option<At> {
        self.0.get(path).copied()
    }
}

/// `path.name`, or `name` at the root.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Reads YAML. On failure: where and why, without the file's values.
pub fn parse(text: &str) -> Result<Node, (At, String)> {
    // `no` and `on` stay words: a tag `country: no` must not become a boolean.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let at = error.location().map(At::from).unwrap_or_default();
        (at, why(error.without_snippet()))
    })
}

/// A YAML error as one sentence without its place.
fn why(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // The parser puts its own position first ("line 3 column 5: …").
    match line.split_once(": ") {
        Some((position, rest)) if position.starts_with("line ") => rest.to_owned(),
        _ => line.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced.into(), content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let key = Key { at: key.referenced.into(), name: key.value };
            if entries.iter().any(|(other, _)| other.name == key.name) {
                return Err(A::Error::custom(format!("the key `{}` is there twice", key.name)));
            }
            entries.push((key, access.next_value()?));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_place() {
        let text = "a: 1\nlist:\n  - name: x\n    on: no\n  - {name: 'y', \"n\": null}\n";
        let root = parse(text).unwrap();
        let places = Places::of(&root);
        assert_eq!(places.exact("a"), Some(At { line: 1, column: 4, width: 1 }));
        assert_eq!(places.exact("list[1].name").map(|at| (at.line, at.column)), Some((5, 12)));
        assert_eq!(places.nearest("list[0].missing.deeper").line, 3);
        let Content::Map(entries) = &root.content else { panic!("a map") };
        assert_eq!((entries[1].0.at.line, entries[1].0.at.column, entries[1].0.at.width), (2, 1, 4));
        assert_eq!(
            root.to_json(),
            serde_json::json!({"a": 1, "list": [{"name": "x", "on": "no"}, {"name": "y", "n": null}]})
        );
    }

    #[test]
    fn mistakes_have_a_place() {
        let (at, why) = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(at.line >= 2, "{at:?} {why}");
        let (at, why) = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(at.line, 2, "{why}");
        assert!(why.contains('a') && !why.contains('\n'), "{why}");
    }
}
