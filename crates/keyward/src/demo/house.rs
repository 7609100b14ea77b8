//! The demo's whole house on loopback: issuer, model server, a fresh data directory with master key and secrets, and
//! the configuration that ties them together. What is started over it is the same gateway as in `serve`.

use std::path::{Path, PathBuf};

use keyward_core::Timestamp;
use keyward_secrets::{MasterKey, Secret};
use zeroize::Zeroizing;

use super::issuer::AUDIENCE;
use super::{Issuer, ModelServer};
use crate::compose::Control;
use crate::config::Loaded;
use crate::config::load::{first, load};
use crate::exit::Failure;

/// Connections of the demo, in the order in which they are shown.
pub const CONNECTIONS: [&str; 2] = ["openai", "anthropic"];

/// Everything around the gateway.
pub struct House {
    /// Vouches for the callers.
    pub issuer: Issuer,
    /// Answers, and leaks.
    pub models: ModelServer,
    /// The configuration for the gateway.
    pub loaded: Loaded,
    /// Where state and configuration lie.
    pub dir: PathBuf,
}

impl House {
    /// Builds it in `dir`, which must be empty, with the gateway's listeners at these addresses.
    pub async fn build(dir: &Path, data: &str, admin: &str) -> Result<Self, Failure> {
        let failed = |error: super::DemoError| Failure::caused(&error, "");
        let issuer = Issuer::start().await.map_err(failed)?;
        let models = ModelServer::start().await.map_err(failed)?;
        MasterKey::generate_file(&dir.join("master.key")).map_err(|error| Failure::caused(&error, ""))?;
        let file = dir.join("keyward.yaml");
        let text = configuration(dir, &issuer, &models, data, admin);
        std::fs::write(&file, text)?;
        let loaded = load(&file).map_err(|problems| {
            Failure::error(first(&problems), "the demo's own configuration does not hold: please report this")
        })?;
        let control = Control::open(&loaded.config).await?;
        for (name, key) in CONNECTIONS.into_iter().zip([models.openai_key(), models.anthropic_key()]) {
            let value = Secret::new(Zeroizing::new(key.as_bytes().to_vec()))
                .map_err(|flaw| Failure::error(format!("the demo's key cannot be used: {flaw}"), ""))?;
            let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
            control.embedded.put(name, &value, now).await.map_err(|error| Failure::caused(&error, ""))?;
        }
        control.db.close().await;
        Ok(Self { issuer, models, loaded, dir: dir.to_owned() })
    }
}

fn configuration(dir: &Path, issuer: &Issuer, models: &ModelServer, data: &str, admin: &str) -> String {
    let (dir, issuer, models) = (dir.display(), issuer.url(), models.url());
    format!(
        "# The demo's configuration: made at start, gone with it. Nothing in it is fit for anything else.
data_dir: {dir}/data
master_key: file://{dir}/master.key
listen:
  data: {{address: '{data}'}}
  admin: {{address: '{admin}'}}
issuers:
  - {{name: demo, url: '{issuer}', audiences: [{AUDIENCE}], algorithms: [ES256]}}
connections:
  - name: openai
    kind: openai
    upstream: {models}
    credential: {{secret: 'keyward://openai', inject: bearer}}
    tags: {{env: demo}}
  - name: anthropic
    kind: anthropic
    upstream: {models}
    credential: {{secret: 'keyward://anthropic', inject: {{header: x-api-key}}}}
    tags: {{env: demo}}
policies: ['builtin:base']
sign_in: {{issuer: demo, client_id: keyward-ui, cli: {{client_id: keyward-cli}}}}
roles: {{admin: ['group:model-owners'], auditor: ['group:eng']}}
journal: {{min_free_bytes: 16MiB}}
drain: 2s
"
    )
}
