//! A request's head: where it ends, and what follows it.

use memchr::memchr_iter;

use super::{Fault, Limits};

/// How the body after a head is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Sized(u64),
    Chunked,
}

/// The length of the head that `bytes` begin with; none while it is unfinished. `line` is where its last line begins, and
/// `looked` how far it was looked at, both from an earlier call over fewer bytes.
pub(super) fn end(
    bytes: &[u8],
    line: &mut usize,
    looked: &mut usize,
    limits: Limits,
) -> Result<Option<usize>, Fault> {
    // What begins otherwise (with TLS, say) is told at once, not when it has become too long.
    let first = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    if first.first().is_some_and(|byte| !is_token(*byte) && !matches!(byte, b'\r' | b'\n')) {
        return Err(Fault::RequestLine);
    }
    let too_long = |length: usize| length > limits.head_bytes;
    for at in memchr_iter(b'\n', bytes.get(*looked..).unwrap_or_default()) {
        let lf = *looked + at;
        if too_long(lf + 1) {
            return Err(Fault::HeadTooLong(limits.head_bytes));
        }
        if lf.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r') || lf == *line {
            return Err(Fault::LineEnding);
        }
        // An empty line before the request line is no end of a head (RFC 9112, 2.2).
        let empty = lf - 1 == *line;
        if empty && *line > 2 {
            return Ok(Some(lf + 1));
        }
        if empty && *line > 0 {
            return Err(Fault::RequestLine);
        }
        *line = lf + 1;
    }
    *looked = bytes.len();
    if too_long(bytes.len()) {
        return Err(Fault::HeadTooLong(limits.head_bytes));
    }
    Ok(None)
}

/// Reads a whole head, with the empty line at its end.
pub(super) fn framing(head: &[u8], limits: Limits) -> Result<Framing, Fault> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let mut lines = Lines(head);
    request_line(lines.next().ok_or(Fault::RequestLine)?)?;
    let (mut length, mut chunked, mut headers) = (None, false, 0);
    for line in lines {
        if line.is_empty() {
            break;
        }
        headers += 1;
        if headers > limits.headers {
            return Err(Fault::TooManyHeaders(limits.headers));
        }
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return Err(Fault::ContentLength);
            }
            length = Some(number(value).ok_or(Fault::ContentLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::TransferEncoding);
            }
            chunked = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Fault::TwoFramings),
        (None, true) => Ok(Framing::Chunked),
        (length, false) => Ok(Framing::Sized(length.unwrap_or(0))),
    }
}

/// Lines that end in CRLF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let lf = memchr::memchr(b'\n', self.0)?;
        let line = self.0.get(..lf)?;
        self.0 = self.0.get(lf + 1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn request_line(line: &[u8]) -> Result<(), Fault> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::RequestLine);
    };
    if method.is_empty() || target.is_empty() || !method.iter().copied().all(is_token) {
        return Err(Fault::RequestLine);
    }
    match version {
        b"HTTP/1.1" => {}
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::RequestLine),
    }
    if target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        Ok(())
    } else {
        Err(Fault::Target)
    }
}

/// A header line's name and value, without the blanks around it.
pub(super) fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::HeaderName)?;
    let (name, rest) = line.split_at(colon);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Fault::HeaderName);
    }
    let value = rest.get(1..).unwrap_or_default();
    if !value.iter().copied().all(is_value) {
        return Err(Fault::HeaderValue);
    }
    Ok((name, value.trim_ascii()))
}

fn number(digits: &[u8]) -> Option<u64> {
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if sound { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// A character of a token (RFC 9110, 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// What may stand in a value (RFC 9110, 5.5): visible characters, blanks, and bytes beyond ASCII.
pub(super) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
