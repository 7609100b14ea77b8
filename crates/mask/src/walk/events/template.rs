//! The frame before, as a template: most frames of a stream differ from it in nothing but their piece of text.
//!
//! What is known of a frame but its piece is a function of its other bytes alone: to which channel it belongs, that
//! nothing else in it is to be masked, that it ends nothing. So a frame with the same other bytes needs no reading.

use std::ops::Range;

use memchr::memchr2;

use super::channel::Key;

/// The longest frame that is made a template, in bytes without its piece.
const TEMPLATE_BYTES_MAX: usize = 4096;

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Template {
    key: Option<Key>,
    /// The name under which its document came.
    name: Vec<u8>,
    before: Vec<u8>,
    after: Vec<u8>,
    /// Where in `before` the document begins.
    lead: usize,
    /// How much of `after` lies behind the document.
    tail: usize,
}

/// A frame that differs from the template in its piece alone; ranges are offsets into the frame.
pub(super) struct Same {
    pub(super) key: Key,
    /// The document.
    pub(super) data: Range<usize>,
    /// The piece.
    pub(super) content: Range<usize>,
}

impl Template {
    /// Learns from a frame with one piece, at `content`, in which nothing else matters; its document is at `data`.
    pub(super) fn learn(&mut self, same: &Same, name: &[u8], frame: &[u8]) {
        let Same { key, data, content } = same;
        if frame.len() - content.len() > TEMPLATE_BYTES_MAX {
            return;
        }
        self.key = Some(*key);
        self.lead = data.start;
        self.tail = frame.len() - data.end;
        for (to, from) in [
            (&mut self.name, name),
            (&mut self.before, frame.get(..content.start).unwrap_or_default()),
            (&mut self.after, frame.get(content.end..).unwrap_or_default()),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
    }

    /// What a frame is that is otherwise the same.
    pub(super) fn find(&self, frame: &[u8]) -> Option<Same> {
        let key = self.key?;
        let end = frame.len().checked_sub(self.after.len())?;
        let content = frame.get(self.before.len()..end)?;
        let same = frame.starts_with(&self.before) && frame.ends_with(&self.after);
        let (data, place) = (self.lead..frame.len() - self.tail, self.before.len()..end);
        (same && is_content(content)).then_some(Same { key, data, content: place })
    }

    /// The name under which the template's document came.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }
}

/// Whether a string's content in one line: the quotes around it are those that begin and end it.
fn is_content(raw: &[u8]) -> bool {
    if memchr2(b'\r', b'\n', raw).is_some() {
        return false;
    }
    let mut rest = raw;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        if rest.get(at) == Some(&b'"') || rest.len() < at + 2 {
            return false;
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::super::paths::Delta;
    use super::*;

    #[test]
    fn only_a_frame_that_differs_in_its_piece_alone_is_found() {
        let mut template = Template::default();
        let frame = |data: &str| format!("data: {data}\n\n").into_bytes();
        let of = |template: &Template, data: &str| {
            let frame = frame(data);
            let same = template.find(&frame)?;
            assert_eq!(String::from_utf8_lossy(&frame[same.data]), data);
            Some((same.key, String::from_utf8_lossy(&frame[same.content]).into_owned()))
        };
        let data = r#"{"a":1,"t":"x","b":"y"}"#;
        assert_eq!(of(&template, data), None);
        let key = Key { delta: Delta::Tgi, a: 0, b: 0, c: 0, owner: 0 };
        template.learn(&Same { key, data: 6..6 + data.len(), content: 18..19 }, b"e", &frame(data));
        assert_eq!(of(&template, data), Some((key, "x".to_owned())));
        assert_eq!(of(&template, r#"{"a":1,"t":"","b":"y"}"#), Some((key, String::new())));
        assert_eq!(of(&template, r#"{"a":1,"t":"\"\\","b":"y"}"#), Some((key, "\\\"\\\\".to_owned())));
        for other in [
            r#"{"a":1,"t":"x","b":"z"}"#,
            r#"{"a":2,"t":"x","b":"y"}"#,
            r#"{"a":1,"t":"x","t":"z","b":"y"}"#,
            r#"{"a":1,"t":"x\","b":"y"}"#,
            r#"{"a":1,"t":"#,
            r#"{"a":1,"t":","b":"y"}"#,
            "{\"a\":1,\"t\":\"x\ndata: \",\"b\":\"y\"}",
        ] {
            assert_eq!(of(&template, other), None, "{other}");
        }
        assert_eq!(template.name(), b"e");
    }
}
