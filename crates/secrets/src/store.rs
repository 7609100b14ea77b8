//! Where secrets come from: the contract of a store, and the stores there are.
//!
//! Promise: a store answers with the value as it is now, clean ([`Secret`]), or with an error that says what to do;
//! it never answers with something else instead. *Fails closed.*

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::file::{FileFault, read_private};
use crate::master::Fingerprinter;
use crate::{Embedded, Flaw, MasterKey, SECRET_BYTES_MAX, Secret, SecretError, SecretRef};

/// A value and its version.
pub struct Fetched {
    /// The value.
    pub secret: Secret,
    /// `v3` for the embedded store; elsewhere a short fingerprint of the value under the master key, which tells
    /// values apart and is of no use to who guesses values without that key.
    pub version: String,
}

/// What every store does. [`AnyStore`] is the choice at run time; this is what the tests of all stores are written
/// against.
pub trait SecretStore {
    /// The current value of `reference`.
    fn fetch(&self, reference: &SecretRef) -> impl Future<Output = Result<Fetched, SecretError>> + Send;
}

/// A store, whichever it is.
pub enum AnyStore {
    /// Sealed rows of the gateway's own database.
    Embedded(Embedded),
    /// Variables of this process.
    Env(Env),
    /// Files.
    File(File),
    /// A store that the tests command.
    #[cfg(test)]
    Fake(crate::lease::tests::Fake),
}

impl AnyStore {
    /// Whether references of this kind are for this store.
    pub const fn serves(&self, reference: &SecretRef) -> bool {
        match self {
            Self::Embedded(_) => matches!(reference, SecretRef::Embedded(_)),
            Self::Env(_) => matches!(reference, SecretRef::Env(_)),
            Self::File(_) => matches!(reference, SecretRef::File(_)),
            #[cfg(test)]
            Self::Fake(_) => true,
        }
    }
}

impl SecretStore for AnyStore {
    async fn fetch(&self, reference: &SecretRef) -> Result<Fetched, SecretError> {
        match self {
            Self::Embedded(store) => store.fetch(reference).await,
            Self::Env(store) => store.fetch(reference).await,
            Self::File(store) => store.fetch(reference).await,
            #[cfg(test)]
            Self::Fake(store) => store.fetch(reference).await,
        }
    }
}

/// `env://VARIABLE`. The environment of a process does not change: a new value takes a new start.
pub struct Env {
    fingerprints: Fingerprinter,
    lookup: fn(&str) -> Option<OsString>,
}

impl Env {
    /// Reads this process's environment.
    pub fn new(master: &MasterKey) -> Self {
        Self { fingerprints: master.fingerprinter(), lookup: |variable| std::env::var_os(variable) }
    }

    #[cfg(test)]
    pub(crate) fn with(master: &MasterKey, lookup: fn(&str) -> Option<OsString>) -> Self {
        Self { fingerprints: master.fingerprinter(), lookup }
    }
}

impl SecretStore for Env {
    async fn fetch(&self, reference: &SecretRef) -> Result<Fetched, SecretError> {
        let SecretRef::Env(variable) = reference else {
            return Err(SecretError::NoStore { reference: reference.clone() });
        };
        let value =
            (self.lookup)(variable).ok_or_else(|| SecretError::Absent { reference: reference.clone() })?;
        fetched(reference, Zeroizing::new(value.into_vec()), &self.fingerprints)
    }
}

/// `file:///path`. Read anew at every refresh, so that a rotated mount is seen.
pub struct File {
    fingerprints: Fingerprinter,
}

impl File {
    /// Reads files of this machine.
    pub fn new(master: &MasterKey) -> Self {
        Self { fingerprints: master.fingerprinter() }
    }
}

impl SecretStore for File {
    async fn fetch(&self, reference: &SecretRef) -> Result<Fetched, SecretError> {
        let SecretRef::File(path) = reference else {
            return Err(SecretError::NoStore { reference: reference.clone() });
        };
        let path = Arc::clone(path);
        let io = |source| SecretError::Io { reference: reference.clone(), source: Arc::new(source) };
        // Room for a value of the greatest length and the line break after it.
        let read =
            tokio::task::spawn_blocking(move || read_private(&path, SECRET_BYTES_MAX.saturating_add(2)));
        let content = match read.await.map_err(|e| io(std::io::Error::other(e)))? {
            Ok(file) => file.content,
            Err(fault) => return Err(refusal(reference, fault)),
        };
        fetched(reference, content, &self.fingerprints)
    }
}

fn fetched(
    reference: &SecretRef,
    value: Zeroizing<Vec<u8>>,
    fingerprints: &Fingerprinter,
) -> Result<Fetched, SecretError> {
    let secret =
        Secret::new(value).map_err(|flaw| SecretError::Unusable { reference: reference.clone(), flaw })?;
    let version = fingerprints.of(reference, &secret);
    Ok(Fetched { secret, version })
}

fn refusal(reference: &SecretRef, fault: FileFault) -> SecretError {
    let reference = reference.clone();
    match fault {
        FileFault::Absent => SecretError::Absent { reference },
        FileFault::Denied => SecretError::Denied { reference },
        FileFault::NotAFile => SecretError::NotAFile { reference },
        FileFault::Exposed { mode } => SecretError::Exposed { reference, mode },
        FileFault::TooLong => SecretError::Unusable { reference, flaw: Flaw::TooLong },
        FileFault::Io(source) => SecretError::Io { reference, source: Arc::new(source) },
    }
}
