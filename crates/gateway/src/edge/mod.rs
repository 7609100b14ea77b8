//! The edge: one canonical reading of a request's head, or none.
//!
//! Promise: what the rest of the gateway judges is exactly what is forwarded, because a head that two parsers could
//! read in two ways is refused here (*fails closed*): several or contradicting hosts, framing headers that disagree,
//! paths with `//`, `.` or `..` segments, encoded separators or encoded unreserved characters, backslashes, bytes
//! outside ASCII. Nothing is repaired.
//! An offer to speak h2c is ignored (RFC 9110, 7.8); a wish for a WebSocket has one reading or is refused.
//! How bytes of HTTP/1.1 are written (line ends, framing, names) was looked at before hyper read them: `screen`.

mod handover;
mod opening;
mod screen;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};
use keyward_wire::http1::Fault;

use crate::refusal::{Refusal, RefusalKind};
use crate::websocket::Wish;

pub(crate) use self::handover::Handover;
pub(crate) use self::opening::Begun;
pub(crate) use self::screen::{fault, fault_behind, screened};

/// The longest path and query together, in bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// The canonical head: where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Lower-case host without port, as the caller named it.
    pub host: String,
    /// The path, starting with `/`.
    pub path: String,
    /// The query without `?`, empty when absent.
    pub query: String,
    /// The WebSocket that it asks for.
    pub(crate) websocket: Option<Wish>,
}

/// Reads the head of a request, refusing what is ambiguous.
pub fn read(parts: &Parts) -> Result<Head, Refusal> {
    if let Some(fault) = fault(&parts.extensions) {
        return Err(refused(fault));
    }
    check_method(&parts.method)?;
    check_version(parts.version)?;
    check_framing(&parts.headers)?;
    check_expectations(&parts.headers)?;
    let websocket = Wish::of(parts)?;
    let host = host(parts)?;
    let target = parts.uri.path_and_query().map_or("", |pq| pq.as_str());
    if target.len() > TARGET_BYTES_MAX {
        return Err(bad(format!("The path and query are longer than {TARGET_BYTES_MAX} bytes.")));
    }
    let path = parts.uri.path();
    check_path(path)?;
    let query = parts.uri.query().unwrap_or("");
    if !query.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad("The query holds bytes that must be percent-encoded."));
    }
    Ok(Head { host, path: path.to_owned(), query: query.to_owned(), websocket })
}

fn refused(fault: Fault) -> Refusal {
    let kind = match fault {
        Fault::Version => RefusalKind::UnsupportedProtocol,
        Fault::HeadTooLong(_) | Fault::TooManyHeaders(_) => RefusalKind::HeadTooLarge,
        _ => RefusalKind::BadRequest,
    };
    Refusal::new(kind, fault.to_string())
}

fn bad(public: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, public)
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    const SERVED: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if SERVED.contains(method) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::MethodNotAllowed,
        "This method is not served; use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.",
    ))
}

fn check_version(version: Version) -> Result<(), Refusal> {
    if version == Version::HTTP_11 || version == Version::HTTP_2 {
        return Ok(());
    }
    Err(Refusal::new(RefusalKind::UnsupportedProtocol, "Only HTTP/1.1 and HTTP/2 are served."))
}

fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next() {
        if encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(bad("Transfer-Encoding must be \"chunked\", once."));
        }
        if headers.contains_key(CONTENT_LENGTH) {
            return Err(bad("A request carries either Content-Length or Transfer-Encoding, not both."));
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        let digits = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
        if !digits || lengths.any(|other| other != length) {
            return Err(bad("Content-Length must be one decimal number."));
        }
    }
    Ok(())
}

fn check_expectations(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut expectations = headers.get_all(EXPECT).iter();
    if expectations.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(bad("Expect can only be 100-continue."));
    }
    Ok(())
}

/// The host that the caller named, by `Host` or `:authority`, which must agree.
fn host(parts: &Parts) -> Result<String, Refusal> {
    let mut named = parts.headers.get_all(HOST).iter();
    let header = named.next();
    if named.next().is_some() {
        return Err(bad("A request carries one Host header."));
    }
    let header = header
        .map(|value| value.to_str().map_err(|_| bad("The Host header holds bytes that no host name has.")))
        .transpose()?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let name = match (authority, header) {
        (None, None) => return Err(bad("A request must name its host.")),
        (Some(name), None) | (None, Some(name)) => name,
        (Some(one), Some(other)) if one.eq_ignore_ascii_case(other) => one,
        (Some(_), Some(_)) => {
            return Err(bad("The Host header and the request target name different hosts."));
        }
    };
    let (host, port) = split_port(name).ok_or_else(|| bad("The host is not a host name or address."))?;
    let port_is_fine = port.is_none_or(|p| !p.is_empty() && p.len() <= 5 && p.parse::<u16>().is_ok());
    if !port_is_fine || !is_host(host) {
        return Err(bad("The host is not a host name or address."));
    }
    Ok(host.to_ascii_lowercase())
}

