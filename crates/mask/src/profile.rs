//! What to mask with.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use keyward_core::{Confidence, Style};

use crate::detector::{Detector, Detectors, Kind, union};
use crate::known::{KnownMatcher, KnownValue};
use crate::literal::{Case, LiteralSet, Needle};
use crate::words::WordSet;

/// Why a profile cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A selected name is neither a group nor a detector.
    #[error("no detector or group is called {0:?}")]
    UnknownDetector(String),
    /// [`Style::Token`] without a key.
    #[error("the token style needs a session key")]
    SessionKeyMissing,
    /// A style this engine does not know.
    #[error("this style is not supported")]
    StyleUnsupported,
    /// The literals of the selected detectors make no search automaton.
    #[error("the literals of the selected detectors cannot be compiled")]
    Literals,
    /// More known values than the index can number.
    #[error("more than {KNOWN_VALUES_MAX} known values")]
    TooManyValues,
}

/// The most known values in one profile.
pub const KNOWN_VALUES_MAX: usize = 50_000;

/// How much of a secret a token is derived from: all of it, up to this many bytes. A longer secret is held until so
/// much of it was seen.
pub(crate) const TOKEN_BYTES_MAX: usize = 1024;

/// What to mask with: compiled once per connection, credential versions and obligations; shared by `Arc`.
///
/// Findings of known values are called `known:LABEL`. A value becomes `[REDACTED:DETECTOR]`, a known one
/// `[REDACTED:secret:LABEL]`; with [`Style::Token`] followed by `:` and twelve hex digits. Placeholders are made of
/// characters that no format has to escape, and are never masked again.
pub struct Profile {
    pub(crate) known: KnownMatcher,
    values: Vec<KnownEntry>,
    pub(crate) detectors: Vec<DetectorEntry>,
    pub(crate) literals: Literals,
    /// Detectors that judge runs.
    pub(crate) runs: Vec<u32>,
    /// Patterns that begin where a word does.
    pub(crate) words: WordSet,
    key: Option<hmac::Key>,
}

struct KnownEntry {
    finding: Arc<str>,
    placeholder: String,
}

pub(crate) struct DetectorEntry {
    pub(crate) detector: Arc<Detector>,
    placeholder: String,
}

/// The literals of both lanes, and which detectors begin with each.
pub(crate) struct Literals {
    pub(crate) set: LiteralSet,
    uses: Vec<Vec<LiteralUse>>,
}

