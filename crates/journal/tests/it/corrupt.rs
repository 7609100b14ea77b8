//! Every corruption is found, and named where it is.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use keyward_journal::{FirstBad, Journal, VerifyError, verify, verify_against};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use crate::sample;
use crate::setup::{append_all, key, open, options, story};

/// The bytes before the first frame.
const SEGMENT_HEAD: usize = 88;
/// The bytes of a frame beside its payload.
const FRAME_EXTRA: usize = 36 + 8;

/// A journal as bytes.
#[derive(Clone)]
struct Files(Vec<(String, Vec<u8>)>);

/// Where a record stands.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    segment: u64,
    start: usize,
    end: usize,
}

impl Files {
    fn read(dir: &Path) -> Self {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let path: PathBuf = entry.unwrap().path();
                (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
            })
            .filter(|(name, _)| name != "lock")
            .collect();
        files.sort();
        Self(files)
    }

    fn write(&self) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, bytes) in &self.0 {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (file, (name, bytes)) in self.0.iter().enumerate() {
            let Some(segment) = name.strip_suffix(".seg") else { continue };
            let mut start = SEGMENT_HEAD;
            while start < bytes.len() {
                let payload = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
                let end = start + usize::try_from(payload).unwrap() + FRAME_EXTRA;
                places.push(Place { file, segment: segment.parse().unwrap(), start, end });
                start = end;
            }
        }
        places
    }

    fn bytes(&self, place: Place) -> Vec<u8> {
        self.0[place.file].1[place.start..place.end].to_vec()
    }

    fn splice(&mut self, place: Place, bytes: &[u8]) {
        self.0[place.file].1.splice(place.start..place.end, bytes.iter().copied());
    }

    fn find(&self, name: &str) -> usize {
        self.0.iter().position(|(found, _)| found == name).unwrap()
    }
}

fn make(rounds: u32) -> Files {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    for _ in 0..rounds {
        append_all(&journal, &story());
        journal.checkpoint().unwrap();
    }
    journal.close().unwrap();
    Files::read(dir.path())
}

/// Three checkpoints over several segments; and another journal of the same key.
static GOOD: LazyLock<Files> = LazyLock::new(|| make(3));
static OTHER: LazyLock<Files> = LazyLock::new(|| make(1));

fn first_bad(files: &Files) -> FirstBad {
    let dir = files.write();
    match verify(dir.path(), &key()) {
        Err(VerifyError::Bad(bad)) => bad,
        other => panic!("not found: {other:?}"),
    }
}

