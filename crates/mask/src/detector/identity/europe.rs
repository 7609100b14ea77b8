//! Check digits of identifiers of people in Europe.

use super::digits::{control_letter, date_at, last_is, luhn, number, two, weighted};

pub(super) fn nhs(d: &[u32]) -> bool {
    last_is(d, |n| (11 - n % 11) % 11, &[10, 9, 8, 7, 6, 5, 4, 3, 2])
}

pub(super) fn pesel_date(d: &[u32]) -> bool {
    (1..=12).contains(&(two(d, 2) % 20)) && (1..=31).contains(&two(d, 4))
}

pub(super) fn codice_fiscale(c: &[u8]) -> bool {
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

pub(super) fn nie(d: &[u32], c: &[u8]) -> bool {
    let lead = match c.first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return false,
    };
    d.len() == 7 && control_letter(lead * 10_000_000 + number(d), c)
}

pub(super) fn hetu(value: &[u8]) -> bool {
    let digit = |at: usize| value.get(at).filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let digits: Option<Vec<u32>> = [0, 1, 2, 3, 4, 5, 7, 8, 9].into_iter().map(digit).collect();
    let Some(d) = digits else { return false };
    let control = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let expected = usize::try_from(number(&d) % 31).ok().and_then(|n| control.get(n));
    date_at(&d, 4, 2, 0) && value.get(10).map(u8::to_ascii_uppercase).as_ref() == expected
}

pub(super) fn personnummer(d: &[u32]) -> bool {
    let ten = match d.len() {
        10 => d,
        12 if matches!(two(d, 0), 18..=20) => d.get(2..).unwrap_or_default(),
        _ => return false,
    };
    let day = two(ten, 4);
    (1..=12).contains(&two(ten, 2)) && (matches!(day, 1..=31 | 61..=91)) && luhn(ten)
}

/// The last character is the control digit of those before; letters count as 10 to 35.
pub(super) fn icao(c: &[u8]) -> bool {
    let value = |byte: &u8| {
        if byte.is_ascii_digit() { u32::from(byte - b'0') } else { u32::from(byte.wrapping_sub(b'A')) + 10 }
    };
    c.split_last().is_some_and(|(last, head)| {
        let values: Vec<u32> = head.iter().map(value).collect();
        last.is_ascii_digit() && weighted(&values, &[7, 3, 1]) % 10 == u32::from(last - b'0')
    })
}

/// Of the first ten digits, one occurs twice or thrice, and no other does.
pub(super) fn repeats_once(d: &[u32]) -> bool {
    let head = d.get(..10).unwrap_or_default();
    let counts: Vec<usize> =
        (0..10).map(|n| head.iter().filter(|digit| **digit == n).count()).filter(|n| *n > 1).collect();
    counts.len() <= 1 && counts.iter().all(|n| *n <= 3)
}

pub(super) fn german_health(c: &[u8]) -> bool {
    let Some((first, rest)) = c.split_first().filter(|_| c.len() == 10) else { return false };
    let letter = u32::from(first.wrapping_sub(b'A')) + 1;
    let tail: Vec<u32> = rest.iter().map(|b| u32::from(b.wrapping_sub(b'0'))).collect();
    let Some((last, head)) = tail.split_last() else { return false };
    let digits: Vec<u32> = [&[letter / 10, letter % 10], head].concat();
    let sum: u32 =
        digits.iter().zip([1, 2].iter().cycle()).map(|(n, weight)| n * weight).map(|n| n / 10 + n % 10).sum();
    sum % 10 == *last
}

pub(super) fn german_pension(c: &[u8]) -> bool {
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

pub(super) fn lanr(d: &[u32]) -> bool {
    let head = d.get(..6).unwrap_or_default();
    let control = (10 - weighted(head, &[4, 9]) % 10) % 10;
    d.get(6) == Some(&control) && two(d, 7) != 0
}

pub(super) fn nir(d: &[u32]) -> bool {
    let (head, key) = (number(d.get(..13).unwrap_or_default()), two(d, 13));
    d.len() == 15
        && matches!(d.first(), Some(1 | 2))
        && matches!(two(d, 3), 1..=12 | 20..=42)
        && 97 - head % 97 == key
}

pub(super) fn belgian(d: &[u32]) -> bool {
    let (head, key) = (number(d.get(..9).unwrap_or_default()), two(d, 9));
    97 - head % 97 == key || 97 - (2_000_000_000 + head) % 97 == key
}

pub(super) fn bsn(d: &[u32]) -> bool {
    let Some((last, head)) = d.split_last() else { return false };
    let sum = weighted(head, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum >= *last && (sum - last).is_multiple_of(11)
}

pub(super) fn fodselsnummer(d: &[u32]) -> bool {
    weighted(d.get(..10).unwrap_or_default(), &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

pub(super) fn cnp(d: &[u32]) -> bool {
    let rest = weighted(d.get(..12).unwrap_or_default(), &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    d.get(12) == Some(&(if rest == 10 { 1 } else { rest })) && matches!(d.first(), Some(1..=8))
}
