//! Telling generated values from words.

/// How much likelier a letter follows another in words than by chance: a row per letter, a column per follower, `a` for
/// 2^-4 and each letter behind it 2^0.3 more. Counted by `bench/mask/pairs.py` over the words of program sources and
/// manuals.
const LIKELINESS: [&[u8; 26]; 26] = [
    b"goqphhmbmaitpsaoatqukifgja",
    b"smnlskiarkeujhrkappjrgaene",
    b"shmjsiasnaqpjfvjapmsmecaga",
    b"rllpxlhfvdenijqjgopingddha",
    b"phqslmjdgabontgliutqekgoha",
    b"qklmrugcvaaphlsiaonpocdaka",
    b"qgkgwglpracqlppjasqkofabgh",
    b"wdgiwfdetahklhthaplqnceaja",
    b"nmqnnmoaaadpowrmamrramaial",
    b"thilvkfbogogljtlaetjselaaa",
    b"qkkmyilmtecmimmjbjsmkejaja",
    b"sgjnvhgauaerffsjagonmhadpa",
    b"vnhhwfaasafmnfrtaepiogacfa",
    b"rfqsrmudpajifkpiafsuljcafa",
    b"jlqpfjlbjbippvmpaupoplmeba",
    b"tfjhuicmpagqhfsoauoqncebja",
    b"lalnegdchadqhgecinpkykhaaa",
    b"tgmmwhkbtaimmlsjanqpkhcala",
    b"ofoguhgpsajmihoogirvpegala",
    b"sflividquaaljgqkaspnlcfdna",
    b"nqnjpnkanabrpuhpasstaaacaa",
    b"vglhygfdtaciliooagmlebhgad",
    b"vjmksehpuahljqskarqlfefaaa",
    b"okrnsofhraflpimtciovhhemia",
    b"plnhphkapaapqrmwalsqgkifhi",
    b"thifyiejsaaokdniajigebiaji",
];

