//! What was clean in the event before: most members repeat from event to event, and a text that was looked at and had
//! nothing to mask has nothing to mask the next time.

/// How many texts of an event are remembered.
const TEXTS_MAX: usize = 64;
/// The longest text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 96;

/// Clean texts by their place in the event.
#[derive(Debug, Default)]
pub(super) struct Recent {
    texts: Vec<Vec<u8>>,
    at: usize,
}

impl Recent {
    /// A new event begins.
    pub(super) fn restart(&mut self) {
        self.at = 0;
    }

    /// Whether the next text is the same as the clean one at this place. Every text of an event is asked for once.
    pub(super) fn is_known(&mut self, text: &[u8]) -> bool {
        let known = self.texts.get(self.at).is_some_and(|t| t == text && !t.is_empty());
        self.at += 1;
        known
    }

    /// The text that was asked for last is clean.
    pub(super) fn learn(&mut self, text: &[u8]) {
        let at = self.at.saturating_sub(1);
        if text.len() > TEXT_BYTES_MAX || at >= TEXTS_MAX {
            return;
        }
        while self.texts.len() <= at {
            self.texts.push(Vec::new());
        }
        if let Some(slot) = self.texts.get_mut(at) {
            slot.clear();
            slot.extend_from_slice(text);
        }
    }
}
