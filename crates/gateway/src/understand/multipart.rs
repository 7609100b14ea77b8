//! Multipart forms, as far as their parts say what they are: names of fields, names of files, and fields that are text.
//!
//! Promise: what is looked at is what a lenient reader would find too: delimiters may stand behind a bare line feed, and
//! headers may be folded. A body without its delimiter, and a type without exactly one boundary, are refused:
//! *fails closed*.
//! Exceptions: the content of files is data and no argument; fields beyond [`FIELD_BYTES_MAX`] are looked at to there.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

use super::json::Judged;
use super::{UnderstandError, media};

/// Most parts that are looked at.
pub(super) const PARTS_MAX: usize = 1024;
/// Longest head of a part, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is looked at of a field that is text, in bytes.
const FIELD_BYTES_MAX: usize = 256 * 1024;

/// One part.
pub(super) struct Part<'b> {
    /// Its head, in lower case.
    lower: String,
    head: String,
    pub(super) value: &'b [u8],
}

impl Part<'_> {
    pub(super) fn is_file(&self) -> bool {
        self.lower.contains("filename")
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        let quoted = [format!("name=\"{name}\""), format!("name='{name}'"), format!("name={name}")];
        let plain: String = self.lower.chars().filter(|c| !c.is_whitespace()).collect();
        quoted.iter().any(|form| plain.contains(form))
    }
}

/// What the verdict looks at in a multipart body. Files are measured where `media` is given, which says whether they are
/// audio.
pub(super) fn read(body: &[u8], headers: &HeaderMap, media: Option<bool>) -> Result<Judged, UnderstandError> {
    let mut judged = Judged::default();
    for part in parts(body, headers)? {
        judged.see_reference(&part.head);
        if part.is_file() {
            if let Some(audio) = media {
                media::check_upload(part.value, audio)?;
            }
        } else {
            let value = part.value.get(..part.value.len().min(FIELD_BYTES_MAX)).unwrap_or_default();
            judged.see_argument(String::from_utf8_lossy(value).trim());
        }
    }
    Ok(judged)
}

/// The parts of a body.
pub(super) fn parts<'b>(body: &'b [u8], headers: &HeaderMap) -> Result<Vec<Part<'b>>, UnderstandError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let delimiter = delimiter(headers).ok_or(UnderstandError::ContentType)?;
    let ends: Vec<usize> = memmem::find_iter(body, &delimiter)
        .filter(|at| *at == 0 || body.get(at - 1) == Some(&b'\n'))
        .take(PARTS_MAX + 2)
        .collect();
    if ends.is_empty() || ends.len() > PARTS_MAX + 1 {
        return Err(UnderstandError::Form);
    }
    let mut parts = Vec::new();
    for (number, at) in ends.iter().enumerate() {
        let after = at + delimiter.len();
        let end = ends.get(number + 1).copied().unwrap_or(body.len());
        let part = body.get(after..end).unwrap_or_default();
        if part.starts_with(b"--") {
            break;
        }
        parts.push(part_of(part)?);
    }
    Ok(parts)
}

/// Whether strict readers part a body as [`parts`] does: every text that may be a delimiter is one, and the last ends it.
pub(super) fn has_one_reading(body: &[u8], headers: &HeaderMap) -> bool {
    let Some(delimiter) = delimiter(headers) else { return false };
    let mut last = false;
    memmem::find_iter(body, &delimiter).all(|at| {
        let behind = body.get(at + delimiter.len()..).unwrap_or_default();
        let begins = at == 0 || body.get(..at).is_some_and(|before| before.ends_with(b"\r\n"));
        let sound = !last && begins && (behind.starts_with(b"\r\n") || behind.starts_with(b"--"));
        last |= behind.starts_with(b"--");
        sound
    }) && last
}

fn delimiter(headers: &HeaderMap) -> Option<Vec<u8>> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Some([b"--", content_type.and_then(boundary)?.as_bytes()].concat())
}

fn part_of(part: &[u8]) -> Result<Part<'_>, UnderstandError> {
    // The rest of the delimiter's line, then the head, then an empty line.
    let line = memchr::memchr(b'\n', part).ok_or(UnderstandError::Form)?;
    let rest = part.get(line + 1..).unwrap_or_default();
    let none = rest.starts_with(b"\r\n") || rest.starts_with(b"\n");
    let end = if none { 0 } else { head_end(rest).ok_or(UnderstandError::Form)? };
    if end > HEAD_BYTES_MAX {
        return Err(UnderstandError::Form);
    }
    let head = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
    let line =
        |text| <[u8]>::strip_prefix(text, b"\r\n").or_else(|| text.strip_prefix(b"\n")).unwrap_or(text);
    let value = rest.get(end..).unwrap_or_default();
    let value = if none { line(value) } else { line(line(value)) };
    Ok(Part { lower: head.to_ascii_lowercase(), head, value })
}

/// Where a head ends: before its first empty line.
fn head_end(rest: &[u8]) -> Option<usize> {
    let ends = ["\r\n\r\n", "\n\n", "\n\r\n"].map(|end| memmem::find(rest, end.as_bytes()));
    ends.into_iter().flatten().min()
}

/// The one boundary of a content type.
fn boundary(content_type: &str) -> Option<&str> {
    let mut named = content_type.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    });
    let (value, None) = (named.next()?, named.next()) else { return None };
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    let sound = !value.is_empty() && value.len() <= 200 && !value.contains(['"', '\\']);
    sound.then_some(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn touches(content_type: &str, body: &str) -> Result<bool, UnderstandError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        read(body.as_bytes(), &headers, None).map(|judged| judged.touches_secret_file)
    }

    #[test]
    fn names_and_fields_are_looked_at_and_contents_of_files_are_not() {
        let typed = "multipart/form-data; boundary=b";
        let file = |name: &str, content: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename{name}\r\n\r\n{content}\r\n--b--\r\n"
            )
        };
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--\r\n")
        };
        for (body, found) in [
            (file("=\"a.txt\"", "see .env"), false),
            (file("=\".env\"", "x"), true),
            (file("=\"../../etc/passwd\"", "x"), true),
            (file("*=UTF-8''%2e%65nv", "x"), true),
            (field("purpose", "batch"), false),
            (field("path", "/etc/shadow"), true),
            (field(".env", "x"), true),
            (field("call", "{\"path\": \"~/.ssh/id_rsa\"}"), true),
            (file("=\"a\"", "x").replace("\r\n", "\n").replace("\"a\"", "\".env\""), true),
            (file("=\"a\"", "x") + &file("=\".env\"", "x"), false), // behind the end
            ("--b\r\n\r\n/etc/passwd\r\n--b--".to_owned(), true),
            (String::new(), false),
        ] {
            assert_eq!(touches(typed, &body), Ok(found), "{body}");
        }
        let several = field("a", "b").replace("--b--\r\n", "") + &field("path", ".env");
        assert_eq!(touches("multipart/form-data; boundary=\"b\"", &several), Ok(true));
    }

    #[test]
    fn what_has_no_single_reading_is_refused() {
        for typed in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"b",
        ] {
            assert_eq!(touches(typed, "--b\r\n\r\nx"), Err(UnderstandError::ContentType), "{typed}");
        }
        for body in ["x", "--c\r\n\r\nx", "--b", "--b\r\nno end of the head"] {
            assert_eq!(
                touches("multipart/form-data; boundary=b", body),
                Err(UnderstandError::Form),
                "{body}"
            );
        }
    }
}
