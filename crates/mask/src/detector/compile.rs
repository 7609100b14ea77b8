//! From a pack's text to compiled detectors, refusing what would load and do nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex_automata::MatchKind;
use regex_automata::dfa::StartKind;
use regex_automata::dfa::dense;
use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use super::alphabet;
use super::evidence::Evidence;
use super::lazy::Lazy;
use super::pack::{CheckEntry, Entry, Pack};
use super::{ByteSet, CANDIDATE_BYTES_MAX, Detector, Kind, Literal, PackError, Word};
use crate::literal::LITERAL_BYTES_MAX;

/// The most memory one detector's automaton may take, in bytes.
const AUTOMATON_BYTES_MAX: usize = 2 << 20;
/// The most memory the automaton of all patterns that begin where a word does may take, in bytes.
const UNION_BYTES_MAX: usize = 16 << 20;
/// The most detectors in one set.
const DETECTORS_MAX: usize = 10_000;

/// Between a keyword and its value: the rest of the name, closing quotes, an operator, opening quotes.
const ASSIGN: &str = concat!(
    r"[A-Za-z0-9_.\-]*",
    r#"(?:\\*["'`\])]){0,2}"#,
    r"(?:[ \t]*:?[ \t]*[Ss]tr(?:ing)?)?[ \t]*(?:=>|:=|!?={1,3}|:{1,2}|,|>|-[ \t])[ \t]*",
    r#"(?:\\*["'`]|&quot;|&#3[49];){0,2}"#
);
/// Between a service's name and its key: anything on the line, then what can stand before a value. How far apart they
/// may be is bounded by `max_bytes`; a bound in the expression would multiply the automaton's states.
const NEAR: &str = r#"[^\r\n;{}<>]*?[\s"'`=:>,(\[]"#;

/// When a detector's automata are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    /// When its pack is loaded: a pattern that cannot be built is an error there.
    Now,
    /// At its first candidate: for packs whose patterns were built by the tests.
    WhenNeeded,
}

pub(super) fn load(files: &[(&str, &str)], build: Build) -> Result<Vec<Arc<Detector>>, PackError> {
    let mut all: Vec<Arc<Detector>> = Vec::new();
    let mut ids = BTreeSet::new();
    for (file, yaml) in files {
        let pack = read(file, yaml)?;
        let group: Arc<str> = pack.group.as_str().into();
        for entry in pack.detectors {
            let id = entry.id.clone();
            let fail = |message: String| PackError {
                file: (*file).to_owned(),
                line: line_of(yaml, &id),
                detector: id.clone(),
                message,
            };
            if !ids.insert(id.clone()) {
                return Err(fail("a detector of this id exists already".to_owned()));
            }
            if all.len() >= DETECTORS_MAX {
                return Err(fail(format!("more than {DETECTORS_MAX} detectors")));
            }
            all.push(Arc::new(compile(entry, &group, build).map_err(fail)?));
        }
    }
    Ok(all)
}

impl Build {
    fn of<T>(self, pattern: &str, builder: fn(&str) -> Result<T, String>) -> Result<Lazy<T>, String> {
        match self {
            Self::Now => Lazy::built(pattern, builder),
            Self::WhenNeeded => Ok(Lazy::new(pattern, builder)),
        }
    }
}

/// Reads a pack's entries.
pub(super) fn read(file: &str, yaml: &str) -> Result<Pack, PackError> {
    serde_saphyr::from_str(yaml).map_err(|error| PackError {
        file: file.to_owned(),
        line: error.location().map(|l| l.line()),
        detector: String::new(),
        message: error.without_snippet().to_string(),
    })
}

/// A problem with the entry of this id.
pub(super) fn error_at(files: &[(&str, &str)], id: &str, message: String) -> PackError {
    let place = files.iter().find_map(|(file, yaml)| Some((*file, line_of(yaml, id)?)));
    PackError {
        file: place.map_or_else(String::new, |(file, _)| file.to_owned()),
        line: place.map(|(_, line)| line),
        detector: id.to_owned(),
        message,
    }
}

