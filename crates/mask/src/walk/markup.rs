//! XML and HTML: each text, attribute value, comment and declaration is a text of its own, with the name it stands beside
//! as context. Text and values are matched by what they mean (`&#115;k-` is `sk-`), scripts, styles, comments and
//! character data as they stand. Names of more than [`SHORT_BYTES_MAX`] bytes are texts too; what else a tag is made of
//! is copied.
//!
//! Exceptions: a secret that tags take apart is not put together, nor is one that entities of the document's own are
//! expanded to.

use std::sync::Arc;

use memchr::memchr;

use super::MaskError;
use super::spelling::{Spelling, Unspell};
use super::strand::{Start, Strand};
use crate::profile::Profile;

/// The longest name that is taken as context, in bytes; of a longer text its end.
const NAME_BYTES_MAX: usize = 64;
/// The longest name of an element or attribute that is taken for no secret, in bytes.
const SHORT_BYTES_MAX: usize = 12;

/// Which markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// HTML: scripts and styles hold no tags and no character references.
    Html,
    /// XML.
    Xml,
}

/// Elements of HTML whose content is neither tags nor character references.
const RAW_ELEMENTS: [&[u8]; 2] = [b"script", b"style"];
/// Elements that say nothing about their content: what stands before it does.
const GENERIC_ELEMENTS: [&[u8]; 24] = [
    b"a", b"b", b"code", b"dd", b"div", b"em", b"i", b"input", b"kbd", b"li", b"p", b"pre", b"samp", b"span",
    b"string", b"strong", b"td", b"th", b"tr", b"tt", b"u", b"v", b"val", b"value",
];
/// Attributes that name what another attribute or the content is.
const NAMING_ATTRIBUTES: [&[u8]; 6] = [b"name", b"key", b"id", b"property", b"itemprop", b"for"];
/// Attributes that say nothing about their value.
const GENERIC_ATTRIBUTES: [&[u8]; 4] = [b"value", b"content", b"data", b"val"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Character data.
    Text,
    /// A `<` that may begin a tag; it is held.
    Less,
    /// In the name of a tag.
    Tag { closing: bool },
    /// In a tag, between attributes.
    Between,
    /// In an attribute's name.
    Attribute,
    /// Behind an attribute's name; after `=`.
    Equals { seen: bool },
    /// In a value, until this byte; 0 for one without quotes.
    Value(u8),
    /// Behind `<!`.
    Bang,
    /// Text until this end.
    Until(&'static [u8]),
}

pub(super) struct Walker {
    pub(super) strand: Strand,
    unspell: Unspell,
    state: State,
    kind: Markup,
    /// Bytes that may begin a tag, what ends the text (`-->`), or a long name.
    held: Vec<u8>,
    /// The name is a text.
    long: bool,
    element: Vec<u8>,
    attribute: Vec<u8>,
    /// What a naming attribute of this tag says.
    named: Vec<u8>,
    /// The end of the texts before, each on its line.
    last: Vec<u8>,
    /// The end of the present value.
    value: Vec<u8>,
    closing: bool,
    position: u64,
}

impl Walker {
    pub(super) fn new(profile: &Arc<Profile>, kind: Markup) -> Self {
        let mut strand = Strand::new(profile, 0, Start::Either);
        strand.spell(Spelling::Markup);
        Self {
            strand,
            unspell: Unspell::new(Spelling::Markup),
            state: State::Text,
            kind,
            held: Vec::new(),
            long: false,
            element: Vec::new(),
            attribute: Vec::new(),
            named: Vec::new(),
            last: Vec::new(),
            value: Vec::new(),
            closing: false,
            position: 0,
        }
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let mut rest = input;
        while !rest.is_empty() {
            let used = self.step(rest, out);
            self.position += used as u64;
            rest = rest.get(used..).unwrap_or_default();
            self.strand.sound()?;
        }
        self.strand.catch_up(out);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let held = std::mem::take(&mut self.held);
        self.text(&held, out);
        self.end_text(out);
        self.strand.sound()
    }

    /// Takes at least one byte.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(&first) = rest.first() else { return 0 };
        match self.state {
            State::Text => match memchr(b'<', rest) {
                Some(0) => {
                    self.held.push(first);
                    self.state = State::Less;
                    1
                }
                end => self.text_until(rest, end, out),
            },
            State::Less => self.less(first, out),
            State::Tag { closing } => {
                if first == b'>' || first == b'/' || first.is_ascii_whitespace() {
                    self.end_name(out);
                    self.closing = closing;
                    self.state = State::Between;
                    return 0;
                }
                push_name(&mut self.element, first);
                self.name(first, out)
            }
            State::Between => self.between(first, out),
            State::Attribute => {
                if matches!(first, b'=' | b'>' | b'/') || first.is_ascii_whitespace() {
                    self.end_name(out);
                    self.state = State::Equals { seen: false };
                    return 0;
                }
                push_name(&mut self.attribute, first);
                self.name(first, out)
            }
            State::Equals { seen } => self.equals(first, seen, out),
            State::Value(0) => {
                let end = rest.iter().position(|b| *b == b'>' || b.is_ascii_whitespace());
                self.value_until(rest, end, out)
            }
            State::Value(quote) => match memchr(quote, rest) {
                Some(0) => {
                    self.end_value(out);
                    copy(first, out)
                }
                end => self.text_until(rest, end, out),
            },
            State::Bang => self.bang(first, out),
            State::Until(end) => self.until(first, rest, end, out),
        }
    }

    fn value_until(&mut self, rest: &[u8], end: Option<usize>, out: &mut Vec<u8>) -> usize {
        if end == Some(0) {
            self.end_value(out);
            return 0;
        }
        self.text_until(rest, end, out)
    }

    fn text_until(&mut self, rest: &[u8], end: Option<usize>, out: &mut Vec<u8>) -> usize {
        let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.text(part, out);
        part.len()
    }

    fn text(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let Self { strand, unspell, last, value, state, .. } = self;
        unspell.feed(part, &mut |meaning, raw| {
            match state {
                State::Value(_) => remember(value, meaning),
                State::Tag { .. } | State::Attribute => {}
                _ => remember(last, meaning),
            }
            strand.part(meaning, raw, out);
        });
    }

    fn end_text(&mut self, out: &mut Vec<u8>) {
        let Self { strand, unspell, .. } = self;
        unspell.finish(&mut |meaning, raw| strand.part(meaning, raw, out));
        self.strand.end(out);
    }

    /// A byte of a name: held while the name is short.
    fn name(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        if self.long {
            self.text(&[byte], out);
            return 1;
        }
        self.held.push(byte);
        if self.held.len() > SHORT_BYTES_MAX {
            self.long = true;
            let held = std::mem::take(&mut self.held);
            self.unspell.spelling = Spelling::Plain;
            self.strand.spell(Spelling::Plain);
            self.strand.begin((self.position + 1).saturating_sub(held.len() as u64), &[]);
            self.text(&held, out);
        }
        1
    }

    fn end_name(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.long) {
            self.end_text(out);
        }
        out.append(&mut self.held);
    }

    /// Begins a text at `skip` bytes from here, spelled so.
    fn begin(&mut self, skip: u64, key: &[u8], spelling: Spelling) {
        self.unspell.spelling = spelling;
        self.strand.spell(spelling);
        self.strand.begin(self.position + skip, key);
    }

    fn less(&mut self, first: u8, out: &mut Vec<u8>) -> usize {
        let tag = first.is_ascii_alphabetic() || matches!(first, b'/' | b'!' | b'?' | b'_' | b':' | 0x80..);
        let held = std::mem::take(&mut self.held);
        if !tag {
            self.state = State::Text;
            self.text(&held, out);
            return 0;
        }
        self.end_text(out);
        out.extend_from_slice(&held);
        self.element.clear();
        self.named.clear();
        self.state = match first {
            b'/' => State::Tag { closing: true },
            b'!' => State::Bang,
            b'?' => State::Until(b"?>"),
            _ => State::Tag { closing: false },
        };
        match first {
            b'/' | b'!' => copy(first, out),
            b'?' => {
                self.begin(0, &[], Spelling::Plain);
                0
            }
            _ => 0,
        }
    }

    fn between(&mut self, first: u8, out: &mut Vec<u8>) -> usize {
        match first {
            b'>' => {
                copy(first, out);
                self.open(1);
                1
            }
            b'<' => {
                // A tag that was never closed: what follows is one of its own.
                self.open(0);
                0
            }
            b'/' => copy(first, out),
            space if space.is_ascii_whitespace() => copy(first, out),
            _ => {
                self.attribute.clear();
                push_name(&mut self.attribute, first);
                self.state = State::Attribute;
                self.name(first, out)
            }
        }
    }

    /// Behind a tag: text, with what names it as context.
    fn open(&mut self, skip: u64) {
        let raw = RAW_ELEMENTS.iter().find(|raw| **raw == self.element.as_slice());
        if let (Markup::Html, false, Some(raw)) = (self.kind, self.closing, raw) {
            self.state = State::Until(if *raw == b"script" { b"</script" } else { b"</style" });
            return self.begin(skip, &[], Spelling::Plain);
        }
        let generic = self.closing || GENERIC_ELEMENTS.contains(&self.element.as_slice());
        let key = match (self.named.is_empty() || self.closing, generic) {
            (false, _) => self.named.clone(),
            (true, true) => key_of(&self.last),
            (true, false) => self.element.clone(),
        };
        remember(&mut self.last, b"\n");
        self.state = State::Text;
        self.begin(skip, &key, Spelling::Markup);
    }

    fn equals(&mut self, first: u8, seen: bool, out: &mut Vec<u8>) -> usize {
        match (first, seen) {
            (b'=', false) => {
                self.state = State::Equals { seen: true };
                copy(first, out)
            }
            (b'"' | b'\'', true) => {
                self.begin_value(1);
                self.state = State::Value(first);
                copy(first, out)
            }
            (space, _) if space.is_ascii_whitespace() => copy(first, out),
            (b'>', _) | (_, false) => {
                self.state = State::Between;
                0
            }
            (_, true) => {
                self.begin_value(0);
                self.state = State::Value(0);
                0
            }
        }
    }

    fn begin_value(&mut self, skip: u64) {
        let generic = GENERIC_ATTRIBUTES.contains(&self.attribute.as_slice());
        let key = if generic && !self.named.is_empty() { self.named.clone() } else { self.attribute.clone() };
        self.value.clear();
        self.begin(skip, &key, Spelling::Markup);
    }

    fn end_value(&mut self, out: &mut Vec<u8>) {
        self.end_text(out);
        if NAMING_ATTRIBUTES.contains(&self.attribute.as_slice()) {
            self.named = key_of(&self.value);
        }
        self.state = State::Between;
    }

    /// Behind `<!`, whose bytes until it is clear what it is are in `element`.
    fn bang(&mut self, first: u8, out: &mut Vec<u8>) -> usize {
        const COMMENT: &[u8] = b"--";
        const CHARACTERS: &[u8] = b"[CDATA[";
        self.element.push(first);
        let begun = |whole: &[u8]| whole.starts_with(&self.element);
        if !begun(COMMENT) && !begun(CHARACTERS) {
            self.state = State::Until(b">");
            // The bytes before were copied: they are a part of one of the two marks.
            self.begin(0, &[], Spelling::Plain);
            return 0;
        }
        let end: Option<&'static [u8]> = match self.element.as_slice() {
            COMMENT => Some(b"-->"),
            CHARACTERS => Some(b"]]>"),
            _ => None,
        };
        if let Some(end) = end {
            self.state = State::Until(end);
            self.begin(1, &[], Spelling::Plain);
        }
        copy(first, out)
    }

    /// Text as it stands, until `end`: what may be its beginning is held.
    fn until(&mut self, first: u8, rest: &[u8], end: &'static [u8], out: &mut Vec<u8>) -> usize {
        let lead = end.first().copied().unwrap_or_default();
        if self.held.is_empty() && first != lead {
            return self.text_until(rest, memchr(lead, rest), out);
        }
        self.held.push(first);
        while !starts_alike(end, &self.held) {
            let byte = self.held.remove(0);
            self.text(&[byte], out);
        }
        if self.held.len() == end.len() {
            self.end_text(out);
            out.append(&mut self.held);
            self.element.clear();
            self.named.clear();
            if end.starts_with(b"</") {
                self.closing = true;
                self.state = State::Between;
            } else {
                self.state = State::Text;
                self.begin(1, &[], Spelling::Markup);
            }
        }
        1
    }
}

