//! What passes and what does not, one line each; then the laws over arbitrary bytes.

use proptest::prelude::*;

use super::{Fault, HTTP2_PREFACE, Limits, Screen, Stop};

const LIMITS: Limits = Limits { head_bytes: 400, headers: 10 };

/// What passes of a whole input, and the fault that ends it.
fn screened(input: &[u8]) -> (usize, Option<Fault>, u64) {
    let mut screen = Screen::new(LIMITS);
    match screen.next(input) {
        Ok(passes) => (passes, None, screen.heads()),
        Err(Stop { passes, fault }) => (passes, Some(fault), screen.heads()),
    }
}

/// The same, given in pieces.
fn in_pieces(input: &[u8], piece: usize) -> (usize, Option<Fault>, u64) {
    let mut screen = Screen::new(LIMITS);
    let (mut before, mut there) = (0, 0);
    while there < input.len() {
        there = input.len().min(there + piece);
        match screen.next(&input[before..there]) {
            Ok(passes) => before += passes,
            Err(Stop { passes, fault }) => return (before + passes, Some(fault), screen.heads()),
        }
    }
    (before, None, screen.heads())
}

#[track_caller]
fn passes(input: &str, heads: u64) {
    assert_eq!(screened(input.as_bytes()), (input.len(), None, heads), "{input:?}");
}

#[track_caller]
fn stops(input: &str, fault: Fault) {
    let (_, found, _) = screened(input.as_bytes());
    assert_eq!(found, Some(fault), "{input:?}");
    for piece in 1..4 {
        assert_eq!(in_pieces(input.as_bytes(), piece), screened(input.as_bytes()), "{input:?} by {piece}");
    }
}

fn with(line: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n")
}

