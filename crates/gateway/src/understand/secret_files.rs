//! Files that commonly hold secrets, and how they are recognised in arguments.
//!
//! Promise: a path in an argument is recognised whatever its case, its separators, its percent-encoding, its `.` and
//! `..` segments or its width (full-width letters, zero-width characters); a shell pattern (`.en*`) is recognised where
//! it would find the file.
//! Exceptions: what only a shell or a decoder would put together (`$IFS`, base64, quotes inside of a word) is not
//! seen: *fails open, and is why secret files are also masked on their way back*.

use std::borrow::Cow;
use std::sync::LazyLock;

/// Consecutive parts of a path, in lower case; `*` is any run of characters within a part.
const PATTERNS: &[&str] = &[
    // Environment files; see also `EXAMPLES`
    ".env",
    ".env.*",
    ".envrc",
    // Keys of SSH, TLS and PGP
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    ".ssh/*",
    "ssh_host_*_key",
    ".gnupg/*",
    "etc/ssl/private/*",
    "privkey.pem",
    "private.key",
    // Clouds
    ".aws/credentials",
    ".aws/config",
    ".aws/sso/*",
    ".config/gcloud/*",
    "application_default_credentials.json",
    ".azure/*",
    ".oci/config",
    ".boto",
    // Kubernetes and containers
    ".kube/config",
    "etc/kubernetes/*",
    "serviceaccount/token",
    "secrets/kubernetes.io/*",
    "secrets/eks.amazonaws.com/*",
    "run/secrets/*",
    ".docker/config.json",
    ".dockercfg",
    // Processes and accounts
    "proc/*/environ",
    "proc/*/cmdline",
    "proc/*/mem",
    "etc/shadow",
    "etc/gshadow",
    "etc/passwd",
    "etc/sudoers",
    // Tools
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".config/gh/hosts.yml",
    ".vault-token",
    ".terraformrc",
    "credentials.tfrc.json",
    "terraform.tfstate",
    ".htpasswd",
    ".cargo/credentials*",
    ".huggingface/token",
    "huggingface/token",
    // Serving systems
    "config.pbtxt",
];

/// Endings that make an environment file an example.
const EXAMPLES: &[&str] = &["example", "sample", "template", "dist"];

/// Rounds of percent-decoding that are tried.
const DECODINGS_MAX: usize = 3;

/// [`PATTERNS`], cut into parts.
static PARTS: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| PATTERNS.iter().map(|pattern| pattern.split('/').collect()).collect());

/// Whether an argument (a path, a URL, a command line) names a secret file.
pub(super) fn named_in(text: &str) -> bool {
    let mut text = Cow::Borrowed(text);
    for _ in 0..=DECODINGS_MAX {
        if plain(&text).split(is_between).any(is_secret_path) {
            return true;
        }
        match unescaped(&text) {
            Some(decoded) => text = Cow::Owned(decoded),
            None => return false,
        }
    }
    // Encoded more often than anybody would: not a spelling that is worth a risk.
    true
}

/// The text with its sound percent-escapes decoded; nothing where it has none.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    let mut decoded = false;
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some((byte, rest)) = byte.zip(part.get(2..)) {
            decoded = true;
            bytes.push(byte);
            bytes.extend_from_slice(rest.as_bytes());
        } else {
            bytes.push(b'%');
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    decoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Lower case, one kind of slash, no invisible characters.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\u{2215}' | '\u{2044}' | '\u{29f8}' => out.push('/'),
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            '\u{2024}' | '\u{3002}' => out.push('.'),
            // Full-width forms of ASCII stand at a fixed distance from it.
            '\u{ff01}'..='\u{ff5e}' => {
                let narrow = char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c);
                out.extend(if narrow == '\\' { '/' } else { narrow }.to_lowercase());
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// What stands between paths in a command line, a URL or a list.
fn is_between(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`,;|&<>()=:{}$#@!%+".contains(c)
}

fn is_secret_path(path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    PARTS.iter().any(|wanted| {
        parts
            .windows(wanted.len())
            .any(|window| window.iter().zip(wanted).all(|(part, want)| fits(part, want)))
    })
}

fn fits(part: &str, want: &str) -> bool {
    if part == want {
        return true;
    }
    if want.contains('*') && wild(want, part) {
        return !part.strip_prefix(".env.").is_some_and(|ending| EXAMPLES.contains(&ending));
    }
    // The part may itself be a shell pattern. One that says too little would fit everything.
    let shell = part.contains(['*', '?']);
    shell && part.chars().filter(|c| !"*?.".contains(*c)).count() >= 2 && wild(part, want)
}

/// Whether `pattern` (`*` any run, `?` one byte) fits all of `text`. At most the product of both lengths in steps.
fn wild(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                p = at + 1;
                t = from + 1;
                star = Some((at, t));
            }
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_files_are_named() {
        for text in [
            ".env",
            "/app/.env",
            "cat .env",
            "./.env.production",
            "~/.aws/credentials",
            "$HOME/.aws/credentials",
            "${HOME}/.aws/config",
            "/proc/self/environ",
            "/proc/1/environ",
            "file:///proc/self/environ",
            "FILE:/etc/shadow",
            "/etc//passwd",
            "/etc/./passwd",
            "/etc/x/../passwd",
            "%2e%65nv",
            "%252eenv",
            "C:\\Users\\a\\.ssh\\id_rsa",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "\u{ff0e}env",
            "\u{2215}etc\u{2215}shadow",
            "/ETC/SHADOW",
            ".en*",
            "/e?c/pass*",
            "cat<.env",
            "x=.env;ls",
            "scp host:.ssh/id_ed25519 .",
            "models/a/config.pbtxt",
            ".\u{200b}env",
            "{\"path\":\"/root/.aws/credentials\"}",
        ] {
            assert!(named_in(text), "{text}");
        }
    }

    #[test]
    fn other_files_are_not() {
        for text in [
            "",
            ".",
            "*",
            "**/*",
            ".env.example",
            "process.env",
            "environment",
            "/etc/hosts",
            "aws/credentials-guide",
            "a.envelope",
            "/v1/chat/completions",
            "config.json",
            "src/proc/environ.rs",
            "100% of the environment",
            "?",
            ".*",
            "tokens",
            "ssh",
        ] {
            assert!(!named_in(text), "{text}");
        }
    }
}
