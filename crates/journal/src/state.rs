//! The shortcut for a fast start: where the journal stood at its last checkpoint, sealed. Only ever a shortcut:
//! without it the journal is read from its beginning, and a full proof never trusts it.

use std::path::Path;

use keyward_core::seal::SealingKey;

use crate::disk;
use crate::error::{Doing, JournalError};
use crate::identity::nonce;
use crate::journal::Unfinished;
use crate::tree::Tree;

/// The file's name.
pub(crate) const STATE: &str = "state";
const CONTEXT: &[u8] = b"keyward/journal/state/v1";

/// Where the journal stood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct State {
    /// The segment that was being written.
    pub(crate) segment: u64,
    /// Its length.
    pub(crate) offset: u64,
    /// The tree over all records so far.
    pub(crate) tree: Tree,
    /// Exchanges that were open.
    pub(crate) open: Vec<Unfinished>,
}

impl State {
    /// Writes the file anew.
    pub(crate) fn write(&self, dir: &Path, key: &SealingKey) -> Result<(), JournalError> {
        let plain = serde_json::to_vec(self).map_err(JournalError::Encode)?;
        let sealed = key.seal(nonce()?, CONTEXT, &plain)?;
        disk::replace(dir, STATE, &sealed, false).doing("write the journal's state")
    }

    /// Reads the file. `Ok(None)` when there is none; `Err(())` when it is not what was written.
    pub(crate) fn read(dir: &Path, key: &SealingKey) -> Result<Option<Self>, ()> {
        let Ok(sealed) = std::fs::read(dir.join(STATE)) else {
            return Ok(None);
        };
        let plain = key.open(CONTEXT, &sealed).map_err(|_| ())?;
        let state: Self = serde_json::from_slice(&plain).map_err(|_| ())?;
        if state.tree.is_consistent() { Ok(Some(state)) } else { Err(()) }
    }
}
