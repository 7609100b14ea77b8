//! URLs as configuration may write them: `http` or `https`, a host, a port, a path. Nothing that could hide a secret
//! or be read in two ways.

use keyward_core::Upstream;
use keyward_gateway::fetch::is_loopback;

/// Why a text is not such a URL; the text is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No `http://` or `https://`.
    #[error("a URL starts with https:// or http://")]
    Scheme,
    /// `user:password@`.
    #[error("a URL with a user name or password is not taken")]
    UserInfo,
    /// `?` or `#`.
    #[error("a URL with a query or fragment is not taken")]
    Query,
    /// The host is empty or has a character that no host has.
    #[error("the URL's host is not a host name or IP address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// The path has a dot segment, an empty segment, a backslash or something outside printable ASCII.
    #[error("the URL's path is not canonical")]
    Path,
}

impl UrlError {
    /// What to do about it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Scheme => "write https://host[:port][/path]",
            Self::UserInfo => {
                "name the credential by reference: `credential: {secret: keyward://NAME, inject: bearer}`"
            }
            Self::Query => "remove what follows the path",
            Self::Host => {
                "write the name in lower-case ASCII (xn--… for others), an IPv6 address in brackets"
            }
            Self::Port => "leave it out for the scheme's own port",
            Self::Path => "write the path without `.`, `..`, `//`, `\\` and with %XX for other characters",
        }
    }
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Scheme, host, port and path without a `/` at its end.
    pub target: Upstream,
}

impl HttpUrl {
    /// Parses `http(s)://host[:port][/path]`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(UrlError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        if path.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (host, port) = split_authority(authority)?;
        let port = match port {
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
            // `parse` would also take a leading `+`.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?
            }
            Some(_) => return Err(UrlError::Port),
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path_is_canonical(path) {
            return Err(UrlError::Path);
        }
        Ok(Self { target: Upstream { https, host: host.into(), port, base_path: path.into() } })
    }

    /// Whether the host is this machine: `localhost`, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.target.host)
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or(UrlError::Host)?;
        let (host, rest) = authority.split_at(end + 1);
        let inner = host.get(1..end).unwrap_or_default();
        inner.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(UrlError::Host),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if is_host_name(host) { Ok((host, port)) } else { Err(UrlError::Host) }
}

/// Lower-case letters, digits and `-` in labels of at most 63 characters; at most 253 in all. IPv4 addresses fit too,
/// but only in their usual form: `127.1` and `0x7f000001` are read differently by different programs.
pub fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    host.len() <= 253
        && host.split('.').all(label)
        && (!numeric || host.parse::<std::net::Ipv4Addr>().is_ok())
}

fn path_is_canonical(path: &str) -> bool {
    let ordinary = |b: u8| {
        b.is_ascii_graphic()
            && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'%')
    };
    path.is_empty()
        || path.starts_with('/')
            && path.bytes().all(ordinary)
            && path.split('/').skip(1).all(|segment| !segment.is_empty() && segment != "." && segment != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls() {
        for (text, shown, loopback) in [
            ("https://api.openai.com", "https://api.openai.com", false),
            ("https://api.example.com:8443/v1/", "https://api.example.com:8443/v1", false),
            ("http://127.0.0.1:80/", "http://127.0.0.1", true),
            ("http://[::1]:8080/a/b", "http://[::1]:8080/a/b", true),
            ("http://localhost:1", "http://localhost:1", true),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!((url.target.to_string().as_str(), url.is_loopback()), (shown, loopback), "{text}");
        }
    }

    #[test]
    fn refused_urls() {
        use UrlError::{Host, Path, Port, Query, Scheme, UserInfo};
        for (text, error) in [
            ("api.openai.com", Scheme),
            ("ftp://x", Scheme),
            ("HTTPS://x", Scheme),
            ("https://user:pw@x", UserInfo),
            ("https://x?a=b", Query),
            ("https://x/#a", Query),
            ("https://", Host),
            ("https://Example.com", Host),
            ("https://ex ample.com", Host),
            ("https://127.1", Host),
            ("https://0x7f000001", Host),
            ("https://[::1", Host),
            ("https://[::1]x", Host),
            ("https://-a.com", Host),
            ("https://x:", Port),
            ("https://x:0", Port),
            ("https://x:+1", Port),
            ("https://x:65536", Port),
            ("https://x/a/../b", Path),
            ("https://x/a//b", Path),
            ("https://x/a%2fb", Path),
            ("https://x\\y", Path),
        ] {
            assert_eq!(HttpUrl::parse(text), Err(error), "{text}");
        }
    }
}
