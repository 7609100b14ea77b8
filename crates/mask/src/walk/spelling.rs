//! How a format spells text that is not itself: percent signs, entities, backslashes.
//!
//! Exceptions: what no reader has to understand stands for itself (`%zz`, `&unknown;`, a lone half of a surrogate pair);
//! entities that a document defines for itself are not known.

use keyward_wire::json::escape_into;
use memchr::{memchr, memchr2};

/// The longest escape that is understood, in bytes: `&#x0010ffff;`.
pub(super) const SPELLED_BYTES_MAX: usize = 12;

/// How text is spelled where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Spelling {
    /// As itself.
    #[default]
    Plain,
    /// `application/x-www-form-urlencoded` (WHATWG URL, section 5): `%73`, and `+` for a space.
    Form,
    /// Character references of XML and HTML: `&amp;`, `&#115;`, `&#x73;`.
    Markup,
    /// Escapes behind a backslash, as YAML, TOML, properties and scripts have them: `\x73`, `\u0073`, `\u{73}`, `\n`.
    Backslash,
}

impl Spelling {
    /// Writes what takes a text's place, inside of `depth` JSON strings.
    pub(super) fn write(self, text: &str, depth: usize, out: &mut Vec<u8>) {
        if matches!(self, Self::Plain | Self::Backslash) {
            return escape_into(text, depth, out);
        }
        let mut inner = Vec::with_capacity(text.len());
        escape_into(text, depth, &mut inner);
        for byte in inner {
            match (self, byte) {
                (Self::Markup, b'&') => out.extend_from_slice(b"&amp;"),
                (Self::Markup, b'<') => out.extend_from_slice(b"&lt;"),
                (Self::Markup, b'>') => out.extend_from_slice(b"&gt;"),
                (Self::Markup, b'"') => out.extend_from_slice(b"&quot;"),
                (Self::Markup, b'\'') => out.extend_from_slice(b"&#39;"),
                (Self::Form, b' ') => out.push(b'+'),
                (Self::Form, other) if !other.is_ascii_alphanumeric() && !b"*-._".contains(&other) => {
                    out.extend_from_slice(format!("%{other:02X}").as_bytes());
                }
                (_, other) => out.push(other),
            }
        }
    }

    /// The first byte that may not stand for itself.
    fn lead(self, input: &[u8]) -> Option<usize> {
        match self {
            Self::Plain => None,
            Self::Form => memchr2(b'%', b'+', input),
            Self::Markup => memchr(b'&', input),
            Self::Backslash => memchr(b'\\', input),
        }
    }

    fn classify(self, held: &[u8]) -> Class {
        match self {
            Self::Plain => Class::Itself(held.len()),
            Self::Form => percent(held),
            Self::Markup => reference(held),
            Self::Backslash => backslash(held),
        }
    }
}

enum Class {
    /// More bytes will tell.
    Partial,
    /// The first so many bytes stand for a character.
    Means(char, usize),
    /// The first so many bytes stand for a byte.
    Byte(u8, usize),
    /// The first so many bytes stand for themselves.
    Itself(usize),
}

/// Resumable reading of a spelled text.
#[derive(Debug, Default)]
pub(super) struct Unspell {
    pub(super) spelling: Spelling,
    held: Vec<u8>,
}

impl Unspell {
    pub(super) const fn new(spelling: Spelling) -> Self {
        Self { spelling, held: Vec::new() }
    }

