//! Starting again.

use std::fs::OpenOptions;
use std::path::Path;

use keyward_core::RequestId;
use keyward_core::seal::SealingKey;
use keyward_journal::{Journal, JournalError, Reader, Record, unless_in_use, verify};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::sample;
use crate::setup::{append_all, key, open, options, story};

pub(crate) fn records(dir: &Path) -> Vec<Record> {
    let mut all = Vec::new();
    let reader = Reader::open(dir, &key()).unwrap();
    let next = reader.records(0, &mut |sequence, record| {
        assert_eq!(sequence, all.len() as u64);
        all.push(record);
        true
    });
    assert_eq!(next.unwrap(), all.len() as u64);
    all
}

#[test]
fn goes_on_where_it_stopped() {
    let dir = TempDir::new().unwrap();
    let mut expected = Vec::new();
    for round in 0..4 {
        let (journal, recovery) = open(dir.path());
        assert_eq!((recovery.records, &recovery.torn), (expected.len() as u64, &None));
        assert!(recovery.unfinished.is_empty());
        for record in story() {
            let receipt = journal.append(&record).unwrap();
            assert_eq!(receipt.sequence, expected.len() as u64);
            expected.push(record);
        }
        // Closed in order, or just dropped as by a kill.
        if round % 2 == 0 {
            journal.close().unwrap();
            assert!(matches!(journal.append(&story()[0]), Err(JournalError::Closed)));
        }
    }
    assert_eq!(records(dir.path()), expected);
    let report = verify(dir.path(), &key()).unwrap();
    assert_eq!((report.records, report.tail.records), (expected.len() as u64, story().len() as u64));
    assert!(report.segments > 3);
}

#[test]
fn exchanges_without_outcome_are_named() {
    let dir = TempDir::new().unwrap();
    for checkpoint in [true, false] {
        let (journal, before) = open(dir.path());
        let offset = u128::from(before.records);
        for number in 0..5 {
            journal.append(&sample::intent(offset + number, 1)).unwrap();
        }
        let outcome = sample::answer(offset + 3, 1).pop().unwrap();
        if checkpoint {
            journal.checkpoint().unwrap();
        }
        journal.append(&outcome).unwrap();
        drop(journal);
        let (journal, recovery) = open(dir.path());
        let mut named: Vec<RequestId> = recovery.unfinished.iter().map(|open| open.request).collect();
        named.sort_unstable();
        let expected = [0, 1, 2, 4].map(|number| RequestId::new(offset + number));
        assert_eq!(named, expected, "checkpoint: {checkpoint}");
        for number in [0, 1, 2, 4] {
            journal.append(&sample::answer(offset + number, 1).pop().unwrap()).unwrap();
        }
        journal.close().unwrap();
        assert_eq!(open(dir.path()).1.unfinished, []);
    }
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let dir = TempDir::new().unwrap();
    let options = || options(dir.path(), 1 << 20);
    let (journal, _) = Journal::open(options()).unwrap();
    journal.append(&sample::opened(1, "ann", "openai")).unwrap();
    journal.close().unwrap();
    let segment = dir.path().join("00000001.seg");
    let good = std::fs::metadata(&segment).unwrap().len();
    for cut in [1, 7, 35, 36, 37, 60, 200] {
        let (journal, _) = Journal::open(options()).unwrap();
        journal.append(&sample::intent(9, 1)).unwrap();
        drop(journal);
        OpenOptions::new().write(true).open(&segment).unwrap().set_len(good + cut).unwrap();
        // A proof beside it reports what was torn, and calls it no fault.
        assert_eq!(verify(dir.path(), &key()).unwrap().tail.torn_bytes, cut);
        let (journal, recovery) = Journal::open(options()).unwrap();
        let torn = recovery.torn.unwrap();
        assert_eq!((torn.segment, torn.offset, torn.bytes), (1, good, cut));
        assert_eq!(recovery.records, 1);
        assert!(recovery.unfinished.is_empty());
        drop(journal);
    }
    // What was cut off is kept.
    assert_eq!(
        std::fs::metadata(dir.path().join("00000001.cut")).unwrap().len(),
        1 + 7 + 35 + 36 + 37 + 60 + 200
    );
    assert_eq!(verify(dir.path(), &key()).unwrap().tail.torn_bytes, 0);
}

