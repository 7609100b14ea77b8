//! Forms (`application/x-www-form-urlencoded`): each name and value is a text of its own, matched by what it means, the
//! value with its name as context; a field that a rule names is masked whole.
//!
//! Exception: a body that begins with `{`, `[` or `<` is no form whatever it is called (this is what `curl --data` sends
//! of a JSON document): it is one text.

use std::sync::Arc;

use keyward_core::field::FIELD_BYTES_MAX;
use memchr::memchr2;

use super::MaskError;
use super::spelling::{Spelling, Unspell};
use super::strand::{Start, Strand};
use crate::profile::Profile;
use crate::text::CONTEXT_BYTES_MAX;

/// As much of a name as a rule or a detector looks at.
const NAME_BYTES_MAX: usize =
    if FIELD_BYTES_MAX > CONTEXT_BYTES_MAX { FIELD_BYTES_MAX } else { CONTEXT_BYTES_MAX };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Start,
    Name,
    Value,
    /// It is no form.
    Other,
}

/// The end of a name, however it comes in pieces: what stands before a value tells what the value is.
#[derive(Default)]
struct Name {
    end: Vec<u8>,
    bytes: usize,
}

impl Name {
    fn push(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len());
        self.end
            .extend_from_slice(piece.get(piece.len().saturating_sub(NAME_BYTES_MAX)..).unwrap_or_default());
        let over = self.end.len().saturating_sub(NAME_BYTES_MAX);
        self.end.drain(..over);
    }

    /// Ready for the next one, in the same room.
    fn clear(&mut self) {
        self.end.clear();
        self.bytes = 0;
    }

    /// All of it; none where it is longer than any that a rule names.
    fn whole(&self) -> Option<&[u8]> {
        (self.bytes == self.end.len()).then_some(&self.end)
    }
}

pub(super) struct Form {
    profile: Arc<Profile>,
    pub(super) strand: Strand,
    unspell: Unspell,
    state: State,
    name: Name,
    position: u64,
}

impl Form {
    pub(super) fn new(profile: &Arc<Profile>) -> Self {
        Self {
            profile: Arc::clone(profile),
            strand: Strand::new(profile, 0, Start::Either),
            unspell: Unspell::new(Spelling::Form),
            state: State::Start,
            name: Name::default(),
            position: 0,
        }
    }

    pub(super) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        let mut rest = input;
        if let (State::Start, Some(first)) = (self.state, rest.first()) {
            let form = !matches!(first, b'{' | b'[' | b'<');
            self.state = if form { State::Name } else { State::Other };
            self.strand.spell(if form { Spelling::Form } else { Spelling::Plain });
        }
        if self.state == State::Other {
            self.strand.piece(rest, rest, out);
            return self.strand.sound();
        }
        while !rest.is_empty() {
            let end = match self.state {
                State::Value => memchr::memchr(b'&', rest),
                _ => memchr2(b'&', b'=', rest),
            };
            let (part, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
            self.part(part, out);
            rest = after;
            if let Some((mark, after)) = rest.split_first() {
                self.turn(*mark, out);
                rest = after;
            }
            self.strand.sound()?;
        }
        self.strand.catch_up(out);
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), MaskError> {
        self.end_text(out);
        self.strand.sound()
    }

    fn part(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let Self { strand, unspell, state, name, .. } = self;
        unspell.feed(part, &mut |meaning, raw| {
            if *state == State::Name {
                name.push(meaning);
            }
            strand.part(meaning, raw, out);
        });
        self.position += part.len() as u64;
    }

    fn end_text(&mut self, out: &mut Vec<u8>) {
        let Self { strand, unspell, .. } = self;
        unspell.finish(&mut |meaning, raw| strand.part(meaning, raw, out));
        self.strand.end(out);
    }

    /// Between a name and its value, or two fields.
    fn turn(&mut self, mark: u8, out: &mut Vec<u8>) {
        self.end_text(out);
        out.push(mark);
        self.position += 1;
        if mark == b'=' {
            self.state = State::Value;
            match self.name.whole().and_then(|name| self.profile.form_field(name)) {
                Some(field) => self.strand.begin_field(self.position, field),
                None => self.strand.begin(self.position, &self.name.end),
            }
        } else {
            self.state = State::Name;
            self.strand.begin(self.position, &[]);
        }
        self.name.clear();
    }
}
