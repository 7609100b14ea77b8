//! The bodies of fuzz targets: arbitrary bytes in arbitrary chunking through every walker.

use std::sync::Arc;

use super::{BodyFormat, BodyMasker, Boundary, Dialect, Markup, MaskError, WebSocketMasker};
use crate::profile::Profile;

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

/// Every format that a body can be read in; parts are divided by `--b`.
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
    for format in formats() {
        format_of(profile, format, data);
    }
}

/// The same in one format.
///
/// # Panics
/// When it does not.
pub fn format_of(profile: &Arc<Profile>, format: BodyFormat, data: &[u8]) {
    let whole = run(profile, format, data, data.len());
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
