//! Values that no prefix gives away: a generated value, and what stands left of it that says what it is.
//!
//! Evidence is a word for a credential (`token`, `api key`) or the name of a service, listed or, as in `frobnicator_key`,
//! not. The less a value looks generated, the more of it is asked for: a hex digest or a UUID needs a service and a
//! credential word or a plain assignment, a random run of letters and digits needs one of them close by, a sequence
//! needs both.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::around::in_placeholder;
use super::lexicon::{Weight, lexicon};
use super::names::{names_a_credential, words_of};
use super::placeholder::{Suspicion, is_placeholder};
use super::random::{Shape, is_host, is_identifier, is_worded, looks_random, mixes_alphabets, sequence};
use crate::literal::{ANCHOR_BYTES, Case, LANES, LITERAL_BYTES_MAX, LiteralSet, Needle};

/// How far left of a value evidence is looked for, in bytes.
pub(crate) const CONTEXT_BYTES: usize = 112;
/// The shortest value, in bytes.
pub(crate) const RUN_BYTES_MIN: usize = 12;
/// The shortest value without a digit, in bytes.
pub(crate) const LETTERS_BYTES_MIN: usize = 16;
/// The longest value, in bytes; longer runs are data.
pub(crate) const RUN_BYTES_MAX: usize = 1100;
/// How far a credential word may stand from a random value when nothing else speaks for it, in bytes.
const NEAR_BYTES: usize = 64;

/// The shortest random value that is enough behind a weak word, as in `session: …`, in bytes.
const LONG_BYTES_MIN: usize = 28;
/// The shortest run of neighbours in the alphabet that only a typed value has, in bytes.
const SEQUENCE_BYTES_MIN: usize = 8;

/// The shortest name of somebody that a credential may belong to, in bytes.
const OWNER_BYTES_MIN: usize = 3;

/// Looks for evidence left of a value.
#[derive(Debug)]
pub(crate) struct Evidence {
    words: AhoCorasick,
    /// Tells texts in which no word occurs; none where a word is too short or too long for it.
    gate: Option<LiteralSet>,
    /// The patterns behind this one are services' names.
    services_from: usize,
}

/// What stands left of a value.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    word: Option<(Weight, usize)>,
    /// Nothing but punctuation between a credential word and the value.
    word_glued: Option<Weight>,
    service: bool,
    service_glued: bool,
    /// A credential word with a name before it that is no service's we know: `frobnicator_key: …`.
    owned: Option<Weight>,
    /// The value is a path's part behind the service's name.
    path: bool,
}

