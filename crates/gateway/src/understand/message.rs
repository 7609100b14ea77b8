//! What a message over an open WebSocket does.
//!
//! **Promise.** A message is judged as the body of the request would be that says the same, within the operation that its
//! WebSocket was opened as: the same class, path and query, with the model, tools, files and references that it names. On a
//! connection of kind `openai` it is one event of the realtime API, as JSON in a text message; anything else is refused:
//! *fails closed*. Elsewhere it is JSON where it begins like JSON, and a text otherwise.
//!
//! Exceptions:
//! - what is added up over several messages (audio that a model turns to words) is not read here.

use keyward_core::{ConnectionKind, Operation, OperationClass};
use keyward_wire::websocket::Kind;

use super::fields::Fields;
use super::json::{self, Judged, Leads};
use super::routes::{self, Path};
use super::{Api, UnderstandError, begins_like_json, fields, hold_files, own, table};

/// Whether a `GET` of this path is a WebSocket where its caller asks for one.
pub(crate) fn takes_websocket(api: Api<'_>, path: &str) -> bool {
    let Ok(path) = Path::read(path) else { return false };
    match (api.kind, table(api.kind)) {
        (ConnectionKind::Http, _) => own::takes_websocket(api.own, &path),
        (_, Some(table)) => routes::look_up(table, "GET", &path).class == OperationClass::Realtime,
        (_, None) => false,
    }
}

/// What a message does over the WebSocket that was opened as `opened`.
///
/// # Errors
/// It cannot be understood in one way only, or is none of the API's.
pub(crate) fn message(
    kind: ConnectionKind,
    opened: &Operation,
    form: Kind,
    payload: &[u8],
) -> Result<Operation, UnderstandError> {
    let (judged, names) = if kind == ConnectionKind::Http {
        (read_any(payload)?, Fields::default())
    } else if form == Kind::Text {
        (json::read_event(payload)?, Fields::read(payload)?)
    } else {
        return Err(UnderstandError::Json);
    };
    let mut operation = opened.clone();
    if !judged.model.is_empty() {
        fields::check_model(&judged.model)?;
        operation.resource.model = judged.model;
    }
    let mut files = judged.files.into_iter();
    operation.resource.file = files.next().unwrap_or_default();
    operation.resource.tools = judged.tools;
    operation.touches_secret_file = judged.touches_secret_file;
    operation.fetches_private = judged.leads == Leads::Inside;
    operation.fields = names.into_names();
    operation.body_bytes = Some(payload.len() as u64);
    operation.inner = Vec::new();
    hold_files(&mut operation, files);
    Ok(operation)
}

fn read_any(payload: &[u8]) -> Result<Judged, UnderstandError> {
    if !begins_like_json(payload) {
        return Ok(Judged::of_text(&String::from_utf8_lossy(payload)));
    }
    match json::read_any(payload) {
        Err(UnderstandError::JsonDuplicate) => Err(UnderstandError::JsonDuplicate),
        Ok(read) => Ok(read),
        Err(_) => Ok(Judged::of_text(&String::from_utf8_lossy(payload))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::super::understand;
    use super::*;

    fn opened(query: &str) -> Result<Operation, UnderstandError> {
        understand(ConnectionKind::OpenAi, "GET", "/v1/realtime", query, &HeaderMap::new(), Some(b""))
    }

    fn said(event: &Value) -> Result<Operation, UnderstandError> {
        let opened = opened("model=gpt-realtime").unwrap();
        message(ConnectionKind::OpenAi, &opened, Kind::Text, event.to_string().as_bytes())
    }

    #[test]
    fn the_model_stands_in_the_query_once() {
        let operation = opened("model=gpt-realtime&x=1").unwrap();
        assert_eq!((operation.class, operation.stream), (OperationClass::Realtime, true));
        assert_eq!(operation.resource.model, "gpt-realtime");
        assert_eq!(opened("model=a&model=b"), Err(UnderstandError::Query));
        assert_eq!(opened("model=a&Model=b"), Err(UnderstandError::Query));
        assert_eq!(opened("model=/etc/passwd"), Err(UnderstandError::Model));
    }

    #[test]
    fn an_event_says_what_the_body_of_a_request_would() {
        let update = said(&json!({"type": "session.update", "session": {"model": "other", "tools": [
            {"type": "function", "name": "deploy", "parameters": {}}, {"type": "mcp", "server_label": "files"}]}}));
        let update = update.unwrap();
        assert_eq!(update.resource.model, "other");
        assert_eq!(update.resource.tools, ["deploy", "files"]);
        assert_eq!((update.class, update.path.as_str()), (OperationClass::Realtime, "/v1/realtime"));
        let create = said(
            &json!({"type": "response.create", "response": {"tools": [{"type": "function", "name": "x"}]}}),
        );
        assert_eq!(create.unwrap().resource.tools, ["x"]);
        let called = said(
            &json!({"type": "conversation.item.create", "item": {"type": "function_call", "name": "read",
            "arguments": "{\"path\": \"/root/.aws/credentials\"}"}}),
        );
        let called = called.unwrap();
        assert!(called.touches_secret_file);
        assert_eq!(called.resource.model, "gpt-realtime");
        let image =
            said(&json!({"type": "conversation.item.create", "item": {"type": "message", "content": [
            {"type": "input_image", "image_url": "http://169.254.169.254/latest"}]}}));
        assert!(image.unwrap().fetches_private);
        let audio = said(&json!({"type": "input_audio_buffer.append", "audio": "AAAA"})).unwrap();
        assert!(!audio.touches_secret_file && !audio.fetches_private && audio.resource.tools.is_empty());
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused() {
        let opened = opened("model=m").unwrap();
        let read = |form, text: &str| message(ConnectionKind::OpenAi, &opened, form, text.as_bytes());
        for text in ["", "hello", "[]", "1", "{} {}", r#"{"session": []}"#, r#"{"session": "x"}"#] {
            assert_eq!(read(Kind::Text, text), Err(UnderstandError::Json), "{text}");
        }
        assert_eq!(read(Kind::Binary, "{}"), Err(UnderstandError::Json));
        for text in [
            r#"{"type": "a", "type": "b"}"#,
            r#"{"session": {"tools": []}, "Session": {"tools": []}}"#,
            r#"{"session": {"tools": [], "Tools": []}}"#,
        ] {
            assert_eq!(read(Kind::Text, text), Err(UnderstandError::JsonDuplicate), "{text}");
        }
        assert_eq!(
            read(Kind::Text, r#"{"session": {"model": "http://10.0.0.1/x"}}"#),
            Err(UnderstandError::Model)
        );
    }

    #[test]
    fn elsewhere_a_message_is_json_or_a_text() {
        let opened =
            understand(ConnectionKind::Http, "GET", "/ws", "", &HeaderMap::new(), Some(b"")).unwrap();
        let read = |form, text: &[u8]| message(ConnectionKind::Http, &opened, form, text).unwrap();
        assert!(read(Kind::Text, b"/root/.ssh/id_rsa").touches_secret_file);
        assert!(read(Kind::Binary, br#"{"open": "~/.aws/credentials"}"#).touches_secret_file);
        assert!(!read(Kind::Binary, b"\x00\xff").touches_secret_file);
    }
}
