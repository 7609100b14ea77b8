//! Telling generated values from words.

/// The letter pairs that make up most of English and of program identifiers.
const COMMON_PAIRS: &[u8] = b"th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de \
se le sa si ar ve ra ld ur ro ri io ic co me ne ta us el ma ch li be fo om wi ho ec no la ll di il ca lo ac ee ss us \
tr ro nc ad pe na ce pr ge ut ly ns un em ol ai ot su mo am os po ul ie ow sp ct id ir pa wa rs so wo ke ig im we op \
ay vi up qu pl ab ck oo ef fi ex mp cr sh av ey ts ag ob ap ut sc tt rt da do va mi ni fa ev ty if ry tu ci ub gr cl \
my go ph by wh fr bl br dr ff gh gu ht iv iz ki ls lt mb mm my nn nk nf np ok pp ps rc rd rk rl rm rn rr sk sl sm sw \
tc ue ui uc ud ug um wn ws xt yp ym ys za ze ga gi gn ef eg ep eq ib ia lu pu ru og od nu mu bu cu fu du";

/// Bits per byte.
pub(crate) fn shannon(value: &[u8]) -> f32 {
    let mut counts = [0u16; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f32::from(u16::try_from(value.len()).unwrap_or(u16::MAX));
    counts.iter().filter(|c| **c > 0).map(|c| f32::from(*c) / total).map(|p| -p * p.log2()).sum()
}

fn pairs() -> &'static [bool; 26 * 26] {
    static PAIRS: std::sync::OnceLock<[bool; 26 * 26]> = std::sync::OnceLock::new();
    PAIRS.get_or_init(|| {
        let mut table = [false; 26 * 26];
        for pair in COMMON_PAIRS.split(|b| *b == b' ').filter_map(|p| p.first_chunk::<2>()) {
            if let Some(slot) = table.get_mut(pair_index(*pair)) {
                *slot = true;
            }
        }
        table
    })
}

fn pair_index(pair: [u8; 2]) -> usize {
    let letter = |b: u8| usize::from(b.to_ascii_lowercase().wrapping_sub(b'a'));
    letter(pair[0]) * 26 + letter(pair[1])
}

/// What a value is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) len: usize,
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    pub(crate) digits: usize,
    /// Neither letter nor digit.
    pub(crate) other: usize,
    /// Changes between lower, upper, digit and other, in percent of the places where one could be.
    pub(crate) changes: usize,
    /// Letter pairs that are common in words, in percent of all letter pairs; 100 when there are none.
    pub(crate) natural: usize,
    pub(crate) pairs: usize,
    pub(crate) entropy: f32,
}

impl Shape {
    pub(crate) fn of(value: &[u8]) -> Self {
        let class = |b: u8| match b {
            b'a'..=b'z' => 0u8,
            b'A'..=b'Z' => 1,
            b'0'..=b'9' => 2,
            _ => 3,
        };
        let count = |wanted: u8| value.iter().filter(|b| class(**b) == wanted).count();
        let (mut changes, mut natural, mut letters) = (0, 0, 0);
        for pair in value.windows(2) {
            let &[a, b] = pair else { continue };
            // `Ab` is how a word begins, not a change.
            if class(a) != class(b) && !(class(a) == 1 && class(b) == 0) {
                changes += 1;
            }
            if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() {
                letters += 1;
                natural += usize::from(pairs().get(pair_index([a, b])).copied().unwrap_or(false));
            }
        }
        Self {
            len: value.len(),
            lower: count(0),
            upper: count(1),
            digits: count(2),
            other: count(3),
            changes: changes * 100 / value.len().saturating_sub(1).max(1),
            natural: (natural * 100).checked_div(letters).unwrap_or(100),
            pairs: letters,
            entropy: shannon(value),
        }
    }

    pub(crate) const fn letters(&self) -> usize {
        self.lower + self.upper
    }
}

