//! Weights of a model in an answer whose request did not say so.
//!
//! Promise: an answer that turns out to be weights (by its type, the name of its file, its first bytes, its size, or by what
//! one caller took of one path piece by piece) is judged as `model.export` before more of it leaves. What a rule lets pass with
//! an approval only is remembered, so that the same call is asked about beforehand the next time.
//!
//! Exceptions: text is never taken for weights; what was taken and what is remembered is forgotten at a restart; formats
//! without a mark of their own are known by type, name and size alone; a body that stays compressed, because nothing in it is
//! masked, shows no first bytes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use keyward_core::{Operation, OperationClass, Timestamp};

use super::content_type;
use crate::admit::Permit;
use crate::clock;
use crate::refusal::Refusal;
use crate::risk::mark;
use crate::session::Session;
use crate::understand::{may_export, names_weights};

/// Most calls that are remembered as exports.
const LEARNED_MAX: usize = 1_000;
/// Most paths whose pieces are counted.
const TAKEN_MAX: usize = 10_000;
/// How long pieces of one path count together.
const TAKEN_PER: Duration = Duration::from_hours(24);
/// Enough bytes to know a format by.
const HEAD_BYTES: usize = 64;
/// The longest head of a file of safetensors, in bytes, as its format bounds it.
const SAFETENSORS_HEAD_MAX: u64 = 100_000_000;
/// The first bytes of a file that PyTorch wrote before it wrote archives: the pickle of its magic number.
const PICKLED_MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";
/// Words in types of files that hold weights.
const TYPES: [&str; 6] = ["safetensors", "gguf", "ggml", "pytorch", "onnx", "hdf5"];
/// Names of query parameters that choose a piece.
const PIECES: [&str; 8] = ["offset", "start", "range", "part", "chunk", "pos", "position", "from"];

/// What is known of answers that turned out to be weights.
#[derive(Default)]
pub struct Weights {
    /// Calls whose answers were, as connection, path and query.
    learned: Mutex<HashSet<[String; 3]>>,
    /// What one caller took of one path piece by piece: bytes, and since when.
    taken: Mutex<HashMap<i64, (u64, Timestamp)>>,
}

impl Weights {
    /// Whether the answer of this call turned out to be weights before.
    pub fn knows(&self, connection: &str, operation: &Operation) -> bool {
        let learned = lock(&self.learned);
        !learned.is_empty() && learned.contains(&call(connection, operation))
    }

    /// Remembers that it did.
    pub fn learn(&self, connection: &str, operation: &Operation) {
        let mut learned = lock(&self.learned);
        if learned.len() >= LEARNED_MAX {
            learned.clear(); // they are learned again
        }
        learned.insert(call(connection, operation));
    }

    /// Counts a piece, and says what was taken with it.
    fn take(&self, path: i64, bytes: u64, now: Timestamp) -> u64 {
        let mut taken = lock(&self.taken);
        if taken.len() >= TAKEN_MAX && !taken.contains_key(&path) {
            taken.retain(|_, (_, since)| now < since.plus(TAKEN_PER));
            // Of those that are left, the one of which the least was taken is the least loss.
            let least = taken.iter().min_by_key(|(_, (bytes, _))| *bytes).map(|(path, _)| *path);
            least.filter(|_| taken.len() >= TAKEN_MAX).map(|path| taken.remove(&path));
        }
        let (all, since) = taken.entry(path).or_insert((0, now));
        if now >= since.plus(TAKEN_PER) {
            (*all, *since) = (0, now);
        }
        *all = all.saturating_add(bytes);
        *all
    }
}

