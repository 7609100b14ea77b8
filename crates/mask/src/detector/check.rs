//! What is asked of a match before it counts.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::pack::CheckEntry;
use super::random::{Shape, looks_random, shannon};

/// A match, as the checks see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched<'a> {
    /// The name that the keyword is part of: `client_secret` for the keyword `secret`.
    pub(crate) name: &'a [u8],
    /// What would be masked.
    pub(crate) secret: &'a [u8],
    /// It stands between two quotation marks of one kind.
    pub(crate) quoted: bool,
    /// A quotation mark stands before it.
    pub(crate) opened: bool,
    /// A comma stands between the name and it.
    pub(crate) listed: bool,
}

/// How hard to look for signs that a value only stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// Behind a distinctive prefix.
    Low,
    /// Behind a keyword.
    High,
}

impl CheckEntry {
    pub(crate) fn holds(self, matched: Matched<'_>) -> bool {
        let secret = matched.secret;
        match self {
            Self::Entropy(min) => shannon(secret) >= min,
            Self::Digits(min) => secret.iter().filter(|b| b.is_ascii_digit()).count() >= min,
            Self::Mixed => {
                secret.iter().any(u8::is_ascii_digit) && secret.iter().any(u8::is_ascii_alphabetic)
            }
            Self::Random => looks_random(secret) && !has_part(secret, "://"),
            Self::Password => {
                looks_like_password(secret, matched.quoted)
                    && (!matched.listed || looks_typed(secret))
                    && (matched.opened || !is_code(secret))
            }
            Self::Typed => looks_typed(secret),
            Self::NotTrivial => !TRIVIAL.iter().any(|word| secret.eq_ignore_ascii_case(word.as_bytes())),
            Self::TypedInPlace => {
                let variable =
                    secret.contains(&b'_') && secret.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
                shannon(secret) >= 1.8 && !looks_like_reference(secret) && !variable
            }
            Self::Symbols => has_symbols(secret),
            Self::Identity(identity) => identity.holds(secret),
            Self::Closed => matched.quoted || !matched.opened,
            Self::Unlike => !begins_as_known(secret),
            Self::Assigned => names_a_credential(matched.name),
            Self::JwtHeader => is_jwt_header(secret),
            Self::BasicPair => is_basic_pair(secret),
        }
    }
}

/// The longest run of one character that a generated value has.
const RUN_BYTES_MAX: usize = 5;

/// Whether a value stands for a secret instead of being one: `${VAR}`, `<your-key>`, `xxxx`, `[REDACTED:…]`.
pub(crate) fn is_placeholder(value: &[u8], suspicion: Suspicion) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |part: &str| memchr::memmem::find(&lower, part.as_bytes()).is_some();
    let mut run = 0;
    let mut last = None;
    for byte in value {
        run = if last == Some(byte) { run + 1 } else { 1 };
        last = Some(byte);
        let filler = suspicion == Suspicion::High || b"xX*._-".contains(byte);
        if run > RUN_BYTES_MAX && filler {
            return true;
        }
    }
    if ["xxxx", "****", "redacted", "example", "your_", "your-", "placeholder"].into_iter().any(has) {
        return true;
    }
    if suspicion == Suspicion::Low {
        return false;
    }
    let references = ["<%", "process.env", "environ", "getenv", "secrets.", "vault:", "$env:", "enc["];
    let words = [
        "changeme",
        "change_me",
        "change-me",
        "insert",
        "dummy",
        "sample",
        "replace",
        "todo",
        "fixme",
        "yourkey",
        "yourtoken",
        "yourpass",
        "yoursecret",
        "mytoken",
        "my_token",
        "my-token",
        "mysecret",
        "my-secret",
        "my_secret",
        "not-a-real",
        "notareal",
        "...",
        "keyward://",
        "env://",
        "file://",
        "aws-sm://",
    ];
    let opens = |with: &[u8]| value.starts_with(with);
    references.into_iter().any(has)
        || [(&b"${"[..], b'}'), (b"{{", b'}'), (b"$(", b')'), (b"%(", b')'), (b"#{", b'}')]
            .iter()
            .any(|(open, close)| refers(value, open, *close))
        || words.into_iter().any(has)
        || opens(b"<") && value.ends_with(b">")
        || opens(b"$") && value.iter().all(|b| b.is_ascii_lowercase() || *b == b'$')
        || opens(b"$")
            && value.get(1..).unwrap_or_default().iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        || opens(b"%") && value.ends_with(b"%")
        || opens(b"[") && value.ends_with(b"]")
        || opens(b"{") && value.ends_with(b"}")
}

