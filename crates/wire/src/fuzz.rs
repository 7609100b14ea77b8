//! The bodies of fuzz targets: each takes arbitrary bytes and panics when a law of its codec is broken. Tests run them
//! over small corpora; a fuzzer may run them over everything.

use crate::coding::{Coding, CodingError, Decoder};
use crate::http1::{Fault, Limits, Screen, Stop};
use crate::json::{Scanner, Token, pieces};
use crate::shell::{Command, SCRIPT_BYTES_MAX, Script};
use crate::sql::{self, SqlIntent};
use crate::websocket::{Item, Messages, Side};
use crate::{aws_event, sse};

/// A run as the scanner reports it, merged so that chunking cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    Text(Vec<u8>, usize),
    Other(Token, usize),
}

fn scan(data: &[u8], chunk: usize) -> Vec<Run> {
    let mut scanner = Scanner::new();
    let mut runs: Vec<Run> = Vec::new();
    let mut covered = 0;
    let text = |runs: &mut Vec<Run>, meaning: &[u8], raw: usize| match runs.last_mut() {
        Some(Run::Text(t, r)) => {
            t.extend_from_slice(meaning);
            *r += raw;
        }
        _ => runs.push(Run::Text(meaning.to_vec(), raw)),
    };
    'parts: for part in data.chunks(chunk.max(1)) {
        let mut rest = part;
        loop {
            let step = scanner.step(rest);
            let used = rest.get(..step.used).unwrap_or_default();
            rest = rest.get(step.used..).unwrap_or_default();
            match step.token {
                Token::More => break,
                Token::Invalid | Token::TooDeep => break 'parts,
                Token::Text(len) => {
                    covered += len;
                    text(&mut runs, used, len);
                }
                Token::Escape { meaning, raw } => {
                    covered += raw;
                    text(&mut runs, meaning.as_bytes(), raw);
                }
                Token::Space(len) => {
                    covered += len;
                    match runs.last_mut() {
                        Some(Run::Other(Token::Space(_), l)) => *l += len,
                        _ => runs.push(Run::Other(Token::Space(0), len)),
                    }
                }
                token @ Token::Scalar(len) => {
                    covered += len;
                    runs.push(Run::Other(token, len));
                }
                token => {
                    covered += 1;
                    runs.push(Run::Other(token, 1));
                }
            }
        }
    }
    assert!(
        data.get(covered..).is_some_and(|rest| rest.starts_with(scanner.pending())),
        "pending bytes come next"
    );
    runs
}

/// The scanner covers what it is given, and says the same in every chunking.
///
/// # Panics
/// When it does not.
pub fn json(data: &[u8]) {
    let whole = scan(data, data.len());
    for chunk in [1, 2, 3, 7] {
        assert_eq!(scan(data, chunk), whole, "chunk {chunk}");
    }
    let mut raw = Vec::new();
    pieces(data, |_, r| raw.extend_from_slice(r));
    assert_eq!(raw, data, "pieces cover their input");
}

/// The framer covers what it is given in every chunking, and lines cover frames.
///
/// # Panics
/// When they do not.
pub fn sse(data: &[u8]) {
    for chunk in [1, 2, 3, 7, data.len()] {
        let mut framer = sse::Framer::new();
        let mut got = Vec::new();
        for mut part in data.chunks(chunk.max(1)) {
            while let Ok(Some(frame)) = framer.next(&mut part) {
                assert!(sse::lines(frame, got.is_empty()).last().is_none_or(|l| l.end == frame.len()));
                got.extend_from_slice(frame);
            }
        }
        got.extend_from_slice(framer.rest());
        assert_eq!(got, data, "chunk {chunk}");
    }
}

/// Messages cover what was given, in every chunking alike, and are those of their headers and payload.
///
/// # Panics
/// When they do not.
pub fn aws_event(data: &[u8]) {
    let read = |chunk: usize| {
        let mut framer = aws_event::Framer::new();
        let mut got = Vec::new();
        for mut part in data.chunks(chunk.max(1)) {
            loop {
                match framer.next(&mut part) {
                    Ok(None) => break,
                    Ok(Some(message)) => got.extend_from_slice(message),
                    Err(error) => return (got, Err(error)),
                }
            }
        }
        got.extend_from_slice(framer.rest());
        (got, Ok(()))
    };
    let whole = read(data.len());
    assert!(whole.1.is_err() || whole.0 == data);
    for chunk in [1, 2, 3, 7] {
        assert_eq!(read(chunk), whole, "chunk {chunk}");
    }
}

/// The raw bytes of what has come whole cover the stream, in every chunking alike.
///
/// # Panics
/// When they do not.
pub fn websocket(data: &[u8]) {
    for side in [Side::Server, Side::Client] {
        let read = |chunk: usize| {
            let mut messages = Messages::new(side);
            let mut got = 0;
            for mut part in data.chunks(chunk.max(1)) {
                loop {
                    match messages.next(&mut part) {
                        Ok(None) => break,
                        Ok(Some(
                            Item::Control { raw, .. } | Item::Close { raw, .. } | Item::Message { raw, .. },
                        )) => {
                            got += raw.len();
                        }
                        Err(error) => return (got, Err(error)),
                    }
                }
            }
            assert!(got == data.len() || !messages.is_idle());
            (got, Ok(()))
        };
        let whole = read(data.len());
        for chunk in [1, 2, 3, 7] {
            assert_eq!(read(chunk), whole, "chunk {chunk}");
        }
    }
}

