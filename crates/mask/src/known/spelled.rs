//! Known values in disguise: letters as escapes of program texts, addresses or HTML, in fullwidth, or with characters
//! between them that cannot be seen.
//!
//! **Promise.** Text is folded to what it would be read as ([`unit`] lists what that covers), and a known value that
//! stands in the folded text is masked with all that spells it. Nothing is folded where no such spelling stands. As
//! everywhere, a byte leaves only when no value that has begun can include it, whatever the chunks.
//!
//! Limits, declared and tested: a spelling of more than [`SPAN_BYTES_MAX`] bytes is let go (*fails open*); of a value
//! longer than a form's head, what follows its head is masked up to the next space or quote. Reversed, rotated (rot13),
//! xored, spelled-out and translated values are not found.

use std::sync::{Arc, LazyLock};

use super::matcher::{FORM_HEAD_BYTES_MAX, KnownHit};
use crate::detector::ByteSet;
use crate::lane::Rest;
use crate::matches::{Growth, Match, Matches};
use crate::profile::{Owner, Profile};

/// The most bytes that one disguised value may span: its head with twelve bytes for each.
pub(crate) const SPAN_BYTES_MAX: usize = 3072;
/// How many backslashes may stand before one escape.
const BACKSLASHES_MAX: usize = 8;
/// Text is passed in blocks of this size where no spelling can begin.
const BLOCK: usize = 64;
/// So much text is folded before it is asked again whether a value has begun in it.
const WINDOW: usize = 256;

