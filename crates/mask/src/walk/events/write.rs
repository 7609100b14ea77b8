//! Writing events.

use memchr::memchr2;

use super::channel::Shape;

/// Writes a value of `data`; a line break in it continues on a further line.
pub(super) fn write_data(text: &[u8], crlf: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        let (line, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.extend_from_slice(if crlf { b"\r\ndata: " } else { b"\ndata: " });
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Writes an event of its own.
pub(super) fn write_event(shape: &Shape, text: &[u8], crlf: bool, out: &mut Vec<u8>) {
    let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    if !shape.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(&shape.name);
        out.extend_from_slice(end);
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&shape.before);
    write_data(text, crlf, out);
    out.extend_from_slice(&shape.after);
    out.extend_from_slice(end);
    out.extend_from_slice(end);
}
