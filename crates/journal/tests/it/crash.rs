//! Killed, and out of room, as a real process.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyward_core::RequestId;
use keyward_journal::{Journal, Record, Unfinished, verify};
use tempfile::TempDir;

use crate::recovery::records;
use crate::sample;
use crate::setup::{key, options};

const ROUNDS: u64 = 24;
const DIR: &str = "KEYWARD_JOURNAL_CHILD_DIR";

/// What a child does when it is one: appends for ever, and says which records it has a receipt for.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let (journal, recovery) = Journal::open(options(&dir, 20_000)).unwrap();
    let mut out = std::io::stdout().lock();
    for number in u128::from(recovery.records).. {
        let session = 1 + number % 3;
        let mut exchange = vec![sample::intent(number, session)];
        exchange.extend(sample::answer(number, session));
        for record in exchange {
            match journal.append(&record) {
                Ok(receipt) => writeln!(out, "\nack {} {number}", receipt.sequence).unwrap(),
                Err(error) => {
                    writeln!(out, "\nrefused {error}").unwrap();
                    assert!(journal.healthy().is_err());
                    assert!(journal.append(&record).is_err());
                    return;
                }
            }
            out.flush().unwrap();
        }
    }
}

fn spawn(dir: &Path, command: &mut Command) -> Child {
    command
        .args(["--exact", "crash::child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn acknowledged(line: &str) -> Option<(u64, u128)> {
    let (sequence, number) = line.strip_prefix("ack ")?.split_once(' ')?;
    Some((sequence.parse().ok()?, number.parse().ok()?))
}

fn request(record: &Record) -> RequestId {
    match record {
        Record::Intent(intent) => intent.request,
        Record::RequestBody(body) | Record::Frames(body) => body.request,
        Record::ResponseHead(head) => head.request,
        Record::Outcome(outcome) => outcome.request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut promised: HashMap<u64, u128> = HashMap::new();
    for round in 0..ROUNDS {
        let mut child = spawn(dir.path(), &mut Command::new(&exe));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let enough = usize::try_from(1 + (random >> 33) % 60).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        promised.extend(lines.by_ref().filter_map(|line| acknowledged(&line)).take(enough));
        child.kill().unwrap();
        // It went on until the kill reached it: what it could still say counts too.
        promised.extend(lines.filter_map(|line| acknowledged(&line)));
        child.wait().unwrap();

        let (journal, recovery) = Journal::open(options(dir.path(), 20_000)).unwrap();
        let all = records(dir.path());
        assert_eq!(all.len() as u64, recovery.records);
        for (&sequence, &number) in &promised {
            let record = all.get(usize::try_from(sequence).unwrap());
            assert_eq!(record.map(request), Some(RequestId::new(number)), "round {round}, record {sequence}");
        }
        let mut open: HashSet<RequestId> = HashSet::new();
        for record in &all {
            match record {
                Record::Intent(intent) => assert!(open.insert(intent.request)),
                Record::Outcome(outcome) => assert!(open.remove(&outcome.request)),
                _ => {}
            }
        }
        let named: Vec<&Unfinished> = recovery.unfinished.iter().collect();
        assert_eq!(named.len(), open.len());
        assert!(named.iter().all(|unfinished| open.contains(&unfinished.request)));
        for unfinished in named {
            let outcome = sample::answer(unfinished.request.bits(), unfinished.session.bits()).pop().unwrap();
            journal.append(&outcome).unwrap();
        }
        // Some rounds sign, others leave the shortcut of an older round behind.
        if round % 3 == 0 {
            journal.close().unwrap();
        }
        drop(journal);
        verify(dir.path(), &key()).unwrap();
    }
    assert!(promised.len() >= usize::try_from(ROUNDS).unwrap());
}

#[test]
fn a_file_that_may_not_grow_stops_it_without_a_torn_record() {
    let dir = TempDir::new().unwrap();
    let exe = std::env::current_exe().unwrap();
    // The shell ignores the signal for too large files, and so does what it runs: writes then fail, part of them short.
    let script = "trap '' XFSZ; ulimit -f 9; exec \"$0\" \"$@\"";
    let mut child = spawn(dir.path(), Command::new("sh").args(["-c", script]).arg(exe));
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success());
    let promised = lines.iter().filter_map(|line| acknowledged(line)).count();
    assert!(lines.iter().any(|line| line.starts_with("refused cannot ")), "{lines:?}");
    assert!(promised > 3);
    // Where a small record about the gap still fitted, it is there; nothing else is but what was acknowledged.
    let all = records(dir.path());
    let others = all.iter().filter(|record| !matches!(record, Record::Resumed(_))).count();
    assert_eq!(others, promised);
    assert_eq!(verify(dir.path(), &key()).unwrap().tail.torn_bytes, 0);
    let (journal, recovery) = Journal::open(options(dir.path(), 20_000)).unwrap();
    assert_eq!((recovery.records, recovery.torn), (all.len() as u64, None));
    journal.close().unwrap();
    verify(dir.path(), &key()).unwrap();
}