/// A byte of a tag, as it stands.
fn copy(byte: u8, out: &mut Vec<u8>) -> usize {
    out.push(byte);
    1
}

/// Whether `held` begins `end`, in any case.
fn starts_alike(end: &[u8], held: &[u8]) -> bool {
    end.get(..held.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(held))
}

fn push_name(name: &mut Vec<u8>, byte: u8) {
    if name.len() < NAME_BYTES_MAX {
        name.push(byte.to_ascii_lowercase());
    }
}

/// Keeps the end of a text.
fn remember(last: &mut Vec<u8>, part: &[u8]) {
    const KEPT: usize = 2 * NAME_BYTES_MAX;
    last.extend_from_slice(part.get(part.len().saturating_sub(KEPT)..).unwrap_or_default());
    last.drain(..last.len().saturating_sub(KEPT));
}

/// The last line of a text as the name of what follows: `Password: ` is `Password`.
fn key_of(text: &[u8]) -> Vec<u8> {
    let mark = |b: &u8| b.is_ascii_whitespace() || *b == b':' || *b == b'=';
    let end = text.iter().rposition(|b| !mark(b)).map_or(0, |at| at + 1);
    let text = text.get(..end).unwrap_or_default();
    let line = text.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    line.get(line.len().saturating_sub(NAME_BYTES_MAX)..).unwrap_or_default().trim_ascii().to_vec()
}
