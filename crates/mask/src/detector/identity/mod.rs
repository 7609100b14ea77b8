//! Check digits and structures of identifiers of people and organisations.

mod digits;
mod europe;
mod mailbox;
mod money;
mod world;

use digits::{
    control_letter, date_at, is_sequence, iso_11_10, last_is, luhn, number, varied, verhoeff, weighted,
};
use europe::{
    belgian, bsn, cnp, codice_fiscale, fodselsnummer, german_health, german_pension, hetu, icao, lanr, nhs,
    nie, nir, personnummer, pesel_date, repeats_once,
};
use mailbox::is_mailbox;
use money::{aba_range, base58_check, bech32, is_card, is_iban};
use world::{
    abn, chinese, cnpj, cpf, cuit, is_dea, is_ssn, korean, korean_company, medicare, nric, rut, tckn, thai,
};

/// An identifier with something to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Identity {
    /// A payment card: issuer range, length, Luhn.
    Card,
    /// IBAN: the country's length, remainder of 97.
    Iban,
    /// ABA routing number: weights 3, 7, 1.
    Aba,
    /// US social security number: no area, group or serial that is never issued.
    Ssn,
    /// US provider number: Luhn behind 80840.
    Npi,
    /// US DEA registration.
    Dea,
    /// UK NHS number: mod 11.
    Nhs,
    /// Brazil, person.
    Cpf,
    /// Brazil, company.
    Cnpj,
    /// Verhoeff: Aadhaar, Nigerian NIN.
    Verhoeff,
    /// Poland.
    Pesel,
    /// Italy, person: control character.
    CodiceFiscale,
    /// Italy, company; Luhn.
    Luhn,
    /// Spain, person: control letter.
    Dni,
    /// Spain, foreigner.
    Nie,
    /// Finland: date and control character.
    Hetu,
    /// Sweden: date and Luhn over the last ten digits.
    Personnummer,
    /// Sweden, company.
    Organisationsnummer,
    /// Thailand: mod 11.
    ThaiId,
    /// Turkey.
    Tckn,
    /// Germany, identity card and passport: weights 7, 3, 1.
    IcaoCheck,
    /// Germany, tax number: ISO 7064 mod 11, 10; one digit twice or thrice.
    GermanTax,
    /// Germany, VAT number: ISO 7064 mod 11, 10.
    GermanVat,
    /// Germany, health insurance.
    GermanHealth,
    /// Germany, pension insurance.
    GermanPension,
    /// Germany, physician: weights 4, 9.
    Lanr,
    /// Korea, resident or foreigner: date and digit of the century.
    KoreanResident,
    /// Korea, company.
    KoreanCompany,
    /// Singapore, person.
    Nric,
    /// India, tax.
    Gstin,
    /// Australia, company.
    Abn,
    /// Australia, company number.
    Acn,
    /// Australia, tax.
    Tfn,
    /// Australia, health.
    Medicare,
    /// Bitcoin address: base58 with its checksum.
    Base58Check,
    /// Bitcoin address: bech32 or bech32m.
    Bech32,
    /// France: mod 97.
    Nir,
    /// Belgium: mod 97.
    BelgianNational,
    /// Netherlands: eleven test.
    Bsn,
    /// Norway: two control digits.
    Fodselsnummer,
    /// China: ISO 7064 mod 11, 2, and a date.
    ChineseResident,
    /// Chile: mod 11.
    Rut,
    /// Argentina: mod 11.
    Cuit,
    /// South Africa: date and Luhn.
    SouthAfrican,
    /// Switzerland: EAN-13 behind 756.
    Ahv,
    /// Romania: date and weights.
    Cnp,
    /// A phone number has 8 to 15 digits, not all alike.
    PhoneDigits,
    /// A mail address of somebody: no documented example, no file name.
    Mailbox,
}

