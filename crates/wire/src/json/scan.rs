//! The scanner.

use memchr::memchr2;

use super::DEPTH_MAX;
use super::escape::{Meaning, Piece, Unescape};
use super::path::Path;

/// The longest number or word (`true`, `null`, …) that is understood, in bytes.
pub const SCALAR_BYTES_MAX: usize = 256;

/// What a string is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringRole {
    /// The name of an object's member.
    Key,
    /// A value: a member's, an element, or a whole document.
    Value,
}

/// A container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A token has begun; its rest has not come yet. Its bytes are covered by a later token, or are [`Scanner::pending`].
    More,
    /// Whitespace, commas and colons; a byte order mark before a document.
    Space(usize),
    /// One byte that opens a container; the path is inside it already.
    Open(Container),
    /// One byte that closes a container; the path is outside it already.
    Close(Container),
    /// The quote that begins a string.
    Begin(StringRole),
    /// This many bytes of string content mean themselves; they are the first ones of the input.
    Text(usize),
    /// An escape inside a string.
    Escape {
        /// What it means.
        meaning: Meaning,
        /// How many bytes it takes, those of earlier input included.
        raw: usize,
    },
    /// The quote that ends a string.
    End(StringRole),
    /// A number or word of so many bytes, those of earlier input included; [`Scanner::scalar`] has its text.
    Scalar(usize),
    /// The input is not JSON from [`Scanner::pending`] on, which includes what this step took. So it stays until a
    /// reset.
    Invalid,
    /// Containers nest deeper than [`DEPTH_MAX`]. Nothing was used; so it stays until a reset.
    TooDeep,
}

/// The result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input were used.
    pub used: usize,
    /// What was found.
    pub token: Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Before the first document.
    #[default]
    Start,
    /// A value must come; an array may also end.
    Value,
    /// A key or the end of the object must come.
    Key,
    Colon,
    /// A comma or the end of the container must come; at the root another container or string.
    After,
    String(StringRole),
    Scalar,
    Invalid,
    TooDeep,
}

/// An incremental JSON scanner.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    state: State,
    path: Path,
    unescape: Unescape,
    scalar: Vec<u8>,
    /// The scalar was reported; its text is kept for the caller until the next step.
    reported: bool,
}

impl Scanner {
    /// A scanner at the start of a document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything; ready for the next document.
    pub fn reset(&mut self) {
        self.state = State::Start;
        self.path.clear();
        self.unescape.reset();
        self.scalar.clear();
        self.reported = false;
    }

    /// Where the scanner stands. While a key is read, the path's last key is what is known of it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the scanner is between documents, with at least one complete.
    pub fn is_complete(&self) -> bool {
        self.path.depth() == 0 && self.state == State::After
    }

    /// The bytes that were used and that no token has covered.
    pub fn pending(&self) -> &[u8] {
        match self.state {
            State::String(_) => self.unescape.pending(),
            _ if self.reported => &[],
            _ => &self.scalar,
        }
    }

    /// The text of the scalar that the last step reported.
    pub fn scalar(&self) -> &[u8] {
        &self.scalar
    }

    /// The end of the input: a number or word that was pending is reported. Anything else that is pending stays so.
    pub fn finish(&mut self) -> Token {
        if self.state == State::Scalar { self.end_scalar(0).token } else { Token::More }
    }

    /// Says what the next bytes are. An empty input gives [`Token::More`].
    pub fn step(&mut self, input: &[u8]) -> Step {
        if self.reported {
            self.reported = false;
            self.scalar.clear();
        }
        match self.state {
            State::String(role) => return self.string(role, input),
            State::Scalar => return self.scalar_part(input),
            State::Invalid => return Step { used: 0, token: Token::Invalid },
            State::TooDeep => return Step { used: 0, token: Token::TooDeep },
            _ => {}
        }
        let space = self.pass_space(input);
        if space > 0 {
            return Step { used: space, token: Token::Space(space) };
        }
        let Some(&byte) = input.first() else { return Step { used: 0, token: Token::More } };
        match (byte, self.state) {
            (b'"', State::Start | State::Value | State::After) if self.value_may_come() => {
                self.begin(StringRole::Value)
            }
            (b'"', State::Key) => {
                self.path.begin_key();
                self.begin(StringRole::Key)
            }
            (b'{', _) if self.value_may_come() => self.open(Container::Object),
            (b'[', _) if self.value_may_come() => self.open(Container::Array),
            (b'}', State::Key | State::After) if self.path.in_array() == Some(false) => {
                self.close(Container::Object)
            }
            (b']', State::Value | State::After) if self.path.in_array() == Some(true) => {
                self.close(Container::Array)
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I', State::Start | State::Value) => {
                self.state = State::Scalar;
                self.scalar_part(input)
            }
            _ => self.fail(State::Invalid),
        }
    }

