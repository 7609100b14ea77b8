//! The event before, as a template: most events of a stream differ from it in nothing but their piece of text.
//!
//! What is known of an event but its piece is a function of its other bytes alone: to which channel it belongs, that
//! nothing else in it is to be masked, that it ends nothing. So an event with the same other bytes needs no reading.

use std::ops::Range;

use memchr::memchr2;

use super::channel::Key;

/// The longest event that is made a template, in bytes without its piece.
const TEMPLATE_BYTES_MAX: usize = 4096;

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Template {
    key: Option<Key>,
    name: Vec<u8>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// Learns from an event that has one piece, at `content`, and in which nothing else matters.
    pub(super) fn learn(&mut self, key: Key, name: &[u8], data: &[u8], content: &Range<usize>) {
        if data.len() - content.len() > TEMPLATE_BYTES_MAX {
            return;
        }
        self.key = Some(key);
        for (to, from) in [
            (&mut self.name, name),
            (&mut self.before, data.get(..content.start).unwrap_or_default()),
            (&mut self.after, data.get(content.end..).unwrap_or_default()),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
    }

    /// The piece of an event that is otherwise the same.
    pub(super) fn find(&self, name: &[u8], data: &[u8]) -> Option<(Key, Range<usize>)> {
        let key = self.key?;
        let end = data.len().checked_sub(self.after.len())?;
        let content = data.get(self.before.len()..end)?;
        let same = data.starts_with(&self.before) && data.ends_with(&self.after) && name == self.name;
        (same && is_content(content)).then_some((key, self.before.len()..end))
    }
}

/// Whether a string's content: the quotes around it are those that begin and end it.
fn is_content(raw: &[u8]) -> bool {
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
    fn only_an_event_that_differs_in_its_piece_alone_is_found() {
        let mut template = Template::default();
        let data = br#"{"a":1,"t":"x","b":"y"}"#;
        assert_eq!(template.find(b"e", data), None);
        let key = Key { delta: Delta::Tgi, a: 0, b: 0, c: 0, owner: 0 };
        template.learn(key, b"e", data, &(12..13));
        assert_eq!(template.find(b"e", data), Some((key, 12..13)));
        assert_eq!(template.find(b"e", br#"{"a":1,"t":"","b":"y"}"#), Some((key, 12..12)));
        assert_eq!(template.find(b"e", br#"{"a":1,"t":"\"\\","b":"y"}"#), Some((key, 12..16)));
        for other in [
            &br#"{"a":1,"t":"x","b":"z"}"#[..],
            br#"{"a":2,"t":"x","b":"y"}"#,
            br#"{"a":1,"t":"x","t":"z","b":"y"}"#,
            br#"{"a":1,"t":"x\","b":"y"}"#,
            br#"{"a":1,"t":"#,
            br#"{"a":1,"t":","b":"y"}"#,
        ] {
            assert_eq!(template.find(b"e", other), None, "{}", String::from_utf8_lossy(other));
        }
        assert_eq!(template.find(b"f", data), None);
    }
}
