//! Everything that `keyward demo` plays with: an issuer, and a model server that leaks on purpose.
//!
//! Promise: none of this can be reached from `serve`. Both servers listen on loopback alone, on ports that the kernel
//! chooses, with keys that are made at start and live in memory; no setting of the configuration names them, and a
//! test holds that no module outside of the demo does. Exceptions: none.

use std::net::{Ipv4Addr, SocketAddr};

use aws_lc_rs::rand;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub mod client;
pub mod house;
pub mod issuer;
pub mod leaks;
pub mod model_server;
pub mod story;

pub use house::House;
pub use issuer::Issuer;
pub use leaks::Leaks;
pub use model_server::ModelServer;

/// Why a part of the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No port on loopback.
    #[error("the demo found no free port on 127.0.0.1")]
    Listen(#[source] std::io::Error),
    /// No key.
    #[error("the demo could not make its keys")]
    Key,
}

/// A server of the demo: runs until it is dropped or stopped.
#[derive(Debug)]
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(listener: TcpListener, app: axum::Router) -> Result<Self, DemoError> {
        let address = listener.local_addr().map_err(DemoError::Listen)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::warn!(error = %error.kind(), "a server of the demo ended");
            }
        });
        Ok(Self { address, stop, task })
    }

    /// Stops accepting; streams in flight are cut.
    fn stop(&self) {
        self.stop.cancel();
        self.task.abort();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A listener on a free port of loopback.
async fn loopback() -> Result<TcpListener, DemoError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Listen)
}

/// Random bytes.
fn random<const N: usize>() -> Result<[u8; N], DemoError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| DemoError::Key)?;
    Ok(bytes)
}

/// Random characters of `alphabet`, which must not be longer than 256.
fn random_text(alphabet: &[u8], length: usize) -> Result<String, DemoError> {
    // The largest multiple of the alphabet's length: bytes from there on would favour its first characters.
    let fair = 256 - 256 % alphabet.len().max(1);
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random::<64>()? {
            let index = usize::from(byte);
            if index < fair
                && text.len() < length
                && let Some(character) = alphabet.get(index % alphabet.len())
            {
                text.push(char::from(*character));
            }
        }
    }
    Ok(text)
}

const LETTERS_AND_DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Seconds since 1970.
fn now_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_keeps_to_its_alphabet() {
        let text = random_text(b"ab", 200).unwrap();
        assert_eq!(text.len(), 200);
        assert!(text.bytes().all(|b| b == b'a' || b == b'b') && text.contains('a') && text.contains('b'));
    }

    /// Only the demo's command and the demo itself may name this module.
    #[test]
    fn nothing_outside_the_demo_reaches_it() {
        fn walk(directory: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if std::fs::read_to_string(&path).unwrap().contains("demo::") {
                    found.push(path.display().to_string());
                }
            }
        }
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        walk(&source, &mut found);
        let outside: Vec<_> = found
            .iter()
            .filter(|path| {
                !path.contains("src/demo/")
                    && !path.ends_with("src/cli/demo.rs")
                    && !path.contains("src/cli/demo/")
            })
            .filter(|path| !path.ends_with("src/cli/mod.rs"))
            .collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}
