//! Evaluates conditions over facts. Reads a fact only when a condition asks for it, and copies nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::expr::{Arithmetic, Compare, Number, Quantifier, Test, Text, Texts};
use super::schema::{FlagField, NumberField, Table, TextField, TextsField, WEEKDAYS};
use super::{Facts, HeaderText};

/// A fact that could not be read, or arithmetic without a result. The rule decides which way it falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

type Outcome<T> = Result<T, Unreadable>;

/// The elements bound by `exists`, `all` and `exists_one`, innermost first.
struct Scope<'s> {
    element: &'s str,
    outer: Option<&'s Self>,
}

/// Whether `condition` holds.
pub(super) fn holds(condition: &Test, facts: &Facts<'_>) -> Outcome<bool> {
    test(condition, facts, None)
}

fn test(condition: &Test, facts: &Facts<'_>, scope: Option<&Scope<'_>>) -> Outcome<bool> {
    match condition {
        Test::Constant(value) => Ok(*value),
        Test::Flag(field) => Ok(flag(*field, facts)),
        Test::Not(inner) => Ok(!test(inner, facts, scope)?),
        Test::All(parts) => fold(parts.iter().map(|part| test(part, facts, scope)), false),
        Test::Any(parts) => fold(parts.iter().map(|part| test(part, facts, scope)), true),
        Test::Same(a, b) => Ok(test(a, facts, scope)? == test(b, facts, scope)?),
        Test::If(parts) => {
            let (condition, then, otherwise) = &**parts;
            test(if test(condition, facts, scope)? { then } else { otherwise }, facts, scope)
        }
        Test::Text(how, a, b) => {
            let (a, b) = (text(a, facts, scope)?, text(b, facts, scope)?);
            Ok(compare(*how, a.as_ref().cmp(b.as_ref())))
        }
        Test::Number(how, a, b) => Ok(compare(*how, number(a, facts, scope)?.cmp(&number(b, facts, scope)?))),
        Test::StartsWith(a, b) => Ok(text(a, facts, scope)?.starts_with(text(b, facts, scope)?.as_ref())),
        Test::EndsWith(a, b) => Ok(text(a, facts, scope)?.ends_with(text(b, facts, scope)?.as_ref())),
        Test::Contains(a, b) => Ok(text(a, facts, scope)?.contains(text(b, facts, scope)?.as_ref())),
        Test::In(needle, list) => {
            let needle = text(needle, facts, scope)?;
            each(list, facts, scope, true, |element| Ok(element == needle))
        }
        Test::NumberIn(needle, list) => Ok(list.contains(&number(needle, facts, scope)?)),
        Test::Has(table, name) => match entry(*table, name, facts) {
            HeaderText::Absent => Ok(false),
            HeaderText::Text(_) | HeaderText::Unreadable => Ok(true),
        },
        Test::Each(quantifier, list, body) => {
            let inner = |element: &str| test(body, facts, Some(&Scope { element, outer: scope }));
            match quantifier {
                Quantifier::Exists => each(list, facts, scope, true, inner),
                Quantifier::All => each(list, facts, scope, false, inner),
                Quantifier::ExistsOne => {
                    let mut count = 0_usize;
                    let counted = each(list, facts, scope, true, |element| {
                        count += usize::from(inner(element)?);
                        Ok(false)
                    });
                    counted.map(|_| count == 1)
                }
            }
        }
    }
}

/// `&&` (`decisive` is false) or `||` (true): the decisive value wins over a part that could not be read, as in CEL.
fn fold(parts: impl Iterator<Item = Outcome<bool>>, decisive: bool) -> Outcome<bool> {
    let mut failed = false;
    for part in parts {
        match part {
            Ok(value) if value == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(Unreadable) => failed = true,
        }
    }
    if failed { Err(Unreadable) } else { Ok(!decisive) }
}

