//! The masks of one connection, compiled once and kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use keyward_core::{FieldRule, JsonPath, MaskRule, Place, Style};
use keyward_mask::{Detectors, KnownValue, Profile};
use keyward_secrets::{Lease, SecretRef};

use crate::refusal::{Refusal, RefusalKind};

/// Compiled masks kept per connection; past it the table starts anew.
const PROFILES_MAX: usize = 256;
/// Credential versions whose values are masked: the current one and those it replaced.
const KNOWN_VERSIONS_MAX: usize = 3;

/// What one mask is made from.
#[derive(Default, Clone, PartialEq, Eq, Hash)]
struct Key {
    detect: Vec<(Arc<str>, Style)>,
    fields: Vec<FieldRule>,
    except: Vec<JsonPath>,
    /// Set where a style is the session's own.
    session: Option<u128>,
}

impl Key {
    fn of(place: Place, rules: &[MaskRule], session: u128) -> Self {
        let mut key = Self::default();
        for rule in rules.iter().filter(|rule| rule.places.contains(&place)) {
            for name in &rule.detect {
                match key.detect.iter_mut().find(|(known, _)| known == name) {
                    Some((_, style)) => *style = style.or(rule.style),
                    None => key.detect.push((Arc::clone(name), rule.style)),
                }
            }
            key.fields.extend(rule.fields.iter().cloned());
            key.except.extend(rule.except.iter().cloned());
        }
        let styles = key.detect.iter().map(|(_, style)| style).chain(key.fields.iter().map(|f| &f.style));
        if styles.clone().any(|style| *style == Style::Token) {
            key.session = Some(session);
        }
        key
    }

    /// The style of known values: what is asked for anything, where that shows nothing of them.
    fn known_style(&self) -> Style {
        let hides = |style: &Style| matches!(style, Style::Token | Style::Hash | Style::Drop);
        self.detect.iter().map(|(_, style)| *style).filter(hides).fold(Style::Redact, Style::or)
    }

    fn masks_nothing(&self) -> bool {
        self.detect.is_empty() && self.fields.is_empty()
    }
}

/// The masks of one connection.
pub struct Profiles {
    detectors: Arc<Detectors>,
    placeholder_key: [u8; 32],
    compiled: RwLock<Compiled>,
    /// What [`Self::everything`] is made from, once it was asked for.
    everything: OnceLock<Key>,
}

#[derive(Default)]
struct Compiled {
    /// Every credential version that was leased lately: a value stays known after its rotation.
    known: Vec<Arc<Lease>>,
    by_key: HashMap<Key, Arc<Profile>>,
}

impl Profiles {
    /// None yet. `placeholder_key` is what hashes and surrogates are derived with.
    pub fn new(detectors: Arc<Detectors>, placeholder_key: [u8; 32]) -> Self {
        Self { detectors, placeholder_key, compiled: RwLock::default(), everything: OnceLock::new() }
    }

    /// The mask for one place of an exchange, or none when nothing is to be masked there. `lease` is always masked,
    /// whatever the rules say.
    pub fn at(
        &self,
        place: Place,
        rules: &[MaskRule],
        lease: Option<&Arc<Lease>>,
        session: u128,
    ) -> Result<Option<Arc<Profile>>, Refusal> {
        let key = Key::of(place, rules, session);
        if lease.is_none() && key.masks_nothing() {
            return Ok(None);
        }
        {
            let compiled = self.compiled.read().unwrap_or_else(PoisonError::into_inner);
            let known = lease.is_none_or(|lease| compiled.known.iter().any(|known| same(known, lease)));
            if let (true, Some(profile)) = (known, compiled.by_key.get(&key)) {
                return Ok(Some(Arc::clone(profile)));
            }
        }
        self.compile(key, lease).map(Some)
    }