impl Evidence {
    pub(super) fn new(services: &[String]) -> Result<Self, String> {
        let words = &lexicon().credentials;
        let patterns = words.iter().map(|(word, _)| word.as_str()).chain(services.iter().map(String::as_str));
        let needles: Vec<Needle> =
            patterns.clone().map(|word| Needle { bytes: word.as_bytes().into(), case: Case::Any }).collect();
        let sizes = ANCHOR_BYTES..=LITERAL_BYTES_MAX;
        let odd = needles.iter().any(|needle| !sizes.contains(&needle.bytes.len()));
        let lanes = vec![[false; LANES]; needles.len()];
        let gate = (!odd).then(|| LiteralSet::new(needles, lanes));
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::DFA)) // left to itself it takes a slower automaton for so many words
            .ascii_case_insensitive(true)
            .build(patterns)
            .map_err(|error| error.to_string())?;
        Ok(Self { words: automaton, gate, services_from: words.len() })
    }

    /// Whether anything left of a value at the end of `left` may speak for it. Cheap, and true wherever [`Self::weigh`]
    /// may accept.
    pub(crate) fn is_armed(&self, left: &[u8]) -> bool {
        let found = self.look(left);
        found.word.is_some() || found.service
    }

    /// Where in `text` from `from` on the last word begins that may be evidence; its end if that cannot be told cheaply.
    pub(crate) fn last_word(&self, text: &[u8], from: usize) -> Option<usize> {
        self.gate.as_ref().map_or(Some(text.len()), |gate| gate.last_in(text, from))
    }

    /// `text`, or nothing of it when no word occurs in it.
    fn gated<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        if self.gate.as_ref().is_none_or(|gate| gate.occurs(text)) { text } else { &[] }
    }

    /// Where values may begin in a run that names what it is: behind a word and the dash after it.
    pub(crate) fn named_in<'a>(&'a self, run: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        self.words.find_iter(self.gated(run)).filter_map(|hit| {
            let dash = run.get(hit.end()).is_some_and(|b| matches!(b, b'-' | b'.'));
            let word = hit.pattern().as_usize() < self.services_from;
            (dash && stands_alone(run, hit.start(), hit.end(), word)).then(|| hit.end() + 1)
        })
    }

    /// Whether `value`, at the end of `left`, is a credential.
    pub(crate) fn weigh(&self, left: &[u8], value: &[u8]) -> bool {
        let Some(kind) = Kind::of(value) else { return false };
        let mut found = self.look(left);
        if found.word.is_none() && !found.service {
            return false;
        }
        if found.owned.is_some() && !is_identifier(value) {
            found.service = true;
            found.service_glued |= found.owned >= Some(Weight::Key);
        }
        if self.is_vetoed(left) || in_placeholder(left, value) {
            return false;
        }
        let pair = found.service && found.word.is_some();
        let service = found.service_glued && (found.word.is_some() || is_size_of_key(value.len()));
        let strong = found.word_glued == Some(Weight::Strong);
        match kind {
            Kind::Random => {
                let near = |(weight, distance): (Weight, usize)| {
                    weight == Weight::Strong && distance <= NEAR_BYTES && value.len() >= 20
                };
                let enough = if value.len() >= LONG_BYTES_MIN { Weight::Weak } else { Weight::Key };
                pair || service
                    || found.word_glued.is_some_and(|w| w >= enough)
                    || found.word.is_some_and(near)
            }
            Kind::Digest => (pair || service) && !found.path || strong,
            Kind::Letters => pair || strong || found.service_glued && value.len() >= 24,
            Kind::Sequence => {
                let assigned =
                    || strong && value.len() >= 24 && !is_identifier(value) && assigned_name(left).is_some();
                pair && (found.word_glued.is_some() || found.service_glued) || assigned()
            }
        }
    }

    /// Whether what stands right before a value says that it is something else: a digest, an identifier.
    pub(crate) fn is_vetoed(&self, left: &[u8]) -> bool {
        assigned_name(left).is_some_and(|name| !self.is_fit(name)) || speaks_against(left)
    }

    /// Whether a value looks generated: what a list of values goes on with.
    pub(crate) fn goes_on(value: &[u8]) -> bool {
        matches!(Kind::of(value), Some(Kind::Random | Kind::Digest | Kind::Letters))
    }

    /// Whether the name that a value is assigned to can be a credential's.
    fn is_fit(&self, name: &[u8]) -> bool {
        let neutral: [&[u8]; 9] =
            [b"value", b"val", b"data", b"header", b"default", b"v", b"string", b"str", b"text"];
        names_a_credential(name)
            && (neutral.iter().any(|n| name.eq_ignore_ascii_case(n))
                || self.words.find_iter(name).next().is_some())
    }

    fn look(&self, left: &[u8]) -> Found {
        let mut found = Found::default();
        let lines = left.iter().rev();
        let mut newlines = 0;
        let reach = lines.take_while(|b| {
            newlines += usize::from(**b == b'\n');
            newlines <= 2
        });
        let from = left.len() - reach.count();
        for hit in self.words.find_iter(self.gated(left.get(from..).unwrap_or_default())) {
            let (start, end) = (from + hit.start(), from + hit.end());
            let index = hit.pattern().as_usize();
            let word = lexicon().credentials.get(index).map(|(_, weight)| *weight);
            if !stands_alone(left, start, end, word.is_some()) {
                continue;
            }
            let between = left.get(end..).unwrap_or_default();
            let glued = is_glue(between);
            if let Some(weight) = word {
                if found.word.is_none_or(|(old, _)| weight >= old) {
                    found.word = Some((weight, between.len()));
                }
                if glued {
                    found.word_glued = found.word_glued.max(Some(weight));
                }
                if glued && assigns(between) && is_owned(left.get(from..start).unwrap_or_default(), from > 0)
                {
                    found.owned = found.owned.max(Some(weight));
                }
                // `acme token: …`: the service's name counts as if the value stood next to it.
                found.service_glued |= glued && found.service && weight >= Weight::Key;
            } else {
                found.service = true;
                found.service_glued |= glued;
                found.path |= glued && between == b"/";
            }
        }
        found
    }
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Letters and digits without order.
    Random,
    /// Hex or a UUID: random, but mostly no secret.
    Digest,
    /// Letters without order.
    Letters,
    /// Letters and digits that a person typed: an alphabet, a keyboard's row.
    Sequence,
}