/// Whether a reference such as `${NAME}` is part of a value.
fn refers(value: &[u8], open: &[u8], close: u8) -> bool {
    memchr::memmem::find_iter(value, open).any(|at| {
        let inner = value.get(at + open.len()..).unwrap_or_default();
        // What a walker or pattern cut off counts as a reference too.
        let end = inner.iter().position(|b| *b == close).unwrap_or(inner.len());
        if open == b"{{" && end < inner.len() && inner.get(end + 1) != Some(&close) {
            return false;
        }
        let name = inner.get(..end).unwrap_or_default();
        let part = |b: &u8| b.is_ascii_alphanumeric() || b" _-.:/|$(){}[]'\"?+@".contains(b);
        !name.is_empty() && name.iter().all(part) && (end < inner.len() || name.len() < 40)
    })
}

/// Last words of a name that show that its value is about a credential, and no credential.
const ABOUT: &[&str] = &[
    "id",
    "ids",
    "name",
    "names",
    "type",
    "types",
    "count",
    "counts",
    "size",
    "length",
    "len",
    "limit",
    "limits",
    "url",
    "urls",
    "uri",
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "dir",
    "version",
    "hash",
    "digest",
    "checksum",
    "fingerprint",
    "expires",
    "expiry",
    "expiration",
    "expire",
    "expired",
    "exp",
    "ttl",
    "at",
    "time",
    "timeout",
    "date",
    "policy",
    "field",
    "label",
    "title",
    "hint",
    "description",
    "format",
    "pattern",
    "regex",
    "index",
    "status",
    "state",
    "enabled",
    "required",
    "min",
    "max",
    "suffix",
    "arn",
    "alias",
    "issuer",
    "endpoint",
    "usage",
    "used",
    "tokens",
    "tokenizer",
    "tokenizers",
    "tokenize",
    "tokenized",
    "secretary",
    "algorithm",
    "alg",
    "mode",
    "scope",
    "scopes",
    "method",
    "provider",
    "class",
    "kind",
    "source",
    "location",
    "ref",
    "reference",
    "manager",
    "store",
    "service",
    "host",
    "port",
    "error",
    "message",
    "valid",
    "invalid",
    "vocabulary",
    "vocab",
    "budget",
    "rate",
    "offset",
    "position",
    "details",
    "keys",
    "fields",
    "list",
    "map",
];

/// Words of a name that show that the key is none to keep secret.
const HARMLESS: &[&str] = &[
    "public",
    "publishable",
    "foreign",
    "primary",
    "sort",
    "partition",
    "cache",
    "object",
    "index",
    "storage",
    "unique",
    "group",
    "csrf",
    "xsrf",
    "pagination",
    "page",
    "continuation",
    "cursor",
    "idempotency",
    "next",
    "pub",
    "sha256",
    "sha1",
    "md5",
    "sha512",
    "integrity",
    "cancellation",
    "max",
    "num",
    "bos",
    "eos",
    "pad",
    "unk",
    "stop",
];

/// Whether the name that a value is assigned to is one of a credential.
pub(super) fn names_a_credential(name: &[u8]) -> bool {
    let words = words_of(name);
    let is = |word: &String, list: &[&str]| list.contains(&word.as_str());
    !words.last().is_some_and(|last| is(last, ABOUT)) && !words.iter().any(|word| is(word, HARMLESS))
}

/// `clientSecretKey`, `client_secret-key` and `CLIENT.SECRET.KEY` in words.
fn words_of(name: &[u8]) -> Vec<String> {
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

/// What documentation writes for a password in a URL.
const TRIVIAL: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "pw",
    "mypassword",
    "my_password",
    "mypass",
    "xyz",
    "abc",
    "1111",
    "passw0rd",
    "pass123",
    "port",
    "token",
];

/// What stands where a password could: types, literals, labels.
const NOT_PASSWORDS: &[&str] = &[
    "string",
    "str",
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "required",
    "optional",
    "password",
    "passwd",
    "secret",
    "token",
    "number",
    "boolean",
    "object",
    "value",
    "default",
    "invalid",
    "incorrect",
];

