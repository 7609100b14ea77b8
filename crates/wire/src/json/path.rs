//! Where in a document the scanner stands.

/// How many bytes of a key are kept (its meaning, from the start); longer keys are known by this prefix.
pub const KEY_BYTES_MAX: usize = 128;

/// One step from a document's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// A member of an object; empty before its first key.
    Key(&'a [u8]),
    /// An element of an array, counted from 0.
    Index(u64),
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where this frame's key begins in `keys`.
    key_start: usize,
    /// The element's index; `None` in an object.
    index: Option<u64>,
}

/// The keys and indexes from the root to the current value.
#[derive(Debug, Clone, Default)]
pub struct Path {
    frames: Vec<Frame>,
    keys: Vec<u8>,
}

impl Path {
    /// How many objects and arrays are open.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// From the root to the current value.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        (0..self.frames.len()).filter_map(|i| self.segment(i))
    }

    /// The segment inside the container number `level`, counted from 0 at the root.
    pub fn segment(&self, level: usize) -> Option<Segment<'_>> {
        let frame = self.frames.get(level)?;
        if let Some(index) = frame.index {
            return Some(Segment::Index(index));
        }
        let end = self.frames.get(level + 1).map_or(self.keys.len(), |f| f.key_start);
        Some(Segment::Key(self.keys.get(frame.key_start..end).unwrap_or_default()))
    }

    /// The key inside the container number `level`; `None` in an array.
    pub fn key(&self, level: usize) -> Option<&[u8]> {
        match self.segment(level)? {
            Segment::Key(key) => Some(key),
            Segment::Index(_) => None,
        }
    }

    /// The index inside the container number `level`; `None` in an object.
    pub fn index(&self, level: usize) -> Option<u64> {
        match self.segment(level)? {
            Segment::Index(index) => Some(index),
            Segment::Key(_) => None,
        }
    }

    /// The nearest key around the current value, across arrays.
    pub fn last_key(&self) -> Option<&[u8]> {
        (0..self.frames.len()).rev().find_map(|i| self.key(i)).filter(|k| !k.is_empty())
    }

    pub(super) fn in_array(&self) -> Option<bool> {
        self.frames.last().map(|f| f.index.is_some())
    }

    pub(super) fn open(&mut self, array: bool) {
        self.frames.push(Frame { key_start: self.keys.len(), index: array.then_some(0) });
    }

    pub(super) fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.keys.truncate(frame.key_start);
        }
    }

    pub(super) fn next_element(&mut self) {
        if let Some(Frame { index: Some(index), .. }) = self.frames.last_mut() {
            *index = index.saturating_add(1);
        }
    }

    pub(super) fn begin_key(&mut self) {
        let start = self.frames.last().map_or(0, |f| f.key_start);
        self.keys.truncate(start);
    }

    pub(super) fn extend_key(&mut self, meaning: &[u8]) {
        let start = self.frames.last().map_or(0, |f| f.key_start);
        let room = KEY_BYTES_MAX.saturating_sub(self.keys.len() - start);
        self.keys.extend_from_slice(meaning.get(..room).unwrap_or(meaning));
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.keys.clear();
    }
}
