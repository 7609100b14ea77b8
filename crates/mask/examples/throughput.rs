//! How fast the engine is: `cargo run --release -p keyward-mask --example throughput [--only QUESTION] [--with FEATURES]
//! [FILE…]`.
//!
//! Prints one table per question: megabytes per second of one core over kinds of text and sets of features, the cost of
//! a small body and of a small delta, whether cost and memory grow with the size of a text, and what compiling costs.
//! Times are CPU times of the thread where the system tells them, so that a busy machine changes them little. Files
//! that are named are read as plain text, those called `….json` as JSON bodies too, and measured beside the texts that are
//! made here. Features are `1,000 known`, `detectors` and `both`; questions are `compiling`, `plain`, `json`, `events`,
//! `small` and `growing`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use keyward_mask::walk::{BodyFormat, BodyMasker, Dialect};
use keyward_mask::{Decisions, Detectors, Finding, KnownValue, Profile, TextMasker};

/// Bytes of each text.
const TEXT_BYTES: usize = 16 << 20;
/// Each measurement is repeated; the fastest counts.
const REPEATS: usize = 5;

/// The shortest measurement, in seconds of the thread.
const RUN_SECONDS_MIN: f64 = 0.2;

type Error = Box<dyn std::error::Error>;

#[derive(Default)]
struct Count {
    kept: usize,
    found: usize,
}

impl Decisions for Count {
    fn keep(&mut self, bytes: usize) {
        self.kept += bytes;
    }

    fn replace(&mut self, _: usize, _: &str) {}

    fn found(&mut self, _: Finding) {
        self.found += 1;
    }
}

/// Seconds this thread has computed for; seconds since the start where the system does not say.
fn seconds(begin: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|s| s.split(' ').next().and_then(|n| n.parse::<f64>().ok()));
    nanos.map_or_else(|| begin.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// The fastest of several runs, in seconds. Each is repeated until it takes long enough for a clock that ticks every few
/// milliseconds.
fn best(mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::MAX;
    for _ in 0..REPEATS {
        let from = seconds(begin);
        let mut rounds = 0;
        let mut time = 0.0;
        while rounds == 0 || time < RUN_SECONDS_MIN {
            run();
            rounds += 1;
            time = seconds(begin) - from;
        }
        best = best.min(time / float(rounds));
    }
    best.max(1e-9)
}

fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Resident memory in kilobytes, where the system tells it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// A sequence of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % below.max(1)
    }
}

const WORDS: &str = "the of and a to in is you that it he was for on are as with his they I at be this have from or \
one had by word but not what all were we when your can said there use an each which she do how their if will up other \
about out many then them these so some her would make like him into time has look two more write go see number no way \
could people my than first water been call who oil its now find long down day did get come made may part over new sound \
take only little work know place year live me back give most very after thing our just name good sentence man think say \
great where help through much before line right too mean old any same tell boy follow came want show also around form \
three small set put end does another well large must big even such because turn here why ask went men read need land \
different home us move try kind hand picture again change off play spell air away animal house point page letter mother \
answer found study still learn should America world request response server client gateway policy configuration function \
returns value error message option default section table example model context agreement license software permission \
provided conditions warranty liability author copyright broken spoken chicken engine database network operation position \
management possible available information development government international environment particular business question";

/// Sentences and paragraphs of ordinary words.
fn prose(bytes: usize, seed: u64) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut numbers = Numbers(seed);
    let mut text = String::with_capacity(bytes + 64);
    let (mut sentence, mut column) = (0, 0);
    while text.len() < bytes {
        let word = words.get(numbers.next(words.len())).copied().unwrap_or("a");
        if sentence == 0 {
            text.extend(word.chars().take(1).flat_map(char::to_uppercase));
            text.push_str(word.get(1..).unwrap_or_default());
        } else {
            text.push_str(word);
        }
        sentence += 1;
        column += word.len() + 1;
        if sentence > 6 + numbers.next(14) {
            sentence = 0;
            text.push('.');
        } else if numbers.next(11) == 0 {
            text.push(',');
        }
        text.push(if column > 90 { '\n' } else { ' ' });
        if column > 90 {
            column = 0;
        }
    }
    text.truncate(bytes);
    text
}

const CODE: &str = "    let total = items.iter().map(|item| item.price * item.count).sum::<u64>(); // the sum of {n}\n    \
                    if total > limit_{n} {\n        return Err(Error::TooMuch { total, limit: limit_{n} });\n    }\n    \
                    for (at, line) in text.lines().enumerate().skip({n}) {\n        self.push(at, line)?;\n    }\n";

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A chat completion as an answer in one piece.
fn answer(text: &str, n: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-9x{n}","object":"chat.completion","created":171900{n:04},"model":"m-large","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":12,"completion_tokens":{n},"total_tokens":{}}},"system_fingerprint":"fp_44709d6fcb"}}"#,
        escaped(text),
        n + 12
    )
}

/// The pieces that a model streams a text in: about four bytes each, and in the end as many as asked for.
fn deltas(text: &str, bytes: usize) -> Vec<&str> {
    text.as_bytes().chunks(bytes).map(|c| std::str::from_utf8(c).unwrap_or(" ")).collect()
}