#[test]
fn the_good_one_is_good() {
    let dir = GOOD.write();
    let report = verify(dir.path(), &key()).unwrap();
    assert_eq!((report.records, report.checkpoints), (3 * story().len() as u64, 3));
    assert_eq!(report.records, GOOD.places().len() as u64);
    assert!(report.segments >= 5, "{report:?}");
    assert_eq!((report.sessions, report.shredded, report.tail), (6, 0, keyward_journal::Tail::default()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_found(at in any::<Index>(), bit in 0u8..8) {
        let total: usize = GOOD.0.iter().map(|(_, bytes)| bytes.len()).sum();
        let (mut file, mut offset) = (0, at.index(total));
        while offset >= GOOD.0[file].1.len() {
            offset -= GOOD.0[file].1.len();
            file += 1;
        }
        let mut files = GOOD.clone();
        files.0[file].1[offset] ^= 1 << bit;
        let name = files.0[file].0.clone();
        let dir = files.write();
        match verify(dir.path(), &key()) {
            // A journal that is not ours, or of a later version, cannot be judged.
            Err(VerifyError::Unreadable(_)) => {
                prop_assert!(name == "identity" || (name.strip_suffix(".seg").is_some() && offset == 3), "{name} {offset}");
            }
            Err(VerifyError::Bad(bad)) => {
                let hit = GOOD.places().iter().position(|place| {
                    place.file == file && (place.start..place.end).contains(&offset)
                });
                if let Some(sequence) = hit {
                    let place = GOOD.places()[sequence];
                    prop_assert_eq!((&bad.file, bad.segment), (&name, place.segment));
                    prop_assert_eq!((bad.sequence, bad.offset), (sequence as u64, place.start as u64));
                } else if name.strip_suffix(".seg").is_some() {
                    prop_assert_eq!((&bad.file, bad.offset), (&name, 0), "a header");
                } else if let Some(segment) = name.strip_suffix(".keys") {
                    // The first record that the key would have opened is the first bad one.
                    prop_assert_eq!(bad.segment, segment.parse::<u64>().unwrap());
                } else {
                    prop_assert_eq!(&bad.file, &name);
                }
            }
            Ok(report) => prop_assert!(false, "{name} offset {offset}: {report:?}"),
        }
    }

    #[test]
    fn a_dropped_record_is_named(at in any::<Index>()) {
        let places = GOOD.places();
        let sequence = at.index(places.len());
        let mut files = GOOD.clone();
        files.splice(places[sequence], &[]);
        prop_assert_eq!(first_bad(&files).sequence, sequence as u64);
    }

    #[test]
    fn a_repeated_record_is_named(at in any::<Index>()) {
        let places = GOOD.places();
        let sequence = at.index(places.len());
        let mut files = GOOD.clone();
        files.splice(places[sequence], &GOOD.bytes(places[sequence]).repeat(2));
        let bad = first_bad(&files);
        prop_assert_eq!((bad.sequence, bad.offset), (sequence as u64 + 1, places[sequence].end as u64));
    }

    #[test]
    fn swapped_records_are_named(one in any::<Index>(), two in any::<Index>()) {
        let places = GOOD.places();
        let (one, two) = (one.index(places.len()), two.index(places.len()));
        prop_assume!(one != two);
        let (first, second) = (one.min(two), one.max(two));
        let mut files = GOOD.clone();
        // The later one first: places before it do not move.
        files.splice(places[second], &GOOD.bytes(places[first]));
        files.splice(places[first], &GOOD.bytes(places[second]));
        let bad = first_bad(&files);
        prop_assert_eq!((bad.sequence, bad.segment), (first as u64, places[first].segment));
    }

    #[test]
    fn a_record_from_elsewhere_is_named(at in any::<Index>()) {
        // The same number, the same kind, sealed by the same master key, in another journal.
        let foreign = OTHER.places();
        let sequence = at.index(foreign.len());
        let mut files = GOOD.clone();
        files.splice(GOOD.places()[sequence], &OTHER.bytes(foreign[sequence]));
        prop_assert_eq!(first_bad(&files).sequence, sequence as u64);
        let mut files = GOOD.clone();
        let mut both = OTHER.bytes(foreign[sequence]);
        both.extend(GOOD.bytes(GOOD.places()[sequence]));
        files.splice(GOOD.places()[sequence], &both);
        prop_assert_eq!(first_bad(&files).sequence, sequence as u64);
    }

    #[test]
    fn a_cut_tail_is_named(at in any::<Index>()) {
        let places = GOOD.places();
        let last = places[places.len() - 1];
        let length = at.index(last.end);
        let mut files = GOOD.clone();
        files.0[last.file].1.truncate(length);
        let bad = first_bad(&files);
        let first_lost = places.iter().position(|place| place.file == last.file && place.end > length).unwrap();
        prop_assert_eq!((bad.sequence, bad.segment), (first_lost as u64, last.segment));
        // The writer does not open it either, so it cannot go on over the gap.
        let dir = files.write();
        prop_assert!(Journal::open(options(dir.path(), 2_500)).is_err());
    }

    #[test]
    fn a_lost_file_is_found(at in any::<Index>()) {
        let mut files = GOOD.clone();
        let (name, _) = files.0.remove(at.index(GOOD.0.len()));
        let dir = files.write();
        // The state file is only a shortcut.
        prop_assert_eq!(verify(dir.path(), &key()).is_ok(), name == "state", "{}", name);
    }
}

#[test]
fn older_records_under_newer_checkpoints_are_found() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    append_all(&journal, &story());
    journal.close().unwrap();
    let yesterday = Files::read(dir.path());
    let (journal, _) = open(dir.path());
    append_all(&journal, &story());
    journal.close().unwrap();
    let today = Files::read(dir.path());

    let mut mixed = yesterday.clone();
    let checkpoints = |files: &Files| files.0[files.find("checkpoints")].1.clone();
    let index = mixed.find("checkpoints");
    mixed.0[index].1 = checkpoints(&today);
    let bad = first_bad(&mixed);
    assert_eq!(bad.sequence, story().len() as u64);
    assert!(bad.what.contains("missing"), "{bad}");

    // The whole of yesterday's directory is consistent in itself; a checkpoint that was kept elsewhere tells.
    let restored = yesterday.write();
    verify(restored.path(), &key()).unwrap();
    let text = String::from_utf8(checkpoints(&today)).unwrap();
    let notes: Vec<String> = text
        .split_inclusive("\n\n")
        .collect::<Vec<_>>()
        .chunks(2)
        .map(|note| note.concat().strip_suffix('\n').unwrap().to_owned())
        .collect();
    assert_eq!(notes.len(), 2);
    verify_against(restored.path(), &key(), &notes[..1]).unwrap();
    verify_against(restored.path(), &key(), &notes).unwrap_err();
    let now = today.write();
    verify_against(now.path(), &key(), &notes).unwrap();

    // Two copies that went on from the same yesterday contradict each other (catalogue 125).
    let fork = yesterday.write();
    let (journal, _) = open(fork.path());
    append_all(&journal, story().iter().rev());
    journal.close().unwrap();
    verify(fork.path(), &key()).unwrap();
    verify_against(fork.path(), &key(), &notes).unwrap_err();
    verify_against(now.path(), &key(), &["no checkpoint".into()]).unwrap_err();
}

#[test]
fn a_wiped_key_shreds_a_session_only_with_a_record_of_it() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = Journal::open(options(dir.path(), 1 << 20)).unwrap();
    append_all(&journal, &story());
    let keys = dir.path().join("00000001.keys");
    let mut bytes = std::fs::read(&keys).unwrap();
    assert_eq!(bytes.len(), 2 * 76);
    bytes[16..76].fill(0);
    std::fs::write(&keys, &bytes).unwrap();
    journal.checkpoint().unwrap();
    match verify(dir.path(), &key()).unwrap_err() {
        VerifyError::Bad(bad) => assert_eq!((bad.file.as_str(), bad.offset), ("00000001.keys", 0)),
        VerifyError::Unreadable(error) => panic!("{error}"),
    }
    let shredded = keyward_journal::record::Shredded {
        session: keyward_core::SessionId::new(1),
        at: sample::at(1),
        by: sample::principal("olivia").reference(),
        reason: "asked for".into(),
    };
    journal.append(&keyward_journal::Record::Shredded(shredded)).unwrap();
    journal.close().unwrap();
    let report = verify(dir.path(), &key()).unwrap();
    assert_eq!((report.shredded, report.sessions), (1, 2));
    let reader = keyward_journal::Reader::open(dir.path(), &key()).unwrap();
    assert_eq!(reader.session(keyward_core::SessionId::new(1)).unwrap(), None);
    let other = reader.session(keyward_core::SessionId::new(2)).unwrap().unwrap();
    assert_eq!(other.exchanges, 2);
}

#[test]
fn a_proof_beside_a_running_writer_finds_no_fault() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(dir.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                append_all(&journal, &story());
                journal.checkpoint().unwrap();
            }
        });
        for _ in 0..30 {
            verify(dir.path(), &key()).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
