//! The arguments of a tool's call: every text in them, and the name it stands under.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::json::{INSIDE_MAX, Name};

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// The nearest name above it, in lower case and with `_` between words; empty where there is none.
    pub(super) name: String,
    pub(super) text: String,
}

impl Argument {
    pub(super) fn is_named(&self, names: &[&str]) -> bool {
        names.contains(&&*self.name)
    }
}

/// Every text of a call's arguments, names that stand twice twice: JSON, or else one text. None where there are none.
pub(super) fn read(arguments: &str) -> Vec<Argument> {
    let mut found = Vec::new();
    read_text("", arguments, 0, &mut found);
    found
}

fn read_text(name: &str, text: &str, inside: usize, found: &mut Vec<Argument>) {
    if text.trim().is_empty() || text.trim() == "null" {
        return;
    }
    let opens = text.trim_start().starts_with(['{', '[', '"']);
    if opens && inside < INSIDE_MAX {
        let before = found.len();
        let mut json = serde_json::Deserializer::from_str(text);
        let walk = Texts { name, inside: inside + 1, found };
        if walk.deserialize(&mut json).is_ok() && json.end().is_ok() {
            return;
        }
        found.truncate(before);
    }
    found.push(Argument { name: name.to_owned(), text: text.to_owned() });
}

struct Texts<'n, 'f> {
    name: &'n str,
    inside: usize,
    found: &'f mut Vec<Argument>,
}

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        read_text(self.name, text, self.inside, self.found);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let before = self.found.len();
        let mut elements = 0;
        while seq
            .next_element_seed(Texts { name: self.name, inside: self.inside, found: &mut *self.found })?
            .is_some()
        {
            elements += 1;
        }
        // A program and its arguments in a list: together as well, as a shell would have them.
        let words = self.found.get(before..).unwrap_or_default();
        if elements > 1 && words.len() == elements {
            let quoted = |word: &Argument| format!("'{}'", word.text.replace('\'', "'\\''"));
            let text = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
            self.found.push(Argument { name: self.name.to_owned(), text });
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let plain = plain_name(&name);
            map.next_value_seed(Texts { name: &plain, inside: self.inside, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// `filePath`, `FILE-PATH` and `file path` as `file_path`.
fn plain_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut before = '_';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            plain.push('_');
        }
        match c {
            '-' | ' ' | '.' => plain.push('_'),
            c => plain.extend(c.to_lowercase()),
        }
        before = c;
    }
    plain
}
