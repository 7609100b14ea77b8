//! What is told, and how it reads in each kind of message.
//!
//! Promise: a notice says who asks for what, how risky it is, and where to look: never a body, never a secret, never the
//! decision itself. Words of callers are cut, made one line and rendered inert: no mention, no markup, no link of theirs, no
//! control character (catalogue 118).

use keyward_core::{ApprovalId, GrantId, Risk, Timestamp};
use keyward_store::{Approval, ApprovalState, Grant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest word of a caller, in characters.
const WORDS_MAX: usize = 200;

/// Something that people outside are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `approval.pending`, `approval.nudged`, `approval.escalated`, `approval.decided`, `break_glass.opened` or `test`.
    pub event: String,
    /// When it happened.
    pub at: Timestamp,
    /// Where to look at it.
    pub url: String,
    /// What it is about: an approval or a window; empty for a test.
    pub subject: String,
    /// Who asks.
    pub requester: String,
    /// Where to.
    pub connection: String,
    /// The operation's class.
    pub operation: String,
    /// The model, where one is named.
    pub model: String,
    /// The rule that asks for it.
    pub rule: String,
    /// Why; for break-glass in the requester's words.
    pub reason: String,
    /// How risky, from 0 to 100.
    pub risk: u8,
    /// Why that risky.
    pub signals: Vec<String>,
    /// How it was decided; empty while it is not.
    pub state: String,
    /// Who may decide as well since it waited too long: `group:NAME` or `user:ISSUER#SUBJECT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalated_to: Vec<String>,
}

impl Notice {
    /// Of an approval, as it stands.
    pub fn of_approval(event: &str, approval: &Approval, public_url: &str, at: Timestamp) -> Self {
        let who = &approval.principal;
        let decided = approval.state != ApprovalState::Pending;
        Self {
            event: event.to_owned(),
            at,
            url: link(public_url, approval.id),
            subject: approval.id.to_string(),
            requester: who.name.as_deref().map_or_else(|| who.subject.to_string(), str::to_owned),
            connection: approval.connection.clone(),
            operation: approval.operation.class.to_string(),
            model: approval.operation.resource.model.clone(),
            rule: approval.rule.clone(),
            reason: approval.reason.clone(),
            risk: approval.risk.score(),
            signals: signals(&approval.risk),
            state: if decided { approval.state.as_str().to_owned() } else { String::new() },
            escalated_to: escalated_to(approval, at),
        }
    }

    /// Of a window that was opened without an approval.
    pub fn of_break_glass(grant: &Grant, public_url: &str) -> Self {
        let who = &grant.principal;
        Self {
            event: "break_glass.opened".to_owned(),
            at: grant.created_at,
            url: window_link(public_url, grant.id),
            subject: grant.id.to_string(),
            requester: who.name.as_deref().map_or_else(|| who.subject.to_string(), str::to_owned),
            connection: grant.connection.to_string(),
            operation: "every operation".to_owned(),
            model: String::new(),
            rule: String::new(),
            reason: grant.reason.clone(),
            risk: 100,
            signals: vec!["break_glass".to_owned()],
            state: "open".to_owned(),
            escalated_to: Vec::new(),
        }
    }

    /// That a target can be reached.
    pub fn test(public_url: &str, at: Timestamp) -> Self {
        Self {
            event: "test".to_owned(),
            at,
            url: public_url.to_owned(),
            subject: String::new(),
            requester: String::new(),
            connection: String::new(),
            operation: String::new(),
            model: String::new(),
            rule: String::new(),
            reason: "This is a test; nobody waits for anything.".to_owned(),
            risk: 0,
            signals: Vec::new(),
            state: String::new(),
            escalated_to: Vec::new(),
        }
    }

    /// One line that says what happened.
    pub fn headline(&self) -> String {
        let (who, what, place) = (inert(&self.requester), inert(&self.operation), inert(&self.connection));
        match &*self.event {
            "approval.pending" => format!("{who} asks for {what} on {place}"),
            "approval.nudged" => format!("{who} still waits for {what} on {place}"),
            "approval.escalated" => {
                format!("Not decided yet, and others may decide now: {who} waits for {what} on {place}")
            }
            "approval.decided" => format!("{what} of {who} on {place}: {}", inert(&self.state)),
            "break_glass.opened" => format!("BREAK-GLASS: {who} opened {place} without an approval"),
            _ => "A test of Keyward's notifications".to_owned(),
        }
    }

