//! Who a workload is by what runs it: Kubernetes, GitHub Actions and GitLab vouch for their workloads with tokens of their
//! own, which live for minutes.
//!
//! Promise: a token is asked for when it is needed and kept nowhere; a cluster's own token for its API server is never
//! sent, as only one made for Keyward's audience is looked for by itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use keyward_gateway::fetch::{FetchClient, FetchLimits, FetchUrl, PlainHttp, percent_encoded};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::client::bounded;
use super::credential::{TOKEN_BYTES_MAX, header};
use crate::exit::{Exit, Failure, chain};

/// Where a projected service account token for Keyward stands, as the documentation mounts it.
const KUBERNETES_FILE: &str = "/var/run/secrets/keyward/token";
/// What GitLab's `id_tokens` call it, as the documentation does.
const GITLAB_VARIABLE: &str = "KEYWARD_ID_TOKEN";
/// Where and with what a job of GitHub Actions asks for its token.
const GITHUB_VARIABLES: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];
const LIMITS: FetchLimits = FetchLimits { body_bytes_max: 64 * 1024, deadline: Duration::from_secs(20) };

/// What vouches for a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A projected service account token.
    Kubernetes(PathBuf),
    /// A job of GitHub Actions.
    GithubActions,
    /// A job of GitLab, by the variable of its `id_tokens`.
    Gitlab(String),
    /// A file that something else keeps fresh.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, detail) = match text.split_once(':') {
            Some((word, detail)) if !detail.is_empty() => (word, Some(detail)),
            Some(_) => return Err("nothing follows the `:`".to_owned()),
            None => (text, None),
        };
        match (word, detail) {
            ("kubernetes", path) => Ok(Self::Kubernetes(path.unwrap_or(KUBERNETES_FILE).into())),
            ("github-actions", None) => Ok(Self::GithubActions),
            ("gitlab", name) => Ok(Self::Gitlab(name.unwrap_or(GITLAB_VARIABLE).to_owned())),
            ("file", Some(path)) => Ok(Self::File(path.into())),
            ("file", None) => Err("write file:PATH".to_owned()),
            _ => {
                Err("known are kubernetes[:PATH], github-actions, gitlab[:VARIABLE] and file:PATH".to_owned())
            }
        }
    }
}

impl Source {
    /// What this process evidently runs in.
    pub(super) fn detected() -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if GITHUB_VARIABLES.into_iter().all(set) {
            Some(Self::GithubActions)
        } else if set("GITLAB_CI") && set(GITLAB_VARIABLE) {
            Some(Self::Gitlab(GITLAB_VARIABLE.to_owned()))
        } else {
            Path::new(KUBERNETES_FILE).is_file().then(|| Self::Kubernetes(KUBERNETES_FILE.into()))
        }
    }

    /// As it is written after `--from`.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Kubernetes(path) => format!("kubernetes:{}", path.display()),
            Self::GithubActions => "github-actions".to_owned(),
            Self::Gitlab(name) => format!("gitlab:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
        }
    }

    /// Variables with which a child could become the caller itself.
    pub(super) fn variables(&self) -> Vec<String> {
        match self {
            Self::GithubActions => GITHUB_VARIABLES.map(str::to_owned).to_vec(),
            Self::Gitlab(name) => vec![name.clone()],
            Self::Kubernetes(_) | Self::File(_) => Vec::new(),
        }
    }

    /// The token as a request carries it, as fresh as it is to be had.
    pub(super) async fn header(&self, http: &FetchClient, audience: &str) -> Result<HeaderValue, Failure> {
        match self {
            Self::Kubernetes(path) if !path.exists() => Err(needed(
                format!("there is no service account token at {}", path.display()),
                "mount a projected one with Keyward's audience there (docs/clients.md), or name it: --from kubernetes:PATH",
            )),
            Self::Kubernetes(path) | Self::File(path) => {
                let bytes = bounded(path, TOKEN_BYTES_MAX)?;
                said(std::str::from_utf8(&bytes).unwrap_or_default(), &path.display().to_string())
            }
            Self::Gitlab(name) => {
                let token = std::env::var(name).map(Zeroizing::new).unwrap_or_default();
                if token.trim().is_empty() {
                    return Err(needed(
                        format!("{name} is not set"),
                        "give the job `id_tokens` with a variable of this name, or name another: --from gitlab:VARIABLE",
                    ));
                }
                said(&token, name)
            }
            Self::GithubActions => github(http, audience).await,
        }
    }
}

/// Asks GitHub Actions for the job's token.
async fn github(http: &FetchClient, audience: &str) -> Result<HeaderValue, Failure> {
    #[derive(Deserialize)]
    struct Given {
        value: String,
    }
    let [url, token] =
        GITHUB_VARIABLES.map(|name| std::env::var(name).map(Zeroizing::new).unwrap_or_default());
    if url.is_empty() || token.is_empty() {
        return Err(needed(
            "this is no job of GitHub Actions that may ask for a token".to_owned(),
            "give it `permissions: {id-token: write}`",
        ));
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let address = format!("{}{separator}audience={}", &*url, percent_encoded(audience));
    let failed = |why: String| {
        Failure::new(
            Exit::ServerUnreachable,
            format!("GitHub Actions gave no token: {why}"),
            "try again soon",
        )
    };
    let address =
        FetchUrl::parse(&address, PlainHttp::LoopbackOnly).map_err(|error| failed(error.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, header(&token)?);
    let answer = http.send(Method::GET, &address, headers, Bytes::new(), LIMITS).await;
    let answer = answer.map_err(|error| failed(chain(&error)))?;
    if answer.status != StatusCode::OK {
        return Err(failed(format!("it answers with status {}", answer.status)));
    }
    let given = serde_json::from_slice::<Given>(&answer.body);
    let given = given.map_err(|_| failed("it answers with something else".to_owned()))?;
    said(&Zeroizing::new(given.value), "GitHub Actions")
}

fn said(token: &str, place: &str) -> Result<HeaderValue, Failure> {
    if token.trim().is_empty() {
        return Err(needed(format!("there is no token in {place}"), "check what writes it"));
    }
    header(token)
}

fn needed(message: String, help: &str) -> Failure {
    Failure::new(Exit::SignInNeeded, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in ["kubernetes:/t", "github-actions", "gitlab:T", "file:/t"] {
            assert_eq!(text.parse::<Source>().unwrap().written(), text);
        }
        assert_eq!("gitlab".parse(), Ok(Source::Gitlab(GITLAB_VARIABLE.to_owned())));
        assert_eq!("kubernetes".parse(), Ok(Source::Kubernetes(KUBERNETES_FILE.into())));
        for bad in ["", "file", "file:", "github", "github-actions:x", "kubernetes:"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }
}
