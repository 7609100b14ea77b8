//! Comparisons: what may be compared with what, and whether it can ever be equal.

use cel::common::ast::{Expr, IdedExpr, operators};

use super::{Checker, Maybe, Typed};
use crate::policy::expr::{Arithmetic, Compare, Number, Test, Text, Texts};
use crate::policy::schema::{self, TextField};
use crate::policy::yaml::nearest;

impl Checker<'_> {
    pub(super) fn compare(
        &mut self,
        at: &IdedExpr,
        how: Compare,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Maybe<Typed> {
        let (left, right) = (self.typed(a), self.typed(b));
        let test = match (left?, right?) {
            (Typed::Text(left), Typed::Text(right)) => {
                if matches!(how, Compare::Equal | Compare::Different) {
                    self.possible(b, &left, &right)?;
                    self.possible(a, &right, &left)?;
                }
                Test::Text(how, left, right)
            }
            (Typed::Number(left), Typed::Number(right)) => Test::Number(how, left, right),
            (Typed::Test(left), Typed::Test(right)) => {
                let same = Test::Same(Box::new(left), Box::new(right));
                match how {
                    Compare::Equal => same,
                    Compare::Different => Test::Not(Box::new(same)),
                    _ => return self.problem(at, "booleans have no order", None),
                }
            }
            (Typed::Texts(_) | Typed::Numbers(_) | Typed::Table(_), _) => {
                let help = "use `in`, `exists` or `all`".to_owned();
                return self.problem(at, "lists and tables are not compared as a whole", Some(help));
            }
            (left, right) => {
                let message = format!("{} is compared with {}", left.name(), right.name());
                return self.problem(at, message, None);
            }
        };
        Some(Typed::Test(test))
    }

    /// Refuses a literal that `field` can never equal.
    pub(super) fn possible(&mut self, at: &IdedExpr, field: &Text, literal: &Text) -> Maybe<()> {
        let (Text::Field(field), Text::Literal(word)) = (field, literal) else { return Some(()) };
        if let Some(words) = schema::words(*field)
            && !words.contains(&&**word)
        {
            let message = format!("\"{word}\" is not {}", described(*field));
            return self.problem(at, message, Some(nearest(word, &words)));
        }
        match field {
            TextField::Method if word.bytes().any(|b| b.is_ascii_lowercase()) => {
                let help = format!("write \"{}\"", word.to_ascii_uppercase());
                self.problem(at, format!("methods are upper case, so none is \"{word}\""), Some(help))
            }
            TextField::Path if !word.starts_with('/') => {
                self.problem(at, format!("paths start with `/`, so none is \"{word}\""), None)
            }
            _ => Some(()),
        }
    }

    pub(super) fn membership(&mut self, at: &IdedExpr, needle: &IdedExpr, list: &IdedExpr) -> Maybe<Typed> {
        let (needle_typed, list_typed) = (self.typed(needle), self.typed(list));
        let test = match (needle_typed?, list_typed?) {
            (Typed::Text(text), Typed::Texts(items)) => {
                if let (Texts::Literal(literals), Expr::List(elements)) = (&items, &list.expr) {
                    for (literal, element) in literals.iter().zip(&elements.elements) {
                        self.possible(element, &text, literal)?;
                        self.possible(needle, literal, &text)?;
                    }
                }
                Test::In(text, items)
            }
            (Typed::Number(number), Typed::Numbers(items)) => Test::NumberIn(number, items),
            (Typed::Text(Text::Literal(name)), Typed::Table(table)) => {
                Test::Has(table, self.entry_name(needle, table, &name)?)
            }
            (_, Typed::Table(_)) => {
                return self.problem(needle, "the name in a table is a text written out", None);
            }
            (needle, list) => {
                let message = format!("{} is looked for in {}", needle.name(), list.name());
                return self.problem(at, message, None);
            }
        };
        Some(Typed::Test(test))
    }

    pub(super) fn arithmetic(
        &mut self,
        at: &IdedExpr,
        how: Arithmetic,
        a: Option<&IdedExpr>,
        b: &IdedExpr,
    ) -> Maybe<Typed> {
        let left = a.map_or(Some(Typed::Number(Number::Literal(0))), |a| self.typed(a));
        match (left?, self.typed(b)?) {
            (Typed::Number(left), Typed::Number(right)) => {
                Some(Typed::Number(Number::Arithmetic(how, Box::new((left, right)))))
            }
            (left, right) => {
                let message = format!(
                    "only numbers are added, subtracted, multiplied and divided, not {} and {}",
                    left.name(),
                    right.name()
                );
                self.problem(at, message, None)
            }
        }
    }

    /// Refuses a fragment that no word of the field's list has.
    pub(super) fn fragment(&mut self, at: &IdedExpr, whole: &Text, part: &Text, how: &str) -> Maybe<()> {
        let Text::Literal(part) = part else { return Some(()) };
        if part.is_empty() {
            return self.problem(at, "every text has the empty text in it", None);
        }
        let Text::Field(field) = whole else { return Some(()) };
        let fits = |word: &&str| match how {
            "startsWith" => word.starts_with(&**part),
            "endsWith" => word.ends_with(&**part),
            _ => word.contains(&**part),
        };
        if let Some(words) = schema::words(*field)
            && !words.iter().any(fits)
        {
            let message = format!("\"{part}\" fits nothing that is {}", described(*field));
            return self.problem(at, message, Some(nearest(part, &words)));
        }
        if *field == TextField::Path && how == "startsWith" && !part.starts_with('/') {
            return self.problem(at, format!("paths start with `/`, so none starts with \"{part}\""), None);
        }
        Some(())
    }
}

fn described(field: TextField) -> &'static str {
    match field {
        TextField::Class => "an operation class",
        TextField::PrincipalKind => "a kind of principal",
        TextField::ConnectionKind => "a kind of connection",
        TextField::Weekday => "a day of the week",
        _ => "a value of this field",
    }
}

pub(super) fn comparison(operator: &str) -> Option<Compare> {
    Some(match operator {
        operators::EQUALS => Compare::Equal,
        operators::NOT_EQUALS => Compare::Different,
        operators::LESS => Compare::Less,
        operators::LESS_EQUALS => Compare::LessOrEqual,
        operators::GREATER => Compare::Greater,
        operators::GREATER_EQUALS => Compare::GreaterOrEqual,
        _ => return None,
    })
}

pub(super) fn arithmetic(operator: &str) -> Option<Arithmetic> {
    Some(match operator {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}
