//! Images and audio inside of a request, held against what they become once they are decoded.
//!
//! Promise: an image (PNG, JPEG, GIF, WebP, BMP) whose header declares more than [`IMAGE_PIXELS_MAX`], and audio (Ogg with Opus,
//! Vorbis or FLAC, FLAC, WAV) that declares or holds more than [`AUDIO_DECODED_BYTES_MAX`] of samples, is refused, inline in
//! JSON under whichever name, or uploaded. They are known by their first bytes, whatever type they are said to be. An inline
//! image of a format that cannot be measured is refused where it is a `data:` URL: *fails closed*.
//!
//! Exceptions: MP3, AAC and containers of video are bounded by [`AUDIO_BYTES_MAX`] alone; pixels are declared for each image, not
//! for all of a request, and frames of an animation are not added up; base64 without `data:` that holds another format passes.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::UnderstandError;

/// Most pixels of one image: 64 Mi, which 8,000 by 8,000 is below.
pub const IMAGE_PIXELS_MAX: u64 = 64 << 20;
/// Longest audio, in bytes as it is sent.
pub const AUDIO_BYTES_MAX: usize = 25 << 20;
/// Most that audio may become, in bytes: 32 bits for each sample of each channel, as model servers hold it. Three hours of
/// one channel at 48 kHz.
pub const AUDIO_DECODED_BYTES_MAX: u64 = 2 << 30;

/// Beginnings of images and audio in base64, with `+` and `/`.
const BEGINNINGS: &[&str] = &["iVBORw", "/9j/", "R0lGOD", "UklGR", "T2dnU", "ZkxhQ"];
/// Types of images that are passed on unmeasured, because some servers take them and none is known to unpack without bound.
const UNMEASURED: &[&str] = &["image/svg+xml", "image/heic", "image/heif"];

/// Looks at a text of JSON: a `data:` URL, or base64 that begins as an image or audio does.
pub(super) fn check_text(text: &str) -> Result<(), UnderstandError> {
    let text = text.trim_start();
    let url = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if !url {
        let head: String = text.bytes().take(64).filter_map(letter).take(6).map(char::from).collect();
        return if BEGINNINGS.iter().any(|begins| head.starts_with(begins)) {
            check(&decoded(text)).map(|_| ())
        } else {
            Ok(())
        };
    }
    let Some((head, payload)) = text.split_once(',') else { return Ok(()) };
    let head = head.to_ascii_lowercase();
    let declared = head.get(5..).and_then(|rest| rest.split(';').next()).unwrap_or_default().trim();
    if !head.ends_with("base64") || !(declared.starts_with("image/") || declared.starts_with("audio/")) {
        // Whatever it is called, its first bytes tell.
        return check(&decoded(payload)).map(|_| ());
    }
    let known = check(&decoded(payload))?;
    if !known && declared.starts_with("image/") && !UNMEASURED.contains(&declared) {
        return Err(UnderstandError::MediaType);
    }
    Ok(())
}

/// Looks at the bytes of an upload.
pub(super) fn check_upload(bytes: &[u8], audio: bool) -> Result<(), UnderstandError> {
    if audio && bytes.len() > AUDIO_BYTES_MAX {
        return Err(UnderstandError::Media);
    }
    check(bytes).map(|_| ())
}

/// Refuses what becomes too much; false where the format is not known.
fn check(bytes: &[u8]) -> Result<bool, UnderstandError> {
    let (most, found) = match bytes {
        [0x89, b'P', b'N', b'G', ..] => (IMAGE_PIXELS_MAX, png(bytes)),
        [0xff, 0xd8, ..] => (IMAGE_PIXELS_MAX, jpeg(bytes)),
        [b'G', b'I', b'F', b'8', ..] => (IMAGE_PIXELS_MAX, gif(bytes)),
        [b'B', b'M', ..] => (IMAGE_PIXELS_MAX, bmp(bytes)),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => (IMAGE_PIXELS_MAX, webp(bytes)),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => {
            (AUDIO_DECODED_BYTES_MAX, wav(bytes))
        }
        [b'f', b'L', b'a', b'C', ..] => (AUDIO_DECODED_BYTES_MAX, flac(bytes)),
        [b'O', b'g', b'g', b'S', ..] => (AUDIO_DECODED_BYTES_MAX, Some(ogg(bytes))),
        _ => return Ok(false),
    };
    let audio = most == AUDIO_DECODED_BYTES_MAX;
    // What has no readable header opens nowhere.
    if found.is_some_and(|found| found > most) || (audio && bytes.len() > AUDIO_BYTES_MAX) {
        return Err(UnderstandError::Media);
    }
    Ok(true)
}