/// [`fold`] over the elements of a list.
fn each(
    list: &Texts,
    facts: &Facts<'_>,
    scope: Option<&Scope<'_>>,
    decisive: bool,
    mut body: impl FnMut(&str) -> Outcome<bool>,
) -> Outcome<bool> {
    match list {
        Texts::Literal(items) => {
            fold(items.iter().map(|item| body(text(item, facts, scope)?.as_ref())), decisive)
        }
        Texts::Field(TextsField::Groups) => {
            fold(facts.principal.groups.iter().map(|group| body(group)), decisive)
        }
        Texts::Field(TextsField::Owners) => {
            fold(facts.connection.owners.iter().map(|owner| body(owner)), decisive)
        }
        Texts::Field(TextsField::Tools) => {
            fold(facts.operation.resource.tools.iter().map(|tool| body(tool)), decisive)
        }
        Texts::Field(TextsField::Fields) => {
            fold(facts.operation.fields.iter().map(|field| body(field)), decisive)
        }
        Texts::Field(field @ (TextsField::FindingDetectors | TextsField::FindingGroups)) => {
            fold(found(*field, facts).ok_or(Unreadable)?.iter().map(|name| body(name)), decisive)
        }
        Texts::Field(TextsField::RiskSignals) => {
            fold(facts.request.risk.ok_or(Unreadable)?.signals().iter().map(|it| body(it.as_str())), decisive)
        }
        Texts::Field(TextsField::ActingFor) => {
            fold(facts.principal.acting_for.iter().map(|actor| body(&actor.to_string())), decisive)
        }
    }
}

fn compare(how: Compare, order: Ordering) -> bool {
    match how {
        Compare::Equal => order.is_eq(),
        Compare::Different => order.is_ne(),
        Compare::Less => order.is_lt(),
        Compare::LessOrEqual => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::GreaterOrEqual => order.is_ge(),
    }
}

fn text<'v>(of: &'v Text, facts: &Facts<'v>, scope: Option<&Scope<'v>>) -> Outcome<Cow<'v, str>> {
    match of {
        Text::Literal(value) => Ok(Cow::Borrowed(value)),
        Text::Field(field) => text_field(*field, facts),
        Text::Entry(table, name) => match entry(*table, name, facts) {
            HeaderText::Absent => Ok(Cow::Borrowed("")),
            HeaderText::Text(value) => Ok(value),
            HeaderText::Unreadable => Err(Unreadable),
        },
        Text::Bound(depth) => {
            let mut at = scope;
            for _ in 0..*depth {
                at = at.and_then(|scope| scope.outer);
            }
            at.map(|scope| Cow::Borrowed(scope.element)).ok_or(Unreadable)
        }
        Text::Lower(inner) => Ok(Cow::Owned(text(inner, facts, scope)?.to_ascii_lowercase())),
    }
}

fn number(of: &Number, facts: &Facts<'_>, scope: Option<&Scope<'_>>) -> Outcome<i64> {
    match of {
        Number::Literal(value) => Ok(*value),
        Number::Field(field) => number_field(*field, facts),
        Number::Length(inner) => count(text(inner, facts, scope)?.chars().count()),
        Number::Count(Texts::Literal(items)) => count(items.len()),
        Number::Count(Texts::Field(field)) => count(match field {
            TextsField::Groups => facts.principal.groups.len(),
            TextsField::Owners => facts.connection.owners.len(),
            TextsField::ActingFor => facts.principal.acting_for.len(),
            TextsField::Tools => facts.operation.resource.tools.len(),
            TextsField::Fields => facts.operation.fields.len(),
            TextsField::FindingDetectors | TextsField::FindingGroups => {
                found(*field, facts).ok_or(Unreadable)?.len()
            }
            TextsField::RiskSignals => facts.request.risk.ok_or(Unreadable)?.signals().len(),
        }),
        Number::Arithmetic(how, parts) => {
            let (a, b) = (number(&parts.0, facts, scope)?, number(&parts.1, facts, scope)?);
            let result = match how {
                Arithmetic::Add => a.checked_add(b),
                Arithmetic::Subtract => a.checked_sub(b),
                Arithmetic::Multiply => a.checked_mul(b),
                Arithmetic::Divide => a.checked_div(b),
                Arithmetic::Remainder => a.checked_rem(b),
            };
            result.ok_or(Unreadable)
        }
    }
}

