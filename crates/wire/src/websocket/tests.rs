use proptest::prelude::*;

use super::*;

/// An item as a test can keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Control(Vec<u8>),
    Close(Vec<u8>),
    Message(Kind, Vec<u8>, Vec<u8>),
}

fn read(side: Side, input: &[u8], chunk: usize) -> Result<Vec<Got>, WebSocketError> {
    let mut messages = Messages::new(side);
    let mut got = Vec::new();
    for mut part in input.chunks(chunk.max(1)) {
        while let Some(item) = messages.next(&mut part)? {
            got.push(match item {
                Item::Control { raw, .. } => Got::Control(raw.to_vec()),
                Item::Close { payload, .. } => Got::Close(payload.to_vec()),
                Item::Message { kind, payload, raw } => Got::Message(kind, payload.to_vec(), raw.to_vec()),
            });
        }
    }
    Ok(got)
}

fn all(side: Side, input: &[u8]) -> Result<Vec<Got>, WebSocketError> {
    let whole = read(side, input, usize::MAX);
    for chunk in 1..input.len().min(40) {
        assert_eq!(read(side, input, chunk), whole, "chunk {chunk}");
    }
    whole
}

/// The examples of RFC 6455, 5.7.
#[test]
fn reads_the_examples_of_the_rfc() {
    let hello = |raw: &[u8]| vec![Got::Message(Kind::Text, b"Hello".to_vec(), raw.to_vec())];
    let single = b"\x81\x05Hello";
    assert_eq!(all(Side::Server, single), Ok(hello(single)));
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(all(Side::Client, &masked), Ok(hello(&masked)));
    let fragments = b"\x01\x03Hel\x80\x02lo";
    assert_eq!(all(Side::Server, fragments), Ok(hello(fragments)));
    let ping = b"\x89\x05Hello";
    assert_eq!(all(Side::Server, ping), Ok(vec![Got::Control(ping.to_vec())]));
    for (length, head) in
        [(256usize, &[0x82, 0x7e, 1, 0][..]), (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0])]
    {
        let mut out = Vec::new();
        write_message(Kind::Binary, &vec![7; length], &mut out);
        assert!(out.starts_with(head));
        assert_eq!(read(Side::Server, &out, 999), Ok(vec![Got::Message(Kind::Binary, vec![7; length], out)]));
    }
}

#[test]
fn control_frames_come_between_fragments() {
    let input = b"\x01\x02He\x89\x01p\x00\x01l\x8a\x00\x80\x02lo\x88\x04\x03\xe8ok";
    let message = Got::Message(Kind::Text, b"Hello".to_vec(), b"\x01\x02He\x00\x01l\x80\x02lo".to_vec());
    let expected = [
        Got::Control(b"\x89\x01p".to_vec()),
        Got::Control(b"\x8a\x00".to_vec()),
        message,
        Got::Close(b"\x03\xe8ok".to_vec()),
    ];
    assert_eq!(all(Side::Server, input), Ok(expected.to_vec()));
}

#[test]
fn catalogue_46_what_the_rfc_forbids_is_refused() {
    use WebSocketError::{Extension, Protocol, Text};
    for (input, error) in [
        (&b"\xc1\x05Hello"[..], Extension),
        (b"\xa1\x05Hello", Extension),
        (b"\x83\x00", Protocol),
        (b"\x8b\x00", Protocol),
        (b"\x09\x00", Protocol),
        (b"\x89\x7e\x00\x7e", Protocol),
        (b"\x80\x00", Protocol),
        (b"\x01\x01a\x81\x01b", Protocol),
        (b"\x81\x7e\x00\x05Hello", Protocol),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05Hello", Protocol),
        (b"\x81\x7f\x80\x00\x00\x00\x00\x01\x00\x00", Protocol),
        (b"\x81\x85\x00\x00\x00\x00Hello", Protocol),
        (b"\x88\x00\x81\x00", Protocol),
        (b"\x88\x01\x03", Protocol),
        (b"\x88\x03\x03\xe8\xff", Protocol),
        (b"\x81\x02\xc3\x28", Text),
    ] {
        assert_eq!(all(Side::Server, input), Err(error), "{input:x?}");
    }
    assert_eq!(all(Side::Client, b"\x81\x05Hello"), Err(Protocol));
}

