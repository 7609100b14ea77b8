//! Log probabilities repeat a text token by token, where no token shows what the text does.
//!
//! Rule: they pass only when the tokens joined hold nothing to mask. In a JSON body a `logprobs` value is held until it
//! is complete, at most [`LOGPROBS_BYTES_MAX`] bytes of it; in a stream the frame is complete anyway, and there the rule
//! also asks that the text it belongs to has nothing held and nothing masked in this frame. Otherwise the value becomes
//! `null`, or `[]` where it was an array (*fails closed*).

use std::sync::Arc;

use keyward_core::Finding;
use keyward_wire::json::{Path, Scanner, StringRole, Token};

use crate::profile::Profile;
use crate::text::{Decisions, TextMasker};

/// The longest `logprobs` value of a body that passes, in bytes.
pub const LOGPROBS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A `logprobs` value that is being read.
pub(super) struct Logprobs {
    /// The path's depth inside the value.
    depth: usize,
    buffer: Vec<u8>,
    joined: Joined,
    overflow: bool,
}

/// The tokens joined.
struct Joined {
    masker: TextMasker,
    dirty: Dirty,
    in_token: bool,
}

struct Dirty(bool);

impl Decisions for Dirty {
    fn keep(&mut self, _bytes: usize) {}

    fn replace(&mut self, _bytes: usize, _placeholder: &str) {
        self.0 = true;
    }

    fn found(&mut self, _finding: Finding) {
        self.0 = true;
    }
}

impl Joined {
    fn new(profile: &Arc<Profile>) -> Self {
        Self { masker: TextMasker::new(Arc::clone(profile)), dirty: Dirty(false), in_token: false }
    }

    fn watch(&mut self, path: &Path, token: Token, part: &[u8]) {
        match token {
            Token::Begin(role) => self.in_token = role == StringRole::Value && is_token(path),
            Token::Text(_) if self.in_token => self.masker.push(part, &mut self.dirty),
            Token::Escape { meaning, .. } if self.in_token => {
                self.masker.push(meaning.as_bytes(), &mut self.dirty);
            }
            _ => {}
        }
    }

    fn ends_clean(mut self) -> bool {
        self.masker.boundary(&mut self.dirty);
        !self.dirty.0
    }
}

impl Logprobs {
    /// `depth`: the path's depth inside the value.
    pub(super) fn new(profile: &Arc<Profile>, depth: usize) -> Self {
        Self { depth, buffer: Vec::new(), joined: Joined::new(profile), overflow: false }
    }

    /// Where the value's masked bytes go meanwhile.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.len() > LOGPROBS_BYTES_MAX {
            self.overflow = true;
        }
        if self.overflow {
            self.buffer.truncate(1);
        }
        &mut self.buffer
    }

    pub(super) fn watch(&mut self, path: &Path, token: Token, part: &[u8]) {
        self.joined.watch(path, token, part);
    }

    pub(super) fn is_open(&self, path: &Path) -> bool {
        path.depth() >= self.depth
    }

    /// Sends the value, or what stands for it.
    pub(super) fn close(self, out: &mut Vec<u8>) {
        let overflow = self.overflow || self.buffer.len() > LOGPROBS_BYTES_MAX;
        if self.joined.ends_clean() && !overflow {
            out.extend_from_slice(&self.buffer);
        } else {
            out.extend_from_slice(blank(&self.buffer));
        }
    }
}

/// What stands for a value that may not pass.
pub(super) fn blank(value: &[u8]) -> &'static [u8] {
    if value.first() == Some(&b'[') { b"[]" } else { b"null" }
}

/// Whether a string value is one of the tokens that make up the text: `token` or an element of `tokens`, but none of the
/// alternatives under `top_logprobs`, `topCandidates` or `probs`. Of TGI's `top_tokens` each list's first is.
fn is_token(path: &Path) -> bool {
    let has = |key: &[u8]| (0..path.depth()).any(|i| path.key(i) == Some(key));
    match path.last_key() {
        Some(b"token" | b"tokens") => !has(b"top_logprobs") && !has(b"topCandidates") && !has(b"probs"),
        Some(b"text") => {
            has(b"top_tokens") && path.depth().checked_sub(2).and_then(|level| path.index(level)) == Some(0)
        }
        Some(b"content") => has(b"completion_probabilities") && !has(b"probs"),
        _ => false,
    }
}

/// Whether the tokens of a complete `logprobs` value hold nothing to mask when they are joined.
pub(super) fn is_clean(profile: &Arc<Profile>, value: &[u8]) -> bool {
    let mut joined = Joined::new(profile);
    let mut scanner = Scanner::new();
    let mut rest = value;
    loop {
        let step = scanner.step(rest);
        let (part, after) = rest.split_at_checked(step.used).unwrap_or((rest, &[]));
        match step.token {
            Token::More => return joined.ends_clean(),
            Token::Invalid | Token::TooDeep => return false,
            token => joined.watch(scanner.path(), token, part),
        }
        rest = after;
    }
}
