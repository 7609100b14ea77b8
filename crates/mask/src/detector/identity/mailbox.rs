//! Telling mail addresses of people from names that only look like them.

/// Ends of names that are files, not mail domains.
const FILES: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "ico",
    "js",
    "mjs",
    "ts",
    "tsx",
    "jsx",
    "json",
    "css",
    "scss",
    "html",
    "htm",
    "xml",
    "yaml",
    "yml",
    "toml",
    "lock",
    "txt",
    "log",
    "conf",
    "ini",
    "service",
    "timer",
    "socket",
    "mount",
    "target",
    "local",
    "internal",
    "example",
    "test",
    "invalid",
    "localhost",
    "lan",
    "dll",
    "exe",
    "tgz",
    "gz",
    "zip",
    "jar",
    "so",
    "java",
    "class",
    "cpp",
    "tar",
];

pub(super) fn is_mailbox(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let mut halves = lower.splitn(2, |b| *b == b'@');
    let (Some(local), Some(domain)) = (halves.next(), halves.next()) else { return false };
    let last = domain.rsplit(|b| *b == b'.').next().unwrap_or_default();
    let documented = [&b"example.com"[..], b"example.org", b"example.net"]
        .iter()
        .any(|d| domain == *d || domain.strip_suffix(*d).is_some_and(|rest| rest.ends_with(b".")));
    let invented =
        local.split(|b| !b.is_ascii_alphabetic()).any(|word| matches!(word, b"fake" | b"dummy" | b"nobody"));
    let shared = [&b"git"[..], b"noreply", b"no-reply", b"hg", b"svn"].contains(&local);
    !documented
        && !invented
        && !shared
        && !FILES.iter().any(|file| file.as_bytes() == last)
        && !local.starts_with(b".")
        && !local.ends_with(b".")
}
