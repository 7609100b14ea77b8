//! What the name that a value is assigned to says about it.

use super::lexicon::lexicon;

/// Whether the name that a value is assigned to is one of a credential.
pub(super) fn names_a_credential(name: &[u8]) -> bool {
    let words = words_of(name);
    let lexicon = lexicon();
    !words.last().is_some_and(|last| lexicon.about.contains(last.as_bytes()))
        && !words.iter().any(|word| lexicon.harmless.contains(word.as_bytes()))
}

/// `clientSecretKey`, `client_secret-key` and `CLIENT.SECRET.KEY` in words.
pub(super) fn words_of(name: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = b'_';
    for &byte in name {
        let begins =
            !byte.is_ascii_alphanumeric() || (byte.is_ascii_uppercase() && before.is_ascii_lowercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if byte.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        before = byte;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_their_values_are() {
        for name in
            ["client_secret", "apiKey", "DB_PASSWORD", "auth.token", "aws-secret-access-key", "token2"]
        {
            assert!(names_a_credential(name.as_bytes()), "{name}");
        }
        for name in
            ["secret_id", "tokenCount", "max_tokens", "password_hash", "public_key", "next_page_token"]
        {
            assert!(!names_a_credential(name.as_bytes()), "{name}");
        }
    }
}
