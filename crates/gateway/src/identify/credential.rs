//! Finds the one credential of a request.
//!
//! Promise: at most one credential is found, in one header, or the request is refused; which of two would count is never
//! guessed (catalogue 19, 20). The very same text in `Authorization: Bearer` and in `x-api-key`, once each, is one: Claude
//! Code sends what its key helper prints so. A credential in the query string is refused whatever else is there, as is one in a cookie.
//! The text found is zeroized and has no `Debug`. What is a credential in a query or a cookie: the names in
//! [`QUERY_NAMES`] and [`COOKIE_NAMES`], and any value that has the shape of a JWT or of a client token (`kw_…`).
//! Exception, *fails open*: an opaque secret under another name passes, as it cannot be told from data; it never
//! identifies anybody.

use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Uri;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::error::IdentifyError;

/// The longest credential that is looked at, in bytes (a Basic value holds the token in base64).
const CREDENTIAL_BYTES_MAX: usize = 24 * 1_024;
/// Query parameters that are credentials whatever they hold.
const QUERY_NAMES: [&str; 1] = ["access_token"];
/// Cookies that are credentials whatever they hold.
const COOKIE_NAMES: [&str; 3] = ["access_token", "authorization", "id_token"];

/// Basic without padding comes from some clients; both are taken.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The header a credential came in, so that exactly it can be taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// `Authorization: Bearer TOKEN`
    Bearer,
    /// `Authorization: Basic …` with the token as password; the user name is not looked at.
    Basic,
    /// `x-api-key` (Anthropic)
    XApiKey,
    /// `api-key` (Azure OpenAI)
    ApiKey,
    /// `x-goog-api-key` (Gemini)
    XGoogApiKey,
}

/// Every header that may hold a caller's credential: all of them are removed before anything is forwarded.
pub static CREDENTIAL_HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The one credential of a request.
pub struct Presented {
    token: Zeroizing<String>,
    source: CredentialSource,
}

impl Presented {
    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Which header it came in.
    pub const fn source(&self) -> CredentialSource {
        self.source
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Finds the one credential of a request, or says why there is none.
pub fn presented_credential(headers: &HeaderMap, uri: &Uri) -> Result<Presented, IdentifyError> {
    let mut found: Option<(&HeaderName, &HeaderValue)> = None;
    for name in &CREDENTIAL_HEADERS {
        for value in headers.get_all(name) {
            match found {
                None => found = Some((name, value)),
                Some(first) if says_the_same(headers, first, (name, value)) => {}
                Some(_) => return Err(IdentifyError::CredentialAmbiguous),
            }
        }
    }
    if uri.query().is_some_and(query_has_credential) {
        return Err(IdentifyError::CredentialInQuery);
    }
    if headers.get_all(COOKIE).iter().any(cookie_has_credential) {
        return Err(IdentifyError::CredentialInCookie);
    }
    let (name, value) = found.ok_or(IdentifyError::CredentialMissing)?;
    let text = value.to_str().map_err(|_| IdentifyError::CredentialMalformed)?;
    if text.len() > CREDENTIAL_BYTES_MAX {
        return Err(IdentifyError::TokenTooLong);
    }
    let (source, token) = match name.as_str() {
        "authorization" => authorization(text)?,
        "x-api-key" => (CredentialSource::XApiKey, Zeroizing::new(text.to_owned())),
        "api-key" => (CredentialSource::ApiKey, Zeroizing::new(text.to_owned())),
        _ => (CredentialSource::XGoogApiKey, Zeroizing::new(text.to_owned())),
    };
    if token.contains(',') {
        return Err(IdentifyError::CredentialAmbiguous);
    }
    if token.is_empty() || !token.bytes().all(is_token_byte) {
        return Err(IdentifyError::CredentialMalformed);
    }
    Ok(Presented { token, source })
}

/// Whether a second header says nothing but what the first said: the one bearer token, as the one `x-api-key`.
fn says_the_same(
    headers: &HeaderMap,
    (first, said): (&HeaderName, &HeaderValue),
    (second, again): (&HeaderName, &HeaderValue),
) -> bool {
    let once = |name: &HeaderName| headers.get_all(name).iter().count() == 1;
    *first == AUTHORIZATION
        && second == "x-api-key"
        && once(first)
        && once(second)
        && said.as_bytes().strip_prefix(b"Bearer ").is_some_and(|token| token == again.as_bytes())
}

fn authorization(text: &str) -> Result<(CredentialSource, Zeroizing<String>), IdentifyError> {
    // A comma is in neither alphabet: two credentials were joined, here or by a hop before us (catalogue 20).
    if text.contains(',') {
        return Err(IdentifyError::CredentialAmbiguous);
    }
    let (scheme, value) = text.split_once(' ').ok_or(IdentifyError::CredentialMalformed)?;
    let value = value.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok((CredentialSource::Bearer, Zeroizing::new(value.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(IdentifyError::CredentialMalformed);
    }
    let decoded = BASIC.decode(value).map(Zeroizing::new).map_err(|_| IdentifyError::CredentialMalformed)?;
    let pair = std::str::from_utf8(&decoded).map_err(|_| IdentifyError::CredentialMalformed)?;
    let (_, password) = pair.split_once(':').ok_or(IdentifyError::CredentialMalformed)?;
    Ok((CredentialSource::Basic, Zeroizing::new(password.to_owned())))
}

/// The bytes of RFC 6750's b64token, and the colon that some client tokens have.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
}

fn query_has_credential(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decoded(name);
        QUERY_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            || looks_like_token(&percent_decoded(value))
    })
}

fn cookie_has_credential(header: &HeaderValue) -> bool {
    header.as_bytes().split(|byte| *byte == b';').any(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let value = parts.next().unwrap_or_default().trim_ascii();
        COOKIE_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            || looks_like_token(value)
    })
}

