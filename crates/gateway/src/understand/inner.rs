//! Operations inside of operations: the requests of a batch, each understood as the call that it will be.
//!
//! Promise: policy judges every request that a batch holds as if its caller had sent it on the same connection: those in the
//! body of a batch, those in the lines of a file that is uploaded for one, and the endpoint that a batch names for a file
//! uploaded before. A request that cannot be understood refuses the whole batch, and so do more than
//! [`BATCH_REQUESTS_MAX`], an upload that two readers would part in two ways, and one that is too long to be read first:
//! *fails closed*.
//!
//! Exceptions: a file is judged at its upload through the gateway; one that came another way, or that is put together
//! upstream from parts, is not seen (`builtin:inference` blocks such uploads).

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use keyward_core::{ConnectionKind, Operation, OperationClass};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::routes::{Body, Found, Path};
use super::{UnderstandError, json, multipart, understand};

/// Most requests of one batch, and most files that one request names.
pub const BATCH_REQUESTS_MAX: usize = 10_000;

/// One line of a batch's file.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow, default)]
    method: Option<Cow<'l, str>>,
    #[serde(borrow)]
    url: Cow<'l, str>,
    #[serde(borrow, default)]
    body: Option<&'l RawValue>,
}

/// A batch of OpenAI: requests stand in a file.
#[derive(Deserialize)]
struct Started<'b> {
    #[serde(borrow)]
    endpoint: Cow<'b, str>,
}

/// A batch of Anthropic.
#[derive(Deserialize)]
struct Messages<'b> {
    #[serde(borrow)]
    requests: Vec<Message<'b>>,
}

#[derive(Deserialize)]
struct Message<'b> {
    #[serde(borrow)]
    params: &'b RawValue,
}

/// Whether an upload may be a batch's file, so that it is read before it goes on.
pub(super) fn is_batch_file(kind: ConnectionKind, found: &Found, path: &Path<'_>) -> bool {
    kind == ConnectionKind::OpenAi
        && found.class == OperationClass::FilesWrite
        && found.body == Body::Multipart
        && path.segments().last() == Some(&"files")
}

/// The operations that a call holds; none where it holds none.
pub(super) fn read(
    kind: ConnectionKind,
    found: &Found,
    method: &str,
    path: &Path<'_>,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Vec<Operation>, UnderstandError> {
    let Some(body) = body.filter(|body| !body.is_empty() && method == "POST") else { return Ok(Vec::new()) };
    let last = path.segments().last().copied().unwrap_or_default();
    let batch = found.class == OperationClass::BatchCreate;
    match kind {
        ConnectionKind::OpenAi if batch && last == "batches" => {
            let Started { endpoint } = serde_json::from_slice(body).map_err(|_| UnderstandError::Endpoint)?;
            endpoint_class(kind, &endpoint).map(|operation| vec![operation])
        }
        ConnectionKind::OpenAi if is_batch_file(kind, found, path) => file(kind, body, headers),
        ConnectionKind::Anthropic if batch && last == "batches" => {
            let Messages { requests } = serde_json::from_slice(body).map_err(|_| UnderstandError::Batch)?;
            let bodies = requests.iter().map(|request| request.params.get().as_bytes());
            all(kind, "/v1/messages", bodies)
        }
        ConnectionKind::Gemini => gemini(path, body),
        _ => Ok(Vec::new()),
    }
}

/// What a batch does with each line of its file. Its requests were judged when the file was uploaded.
fn endpoint_class(kind: ConnectionKind, endpoint: &str) -> Result<Operation, UnderstandError> {
    let path = Path::read(endpoint).map_err(|_| UnderstandError::Endpoint)?;
    let found = super::find(kind, "POST", &path, "", &json_headers());
    Ok(Operation {
        class: found.class,
        resource: keyward_core::Resource::default(),
        method: "POST".to_owned(),
        path: endpoint.to_owned(),
        query: String::new(),
        stream: false,
        body_bytes: None,
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    })
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Requests to one path.
fn all<'b>(
    kind: ConnectionKind,
    path: &str,
    bodies: impl Iterator<Item = &'b [u8]>,
) -> Result<Vec<Operation>, UnderstandError> {
    let headers = json_headers();
    let mut operations = Vec::new();
    for (index, body) in bodies.enumerate() {
        let operation = understand(kind, "POST", path, "", &headers, Some(body));
        add(&mut operations, index, operation)?;
    }
    Ok(operations)
}