impl Identity {
    pub(super) fn holds(self, value: &[u8]) -> bool {
        let digits: Vec<u32> =
            value.iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0')).collect();
        let d = digits.as_slice();
        let compact: Vec<u8> =
            value.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
        let c = compact.as_slice();
        match self {
            Self::Card => is_card(d),
            Self::Iban => is_iban(c),
            Self::Aba => d.len() == 9 && weighted(d, &[3, 7, 1]).is_multiple_of(10) && aba_range(d),
            Self::Ssn => is_ssn(d),
            Self::Npi => {
                d.len() == 10 && matches!(d.first(), Some(1 | 2)) && luhn(&[&[8, 0, 8, 4, 0], d].concat())
            }
            Self::Dea => d.len() == 7 && is_dea(d),
            Self::Nhs => d.len() == 10 && varied(d) && nhs(d),
            Self::Cpf => d.len() == 11 && varied(d) && cpf(d),
            Self::Cnpj => d.len() == 14 && varied(d) && cnpj(d),
            Self::Verhoeff => varied(d) && verhoeff(d),
            Self::Pesel => {
                d.len() == 11 && last_is(d, |n| (10 - n % 10) % 10, &[1, 3, 7, 9]) && pesel_date(d)
            }
            Self::CodiceFiscale => codice_fiscale(c),
            Self::Luhn => varied(d) && luhn(d),
            Self::Dni => control_letter(number(d), c),
            Self::Nie => nie(d, c),
            Self::Hetu => hetu(value),
            Self::Personnummer => personnummer(d),
            Self::Organisationsnummer => d.len() == 10 && d.get(2).is_some_and(|n| *n >= 2) && luhn(d),
            Self::ThaiId => thai(d),
            Self::Tckn => tckn(d),
            Self::IcaoCheck => icao(c),
            Self::GermanTax => d.len() == 11 && d.first() != Some(&0) && repeats_once(d) && iso_11_10(d),
            Self::GermanVat => d.len() == 9 && d.first() != Some(&0) && iso_11_10(d),
            Self::GermanHealth => german_health(c),
            Self::GermanPension => german_pension(c),
            Self::Lanr => d.len() == 9 && varied(d) && lanr(d),
            Self::KoreanResident => d.len() == 13 && varied(d) && date_at(d, 0, 2, 4) && korean(d),
            Self::KoreanCompany => d.len() == 10 && korean_company(d),
            Self::Nric => nric(c),
            Self::Gstin => {
                c.len() == 15
                    && number(d.get(..2).unwrap_or_default()) >= 1
                    && number(d.get(..2).unwrap_or_default()) <= 38
            }
            Self::Abn => d.len() == 11 && varied(d) && abn(d),
            Self::Acn => {
                d.len() == 9
                    && d.iter().any(|n| *n > 0)
                    && last_is(d, |n| (10 - n % 10) % 10, &[8, 7, 6, 5, 4, 3, 2, 1])
            }
            Self::Tfn => {
                d.len() == 9 && varied(d) && weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
            }
            Self::Medicare => d.len() == 10 && matches!(d.first(), Some(2..=6)) && medicare(d),
            Self::Base58Check => base58_check(value),
            Self::Bech32 => bech32(value),
            Self::Nir => nir(d),
            Self::BelgianNational => d.len() == 11 && date_at(d, 0, 2, 4) && belgian(d),
            Self::Bsn => d.len() == 9 && varied(d) && bsn(d),
            Self::Fodselsnummer => d.len() == 11 && date_at(d, 4, 2, 0) && fodselsnummer(d),
            Self::ChineseResident => chinese(c),
            Self::Rut => rut(c),
            Self::Cuit => d.len() == 11 && cuit(d),
            Self::SouthAfrican => d.len() == 13 && date_at(d, 0, 2, 4) && luhn(d),
            Self::Ahv => d.len() == 13 && last_is(d, |n| (10 - n % 10) % 10, &[1, 3]),
            Self::Cnp => d.len() == 13 && date_at(d, 1, 3, 5) && cnp(d),
            Self::PhoneDigits => (8..=15).contains(&d.len()) && varied(d) && !is_sequence(d),
            Self::Mailbox => is_mailbox(value),
        }
    }
}
