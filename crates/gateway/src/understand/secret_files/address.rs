//! Hosts that hand out credentials, however their names and addresses are spelled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::list::List;

/// Whether a text in lower case names one of the list's hosts.
pub(super) fn named(list: &List, text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    // Behind two slashes even a bare number is a host.
    let behind = text.split("//").skip(1).flat_map(|rest| {
        let rest = rest.trim_start_matches('/');
        let end = rest.find(|c: char| c == '/' || "?#\"'<>".contains(c) || c.is_whitespace());
        rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest).split(['@', '['])
    });
    behind.map(|host| host.split([':', ']', ' ']).next().unwrap_or(host)).any(|host| is_number_of(list, host))
        || text.split(|c: char| !is_part(c)).any(|word| is_named(list, word))
}

fn is_named(list: &List, word: &str) -> bool {
    if word.len() < 4 {
        return false;
    }
    if word.matches(':').nth(1).is_some()
        && (is_v6(list, word) || word.rsplit_once(':').is_some_and(|(host, _)| is_v6(list, host)))
    {
        return true;
    }
    word.split(':').any(|host| {
        let host = host.trim_matches('.');
        list.hosts.iter().any(|name| host == name)
            || (host.contains('.') && (is_number_of(list, host) || holds_address(list, host)))
            || (host.starts_with("0x") && is_number_of(list, host))
    })
}

/// Names that resolve to the address they spell (`169-254-169-254.nip.io`, `a9fea9fe.nip.io`).
fn holds_address(list: &List, host: &str) -> bool {
    let labels: Vec<&str> = host.split(['.', '-']).collect();
    let hex = |label: &&str| {
        label.len() == 8 && u32::from_str_radix(label, 16).is_ok_and(|v4| is_v4(list, Ipv4Addr::from(v4)))
    };
    labels.windows(4).any(|four| is_number_of(list, &four.join("."))) || labels.iter().any(hex)
}

fn is_number_of(list: &List, host: &str) -> bool {
    loose_v4(host).is_some_and(|v4| is_v4(list, v4))
}

fn is_v4(list: &List, v4: Ipv4Addr) -> bool {
    list.addresses.contains(&IpAddr::V4(v4))
}

fn is_v6(list: &List, text: &str) -> bool {
    let Ok(v6) = text.parse::<Ipv6Addr>() else { return false };
    if list.addresses.contains(&IpAddr::V6(v6)) {
        return true;
    }
    // Mapped, compatible, translated and NAT64 addresses end with the one they stand for; 6to4 begins with it.
    let bits = v6.to_bits();
    let low = |bits: u128| {
        u32::try_from(bits & u128::from(u32::MAX)).is_ok_and(|v4| is_v4(list, Ipv4Addr::from(v4)))
    };
    low(bits) || (bits >> 112 == 0x2002 && low(bits >> 80))
}

/// An address as `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal; too large ones are cut, as
/// some parsers do.
pub(super) fn loose_v4(text: &str) -> Option<Ipv4Addr> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let numbers: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 {
        return None;
    }
    let mut bits: u64 = 0;
    for number in first {
        bits = bits << 8 | (number & 0xff);
    }
    let room = 32 - 8 * first.len();
    let bits = bits << room | (last & ((1 << room) - 1));
    u32::try_from(bits).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 24 {
        return None;
    }
    let (digits, radix) = match text.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => match u64::from_str_radix(text, 8) {
            Ok(octal) => return Some(octal),
            Err(_) => (text, 10),
        },
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).ok()
}
