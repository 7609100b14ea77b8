//! What a text may turn into before somebody opens it: layers of encoding and quoting, taken off one after another.
//!
//! The work is bounded: a text has at most [`ROUNDS_MAX`] layers, each read once, and none is longer than the one
//! around it but for compatibility characters. What has more layers counts as found: *fails closed*.

use std::borrow::Cow;
use std::iter;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

/// Layers that are taken off a text.
pub(super) const ROUNDS_MAX: usize = 16;
/// Shortest run of letters that may be a name in base64, and in hexadecimal.
const BASE64_MIN: usize = 6;
const HEX_MIN: usize = 8;
/// Letters of base64 that tell whether the rest is worth decoding.
const HEAD_LETTERS: usize = 32;
/// Longest variable in braces, in bytes.
const VARIABLE_MAX: usize = 256;

/// Whether any reading of a text is what is looked for.
pub(super) fn any(text: &str, found: &dyn Fn(&str) -> bool) -> bool {
    layers(text, found, true)
}

/// The same for texts that nobody decodes before they are used: without base64 and hexadecimal.
pub(super) fn plain(text: &str, found: &dyn Fn(&str) -> bool) -> bool {
    layers(text, found, false)
}

fn layers(text: &str, found: &dyn Fn(&str) -> bool, open_encoded: bool) -> bool {
    let mut text = folded(text);
    for _ in 0..ROUNDS_MAX {
        if is_found(&text, found) || (open_encoded && encoded(&text).any(|word| layers(&word, found, false)))
        {
            return true;
        }
        let inner = percent_decoded(&text)
            .or_else(|| entities_decoded(&text))
            .or_else(|| escapes_decoded(&text))
            .or_else(|| expanded(&text))
            .or_else(|| unquoted(&text))
            .or_else(|| unescaped(&text));
        match inner {
            Some(inner) => text = Cow::Owned(folded(&inner).into_owned()),
            None => return false,
        }
    }
    // More layers than anybody would need.
    true
}

fn is_found(text: &str, found: &dyn Fn(&str) -> bool) -> bool {
    let lower = text.to_lowercase();
    if !lower.contains('\\') {
        return found(&lower);
    }
    // What JSON and C write for a line's end, between two words.
    let ends = ["\\n", "\\r", "\\t", "\\0"];
    if ends.iter().any(|end| lower.contains(end)) {
        let cut = ends.iter().fold(lower.clone(), |text, end| text.replace(end, " "));
        if found(&cut.replace('\\', "/")) {
            return true;
        }
    }
    found(&lower.replace('\\', "/"))
}

/// Characters as they are compared: in compatibility form, without what nobody sees, with one kind of slash and dot.
fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| match c {
        '\u{2215}' | '\u{2044}' | '\u{29f8}' | '\u{2571}' | '\u{27cb}' | '\u{1735}' => Some('/'),
        '\u{29f5}' | '\u{2216}' | '\u{29f9}' => Some('\\'),
        '\u{3002}' | '\u{ff61}' | '\u{2024}' | '\u{a4f8}' | '\u{0660}' => Some('.'),
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => None,
        c => Some(c),
    };
    let visible: String = text.chars().filter_map(plain).collect();
    match is_nfkc_quick(visible.chars()) {
        IsNormalized::Yes => Cow::Owned(visible),
        _ => Cow::Owned(visible.nfkc().filter_map(plain).collect()),
    }
}