    /// Takes input; says piece by piece what it means, with the raw bytes that mean it.
    pub(super) fn feed(&mut self, input: &[u8], told: &mut impl FnMut(&[u8], &[u8])) {
        let mut rest = input;
        while let Some(first) = rest.first() {
            if self.held.is_empty() {
                let plain = self.spelling.lead(rest).unwrap_or(rest.len());
                if plain > 0 {
                    let (part, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
                    told(part, part);
                    rest = after;
                    continue;
                }
            }
            self.held.push(*first);
            rest = rest.get(1..).unwrap_or_default();
            self.settle(false, told);
        }
    }

    /// The end of the text: what is held is as it stands.
    pub(super) fn finish(&mut self, told: &mut impl FnMut(&[u8], &[u8])) {
        self.settle(true, told);
    }

    /// Decides about what is held, as far as that is possible.
    fn settle(&mut self, ended: bool, told: &mut impl FnMut(&[u8], &[u8])) {
        while !self.held.is_empty() {
            // What is held begins with a lead, or is what a shorter escape left over.
            let plain = self.spelling.lead(&self.held).unwrap_or(self.held.len());
            let class = if plain > 0 { Class::Itself(plain) } else { self.spelling.classify(&self.held) };
            let class = match class {
                Class::Partial if ended || self.held.len() >= SPELLED_BYTES_MAX => Class::Itself(1),
                other => other,
            };
            let mut utf8 = [0; 4];
            let (meaning, used) = match class {
                Class::Partial => return,
                Class::Means(c, used) => (Some(c.encode_utf8(&mut utf8).as_bytes()), used),
                Class::Byte(byte, used) => {
                    utf8 = [byte, 0, 0, 0];
                    (utf8.get(..1), used)
                }
                Class::Itself(used) => (None, used),
            };
            let raw = self.held.get(..used).unwrap_or_default();
            told(meaning.unwrap_or(raw), raw);
            self.held.drain(..used.min(self.held.len()));
        }
    }
}

fn percent(held: &[u8]) -> Class {
    match held {
        [b'+', ..] => Class::Byte(b' ', 1),
        [_] => Class::Partial,
        [_, one] if one.is_ascii_hexdigit() => Class::Partial,
        [_, one, two, ..] => match number(&[*one, *two], 16).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => Class::Byte(byte, 3),
            None => Class::Itself(1),
        },
        _ => Class::Itself(1),
    }
}

/// The number that digits alone write; none when there are no digits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
    u32::from_str_radix(digits, radix).ok()
}

/// The named references of HTML that mean an ASCII character or a no-break space. They hold XML's five.
const NAMED: [(&[u8], char); 36] = [
    (b"amp", '&'),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"apos", '\''),
    (b"nbsp", '\u{a0}'),
    (b"Tab", '\t'),
    (b"NewLine", '\n'),
    (b"excl", '!'),
    (b"num", '#'),
    (b"dollar", '$'),
    (b"percnt", '%'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"ast", '*'),
    (b"plus", '+'),
    (b"comma", ','),
    (b"period", '.'),
    (b"sol", '/'),
    (b"colon", ':'),
    (b"semi", ';'),
    (b"equals", '='),
    (b"quest", '?'),
    (b"commat", '@'),
    (b"lsqb", '['),
    (b"lbrack", '['),
    (b"bsol", '\\'),
    (b"rsqb", ']'),
    (b"rbrack", ']'),
    (b"Hat", '^'),
    (b"lowbar", '_'),
    (b"grave", '`'),
    (b"lcub", '{'),
    (b"verbar", '|'),
    (b"vert", '|'),
    (b"rcub", '}'),
];

/// A character reference (XML 1.0, section 4.1; HTML, section 13.5). As browsers do, the semicolon may be missing.
fn reference(held: &[u8]) -> Class {
    let body = held.get(1..).unwrap_or_default();
    let length = body.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'#').count();
    let Some(behind) = body.get(length) else { return Class::Partial };
    let name = body.get(..length).unwrap_or_default();
    let meant = match name {
        [b'#', b'x' | b'X', hex @ ..] => number(hex, 16).and_then(char::from_u32),
        [b'#', decimal @ ..] => number(decimal, 10).and_then(char::from_u32),
        name => NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
    };
    match meant {
        Some(c) => Class::Means(c, 1 + length + usize::from(*behind == b';')),
        None => Class::Itself(1),
    }
}

