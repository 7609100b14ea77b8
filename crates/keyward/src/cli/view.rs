//! Parts of answers as people read them.

use serde_json::Value;

use super::output::Output;
use super::safe;

/// The text at a JSON pointer; empty when there is none.
pub(super) fn at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => safe::line(text),
        Some(other) => safe::line(&other.to_string()),
    }
}

/// A member of an object; null when there is none.
pub(super) fn part<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Whether `true` stands at a JSON pointer.
pub(super) fn is_true(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer) == Some(&Value::Bool(true))
}

/// The values in the list at a JSON pointer.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A person or principal: the name when there is one, else the subject.
pub(super) fn person(value: &Value) -> String {
    let name = at(value, "/name");
    if name.is_empty() { at(value, "/subject") } else { name }
}

/// A person or principal beyond doubt: `ISSUER#SUBJECT`, with the name.
pub(super) fn exact_person(value: &Value) -> String {
    let reference = format!("{}#{}", at(value, "/issuer"), at(value, "/subject"));
    let name = at(value, "/name");
    if name.is_empty() { reference } else { format!("{name} ({reference})") }
}

/// An operation in a few words.
pub(super) fn operation(value: &Value) -> String {
    let (class, model) = (at(value, "/class"), at(value, "/model"));
    if model.is_empty() { format!("{class} {}", at(value, "/path")) } else { format!("{class} {model}") }
}

/// Says how to go on where there is more.
pub(super) fn more(output: Output, answer: &Value, option: &str) {
    let next = at(answer, "/next");
    if !next.is_empty() {
        output.say(&format!("there is more: {option} {next}\n"));
    }
    if is_true(answer, "/truncated") {
        output.say("more match than are looked through: narrow the question with --since and --until\n");
    }
}

/// Lines of a label and a value; those without a value are left out.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let line = |(label, value): &(&str, String)| format!("{label:width$}  {value}\n");
    rows.iter().filter(|(_, value)| !value.is_empty()).map(line).collect()
}
