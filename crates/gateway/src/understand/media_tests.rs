use base64::prelude::BASE64_STANDARD;

use super::*;

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    out.extend(width.to_be_bytes());
    out.extend(height.to_be_bytes());
    out.extend([8, 6, 0, 0, 0]);
    out
}

/// With a segment of this length before the frame's header.
fn jpeg(width: u16, height: u16, before: u16) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
    out.extend(before.to_be_bytes());
    out.extend(vec![0; usize::from(before) - 2]);
    out.extend([0xff, 0xff, 0xc2, 0, 17, 8]);
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out
}

fn gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let mut out = b"GIF89a".to_vec();
    out.extend(screen.0.to_le_bytes());
    out.extend(screen.1.to_le_bytes());
    out.extend([0x80, 0, 0]);
    out.extend([0; 6]); // a table of two colours
    out.extend([0x21, 0xf9, 4, 0, 0, 0, 0, 0]); // an extension
    out.extend([0x2c, 0, 0, 0, 0]);
    out.extend(frame.0.to_le_bytes());
    out.extend(frame.1.to_le_bytes());
    out.extend([0, 2, 1, 0x44, 0, 0x3b]);
    out
}

fn webp(kind: [u8; 4], rest: &[u8]) -> Vec<u8> {
    [b"RIFF\0\0\0\0WEBP", &kind[..], b"\0\0\0\0", rest].concat()
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut out = b"BM".to_vec();
    out.extend([0; 12]);
    out.extend(40_u32.to_le_bytes());
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out
}

