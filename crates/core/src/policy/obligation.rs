//! What a rule with `effect: mask` asks for.

use std::sync::Arc;

use super::yaml::{At, Report, near};
use crate::field::{FIELD_BYTES_MAX, FIELDS_MAX};
use crate::finding::Place;
use crate::{Field, FieldRule, JsonPath, MaskRule, Style};

const DETECT_HELP: &str = "`keyward mask --list` shows the names; those of your own packs count once `detectors` of the \
configuration names the pack";
/// Headers that an answer cannot be read without.
const FRAMING: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const PATH_HELP: &str = "a path is written like $.user.email, $..api_key or $.items[*].ssn";

pub(super) fn read(report: &mut Report<'_>, node: &At, detectors: &[&str]) -> Option<MaskRule> {
    let map = report.map(node, "mask", &["detect", "where", "style", "fields", "except"])?;
    let style =
        map.get("style").map_or(Some(Style::Redact), |style| report.word(style, "style", &Style::ALL));
    let fields = map.get("fields").map(|fields| read_fields(report, fields, style.unwrap_or_default()));
    let except = map.get("except").map(|except| read_except(report, except));
    let names = match map.get("detect") {
        None if fields.is_some() || except.is_some() => Vec::new(),
        None => {
            report.at(map.at, "the rule masks nothing: it has neither `detect` nor `fields`", None);
            Vec::new()
        }
        Some(detect) => {
            let names = report.texts(detect, "detect");
            if names.is_empty() {
                report.at(detect.referenced, "the rule masks nothing: `detect` is empty", None);
            }
            names
        }
    };
    for (name, at) in &names {
        if !detectors.contains(name) {
            let message = format!("there is no detector and no group of detectors `{name}`");
            let help = near(name, detectors).map_or_else(
                || DETECT_HELP.to_owned(),
                |near| format!("did you mean `{near}`? {DETECT_HELP}"),
            );
            report.at(*at, message, Some(help));
        }
    }
    let places_node = map.need(report, "where", "mask")?;
    let places = read_places(report, places_node);
    let fields = fields.unwrap_or_default();
    let wanted = |field: &FieldRule| match field.field {
        Field::Header(_) => places.contains(&Place::Headers),
        Field::Path(_) | Field::Form(_) => places.iter().any(|place| *place != Place::Headers),
    };
    if let Some(field) = fields.iter().find(|field| !wanted(field)) {
        let help = "add `headers` for a header, `response`, `stream` or `errors` for what is in a body";
        let message = format!("`{}` is nowhere that `where` names", field.field);
        report.at(places_node.referenced, message, Some(help.to_owned()));
    }
    Some(MaskRule {
        rule: Arc::from(""),
        detect: names.iter().map(|(name, _)| Arc::from(*name)).collect(),
        places,
        style: style?,
        fields,
        except: except.unwrap_or_default(),
    })
}

fn read_places(report: &mut Report<'_>, node: &At) -> Vec<Place> {
    let words = [
        ("response", Place::Response),
        ("stream", Place::Stream),
        ("headers", Place::Headers),
        ("errors", Place::Errors),
        ("request", Place::Request),
    ];
    let mut places = Vec::new();
    let items = report.list(node, "where");
    for item in items {
        if let Some(place) = report.word(item, "where", &words).filter(|place| !places.contains(place)) {
            places.push(place);
        }
    }
    // A word that is no place is told already.
    if items.is_empty() {
        report.at(node.referenced, "the rule masks nowhere: `where` names no place", None);
    }
    places
}

fn read_fields(report: &mut Report<'_>, node: &At, style: Style) -> Vec<FieldRule> {
    let items = report.list(node, "fields");
    bounded(report, node, items.len(), "fields");
    items.iter().filter_map(|item| read_field(report, item, style)).collect()
}

fn read_field(report: &mut Report<'_>, node: &At, style: Style) -> Option<FieldRule> {
    let map = report.map(node, "a field", &["path", "header", "form", "style"])?;
    let style = map.get("style").map_or(Some(style), |node| report.word(node, "style", &Style::ALL));
    let named: Vec<(&str, &At)> =
        ["path", "header", "form"].into_iter().filter_map(|key| Some((key, map.get(key)?))).collect();
    let [(key, value)] = named.as_slice() else {
        let help = Some("one of them a field".to_owned());
        report.at(map.at, "a field has one of `path`, `header` and `form`", help);
        return None;
    };
    let text = report.text(value, key)?;
    let field = match *key {
        "path" => Field::Path(read_path(report, value, text)?),
        "header" => {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if text.is_empty() || text.len() > FIELD_BYTES_MAX || !text.bytes().all(token) {
                report.at(value.referenced, format!("`{text}` is no name of a header"), None);
                return None;
            }
            let name = text.to_ascii_lowercase();
            if FRAMING.contains(&name.as_str()) {
                let message =
                    format!("`{name}` says how an answer is to be read: without it, the answer is broken");
                report.at(value.referenced, message, Some("mask what is in the body instead".to_owned()));
                return None;
            }
            Field::Header(name.into())
        }
        _ => {
            if text.is_empty() || text.len() > FIELD_BYTES_MAX {
                let message = format!("a form field's name has 1 to {FIELD_BYTES_MAX} bytes");
                report.at(value.referenced, message, None);
                return None;
            }
            Field::Form(text.into())
        }
    };
    Some(FieldRule { field, style: style? })
}

fn read_except(report: &mut Report<'_>, node: &At) -> Vec<JsonPath> {
    let texts = report.texts(node, "except");
    bounded(report, node, texts.len(), "except");
    let mut paths = Vec::new();
    for (text, at) in texts {
        match JsonPath::parse(text) {
            Ok(path) => paths.push(path),
            Err(error) => report.at(at, format!("`{text}`: {error}"), Some(PATH_HELP.to_owned())),
        }
    }
    paths
}

fn read_path(report: &mut Report<'_>, node: &At, text: &str) -> Option<JsonPath> {
    JsonPath::parse(text)
        .map_err(|error| {
            report.at(node.referenced, format!("`{text}`: {error}"), Some(PATH_HELP.to_owned()));
        })
        .ok()
}

fn bounded(report: &mut Report<'_>, node: &At, count: usize, what: &str) {
    if count == 0 {
        report.at(node.referenced, format!("`{what}` is empty, so it does nothing"), None);
    }
    if count > FIELDS_MAX {
        let help = Some("spread them over several rules".to_owned());
        report.at(
            node.referenced,
            format!("`{what}` has {count} entries, and at most {FIELDS_MAX} are read"),
            help,
        );
    }
}
