//! What a request does: from method, path, query, headers and body to an [`Operation`].
//!
//! **Promise.** The operation follows from what the upstream will read: a route is known by its exact spelling or not
//! at all, and a JSON body that two parsers could read in two ways is refused. Nothing is repaired and nothing is
//! written back; the bytes that were read here are the bytes that are forwarded.
//!
//! Exceptions:
//! - a call on a model server that no table knows is [`OperationClass::Unknown`], which the base policy blocks: *fails
//!   closed*;
//! - multipart uploads whose declared length is beyond what is inspected (or that declare none), and bodies of generic
//!   `http` connections that are neither JSON, text nor a form, pass unread, so that their size is not bounded by memory; rules
//!   see their route, never their content: *a rule that must see the content of such a body blocks the route*.

mod anthropic;
mod arguments;
mod body;
mod error;
mod fields;
mod form;
#[doc(hidden)]
pub mod fuzz;
mod gemini;
mod generic;
mod head;
mod inner;
mod json;
mod kserve;
mod media;
mod message;
mod mlflow;
mod multipart;
mod ollama;
mod openai;
mod own;
mod routes;
mod secret_files;
#[cfg(test)]
mod tests;
mod tgi;
mod tool_call;
mod vllm;

use http::{HeaderMap, Method};
use keyward_core::{ConnectionKind, Operation, OperationClass, Resource};

pub use self::error::UnderstandError;
pub use self::fields::{FIELDS_MAX, STOPS_MAX};
pub use self::inner::BATCH_REQUESTS_MAX;
pub use self::json::{JSON_DEPTH_MAX, TOOLS_MAX};
pub use self::media::{AUDIO_BYTES_MAX, AUDIO_DECODED_BYTES_MAX, IMAGE_PIXELS_MAX};
pub(crate) use self::message::{message, takes_websocket};
pub use self::own::{OwnRoute, OwnRouteError};
pub use self::tool_call::{Called, tool_call};

use self::body::Encoding;
use self::fields::Fields;
use self::json::{Judged, Leads};
pub(crate) use self::routes::names_weights;
use self::routes::{Body, Found, Path, Table};
pub(crate) use self::secret_files::is_private;

/// What a connection speaks.
#[derive(Debug, Clone, Copy)]
pub struct Api<'r> {
    /// Its kind.
    pub kind: ConnectionKind,
    /// The routes that the configuration gives a connection of kind `http`.
    pub own: &'r [OwnRoute],
}

impl From<ConnectionKind> for Api<'_> {
    fn from(kind: ConnectionKind) -> Self {
        Self { kind, own: &[] }
    }
}

/// Whether the verdict needs the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeed {
    /// It may be forwarded while it comes.
    None,
    /// It must be read to its end first.
    Whole,
    /// It is read first where its declared length is within what is inspected.
    WholeIfShort,
}

/// Whether the verdict needs the body.
pub fn body_need(kind: ConnectionKind, method: &Method, path: &str, headers: &HeaderMap) -> BodyNeed {
    let Ok(path) = Path::read(path) else { return BodyNeed::None };
    let found = find(kind, method.as_str(), &path, "", headers);
    match found.body {
        // What is uploaded to be decoded, or for a batch, is looked at first.
        Body::Multipart if decodes(found.class) || inner::is_batch_file(kind, &found, &path) => {
            BodyNeed::Whole
        }
        // Where no body belongs, its absence is worth proving.
        Body::Json | Body::JsonOrNothing | Body::Nothing | Body::Form | Body::Text => BodyNeed::Whole,
        Body::Multipart | Body::Unread | Body::JsonOrOther if body::is_plain_multipart(headers) => {
            BodyNeed::WholeIfShort
        }
        Body::Multipart | Body::Unread | Body::JsonOrOther => BodyNeed::None,
    }
}

/// Whether calls of a class have the server decode what is uploaded with them.
const fn decodes(class: OperationClass) -> bool {
    matches!(class, OperationClass::Audio | OperationClass::Images)
}

