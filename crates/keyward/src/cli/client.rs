//! Asks a gateway's admin API.
//!
//! Promise: the token goes to the named server alone (redirects are not followed, plain HTTP only to loopback). An answer
//! is bounded. What went wrong ends in the exit codes of [`Exit`].

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use keyward_gateway::fetch::{
    FetchClient, FetchError, FetchLimits, FetchUrl, Fetched, Opened, PlainHttp, percent_encoded,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::credential::Credential;
use super::output::Output;
use super::view;
use super::workload::Source;
use crate::exit::{Exit, Failure, chain};

/// Where the token is when no file is named.
pub(super) const TOKEN_VARIABLE: &str = "KEYWARD_TOKEN";
/// What a gateway is called when nothing says otherwise.
const DEFAULT_AUDIENCE: &str = "keyward";
/// Where a gateway is when nothing names it.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8701";
/// The longest file of certificates, in bytes.
const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The longest answer, in bytes: twice the longest content of an exchange, as JSON escapes it.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest time to an answer; a long poll takes up to a minute.
const ANSWER_MAX: Duration = Duration::from_secs(100);

/// Which gateway, and who one is to it.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The gateway's admin address
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "KEYWARD_SERVER",
        default_value = DEFAULT_SERVER
    )]
    server: String,
    /// A file with the token; without it the variable KEYWARD_TOKEN, then the sign-in of `keyward login`
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// What vouches for this workload: kubernetes[:PATH], github-actions, gitlab[:VARIABLE] or file:PATH
    #[arg(long, global = true, value_name = "SOURCE", conflicts_with = "token_file")]
    pub(super) from: Option<Source>,
    /// The audience to ask a token of GitHub Actions for: one of the issuer's `audiences` in the gateway's configuration
    #[arg(long, global = true, value_name = "AUDIENCE", default_value = DEFAULT_AUDIENCE)]
    pub(super) audience: String,
    /// Certificate authorities (PEM) to trust beside the system's
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl Remote {
    /// The gateway's admin address, without a slash at the end.
    pub(super) fn server(&self) -> &str {
        self.server.trim_end_matches('/')
    }

    /// Whether a token is given in a variable or file.
    pub(super) fn says_a_token(&self) -> bool {
        self.token_file.is_some()
            || self.from.is_some()
            || std::env::var_os(TOKEN_VARIABLE).is_some_and(|token| !token.is_empty())
    }

    /// A client that trusts what the options say.
    pub(super) fn http(&self) -> Result<FetchClient, Failure> {
        let ca = match &self.ca_file {
            Some(path) => Some(bounded(path, CA_BYTES_MAX)?),
            None => None,
        };
        FetchClient::new(ca.as_deref().map(Vec::as_slice))
            .map_err(|error| Failure::caused(&error, "check --ca-file"))
    }

    /// The options that lead another command to the same gateway as the same caller; those that need not be said are left
    /// out.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.server != DEFAULT_SERVER {
            options.extend(["--server".to_owned(), self.server.clone()]);
        }
        if let Some(from) = &self.from {
            options.extend(["--from".to_owned(), from.written()]);
        }
        if self.audience != DEFAULT_AUDIENCE {
            options.extend(["--audience".to_owned(), self.audience.clone()]);
        }
        for (name, path) in [("--token-file", &self.token_file), ("--ca-file", &self.ca_file)] {
            if let Some(path) = path {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                options.extend([name.to_owned(), path.display().to_string()]);
            }
        }
        options
    }
}

/// A gateway to ask.
pub(super) struct Client {
    http: FetchClient,
    server: String,
    credential: Credential,
}

/// Query parameters; those without a value are left out.
pub(super) type Query<'a> = [(&'a str, Option<String>)];

impl Client {
    /// Reads token and certificates; asks nothing yet.
    pub(super) fn new(remote: &Remote, output: Output) -> Result<Self, Failure> {
        let credential = Credential::find(remote, output)?;
        Ok(Self { http: remote.http()?, server: remote.server().to_owned(), credential })
    }

    /// For what is answered without a token.
    pub(super) fn anonymous(http: FetchClient, server: &str) -> Self {
        Self { http, server: server.to_owned(), credential: Credential::Nobody }
    }

    /// With a token that is at hand.
    pub(super) fn with(http: FetchClient, server: &str, header: HeaderValue) -> Self {
        let credential = Credential::Said { header, place: String::new() };
        Self { http, server: server.to_owned(), credential }
    }

