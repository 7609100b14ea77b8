//! Noticing that the configuration changed: by content, every two seconds. Kubernetes swaps a directory behind a symbolic
//! link, which events on files do not show.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward_core::RequestDigest;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Server;
use crate::config::{Loaded, load};
use crate::exit::Failure;

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// Reloads on SIGHUP and when the file, or one that it names, changed; until `stop`.
pub async fn watch(server: &Server, loaded: Loaded, stop: CancellationToken) -> Result<(), Failure> {
    let file = PathBuf::from(&loaded.file);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut poll = tokio::time::interval(POLL);
    let mut files = files(&loaded);
    let mut seen = contents(&files);
    loop {
        let cause = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => "signal",
            _ = poll.tick() => {
                let now = contents(&files);
                if now == seen {
                    continue;
                }
                seen = now;
                "file"
            }
        };
        let loaded = load(&file);
        if let Ok(loaded) = &loaded {
            files = self::files(loaded);
            seen = contents(&files);
        }
        server.reload(loaded, cause);
    }
}

/// The files that a configuration is made of.
fn files(loaded: &Loaded) -> Vec<PathBuf> {
    let policies = loaded.policies.iter().filter_map(|document| document.path.clone());
    let authorities = loaded.config.connections.iter().filter_map(|connection| connection.ca.clone());
    std::iter::once(PathBuf::from(&loaded.file)).chain(policies).chain(authorities).collect()
}

/// Hash over the contents of files; one that cannot be read counts as empty.
fn contents(files: &[PathBuf]) -> String {
    hash(files.iter().map(|file| std::fs::read(Path::new(file)).unwrap_or_default()))
}

/// Names a configuration in the journal: a hash over its effective values and its policies.
pub(super) fn version(loaded: &Loaded) -> String {
    let effective = loaded.effective().to_string().into_bytes();
    let policies = loaded.policies.iter().map(|document| document.source.text.clone().into_bytes());
    hash(std::iter::once(effective).chain(policies))
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