/// The shape of a JWT (three non-empty parts, the first the base64 of `{"`) or of a client token.
pub(crate) fn looks_like_token(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"Bearer ").unwrap_or(value);
    value.starts_with(b"kw_")
        || (value.starts_with(b"eyJ")
            && value.split(|byte| *byte == b'.').count() >= 3
            && value.iter().all(|byte| is_token_byte(*byte)))
}

/// Decodes `%XX`; anything else stays as it is. Only for looking, never for use.
fn percent_decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let pair = (*byte == b'%').then(|| tail.get(..2)).flatten();
        let decoded = pair.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const TOKEN: &str = "eyJh.eyJi.c2ln";

    fn present(
        headers: &[(&'static str, &str)],
        uri: &str,
    ) -> Result<(CredentialSource, String), IdentifyError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        presented_credential(&map, &uri.parse().unwrap()).map(|p| (p.source(), p.token().to_owned()))
    }

    #[test]
    fn takes_each_place_alone() {
        let basic = format!("basic {}", STANDARD.encode(format!("ci:{TOKEN}")).trim_end_matches('='));
        for (name, value, source) in [
            ("authorization", format!("Bearer {TOKEN}"), CredentialSource::Bearer),
            ("authorization", format!("bearer  {TOKEN} "), CredentialSource::Bearer),
            ("authorization", basic, CredentialSource::Basic),
            ("x-api-key", TOKEN.into(), CredentialSource::XApiKey),
            ("api-key", TOKEN.into(), CredentialSource::ApiKey),
            ("x-goog-api-key", TOKEN.into(), CredentialSource::XGoogApiKey),
        ] {
            assert_eq!(
                present(&[(name, &value)], "/v1?key=plain&a=b").unwrap(),
                (source, TOKEN.into()),
                "{value}"
            );
        }
        assert_eq!(present(&[], "/"), Err(IdentifyError::CredentialMissing));
    }

    #[test]
    fn catalogue_19_a_second_place_is_refused() {
        let bearer = format!("Bearer {TOKEN}");
        for uri in [
            "/?access_token=x",
            "/?a=1&ACCESS_TOKEN=x",
            "/?access%5Ftoken=x",
            "/?key=eyJh.eyJi.c2ln",
            "/?x=kw_abc",
            "/?x=eyJh%2eeyJi%2Ec2ln",
        ] {
            assert_eq!(
                present(&[("authorization", &bearer)], uri),
                Err(IdentifyError::CredentialInQuery),
                "{uri}"
            );
            assert_eq!(present(&[], uri), Err(IdentifyError::CredentialInQuery), "{uri} alone");
        }
        for cookie in ["access_token=x", "a=b; Authorization=z", "s=eyJh.eyJi.c2ln", "t=kw_abc"] {
            let headers = [("authorization", &*bearer), ("cookie", cookie)];
            assert_eq!(present(&headers, "/"), Err(IdentifyError::CredentialInCookie), "{cookie}");
        }
        assert!(
            present(&[("authorization", &bearer), ("cookie", "__cf_bm=abc.def; lang=en")], "/?key=color")
                .is_ok()
        );
    }

    #[test]
    fn catalogue_20_two_credentials_are_refused() {
        let bearer = format!("Bearer {TOKEN}");
        let basic = format!("Basic {}", STANDARD.encode(format!("x:{TOKEN}")));
        for headers in [
            vec![("authorization", &*bearer), ("authorization", &*bearer)],
            vec![("authorization", &*bearer), ("x-api-key", "other")],
            vec![("authorization", &*bearer), ("x-api-key", TOKEN), ("x-api-key", TOKEN)],
            vec![("authorization", &*bearer), ("x-api-key", TOKEN), ("api-key", TOKEN)],
            vec![("authorization", &*bearer), ("authorization", &*bearer), ("x-api-key", TOKEN)],
            vec![("authorization", &*bearer), ("api-key", TOKEN)],
            vec![("authorization", &*basic), ("x-api-key", TOKEN)],
            vec![("x-api-key", TOKEN), ("x-api-key", TOKEN)],
            vec![("x-api-key", TOKEN), ("x-api-key", "other")],
            vec![("api-key", TOKEN), ("x-goog-api-key", TOKEN)],
            vec![("authorization", "Bearer a,Bearer b")],
            vec![("authorization", "Bearer a, b")],
            vec![("x-api-key", "a,b")],
        ] {
            assert_eq!(present(&headers, "/"), Err(IdentifyError::CredentialAmbiguous), "{headers:?}");
        }
    }

    #[test]
    fn one_credential_that_is_said_twice_is_one() {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", &*bearer), ("x-api-key", TOKEN)];
        assert_eq!(present(&headers, "/").unwrap(), (CredentialSource::Bearer, TOKEN.into()));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let no_colon = format!("Basic {}", STANDARD.encode("token"));
        let no_password = format!("Basic {}", STANDARD.encode("token:"));
        for value in ["", "Bearer", "Bearer ", "Bearer a b", "Digest a", "Basic !!", &no_colon, &no_password]
        {
            assert_eq!(
                present(&[("authorization", value)], "/"),
                Err(IdentifyError::CredentialMalformed),
                "{value}"
            );
        }
        assert_eq!(present(&[("x-api-key", "")], "/"), Err(IdentifyError::CredentialMalformed));
        let longest = "a".repeat(CREDENTIAL_BYTES_MAX);
        assert!(present(&[("x-api-key", &longest)], "/").is_ok());
        assert_eq!(present(&[("x-api-key", &format!("{longest}a"))], "/"), Err(IdentifyError::TokenTooLong));
    }

    #[test]
    fn debug_hides_the_token() {
        let mut map = HeaderMap::new();
        map.insert("x-api-key", TOKEN.parse().unwrap());
        let presented = presented_credential(&map, &Uri::from_static("/")).unwrap();
        assert!(!format!("{presented:?}").contains(TOKEN));
    }
}
