//! Faults under a running journal.

use std::collections::HashMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use bytes::Bytes;
use keyward_core::seal::SealingKey;
use keyward_core::{RequestId, SessionId, Timestamp};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::record::{BodyFrames, Frame, Resumed, Started};
use crate::{OPEN_EXCHANGES_MAX, RECORD_BYTES_MAX, Reader, verify};

fn key() -> SealingKey {
    SealingKey::new(Zeroizing::new([3; 32])).unwrap()
}

fn clock() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        key: key(),
        durability: Durability::Synced,
        segment_bytes_max: 1 << 20,
        min_free_bytes: 0,
        clock,
    }
}

fn open(dir: &Path, faults: &Faults) -> Journal {
    Journal::open_with(options(dir), faults).unwrap().0
}

fn note(text: &str) -> Record {
    Record::Started(Started { at: clock(), version: text.into() })
}

fn body(session: u128, bytes: usize) -> Record {
    let frames = vec![Frame { offset_us: 7, bytes: Bytes::from(vec![b'x'; bytes]) }];
    Record::Frames(BodyFrames { request: RequestId::new(1), session: SessionId::new(session), frames })
}

fn records(dir: &Path) -> Vec<Record> {
    let mut all = Vec::new();
    let mut keep = |_, record| {
        all.push(record);
        true
    };
    Reader::open(dir, &key()).unwrap().records(0, &mut keep).unwrap();
    all
}

/// Lets the journal's thread do what it does four times a second.
fn look_after(journal: &Journal) {
    journal.handle.shared.look_after().unwrap();
}

#[test]
fn a_full_disk_stops_it_and_room_sets_it_going_again() {
    // Wherever the disk gets full (in the key, in the frame), nothing is torn and nothing is lost.
    for room in (0..700).step_by(13) {
        let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
        let journal = open(dir.path(), &faults);
        journal.append(&note("first")).unwrap();
        faults.set_room(Some(room));
        let mut refused = 0;
        let mut kept = vec![note("first")];
        for session in 1..4 {
            match journal.append(&body(session, 300)) {
                Ok(_) => kept.push(body(session, 300)),
                Err(error) => {
                    assert!(matches!(error, JournalError::Io { .. }), "{error}");
                    refused += 1;
                    assert!(matches!(journal.healthy(), Err(JournalError::Unavailable(_))));
                }
            }
        }
        assert!(refused > 0, "room for {room} bytes");
        assert_eq!(records(dir.path()), kept, "no torn record, room for {room} bytes");
        faults.set_room(None);
        journal.append(&note("later")).unwrap();
        journal.healthy().unwrap();
        let all = records(dir.path());
        let Some(Record::Resumed(Resumed { refused: noted, .. })) = all.get(kept.len()) else {
            panic!("{all:?}");
        };
        assert_eq!((*noted, all.last().unwrap()), (refused, &note("later")));
        journal.close().unwrap();
        let report = verify(dir.path(), &key()).unwrap();
        assert_eq!((report.records, report.tail.torn_bytes), (kept.len() as u64 + 2, 0));
    }
}

#[test]
fn records_appended_together_are_all_there_or_none() {
    for room in (0..1200).step_by(29) {
        let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
        let journal = open(dir.path(), &faults);
        let together = [note("one"), body(1, 200), body(2, 200), note("four")];
        faults.set_room(Some(room));
        let kept = match journal.append_all(&together) {
            Ok(receipt) => {
                assert_eq!(receipt.sequence, 3);
                together.to_vec()
            }
            Err(error) => {
                assert!(matches!(error, JournalError::Io { .. }), "{error}");
                Vec::new()
            }
        };
        assert_eq!(records(dir.path()), kept, "room for {room} bytes");
        faults.set_room(None);
        journal.close().unwrap();
        verify(dir.path(), &key()).unwrap();
    }
}

#[test]
fn records_appended_together_stay_together_in_a_segment() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    for session in 0..12 {
        let sequence = journal.append_all(&[body(session, 60_000), body(session, 60_000)]).unwrap().sequence;
        assert_eq!(sequence, u64::try_from(session).unwrap() * 2 + 1);
    }
    journal.close().unwrap();
    let report = verify(dir.path(), &key()).unwrap();
    assert_eq!((report.records, report.segments), (24, 2));
}