fn split_port(name: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = name.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let literal = name.get(..inside.len() + 2)?;
        return match after {
            "" => Some((literal, None)),
            _ => Some((literal, Some(after.strip_prefix(':')?))),
        };
    }
    Some(name.split_once(':').map_or((name, None), |(host, port)| (host, Some(port))))
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inside.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Refuses every path that two servers could read differently (catalogue 35).
fn check_path(path: &str) -> Result<(), Refusal> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(bad("The request target must be a path that starts with \"/\"."));
    };
    if !path.bytes().all(|b| {
        b.is_ascii_graphic()
            && !matches!(b, b'\\' | b'#' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
    }) {
        return Err(bad("The path holds a byte that must be percent-encoded."));
    }
    check_escapes(path)?;
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            return Err(bad("The path holds an empty segment (\"//\")."));
        }
        // `..;x` is a parent directory to some servers, which cut path parameters off.
        let name = segment.split(';').next().unwrap_or("");
        if name == "." || name == ".." {
            return Err(bad("The path holds a \".\" or \"..\" segment."));
        }
    }
    Ok(())
}

/// Refuses percent-escapes that are malformed or that hide a character which needs no escape or which separates.
fn check_escapes(path: &str) -> Result<(), Refusal> {
    let mut rest = path.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (Some(high), Some(low)) =
            (rest.get(at + 1).copied().and_then(hex), rest.get(at + 2).copied().and_then(hex))
        else {
            return Err(bad("The path holds a malformed percent-escape."));
        };
        let byte = high << 4 | low;
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if unreserved || byte < 0x20 || matches!(byte, b'/' | b'\\' | b'%' | 0x7f) {
            return Err(bad(format!(
                "The path holds the percent-escape %{byte:02X}, which is ambiguous; send it plain."
            )));
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    Ok(())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("GET").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn plain_requests_pass() {
        let head = read(&parts("/openai/v1/chat/completions?a=1&b=%20", &[("host", "Gateway.Example:8700")]))
            .unwrap();
        assert_eq!(head.host, "gateway.example");
        assert_eq!(head.path, "/openai/v1/chat/completions");
        assert_eq!(head.query, "a=1&b=%20");
        for host in ["127.0.0.1:8700", "[::1]:8700", "[::1]", "localhost"] {
            assert!(read(&parts("/x", &[("host", host)])).is_ok(), "{host}");
        }
        assert!(read(&parts("/a/b%20c/d%C3%A9/", &[("host", "h")])).is_ok());
    }

    #[test]
    fn catalogue_33_34_hosts_that_are_ambiguous_are_refused() {
        for host in ["a/x?", "u@b", "a b", "[::1", "a:99999", "a:", "a..b", "a.", "-a", ""] {
            assert!(read(&parts("/x", &[("host", host)])).is_err(), "{host:?}");
        }
        assert!(read(&parts("/x", &[])).is_err());
        assert!(read(&parts("/x", &[("host", "a"), ("host", "a")])).is_err());
        assert!(read(&parts("http://a/x", &[("host", "b")])).is_err());
        assert!(read(&parts("http://a/x", &[("host", "A")])).is_ok());
    }

    #[test]
    fn catalogue_35_paths_with_two_readings_are_refused() {
        for path in [
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/%252e%252e/b",
            "/a/..;/b",
            "/a/./b",
            "//a",
            "/a//b",
            "/a%2fb",
            "/a%5cb",
            "/a%00b",
            "/%61dmin",
            "/a%",
            "/a%g1",
            "/a%2",
            "/..",
            "/.;x/a",
            "/a%7fb",
        ] {
            assert!(read(&parts(path, &[("host", "h")])).is_err(), "{path}");
        }
    }

    #[test]
    fn catalogue_27_28_30_framing_that_disagrees_is_refused() {
        let with = |headers: &[(&str, &str)]| {
            let mut all = vec![("host", "h")];
            all.extend_from_slice(headers);
            read(&parts("/x", &all))
        };
        assert!(with(&[("transfer-encoding", "chunked")]).is_ok());
        assert!(with(&[("content-length", "3"), ("content-length", "3")]).is_ok());
        assert!(with(&[("transfer-encoding", "chunked"), ("content-length", "3")]).is_err());
        assert!(with(&[("transfer-encoding", ",chunked")]).is_err());
        assert!(with(&[("transfer-encoding", "gzip, chunked")]).is_err());
        assert!(with(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]).is_err());
        assert!(with(&[("content-length", "3"), ("content-length", "4")]).is_err());
        for length in ["1, 1", "+1", "0x1", "1_0", "", "-1"] {
            assert!(with(&[("content-length", length)]).is_err(), "{length:?}");
        }
    }

    #[test]
    fn catalogue_37_methods_outside_the_list_are_refused() {
        for method in ["TRACE", "CONNECT", "get", "PROPFIND"] {
            let mut head = parts("/x", &[("host", "h")]);
            head.method = method.parse().unwrap();
            assert_eq!(read(&head).unwrap_err().kind, RefusalKind::MethodNotAllowed, "{method}");
        }
    }
}