/// Adds a request, and what it holds in its turn.
fn add(
    operations: &mut Vec<Operation>,
    index: usize,
    operation: Result<Operation, UnderstandError>,
) -> Result<(), UnderstandError> {
    let mut operation = operation.map_err(|error| UnderstandError::Line(index + 1, error.code()))?;
    operations.append(&mut operation.inner);
    operations.push(operation);
    if operations.len() > BATCH_REQUESTS_MAX { Err(UnderstandError::BatchLong) } else { Ok(()) }
}

/// The lines of a file that is uploaded for batches. What says that it is for something else is looked at as well where a
/// line of it is a request: not every server heeds the purpose.
fn file(kind: ConnectionKind, body: &[u8], headers: &HeaderMap) -> Result<Vec<Operation>, UnderstandError> {
    let parts = multipart::parts(body, headers)?;
    let purposes: Vec<String> = parts
        .iter()
        .filter(|part| part.is_named("purpose") && !part.is_file())
        .map(|part| String::from_utf8_lossy(part.value).trim().to_ascii_lowercase())
        .collect();
    let files: Vec<&[u8]> =
        parts.iter().filter(|part| part.is_file() || part.is_named("file")).map(|part| part.value).collect();
    let said = purposes.len() != 1 || purposes.iter().any(|purpose| purpose == "batch");
    let shaped = |file: &&[u8]| lines(file).any(|(_, line)| is_request(line));
    if !said && !files.iter().any(shaped) {
        return Ok(Vec::new());
    }
    if !multipart::has_one_reading(body, headers) {
        return Err(UnderstandError::Form);
    }
    let json = json_headers();
    let mut operations = Vec::new();
    for (index, line) in files.into_iter().flat_map(lines) {
        let operation = json::read(line).and_then(|_| {
            let Line { method, url, body } = line_of(line).ok_or(UnderstandError::Batch)?;
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            let body = body.map_or(&b""[..], |body| body.get().as_bytes());
            understand(kind, method.as_deref().unwrap_or("POST"), path, query, &json, Some(body))
        });
        add(&mut operations, index, operation)?;
    }
    Ok(operations)
}

/// The lines of a file that are not blank, by their number from 0.
fn lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = file.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines.filter(|(_, line)| !line.is_empty())
}

/// Whether a line looks like a request, however carelessly it is read.
fn is_request(line: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
    value.get("url").is_some() && (value.get("body").is_some() || value.get("method").is_some())
}

fn line_of(line: &[u8]) -> Option<Line<'_>> {
    serde_json::from_slice(line).ok()
}

/// Gemini's batches hold requests at any depth below `requests`, in letters of either case.
fn gemini(path: &Path<'_>, body: &[u8]) -> Result<Vec<Operation>, UnderstandError> {
    let Some((target, verb)) = path.decoded().rsplit_once(':') else { return Ok(Vec::new()) };
    let verb = match verb {
        "batchGenerateContent" => "generateContent",
        "asyncBatchEmbedContent" | "batchEmbedContents" => "embedContent",
        _ => return Ok(Vec::new()),
    };
    let value: Value = serde_json::from_slice(body).map_err(|_| UnderstandError::Batch)?;
    let mut found = Vec::new();
    collect(&value, &mut found);
    let bodies: Vec<Vec<u8>> = found.into_iter().map(|request| request.to_string().into_bytes()).collect();
    all(ConnectionKind::Gemini, &format!("{target}:{verb}"), bodies.iter().map(Vec::as_slice))
}