/// A letter of base64, in the alphabet with `+` and `/`.
const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Some(byte),
        _ => None,
    }
}

/// Base64 as lenient decoders read it: what is no letter is overlooked.
fn decoded(text: &str) -> Vec<u8> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let mut letters: Vec<u8> = text.bytes().filter_map(letter).collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    engine.decode(letters).unwrap_or_default()
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn be16(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(|n| u64::from(u16::from_be_bytes(n)))
}

fn le16(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(|n| u64::from(u16::from_le_bytes(n)))
}

fn le24(bytes: &[u8], at: usize) -> Option<u64> {
    let [a, b, c] = number(bytes, at)?;
    Some(u64::from(u32::from_le_bytes([a, b, c, 0])))
}

fn le32(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(|n| u64::from(u32::from_le_bytes(n)))
}

/// The image header chunk comes first (PNG, 5.6).
fn png(bytes: &[u8]) -> Option<u64> {
    let side = |at| number(bytes, at).map(|n| u64::from(u32::from_be_bytes(n)));
    Some(side(16)?.saturating_mul(side(20)?))
}

/// The first frame header (ITU T.81, B.2.2). A height of zero is told behind the picture, and may be any.
fn jpeg(bytes: &[u8]) -> Option<u64> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let height = be16(bytes, at + 3)?;
                let height = if height == 0 { u64::from(u16::MAX) } else { height };
                return Some(height * be16(bytes, at + 5)?);
            }
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => at += usize::try_from(be16(bytes, at)?).ok()?,
        }
    }
}

/// The screen, or the frame that reaches beyond it (GIF89a, 18 and 20).
fn gif(bytes: &[u8]) -> Option<u64> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let (mut width, mut height) = (le16(bytes, 6)?, le16(bytes, 8)?);
    let mut at = 13 + table(*bytes.get(10)?);
    while let Some(block) = bytes.get(at) {
        at += match block {
            0x21 => 2,
            0x2c => {
                let frame = bytes.get(at + 1..at + 10);
                let Some(flags) = frame.and_then(|frame| frame.last()) else { break };
                let reach = |from, of| Some(le16(bytes, at + from)? + le16(bytes, at + of)?);
                width = width.max(reach(1, 5)?);
                height = height.max(reach(3, 7)?);
                11 + table(*flags)
            }
            _ => break,
        };
        // Data in pieces that say how long they are, to an empty one.
        while let Some(length) = bytes.get(at).filter(|length| **length > 0) {
            at += 1 + usize::from(*length);
        }
        at += 1;
    }
    Some(width * height)
}

fn bmp(bytes: &[u8]) -> Option<u64> {
    if le32(bytes, 14)? == 12 {
        return Some(le16(bytes, 18)? * le16(bytes, 20)?);
    }
    let side = |at| number(bytes, at).map(|n| u64::from(i32::from_le_bytes(n).unsigned_abs()));
    Some(side(18)?.saturating_mul(side(22)?))
}

