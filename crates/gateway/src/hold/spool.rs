//! Long bodies of held calls lie on disk while a human decides, so that many that wait cost no memory.
//!
//! Promise: what lies there is sealed under a key that lives in memory alone, in a file without a name: a crash leaves nothing
//! behind, and what was changed is not sent (catalogue 98): *fails closed*. The digest that is approved was taken before.
//!
//! Exception: where the disk takes no more, a body waits in memory.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use keyward_core::RequestDigest;
use keyward_core::seal::{NONCE_BYTES, SealingKey};
use zeroize::Zeroizing;

use crate::clock;
use crate::refusal::{Refusal, RefusalKind};

/// Bodies that are shorter wait in memory.
pub(super) const SPOOLED_BYTES_MIN: usize = 32 * 1024;

/// Where bodies are put by.
pub struct Spool {
    dir: PathBuf,
}

/// A body that was put by.
pub(super) struct Spooled {
    file: File,
    key: SealingKey,
    digest: RequestDigest,
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Spool {
    /// In this directory, which is private already.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Puts a body by, bound to the digest of its call; gives it back where that does not work.
    pub(super) async fn put(&self, body: Bytes, digest: RequestDigest) -> Result<Spooled, Bytes> {
        let path = self.dir.join(format!("held-{:032x}", clock::fresh_id()));
        let kept = body.clone();
        let put = tokio::task::spawn_blocking(move || {
            let mut random = Zeroizing::new([0; 32]);
            let mut nonce = [0; NONCE_BYTES];
            aws_lc_rs::rand::fill(random.as_mut()).map_err(|_| "no random bytes")?;
            aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "no random bytes")?;
            let key = SealingKey::new(random)?;
            let sealed = key.seal(nonce, digest.as_bytes(), &body)?;
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            std::fs::remove_file(&path)?;
            file.write_all(&sealed)?;
            Ok::<_, Fault>(Spooled { file, key, digest })
        });
        let why: Fault = match put.await {
            Ok(Ok(spooled)) => return Ok(spooled),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        };
        tracing::warn!(error = &*why as &dyn std::error::Error, "the body of a held call waits in memory");
        Err(kept)
    }
}

impl Spooled {
    /// The body as it was.
    pub(super) async fn take(self) -> Result<Bytes, Refusal> {
        let taken = tokio::task::spawn_blocking(move || {
            let Self { mut file, key, digest } = self;
            file.seek(SeekFrom::Start(0))?;
            let mut sealed = Vec::new();
            file.read_to_end(&mut sealed)?;
            let body = key.open(digest.as_bytes(), &sealed)?;
            Ok::<_, Fault>(Bytes::copy_from_slice(&body))
        });
        let why: Fault = match taken.await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        };
        let public = "The body of this call was changed or lost while it waited; send the call again.";
        Err(Refusal::new(RefusalKind::Internal, public).because(why))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[tokio::test]
    async fn catalogue_98_what_was_put_by_comes_back_or_nothing_does() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().to_owned());
        let body = Bytes::from(vec![b'x'; SPOOLED_BYTES_MIN]);
        let digest = RequestDigest::from_bytes([7; 32]);
        let put = || async { spool.put(body.clone(), digest).await.unwrap_or_else(|_| panic!("not put by")) };
        let spooled = put().await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
        let mut raw = vec![0; body.len()];
        spooled.file.read_exact_at(&mut raw, 0).unwrap();
        assert!(!raw.windows(8).any(|window| window == b"xxxxxxxx"), "it lies there in clear");
        assert_eq!(spooled.take().await.unwrap(), body);
        for at in [0, 5_000, body.len() as u64] {
            let spooled = put().await;
            let mut byte = [0];
            spooled.file.read_exact_at(&mut byte, at).unwrap();
            spooled.file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            let refused = spooled.take().await.unwrap_err();
            assert_eq!(refused.kind, RefusalKind::Internal);
        }
        let shorter = put().await;
        shorter.file.set_len(100).unwrap();
        assert!(shorter.take().await.is_err());
        let nowhere = Spool::new(dir.path().join("gone"));
        assert_eq!(nowhere.put(body.clone(), digest).await.err(), Some(body), "it waits in memory");
    }
}
