//! Which format a `Content-Type` names.
//!
//! Promise: a body whose reading the header leaves open is refused, not guessed: two boundaries, an encoded parameter, a
//! charset in which ASCII is not ASCII, pieces of a body (`multipart/byteranges`), in which a secret may begin before
//! the piece.

use super::markup::Markup;

/// The longest boundary (RFC 2046, section 5.1.1), in bytes.
pub const BOUNDARY_BYTES_MAX: usize = 70;

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// Text, or bytes of a kind that is not understood: matched as they stand.
    Text,
    /// Text, or a JSON document when it begins like one: what has no type, or a type that says little.
    Either,
    /// One JSON document, or several; an array of Gemini's events, whose text goes on from element to element.
    Json,
    /// A JSON document per line; pieces of a model's text go on from line to line.
    Ndjson,
    /// Server-sent events.
    EventStream(Dialect),
    /// Messages of `application/vnd.amazon.eventstream`.
    AwsEventStream,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// XML or HTML.
    Markup(Markup),
    /// Text with escapes behind a backslash: YAML, TOML, properties, scripts.
    Escaped,
    /// Parts, each with a type of its own.
    Multipart(Boundary),
    /// A message of Protocol Buffers, read without its schema.
    Protobuf,
    /// Text that is said to be in UTF-16 or UTF-32.
    WideText,
    /// In a charset or an order that cannot be read: refused with [`super::MaskError::Charset`].
    Unreadable,
}

/// What an event stream is expected to be. Known shapes are understood wherever they occur, because routers mix them;
/// the dialect decides what becomes of events that are not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions, completions and responses. Data that is not JSON is one text per event.
    OpenAi,
    /// Messages. Data that is not JSON is one text per event.
    Anthropic,
    /// Anything. Data that is not JSON continues the text of the events of the same name before it.
    Generic,
}

/// What stands between parts; at most [`BOUNDARY_BYTES_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    bytes: [u8; BOUNDARY_BYTES_MAX],
    len: u8,
}

impl std::fmt::Debug for Boundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Boundary({:?})", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl Boundary {
    /// A boundary of printable ASCII that does not end with a space.
    pub fn new(text: &str) -> Option<Self> {
        let good = text.bytes().all(|b| (0x20..0x7f).contains(&b)) && !text.ends_with(' ');
        let mut bytes = [0; BOUNDARY_BYTES_MAX];
        bytes.get_mut(..text.len()).filter(|_| good && !text.is_empty())?.copy_from_slice(text.as_bytes());
        u8::try_from(text.len()).ok().map(|len| Self { bytes, len })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl BodyFormat {
    /// The format that a `Content-Type` names; [`BodyFormat::Either`] without one.
    pub fn of(content_type: Option<&str>, dialect: Dialect) -> Self {
        let content_type = content_type.unwrap_or_default();
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        let kind = kind.trim().to_ascii_lowercase();
        let parameters = parameters(rest);
        let unreadable = |(name, value): &(String, String)| match name.as_str() {
            "charset" => !is_wide(value) && !extends_ascii(value),
            other => other.starts_with("charset*"),
        };
        if parameters.iter().any(unreadable) {
            return Self::Unreadable;
        }
        let wide = parameters.iter().any(|(name, value)| name == "charset" && is_wide(value));
        match (Self::of_kind(&kind, &parameters, dialect), wide) {
            (Self::Text | Self::Either, true) => Self::WideText,
            (Self::Multipart(_), true) => Self::Unreadable,
            (format, _) => format,
        }
    }

    fn of_kind(kind: &str, parameters: &[(String, String)], dialect: Dialect) -> Self {
        match kind {
            "text/event-stream" => Self::EventStream(dialect),
            "application/vnd.amazon.eventstream" => Self::AwsEventStream,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/json-lines"
            | "application/json-seq" => Self::Ndjson,
            "application/json" | "text/json" | "application/x-json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "text/html" => Self::Markup(Markup::Html),
            "text/xml" | "application/xml" => Self::Markup(Markup::Xml),
            "application/x-protobuf"
            | "application/protobuf"
            | "application/x-google-protobuf"
            | "application/vnd.google.protobuf" => Self::Protobuf,
            "multipart/byteranges" => Self::Unreadable,
            "" | "text/plain" | "application/octet-stream" | "binary/octet-stream" => Self::Either,
            kind if kind.ends_with("+json") => Self::Json,
            kind if kind.ends_with("+xml") => Self::Markup(Markup::Xml),
            kind if kind.ends_with("+protobuf") => Self::Protobuf,
            kind if kind.starts_with("multipart/") => {
                let mut given = parameters.iter().filter(|(name, _)| name.starts_with("boundary"));
                match (given.next(), given.next()) {
                    (Some((name, boundary)), None) if name == "boundary" => {
                        Boundary::new(boundary).map_or(Self::Unreadable, Self::Multipart)
                    }
                    _ => Self::Unreadable,
                }
            }
            kind if ["yaml", "toml", "javascript", "properties"].iter().any(|word| kind.ends_with(word)) => {
                Self::Escaped
            }
            _ => Self::Text,
        }
    }
}

/// The parameters of a media type (RFC 9110, section 5.6.6): names in lower case, values without their quotes.
pub(super) fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (value, after) = match after.strip_prefix('=') {
            Some(value) => value_of(value),
            None => (String::new(), after),
        };
        if !name.trim().is_empty() {
            found.push((name.trim().to_ascii_lowercase(), value));
        }
        let end = after.find(';').map_or(after.len(), |at| at + 1);
        rest = after.get(end..).unwrap_or_default();
    }
    found
}

