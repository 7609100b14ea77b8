//! What is asked of a match before it counts.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::lexicon::lexicon;
use super::names::names_a_credential;
use super::pack::CheckEntry;
use super::password::{has_symbols, is_code, looks_like_password, looks_like_reference, looks_typed};
use super::random::{is_worded, looks_random, shannon};

/// A match, as the checks see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched<'a> {
    /// The name that the keyword is part of: `client_secret` for the keyword `secret`.
    pub(crate) name: &'a [u8],
    /// What would be masked.
    pub(crate) secret: &'a [u8],
    /// What stands before the match, up to what a detector may look back.
    pub(crate) left: &'a [u8],
    /// The quotation mark right before it.
    pub(crate) opening: Option<u8>,
    /// The byte right behind it.
    pub(crate) closing: Option<u8>,
    /// A comma stands between the name and it.
    pub(crate) listed: bool,
}

impl Matched<'_> {
    /// It stands between two quotation marks of one kind.
    fn is_quoted(&self) -> bool {
        self.opening.is_some() && self.opening == self.closing
    }

    /// It is the name of what is called: no quotation mark before it, a bracket behind it.
    fn is_called(&self) -> bool {
        self.opening.is_none() && self.closing == Some(b'(')
    }
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
            Self::Random => looks_random(secret) && !has_part(secret, "://") && !is_assignment(secret),
            Self::Password => {
                looks_like_password(secret, matched.is_quoted())
                    && (!matched.listed || looks_typed(secret))
                    && (matched.opening.is_some() || !is_code(secret))
                    && !matched.is_called()
            }
            Self::Typed => looks_typed(secret) && !is_name(secret),
            Self::Outside => !is_userinfo(matched.left),
            Self::NotTrivial => !lexicon().trivial.contains(&secret.to_ascii_lowercase()),
            Self::TypedInPlace => {
                let variable =
                    secret.contains(&b'_') && secret.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
                shannon(secret) >= 1.8 && !looks_like_reference(secret) && !variable
            }
            Self::Symbols => has_symbols(secret),
            Self::Identity(identity) => identity.holds(secret),
            Self::Closed => matched.is_quoted() || matched.opening.is_none(),
            Self::Unlike => {
                !lexicon().known.begin(secret) && !lexicon().identifiers.begin(&secret.to_ascii_lowercase())
            }
            Self::Assigned => names_a_credential(matched.name),
            Self::JwtHeader => is_jwt_header(secret),
            Self::BasicPair => is_basic_pair(secret),
        }
    }
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

/// Whether a value is an assignment of its own: `trace_id=…`. What is assigned there is judged by its own name.
fn is_assignment(value: &[u8]) -> bool {
    let name = value.iter().take_while(|b| b.is_ascii_lowercase() || **b == b'_').count();
    name > 1 && value.get(name) == Some(&b'=') && value.get(name + 1).is_some_and(|b| *b != b'=')
}

/// Whether a value is a name in a program: `x509_crq_t`.
fn is_name(value: &[u8]) -> bool {
    value.contains(&b'_') && value.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') && is_worded(value)
}

/// Whether what stands left of a value is a URL that its user's part goes on.
fn is_userinfo(left: &[u8]) -> bool {
    let at = memchr::memmem::rfind(left, b"://");
    let rest = at.and_then(|at| left.get(at + 3..));
    rest.is_some_and(|rest| !rest.iter().any(|b| b.is_ascii_whitespace() || b"/?#\"'<>".contains(b)))
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
