//! Checkpoints: C2SP `tlog-checkpoint` bodies in C2SP `signed-note` form, one Ed25519 signature each.
//!
//! ```text
//! keyward/journal/0123…                      the origin: also the name of the key
//! 4096                                       leaves
//! 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=   root
//! time 1700000000000000                      an extension line: microseconds since 1970
//!
//! — keyward/journal/0123… <base64 of key hash and signature>
//! ```
//!
//! In the file `checkpoints` an empty line ends each note.

use std::io::{self, BufRead, Read};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyward_core::Timestamp;

use crate::tree::{Hash, digest, hex};

/// The signature algorithm's number in signed notes.
const ED25519_TYPE: u8 = 1;
/// No checkpoint of ours is longer.
pub(crate) const NOTE_BYTES_MAX: usize = 512;

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) at: Timestamp,
}

/// Signs checkpoints.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl Signer {
    pub(crate) fn new(origin: String, pair: Ed25519KeyPair) -> Self {
        let public = pair.public_key().as_ref().to_vec();
        Self { pair, verifier: Verifier { origin, public } }
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signed note.
    pub(crate) fn sign(&self, checkpoint: &Checkpoint) -> String {
        let origin = &self.verifier.origin;
        let body = body(origin, checkpoint);
        let mut signature = self.verifier.key_hash().to_vec();
        signature.extend_from_slice(self.pair.sign(body.as_bytes()).as_ref());
        format!("{body}\n\u{2014} {origin} {}\n", STANDARD.encode(signature))
    }
}

/// Checks checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    origin: String,
    public: Vec<u8>,
}

impl Verifier {
    /// The checkpoint in `note`, if this key signed it and nothing about it is unusual.
    pub(crate) fn open(&self, note: &str) -> Option<Checkpoint> {
        if note.len() > NOTE_BYTES_MAX {
            return None;
        }
        let (text, signature) = note.split_once("\n\n")?;
        let mut lines = text.split('\n');
        let checkpoint = Checkpoint {
            size: { (lines.next()? == self.origin).then(|| lines.next()?.parse().ok())?? },
            root: STANDARD.decode(lines.next()?).ok()?.try_into().ok()?,
            at: Timestamp::from_micros(lines.next()?.strip_prefix("time ")?.parse().ok()?),
        };
        let body = body(&self.origin, &checkpoint);
        // Only the one canonical spelling of a checkpoint is taken: whatever else was parsed is compared away here.
        if lines.next().is_some() || body.strip_suffix('\n')? != text {
            return None;
        }
        let encoded = signature
            .strip_suffix('\n')?
            .strip_prefix("\u{2014} ")?
            .strip_prefix(&self.origin)?
            .strip_prefix(' ')?;
        let signature = STANDARD.decode(encoded).ok()?;
        let signature = signature.strip_prefix(&self.key_hash())?;
        UnparsedPublicKey::new(&ED25519, &self.public).verify(body.as_bytes(), signature).ok()?;
        Some(checkpoint)
    }

    /// The key in the form that tools for signed notes take.
    pub(crate) fn text(&self) -> String {
        let key = [&[ED25519_TYPE], self.public.as_slice()].concat();
        format!("{}+{}+{}", self.origin, hex(&self.key_hash()), STANDARD.encode(key))
    }

    fn key_hash(&self) -> [u8; 4] {
        let hash = digest(&[self.origin.as_bytes(), b"\n", &[ED25519_TYPE], &self.public]);
        hash.first_chunk().copied().unwrap_or_default()
    }
}

fn body(origin: &str, checkpoint: &Checkpoint) -> String {
    let Checkpoint { size, root, at } = checkpoint;
    format!("{origin}\n{size}\n{}\ntime {}\n", STANDARD.encode(root), at.micros())
}

/// Reads the notes of a `checkpoints` file one after the other.
pub(crate) struct Notes<R> {
    file: R,
    offset: u64,
}

