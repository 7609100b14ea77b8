//! Authenticated encryption under one 256-bit key, and keys derived from it.
//!
//! Promise: a [`SealingKey`] never shows its bytes (no `Debug`, `Display`, `Serialize`), is wiped when dropped, and
//! what it sealed opens only with the same key and the same associated data; any other input *fails closed*.
//! Format: 12-byte nonce, then AES-256-GCM ciphertext and tag (NIST SP 800-38D). Nonces are random: one key may
//! seal 2^32 messages; derive a key per purpose and per session with [`SealingKey::derive`] (HKDF-SHA-256, RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// Length of a nonce in bytes.
pub const NONCE_BYTES: usize = 12;
/// Bytes that sealing adds: nonce and tag.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Length of a tag in bytes.
pub const TAG_BYTES: usize = 16;

/// Why something could not be sealed or opened. Says nothing about the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not the one it was sealed with, or the data or its context was changed.
    #[error("cannot be opened: wrong key, or the data was changed")]
    Open,
    /// The cipher refused to work.
    #[error("cannot be sealed: the cipher refused")]
    Seal,
}

/// A 256-bit key.
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
}

impl SealingKey {
    /// From 32 uniformly random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let cipher =
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_ref()).map_err(|_| SealError::Seal)?);
        Ok(Self { bytes, cipher })
    }

    /// The key for one purpose. The same purpose gives the same key; different purposes give unrelated keys.
    pub fn derive(&self, purpose: &str) -> Result<Self, SealError> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keyward/v1").extract(self.bytes.as_ref());
        let info = [purpose.as_bytes()];
        let okm = prk.expand(&info, hkdf::HKDF_SHA256).map_err(|_| SealError::Seal)?;
        let mut bytes = Zeroizing::new([0; 32]);
        okm.fill(bytes.as_mut()).map_err(|_| SealError::Seal)?;
        Self::new(bytes)
    }

    /// Seals this key under `kek` (envelope encryption).
    pub fn wrap(&self, kek: &Self, nonce: [u8; NONCE_BYTES], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        kek.seal(nonce, aad, self.bytes.as_ref())
    }

    /// Opens a key that was wrapped under `kek`.
    pub fn unwrap(kek: &Self, aad: &[u8], wrapped: &[u8]) -> Result<Self, SealError> {
        let plain = kek.open(aad, wrapped)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(SealError::Open);
        }
        bytes.copy_from_slice(&plain);
        Self::new(bytes)
    }

    /// Seals `plain`, bound to `aad`. `nonce` must be random and never used before with this key.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, body) = sealed.split_at_mut(NONCE_BYTES);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .map_err(|_| SealError::Seal)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Seals `body` where it stands and returns the tag, for callers that lay out nonce and tag themselves. Put in one
    /// row, nonce, body and tag are what [`open`](Self::open) takes.
    pub fn seal_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        body: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], SealError> {
        let tag = self
            .cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .map_err(|_| SealError::Seal)?;
        tag.as_ref().try_into().map_err(|_| SealError::Seal)
    }

    /// Opens what [`seal`](Self::seal) made with the same `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Open)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .cipher
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut body)
            .map_err(|_| SealError::Open)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> SealingKey {
        SealingKey::new(Zeroizing::new([fill; 32])).unwrap()
    }

    #[test]
    fn opens_only_with_the_same_key_context_and_bytes() {
        let sealed = key(1).seal([7; 12], b"context", b"hello").unwrap();
        assert_eq!(key(1).open(b"context", &sealed).unwrap().as_slice(), b"hello");
        assert!(key(2).open(b"context", &sealed).is_err());
        assert!(key(1).open(b"other", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key(1).open(b"context", &changed).is_err(), "bit flipped in byte {index}");
        }
        assert!(key(1).open(b"context", &sealed[..11]).is_err());
    }

    #[test]
    fn sealed_in_place_opens_like_any_other() {
        let mut body = *b"hello";
        let tag = key(1).seal_in_place([7; 12], b"context", &mut body).unwrap();
        let row = [&[7; 12], body.as_slice(), &tag].concat();
        assert_eq!(row, key(1).seal([7; 12], b"context", b"hello").unwrap());
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_wrap() {
        let session = key(1).derive("session").unwrap();
        let wrapped = session.wrap(&key(1), [9; 12], b"ses").unwrap();
        let again = SealingKey::unwrap(&key(1), b"ses", &wrapped).unwrap();
        let sealed = session.seal([1; 12], b"", b"x").unwrap();
        assert!(again.open(b"", &sealed).is_ok());
        assert!(key(1).derive("other").unwrap().open(b"", &sealed).is_err());
    }
}
