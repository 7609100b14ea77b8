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

/// What the verdict looks at in a multipart body. Files are measured where `media` is given, which says whether they are
/// audio.
pub(super) fn read(body: &[u8], headers: &HeaderMap, media: Option<bool>) -> Result<Judged, UnderstandError> {
    let mut judged = Judged::default();
    if body.is_empty() {
        return Ok(judged);
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(boundary).ok_or(UnderstandError::ContentType)?;
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let ends: Vec<usize> = memmem::find_iter(body, &delimiter)
        .filter(|at| *at == 0 || body.get(at - 1) == Some(&b'\n'))
        .take(PARTS_MAX + 2)
        .collect();
    if ends.is_empty() || ends.len() > PARTS_MAX + 1 {
        return Err(UnderstandError::Form);
    }
    for (number, at) in ends.iter().enumerate() {
        let after = at + delimiter.len();
        let end = ends.get(number + 1).copied().unwrap_or(body.len());
        let part = body.get(after..end).unwrap_or_default();
        if part.starts_with(b"--") {
            break;
        }
        see_part(part, media, &mut judged)?;
    }
    Ok(judged)
}

fn see_part(part: &[u8], media: Option<bool>, judged: &mut Judged) -> Result<(), UnderstandError> {
    // The rest of the delimiter's line, then the head, then an empty line.
    let line = memchr::memchr(b'\n', part).ok_or(UnderstandError::Form)?;
    let rest = part.get(line + 1..).unwrap_or_default();
    let none = rest.starts_with(b"\r\n") || rest.starts_with(b"\n");
    let end = if none { 0 } else { head_end(rest).ok_or(UnderstandError::Form)? };
    if end > HEAD_BYTES_MAX {
        return Err(UnderstandError::Form);
    }
    let head = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
    judged.see_reference(&head);
    let lower = head.to_ascii_lowercase();
    let is_file = lower.contains("filename");
    let value = rest.get(end..).unwrap_or_default();
    if is_file {
        let content = value.trim_ascii_start();
        return media.map_or(Ok(()), |audio| media::check_upload(content, audio));
    }
    let value = value.get(..value.len().min(FIELD_BYTES_MAX)).unwrap_or_default();
    judged.see_argument(String::from_utf8_lossy(value).trim());
    Ok(())
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
