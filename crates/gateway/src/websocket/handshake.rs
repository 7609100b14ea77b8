//! The opening handshake (RFC 6455, section 4), read from the caller and answered by the upstream.
//!
//! Promise: what the caller asks for has one reading, and is asked of the upstream anew: with a key of ours, without
//! extensions, with the subprotocols that the caller named. A subprotocol that carries a credential, as browsers send
//! them to OpenAI, is refused: it would go upstream. An answer that is no sound acceptance of what was asked is refused.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Version};

use crate::identify::looks_like_token;
use crate::refusal::{Refusal, RefusalKind};

/// What a key is joined with before it is hashed (RFC 6455, 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Most subprotocols that a caller names.
const PROTOCOLS_MAX: usize = 16;
/// The longest name of a subprotocol, in bytes.
const PROTOCOL_BYTES_MAX: usize = 128;
/// Words in a subprotocol's name that say that it carries a credential.
const CREDENTIAL_WORDS: [&str; 7] =
    ["api-key", "apikey", "bearer", "authorization", "token", "secret", "password"];

/// What a caller asks for who wants a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    key: HeaderValue,
    /// The subprotocols that it speaks, the preferred one first.
    protocols: Vec<String>,
}

impl Wish {
    /// What a request's head asks for; none where it asks for no WebSocket.
    ///
    /// # Errors
    /// It asks for one in a way that nobody could answer, or carries a credential where none is taken from.
    pub(crate) fn of(parts: &Parts) -> Result<Option<Self>, Refusal> {
        let headers = &parts.headers;
        let named = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"websocket");
        if !headers.get_all(UPGRADE).iter().any(named) {
            return Ok(None);
        }
        let no_body = !headers.contains_key(TRANSFER_ENCODING)
            && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if parts.method != Method::GET || parts.version != Version::HTTP_11 || !no_body {
            return Err(bad("A WebSocket is asked for with GET over HTTP/1.1, without a body."));
        }
        let asks =
            one(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        if !asks || !has_word(headers, &CONNECTION, "upgrade") {
            return Err(bad(
                "A WebSocket is asked for with `Connection: Upgrade` and `Upgrade: websocket`, once.",
            ));
        }
        if one(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(bad("Only version 13 of WebSocket is served (`Sec-WebSocket-Version: 13`, once)."));
        }
        let key = one(headers, &SEC_WEBSOCKET_KEY)
            .filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16))
            .ok_or_else(|| bad("`Sec-WebSocket-Key` must be 16 bytes in base64, once."))?;
        Ok(Some(Self { key: key.clone(), protocols: protocols(headers)? }))
    }

    /// Puts the acceptance on the caller's answer.
    pub(super) fn accept(
        &self,
        protocol: Option<HeaderValue>,
        headers: &mut HeaderMap,
    ) -> Result<(), Refusal> {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept_of(self.key.as_bytes())?);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        Ok(())
    }
}

/// Takes what belongs to the caller's hop off a request, before anything is judged; the subprotocols stay.
pub(crate) fn strip(headers: &mut HeaderMap) {
    for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_ACCEPT] {
        headers.remove(name);
    }
}

/// What was asked of an upstream, to hold its answer against.
pub(crate) struct Asked {
    accept: HeaderValue,
}

impl Asked {
    /// Asks for a WebSocket in a request's headers, with a fresh key.
    pub(crate) fn set(headers: &mut HeaderMap) -> Result<Self, Refusal> {
        let key = STANDARD.encode(super::random::<16>()?);
        let accept = accept_of(key.as_bytes())?;
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(&key).map_err(|_| internal())?);
        Ok(Self { accept })
    }

    /// Whether an answer of 101 accepts what was asked: the subprotocol that was chosen.
    pub(super) fn accepted(&self, headers: &HeaderMap, wish: &Wish) -> Result<Option<HeaderValue>, Refusal> {
        let upgrades = one(headers, &UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && has_word(headers, &CONNECTION, "upgrade");
        let keyed = one(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| *accept == self.accept);
        if !upgrades || !keyed || headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(Refusal::new(
                RefusalKind::UpstreamInvalid,
                "The upstream's answer accepts another WebSocket than the one that was asked for.",
            ));
        }
        if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            return Ok(None);
        }
        let chosen = one(headers, &SEC_WEBSOCKET_PROTOCOL)
            .filter(|chosen| wish.protocols.iter().any(|protocol| protocol.as_bytes() == chosen.as_bytes()));
        chosen.cloned().map(Some).ok_or_else(|| {
            Refusal::new(
                RefusalKind::UpstreamInvalid,
                "The upstream chose a subprotocol of WebSocket that nobody asked for.",
            )
        })
    }
}

fn protocols(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| malformed_protocol())?;
        for name in value.split(',').map(|name| name.trim_matches([' ', '\t'])) {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || name.len() > PROTOCOL_BYTES_MAX || !name.bytes().all(token) {
                return Err(malformed_protocol());
            }
            if carries_credential(name) {
                return Err(bad(
                    "A subprotocol of WebSocket carries a credential; send it in the Authorization header alone.",
                ));
            }
            all.push(name.to_owned());
        }
    }
    if all.len() > PROTOCOLS_MAX {
        return Err(malformed_protocol());
    }
    Ok(all)
}

