//! The part of curl's command line that says what is sent: `-X -H -d --data-raw --data-binary --json -G -I -F URL`.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::exit::Failure;

/// Longest body read from a file, in bytes.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// Ends the parts of a form.
const BOUNDARY: &str = "------------------------keyward-policy-eval";
/// Options that do not change what is asked.
const HARMLESS: [&str; 17] = [
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-sS",
    "-i",
    "--include",
    "-v",
    "--verbose",
    "-N",
    "--no-buffer",
    "-k",
    "--insecure",
    "--compressed",
    "-f",
    "--fail",
    "-q",
];

/// A request that would be sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

#[derive(Default)]
struct Words {
    method: Option<String>,
    headers: Vec<String>,
    data: Vec<Vec<u8>>,
    form: Vec<u8>,
    json: bool,
    query: bool,
    head: bool,
    url: Option<String>,
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::usage(
        message,
        "of curl, -X -H -d --data-raw --data-binary --json -G -I -F and a URL are understood",
    )
}

/// Reads the words after `--`, with or without `curl` before them.
pub(super) fn read(words: &[String]) -> Result<Asked, Failure> {
    let mut rest = words.iter();
    let mut read = Words::default();
    let mut next = rest.next().filter(|word| *word != "curl").or_else(|| rest.next());
    while let Some(word) = next {
        let (option, attached) = split(word);
        let mut value = || {
            attached
                .map(str::to_owned)
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| wrong(format!("{option} needs a value")))
        };
        match option {
            "-X" | "--request" => read.method = Some(value()?),
            "-H" | "--header" => read.headers.push(value()?),
            "-d" | "--data" | "--data-ascii" => read.data.push(data(&value()?, FileText::WithoutLineEnds)?),
            "--data-binary" => read.data.push(data(&value()?, FileText::AsItIs)?),
            "--data-raw" => read.data.push(value()?.into_bytes()),
            "--json" => {
                read.json = true;
                read.data.push(data(&value()?, FileText::AsItIs)?);
            }
            "-F" | "--form" => part(&mut read.form, &value()?)?,
            "--url" => read.url = Some(value()?),
            "-G" | "--get" => read.query = true,
            "-I" | "--head" => read.head = true,
            option if HARMLESS.contains(&option) => {}
            option if option.starts_with('-') => return Err(wrong(format!("{option} is not understood"))),
            url if read.url.is_none() => read.url = Some(url.to_owned()),
            other => return Err(wrong(format!("there is a second URL: {other}"))),
        }
        next = rest.next();
    }
    asked(read)
}

