//! What a pattern's secret is made of, derived from the pattern itself: a hold-back written by hand is a hold-back that
//! one day lacks a byte the matcher accepts.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::ByteSet;

/// The bytes that the group `secret` can match. None when more than one byte may follow the group, or when the group
/// stands inside a repetition or an alternative: nothing is known then.
pub(super) fn of_secret(pattern: &str) -> Option<Box<ByteSet>> {
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let at = parts.iter().position(
        |part| matches!(part.kind(), HirKind::Capture(group) if group.name.as_deref() == Some("secret")),
    )?;
    let behind = parts.iter().skip(at + 1).map(|part| part.properties().maximum_len());
    let follows = behind.sum::<Option<usize>>()?;
    if follows > 1 {
        return None;
    }
    let mut set = Box::new([false; 256]);
    collect(parts.get(at)?, &mut set)?;
    Some(set)
}

fn collect(hir: &Hir, set: &mut ByteSet) -> Option<()> {
    let mut add = |from: u8, to: u8| {
        for byte in from..=to {
            if let Some(slot) = set.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => literal.0.iter().for_each(|byte| add(*byte, *byte)),
        HirKind::Class(Class::Bytes(class)) => class.iter().for_each(|range| add(range.start(), range.end())),
        HirKind::Class(Class::Unicode(class)) => {
            for range in class.iter() {
                add(u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok()?);
            }
        }
        HirKind::Repetition(repetition) => collect(&repetition.sub, set)?,
        HirKind::Capture(capture) => collect(&capture.sub, set)?,
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            for part in parts {
                collect(part, set)?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(pattern: &str) -> Option<Vec<u8>> {
        of_secret(pattern).map(|set| (0..=255u8).filter(|b| set[usize::from(*b)]).collect())
    }

    #[test]
    fn the_alphabet_is_the_union_of_what_the_secret_can_be() {
        assert_eq!(bytes(r"a*(?<secret>[b-d]{3}|x-y(?:z|\d))\b").unwrap(), b"-0123456789bcdxyz");
        assert_eq!(bytes(r"a(?<secret>[bc]+)(?:[^bc]|$)").unwrap(), b"bc");
    }

    #[test]
    fn where_it_cannot_be_known_it_is_not() {
        for pattern in [r"a(?<secret>b+)cd", r"a(?:(?<secret>b+)c)*", r"(?<secret>b+)|c", r"ab+"] {
            assert_eq!(bytes(pattern), None, "{pattern}");
        }
    }
}