#[test]
fn catalogue_46_a_message_at_the_limit_passes_and_one_beyond_does_not() {
    let of = |length: usize| [&[0x82, 0x7f][..], &(length as u64).to_be_bytes(), &vec![0; length]].concat();
    let at = of(MESSAGE_BYTES_MAX - 10);
    assert_eq!(read(Side::Server, &at, 1 << 20).map(|got| got.len()), Ok(1));
    // Known by its header already.
    assert_eq!(read(Side::Server, &of(MESSAGE_BYTES_MAX - 9)[..10], 3), Err(WebSocketError::TooLong));
    // Fragments count together, empty ones too.
    let mut messages = Messages::new(Side::Server);
    let first = b"\x02\x00";
    assert!(messages.next(&mut &first[..]).is_ok());
    let empty = b"\x00\x00".repeat(1 << 16);
    let refused =
        (0..=MESSAGE_BYTES_MAX / empty.len()).any(|_| messages.next(&mut empty.as_slice()).is_err());
    assert!(refused);
}

#[test]
fn a_close_frame_is_cut_where_a_character_ends() {
    let mut out = Vec::new();
    write_close(&[b"\x03\xe8".as_slice(), "é".repeat(100).as_bytes()].concat(), &mut out);
    let got = all(Side::Server, &out).unwrap();
    let Got::Close(payload) = &got[0] else { panic!("{got:?}") };
    assert_eq!(payload.len(), 2 + 122);
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunking_give_the_same(
        input in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(0x80), Just(0x81), Just(0x89), 0u8..6, any::<u8>()], 0..60),
        chunk in 1usize..7,
        client in any::<bool>(),
    ) {
        let side = if client { Side::Client } else { Side::Server };
        prop_assert_eq!(read(side, &input, chunk), read(side, &input, usize::MAX));
    }
}

/// What a client writes is what a server reads, and a pong gives back what its ping carried.
#[test]
fn what_is_written_masked_is_read_unmasked() {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = Vec::new();
    write_masked_message(Kind::Text, b"Hello", KEY, &mut out);
    assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    for length in [0usize, 125, 126, 65_535, 65_536] {
        let mut out = Vec::new();
        write_masked_message(Kind::Binary, &vec![7; length], KEY, &mut out);
        let message = Got::Message(Kind::Binary, vec![7; length], out.clone());
        assert_eq!(read(Side::Client, &out, 999), Ok(vec![message]), "{length}");
    }
    let mut out = Vec::new();
    write_pong(b"p", Some(KEY), &mut out);
    write_masked_close(b"\x03\xe8bye", KEY, &mut out);
    let mut messages = Messages::new(Side::Client);
    let mut input = &out[..];
    let Ok(Some(Item::Control { ping: false, payload: b"p", .. })) = messages.next(&mut input) else {
        panic!("no pong")
    };
    let Ok(Some(Item::Close { payload: b"\x03\xe8bye", .. })) = messages.next(&mut input) else {
        panic!("no close")
    };
}

/// A control frame between the fragments of a message leaves the message alone.
#[test]
fn a_control_frame_has_a_payload_of_its_own() {
    let mut messages = Messages::new(Side::Server);
    let mut input = &b"\x01\x02He\x89\x01p\x80\x03llo"[..];
    let Ok(Some(Item::Control { ping: true, payload: b"p", .. })) = messages.next(&mut input) else {
        panic!("no ping")
    };
    let Ok(Some(Item::Message { payload: b"Hello", .. })) = messages.next(&mut input) else {
        panic!("no message")
    };
}

#[test]
fn a_narrower_bound_holds() {
    let message = |length: usize| {
        let mut out = Vec::new();
        write_message(Kind::Binary, &vec![0; length], &mut out);
        out
    };
    let read = |input: &[u8]| {
        let mut messages = Messages::new(Side::Server).at_most(102);
        messages.next(&mut &input[..]).map(|item| item.is_some())
    };
    assert_eq!(read(&message(100)), Ok(true));
    assert_eq!(read(&message(101)), Err(WebSocketError::TooLong));
}