/// A value and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at_checked(text.find(';').unwrap_or(text.len())).unwrap_or((text, ""));
        return (value.trim_end().to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, quoted.get(at + 1..).unwrap_or_default()),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// Whether the charset is one of UTF-16 and UTF-32.
fn is_wide(charset: &str) -> bool {
    let charset = charset.to_ascii_lowercase();
    matches!(charset.as_str(), "ucs-2" | "iso-10646-ucs-2" | "ucs-4" | "iso-10646-ucs-4" | "unicode")
        || ["utf-16", "utf16", "utf-32", "utf32"].iter().any(|family| charset.starts_with(family))
}

/// Whether an ASCII byte in this charset is always that ASCII character.
fn extends_ascii(charset: &str) -> bool {
    let charset = charset.to_ascii_lowercase();
    matches!(charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii" | "ascii" | "latin1" | "binary")
        || ["iso-8859-", "windows-125", "cp125"].iter().any(|family| charset.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str) -> BodyFormat {
        BodyFormat::of(Some(content_type), Dialect::OpenAi)
    }

    #[test]
    fn formats_are_known_by_their_content_type() {
        assert_eq!(BodyFormat::of(None, Dialect::OpenAi), BodyFormat::Either);
        for (content_type, format) in [
            ("application/json", BodyFormat::Json),
            ("Application/Problem+JSON; charset=UTF-8", BodyFormat::Json),
            ("text/event-stream; charset=utf-8", BodyFormat::EventStream(Dialect::OpenAi)),
            ("application/x-ndjson", BodyFormat::Ndjson),
            ("application/octet-stream", BodyFormat::Either),
            ("text/plain; charset=\"iso-8859-1\"", BodyFormat::Either),
            ("text/csv", BodyFormat::Text),
            ("application/x-www-form-urlencoded", BodyFormat::Form),
            ("text/html;charset=utf-8", BodyFormat::Markup(Markup::Html)),
            ("image/svg+xml", BodyFormat::Markup(Markup::Xml)),
            ("application/x-yaml", BodyFormat::Escaped),
            ("text/javascript", BodyFormat::Escaped),
            ("application/x-protobuf; messageType=x", BodyFormat::Protobuf),
        ] {
            assert_eq!(of(content_type), format, "{content_type}");
        }
    }

    #[test]
    fn catalogue_62_charsets_that_are_not_ascii_are_refused() {
        for charset in ["utf-7", "shift_jis", "iso-2022-jp", "utf-8; charset=utf-7", "utf-16; charset=utf-7"]
        {
            assert_eq!(
                of(&format!("application/json; charset={charset}")),
                BodyFormat::Unreadable,
                "{charset}"
            );
        }
        assert_eq!(of("text/plain; charset*=utf-8''utf-7"), BodyFormat::Unreadable);
    }

    #[test]
    fn boundaries_are_read_in_one_way_or_refused() {
        let multipart = |text: &str| Boundary::new(text).map(BodyFormat::Multipart).unwrap();
        assert_eq!(of("multipart/form-data; boundary=abc"), multipart("abc"));
        assert_eq!(of("multipart/mixed; charset=utf-8; Boundary = \"a;b \\\" c\" "), multipart("a;b \" c"));
        let longest = "x".repeat(BOUNDARY_BYTES_MAX);
        assert_eq!(of(&format!("multipart/related; boundary={longest}")), multipart(&longest));
        for refused in [
            "multipart/mixed",
            "multipart/mixed; boundary=",
            "multipart/mixed; boundary=a; boundary=b",
            "multipart/mixed; boundary=a; boundary=a",
            "multipart/mixed; boundary*=utf-8''a",
            "multipart/mixed; boundary*0=a; boundary*1=b",
            "multipart/mixed; boundary=\"a \"",
            "multipart/mixed; boundary=\"a\u{e9}\"",
            "multipart/byteranges; boundary=a",
            &format!("multipart/mixed; boundary={longest}x"),
        ] {
            assert_eq!(of(refused), BodyFormat::Unreadable, "{refused}");
        }
    }
}
