//! Credentials: by reference in configuration, by lease on the data path, never in anything that is shown.
//!
//! Promise: a value exists in clear only inside a [`Secret`], which cannot be printed, serialized or cloned and is
//! wiped when the last lease on it is dropped; no error, log line or `Debug` output of this crate contains a value
//! or a part of one. A value that could not be put on the wire as it is meant (empty, with a line break, …) is
//! refused, and nothing takes its place — *fails closed*.
//! Exceptions: the process's own environment keeps the values of `env://` variables for as long as it lives; the
//! allocator may have held copies that a reader of the operating system's making left behind.
//!
//! In suggested reading order:

mod embedded;
mod error;
mod file;
mod lease;
mod master;
mod reference;
mod secret;
mod store;

pub use embedded::{Checked, Embedded, Put, SecretInfo, VersionInfo};
pub use error::SecretError;
pub use lease::{Lease, Secrets, SecretsOptions};
pub use master::{MasterKey, MasterKeyError};
pub use reference::{ReferenceError, SecretRef, is_secret_name};
pub use secret::{Flaw, SECRET_BYTES_MAX, Secret};
pub use store::{AnyStore, Env, Fetched, File, SecretStore};

#[cfg(test)]
mod tests;
