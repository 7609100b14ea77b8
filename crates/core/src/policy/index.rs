//! Which rules can apply to an operation at all, by its class and its connection.
//!
//! Promise: a rule that is left out for an operation has a condition that is false for it, whatever the other facts are,
//! and whether or not they can be read: asking it would change nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Rule;
use super::expr::{Compare, Test, Text, Texts};
use super::schema::TextField;
use crate::OperationClass;

/// A set of classes, one bit for each.
type Classes = u64;

const ALL: Classes = match OperationClass::ALL.len() {
    64.. => panic!("more classes than bits"),
    count => (1 << count) - 1,
};

/// Rules by class, then by connection; each list is sorted.
pub(super) struct Index {
    by_class: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    /// Rules that may apply to any connection.
    any: Vec<usize>,
    /// Rules that apply to connections of these names alone.
    named: HashMap<Arc<str>, Vec<usize>>,
}

impl Index {
    /// Of rules in their order.
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut by_class: Vec<Lane> = OperationClass::ALL.iter().map(|_| Lane::default()).collect();
        for (number, rule) in rules.iter().enumerate() {
            let (classes, names) = (not_false(&rule.condition), names(&rule.condition));
            for (class, lane) in by_class.iter_mut().enumerate() {
                if classes & (1 << class) == 0 {
                    continue;
                }
                match &names {
                    None => lane.any.push(number),
                    Some(names) => {
                        for name in names {
                            lane.named.entry(Arc::clone(name)).or_default().push(number);
                        }
                    }
                }
            }
        }
        Self { by_class }
    }

    /// The rules that may apply, in their order.
    pub(super) fn candidates(&self, class: OperationClass, connection: &str) -> impl Iterator<Item = usize> {
        let lane = self.by_class.get(class as usize);
        let mut any = lane.map(|lane| &*lane.any).unwrap_or_default().iter().copied().peekable();
        let named = lane.and_then(|lane| lane.named.get(connection)).map(|list| &**list).unwrap_or_default();
        let mut named = named.iter().copied().peekable();
        std::iter::from_fn(move || match (any.peek(), named.peek()) {
            (Some(a), Some(b)) if b < a => named.next(),
            (Some(_), _) => any.next(),
            (None, _) => named.next(),
        })
    }
}

/// Classes for which a condition may be anything but false: true, or not to be evaluated.
fn not_false(test: &Test) -> Classes {
    match test {
        Test::Constant(value) => {
            if *value {
                ALL
            } else {
                0
            }
        }
        Test::Not(inner) => not_true(inner),
        // A part that is false makes the whole false, also beside one that cannot be read.
        Test::All(parts) => parts.iter().fold(ALL, |set, part| set & not_false(part)),
        Test::Any(parts) => parts.iter().fold(0, |set, part| set | not_false(part)),
        test => exact(test).unwrap_or(ALL),
    }
}

/// Classes for which a condition may be anything but true.
fn not_true(test: &Test) -> Classes {
    match test {
        Test::Constant(value) => {
            if *value {
                0
            } else {
                ALL
            }
        }
        Test::Not(inner) => not_false(inner),
        Test::All(parts) => parts.iter().fold(0, |set, part| set | not_true(part)),
        Test::Any(parts) => parts.iter().fold(ALL, |set, part| set & not_true(part)),
        test => exact(test).map_or(ALL, |set| ALL & !set),
    }
}

/// The classes for which a condition on the class alone is true.
fn exact(test: &Test) -> Option<Classes> {
    match test {
        Test::Text(Compare::Equal, a, b) => compared(TextField::Class, a, b).map(bit),
        Test::Text(Compare::Different, a, b) => compared(TextField::Class, a, b).map(|word| ALL & !bit(word)),
        Test::In(Text::Field(TextField::Class), list) => {
            Some(literals(list)?.into_iter().fold(0, |set, word| set | bit(word)))
        }
        Test::StartsWith(Text::Field(TextField::Class), Text::Literal(start)) => {
            let begins = OperationClass::ALL.iter().filter(|class| class.as_str().starts_with(&**start));
            Some(begins.fold(0, |set, class| set | 1 << *class as usize))
        }
        _ => None,
    }
}

/// The names of the only connections for which a condition may be anything but false; none where it may be any.
fn names(test: &Test) -> Option<BTreeSet<Arc<str>>> {
    match test {
        Test::Constant(false) => Some(BTreeSet::new()),
        Test::Text(Compare::Equal, a, b) => {
            compared(TextField::ConnectionName, a, b).map(|name| BTreeSet::from([Arc::clone(name)]))
        }
        Test::In(Text::Field(TextField::ConnectionName), list) => {
            Some(literals(list)?.into_iter().map(Arc::clone).collect())
        }
        Test::All(parts) => {
            parts.iter().filter_map(names).reduce(|a, b| a.intersection(&b).cloned().collect())
        }
        Test::Any(parts) => parts.iter().map(names).try_fold(BTreeSet::new(), |mut all, part| {
            all.extend(part?);
            Some(all)
        }),
        _ => None,
    }
}

/// The literal that a field is compared with.
fn compared<'t>(field: TextField, a: &'t Text, b: &'t Text) -> Option<&'t Arc<str>> {
    match (a, b) {
        (Text::Field(found), Text::Literal(word)) | (Text::Literal(word), Text::Field(found)) => {
            (*found == field).then_some(word)
        }
        _ => None,
    }
}

/// The elements of a list, where all of them are literals.
fn literals(list: &Texts) -> Option<Vec<&Arc<str>>> {
    let Texts::Literal(items) = list else { return None };
    items
        .iter()
        .map(|item| match item {
            Text::Literal(word) => Some(word),
            _ => None,
        })
        .collect()
}

fn bit(word: &Arc<str>) -> Classes {
    word.parse::<OperationClass>().map_or(0, |class| 1 << class as usize)
}
