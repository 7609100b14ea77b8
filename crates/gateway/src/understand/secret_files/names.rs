//! Paths in a text, held against the list.

use super::glob::Glob;
use super::list::{List, Wanted};

/// Most alternatives that braces in one word may stand for.
const BRACES_MAX: usize = 256;
/// Most parts of a path with wildcards.
const PATTERN_PARTS_MAX: usize = 256;

/// Whether a text in lower case, with one kind of slash, names a secret file.
pub(super) fn named(list: &List, text: &str) -> bool {
    text.split(is_between).any(|word| is_secret(list, word)) || in_braces(list, text)
}

/// What stands between paths in a command line, a URL or a list.
fn is_between(c: char) -> bool {
    !c.is_ascii_alphanumeric()
        && (c.is_whitespace() || c.is_control() || "\"'`,;|&<>()=:{}$#@!%+".contains(c))
}

fn is_secret(list: &List, word: &str) -> bool {
    if is_secret_path(list, word) {
        return true;
    }
    // A question mark is a pattern in a shell and the end of the path in a URL; a bracket may be one of a list.
    let other = ['?', '[', ']'];
    if !word.contains(other) {
        return false;
    }
    let open = word.strip_prefix('[').unwrap_or(word);
    let closed = |word: &str| word.strip_suffix(']').is_some_and(|word| is_secret_path(list, word));
    is_secret_path(list, open)
        || closed(word)
        || closed(open)
        || word.split(other).any(|path| is_secret_path(list, path))
}

fn is_secret_path(list: &List, path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            // Windows drops dots at the end of a name.
            part => parts.push(match part.trim_end_matches('.') {
                "" => part,
                name => name,
            }),
        }
    }
    if parts.iter().any(|part| part.contains(['*', '?', '['])) {
        return fits_as_pattern(list, &parts);
    }
    parts.iter().enumerate().any(|(at, part)| {
        list.candidates(part, at).any(|(wanted, from)| {
            parts.get(from..from + wanted.parts.len()).is_some_and(|window| {
                window.iter().zip(&wanted.parts).all(|(part, want)| want.fits(part))
                    && !is_excepted(list, wanted, &parts)
            })
        })
    })
}

fn is_excepted(list: &List, wanted: &Wanted, parts: &[&str]) -> bool {
    let Some((except, name)) = list.excepts.get(wanted.except).zip(parts.last()) else { return false };
    except.iter().any(|harmless| harmless.fits(name))
}

/// Whether a path with wildcards would find a secret file. It must spell two characters and a third of what it finds:
/// one that says less would find everything. One of too many parts counts as found.
fn fits_as_pattern(list: &List, parts: &[&str]) -> bool {
    if parts.len() > PATTERN_PARTS_MAX {
        return true;
    }
    let globs: Option<Vec<Glob>> = parts.iter().map(|part| Glob::written(part)).collect();
    let Some(globs) = globs else { return false };
    list.wanted.iter().any(|wanted| {
        globs.windows(wanted.parts.len()).any(|window| {
            let spelled: usize = window.iter().map(Glob::named).sum();
            let whole: usize = wanted.parts.iter().map(Glob::length).sum();
            spelled >= 2
                && spelled * 3 >= whole
                && window.iter().zip(&wanted.parts).all(|(written, want)| want.meets(written))
                && !is_excepted(list, wanted, parts)
        })
    })
}

/// Whether what braces (`/etc/{passwd,hosts}`, `{a..z}`) or an extended pattern (`@(a|b)`) stand for is a secret file.
fn in_braces(list: &List, text: &str) -> bool {
    if !text.contains('{') && !["@(", "+(", "?(", "*(", "!("].iter().any(|open| text.contains(open)) {
        return false;
    }
    let text = extended(text);
    let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`;|&<>()=:".contains(c);
    text.split(ends).filter(|word| word.contains('{')).any(|word| {
        let mut words = vec![word.to_owned()];
        let mut looked = 0;
        while let Some(word) = words.pop() {
            looked += 1;
            if looked > BRACES_MAX || words.len() > BRACES_MAX {
                // More than anybody would write by hand.
                return true;
            }
            match alternatives(&word) {
                Some(more) => words.extend(more),
                None if word.split(is_between).any(|word| is_secret(list, word)) => return true,
                None => {}
            }
        }
        false
    })
}

/// Extended patterns written as braces.
fn extended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '@' | '+' | '?' | '*' | '!' if chars.peek() == Some(&'(') => {
                chars.next();
                depth += 1;
                out.push('{');
            }
            '|' if depth > 0 => out.push(','),
            ')' if depth > 0 => {
                depth -= 1;
                out.push_str(",}");
            }
            c => out.push(c),
        }
    }
    out
}

/// What the first innermost braces of a word stand for; nothing where there are none.
fn alternatives(word: &str) -> Option<Vec<String>> {
    // Where braces opened, and whether there is a choice behind.
    let mut opened: Vec<(usize, bool)> = Vec::new();
    let (open, close) = word.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            b'{' => opened.push((at, false)),
            b',' => opened.last_mut()?.1 = true,
            b'.' if word.get(at..)?.starts_with("..") => opened.last_mut()?.1 = true,
            b'}' => return opened.pop().filter(|(_, choice)| *choice).map(|(open, _)| (open, at)),
            _ => {}
        }
        None
    })?;
    let (head, tail) = (word.get(..open)?, word.get(close + 1..)?);
    let inside = word.get(open + 1..close)?;
    if let Some((from, to)) = inside.split_once("..").filter(|_| !inside.contains(',')) {
        let single = |text: &str| text.chars().count() == 1;
        let to = to.split("..").next().unwrap_or(to);
        let class =
            if single(from) && single(to) { format!("[{from}-{to}{to}-{from}]") } else { "*".to_owned() };
        return Some(vec![format!("{head}{class}{tail}")]);
    }
    Some(inside.split(',').map(|one| format!("{head}{one}{tail}")).collect())
}
