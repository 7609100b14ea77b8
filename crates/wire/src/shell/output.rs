//! What programs write whose output can be told from their arguments.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Command;

/// Most bytes of output that are followed.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// What a list of commands writes; nothing where one of them is another program.
pub(super) fn of(commands: &[Command]) -> Option<String> {
    let mut all = String::new();
    let mut last = String::new();
    for (number, command) in commands.iter().enumerate() {
        if command.words.is_empty() && number + 1 < commands.len() {
            continue; // only sets a variable
        }
        let input = if command.piped { std::mem::take(&mut last) } else { command.input.clone() };
        all.push_str(&last);
        last = of_one(command, &input)?;
        if all.len() + last.len() > OUTPUT_BYTES_MAX {
            return None;
        }
    }
    all.push_str(&last);
    Some(all)
}

fn of_one(command: &Command, input: &str) -> Option<String> {
    let arguments = || command.words.iter().skip(1).map(String::as_str);
    let has = |flags: &[&str]| arguments().any(|argument| flags.contains(&argument));
    match command.name() {
        "echo" => {
            let is_flag = |word: &&str| matches!(*word, "-n" | "-e" | "-ne" | "-en" | "-E");
            let text = arguments().skip_while(is_flag).collect::<Vec<_>>().join(" ");
            Some(if has(&["-e", "-ne", "-en"]) { unescaped(&text) } else { text } + "\n")
        }
        "printf" => {
            let mut rest = arguments().skip_while(|word| *word == "--");
            let mut text = unescaped(rest.next()?);
            for argument in rest {
                match ["%s", "%b", "%d", "%q"].iter().filter_map(|mark| text.find(mark)).min() {
                    Some(at) => text.replace_range(at..at + 2, &unescaped(argument)),
                    None => text.push_str(argument),
                }
            }
            Some(text)
        }
        "cat" | "tee" if command.words.len() == 1 && command.files.is_empty() => Some(input.to_owned()),
        "base64" | "gbase64" if has(&["-d", "-D", "--decode", "-di", "-id"]) => from_base64(input),
        "openssl" if has(&["base64", "enc"]) && has(&["-d"]) => from_base64(input),
        "xxd" if has(&["-r", "-rp", "-pr"]) => from_hex(input),
        "rev" => Some(
            input
                .lines()
                .map(|line| line.chars().rev().collect::<String>() + "\n")
                .collect::<Vec<_>>()
                .concat(),
        ),
        "true" | ":" => Some(String::new()),
        _ => None,
    }
}

fn from_base64(input: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let letters: String = input.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(letters).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn from_hex(input: &str) -> Option<String> {
    let digits: Vec<u8> = input.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

/// A text without the escapes of `printf`, `echo -e` and `$'…'`.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let number = |from: usize, max: usize, radix: u32| {
            let digits = after.get(from..).unwrap_or_default();
            let used = digits.chars().take(max).take_while(|c| c.is_digit(radix)).count();
            Some((u32::from_str_radix(digits.get(..used)?, radix).ok()?, from + used))
        };
        let first = after.chars().next();
        let read = match first {
            Some('x') => {
                number(1, 2, 16).map(|(byte, used)| (vec![u8::try_from(byte).unwrap_or(b'?')], used))
            }
            Some('0'..='7') => {
                let max = if first == Some('0') { 4 } else { 3 };
                number(0, max, 8).map(|(byte, used)| (vec![u8::try_from(byte & 0xff).unwrap_or(b'?')], used))
            }
            Some(wide @ ('u' | 'U')) => number(1, if wide == 'u' { 4 } else { 8 }, 16)
                .and_then(|(code, used)| Some((char::from_u32(code)?.to_string().into_bytes(), used))),
            Some(c) => {
                let meaning = match c {
                    'n' => "\n",
                    't' => "\t",
                    'r' => "\r",
                    'a' | 'b' | 'e' | 'E' | 'f' | 'v' | 'c' => " ",
                    '\\' => "\\",
                    '\'' => "'",
                    '"' => "\"",
                    '?' => "?",
                    _ => "",
                };
                (!meaning.is_empty()).then(|| (meaning.as_bytes().to_vec(), c.len_utf8()))
            }
            None => None,
        };
        let (bytes, used) = read.unwrap_or((vec![b'\\'], 0));
        out.extend_from_slice(&bytes);
        rest = after.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}
