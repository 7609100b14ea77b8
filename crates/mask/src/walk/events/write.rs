//! Writing events.

use keyward_wire::sse::Line;
use memchr::memchr2;

use super::Frames;
use super::channel::Shape;

impl Frames {
    /// Writes a frame as edited.
    pub(super) fn write(
        &self,
        frame: &[u8],
        lines: &[Line],
        one: bool,
        data: &[u8],
        is_data: impl Fn(&Line) -> bool,
        out: &mut Vec<u8>,
    ) {
        if self.edits.is_empty() {
            return self.line_edits.write(frame, out);
        }
        let mut text = Vec::with_capacity(data.len() + 64);
        self.edits.write(data, &mut text);
        let mut at = 0;
        let mut written = false;
        for line in lines.iter().filter(|l| is_data(l)) {
            if written {
                self.line_edits.write_range(frame, at..line.name.start, out);
                at = line.end;
                continue;
            }
            self.line_edits.write_range(frame, at..line.value.start, out);
            write_data(&text, self.crlf, out);
            // All data lines are in it; of the others nothing is left.
            written = true;
            at = line.value.end;
            if !one {
                out.extend_from_slice(frame.get(line.value.end..line.end).unwrap_or_default());
                at = line.end;
            }
        }
        self.line_edits.write_range(frame, at..frame.len(), out);
    }
}

/// Writes a value of `data`; a line break in it continues on a further line.
fn write_data(text: &[u8], crlf: bool, out: &mut Vec<u8>) {
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