#[test]
fn sound_requests_pass_one_after_the_other() {
    passes("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    passes("GET /a?b=%20&c HTTP/1.1\r\nhost:h\r\nX-Empty:\r\nX-Wide: \u{e9}\ta\r\n\r\n", 1);
    passes("\r\nGET http://h/ HTTP/1.1\r\n\r\n", 1);
    passes("OPTIONS * HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", 2);
    passes("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n\n\n\nGET / HTTP/1.1\r\n\r\n", 2);
    passes("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 1);
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
    passes(&format!("{chunked}3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 2);
    passes(&format!("{chunked}0\r\nX-End: 1\r\nY:\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 2);
    passes(&format!("{}anything\n", String::from_utf8_lossy(HTTP2_PREFACE)), 0);
}

#[test]
fn an_unfinished_head_is_held_back() {
    assert_eq!(screened(b"GET / HTTP/1.1\r\nHost: h\r\n"), (0, None, 0));
    assert_eq!(screened(b"PRI * HTTP/2.0\r\n\r\n"), (0, None, 0));
    assert_eq!(screened(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET").0, 40);
    assert_eq!(screened(b"\r"), (0, None, 0));
}

#[test]
fn catalogue_27_28_30_a_body_has_one_framing() {
    stops(&with("Content-Length: 3\r\nTransfer-Encoding: chunked"), Fault::TwoFramings);
    stops(&with("Transfer-Encoding: chunked\r\nContent-Length: 3"), Fault::TwoFramings);
    for value in [",chunked", "xchunked", "identity", "gzip, chunked", "chunked, gzip", "", "chunked;q=1"] {
        stops(&with(&format!("Transfer-Encoding: {value}")), Fault::TransferEncoding);
    }
    stops(&with("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked"), Fault::TransferEncoding);
    stops(&with("Transfer-Encoding: \u{b}chunked"), Fault::HeaderValue);
    for value in ["1, 1", "+1", "0x1", "1_0", "", "-1", "18446744073709551616", "1 1", "\u{661}"] {
        stops(&with(&format!("Content-Length: {value}")), Fault::ContentLength);
    }
    stops(&with("Content-Length: 3\r\nContent-Length: 3"), Fault::ContentLength);
}

#[test]
fn catalogue_29_there_is_one_version() {
    for version in ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9"] {
        stops(&format!("GET / {version}\r\n\r\n"), Fault::Version);
    }
    for line in [
        "GET /",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
    ] {
        stops(&format!("{line}\r\nHost: h\r\n\r\n"), Fault::RequestLine);
    }
}

#[test]
fn catalogue_31_chunks_are_written_in_one_way() {
    for body in [
        "0x1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "1_0\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1\t;x\r\na\r\n0\r\n\r\n",
        "-1\r\na\r\n",
        "10000000000000001\r\na",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1\r\naXX0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "\r\na\r\n0\r\n\r\n",
        ";x\r\n",
    ] {
        stops(&format!("{}{body}", with("Transfer-Encoding: chunked")), Fault::Chunk);
    }
    for trailers in
        ["X : 1\r\n\r\n", " X: 1\r\n\r\n", "X\r\n\r\n", ":1\r\n\r\n", "X: a\rb\r\n\r\n", "X: 1\n\r\n", "\rX"]
    {
        stops(&format!("{}0\r\n{trailers}", with("Transfer-Encoding: chunked")), Fault::Trailer);
    }
    let long = format!("X: {}", "x".repeat(LIMITS.head_bytes));
    stops(&format!("{}0\r\n{long}", with("Transfer-Encoding: chunked")), Fault::TrailerTooLong(400));
}

#[test]
fn catalogue_32_heads_are_written_in_one_way() {
    stops("GET / HTTP/1.1\nHost: h\n\n", Fault::LineEnding);
    stops("GET / HTTP/1.1\r\nHost: h\n\r\n", Fault::LineEnding);
    stops("GET / HTTP/1.1\r\nHost: h\r\n\n", Fault::LineEnding);
    stops("\nGET / HTTP/1.1\r\n\r\n", Fault::LineEnding);
    stops("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Fault::RequestLine);
    stops(&with("X: a\rb"), Fault::HeaderValue);
    stops(&with("X: a\0b"), Fault::HeaderValue);
    stops(&with("X: a\u{7f}"), Fault::HeaderValue);
    for line in ["X: a\r\n b", "X : a", "X\t: a", ": a", "X A: a", "X", "X\u{e9}: a", "(x): a", "X\0: a"] {
        stops(&with(line), Fault::HeaderName);
    }
    stops("GET / HTTP/1.1\r\n Host: h\r\n\r\n", Fault::HeaderName);
    for target in ["/a#b", "/\u{e9}", "/a\tb", "/a\u{7f}"] {
        stops(&format!("GET {target} HTTP/1.1\r\n\r\n"), Fault::Target);
    }
    stops("\u{16}\u{3}\u{1}", Fault::RequestLine);
}

#[test]
fn limits_name_themselves() {
    stops(&with(&["X: 1"; 10].join("\r\n")), Fault::TooManyHeaders(10));
    stops(&with(&format!("X: {}", "x".repeat(400))), Fault::HeadTooLong(400));
    // Without an end as well: nobody waits for it.
    assert_eq!(screened("G".repeat(401).as_bytes()).1, Some(Fault::HeadTooLong(400)));
    assert_eq!(screened("G".repeat(400).as_bytes()), (0, None, 0));
}

/// Requests, and what resembles them.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /x HTTP/1.1\r\n", "Host: h\r\n", "\r\n", "Content-Length: 4\r\n", "abcd",
            "Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n", "X: y\r\n", "\n", "\r",
            " ", ":", "HTTP/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn chunking_changes_nothing(input in requests(), piece in 1_usize..9) {
        prop_assert_eq!(in_pieces(&input, piece), screened(&input));
        crate::fuzz::http1(&input);
    }

    /// What passes as a head is a head of the same length to another parser.
    #[test]
    fn another_parser_agrees(input in requests()) {
        let mut screen = Screen::new(LIMITS);
        let end = (1..=input.len()).find(|end| {
            matches!(screen.next(&input[..*end]), Ok(passes) if passes > 0) || screen.heads() > 0
        });
        if let Some(end) = end.filter(|_| screen.heads() == 1) {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            prop_assert_eq!(request.parse(&input), Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(request.version, Some(1));
        }
    }
}
