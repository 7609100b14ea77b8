//! The master key: what everything that Keyward keeps is sealed under.
//!
//! Promise: 256 random bits from a file that only its owner can read, or from a variable; never from the database
//! that it protects. Wiped when dropped, never shown. A database remembers which key it belongs to, so that a wrong one
//! is refused at start and not at the first use — *fails closed*.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use keyward_core::seal::{NONCE_BYTES, SealError, SealingKey};
use keyward_store::{Db, StoreError};
use zeroize::Zeroizing;

use crate::file::{FileFault, read_private};
use crate::{Secret, SecretRef};

/// Longest text of a master key in bytes: 64 hex digits and a little blank around them.
const TEXT_BYTES_MAX: usize = 256;
/// A random key has at least this many different bytes, but for one in 10^40.
const DIFFERENT_BYTES_MIN: usize = 10;
/// Where the database keeps the check value.
const CHECK_NAME: &str = "master-key-check";
const CHECK_CONTEXT: &[u8] = b"keyward/master-key-check/v1";

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// `keyward://` would keep the key in what it protects.
    #[error(
        "the master key comes from file:///path or env://VARIABLE, never from the store that it protects"
    )]
    Reference,
    /// No such file or variable.
    #[error(
        "there is no master key at {reference}: create one with `openssl rand -base64 32`, readable by its owner only"
    )]
    Absent {
        /// Where it was looked for.
        reference: SecretRef,
    },
    /// Others may read it.
    #[error(
        "the master key {reference} can be read by others (mode {mode:04o}): chmod 600 it, and make a new key if anybody may have read it"
    )]
    Exposed {
        /// Where it is.
        reference: SecretRef,
        /// The permission bits of the file.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "the master key {reference} belongs to user {owner}: it must belong to the user that runs keyward, or to root"
    )]
    Owner {
        /// Where it is.
        reference: SecretRef,
        /// The user id of the file's owner.
        owner: u32,
    },
    /// Not a regular file.
    #[error("the master key {reference} is not a regular file")]
    NotAFile {
        /// Where it is.
        reference: SecretRef,
    },
    /// Not 32 bytes in base64 or hex.
    #[error(
        "the master key {reference} is not 32 bytes in base64 or 64 hex digits: make one with `openssl rand -base64 32`"
    )]
    Malformed {
        /// Where it is.
        reference: SecretRef,
    },
    /// Not random.
    #[error("the master key {reference} is not random: make one with `openssl rand -base64 32`")]
    Weak {
        /// Where it is.
        reference: SecretRef,
    },
    /// It could not be read.
    #[error("the master key {reference} cannot be read")]
    Read {
        /// Where it is.
        reference: SecretRef,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It could not be written.
    #[error("a new master key cannot be written to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said; `AlreadyExists` when there is a file, which is never replaced.
        #[source]
        source: io::Error,
    },
    /// The database was made with another key.
    #[error("this is not the master key of the database {}: start with the key that it was made with", path.display())]
    Wrong {
        /// The database file.
        path: PathBuf,
    },
    /// The database.
    #[error("the database could not say whether this is its master key")]
    Database(#[source] StoreError),
    /// The cipher or the random number generator refused.
    #[error("the cipher or the random number generator refused")]
    Cipher,
}

/// The key at the root. Has no `Debug`, `Display` or `Serialize`.
pub struct MasterKey {
    key: SealingKey,
    fingerprints: hmac::Key,
}

impl MasterKey {
    /// From `file:///path` (a regular file of ours or root's that nobody else may read) or `env://VARIABLE`: 32 bytes in base64 or as 64
    /// hex digits.
    pub fn load(reference: &SecretRef) -> Result<Self, MasterKeyError> {
        let text = match reference {
            SecretRef::Embedded(_) => return Err(MasterKeyError::Reference),
            SecretRef::Env(variable) => std::env::var_os(&**variable)
                .map(|value| Zeroizing::new(value.into_vec()))
                .ok_or_else(|| MasterKeyError::Absent { reference: reference.clone() })?,
            SecretRef::File(path) => read(reference, path)?,
        };
        let bytes =
            decode(&text).ok_or_else(|| MasterKeyError::Malformed { reference: reference.clone() })?;
        let mut seen = [false; 256];
        for byte in bytes.iter() {
            if let Some(slot) = seen.get_mut(usize::from(*byte)) {
                *slot = true;
            }
        }
        if seen.iter().filter(|seen| **seen).count() < DIFFERENT_BYTES_MIN {
            return Err(MasterKeyError::Weak { reference: reference.clone() });
        }
        Self::new(bytes)
    }

