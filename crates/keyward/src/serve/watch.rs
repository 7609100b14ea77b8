//! Noticing that the configuration changed: by content, every two seconds. Kubernetes swaps a directory behind a symbolic
//! link, which events on files do not show.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward_core::RequestDigest;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Server;
use crate::config::{Loaded, Problem, load};
use crate::exit::Failure;

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// Reloads on SIGHUP and when the file, or one that it names, changed; until `stop`.
pub async fn watch(server: &Server, loaded: Loaded, stop: CancellationToken) -> Result<(), Failure> {
    let file = PathBuf::from(&loaded.file);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut poll = tokio::time::interval(POLL);
    let mut noted = Noted { files: files(&loaded), contents: String::new() };
    // What changed between the first reading and now would go unseen.
    let now = noted.load(&file);
    if !now.as_ref().is_ok_and(|now| version(now) == version(&loaded)) {
        server.reload(now, "file");
    }
    loop {
        let cause = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => "signal",
            _ = poll.tick() => {
                if contents(&noted.files) == noted.contents {
                    continue;
                }
                "file"
            }
        };
        server.reload(noted.load(&file), cause);
    }
}

/// What a configuration was read from, and what lay in it before it was read: a change meanwhile is seen at the next
/// look.
struct Noted {
    files: Vec<PathBuf>,
    contents: String,
}

impl Noted {
    fn load(&mut self, file: &Path) -> Result<Loaded, Vec<Problem>> {
        self.contents = contents(&self.files);
        let loaded = load(file)?;
        let files = files(&loaded);
        if files == self.files {
            return Ok(loaded);
        }
        // It names other files: they are noted first as well.
        self.contents = contents(&files);
        self.files = files;
        load(file)
    }
}

/// The files that a configuration is made of.
fn files(loaded: &Loaded) -> Vec<PathBuf> {
    let policies = loaded.policies.iter().filter_map(|document| document.path.clone());
    let authorities = loaded.config.connections.iter().filter_map(|connection| connection.ca.clone());
    let packs = loaded.packs.iter().map(|pack| pack.path.clone());
    std::iter::once(PathBuf::from(&loaded.file)).chain(policies).chain(packs).chain(authorities).collect()
}

/// Hash over the contents of files; one that cannot be read counts as empty.
fn contents(files: &[PathBuf]) -> String {
    hash(files.iter().map(|file| std::fs::read(Path::new(file)).unwrap_or_default()))
}

/// Names a configuration in the journal: a hash over its effective values, its policies and its packs of detectors.
pub(super) fn version(loaded: &Loaded) -> String {
    let effective = loaded.effective().to_string().into_bytes();
    let policies = loaded.policies.iter().map(|document| document.source.text.clone().into_bytes());
    let packs = loaded.packs.iter().map(|pack| pack.text.clone().into_bytes());
    hash(std::iter::once(effective).chain(policies).chain(packs))
}

fn hash(parts: impl Iterator<Item = Vec<u8>>) -> String {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(&part);
    }
    let digest: Result<[u8; 32], _> = context.finish().as_ref().try_into();
    digest.map(|bytes| RequestDigest::from_bytes(bytes).to_string()).unwrap_or_default()
}