/// The likeliness of a letter pair, as a logarithm in hundredths: 0 is chance.
pub(crate) fn likeliness(pair: [u8; 2]) -> i32 {
    let letter = |b: u8| usize::from(b.to_ascii_lowercase().wrapping_sub(b'a'));
    let row = LIKELINESS.get(letter(pair[0]));
    row.and_then(|row| row.get(letter(pair[1]))).map_or(0, |step| i32::from(*step - b'a') * 30 - 400)
}

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
    /// How likely its letter pairs are in words, on average: about 90 for words, -120 for chance; 100 without pairs.
    pub(crate) natural: i32,
    /// How many letter pairs that tells of.
    pub(crate) pairs: i32,
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
        let (mut changes, mut natural, mut pairs) = (0, 0, 0);
        for pair in value.windows(2) {
            let &[a, b] = pair else { continue };
            // `Ab` is how a word begins, not a change.
            if class(a) != class(b) && !(class(a) == 1 && class(b) == 0) {
                changes += 1;
            }
            // `aB` is where a word ends.
            if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && !(class(a) == 0 && class(b) == 1) {
                pairs += 1;
                natural += likeliness([a, b]);
            }
        }
        Self {
            len: value.len(),
            lower: count(0),
            upper: count(1),
            digits: count(2),
            other: count(3),
            changes: changes * 100 / value.len().saturating_sub(1).max(1),
            natural: natural.checked_div(pairs).unwrap_or(100),
            pairs,
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
    if is_worded(value) || is_identifier(value) || is_host(value) || sequence(value) * 3 >= shape.len.max(18)
    {
        return false;
    }
    if mixes_alphabets(value) {
        return false;
    }
    if let Some(key) = behind_words(value) {
        return looks_random(key);
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
    let unlikely_words = shape.pairs < 4 || shape.natural < 35;
    match (shape.digits, shape.len) {
        (0, ..16) => shape.lower > 0 && shape.upper > 0 && shape.changes >= 25 && shape.natural < -20,
        (0, _) => shape.entropy >= 3.4 && shape.natural < 10 && (shape.changes >= 15 || shape.natural < -30),
        (_, ..16) => shape.changes >= 15 && shape.entropy >= 2.75 && unlikely_words,
        _ => shape.entropy >= 3.0 && shape.changes >= 12 && unlikely_words,
    }
}

/// Whether separators part a value into words, numbers and names such as `x64`: `jackson-0.11.2`.
pub(super) fn is_worded(value: &[u8]) -> bool {
    let mut parts = value.split(|b| !b.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let word = |part: &[u8]| {
        let digits = part.iter().filter(|b| b.is_ascii_digit()).count();
        let shape = Shape::of(part);
        let cased = shape.upper <= 1 || shape.lower == 0;
        part.len() <= 4
            || digits == part.len()
            || digits == 0 && shape.natural >= 0 && cased
            // `pkcs11`, `s1hat`, `prime256v1`
            || part.len() <= 10 && digits <= 4 && digit_groups(part) <= 2 && part.first().is_some_and(u8::is_ascii_alphabetic) && cased
    };
    value.iter().any(|b| !b.is_ascii_alphanumeric()) && value.len() < 40 && parts.all(word)
}

/// The shortest key that is judged without the words before it, in bytes.
const BEHIND_WORDS_BYTES_MIN: usize = 16;

/// What stands behind the words of a key that says whose it is: `acme_live_…`.
fn behind_words(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().rposition(|b| *b == b'_')?;
    let (words, key) = value.split_at_checked(at)?;
    let key = key.get(1..)?;
    let word = |part: &[u8]| part.len() <= 12 && part.iter().all(u8::is_ascii_lowercase);
    (key.len() >= BEHIND_WORDS_BYTES_MIN && words.split(|b| *b == b'_').all(word)).then_some(key)
}

/// Whether `+` and `_` are in a value: of the alphabets of base64, each has one of them.
pub(super) fn mixes_alphabets(value: &[u8]) -> bool {
    value.contains(&b'+') && value.contains(&b'_')
}

fn digit_groups(value: &[u8]) -> usize {
    let begins = |n: usize| n.checked_sub(1).and_then(|at| value.get(at)).is_none_or(|b| !b.is_ascii_digit());
    value.iter().enumerate().filter(|(n, b)| b.is_ascii_digit() && begins(*n)).count()
}

/// Whether a value is a host's name: lower case, and a top-level domain that many have.
pub(super) fn is_host(value: &[u8]) -> bool {
    let lower = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let domains: [&[u8]; 8] = [b".com", b".net", b".org", b".io", b".dev", b".app", b".cloud", b".local"];
    value.iter().all(lower) && domains.iter().any(|domain| value.ends_with(domain))
}

/// Whether a value is a name in a program that has numbers in it: `X25519_PRIVATE_KEY_LEN`, `Ed25519PrivateKey`.
pub(super) fn is_identifier(value: &[u8]) -> bool {
    if value.len() > 64
        || !value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'))
    {
        return false;
    }
    let (mut letters, mut words, mut groups) = (0, 0, 0);
    let mut word: Vec<u8> = Vec::new();
    let mut close = |word: &mut Vec<u8>| {
        if word.len() >= 3 && Shape::of(word).natural >= 0 {
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
    shape.letters() == shape.len && shape.len < 16 && shape.natural >= 30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_words_are_likely_and_others_are_not() {
        assert!(Shape::of(b"internationalisation").natural > 60);
        assert!(Shape::of(b"xqzjvkwpqgxz").natural < -100);
        assert_eq!(Shape::of(b"1234").natural, 100);
        assert!(LIKELINESS.iter().flat_map(|row| row.iter()).all(|step| (b'a'..=b'y').contains(step)));
    }

    #[test]
    fn names_in_programs_are_no_keys() {
        for value in [
            "mld_sk_s1hat_lazy",
            "gnutls_x509_crq_t",
            "poly1305_state",
            "db-7.internal.net",
            "aes_cfb128_cipher",
        ] {
            assert!(!looks_random(value.as_bytes()), "{value}");
        }
        for value in ["acme_live_k7f3qz9d2m4x8w1v", "acme_upload_b4ff3ecb44bddff37e3cb7df4f915a2a"] {
            assert!(looks_random(value.as_bytes()), "{value}");
        }
        assert!(!looks_random(b"Zx81k+pLw0Tn5_vBq7Gh2L"), "no alphabet has both signs");
    }

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
