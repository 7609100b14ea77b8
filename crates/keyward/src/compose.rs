//! From a configuration to the parts that it describes: data directory, master key, database, embedded secrets; and,
//! for `serve`, the gateway over them. The only place where rooms are put together.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use keyward_gateway::start::database_path;
use keyward_secrets::{Embedded, MasterKey};
use keyward_store::Db;

use crate::config::Config;
use crate::exit::Failure;

/// The control state of one data directory, open.
pub struct Control {
    /// The key at the root.
    pub master: MasterKey,
    /// Approvals, and the rows of embedded secrets.
    pub db: Db,
    /// The embedded secrets.
    pub embedded: Embedded,
}

impl Control {
    /// Opens the database of the data directory with the configured master key; makes both directory and database
    /// when they are absent. A wrong master key is refused.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let master = MasterKey::load(&config.master_key.0).map_err(|error| Failure::caused(&error, ""))?;
        prepare_data_dir(&config.data_dir)?;
        let db =
            Db::open(database_path(&config.data_dir)).await.map_err(|error| Failure::caused(&error, ""))?;
        master.verify(&db).await.map_err(|error| Failure::caused(&error, ""))?;
        let embedded = Embedded::new(db.clone(), &master).map_err(|error| Failure::caused(&error, ""))?;
        Ok(Self { master, db, embedded })
    }
}

/// Makes the data directory for its owner alone, or checks that others cannot write to it.
pub fn prepare_data_dir(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(
            format!("the data directory {} cannot be used: {}", path.display(), error.kind()),
            "make it for the user that runs keyward, or name another under `data_dir`",
        )
    };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(Failure::error(
            format!("the data directory {} is not a directory", path.display()),
            "name another under `data_dir`",
        )),
        Ok(found) if found.mode() & 0o022 != 0 => Err(Failure::error(
            format!(
                "others may write to the data directory {} (mode {:04o})",
                path.display(),
                found.mode() & 0o7777
            ),
            format!("chmod 700 {}", path.display()),
        )),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_data_directory_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = dir.path().join("a/b");
        prepare_data_dir(&fresh).unwrap();
        assert_eq!(std::fs::metadata(&fresh).unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare_data_dir(&fresh).unwrap_err().help.starts_with("chmod 700"));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(prepare_data_dir(&file).unwrap_err().message.contains("not a directory"));
    }
}