#[test]
fn what_cannot_be_taken_back_at_once_is_taken_back_later() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let journal = open(dir.path(), &faults);
    for room in [50, 76 + 10] {
        faults.set_room(Some(room));
        faults.set_cut_fails(true);
        journal.append(&body(room as u128, 200)).unwrap_err();
        faults.set_room(None);
        assert!(matches!(journal.append(&note("no")), Err(JournalError::Io { .. })), "still torn");
        faults.set_cut_fails(false);
        journal.append(&note("yes")).unwrap();
    }
    journal.close().unwrap();
    assert_eq!(verify(dir.path(), &key()).unwrap().records, 4);
}

#[test]
fn it_recovers_while_nothing_is_appended() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let journal = open(dir.path(), &faults);
    faults.set_room(Some(0));
    journal.append(&note("no")).unwrap_err();
    look_after(&journal);
    journal.healthy().unwrap_err();
    faults.set_room(None);
    look_after(&journal);
    journal.healthy().unwrap();
    assert!(matches!(records(dir.path())[..], [Record::Resumed(Resumed { refused: 1, .. })]));
}

#[test]
fn a_segment_that_cannot_begin_leaves_nothing_behind() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let mut options = options(dir.path());
    options.segment_bytes_max = 300;
    let (journal, _) = Journal::open_with(options, &faults).unwrap();
    journal.append(&note(&"a".repeat(100))).unwrap();
    faults.set_room(Some(20));
    journal.append(&note(&"b".repeat(100))).unwrap_err();
    assert_eq!(disk::segments(dir.path()).unwrap(), [1]);
    faults.set_room(None);
    journal.append(&note(&"c".repeat(100))).unwrap();
    journal.close().unwrap();
    assert!(disk::segments(dir.path()).unwrap().len() > 1);
    verify(dir.path(), &key()).unwrap();
}

#[test]
fn too_little_free_space_is_a_full_disk() {
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.min_free_bytes = u64::MAX;
    let (journal, _) = Journal::open(options).unwrap();
    assert!(matches!(journal.append(&note("no")), Err(JournalError::Full { reserve: u64::MAX, .. })));
    journal.healthy().unwrap_err();
}

#[test]
fn a_failed_sync_is_final() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let journal = open(dir.path(), &faults);
    let safe = journal.append(&note("safe")).unwrap();
    journal.sync_blocking(&safe).unwrap();
    faults.set_sync_fails(true);
    let lost = journal.append(&note("lost")).unwrap();
    assert!(matches!(journal.sync_blocking(&lost), Err(JournalError::Sealed(_))));
    faults.set_sync_fails(false);
    let tried = faults.syncs();
    assert!(matches!(journal.sync_blocking(&lost), Err(JournalError::Sealed(_))), "no second try");
    assert!(matches!(block_on(journal.sync(&lost)), Err(JournalError::Sealed(_))));
    assert!(matches!(journal.append(&note("no")), Err(JournalError::Sealed(_))));
    assert!(matches!(journal.healthy(), Err(JournalError::Sealed(_))));
    assert!(matches!(journal.checkpoint(), Err(JournalError::Sealed(_))));
    assert!(journal.close().is_err());
    assert_eq!(faults.syncs(), tried);
    // What was synced before the failure stays synced.
    journal.sync_blocking(&safe).unwrap();
}

type Act = fn(&Path);

