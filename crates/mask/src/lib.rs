//! Masking of secrets in streams: what goes in is text in any chunking, what comes out is the same text with every
//! secret replaced.
//!
//! **Promise.** For every way of cutting the input into chunks, decisions and findings equal those for the input in
//! one piece; a byte leaves only when no live candidate can include it.
//!
//! In suggested reading order:

mod class;
mod fields;
mod lane;
mod literal;
mod matches;
mod profile;
mod runs;
mod style;
mod surrogate;
mod text;
mod words;

pub mod detector;
pub mod known;
pub mod walk;

pub use detector::{Detector, Detectors, Explanation, PackError, check_pack, explain, shipped_packs};
pub use keyward_core::{Confidence, Finding, Style};
pub use known::{KnownSet, KnownValue, KnownValueError};
pub use profile::{FieldIndex, KNOWN_VALUES_MAX, PROFILE_FIELDS_MAX, Profile, ProfileBuilder, ProfileError};
pub use style::KEEP_CHARS_MIN;
pub use surrogate::SURROGATE_BYTES_MAX;
pub use text::{
    CONTEXT_BYTES_MAX, Decisions, HOLD_BYTES_MAX, Masked, TextMasker, mask_bytes, mask_field,
    mask_whole_field,
};
