//! Why a secret is not to be had, each with what to do about it and never with a part of a value.

use std::io;
use std::sync::Arc;

use keyward_core::seal::SealError;
use keyward_store::StoreError;

use crate::{Flaw, SecretRef};

/// Why a secret is not to be had. Cheap to clone: all who waited for one fetch get the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("there is no secret {reference}: {}", put_remedy(reference))]
    Absent {
        /// Which secret.
        reference: SecretRef,
    },
    /// There is one that cannot be used.
    #[error("the secret {reference} cannot be used: {flaw}: {}", put_remedy(reference))]
    Unusable {
        /// Which secret.
        reference: SecretRef,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The file can be read by others than its owner.
    #[error("the secret {reference} can be read by others (mode {mode:04o}): chmod 600 it")]
    Exposed {
        /// Which secret.
        reference: SecretRef,
        /// The permission bits of the file.
        mode: u32,
    },
    /// Not a regular file.
    #[error("the secret {reference} is not a regular file: name the file that holds the value")]
    NotAFile {
        /// Which secret.
        reference: SecretRef,
    },
    /// This process may not read the file.
    #[error("the secret {reference} may not be read: make the user that runs keyward its owner")]
    Denied {
        /// Which secret.
        reference: SecretRef,
    },
    /// The row does not open with this master key.
    #[error(
        "the secret {reference}, version {version}, does not open: its row was changed outside keyward; put the value again"
    )]
    Sealed {
        /// Which secret.
        reference: SecretRef,
        /// Which version of it.
        version: i64,
        /// What the cipher said.
        #[source]
        source: SealError,
    },
    /// No store for this kind of reference is configured.
    #[error("the secret {reference} has no store in this configuration")]
    NoStore {
        /// Which secret.
        reference: SecretRef,
    },
    /// The name cannot name a secret.
    #[error("not a name for a secret: up to 128 of a-z 0-9 . _ / -, beginning with a letter or digit")]
    Name,
    /// The new value is the one that stands.
    #[error("the value of {reference} is the one that stands already: nothing was rotated")]
    SameValue {
        /// Which secret.
        reference: SecretRef,
    },
    /// Somebody else put a value at the same moment.
    #[error("somebody else changed {reference} at the same moment: look, and try again")]
    Raced {
        /// Which secret.
        reference: SecretRef,
    },
    /// Too many secrets are in use.
    #[error("more than {limit} secrets are in use")]
    TooMany {
        /// How many may be.
        limit: usize,
    },
    /// The store did not answer in time.
    #[error("the store of {reference} did not answer in time")]
    Timeout {
        /// Which secret.
        reference: SecretRef,
    },
    /// The file could not be read just now.
    #[error("the secret {reference} cannot be read just now")]
    Io {
        /// Which secret.
        reference: SecretRef,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database could not be read just now.
    #[error("the store of {reference} cannot be read just now")]
    Database {
        /// Which secret.
        reference: SecretRef,
        /// What it said.
        #[source]
        source: Arc<StoreError>,
    },
    /// The cipher or the random number generator refused.
    #[error("the value of {reference} could not be sealed")]
    Cipher {
        /// Which secret.
        reference: SecretRef,
    },
}

impl SecretError {
    /// Whether the store failed to answer, so that a value read earlier may still be right. Every other error is an
    /// answer: the secret is gone, or wrong, and must not be used any more.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Io { .. } | Self::Database { .. })
    }
}

fn put_remedy(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Embedded(name) => format!("put it with `keyward secrets put {name}`"),
        SecretRef::Env(variable) => {
            format!("set the variable {variable} in the environment of keyward, and start it again")
        }
        SecretRef::File(_) => "write the value, and nothing else, to that file".to_owned(),
    }
}
