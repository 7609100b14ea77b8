//! One logical text at a time: raw bytes in, masked raw bytes out.
//!
//! A strand knows what its raw bytes mean (they may be escaped for JSON), hands the meaning to the engine, and carries
//! the engine's decisions out on the raw bytes. A text that is itself a JSON document (it begins with `{` or `[`) is
//! taken apart in the same way, up to [`NESTING_MAX`] times: each string inside is a text of its own, matched by what it
//! means at its level, with its key as context; structure is copied. Where such a text turns out not to be JSON, the rest
//! of it is one plain text.
//!
//! Exceptions: a match that would span several strings of a nested document is not one; beyond [`NESTING_MAX`] a nested
//! document is matched as text, with its escapes as they stand.

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::json::{Scanner, Token};

use super::MaskError;
use super::logprobs::Logprobs;
use super::paths;
use super::spelling::Spelling;
use super::splice::{Carrier, Runs, Splice};
use crate::profile::{FieldIndex, Profile};
use crate::text::TextMasker;
use familiar::Familiar;

mod document;
mod familiar;

/// How many JSON documents may lie inside each other's strings and still be understood, the body itself not counted.
pub const NESTING_MAX: usize = 3;

/// How a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Text, or a JSON document when it begins like one.
    Either,
    /// Text, whatever it looks like.
    Text,
    /// A JSON document.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    /// Nothing but whitespace has come.
    #[default]
    Start,
    Text,
    Json,
}

#[derive(Default)]
struct Level {
    mode: Mode,
    scanner: Scanner,
    /// Maps what the scanner has not reported to raw bytes.
    queue: Runs,
    /// The scanner is inside a string.
    inside: bool,
}

/// See the module's page.
pub(super) struct Strand {
    masker: TextMasker,
    profile: Arc<Profile>,
    /// Inside how many JSON strings the raw bytes lie.
    depth: usize,
    /// How these strings are spelled where they stand.
    spelling: Spelling,
    start: Start,
    levels: Vec<Level>,
    splice: Splice,
    /// The key that the strand's text belongs to.
    key: Vec<u8>,
    /// The offset of the strand's text, for findings.
    offset: u64,
    /// What to add to the engine's offsets.
    base: u64,
    context: Vec<u8>,
    familiar: Familiar,
    /// The level of the text that the engine has not looked at yet.
    behind: Option<usize>,
    too_deep: bool,
    logprobs: Option<Box<Logprobs>>,
    pub(super) findings: Vec<Finding>,
}

impl Strand {
    pub(super) fn new(profile: &Arc<Profile>, depth: usize, start: Start) -> Self {
        let mut strand = Self {
            masker: TextMasker::new(Arc::clone(profile)),
            profile: Arc::clone(profile),
            depth,
            spelling: Spelling::Plain,
            start,
            levels: vec![Level::default()],
            splice: Splice::default(),
            key: Vec::new(),
            offset: 0,
            base: 0,
            context: Vec::new(),
            familiar: Familiar::default(),
            behind: None,
            too_deep: false,
            logprobs: None,
            findings: Vec::new(),
        };
        strand.begin(0, &[]);
        strand
    }

    /// Whether no raw byte is held.
    pub(super) fn is_idle(&self) -> bool {
        self.splice.is_empty()
    }

    /// What takes the place of raw bytes is spelled so from here on. Only between two texts.
    pub(super) fn spell(&mut self, spelling: Spelling) {
        self.spelling = spelling;
    }

    /// Whether nesting went beyond what is understood; the strand is unusable then.
    pub(super) fn is_too_deep(&self) -> bool {
        self.too_deep
    }

    /// Fails when it [`Self::is_too_deep`].
    pub(super) fn sound(&self) -> Result<(), MaskError> {
        if self.too_deep { Err(MaskError::TooDeep) } else { Ok(()) }
    }

    /// Begins a text at `offset`, with the key it belongs to as context. The text before must have ended.
    pub(super) fn begin(&mut self, offset: u64, key: &[u8]) {
        self.offset = offset;
        self.key.clear();
        self.key.extend_from_slice(key);
        let mode = match self.start {
            Start::Either => Mode::Start,
            Start::Text => Mode::Text,
            Start::Json => Mode::Json,
        };
        self.set_mode(0, mode);
        if mode == Mode::Text {
            self.prime(0);
        }
    }

    /// Begins a signature or binary content: text in which only known values are looked for.
    pub(super) fn begin_exempt(&mut self, offset: u64) {
        self.begin(offset, &[]);
        self.set_mode(0, Mode::Text);
        self.base = offset;
        self.masker.known_only();
    }

    /// Begins a field's value, of which nothing is kept.
    pub(super) fn begin_field(&mut self, offset: u64, field: FieldIndex) {
        self.begin(offset, &[]);
        self.set_mode(0, Mode::Text);
        self.base = offset;
        self.masker.field(field);
    }

    /// The next raw bytes mean `meaning`: themselves, or they are one escape.
    pub(super) fn piece(&mut self, meaning: &[u8], raw: &[u8], out: &mut Vec<u8>) {
        self.part(meaning, raw, out);
        self.catch_up(out);
    }

    /// As [`Self::piece`], for one of several: [`Self::catch_up`] or [`Self::end`] must follow before the caller returns.
    pub(super) fn part(&mut self, meaning: &[u8], raw: &[u8], out: &mut Vec<u8>) {
        self.splice.read(raw);
        self.feed(0, meaning, raw.len(), out);
    }