    /// Who one is to the gateway.
    pub(super) const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// GETs something of a known shape.
    pub(super) async fn understood<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, Failure> {
        serde_json::from_value(self.get(segments, &[]).await?).map_err(|_| {
            Failure::error(
                format!("the gateway at {} answers with something else than was asked for", self.server),
                "is it as new as this program?",
            )
        })
    }

    /// GETs what stands under `/api/v1/` and these segments.
    pub(super) async fn get(&self, segments: &[&str], query: &Query<'_>) -> Result<Value, Failure> {
        self.ask(Method::GET, segments, query, None).await
    }

    /// POSTs a change.
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, segments, &[], Some(body)).await
    }

    /// Revokes a client token; one that is over already is no failure.
    pub(super) async fn revoke_token(&self, id: &str) -> Result<(), Failure> {
        match self.post(&["tokens", id, "revoke"], &serde_json::json!({})).await {
            Err(failure) if failure.exit != Exit::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    /// POSTs what is answered with a stream of events.
    pub(super) async fn stream(&self, segments: &[&str]) -> Result<Opened, Failure> {
        let (url, headers) = self.addressed(segments, &[]).await?;
        let opened = self.http.open(Method::POST, &url, headers, Bytes::new(), ANSWER_MAX).await;
        let opened = opened.map_err(|error| self.not_asked(&error))?;
        let events = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
        if opened.status == StatusCode::OK && opened.headers.get(CONTENT_TYPE).is_some_and(events) {
            return Ok(opened);
        }
        let fetched = tokio::time::timeout(ANSWER_MAX, opened.whole(ANSWER_BYTES_MAX)).await;
        let fetched = fetched.unwrap_or(Err(FetchError::Deadline)).map_err(|error| self.not_asked(&error))?;
        match answer(&fetched, &self.server, || self.credential.remedy()) {
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::error("the gateway answered with something else than events", "")),
        }
    }

    /// Where to, and as whom.
    async fn addressed(
        &self,
        segments: &[&str],
        query: &Query<'_>,
    ) -> Result<(FetchUrl, HeaderMap), Failure> {
        let address = address(&self.server, segments, query);
        let url =
            FetchUrl::parse(&address, PlainHttp::LoopbackOnly).map_err(|error| self.not_asked(&error))?;
        let mut headers = HeaderMap::new();
        if let Some(header) = self.credential.header(&self.http).await? {
            headers.insert(AUTHORIZATION, header);
        }
        Ok((url, headers))
    }

    async fn ask(
        &self,
        method: Method,
        segments: &[&str],
        query: &Query<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (url, mut headers) = self.addressed(segments, query).await?;
        let body = body.map(Value::to_string);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let limits = FetchLimits { body_bytes_max: ANSWER_BYTES_MAX, deadline: ANSWER_MAX };
        let sent = self.http.send(method, &url, headers, Bytes::from(body.unwrap_or_default()), limits);
        let fetched = sent.await.map_err(|error| self.not_asked(&error))?;
        answer(&fetched, &self.server, || self.credential.remedy())
    }

    /// How a command ends that could not ask, or whose answer broke off.
    pub(super) fn not_asked(&self, error: &FetchError) -> Failure {
        let server = &self.server;
        match error {
            FetchError::Url(_) => {
                Failure::usage(format!("cannot ask {server}: {error}"), "name the gateway with --server URL")
            }
            FetchError::Unreachable(_) | FetchError::Deadline => Failure::new(
                Exit::ServerUnreachable,
                format!("the gateway at {server} does not answer: {}", chain(error)),
                "is it running? name another with --server URL or KEYWARD_SERVER",
            ),
            other => Failure::error(format!("the answer of {server} cannot be used: {}", chain(other)), ""),
        }
    }
}

/// What the gateway answered, or how the command ends because of it.
fn answer(fetched: &Fetched, server: &str, remedy: impl FnOnce() -> String) -> Result<Value, Failure> {
    // Every reply of a data listener carries this; its problems are not about what was asked here.
    let governed = fetched.headers.contains_key("keyward-decision");
    let value: Option<Value> = serde_json::from_slice(&fetched.body).ok().filter(|_| !governed);
    match value {
        Some(value) if fetched.status == StatusCode::OK => Ok(value),
        Some(problem) if view::part(&problem, "code").is_string() => {
            let detail = view::part(&problem, "detail")
                .as_str()
                .unwrap_or("the gateway refused")
                .trim_end_matches('.');
            let (exit, help) = match fetched.status {
                StatusCode::UNAUTHORIZED => (Exit::SignInNeeded, remedy()),
                StatusCode::FORBIDDEN => (Exit::PermissionDenied, String::new()),
                StatusCode::NOT_FOUND => (Exit::NotFound, String::new()),
                StatusCode::BAD_REQUEST => (Exit::Usage, String::new()),
                _ => (Exit::Error, String::new()),
            };
            Err(Failure::new(exit, detail, help))
        }
        _ => Err(Failure::error(
            format!(
                "what answers at {server} (status {}) is not the admin API of a gateway",
                fetched.status.as_u16()
            ),
            "--server takes the admin address, not the one for calls",
        )),
    }
}