fn openai_stream(pieces: &[&str]) -> String {
    let mut out = String::new();
    for piece in pieces {
        write!(
            out,
            "data: {{\"id\":\"chatcmpl-9x\",\"object\":\"chat.completion.chunk\",\"created\":1719000000,\"model\":\"m-large\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"finish_reason\":null}}]}}\n\n",
            escaped(piece)
        )
        .ok();
    }
    out + "data: [DONE]\n\n"
}

fn anthropic_stream(pieces: &[&str]) -> String {
    let mut out = String::new();
    for piece in pieces {
        write!(
            out,
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
            escaped(piece)
        )
        .ok();
    }
    out
}

struct Features {
    name: &'static str,
    profile: Arc<Profile>,
}

fn features() -> Result<Vec<Features>, Error> {
    let mut list = Vec::new();
    for (name, known, detectors) in
        [("1,000 known", 1000, false), ("detectors", 0, true), ("both", 1000, true)]
    {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        let mut builder = Profile::builder();
        for n in 0..known {
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
            let tail: String =
                (0..40).filter_map(|_| letters.get(numbers.next(64)).copied()).map(char::from).collect();
            builder = builder.known([KnownValue::new(&format!("value{n}"), tail.as_bytes())?]);
        }
        if detectors {
            builder = builder.detectors(Detectors::builtin(), &["credentials", "pii"]);
        }
        list.push(Features { name, profile: Arc::new(builder.build()?) });
    }
    Ok(list)
}

fn mask_text(profile: &Arc<Profile>, text: &[u8], chunk: usize) -> Count {
    let mut count = Count::default();
    let mut masker = TextMasker::new(Arc::clone(profile));
    for piece in text.chunks(chunk) {
        masker.push(piece, &mut count);
    }
    masker.boundary(&mut count);
    count
}

fn mask_body(
    profile: &Arc<Profile>,
    format: BodyFormat,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    out.clear();
    let mut masker = BodyMasker::new(Arc::clone(profile), format);
    for piece in body.chunks(16 << 10) {
        masker.push(piece, out)?;
        out.clear();
    }
    masker.finish(out)?;
    Ok(masker.take_findings().len())
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) {
    print!("{name:40}");
    for cell in cells {
        print!(" {cell:>14}");
    }
    println!();
}

fn texts(files: &[String]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut texts = Vec::new();
    for file in files {
        texts.push((file.rsplit('/').next().unwrap_or_default().to_owned(), std::fs::read(file)?));
    }
    let code: String = (0..TEXT_BYTES / CODE.len()).map(|n| CODE.replace("{n}", &n.to_string())).collect();
    texts.push(("prose".to_owned(), prose(TEXT_BYTES, 7).into_bytes()));
    texts.push(("code".to_owned(), code.into_bytes()));
    let mut secret = String::new();
    for n in 0..TEXT_BYTES / 4096 {
        secret += &prose(4040, 1 + n as u64);
        secret += concat!(" ghp_", "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd4Hf6Sg0Ua3We ");
    }
    texts.push(("prose, a secret in every 4 KB".to_owned(), secret.into_bytes()));
    Ok(texts)
}

fn main() -> Result<(), Error> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let mut option = |name: &str| {
        let at = files.iter().position(|argument| argument == name)?;
        files.remove(at);
        (at < files.len()).then(|| files.remove(at))
    };
    let (only, with) = (option("--only"), option("--with"));
    let asked = |question: &str| only.as_deref().is_none_or(|only| only == question);
    if asked("compiling") {
        compiling()?;
    }
    let mut features = features()?;
    features.retain(|features| with.as_deref().is_none_or(|with| with == features.name));
    let text = prose(TEXT_BYTES / 4, 11);
    if asked("plain") {
        plain(&features, &files)?;
    }
    for kind in ["json", "events"] {
        if asked(kind) {
            bodies(&features, &text, kind, &files)?;
        }
    }
    if asked("small") {
        small(&features, &text);
    }
    if asked("growing") {
        growing(&features, &text);
    }
    Ok(())
}

fn compiling() -> Result<(), Error> {
    let begin = Instant::now();
    let (cpu, before) = (seconds(begin), resident());
    let detectors = Detectors::builtin().iter().count();
    let wall = begin.elapsed();
    println!(
        "{detectors} detectors compiled in {wall:?} ({:.0} ms of this thread), {} KB resident",
        (seconds(begin) - cpu) * 1e3,
        resident().saturating_sub(before)
    );
    let (from, before) = (Instant::now(), resident());
    let ten: Vec<_> = (0..10)
        .map(|_| Profile::builder().detectors(Detectors::builtin(), &["credentials", "pii"]).build())
        .collect::<Result<_, _>>()?;
    println!(
        "ten profiles built in {:?}, {} KB resident, {} KB in all",
        from.elapsed(),
        resident().saturating_sub(before),
        resident()
    );
    drop(ten);
    Ok(())
}

