//! Sign-ins that are kept between commands, by the gateway they are for: `credentials.json` in Keyward's directory of the
//! user's configuration.
//!
//! Promise: the file is its owner's alone to read, or it is not read (*fails closed*); it is replaced whole or not at
//! all; commands that renew a sign-in at once do so one after the other. Texts of tokens are wiped from memory when they
//! are dropped. Exception: on disk they stand as they are, kept from others by the file's mode alone, as no keyring can be
//! counted on where commands run (servers, containers, CI).

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::exit::Failure;

/// The longest file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A sign-in.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(in super::super) struct Kept {
    /// The issuer that gave it.
    pub(in super::super) issuer: String,
    /// The client that it was given to.
    pub(super) client_id: String,
    /// What it is for, where the issuer was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    /// What the gateway takes.
    pub(super) access_token: String,
    /// What brings the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// From when on it is refused, in seconds since 1970; none where the issuer did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<i64>,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    servers: BTreeMap<String, Kept>,
}

/// Where they are kept.
#[derive(Debug, Clone)]
pub(in super::super) struct Store {
    directory: PathBuf,
}

/// While it lives, no other command changes the file.
pub(super) struct Turn {
    _lock: File,
}

impl Store {
    /// In `$XDG_CONFIG_HOME/keyward`, or `~/.config/keyward`.
    pub(in super::super) fn new() -> Result<Self, Failure> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config =
            variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        config.map(|config| Self { directory: config.join("keyward") }).ok_or_else(|| {
            Failure::error("there is no place to keep a sign-in", "set HOME or XDG_CONFIG_HOME")
        })
    }

    /// The file.
    pub(in super::super) fn file(&self) -> PathBuf {
        self.directory.join("credentials.json")
    }

    /// The sign-in for a server.
    pub(in super::super) fn kept(&self, server: &str) -> Result<Option<Kept>, Failure> {
        Ok(self.read()?.servers.remove(server))
    }

    /// Waits for the others that change the file. Blocks; they are done within a few seconds.
    pub(super) fn turn(&self) -> Result<Turn, Failure> {
        let path = self.directory.join("credentials.lock");
        self.make_directory()?;
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(|error| failed(&path, &error))?;
        Ok(Turn { _lock: lock })
    }

    /// Keeps a sign-in in place of the one before.
    pub(super) fn put(&self, _turn: &Turn, server: &str, kept: Kept) -> Result<(), Failure> {
        let mut content = self.read()?;
        content.servers.insert(server.to_owned(), kept);
        self.write(&content)
    }

    /// Forgets a sign-in; the one that there was.
    pub(super) fn remove(&self, _turn: &Turn, server: &str) -> Result<Option<Kept>, Failure> {
        let mut content = self.read()?;
        let removed = content.servers.remove(server);
        if removed.is_some() {
            self.write(&content)?;
        }
        Ok(removed)
    }

    fn read(&self) -> Result<Content, Failure> {
        let path = self.file();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(failed(&path, &error)),
        };
        let meta = file.metadata().map_err(|error| failed(&path, &error))?;
        let shown = path.display();
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(Failure::error(
                format!("others may read or write {shown}, so it is not used"),
                format!(
                    "chmod 600 {shown}; if somebody else could have read it, `keyward logout` and sign in again"
                ),
            ));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Failure::error(format!("{shown} belongs to another user, so it is not used"), ""));
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(|error| failed(&path, &error))?;
        serde_json::from_slice(&text).map_err(|_| {
            Failure::error(format!("{shown} is not what Keyward writes"), "remove it, and sign in again")
        })
    }

    fn write(&self, content: &Content) -> Result<(), Failure> {
        let path = self.file();
        self.make_directory()?;
        let text = serde_json::to_vec_pretty(content)
            .map(Zeroizing::new)
            .map_err(|_| Failure::error("the sign-in cannot be written as JSON", ""))?;
        // Made with mode 0600, and never wider.
        let new = tempfile::NamedTempFile::new_in(&self.directory);
        let written = new.and_then(|mut new| {
            new.write_all(&text)?;
            new.as_file().sync_all()?;
            new.persist(&path).map_err(|error| error.error)
        });
        written.map(drop).map_err(|error| failed(&path, &error))
    }

    fn make_directory(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|error| failed(&self.directory, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::error(format!("{} cannot be used: {}", path.display(), error.kind()), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(token: &str) -> Kept {
        Kept {
            issuer: "https://idp".to_owned(),
            client_id: "cli".to_owned(),
            resource: None,
            access_token: token.to_owned(),
            refresh_token: None,
            expires_at: Some(1),
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store { directory: dir.path().join("keyward") };
        assert!(store.kept("a").unwrap().is_none());
        let turn = store.turn().unwrap();
        store.put(&turn, "a", kept("t1")).unwrap();
        store.put(&turn, "b", kept("t2")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.file()), mode(&store.directory)), (0o600, 0o700));
        assert_eq!(store.kept("b").unwrap().unwrap().access_token, "t2");
        for open in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(store.file(), std::fs::Permissions::from_mode(open)).unwrap();
            assert!(store.kept("b").is_err(), "{open:o}");
        }
        std::fs::set_permissions(store.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(store.remove(&turn, "b").unwrap().unwrap().access_token, "t2");
        assert!(store.remove(&turn, "b").unwrap().is_none());
        std::fs::write(store.file(), "{").unwrap();
        assert!(store.kept("a").is_err());
    }
}