/// What stands next among the notes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextNote {
    /// A note, and where it begins.
    Note(String, u64),
    /// An unfinished one, and where it begins.
    Unfinished(u64),
    /// Nothing.
    End(u64),
}

impl<R: BufRead> Notes<R> {
    pub(crate) fn new(file: R, offset: u64) -> Self {
        Self { file, offset }
    }

    pub(crate) fn next(&mut self) -> io::Result<NextNote> {
        let start = self.offset;
        let mut note = Vec::new();
        // A note holds one empty line itself, before the signature; the second one ends it.
        let mut empty_lines = 0;
        while empty_lines < 2 {
            let room = (NOTE_BYTES_MAX + 2).saturating_sub(note.len());
            let read = (&mut self.file).take(room as u64).read_until(b'\n', &mut note)?;
            self.offset += read as u64;
            if note.is_empty() {
                return Ok(NextNote::End(start));
            }
            if read == 0 || !note.ends_with(b"\n") {
                return Ok(NextNote::Unfinished(start));
            }
            empty_lines += usize::from(read == 1);
        }
        note.pop();
        Ok(String::from_utf8(note).map_or(NextNote::Unfinished(start), |note| NextNote::Note(note, start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("keyward/journal/test".into(), Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    const CHECKPOINT: Checkpoint = Checkpoint { size: 5, root: [9; 32], at: Timestamp::from_micros(77) };

    #[test]
    fn opens_what_it_signed_and_nothing_else() {
        let note = signer().sign(&CHECKPOINT);
        let verifier = signer().verifier().clone();
        assert_eq!(verifier.open(&note), Some(CHECKPOINT));
        for index in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[index] ^= 1;
            let changed = String::from_utf8_lossy(&bytes);
            assert_eq!(verifier.open(&changed), None, "changed byte {index}");
        }
        assert_eq!(verifier.open(&format!("{note}\n")), None);
        assert_eq!(verifier.open(&note.replace("\n5\n", "\n05\n")), None);
        let other = Signer::new("other".into(), Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        assert_eq!(other.verifier().open(&note), None);
    }

    #[test]
    fn the_form_is_that_of_signed_notes() {
        let note = signer().sign(&CHECKPOINT);
        let lines: Vec<&str> = note.split('\n').collect();
        assert_eq!(lines[0], "keyward/journal/test");
        assert_eq!(lines[1], "5");
        assert_eq!(STANDARD.decode(lines[2]).unwrap(), [9; 32]);
        assert_eq!((lines[4], lines.len()), ("", 7));
        assert!(lines[5].starts_with("\u{2014} keyward/journal/test "));
        let verifier = signer().verifier().text();
        let parts: Vec<&str> = verifier.splitn(3, '+').collect();
        assert_eq!((parts[0], parts[1].len()), ("keyward/journal/test", 8));
    }

    #[test]
    fn a_row_of_notes_falls_apart_again() {
        let note = signer().sign(&CHECKPOINT);
        let row = format!("{note}\n{note}\n");
        let second = note.len() as u64 + 1;
        let mut notes = Notes::new(row.as_bytes(), 0);
        assert_eq!(notes.next().unwrap(), NextNote::Note(note.clone(), 0));
        assert_eq!(notes.next().unwrap(), NextNote::Note(note.clone(), second));
        assert_eq!(notes.next().unwrap(), NextNote::End(2 * second));
        for cut in 1..row.len() - note.len() - 1 {
            let mut notes = Notes::new(&row.as_bytes()[..row.len() - cut], 0);
            notes.next().unwrap();
            assert_eq!(notes.next().unwrap(), NextNote::Unfinished(second), "{cut} bytes cut off");
        }
        let endless = "x".repeat(4 * NOTE_BYTES_MAX);
        assert_eq!(Notes::new(endless.as_bytes(), 0).next().unwrap(), NextNote::Unfinished(0));
    }
}
