//! From CEL's syntax tree to a typed condition: names are looked up in the schema, types are decided, words are held
//! against the closed lists they come from.

mod compare;

use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};

use self::compare::{arithmetic, comparison};
use super::expr::{Arithmetic, Compare, Number, Quantifier, Read, Test, Text, Texts};
use super::schema::{self, Kind, Table};
use super::yaml::nearest;

/// Deepest nesting of a condition.
pub const CONDITION_DEPTH_MAX: usize = 64;

/// Headers that carry what callers prove themselves with.
const CREDENTIALS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"];

/// A mistake in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Characters before it.
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// A condition that passed, and the facts it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) test: Test,
    pub(super) reads: Vec<Read>,
}

/// Checks one condition.
pub(super) fn check(root: &IdedExpr, info: &SourceInfo) -> Result<Checked, Vec<Problem>> {
    let mut checker = Checker { info, bound: Vec::new(), reads: Vec::new(), problems: Vec::new(), depth: 0 };
    match checker.test(root) {
        Some(test) if checker.problems.is_empty() => Ok(Checked { test, reads: checker.reads }),
        _ => Err(checker.problems),
    }
}

/// A value whose type is known.
enum Typed {
    Test(Test),
    Text(Text),
    Number(Number),
    Texts(Texts),
    Numbers(Vec<i64>),
    Table(Table),
}

impl Typed {
    fn name(&self) -> &'static str {
        match self {
            Self::Test(_) => "a boolean",
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Texts(_) => "a list of texts",
            Self::Numbers(_) => "a list of numbers",
            Self::Table(_) => "a table",
        }
    }
}

struct Checker<'e> {
    info: &'e SourceInfo,
    /// Names bound by `exists` and its like, outermost first.
    bound: Vec<String>,
    reads: Vec<Read>,
    problems: Vec<Problem>,
    depth: usize,
}

/// Nothing where a problem was noted.
type Maybe<T> = Option<T>;

