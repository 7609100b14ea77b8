//! A text that is a JSON document: what each token of it becomes.

use keyward_wire::json::{Path, StringRole, Token, short_escape};
use memchr::memchr2;

use super::super::logprobs::Logprobs;
use super::super::paths::{self, Rule};
use super::super::splice::note;
use super::{Level, Mode, Start, Strand};
use crate::text::{CONTEXT_BYTES_MAX, mask_field, mask_whole_field};

/// The longest string that is looked at as a whole first: a longer one seldom holds nothing that may be something.
const QUIET_BYTES_MAX: usize = 256;

/// How many digits a number has that is looked at: from the shortest national ids to the longest cards.
const NUMBER_DIGITS_MIN: usize = 9;
/// See [`NUMBER_DIGITS_MIN`].
const NUMBER_DIGITS_MAX: usize = 19;

impl Strand {
    /// The next part of the document at `level`.
    pub(super) fn scan(&mut self, level: usize, text: &[u8], out: &mut Vec<u8>) {
        let mut rest = text;
        // What stays as it is, and was not sent yet.
        let mut passed = 0;
        loop {
            let Some(l) = self.levels.get_mut(level) else { return };
            let step = l.scanner.step(rest);
            let (part, after) = rest.split_at_checked(step.used).unwrap_or((rest, &[]));
            rest = after;
            if self.logprobs.is_none() {
                let quiet = match &step.token {
                    Token::Space(len) => Some(*len),
                    Token::Close(_) => Some(1),
                    Token::Begin(role) => self.quiet_string(level, *role, after).map(|len| {
                        rest = after.get(len..).unwrap_or_default();
                        1 + len
                    }),
                    Token::Scalar(len) => self.is_quiet_scalar(level).then_some(*len),
                    _ => None,
                };
                if let Some(len) = quiet {
                    passed += len;
                    continue;
                }
            }
            if passed > 0 {
                self.pass(level, passed, out);
                passed = 0;
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
                    return self.give_up(level, &pending, rest, out);
                }
                token => match self.logprobs.take().filter(|_| level == 0) {
                    None => {
                        self.token(level, token, part, out);
                        if matches!(token, Token::Text(_) | Token::Escape { .. }) {
                            let used = self.plain_content(level, rest, out);
                            rest = rest.get(used..).unwrap_or_default();
                        }
                    }
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
        }
    }

    /// The length with its end quote, and what separates it from what follows, of a string that begins `text`, is whole in
    /// it, and has nothing to mask: it need not go through the engine. The scanner is behind it then.
    fn quiet_string(&mut self, level: usize, role: StringRole, text: &[u8]) -> Option<usize> {
        let Self { levels, profile, masker, context, familiar, .. } = self;
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
        let key = if role == StringRole::Value { paths::context(l.scanner.path()) } else { &[] };
        let before = in_context(context, key, content);
        if !familiar.knows(context, before) {
            if !masker.is_quiet(context, before) {
                return None;
            }
            familiar.learn(context, before);
        }
        l.scanner.pass_string(role, content);
        Some(len + 1 + l.scanner.pass_space(text.get(len + 1..).unwrap_or_default()))
    }

    /// Hands the engine what of a value's plain text follows, up to its end or an escape that is more than two bytes: most
    /// texts have a line break every few words. Says how many bytes that is.
    fn plain_content(&mut self, level: usize, text: &[u8], out: &mut Vec<u8>) -> usize {
        let plain = self.mode(level + 1) == Mode::Text;
        let Some(l) = self.levels.get_mut(level).filter(|l| plain && l.scanner.is_in_value()) else {
            return 0;
        };
        let text = text.get(..l.queue.literal()).unwrap_or(text);
        let mut meaning = std::mem::take(&mut self.context);
        meaning.clear();
        let mut rest = text;
        while let Some(at) = memchr2(b'"', b'\\', rest) {
            let (part, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            meaning.extend_from_slice(part);
            self.splice.text.push(part.len(), part.len());
            rest = behind;
            let [b'\\', escaped, behind @ ..] = rest else { break };
            let Some(byte) = short_escape(*escaped) else { break };
            meaning.push(byte);
            self.splice.text.push(1, 2);
            rest = behind;
        }
        let used = text.len() - rest.len();
        l.queue.take_all(used);
        self.engine(level + 1, &meaning, out);
        self.context = meaning;
        used
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

    /// Whether a number or word stays as it is.
    fn is_quiet_scalar(&mut self, level: usize) -> bool {
        let Self { levels, profile, masker, context, .. } = self;
        let Some(l) = levels.get(level) else { return true };
        let (path, value) = (l.scanner.path(), l.scanner.scalar());
        match paths::rule(&profile.fields, path) {
            Rule::Field(_) => value == b"null",
            Rule::Exempt => true,
            Rule::None => {
                !is_long_number(value) || {
                    let before = in_context(context, paths::context(path), value);
                    masker.is_quiet(context, before)
                }
            }
        }
    }

    /// A number or word. A field's becomes a string, and so does a number that is a finding (a card, say), so that the
    /// document stays valid; where what takes its place is a number too, it stays one.
    pub(super) fn scalar(&mut self, level: usize, len: usize, out: &mut Vec<u8>) {
        if self.is_quiet_scalar(level) {
            return self.pass(level, len, out);
        }
        let Some(l) = self.levels.get_mut(level) else { return };
        let (path, value) = (l.scanner.path(), l.scanner.scalar());
        let number = is_long_number(value);
        let masked = if let Rule::Field(field) = paths::rule(&self.profile.fields, path) {
            mask_whole_field(&self.profile, field, value)
        } else {
            let before = in_context(&mut self.context, paths::context(path), value);
            let (context, value) = self.context.split_at_checked(before).unwrap_or_default();
            let masked = mask_field(&self.profile, context, value);
            if masked.findings.is_empty() {
                return self.pass(level, len, out);
            }
            masked
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

    /// The string that the document at `level` was in has ended, or the document has.
    pub(super) fn end_string(&mut self, level: usize, out: &mut Vec<u8>) {
        self.end_text(level + 1, out);
        if let Some(l) = self.levels.get_mut(level) {
            l.inside = false;
        }
    }
}

/// Whether it may be an identity number that is written as a number.
fn is_long_number(value: &[u8]) -> bool {
    (NUMBER_DIGITS_MIN..=NUMBER_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// Puts a text behind the key that it belongs to, if any, as the engine sees it; says where it begins.
fn in_context(buffer: &mut Vec<u8>, key: &[u8], text: &[u8]) -> usize {
    buffer.clear();
    if !key.is_empty() {
        let behind = key.len().saturating_sub(CONTEXT_BYTES_MAX - 2);
        buffer.extend_from_slice(key.get(behind..).unwrap_or_default());
        buffer.extend_from_slice(b": ");
    }
    let before = buffer.len();
    buffer.extend_from_slice(text);
    before
}
