//! The Merkle tree of RFC 6962 over all records, kept as its right edge: the roots of the perfect subtrees that make
//! it up. Adding a leaf costs two hashes on average, and the state is at most 64 hashes.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// The right edge of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tree {
    size: u64,
    /// Roots of the perfect subtrees, largest first: one for each bit set in `size`.
    edge: Vec<Hash>,
}

impl Tree {
    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the edge can belong to a tree of this size (a state read from disk may say anything).
    pub(crate) fn is_consistent(&self) -> bool {
        u32::try_from(self.edge.len()) == Ok(self.size.count_ones())
    }

    /// Adds a leaf by its hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one in the size is a perfect subtree as large as what `hash` stands for: the two join.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                hash = node(&left, &hash);
            }
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// The root; of an empty tree the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut subtrees = self.edge.iter().rev();
        match subtrees.next() {
            None => digest(&[]),
            Some(smallest) => subtrees.fold(*smallest, |right, left| node(left, &right)),
        }
    }
}

/// The hash of a leaf with this content.
pub(crate) fn leaf(content: &[u8]) -> Hash {
    digest(&[&[0], content])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    digest(&[&[1], left, right])
}

/// SHA-256 over parts in a row.
pub(crate) fn digest(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'?'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in RFC 6962 §2.1, word for word.
    fn reference(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => digest(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&reference(&many[..split]), &reference(&many[split..]))
            }
        }
    }

    #[test]
    fn grows_to_the_same_root_as_the_definition() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for number in 0u32..130 {
            assert_eq!(tree.root(), reference(&leaves), "{number} leaves");
            assert!(tree.is_consistent());
            let hash = leaf(&number.to_le_bytes());
            leaves.push(hash);
            tree.push(hash);
        }
    }

    #[test]
    fn known_answers() {
        // The published vectors of Certificate Transparency: the empty tree and the tree of one empty leaf.
        assert_eq!(
            hex(&Tree::default().root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut tree = Tree::default();
        tree.push(leaf(b""));
        assert_eq!(hex(&tree.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
