//! Why a request is refused before anybody is asked.

use std::borrow::Cow;

use http::StatusCode;

/// A request that cannot be understood in one way only. Never carries what the caller sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnderstandError {
    /// The path is not canonical.
    #[error("the path is not canonical")]
    Path,
    /// The query cannot be decoded.
    #[error("the query cannot be decoded")]
    Query,
    /// The route takes a body.
    #[error("the route takes a body, and there is none")]
    BodyMissing,
    /// The route takes no body.
    #[error("the route takes no body")]
    BodyUnexpected,
    /// The body is not JSON, or not only JSON.
    #[error("the body is not one JSON object")]
    Json,
    /// A name stands twice in one object, or differs from a judged one only in case.
    #[error("a name stands twice in an object of the body")]
    JsonDuplicate,
    /// The JSON is nested too deeply.
    #[error("the body is nested too deeply")]
    JsonDepth,
    /// A judged field has another type than it must have.
    #[error("a judged field of the body has another type")]
    JsonField,
    /// More tools than are looked at.
    #[error("the body offers too many tools")]
    Tools,
    /// The form cannot be decoded.
    #[error("the form cannot be decoded")]
    Form,
    /// The body is compressed.
    #[error("the body has a content encoding")]
    ContentEncoding,
    /// The body has another type than the route takes.
    #[error("the body has another content type than the route takes")]
    ContentType,
    /// The path is nearly that of a route with another class.
    #[error("the path is another spelling of a route")]
    Route,
    /// More names at the top of a body than are looked at, or too long ones.
    #[error("the body has too many fields, or too long a name")]
    Fields,
    /// The model is no name.
    #[error("the model is a path or URL")]
    Model,
    /// There is nothing to answer.
    #[error("the prompt is empty")]
    Prompt,
    /// A number is none, or out of bounds.
    #[error("`{0}` is no number within its bounds")]
    Number(&'static str),
    /// More texts to stop at than are passed on, or none.
    #[error("the body has too many stops")]
    Stops,
    /// An image or audio that becomes too much.
    #[error("an image or audio becomes too much once it is decoded")]
    Media,
    /// An image whose size cannot be told.
    #[error("an image cannot be measured")]
    MediaType,
    /// A batch names no endpoint that can be judged.
    #[error("the batch's endpoint is no path")]
    Endpoint,
    /// A batch cannot be read.
    #[error("the batch cannot be read")]
    Batch,
    /// A batch holds more than is looked at.
    #[error("the batch is too long")]
    BatchLong,
    /// A request of a batch, by its number from 1 (the line, in a file), and the code of what is wrong with it.
    #[error("request {0} of the batch cannot be understood: {1}")]
    Line(usize, &'static str),
    /// A field changes the method.
    #[error("a field changes the method")]
    Method,
}

impl UnderstandError {
    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Media | Self::BatchLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentEncoding | Self::ContentType | Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Path => "path_not_canonical",
            Self::Query => "query_not_canonical",
            Self::BodyMissing => "body_missing",
            Self::BodyUnexpected => "body_unexpected",
            Self::Json => "body_not_json",
            Self::JsonDuplicate => "body_ambiguous",
            Self::JsonDepth => "body_too_deep",
            Self::JsonField => "body_field_type",
            Self::Tools => "body_too_many_tools",
            Self::Form => "body_not_a_form",
            Self::ContentEncoding => "content_encoding_unsupported",
            Self::ContentType => "content_type_unsupported",
            Self::Route => "route_ambiguous",
            Self::Method => "method_overridden",
            Self::Endpoint => "batch_endpoint",
            Self::Batch => "batch_unreadable",
            Self::BatchLong => "batch_too_long",
            Self::Line(..) => "batch_request",
            Self::Media => "media_too_large",
            Self::MediaType => "media_type_unsupported",
            Self::Fields => "body_too_many_fields",
            Self::Model => "model_not_a_name",
            Self::Prompt => "prompt_empty",
            Self::Number(_) => "number_out_of_bounds",
            Self::Stops => "stops_too_many",
        }
    }

    /// One sentence for the caller.
    pub fn public(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Path => {
                "The path is ambiguous: send it without empty, `.` or `..` segments, backslashes and encoded separators."
            }
            Self::Query => "The query cannot be decoded: percent-encode it as UTF-8.",
            Self::BodyMissing => "This route takes a JSON body, and the request has none.",
            Self::BodyUnexpected => "This route takes no body; send the request without one.",
            Self::Json => "The body must be one JSON object in UTF-8 and nothing else.",
            Self::JsonDuplicate => {
                "A name stands twice in an object of the body (or once more in other letters), so it could be read in two ways."
            }
            Self::JsonDepth => "The body is nested more than 64 levels deep.",
            Self::JsonField => {
                "`model` must be a text, `stream` true or false, and `tools` a list of objects."
            }
            Self::Tools => "The body offers more than 2048 tools.",
            Self::Form => "The form cannot be decoded: percent-encode it as UTF-8.",
            Self::ContentEncoding => {
                "The body must be sent without Content-Encoding, because it is looked at before the verdict."
            }
            Self::ContentType => "The body's Content-Type is not the one that this route takes.",
            Self::Route => {
                "The path is one of this connection's routes in another spelling (letters, escapes, slashes, parameters); write it as the route is written."
            }
            Self::Method => "`_method` changes the method of a call; send the call with that method instead.",
            Self::Endpoint => "A batch must name its `endpoint` as a path, like `/v1/chat/completions`.",
            Self::Batch => "The batch cannot be read: its requests must stand where its API has them.",
            Self::BatchLong => {
                "A batch holds at most 10000 requests here, and a request names at most 1024 files; send several."
            }
            Self::Line(number, code) => {
                return Cow::Owned(format!(
                    "Request {number} of the batch (in a file, its line) cannot be understood, so none of it passes: {code}."
                ));
            }
            Self::Media => {
                "An image has more than 67108864 pixels, or audio more than 26214400 bytes or 2 GiB once it is decoded; send a smaller one."
            }
            Self::MediaType => {
                "An image is of a kind whose size cannot be told before it is decoded; send it as PNG, JPEG, GIF, WebP or BMP."
            }
            Self::Fields => "The body has more than 256 fields, or one with a name of more than 256 bytes.",
            Self::Model => {
                "`model` must be a model's name (`org/name` and `name:tag` are), not a path or URL; give a model that is served from a path a name of its own."
            }
            Self::Prompt => {
                "There is nothing to answer: the prompt, input or list of messages is empty or null."
            }
            Self::Number(name) => {
                return Cow::Owned(format!(
                    "`{name}` must be a number, and one that a model server can mean."
                ));
            }
            Self::Stops => "`stop` must be a text or a list of at most 128.",
        })
    }
}
