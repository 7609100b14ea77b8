//! The fields that a condition may name. What is not in this table does not compile.

use super::expr::Read;
use crate::{ConnectionKind, OperationClass};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text(TextField),
    Number(NumberField),
    Flag(FlagField),
    Texts(TextsField),
    /// Name → text, read by `.name` or `["name"]`.
    Table(Table),
    /// Fields stand below it; it is no value itself.
    Group,
    /// Known, but not to be decided on; the reason.
    Refused(&'static str),
}

/// A text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TextField {
    PrincipalId,
    PrincipalIssuer,
    PrincipalSubject,
    PrincipalKind,
    ConnectionName,
    ConnectionKind,
    UpstreamHost,
    Class,
    Model,
    File,
    Method,
    Path,
    Query,
    Peer,
    Weekday,
    Date,
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NumberField {
    BodyBytes,
    FindingCount,
    RiskScore,
    Hour,
    Minute,
    Day,
    Month,
    Year,
}

/// A boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FlagField {
    Stream,
    TouchesSecretFile,
    FetchesPrivate,
}

/// A list of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TextsField {
    Groups,
    Owners,
    ActingFor,
    Tools,
    Fields,
    FindingDetectors,
    FindingGroups,
    RiskSignals,
}

/// A table of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Tags,
    Headers,
}

/// Every path and what it holds.
pub(super) const FIELDS: &[(&str, Kind)] = &[
    ("principal", Kind::Group),
    ("principal.id", Kind::Text(TextField::PrincipalId)),
    ("principal.issuer", Kind::Text(TextField::PrincipalIssuer)),
    ("principal.subject", Kind::Text(TextField::PrincipalSubject)),
    ("principal.kind", Kind::Text(TextField::PrincipalKind)),
    ("principal.groups", Kind::Texts(TextsField::Groups)),
    ("principal.acting_for", Kind::Texts(TextsField::ActingFor)),
    (
        "principal.name",
        Kind::Refused("is for people to read; decide by `principal.id`, `subject` or `groups`"),
    ),
    ("connection", Kind::Group),
    ("connection.name", Kind::Text(TextField::ConnectionName)),
    ("connection.kind", Kind::Text(TextField::ConnectionKind)),
    ("connection.tags", Kind::Table(Table::Tags)),
    ("connection.owners", Kind::Texts(TextsField::Owners)),
    ("connection.upstream", Kind::Group),
    ("connection.upstream.host", Kind::Text(TextField::UpstreamHost)),
    ("operation", Kind::Group),
    ("operation.class", Kind::Text(TextField::Class)),
    ("operation.resource", Kind::Group),
    ("operation.resource.model", Kind::Text(TextField::Model)),
    ("operation.resource.file", Kind::Text(TextField::File)),
    ("operation.resource.tools", Kind::Texts(TextsField::Tools)),
    ("operation.method", Kind::Text(TextField::Method)),
    ("operation.path", Kind::Text(TextField::Path)),
    ("operation.query", Kind::Text(TextField::Query)),
    ("operation.stream", Kind::Flag(FlagField::Stream)),
    ("operation.body_bytes", Kind::Number(NumberField::BodyBytes)),
    ("operation.touches_secret_file", Kind::Flag(FlagField::TouchesSecretFile)),
    ("operation.fetches_private", Kind::Flag(FlagField::FetchesPrivate)),
    ("operation.fields", Kind::Texts(TextsField::Fields)),
    ("request", Kind::Group),
    ("request.headers", Kind::Table(Table::Headers)),
    ("request.peer", Kind::Text(TextField::Peer)),
    ("time", Kind::Group),
    ("time.hour", Kind::Number(NumberField::Hour)),
    ("time.minute", Kind::Number(NumberField::Minute)),
    ("time.day", Kind::Number(NumberField::Day)),
    ("time.month", Kind::Number(NumberField::Month)),
    ("time.year", Kind::Number(NumberField::Year)),
    ("time.weekday", Kind::Text(TextField::Weekday)),
    ("time.date", Kind::Text(TextField::Date)),
    ("finding", Kind::Group),
    ("finding.detectors", Kind::Texts(TextsField::FindingDetectors)),
    ("finding.groups", Kind::Texts(TextsField::FindingGroups)),
    ("finding.count", Kind::Number(NumberField::FindingCount)),
    ("risk", Kind::Group),
    ("risk.score", Kind::Number(NumberField::RiskScore)),
    ("risk.signals", Kind::Texts(TextsField::RiskSignals)),
];

/// The name of what a condition reads.
pub(super) fn name(read: &Read) -> &'static str {
    let kind = match read {
        Read::Text(field) => Kind::Text(*field),
        Read::Number(field) => Kind::Number(*field),
        Read::Flag(field) => Kind::Flag(*field),
        Read::Texts(field) => Kind::Texts(*field),
        Read::Entry(table, _) => Kind::Table(*table),
    };
    FIELDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| *name)
}

/// What stands at `path`.
pub(super) fn find(path: &str) -> Option<Kind> {
    FIELDS.iter().find(|(name, _)| *name == path).map(|(_, kind)| *kind)
}

/// The words that may stand directly below `parent` (or at the top, for the empty parent).
pub(super) fn children(parent: &str) -> Vec<&'static str> {
    let below = |name: &'static str| {
        let rest = if parent.is_empty() { name } else { name.strip_prefix(parent)?.strip_prefix('.')? };
        (!rest.contains('.')).then_some(rest)
    };
    FIELDS.iter().filter_map(|(name, _)| below(name)).collect()
}

/// The days as `time.weekday` names them.
pub(super) const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The only words a field can hold, where there is such a list: comparing it with another word is a mistake.
pub(super) fn words(field: TextField) -> Option<Vec<&'static str>> {
    match field {
        TextField::Class => Some(OperationClass::ALL.iter().map(|class| class.as_str()).collect()),
        TextField::PrincipalKind => Some(vec!["user", "service", "agent"]),
        TextField::ConnectionKind => Some(ConnectionKind::ALL.iter().map(|kind| kind.as_str()).collect()),
        TextField::Weekday => Some(WEEKDAYS.to_vec()),
        _ => None,
    }
}
