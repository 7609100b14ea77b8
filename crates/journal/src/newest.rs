//! The newest rows of a long list, and no more.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Keeps the last `limit` rows by the order of their arrival.
pub(crate) struct Newest<K, V> {
    limit: usize,
    order: VecDeque<K>,
    rows: HashMap<K, V>,
}

impl<K: Copy + Eq + Hash, V> Newest<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, order: VecDeque::new(), rows: HashMap::new() }
    }

    /// Adds a row; the oldest one goes when there are too many. A row that is there already stays.
    pub(crate) fn push(&mut self, key: K, row: V) {
        if self.limit == 0 || self.rows.contains_key(&key) {
            return;
        }
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.rows.remove(&oldest);
        }
        self.order.push_back(key);
        self.rows.insert(key, row);
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key)
    }

    pub(crate) fn into_newest_first(mut self) -> Vec<V> {
        self.order.iter().rev().filter_map(|key| self.rows.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let mut rows = Newest::new(3);
        for number in 0..10 {
            rows.push(number, number * 2);
        }
        rows.push(8, 0);
        assert!(rows.get_mut(&6).is_none());
        assert_eq!(rows.get_mut(&7), Some(&mut 14));
        assert_eq!(rows.into_newest_first(), [18, 16, 14]);
        let mut none = Newest::new(0);
        none.push(1, 1);
        assert_eq!(none.into_newest_first(), Vec::<i32>::new());
    }
}
