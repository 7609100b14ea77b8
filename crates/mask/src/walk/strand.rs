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
use keyward_wire::json::{Path, Scanner, StringRole, Token};
use memchr::memchr2;

use super::MaskError;
use super::logprobs::Logprobs;
use super::paths::{self, Rule};
use super::spelling::Spelling;
use super::splice::{Carrier, Runs, Splice, note};
use crate::profile::{FieldIndex, Profile};
use crate::text::{TextMasker, is_quiet, mask_field, mask_whole_field};

/// How many JSON documents may lie inside each other's strings and still be understood, the body itself not counted.
pub const NESTING_MAX: usize = 3;

/// The longest string that is looked at as a whole first: a longer one seldom holds nothing that may be something.
const QUIET_BYTES_MAX: usize = 256;

/// How many digits a number has that is looked at: from the shortest national ids to the longest cards.
const NUMBER_DIGITS_MIN: usize = 9;
/// See [`NUMBER_DIGITS_MIN`].
const NUMBER_DIGITS_MAX: usize = 19;

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

    fn engine(&mut self, level: usize, text: &[u8], out: &mut Vec<u8>) {
        let Self { masker, splice, depth, spelling, base, findings, .. } = self;
        masker.defer(
            text,
            &mut Carrier { splice, out, depth: *depth + level, spelling: *spelling, base: *base, findings },
        );
        self.behind = Some(level);
    }

    fn look(&mut self, out: &mut Vec<u8>) {
        let Some(level) = self.behind.take() else { return };
        let Self { masker, splice, depth, spelling, base, findings, .. } = self;
        masker.catch_up(&mut Carrier {
            splice,
            out,
            depth: *depth + level,
            spelling: *spelling,
            base: *base,
            findings,
        });
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

    fn scan(&mut self, level: usize, text: &[u8], out: &mut Vec<u8>) {
        let mut rest = text;
        loop {
            let Some(l) = self.levels.get_mut(level) else { return };
            let step = l.scanner.step(rest);
            let (part, after) = rest.split_at_checked(step.used).unwrap_or((rest, &[]));
            if let (Token::Begin(role), None) = (&step.token, &self.logprobs)
                && let Some(len) = self.quiet_string(level, *role, after)
            {
                self.pass(level, 1 + len, out);
                rest = after.get(len..).unwrap_or_default();
                continue;
            }
            // By reference: a copy of what was written a moment ago waits for the memory.
            match &step.token {
                Token::More => return,
                Token::TooDeep => {
                    self.too_deep = true;
                    return;
                }
                Token::Invalid => {
                    // What the scanner took in this step is pending with it; the rest follows.
                    let pending =
                        self.levels.get(level).map(|l| l.scanner.pending().to_vec()).unwrap_or_default();
                    if let Some(logprobs) = self.logprobs.take().filter(|_| level == 0) {
                        logprobs.close(out);
                    }
                    return self.give_up(level, &pending, after, out);
                }
                token => match self.logprobs.take().filter(|_| level == 0) {
                    None => self.token(level, token, part, out),
                    Some(mut logprobs) => {
                        if let Some(l) = self.levels.get(level) {
                            logprobs.watch(l.scanner.path(), *token, part);
                        }
                        self.token(level, token, part, logprobs.buffer());
                        let open = self.levels.first().is_some_and(|l| logprobs.is_open(l.scanner.path()));
                        if open { self.logprobs = Some(logprobs) } else { logprobs.close(out) }
                    }
                },
            }
            rest = after;
        }
    }

    /// The length with its end quote of a string that begins `text`, is whole in it, and has nothing to mask: it need not
    /// go through the engine. The scanner is behind it then.
    fn quiet_string(&mut self, level: usize, role: StringRole, text: &[u8]) -> Option<usize> {
        let Self { levels, profile, context, .. } = self;
        let l = levels.get_mut(level)?;
        let near = text.get(..QUIET_BYTES_MAX).unwrap_or(text);
        let len = memchr2(b'"', b'\\', near).filter(|at| near.get(*at) == Some(&b'"'))?;
        let content = near.get(..len)?;
        if role == StringRole::Value {
            let nested = matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
            if nested || !matches!(paths::rule(&profile.fields, l.scanner.path()), Rule::None) {
                return None;
            }
        }
        context.clear();
        if role == StringRole::Value && !paths::context(l.scanner.path()).is_empty() {
            context.extend_from_slice(paths::context(l.scanner.path()));
            context.extend_from_slice(b": ");
        }
        let before = context.len();
        context.extend_from_slice(content);
        if !is_quiet(profile, context, before) {
            return None;
        }
        l.scanner.pass_string(role, content);
        Some(len + 1)
    }

    fn token(&mut self, level: usize, token: &Token, part: &[u8], out: &mut Vec<u8>) {
        match token {
            Token::Space(len) => self.pass(level, *len, out),
            Token::Scalar(len) => self.scalar(level, *len, out),
            Token::Close(_) => self.pass(level, 1, out),
            Token::Open(_) => self.open(level, out),
            Token::Begin(role) => {
                self.pass(level, 1, out);
                self.begin_string(level, *role);
            }
            Token::Text(_) => self.forward(level, part, out),
            Token::Escape { meaning, raw } => {
                let raw = self.levels.get_mut(level).map_or(0, |l| l.queue.take_all(*raw));
                self.feed(level + 1, meaning.as_bytes(), raw, out);
            }
            Token::End(_) => {
                self.end_string(level, out);
                self.pass(level, 1, out);
            }
            Token::More | Token::Invalid | Token::TooDeep => {}
        }
    }

    /// A number or word. A field's becomes a string, and so does a number that is a finding (a card, say), so that the
    /// document stays valid; where what takes its place is a number too, it stays one.
    fn scalar(&mut self, level: usize, len: usize, out: &mut Vec<u8>) {
        let Some(l) = self.levels.get_mut(level) else { return };
        let (path, value) = (l.scanner.path(), l.scanner.scalar());
        let number = (NUMBER_DIGITS_MIN..=NUMBER_DIGITS_MAX).contains(&value.len())
            && value.iter().all(u8::is_ascii_digit);
        let masked = match paths::rule(&self.profile.fields, path) {
            Rule::Field(field) if value != b"null" => mask_whole_field(&self.profile, field, value),
            Rule::None if number => {
                let key = paths::context(path);
                let context = if key.is_empty() { Vec::new() } else { [key, b": "].concat() };
                let masked = mask_field(&self.profile, &context, value);
                if masked.findings.is_empty() {
                    return self.pass(level, len, out);
                }
                masked
            }
            _ => return self.pass(level, len, out),
        };
        let raw = l.queue.take_all(len);
        let start = self.offset + self.splice.gone;
        self.splice.skip(raw);
        for mut finding in masked.findings {
            (finding.start, finding.end) = (start + finding.start, start + finding.end);
            note(&mut self.findings, finding);
        }
        let text = String::from_utf8_lossy(&masked.bytes);
        let depth = self.depth + level;
        if number && text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0') {
            return self.spelling.write(&text, depth, out);
        }
        self.spelling.write("\"", depth, out);
        self.spelling.write(&text, depth + 1, out);
        self.spelling.write("\"", depth, out);
    }

    /// A container opens; log probabilities of a body are held as a whole.
    fn open(&mut self, level: usize, out: &mut Vec<u8>) {
        let path = self.levels.get(level).map(|l| l.scanner.path());
        let depth = path.map_or(0, Path::depth);
        let key = path.zip(depth.checked_sub(2)).and_then(|(path, outer)| path.key(outer));
        let repeats = key.is_some_and(paths::repeats_tokens);
        if level == 0 && self.start == Start::Json && self.logprobs.is_none() && repeats {
            let mut logprobs = Box::new(Logprobs::new(&self.profile, depth));
            self.pass(level, 1, logprobs.buffer());
            self.logprobs = Some(logprobs);
        } else {
            self.pass(level, 1, out);
        }
    }

    fn begin_string(&mut self, level: usize, role: StringRole) {
        if self.levels.len() <= level + 1 {
            self.levels.push(Level::default());
        }
        let Some(l) = self.levels.get_mut(level) else { return };
        l.inside = true;
        let mode = match (role, paths::rule(&self.profile.fields, l.scanner.path())) {
            (StringRole::Key, _) => Mode::Text,
            (StringRole::Value, Rule::Field(field)) => {
                self.masker.field(field);
                Mode::Text
            }
            (StringRole::Value, Rule::Exempt) => {
                self.masker.known_only();
                Mode::Text
            }
            (StringRole::Value, Rule::None) => Mode::Start,
        };
        self.set_mode(level + 1, mode);
        self.base = self.offset + self.splice.gone;
    }

    fn end_string(&mut self, level: usize, out: &mut Vec<u8>) {
        self.end_text(level + 1, out);
        if let Some(l) = self.levels.get_mut(level) {
            l.inside = false;
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
            let Self { masker, splice, depth, spelling, base, findings, .. } = self;
            masker.boundary(&mut Carrier {
                splice,
                out,
                depth: *depth + level,
                spelling: *spelling,
                base: *base,
                findings,
            });
            self.behind = None;
        }
        if let Some(l) = self.levels.get_mut(level) {
            l.scanner.reset();
            l.mode = Mode::Start;
        }
    }
}