/// What a long disguised value is taken to be made of, behind its head.
static SOLID: LazyLock<Arc<ByteSet>> = LazyLock::new(|| {
    let mut set = [false; 256];
    for (byte, slot) in (0u8..=255).zip(set.iter_mut()) {
        *slot = !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`');
    }
    Arc::new(set)
});

/// A byte of the folded text: where what spells it stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

/// The search for disguised values.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    /// Text is being folded.
    active: bool,
    /// The text is folded, or known to hold no spelling, up to here.
    read: usize,
    /// No value that spellings are part of begins before here.
    clear: usize,
    folded: Vec<u8>,
    places: Vec<Place>,
    /// Where an open candidate begins.
    open_from: Option<usize>,
    hits: Vec<KnownHit>,
}

impl Spelled {
    pub(crate) fn advance(&mut self, profile: &Profile, text: &[u8], rest: Rest, matches: &mut Matches) {
        if profile.known.is_empty() {
            self.read = text.len();
            return;
        }
        let ended = rest == Rest::Ended;
        while self.active || self.read < text.len() {
            let mut window = self.read + WINDOW;
            if !self.active {
                let Some(sign) = first_sign(text, self.read, ended) else {
                    self.read = text.len();
                    return;
                };
                // What stands before it may be the beginning of a value: then it was held.
                let before = sign.saturating_sub(FORM_HEAD_BYTES_MAX).max(matches.decided).max(self.clear);
                (self.active, self.read, window) = (true, before.min(sign), sign + WINDOW);
            }
            let waits = self.fold(text, window, ended);
            let over = self.read == text.len();
            self.find(profile, ended && over, matches);
            self.active = self.open_from.is_some() || waits;
            if !self.active {
                self.clear = self.read;
            }
            if over || waits {
                return;
            }
        }
    }

    /// Folds text up to `window`, or a little further; whether a unit waits for what follows.
    fn fold(&mut self, text: &[u8], window: usize, ended: bool) -> bool {
        while let Some(rest) = text.get(self.read..).filter(|rest| !rest.is_empty() && self.read < window) {
            let unit = match unit(rest) {
                Unit::Partial if ended => Unit::of_byte(rest),
                unit => unit,
            };
            let Unit::Whole { length, meaning } = unit else { return true };
            let place = Place { start: self.read, end: self.read + length };
            if let Some(byte) = meaning {
                self.folded.push(byte);
                self.places.push(place);
            }
            self.read = place.end;
        }
        false
    }

    /// Finds values in the folded text, and keeps what may be the beginning of one.
    fn find(&mut self, profile: &Profile, ended: bool, matches: &mut Matches) {
        let known = &profile.known;
        let open = self.open(profile, ended);
        let mut hits = std::mem::take(&mut self.hits);
        known.scan(&self.folded, 0, open, &mut hits);
        for hit in &hits {
            let last = hit.end.checked_sub(1).and_then(|last| self.places.get(last));
            let (Some(first), Some(last)) = (self.places.get(hit.start), last) else { continue };
            let span = last.end - first.start;
            // What is spelled with its own bytes is found without folding.
            if span == hit.end - hit.start || span > SPAN_BYTES_MAX {
                continue;
            }
            let long = !known.tail(hit.form).is_empty();
            let growth = long.then(|| Growth::Run(Arc::clone(&SOLID)));
            let owner = Owner::Known(known.value_of(hit.form));
            matches.insert(Match::new(owner, first.start, last.end, growth));
        }
        self.hits = hits;
        self.open_from = self.places.get(open).map(|place| place.start);
        self.folded.drain(..open);
        self.places.drain(..open);
    }

    /// The first folded byte that a value which is not complete may begin with.
    fn open(&self, profile: &Profile, ended: bool) -> usize {
        let mut open = if ended { self.folded.len() } else { 0 };
        while open < self.folded.len() {
            open = profile.known.open_from(&self.folded, open);
            match self.places.get(open) {
                Some(place) if self.read - place.start > SPAN_BYTES_MAX => open += 1,
                _ => break,
            }
        }
        open
    }

    /// The first byte that an open candidate may yet claim.
    pub(crate) fn frontier(&self, len: usize) -> usize {
        self.open_from.unwrap_or(len).min(self.read)
    }

    pub(crate) fn rebase(&mut self, by: usize) {
        self.read -= by;
        self.clear = self.clear.saturating_sub(by);
        self.open_from = self.open_from.map(|at| at.saturating_sub(by));
        for place in &mut self.places {
            place.start = place.start.saturating_sub(by);
            place.end = place.end.saturating_sub(by);
        }
    }

    /// Starts a text behind `context` bytes that are not part of it.
    pub(crate) fn begin(&mut self, context: usize) {
        self.active = false;
        (self.read, self.clear) = (context, context);
        self.open_from = None;
        self.folded.clear();
        self.places.clear();
    }
}

/// Whether a known value may stand in a whole text in disguise.
pub(crate) fn may_be_spelled(profile: &Profile, text: &[u8]) -> bool {
    !profile.known.is_empty() && first_sign(text, 0, true).is_some()
}

/// The first place from `from` on at which something is, or at the end may be, spelled otherwise than by its own byte.
fn first_sign(text: &[u8], from: usize, ended: bool) -> Option<usize> {
    let mut at = from;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(block) = rest.first_chunk::<BLOCK>()
            && !block.iter().fold(false, |any, byte| any | may_begin_unit(*byte))
        {
            at += BLOCK;
            continue;
        }
        let next = rest.iter().position(|byte| may_begin_unit(*byte))?;
        at += next;
        match unit(text.get(at..).unwrap_or_default()) {
            Unit::Whole { length: 1, meaning: Some(_) } => at += 1,
            Unit::Partial if ended => at += 1,
            Unit::Partial | Unit::Whole { .. } => return Some(at),
        }
    }
    None
}

/// Whether what a byte begins may be read as another one, or as none.
#[inline]
pub(crate) const fn may_begin_unit(byte: u8) -> bool {
    // `%` and `&` are neighbours.
    byte >= 0xc2 || byte == b'\\' || byte.wrapping_sub(b'%') < 2 || byte == 0
}

/// So many bytes of text are read as one byte, or as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Whole {
        length: usize,
        meaning: Option<u8>,
    },
    /// What follows decides.
    Partial,
}

impl Unit {
    fn of_byte(text: &[u8]) -> Self {
        Self::Whole { length: 1, meaning: text.first().copied() }
    }

    /// A character that is spelled by `length` bytes; where it can be no part of a value, these stand for themselves.
    fn of_code(code: u32, length: usize, text: &[u8]) -> Self {
        match folded(code) {
            Folded::Nothing => Self::Whole { length, meaning: None },
            Folded::Ascii(byte) => Self::Whole { length, meaning: Some(byte) },
            Folded::Other => Self::of_byte(text),
        }
    }
}

/// Reads one unit off the front of a text that is not empty.
///
/// Escapes: `\u0073`, `\u{73}`, `\U00000073`, `\x73`, `\163`, `\` before punctuation (JSON, program texts, Markdown),
/// with up to [`BACKSLASHES_MAX`] backslashes; `%73`, `%u0073`; `&#115;`, `&#x73;`, `&amp;` and a few more. Characters:
/// fullwidth ASCII, hyphens; nothing for those that cannot be seen: soft hyphen, zero-width, bidirectional marks,
/// variation selectors, tags, combining marks, NUL (so that text in UTF-16 within other text is read too).
fn unit(text: &[u8]) -> Unit {
    match text {
        [0, ..] => Unit::Whole { length: 1, meaning: None },
        [b'\\', ..] => backslash(text),
        [b'%', rest @ ..] => match rest {
            [b'u' | b'U', digits @ ..] => hex(digits, 4, 2, text),
            digits => hex(digits, 2, 1, text),
        },
        [b'&', ..] => entity(text),
        [first, ..] if *first >= 0xc2 => character(text),
        _ => Unit::of_byte(text),
    }
}

/// Exactly `count` hex digits behind `before` bytes.
fn hex(digits: &[u8], count: usize, before: usize, text: &[u8]) -> Unit {
    let mut code = 0;
    for n in 0..count {
        let Some(byte) = digits.get(n) else { return Unit::Partial };
        let Some(digit) = char::from(*byte).to_digit(16) else { return Unit::of_byte(text) };
        code = code << 4 | digit;
    }
    Unit::of_code(code, before + count, text)
}

fn backslash(text: &[u8]) -> Unit {
    let slashes = text.iter().take(BACKSLASHES_MAX).take_while(|byte| **byte == b'\\').count();
    let rest = text.get(slashes..).unwrap_or_default();
    match rest {
        [] | [b'u'] => Unit::Partial,
        [b'u', b'{', digits @ ..] => braced(digits, slashes + 2, text),
        [b'u', digits @ ..] => hex(digits, 4, slashes + 1, text),
        [b'U', digits @ ..] => hex(digits, 8, slashes + 1, text),
        [b'x', digits @ ..] => hex(digits, 2, slashes + 1, text),
        [b'0'..=b'3', ..] => octal(rest, slashes, text),
        // An even number of backslashes before anything else spells backslashes.
        [byte, ..] if byte.is_ascii_punctuation() && *byte != b'\\' && slashes % 2 == 1 => {
            Unit::Whole { length: slashes + 1, meaning: Some(*byte) }
        }
        _ if slashes > 1 => Unit::Whole { length: 2, meaning: Some(b'\\') },
        _ => Unit::of_byte(text),
    }
}

fn braced(digits: &[u8], before: usize, text: &[u8]) -> Unit {
    let count = digits.iter().take(7).take_while(|byte| byte.is_ascii_hexdigit()).count();
    match digits.get(count) {
        None => Unit::Partial,
        Some(b'}') if (1..7).contains(&count) => {
            let code = digits.iter().take(count).fold(0, |code, byte| code << 4 | hex_value(*byte));
            Unit::of_code(code, before + count + 1, text)
        }
        Some(_) => Unit::of_byte(text),
    }
}

fn hex_value(byte: u8) -> u32 {
    char::from(byte).to_digit(16).unwrap_or(0)
}

fn octal(digits: &[u8], slashes: usize, text: &[u8]) -> Unit {
    let mut code = 0;
    for n in 0..3 {
        let Some(byte) = digits.get(n) else { return Unit::Partial };
        let Some(digit) = char::from(*byte).to_digit(8) else { return Unit::of_byte(text) };
        code = code << 3 | digit;
    }
    Unit::of_code(code, slashes + 3, text)
}

/// HTML's names for what values are made of, and for what cannot be seen.
const NAMES: [(&[u8], Option<u8>); 17] = [
    (b"amp", Some(b'&')),
    (b"lt", Some(b'<')),
    (b"gt", Some(b'>')),
    (b"quot", Some(b'"')),
    (b"apos", Some(b'\'')),
    (b"sol", Some(b'/')),
    (b"bsol", Some(b'\\')),
    (b"lowbar", Some(b'_')),
    (b"plus", Some(b'+')),
    (b"equals", Some(b'=')),
    (b"period", Some(b'.')),
    (b"commat", Some(b'@')),
    (b"hyphen", Some(b'-')),
    (b"shy", None),
    (b"zwj", None),
    (b"zwnj", None),
    (b"ZeroWidthSpace", None),
];

fn entity(text: &[u8]) -> Unit {
    let rest = text.get(1..).unwrap_or_default();
    let (digits, radix, before) = match rest {
        [] | [b'#'] | [b'#', b'x' | b'X'] => return Unit::Partial,
        [b'#', b'x' | b'X', digits @ ..] => (digits, 16, 3),
        [b'#', digits @ ..] => (digits, 10, 2),
        _ => return named(rest, text),
    };
    let count = digits.iter().take(8).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let closed = match digits.get(count) {
        _ if count == 0 || count == 8 => return Unit::of_byte(text),
        None => return Unit::Partial,
        Some(byte) => usize::from(*byte == b';'),
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(radix).unwrap_or(0);
    let code = digits.iter().take(count).fold(0, |code, byte| code * radix + digit(byte));
    Unit::of_code(code, before + count + closed, text)
}

fn named(rest: &[u8], text: &[u8]) -> Unit {
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let name = rest.get(..length).unwrap_or_default();
    match rest.get(length) {
        None if NAMES.iter().any(|(known, _)| known.starts_with(name)) => Unit::Partial,
        Some(b';') => match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, meaning)) => Unit::Whole { length: length + 2, meaning: *meaning },
            None => Unit::of_byte(text),
        },
        _ => Unit::of_byte(text),
    }
}

fn character(text: &[u8]) -> Unit {
    let (length, low) = match text.first() {
        Some(first @ 0xc2..0xe0) => (2, u32::from(first & 0x1f)),
        Some(first @ 0xe0..0xf0) => (3, u32::from(first & 0x0f)),
        Some(first @ 0xf0..0xf5) => (4, u32::from(first & 0x07)),
        _ => return Unit::of_byte(text),
    };
    let mut code = low;
    for n in 1..length {
        match text.get(n) {
            None => return if may_fold(text) { Unit::Partial } else { Unit::of_byte(text) },
            Some(byte) if byte & 0xc0 == 0x80 => code = code << 6 | u32::from(byte & 0x3f),
            Some(_) => return Unit::of_byte(text),
        }
    }
    Unit::of_code(code, length, text)
}

/// Whether a character that begins so may be folded at all.
const fn may_fold(text: &[u8]) -> bool {
    matches!(text, [0xc2 | 0xcc | 0xcd | 0xd8 | 0xe1 | 0xe2 | 0xef | 0xf3, ..])
}

enum Folded {
    Nothing,
    Ascii(u8),
    Other,
}

#[expect(clippy::cast_possible_truncation, reason = "below 0x7f")]
const fn folded(code: u32) -> Folded {
    match code {
        0x21..=0x7e => Folded::Ascii(code as u8),
        0xff01..=0xff5e => Folded::Ascii((code - 0xfee0) as u8),
        // Hyphens that writers put in place of the one of ASCII.
        0x2010 | 0x2011 => Folded::Ascii(b'-'),
        0
        | 0xad // soft hyphen
        | 0x300..=0x36f // combining marks
        | 0x61c // Arabic letter mark
        | 0x180b..=0x180f // Mongolian selectors
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x200b..=0x200f // zero-width, directional marks
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0x20d0..=0x20f0
        | 0xfe00..=0xfe0f // variation selectors
        | 0xfe20..=0xfe2f
        | 0xfeff // byte order mark
        | 0xe_0000..=0xe_01ef => Folded::Nothing, // tags, selectors
        _ => Folded::Other,
    }
}