fn plain(features: &[Features], files: &[String]) -> Result<(), Error> {
    row("\nplain text, MB/s", features.iter().map(|f| f.name.to_owned()));
    for (name, text) in texts(files)? {
        let cells = features.iter().map(|f| {
            let mut found = 0;
            let time = best(|| found = mask_text(&f.profile, &text, 64 << 10).found);
            format!("{:.0} ({found})", float(text.len()) / 1e6 / time)
        });
        row(&name, cells.collect::<Vec<_>>());
    }
    Ok(())
}

fn bodies(features: &[Features], text: &str, kind: &str, files: &[String]) -> Result<(), Error> {
    let pieces = deltas(text, 4);
    let answers: Vec<String> = (0..TEXT_BYTES / 4 / 2000)
        .map(|n| answer(text.get(n * 1000..n * 1000 + 1500).unwrap_or("x"), n))
        .collect();
    let list = format!("[{}]", answers.join(",\n"));
    let mut bodies = vec![
        ("JSON, API answers of 2 KB", BodyFormat::Json, list, 0),
        (
            "SSE, chat completions, 4 byte deltas",
            BodyFormat::EventStream(Dialect::OpenAi),
            openai_stream(&pieces),
            pieces.len(),
        ),
        (
            "SSE, messages, 4 byte deltas",
            BodyFormat::EventStream(Dialect::Anthropic),
            anthropic_stream(&pieces),
            pieces.len(),
        ),
    ];
    for file in
        files.iter().filter(|file| std::path::Path::new(file).extension().is_some_and(|e| e == "json"))
    {
        let name = file.rsplit('/').next().unwrap_or_default();
        bodies.push((name, BodyFormat::Json, std::fs::read_to_string(file)?, 0));
    }
    let mut count = 0;
    row("\nbodies, MB/s", features.iter().map(|f| f.name.to_owned()));
    for (name, format, body, deltas) in
        bodies.iter().filter(|(.., deltas)| (*deltas == 0) == (kind == "json"))
    {
        let mut out = Vec::new();
        let times: Vec<f64> = features
            .iter()
            .map(|f| best(|| count += mask_body(&f.profile, *format, body.as_bytes(), &mut out).unwrap_or(0)))
            .collect();
        row(name, times.iter().map(|time| format!("{:.0}", float(body.len()) / 1e6 / time)));
        if *deltas > 0 {
            row("  million deltas/s", times.iter().map(|time| format!("{:.2}", float(*deltas) / 1e6 / time)));
        }
    }
    println!("({count} findings)");
    Ok(())
}

fn small(features: &[Features], text: &str) {
    let mut count = 0;
    row("\nsmall pieces, ns each", features.iter().map(|f| f.name.to_owned()));
    let body = answer(text.get(..300).unwrap_or_default(), 5);
    let header = "Bearer is no value here; text/html, application/xhtml+xml";
    let n = 20_000;
    let per = |time: f64, n: usize| format!("{:.0}", time * 1e9 / float(n));
    let mut out = Vec::new();
    for (name, format, body) in [
        (format!("JSON body of {} bytes", body.len()), BodyFormat::Json, body.as_bytes()),
        (
            "text body of 600 bytes".to_owned(),
            BodyFormat::Text,
            text.as_bytes().get(..600).unwrap_or_default(),
        ),
        (format!("header of {} bytes", header.len()), BodyFormat::Text, header.as_bytes()),
    ] {
        let cells = features.iter().map(|f| {
            per(
                best(|| {
                    for _ in 0..n {
                        count += mask_body(&f.profile, format, body, &mut out).unwrap_or(0);
                    }
                }),
                n,
            )
        });
        row(&name, cells.collect::<Vec<_>>());
    }
    for size in [4, 20, 200] {
        let some = text.as_bytes().get(..1 << 20).unwrap_or_default();
        let cells = features
            .iter()
            .map(|f| per(best(|| count += mask_text(&f.profile, some, size).found), some.len() / size));
        row(&format!("delta of {size} bytes"), cells.collect::<Vec<_>>());
    }

    println!("({count} findings)");
}

fn growing(features: &[Features], text: &str) {
    let begin = Instant::now();
    row("\nprose of growing size", ["MB/s", "KB resident"].map(str::to_owned));
    if let Some(both) = features.last() {
        let piece = text.as_bytes().get(..1 << 20).unwrap_or_default();
        for (name, size, rounds) in
            [("1 KB", 1 << 10, 4096), ("32 KB", 32 << 10, 512), ("1 MB", 1 << 20, 16), ("1 GB", 1 << 30, 1)]
        {
            let from = seconds(begin);
            for _ in 0..rounds {
                let mut masker = TextMasker::new(Arc::clone(&both.profile));
                let mut left = size;
                while left > 0 {
                    let part = piece.get(..left.min(piece.len())).unwrap_or_default();
                    masker.push(part, &mut Count::default());
                    left -= part.len();
                }
                masker.boundary(&mut Count::default());
            }
            let time = seconds(begin) - from;
            row(name, [format!("{:.0}", float(size) * float(rounds) / 1e6 / time), resident().to_string()]);
        }
    }
}
