//! Replacements of ranges, carried out in one pass.

use std::ops::Range;

#[derive(Debug, Default)]
struct Edit {
    range: Range<usize>,
    text: Vec<u8>,
}

/// Replacements, in order of their ranges; memory is kept for the next event.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    used: usize,
}

impl Edits {
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.list.truncate(64);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    fn current(&self) -> &[Edit] {
        self.list.get(..self.used).unwrap_or_default()
    }

    /// Replaces `range` by `text`; returns the edit's number.
    pub(super) fn push(&mut self, range: Range<usize>, text: &[u8]) -> usize {
        if self.used == self.list.len() {
            self.list.push(Edit::default());
        }
        if let Some(edit) = self.list.get_mut(self.used) {
            edit.range = range;
            edit.text.clear();
            edit.text.extend_from_slice(text);
        }
        self.used += 1;
        self.used - 1
    }

    /// Adds to the text of an edit.
    pub(super) fn append(&mut self, number: usize, text: &[u8]) {
        if let Some(edit) = self.list.get_mut(number) {
            edit.text.extend_from_slice(text);
        }
    }

    /// Replaces all of `range`, whatever was to happen inside it. Numbers given out before are void.
    pub(super) fn cover(&mut self, range: &Range<usize>, text: &[u8]) {
        let mut kept = 0;
        for at in 0..self.used {
            let inside =
                self.list.get(at).is_some_and(|e| e.range.start >= range.start && e.range.end <= range.end);
            if !inside {
                self.list.swap(kept, at);
                kept += 1;
            }
        }
        self.used = kept;
        self.push(range.clone(), text);
    }

    pub(super) fn sort(&mut self) {
        if let Some(list) = self.list.get_mut(..self.used) {
            list.sort_by_key(|e| e.range.start);
        }
    }

    /// Appends `data` as edited.
    pub(super) fn write(&self, data: &[u8], out: &mut Vec<u8>) {
        self.write_range(data, 0..data.len(), out);
    }

    /// Appends a part of `data` as edited. Edits must be sorted unless at most one lies in the range.
    pub(super) fn write_range(&self, data: &[u8], range: Range<usize>, out: &mut Vec<u8>) {
        let mut at = range.start;
        for edit in self.current().iter().filter(|e| e.range.start >= range.start && e.range.end <= range.end)
        {
            out.extend_from_slice(data.get(at..edit.range.start).unwrap_or_default());
            out.extend_from_slice(&edit.text);
            at = edit.range.end;
        }
        out.extend_from_slice(data.get(at..range.end).unwrap_or_default());
    }
}
