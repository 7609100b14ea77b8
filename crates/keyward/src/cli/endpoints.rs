//! Connections as callers reach them, as the gateway names them.

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::view;
use crate::config::url::HttpUrl;
use crate::exit::{Exit, Failure};

/// Where calls go, when the gateway does not say it or says it for somebody else's network.
#[derive(Debug, Args)]
pub(super) struct DataUrl {
    /// The gateway's address for calls, where it is another from here than the one that the gateway names
    #[arg(long, value_name = "URL")]
    data_url: Option<String>,
}

/// A connection as callers reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its name.
    pub(super) name: String,
    /// The dialect it speaks.
    pub(super) kind: String,
    /// Its base URL, without a slash at the end.
    pub(super) url: String,
    /// Whether its upstream's address ends in `/v1` already, so that callers leave that out.
    pub(super) versioned: bool,
}

/// The connections of these names, in their order; all of them when none is named.
pub(super) async fn find(
    client: &Client,
    names: &[String],
    data_url: &DataUrl,
) -> Result<Vec<Endpoint>, Failure> {
    let found = client.get(&["connections"], &[]).await?;
    let rows = view::list(&found, "/connections");
    if names.is_empty() {
        return rows.iter().map(|row| endpoint(row, data_url)).collect();
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for name in names {
        if endpoints.iter().any(|known| known.name == *name) {
            continue;
        }
        let row = rows.iter().find(|row| view::at(row, "/name") == *name).ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!("no connection has the name `{name}`"),
                "`keyward connections ls` lists them",
            )
        })?;
        endpoints.push(endpoint(row, data_url)?);
    }
    Ok(endpoints)
}

fn endpoint(row: &Value, data_url: &DataUrl) -> Result<Endpoint, Failure> {
    let url = match &data_url.data_url {
        Some(base) => {
            let base = HttpUrl::parse(base)
                .map_err(|error| Failure::usage(format!("--data-url: {error}"), error.help()))?;
            format!("{}{}", base.target, view::at(row, "/path"))
        }
        None => view::at(row, "/url"),
    };
    if url.is_empty() {
        return Err(Failure::error(
            "the gateway does not say where callers reach it",
            "name its address for calls with --data-url, or ask whoever runs it to set `data_url`",
        ));
    }
    Ok(Endpoint {
        name: view::at(row, "/name"),
        kind: view::at(row, "/kind"),
        url,
        versioned: view::at(row, "/upstream").ends_with("/v1"),
    })
}
