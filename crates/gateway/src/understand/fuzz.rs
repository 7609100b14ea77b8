//! The bodies of fuzz targets for what understands arguments: each takes arbitrary bytes and panics when a law is broken.
//! The test below runs them over the seeds and their mutations; a fuzzer may run them over everything.

use base64::Engine as _;
use keyward_core::ConnectionKind;

use super::secret_files::Pointer;
use super::{fields, json, media, secret_files, tool_call, understand};

/// A name that is seen is seen through one more layer of escapes.
///
/// # Panics
/// When it is not.
pub fn secret_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if secret_files::named_in(&text) {
        let escaped: String =
            text.bytes().flat_map(|b| format!("%{b:02x}").into_bytes()).map(char::from).collect();
        assert!(secret_files::named_in(&escaped), "escapes hide a secret file");
    }
}

/// What is read as JSON is JSON, and a call that reaches for a secret file does so as an argument of another as well.
///
/// # Panics
/// When it is not, or does not.
pub fn arguments(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for read in [json::read, json::read_any] {
        if read(data).is_ok() {
            let names = fields::Fields::read(data).map(fields::Fields::into_names).unwrap_or_default();
            assert!(names.is_sorted() && names.len() <= fields::FIELDS_MAX, "fields are sorted and few");
            assert!(serde_json::from_slice::<serde_json::Value>(data).is_ok(), "no JSON was read as JSON");
        }
    }
    let tool = text.split(' ').next().unwrap_or_default();
    let call = tool_call(tool, &text);
    if call.touches_secret_file && tool_call("", &text).touches_secret_file {
        let inside = serde_json::json!({ "x": text }).to_string();
        assert!(tool_call("", &inside).touches_secret_file, "JSON hides a secret file");
    }
}

/// A URL that leads inside does so behind one more layer of escapes, and behind another user's name.
///
/// # Panics
/// When it does not.
pub fn private_urls(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for pointer in [Pointer::Reference, Pointer::Argument, Pointer::Any] {
        if text.len() < 2048 && secret_files::leads_inside(&text, pointer) {
            let escaped: String =
                text.bytes().flat_map(|b| format!("%{b:02x}").into_bytes()).map(char::from).collect();
            assert!(secret_files::leads_inside(&escaped, pointer), "escapes hide where a URL leads");
        }
    }
}

/// Images and audio are measured alike as bytes and in base64.
///
/// # Panics
/// When they are not.
pub fn media(data: &[u8]) {
    let url = format!("data:application/x;base64,{}", base64::prelude::BASE64_STANDARD.encode(data));
    assert_eq!(media::check_upload(data, false), media::check_text(&url), "base64 changes what an image is");
}

/// A file for a batch holds an operation for each line, or is refused.
///
/// # Panics
/// When it passes with fewer.
pub fn batch(data: &[u8]) {
    let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let body = [&head[..], data, b"\r\n--b--\r\n"].concat();
    let typed = http::HeaderValue::from_static("multipart/form-data; boundary=b");
    let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, typed)]);
    if let Ok(operation) = understand(ConnectionKind::OpenAi, "POST", "/v1/files", "", &headers, Some(&body))
    {
        let lines = data.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        assert!(operation.inner.len() >= lines, "a line of a batch was not judged");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn seeds_and_their_mutations_hold() {
        let targets: [Target; 7] = [
            ("arguments", arguments),
            ("secret_files", secret_files),
            ("batch", batch),
            ("media", media),
            ("private_urls", private_urls),
            ("wire_shell", keyward_wire::fuzz::shell),
            ("wire_sql", keyward_wire::fuzz::sql),
        ];
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, target) in targets {
            let mut files: Vec<_> =
                std::fs::read_dir(root.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
            assert!(seeds.len() >= 3, "{name}");
            for seed in &seeds {
                target(seed);
            }
            for data in keyward_wire::fuzz::Mutations::of(&seeds).take(1000) {
                target(&data);
            }
        }
    }
}
