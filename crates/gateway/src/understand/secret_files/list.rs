//! The list of secret files, read once from the data beside it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use serde::Deserialize;

use super::glob::Glob;

const DATA: &str = include_str!("list.yaml");

/// What the data says of one kind of secret.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[cfg_attr(not(test), expect(dead_code, reason = "for who reads the list, and its tests"))]
    pub(super) id: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for who reads the list, and its tests"))]
    pub(super) about: String,
    #[serde(default)]
    pub(super) patterns: Vec<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) addresses: Vec<IpAddr>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for who reads the list, and its tests"))]
    pub(super) examples: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for who reads the list, and its tests"))]
    pub(super) counterexamples: Vec<String>,
}

/// A pattern: the parts of a path that it wants, one after another.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) parts: Vec<Glob>,
    /// Last names in a path that are none of these secrets; shared by the patterns of an entry.
    pub(super) except: usize,
}

/// The list, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) wanted: Vec<Wanted>,
    pub(super) excepts: Vec<Vec<Glob>>,
    /// Patterns by a part that stands in them literally, and where it stands.
    by_name: HashMap<String, Vec<(usize, usize)>>,
    /// Patterns of which every part holds a wildcard.
    loose: Vec<usize>,
    pub(super) hosts: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// Nothing where the data cannot be read, which a test rules out; then everything counts as a secret file.
pub(super) static LIST: LazyLock<Option<List>> =
    LazyLock::new(|| entries().map(|entries| List::of(&entries)));

pub(super) fn entries() -> Option<Vec<Entry>> {
    serde_saphyr::from_str(DATA).ok()
}

impl List {
    fn of(entries: &[Entry]) -> Self {
        let mut list = Self::default();
        for entry in entries {
            let except = list.excepts.len();
            list.excepts.push(entry.except.iter().map(|name| Glob::wanted(name)).collect());
            list.hosts.extend_from_slice(&entry.hosts);
            list.addresses.extend_from_slice(&entry.addresses);
            for pattern in &entry.patterns {
                let number = list.wanted.len();
                let literal = pattern.split('/').enumerate().filter(|(_, part)| !part.contains('*'));
                // The longest is the rarest.
                match literal.max_by_key(|(_, part)| part.len()) {
                    Some((at, part)) => list.by_name.entry(part.to_owned()).or_default().push((number, at)),
                    None => list.loose.push(number),
                }
                list.wanted.push(Wanted { parts: pattern.split('/').map(Glob::wanted).collect(), except });
            }
        }
        list
    }

    /// The patterns that may fit a path with this part at `at`, and where in the path they would begin.
    pub(super) fn candidates(&self, part: &str, at: usize) -> impl Iterator<Item = (&Wanted, usize)> {
        let named = self.by_name.get(part).into_iter().flatten();
        let named = named.filter_map(move |(number, within)| Some((*number, at.checked_sub(*within)?)));
        let loose = self.loose.iter().map(move |number| (*number, at));
        named.chain(loose).filter_map(|(number, from)| Some((self.wanted.get(number)?, from)))
    }
}