/// Percent-escapes decoded, also those of IIS (`%u002e`) and overlong UTF-8; nothing where there are none.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None; // most texts: nothing is copied for them
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut decoded = false;
    for part in parts {
        let wide = part.strip_prefix(['u', 'U']).and_then(|rest| hex_char(rest, 4, 4));
        if let Some((c, used)) = wide {
            decoded = true;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            bytes.extend_from_slice(part.get(1 + used..).unwrap_or_default().as_bytes());
        } else if let Some((byte, rest)) = hex_byte(part).zip(part.get(2..)) {
            decoded = true;
            bytes.push(byte);
            bytes.extend_from_slice(rest.as_bytes());
        } else {
            bytes.push(b'%');
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    decoded.then(|| text_of(bytes))
}

/// Bytes as text. ASCII that is encoded in two or three bytes is read, as careless decoders do.
fn text_of(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = &*bytes;
    while let Some((first, after)) = rest.split_first() {
        let (byte, left) = match (rest, after) {
            ([0xc0 | 0xc1, second @ 0x80..=0xbf, ..], [_, left @ ..]) => {
                ((first & 1) << 6 | (second & 0x3f), left)
            }
            ([0xe0, second @ (0x80 | 0x81), third @ 0x80..=0xbf, ..], [_, _, left @ ..]) => {
                ((second & 1) << 6 | (third & 0x3f), left)
            }
            _ => (*first, after),
        };
        out.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_byte(text: &str) -> Option<u8> {
    let hex = text.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(hex, 16).ok()
}

/// A character in `min` to `max` hexadecimal digits, and their number.
fn hex_char(text: &str, min: usize, max: usize) -> Option<(char, usize)> {
    let used = text.bytes().take(max).take_while(u8::is_ascii_hexdigit).count();
    let digits = text.get(..used).filter(|_| used >= min)?;
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, used))
}

/// Character references of HTML and XML.
fn entities_decoded(text: &str) -> Option<String> {
    replaced(text, '&', |after| {
        for (name, c) in [("sol;", '/'), ("period;", '.'), ("bsol;", '\\'), ("percnt;", '%')] {
            if after.starts_with(name) {
                return Some((Meaning::Char(c), name.len()));
            }
        }
        let number = after.strip_prefix('#')?;
        let (c, used) = if let Some(hex) = number.strip_prefix(['x', 'X']) {
            hex_char(hex, 1, 6).map(|(c, used)| (c, used + 2))?
        } else {
            let used = number.bytes().take(7).take_while(u8::is_ascii_digit).count();
            (char::from_u32(number.get(..used)?.parse().ok()?)?, used + 1)
        };
        Some((Meaning::Char(c), used + usize::from(after.get(used..)?.starts_with(';'))))
    })
}

/// Escapes of JSON, C and shells that stand for a character by its number.
fn escapes_decoded(text: &str) -> Option<String> {
    replaced(text, '\\', |after| {
        let rest = after.get(1..)?;
        let (c, used) = match after.as_bytes().first()? {
            b'u' if rest.starts_with('{') => {
                let (c, used) = hex_char(rest.get(1..)?, 1, 6)?;
                (c, used + 2 + usize::from(rest.get(1 + used..)?.starts_with('}')))
            }
            b'u' => hex_char(rest, 1, 4).map(|(c, used)| (c, used + 1))?,
            b'U' => hex_char(rest, 1, 8).map(|(c, used)| (c, used + 1))?,
            b'x' => {
                let used = rest.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
                return Some((Meaning::Byte(u8::from_str_radix(rest.get(..used)?, 16).ok()?), used + 1));
            }
            b'0'..=b'7' => {
                let max = if after.starts_with('0') { 4 } else { 3 };
                let used = after.bytes().take(max).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let byte = u32::from_str_radix(after.get(..used)?, 8).ok()? & 0xff;
                return Some((Meaning::Byte(u8::try_from(byte).ok()?), used));
            }
            b'\\' => ('\\', 1),
            b'/' => ('/', 1),
            _ => return None,
        };
        Some((Meaning::Char(c), used))
    })
}

/// Variables of shells as they are where nobody set them: blanks for `$IFS`, nothing for others.
fn expanded(text: &str) -> Option<String> {
    replaced(text, '$', |after| {
        let name = |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        match after.as_bytes().first()? {
            b'{' => {
                let end = after.bytes().take(VARIABLE_MAX).position(|b| b == b'}')?;
                let inside = after.get(1..end)?;
                let value = match inside.trim_start_matches(['!', '#']) {
                    ifs if ifs.starts_with("IFS") => Meaning::Char(' '),
                    // `${HOME:0:1}`, and `${PATH%%u*}`: how a slash is written without one.
                    cut if cut.contains(":0:1") || cut.contains("%%") => Meaning::Char('/'),
                    _ => Meaning::Nothing,
                };
                // `${x:-.env}` is what stands behind, where nobody set it.
                let default = [":-", ":=", ":+", "-", "="]
                    .iter()
                    .find_map(|mark| inside.find(mark).map(|at| at + mark.len()));
                if let (Meaning::Nothing, Some(used)) = (&value, default) {
                    return Some((Meaning::Nothing, 1 + used));
                }
                Some((value, end + 1))
            }
            b'(' if after.starts_with("()") => Some((Meaning::Nothing, 2)),
            b'@' | b'*' | b'#' | b'?' | b'!' | b'-' | b'0'..=b'9' => Some((Meaning::Nothing, 1)),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let used = name(after);
                let ifs = after.starts_with("IFS") && used == 3;
                Some((if ifs { Meaning::Char(' ') } else { Meaning::Nothing }, used))
            }
            b'\'' | b'"' => Some((Meaning::Nothing, 0)),
            _ => None,
        }
    })
}

