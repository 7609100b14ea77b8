//! Remembers decisions. A decision is a pure function of the facts that the rules read, so the exact bytes of those
//! facts are the key: two operations that differ in none of them get the same answer without evaluating a rule.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::eval::{entry, flag, found, number_field, text_field};
use super::expr::Read;
use super::schema::TextsField;
use super::{Facts, HeaderText};
use crate::Decision;

/// Most decisions of one generation; two are kept.
pub const DECISIONS_MAX: usize = 4096;
/// Longest key that is remembered, in bytes; a decision over longer facts is evaluated every time.
pub const KEY_BYTES_MAX: usize = 2048;

type Generation = HashMap<Box<[u8]>, Arc<Decision>>;

/// Two generations: when the young one is full it becomes the old one, and what is still asked for moves back.
#[derive(Default)]
pub(super) struct Cache {
    generations: RwLock<(Generation, Generation)>,
}

thread_local! {
    static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Cache {
    /// The remembered decision for these facts, or the one that `decide` makes.
    pub(super) fn get_or(
        &self,
        reads: &[Read],
        facts: &Facts<'_>,
        decide: impl FnOnce() -> Decision,
    ) -> Arc<Decision> {
        KEY.with_borrow_mut(|key| {
            key.clear();
            write_key(reads, facts, key);
            if key.len() > KEY_BYTES_MAX {
                key.clear();
                key.shrink_to(KEY_BYTES_MAX);
                return Arc::new(decide());
            }
            if let Some(found) = self.find(key) {
                return found;
            }
            let made = Arc::new(decide());
            self.remember(key, &made);
            made
        })
    }

    fn find(&self, key: &[u8]) -> Option<Arc<Decision>> {
        let old = {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = generations.0.get(key) {
                return Some(Arc::clone(found));
            }
            Arc::clone(generations.1.get(key)?)
        };
        self.remember(key, &old);
        Some(old)
    }

    fn remember(&self, key: &[u8], decision: &Arc<Decision>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.0.len() >= DECISIONS_MAX {
            generations.1 = std::mem::take(&mut generations.0);
        }
        generations.0.insert(Box::from(key), Arc::clone(decision));
    }

    /// How many decisions are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.0.len() + generations.1.len()
    }
}

/// Writes every fact with its length before it, so that no two different sets of facts write the same bytes.
fn write_key(reads: &[Read], facts: &Facts<'_>, key: &mut Vec<u8>) {
    for read in reads {
        match read {
            Read::Flag(field) => key.push(u8::from(flag(*field, facts))),
            Read::Number(field) => match number_field(*field, facts) {
                Ok(value) => {
                    key.push(1);
                    key.extend_from_slice(&value.to_le_bytes());
                }
                Err(_) => key.push(0),
            },
            Read::Text(field) => match text_field(*field, facts) {
                Ok(text) => write_text(&text, key),
                Err(_) => write_mark(2, key),
            },
            Read::Entry(table, name) => match entry(*table, name, facts) {
                HeaderText::Absent => write_mark(1, key),
                HeaderText::Text(text) => write_text(&text, key),
                HeaderText::Unreadable => write_mark(2, key),
            },
            Read::Texts(TextsField::Groups) => {
                write_count(facts.principal.groups.len(), key);
                facts.principal.groups.iter().for_each(|group| write_text(group, key));
            }
            Read::Texts(TextsField::Owners) => {
                write_count(facts.connection.owners.len(), key);
                facts.connection.owners.iter().for_each(|owner| write_text(owner, key));
            }
            Read::Texts(TextsField::Tools) => {
                write_count(facts.operation.resource.tools.len(), key);
                facts.operation.resource.tools.iter().for_each(|tool| write_text(tool, key));
            }
            Read::Texts(TextsField::Fields) => {
                write_count(facts.operation.fields.len(), key);
                facts.operation.fields.iter().for_each(|field| write_text(field, key));
            }
            Read::Texts(field @ (TextsField::FindingDetectors | TextsField::FindingGroups)) => {
                match found(*field, facts) {
                    Some(names) => {
                        write_count(names.len(), key);
                        for name in names {
                            write_text(name, key);
                        }
                    }
                    None => write_mark(2, key),
                }
            }
            Read::Texts(TextsField::RiskSignals) => match facts.request.risk {
                Some(risk) => {
                    write_count(risk.signals().len(), key);
                    risk.signals().iter().for_each(|signal| write_text(signal.as_str(), key));
                }
                None => write_mark(2, key),
            },
            Read::Texts(TextsField::ActingFor) => {
                write_count(facts.principal.acting_for.len(), key);
                for actor in &facts.principal.acting_for {
                    write_text(&actor.issuer, key);
                    write_text(&actor.subject, key);
                }
            }
        }
    }
}

fn write_count(count: usize, key: &mut Vec<u8>) {
    key.extend_from_slice(&(count as u64).to_le_bytes());
}

fn write_text(text: &str, key: &mut Vec<u8>) {
    write_count(text.len(), key);
    // A text longer than a key may be is not worth copying: the length alone already makes the key too long to keep.
    if text.len() <= KEY_BYTES_MAX {
        key.extend_from_slice(text.as_bytes());
    } else {
        key.resize(KEY_BYTES_MAX + 1, 0);
    }
}

/// Something that is no text: a length that no text has.
fn write_mark(mark: u64, key: &mut Vec<u8>) {
    key.extend_from_slice(&(u64::MAX - mark).to_le_bytes());
}
