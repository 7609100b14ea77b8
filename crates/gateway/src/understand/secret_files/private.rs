//! URLs and hosts that lead inside: to the machine itself, to private networks, and to names that only a private network
//! knows. Whoever is handed such a URL fetches what its caller cannot reach.
//!
//! Promise: a text that is a URL (or, where one is looked for, a bare host) leads inside however its host is spelled:
//! decimal, octal, hexadecimal and short addresses, addresses that are mapped, translated or tunnelled, user names before
//! it, backslashes, escapes, full width, and names that spell the address they resolve to. Where libraries disagree on
//! which part is the host, every candidate is looked at. A host that does not end within [`HEAD_BYTES_MAX`] counts as
//! inside: *fails closed*.
//!
//! Exceptions: a name that resolves to a private address is not looked up, here or later: *fails open; the network of
//! whoever fetches has to refuse it*.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::loose_v4;
use super::readings;

/// What is looked at of a text, in bytes. A host stands at its beginning.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Schemes that programs fetch from. A name without dots behind one is a host of the own network.
const FETCHED: &[&str] = &["http", "https", "ftp", "ftps", "ws", "wss", "gopher"];
/// Endings of names that no public name server knows.
const INSIDE_NAMES: &[&str] = &[
    "localhost",
    "localdomain",
    "internal",
    "local",
    "svc",
    "lan",
    "intranet",
    "corp",
    "home",
    "private",
    "home.arpa",
    "localtest.me",
    "lvh.me",
    "vcap.me",
];
/// Public services whose names resolve to the address that they spell, in hexadecimal and with dashes for colons too.
const ECHOING_NAMES: &[&str] =
    &["nip.io", "sslip.io", "xip.io", "rbndr.us", "1u.ms", "traefik.me", "backname.io"];

/// What a text is looked at as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::understand) enum Pointer {
    /// It points at something: a URL, a file of the machine as a `file:` URL, a host.
    Reference,
    /// An argument: a URL or a host.
    Argument,
    /// Nobody knows: a URL.
    Any,
}

/// Whether a text is a URL or host that leads inside.
pub(super) fn leads_inside(text: &str, pointer: Pointer) -> bool {
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES_MAX)).unwrap_or(text);
    let cut = head.len() < text.len();
    readings::plain(head, &|reading| is_inside(reading, cut, pointer))
}

/// One reading: lower case, with one kind of slash.
fn is_inside(text: &str, cut: bool, pointer: Pointer) -> bool {
    let around = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>(){}".contains(c);
    let mut text = text.trim_start_matches(around).trim_end_matches(around);
    // `url:http://…`, `jar:http://…` and `view-source:http://…` are fetched as what they hold.
    while let Some(inner) =
        ["url:", "jar:", "view-source:", "feed:"].iter().find_map(|p| text.strip_prefix(p))
    {
        text = inner;
    }
    if pointer != Pointer::Any && is_bare_host(text) {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return pointer != Pointer::Any && text.starts_with("//") && authority(text, cut, Names::Dotted);
    };
    if scheme == "file" {
        return pointer == Pointer::Reference
            || (rest.starts_with("//") && authority(rest, cut, Names::Dotted));
    }
    let fetched = scheme.rsplit('+').next().is_some_and(|last| FETCHED.contains(&last));
    match (fetched, rest.starts_with("//")) {
        (true, true) => authority(rest, cut, Names::All),
        // Browsers need no slashes behind a scheme that they know.
        (true, false) | (false, true) => authority(rest, cut, Names::Dotted),
        (false, false) => false,
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Which names count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Those without a dot as well.
    All,
    Dotted,
}

/// Whether a part of a URL that may be its host leads inside. `rest` is what follows the scheme's colon.
fn authority(rest: &str, cut: bool, names: Names) -> bool {
    let rest = rest.trim_start_matches('/');
    let ends = |c: char| c == '/' || c.is_whitespace() || c.is_control() || "\"'<>`".contains(c);
    let end = rest.find(ends);
    if cut && end.is_none() {
        return true;
    }
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    // Libraries part `http://a?@b`, `http://a#@b` and `http://a\@b` in two ways.
    let strict = authority.split(['?', '#']).next().unwrap_or_default();
    let host = strict.rsplit('@').next().unwrap_or_default();
    let others = authority.split(['@', '?', '#']).map(without_port);
    let behind = path.strip_prefix("/@").map(|path| path.split(['/', '?', '#', ':']).next().unwrap_or(path));
    (names == Names::All && is_single(without_port(host))) || others.chain(behind).any(is_host_inside)
}

/// A host without port and brackets. What stands behind a blank is none of it.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// A name without a dot that is neither empty nor a number.
fn is_single(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    !host.is_empty() && !host.contains(['.', ':']) && loose_v4(host).is_none()
}

fn is_host_inside(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if let Ok(v6) = host.split('%').next().unwrap_or(host).parse::<Ipv6Addr>() {
        return is_private_v6(v6);
    }
    if let Some(v4) = loose_v4(host) {
        return is_private_v4(v4) || decimal_v4(host, u64::MAX).is_some_and(is_private_v4);
    }
    let below =
        |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    INSIDE_NAMES.iter().any(|name| below(name)) || spells_private(host)
}

/// Names that resolve to the address they spell (`10-0-0-1.example.com`, `7f000001.nip.io`).
fn spells_private(host: &str) -> bool {
    let labels: Vec<&str> = host.split(['.', '-']).collect();
    if labels.windows(4).any(|four| decimal_v4(&four.join("."), 255).is_some_and(is_private_v4)) {
        return true;
    }
    if !ECHOING_NAMES.iter().any(|name| host.ends_with(name)) {
        return false;
    }
    let hex = |label: &str| {
        label.len() == 8 && u32::from_str_radix(label, 16).is_ok_and(|v4| is_private_v4(v4.into()))
    };
    let v6 = |label: &str| label.replace('-', ":").parse().is_ok_and(is_private_v6);
    labels.into_iter().any(hex) || host.split('.').any(v6)
}

/// Four decimal numbers, each of which may be up to `most`; larger ones than a byte are cut.
fn decimal_v4(text: &str, most: u64) -> Option<Ipv4Addr> {
    let byte = |part: &str| {
        let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| part.parse::<u64>().ok())?.filter(|number| *number <= most)?;
        u8::try_from(number & 0xff).ok()
    };
    let bytes: Vec<u8> = text.split('.').map(byte).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

/// A host that stands alone, or before a port or path: an address in four numbers or in brackets, or `localhost`.
fn is_bare_host(text: &str) -> bool {
    let end = text.find(['/', '?', '#']);
    let host = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    let name = without_port(host);
    let rest = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or("", |(_, rest)| rest),
        None => host.get(name.len()..).unwrap_or_default(),
    };
    let port = rest.is_empty()
        || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.trim_end_matches('.');
    let known = name == "localhost"
        || decimal_v4(name, 255).is_some_and(is_private_v4)
        || (host.starts_with('[') && name.parse().is_ok_and(is_private_v6));
    port && known
}