/// Whether a value looks generated.
pub(crate) fn looks_random(value: &[u8]) -> bool {
    let shape = Shape::of(value);
    if shape.len < 8 || shape.entropy < 2.6 {
        return false;
    }
    if is_worded(value) || is_identifier(value) || sequence(value) * 3 >= shape.len.max(18) {
        return false;
    }
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    // Hex is made of whole bytes.
    if hex && shape.len > 16 && shape.len % 2 == 1 {
        return false;
    }
    if hex && shape.len >= 16 {
        return shape.digits > 0 && shape.letters() > 0 || shape.len >= 24;
    }
    if shape.letters() == 0 {
        return shape.digits >= 16 && shape.entropy >= 2.8;
    }
    let unlikely_words = shape.pairs < 4 || shape.natural < 62;
    match (shape.digits, shape.len) {
        (0, ..16) => shape.lower > 0 && shape.upper > 0 && shape.changes >= 25 && shape.natural < 50,
        (0, _) => shape.entropy >= 3.4 && shape.natural < 55 && (shape.changes >= 15 || shape.natural < 45),
        (_, ..16) => shape.changes >= 15 && shape.entropy >= 2.75 && unlikely_words,
        _ => shape.entropy >= 3.0 && shape.changes >= 12 && unlikely_words,
    }
}

/// Whether separators part a value into words, numbers and names such as `x64`: `jackson-0.11.2`.
fn is_worded(value: &[u8]) -> bool {
    let mut parts = value.split(|b| !b.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let word = |part: &[u8]| {
        let digits = part.iter().filter(|b| b.is_ascii_digit()).count();
        let shape = Shape::of(part);
        part.len() <= 4
            || digits == part.len()
            || digits == 0 && shape.natural >= 50 && (shape.upper <= 1 || shape.lower == 0)
    };
    value.iter().any(|b| !b.is_ascii_alphanumeric()) && value.len() < 40 && parts.all(word)
}

/// Whether a value is a name in a program that has numbers in it: `X25519_PRIVATE_KEY_LEN`, `Ed25519PrivateKey`.
fn is_identifier(value: &[u8]) -> bool {
    if value.len() > 64
        || !value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'))
    {
        return false;
    }
    let (mut letters, mut words, mut groups) = (0, 0, 0);
    let mut word: Vec<u8> = Vec::new();
    let mut close = |word: &mut Vec<u8>| {
        if word.len() >= 3 && Shape::of(word).natural >= 50 {
            words += word.len();
        }
        letters += word.len();
        word.clear();
    };
    let mut before = b'_';
    for &byte in value {
        let begins = byte.is_ascii_uppercase() && before.is_ascii_lowercase();
        if !byte.is_ascii_alphabetic() || begins {
            close(&mut word);
        }
        groups += usize::from(byte.is_ascii_digit() && !before.is_ascii_digit());
        if byte.is_ascii_alphabetic() {
            word.push(byte);
        }
        before = byte;
    }
    close(&mut word);
    let constant = value.contains(&b'_') && !value.iter().any(u8::is_ascii_lowercase) && value.len() < 32;
    let named = words >= 4 && words * 20 >= letters * 11;
    groups <= 2 && named || groups <= 4 && constant
}

/// The longest run of neighbours in the alphabet or among the digits.
pub(super) fn sequence(value: &[u8]) -> usize {
    let (mut longest, mut run) = (0, 1);
    for pair in value.windows(2) {
        let &[a, b] = pair else { continue };
        run = if a.is_ascii_alphanumeric() && b == a.wrapping_add(1) { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    if longest >= 6 { longest } else { 0 }
}

/// Whether a value reads like words: what must not become a known value.
pub(crate) fn looks_like_words(value: &[u8]) -> bool {
    let shape = Shape::of(value);
    shape.letters() == shape.len && shape.len < 16 && shape.natural >= 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_values_are_told_from_words() {
        for value in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "Zx81kQpLw0Tn5RvB",
            "q7Gh2LmX9pRt",
            "wJxKqPzVhTnGbYdMfRcL",
            "0a1B2c3D4e5F",
        ] {
            assert!(looks_random(value.as_bytes()), "{value}");
        }
        for value in [
            "configuration",
            "getElementById",
            "some_variable_name",
            "authentication-service",
            "production",
            "12345678",
        ] {
            assert!(!looks_random(value.as_bytes()), "{value}");
        }
    }
}