/// Whether a value behind `password=` could be one. Values that are plain words pass as words.
fn looks_like_password(value: &[u8], quoted: bool) -> bool {
    let shape = Shape::of(value);
    let lower = value.to_ascii_lowercase();
    if shape.len < 5 || shape.entropy < 1.8 || NOT_PASSWORDS.iter().any(|word| lower == word.as_bytes()) {
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
    let joined = value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.'));
    if joined {
        // Letters only: words and identifiers are more likely than a password.
        let word = shape.lower == shape.len && shape.len >= 6 && quoted;
        return word || looks_random(value) || shape.pairs >= 7 && shape.natural < 60;
    }
    shape.letters() > 0 || shape.digits >= 5 && shape.other > 0
}

/// Whether an unquoted value is a part of a program: a type, a path, an argument by name, a variable.
fn is_code(value: &[u8]) -> bool {
    let name = |part: &[u8]| part.len() > 1 && part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let head = |stop: u8| {
        value.split(|b| *b == stop).next().filter(|head| head.len() < value.len()).is_some_and(name)
    };
    let sigil = matches!(value.first(), Some(b'$' | b'@' | b'*' | b'~')) && value.ends_with(b"-");
    has_part(value, "::")
        || has_part(value, "->")
        || head(b'[')
        || head(b'=') && !value.ends_with(b"==")
        || sigil
}

/// Whether a value is a password where prose could stand: neither a word nor a number nor punctuation.
fn looks_typed(value: &[u8]) -> bool {
    let shape = Shape::of(value);
    let path = value.contains(&b'/')
        || value.starts_with(b"-")
        || value.starts_with(b"$")
        || value.starts_with(b"@");
    if shape.len < 6 || shape.letters() < 3 || path || !looks_like_password(value, false) {
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

/// Beginnings that say whose key it is: what begins so and is not of that format is none.
const KNOWN: &[&str] = &[
    "sk-ant-",
    "sk-proj-",
    "xai-",
    "AIza",
    "GOCSPX-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gloas-",
    "glptt-",
    "glimt-",
    "pypi-",
    "hf_",
    "pat.",
    "sat.",
    "cfut_",
    "cfat_",
    "cfk_",
    "SG.",
    "sqp_",
    "squ_",
    "sqa_",
    "sqco_",
    "configcat-sdk-",
    "ucat_",
    "API-",
    "ntn_",
    "dop_v1_",
    "dp.st.",
    "HRKU-",
    "sntrys_",
    "sntryu_",
    "NRAK-",
    "figd_",
    "sbp_",
    "AKIA",
    "ASIA",
    "bb_ma_",
    "bb_pr_",
    "AIK_",
    "rdme_",
    "phx_",
    "pcsk_",
];

pub(crate) fn begins_as_known(value: &[u8]) -> bool {
    KNOWN.iter().any(|known| value.starts_with(known.as_bytes()))
}

/// Whether a value has letters and at least four kinds of symbols, and is neither a call nor a template.
fn has_symbols(value: &[u8]) -> bool {
    let mut kinds: Vec<u8> = value.iter().copied().filter(|b| !b.is_ascii_alphanumeric()).collect();
    let symbols = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    let code = value.ends_with(b")")
        || [&b"=>"[..], b"->", b"::", b").", b"(&", b"://", b"()", b"</", b"%s", b"{}"]
            .iter()
            .any(|part| memchr::memmem::find(value, part).is_some());
    let code = code || value.starts_with(b"/");
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    kinds.len() >= 4 && letters >= 4 && symbols * 2 <= value.len() + 2 && !code
}

/// `config.password`, `self.token`, `args[0].secret`, `db->pass`.
fn looks_like_reference(value: &[u8]) -> bool {
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

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

fn is_jwt_header(token: &[u8]) -> bool {
    let header = token.split(|b| *b == b'.').next().unwrap_or_default();
    URL_SAFE.decode(header).is_ok_and(|json| {
        json.starts_with(b"{") && ["\"alg\"", "\"enc\"", "\"typ\""].iter().any(|k| has_part(&json, k))
    })
}

fn has_part(text: &[u8], part: &str) -> bool {
    memchr::memmem::find(text, part.as_bytes()).is_some()
}

fn is_basic_pair(text: &[u8]) -> bool {
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.is_ok_and(|pair| {
        pair.len() > 3 && pair.contains(&b':') && pair.iter().all(|b| (0x20..0x7F).contains(b) || *b >= 0x80)
    })
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

    #[test]
    fn placeholders_are_no_secrets() {
        for value in ["${API_KEY}", "<your-api-key>", "xxxxxxxxxxxxxxxx", "$TOKEN", "%TOKEN%", "{{ token }}"]
        {
            assert!(is_placeholder(value.as_bytes(), Suspicion::High), "{value}");
        }
        assert!(is_placeholder(b"[REDACTED:github_pat]", Suspicion::Low));
        assert!(!is_placeholder(b"tr0ub4dor&3", Suspicion::High));
    }

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