/// An option and the value that is written to it: `-XPOST`, `--request=POST` is not curl's way.
fn split(word: &str) -> (&str, Option<&str>) {
    let takes_value = ["-X", "-H", "-d", "-F"].into_iter().find(|option| word.starts_with(option));
    match takes_value {
        Some(option) if !word.starts_with("--") && word.len() > option.len() => {
            (option, word.get(option.len()..))
        }
        _ => (word, None),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileText {
    WithoutLineEnds,
    AsItIs,
}

fn data(value: &str, text: FileText) -> Result<Vec<u8>, Failure> {
    let Some(path) = value.strip_prefix('@') else { return Ok(value.as_bytes().to_vec()) };
    let mut bytes = file(path)?;
    if text == FileText::WithoutLineEnds {
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    }
    Ok(bytes)
}

fn file(path: &str) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |why: String| Failure::new(crate::exit::Exit::NotFound, format!("the file {path} {why}"), "");
    let length =
        Path::new(path).metadata().map_err(|error| unreadable(format!("cannot be read: {error}")))?.len();
    if length > BODY_BYTES_MAX {
        return Err(unreadable(format!("has more than {BODY_BYTES_MAX} bytes")));
    }
    std::fs::read(path).map_err(|error| unreadable(format!("cannot be read: {error}")))
}

/// Adds one part of a multipart form.
fn part(form: &mut Vec<u8>, value: &str) -> Result<(), Failure> {
    let (name, content) = value.split_once('=').ok_or_else(|| wrong("-F takes NAME=VALUE or NAME=@FILE"))?;
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
    let content = match content.strip_prefix('@') {
        Some(path) => {
            let path = path.split(';').next().unwrap_or(path);
            let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
            head.extend([
                "; filename=\"",
                &quoted(&name.unwrap_or_default()),
                "\"\r\nContent-Type: application/octet-stream",
            ]);
            file(path)?
        }
        None => content.as_bytes().to_vec(),
    };
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(b"\r\n\r\n");
    form.extend_from_slice(&content);
    form.extend_from_slice(b"\r\n");
    Ok(())
}

fn asked(words: Words) -> Result<Asked, Failure> {
    let mut url = words.url.ok_or_else(|| wrong("there is no URL"))?;
    // A path alone is below the connection.
    if url.starts_with('/') {
        url = format!("http://localhost{url}");
    } else if !url.contains("://") {
        url = format!("http://{url}");
    }
    let mut headers = HeaderMap::new();
    for line in &words.headers {
        let Some((name, value)) = line.split_once(':') else {
            return Err(wrong(format!("this is no header: {line}")));
        };
        let name =
            name.trim().parse::<HeaderName>().map_err(|_| wrong(format!("this is no header: {line}")))?;
        let value =
            HeaderValue::from_str(value.trim()).map_err(|_| wrong(format!("this is no header: {line}")))?;
        headers.append(name, value);
    }
    let separator: &[u8] = if words.json { b"" } else { b"&" };
    let has_data = !words.data.is_empty();
    let mut body = words.data.join(separator);
    let mut default = |name: HeaderName, value: &str| {
        if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    };
    if !words.form.is_empty() {
        if has_data {
            return Err(wrong("-F and -d cannot be combined"));
        }
        body = [&words.form, format!("--{BOUNDARY}--\r\n").as_bytes()].concat();
        default(http::header::CONTENT_TYPE, &format!("multipart/form-data; boundary={BOUNDARY}"));
    } else if words.json {
        default(http::header::CONTENT_TYPE, "application/json");
        default(http::header::ACCEPT, "application/json");
    } else if has_data && !words.query {
        default(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let sends = has_data || !words.form.is_empty();
    if words.query && has_data {
        let query = String::from_utf8(std::mem::take(&mut body)).map_err(|_| wrong("-G needs text"))?;
        url = format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' });
    }
    let method = match (words.method, words.head) {
        (Some(method), _) => method.parse().map_err(|_| wrong(format!("this is no method: {method}")))?,
        (None, true) => Method::HEAD,
        (None, false) if sends && !words.query => Method::POST,
        (None, false) => Method::GET,
    };
    let uri = url.parse().map_err(|_| wrong(format!("this is no URL: {url}")))?;
    Ok(Asked { method, uri, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Asked, Failure> {
        read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_curl_would_send() {
        let asked = words("curl -sS http://gw/models/v1/x -H X-Team:blue -d a=1 -d b=2").unwrap();
        assert_eq!(
            (asked.method, asked.uri.path(), &*asked.body),
            (Method::POST, "/models/v1/x", &b"a=1&b=2"[..])
        );
        assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(asked.headers["x-team"], "blue");
        let asked = words("-XPUT /v1/x --json {\"a\":1}").unwrap();
        assert_eq!((asked.method, asked.uri.path(), &*asked.body), (Method::PUT, "/v1/x", &b"{\"a\":1}"[..]));
        assert_eq!(asked.headers["content-type"], "application/json");
        let asked = words("-G -d q=1 http://gw/x?p=2 -H content-type:text/plain").unwrap();
        assert_eq!((asked.method, asked.uri.query(), asked.body.len()), (Method::GET, Some("p=2&q=1"), 0));
        assert_eq!(asked.headers["content-type"], "text/plain");
        let asked = words("-F purpose=tune /v1/files").unwrap();
        let body = String::from_utf8(asked.body).unwrap();
        assert!(body.contains("name=\"purpose\"\r\n\r\ntune\r\n") && body.ends_with("--\r\n"), "{body}");
        assert_eq!(words("-I gw/x").unwrap().method, Method::HEAD);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "curl",
            "-T x /y",
            "/a /b",
            "-X",
            "-H nothing /x",
            "-F a=1 -d b=2 /x",
            "--proxy p /x",
            "-d @/does/not/exist /x",
        ] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