#[test]
fn what_others_do_to_the_file_is_noticed() {
    let seg = |dir: &Path| dir.join(disk::segment_name(1));
    let acts: [(&str, Act); 6] = [
        ("removed", |path| std::fs::remove_file(path).unwrap()),
        ("replaced", |path| {
            std::fs::copy(path, path.with_extension("copy")).unwrap();
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("cut", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap()),
        ("cut", |path| drop(OpenOptions::new().write(true).truncate(true).open(path).unwrap())),
        ("written to", |path| {
            use std::io::Write;
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap();
        }),
        ("made unwritable", |path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (how, act) in acts {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), &Faults::default());
        journal.append(&note("before")).unwrap();
        look_after(&journal);
        journal.healthy().unwrap();
        act(&seg(dir.path()));
        look_after(&journal);
        let error = journal.healthy().unwrap_err().to_string();
        assert!(error.contains(how), "{how}: {error}");
        assert!(matches!(journal.append(&note("no")), Err(JournalError::Disturbed(found)) if found == how));
    }
}

#[test]
fn what_others_do_to_the_checkpoints_is_noticed() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    journal.append(&note("before")).unwrap();
    journal.checkpoint().unwrap();
    let (here, away) = (dir.path().join(CHECKPOINTS), dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    look_after(&journal);
    journal.healthy().unwrap_err();
    assert!(matches!(journal.append(&note("no")), Err(JournalError::Disturbed("removed"))));
    std::fs::rename(&away, &here).unwrap();
    look_after(&journal);
    journal.append(&note("after")).unwrap();
    journal.close().unwrap();
    assert_eq!(verify(dir.path(), &key()).unwrap().records, 3);
}

#[test]
fn a_file_that_comes_back_is_written_again() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    journal.append(&note("before")).unwrap();
    let (here, away) = (dir.path().join(disk::segment_name(1)), dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    look_after(&journal);
    journal.append(&note("no")).unwrap_err();
    std::fs::rename(&away, &here).unwrap();
    journal.append(&note("after")).unwrap();
    journal.close().unwrap();
    assert_eq!(verify(dir.path(), &key()).unwrap().records, 3);
}

#[test]
fn the_thread_looks_often_enough_by_itself() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    journal.append(&note("before")).unwrap();
    std::fs::remove_file(dir.path().join(disk::segment_name(1))).unwrap();
    while journal.healthy().is_ok() {
        std::thread::yield_now();
    }
    assert!(crate::commit::TICK <= std::time::Duration::from_millis(500));
}

#[test]
fn a_record_may_be_as_large_as_the_limit_and_no_larger() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    let mut plain = Vec::new();
    crate::encode::encode(&body(1, 0), &mut plain).unwrap();
    let room = RECORD_BYTES_MAX - plain.len();
    journal.append(&body(1, room)).unwrap();
    let limit = RECORD_BYTES_MAX;
    for bytes in [room + 1, limit + 1] {
        assert!(matches!(journal.append(&body(1, bytes)), Err(JournalError::TooLarge { .. })));
    }
    journal.healthy().unwrap();
    assert_eq!(records(dir.path()), [body(1, room)]);
}

#[test]
fn open_exchanges_have_a_limit() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    let intent = crate::testing::intent(u128::MAX, 1);
    {
        let mut writer = journal.handle.shared.writer().unwrap();
        let open = |bits: u128| {
            let request = RequestId::new(bits);
            (request, Unfinished { request, session: SessionId::new(1), at: clock() })
        };
        writer.open = (0..OPEN_EXCHANGES_MAX as u128).map(open).collect::<HashMap<_, _>>();
    }
    assert!(matches!(journal.append(&intent), Err(JournalError::TooManyOpen { .. })));
    journal.append(&note("others may")).unwrap();
    journal.handle.shared.writer().unwrap().open.remove(&RequestId::new(0));
    journal.append(&intent).unwrap();
}

#[test]
fn a_sync_is_a_future_of_any_runtime() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    let receipts: Vec<Receipt> =
        (0..50).map(|number| journal.append(&note(&number.to_string())).unwrap()).collect();
    // One that is dropped while it waits leaves nothing behind.
    {
        let mut dropped = pin!(journal.sync(&receipts[49]));
        drop(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }
    std::thread::scope(|scope| {
        for receipt in &receipts {
            let journal = journal.clone();
            scope.spawn(move || block_on(journal.commit(receipt)).unwrap());
        }
    });
    assert_eq!(journal.handle.shared.waiting(), 0);
    journal.close().unwrap();
    block_on(journal.sync(&receipts[0])).unwrap();
}

#[test]
fn waiters_have_a_limit() {
    let (dir, faults) = (TempDir::new().unwrap(), Faults::default());
    let journal = open(dir.path(), &faults);
    let receipt = journal.append(&note("x")).unwrap();
    let beyond = Receipt { sequence: receipt.sequence + 1, ..receipt };
    let mut waiting = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..crate::commit::WAITERS_MAX {
        let mut synced = Box::pin(journal.sync(&beyond));
        assert!(synced.as_mut().poll(&mut context).is_pending());
        waiting.push(synced);
    }
    let mut one_more = pin!(journal.sync(&beyond));
    assert!(matches!(
        one_more.as_mut().poll(&mut context),
        Poll::Ready(Err(JournalError::TooManyWaiting { .. }))
    ));
}

#[test]
fn nobody_waits_for_ever_when_it_is_dropped() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), &Faults::default());
    let receipt = journal.append(&note("x")).unwrap();
    let beyond = Receipt { sequence: receipt.sequence + 1, ..receipt };
    let synced = journal.sync(&beyond);
    drop(journal);
    assert!(matches!(block_on(synced), Err(JournalError::Sealed(_))));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
