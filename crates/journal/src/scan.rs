//! Reading a segment from front to back, one frame at a time, in bounded memory.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::disk::{keys_name, segment_name};
use crate::encode;
use crate::error::{Doing, JournalError};
use crate::frame::{CHECK_BYTES, HEAD_BYTES, Head, SEGMENT_HEAD_BYTES, SegmentHead, version};
use crate::identity::Identity;
use crate::keys::KeyRing;
use crate::record::Record;
use crate::tree::{Hash, leaf};

const READ_BYTES: usize = 256 << 10;

/// A segment being read.
pub(crate) struct Scan {
    file: BufReader<File>,
    /// Where the next frame begins.
    offset: u64,
    /// Length of the file when it was opened; what a writer adds later is not seen.
    length: u64,
    buffer: Vec<u8>,
    head: SegmentHead,
    ring: KeyRing,
}

/// What opening a segment found.
pub(crate) enum Opened {
    /// It can be read.
    Segment(Box<Scan>),
    /// It is shorter than a header.
    Torn(u64),
    /// Its header is not what was written.
    Bad,
}

/// What stands next in a segment.
pub(crate) enum Next {
    /// A whole frame, now in the buffer: see [`Scan::frame`].
    Frame(Place),
    /// Nothing.
    End,
    /// Less than a whole frame: so many bytes.
    Torn(u64),
    /// Bytes that are not what was written.
    Bad(&'static str),
}

/// A frame and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) head: Head,
    pub(crate) leaf: Hash,
}

impl Scan {
    /// Opens segment `segment` of the journal in `dir`.
    pub(crate) fn open(dir: &Path, identity: &Identity, segment: u64) -> Result<Opened, JournalError> {
        let file = File::open(dir.join(segment_name(segment))).doing("open a segment")?;
        let length = file.metadata().doing("look at a segment")?.len();
        let mut file = BufReader::with_capacity(READ_BYTES, file);
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        match file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Opened::Torn(length)),
            Err(source) => return Err(source).doing("read a segment"),
        }
        let head = SegmentHead::decode(&identity.heads, &bytes);
        let Some(head) = head.filter(|head| head.journal == identity.id && head.segment == segment) else {
            return match version(&bytes) {
                Some(version @ 2..16) => Err(JournalError::UnknownVersion { segment, version }),
                _ => Ok(Opened::Bad),
            };
        };
        let keys = match File::open(dir.join(keys_name(segment))) {
            Ok(keys) => Some(keys),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(source).doing("open the keys of a segment"),
        };
        let ring = KeyRing::new(identity.segment_keys(&head.salt)?, keys);
        let offset = SEGMENT_HEAD_BYTES as u64;
        Ok(Opened::Segment(Box::new(Self { file, offset, length, buffer: Vec::new(), head, ring })))
    }

    /// What the header says.
    pub(crate) fn head(&self) -> &SegmentHead {
        &self.head
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The keys of the segment.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Goes on at `offset`, where a frame is known to begin.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), JournalError> {
        self.file.seek(SeekFrom::Start(offset)).doing("read a segment")?;
        self.offset = offset;
        Ok(())
    }

    /// The next frame, whole, its check compared.
    pub(crate) fn next(&mut self) -> Result<Next, JournalError> {
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Next::End);
        }
        let mut head_bytes = [0; HEAD_BYTES];
        if left < HEAD_BYTES as u64 || !self.fill(&mut head_bytes)? {
            return Ok(Next::Torn(left));
        }
        let Some(head) = Head::decode(&head_bytes) else {
            return Ok(Next::Bad("the head of a record is not what was written"));
        };
        if left < head.frame_bytes() {
            return Ok(Next::Torn(left));
        }
        let rest = usize::try_from(head.frame_bytes()).unwrap_or(usize::MAX) - HEAD_BYTES;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(&head_bytes);
        buffer.resize(HEAD_BYTES + rest, 0);
        let whole = match buffer.get_mut(HEAD_BYTES..) {
            Some(place) => self.fill(place)?,
            None => false,
        };
        self.buffer = buffer;
        if !whole {
            return Ok(Next::Torn(left));
        }
        let content = self.buffer.len() - CHECK_BYTES;
        let Some((content, check)) = self.buffer.split_at_checked(content) else {
            return Ok(Next::Torn(left));
        };
        let leaf = leaf(content);
        if !leaf.starts_with(check) {
            return Ok(Next::Bad("a record is not what was written"));
        }
        let place = Place { offset: self.offset, head, leaf };
        self.offset += head.frame_bytes();
        Ok(Next::Frame(place))
    }

    /// The record in the frame that [`Scan::next`] read last; none when its session was shredded.
    pub(crate) fn record(&mut self, place: &Place) -> Result<Option<Record>, JournalError> {
        let content = self.buffer.len().saturating_sub(CHECK_BYTES);
        let content = self.buffer.get(..content).ok_or(JournalError::Decode)?;
        let (head, payload) = content.split_at_checked(HEAD_BYTES).ok_or(JournalError::Decode)?;
        let Some(plain) = self.ring.open(&place.head, head, payload)? else {
            return Ok(None);
        };
        let record = encode::decode(&plain)?;
        if record.kind() as u8 == place.head.kind { Ok(Some(record)) } else { Err(JournalError::Decode) }
    }

    /// Reads exactly as much as fits; false when the file ends before (a writer took back a failed write).
    fn fill(&mut self, place: &mut [u8]) -> Result<bool, JournalError> {
        match self.file.read_exact(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(source).doing("read a segment"),
        }
    }
}
