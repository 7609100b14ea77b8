//! Conditions as typed trees: what CEL's syntax becomes once every name and type was checked. A tree of these types
//! cannot ask for a field that does not exist and cannot mix types, so that evaluating it fails only where a fact
//! itself cannot be read.

use std::sync::Arc;

use super::schema::{FlagField, NumberField, Table, TextField, TextsField};

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Constant(bool),
    Flag(FlagField),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    /// `a == b` of booleans.
    Same(Box<Self>, Box<Self>),
    If(Box<(Self, Self, Self)>),
    Text(Compare, Text, Text),
    Number(Compare, Number, Number),
    StartsWith(Text, Text),
    EndsWith(Text, Text),
    Contains(Text, Text),
    In(Text, Texts),
    NumberIn(Number, Vec<i64>),
    /// Whether a table has the name.
    Has(Table, Arc<str>),
    /// `exists`, `all`, `exists_one`: the element is bound one level deeper.
    Each(Quantifier, Texts, Box<Self>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How many elements must satisfy a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Exists,
    All,
    ExistsOne,
}

/// Something that is a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Literal(Arc<str>),
    Field(TextField),
    /// A table's value; empty where absent.
    Entry(Table, Arc<str>),
    /// The element bound `0` levels out, `1`, ….
    Bound(usize),
    Lower(Box<Self>),
}

/// Something that is a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    Literal(i64),
    Field(NumberField),
    /// Characters of a text.
    Length(Text),
    /// Elements of a list.
    Count(Texts),
    Arithmetic(Arithmetic, Box<(Self, Self)>),
}

/// What is done with two numbers; overflow and division by zero make the condition fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Something that is a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Texts {
    Literal(Vec<Text>),
    Field(TextsField),
}

/// A fact that a condition reads: the parts of a decision's cache key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Read {
    Text(TextField),
    Number(NumberField),
    Flag(FlagField),
    Texts(TextsField),
    Entry(Table, Arc<str>),
}
