//! How the tests open journals.

use std::path::Path;

use keyward_core::Timestamp;
use keyward_core::seal::SealingKey;
use keyward_journal::{Durability, Journal, Options, Record, Recovery};
use zeroize::Zeroizing;

use crate::sample;

pub(crate) fn key() -> SealingKey {
    SealingKey::new(Zeroizing::new([5; 32])).unwrap()
}

pub(crate) fn clock() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

pub(crate) fn options(dir: &Path, segment_bytes_max: u64) -> Options {
    Options {
        dir: dir.to_owned(),
        key: key(),
        durability: Durability::Written,
        segment_bytes_max,
        min_free_bytes: 0,
        clock,
    }
}

pub(crate) fn open(dir: &Path) -> (Journal, Recovery) {
    Journal::open(options(dir, 2_500)).unwrap()
}

/// Two sessions with exchanges, mixed.
pub(crate) fn story() -> Vec<Record> {
    let mut records = vec![sample::opened(1, "ann", "openai"), sample::opened(2, "bob", "anthropic")];
    for request in 10..14 {
        let session = 1 + request % 2;
        records.push(sample::intent(request, session));
        records.extend(sample::answer(request, session));
    }
    records.push(sample::closed(1));
    records
}

/// Appends them all.
pub(crate) fn append_all<'a>(journal: &Journal, records: impl IntoIterator<Item = &'a Record>) {
    for record in records {
        journal.append(record).unwrap();
    }
}
