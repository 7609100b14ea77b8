//! Accounts that belong to one person: whoever has several, at one issuer or at many, is one when it comes to deciding.

use std::collections::HashMap;

use crate::PrincipalRef;

/// Which accounts are whose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People(HashMap<PrincipalRef, PrincipalRef>);

impl People {
    /// Each list holds the accounts of one person. An account that stands in two lists belongs to whom names it first.
    pub fn new(lists: impl IntoIterator<Item = Vec<PrincipalRef>>) -> Self {
        let mut of = HashMap::new();
        for list in lists {
            let Some(person) = list.first().cloned() else { continue };
            for account in list {
                of.entry(account).or_insert_with(|| person.clone());
            }
        }
        Self(of)
    }

    /// The account that stands for the person behind this one.
    pub fn behind<'a>(&'a self, account: &'a PrincipalRef) -> &'a PrincipalRef {
        self.0.get(account).unwrap_or(account)
    }

    /// Whether one person is behind both.
    pub fn same(&self, one: &PrincipalRef, other: &PrincipalRef) -> bool {
        self.behind(one) == self.behind(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_104_accounts_of_one_person_are_one() {
        let account =
            |issuer: &str, subject: &str| PrincipalRef { issuer: issuer.into(), subject: subject.into() };
        let (work, home, other) = (account("a", "olivia"), account("b", "o"), account("a", "o"));
        let people = People::new([vec![work.clone(), home.clone()], vec![]]);
        assert!(people.same(&work, &home) && people.same(&home, &work) && people.same(&other, &other));
        assert!(!people.same(&work, &other) && !people.same(&home, &other));
        assert!(!People::default().same(&work, &home));
    }
}
