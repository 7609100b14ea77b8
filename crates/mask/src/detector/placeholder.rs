//! Values that stand for a secret: references, templates, what manuals write.

use super::lexicon::lexicon;

/// How hard to look for signs that a value only stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// Behind a distinctive prefix.
    Low,
    /// Behind a keyword.
    High,
}

/// The longest run of one character that a generated value has; long ones have longer runs.
const RUN_BYTES_MAX: usize = 5;
/// The part of a value that a run of one character may take up.
const RUN_PART_MAX: usize = 6;
/// The longest run of one of the digits 0 and 1 that a key behind a distinctive prefix has; it counts when it is more
/// than four fifths of the key.
const ZEROS_MAX: usize = 16;

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
        if run > RUN_BYTES_MAX.max(value.len() / RUN_PART_MAX) && filler
            || run > ZEROS_MAX && b"01".contains(byte) && run * 5 > value.len() * 4
        {
            return true;
        }
    }
    let words = lexicon();
    if words.placeholders.iter().any(|part| has(part)) {
        return true;
    }
    if suspicion == Suspicion::Low {
        return false;
    }
    let opens = |with: &[u8]| value.starts_with(with);
    words.stand_ins.iter().any(|part| has(part))
        || [(&b"${"[..], b'}'), (b"{{", b'}'), (b"$(", b')'), (b"%(", b')'), (b"#{", b'}')]
            .iter()
            .any(|(open, close)| refers(value, open, *close))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for value in ["${API_KEY}", "<your-api-key>", "xxxxxxxxxxxxxxxx", "$TOKEN", "%TOKEN%", "{{ token }}"]
        {
            assert!(is_placeholder(value.as_bytes(), Suspicion::High), "{value}");
        }
        assert!(is_placeholder(b"[REDACTED:github_pat]", Suspicion::Low));
        assert!(!is_placeholder(b"tr0ub4dor&3", Suspicion::High));
        let zeros = |count: usize, rest: &[u8]| [&b"glc"[..], &b"0".repeat(count), rest].concat();
        assert!(is_placeholder(&zeros(ZEROS_MAX + 1, b""), Suspicion::Low));
        assert!(!is_placeholder(&zeros(ZEROS_MAX, b""), Suspicion::Low));
        assert!(!is_placeholder(&zeros(ZEROS_MAX + 1, b"4WZ4EQ"), Suspicion::Low));
        let padded = |count: usize| [&b"Zx81kQpLw0Tn5RvBq7Gh2LmX9pRt"[..], &b"A".repeat(count)].concat();
        assert!(is_placeholder(&padded(RUN_BYTES_MAX + 1), Suspicion::High));
        assert!(!is_placeholder(&padded(RUN_BYTES_MAX), Suspicion::High));
        assert!(!is_placeholder(&[padded(9), padded(0)].concat(), Suspicion::High), "a sixth of it");
    }
}