fn call(connection: &str, operation: &Operation) -> [String; 3] {
    [connection.to_owned(), operation.path.clone(), operation.query.clone()]
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks at one answer on its way.
pub(super) struct WeightsGuard {
    session: Arc<Session>,
    operation: Arc<Operation>,
    headers: HeaderMap,
    /// The first bytes; none when they were looked at.
    head: Option<Vec<u8>>,
    size: Option<Size>,
}

/// Counts bytes against a bound.
struct Size {
    bytes: u64,
    most: u64,
    /// The path whose pieces are counted together; none for an answer by itself.
    pieces: Option<i64>,
}

impl WeightsGuard {
    /// Judges what the head of an answer shows; a guard of its body where that may show more.
    pub(super) fn new(
        session: &Arc<Session>,
        permit: &Permit,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Refusal> {
        let operation = permit.operation();
        if !may_export(operation.class) || !status.is_success() || permit.method() == Method::HEAD {
            return Ok(None);
        }
        let said = content_type(headers).unwrap_or_default().to_ascii_lowercase();
        let file = headers.get(header::CONTENT_DISPOSITION).and_then(|value| value.to_str().ok());
        let size = session.size(permit, status, headers, is_bulk(&said));
        let guard = Self {
            session: Arc::clone(session),
            operation: Arc::clone(operation),
            headers: permit.call().headers.clone(),
            head: Some(Vec::new()),
            size,
        };
        let why = if TYPES.iter().any(|word| said.contains(word)) {
            Some("its type")
        } else if file.is_some_and(names_a_file_of_weights) {
            Some("the name of its file")
        } else if guard
            .size
            .as_ref()
            .is_some_and(|size| whole_size(headers).is_some_and(|it| it >= size.most))
        {
            Some("its size")
        } else {
            None
        };
        match why {
            Some(why) => guard.judge(why).map(|()| None),
            None => Ok(Some(guard)),
        }
    }

    /// Looks at the next piece before it leaves. Once judged well, the rest passes.
    pub(super) fn sees(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let mut why = None;
        if let Some(head) = &mut self.head {
            let missing = HEAD_BYTES.saturating_sub(head.len()).min(piece.len());
            head.extend_from_slice(piece.get(..missing).unwrap_or_default());
            why = begins_like_weights(head).then_some("its first bytes");
            if why.is_some() || head.len() >= HEAD_BYTES {
                self.head = None;
            }
        }
        if let Some(size) = &mut self.size {
            let length = piece.len() as u64;
            size.bytes = match size.pieces {
                Some(path) => self.session.gateway.shared.weights.take(path, length, clock::now()),
                None => size.bytes.saturating_add(length),
            };
            if size.bytes >= size.most {
                why = Some("how much of it was taken");
            }
        }
        let Some(why) = why else { return Ok(()) };
        (self.head, self.size) = (None, None);
        self.judge(why)
    }

    fn judge(&self, why: &str) -> Result<(), Refusal> {
        let operation = Operation { class: OperationClass::ModelExport, ..(*self.operation).clone() };
        self.session.judge_weights(&operation, &self.headers, why)
    }
}

impl Session {
    /// How an answer's size is counted; none where it says nothing.
    fn size(&self, permit: &Permit, status: StatusCode, headers: &HeaderMap, bulk: bool) -> Option<Size> {
        let most = self.target.settings.weights_bytes.filter(|_| bulk)?;
        let operation = permit.operation();
        let chosen = operation.query.split('&').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
            PIECES.contains(&&*name)
        });
        let in_pieces =
            status == StatusCode::PARTIAL_CONTENT || headers.contains_key(header::CONTENT_RANGE) || chosen;
        let connection: &str = &self.target.settings.connection.name;
        let path = ["weights", connection, &operation.path];
        let pieces = in_pieces.then(|| mark(&self.verified.principal, &path));
        Some(Size { bytes: 0, most, pieces })
    }
}

/// The size of what a head speaks of: of the whole file where it is a piece.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    let number = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let of_range =
        number(header::CONTENT_RANGE).and_then(|range| range.rsplit('/').next()?.trim().parse().ok());
    of_range.or_else(|| number(header::CONTENT_LENGTH)?.trim().parse().ok())
}

/// Whether a type says nothing, or speaks of bytes that nobody reads: weights come as such.
fn is_bulk(said: &str) -> bool {
    const READ: [&str; 5] = ["text/", "image/", "audio/", "video/", "font/"];
    const WORDS: [&str; 6] = ["json", "xml", "yaml", "javascript", "pdf", "eventstream"];
    !READ.iter().any(|family| said.starts_with(family)) && !WORDS.iter().any(|word| said.contains(word))
}

/// Whether a `Content-Disposition` names a file of weights (RFC 6266).
fn names_a_file_of_weights(disposition: &str) -> bool {
    let parts = disposition.split(';').filter_map(|part| part.split_once('='));
    parts
        .filter(|(name, _)| matches!(&*name.trim().to_ascii_lowercase(), "filename" | "filename*"))
        .any(|(_, file)| names_weights(file.trim().trim_matches('"')))
}

