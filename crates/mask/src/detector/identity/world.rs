//! Check digits of identifiers of people outside of Europe.

use super::digits::{date_at, last_is, mod11_control, number, two, varied, weighted};

pub(super) fn is_ssn(d: &[u32]) -> bool {
    let (area, group, serial) =
        (number(d.get(..3).unwrap_or_default()), two(d, 3), number(d.get(5..).unwrap_or_default()));
    let documented = matches!(number(d), 78_051_120 | 219_099_999 | 123_456_789 | 987_654_321);
    d.len() == 9 && varied(d) && !documented && !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

pub(super) fn is_dea(d: &[u32]) -> bool {
    let at = |n: usize| d.get(n).copied().unwrap_or_default();
    (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10 == at(6)
}

pub(super) fn cpf(d: &[u32]) -> bool {
    let (a, b) = (d.get(..9).unwrap_or_default(), d.get(..10).unwrap_or_default());
    Some(&mod11_control(a, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(9)
        && Some(&mod11_control(b, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(10)
}

pub(super) fn cnpj(d: &[u32]) -> bool {
    let (a, b) = (d.get(..12).unwrap_or_default(), d.get(..13).unwrap_or_default());
    Some(&mod11_control(a, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(12)
        && Some(&mod11_control(b, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == d.get(13)
}

pub(super) fn thai(d: &[u32]) -> bool {
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

pub(super) fn tckn(d: &[u32]) -> bool {
    let (Some(head), Some([tenth, last])) = (d.get(..9), d.get(9..11)) else { return false };
    let odd: u32 = head.iter().step_by(2).sum();
    let even: u32 = head.iter().skip(1).step_by(2).sum();
    let all: u32 = d.iter().take(10).sum();
    d.len() == 11 && d.first() != Some(&0) && (odd * 7 + 10 * 9 - even) % 10 == *tenth && all % 10 == *last
}

/// Residents' control digit counts from 11, foreigners' from 13.
pub(super) fn korean(d: &[u32]) -> bool {
    let sum = weighted(d.get(..12).unwrap_or_default(), &[2, 3, 4, 5, 6, 7, 8, 9]) % 11;
    let from = if matches!(d.get(6), Some(5..=8)) { 13 } else { 11 };
    matches!(d.get(6), Some(1..=8)) && d.get(12) == Some(&((from - sum) % 10))
}

pub(super) fn korean_company(d: &[u32]) -> bool {
    let head = d.get(..8).unwrap_or_default();
    let ninth = d.get(8).copied().unwrap_or_default() * 5;
    let sum = weighted(head, &[1, 3, 7, 1, 3, 7, 1, 3]) + ninth / 10 + ninth % 10;
    d.get(9) == Some(&((10 - sum % 10) % 10))
}

pub(super) fn nric(c: &[u8]) -> bool {
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

pub(super) fn abn(d: &[u32]) -> bool {
    let Some((first, rest)) = d.split_first().filter(|(first, _)| **first > 0) else { return false };
    (10 * (first - 1) + weighted(rest, &[1, 3, 5, 7, 9, 11, 13, 15, 17, 19])).is_multiple_of(89)
}

pub(super) fn medicare(d: &[u32]) -> bool {
    d.get(8) == Some(&(weighted(d.get(..8).unwrap_or_default(), &[1, 3, 7, 9]) % 10))
}

pub(super) fn chinese(c: &[u8]) -> bool {
    let Some((last, head)) = c.split_last().filter(|_| c.len() == 18) else { return false };
    let d: Vec<u32> = head.iter().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    matches!(two(&d, 6), 18..=20) && date_at(&d, 8, 10, 12) && b"10X98765432".get(sum as usize) == Some(last)
}

pub(super) fn rut(c: &[u8]) -> bool {
    let Some((last, head)) = c.split_last() else { return false };
    let reversed: Vec<u32> = head.iter().rev().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let control = 11 - weighted(&reversed, &[2, 3, 4, 5, 6, 7]) % 11;
    b"0123456789K0".get(control as usize) == Some(last)
}

pub(super) fn cuit(d: &[u32]) -> bool {
    matches!(two(d, 0), 20 | 23 | 24 | 27 | 30 | 33 | 34)
        && last_is(d, |n| (11 - n % 11) % 11, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
}