/// What a request does. `path` and `query` are canonical; `body` is the whole body where [`body_need`] asked for it.
///
/// # Errors
/// The request cannot be understood in one way only, or is not what its route takes.
pub fn understand<'r>(
    api: impl Into<Api<'r>>,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Operation, UnderstandError> {
    let Api { kind, own } = api.into();
    let canonical = Path::read(path)?;
    let query_values = form::pairs(query)?;
    let found = find(kind, method, &canonical, query, headers);
    let found = own::classify(own, method, &canonical, (&query_values, body), found)?;
    body::check_headers(found.body, headers)?;

    let (mut judged, fields) = look(kind, &found, headers, body)?;
    for (name, value) in &query_values {
        judged.see_reference(name);
        judged.see_reference(value);
        judged.stream |= name == "stream" && value == "true";
    }
    judged.see_reference(canonical.decoded());
    for value in head::references(headers) {
        judged.see_reference(&value);
    }

    let class = if exports(kind, method, found.class, &canonical, &query_values) {
        OperationClass::ModelExport
    } else {
        found.class
    };
    let asked = if class == OperationClass::Realtime { model_asked(&query_values)? } else { None };
    let inner = inner::read(kind, &found, method, &canonical, headers, body)?;
    let mut model = if found.model.is_empty() { judged.model } else { found.model };
    if model.is_empty()
        && let Some(named) = body.filter(|_| loads(class)).and_then(named_in)
    {
        model = named;
    }
    if let Some(asked) = asked {
        asked.clone_into(&mut model);
    }
    if class == OperationClass::ModelExport {
        let name = exported_model(&model).len();
        model.truncate(name);
    }
    check(kind, class, &canonical, &model, &fields)?;
    let mut files = judged.files.into_iter();
    let file = if found.file.is_empty() { files.next().unwrap_or_default() } else { found.file };
    let mut operation = Operation {
        class,
        resource: Resource { model, file, tools: judged.tools },
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        stream: judged.stream || class == OperationClass::Realtime,
        body_bytes: body.map(|bytes| bytes.len() as u64).or_else(|| body::declared(headers)),
        touches_secret_file: judged.touches_secret_file,
        // TGI reads the images that a prompt links to.
        fetches_private: judged.leads == Leads::Inside
            || (kind == ConnectionKind::Tgi && judged.leads == Leads::LinkedInside),
        fields: fields.into_names(),
        inner,
    };
    hold_files(&mut operation, files);
    Ok(operation)
}

/// The model that a query names, once.
fn model_asked(query: &[(String, String)]) -> Result<Option<&str>, UnderstandError> {
    let mut named = query.iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case("model"));
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some((name, model)), None) if name == "model" => {
            fields::check_model(model)?;
            Ok(Some(model))
        }
        _ => Err(UnderstandError::Query),
    }
}

/// Every file that a call uses is judged: those beyond the first as calls of their own. A batch's requests are on its file.
fn hold_files(operation: &mut Operation, more: impl Iterator<Item = String>) {
    for inner in &mut operation.inner {
        if inner.resource.file.is_empty() {
            inner.resource.file.clone_from(&operation.resource.file);
        }
    }
    let alone = Operation { inner: Vec::new(), ..operation.clone() };
    operation.inner.extend(more.map(|file| {
        let resource = Resource { file, ..alone.resource.clone() };
        Operation { resource, ..alone.clone() }
    }));
}

/// What stands in a body, as its route reads it.
fn look(
    kind: ConnectionKind,
    found: &Found,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<(Judged, Fields), UnderstandError> {
    let form = found.body;
    let judged = match (form, body) {
        (Body::JsonOrNothing, Some(bytes)) if kind == ConnectionKind::Http && !bytes.is_empty() => {
            json::read_any(bytes)?
        }
        (Body::Json, Some(bytes)) => json::read(bytes)?,
        (Body::JsonOrNothing, Some(bytes)) if !bytes.is_empty() => json::read(bytes)?,
        (Body::Json, None) => return Err(UnderstandError::BodyMissing),
        (Body::Nothing, Some(bytes)) if !bytes.is_empty() => return Err(UnderstandError::BodyUnexpected),
        (Body::Text, Some(bytes)) if begins_like_json(bytes) => match json::read_any(bytes) {
            Err(UnderstandError::JsonDuplicate) => return Err(UnderstandError::JsonDuplicate),
            Ok(read) => read,
            Err(_) => Judged::of_text(&String::from_utf8_lossy(bytes)),
        },
        (Body::Form, Some(bytes)) => Judged::of_form(&form::pairs_of(bytes)?),
        (_, Some(bytes)) if body::is_plain_multipart(headers) => {
            let media = (kind != ConnectionKind::Http).then(|| found.class == OperationClass::Audio);
            multipart::read(bytes, headers, media)?
        }
        _ => Judged::default(),
    };
    let fields = match (form, body) {
        (Body::Json | Body::JsonOrNothing, Some(bytes))
            if kind != ConnectionKind::Http && !bytes.is_empty() =>
        {
            Fields::read(bytes)?
        }
        _ => Fields::default(),
    };
    Ok((judged, fields))
}

/// Refuses what no model server should be asked, whatever the policy says.
fn check(
    kind: ConnectionKind,
    class: OperationClass,
    path: &Path<'_>,
    model: &str,
    fields: &Fields,
) -> Result<(), UnderstandError> {
    if !fields::is_checked(kind) || !fields::infers(class) {
        return Ok(());
    }
    let last = path.segments().last().copied().unwrap_or_default();
    let route = last.rsplit(':').next().unwrap_or(last);
    // Ollama's own routes load a model where nothing is asked.
    let native = kind == ConnectionKind::Ollama && path.segments().first() == Some(&"api");
    fields.check(kind, route, native)?;
    fields::check_model(model)
}

/// Whether a text may be JSON, behind blanks and a byte order mark.
fn begins_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    matches!(bytes.first(), Some(b'{' | b'[' | b'"'))
}

