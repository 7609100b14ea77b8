//! What to mask with.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyward_core::{Confidence, FieldRule, JsonPath, Style};

use crate::detector::{Detector, Detectors, Kind, union};
use crate::fields::Fields;
use crate::known::{KnownMatcher, KnownValue};
use crate::literal::{Case, LiteralSet, Needle};
use crate::style::{Keys, Mark};
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
    /// [`Style::Hash`] or [`Style::FormatPreserving`] without a key.
    #[error("this style needs the deployment's key")]
    DeploymentKeyMissing,
    /// More fields than the index can number.
    #[error("more than {PROFILE_FIELDS_MAX} fields")]
    TooManyFields,
    /// The literals of the selected detectors make no search automaton.
    #[error("the literals of the selected detectors cannot be compiled")]
    Literals,
    /// More known values than the index can number.
    #[error("more than {KNOWN_VALUES_MAX} known values")]
    TooManyValues,
}

/// The most known values in one profile.
pub const KNOWN_VALUES_MAX: usize = 50_000;

/// The most fields, and the most exceptions, of one profile.
pub const PROFILE_FIELDS_MAX: usize = 4096;

/// What to mask with: compiled once per connection, credential versions and obligations; shared by `Arc`.
///
/// Findings of known values are called `known:LABEL`, those of fields `field:NAME`. A value becomes
/// `[REDACTED:DETECTOR]`, a known one `[REDACTED:secret:LABEL]`, a field `[REDACTED:field:NAME]`; with [`Style::Token`]
/// followed by `:` and twelve hex digits. Placeholders are made of characters that no format has to escape.
pub struct Profile {
    pub(crate) known: KnownMatcher,
    values: Vec<Mark>,
    pub(crate) detectors: Vec<DetectorEntry>,
    pub(crate) fields: Fields,
    pub(crate) literals: Literals,
    /// Detectors that judge runs.
    pub(crate) runs: Vec<u32>,
    /// Patterns that begin where a word does.
    pub(crate) words: Arc<WordSet>,
    keys: Keys,
}

pub(crate) struct DetectorEntry {
    pub(crate) detector: Arc<Detector>,
    mark: Mark,
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
    /// Index of a field.
    Field(u32),
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

    pub(crate) fn detector(&self, index: u32) -> Option<&Arc<Detector>> {
        self.detectors.get(index as usize).map(|entry| &entry.detector)
    }

    fn mark(&self, owner: Owner) -> Option<&Mark> {
        match owner {
            Owner::Known(value) => self.values.get(value as usize),
            Owner::Field(field) => self.fields.mark(field),
            Owner::Detector(index) => self.detectors.get(index as usize).map(|entry| &entry.mark),
        }
    }

    /// What becomes of what `owner` claims.
    pub(crate) fn style(&self, owner: Owner) -> Style {
        self.mark(owner).map_or(Style::Redact, |mark| mark.style)
    }

    pub(crate) fn finding_name(&self, owner: Owner) -> Arc<str> {
        self.mark(owner).map(|mark| Arc::clone(&mark.finding)).unwrap_or_default()
    }

    pub(crate) fn confidence(&self, owner: Owner) -> Confidence {
        match owner {
            Owner::Known(_) | Owner::Field(_) => Confidence::High,
            Owner::Detector(index) => self.detector(index).map_or(Confidence::Low, |d| d.confidence()),
        }
    }

    /// What `secret` becomes. What is derived from a known value does not depend on how the value was encoded.
    pub(crate) fn placeholder(&self, owner: Owner, secret: &[u8]) -> std::borrow::Cow<'_, str> {
        let Some(mark) = self.mark(owner) else { return "[REDACTED]".into() };
        let (value, detector) = match owner {
            Owner::Known(index) => (self.known.value(index), None),
            Owner::Field(_) => (secret, None),
            Owner::Detector(index) => (secret, self.detector(index).map(AsRef::as_ref)),
        };
        mark.placeholder(&self.keys, value, detector)
    }

    /// What it becomes when nothing of it may show.
    pub(crate) fn redacted(&self, owner: Owner) -> &str {
        self.mark(owner).map_or("[REDACTED]", Mark::redacted)
    }

    /// The field that a header is, by its name in any case.
    pub fn header_field(&self, name: &str) -> Option<FieldIndex> {
        self.fields.header(name).map(FieldIndex)
    }

    /// The field that a form's field is.
    pub fn form_field(&self, name: &[u8]) -> Option<FieldIndex> {
        self.fields.form(name).map(FieldIndex)
    }
}

/// A field of a [`Profile`]: a value that is masked whatever it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldIndex(pub(crate) u32);

/// Names chosen from a set of detectors, each with its style where that is not the profile's.
type Selection = (Arc<Detectors>, Vec<(String, Option<Style>)>);

/// Collects what a [`Profile`] is made of.
#[derive(Default)]
pub struct ProfileBuilder {
    known: Vec<KnownValue>,
    detectors: Vec<Selection>,
    fields: Vec<FieldRule>,
    except: Vec<JsonPath>,
    style: Style,
    session_key: Option<[u8; 32]>,
    deployment_key: Option<[u8; 32]>,
}

impl ProfileBuilder {
    /// Adds known values.
    #[must_use]
    pub fn known(mut self, values: impl IntoIterator<Item = KnownValue>) -> Self {
        self.known.extend(values);
        self
    }