    /// Passes over the string that [`Token::Begin`] began just now, and its end quote: `content` is all of it, without an
    /// escape.
    pub fn pass_string(&mut self, role: StringRole, content: &[u8]) {
        debug_assert!(self.state == State::String(role) && self.unescape.pending().is_empty());
        if role == StringRole::Key {
            self.path.extend_key(content);
        }
        self.state = if role == StringRole::Key { State::Colon } else { State::After };
    }

    /// Whether the next byte is content of a value's string, or ends it, and no escape has begun. What of the content is
    /// passed over then, escapes whole, changes nothing here.
    pub fn is_in_value(&self) -> bool {
        self.state == State::String(StringRole::Value) && self.unescape.pending().is_empty()
    }

    fn value_may_come(&self) -> bool {
        match self.state {
            State::Start | State::Value => true,
            State::After => self.path.depth() == 0,
            _ => false,
        }
    }

    fn fail(&mut self, state: State) -> Step {
        self.state = state;
        Step { used: 0, token: if state == State::TooDeep { Token::TooDeep } else { Token::Invalid } }
    }

    /// Passes over whitespace, commas and colons that the input begins with, as [`Self::step`] does; says how many bytes.
    /// Only between strings and scalars.
    pub fn pass_space(&mut self, input: &[u8]) -> usize {
        debug_assert!(!matches!(self.state, State::String(_) | State::Scalar));
        let mut len = 0;
        for byte in input {
            match (byte, self.state) {
                // The latter are a byte order mark.
                (b' ' | b'\t' | b'\n' | b'\r', _) | (0xef | 0xbb | 0xbf, State::Start) => {}
                (b':', State::Colon) => self.state = State::Value,
                (b',', State::After) => match self.path.in_array() {
                    None => break,
                    Some(true) => {
                        self.path.next_element();
                        self.state = State::Value;
                    }
                    Some(false) => self.state = State::Key,
                },
                _ => break,
            }
            len += 1;
        }
        len
    }

    fn begin(&mut self, role: StringRole) -> Step {
        self.state = State::String(role);
        Step { used: 1, token: Token::Begin(role) }
    }

    fn open(&mut self, container: Container) -> Step {
        if self.path.depth() >= DEPTH_MAX {
            return self.fail(State::TooDeep);
        }
        self.path.open(container == Container::Array);
        self.state = if container == Container::Array { State::Value } else { State::Key };
        Step { used: 1, token: Token::Open(container) }
    }

    fn close(&mut self, container: Container) -> Step {
        self.path.close();
        self.state = State::After;
        Step { used: 1, token: Token::Close(container) }
    }

    fn string(&mut self, role: StringRole, input: &[u8]) -> Step {
        if self.unescape.pending().is_empty() {
            match input.first() {
                None => return Step { used: 0, token: Token::More },
                Some(b'"') => {
                    self.pass_string(role, &[]);
                    return Step { used: 1, token: Token::End(role) };
                }
                Some(b'\\') => {}
                Some(_) => {
                    let len = memchr2(b'"', b'\\', input).unwrap_or(input.len());
                    if role == StringRole::Key {
                        self.path.extend_key(input.get(..len).unwrap_or_default());
                    }
                    return Step { used: len, token: Token::Text(len) };
                }
            }
        }
        let (used, piece) = self.unescape.step(input);
        let token = match piece {
            Piece::Escape { meaning, raw } => {
                if role == StringRole::Key {
                    self.path.extend_key(meaning.as_bytes());
                }
                Token::Escape { meaning, raw }
            }
            Piece::Literal(len) => Token::Text(len),
            Piece::More => Token::More,
        };
        Step { used, token }
    }

    fn scalar_part(&mut self, input: &[u8]) -> Step {
        let ends = |b: &u8| {
            matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'"' | b'[' | b']' | b'{' | b'}')
        };
        let end = input.iter().position(ends);
        let part = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        let room = SCALAR_BYTES_MAX - self.scalar.len().min(SCALAR_BYTES_MAX);
        if part.len() > room {
            return self.fail(State::Invalid);
        }
        self.scalar.extend_from_slice(part);
        if end.is_some() {
            return self.end_scalar(part.len());
        }
        Step { used: part.len(), token: Token::More }
    }

    fn end_scalar(&mut self, used: usize) -> Step {
        if !is_scalar(&self.scalar) {
            self.state = State::Invalid;
            return Step { used, token: Token::Invalid };
        }
        self.state = State::After;
        self.reported = true;
        Step { used, token: Token::Scalar(self.scalar.len()) }
    }
}

fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null" | b"NaN" | b"Infinity" | b"-Infinity") || is_number(text)
}

/// The JSON number grammar, leading zeros allowed.
fn is_number(text: &[u8]) -> bool {
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = fraction.get(len..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let len = digits(exponent);
        return whole > 0 && len > 0 && len == exponent.len();
    }
    whole > 0 && rest.is_empty()
}
