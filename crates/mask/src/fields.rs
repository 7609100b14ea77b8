//! Which places are masked, or left alone, by what they are called.

use std::collections::{BTreeMap, HashMap};

use keyward_core::field::{Step, StepName};
use keyward_core::{Field, FieldRule, JsonPath};
use keyward_wire::json::{Path, Segment};

use crate::style::Mark;

/// The fields of a profile.
#[derive(Default)]
pub(crate) struct Fields {
    marks: Vec<Mark>,
    paths: Vec<(JsonPath, u32)>,
    headers: HashMap<Box<str>, u32>,
    forms: HashMap<Box<[u8]>, u32>,
    except: Vec<JsonPath>,
}

impl Fields {
    /// Of two rules for the same place the style holds that shows less.
    pub(crate) fn new(rules: Vec<FieldRule>, mut except: Vec<JsonPath>) -> Self {
        let mut styles = BTreeMap::new();
        for FieldRule { field, style } in rules {
            styles
                .entry(field)
                .and_modify(|known: &mut keyward_core::Style| *known = known.or(style))
                .or_insert(style);
        }
        let mut fields = Self::default();
        for ((field, style), index) in styles.into_iter().zip(0u32..) {
            let name = match &field {
                Field::Path(path) => last_name(path),
                Field::Header(name) | Field::Form(name) => name,
            };
            let name = format!("field:{name}");
            fields.marks.push(Mark::new(&name, &name, style));
            match field {
                Field::Path(path) => fields.paths.push((path, index)),
                Field::Header(name) => _ = fields.headers.insert((*name).into(), index),
                Field::Form(name) => _ = fields.forms.insert(name.as_bytes().into(), index),
            }
        }
        except.sort_unstable();
        except.dedup();
        fields.except = except;
        fields
    }

    pub(crate) fn mark(&self, field: u32) -> Option<&Mark> {
        self.marks.get(field as usize)
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// The field that lies at `path` or around it.
    pub(crate) fn at(&self, path: &Path) -> Option<u32> {
        self.paths.iter().find(|(pattern, _)| covers(pattern.steps(), path)).map(|(_, field)| *field)
    }

    /// Whether no detector looks at what lies at `path`.
    pub(crate) fn excepts(&self, path: &Path) -> bool {
        self.except.iter().any(|pattern| covers(pattern.steps(), path))
    }

    pub(crate) fn header(&self, name: &str) -> Option<u32> {
        if self.headers.is_empty() {
            return None;
        }
        self.headers.get(name.to_ascii_lowercase().as_str()).copied()
    }

    pub(crate) fn form(&self, name: &[u8]) -> Option<u32> {
        self.forms.get(name).copied()
    }
}

/// The last name of a path.
fn last_name(path: &JsonPath) -> &str {
    let key = |step: &Step| matches!(step.name, StepName::Key(_));
    match path.steps().iter().rfind(|step| key(step)).map(|step| &step.name) {
        Some(StepName::Key(key)) => key,
        _ => "value",
    }
}

/// Whether `steps` lead to the value at `path`, or to what is around it.
///
/// Between two `..` the steps are one chain; the first place where a chain fits leaves the most of the path to the next
/// one, so none has to be tried twice.
fn covers(steps: &[Step], path: &Path) -> bool {
    let mut from = 0;
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let length = 1 + rest.iter().skip(1).take_while(|step| !step.deep).count();
        let (chain, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let last = path.depth().checked_sub(length).filter(|last| from <= *last);
        let Some(last) = last else { return false };
        let until = if first.deep { last } else { from };
        let fits =
            |at: usize| chain.iter().zip(at..).all(|(step, level)| is(path.segment(level), &step.name));
        let Some(at) = (from..=until).find(|at| fits(*at)) else { return false };
        from = at + length;
        rest = after;
    }
    true
}

fn is(segment: Option<Segment<'_>>, name: &StepName) -> bool {
    match (segment, name) {
        (Some(Segment::Key(key)), StepName::Key(name)) => key == name.as_bytes(),
        (Some(Segment::Index(index)), StepName::Index(wanted)) => index == *wanted,
        (Some(_), StepName::Any) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use keyward_wire::json::{Scanner, Token};

    use super::*;

    /// The text of every scalar that a path covers.
    fn covered(pattern: &str, document: &str) -> Vec<String> {
        let pattern = JsonPath::parse(pattern).unwrap();
        let mut scanner = Scanner::new();
        let mut rest = document.as_bytes();
        let mut found = Vec::new();
        while !rest.is_empty() {
            let step = scanner.step(rest);
            if matches!(step.token, Token::Scalar(_)) && covers(pattern.steps(), scanner.path()) {
                found.push(String::from_utf8(scanner.scalar().to_vec()).unwrap());
            }
            rest = &rest[step.used..];
        }
        found
    }

    #[test]
    fn a_path_covers_its_place_and_what_is_inside() {
        let document = r#"{"a":{"b":1,"c":[2,{"b":3,"d":[4]}]},"b":{"x":5},"c":[[6],7]}"#;
        for (pattern, expected) in [
            ("$.a.b", vec!["1"]),
            ("$.a", vec!["1", "2", "3", "4"]),
            ("$..b", vec!["1", "3", "5"]),
            ("$.a..b", vec!["1", "3"]),
            ("$..c[*]", vec!["2", "3", "4", "6", "7"]),
            ("$..c[1]", vec!["3", "4", "7"]),
            ("$..c..b", vec!["3"]),
            ("$.*.b", vec!["1"]),
            ("$..[0]", vec!["2", "4", "6"]),
            ("$..c..[0]", vec!["2", "4", "6"]),
            ("$.a.a", vec![]),
            ("$.b.x.y", vec![]),
            ("$.c.b", vec![]),
        ] {
            assert_eq!(covered(pattern, document), expected, "{pattern}");
        }
    }
}
