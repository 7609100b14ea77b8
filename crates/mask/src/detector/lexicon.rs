//! The words that detectors weigh, kept as data in `detectors/words.yaml`.

use std::collections::HashSet;
use std::sync::OnceLock;

/// The file, as it is written: lists of words, each explained there.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    strong: Vec<String>,
    key: Vec<String>,
    weak: Vec<String>,
    glue: Vec<String>,
    compounds: Vec<String>,
    ordinary: Vec<String>,
    against: Vec<String>,
    identifiers: Vec<String>,
    known: Vec<String>,
    documented: Vec<String>,
    about: Vec<String>,
    harmless: Vec<String>,
    trivial: Vec<String>,
    not_passwords: Vec<String>,
    placeholders: Vec<String>,
    stand_ins: Vec<String>,
}

/// How much a word for a credential says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Counts beside a service's name.
    Weak,
    /// Counts where the value is assigned to it, for other values than digests.
    Key,
    /// Is enough by itself.
    Strong,
}

/// The words, ready to be compared with.
pub(super) struct Lexicon {
    /// Words for credentials.
    pub(super) credentials: Vec<(String, Weight)>,
    /// May stand between a word for a credential and its value.
    pub(super) glue: HashSet<Vec<u8>>,
    /// What a service's name may be grown together with.
    pub(super) compounds: Vec<String>,
    /// Words of a name that say nothing of whose the credential is.
    pub(super) ordinary: HashSet<Vec<u8>>,
    /// Right before a value: it is a digest, an identifier or public.
    pub(super) against: HashSet<Vec<u8>>,
    /// Beginnings of identifiers, in lower case.
    pub(super) identifiers: Beginnings,
    /// Beginnings that say whose key it is.
    pub(super) known: Beginnings,
    /// Printed by standards and manuals as examples.
    pub(super) documented: HashSet<Vec<u8>>,
    /// Last words of a name whose value is about a credential.
    pub(super) about: HashSet<Vec<u8>>,
    /// Words of a name whose value is public.
    pub(super) harmless: HashSet<Vec<u8>>,
    /// Written for a password in documentation's URLs.
    pub(super) trivial: HashSet<Vec<u8>>,
    /// Stand where a password could.
    pub(super) not_passwords: HashSet<Vec<u8>>,
    /// Parts of a value that only stands for one, anywhere.
    pub(super) placeholders: Vec<String>,
    /// Parts of a value that only stands for one, behind nothing but a name.
    pub(super) stand_ins: Vec<String>,
}

/// Beginnings of values; most values are told by their first byte to have none of them.
pub(super) struct Beginnings {
    first: [bool; 256],
    all: Vec<Vec<u8>>,
}

impl Beginnings {
    fn new(all: Vec<String>) -> Self {
        let mut first = [false; 256];
        for byte in all.iter().filter_map(|one| one.bytes().next()) {
            if let Some(slot) = first.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
        Self { first, all: all.into_iter().map(String::into_bytes).collect() }
    }

    /// Whether `value` begins with one of them.
    pub(super) fn begin(&self, value: &[u8]) -> bool {
        let first = value.first().and_then(|b| self.first.get(usize::from(*b)));
        first == Some(&true) && self.all.iter().any(|one| value.starts_with(one))
    }
}

/// The shipped words; read at the first call.
///
/// # Panics
/// Never in a build whose tests passed: the file is part of the program.
#[expect(clippy::panic, reason = "a shipped file that does not load is a broken build, caught by the tests")]
pub(super) fn lexicon() -> &'static Lexicon {
    static READ: OnceLock<Lexicon> = OnceLock::new();
    READ.get_or_init(|| match serde_saphyr::from_str(include_str!("../../../../detectors/words.yaml")) {
        Ok(file) => Lexicon::new(file),
        Err(error) => panic!("the shipped words are broken: {error}"),
    })
}

impl Lexicon {
    fn new(file: File) -> Self {
        let set = |words: Vec<String>| words.into_iter().map(String::into_bytes).collect();
        let weighed = |words: Vec<String>, weight| words.into_iter().map(move |word| (word, weight));
        let credentials = weighed(file.strong, Weight::Strong)
            .chain(weighed(file.key, Weight::Key))
            .chain(weighed(file.weak, Weight::Weak))
            .collect();
        Self {
            credentials,
            glue: set(file.glue),
            compounds: file.compounds,
            ordinary: set(file.ordinary),
            against: set(file.against),
            identifiers: Beginnings::new(file.identifiers),
            known: Beginnings::new(file.known),
            documented: set(file.documented),
            about: set(file.about),
            harmless: set(file.harmless),
            trivial: set(file.trivial),
            not_passwords: set(file.not_passwords),
            placeholders: file.placeholders,
            stand_ins: file.stand_ins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_and_beginnings_are_found() {
        let words = lexicon();
        let lower = |word: &[u8]| !word.iter().any(u8::is_ascii_uppercase);
        assert!(words.credentials.iter().all(|(word, _)| lower(word.as_bytes())));
        for set in
            [&words.glue, &words.against, &words.about, &words.harmless, &words.trivial, &words.not_passwords]
        {
            assert!(set.iter().all(|word| lower(word)));
        }
        assert!(
            words
                .identifiers
                .all
                .iter()
                .chain(
                    words
                        .placeholders
                        .iter()
                        .map(String::as_bytes)
                        .map(<[u8]>::to_vec)
                        .collect::<Vec<_>>()
                        .iter()
                )
                .all(|word| lower(word))
        );
        assert!(words.known.begin(b"ghp_x") && !words.known.begin(b"gh") && !words.known.begin(b""));
    }
}
