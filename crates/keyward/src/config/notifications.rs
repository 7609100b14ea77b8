//! Whom the configuration tells when somebody waits for them: webhooks, Slack, Teams, e-mail.

use std::collections::HashMap;

use keyward_gateway::fetch::is_loopback;
use keyward_gateway::notify::{EVENTS, is_mailbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Check, decode};
use super::reference::Reference;
use super::suggest;
use super::tree::Node;
use super::url::is_host_name;

/// Most targets.
const TARGETS_MAX: usize = 50;

/// Somebody who is told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// What it is called in lists and tests.
    pub name: String,
    /// The events that it is told of; all when none is named: `approval.pending`, `approval.nudged`, `approval.escalated`
    /// (told to whoever wants `approval.pending`, too), `approval.decided`, `break_glass.opened`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// A webhook, signed as Standard Webhooks says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// The address of a Slack incoming webhook, which is a secret: `keyward://name`, `env://NAME` or `file:///path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Reference>,
    /// The address of a Teams workflow webhook, which is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<Reference>,
    /// E-mail over a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Allows addresses inside of a network, such as a relay or a chat of one's own.
    #[serde(default)]
    pub allow_private: bool,
}

/// Where a webhook goes, and what signs it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// The secret that signs, `whsec_…` or any text, by reference.
    pub secret: Reference,
}

/// How e-mail is sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The relay's host.
    pub host: String,
    /// Its port; 465 with `tls: always`, 587 with `starttls`, 25 with `never` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// Who sends, such as `Keyward <keyward@example.com>`.
    pub from: String,
    /// Who gets it; at least one.
    pub to: Vec<String>,
    /// The name that signs in at the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Reference>,
}

/// How a connection to a mail relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS from the first byte.
    #[default]
    Always,
    /// `STARTTLS`, which must be offered.
    Starttls,
    /// None: on loopback only, and without a password.
    Never,
}

impl Email {
    /// Its port.
    pub fn port(&self) -> u16 {
        let usual = match self.tls {
            MailTls::Always => 465,
            MailTls::Starttls => 587,
            MailTls::Never => 25,
        };
        self.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(usual)
    }
}

impl Check<'_, '_> {
    /// Holds the targets of notifications against what they must be.
    pub(super) fn notifications(&mut self, root: &Node) {
        let Some(node) = root.get("notifications") else { return };
        if node.items().len() > TARGETS_MAX {
            self.say("notifications", "more than 50 targets", "let one of them tell the others");
        }
        let mut names = HashMap::new();
        for (index, item) in node.items().iter().enumerate() {
            let path = format!("notifications[{index}]");
            self.unique(&mut names, item.get("name"), "notification", "name");
            let Some(target) = decode::<Notification>(Some(item)) else { continue };
            let ways = [
                target.webhook.is_some(),
                target.slack.is_some(),
                target.teams.is_some(),
                target.email.is_some(),
            ];
            if ways.iter().filter(|way| **way).count() != 1 {
                let help = "write exactly one of `webhook`, `slack`, `teams` and `email`";
                self.say(&path, "it does not say how to tell it, or in several ways", help);
            }
            for (number, event) in target.events.iter().enumerate() {
                if !EVENTS.contains(&event.as_str()) {
                    let help = suggest::nearest(event, &EVENTS).map_or_else(
                        || format!("there are: {}", EVENTS.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.say(
                        &format!("{path}.events[{number}]"),
                        &format!("there is no event `{event}`"),
                        &help,
                    );
                }
            }
            if let Some(webhook) = &target.webhook {
                self.plain_http(
                    &format!("{path}.webhook"),
                    &webhook.url,
                    false,
                    "what is told can be read on the way",
                );
            }
            if let Some(email) = &target.email {
                self.email(&format!("{path}.email"), email);
            }
        }
    }

    fn email(&mut self, path: &str, email: &Email) {
        if email.port.is_some_and(|port| u16::try_from(port).is_err()) {
            self.say(&format!("{path}.port"), "no port is that high", "a port is from 1 to 65535");
        }
        if email.to.is_empty() {
            self.say(&format!("{path}.to"), "nobody gets it", "name at least one address");
        }
        for (field, address) in
            std::iter::once(("from", &email.from)).chain(email.to.iter().map(|address| ("to", address)))
        {
            if !is_mailbox(address) {
                let help = "write it as `name@example.com` or `Name <name@example.com>`";
                self.say(&format!("{path}.{field}"), &format!("`{address}` is no e-mail address"), help);
            }
        }
        if !is_host_name(&email.host) && email.host.parse::<std::net::IpAddr>().is_err() {
            self.say(
                &format!("{path}.host"),
                &format!("`{}` is no host", email.host),
                "such as smtp.example.com",
            );
        }
        if email.tls == MailTls::Never && (!is_loopback(&email.host) || email.password.is_some()) {
            let help =
                "use `tls: always` or `starttls`; without TLS only a relay on loopback, without a password";
            self.say(
                &format!("{path}.tls"),
                "names and reasons, or the password, can be read on the way",
                help,
            );
        }
        if email.username.is_some() != email.password.is_some() {
            self.say(path, "`username` and `password` belong together", "write both or none");
        }
    }
}