    /// Names and values below the headline.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let risk = if self.signals.is_empty() {
            String::new()
        } else {
            format!("{} ({})", self.risk, self.signals.join(", "))
        };
        let facts = [
            ("Model", inert(&self.model)),
            ("Reason", inert(&self.reason)),
            ("Rule", inert(&self.rule)),
            ("Escalated to", inert(&self.escalated_to.join(", "))),
            ("Risk", risk),
        ];
        facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The body of a webhook.
    pub fn webhook(&self) -> Value {
        let escalated_to: Vec<String> = self.escalated_to.iter().map(|who| inert(who)).collect();
        json!({"type": self.event, "timestamp": self.at.to_string(), "data": {
            "id": self.subject, "url": self.url, "requester": inert(&self.requester),
            "connection": inert(&self.connection), "operation": inert(&self.operation), "model": inert(&self.model),
            "rule": inert(&self.rule), "reason": inert(&self.reason), "risk": self.risk, "signals": self.signals,
            "state": self.state, "escalated_to": escalated_to}})
    }

    /// The body of a Slack incoming webhook: plain text in blocks, so that nothing in it is read as a mention or a link.
    pub fn slack(&self) -> Value {
        let plain = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
        let mut blocks = vec![json!({"type": "section", "text": plain(self.headline())})];
        let fields: Vec<Value> =
            self.facts().into_iter().map(|(name, value)| plain(format!("{name}: {value}"))).collect();
        if !fields.is_empty() {
            blocks.push(json!({"type": "section", "fields": fields}));
        }
        let button = json!({"type": "button", "text": plain("Look at it".to_owned()), "url": self.url});
        blocks.push(json!({"type": "actions", "elements": [button]}));
        // `text` is what a notification shows; there `&`, `<` and `>` are Slack's own.
        let text = self.headline().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({"text": text, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
    }

    /// The body of a Teams workflow webhook: an adaptive card.
    pub fn teams(&self) -> Value {
        let facts: Vec<Value> = self
            .facts()
            .into_iter()
            .map(|(name, value)| json!({"title": name, "value": unmarked(&value)}))
            .collect();
        let card = json!({"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
            "version": "1.4", "body": [
                {"type": "TextBlock", "text": unmarked(&self.headline()), "weight": "Bolder", "wrap": true},
                {"type": "FactSet", "facts": facts}],
            "actions": [{"type": "Action.OpenUrl", "title": "Look at it", "url": self.url}]});
        json!({"type": "message", "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})
    }

    /// The text of an e-mail.
    pub fn text(&self) -> String {
        let facts: Vec<String> =
            self.facts().into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let note = "Decide on that page; nobody can decide by answering this message.";
        format!("{}\n\n{}\n{}\n\n{note}\n", self.headline(), facts.concat(), self.url)
    }
}

fn link(public_url: &str, id: ApprovalId) -> String {
    format!("{public_url}/approvals/{id}")
}

fn window_link(public_url: &str, id: GrantId) -> String {
    format!("{public_url}/access?grant={id}")
}

/// Whom it is escalated to by now.
fn escalated_to(approval: &Approval, at: Timestamp) -> Vec<String> {
    let came = approval.escalations(at).into_iter().filter(|it| it.came);
    came.flat_map(|it| it.to).collect()
}

fn signals(risk: &Risk) -> Vec<String> {
    risk.signals().iter().map(|signal| signal.as_str().to_owned()).collect()
}

/// Words of a caller as one short line: what is invisible or turns text around becomes a mark, an address loses its scheme and
/// a mention its sign.
fn inert(words: &str) -> String {
    let seen = |c: char| match c {
        c if c.is_whitespace() => ' ',
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{61c}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        '@' => '\u{ff20}', // a full-width sign: no service reads a mention in it
        c => c,
    };
    let mut line: String = words.chars().take(WORDS_MAX).map(seen).collect();
    if words.chars().nth(WORDS_MAX).is_some() {
        line.push('…');
    }
    line.replace("://", ":\u{2044}\u{2044}").replace("www.", "www\u{2024}").trim().to_owned()
}

/// Without what Markdown reads.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]()<>#+-.!|~&".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Notice {
        let words = "<!channel> @everyone <https://evil.example|click> [x](https://evil.example)\r\nBcc: all\u{1b}[31m\u{202e}";
        Notice {
            requester: format!("{words}{}", "a".repeat(100_000)),
            reason: words.to_owned(),
            model: words.to_owned(),
            event: "approval.pending".to_owned(),
            url: "https://gate.example/approvals/apr_1".to_owned(),
            connection: "models".to_owned(),
            operation: "model.export".to_owned(),
            risk: 40,
            signals: vec!["destructive_verb".to_owned()],
            ..Notice::test("https://gate.example", Timestamp::from_micros(0))
        }
    }

    #[test]
    fn catalogue_118_words_of_callers_are_inert_in_every_kind_of_message() {
        let notice = hostile();
        let everything = [
            notice.webhook().to_string(),
            notice.slack().to_string(),
            notice.teams().to_string(),
            notice.text(),
            notice.headline(),
        ];
        for text in everything {
            for sign in ["@everyone", "https://evil", "\u{1b}", "\\u001b", "\u{202e}", "\\r", "Bcc: all\r"] {
                assert!(!text.contains(sign), "{sign:?} in {text}");
            }
            assert!(text.len() < 8_000, "{}", text.len());
        }
        assert!(!notice.headline().contains('\n'));
        let slack = notice.slack();
        assert!(!slack["text"].as_str().unwrap().contains("<!channel>"), "{slack}");
        let types = slack["blocks"].to_string();
        assert!(!types.contains("mrkdwn"), "{types}");
        let teams = notice.teams().to_string();
        assert!(!teams.contains("[x]("), "{teams}");
    }

    #[test]
    fn a_message_says_who_asks_for_what_and_where_to_look() {
        let text =
            Notice { requester: "Alice".to_owned(), reason: "Weights leave".to_owned(), ..hostile() }.text();
        for part in [
            "Alice asks for model.export on models",
            "Reason: Weights leave",
            "Risk: 40 (destructive_verb)",
            "https://gate.example/approvals/apr_1",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
