//! Who one is to a gateway: the token that a command sends, and where it comes from.
//!
//! Promise: a token never stands on the command line, is wiped when dropped, and is never printed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use http::header::HeaderValue;
use keyward_gateway::fetch::FetchClient;
use zeroize::Zeroizing;

use super::client::{Remote, TOKEN_VARIABLE, bounded};
use super::login::{self, Store};
use super::output::Output;
use super::workload::Source;
use crate::exit::{Exit, Failure};

/// The longest token, in bytes; the gateway takes none that is longer.
pub(super) const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// What identifies the caller.
pub(super) enum Credential {
    /// Nothing: for what is answered without a token.
    Nobody,
    /// A token that was said, and where.
    Said { header: HeaderValue, place: String },
    /// The sign-in that is kept for a server.
    Kept { store: Store, server: String },
    /// What runs this workload vouches for it.
    Workload { source: Source, audience: String },
}

impl Credential {
    /// From `--token-file` or `--from`, else the variable, else the sign-in that is kept, else what this process evidently
    /// runs in.
    pub(super) fn find(remote: &Remote, output: Output) -> Result<Self, Failure> {
        let workload = |source| Self::Workload { source, audience: remote.audience.clone() };
        if let Some(source) = &remote.from {
            return Ok(workload(source.clone()));
        }
        if let Some(path) = &remote.token_file {
            let header = header(&read(path, output)?)?;
            return Ok(Self::Said { header, place: format!("--token-file {}", path.display()) });
        }
        let said = std::env::var(TOKEN_VARIABLE).map(Zeroizing::new).unwrap_or_default();
        if !said.trim().is_empty() {
            return Ok(Self::Said { header: header(&said)?, place: TOKEN_VARIABLE.to_owned() });
        }
        let (store, server) = (Store::new(), remote.server());
        if let Ok(store) = &store
            && store.kept(server)?.is_some()
        {
            return Ok(Self::Kept { store: store.clone(), server: server.to_owned() });
        }
        if let Some(source) = Source::detected() {
            return Ok(workload(source));
        }
        Err(Failure::new(
            Exit::SignInNeeded,
            format!("nobody is signed in to {server}"),
            "sign in with `keyward login`, or put a token into KEYWARD_TOKEN or a file for --token-file",
        ))
    }

    /// The header that says it; a sign-in that has ended is renewed first.
    pub(super) async fn header(&self, http: &FetchClient) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::Nobody => Ok(None),
            Self::Said { header, .. } => Ok(Some(header.clone())),
            Self::Kept { store, server } => login::current(store, http, server).await.map(Some),
            Self::Workload { source, audience } => source.header(http, audience).await.map(Some),
        }
    }

    /// Where it comes from, in words.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Said { place, .. } => place.clone(),
            Self::Kept { store, .. } => format!("keyward login ({})", store.file().display()),
            Self::Workload { source, .. } => format!("--from {}", source.written()),
        }
    }

    /// Whether it is a workload's.
    pub(super) const fn is_workload(&self) -> bool {
        matches!(self, Self::Workload { .. })
    }

    /// Variables of this process with which a child could become the caller itself.
    pub(super) fn variables(&self) -> Vec<String> {
        let mut names = vec![TOKEN_VARIABLE.to_owned()];
        if let Self::Workload { source, .. } = self {
            names.extend(source.variables());
        }
        names
    }

    /// What to do when the gateway does not take it.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Said { place, .. } => format!(
                "the token is from {place}: put a fresh one there, or take it away and `keyward login`"
            ),
            Self::Workload { source, .. } => format!(
                "the token is from {}: it must be an issuer of the gateway's, and its audience one that is accepted",
                source.written()
            ),
            Self::Nobody | Self::Kept { .. } => "sign in again with `keyward login`".to_owned(),
        }
    }
}

/// A token as a request carries it.
pub(super) fn header(token: &str) -> Result<HeaderValue, Failure> {
    let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
    let mut header = HeaderValue::from_str(&bearer).map_err(|_| {
        Failure::new(Exit::SignInNeeded, "the token holds characters that no token has", "get a new one")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(path: &PathBuf, output: Output) -> Result<Zeroizing<String>, Failure> {
    let bytes = bounded(path, TOKEN_BYTES_MAX)?;
    if std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0) {
        output.say(&format!("warning: everybody may read the token in {}\n", path.display()));
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    if text.trim().is_empty() {
        let message = format!("there is no token in {}", path.display());
        return Err(Failure::new(
            Exit::SignInNeeded,
            message,
            "put one there, or sign in with `keyward login`",
        ));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
