//! Check digits and structures of identifiers of people and organisations.

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

/// Not one digit over and over.
fn varied(d: &[u32]) -> bool {
    d.iter().any(|n| Some(n) != d.first())
}

fn is_sequence(d: &[u32]) -> bool {
    d.windows(2).all(|pair| matches!(pair, [a, b] if *b == (a + 1) % 10))
}

fn number(d: &[u32]) -> u64 {
    d.iter().fold(0, |n, digit| n.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// The sum of digits by weights, which repeat.
fn weighted(d: &[u32], weights: &[u32]) -> u32 {
    d.iter().zip(weights.iter().cycle()).map(|(digit, weight)| digit * weight).sum()
}

/// Whether the last digit is `control` of the weighted sum of those before.
fn last_is(d: &[u32], control: impl Fn(u32) -> u32, weights: &[u32]) -> bool {
    d.split_last().is_some_and(|(last, head)| control(weighted(head, weights)) == *last)
}

fn luhn(d: &[u32]) -> bool {
    let double = |n: u32| if n > 4 { 2 * n - 9 } else { 2 * n };
    let sum: u32 =
        d.iter().rev().enumerate().map(|(n, digit)| if n % 2 == 1 { double(*digit) } else { *digit }).sum();
    d.len() > 1 && sum.is_multiple_of(10)
}

fn two(d: &[u32], at: usize) -> u64 {
    number(d.get(at..at + 2).unwrap_or_default())
}

/// Whether a day of a month stands there, in two digits each.
fn date_at(d: &[u32], _year: usize, month: usize, day: usize) -> bool {
    (1..=12).contains(&two(d, month)) && (1..=31).contains(&two(d, day))
}

fn is_card(d: &[u32]) -> bool {
    let begins = number(d.get(..4).unwrap_or_default());
    let issued = match d.len() {
        13 => begins / 1000 == 4,
        14 => matches!(begins, 3000..=3059 | 3600..=3699 | 3800..=3999),
        15 => matches!(begins, 3400..=3499 | 3700..=3799 | 2131 | 1800),
        16 => {
            matches!(begins, 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 | 6360..=6399 | 8100..=8171)
        }
        17..=19 => {
            matches!(begins, 6200..=6299 | 4000..=4999 | 5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763)
        }
        _ => false,
    };
    // Of sixteen digits, a card's account number is never one digit only.
    issued && varied(d.get(4..).unwrap_or_default()) && luhn(d)
}

const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22\
GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30\
NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SD18SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";

fn is_iban(c: &[u8]) -> bool {
    let country = c.get(..2).unwrap_or_default();
    let known = IBAN_LENGTHS.as_bytes().chunks(4).find(|entry| entry.starts_with(country));
    let length = known.and_then(|entry| std::str::from_utf8(entry.get(2..)?).ok()?.parse::<usize>().ok());
    if length != Some(c.len()) {
        return false;
    }
    let (head, tail) = c.split_at(4);
    remainder_97(&[tail, head].concat()) == 1
}

/// Letters count as 10 to 35.
fn remainder_97(c: &[u8]) -> u32 {
    c.iter().fold(0, |n, byte| match byte {
        b'0'..=b'9' => (n * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (n * 100 + u32::from(byte - b'A') + 10) % 97,
        _ => n,
    })
}

fn aba_range(d: &[u32]) -> bool {
    matches!(two(d, 0), 1..=12 | 21..=32 | 61..=72 | 80)
}

fn is_ssn(d: &[u32]) -> bool {
    let (area, group, serial) =
        (number(d.get(..3).unwrap_or_default()), two(d, 3), number(d.get(5..).unwrap_or_default()));
    let documented = matches!(number(d), 78_051_120 | 219_099_999 | 123_456_789 | 987_654_321);
    d.len() == 9 && varied(d) && !documented && !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

fn is_dea(d: &[u32]) -> bool {
    let at = |n: usize| d.get(n).copied().unwrap_or_default();
    (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10 == at(6)
}

fn nhs(d: &[u32]) -> bool {
    last_is(d, |n| (11 - n % 11) % 11, &[10, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn mod11_control(d: &[u32], weights: &[u32]) -> u32 {
    let rest = weighted(d, weights) % 11;
    if rest < 2 { 0 } else { 11 - rest }
}

fn cpf(d: &[u32]) -> bool {
    let (a, b) = (d.get(..9).unwrap_or_default(), d.get(..10).unwrap_or_default());
    Some(&mod11_control(a, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(9)
        && Some(&mod11_control(b, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(10)
}

fn cnpj(d: &[u32]) -> bool {
    let (a, b) = (d.get(..12).unwrap_or_default(), d.get(..13).unwrap_or_default());
    Some(&mod11_control(a, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(12)
        && Some(&mod11_control(b, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(13)
}

/// The dihedral group of order ten: what makes Verhoeff catch every transposition.
fn verhoeff(d: &[u32]) -> bool {
    const ROW: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let times = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b) % 5 + 5,
        (false, true) => (a + 10 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |n, _| ROW.get(n as usize).copied().unwrap_or_default())
    };
    d.iter().rev().enumerate().fold(0, |c, (n, digit)| times(c, permuted(*digit, n))) == 0
}

fn pesel_date(d: &[u32]) -> bool {
    (1..=12).contains(&(two(d, 2) % 20)) && (1..=31).contains(&two(d, 4))
}

fn codice_fiscale(c: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some((last, head)) = c.split_last().filter(|_| c.len() == 16) else { return false };
    let place = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
    let value = |(n, byte): (usize, &u8)| {
        let at = place(*byte);
        if n % 2 == 0 { ODD.get(usize::from(at)).copied().unwrap_or_default() } else { u32::from(at) }
    };
    head.iter().enumerate().map(value).sum::<u32>() % 26 == u32::from(last.wrapping_sub(b'A'))
}

fn control_letter(number: u64, c: &[u8]) -> bool {
    let letters = b"TRWAGMYFPDXBNJZSQVHLCKE";
    letters.iter().cycle().nth(usize::try_from(number % 23).unwrap_or_default()) == c.last()
}

fn nie(d: &[u32], c: &[u8]) -> bool {
    let lead = match c.first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return false,
    };
    d.len() == 7 && control_letter(lead * 10_000_000 + number(d), c)
}

fn hetu(value: &[u8]) -> bool {
    let digit = |at: usize| value.get(at).filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let digits: Option<Vec<u32>> = [0, 1, 2, 3, 4, 5, 7, 8, 9].into_iter().map(digit).collect();
    let Some(d) = digits else { return false };
    let control = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let expected = usize::try_from(number(&d) % 31).ok().and_then(|n| control.get(n));
    date_at(&d, 4, 2, 0) && value.get(10).map(u8::to_ascii_uppercase).as_ref() == expected
}

fn personnummer(d: &[u32]) -> bool {
    let ten = match d.len() {
        10 => d,
        12 if matches!(two(d, 0), 18..=20) => d.get(2..).unwrap_or_default(),
        _ => return false,
    };
    let day = two(ten, 4);
    (1..=12).contains(&two(ten, 2)) && (matches!(day, 1..=31 | 61..=91)) && luhn(ten)
}

fn thai(d: &[u32]) -> bool {
    let weights = [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    d.len() == 13
        && varied(d)
        && matches!(d.first(), Some(1..=8))
        && last_is(d, |n| (11 - n % 11) % 10, &weights)
        && thai_province(d)
}

/// Digits two and three name a province.
fn thai_province(d: &[u32]) -> bool {
    matches!(two(d, 1), 10..=27 | 30..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96)
}

fn tckn(d: &[u32]) -> bool {
    let (Some(head), Some([tenth, last])) = (d.get(..9), d.get(9..11)) else { return false };
    let odd: u32 = head.iter().step_by(2).sum();
    let even: u32 = head.iter().skip(1).step_by(2).sum();
    let all: u32 = d.iter().take(10).sum();
    d.len() == 11 && d.first() != Some(&0) && (odd * 7 + 10 * 9 - even) % 10 == *tenth && all % 10 == *last
}

/// The last character is the control digit of those before; letters count as 10 to 35.
fn icao(c: &[u8]) -> bool {
    let value = |byte: &u8| {
        if byte.is_ascii_digit() { u32::from(byte - b'0') } else { u32::from(byte.wrapping_sub(b'A')) + 10 }
    };
    c.split_last().is_some_and(|(last, head)| {
        let values: Vec<u32> = head.iter().map(value).collect();
        last.is_ascii_digit() && weighted(&values, &[7, 3, 1]) % 10 == u32::from(last - b'0')
    })
}

fn iso_11_10(d: &[u32]) -> bool {
    d.split_last().is_some_and(|(last, head)| {
        let product = head.iter().fold(10, |product, digit| {
            let sum = (digit + product) % 10;
            (if sum == 0 { 10 } else { sum }) * 2 % 11
        });
        (11 - product) % 10 == *last
    })
}

/// Of the first ten digits, one occurs twice or thrice, and no other does.
fn repeats_once(d: &[u32]) -> bool {
    let head = d.get(..10).unwrap_or_default();
    let counts: Vec<usize> =
        (0..10).map(|n| head.iter().filter(|digit| **digit == n).count()).filter(|n| *n > 1).collect();
    counts.len() <= 1 && counts.iter().all(|n| *n <= 3)
}

fn german_health(c: &[u8]) -> bool {
    let Some((first, rest)) = c.split_first().filter(|_| c.len() == 10) else { return false };
    let letter = u32::from(first.wrapping_sub(b'A')) + 1;
    let tail: Vec<u32> = rest.iter().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let Some((last, head)) = tail.split_last() else { return false };
    let digits: Vec<u32> = [&[letter / 10, letter % 10], head].concat();
    let sum: u32 =
        digits.iter().zip([1, 2].iter().cycle()).map(|(n, weight)| n * weight).map(|n| n / 10 + n % 10).sum();
    sum % 10 == *last
}

fn german_pension(c: &[u8]) -> bool {
    let mut digits: Vec<u32> = Vec::new();
    for byte in c {
        if byte.is_ascii_digit() {
            digits.push(u32::from(byte - b'0'));
        } else {
            let place = u32::from(byte.wrapping_sub(b'A')) + 1;
            digits.extend([place / 10, place % 10]);
        }
    }
    let Some((last, head)) = digits.split_last().filter(|_| digits.len() == 13) else { return false };
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 = head.iter().zip(weights).map(|(n, weight)| n * weight).map(|n| n / 10 + n % 10).sum();
    let (day, month) = (two(&digits, 2), two(&digits, 4));
    sum % 10 == *last && (1..=12).contains(&month) && matches!(day, 1..=31 | 51..=81)
}

fn lanr(d: &[u32]) -> bool {
    let head = d.get(..6).unwrap_or_default();
    let control = (10 - weighted(head, &[4, 9]) % 10) % 10;
    d.get(6) == Some(&control) && two(d, 7) != 0
}

/// Residents' control digit counts from 11, foreigners' from 13.
fn korean(d: &[u32]) -> bool {
    let sum = weighted(d.get(..12).unwrap_or_default(), &[2, 3, 4, 5, 6, 7, 8, 9]) % 11;
    let from = if matches!(d.get(6), Some(5..=8)) { 13 } else { 11 };
    matches!(d.get(6), Some(1..=8)) && d.get(12) == Some(&((from - sum) % 10))
}

fn korean_company(d: &[u32]) -> bool {
    let head = d.get(..8).unwrap_or_default();
    let ninth = d.get(8).copied().unwrap_or_default() * 5;
    let sum = weighted(head, &[1, 3, 7, 1, 3, 7, 1, 3]) + ninth / 10 + ninth % 10;
    d.get(9) == Some(&((10 - sum % 10) % 10))
}

fn nric(c: &[u8]) -> bool {
    let (Some(first), Some(last)) = (c.first(), c.last()) else { return false };
    let d: Vec<u32> = c.iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0')).collect();
    let (offset, letters): (u32, &[u8]) = match first {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return false,
    };
    let sum = (weighted(&d, &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
    let at = if *first == b'M' { 10 - sum } else { sum };
    d.len() == 7 && letters.get(at as usize) == Some(last)
}

fn abn(d: &[u32]) -> bool {
    let Some((first, rest)) = d.split_first().filter(|(first, _)| **first > 0) else { return false };
    (10 * (first - 1) + weighted(rest, &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19])).is_multiple_of(89)
}

fn medicare(d: &[u32]) -> bool {
    d.get(8) == Some(&(weighted(d.get(..8).unwrap_or_default(), &[1, 3, 7, 9]) % 10))
}

fn nir(d: &[u32]) -> bool {
    let (head, key) = (number(d.get(..13).unwrap_or_default()), two(d, 13));
    d.len() == 15
        && matches!(d.first(), Some(1 | 2))
        && matches!(two(d, 3), 1..=12 | 20..=42)
        && 97 - head % 97 == key
}

fn belgian(d: &[u32]) -> bool {
    let (head, key) = (number(d.get(..9).unwrap_or_default()), two(d, 9));
    97 - head % 97 == key || 97 - (2_000_000_000 + head) % 97 == key
}

fn bsn(d: &[u32]) -> bool {
    let Some((last, head)) = d.split_last() else { return false };
    let sum = weighted(head, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum >= *last && (sum - last).is_multiple_of(11)
}

fn fodselsnummer(d: &[u32]) -> bool {
    weighted(d.get(..10).unwrap_or_default(), &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn chinese(c: &[u8]) -> bool {
    let Some((last, head)) = c.split_last().filter(|_| c.len() == 18) else { return false };
    let d: Vec<u32> = head.iter().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    matches!(two(&d, 6), 18..=20) && date_at(&d, 8, 10, 12) && b"10X98765432".get(sum as usize) == Some(last)
}

fn rut(c: &[u8]) -> bool {
    let Some((last, head)) = c.split_last() else { return false };
    let reversed: Vec<u32> = head.iter().rev().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let control = 11 - weighted(&reversed, &[2, 3, 4, 5, 6, 7]) % 11;
    b"0123456789K0".get(control as usize) == Some(last)
}

fn cuit(d: &[u32]) -> bool {
    matches!(two(d, 0), 20 | 23 | 24 | 27 | 30 | 33 | 34)
        && last_is(d, |n| (11 - n % 11) % 11, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
}

fn cnp(d: &[u32]) -> bool {
    let rest = weighted(d.get(..12).unwrap_or_default(), &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    d.get(12) == Some(&(if rest == 10 { 1 } else { rest })) && matches!(d.first(), Some(1..=8))
}

fn base58_check(value: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 25];
    for byte in value {
        let Some(mut carry) = ALPHABET.iter().position(|b| b == byte).and_then(|n| u32::try_from(n).ok())
        else {
            return false;
        };
        for slot in bytes.iter_mut().rev() {
            carry += u32::from(*slot) * 58;
            *slot = u8::try_from(carry & 0xFF).unwrap_or_default();
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, check) = bytes.split_at(21);
    let hash = |bytes: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    matches!(body.first(), Some(0 | 5)) && hash(hash(body).as_ref()).as_ref().starts_with(check)
}

fn bech32(value: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = value.to_ascii_lowercase();
    let Some(split) = lower.iter().rposition(|b| *b == b'1') else { return false };
    let (head, tail) = lower.split_at(split);
    let mut values: Vec<u32> = head.iter().map(|b| u32::from(b >> 5)).collect();
    values.push(0);
    values.extend(head.iter().map(|b| u32::from(b & 31)));
    for byte in tail.iter().skip(1) {
        let Some(n) = ALPHABET.iter().position(|b| b == byte).and_then(|n| u32::try_from(n).ok()) else {
            return false;
        };
        values.push(n);
    }
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let mixed = GENERATOR.iter().enumerate().filter(|(n, _)| (top >> n) & 1 == 1);
        mixed.fold(((sum & 0x01ff_ffff) << 5) ^ value, |sum, (_, g)| sum ^ g)
    };
    matches!(values.into_iter().fold(1, step), 1 | 0x2bc8_30a3)
}

/// Ends of names that are files, not mail domains.
const FILES: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "ico",
    "js",
    "mjs",
    "ts",
    "tsx",
    "jsx",
    "json",
    "css",
    "scss",
    "html",
    "htm",
    "xml",
    "yaml",
    "yml",
    "toml",
    "lock",
    "txt",
    "log",
    "conf",
    "ini",
    "service",
    "timer",
    "socket",
    "mount",
    "target",
    "local",
    "internal",
    "example",
    "test",
    "invalid",
    "localhost",
    "lan",
    "dll",
    "exe",
    "tgz",
    "gz",
    "zip",
    "jar",
    "so",
    "java",
    "class",
    "cpp",
    "tar",
];

fn is_mailbox(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let mut halves = lower.splitn(2, |b| *b == b'@');
    let (Some(local), Some(domain)) = (halves.next(), halves.next()) else { return false };
    let last = domain.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let documented = [&b"example.com"[..], b"example.org", b"example.net"]
        .iter()
        .any(|d| domain == *d || domain.strip_suffix(*d).is_some_and(|rest| rest.ends_with(b".")));
    let invented =
        local.split(|b| !b.is_ascii_alphabetic()).any(|word| matches!(word, b"fake" | b"dummy" | b"nobody"));
    let shared = [&b"git"[..], b"noreply", b"no-reply", b"hg", b"svn"].contains(&local);
    !documented
        && !invented
        && !shared
        && !FILES.iter().any(|file| file.as_bytes() == last)
        && !local.starts_with(b".")
        && !local.ends_with(b".")
}
