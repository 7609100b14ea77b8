//! The bodies of fuzz targets (`fuzz/`): arbitrary bytes in arbitrary chunking through the engine and every walker. Tests
//! run them over the seeds and their mutations; a fuzzer may run them over everything.

use std::sync::{Arc, OnceLock};

use keyward_core::Finding;

use super::{BodyFormat, BodyMasker, Boundary, Dialect, Markup, MaskError, WebSocketMasker};
use crate::detector::Detectors;
use crate::known::KnownValue;
use crate::profile::Profile;
use crate::text::{Decisions, HOLD_BYTES_MAX, TextMasker};

/// The known value of [`profile`]; made up.
pub const CANARY: &str = "kwcanary-7Qx2Lm9Zt4Rv";

/// A profile that masks [`CANARY`] alone.
///
/// # Panics
/// Never: what it is made of is fixed.
pub fn profile() -> &'static Arc<Profile> {
    static PROFILE: OnceLock<Arc<Profile>> = OnceLock::new();
    PROFILE.get_or_init(|| built(&[]))
}

/// A profile that masks [`CANARY`] and what any shipped detector finds.
///
/// # Panics
/// Never: what it is made of is fixed.
pub fn detecting() -> &'static Arc<Profile> {
    static PROFILE: OnceLock<Arc<Profile>> = OnceLock::new();
    PROFILE.get_or_init(|| built(&["credentials", "pii"]))
}

fn built(groups: &[&str]) -> Arc<Profile> {
    let canary = KnownValue::new("canary", CANARY.as_bytes()).ok();
    let profile = Profile::builder().known(canary).detectors(Detectors::builtin(), groups).build();
    assert!(profile.is_ok(), "{profile:?}");
    Arc::new(profile.unwrap_or_else(|_| unreachable!()))
}

/// What the engine decided: lengths, and what stands for what was replaced.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decided {
    stretches: Vec<(usize, Option<String>)>,
    total: usize,
    findings: Vec<Finding>,
}

impl Decisions for Decided {
    fn keep(&mut self, bytes: usize) {
        self.total += bytes;
        match self.stretches.last_mut() {
            Some((length, None)) => *length += bytes,
            _ => self.stretches.push((bytes, None)),
        }
    }

    fn replace(&mut self, bytes: usize, placeholder: &str) {
        self.total += bytes;
        match self.stretches.last_mut() {
            Some((length, Some(_))) if placeholder.is_empty() => *length += bytes,
            _ => self.stretches.push((bytes, Some(placeholder.to_owned()))),
        }
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Decisions and findings of the engine equal those of the whole input for every chunking, and it holds no more than
/// [`HOLD_BYTES_MAX`].
///
/// # Panics
/// When it is not so.
pub fn engine(profile: &Arc<Profile>, data: &[u8]) {
    let decide = |chunk: usize| {
        let mut decided = Decided::default();
        let mut masker = TextMasker::new(Arc::clone(profile));
        let mut given = 0;
        for part in data.chunks(chunk.max(1)) {
            masker.push(part, &mut decided);
            given += part.len();
            assert!(given - decided.total <= HOLD_BYTES_MAX, "held back {}", given - decided.total);
        }
        masker.boundary(&mut decided);
        assert_eq!(decided.total, given, "every byte is decided once");
        decided
    };
    let whole = decide(data.len());
    for chunk in [1, 2, 3, 7, 64] {
        assert_eq!(decide(chunk), whole, "in chunks of {chunk}");
    }
}

/// Masks a body that arrives in chunks of `chunk` bytes.
///
/// # Errors
/// As the masker.
pub fn run(
    profile: &Arc<Profile>,
    format: BodyFormat,
    data: &[u8],
    chunk: usize,
) -> Result<Vec<u8>, MaskError> {
    let mut masker = BodyMasker::new(Arc::clone(profile), format);
    let mut out = Vec::new();
    for part in data.chunks(chunk.max(1)) {
        masker.push(part, &mut out)?;
    }
    masker.finish(&mut out)?;
    Ok(out)
}

/// Every format that any body can be read in; parts are divided by `--b`.
pub fn formats() -> Vec<BodyFormat> {
    let multipart = Boundary::new("b").map(BodyFormat::Multipart);
    let plain = [
        BodyFormat::Text,
        BodyFormat::Either,
        BodyFormat::Json,
        BodyFormat::Ndjson,
        BodyFormat::EventStream(Dialect::OpenAi),
        BodyFormat::EventStream(Dialect::Generic),
        BodyFormat::Form,
        BodyFormat::Markup(Markup::Html),
        BodyFormat::Markup(Markup::Xml),
        BodyFormat::Escaped,
        BodyFormat::Protobuf,
        BodyFormat::AwsEventStream,
    ];
    plain.into_iter().chain(multipart).collect()
}

/// Output equals that of the whole input for every chunking, in every format.
///
/// # Panics
/// When it does not.
pub fn body(profile: &Arc<Profile>, data: &[u8]) {
    for format in formats().into_iter().chain([BodyFormat::WideText]) {
        format_of(profile, format, data);
    }
}

/// The same in one format; and what was JSON is JSON after.
///
/// # Panics
/// When it is not so.
pub fn format_of(profile: &Arc<Profile>, format: BodyFormat, data: &[u8]) {
    let whole = run(profile, format, data, data.len());
    let json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    if let (BodyFormat::Json, Ok(masked)) = (format, &whole) {
        assert!(!json(data) || json(masked), "JSON became {}", String::from_utf8_lossy(masked));
    }
    for chunk in [1, 2, 3, 7, 64] {
        assert_eq!(run(profile, format, data, chunk), whole, "{format:?} in chunks of {chunk}");
    }
}

/// The same for what a server sends over a WebSocket.
///
/// # Panics
/// When it does not.
pub fn websocket(profile: &Arc<Profile>, data: &[u8]) {
    let run = |chunk: usize| {
        let mut masker = WebSocketMasker::new(Arc::clone(profile));
        let mut out = Vec::new();
        let pushed = data.chunks(chunk.max(1)).try_for_each(|part| masker.push(part, &mut out));
        (pushed.and_then(|()| masker.finish(&mut out)), out)
    };
    let whole = run(data.len());
    for chunk in [1, 2, 3, 7, 64] {
        assert_eq!(run(chunk), whole, "in chunks of {chunk}");
    }
}
