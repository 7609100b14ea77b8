//! The embedded store: values sealed in the gateway's own database.
//!
//! Promise: a value lies in the database only under a key that is derived from the master key for its name, bound to
//! name and version, so that no row can be read without the master key (which is never in the database) or moved to
//! another name or version. A row that does not open *fails closed*.
//! Exception: who can write the database can put back both an older value and its version number.

use std::sync::Arc;

use keyward_core::Timestamp;
use keyward_core::seal::{NONCE_BYTES, SealError, SealingKey};
use keyward_store::{Db, SealedSecret, StoreError};

use crate::{
    Fetched, MasterKey, MasterKeyError, Secret, SecretError, SecretRef, SecretStore, is_secret_name,
};

/// `keyward://NAME`, and what `keyward secrets` does. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    db: Db,
    key: Arc<SealingKey>,
}

/// What putting a value gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Where it is now.
    pub reference: SecretRef,
    /// Its version.
    pub version: i64,
}

/// What may be shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// The versions kept, newest first.
    pub versions: Vec<VersionInfo>,
}

/// What may be shown of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number.
    pub version: i64,
    /// When it was put.
    pub created_at: Timestamp,
}

/// Whether a version opens.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The secret's name.
    pub name: String,
    /// The version.
    pub version: i64,
    /// None when it opened and is usable.
    pub fault: Option<SecretError>,
}

impl Embedded {
    /// Over an open database. [`MasterKey::verify`] says beforehand whether it is the right key.
    pub fn new(db: Db, master: &MasterKey) -> Result<Self, MasterKeyError> {
        let key = master.derive("embedded-secrets").map_err(|_| MasterKeyError::Cipher)?;
        Ok(Self { db, key: Arc::new(key) })
    }

    /// Keeps a value as the newest version of `name`, which may be new.
    pub async fn put(&self, name: &str, value: &Secret, now: Timestamp) -> Result<Put, SecretError> {
        let reference = named(name)?;
        let newest = self.rows(&reference, name).await?.first().map_or(0, |row| row.version);
        self.append(reference, name, newest, value, now).await
    }

    /// Keeps another value for a secret that exists. The version before it is kept beside it.
    pub async fn rotate(&self, name: &str, value: &Secret, now: Timestamp) -> Result<Put, SecretError> {
        let reference = named(name)?;
        let rows = self.rows(&reference, name).await?;
        let Some(newest) = rows.first() else { return Err(SecretError::Absent { reference }) };
        if self.open(&reference, name, newest)?.same_as(value) {
            return Err(SecretError::SameValue { reference });
        }
        self.append(reference, name, newest.version, value, now).await
    }

    /// All secrets by name, without values.
    pub async fn list(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let mut secrets: Vec<SecretInfo> = Vec::new();
        for row in self.db.secret_list().await? {
            let version = VersionInfo { version: row.version, created_at: row.created_at };
            match secrets.last_mut().filter(|last| last.name == row.name) {
                Some(last) => last.versions.push(version),
                None => secrets.push(SecretInfo { name: row.name, versions: vec![version] }),
            }
        }
        Ok(secrets)
    }

    /// One secret, without its value; none when there is no such secret.
    pub async fn show(&self, name: &str) -> Result<Option<SecretInfo>, SecretError> {
        let reference = named(name)?;
        let rows = self.rows(&reference, name).await?;
        let versions: Vec<_> =
            rows.iter().map(|row| VersionInfo { version: row.version, created_at: row.created_at }).collect();
        Ok((!versions.is_empty()).then(|| SecretInfo { name: name.to_owned(), versions }))
    }

    /// Opens every version of every secret, and says which opened.
    pub async fn check(&self) -> Result<Vec<Checked>, StoreError> {
        let mut all = Vec::new();
        for secret in self.list().await? {
            let reference = SecretRef::Embedded(secret.name.as_str().into());
            for row in self.db.secret_get(&secret.name).await? {
                let fault = self.open(&reference, &secret.name, &row).err();
                all.push(Checked { name: secret.name.clone(), version: row.version, fault });
            }
        }
        Ok(all)
    }

    async fn append(
        &self,
        reference: SecretRef,
        name: &str,
        newest: i64,
        value: &Secret,
        now: Timestamp,
    ) -> Result<Put, SecretError> {
        let version = newest.saturating_add(1);
        let sealed = self
            .seal(name, version, value)
            .map_err(|_| SecretError::Cipher { reference: reference.clone() })?;
        match self.db.secret_put(name, version, &sealed, now).await {
            Ok(true) => Ok(Put { reference, version }),
            Ok(false) => Err(SecretError::Raced { reference }),
            Err(source) => Err(SecretError::Database { reference, source: Arc::new(source) }),
        }
    }

    async fn rows(&self, reference: &SecretRef, name: &str) -> Result<Vec<SealedSecret>, SecretError> {
        let failed =
            |source| SecretError::Database { reference: reference.clone(), source: Arc::new(source) };
        self.db.secret_get(name).await.map_err(failed)
    }

    fn seal(&self, name: &str, version: i64, value: &Secret) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SealError::Seal)?;
        self.key.derive(name)?.seal(nonce, &context(name, version), value.expose())
    }

    fn open(&self, reference: &SecretRef, name: &str, row: &SealedSecret) -> Result<Secret, SecretError> {
        let failed =
            |source| SecretError::Sealed { reference: reference.clone(), version: row.version, source };
        let key = self.key.derive(name).map_err(failed)?;
        let value = key.open(&context(name, row.version), &row.sealed).map_err(failed)?;
        Secret::new(value).map_err(|flaw| SecretError::Unusable { reference: reference.clone(), flaw })
    }
}

impl SecretStore for Embedded {
    async fn fetch(&self, reference: &SecretRef) -> Result<Fetched, SecretError> {
        let SecretRef::Embedded(name) = reference else {
            return Err(SecretError::NoStore { reference: reference.clone() });
        };
        let rows = self.rows(reference, name).await?;
        let row = rows.first().ok_or_else(|| SecretError::Absent { reference: reference.clone() })?;
        Ok(Fetched { secret: self.open(reference, name, row)?, version: format!("v{}", row.version) })
    }
}

/// What a sealed value is bound to. A name holds no NUL, so no two pairs share one text.
fn context(name: &str, version: i64) -> Vec<u8> {
    format!("{name}\0{version}").into_bytes()
}

fn named(name: &str) -> Result<SecretRef, SecretError> {
    if is_secret_name(name) { Ok(SecretRef::Embedded(name.into())) } else { Err(SecretError::Name) }
}
