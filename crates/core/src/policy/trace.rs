//! Why a decision fell as it did: every rule, whether it applied, and the values that its condition read.

use std::sync::Arc;

use serde_json::Value;

use super::document::Effect;
use super::eval::{self, Unreadable};
use super::expr::Read;
use super::schema::{self, Table, TextsField};
use super::{Facts, HeaderText, PolicySet, Rule};
use crate::Decision;

/// A decision and how every rule fared.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What is decided.
    pub decision: Decision,
    /// Every rule, sorted by id.
    pub rules: Vec<RuleTrace>,
}

/// How one rule fared.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTrace {
    /// Its id.
    pub rule: Arc<str>,
    /// `allow`, `block`, `approve`, `mask`, `limit` or `consult`.
    pub effect: &'static str,
    /// It is in `mode: observe` and decides nothing.
    pub observe: bool,
    /// It applies.
    pub matched: bool,
    /// Its condition could not be evaluated, and counted as a match where that is the safer side.
    pub failed: bool,
    /// Its condition, as it is written.
    pub when: Arc<str>,
    /// Every field that the condition reads, in its order, and the owners of the connection where the rule asks them.
    pub values: Vec<Seen>,
}

/// What a condition saw of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The field as conditions name it.
    pub field: String,
    /// Its value; none where it could not be read.
    pub value: Option<Value>,
}

impl PolicySet {
    /// Decides, and says how every rule fared. Remembers nothing and takes its time: for people who ask why.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let rules = self.rules.iter().map(|rule| trace(rule, facts)).collect();
        Explanation { decision: self.decide_anew(facts), rules }
    }
}

fn trace(rule: &Rule, facts: &Facts<'_>) -> RuleTrace {
    let outcome = eval::holds(&rule.condition, facts);
    let (effect, safe) = match rule.effect {
        Effect::Allow => ("allow", false),
        Effect::Block => ("block", true),
        Effect::Approve(_) => ("approve", true),
        Effect::Mask(_) => ("mask", true),
        Effect::Limit(_) => ("limit", true),
        Effect::Consult(_) => ("consult", true),
    };
    RuleTrace {
        rule: Arc::clone(&rule.id),
        effect,
        observe: rule.observe,
        matched: outcome.unwrap_or(safe),
        failed: outcome.is_err(),
        when: Arc::clone(&rule.when),
        values: rule.reads.iter().map(|read| seen(read, facts)).collect(),
    }
}

fn seen(read: &Read, facts: &Facts<'_>) -> Seen {
    let field = schema::name(read);
    let value = match read {
        Read::Flag(flag) => Some(Value::from(eval::flag(*flag, facts))),
        Read::Number(number) => eval::number_field(*number, facts).ok().map(Value::from),
        Read::Text(text) => eval::text_field(*text, facts).ok().map(|text| Value::from(&*text)),
        Read::Texts(texts) => list(*texts, facts).ok(),
        Read::Entry(table, name) => match eval::entry(*table, name, facts) {
            HeaderText::Absent => Some(Value::Null),
            HeaderText::Text(text) => Some(Value::from(&*text)),
            HeaderText::Unreadable => None,
        },
    };
    let field = match read {
        Read::Entry(Table::Tags | Table::Headers, name) => format!("{field}[\"{name}\"]"),
        _ => field.to_owned(),
    };
    Seen { field, value }
}

fn list(of: TextsField, facts: &Facts<'_>) -> Result<Value, Unreadable> {
    Ok(match of {
        TextsField::Groups => facts.principal.groups.iter().map(|group| Value::from(&**group)).collect(),
        TextsField::Owners => facts.connection.owners.iter().map(|owner| Value::from(&**owner)).collect(),
        TextsField::Tools => facts.operation.resource.tools.iter().map(|tool| Value::from(&**tool)).collect(),
        TextsField::Fields => facts.operation.fields.iter().map(|field| Value::from(&**field)).collect(),
        TextsField::ActingFor => {
            facts.principal.acting_for.iter().map(|actor| Value::from(actor.to_string())).collect()
        }
        TextsField::FindingDetectors | TextsField::FindingGroups => {
            let names = eval::found(of, facts).ok_or(Unreadable)?;
            names.iter().map(|name| Value::from(&**name)).collect()
        }
        TextsField::RiskSignals => {
            let risk = facts.request.risk.ok_or(Unreadable)?;
            risk.signals().iter().map(|signal| Value::from(signal.as_str())).collect()
        }
    })
}
