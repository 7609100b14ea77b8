//! Putting a changed configuration to work.

use std::sync::Arc;

use keyward_gateway::clock;
use keyward_gateway::snapshot::Gateway;
use keyward_journal::Record;
use keyward_journal::record::ConfigEvent;

use super::{Server, fixed, record_config, settings};
use crate::config::{Color, Loaded, Problem};
use crate::exit::chain;

impl Server {
    /// Puts a configuration to work, or keeps the last good one and says why. `cause` is `signal` or `file`.
    pub fn reload(&self, loaded: Result<Loaded, Vec<Problem>>, cause: &str) {
        let built = loaded
            .map_err(|problems| crate::config::problem::render(&problems, Color::Off))
            .and_then(|loaded| self.build(&loaded).map(|gateway| (loaded, gateway)));
        match built {
            Ok((loaded, gateway)) => {
                if fixed(&loaded.config) != self.fixed {
                    tracing::warn!(
                        "listen, data_dir, master_key, journal, drain, log, limits.connections_max or limits.header_bytes_max changed: \
                         that needs a restart"
                    );
                }
                // Recorded first: a configuration that leaves no trace is not put to work.
                if let Err(error) = record_config(&self.shared, &loaded, &gateway, cause) {
                    self.refused(&chain(&error), cause);
                    return;
                }
                gateway.put_in_force();
                self.gateway.store(Arc::new(gateway));
                tracing::info!(cause, "the configuration was reloaded");
            }
            Err(why) => self.refused(&why, cause),
        }
    }

    fn build(&self, loaded: &Loaded) -> Result<Gateway, String> {
        let settings =
            settings::settings(loaded, self.data, self.admin).map_err(|failure| failure.message)?;
        Gateway::build(settings, Arc::clone(&self.shared), Some(&self.gateway.load()))
            .map_err(|error| chain(&error))
    }

    fn refused(&self, why: &str, cause: &str) {
        self.shared.metrics.reloads_refused.inc();
        tracing::error!(cause, why, "the configuration was not reloaded; the last good one stays at work");
        let event = ConfigEvent {
            at: clock::now(),
            accepted: false,
            version: String::new(),
            policy: String::new(),
            cause: cause.to_owned(),
            error: Some(why.to_owned()),
        };
        if let Err(error) = self.shared.journal.append(&Record::Config(event)) {
            tracing::error!(error = &error as &dyn std::error::Error, "the refused reload is not recorded");
        }
    }
}
