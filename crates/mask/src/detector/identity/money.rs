//! Check digits of cards, accounts and wallets.

use super::digits::{luhn, number, remainder_97, two, varied};

pub(super) fn is_card(d: &[u32]) -> bool {
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

/// Countries whose account numbers are digits only.
const NUMERIC_IBANS: &str = "ATBABECZDEDKEEESFIHRHUILISLTMENOPLPTRSSESISKXK";

pub(super) fn is_iban(c: &[u8]) -> bool {
    let country = c.get(..2).unwrap_or_default();
    let known = IBAN_LENGTHS.as_bytes().chunks(4).find(|entry| entry.starts_with(country));
    let length = known.and_then(|entry| std::str::from_utf8(entry.get(2..)?).ok()?.parse::<usize>().ok());
    let Some((head, tail)) = c.split_at_checked(4).filter(|_| length == Some(c.len())) else { return false };
    let numeric = NUMERIC_IBANS.as_bytes().chunks(2).any(|known| known == country);
    if numeric && !tail.iter().all(u8::is_ascii_digit) {
        return false;
    }
    remainder_97(&[tail, head].concat()) == 1
}

pub(super) fn aba_range(d: &[u32]) -> bool {
    matches!(two(d, 0), 1..=12 | 21..=32 | 61..=72 | 80)
}

pub(super) fn base58_check(value: &[u8]) -> bool {
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

pub(super) fn bech32(value: &[u8]) -> bool {
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