impl Checker<'_> {
    fn problem<T>(&mut self, at: &IdedExpr, message: impl Into<String>, help: Option<String>) -> Maybe<T> {
        let offset = self.info.offset_for(at.id).map_or(0, |(start, _)| start as usize);
        self.problems.push(Problem { offset, message: message.into(), help });
        None
    }

    fn read(&mut self, read: Read) {
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    fn mismatch<T>(&mut self, at: &IdedExpr, got: &Typed, want: &str) -> Maybe<T> {
        self.problem(at, format!("this is {}, and {want} is needed here", got.name()), None)
    }

    fn test(&mut self, at: &IdedExpr) -> Maybe<Test> {
        match self.typed(at)? {
            Typed::Test(test) => Some(test),
            other => self.mismatch(at, &other, "a boolean"),
        }
    }

    fn text(&mut self, at: &IdedExpr) -> Maybe<Text> {
        match self.typed(at)? {
            Typed::Text(text) => Some(text),
            other => self.mismatch(at, &other, "a text"),
        }
    }

    fn typed(&mut self, at: &IdedExpr) -> Maybe<Typed> {
        if self.depth >= CONDITION_DEPTH_MAX {
            let message = format!("the condition is nested more than {CONDITION_DEPTH_MAX} deep");
            return self.problem(at, message, None);
        }
        self.depth += 1;
        let typed = self.typed_inner(at);
        self.depth -= 1;
        typed
    }

    fn typed_inner(&mut self, at: &IdedExpr) -> Maybe<Typed> {
        match &at.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(name) => {
                if let Some(index) = self.bound.iter().rposition(|bound| bound == name) {
                    return Some(Typed::Text(Text::Bound(self.bound.len() - 1 - index)));
                }
                self.field(at, name)
            }
            Expr::Select(select) => self.select(at, select),
            Expr::List(list) => self.list(at, &list.elements),
            Expr::Call(call) => self.call(at, call),
            Expr::Map(_) | Expr::Struct(_) => self.problem(at, "a condition cannot build mappings", None),
            Expr::Comprehension(_) | Expr::Unspecified => self.problem(at, "this cannot be read", None),
        }
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> Maybe<Typed> {
        match literal {
            LiteralValue::Boolean(value) => Some(Typed::Test(Test::Constant(*value.inner()))),
            LiteralValue::Int(value) => Some(Typed::Number(Number::Literal(*value.inner()))),
            LiteralValue::String(value) => Some(Typed::Text(Text::Literal(Arc::from(value.inner())))),
            LiteralValue::UInt(value) => match i64::try_from(*value.inner()) {
                Ok(value) => Some(Typed::Number(Number::Literal(value))),
                Err(_) => self.problem(at, "the number is too large", None),
            },
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::Null => self.problem(
                at,
                "no field holds a value of this type",
                Some("use texts, whole numbers, true and false; an absent text is \"\"".to_owned()),
            ),
        }
    }

    fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Maybe<Typed> {
        if let Some(parent) = path(&select.operand)
            && !self.bound.contains(&root(&parent).to_owned())
        {
            return match schema::find(&parent) {
                Some(Kind::Table(table)) => self.entry(at, table, &select.field),
                Some(Kind::Group | Kind::Refused(_)) => self.field(at, &format!("{parent}.{}", select.field)),
                Some(_) => self.problem(at, format!("`{parent}` has no fields"), None),
                None => self.field(&select.operand, &parent),
            };
        }
        self.problem(at, format!("nothing has a field `{}` here", select.field), None)
    }

    /// The value at a dotted path, or what is wrong with it.
    fn field(&mut self, at: &IdedExpr, path: &str) -> Maybe<Typed> {
        match schema::find(path) {
            Some(Kind::Text(field)) => {
                self.read(Read::Text(field));
                Some(Typed::Text(Text::Field(field)))
            }
            Some(Kind::Number(field)) => {
                self.read(Read::Number(field));
                Some(Typed::Number(Number::Field(field)))
            }
            Some(Kind::Flag(field)) => {
                self.read(Read::Flag(field));
                Some(Typed::Test(Test::Flag(field)))
            }
            Some(Kind::Texts(field)) => {
                self.read(Read::Texts(field));
                Some(Typed::Texts(Texts::Field(field)))
            }
            Some(Kind::Table(table)) => Some(Typed::Table(table)),
            Some(Kind::Refused(why)) => self.problem(at, format!("`{path}` {why}"), None),
            Some(Kind::Group) => {
                let help = format!("its fields are: {}", schema::children(path).join(", "));
                self.problem(at, format!("`{path}` is no value itself"), Some(help))
            }
            None => {
                let (parent, word) = path.rsplit_once('.').unwrap_or(("", path));
                match schema::find(parent) {
                    Some(Kind::Group) => {}
                    Some(Kind::Refused(_)) => return self.field(at, parent),
                    Some(_) => return self.problem(at, format!("`{parent}` has no fields"), None),
                    None if parent.is_empty() => {}
                    None => return self.field(at, parent),
                }
                let help = nearest(word, &schema::children(parent));
                let message = if parent.is_empty() {
                    format!("unknown name `{word}`")
                } else {
                    format!("`{parent}` has no field `{word}`")
                };
                self.problem(at, message, Some(help))
            }
        }
    }

    fn entry(&mut self, at: &IdedExpr, table: Table, name: &str) -> Maybe<Typed> {
        let name = self.entry_name(at, table, name)?;
        Some(Typed::Text(Text::Entry(table, name)))
    }

    fn entry_name(&mut self, at: &IdedExpr, table: Table, name: &str) -> Maybe<Arc<str>> {
        let name = match table {
            Table::Tags => name.to_owned(),
            Table::Headers => name.to_ascii_lowercase(),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return self.problem(
                at,
                "this name has other characters than letters, digits, `-`, `_` and `.`",
                None,
            );
        }
        if table == Table::Headers && CREDENTIALS.contains(&name.as_str()) {
            return self.problem(
                at,
                format!("`{name}` carries a credential, and rules cannot read it"),
                None,
            );
        }
        let name: Arc<str> = Arc::from(name);
        self.read(Read::Entry(table, Arc::clone(&name)));
        Some(name)
    }

    fn list(&mut self, at: &IdedExpr, elements: &[IdedExpr]) -> Maybe<Typed> {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for element in elements {
            match self.typed(element)? {
                Typed::Text(text) => texts.push(text),
                Typed::Number(Number::Literal(number)) => numbers.push(number),
                other => return self.mismatch(element, &other, "a text or a whole number written out"),
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (false, true) => Some(Typed::Texts(Texts::Literal(texts))),
            (true, false) => Some(Typed::Numbers(numbers)),
            (true, true) => self.problem(at, "the list is empty, so nothing is in it", None),
            (false, false) => self.problem(at, "the list mixes texts and numbers", None),
        }
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Maybe<Typed> {
        if let Some(target) = &call.target {
            return self.method(at, target, &call.func_name, &call.args);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [a, b]) => self.joined(a, b, true),
            (operators::LOGICAL_OR, [a, b]) => self.joined(a, b, false),
            (operators::LOGICAL_NOT, [a]) => Some(Typed::Test(Test::Not(Box::new(self.test(a)?)))),
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let parts = (self.test(condition), self.test(then), self.test(otherwise));
                let (Some(condition), Some(then), Some(otherwise)) = parts else { return None };
                Some(Typed::Test(Test::If(Box::new((condition, then, otherwise)))))
            }
            (operators::IN, [needle, list]) => self.membership(at, needle, list),
            (operators::INDEX, [target, index]) => self.index(at, target, index),
            (operators::NEGATE, [a]) => self.arithmetic(at, Arithmetic::Subtract, None, a),
            ("has", [field]) => self.has(at, field),
            ("size", [target]) => self.size(target),
            (name, [a, b]) => {
                if let Some(how) = comparison(name) {
                    return self.compare(at, how, a, b);
                }
                match arithmetic(name) {
                    Some(how) => self.arithmetic(at, how, Some(a), b),
                    None => self.unknown_function(at, name),
                }
            }
            (name, _) => self.unknown_function(at, name),
        }
    }

    fn unknown_function<T>(&mut self, at: &IdedExpr, name: &str) -> Maybe<T> {
        const FUNCTIONS: &[&str] = &[
            "size",
            "has",
            "startsWith",
            "endsWith",
            "contains",
            "lowerAscii",
            "exists",
            "all",
            "exists_one",
        ];
        let help = if FUNCTIONS.contains(&name) {
            format!("`{name}` is called with other arguments, or on a value of another type")
        } else {
            nearest(name, FUNCTIONS)
        };
        self.problem(at, format!("`{name}` cannot be used like this"), Some(help))
    }

    /// `&&` and `||`, flattened, so that a long chain is not deep.
    fn joined(&mut self, a: &IdedExpr, b: &IdedExpr, and: bool) -> Maybe<Typed> {
        let (a, b) = (self.test(a), self.test(b));
        let mut parts = Vec::new();
        for part in [a?, b?] {
            match part {
                Test::All(inner) if and => parts.extend(inner),
                Test::Any(inner) if !and => parts.extend(inner),
                other => parts.push(other),
            }
        }
        Some(Typed::Test(if and { Test::All(parts) } else { Test::Any(parts) }))
    }

    fn index(&mut self, at: &IdedExpr, target: &IdedExpr, index: &IdedExpr) -> Maybe<Typed> {
        match self.typed(target)? {
            Typed::Table(table) => match &index.expr {
                Expr::Literal(LiteralValue::String(name)) => self.entry(index, table, name.inner()),
                _ => self.problem(index, "the name in a table is a text written out", None),
            },
            other => {
                let help = "use `in`, `exists` or `all`".to_owned();
                self.problem(at, format!("{} has no places to ask for", other.name()), Some(help))
            }
        }
    }

    fn has(&mut self, at: &IdedExpr, field: &IdedExpr) -> Maybe<Typed> {
        let test = match self.typed(field)? {
            Typed::Text(Text::Entry(table, name)) => Test::Has(table, name),
            Typed::Text(text @ Text::Field(_)) => {
                Test::Text(Compare::Different, text, Text::Literal(Arc::from("")))
            }
            Typed::Texts(list @ Texts::Field(_)) => {
                Test::Number(Compare::Greater, Number::Count(list), Number::Literal(0))
            }
            _ => return self.problem(at, "`has` asks for a text, a list, a tag or a header", None),
        };
        Some(Typed::Test(test))
    }

    fn size(&mut self, target: &IdedExpr) -> Maybe<Typed> {
        match self.typed(target)? {
            Typed::Text(text) => Some(Typed::Number(Number::Length(text))),
            Typed::Texts(list) => Some(Typed::Number(Number::Count(list))),
            other => self.mismatch(target, &other, "a text or a list of texts"),
        }
    }

    fn method(&mut self, at: &IdedExpr, target: &IdedExpr, name: &str, args: &[IdedExpr]) -> Maybe<Typed> {
        match (name, args) {
            ("size", []) => self.size(target),
            ("lowerAscii", []) => Some(Typed::Text(Text::Lower(Box::new(self.text(target)?)))),
            ("startsWith" | "endsWith" | "contains", [part]) => {
                let (whole, part_text) = (self.text(target), self.text(part));
                let (whole, part_text) = (whole?, part_text?);
                self.fragment(part, &whole, &part_text, name)?;
                Some(Typed::Test(match name {
                    "startsWith" => Test::StartsWith(whole, part_text),
                    "endsWith" => Test::EndsWith(whole, part_text),
                    _ => Test::Contains(whole, part_text),
                }))
            }
            ("exists", [variable, body]) => self.each(at, Quantifier::Exists, target, variable, body),
            ("all", [variable, body]) => self.each(at, Quantifier::All, target, variable, body),
            ("exists_one" | "existsOne", [variable, body]) => {
                self.each(at, Quantifier::ExistsOne, target, variable, body)
            }
            _ => self.unknown_function(at, name),
        }
    }

    fn each(
        &mut self,
        at: &IdedExpr,
        quantifier: Quantifier,
        target: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
    ) -> Maybe<Typed> {
        let list = match self.typed(target)? {
            Typed::Texts(list) => list,
            other => return self.mismatch(target, &other, "a list of texts"),
        };
        let Expr::Ident(name) = &variable.expr else {
            return self.problem(variable, "a name for the element is needed here", None);
        };
        if schema::find(name).is_some() || self.bound.contains(name) {
            return self.problem(at, format!("`{name}` already means something else"), None);
        }
        self.bound.push(name.clone());
        let body = self.test(body);
        self.bound.pop();
        Some(Typed::Test(Test::Each(quantifier, list, Box::new(body?))))
    }
}

/// The dotted name that an expression spells, if it spells one.
fn path(at: &IdedExpr) -> Option<String> {
    match &at.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", path(&select.operand)?, select.field)),
        _ => None,
    }
}

fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}