impl Kind {
    fn of(value: &[u8]) -> Option<Self> {
        if value.len() < RUN_BYTES_MIN
            || is_placeholder(value, Suspicion::High)
            || lexicon().known.begin(value)
            || lexicon().documented.contains(value)
        {
            return None;
        }
        if lexicon().identifiers.begin(&value.to_ascii_lowercase()) || is_date(value) {
            return None;
        }
        let shape = Shape::of(value);
        if shape.other * 3 > shape.len || mixes_alphabets(value) || is_host(value) {
            return None;
        }
        let typed = sequence(value) >= SEQUENCE_BYTES_MIN && value.len() >= 16;
        if shape.letters() == 0 {
            return (shape.other == 0 && value.len() >= 20 && shape.entropy >= 2.5).then_some(Self::Sequence);
        }
        if is_digest(value) {
            let whole = shape.digits > 0 && shape.entropy >= 2.6 && value.len().is_multiple_of(2);
            return match value.len() {
                16.. if whole && sequence(value) < 10 => Some(Self::Digest),
                _ if shape.entropy >= 2.5 => Some(Self::Sequence),
                _ => None,
            };
        }
        if value.contains(&b'_') && is_worded(value) {
            return None;
        }
        let random = looks_random(value);
        match (random, shape.digits) {
            (true, 1..) => Some(Self::Random),
            (true, 0) if shape.len >= 16 && shape.upper > 0 && shape.lower > 0 => Some(Self::Letters),
            (false, 3..) if shape.other * 6 <= shape.len && shape.entropy >= 3.0 => Some(Self::Sequence),
            _ => typed.then_some(Self::Sequence),
        }
    }
}

/// Whether a value can lie in a run, by its letters and digits alone: [`Kind::of`] knows none without them.
pub(crate) fn may_hold_value(run: &[u8]) -> bool {
    let any = |class: fn(&u8) -> bool| run.iter().any(class);
    if run.len() < LETTERS_BYTES_MIN {
        return any(u8::is_ascii_digit) && any(u8::is_ascii_alphabetic);
    }
    any(u8::is_ascii_digit)
        || any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase)
        || sequence(run) >= SEQUENCE_BYTES_MIN
}

/// Whether a key has so many characters: whole bytes in steps of four, or base64 of 16, 20, 32 or 64 bytes without padding.
const fn is_size_of_key(len: usize) -> bool {
    len.is_multiple_of(4) || matches!(len, 22 | 27 | 43 | 86)
}

/// A day, and maybe a time of it: `2026-03-12T08`.
fn is_date(value: &[u8]) -> bool {
    let shape: &[u8] = b"0000-00-00";
    value.len() > shape.len()
        && shape.iter().zip(value).all(|(form, b)| if *form == b'0' { b.is_ascii_digit() } else { form == b })
        && value.get(shape.len()).is_some_and(|b| matches!(b, b'T' | b't' | b'_' | b'-'))
}

/// Hex digits only, or a UUID.
fn is_digest(value: &[u8]) -> bool {
    let uuid = value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(n, b)| if [8, 13, 18, 23].contains(&n) { *b == b'-' } else { b.is_ascii_hexdigit() });
    uuid || value.iter().all(u8::is_ascii_hexdigit)
}

/// Whether the word at `start..end` is a word, not a part of one.
fn stands_alone(text: &[u8], start: usize, end: usize, credential: bool) -> bool {
    let at = |n: usize| text.get(n).copied();
    let before = start.checked_sub(1).and_then(at);
    let first = at(start).unwrap_or_default();
    let last = end.checked_sub(1).and_then(at).unwrap_or_default();
    let long = end - start >= 5;
    // A word inside of a long run is chance: base64.
    let part = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'+';
    let run = text.get(..start).unwrap_or_default().iter().rev().take_while(part).count()
        + text.get(start..).unwrap_or_default().iter().take_while(part).count();
    if run > 32 {
        return false;
    }
    let left = match before {
        None => true,
        // `e2b` in a UUID is chance.
        Some(b) if b.is_ascii_digit() && !credential && !long => false,
        Some(b) if !b.is_ascii_alphabetic() => true,
        // camelCase begins a word.
        Some(b) => (first.is_ascii_uppercase() && b.is_ascii_lowercase()) || (credential && long),
    };
    let right = match at(end) {
        None => true,
        Some(b) if !b.is_ascii_alphabetic() => true,
        Some(b) if b.is_ascii_uppercase() && last.is_ascii_lowercase() => true,
        Some(_) => {
            let rest = text.get(end..).unwrap_or_default();
            let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
            let rest = rest.get(..letters).unwrap_or_default().to_ascii_lowercase();
            lexicon().compounds.iter().any(|word| rest.starts_with(word.as_bytes()))
                || (!credential && end - start >= 7)
        }
    };
    left && right
}

