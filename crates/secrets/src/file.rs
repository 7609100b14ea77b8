//! Reading a file that holds a secret.
//!
//! Promise: what is returned came from a regular file that nobody but its owner may read, checked on the open file
//! itself, so that no rename between check and read can swap it. Symbolic links are followed (Kubernetes mounts
//! secrets through them); what counts is the file at their end. Everything else *fails closed*.
//! Exception: root, and whoever may change the owner's files, can still read or replace it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Permission bits that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum FileFault {
    Absent,
    Denied,
    NotAFile,
    Exposed { mode: u32 },
    TooLong,
    Io(std::io::Error),
}

/// A file's content and its owner.
pub(crate) struct PrivateFile {
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) owner: u32,
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read_private(path: &Path, bytes_max: usize) -> Result<PrivateFile, FileFault> {
    // A named pipe must not make this wait for a writer.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file =
        OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => FileFault::Absent,
            ErrorKind::PermissionDenied => FileFault::Denied,
            _ if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => FileFault::NotAFile,
            _ => FileFault::Io(e),
        })?;
    let meta = file.metadata().map_err(FileFault::Io)?;
    if !meta.is_file() {
        return Err(FileFault::NotAFile);
    }
    if meta.mode() & OTHERS != 0 {
        return Err(FileFault::Exposed { mode: meta.mode() & 0o7777 });
    }
    // One buffer of fixed size: one that grew would leave copies behind in freed memory.
    let mut buffer = Zeroizing::new(vec![0; bytes_max.saturating_add(1)]);
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(FileFault::Io(e)),
        }
    }
    if filled > bytes_max {
        return Err(FileFault::TooLong);
    }
    let content = Zeroizing::new(buffer.iter().take(filled).copied().collect());
    Ok(PrivateFile { content, owner: meta.uid() })
}
