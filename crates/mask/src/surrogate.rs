//! Another value of the same form: cards, identifiers and phone numbers for programs that check what they read.
//!
//! Length and separators stay, digits become digits and letters letters, by a keyed function of the value without its
//! separators; check digits hold. The function is no permutation: two values may become the same one, which nobody can
//! undo, not even with the key.
//!
//! Where a range exists that is never issued, the surrogate is in it: cards begin with 9999 (industry 9, country code 999,
//! which nobody has: ISO/IEC 7812-1, ISO 3166-1), IBANs with XX (user-assigned in ISO 3166-1), US social security numbers
//! are 9xx-01 to 9xx-49 (neither they nor taxpayer numbers are issued there), phone numbers with a country code begin
//! with +999 (unassigned in E.164), American ones are 555-01xx (reserved for fiction). Other identifiers have no such
//! range: their surrogates hold their check digits, and may be somebody's. None is found where no valid one turns up
//! within [`TRIES_MAX`] tries; the value is redacted then.

use aws_lc_rs::hmac;

use crate::detector::{Detector, Scheme};

/// The longest value that gets one, in bytes.
pub const SURROGATE_BYTES_MAX: usize = 64;
/// The fewest digits: of fewer there are too few different ones.
const DIGITS_MIN: usize = 6;
/// How many candidates are looked at.
const TRIES_MAX: usize = 4096;

/// The surrogate of a value that `detector` found, or that a field holds.
pub(crate) fn surrogate(key: &hmac::Key, value: &[u8], detector: Option<&Detector>) -> Option<String> {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    if value.len() > SURROGATE_BYTES_MAX || digits < DIGITS_MIN || !value.is_ascii() {
        return None;
    }
    let compact: Vec<u8> =
        value.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
    let mut random = Random::new(key, &compact);
    let scheme = match detector {
        Some(detector) => detector.scheme()?,
        None => Scheme::of_field(value),
    };
    let made = match scheme {
        Scheme::Card => card(&compact, &mut random)?,
        Scheme::Iban => iban(&compact, &mut random)?,
        Scheme::Ssn => ssn(&compact, &mut random)?,
        Scheme::Phone => phone(value, &compact, &mut random)?,
        Scheme::Free => random.like(&compact),
        Scheme::Checked => {
            let detector = detector?;
            let candidate = |_| spread(value, &random.like(&compact));
            return (0..TRIES_MAX)
                .map(candidate)
                .find(|made| made.as_bytes() != value && detector.is_one(made));
        }
    };
    let made = spread(value, &made);
    (made.as_bytes() != value).then_some(made)
}

/// Puts letters and digits where `value` has some.
fn spread(value: &[u8], made: &[u8]) -> String {
    let mut made = made.iter();
    let place = |byte: &u8| {
        let new = if byte.is_ascii_alphanumeric() { made.next().copied().unwrap_or(*byte) } else { *byte };
        char::from(if byte.is_ascii_lowercase() { new.to_ascii_lowercase() } else { new })
    };
    value.iter().map(place).collect()
}

/// Bytes from a keyed hash of the value.
struct Random(u64);

impl Random {
    fn new(key: &hmac::Key, value: &[u8]) -> Self {
        Self(u64::from_be_bytes(hmac::sign(key, value).as_ref().first_chunk().copied().unwrap_or_default()))
    }

    /// SplitMix64: what it starts from is secret already, this only spreads it.
    fn next(&mut self, below: u8) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::try_from((mixed ^ (mixed >> 31)) % u64::from(below.max(1))).unwrap_or_default()
    }

    fn digit(&mut self) -> u8 {
        b'0' + self.next(10)
    }

    /// A digit for a digit, a letter for a letter.
    fn like(&mut self, compact: &[u8]) -> Vec<u8> {
        let one = |byte: &u8| if byte.is_ascii_digit() { self.digit() } else { b'A' + self.next(26) };
        compact.iter().map(one).collect()
    }
}

fn card(compact: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut made = b"9999".to_vec();
    let body = compact.len().checked_sub(5).filter(|_| compact.iter().all(u8::is_ascii_digit))?;
    made.extend((0..body).map(|_| random.digit()));
    let sum = made.iter().rev().enumerate().fold(0, |sum, (n, digit)| {
        let doubled = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
        sum + doubled / 10 + doubled % 10
    });
    made.push(b'0' + u8::try_from((10 - sum % 10) % 10).ok()?);
    Some(made)
}

fn iban(compact: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let account = random.like(compact.get(4..)?);
    let rest = account.iter().chain(b"XX00").fold(0, |rest: u32, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    Some([format!("XX{:02}", 98 - rest).into_bytes(), account].concat())
}

fn ssn(compact: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    if compact.len() != 9 {
        return None;
    }
    let (area, group) = (u32::from(random.next(100)), 1 + u32::from(random.next(49)));
    let serial = 1 + (u32::from(random.next(100)) * 100 + u32::from(random.next(100))) % 9999;
    Some(format!("9{area:02}{group:02}{serial:04}").into_bytes())
}

fn phone(value: &[u8], compact: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    if !compact.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut made = random.like(compact);
    let american = match compact {
        [b'1', rest @ ..] if rest.len() == 10 => Some(1),
        [b'2'..=b'9', ..] if compact.len() == 10 && !value.contains(&b'+') => Some(0),
        _ => None,
    };
    let put = |made: &mut [u8], at: usize, digits: &[u8]| {
        made.iter_mut().skip(at).zip(digits).for_each(|(slot, digit)| *slot = *digit);
    };
    match american {
        Some(at) => {
            let area = [b'2' + random.next(8), b'0' + random.next(9), random.digit()];
            put(&mut made, 0, b"1");
            put(&mut made, at, &area);
            put(&mut made, at + 3, b"55501");
        }
        None if value.contains(&b'+') => put(&mut made, 0, b"999"),
        // Without its country nobody can say what is never issued there: a trunk prefix stays one.
        None => put(&mut made, 0, compact.get(..1)?),
    }
    Some(made)
}
