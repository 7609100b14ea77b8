mod arrivals;
mod aws;
mod charsets;
mod dialects;
mod disguises;
mod events;
mod fields;
mod form;
mod json;
mod laws;
mod markup;
mod multipart;
mod protobuf;
mod sockets;

use std::sync::Arc;

pub(super) use super::fuzz::CANARY;
use super::fuzz::run;
use super::*;
use crate::{Detectors, KnownValue, Profile};

/// What stands for it.
pub(super) const MASKED: &str = "[REDACTED:secret:canary]";

pub(super) fn profile() -> Arc<Profile> {
    profile_of(&[("canary", CANARY)])
}

pub(super) fn profile_of(values: &[(&str, &str)]) -> Arc<Profile> {
    let known: Vec<KnownValue> =
        values.iter().map(|(label, value)| KnownValue::new(label, value.as_bytes()).unwrap()).collect();
    Arc::new(Profile::builder().known(known).build().unwrap())
}

/// The canary and every shipped detector of credentials.
pub(super) fn with_detectors() -> Arc<Profile> {
    let canary = KnownValue::new("canary", CANARY.as_bytes()).unwrap();
    let builder = Profile::builder().known([canary]).detectors(Detectors::builtin(), &["credentials"]);
    Arc::new(builder.build().unwrap())
}

/// The canary and every shipped detector, of personal data too.
pub(super) fn with_everything() -> Arc<Profile> {
    let canary = KnownValue::new("canary", CANARY.as_bytes()).unwrap();
    let builder = Profile::builder().known([canary]).detectors(Detectors::builtin(), &["credentials", "pii"]);
    Arc::new(builder.build().unwrap())
}

/// The masked body, the same for every chunking that is tried.
pub(super) fn mask(format: BodyFormat, input: &str) -> String {
    mask_with(&profile(), format, input)
}

pub(super) fn mask_with(profile: &Arc<Profile>, format: BodyFormat, input: &str) -> String {
    let whole = run(profile, format, input.as_bytes(), input.len()).unwrap();
    for chunk in [1, 2, 3, 5, 17, 100] {
        assert_eq!(run(profile, format, input.as_bytes(), chunk).unwrap(), whole, "in chunks of {chunk}");
    }
    String::from_utf8(whole).unwrap()
}

/// Every character as a JSON escape.
pub(super) fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|u| format!("\\u{u:04x}")).collect();
    units.concat()
}

#[test]
fn after_an_error_nothing_more_leaves() {
    let mut masker = BodyMasker::new(profile(), BodyFormat::Json);
    let mut out = Vec::new();
    assert_eq!(masker.push(b"\0\0\0\0", &mut out), Err(MaskError::Charset));
    assert_eq!(masker.push(b"\"a\":1}", &mut out), Err(MaskError::Charset));
    assert_eq!(masker.finish(&mut out), Err(MaskError::Charset));
    assert!(out.is_empty());
}

#[test]
fn text_is_masked_and_findings_say_where() {
    let input = format!("key {CANARY} end");
    assert_eq!(mask(BodyFormat::Text, &input), format!("key {MASKED} end"));
    let mut masker = BodyMasker::new(profile(), BodyFormat::Text);
    masker.push(input.as_bytes(), &mut Vec::new()).unwrap();
    masker.finish(&mut Vec::new()).unwrap();
    let findings = masker.take_findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (&*findings[0].detector, findings[0].start, findings[0].end),
        ("known:canary", 4, 4 + CANARY.len() as u64)
    );
    assert!(masker.take_findings().is_empty());
}