#[test]
fn a_segment_that_was_just_begun_is_begun_again() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    for record in story() {
        journal.append(&record).unwrap();
    }
    journal.close().unwrap();
    let next = std::fs::read_dir(dir.path()).unwrap().count();
    let segments = (1..next).filter(|n| dir.path().join(format!("{n:08}.seg")).exists()).count();
    std::fs::write(dir.path().join(format!("{:08}.seg", segments + 1)), b"KWJ").unwrap();
    assert_eq!(verify(dir.path(), &key()).unwrap().tail.torn_bytes, 3);
    let (journal, recovery) = open(dir.path());
    assert_eq!(recovery.torn.unwrap().bytes, 3);
    for record in story() {
        journal.append(&record).unwrap();
    }
    journal.close().unwrap();
    assert_eq!(verify(dir.path(), &key()).unwrap().records, 2 * story().len() as u64);
}

#[test]
fn what_a_checkpoint_covers_is_never_cut_off() {
    for remove_state in [false, true] {
        for (keep, zeroed) in [(200, false), (0, false), (400, true)] {
            let dir = TempDir::new().unwrap();
            let (journal, _) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
            for record in story() {
                journal.append(&record).unwrap();
            }
            journal.close().unwrap();
            let path = dir.path().join("00000001.seg");
            let mut bytes = std::fs::read(&path).unwrap();
            if zeroed {
                bytes[keep..].fill(0);
            } else {
                bytes.truncate(keep);
            }
            std::fs::write(&path, &bytes).unwrap();
            if remove_state {
                std::fs::remove_file(dir.path().join("state")).unwrap();
            }
            let opened = Journal::open(options(dir.path(), 1 << 20));
            // With the state file the zeros are not read at the start; the proof still finds them.
            if !zeroed || remove_state {
                assert!(matches!(opened.err(), Some(JournalError::Damaged(_))), "{keep} {zeroed}");
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was touched");
            }
            verify(dir.path(), &key()).unwrap_err();
        }
    }
}

#[test]
fn a_start_reads_only_what_came_after_the_last_checkpoint() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    for _ in 0..20 {
        append_all(&journal, &story());
    }
    journal.close().unwrap();
    let (journal, recovery) = open(dir.path());
    assert_eq!((recovery.records, recovery.scanned_bytes), (20 * story().len() as u64, 0));
    journal.append(&story()[0]).unwrap();
    drop(journal);
    let (journal, recovery) = open(dir.path());
    assert!((1..2_000).contains(&recovery.scanned_bytes), "{}", recovery.scanned_bytes);
    drop(journal);
    std::fs::remove_file(dir.path().join("state")).unwrap();
    let (_, recovery) = open(dir.path());
    assert_eq!(recovery.records, 20 * story().len() as u64 + 1);
    assert!(recovery.scanned_bytes > 20_000);
}

#[test]
fn one_writer_at_a_time() {
    let dir = TempDir::new().unwrap();
    unless_in_use(dir.path()).unwrap();
    let (journal, _) = open(dir.path());
    assert!(matches!(Journal::open(options(dir.path(), 9)).err(), Some(JournalError::Locked { .. })));
    assert!(matches!(unless_in_use(dir.path()), Err(JournalError::Locked { .. })));
    journal.close().unwrap();
    unless_in_use(dir.path()).unwrap();
    let (second, _) = open(dir.path());
    drop(second);
    open(dir.path());
}

#[test]
fn another_key_opens_nothing() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let wrong = || SealingKey::new(Zeroizing::new([6; 32])).unwrap();
    let mut options = options(dir.path(), 9);
    options.key = wrong();
    assert!(matches!(Journal::open(options).err(), Some(JournalError::WrongKey)));
    assert!(matches!(Reader::open(dir.path(), &wrong()).err(), Some(JournalError::WrongKey)));
    verify(dir.path(), &wrong()).unwrap_err();
}

#[test]
fn nothing_readable_lies_on_disk() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append_all(&journal, &story());
    journal.close().unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for word in ["openai", "alice", "chat", "tiny", "data: one", "idp.example"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
}