    /// From 32 uniformly random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Result<Self, MasterKeyError> {
        let cipher = |_| MasterKeyError::Cipher;
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keyward/v1/fingerprint").extract(bytes.as_ref());
        let okm = prk.expand(&[b"fingerprint"], hmac::HMAC_SHA256).map_err(cipher)?;
        let fingerprints = hmac::Key::from(okm);
        let key = SealingKey::new(bytes).map_err(|_| MasterKeyError::Cipher)?;
        Ok(Self { key, fingerprints })
    }

    /// Makes a new key and writes it in base64 to `path`, which must not exist: mode 0600, on disk when this returns.
    pub fn generate_file(path: &Path) -> Result<Self, MasterKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| MasterKeyError::Cipher)?;
        let mut text = Zeroizing::new(String::with_capacity(48));
        STANDARD.encode_string(bytes.as_ref(), &mut text);
        text.push('\n');
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::File::open(parent)?.sync_all()
        };
        write().map_err(|source| MasterKeyError::Write { path: path.into(), source })?;
        Self::new(bytes)
    }

    /// The key for one purpose: `journal`, ….
    pub fn derive(&self, purpose: &str) -> Result<SealingKey, SealError> {
        self.key.derive(purpose)
    }

    /// Whether `db` belongs to this key. A database that belongs to none yet is this key's from now on.
    pub async fn verify(&self, db: &Db) -> Result<(), MasterKeyError> {
        let cipher = |_| MasterKeyError::Cipher;
        let key = self.derive("master-key-check").map_err(cipher)?;
        let standing =
            if let Some(standing) = db.meta_get(CHECK_NAME).await.map_err(MasterKeyError::Database)? {
                standing
            } else {
                let mut nonce = [0; NONCE_BYTES];
                aws_lc_rs::rand::fill(&mut nonce).map_err(|_| MasterKeyError::Cipher)?;
                let check = key.seal(nonce, CHECK_CONTEXT, b"").map_err(cipher)?;
                // Of two that start at once, the first one's key stands.
                db.meta_keep(CHECK_NAME, &check).await.map_err(MasterKeyError::Database)?
            };
        key.open(CHECK_CONTEXT, &standing)
            .map(drop)
            .map_err(|_| MasterKeyError::Wrong { path: db.path().into() })
    }

    /// What placeholders that are the same in every session are derived with.
    pub fn placeholder_key(&self) -> [u8; 32] {
        let tag = hmac::sign(&self.fingerprints, b"keyward/v1/mask-placeholders");
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    pub(crate) fn fingerprinter(&self) -> Fingerprinter {
        Fingerprinter(self.fingerprints.clone())
    }
}

/// Tells values apart without telling them (catalogue 132): HMAC-SHA-256 under a key derived from the master key.
#[derive(Clone)]
pub(crate) struct Fingerprinter(hmac::Key);

impl Fingerprinter {
    /// 16 hex digits. Equal values under different references have unrelated ones.
    pub(crate) fn of(&self, reference: &SecretRef, secret: &Secret) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        let reference = reference.to_string();
        context.update(&(reference.len() as u64).to_be_bytes());
        context.update(reference.as_bytes());
        context.update(secret.expose());
        let mut short = [0; 8];
        short.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        format!("{:016x}", u64::from_be_bytes(short))
    }
}

fn read(reference: &SecretRef, path: &Path) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    let at = || reference.clone();
    let file = read_private(path, TEXT_BYTES_MAX).map_err(|fault| match fault {
        FileFault::Absent => MasterKeyError::Absent { reference: at() },
        FileFault::Denied => {
            MasterKeyError::Read { reference: at(), source: io::ErrorKind::PermissionDenied.into() }
        }
        FileFault::NotAFile => MasterKeyError::NotAFile { reference: at() },
        FileFault::Exposed { mode } => MasterKeyError::Exposed { reference: at(), mode },
        FileFault::TooLong => MasterKeyError::Malformed { reference: at() },
        FileFault::Io(source) => MasterKeyError::Read { reference: at(), source },
    })?;
    if file.owner != 0 && file.owner != rustix::process::geteuid().as_raw() {
        return Err(MasterKeyError::Owner { reference: at(), owner: file.owner });
    }
    Ok(file.content)
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim_ascii();
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() == 64 {
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digits =
                std::str::from_utf8(pair).ok().filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return Some(bytes);
    }
    [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD].into_iter().find_map(|alphabet| {
        let decoded = Zeroizing::new(alphabet.decode(text).ok()?);
        (decoded.len() == bytes.len()).then(|| {
            bytes.copy_from_slice(&decoded);
            bytes.clone()
        })
    })
}