/// The canvas, or the picture where there is none (RFC 9649).
fn webp(bytes: &[u8]) -> Option<u64> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(bytes, 24)? + 1) * (le24(bytes, 27)? + 1)),
        b"VP8L" => {
            let bits = le32(bytes, 21)?;
            Some(((bits & 0x3fff) + 1) * ((bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((le16(bytes, 26)? & 0x3fff) * (le16(bytes, 28)? & 0x3fff)),
        _ => None,
    }
}

/// Samples by the format chunk and the length that the data chunk declares. Streams declare none, or the greatest.
fn wav(bytes: &[u8]) -> Option<u64> {
    let (mut at, mut format) = (12_usize, None);
    loop {
        let declared = le32(bytes, at + 4)?;
        match bytes.get(at..at + 4)? {
            b"fmt " => format = Some((le16(bytes, at + 10)?, le16(bytes, at + 20)?, le16(bytes, at + 22)?)),
            b"data" => {
                let (channels, block, bits) = format?;
                let there = bytes.len().saturating_sub(at + 8) as u64;
                let length = if declared == 0 || declared > 0x7fff_f000 { there } else { declared };
                let by_bits = (length * 32).checked_div(bits).unwrap_or(length * 32);
                let by_block = (length / block.max(1)).saturating_mul(channels * 4);
                return Some(by_bits.max(by_block));
            }
            _ => {}
        }
        at = at.checked_add(8 + usize::try_from(declared + declared % 2).ok()?)?;
    }
}

/// Samples by the stream's information (RFC 9639, 8.2), or by frames that begin, each as long as any may be: the length may
/// be left out, and be a lie.
fn flac(bytes: &[u8]) -> Option<u64> {
    let bits = u64::from_be_bytes(number(bytes, 18)?);
    let channels = (bits >> 41 & 7) + 1;
    let block = be16(bytes, 10)?;
    let begins = |pair: &&[u8]| matches!(pair, [0xff, 0xf8 | 0xf9]);
    let frames = bytes.windows(2).filter(begins).count() as u64;
    Some((bits & 0xf_ffff_ffff).max(frames * block) * channels * 4)
}

/// What a stream in Ogg decodes to, in bytes.
#[derive(Default)]
struct Stream {
    opus: bool,
    channels: u64,
    /// Samples by the position that its pages declare, and by the packets they hold.
    declared: u64,
    held: u64,
}

impl Stream {
    /// By the first packet.
    fn of(packet: &[u8]) -> Self {
        let byte = |at| packet.get(at).copied().map_or(0, u64::from);
        let channels = match packet {
            [b'O', b'p', b'u', b's', b'H', ..] => byte(9),
            [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => byte(11),
            [0x7f, b'F', b'L', b'A', b'C', ..] => (byte(29) >> 1 & 7) + 1,
            [b'S', b'p', b'e', b'e', b'x', ..] => byte(48),
            _ => 0,
        };
        Self { opus: packet.starts_with(b"OpusHead"), channels, ..Self::default() }
    }

    fn bytes(&self) -> u64 {
        self.declared.max(self.held).saturating_mul(self.channels * 4)
    }
}

/// All streams of a file together (RFC 3533): a file may hold several, one after another.
fn ogg(bytes: &[u8]) -> u64 {
    let mut at = 0;
    let mut done: u64 = 0;
    let mut stream = Stream::default();
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memmem::find(rest, b"OggS")) {
        at += found;
        let Some((flags, count)) = bytes.get(at + 5).zip(bytes.get(at + 26)) else { break };
        let lengths = bytes.get(at + 27..at + 27 + usize::from(*count)).unwrap_or_default();
        let mut from = at + 27 + usize::from(*count);
        let (mut begins, mut length) = (flags & 1 == 0, 0);
        for piece in lengths {
            length += usize::from(*piece);
            if *piece == 255 {
                continue;
            }
            let packet = bytes.get(from..(from + length).min(bytes.len())).unwrap_or_default();
            if begins && flags & 2 != 0 {
                done = done.saturating_add(stream.bytes());
                stream = Stream::of(packet);
            } else if begins && stream.opus {
                stream.held += opus_samples(packet);
            }
            (begins, from, length) = (true, from + length, 0);
        }
        if let Some(position) = number(bytes, at + 6).map(i64::from_le_bytes) {
            stream.declared = stream.declared.max(u64::try_from(position).unwrap_or(0));
        }
        at += 27;
    }
    done.saturating_add(stream.bytes())
}

/// Samples at 48 kHz of one packet (RFC 6716, 3.1). The packets of the head say less than a second.
fn opus_samples(packet: &[u8]) -> u64 {
    let Some(first) = packet.first().filter(|_| !packet.starts_with(b"OpusTags")) else { return 0 };
    let configuration = first >> 3;
    let frame = match configuration {
        0..=11 => [480, 960, 1920, 2880].get(usize::from(configuration % 4)),
        12..=15 => [480, 960].get(usize::from(configuration % 2)),
        _ => [120, 240, 480, 960].get(usize::from(configuration % 4)),
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3f)),
    };
    frame.copied().unwrap_or(0) * frames
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
