//! What was found out about a token, by its hash: bounded, and cheap enough for every request.
//!
//! Promise: never more than its bound of entries, and nothing of a token but its SHA-256. Two generations per shard: what
//! is used moves to the young one; when that is full, the old one is dropped whole. So what is in use stays, and no
//! entry needs a clock.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::TokenHash;

const SHARDS: usize = 16;

pub(super) struct Cache<V> {
    shards: [Mutex<Shard<V>>; SHARDS],
    generation_max: usize,
}

struct Shard<V> {
    young: HashMap<TokenHash, V>,
    old: HashMap<TokenHash, V>,
}

impl<V: Clone> Cache<V> {
    /// Holds at most `entries_max` entries, and at least two per shard.
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard { young: HashMap::new(), old: HashMap::new() })),
            generation_max: (entries_max / SHARDS / 2).max(1),
        }
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<V> {
        let mut shard = self.shard(hash)?;
        if let Some(value) = shard.young.get(hash) {
            return Some(value.clone());
        }
        let value = shard.old.remove(hash)?;
        self.add(&mut shard, *hash, value.clone());
        Some(value)
    }

    pub(super) fn insert(&self, hash: TokenHash, value: V) {
        if let Some(mut shard) = self.shard(&hash) {
            shard.old.remove(&hash);
            self.add(&mut shard, hash, value);
        }
    }

    pub(super) fn remove(&self, hash: &TokenHash) {
        if let Some(mut shard) = self.shard(hash) {
            shard.young.remove(hash);
            shard.old.remove(hash);
        }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.clear();
            shard.old.clear();
        }
    }

    fn add(&self, shard: &mut Shard<V>, hash: TokenHash, value: V) {
        if shard.young.len() >= self.generation_max && !shard.young.contains_key(&hash) {
            shard.old = mem::take(&mut shard.young);
        }
        shard.young.insert(hash, value);
    }

    /// The hash is uniform, so its first byte spreads evenly. `None` cannot happen: the index is below `SHARDS`.
    fn shard(&self, hash: &TokenHash) -> Option<MutexGuard<'_, Shard<V>>> {
        let index = usize::from(hash.first_byte()) % SHARDS;
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap()).map(|s| s.young.len() + s.old.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new(320);
        let kept = TokenHash::of("kept");
        cache.insert(kept, 0);
        for n in 1..10_000 {
            cache.insert(TokenHash::of(&n.to_string()), n);
            assert_eq!(cache.get(&kept), Some(0), "after {n}");
            assert!(cache.len() <= 320);
        }
        assert!(cache.len() > 160, "both generations are used");
    }

    #[test]
    fn forgets() {
        let cache = Cache::new(320);
        let (one, two) = (TokenHash::of("1"), TokenHash::of("2"));
        cache.insert(one, 1);
        cache.insert(two, 2);
        cache.remove(&one);
        assert_eq!((cache.get(&one), cache.get(&two)), (None, Some(2)));
        cache.clear();
        assert_eq!(cache.len(), 0);
    }
}
