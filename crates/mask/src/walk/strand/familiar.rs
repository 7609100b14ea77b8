//! Strings in which nothing was found, with their contexts: a document's keys and words come again and again.
//!
//! Whether something is found in a whole string depends on nothing but its bytes, those of its context and the profile,
//! so that the answer may be kept: for exactly these bytes.

/// The longest string with its context that is kept, in bytes.
const FAMILIAR_BYTES_MAX: usize = 62;
/// log2 of how many are kept.
const FAMILIAR_BITS: u32 = 6;

#[derive(Clone, Copy)]
struct Entry {
    /// More than [`FAMILIAR_BYTES_MAX`] where there is none.
    len: u8,
    /// How many of the bytes are context.
    context: u8,
    bytes: [u8; FAMILIAR_BYTES_MAX],
}

/// The last string of each hash.
#[derive(Default)]
pub(super) struct Familiar {
    entries: Vec<Entry>,
}

impl Familiar {
    /// Whether nothing was found in `text`, of which `context` bytes are its context.
    pub(super) fn knows(&self, text: &[u8], context: usize) -> bool {
        self.entries.get(slot(text)).is_some_and(|entry| {
            usize::from(entry.context) == context
                && usize::from(entry.len) == text.len()
                && entry.bytes.get(..text.len()) == Some(text)
        })
    }

    /// Nothing was found in `text`, of which `context` bytes are its context.
    pub(super) fn learn(&mut self, text: &[u8], context: usize) {
        let (Ok(len), Ok(context)) = (u8::try_from(text.len()), u8::try_from(context)) else { return };
        if text.len() > FAMILIAR_BYTES_MAX {
            return;
        }
        if self.entries.is_empty() {
            let none = Entry { len: u8::MAX, context: 0, bytes: [0; FAMILIAR_BYTES_MAX] };
            self.entries = vec![none; 1 << FAMILIAR_BITS];
        }
        if let Some(entry) = self.entries.get_mut(slot(text)) {
            (entry.len, entry.context) = (len, context);
            entry.bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Where a string is kept, by its length and its first and last bytes.
fn slot(text: &[u8]) -> usize {
    let number = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_le_bytes(*bytes));
    let few = || text.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let first = number(text.first_chunk()).unwrap_or_else(few);
    let last = number(text.last_chunk()).unwrap_or(0);
    let mixed = first.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ last.rotate_left(32) ^ text.len() as u64;
    let hash = mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    usize::try_from(hash >> (64 - FAMILIAR_BITS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_with_the_same_context_are_known() {
        let mut familiar = Familiar::default();
        assert!(!familiar.knows(b"", 0));
        let texts: Vec<Vec<u8>> = (0..FAMILIAR_BYTES_MAX + 2).map(|len| vec![b'a'; len]).collect();
        for text in &texts {
            familiar.learn(text, text.len() / 2);
            let fits = text.len() <= FAMILIAR_BYTES_MAX;
            assert_eq!(familiar.knows(text, text.len() / 2), fits, "{}", text.len());
            assert!(!familiar.knows(text, text.len() / 2 + 1));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] = b'b';
                assert!(!familiar.knows(&other, text.len() / 2));
            }
        }
        familiar.learn(b"role: user", 6);
        familiar.learn(b"role: system", 6);
        assert!(familiar.knows(b"role: system", 6));
    }
}