fn line_of(yaml: &str, id: &str) -> Option<u64> {
    let is_id = |line: &str| {
        let value = line.trim_start_matches([' ', '-', '{']).strip_prefix("id:");
        value.and_then(|v| v.split([',', '}']).next()).is_some_and(|v| v.trim() == id)
    };
    (1u64..).zip(yaml.lines()).find(|(_, line)| is_id(line)).map(|(n, _)| n)
}

fn compile(entry: Entry, group: &Arc<str>, build: Build) -> Result<Detector, String> {
    let kind = validate(&entry)?;
    let pattern = entry.pattern.replace("{{assign}}", ASSIGN).replace("{{near}}", NEAR);
    let has_secret = pattern.contains("(?<secret>");
    if entry.grow && has_secret {
        return Err("`grow` masks the whole match: it cannot stand beside the group `secret`".to_owned());
    }
    let automaton = build.of(&pattern, automaton)?;
    let captures = has_secret.then(|| build.of(&pattern, expression)).transpose()?;
    let run = if kind == Kind::Stem { alphabet::of_secret(&pattern) } else { None };
    let behind = entry.behind.as_deref().map(|b| build.of(&format!("(?:{b})\\z"), expression)).transpose()?;
    let tail = entry.tail.as_deref().map(byte_set).transpose()?;
    let literals = match kind {
        Kind::Marker => {
            entry.prefixes.iter().map(|p| Literal { bytes: p.as_bytes().into(), before: None }).collect()
        }
        Kind::Stem => entry.keywords.iter().flat_map(|k| spellings(k)).collect(),
        Kind::Run | Kind::Word => Vec::new(),
    };
    let word = (kind == Kind::Word).then(|| Word {
        pattern: pattern.clone(),
        near: entry.keywords.iter().map(|k| k.to_lowercase()).collect(),
        alone: entry.alone,
    });
    let evidence = (kind == Kind::Run).then(|| Evidence::new(&entry.keywords)).transpose()?;
    Ok(Detector {
        id: entry.id.into(),
        group: Arc::clone(group),
        name: entry.name,
        description: entry.description,
        confidence: entry.confidence,
        kind,
        literals,
        automaton,
        captures,
        run,
        evidence,
        word,
        behind,
        left: entry.left,
        grow: entry.grow,
        at_limit: entry.at_limit,
        tail: tail.map(Arc::new),
        checks: entry.checks,
        allow: entry.allow.into_iter().map(String::into_bytes).collect(),
        max_bytes: entry.max_bytes,
    })
}

/// One automaton of several patterns, which reports every match.
pub(crate) fn union(patterns: &[&str]) -> Result<dense::DFA<Vec<u32>>, String> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .accelerate(false)
        .dfa_size_limit(Some(UNION_BYTES_MAX))
        .determinize_size_limit(Some(4 * UNION_BYTES_MAX));
    dense::Builder::new()
        .configure(config)
        .syntax(syntax())
        .thompson(thompson::Config::new().utf8(false))
        .build_many(patterns)
        .map_err(|error| format!("pattern: {}", chain(&error)))
}

