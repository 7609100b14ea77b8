use super::*;

fn multipart(boundary: &str) -> BodyFormat {
    BodyFormat::Multipart(Boundary::new(boundary).unwrap())
}

fn part(headers: &[&str], body: &str) -> String {
    let headers: Vec<String> = headers.iter().map(|h| format!("{h}\r\n")).collect();
    format!("--b\r\n{}\r\n{body}\r\n", headers.concat())
}

#[test]
fn each_part_is_read_in_its_own_format() {
    let json = format!("{{\"a\":\"{}\"}}", escaped(CANARY));
    let body = [
        format!("preamble {CANARY}\r\n"),
        part(&["Content-Disposition: form-data; name=\"a\""], &format!("text {CANARY}")),
        part(&["Content-Type: application/json"], &json),
        part(&[&format!("Content-Disposition: form-data; name=\"{CANARY}\"; filename=x")], ""),
        part(&["content-type: text/html"], &format!("<b>&#107;{}</b>", &CANARY[1..])),
        part(&[], &format!("{CANARY}\r\n--bb\r\n-- b\r\n{CANARY}")),
        format!("--b--\r\nepilogue {CANARY}\r\n--b\r\n"),
    ]
    .concat();
    let wanted = body
        .replace(&json, &format!("{{\"a\":\"{MASKED}\"}}"))
        .replace(&format!("&#107;{}", &CANARY[1..]), MASKED)
        .replace(CANARY, MASKED);
    assert_eq!(mask(multipart("b"), &body), wanted);
    // The same with bare line feeds, which lenient readers take.
    let (body, wanted) = (body.replace("\r\n", "\n"), wanted.replace("\r\n", "\n"));
    assert_eq!(mask(multipart("b"), &body), wanted);
}

#[test]
fn the_name_of_the_field_is_context() {
    let secret = ["gF7xK2mQ9", "vLp4TzW8"].concat();
    let body = part(&["Content-Disposition: form-data; name=\"client_secret\""], &secret) + "--b--";
    let masked = mask_with(&with_detectors(), multipart("b"), &body);
    assert!(!masked.contains(&secret) && masked.contains("\r\n\r\n[REDACTED:"), "{masked}");
}

#[test]
fn a_value_at_every_split_of_the_delimiter_and_of_itself() {
    let body = part(&[], CANARY) + &part(&[], CANARY) + "--b--";
    let wanted = body.replace(CANARY, MASKED);
    for cut in 0..=body.len() {
        let mut masker = BodyMasker::new(profile(), multipart("b"));
        let mut out = Vec::new();
        for piece in [&body[..cut], &body[cut..]] {
            masker.push(piece.as_bytes(), &mut out).unwrap();
            assert!(!String::from_utf8_lossy(&out).contains(&CANARY[..10]));
        }
        masker.finish(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), wanted, "cut at {cut}");
        let found = masker.take_findings();
        let places: Vec<usize> = body.match_indices(CANARY).map(|(at, _)| at).collect();
        assert_eq!(found.iter().map(|f| usize::try_from(f.start).unwrap()).collect::<Vec<_>>(), places);
    }
}

#[test]
fn parts_nest_up_to_a_bound() {
    let nested = |depth: usize| {
        (0..depth).fold(CANARY.to_owned(), |inner, level| {
            format!("--b{level}\r\ncontent-type: multipart/mixed; boundary=b{}\r\n\r\n{inner}\r\n--b{level}--\r\n", level.wrapping_sub(1))
                .replace("content-type: multipart/mixed; boundary=b18446744073709551615\r\n", "")
        })
    };
    let format = |depth: usize| multipart(&format!("b{}", depth - 1));
    let deepest = MULTIPART_NESTING_MAX + 1;
    assert_eq!(mask(format(deepest), &nested(deepest)), nested(deepest).replace(CANARY, MASKED));
    let refused = run(&profile(), format(deepest + 1), nested(deepest + 1).as_bytes(), 7);
    assert_eq!(refused, Err(MaskError::TooDeep));
}

#[test]
fn catalogue_311_what_hides_text_in_a_part_is_refused() {
    for header in [
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Transfer-Encoding:\r\n x-unknown",
        "Content-Encoding: gzip",
        "Content-Type: text/plain; charset=utf-16",
        "Content-Type: multipart/mixed",
        "Content-Type: text/plain\r\nContent-Type: application/json",
        "Content-Type: multipart/byteranges; boundary=x",
    ] {
        let body = part(&[header], CANARY);
        for chunk in [1, 1000] {
            let refused = run(&profile(), multipart("b"), body.as_bytes(), chunk);
            assert_eq!(refused, Err(MaskError::Charset), "{header}");
        }
    }
    let encoded = "a3djYW5hcnktN1F4MkxtOVp0NFJ2";
    let body = part(&["Content-Transfer-Encoding: base64"], encoded) + "--b--";
    assert_eq!(mask(multipart("b"), &body), body.replace(encoded, MASKED));
}

#[test]
fn headers_of_a_part_have_a_bound() {
    let long = |len: usize| format!("--b\r\nX: {}\r\n\r\nx", "y".repeat(len - 7));
    mask(multipart("b"), &long(PART_HEAD_BYTES_MAX));
    for chunk in [1000, 100_000] {
        let refused = run(&profile(), multipart("b"), long(PART_HEAD_BYTES_MAX + 1).as_bytes(), chunk);
        assert_eq!(refused, Err(MaskError::HeadTooLong));
    }
}