fn address(server: &str, segments: &[&str], query: &Query<'_>) -> String {
    let mut address = format!("{server}/api/v1");
    for segment in segments {
        address.push('/');
        address.push_str(&percent_encoded(segment));
    }
    let mut separator = '?';
    for (name, value) in query {
        if let Some(value) = value {
            address.push(separator);
            address.push_str(name);
            address.push('=');
            address.push_str(&percent_encoded(value));
            separator = '&';
        }
    }
    address
}

/// A file within its bound.
pub(super) fn bounded(path: &PathBuf, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(format!("{} cannot be read: {}", path.display(), error.kind()), "")
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::error(format!("{} is longer than {bytes_max} bytes", path.display()), ""));
    }
    Ok(bytes)
}

/// A moment for the API: RFC 3339 as it is, or a span of time that is counted back from now (`90s`, `30m`, `2h`, `7d`).
pub(super) fn moment(text: Option<&str>, now: jiff::Timestamp) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    if text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(Some(text.to_owned()));
    }
    let span = duration(text).and_then(|span| now.checked_sub(span).ok());
    span.map(|at| Some(at.to_string())).ok_or_else(|| {
        Failure::usage(
            "this is not a time",
            "write it as 2026-11-23T18:00:00Z, or as a span such as 30m, 2h or 7d",
        )
    })
}

/// A span of time as an option says it.
pub(super) fn span(text: &str) -> Result<Duration, Failure> {
    duration(text).ok_or_else(|| Failure::usage("this is not a span of time", "write it as 90s, 30m or 2h"))
}

/// A span of time: a number and `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (unit_at, unit) = text.char_indices().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text.get(..unit_at)?.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(status: u16, body: &str) -> Fetched {
        let status = StatusCode::from_u16(status).unwrap();
        Fetched { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn an_answer_ends_in_its_exit_code() {
        let problem = r#"{"code":"x","detail":"No."}"#;
        for (status, exit) in [
            (400, Exit::Usage),
            (401, Exit::SignInNeeded),
            (403, Exit::PermissionDenied),
            (404, Exit::NotFound),
            (409, Exit::Error),
            (503, Exit::Error),
        ] {
            let failure = answer(&fetched(status, problem), "s", String::new).unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (exit, "No"), "{status}");
        }
        assert!(answer(&fetched(200, "{}"), "s", String::new).is_ok());
        // Something else listens there, a data listener for one.
        assert_eq!(answer(&fetched(404, "nothing"), "s", String::new).unwrap_err().exit, Exit::Error);
        assert_eq!(answer(&fetched(302, "{}"), "s", String::new).unwrap_err().exit, Exit::Error);
        let mut governed = fetched(404, problem);
        governed.headers.insert("keyward-decision", HeaderValue::from_static("refuse"));
        assert_eq!(answer(&governed, "s", String::new).unwrap_err().exit, Exit::Error);
    }

    #[test]
    fn what_is_typed_stays_one_segment() {
        let address =
            address("https://k", &["approvals", "../x?y#z"], &[("a", Some("1&b=2".into())), ("c", None)]);
        assert_eq!(address, "https://k/api/v1/approvals/..%2Fx%3Fy%23z?a=1%26b%3D2");
    }

    #[test]
    fn moments_are_times_or_spans() {
        let now: jiff::Timestamp = "2026-11-23T18:00:00Z".parse().unwrap();
        let at = |text| moment(Some(text), now).ok().flatten();
        assert_eq!(at("2h").as_deref(), Some("2026-11-23T16:00:00Z"));
        assert_eq!(at("2026-01-01T00:00:00Z").as_deref(), Some("2026-01-01T00:00:00Z"));
        for bad in
            ["", "h", "-1h", "2w", "1.5h", "yesterday", "99999999999999999999d", "9999999999999d", "2ä"]
        {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
