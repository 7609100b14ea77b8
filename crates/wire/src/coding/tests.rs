use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn encode(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Brotli => {
            let mut out = Vec::new();
            let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
            encoder.write_all(plain).unwrap();
            drop(encoder);
            out
        }
        Coding::Zstd => zstd::stream::encode_all(plain, 3).unwrap(),
    }
}

fn decode(codings: &[Coding], encoded: &[u8], chunk: usize) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(codings)?;
    let mut out = Vec::new();
    let mut sink = |plain: &[u8]| {
        out.extend_from_slice(plain);
        Ok::<(), CodingError>(())
    };
    for piece in encoded.chunks(chunk) {
        decoder.push(piece, &mut sink)?;
    }
    decoder.finish(&mut sink)?;
    Ok(out)
}

#[test]
fn headers_list_codings_in_any_spelling() {
    assert_eq!(Coding::list("GZIP"), Ok(vec![Coding::Gzip]));
    assert_eq!(Coding::list("x-gzip , identity,BR"), Ok(vec![Coding::Gzip, Coding::Brotli]));
    assert_eq!(Coding::list(" , identity"), Ok(vec![]));
    assert_eq!(Coding::list("zstd, deflate, gzip").unwrap().len(), LAYERS_MAX);
    assert_eq!(Coding::list("gzip, gzip, gzip, gzip"), Err(CodingError::Unknown));
    for unknown in ["compress", "gzip;q=1", "aes128gcm", "gzip br"] {
        assert_eq!(Coding::list(unknown), Err(CodingError::Unknown), "{unknown}");
    }
}

#[test]
fn each_coding_in_any_chunking_and_shown_by_its_first_bytes() {
    let plain = b"{\"hello\": \"world\"}, ".repeat(5000);
    for coding in CODINGS {
        let encoded = encode(coding, &plain);
        for chunk in [1, 7, 1000, encoded.len()] {
            assert_eq!(decode(&[coding], &encoded, chunk).as_ref(), Ok(&plain), "{coding:?} {chunk}");
        }
        if coding != Coding::Brotli {
            assert_eq!(Coding::shown_by(&encoded), Some(coding));
        }
        assert_eq!(decode(&[coding], b"", 1), Ok(Vec::new()), "an empty body under {coding:?}");
    }
    for text in ["(x)", "x = 1", "{}", "xml", ""] {
        assert_eq!(Coding::shown_by(text.as_bytes()), None);
    }
}

#[test]
fn codings_lie_on_top_of_each_other() {
    let plain = b"hello, ".repeat(300);
    for outer in CODINGS {
        for inner in CODINGS {
            let encoded = encode(outer, &encode(inner, &plain));
            assert_eq!(decode(&[inner, outer], &encoded, 13).as_ref(), Ok(&plain), "{inner:?} in {outer:?}");
        }
    }
}

#[test]
fn deflate_comes_with_and_without_a_frame() {
    let plain = b"hello, ".repeat(300);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&plain).unwrap();
    let bare = encoder.finish().unwrap();
    for chunk in [1, 2, 3, 100] {
        assert_eq!(decode(&[Coding::Deflate], &bare, chunk).as_ref(), Ok(&plain));
    }
    assert_eq!(decode(&[Coding::Deflate], &bare[..1], 1), Err(CodingError::CutOff));
}

#[test]
fn several_members_and_frames_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let encoded = [encode(coding, b"one, "), encode(coding, b"two")].concat();
        assert_eq!(decode(&[coding], &encoded, 3), Ok(b"one, two".to_vec()), "{coding:?}");
    }
}

#[test]
fn what_is_cut_off_or_followed_or_something_else_is_an_error() {
    let plain = b"hello, hello, hello".repeat(20);
    for coding in CODINGS {
        let encoded = encode(coding, &plain);
        for cut in 1..encoded.len() {
            assert!(decode(&[coding], &encoded[..cut], 5).is_err(), "{coding:?} cut at {cut}");
        }
        assert!(decode(&[coding], &[&encoded[..], b"and more"].concat(), 5).is_err(), "{coding:?}");
        assert!(decode(&[coding], b"plain text, not encoded at all", 5).is_err(), "{coding:?}");
    }
}

#[test]
fn after_an_error_nothing_more_is_decoded() {
    let mut decoder = Decoder::new(&[Coding::Gzip]).unwrap();
    let mut none = |_: &[u8]| Ok::<(), CodingError>(());
    assert!(decoder.push(b"plain text, not gzip", &mut none).is_err());
    assert!(decoder.push(&encode(Coding::Gzip, b"x"), &mut none).is_err());
    assert!(decoder.finish(&mut none).is_err());
}

#[test]
fn what_was_flushed_comes_out_at_once() {
    let told = |coding: Coding, encoded: &[u8]| {
        let mut out = Vec::new();
        Decoder::new(&[coding])
            .unwrap()
            .push(encoded, &mut |plain| {
                out.extend_from_slice(plain);
                Ok::<(), CodingError>(())
            })
            .unwrap();
        out
    };
    let event = b"data: {\"x\": 1}\n\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(event).unwrap();
    gzip.flush().unwrap();
    assert_eq!(told(Coding::Gzip, gzip.get_ref()), event);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(event).unwrap();
    zlib.flush().unwrap();
    assert_eq!(told(Coding::Deflate, zlib.get_ref()), event);
    let mut br = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    br.write_all(event).unwrap();
    br.flush().unwrap();
    assert_eq!(told(Coding::Brotli, br.get_ref()), event);
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    zstd.write_all(event).unwrap();
    zstd.flush().unwrap();
    assert_eq!(told(Coding::Zstd, zstd.get_ref()), event);
}

