//! The content of a JSON string: from raw bytes to meaning, and back.

use memchr::memchr;

/// The longest escape, in bytes: a surrogate pair, `\ud83d\ude00`.
pub const ESCAPE_BYTES_MAX: usize = 12;

/// The meaning of one escape: a UTF-8 character, or the bytes of an unknown escape as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    bytes: [u8; ESCAPE_BYTES_MAX],
    len: u8,
}

impl Meaning {
    fn of_char(c: char) -> Self {
        let mut bytes = [0; ESCAPE_BYTES_MAX];
        let len = c.encode_utf8(&mut bytes).len();
        Self { bytes, len: u8::try_from(len).unwrap_or(0) }
    }

    fn verbatim(raw: &[u8]) -> Self {
        let mut bytes = [0; ESCAPE_BYTES_MAX];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(raw) {
            *to = *from;
            len += 1;
        }
        Self { bytes, len }
    }

    /// The bytes meant.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A piece of string content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This many input bytes mean themselves.
    Literal(usize),
    /// An escape: `raw` bytes (some perhaps from earlier input) mean `meaning`.
    Escape {
        /// What it means.
        meaning: Meaning,
        /// How many raw bytes it takes.
        raw: usize,
    },
    /// An escape has begun; its rest has not come yet.
    More,
}

/// Resumable unescaping of string content. Does not look for the closing quote.
#[derive(Debug, Clone, Default)]
pub struct Unescape {
    held: [u8; ESCAPE_BYTES_MAX],
    len: usize,
}

enum Class {
    Partial,
    Done { meaning: Meaning, used: usize },
}

impl Unescape {
    /// The bytes of an escape that has begun and is not complete.
    pub fn pending(&self) -> &[u8] {
        self.held.get(..self.len).unwrap_or_default()
    }

    /// Forgets what is pending.
    pub fn reset(&mut self) {
        self.len = 0;
    }

    /// Takes the next piece from `input`; also says how many bytes of `input` it took. An escape is reported with
    /// nothing taken when only the byte after it showed that it is complete.
    pub fn step(&mut self, input: &[u8]) -> (usize, Piece) {
        if self.len == 0 {
            match input {
                [b'\\', c, ..] if *c != b'u' => {
                    return (2, Piece::Escape { meaning: simple(*c), raw: 2 });
                }
                [b'\\', ..] => {}
                _ => {
                    let len = memchr(b'\\', input).unwrap_or(input.len());
                    return (len, Piece::Literal(len));
                }
            }
        }
        for (taken, &byte) in input.iter().enumerate() {
            if let Some(slot) = self.held.get_mut(self.len) {
                *slot = byte;
                self.len += 1;
            }
            let Class::Done { meaning, used } = classify(self.pending()) else { continue };
            if used == self.len {
                self.len = 0;
                return (taken + 1, Piece::Escape { meaning, raw: used });
            }
            // The byte only showed that the escape before it was complete: give it back.
            let rest = self.len - 1 - used;
            self.held.copy_within(used..used + rest, 0);
            self.len = rest;
            return (taken, Piece::Escape { meaning, raw: used });
        }
        (input.len(), Piece::More)
    }
}

/// What `\` with this byte means, where that is one byte and needs no more.
pub const fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}

fn simple(c: u8) -> Meaning {
    short_escape(c).map_or_else(|| Meaning::verbatim(&[b'\\', c]), |byte| Meaning::verbatim(&[byte]))
}

/// The number that four hex digits give; how many digits stand before the first byte that is none otherwise.
fn hex4(digits: &[u8]) -> Result<u32, usize> {
    let mut value = 0;
    for (i, d) in digits.iter().take(4).enumerate() {
        value = value * 16 + char::from(*d).to_digit(16).ok_or(i)?;
    }
    Ok(value)
}

fn classify(held: &[u8]) -> Class {
    let Some(&kind) = held.get(1) else { return Class::Partial };
    if kind != b'u' {
        return Class::Done { meaning: simple(kind), used: 2 };
    }
    let digits = held.get(2..).unwrap_or_default();
    let unit = match hex4(digits) {
        Err(good) => {
            let used = 2 + good;
            return Class::Done { meaning: Meaning::verbatim(held.get(..used).unwrap_or_default()), used };
        }
        Ok(_) if digits.len() < 4 => return Class::Partial,
        Ok(unit) => unit,
    };
    let replacement = Class::Done { meaning: Meaning::of_char(char::REPLACEMENT_CHARACTER), used: 6 };
    if !(0xd800..0xdc00).contains(&unit) {
        return char::from_u32(unit)
            .map_or(replacement, |c| Class::Done { meaning: Meaning::of_char(c), used: 6 });
    }
    match held.get(6..).unwrap_or_default() {
        [] | [b'\\'] => Class::Partial,
        [b'\\', b'u', low @ ..] => match hex4(low) {
            Ok(_) if low.len() < 4 => Class::Partial,
            Ok(low) if (0xdc00..0xe000).contains(&low) => {
                let c = char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
                Class::Done { meaning: Meaning::of_char(c.unwrap_or(char::REPLACEMENT_CHARACTER)), used: 12 }
            }
            Err(_) | Ok(_) => replacement,
        },
        _ => replacement,
    }
}

/// Calls `each` with the meaning and the raw bytes of every piece of complete string content, in order. A broken
/// escape at the end means itself.
pub fn pieces<'a>(raw: &'a [u8], mut each: impl FnMut(&[u8], &'a [u8])) {
    let mut unescape = Unescape::default();
    let mut at = 0; // first byte not reported
    let mut read = 0; // first byte not given to the unescaper
    while let Some(rest) = raw.get(read..).filter(|r| !r.is_empty()) {
        let (taken, piece) = unescape.step(rest);
        read += taken;
        match piece {
            Piece::Literal(len) => {
                let text = raw.get(at..at + len).unwrap_or_default();
                each(text, text);
                at += len;
            }
            Piece::Escape { meaning, raw: len } => {
                each(meaning.as_bytes(), raw.get(at..at + len).unwrap_or_default());
                at += len;
            }
            Piece::More => {}
        }
    }
    if let Some(rest) = raw.get(at..).filter(|r| !r.is_empty()) {
        each(rest, rest);
    }
}

/// Appends `text` as the content of a JSON string that is itself inside `times - 1` further JSON strings; 0 appends it
/// as it is.
pub fn escape_into(text: &str, times: usize, out: &mut Vec<u8>) {
    let plain = |b: &u8| *b >= 0x20 && *b != b'"' && *b != b'\\';
    if times == 0 || text.bytes().all(|b| plain(&b)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut once = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => once.push_str("\\\""),
            '\\' => once.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                once.push_str("\\u00");
                for digit in [u32::from(c) >> 4, u32::from(c) & 15] {
                    once.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
            c => once.push(c),
        }
    }
    escape_into(&once, times - 1, out);
}