/// Whether a subprotocol carries a credential: it says so, or a part of it has the shape of one.
fn carries_credential(protocol: &str) -> bool {
    let lower = protocol.to_ascii_lowercase();
    CREDENTIAL_WORDS.iter().any(|word| lower.contains(word))
        || protocol
            .match_indices("eyJ")
            .any(|(at, _)| looks_like_token(protocol.as_bytes().get(at..).unwrap_or_default()))
        || protocol.split('.').any(|part| looks_like_token(part.as_bytes()) || part.starts_with("sk-"))
}

fn accept_of(key: &[u8]) -> Result<HeaderValue, Refusal> {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC].concat());
    HeaderValue::from_str(&STANDARD.encode(digest)).map_err(|_| internal())
}

/// The only value of a header.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a list of words in a header has this one, in whichever letters.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn malformed_protocol() -> Refusal {
    bad("`Sec-WebSocket-Protocol` must name at most 16 subprotocols, each a token of at most 128 bytes.")
}

fn bad(public: &'static str) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, public)
}

fn internal() -> Refusal {
    Refusal::new(RefusalKind::Internal, "The WebSocket cannot be asked for.")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn parts(method: &str, change: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/v1/realtime").body(()).unwrap();
        let headers = request.headers_mut();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in change {
            if value.is_empty() {
                headers.remove(*name);
            } else if let Some(more) = value.strip_prefix('+') {
                headers.append(*name, more.parse().unwrap());
            } else {
                headers.insert(*name, value.parse().unwrap());
            }
        }
        request.into_parts().0
    }

    #[test]
    fn a_sound_wish_is_answered_as_the_rfc_has_it() {
        let wish =
            Wish::of(&parts("GET", &[("sec-websocket-protocol", "chat, superchat")])).unwrap().unwrap();
        assert_eq!(wish.protocols, ["chat", "superchat"]);
        let mut headers = HeaderMap::new();
        wish.accept(None, &mut headers).unwrap();
        assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Wish::of(&parts("GET", &[("upgrade", "h2c")])).unwrap(), None);
        assert_eq!(Wish::of(&parts("GET", &[("upgrade", "")])).unwrap(), None);
    }

    #[test]
    fn what_nobody_could_answer_is_refused() {
        for change in [
            &[("upgrade", "websocket, h2c")][..],
            &[("upgrade", "+h2c")],
            &[("connection", "keep-alive")],
            &[("connection", "")],
            &[("sec-websocket-version", "8")],
            &[("sec-websocket-version", "")],
            &[("sec-websocket-version", "+13")],
            &[("sec-websocket-key", "")],
            &[("sec-websocket-key", "c2hvcnQ=")],
            &[("sec-websocket-key", "+dGhlIHNhbXBsZSBub25jZQ==")],
            &[("content-length", "3")],
            &[("transfer-encoding", "chunked")],
            &[("sec-websocket-protocol", "a b")],
            &[("sec-websocket-protocol", "a,,b")],
        ] {
            assert!(Wish::of(&parts("GET", change)).is_err(), "{change:?}");
        }
        assert!(Wish::of(&parts("POST", &[])).is_err());
        let many = vec!["p"; PROTOCOLS_MAX + 1].join(",");
        assert!(Wish::of(&parts("GET", &[("sec-websocket-protocol", &many)])).is_err());
        let long = "p".repeat(PROTOCOL_BYTES_MAX + 1);
        assert!(Wish::of(&parts("GET", &[("sec-websocket-protocol", &long)])).is_err());
    }

    #[test]
    fn a_credential_is_no_subprotocol() {
        let key = ["openai-insecure-api-key.", "sk-", "0123456789"].concat();
        for protocol in [
            &*key,
            "realtime, openai-insecure-api-key.x",
            "base64url.bearer.authorization.k8s.io.x",
            "x-eyJhbGciOi.eyJzdWIi.c2ln",
            "eyJhbGciOi.eyJzdWIi.c2ln",
            "x.kw_abc",
            "access_token.x",
        ] {
            let refused = Wish::of(&parts("GET", &[("sec-websocket-protocol", protocol)])).unwrap_err();
            assert!(refused.public.contains("credential"), "{protocol}: {refused}");
            assert!(!refused.public.contains(protocol));
        }
        let plain =
            parts("GET", &[("sec-websocket-protocol", "realtime, openai-beta.realtime-v1, graphql-ws")]);
        assert!(Wish::of(&plain).is_ok());
    }

    #[test]
    fn an_answer_must_accept_what_was_asked() {
        let wish = Wish::of(&parts("GET", &[("sec-websocket-protocol", "realtime")])).unwrap().unwrap();
        let mut asked = HeaderMap::new();
        let ours = Asked::set(&mut asked).unwrap();
        assert_ne!(asked["sec-websocket-key"], KEY);
        let answer = |change: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("connection", "upgrade".parse().unwrap());
            headers.insert("upgrade", "websocket".parse().unwrap());
            let accept = accept_of(asked["sec-websocket-key"].as_bytes()).unwrap();
            headers.insert("sec-websocket-accept", accept);
            for (name, value) in change {
                headers.insert(*name, value.parse().unwrap());
            }
            ours.accepted(&headers, &wish).map(|protocol| protocol.is_some())
        };
        assert!(matches!(answer(&[]), Ok(false)));
        assert!(matches!(answer(&[("sec-websocket-protocol", "realtime")]), Ok(true)));
        for change in [
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "other"),
        ] {
            assert!(answer(&[change]).is_err(), "{change:?}");
        }
    }
}