/// Each coding decodes to the same bytes in every chunking, or fails in every chunking.
///
/// # Panics
/// When it does not.
pub fn coding(data: &[u8]) {
    let decode = |codings: &[Coding], chunk: usize| {
        let mut decoder = Decoder::new(codings)?;
        let mut out = Vec::new();
        let mut sink = |plain: &[u8]| {
            out.extend_from_slice(plain);
            Ok::<(), CodingError>(())
        };
        for piece in data.chunks(chunk) {
            decoder.push(piece, &mut sink)?;
        }
        decoder.finish(&mut sink)?;
        Ok::<_, CodingError>(out)
    };
    for codings in [
        &[Coding::Gzip][..],
        &[Coding::Deflate],
        &[Coding::Brotli],
        &[Coding::Zstd],
        &[Coding::Zstd, Coding::Gzip],
    ] {
        let whole = decode(codings, data.len().max(1));
        for chunk in [1, 2, 7] {
            let cut = decode(codings, chunk);
            assert_eq!(cut.is_ok(), whole.is_ok(), "{codings:?} in chunks of {chunk}");
            assert!(cut.is_err() || cut == whole, "{codings:?} in chunks of {chunk}");
        }
    }
}

/// What passes of an input that comes in such pieces, and what stops it.
fn passing(data: &[u8], piece: usize) -> (usize, Option<Fault>, u64) {
    let mut screen = Screen::new(Limits { head_bytes: 1024, headers: 16 });
    let (mut before, mut there) = (0, 0);
    while there < data.len() {
        there = data.len().min(there + piece.max(1));
        let given = data.get(before..there).unwrap_or_default();
        match screen.next(given) {
            Ok(passes) => {
                assert!(passes <= given.len(), "no more passes than was given");
                before += passes;
                assert!(there - before <= 1024, "no more is held than a head may have");
            }
            Err(Stop { passes, fault }) => return (before + passes, Some(fault), screen.heads()),
        }
    }
    (before, None, screen.heads())
}

/// The screen before HTTP/1.1 lets the same through in every chunking.
///
/// # Panics
/// When it does not.
pub fn http1(data: &[u8]) {
    let whole = passing(data, data.len());
    for piece in [1, 2, 7] {
        assert_eq!(passing(data, piece), whole, "piece {piece}");
    }
}

/// A script has bounded words, and a quoted word is itself.
///
/// # Panics
/// When it has not.
pub fn shell(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(script) = Script::parse(&text) {
        let words = script.commands.iter().flat_map(Command::all_words).map(str::len).sum::<usize>();
        assert!(words <= 64 * (text.len() + SCRIPT_BYTES_MAX), "words grow beyond measure");
    }
    let quoted = Script::parse(&format!("cat '{}'", text.replace('\'', "'\\''")));
    if let Ok(script) = quoted {
        let word = script.commands.first().and_then(|command| command.words.get(1));
        assert_eq!(word.map(String::as_str), Some(&*text), "a quoted word is another one");
    }
}

/// A statement more never makes a text less dangerous.
///
/// # Panics
/// When it does.
pub fn sql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let more = sql::intent(&format!("{text}\n; DROP TABLE t"));
    // SQLite takes the end of the text for the end of a comment.
    assert!(more >= SqlIntent::Ddl || text.contains("/*"), "a statement was overlooked: {text:?}");
    let less = sql::intent(&text);
    assert!(more >= less || less == SqlIntent::Admin, "more is less: {text:?}");
}

/// Inputs made of seeds: bytes changed, cut out, doubled, and mixed with others. The same in every run.
#[derive(Debug)]
pub struct Mutations<'s> {
    seeds: &'s [Vec<u8>],
    state: u64,
}

impl<'s> Mutations<'s> {
    /// The longest input, in bytes.
    const BYTES_MAX: usize = 400;

    /// Of these seeds.
    pub const fn of(seeds: &'s [Vec<u8>]) -> Self {
        Self { seeds, state: 0x2545_f491_4f6c_dd1d }
    }

    /// A number below `below`, or 0.
    fn roll(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % (below.max(1) as u64)).unwrap_or_default()
    }

    fn seed(&mut self) -> &'s [u8] {
        let at = self.roll(self.seeds.len());
        self.seeds.get(at).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut data = self.seed().to_vec();
        for _ in 0..=self.roll(4) {
            let (at, to) = (self.roll(data.len() + 1), self.roll(data.len() + 1));
            match self.roll(4) {
                0 if at < data.len() => {
                    let byte = u8::try_from(self.roll(256)).unwrap_or_default();
                    data.get_mut(at).into_iter().for_each(|old| *old = byte);
                }
                1 => drop(data.drain(at.min(to)..at.max(to))),
                2 => data.extend_from_within(at.min(to)..at.max(to)),
                _ => {
                    let other = self.seed();
                    let end = self.roll(other.len() + 1);
                    data.splice(at..at, other.get(..end).unwrap_or_default().iter().copied());
                }
            }
        }
        data.truncate(Self::BYTES_MAX);
        Some(data)
    }
}
