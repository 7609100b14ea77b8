//! Who a journal is: its id, its signing key, and the keys that follow from the master key.

use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use keyward_core::seal::{NONCE_BYTES, SealingKey};
use zeroize::Zeroizing;

use crate::disk;
use crate::error::{Doing, JournalError};
use crate::note::Signer;
use crate::tree::hex;

/// The sealed file that every journal has.
pub(crate) const IDENTITY: &str = "identity";
/// The public key, as text.
pub(crate) const VERIFIER: &str = "verifier";
const CONTEXT: &[u8] = b"keyward/journal/identity/v1";
const ID_BYTES: usize = 16;
const SEED_BYTES: usize = 32;

/// Id and keys of one journal.
pub(crate) struct Identity {
    pub(crate) id: [u8; ID_BYTES],
    pub(crate) signer: Signer,
    /// Seals segment headers.
    pub(crate) heads: SealingKey,
    /// Seals the state file.
    pub(crate) states: SealingKey,
    base: SealingKey,
}

/// Keys of one segment.
pub(crate) struct SegmentKeys {
    /// Seals records that belong to no session.
    pub(crate) own: SealingKey,
    /// Wraps the keys of its sessions.
    pub(crate) wrapping: SealingKey,
}

impl Identity {
    /// Reads the identity of the journal in `dir`; none when there is none.
    pub(crate) fn read(dir: &Path, key: &SealingKey) -> Result<Option<Self>, JournalError> {
        let sealed = match std::fs::read(dir.join(IDENTITY)) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::Io { doing: "read the journal's identity", source }),
        };
        let plain =
            key.derive("journal/identity")?.open(CONTEXT, &sealed).map_err(|_| JournalError::WrongKey)?;
        let (id, seed) = plain.split_first_chunk::<ID_BYTES>().ok_or(JournalError::WrongKey)?;
        Self::new(*id, seed, key).map(Some)
    }

    /// Makes an identity and stores it in `dir`.
    pub(crate) fn make(dir: &Path, key: &SealingKey) -> Result<Self, JournalError> {
        let mut plain = Zeroizing::new([0; ID_BYTES + SEED_BYTES]);
        fill(plain.as_mut())?;
        let sealed = key.derive("journal/identity")?.seal(nonce()?, CONTEXT, plain.as_ref())?;
        let (id, seed) = plain.split_first_chunk::<ID_BYTES>().ok_or(JournalError::Random)?;
        let identity = Self::new(*id, seed, key)?;
        let verifier = format!("{}\n", identity.signer.verifier().text());
        disk::replace(dir, VERIFIER, verifier.as_bytes(), true).doing("write the journal's public key")?;
        disk::replace(dir, IDENTITY, &sealed, true).doing("write the journal's identity")?;
        Ok(identity)
    }

    fn new(id: [u8; ID_BYTES], seed: &[u8], key: &SealingKey) -> Result<Self, JournalError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| JournalError::WrongKey)?;
        let id_hex = hex(&id);
        Ok(Self {
            id,
            signer: Signer::new(format!("keyward/journal/{id_hex}"), pair),
            heads: key.derive(&format!("journal/{id_hex}/heads"))?,
            states: key.derive(&format!("journal/{id_hex}/states"))?,
            base: key.derive(&format!("journal/{id_hex}/segments"))?,
        })
    }

    /// The keys of the segment with this salt.
    pub(crate) fn segment_keys(&self, salt: &[u8; 16]) -> Result<SegmentKeys, JournalError> {
        let salt = hex(salt);
        Ok(SegmentKeys {
            own: self.base.derive(&format!("own/{salt}"))?,
            wrapping: self.base.derive(&format!("sessions/{salt}"))?,
        })
    }
}

/// Fills `bytes` from the random source.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), JournalError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| JournalError::Random)
}

/// Fresh nonces, drawn many at a time: one call of the random source per record would be a sixth of its cost.
pub(crate) struct Nonces {
    drawn: [u8; NONCE_BYTES * NONCES_DRAWN],
    left: usize,
}

const NONCES_DRAWN: usize = 64;

impl Nonces {
    pub(crate) fn new() -> Self {
        Self { drawn: [0; NONCE_BYTES * NONCES_DRAWN], left: 0 }
    }

    /// A nonce that was never given out before.
    pub(crate) fn next(&mut self) -> Result<[u8; NONCE_BYTES], JournalError> {
        if self.left == 0 {
            fill(&mut self.drawn)?;
            self.left = NONCES_DRAWN;
        }
        self.left -= 1;
        let (nonces, _) = self.drawn.as_chunks::<NONCE_BYTES>();
        nonces.get(self.left).copied().ok_or(JournalError::Random)
    }
}

/// A fresh nonce.
pub(crate) fn nonce() -> Result<[u8; NONCE_BYTES], JournalError> {
    let mut nonce = [0; NONCE_BYTES];
    fill(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_is_given_out_twice() {
        let mut nonces = Nonces::new();
        let given: std::collections::HashSet<_> =
            (0..10 * NONCES_DRAWN).map(|_| nonces.next().unwrap()).collect();
        assert_eq!(given.len(), 10 * NONCES_DRAWN);
    }
}