/// Whether a class changes which models there are.
const fn loads(class: OperationClass) -> bool {
    matches!(
        class,
        OperationClass::ModelLoad
            | OperationClass::ModelUnload
            | OperationClass::ModelExport
            | OperationClass::LoraLoad
    )
}

/// The model that a body names under another name than `model`. It was read strictly before, so a name stands once.
fn named_in(body: &[u8]) -> Option<String> {
    const NAMES: [&str; 4] = ["name", "lora_name", "model_name", "source"];
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    NAMES.iter().find_map(|name| value.get(*name)?.as_str()).map(str::to_owned)
}

/// The model's name without the part of the route that exports it: `org/small` of `org/small/weights/shard-1`.
fn exported_model(model: &str) -> &str {
    let route = model.match_indices('/').find(|(at, _)| {
        let segment = model.get(at + 1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        segment.eq_ignore_ascii_case("weights")
    });
    route.and_then(|(at, _)| model.get(..at)).unwrap_or(model)
}

/// Whether a call fetches weights. On a model server only what reads, or what nobody knows, can turn out to be an
/// export: no name in a path or query makes an approvable call of one that is blocked for what it is.
fn exports(
    kind: ConnectionKind,
    method: &str,
    class: OperationClass,
    path: &Path<'_>,
    query: &[(String, String)],
) -> bool {
    let reads = matches!(method, "GET" | "HEAD");
    let named = || path.leads_to_weights() || query.iter().any(|(_, value)| names_weights(value));
    if kind == ConnectionKind::Http {
        return may_export(class) && (reads || method == "POST") && named();
    }
    let open =
        matches!(class, OperationClass::Unknown | OperationClass::ModelsList | OperationClass::FilesRead);
    // A registry names the file in the query.
    reads && open && if kind == ConnectionKind::Mlflow { named() } else { path.leads_to_weights() }
}

/// Whether calls of a class may turn out to fetch weights: what reads something, or what nobody knows.
pub(crate) const fn may_export(class: OperationClass) -> bool {
    matches!(
        class,
        OperationClass::HttpRead
            | OperationClass::HttpWrite
            | OperationClass::Unknown
            | OperationClass::ModelsList
            | OperationClass::FilesRead
            | OperationClass::FileRead
            | OperationClass::ResourceRead
            | OperationClass::MetricsRead
    )
}

/// The table of a kind; none where everything is what its method says.
const fn table(kind: ConnectionKind) -> Option<&'static Table> {
    Some(match kind {
        ConnectionKind::OpenAi => &openai::TABLE,
        ConnectionKind::Anthropic => &anthropic::TABLE,
        ConnectionKind::Gemini => &gemini::TABLE,
        ConnectionKind::Vllm => &vllm::TABLE,
        ConnectionKind::Tgi => &tgi::TABLE,
        ConnectionKind::Ollama => &ollama::TABLE,
        ConnectionKind::KserveV2 => &kserve::TABLE,
        ConnectionKind::Mlflow => &mlflow::TABLE,
        ConnectionKind::Http => return None,
    })
}

fn find(kind: ConnectionKind, method: &str, path: &Path<'_>, query: &str, headers: &HeaderMap) -> Found {
    let encoding = Encoding::of(headers);
    let Some(table) = table(kind) else {
        return generic::find(method, query, encoding, body::declared(headers));
    };
    let mut found = routes::look_up(table, method, path);
    if found.body == Body::JsonOrOther {
        found.body = if encoding == Encoding::Json { Body::JsonOrNothing } else { Body::Unread };
    }
    found
}