    /// Decides what can be decided of the pieces so far.
    pub(super) fn catch_up(&mut self, out: &mut Vec<u8>) {
        match self.logprobs.take() {
            None => self.look(out),
            Some(mut logprobs) => {
                self.look(logprobs.buffer());
                self.logprobs = Some(logprobs);
            }
        }
    }

    /// Ends the text: everything is decided and nothing held.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        match self.logprobs.take() {
            None => self.end_text(0, out),
            Some(mut logprobs) => {
                self.end_text(0, logprobs.buffer());
                logprobs.close(out);
            }
        }
        self.splice.clear();
    }

    fn mode(&self, level: usize) -> Mode {
        self.levels.get(level).map_or(Mode::Text, |l| l.mode)
    }

    fn set_mode(&mut self, level: usize, mode: Mode) {
        if let Some(l) = self.levels.get_mut(level) {
            l.mode = mode;
        }
    }

    /// Before the first byte of a plain text: its key, as context.
    fn prime(&mut self, level: usize) {
        let Self { masker, splice, levels, key: own, context, .. } = self;
        self.base = self.offset + splice.gone;
        let around = |level: usize| levels.get(level).map_or(&[][..], |l| paths::context(l.scanner.path()));
        let key = match (around(level), level.checked_sub(1)) {
            ([], Some(outer)) => around(outer),
            ([], None) => own.as_slice(),
            (key, _) => key,
        };
        if !key.is_empty() {
            context.clear();
            context.extend_from_slice(key);
            context.extend_from_slice(b": ");
            masker.context(context);
        }
    }

    /// Has the engine do something about the text at a level.
    fn run(&mut self, level: usize, out: &mut Vec<u8>, act: impl FnOnce(&mut TextMasker, &mut Carrier<'_>)) {
        let Self { masker, splice, depth, spelling, base, findings, .. } = self;
        let (depth, spelling, base) = (*depth + level, *spelling, *base);
        act(masker, &mut Carrier { splice, out, depth, spelling, base, findings });
    }

    fn engine(&mut self, level: usize, text: &[u8], out: &mut Vec<u8>) {
        self.run(level, out, |masker, carrier| masker.defer(text, carrier));
        self.behind = Some(level);
    }

    fn look(&mut self, out: &mut Vec<u8>) {
        if let Some(level) = self.behind.take() {
            self.run(level, out, |masker, carrier| masker.catch_up(carrier));
        }
    }

    /// Takes text at a level; `raw` is how many raw bytes it stands for.
    fn feed(&mut self, level: usize, mut text: &[u8], mut raw: usize, out: &mut Vec<u8>) {
        if self.mode(level) == Mode::Start {
            let space = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let sent = if space == text.len() { raw } else { space };
            self.splice.send(sent, out);
            text = text.get(space..).unwrap_or_default();
            raw -= sent;
            let Some(first) = text.first() else { return };
            let json =
                matches!(first, b'{' | b'[') && level < NESTING_MAX + usize::from(self.start == Start::Json);
            self.set_mode(level, if json { Mode::Json } else { Mode::Text });
            if !json {
                self.prime(level);
            }
        }
        match self.mode(level) {
            Mode::Start | Mode::Text => {
                self.splice.text.push(text.len(), raw);
                self.engine(level, text, out);
            }
            Mode::Json => {
                if let Some(l) = self.levels.get_mut(level) {
                    l.queue.push(text.len(), raw);
                }
                self.scan(level, text, out);
            }
        }
    }

    /// Sends `len` bytes of what the scanner at `level` reported, as they are.
    fn pass(&mut self, level: usize, len: usize, out: &mut Vec<u8>) {
        if let Some(l) = self.levels.get_mut(level) {
            let raw = l.queue.take_all(len);
            self.splice.send(raw, out);
        }
    }

    /// Hands text of a string at `level` to the level inside.
    fn forward(&mut self, level: usize, mut text: &[u8], out: &mut Vec<u8>) {
        while let Some((len, raw)) = self.levels.get_mut(level).and_then(|l| l.queue.take(text.len())) {
            let (part, rest) = text.split_at_checked(len).unwrap_or((text, &[]));
            self.feed(level + 1, part, raw, out);
            text = rest;
        }
    }

    /// What was scanned as JSON is none: its rest, from `pending` on, is plain text.
    fn give_up(&mut self, level: usize, pending: &[u8], rest: &[u8], out: &mut Vec<u8>) {
        self.look(out);
        self.set_mode(level, Mode::Text);
        self.prime(level);
        if let Some(l) = self.levels.get_mut(level) {
            l.queue.drain_into(&mut self.splice.text);
        }
        self.engine(level, pending, out);
        self.engine(level, rest, out);
    }

    fn end_text(&mut self, level: usize, out: &mut Vec<u8>) {
        if self.mode(level) == Mode::Json
            && let Some(l) = self.levels.get_mut(level)
        {
            let token = l.scanner.finish();
            let pending = l.scanner.pending().to_vec();
            match token {
                Token::Scalar(len) => self.scalar(level, len, out),
                Token::Invalid => self.give_up(level, &pending, &[], out),
                _ if l.inside => {
                    self.forward(level, &pending, out);
                    self.end_string(level, out);
                }
                _ => {}
            }
        }
        if self.mode(level) == Mode::Text {
            self.run(level, out, |masker, carrier| masker.boundary(carrier));
            self.behind = None;
        }
        if let Some(l) = self.levels.get_mut(level) {
            l.scanner.reset();
            l.mode = Mode::Start;
        }
    }
}