impl Literals {
    pub(crate) fn uses(&self, literal: u32) -> &[LiteralUse] {
        self.uses.get(literal as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct LiteralUse {
    pub(crate) detector: u32,
    pub(crate) kind: Kind,
    pub(crate) len: usize,
}

/// Whose match: a known value's, or a detector's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// Index of a known value. Orders first: an exact match names the value better than any pattern.
    Known(u32),
    /// Index into the selected detectors.
    Detector(u32),
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (known, detectors) = (self.values.len(), self.detectors.len());
        f.debug_struct("Profile")
            .field("known", &known)
            .field("detectors", &detectors)
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// An empty builder.
    pub fn builder() -> ProfileBuilder {
        ProfileBuilder::default()
    }

    pub(crate) const fn makes_tokens(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn detector(&self, index: u32) -> Option<&Arc<Detector>> {
        self.detectors.get(index as usize).map(|entry| &entry.detector)
    }

    pub(crate) fn finding_name(&self, owner: Owner) -> Arc<str> {
        match owner {
            Owner::Known(value) => self.values.get(value as usize).map(|v| Arc::clone(&v.finding)),
            Owner::Detector(index) => self.detector(index).map(|d| Arc::clone(d.shared_id())),
        }
        .unwrap_or_default()
    }

    pub(crate) fn confidence(&self, owner: Owner) -> Confidence {
        match owner {
            Owner::Known(_) => Confidence::High,
            Owner::Detector(index) => self.detector(index).map_or(Confidence::Low, |d| d.confidence()),
        }
    }

    /// What `secret` becomes. A known value's token does not depend on how the value was encoded.
    pub(crate) fn placeholder(&self, owner: Owner, secret: &[u8]) -> std::borrow::Cow<'_, str> {
        let (plain, value) = match owner {
            Owner::Known(index) => {
                let plain = self.values.get(index as usize).map(|v| v.placeholder.as_str());
                (plain, self.known.value(index))
            }
            Owner::Detector(index) => {
                let plain = self.detectors.get(index as usize).map(|d| d.placeholder.as_str());
                (plain, secret.get(..TOKEN_BYTES_MAX).unwrap_or(secret))
            }
        };
        let plain = plain.unwrap_or("[REDACTED]");
        let Some(key) = &self.key else { return plain.into() };
        let tag = hmac::sign(key, value);
        let token =
            tag.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("{}:{token}]", plain.trim_end_matches(']')).into()
    }
}

/// Collects what a [`Profile`] is made of.
#[derive(Default)]
pub struct ProfileBuilder {
    known: Vec<KnownValue>,
    detectors: Vec<(Arc<Detectors>, Vec<String>)>,
    style: Style,
    session_key: Option<[u8; 32]>,
}

impl ProfileBuilder {
    /// Adds known values.
    #[must_use]
    pub fn known(mut self, values: impl IntoIterator<Item = KnownValue>) -> Self {
        self.known.extend(values);
        self
    }

    /// Adds detectors by group or id.
    #[must_use]
    pub fn detectors<S: AsRef<str>>(mut self, detectors: Arc<Detectors>, select: &[S]) -> Self {
        self.detectors.push((detectors, select.iter().map(|s| s.as_ref().to_owned()).collect()));
        self
    }

    /// What a value becomes.
    #[must_use]
    pub const fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// The key of [`Style::Token`]: the same value gets the same placeholder under the same key.
    #[must_use]
    pub const fn session_key(mut self, key: [u8; 32]) -> Self {
        self.session_key = Some(key);
        self
    }

    /// Compiles.
    ///
    /// # Errors
    /// When a selected detector does not exist, or the style lacks its key.
    pub fn build(self) -> Result<Profile, ProfileError> {
        let key = match (self.style, self.session_key) {
            (Style::Redact, _) => None,
            (Style::Token, Some(key)) => Some(hmac::Key::new(hmac::HMAC_SHA256, &key)),
            (Style::Token, None) => return Err(ProfileError::SessionKeyMissing),
            _ => return Err(ProfileError::StyleUnsupported),
        };
        if self.known.len() > KNOWN_VALUES_MAX {
            return Err(ProfileError::TooManyValues);
        }
        let detectors = select(&self.detectors)?;
        let literals = literals(&detectors);
        let words = words(&detectors)?;
        let runs = (0u32..)
            .zip(&detectors)
            .filter(|(_, e)| e.detector.kind() == Kind::Run)
            .map(|(n, _)| n)
            .collect();
        let values = self.known.iter().map(|value| KnownEntry {
            finding: format!("known:{}", value.label()).into(),
            placeholder: format!("[REDACTED:secret:{}]", inert(value.label())),
        });
        Ok(Profile {
            known: KnownMatcher::new(&self.known),
            values: values.collect(),
            detectors,
            literals,
            runs,
            words,
            key,
        })
    }
}

/// A label without characters that any format has to escape.
fn inert(label: &str) -> String {
    label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' })
        .take(64)
        .collect()
}

/// The selected detectors, each once, in their packs' order: the first is preferred where two match at one place.
fn select(wanted: &[(Arc<Detectors>, Vec<String>)]) -> Result<Vec<DetectorEntry>, ProfileError> {
    let mut chosen = BTreeMap::new();
    for (pack, (detectors, names)) in wanted.iter().enumerate() {
        for name in names {
            let found = detectors.select(name).ok_or_else(|| ProfileError::UnknownDetector(name.clone()))?;
            chosen.extend(found.into_iter().map(|(n, detector)| ((pack, n), detector)));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut entries: Vec<DetectorEntry> = Vec::new();
    for detector in chosen.into_values() {
        if seen.insert(detector.id().to_owned()) {
            entries.push(DetectorEntry { placeholder: format!("[REDACTED:{}]", detector.id()), detector });
        }
    }
    Ok(entries)
}

fn words(detectors: &[DetectorEntry]) -> Result<WordSet, ProfileError> {
    let found = (0u32..).zip(detectors).filter_map(|(n, e)| Some((n, e.detector.word_pattern()?)));
    let (indexes, patterns): (Vec<u32>, Vec<&str>) = found.unzip();
    if patterns.is_empty() {
        return Ok(WordSet::default());
    }
    let mailboxes = patterns.iter().any(|pattern| pattern.contains('@'));
    let automaton = union(&patterns).map_err(|_| ProfileError::Literals)?;
    Ok(WordSet::new(automaton, indexes, mailboxes))
}

fn literals(detectors: &[DetectorEntry]) -> Literals {
    let mut uses: BTreeMap<Needle, Vec<LiteralUse>> = BTreeMap::new();
    for (detector, entry) in (0u32..).zip(detectors) {
        for literal in entry
            .detector
            .literals()
            .iter()
            .filter(|_| matches!(entry.detector.kind(), Kind::Marker | Kind::Stem))
        {
            let before = literal.before.map(|letter| letter.to_ascii_lowercase());
            let bytes: Box<[u8]> = before.into_iter().chain(literal.bytes.iter().copied()).collect();
            let one = LiteralUse { detector, kind: entry.detector.kind(), len: bytes.len() };
            let case = if before.is_some() { Case::First } else { Case::Exact };
            uses.entry(Needle { bytes, case }).or_default().push(one);
        }
    }
    let (needles, uses): (Vec<_>, Vec<_>) = uses.into_iter().unzip();
    let looks = |uses: &Vec<LiteralUse>, kind: Kind| uses.iter().any(|one| one.kind == kind);
    let lanes = uses.iter().map(|uses| [looks(uses, Kind::Marker), looks(uses, Kind::Stem)]).collect();
    Literals { set: LiteralSet::new(needles, lanes), uses }
}