/// How many bytes come out before the decoder refuses, and the most for one piece of input.
fn until_refused(codings: &[Coding], pieces: impl Iterator<Item = Vec<u8>>) -> (u64, u64, CodingError) {
    let mut decoder = Decoder::new(codings).unwrap();
    let (mut total, mut most) = (0, 0);
    for piece in pieces {
        let mut now = 0;
        let result = decoder.push(&piece, &mut |plain| {
            now += plain.len() as u64;
            Ok::<(), CodingError>(())
        });
        total += now;
        most = most.max(now);
        if let Err(error) = result {
            return (total, most, error);
        }
    }
    panic!("taken whole: {total}");
}

#[test]
fn catalogue_61_bombs_end_early_whatever_they_are_made_of() {
    let zeros = vec![0; 16 << 20];
    for coding in CODINGS {
        let bomb = encode(coding, &zeros);
        let (total, most, error) = until_refused(&[coding], bomb.chunks(STEP_BYTES).map(<[u8]>::to_vec));
        assert_eq!(error, CodingError::Bomb, "{coding:?}");
        assert!(total <= CREDIT_BYTES_START + bomb.len() as u64 * RATIO_MAX, "{coding:?}: {total}");
        assert!(most <= CREDIT_BYTES_MAX, "{coding:?}: {most}");
        // An honest beginning earns no more than so much credit.
        let honest: Vec<u8> =
            (0..1u32 << 20).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
        let late = encode(coding, &[honest, zeros.clone()].concat());
        let (_, most, error) = until_refused(&[coding], late.chunks(STEP_BYTES).map(<[u8]>::to_vec));
        assert_eq!(error, CodingError::Bomb, "{coding:?}");
        assert!(most <= CREDIT_BYTES_MAX, "{coding:?}: {most}");
    }
    let twice = encode(Coding::Gzip, &encode(Coding::Gzip, &zeros));
    let (_, _, error) = until_refused(&[Coding::Gzip, Coding::Gzip], std::iter::once(twice));
    assert_eq!(error, CodingError::Bomb);
}

#[test]
fn catalogue_61_input_that_never_means_anything_ends() {
    // Stored blocks of no bytes, in zlib and in gzip; empty members; skippable frames of zstd.
    let gzip_head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let endless: [(Coding, Vec<u8>, Vec<u8>); 4] = [
        (Coding::Deflate, vec![0x78, 0x9c], vec![0, 0, 0, 255, 255]),
        (Coding::Gzip, gzip_head, vec![0, 0, 0, 255, 255]),
        (Coding::Gzip, vec![], encode(Coding::Gzip, b"")),
        (Coding::Zstd, vec![], vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]),
    ];
    for (coding, begin, unit) in endless {
        let pieces = std::iter::once(begin).chain(std::iter::repeat_n(unit, 1 << 20));
        let (total, _, error) = until_refused(&[coding], pieces.filter(|p| !p.is_empty()));
        assert_eq!((total, error), (0, CodingError::Bomb), "{coding:?}");
    }
}

#[test]
fn catalogue_61_windows_beyond_the_bound_are_refused() {
    let mut none = |_: &[u8]| Ok::<(), CodingError>(());
    // A frame header with a window descriptor of 2 GiB and one of 8 MiB (RFC 8878, section 3.1.1.1.2), then an empty
    // last block.
    let frame = |exponent: u8| vec![0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0];
    assert_eq!(Decoder::new(&[Coding::Zstd]).unwrap().push(&frame(21), &mut none), Err(CodingError::Invalid));
    assert_eq!(Decoder::new(&[Coding::Zstd]).unwrap().push(&frame(14), &mut none), Err(CodingError::Invalid));
    assert_eq!(Decoder::new(&[Coding::Zstd]).unwrap().push(&frame(13), &mut none), Ok(()));
    // Brotli's large windows begin with this pattern; RFC 7932 reserves it.
    assert_eq!(
        Decoder::new(&[Coding::Brotli]).unwrap().push(&[0x11, 30, 3], &mut none),
        Err(CodingError::Invalid)
    );
}

proptest! {
    #[test]
    fn any_bytes_decode_alike_in_any_chunking(
        data in proptest::collection::vec(any::<u8>(), 1..200),
        flip in any::<proptest::sample::Index>(),
        chunk in 1usize..20,
    ) {
        for coding in CODINGS {
            let mut encoded = encode(coding, &data);
            prop_assert_eq!(decode(&[coding], &encoded, chunk), Ok(data.clone()));
            crate::fuzz::coding(&encoded);
            let at = flip.index(encoded.len());
            encoded[at] ^= 0x10;
            crate::fuzz::coding(&encoded);
            crate::fuzz::coding(&data);
        }
    }
}
