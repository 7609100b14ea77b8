//! From sources to a compiled set: reads, holds the documents against each other, compiles the conditions.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::{Checked, Problem};
use super::condition::compile_all;
use super::document::{self, Document, Effect, RULES_MAX, RuleText};
use super::expr::{Read, Test};
use super::index::Index;
use super::schema::TextsField;
use super::yaml::Report;
use super::{Cache, PolicyError, PolicySet, PolicySource, Rule};

/// Compiles the sources, or reports every mistake in them.
pub(super) fn load(sources: &[PolicySource], detectors: &[&str]) -> Result<PolicySet, Vec<PolicyError>> {
    if sources.is_empty() {
        let mut report = Report { file: "policy", errors: Vec::new() };
        report.line(1, 1, "there is no policy at all, so everything would be blocked", None);
        return Err(report.errors);
    }
    let mut reports: Vec<Report<'_>> =
        sources.iter().map(|source| Report { file: &source.name, errors: Vec::new() }).collect();
    let documents: Vec<Document> = reports
        .iter_mut()
        .zip(sources)
        .map(|(report, source)| document::read(report, &source.text, detectors))
        .collect();
    across(&mut reports, &documents);

    let conditions: Vec<&str> =
        documents.iter().flat_map(|document| &document.rules).map(|rule| rule.when.as_str()).collect();
    if conditions.len() > RULES_MAX {
        return Err(reports.into_iter().flat_map(|report| report.errors).collect());
    }
    let mut compiled = compile_all(&conditions).into_iter();
    let (mut rules, mut reads, mut cases) = (Vec::new(), Vec::new(), Vec::new());
    for ((document, source), report) in documents.into_iter().zip(sources).zip(&mut reports) {
        let file: Arc<str> = Arc::from(source.name.as_str());
        for text in document.rules {
            match compiled.next() {
                Some(Ok(checked)) if checked.test == Test::Constant(false) => {
                    report.at(text.when_at, "the condition is always false, so the rule does nothing", None);
                }
                Some(Ok(checked)) => {
                    let rule = rule(text, &file, checked);
                    add_reads(&mut reads, &rule.reads);
                    rules.push(rule);
                }
                Some(Err(problems)) => {
                    for problem in problems {
                        let (line, column) = place(&source.text, &text, &problem);
                        report.line(line, column, problem.message, problem.help);
                    }
                }
                None => report.at(text.when_at, "the condition was not compiled", None),
            }
        }
        cases.extend(document.cases.into_iter().map(|case| (Arc::clone(&file), case)));
    }
    let errors: Vec<PolicyError> = reports
        .into_iter()
        .flat_map(|mut report| {
            report.errors.sort_by_key(|error| (error.line, error.column));
            report.errors
        })
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    let index = Index::of(&rules);
    Ok(PolicySet { version: version(sources), rules, index, reads, cases, cache: Cache::default() })
}

/// What only shows when all documents are known: an empty set, a rule's name used twice, a test of no rule.
fn across(reports: &mut [Report<'_>], documents: &[Document]) {
    let broken = reports.iter().any(|report| !report.errors.is_empty());
    let count: usize = documents.iter().map(|document| document.rules.len()).sum();
    let Some(first) = reports.first_mut() else { return };
    if count == 0 && !broken {
        first.line(1, 1, "the policy has no rule, so it would block everything", None);
    }
    if count > RULES_MAX {
        first.line(1, 1, format!("the policy has {count} rules, and at most {RULES_MAX} are read"), None);
    }
    let mut seen: HashMap<&str, (String, u64)> = HashMap::new();
    for (report, document) in reports.iter_mut().zip(documents) {
        for rule in &document.rules {
            let here = (report.file.to_owned(), rule.at.line());
            if let Some((file, line)) = seen.get(&*rule.id) {
                let help = format!("the other one stands in {file}, line {line}");
                report.at(rule.at, format!("there are two rules `{}`", rule.id), Some(help));
            } else {
                seen.insert(&rule.id, here);
            }
        }
    }
    if !broken {
        let mut ids: Vec<&str> = seen.keys().copied().collect();
        ids.sort_unstable();
        for (report, document) in reports.iter_mut().zip(documents) {
            document.cases.iter().for_each(|case| case.check(report, &ids));
        }
    }
}

fn add_reads(reads: &mut Vec<Read>, more: &[Read]) {
    for read in more {
        if !reads.contains(read) {
            reads.push(read.clone());
        }
    }
}

fn rule(text: RuleText, file: &Arc<str>, condition: Checked) -> Rule {
    let RuleText { id, at, effect, observe, reason, when, .. } = text;
    let Checked { test, mut reads } = condition;
    // Who is asked is a part of the decision, so whose connection it is is one of its facts.
    if matches!(&effect, Effect::Approve(asked) if asked.asks_owner()) {
        add_reads(&mut reads, &[Read::Texts(TextsField::Owners)]);
    }
    Rule {
        id,
        file: Arc::clone(file),
        line: at.line(),
        effect,
        observe,
        reason,
        when: Arc::from(when.trim()),
        condition: test,
        reads,
    }
}

/// Where a problem in a condition stands in its source, else the start of the condition.
fn place(source: &str, rule: &RuleText, problem: &Problem) -> (u64, u64) {
    let start = (rule.when_at.line(), rule.when_at.column());
    super::place::exact(source, rule.when_at, &rule.when, problem.offset).unwrap_or(start)
}

/// Names and texts with their lengths, sorted by name: no two different sets are written the same way.
fn version(sources: &[PolicySource]) -> Arc<str> {
    let mut sorted: Vec<&PolicySource> = sources.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.text).cmp(&(&b.name, &b.text)));
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"keyward policy v1\n");
    for source in sorted {
        for part in [&source.name, &source.text] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    Arc::from(hex)
}