/// Whether a file begins like one of weights: GGUF and its forerunners, safetensors, HDF5, an archive or a pickle of PyTorch,
/// ONNX as its exporters write it.
fn begins_like_weights(head: &[u8]) -> bool {
    const MARKS: [&[u8]; 5] = [b"GGUF", b"tjgg", b"fmgg", b"lmgg", b"\x89HDF\r\n\x1a\n"];
    let archive = |head: &[u8]| {
        // The first entry's name follows a head of 30 bytes.
        let name = head.get(30..).unwrap_or_default();
        head.starts_with(b"PK\x03\x04") && memchr::memmem::find(name, b"/data.pkl").is_some()
    };
    let safetensors = |head: &[u8]| {
        let length = head.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (2..=SAFETENSORS_HEAD_MAX).contains(&length)
            && head.get(8..).is_some_and(|rest| rest.starts_with(b"{\""))
    };
    let onnx = |head: &[u8]| {
        // The version of its representation, then who made it.
        let made_by = head.get(4..).unwrap_or_default();
        head.first() == Some(&8) && head.get(2) == Some(&0x12) && made_by.starts_with(b"pytorch")
    };
    MARKS.iter().any(|mark| head.starts_with(mark))
        || safetensors(head)
        || archive(head)
        || onnx(head)
        || (head.starts_with(b"\x80") && head.get(2..).is_some_and(|rest| rest.starts_with(PICKLED_MAGIC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safetensors(head: &str) -> Vec<u8> {
        [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat()
    }

    #[test]
    fn files_of_weights_are_known_by_their_first_bytes() {
        let mut archive = b"PK\x03\x04".to_vec();
        archive.resize(30, 0);
        archive.extend_from_slice(b"model/data.pkl");
        let files = [
            b"GGUF\x03\0\0\0".to_vec(),
            safetensors("{\"weight\":{\"dtype\":\"F32\"}}"),
            b"\x89HDF\r\n\x1a\n\0\0".to_vec(),
            archive,
            [&b"\x80\x02"[..], PICKLED_MAGIC, b"."].concat(),
            b"\x08\x08\x12\x07pytorch\x1a\x052.1.0".to_vec(),
        ];
        for file in files {
            assert!(begins_like_weights(&file), "{file:?}");
        }
        let others = [
            &b""[..],
            b"GGU",
            b"PAR1",
            b"PK\x03\x04 a spreadsheet, whose entries have other names than that",
            b"{\"weight\": 1}",
            b"\x80\x04\x95 any other pickle",
            b"\x02\0\0\0\0\0\0\0[]",
        ];
        for other in others {
            assert!(!begins_like_weights(other), "{other:?}");
        }
    }

    #[test]
    fn names_types_and_sizes_are_read_from_the_head() {
        assert!(names_a_file_of_weights("attachment; filename=\"model.safetensors\""));
        assert!(names_a_file_of_weights("attachment; FileName*=UTF-8''m.gguf"));
        assert!(!names_a_file_of_weights("attachment; filename=\"report.csv\"; note=x.gguf"));
        assert!(
            ["", "application/octet-stream", "binary/octet-stream", "application/zip"]
                .iter()
                .all(|it| is_bulk(it))
        );
        assert!(
            !["application/json", "text/csv", "image/png", "application/pdf"].iter().any(|it| is_bulk(it))
        );
        let head = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        assert_eq!(whole_size(&head(&[("content-length", "7")])), Some(7));
        let piece = [("content-length", "7"), ("content-range", "bytes 0-6/9000")];
        assert_eq!(whole_size(&head(&piece)), Some(9_000));
        let unknown = [("content-length", "7"), ("content-range", "bytes 0-6/*")];
        assert_eq!(whole_size(&head(&unknown)), Some(7));
    }

    #[test]
    fn pieces_count_together_for_a_day_and_within_a_bound() {
        let weights = Weights::default();
        let now = Timestamp::from_micros(1_000_000);
        assert_eq!(weights.take(1, 10, now), 10);
        assert_eq!(weights.take(1, 10, now), 20);
        assert_eq!(weights.take(2, 1, now), 1);
        assert_eq!(weights.take(1, 5, now.plus(TAKEN_PER)), 5, "a day later");
        for path in 0..=TAKEN_MAX {
            weights.take(i64::try_from(path).unwrap() + 10, 3, now);
        }
        assert_eq!(lock(&weights.taken).len(), TAKEN_MAX);
        assert_eq!(weights.take(1, 1, now.plus(TAKEN_PER)), 6, "the largest are kept");
    }
}
