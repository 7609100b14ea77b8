//! Where a character of a scalar stands in the YAML that holds it, whichever way the scalar is written: plain, quoted,
//! literal or folded.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_saphyr::Location;

/// Line and column of the character `offset` of `value`, which begins at `at` in `source`. None where the writing has
/// escapes that spell a character by its number.
pub(super) fn exact(source: &str, at: Location, value: &str, offset: usize) -> Option<(u64, u64)> {
    let begin = usize::try_from(at.span().byte_offset()?).ok()?;
    let text = source.get(begin..)?;
    let first = text.chars().next()?;
    // A value may itself begin with a quote, so the reading without one comes first.
    let found = walk(text, 0, None, value, offset).or_else(|| match first {
        '\'' | '"' => walk(text, 1, Some(first), value, offset),
        '|' | '>' => walk(text, text.find('\n')?, None, value, offset),
        _ => None,
    })?;
    let above = source.get(..begin + found)?;
    let line_start = above.rfind('\n').map_or(0, |newline| newline + 1);
    let column = above.get(line_start..)?.chars().count() + 1;
    let line = above.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Some((u64::try_from(line).ok()?, u64::try_from(column).ok()?))
}

/// Walks both texts side by side, from `skip` in `text`; white space is what folding changes, so it is not compared.
fn walk(text: &str, skip: usize, quote: Option<char>, value: &str, offset: usize) -> Option<usize> {
    let mut written = text.get(skip..)?.char_indices().peekable();
    let mut found = None;
    for (index, wanted) in value.chars().enumerate() {
        if wanted.is_whitespace() {
            continue;
        }
        let at = next(&mut written, quote, wanted)?;
        if index >= offset && found.is_none() {
            found = Some(skip + at);
        }
    }
    found
}

/// Where the next character stands, if it is `wanted`.
fn next(written: &mut Peekable<CharIndices<'_>>, quote: Option<char>, wanted: char) -> Option<usize> {
    let (at, first) = written.find(|(_, c)| !c.is_whitespace())?;
    let escape = match quote {
        Some('\'') => first == '\'',
        Some(_) => first == '\\',
        None => false,
    };
    let read = if escape { written.next()?.1 } else { first };
    (read == wanted).then_some(at)
}