fn backslash(held: &[u8]) -> Class {
    let simple = |c: char| Class::Means(c, 2);
    let digits = |from: usize, count: usize| {
        let digits = held.get(from..).unwrap_or_default();
        let good = digits.iter().take(count).take_while(|b| b.is_ascii_hexdigit()).count();
        match (good == count, good == digits.len()) {
            (true, _) => match number(digits.get(..count).unwrap_or_default(), 16).and_then(char::from_u32) {
                Some(c) => Class::Means(c, from + count),
                None => Class::Itself(from + count),
            },
            (false, true) => Class::Partial,
            (false, false) => Class::Itself(1),
        }
    };
    match held {
        [_] | [_, b'u'] => Class::Partial,
        [_, b'u', b'{', digits @ ..] => {
            let good = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
            let number = number(digits.get(..good).unwrap_or_default(), 16).and_then(char::from_u32);
            match (digits.get(good), number) {
                (None, _) => Class::Partial,
                (Some(b'}'), Some(c)) => Class::Means(c, 4 + good),
                _ => Class::Itself(1),
            }
        }
        [_, b'u', ..] => digits(2, 4),
        [_, b'U', ..] => digits(2, 8),
        [_, b'x', ..] => digits(2, 2),
        [_, b'n', ..] => simple('\n'),
        [_, b'r', ..] => simple('\r'),
        [_, b't', ..] => simple('\t'),
        [_, c @ (b'"' | b'\'' | b'\\' | b'/' | b'`'), ..] => simple(char::from(*c)),
        _ => Class::Itself(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spelling: Spelling, input: &str) -> String {
        let meaning = |chunk: usize| {
            let (mut unspell, mut meaning, mut raw) = (Unspell::new(spelling), Vec::new(), Vec::new());
            let mut told = |m: &[u8], r: &[u8]| {
                assert!(m == r || (!m.is_empty() && r.len() <= SPELLED_BYTES_MAX));
                meaning.extend_from_slice(m);
                raw.extend_from_slice(r);
            };
            for part in input.as_bytes().chunks(chunk) {
                unspell.feed(part, &mut told);
            }
            unspell.finish(&mut told);
            assert_eq!(String::from_utf8(raw).unwrap(), input, "raw bytes are covered");
            String::from_utf8(meaning).unwrap()
        };
        let whole = meaning(input.len().max(1));
        for chunk in 1..input.len() {
            assert_eq!(meaning(chunk), whole, "{input} in chunks of {chunk}");
        }
        whole
    }

    #[test]
    fn forms_percent_signs_and_spaces() {
        for (raw, meaning) in [
            ("a%73+b%2B", "as b+"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%%73%+1", "%s% 1"),
            ("%c3%A9", "é"),
        ] {
            assert_eq!(read(Spelling::Form, raw), meaning, "{raw}");
        }
    }

    #[test]
    fn character_references_with_and_without_a_semicolon() {
        for (raw, meaning) in [
            ("a&amp;b &#115;&#x73;&#X73;", "a&b sss"),
            ("&amp &lt&gt;", "& <>"),
            ("&unknown; &#xzz; && &", "&unknown; &#xzz; && &"),
            ("&#1114112;&#0;", "&#1114112;\0"),
            ("&lowbar;&period;&#x0010ffff;", "_.\u{10ffff}"),
            ("&&#115;&toolongtobeone;", "&s&toolongtobeone;"),
        ] {
            assert_eq!(read(Spelling::Markup, raw), meaning, "{raw}");
        }
    }

    #[test]
    fn escapes_behind_a_backslash() {
        for (raw, meaning) in [
            (r"\x73\u0073\U00000073\u{73}\u{10ffff}", "ssss\u{10ffff}"),
            (r#"\"\\\/\n\q\"#, "\"\\/\n\\q\\"),
            (r"C:\users\x4 \u{} \u{73", "C:\\users\\x4 \\u{} \\u{73"),
            (r"\ud83d\u0073", "\\ud83ds"),
        ] {
            assert_eq!(read(Spelling::Backslash, raw), meaning, "{raw}");
        }
    }

    #[test]
    fn what_is_written_reads_as_what_was_meant() {
        let text = "[A:b] <x>&\"' %+\u{e9}";
        for spelling in [Spelling::Form, Spelling::Markup] {
            let mut out = Vec::new();
            spelling.write(text, 0, &mut out);
            assert_eq!(read(spelling, std::str::from_utf8(&out).unwrap()), text, "{spelling:?}");
        }
    }
}