/// Without quotes and line ends inside of words, and with texts put together that a program would.
fn unquoted(text: &str) -> Option<String> {
    let is_quote = |c: char| matches!(c, '\'' | '"');
    let drops = |c: char| is_quote(c) || matches!(c, '^' | '\t' | '\r' | '\n' | '`');
    if !text.contains(drops) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if !drops(c) {
            out.push(c);
            continue;
        }
        // `"/etc/" + "passwd"`
        let behind = rest.trim_start_matches([' ', '+']);
        if is_quote(c) && behind.starts_with(is_quote) && rest.len() - behind.len() < 8 {
            rest = behind;
        }
    }
    Some(out)
}

/// Without the backslashes that keep a shell from seeing a letter; only after they were read as slashes.
fn unescaped(text: &str) -> Option<String> {
    text.contains('\\').then(|| text.replace('\\', ""))
}

/// Replaces what begins with `mark`: `read` sees what follows, and says what it stands for and how long it is.
fn replaced(text: &str, mark: char, read: impl Fn(&str) -> Option<(Meaning, usize)>) -> Option<String> {
    if !text.contains(mark) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some((before, after)) = rest.split_once(mark) {
        out.extend_from_slice(before.as_bytes());
        let Some((meaning, left)) =
            read(after).and_then(|(meaning, used)| Some((meaning, after.get(used..)?)))
        else {
            out.extend_from_slice(mark.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
            continue;
        };
        any = true;
        match meaning {
            Meaning::Nothing => {}
            Meaning::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Meaning::Byte(byte) => out.push(byte),
        }
        rest = left;
    }
    out.extend_from_slice(rest.as_bytes());
    any.then(|| text_of(out))
}

/// What an escape stands for.
enum Meaning {
    Nothing,
    Char(char),
    /// One of those that make up a character.
    Byte(u8),
}

/// Texts that words of a text encode in base64 or hexadecimal.
fn encoded(text: &str) -> impl Iterator<Item = String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let runs = text.split(move |c| !is_letter(c)).filter(|run| run.len() >= BASE64_MIN);
    runs.flat_map(|run| {
        // A slash and a dash are letters of base64, and also stand between words.
        let cut = run.contains(['/', '-', '_', '+']);
        let pieces = run.split(['/', '-', '_', '+']).filter(move |piece| cut && piece.len() >= BASE64_MIN);
        let path = run.starts_with('/').then(|| run.trim_start_matches('/'));
        iter::once(run).chain(path).chain(pieces).filter_map(from_base64).chain(
            run.split(['/', '-', '_', '+', 'x', 'X'])
                .filter(|piece| piece.len() >= HEX_MIN)
                .filter_map(from_hex),
        )
    })
}

fn from_base64(run: &str) -> Option<String> {
    static ENGINES: LazyLock<[GeneralPurpose; 2]> = LazyLock::new(|| {
        let config = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        [GeneralPurpose::new(&STANDARD, config), GeneralPurpose::new(&URL_SAFE, config)]
    });
    let whole = if run.len() % 4 == 1 { run.get(..run.len() - 1)? } else { run };
    let [standard, url] = &*ENGINES;
    // Most runs are words: their first letters tell.
    let head = whole.get(..whole.len().min(HEAD_LETTERS))?;
    let engine = if whole.contains(['-', '_']) { url } else { standard };
    let mut decoded = [0; HEAD_LETTERS]; // never too few: what is not decoded is not looked at
    let head = head.get(..head.len() - head.len() % 4).filter(|head| !head.is_empty())?;
    let length = engine.decode_slice(head, &mut decoded).ok()?;
    if !reads(decoded.get(..length)?) {
        return None;
    }
    readable(engine.decode(whole).ok()?)
}

/// Whether the beginning of decoded bytes looks like text.
fn reads(head: &[u8]) -> bool {
    let control = |b: &&u8| **b < 0x20 && !matches!(**b, 0 | b'\t' | b'\n' | b'\r');
    head.iter().find(control).is_none()
}

fn from_hex(run: &str) -> Option<String> {
    let digits = run.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    readable(digits.chunks(2).filter_map(|pair| hex_byte(std::str::from_utf8(pair).ok()?)).collect())
}

/// Decoded bytes as text: UTF-8, or ASCII in UTF-16 as Windows has it.
fn readable(mut bytes: Vec<u8>) -> Option<String> {
    let zero = |parity: usize| bytes.iter().skip(parity).step_by(2).all(|b| *b == 0);
    let halves = [zero(1), zero(0)];
    if bytes.len() >= 4 && halves.contains(&true) {
        let skip = usize::from(halves[1]);
        bytes = bytes.into_iter().skip(skip).step_by(2).collect();
    }
    String::from_utf8(bytes).ok().filter(|text| reads(text.as_bytes()))
}
