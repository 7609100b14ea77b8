//! Canonical paths and tables of routes.

use std::borrow::Cow;

use keyward_core::OperationClass;

use super::UnderstandError;
use super::form::percent_decoded;

/// Endings of files that hold model weights, or a model compiled.
pub(super) const WEIGHT_SUFFIXES: &[&str] = &[
    ".safetensors",
    ".gguf",
    ".ggml",
    ".pt",
    ".pth",
    ".bin",
    ".onnx",
    ".engine",
    ".plan",
    ".ckpt",
    ".h5",
    ".keras",
    ".tflite",
    ".mlmodel",
    ".npz",
    ".nemo",
];

/// What a route's request body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// None.
    Nothing,
    /// One JSON object.
    Json,
    /// One JSON object, or none.
    JsonOrNothing,
    /// JSON where the type says so, else anything, passed on unread.
    JsonOrOther,
    /// Text, which is read in case it is JSON.
    Text,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`, passed on unread where it is long.
    Multipart,
    /// Anything, passed on unread.
    Unread,
}

/// What a table says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) class: OperationClass,
    pub(super) body: Body,
    pub(super) model: String,
    pub(super) file: String,
}

impl Found {
    pub(super) fn of(class: OperationClass, body: Body) -> Self {
        Self { class, body, model: String::new(), file: String::new() }
    }

    pub(super) fn unknown() -> Self {
        Self::of(OperationClass::Unknown, Body::Unread)
    }

    /// Notes what a wildcard stands for, by the segment before it. The first one counts.
    fn note(&mut self, before: &str, name: &str) {
        let noted = match before {
            "models" | "tunedModels" | "predictions" | "explanations" | "registered-models" => {
                &mut self.model
            }
            "files" | "uploads" | "blobs" | "artifacts" => &mut self.file,
            _ => return,
        };
        if noted.is_empty() {
            *noted = decoded(name).into_owned();
        }
    }
}

/// One route: method, path below the API's root, class, body. In a path, `*` is one segment, `*:verb` one that ends so,
/// and `**` at the end is one or more.
pub(super) type Route = (&'static str, &'static str, OperationClass, Body);

/// The routes of one API.
pub(super) struct Table {
    /// First segments that a path may have before its route: versions, mostly, which the upstream's base path may hold.
    pub(super) prefixes: &'static [&'static str],
    pub(super) routes: &'static [Route],
}

/// Looks `method` and `path` up. `HEAD` is what `GET` is.
pub(super) fn look_up(table: &Table, method: &str, path: &Path<'_>) -> Found {
    let method = if method == "HEAD" { "GET" } else { method };
    let segments = path.below(table.prefixes);
    for (route_method, pattern, class, body) in table.routes {
        if *route_method != method {
            continue;
        }
        let mut found = Found::of(*class, *body);
        if matched(pattern, segments, &mut found) {
            return found;
        }
    }
    Found::unknown()
}

/// Whether a path fits a pattern. What the wildcards behind `models`, `files` and the like stand for is noted.
pub(super) fn matched(pattern: &str, segments: &[&str], found: &mut Found) -> bool {
    let (mut rest, mut before) = (segments, "");
    for part in pattern.split('/') {
        if part == "**" {
            found.note(before, &rest.join("/"));
            return !rest.is_empty() && rest.iter().all(|segment| !segment.is_empty());
        }
        let Some((first, after)) = rest.split_first() else { return false };
        match part.strip_prefix('*') {
            // `*:verb`: a name and what is done with it.
            Some(verb) => match first.strip_suffix(verb) {
                Some(name) if !name.is_empty() && (verb.is_empty() || !name.contains(':')) => {
                    found.note(before, name);
                }
                _ => return false,
            },
            None if part != *first => return false,
            None => {}
        }
        (rest, before) = (after, part);
    }
    rest.is_empty()
}

fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decoded(segment).unwrap_or(Cow::Borrowed(segment))
}

/// A path that can be read in one way only.
#[derive(Debug)]
pub(super) struct Path<'p> {
    segments: Vec<&'p str>,
    decoded: Cow<'p, str>,
}

impl<'p> Path<'p> {
    /// Reads a path that the edge let through, and refuses what the edge should have refused.
    pub(super) fn read(path: &'p str) -> Result<Self, UnderstandError> {
        let rest = path.strip_prefix('/').ok_or(UnderstandError::Path)?;
        let decoded = percent_decoded(path).ok_or(UnderstandError::Path)?;
        let ambiguous = |c: char| c == '\\' || c.is_control() || !c.is_ascii();
        if path.chars().any(ambiguous)
            || decoded.contains(['\\', '\0'])
            || decoded.chars().any(char::is_control)
        {
            return Err(UnderstandError::Path);
        }
        let segments: Vec<&str> = rest.split('/').collect();
        let last = segments.len().saturating_sub(1);
        for (index, segment) in segments.iter().enumerate() {
            let plain = percent_decoded(segment).ok_or(UnderstandError::Path)?;
            // A semicolon begins parameters that some servers cut off before they look the path up.
            let name = plain.split(';').next().unwrap_or("");
            let empty = segment.is_empty() && index != last;
            if empty || matches!(name, "." | "..") || plain.contains('/') || encodes_unreserved(segment) {
                return Err(UnderstandError::Path);
            }
        }
        Ok(Self { segments, decoded })
    }

    /// The whole path, percent-decoded once.
    pub(super) fn decoded(&self) -> &str {
        &self.decoded
    }

    /// The segments as they were sent.
    pub(super) fn segments(&self) -> &[&'p str] {
        &self.segments
    }

    /// The segments without a leading one of `prefixes`.
    fn below(&self, prefixes: &[&str]) -> &[&'p str] {
        match self.segments.split_first() {
            Some((first, rest)) if prefixes.contains(first) => rest,
            _ => &self.segments,
        }
    }

    /// Whether it names a file of weights, or a route that exports them.
    pub(super) fn leads_to_weights(&self) -> bool {
        let models = self.segments.iter().position(|segment| segment.eq_ignore_ascii_case("models"));
        let route = models.and_then(|at| self.segments.get(at + 2..)).unwrap_or_default();
        let named = |segment: &str| {
            let plain = decoded(segment);
            names_weights(&plain)
                || readings(&plain).any(|name| segment_name(name).eq_ignore_ascii_case("weights"))
        };
        route.iter().any(|segment| named(segment))
            || self.segments.iter().any(|segment| names_weights(&decoded(segment)))
    }
}

/// The part of a segment before its parameters, without dots and blanks at its end, which some file systems drop.
fn segment_name(segment: &str) -> &str {
    segment.split(';').next().unwrap_or("").trim_end_matches(['.', ' '])
}

/// Whether a text ends like a file of weights, or would to a server that cuts a query, a fragment or a tag off.
pub(crate) fn names_weights(text: &str) -> bool {
    readings(text).any(|name| {
        let name = segment_name(name).to_ascii_lowercase();
        WEIGHT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
    })
}

/// A name as it stands, and what servers make of it that decode it once more and cut something off, or take other slashes
/// for slashes.
fn readings(name: &str) -> impl Iterator<Item = &str> {
    const ENDS: [char; 7] = ['?', '#', ':', '\u{2044}', '\u{2215}', '\u{29f8}', '\u{ff0f}'];
    std::iter::once(name).chain(name.split(ENDS))
}

/// Whether an unreserved character is written as an escape: the same path in another spelling.
fn encodes_unreserved(segment: &str) -> bool {
    segment.split('%').skip(1).any(|after| {
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    })
}
