//! Literals byte by byte: for texts too short to be worth a SIMD search, and for the end of a text.

/// Words of the filter: 8 KB fit the first cache level.
const FILTER_WORDS: usize = 1 << 10;

/// A tree over the bytes of literals. A bit set of the three bytes that literals begin with turns nearly every position
/// of a text away before the tree is touched.
#[derive(Default)]
pub(super) struct Trie {
    filter: Vec<u64>,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// The literal that ends here.
    literal: Option<u32>,
    /// By byte, ordered.
    next: Vec<(u8, u32)>,
}

impl Trie {
    pub(super) fn new(literals: &[Box<[u8]>]) -> Self {
        let mut trie = Self { filter: vec![0; FILTER_WORDS], nodes: vec![Node::default()] };
        for (number, literal) in (0u32..).zip(literals) {
            trie.insert(literal, number);
        }
        trie
    }

    fn insert(&mut self, literal: &[u8], number: u32) {
        let any = |at: usize| literal.get(at).map_or(0..=u8::MAX, |byte| *byte..=*byte);
        let begins = any(0).flat_map(|a| any(1).flat_map(move |b| any(2).map(move |c| [a, b, c])));
        for begin in begins {
            let (word, bit) = place(begin);
            if let Some(word) = self.filter.get_mut(word) {
                *word |= bit;
            }
        }
        let mut at = 0;
        for byte in literal {
            at = if let Some(child) = self.child(at, *byte) {
                child
            } else {
                let child = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                self.nodes.push(Node::default());
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    let place = node.next.partition_point(|(b, _)| b < byte);
                    node.next.insert(place, (*byte, child));
                }
                child
            };
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.literal = Some(number);
        }
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let next = &self.nodes.get(node as usize)?.next;
        next.binary_search_by_key(&byte, |(b, _)| *b)
            .ok()
            .and_then(|at| next.get(at))
            .map(|(_, child)| *child)
    }

    /// Tells every literal that `text` begins with, and returns whether all of `text` is the beginning of a longer one.
    #[inline]
    pub(super) fn follow(&self, text: &[u8], found: impl FnMut(u32)) -> bool {
        if let Some(begin) = text.first_chunk() {
            let (word, bit) = place(*begin);
            if self.filter.get(word).is_none_or(|word| word & bit == 0) {
                return false;
            }
        }
        self.walk(text, found)
    }

    fn walk(&self, text: &[u8], mut found: impl FnMut(u32)) -> bool {
        let mut at = 0;
        for byte in text {
            let Some(child) = self.child(at, *byte) else { return false };
            at = child;
            if let Some(literal) = self.nodes.get(at as usize).and_then(|node| node.literal) {
                found(literal);
            }
        }
        self.nodes.get(at as usize).is_some_and(|node| !node.next.is_empty())
    }
}

/// Where the filter holds the beginning of a literal.
#[inline]
fn place([a, b, c]: [u8; 3]) -> (usize, u64) {
    let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1) >> 16;
    ((hash >> 6) as usize, 1 << (hash & 63))
}