fn wav(channels: u16, bits: u16, length: u32) -> Vec<u8> {
    let mut out = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    out.extend(channels.to_le_bytes());
    out.extend(48_000_u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend((channels * bits.div_ceil(8)).to_le_bytes());
    out.extend(bits.to_le_bytes());
    out.extend(b"data");
    out.extend(length.to_le_bytes());
    out.extend([0; 64]);
    out
}

fn flac(samples: u64, channels: u64, frames: usize) -> Vec<u8> {
    let mut out = b"fLaC\x80\0\0\x22\xff\xff\xff\xff\0\0\0\0\0\0".to_vec();
    out.extend((48_000_u64 << 44 | (channels - 1) << 41 | 15 << 36 | samples).to_be_bytes());
    out.extend([0; 16]);
    out.extend([0xff, 0xf8, 0, 0].repeat(frames));
    out
}

fn page(flags: u8, position: i64, packets: &[&[u8]]) -> Vec<u8> {
    let mut out = b"OggS\0".to_vec();
    out.push(flags);
    out.extend(position.to_le_bytes());
    out.extend([0; 12]);
    out.push(u8::try_from(packets.len()).unwrap());
    out.extend(packets.iter().map(|packet| u8::try_from(packet.len()).unwrap()));
    out.extend(packets.concat());
    out
}

fn opus(position: i64, packet: &[u8], pages: usize) -> Vec<u8> {
    let mut out = page(2, 0, &[b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0"]);
    out.extend(page(0, 0, &[b"OpusTags"]));
    out.extend(page(0, position, &vec![packet; 255]).repeat(pages));
    out
}

#[test]
fn catalogue_91_what_becomes_too_much_is_known_by_its_header() {
    let edge = |width: u64| u32::try_from(IMAGE_PIXELS_MAX / width).unwrap();
    for (name, bytes, fine) in [
        ("png", png(1024, edge(1024)), true),
        ("png", png(1024, edge(1024) + 1), false),
        ("png", png(u32::MAX, u32::MAX), false),
        ("png, cut", png(1, 1)[..12].to_vec(), true),
        ("jpeg", jpeg(8000, 8000, 60_000), true),
        ("jpeg", jpeg(65_535, 65_535, 60_000), false),
        ("jpeg without height", jpeg(65_535, 0, 2), false),
        ("jpeg that loops", vec![0xff, 0xd8, 0xff, 0xe1, 0, 0, 0xff, 0xe1, 0, 0], true),
        ("gif", gif((100, 100), (100, 100)), true),
        ("gif", gif((65_535, 65_535), (1, 1)), false),
        ("gif by its frame", gif((1, 1), (65_535, 65_535)), false),
        ("webp canvas", webp(*b"VP8X", &[0, 0, 0, 0, 0xff, 0x1f, 0, 0xff, 0x1f, 0]), true),
        ("webp canvas", webp(*b"VP8X", &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), false),
        ("webp", webp(*b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f]), false),
        ("webp, lossless", webp(*b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f]), false),
        ("webp, lossless", webp(*b"VP8L", &[0x2f, 0x09, 0x40, 0x02, 0]), true),
        ("bmp", bmp(100, -100), true),
        ("bmp", bmp(i32::MIN, 4), false),
        ("wav", wav(2, 16, 64), true),
        ("wav of a stream", wav(2, 16, u32::MAX), true),
        ("wav", wav(2, 16, 0x6fff_0000), false),
        ("wav of many channels", wav(8000, 8, 1_900_000_000), false),
        ("flac", flac(48_000 * 3600, 2, 1), true),
        ("flac", flac(0xf_ffff_ffff, 8, 1), false),
        ("flac that does not say", flac(0, 8, 2000), false),
        ("ogg", opus(48_000 * 3600, &[0xfc, 1], 1), true),
        ("ogg that declares", opus(48_000 * 3600 * 24, &[0xfc, 1], 1), false),
        ("ogg that holds", opus(1, &[0x1f, 0x02, 0], 20), true),
        ("ogg that holds", opus(1, &[0x1f, 0x3f, 0], 20), false),
        ("ogg in pieces", opus(48_000 * 3600, &[0xfc, 1], 1).repeat(1), true),
        ("ogg in pieces", opus(48_000 * 3600, &[0xfc, 1], 1).repeat(2), false),
        ("text", b"hello".to_vec(), true),
    ] {
        let wanted = if fine { Ok(()) } else { Err(UnderstandError::Media) };
        assert_eq!(check_upload(&bytes, false), wanted, "{name}");
        let text = BASE64_STANDARD.encode(&bytes);
        let spaced = text
            .as_bytes()
            .chunks(76)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>();
        for text in [
            format!("data:application/x;base64,{text}"),
            format!("DATA:;BASE64,{}", text.replace('+', "-").replace('/', "_")),
            format!(" data:application/x;base64,{}", spaced.join("\r\n")),
        ] {
            assert_eq!(check_text(&text), wanted, "{name}");
        }
        if !name.starts_with("bmp") {
            assert_eq!(check_text(&text), wanted, "{name} without a type");
        }
    }
}

#[test]
fn catalogue_91_an_image_that_cannot_be_measured_is_no_image() {
    let url = |kind: &str, bytes: &[u8]| {
        check_text(&format!("data:{kind};base64,{}", BASE64_STANDARD.encode(bytes)))
    };
    assert_eq!(url("image/tiff", b"II*\0\x08\0\0\0"), Err(UnderstandError::MediaType));
    assert_eq!(url("image/png", b"\0\0\0\0"), Err(UnderstandError::MediaType));
    // A known format under another name is what it is.
    assert_eq!(url("image/jpeg", &png(10, 10)), Ok(()));
    assert_eq!(url("image/jpeg", &png(1 << 20, 1 << 20)), Err(UnderstandError::Media));
    for (kind, bytes) in [
        ("image/svg+xml", &b"<svg/>"[..]),
        ("image/heic", b"\0\0\0\x18ftypheic"),
        ("audio/mpeg", b"\xff\xfb"),
        ("text/plain", b"hi"),
    ] {
        assert_eq!(url(kind, bytes), Ok(()), "{kind}");
    }
    for text in ["", "data:", "data:,x", "data:image/png", "R0lGOD", "UklGR", "a text", "/9j/"] {
        assert_eq!(check_text(text), Ok(()), "{text}");
    }
}

#[test]
fn catalogue_91_audio_has_a_length() {
    let mut long = wav(1, 16, 64);
    long.resize(AUDIO_BYTES_MAX, 0);
    assert_eq!(check_upload(&long, true), Ok(()));
    long.push(0);
    assert_eq!(check_upload(&long, true), Err(UnderstandError::Media));
    assert_eq!(check_upload(&vec![0xff; AUDIO_BYTES_MAX + 1], true), Err(UnderstandError::Media));
    assert_eq!(check_upload(&vec![0xff; AUDIO_BYTES_MAX + 1], false), Ok(()));
}
