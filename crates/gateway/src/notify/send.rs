//! The ways to tell: one try each.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use keyward_core::NotificationId;
use keyward_secrets::{Lease, SecretError, SecretRef};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use zeroize::Zeroizing;

use super::Notice;
use crate::clock;
use crate::fetch::{FetchClient, FetchError, FetchLimits, FetchUrl, PlainHttp, Reach};
use crate::snapshot::Shared;

/// The longest time of one try.
const TRY_MAX: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What a webhook's secret begins with (Standard Webhooks).
const SECRET_PREFIX: &str = "whsec_";

/// Whom to tell.
pub struct Target {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The events that it wants; empty: all.
    pub events: Vec<String>,
    /// How it is told.
    pub channel: Channel,
    /// Allows addresses inside of a network.
    pub allow_private: bool,
}

/// How somebody is told.
pub enum Channel {
    /// A signed webhook (Standard Webhooks 1.0).
    Webhook {
        /// Where to.
        url: FetchUrl,
        /// The secret that signs: `whsec_` and base64, or any bytes.
        secret: SecretRef,
    },
    /// A Slack incoming webhook; its address is a secret.
    Slack(SecretRef),
    /// A Teams workflow webhook; its address is a secret.
    Teams(SecretRef),
    /// E-mail.
    Email(Smtp),
}

/// How e-mail is sent.
pub struct Smtp {
    /// The relay's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Who sends.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The name that signs in at the relay.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
}

/// How a connection to a mail relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte.
    Always,
    /// `STARTTLS`, which must be offered.
    Starttls,
    /// None.
    Never,
}