fn count(of: usize) -> Outcome<i64> {
    i64::try_from(of).map_err(|_| Unreadable)
}

/// The detectors that found something in the request, or their groups; none where it was not looked at.
pub(super) fn found<'v>(field: TextsField, facts: &Facts<'v>) -> Option<&'v [Arc<str>]> {
    let findings = facts.request.findings?;
    Some(if field == TextsField::FindingGroups { &findings.groups } else { &findings.detectors })
}

pub(super) fn flag(field: FlagField, facts: &Facts<'_>) -> bool {
    match field {
        FlagField::Stream => facts.operation.stream,
        FlagField::TouchesSecretFile => facts.operation.touches_secret_file,
        FlagField::FetchesPrivate => facts.operation.fetches_private,
    }
}

pub(super) fn text_field<'v>(field: TextField, facts: &Facts<'v>) -> Outcome<Cow<'v, str>> {
    let (principal, operation) = (facts.principal, facts.operation);
    Ok(Cow::Borrowed(match field {
        TextField::PrincipalId => return Ok(Cow::Owned(principal.to_string())),
        TextField::PrincipalIssuer => &principal.issuer,
        TextField::PrincipalSubject => &principal.subject,
        TextField::PrincipalKind => principal.kind.as_str(),
        TextField::ConnectionName => &facts.connection.name,
        TextField::ConnectionKind => facts.connection.kind.as_str(),
        TextField::UpstreamHost => &facts.connection.upstream.host,
        TextField::Class => operation.class.as_str(),
        TextField::Model => &operation.resource.model,
        TextField::File => &operation.resource.file,
        TextField::Method => &operation.method,
        TextField::Path => &operation.path,
        TextField::Query => &operation.query,
        TextField::Peer => {
            let peer = facts.request.peer.map(|peer| Cow::Owned(peer.to_string()));
            return Ok(peer.unwrap_or_default());
        }
        TextField::Weekday => {
            let day = clock(facts).ok_or(Unreadable)?.weekday().to_monday_zero_offset();
            let word = usize::try_from(day).ok().and_then(|day| WEEKDAYS.get(day));
            word.ok_or(Unreadable)?
        }
        TextField::Date => {
            let at = clock(facts).ok_or(Unreadable)?;
            return Ok(Cow::Owned(at.date().to_string()));
        }
    }))
}

pub(super) fn number_field(field: NumberField, facts: &Facts<'_>) -> Outcome<i64> {
    if field == NumberField::BodyBytes {
        let length = facts.operation.body_bytes.ok_or(Unreadable)?;
        return i64::try_from(length).map_err(|_| Unreadable);
    }
    if field == NumberField::FindingCount {
        let count = facts.request.findings.ok_or(Unreadable)?.count;
        return i64::try_from(count).map_err(|_| Unreadable);
    }
    if field == NumberField::RiskScore {
        return Ok(i64::from(facts.request.risk.ok_or(Unreadable)?.score()));
    }
    let at = clock(facts).ok_or(Unreadable)?;
    Ok(i64::from(match field {
        NumberField::BodyBytes | NumberField::FindingCount | NumberField::RiskScore => {
            return Err(Unreadable);
        }
        NumberField::Hour => i16::from(at.hour()),
        NumberField::Minute => i16::from(at.minute()),
        NumberField::Day => i16::from(at.day()),
        NumberField::Month => i16::from(at.month()),
        NumberField::Year => at.year(),
    }))
}

pub(super) fn entry<'v>(table: Table, name: &str, facts: &Facts<'v>) -> HeaderText<'v> {
    match table {
        Table::Tags => {
            let tag = facts.connection.tags.get(name);
            tag.map_or(HeaderText::Absent, |value| HeaderText::Text(Cow::Borrowed(value)))
        }
        Table::Headers => facts.request.headers.header(name),
    }
}

/// The moment in UTC; none outside of the calendar.
fn clock(facts: &Facts<'_>) -> Option<jiff::civil::DateTime> {
    let at = jiff::Timestamp::from_microsecond(facts.now.micros()).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(at))
}