    /// A mask with every detector, and the values leased lately: what can be found in a request.
    pub fn everything(&self) -> Result<Arc<Profile>, Refusal> {
        let key = self.everything.get_or_init(|| {
            let groups: BTreeSet<&str> = self.detectors.iter().map(keyward_mask::Detector::group).collect();
            let detect = groups.into_iter().map(|group| (Arc::from(group), Style::Redact)).collect();
            Key { detect, ..Key::default() }
        });
        let known = {
            let compiled = self.compiled.read().unwrap_or_else(PoisonError::into_inner);
            compiled.by_key.get(key).map(Arc::clone)
        };
        known.map_or_else(|| self.compile(key.clone(), None), Ok)
    }

    /// The group of a detector; `known` for a known value.
    pub fn group_of(&self, detector: &str) -> Arc<str> {
        let found = self.detectors.iter().find(|it| it.id() == detector);
        found.map_or_else(|| Arc::from("known"), |it| Arc::from(it.group()))
    }

    fn compile(&self, key: Key, lease: Option<&Arc<Lease>>) -> Result<Arc<Profile>, Refusal> {
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = lease
            && !compiled.known.iter().any(|known| same(known, lease))
        {
            if compiled.known.len() >= KNOWN_VERSIONS_MAX {
                compiled.known.remove(0);
            }
            compiled.known.push(Arc::clone(lease));
            compiled.by_key.clear();
        }
        if compiled.by_key.len() >= PROFILES_MAX {
            compiled.by_key.clear();
        }
        if let Some(profile) = compiled.by_key.get(&key) {
            return Ok(Arc::clone(profile));
        }
        let mut values = Vec::new();
        for lease in &compiled.known {
            values.push(known_value(lease)?);
        }
        let builder = Profile::builder()
            .known(values)
            .style(key.known_style())
            .styled(Arc::clone(&self.detectors), &key.detect)
            .fields(key.fields.iter().cloned())
            .except(key.except.iter().cloned())
            .deployment_key(self.placeholder_key)
            .session_key(session_key(key.session));
        let profile = builder.build().map_err(|error| {
            Refusal::new(RefusalKind::Internal, "The mask of this connection cannot be built.").because(error)
        })?;
        let profile = Arc::new(profile);
        compiled.by_key.insert(key, Arc::clone(&profile));
        Ok(profile)
    }
}

/// The same value. A version's name alone is not enough: a store put back from a backup may give a name twice.
fn same(known: &Arc<Lease>, lease: &Arc<Lease>) -> bool {
    Arc::ptr_eq(known, lease) || (known.version == lease.version && known.secret.same_as(&lease.secret))
}

/// A credential that cannot be masked is not used at all: it would come back in clear.
fn known_value(lease: &Lease) -> Result<KnownValue, Refusal> {
    KnownValue::new(label(&lease.reference), lease.secret.expose()).map_err(|error| {
        Refusal::new(
            RefusalKind::SecretUnavailable,
            "The upstream credential is too short or too simple to be masked, so it is not used; replace it.",
        )
        .because(error)
    })
}

/// A credential's name in its placeholder: what the reference names, never the value.
fn label(reference: &SecretRef) -> &str {
    match reference {
        SecretRef::Embedded(name) | SecretRef::Env(name) => name,
        SecretRef::File(path) => path.file_name().and_then(|name| name.to_str()).unwrap_or("file"),
    }
}

/// The session's own key for placeholders: equal within a session, unrelated between sessions.
fn session_key(session: Option<u128>) -> [u8; 32] {
    let mut key = [0; 32];
    let (low, high) = key.split_at_mut(16);
    low.copy_from_slice(&session.unwrap_or_default().to_be_bytes());
    high.copy_from_slice(&process_salt().to_be_bytes());
    key
}

/// Random per process, so that a placeholder cannot be recomputed from a session's public id.
fn process_salt() -> u128 {
    static SALT: OnceLock<u128> = OnceLock::new();
    *SALT.get_or_init(|| {
        let mut bytes = [0; 16];
        // Without randomness the placeholder is still not the value; only its linkability would be weaker.
        match aws_lc_rs::rand::fill(&mut bytes) {
            Ok(()) => u128::from_be_bytes(bytes),
            Err(_) => crate::clock::fresh_id(),
        }
    })
}