/// Why something was not told.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The configuration does not name the target any more.
    #[error("the configuration has no such target any more")]
    Gone,
    /// It cannot be read back.
    #[error("what was kept cannot be read")]
    Unreadable,
    /// A secret that it needs.
    #[error("its secret cannot be had")]
    Secret(#[from] SecretError),
    /// A secret that is not what it must be.
    #[error("its secret {0}")]
    Form(&'static str),
    /// It was not reached.
    #[error("it was not reached")]
    Fetch(#[from] FetchError),
    /// It did not take it.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// An address of an e-mail.
    #[error("an address of the e-mail cannot be used")]
    Address(#[source] lettre::address::AddressError),
    /// The e-mail cannot be put together.
    #[error("the e-mail cannot be put together")]
    Message(#[source] lettre::error::Error),
    /// The relay did not take it.
    #[error("the mail relay did not take it")]
    Smtp(#[source] lettre::transport::smtp::Error),
    /// Not done in time.
    #[error("took too long")]
    Deadline,
}

impl SendError {
    /// Whether the same may be taken later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Gone | Self::Unreadable | Self::Address(_) | Self::Message(_) => false,
            Self::Smtp(error) => !error.is_permanent(),
            // What is gone for good, as the standard says.
            Self::Status(status) => *status != StatusCode::GONE,
            _ => true,
        }
    }
}

/// Whether a text is an address that e-mail goes to, such as `Name <name@example.com>`.
pub fn is_mailbox(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

impl Target {
    /// Whether it is told of such events; tests are sent to whoever they are for. Who is told that somebody waits is told as
    /// well that others are asked now.
    pub fn wants(&self, event: &str) -> bool {
        let by_name = |event: &str| self.events.iter().any(|wanted| wanted == event);
        self.events.is_empty()
            || by_name(event)
            || (event == "approval.escalated" && by_name("approval.pending"))
    }

    /// The word for how it is told.
    pub const fn kind(&self) -> &'static str {
        match self.channel {
            Channel::Webhook { .. } => "webhook",
            Channel::Slack(_) => "slack",
            Channel::Teams(_) => "teams",
            Channel::Email(_) => "email",
        }
    }

    /// Tells it, in one try.
    pub async fn send(&self, id: NotificationId, notice: &Notice, shared: &Shared) -> Result<(), SendError> {
        let work = async {
            match &self.channel {
                Channel::Webhook { url, secret } => {
                    let lease = shared.secrets.lease(secret).await?;
                    let body = Bytes::from(notice.webhook().to_string());
                    let headers = signed(id, &body, &lease)?;
                    self.post(url, headers, body, &shared.fetch).await
                }
                Channel::Slack(address) => {
                    self.post_to_secret(address, notice.slack().to_string(), shared).await
                }
                Channel::Teams(address) => {
                    self.post_to_secret(address, notice.teams().to_string(), shared).await
                }
                Channel::Email(smtp) => self.mail(smtp, notice, shared).await,
            }
        };
        tokio::time::timeout(TRY_MAX, work).await.unwrap_or(Err(SendError::Deadline))
    }

    async fn post_to_secret(
        &self,
        address: &SecretRef,
        body: String,
        shared: &Shared,
    ) -> Result<(), SendError> {
        let lease = shared.secrets.lease(address).await?;
        let text =
            std::str::from_utf8(lease.secret.expose()).map_err(|_| SendError::Form("is no address"))?;
        let url = FetchUrl::parse(text.trim(), PlainHttp::LoopbackOnly)
            .map_err(|_| SendError::Form("is no https address"))?;
        self.post(&url, HeaderMap::new(), Bytes::from(body), &shared.fetch).await
    }

    async fn post(
        &self,
        url: &FetchUrl,
        mut headers: HeaderMap,
        body: Bytes,
        http: &FetchClient,
    ) -> Result<(), SendError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let limits = FetchLimits { body_bytes_max: ANSWER_BYTES_MAX, deadline: TRY_MAX };
        let answer = http.within(self.reach()).send(Method::POST, url, headers, body, limits).await?;
        if answer.status.is_success() { Ok(()) } else { Err(SendError::Status(answer.status)) }
    }

    const fn reach(&self) -> Reach {
        if self.allow_private { Reach::Anywhere } else { Reach::Outside }
    }

    async fn mail(&self, smtp: &Smtp, notice: &Notice, shared: &Shared) -> Result<(), SendError> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(SendError::Address);
        let mut message = Message::builder()
            .from(mailbox(&smtp.from)?)
            .subject(format!("Keyward: {}", notice.headline()))
            .header(ContentType::TEXT_PLAIN);
        for to in &smtp.to {
            message = message.to(mailbox(to)?);
        }
        let message = message.body(notice.text()).map_err(SendError::Message)?;
        self.reach().check(&smtp.host, smtp.port).await?;
        let tls = || TlsParameters::new(smtp.host.clone()).map_err(SendError::Smtp);
        let mut relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
            .port(smtp.port)
            .timeout(Some(TRY_MAX))
            .tls(match smtp.tls {
                SmtpTls::Always => Tls::Wrapper(tls()?),
                SmtpTls::Starttls => Tls::Required(tls()?),
                SmtpTls::Never => Tls::None,
            });
        if let (Some(user), Some(password)) = (&smtp.username, &smtp.password) {
            let lease = shared.secrets.lease(password).await?;
            let password = std::str::from_utf8(lease.secret.expose());
            let password = password.map_err(|_| SendError::Form("is no text"))?.to_owned();
            relay = relay.credentials(Credentials::new(user.clone(), password));
        }
        relay.build().send(message).await.map_err(SendError::Smtp)?;
        Ok(())
    }
}

/// The headers that prove who sent a webhook: identifier, time, and HMAC-SHA256 over both and the body (Standard Webhooks 1.0).
fn signed(id: NotificationId, body: &[u8], lease: &Lease) -> Result<HeaderMap, SendError> {
    let at = clock::now().micros() / 1_000_000;
    let secret = lease.secret.expose();
    let key = match std::str::from_utf8(secret).ok().and_then(|text| text.trim().strip_prefix(SECRET_PREFIX))
    {
        Some(encoded) => Zeroizing::new(
            BASE64_STANDARD.decode(encoded).map_err(|_| SendError::Form("is no base64 behind `whsec_`"))?,
        ),
        None => Zeroizing::new(secret.to_vec()),
    };
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let mut context = aws_lc_rs::hmac::Context::with_key(&key);
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(body);
    let signature = BASE64_STANDARD.encode(context.sign().as_ref());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ] {
        let value = HeaderValue::from_str(&value).map_err(|_| SendError::Form("makes no header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}
