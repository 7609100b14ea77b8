//! Arithmetic that check digits share.

/// Not one digit over and over.
pub(super) fn varied(d: &[u32]) -> bool {
    d.iter().any(|n| Some(n) != d.first())
}

pub(super) fn is_sequence(d: &[u32]) -> bool {
    d.windows(2).all(|pair| matches!(pair, [a, b] if *b == (a + 1) % 10))
}

pub(super) fn number(d: &[u32]) -> u64 {
    d.iter().fold(0, |n, digit| n.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// The sum of digits by weights, which repeat.
pub(super) fn weighted(d: &[u32], weights: &[u32]) -> u32 {
    d.iter().zip(weights.iter().cycle()).map(|(digit, weight)| digit * weight).sum()
}

/// Whether the last digit is `control` of the weighted sum of those before.
pub(super) fn last_is(d: &[u32], control: impl Fn(u32) -> u32, weights: &[u32]) -> bool {
    d.split_last().is_some_and(|(last, head)| control(weighted(head, weights)) == *last)
}

pub(super) fn luhn(d: &[u32]) -> bool {
    let double = |n: u32| if n > 4 { 2 * n - 9 } else { 2 * n };
    let sum: u32 =
        d.iter().rev().enumerate().map(|(n, digit)| if n % 2 == 1 { double(*digit) } else { *digit }).sum();
    d.len() > 1 && sum.is_multiple_of(10)
}

pub(super) fn two(d: &[u32], at: usize) -> u64 {
    number(d.get(at..at + 2).unwrap_or_default())
}

/// Whether a day of a month stands there, in two digits each.
pub(super) fn date_at(d: &[u32], _year: usize, month: usize, day: usize) -> bool {
    (1..=12).contains(&two(d, month)) && (1..=31).contains(&two(d, day))
}

/// Letters count as 10 to 35.
pub(super) fn remainder_97(c: &[u8]) -> u32 {
    c.iter().fold(0, |n, byte| match byte {
        b'0'..=b'9' => (n * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (n * 100 + u32::from(byte - b'A') + 10) % 97,
        _ => n,
    })
}

pub(super) fn mod11_control(d: &[u32], weights: &[u32]) -> u32 {
    let rest = weighted(d, weights) % 11;
    if rest < 2 { 0 } else { 11 - rest }
}

/// The dihedral group of order ten: what makes Verhoeff catch every transposition.
pub(super) fn verhoeff(d: &[u32]) -> bool {
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

pub(super) fn iso_11_10(d: &[u32]) -> bool {
    d.split_last().is_some_and(|(last, head)| {
        let product = head.iter().fold(10, |product, digit| {
            let sum = (digit + product) % 10;
            (if sum == 0 { 10 } else { sum }) * 2 % 11
        });
        (11 - product) % 10 == *last
    })
}

pub(super) fn control_letter(number: u64, c: &[u8]) -> bool {
    let letters = b"TRWAGMYFPDXBNJZSQVHLCKE";
    letters.iter().cycle().nth(usize::try_from(number % 23).unwrap_or_default()) == c.last()
}