    /// Adds detectors by group or id, in the profile's style.
    #[must_use]
    pub fn detectors<S: AsRef<str>>(mut self, detectors: Arc<Detectors>, select: &[S]) -> Self {
        self.detectors.push((detectors, select.iter().map(|s| (s.as_ref().to_owned(), None)).collect()));
        self
    }

    /// Adds detectors by group or id, each with its style. An id's style holds before a group's; of two for the same name
    /// the one that shows less ([`Style::or`]).
    #[must_use]
    pub fn styled<S: AsRef<str>>(mut self, detectors: Arc<Detectors>, select: &[(S, Style)]) -> Self {
        let select = select.iter().map(|(name, style)| (name.as_ref().to_owned(), Some(*style))).collect();
        self.detectors.push((detectors, select));
        self
    }

    /// Adds fields: places that are masked whatever they hold.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = FieldRule>) -> Self {
        self.fields.extend(fields);
        self
    }

    /// Adds exceptions: places in JSON where only known values are masked.
    #[must_use]
    pub fn except(mut self, paths: impl IntoIterator<Item = JsonPath>) -> Self {
        self.except.extend(paths);
        self
    }

    /// What a value becomes. Nothing of a known value ever shows: with a style that would, it is redacted.
    #[must_use]
    pub const fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// The key of [`Style::Hash`] and [`Style::FormatPreserving`]: the same value becomes the same under the same key.
    #[must_use]
    pub const fn deployment_key(mut self, key: [u8; 32]) -> Self {
        self.deployment_key = Some(key);
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
        if self.known.len() > KNOWN_VALUES_MAX {
            return Err(ProfileError::TooManyValues);
        }
        if self.fields.len() > PROFILE_FIELDS_MAX || self.except.len() > PROFILE_FIELDS_MAX {
            return Err(ProfileError::TooManyFields);
        }
        let detectors = select(&self.detectors, self.style)?;
        let known_style = match self.style {
            Style::KeepLast4 | Style::FormatPreserving => Style::Redact,
            style => style,
        };
        let value = |v: &KnownValue| {
            Mark::new(&format!("known:{}", v.label()), &format!("secret:{}", v.label()), known_style)
        };
        let values: Vec<Mark> = self.known.iter().map(value).collect();
        let fields = Fields::new(self.fields, self.except);
        let marks = values.iter().chain(detectors.iter().map(|d| &d.mark)).chain(fields.marks());
        for style in marks.map(|mark| mark.style).chain([self.style]) {
            match style {
                Style::Token if self.session_key.is_none() => return Err(ProfileError::SessionKeyMissing),
                Style::Hash | Style::FormatPreserving if self.deployment_key.is_none() => {
                    return Err(ProfileError::DeploymentKeyMissing);
                }
                _ => {}
            }
        }
        let literals = literals(&detectors);
        let words = match self.detectors.first() {
            Some((pack, _)) => pack.word_set(word_ids(&detectors), || words(&detectors))?,
            None => Arc::default(),
        };
        let runs = (0u32..)
            .zip(&detectors)
            .filter(|(_, e)| e.detector.kind() == Kind::Run)
            .map(|(n, _)| n)
            .collect();
        Ok(Profile {
            known: KnownMatcher::new(&self.known),
            values,
            detectors,
            fields,
            literals,
            runs,
            words,
            keys: Keys::new(self.session_key, self.deployment_key),
        })
    }
}

/// The selected detectors, each once, in their packs' order: the first is preferred where two match at one place.
fn select(wanted: &[Selection], default: Style) -> Result<Vec<DetectorEntry>, ProfileError> {
    // By pack and place: the detector, whether its style was given by its id, and the style.
    let mut chosen: BTreeMap<(usize, usize), (Arc<Detector>, bool, Style)> = BTreeMap::new();
    for (pack, (detectors, names)) in wanted.iter().enumerate() {
        for (name, style) in names {
            let found = detectors.select(name).ok_or_else(|| ProfileError::UnknownDetector(name.clone()))?;
            let style = style.unwrap_or(default);
            for (n, detector) in found {
                let by_id = detector.id() == name;
                let entry = chosen.entry((pack, n)).or_insert_with(|| (detector, by_id, style));
                if by_id && !entry.1 {
                    (entry.1, entry.2) = (true, style);
                } else if by_id == entry.1 {
                    entry.2 = entry.2.or(style);
                }
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut entries: Vec<DetectorEntry> = Vec::new();
    for (detector, _, style) in chosen.into_values() {
        if seen.insert(detector.id().to_owned()) {
            let mark = Mark::new(detector.id(), detector.id(), style);
            entries.push(DetectorEntry { detector, mark });
        }
    }
    Ok(entries)
}

fn word_ids(detectors: &[DetectorEntry]) -> Vec<Arc<str>> {
    let words = detectors.iter().filter(|e| e.detector.word_pattern().is_some());
    words.map(|e| Arc::clone(e.detector.shared_id())).collect()
}

fn words(detectors: &[DetectorEntry]) -> Result<WordSet, ProfileError> {
    let found: Vec<(u32, &Detector)> = (0u32..)
        .zip(detectors)
        .map(|(n, entry)| (n, entry.detector.as_ref()))
        .filter(|(_, detector)| detector.word_pattern().is_some())
        .collect();
    if found.is_empty() {
        return Ok(WordSet::default());
    }
    let patterns: Vec<&str> = found.iter().filter_map(|(_, detector)| detector.word_pattern()).collect();
    let automaton = union(&patterns).map_err(|_| ProfileError::Literals)?;
    WordSet::new(automaton, found).map_err(|_| ProfileError::Literals)
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