/// Whether a word for a credential behind `before` belongs to somebody: `frobnicator_`, `frobnicator` in camelCase, or a
/// word alone at the beginning of its line. `cut` says that `before` does not begin where a line does.
fn is_owned(before: &[u8], cut: bool) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let apart = before.last() == Some(&b' ');
    let head = before.get(..before.len() - usize::from(apart)).unwrap_or_default();
    let name = head.iter().rev().take_while(|b| part(b)).count();
    let (front, name) = head.split_at(head.len() - name);
    let opens = front.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let opens = match front.get(..front.len() - opens) {
        None | Some([]) => !cut,
        Some([.., last]) => *last == b'\n',
    };
    let name = words_of(name);
    (!apart || opens && name.len() <= 2)
        && name.iter().any(|word| {
            word.len() >= OWNER_BYTES_MIN
                && word.bytes().any(|b| b.is_ascii_lowercase())
                && !lexicon().ordinary.contains(word.as_bytes())
        })
}

/// Whether only punctuation stands between a word and a value, or short words such as `is`.
fn is_glue(between: &[u8]) -> bool {
    if between.len() > 32 || memchr::memchr_iter(b'\n', between).nth(1).is_some() {
        return false;
    }
    let mut words = between.split(|b| !b.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.all(|word| {
        lexicon().glue.contains(&word.to_ascii_lowercase())
            || (word.len() <= 2 && word.iter().all(u8::is_ascii_digit))
    })
}

/// Whether a word's value may begin behind `between`: no index, call, operator or new line is there.
fn assigns(between: &[u8]) -> bool {
    between.iter().all(|b| b.is_ascii_alphanumeric() || b" \t:=>'\"`-_./\\".contains(b))
}

/// The name that the value behind `left` is assigned to.
fn assigned_name(left: &[u8]) -> Option<&[u8]> {
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let skip = left.iter().rev().take_while(|b| !part(b) && **b != b'\n').count();
    let glue = left.get(left.len() - skip..)?;
    if !glue.iter().any(|b| matches!(b, b':' | b'=')) {
        return None;
    }
    let head = left.get(..left.len() - skip)?;
    let name = head.iter().rev().take_while(|b| part(b)).count();
    head.get(head.len() - name..).filter(|name| !name.is_empty())
}

/// Whether what stands right before the value says that it is a digest or an identifier.
fn speaks_against(left: &[u8]) -> bool {
    let near = left.get(left.len().saturating_sub(24)..).unwrap_or_default().to_ascii_lowercase();
    near.split(|b| !b.is_ascii_alphanumeric()).any(|word| lexicon().against.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_before_a_word_says_whose_credential_it_is() {
        for before in ["frobnicator_", "FROB_", "frobnicator", "x = 1\n  frob ", "frob-client-", "\"frob."] {
            assert!(is_owned(before.as_bytes(), true), "{before}");
        }
        for before in
            ["", "my_", "the ", "access_", "x = 1\n", "prose of frob ", "frob (", "ab_", "frob and "]
        {
            assert!(!is_owned(before.as_bytes(), true), "{before}");
        }
        assert!(is_owned(b"frob ", false), "a text begins as a line does");
        assert!(!is_owned(b"frob ", true), "what is cut off before it is not known");
        assert!(is_owned(b"\tfrob ", false));
    }

    #[test]
    fn an_unlisted_name_is_as_good_as_a_listed_one() {
        let evidence = Evidence::new(&["acme".to_owned()]).unwrap();
        let digest = b"1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d";
        for left in ["acmeKey := \"", "frobnicatorKey := \"", "frobnicator ACCESS ", "FROB_KEY="] {
            assert!(evidence.weigh(left.as_bytes(), digest), "{left}");
            assert!(evidence.is_armed(left.as_bytes()), "{left}");
        }
        for left in ["key := \"", "cacheKey := \"", "primary_key = ", "frob_key[", "frobKeyOf(\n  "] {
            assert!(!evidence.weigh(left.as_bytes(), digest), "{left}");
        }
        assert!(!evidence.weigh(b"frob_private_key = ", b"X25519_PRIVATE_KEY_LEN"));
    }

    #[test]
    fn what_is_a_kind_of_value_may_be_held() {
        let letters = b"abcXYZ019-_";
        let mut state = 1u32;
        for len in 1..4000usize {
            let mut value = Vec::new();
            for _ in 0..12 + len % 30 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                value.push(letters[(state >> 16) as usize % (3 + len % 9)]);
            }
            assert!(
                Kind::of(&value).is_none() || may_hold_value(&value),
                "{}",
                String::from_utf8_lossy(&value)
            );
        }
        assert!(may_hold_value(b"k3Jx9QmZ2pLw8Rt5"));
        assert!(!may_hold_value(b"internationalisation"));
    }
}
