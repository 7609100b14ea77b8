//! How another value of the same form is made.

use super::identity::Identity;

/// What a surrogate must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Card,
    Iban,
    Ssn,
    Phone,
    /// What the detector itself would find.
    Checked,
    /// Any letters and digits.
    Free,
}

impl Scheme {
    /// Addresses and names have no form that another one could keep.
    pub(super) const fn of(identity: Identity) -> Option<Self> {
        match identity {
            Identity::Mailbox | Identity::Base58Check | Identity::Bech32 => None,
            Identity::Card => Some(Self::Card),
            Identity::Iban => Some(Self::Iban),
            Identity::Ssn => Some(Self::Ssn),
            Identity::PhoneDigits => Some(Self::Phone),
            _ => Some(Self::Checked),
        }
    }

    /// Of a field's value, which no detector has found.
    pub(crate) fn of_field(value: &[u8]) -> Self {
        let plain = value.iter().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-'));
        if plain && Identity::Card.holds(value) {
            Self::Card
        } else if Identity::Iban.holds(value) {
            Self::Iban
        } else if value.first() == Some(&b'+') {
            Self::Phone
        } else {
            Self::Free
        }
    }
}
