//! `keyward serve`: the gateway until a signal stops it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Session;
use crate::exit::Failure;
use crate::hardening::take_small_pages;
use crate::logging;
use crate::serve::{Server, watch};

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(session: &Session) -> Result<(), Failure> {
    take_small_pages(); // before anything large is allocated
    let loaded = session.load_config()?;
    if let Err(error) = logging::start(loaded.config.log) {
        tracing::warn!(%error, "logging goes by the configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anything is open: from here on a signal stops in order, and one to reload does not end the process.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let _hangup = signal(SignalKind::hangup())?;
        let server = Server::start(&loaded).await?;
        let stop = CancellationToken::new();
        let reason = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            watched = watch(&server, loaded, stop.clone()) => {
                watched?;
                "the configuration is not watched any more"
            }
        };
        server.stop(reason).await
    })
}
