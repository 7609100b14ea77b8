//! How much of a streamed text is held back, and for how long: `holdback [--all] [FILE…]` streams each text in pieces
//! like a model's tokens through every detector of credentials, or every detector, and 1,000 known values.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::sync::Arc;

use keyward_mask::{Decisions, Detectors, Finding, KnownValue, Profile, TextMasker};

/// Streamed at most of each text, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// The longest piece, in bytes.
const TOKEN_BYTES_MAX: usize = 7;

#[derive(Default)]
struct Sent {
    bytes: usize,
    found: usize,
}

impl Decisions for Sent {
    fn keep(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    fn replace(&mut self, bytes: usize, _placeholder: &str) {
        self.bytes += bytes;
    }

    fn found(&mut self, _finding: Finding) {
        self.found += 1;
    }
}

/// Pieces as tokenizers make them: a word with the space before it, digits by threes, punctuation by itself; long words
/// in several.
fn tokens(text: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphabetic() => 0,
        c if c.is_ascii_digit() => 1,
        c if c.is_whitespace() => 2,
        _ => 3,
    };
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut chars = rest.char_indices();
        let Some((_, first)) = chars.next() else { break };
        let mut of = class(first);
        let mut end = first.len_utf8();
        for (at, c) in chars {
            let longest = if of == 1 { 3 } else { TOKEN_BYTES_MAX };
            let joins = class(c) == of || (at == 1 && first == ' ' && class(c) != 2);
            if !joins || at + c.len_utf8() > longest {
                break;
            }
            of = class(c);
            end = at + c.len_utf8();
        }
        let (token, after) = rest.split_at(end);
        out.push(token);
        rest = after;
    }
    out
}

struct Figures {
    held: Vec<usize>,
    delays: Vec<usize>,
    silent: usize,
    found: usize,
}

fn stream(profile: &Arc<Profile>, tokens: &[&str]) -> Figures {
    let mut masker = TextMasker::new(Arc::clone(profile));
    let mut sent = Sent::default();
    let mut figures = Figures { held: Vec::new(), delays: Vec::new(), silent: 0, found: 0 };
    let (mut pushed, mut waiting) = (0, std::collections::VecDeque::new());
    for (n, token) in tokens.iter().enumerate() {
        let before = sent.bytes;
        masker.push(token.as_bytes(), &mut sent);
        pushed += token.len();
        waiting.push_back((n, pushed));
        while let Some((from, _)) = waiting.pop_front_if(|(_, end)| *end <= sent.bytes) {
            figures.delays.push(n - from);
        }
        figures.held.push(pushed - sent.bytes);
        figures.silent += usize::from(sent.bytes == before);
    }
    masker.boundary(&mut sent);
    figures.found = sent.found;
    figures.held.sort_unstable();
    figures.delays.sort_unstable();
    figures
}

fn at(sorted: &[usize], thousandth: usize) -> usize {
    sorted.get((sorted.len() * thousandth / 1000).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn mean(list: &[usize]) -> f64 {
    list.iter().sum::<usize>() as f64 / list.len().max(1) as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut known = Vec::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    for n in 0..1000 {
        let value: Vec<u8> = (0..40)
            .filter_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                letters.get(usize::try_from(state % 64).unwrap_or(0)).copied()
            })
            .collect();
        known.push(KnownValue::new(&format!("value{n}"), &value)?);
    }
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let all = files.first().is_some_and(|argument| argument == "--all");
    files.drain(..usize::from(all));
    let groups: &[&str] = if all { &["credentials", "pii"] } else { &["credentials"] };
    let detectors = Profile::builder().known(known).detectors(Detectors::builtin(), groups);
    let profile = Arc::new(detectors.build()?);
    if files.is_empty() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        files = ["/docs/policy.md", "/ARCHITECTURE.md", "/crates/mask/src/text.rs"]
            .map(|f| format!("{root}{f}"))
            .to_vec();
    }
    println!(
        "{:28} {:>9} {:>6}   held characters        delay in tokens             nothing",
        "", "tokens", "bytes"
    );
    println!("{:28} {:>9} {:>6}   mean   p99   max      mean   p50   p99   max     sent", "", "", "each");
    for file in files {
        let bytes = std::fs::read(&file)?;
        let text = String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(&bytes)).into_owned();
        let tokens = tokens(&text);
        let figures = stream(&profile, &tokens);
        let name = file.rsplit('/').next().unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "figures for people")]
        let (each, silent) = (
            text.len() as f64 / tokens.len().max(1) as f64,
            figures.silent as f64 * 100.0 / tokens.len().max(1) as f64,
        );
        println!(
            "{name:28} {:>9} {each:>6.2} {:>6.2} {:>5} {:>5}    {:>6.2} {:>5} {:>5} {:>5} {silent:>7.1} %{}",
            tokens.len(),
            mean(&figures.held),
            at(&figures.held, 990),
            at(&figures.held, 1000),
            mean(&figures.delays),
            at(&figures.delays, 500),
            at(&figures.delays, 990),
            at(&figures.delays, 1000),
            if figures.found > 0 { format!("   ({} findings)", figures.found) } else { String::new() },
        );
    }
    Ok(())
}
