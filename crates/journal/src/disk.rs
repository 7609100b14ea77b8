//! Files as the journal uses them: written at a place, cut, synced, and watched for what others do to them.
//!
//! In tests [`Faults`] can be put under them: a disk that is full after some bytes, a sync that fails.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Doing, JournalError};
use crate::faults::Faults;

/// One open file.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
    faults: Faults,
}

impl Disk {
    /// Makes a file that must not exist, readable by its owner only.
    pub(crate) fn create(path: PathBuf, faults: &Faults) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, faults: faults.clone() })
    }

    /// Opens a file that exists.
    pub(crate) fn open(path: PathBuf, faults: &Faults) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Self { file, path, faults: faults.clone() })
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.faults.room(bytes.len());
        let (fits, rest) = bytes.split_at(room.min(bytes.len()));
        self.file.write_all_at(fits, offset)?;
        if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    /// Cuts the file to this length.
    pub(crate) fn cut(&self, length: u64) -> io::Result<()> {
        self.faults.cut()?;
        self.file.set_len(length)
    }

    /// Waits until its data are on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.faults.sync()?;
        self.file.sync_data()
    }

    /// What somebody else did to the file, given the length that it must have; none when nothing.
    pub(crate) fn disturbed(&self, length: u64) -> io::Result<Option<&'static str>> {
        let ours = self.file.metadata()?;
        let named = match std::fs::symlink_metadata(&self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some("removed")),
            Err(error) => return Err(error),
        };
        Ok(if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) {
            Some("replaced")
        } else if ours.len() < length {
            Some("cut")
        } else if ours.len() > length {
            Some("written to")
        } else if ours.mode() & 0o600 != 0o600 {
            Some("made unwritable")
        } else {
            None
        })
    }
}

/// Makes the journal's directory, for its owner only.
pub(crate) fn make_dir(dir: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).doing("make the journal's directory")
}

/// Puts names made in `dir` on disk.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces the file `name` as a whole: after a crash it is the old one or the new one.
pub(crate) fn replace(dir: &Path, name: &str, content: &[u8], durable: bool) -> io::Result<()> {
    let fresh = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    if durable {
        file.sync_all()?;
    }
    std::fs::rename(&fresh, dir.join(name))?;
    if durable { sync_dir(dir) } else { Ok(()) }
}

/// Bytes free for this process where `dir` lives.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The name of a segment's file.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("{segment:08}.seg")
}

/// The name of the file with the keys of a segment's sessions.
pub(crate) fn keys_name(segment: u64) -> String {
    format!("{segment:08}.keys")
}

/// The numbers of all segments in `dir`, ascending.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg")?.parse().ok());
        numbers.extend(number.filter(|&number| name.to_str() == Some(&segment_name(number))));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
