//! Literals byte by byte: for texts too short to be worth a SIMD search, and for the end of a text.

/// A tree over the bytes of literals. A bit set of the two bytes that literals begin with turns nearly every position of
/// a text away before the tree is touched.
#[derive(Default)]
pub(super) struct Trie {
    pairs: Vec<u64>,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    /// The literal that ends here.
    literal: Option<u32>,
    next: Vec<(u8, u32)>,
}

impl Trie {
    pub(super) fn new(literals: &[Box<[u8]>]) -> Self {
        let mut trie = Self { pairs: vec![0; 1 << 10], nodes: vec![Node::default()] };
        for (number, literal) in (0u32..).zip(literals) {
            trie.insert(literal, number);
        }
        trie
    }

    fn insert(&mut self, literal: &[u8], number: u32) {
        for second in literal.get(1).map_or(0..=u8::MAX, |byte| *byte..=*byte) {
            let Some((word, bit)) = literal.first().map(|first| place(*first, second)) else { return };
            if let Some(word) = self.pairs.get_mut(word) {
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
                    node.next.push((*byte, child));
                }
                child
            };
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.literal = Some(number);
        }
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        self.nodes.get(node as usize)?.next.iter().find_map(|(b, child)| (*b == byte).then_some(*child))
    }

    /// Tells every literal that `text` begins with, and returns whether all of `text` is the beginning of a longer one.
    #[inline]
    pub(super) fn follow(&self, text: &[u8], found: impl FnMut(u32)) -> bool {
        if let Some([first, second]) = text.first_chunk() {
            let (word, bit) = place(*first, *second);
            if self.pairs.get(word).is_none_or(|word| word & bit == 0) {
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

/// Where the bit set holds a pair of bytes.
#[inline]
fn place(first: u8, second: u8) -> (usize, u64) {
    let pair = u16::from_be_bytes([first, second]);
    (usize::from(pair >> 6), 1 << (pair & 63))
}