/// Whether an address lies inside of a network.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

/// Whether nobody outside can be meant: everything that is not handed out on the internet.
fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || a == 0 // this network
        || (a == 100 && (64..128).contains(&b)) // carriers' own, RFC 6598
        || (a, b, c) == (192, 0, 0) // protocol assignments, RFC 6890
        || (a == 198 && (18..20).contains(&b)) // benchmarks, RFC 2544
        || a >= 224 // multicast, reserved, broadcast
}

fn is_private_v6(v6: Ipv6Addr) -> bool {
    let bits = v6.to_bits();
    let four = |shift: u32| {
        let low = u32::try_from((bits >> shift) & u128::from(u32::MAX)).unwrap_or_default();
        Ipv4Addr::from(low)
    };
    let segments = v6.segments();
    match segments {
        // Unspecified, loopback, compatible, mapped and translated.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, ..] => bits >> 32 == 0 && bits <= 1 || is_private_v4(four(0)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_private_v4(four(0)),
        [0x64, 0xff9b, 1, ..] => true, // local use, RFC 8215
        [0x2002, ..] => is_private_v4(four(80)),
        // Teredo: the server, and the client with its bits turned.
        [0x2001, 0, ..] => is_private_v4(four(64)) || is_private_v4(Ipv4Addr::from(!four(0).to_bits())),
        [.., 0 | 0x200, 0x5efe, _, _] if is_private_v4(four(0)) => true, // ISATAP
        [0x100, 0, 0, 0, ..] => true,                                    // discard, RFC 6666
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80 || first & 0xff00 == 0xff00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &[&str] = &[
        "127.0.0.1",
        "127.1",
        "127.255.0.9",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0127.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "10.1",
        "167772161",
        "0xa.0.0.1",
        "012.0.0.1",
        "010.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.168.257",
        "169.254.1.1",
        "100.64.0.1",
        "100.127.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "266.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::1]",
        "[2002:a00:1::]",
        "[2002:7f00:1::1]",
        "[fe80::1%25eth0]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[ff02::1]",
        "[fe80::1]",
        "[2001:0:a00:1::]",
        "[0:0:0:0:0:0:0:1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "app.localhost",
        "db.internal",
        "printer.local",
        "api.default.svc",
        "api.default.svc.cluster.local",
        "host.docker.internal",
        "redis",
        "metadata",
        "vllm-0",
        "10.0.0.1.nip.io",
        "10-0-0-1.nip.io",
        "app.10-0-0-1.sslip.io",
        "0a000001.nip.io",
        "--1.sslip.io",
        "7f000001.c0a80001.rbndr.us",
        "192-168-1-1.example.com",
        "user@10.0.0.1",
        "user:pass@10.0.0.1",
        "example.com@10.0.0.1",
        "example.com:80@10.0.0.1",
        "10.0.0.1@example.com",
        "public.example\\@10.0.0.1",
        "public.example\\@localhost",
        "example.com#@10.0.0.1",
        "example.com?@10.0.0.1",
        "%31%30.0.0.1",
        "10%2e0%2e0%2e1",
        "%6c%6f%63alhost",
        "１０.0.0.1",
        "10。0。0。1",
        "ⓛocalhost",
        "①⓪.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1\t",
        "10.\t0.0.1",
        "127.0.0.1.",
        "loc\u{200b}alhost",
    ];

    #[test]
    fn catalogue_88_hosts_inside_are_known_in_every_spelling() {
        let mut missed = Vec::new();
        for host in HOSTS {
            for scheme in [
                "http://",
                "HTTPS://",
                "ftp://",
                "ws://",
                "http:/\\",
                " http://",
                "\"http://",
                "url:http://",
                "git+https://",
            ] {
                for rest in ["", "/", ":8080/x", "/x?y=z#a"] {
                    let text = format!("{scheme}{host}{rest}");
                    for pointer in [Pointer::Reference, Pointer::Argument, Pointer::Any] {
                        missed.extend((!leads_inside(&text, pointer)).then(|| text.clone()));
                    }
                }
            }
        }
        missed.dedup();
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn catalogue_88_bare_hosts_files_and_other_schemes() {
        for (text, reference, argument, any) in [
            ("10.0.0.1", true, true, false),
            ("10.0.0.1:80", true, true, false),
            ("10.0.0.1/x.png", true, true, false),
            ("[::1]:80/x", true, true, false),
            ("localhost:8080", true, true, false),
            ("//10.0.0.1/x", true, true, false),
            ("//a.internal/x", true, true, false),
            ("file:///etc/hosts", true, false, false),
            ("file://10.0.0.1/share", true, true, true),
            ("redis://10.0.0.1:6379", true, true, true),
            ("http:10.0.0.1/", true, true, true),
            ("localhost is where it runs", false, false, false),
            ("see http://10.0.0.1/", false, false, false),
        ] {
            let found = [Pointer::Reference, Pointer::Argument, Pointer::Any].map(|p| leads_inside(text, p));
            assert_eq!(found, [reference, argument, any], "{text}");
        }
        let long = |host: &str| format!("http://{}@{host}/", "a".repeat(20_000));
        assert!(leads_inside(&long("example.com"), Pointer::Any), "a host that does not end");
        assert!(!leads_inside(&format!("http://example.com/{}", "a".repeat(20_000)), Pointer::Any));
    }

    #[test]
    fn what_lies_outside_is_not_inside() {
        let mut found = Vec::new();
        for text in [
            "",
            "http:",
            "http://",
            "https://example.com/cat.png",
            "https://example.com:8443/a?b=http://10.0.0.1/",
            "http://8.8.8.8/",
            "http://9.255.0.1/",
            "http://172.32.0.1/",
            "http://172.15.0.1/",
            "http://192.169.1.1/",
            "http://100.63.0.1/",
            "http://100.128.0.1/",
            "http://134744072/",
            "http://[2606:4700::1111]/",
            "http://[2606:4700::a00:1]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[64:ff9b::808:808]/",
            "https://medium.com/@user/post",
            "https://user:pass@example.com/",
            "https://example.com/10.0.0.1",
            "https://internal.example.com/",
            "https://local.example.com/",
            "https://localhost.example.com/",
            "https://deadbeef.example.com/",
            "https://8-8-8-8.nip.io/",
            "https://2024-10-01-12.example.com/",
            "data:image/png;base64,iVBORw0KGgo=",
            "s3://bucket/key",
            "gs://bucket/key",
            "hf://org/model",
            "mailto:a@localhost",
            "1.2.3.4",
            "v10.0.0",
            "file.local",
            "note: see below",
            "http: the protocol",
            "https://example.com?next=a@b.example",
            "C:\\x\\y",
            "std::net::TcpStream",
            "a:b",
            "10.0.0.1 and 10.0.0.2 are hosts",
            "image.png",
            "/v1/files",
            "https://münchen.example/",
            "tel:127",
        ] {
            for pointer in [Pointer::Reference, Pointer::Argument, Pointer::Any] {
                found.extend(leads_inside(text, pointer).then_some(text));
            }
        }
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn work_is_bounded() {
        let started = std::time::Instant::now();
        for text in [
            "http://%25".repeat(20_000),
            "url:".repeat(20_000),
            "http://@".repeat(20_000),
            "10.".repeat(20_000),
            "[".repeat(20_000),
        ] {
            leads_inside(&text, Pointer::Reference);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }
}