fn validate(entry: &Entry) -> Result<Kind, String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if entry.id.is_empty() || !entry.id.bytes().all(good) {
        return Err("an id is made of a-z, 0-9 and _".to_owned());
    }
    if entry.name.is_empty() || entry.description.is_empty() {
        return Err("`name` and `description` say what it finds".to_owned());
    }
    if entry.examples.is_empty() {
        return Err("at least one example, with the secret between « and »".to_owned());
    }
    if entry.max_bytes == 0 || entry.max_bytes > CANDIDATE_BYTES_MAX {
        return Err(format!("`max_bytes` is between 1 and {CANDIDATE_BYTES_MAX}"));
    }
    if entry.checks.contains(&CheckEntry::Assigned) && entry.keywords.is_empty() {
        return Err("the check `assigned` needs keywords".to_owned());
    }
    if entry.evidence {
        let plain = entry.pattern.is_empty() && entry.prefixes.is_empty() && entry.checks.is_empty();
        return if plain { Ok(Kind::Run) } else { Err("`evidence` stands beside keywords only".to_owned()) };
    }
    if entry.pattern.is_empty() {
        return Err("`pattern` says what it finds".to_owned());
    }
    if entry.word {
        return if entry.prefixes.is_empty() {
            Ok(Kind::Word)
        } else {
            Err("`word` needs no prefix".to_owned())
        };
    }
    let literals = if entry.keywords.is_empty() { &entry.prefixes } else { &entry.keywords };
    let ascii = |l: &String| l.is_ascii() || !entry.keywords.is_empty();
    if literals.iter().any(|l| l.len() < 3 || l.len() > LITERAL_BYTES_MAX || !ascii(l)) {
        return Err(format!("a prefix or keyword is ASCII of 3 to {LITERAL_BYTES_MAX} bytes"));
    }
    match (entry.prefixes.is_empty(), entry.keywords.is_empty()) {
        (false, true) => Ok(Kind::Marker),
        (true, false) => Ok(Kind::Stem),
        _ => Err("a detector has either `prefixes` or `keywords`".to_owned()),
    }
}

fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}

fn automaton(pattern: &str) -> Result<dense::DFA<Vec<u32>>, String> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::LeftmostFirst)
        .accelerate(false)
        .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .determinize_size_limit(Some(4 * AUTOMATON_BYTES_MAX));
    dense::Builder::new()
        .configure(config)
        .syntax(syntax())
        .thompson(thompson::Config::new().utf8(false))
        .build(pattern)
        .map_err(|error| format!("pattern: {}", chain(&error)))
}

fn expression(pattern: &str) -> Result<Regex, String> {
    Regex::builder()
        .syntax(syntax())
        .configure(Regex::config().utf8_empty(false).hybrid_cache_capacity(1 << 18))
        .build(pattern)
        .map_err(|error| format!("pattern: {}", chain(&error)))
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The bytes of a class such as `[A-Za-z0-9_-]`.
fn byte_set(class: &str) -> Result<ByteSet, String> {
    let class = expression(&format!("\\A(?:{class})\\z"))?;
    let mut set = [false; 256];
    for (byte, slot) in (0u8..=255).zip(set.iter_mut()) {
        *slot = class.is_match(&[byte]);
    }
    if set.iter().any(|b| *b) {
        Ok(set)
    } else {
        Err("`tail` is a class of bytes, as [A-Za-z0-9]".to_owned())
    }
}

/// The spellings of a keyword that occur: as written, lower, UPPER and Title-Case, all without the first letter, whose
/// case is compared apart. Odd mixtures are not found; a literal search stays fast that way.
fn spellings(keyword: &str) -> Vec<Literal> {
    let mut title = String::with_capacity(keyword.len());
    let mut begins = true;
    for c in keyword.chars() {
        title.push(if begins { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
        begins = !c.is_ascii_alphanumeric();
    }
    let before = keyword.bytes().next();
    let written = [keyword.to_owned(), keyword.to_ascii_lowercase(), keyword.to_ascii_uppercase(), title];
    let letter = before.is_some_and(|b| b.is_ascii_alphabetic());
    if !letter {
        let whole: BTreeSet<&[u8]> = written.iter().map(String::as_bytes).collect();
        return whole.into_iter().map(|bytes| Literal { bytes: bytes.into(), before: None }).collect();
    }
    let rests: BTreeSet<&[u8]> = written.iter().filter_map(|w| w.as_bytes().get(1..)).collect();
    rests.into_iter().map(|rest| Literal { bytes: rest.into(), before }).collect()
}
