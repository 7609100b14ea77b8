//! How fast the engine is: `cargo run --release -p keyward-mask --example throughput [FILE…]`.
//!
//! Without files, over text made here: prose, JSON answers, code-like lines, and prose with a secret in every 4 KB; in
//! one piece, and in pieces of four bytes as a token stream brings them.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::sync::Arc;
use std::time::Instant;

use keyward_mask::{Decisions, Detectors, Finding, KnownValue, Profile, TextMasker};

const TEXT_BYTES: usize = 32 << 20;

#[derive(Default)]
struct Count {
    kept: usize,
    replaced: usize,
    found: usize,
}

impl Decisions for Count {
    fn keep(&mut self, bytes: usize) {
        self.kept += bytes;
    }

    fn replace(&mut self, bytes: usize, _: &str) {
        self.replaced += bytes;
    }

    fn found(&mut self, _: Finding) {
        self.found += 1;
    }
}

fn profile(known: usize, detectors: bool) -> Result<Arc<Profile>, Box<dyn std::error::Error>> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut values = Vec::new();
    for n in 0..known {
        let mut value = String::from("sk-proj-");
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value += &state.to_string();
        }
        values.push(KnownValue::new(&format!("value{n}"), value.as_bytes())?);
    }
    let mut builder = Profile::builder().known(values);
    if detectors {
        builder = builder.detectors(Detectors::builtin(), &["credentials"]);
    }
    Ok(Arc::new(builder.build()?))
}

fn run(name: &str, profile: &Arc<Profile>, text: &[u8], chunk: usize) {
    let mut best = f64::MAX;
    let mut count = Count::default();
    for _ in 0..3 {
        count = Count::default();
        let begin = Instant::now();
        let mut masker = TextMasker::new(Arc::clone(profile));
        for piece in text.chunks(chunk) {
            masker.push(piece, &mut count);
        }
        masker.boundary(&mut count);
        best = best.min(begin.elapsed().as_secs_f64());
    }
    let megabytes = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX)) / 1e6;
    let (found, kept, replaced) = (count.found, count.kept, count.replaced);
    println!("{name:42} {:8.0} MB/s   {found} findings, {kept} kept, {replaced} replaced", megabytes / best);
}

fn repeat(piece: &str) -> Vec<u8> {
    piece.bytes().cycle().take(TEXT_BYTES).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    Detectors::builtin();
    println!("detectors compiled in {:?}", begin.elapsed());
    let begin = Instant::now();
    let one = profile(1, true)?;
    println!("profile built in {:?}", begin.elapsed());
    let thousand = profile(1000, true)?;
    let known_only = profile(1000, false)?;
    let files: Vec<String> = std::env::args().skip(1).collect();
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    for file in &files {
        texts.push((file.clone(), std::fs::read(file)?));
    }
    if texts.is_empty() {
        let prose = "The gateway stands between those who call and what they call, and it keeps a record of what \
                     passed. A reader who comes to it for the first time should find the way without a guide, and \
                     leave knowing where to put the next thing that has to be built.\n";
        let json = r#"{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1719000000,"model":"m-large","choices":[{"index":0,"delta":{"role":"assistant","content":"some words of an answer"},"finish_reason":null}],"usage":{"prompt_tokens":12,"completion_tokens":34}}"#;
        let code = "    let total = items.iter().map(|item| item.price * item.count).sum::<u64>(); // the sum\n    if total > limit { return Err(Error::TooMuch { total, limit }); }\n";
        let secret = format!("{}ghp_{} ", prose.repeat(16), "k3Jx9QmZ2pLw8Rt5Vb7Nc1Yd4Hf6Sg0Ua3We");
        for (name, piece) in
            [("prose", prose), ("json", json), ("code", code), ("secret in every 4 KB", &secret)]
        {
            texts.push((name.to_owned(), repeat(piece)));
        }
    }
    for (name, text) in &texts {
        run(&format!("{name}, 1,000 known values alone"), &known_only, text, 1 << 16);
        run(&format!("{name}, detectors and 1 known value"), &one, text, 1 << 16);
        run(&format!("{name}, detectors and 1,000 known values"), &thousand, text, 1 << 16);
        run(&format!("{name}, same, 4 bytes at a time"), &thousand, text, 4);
    }
    Ok(())
}
