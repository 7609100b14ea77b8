//! Checks an answer against the OpenAPI document: the part of JSON Schema that the document uses, and, stricter than
//! that, no member that it does not name.

use serde_json::{Map, Value};

/// The description of the API as a document.
pub(crate) fn document() -> Value {
    serde_json::to_value(keyward_gateway::admin::openapi()).unwrap()
}

/// Every route of the document as `METHOD /path`.
pub(crate) fn routes(document: &Value) -> Vec<String> {
    let methods = |(path, item): (&String, &Value)| {
        let methods =
            item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase()));
        methods.collect::<Vec<_>>()
    };
    document["paths"].as_object().unwrap().iter().flat_map(methods).collect()
}

/// What is wrong with an answer to `METHOD /path`.
pub(crate) fn faults(
    document: &Value,
    route: &str,
    status: u16,
    content_type: &str,
    body: &[u8],
) -> Vec<String> {
    let (method, path) = route.split_once(' ').unwrap();
    let answers = &document["paths"][path][method.to_lowercase()]["responses"];
    let Some(answer) = answers.get(status.to_string()) else {
        return vec![format!("status {status} is not described")];
    };
    let essence = content_type.split(';').next().unwrap().trim();
    let Some(content) = answer["content"].get(essence) else {
        return vec![format!("content type {essence} of status {status} is not described")];
    };
    let mut faults = Vec::new();
    if essence.ends_with("json") {
        match serde_json::from_slice(body) {
            Ok(value) => check(document, &content["schema"], &value, "$", &mut faults),
            Err(error) => faults.push(format!("not JSON: {error}")),
        }
    }
    faults
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
    let found = document.pointer(reference.strip_prefix('#').unwrap());
    resolve(document, found.unwrap_or_else(|| panic!("{reference} does not exist")))
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolve(document, schema);
    let fits = |part: &Value| {
        let mut inner = Vec::new();
        check(document, part, value, at, &mut inner);
        inner.is_empty()
    };
    if let Some(parts) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array)
        && !parts.iter().any(fits)
    {
        faults.push(format!("{at}: fits none of the alternatives"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        faults.push(format!("{at}: {value} is none of {words:?}"));
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_a(name, value)) {
        faults.push(format!("{at}: {value} is none of {types:?}"));
    }
    if schema.get("format").and_then(Value::as_str) == Some("date-time")
        && value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_err())
    {
        faults.push(format!("{at}: {value} is no time"));
    }
    for (bound, over) in [("minimum", false), ("maximum", true)] {
        let limit = schema.get(bound).and_then(Value::as_f64);
        if let (Some(limit), Some(number)) = (limit, value.as_f64())
            && (if over { number > limit } else { number < limit })
        {
            faults.push(format!("{at}: {number} is beyond {bound} {limit}"));
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            check(document, items, value, &format!("{at}[{index}]"), faults);
        }
    }
    if let Some(members) = value.as_object() {
        check_members(document, schema, members, at, faults);
    }
}

fn check_members(
    document: &Value,
    schema: &Value,
    members: &Map<String, Value>,
    at: &str,
    faults: &mut Vec<String>,
) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    gather(document, schema, &mut properties, &mut required);
    let others = schema.get("additionalProperties");
    for name in &required {
        if !members.contains_key(name) {
            faults.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in members {
        match (properties.get(name), others) {
            (Some(property), _) => check(document, property, value, &format!("{at}.{name}"), faults),
            (None, Some(others)) => check(document, others, value, &format!("{at}.{name}"), faults),
            (None, None) if properties.is_empty() => {}
            (None, None) => faults.push(format!("{at}: {name} is not described")),
        }
    }
}

/// Properties and required names of a schema and of all that it is composed of.
fn gather(document: &Value, schema: &Value, properties: &mut Map<String, Value>, required: &mut Vec<String>) {
    let schema = resolve(document, schema);
    if let Some(own) = schema.get("properties").and_then(Value::as_object) {
        properties.extend(own.clone());
    }
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required.extend(names.filter_map(Value::as_str).map(str::to_owned));
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(document, part, properties, required);
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = serde_json::json!({
        "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {
            "allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"b": {"type": "integer"}}}]}}}}}}}},
        "components": {"schemas": {"A": {"type": "object", "required": ["at"], "properties": {
            "at": {"type": "string", "format": "date-time"}, "state": {"enum": ["x"]}}}}}});
    let faults = |body: &str| faults(&document, "GET /a", 200, "application/json", body.as_bytes());
    assert_eq!(faults(r#"{"at":"2026-11-23T18:00:00Z","b":1,"state":"x"}"#), Vec::<String>::new());
    for bad in [
        r#"{"b":1}"#,
        r#"{"at":"2026-11-23T18:00:00Z","b":"1"}"#,
        r#"{"at":"2026-11-23T18:00:00Z","c":1}"#,
        r#"{"at":"2026-11-23T18:00:00Z","state":"y"}"#,
        r#"{"at":"today"}"#,
        "[",
    ] {
        assert!(!faults(bad).is_empty(), "{bad}");
    }
    assert!(!super::schema::faults(&document, "GET /a", 404, "application/json", b"{}").is_empty());
}