/// The requests in lists called `requests`: their `request`, or the entries themselves.
fn collect<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    let Some(fields) = value.as_object() else { return };
    for (name, value) in fields {
        match value {
            Value::Array(entries) if name == "requests" => {
                found.extend(entries.iter().map(|entry| entry.get("request").unwrap_or(entry)));
            }
            value => collect(value, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(
        kind: ConnectionKind,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> Result<Vec<OperationClass>, UnderstandError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]);
        let operation = understand(kind, "POST", path, "", &headers, Some(body.as_bytes()))?;
        Ok(operation.inner.iter().map(|inner| inner.class).collect())
    }

    fn upload(purpose: &str, content: &str) -> Result<Vec<OperationClass>, UnderstandError> {
        let part = |head: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let purpose = if purpose.is_empty() { String::new() } else { part("name=\"purpose\"", purpose) };
        let body = purpose + &part("name=\"file\"; filename=\"a.jsonl\"", content) + "--b--\r\n";
        classes(ConnectionKind::OpenAi, "/v1/files", "multipart/form-data; boundary=b", &body)
    }

    const CHAT: &str = r#"{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [{}]}}"#;

    #[test]
    fn catalogue_95_lines_of_a_batch_are_operations() {
        use OperationClass::{
            AdminConfig, BatchCreate, ChatCompletions, FinetuneCreate, ModelExport, Unknown,
        };
        let line = |method: &str, url: &str| {
            format!("{{\"method\": \"{method}\", \"url\": \"{url}\", \"body\": {{\"model\": \"m\"}}}}")
        };
        let export = r#"{"method": "GET", "url": "/v1/models/m/weights"}"#;
        assert_eq!(upload("batch", CHAT), Ok(vec![ChatCompletions]));
        assert_eq!(
            upload(" BATCH ", &format!("\r\n{CHAT}\r\n\n{export}\n")),
            Ok(vec![ChatCompletions, ModelExport])
        );
        assert_eq!(upload("batch", &line("POST", "/v1/fine_tuning/jobs")), Ok(vec![FinetuneCreate]));
        assert_eq!(upload("batch", &line("POST", "/v1/organization/x")), Ok(vec![AdminConfig]));
        assert_eq!(upload("batch", &line("POST", "/v1/nobody/knows")), Ok(vec![Unknown]));
        let nested = r#"{"url": "/v1/batches", "body": {"endpoint": "/v1/organization/x"}}"#;
        assert_eq!(upload("batch", nested), Ok(vec![AdminConfig, BatchCreate]));
        // Whatever it says that it is for.
        assert_eq!(upload("user_data", CHAT), Ok(vec![ChatCompletions]));
        let twice = r#"{"url": "/v1/x", "url": "/v1/y", "body": {}}"#;
        assert_eq!(upload("user_data", twice), Err(UnderstandError::Line(1, "body_ambiguous")));
        assert_eq!(upload("", CHAT), Ok(vec![ChatCompletions]));
        assert_eq!(upload("fine-tune", "{\"messages\": []}\nnot JSON"), Ok(vec![]));
        assert_eq!(upload("user_data", "any text"), Ok(vec![]));
    }

    #[test]
    fn catalogue_95_a_line_that_cannot_be_read_is_named() {
        for (line, code) in [
            ("not JSON", "body_not_json"),
            ("[]", "body_not_json"),
            ("{}", "batch_unreadable"),
            (r#"{"url": "/v1/x", "url": "/v1/y", "body": {}}"#, "body_ambiguous"),
            (r#"{"url": "https://evil.example/v1/chat/completions", "body": {}}"#, "path_not_canonical"),
            (r#"{"url": "/v1/../x", "body": {}}"#, "path_not_canonical"),
            (r#"{"url": "/v1/chat/completions", "body": []}"#, "body_not_json"),
            (r#"{"url": "/v1/chat/completions", "body": {"model": "../x"}}"#, "model_not_a_name"),
            (
                r#"{"url": "/v1/chat/completions", "body": {"messages": [], "messages": [1]}}"#,
                "body_ambiguous",
            ),
        ] {
            assert_eq!(
                upload("batch", &format!("{CHAT}\n\n{line}\n")),
                Err(UnderstandError::Line(3, code)),
                "{line}"
            );
        }
        let many = |count: usize| vec!["{\"url\": \"/v1/models\", \"method\": \"GET\"}"; count].join("\n");
        assert_eq!(upload("batch", &many(BATCH_REQUESTS_MAX)).map(|all| all.len()), Ok(BATCH_REQUESTS_MAX));
        assert_eq!(upload("batch", &many(BATCH_REQUESTS_MAX + 1)), Err(UnderstandError::BatchLong));
        // What another reader would take for one part.
        assert_eq!(upload("batch", &format!("{CHAT}\n--b\n\n{CHAT}")), Err(UnderstandError::Form));
        assert_eq!(upload("batch", &format!("{CHAT}\r\n--bx\r\n\r\n{CHAT}")), Err(UnderstandError::Form));
    }

    #[test]
    fn catalogue_95_batches_that_hold_their_requests() {
        use OperationClass::{ChatCompletions, Embeddings, ModelExport, Unknown};
        let json = "application/json";
        let batch = |endpoint: &str| {
            classes(
                ConnectionKind::OpenAi,
                "/v1/batches",
                json,
                &format!("{{\"endpoint\": \"{endpoint}\", \"input_file_id\": \"f\"}}"),
            )
        };
        assert_eq!(batch("/v1/chat/completions"), Ok(vec![ChatCompletions]));
        assert_eq!(batch("/v1/nothing"), Ok(vec![Unknown]));
        assert_eq!(batch("/v1/../x"), Err(UnderstandError::Endpoint));
        assert_eq!(
            classes(ConnectionKind::OpenAi, "/v1/batches", json, "{}"),
            Err(UnderstandError::Endpoint)
        );
        assert_ne!(batch("/v1/models/m/weights"), Ok(vec![ModelExport]), "a batch posts");
        let anthropic = |requests: &str| {
            classes(
                ConnectionKind::Anthropic,
                "/v1/messages/batches",
                json,
                &format!("{{\"requests\": {requests}}}"),
            )
        };
        let one = r#"{"custom_id": "a", "params": {"model": "m", "max_tokens": 1, "messages": [{}]}}"#;
        assert_eq!(anthropic(&format!("[{one}, {one}]")), Ok(vec![ChatCompletions; 2]));
        assert_eq!(
            anthropic(&format!("[{one}, {}]", one.replace('1', "-1"))),
            Err(UnderstandError::Line(2, "number_out_of_bounds"))
        );
        assert_eq!(anthropic("[{}]"), Err(UnderstandError::Batch));
        for (keys, verb) in [
            (("inputConfig", "requests"), "batchGenerateContent"),
            (("input_config", "requests"), "batchGenerateContent"),
        ] {
            let body = format!(
                r#"{{"batch": {{"{}": {{"{}": {{"requests": [{{"request": {{"contents": [{{}}]}}}}]}}}}}}}}"#,
                keys.0, keys.1
            );
            assert_eq!(
                classes(ConnectionKind::Gemini, &format!("/v1beta/models/m:{verb}"), json, &body),
                Ok(vec![ChatCompletions])
            );
        }
        let embed = classes(
            ConnectionKind::Gemini,
            "/v1beta/models/m:batchEmbedContents",
            json,
            r#"{"requests": [{"content": {}}, {"content": {}}]}"#,
        );
        assert_eq!(embed, Ok(vec![Embeddings; 2]));
    }

    #[test]
    fn catalogue_85_files_that_are_used_are_named() {
        let headers = json_headers();
        let files = |kind, path: &str, body: &str| {
            let operation = understand(kind, "POST", path, "", &headers, Some(body.as_bytes())).unwrap();
            let mut files = vec![operation.resource.file];
            files.extend(operation.inner.into_iter().map(|inner| inner.resource.file));
            files
        };
        let openai = ConnectionKind::OpenAi;
        assert_eq!(
            files(openai, "/v1/batches", r#"{"endpoint": "/v1/embeddings", "input_file_id": "f"}"#),
            ["f", "f"]
        );
        assert_eq!(
            files(openai, "/v1/fine_tuning/jobs", r#"{"training_file": "a", "validation_file": "b"}"#),
            ["a", "b"]
        );
        assert_eq!(
            files(
                openai,
                "/v1/responses",
                r#"{"input": [{"content": [{"file_id": "x"}, {"file_id": "y"}]}]}"#
            ),
            ["x", "y"]
        );
        assert_eq!(
            files(
                ConnectionKind::Anthropic,
                "/v1/messages",
                r#"{"messages": [{"content": [{"source": {"file_id": "z"}}]}]}"#
            ),
            ["z"]
        );
        assert_eq!(files(openai, "/v1/chat/completions", r#"{"messages": [{}]}"#), [""]);
    }
}
