//! What was clean in the event before: most members repeat from event to event, and a text that was looked at and had
//! nothing to mask has nothing to mask the next time, provided that it is looked at in the same way.

/// How many texts of an event are remembered.
const TEXTS_MAX: usize = 64;
/// The longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 96;

/// Clean texts by their place in the event.
#[derive(Debug, Default)]
pub(super) struct Recent {
    texts: Vec<Clean>,
    at: usize,
}

/// A clean text, and the names beside which it was looked at: under another name it may be a secret.
#[derive(Debug, Default)]
struct Clean {
    context: Vec<u8>,
    text: Vec<u8>,
}

impl Recent {
    /// A new event begins.
    pub(super) fn restart(&mut self) {
        self.at = 0;
    }

    /// Whether the next text is the same as the clean one at this place. Every text of an event is asked for once.
    pub(super) fn is_known(&mut self, context: &[u8], text: &[u8]) -> bool {
        let same = |clean: &Clean| !text.is_empty() && clean.text == text && clean.context == context;
        let known = self.texts.get(self.at).is_some_and(same);
        self.at += 1;
        known
    }

    /// The text that was asked for last is clean.
    pub(super) fn learn(&mut self, context: &[u8], text: &[u8]) {
        let at = self.at.saturating_sub(1);
        if text.len() > TEXT_BYTES_MAX || context.len() > TEXT_BYTES_MAX || at >= TEXTS_MAX {
            return;
        }
        while self.texts.len() <= at {
            self.texts.push(Clean::default());
        }
        if let Some(clean) = self.texts.get_mut(at) {
            clean.context.clear();
            clean.context.extend_from_slice(context);
            clean.text.clear();
            clean.text.extend_from_slice(text);
        }
    }
}
