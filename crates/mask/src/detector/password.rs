//! Telling passwords from the words and the code that stand where one could.

use super::lexicon::lexicon;
use super::random::{Shape, looks_random};

/// Whether a value behind `password=` could be one. Values that are plain words pass as words.
pub(super) fn looks_like_password(value: &[u8], quoted: bool) -> bool {
    let shape = Shape::of(value);
    let lower = value.to_ascii_lowercase();
    if shape.len < 5 || shape.entropy < 1.8 || lexicon().not_passwords.contains(&lower) {
        return false;
    }
    let call = value.ends_with(b")") && value.contains(&b'(');
    let path = value.starts_with(b"/")
        || value.starts_with(b"./")
        || value.starts_with(b"../")
        || value.contains(&b'/') && shape.digits == 0;
    if call || path || looks_like_reference(value) || memchr::memmem::find(value, b"://").is_some() {
        return false;
    }
    // `*protocol`, `wrappers:`, `:py:data:`, `@proxy-host`: words with a sign of their own.
    let signed = matches!(value.first(), Some(b'*' | b':' | b'@')) || value.ends_with(b":");
    if signed
        && value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b':' | b'*' | b'@'))
    {
        return false;
    }
    let joined = value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.'));
    if joined {
        // Letters only: words and identifiers are more likely than a password.
        let word = shape.lower == shape.len && shape.len >= 6 && quoted;
        return word || looks_random(value) || shape.pairs >= 7 && shape.natural < 20;
    }
    shape.letters() > 0 || shape.digits >= 5 && shape.other > 0
}

/// Whether an unquoted value is a part of a program: a type, a path, an argument by name, a variable.
pub(super) fn is_code(value: &[u8]) -> bool {
    let name = |part: &[u8]| part.len() > 1 && part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let head = |stop: u8| {
        value.split(|b| *b == stop).next().filter(|head| head.len() < value.len()).is_some_and(name)
    };
    // `super$ecret` is a variable behind a word, unless it is quoted.
    let mut around = value.splitn(2, |b| *b == b'$');
    let interpolates = match (around.next(), around.next()) {
        (Some(word), Some(name)) => name.len() > 2 && word.iter().chain(name).all(u8::is_ascii_lowercase),
        _ => false,
    };
    let sigil = matches!(value.first(), Some(b'$' | b'@' | b'*' | b'~')) && value.ends_with(b"-");
    value.windows(2).any(|pair| pair == b"::" || pair == b"->")
        || head(b'[')
        || head(b'=') && !value.ends_with(b"==")
        || sigil
        || interpolates
}

/// Whether a value is a password where prose could stand: neither a word nor a number nor punctuation.
pub(super) fn looks_typed(value: &[u8]) -> bool {
    let shape = Shape::of(value);
    let path = value.contains(&b'/')
        || value.starts_with(b"-")
        || value.starts_with(b"$")
        || value.starts_with(b"@");
    let number = value.strip_prefix(b"0x").is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if number || shape.len < 6 || shape.letters() < 3 || path || !looks_like_password(value, false) {
        return false;
    }
    // `user-2`, `field2`, `(sha256)`: a word and its number.
    let digits_end = value.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let inner = shape.digits > digits_end || shape.digits >= 3;
    let symbol = value.iter().any(|b| b"!#$%^&*+=?@~".contains(b));
    let cases = shape.upper > 0 && shape.lower > 0;
    match (shape.digits, symbol) {
        (0, true) => cases || !value.ends_with(b"?") && !value.ends_with(b"!"),
        (0, false) => false,
        (_, true) => true,
        (_, false) => cases && inner || shape.changes >= 30,
    }
}

/// Whether a value has letters and at least four kinds of symbols, and is neither a call nor a template.
pub(super) fn has_symbols(value: &[u8]) -> bool {
    let mut kinds: Vec<u8> = value.iter().copied().filter(|b| !b.is_ascii_alphanumeric()).collect();
    let symbols = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    let code = value.ends_with(b")")
        || value.ends_with(b")?")
        || value.starts_with(b"<")
        || is_path_of_variable(value)
        || [&b"=>"[..], b"->", b"::", b").", b"(&", b"://", b"()", b"</", b"%s", b"{}"]
            .iter()
            .any(|part| memchr::memmem::find(value, part).is_some());
    let code = code || value.starts_with(b"/");
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    kinds.len() >= 4 && letters >= 4 && symbols * 2 <= value.len() + 2 && !code
}

/// `config.password`, `self.token`, `args[0].secret`, `db->pass`.
pub(super) fn looks_like_reference(value: &[u8]) -> bool {
    let mut parts = value.split(|b| matches!(b, b'.' | b'>')).peekable();
    let mut count = 0;
    while let Some(part) = parts.next() {
        count += 1;
        let part = part.strip_suffix(b"-").filter(|_| parts.peek().is_some()).unwrap_or(part);
        let starts = part.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
        let name = part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'[' | b']'));
        if !starts || !name || part.iter().filter(|b| b.is_ascii_digit()).count() > 2 {
            return false;
        }
    }
    count > 1
}

/// `$BASE_URL/path`: a variable and what goes on behind it.
fn is_path_of_variable(value: &[u8]) -> bool {
    let name = value.strip_prefix(b"$").unwrap_or_default();
    let len = name.iter().take_while(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'0'..=b'9')).count();
    len > 1 && name.get(len) == Some(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_told_from_code() {
        for value in ["hunter2!", "Tr0ub4dor&3", "p@ssw0rd1", "q7Gh2LmX9p"] {
            assert!(looks_like_password(value.as_bytes(), false), "{value}");
        }
        for value in
            ["string", "config.password", "getPassword()", "required", "user_password", "/etc/passwd"]
        {
            assert!(!looks_like_password(value.as_bytes(), false), "{value}");
        }
        assert!(looks_like_password(b"sunflower", true) && !looks_like_password(b"sunflower", false));
    }
}
