mod kinds;
mod own;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use keyward_core::{ConnectionKind, Operation, OperationClass};
use proptest::prelude::*;

use super::*;
use crate::understand::routes::Body;

const KINDS: &[ConnectionKind] = ConnectionKind::ALL;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (http::HeaderName::from_static(name), HeaderValue::from_str(value).expect("value"))
        })
        .collect()
}

fn json_headers() -> HeaderMap {
    headers(&[("content-type", "application/json")])
}

fn chat(body: &str) -> Result<Operation, UnderstandError> {
    understand(
        ConnectionKind::OpenAi,
        "POST",
        "/v1/chat/completions",
        "",
        &json_headers(),
        Some(body.as_bytes()),
    )
}

fn class(kind: ConnectionKind, method: &str, path: &str) -> Result<OperationClass, UnderstandError> {
    understand(kind, method, path, "", &HeaderMap::new(), None).map(|operation| operation.class)
}

#[test]
fn every_route_of_the_tables_is_found_with_and_without_version() {
    for (kind, table) in KINDS.iter().filter_map(|kind| Some((*kind, table(*kind)?))) {
        for (method, pattern, wanted, body) in table.routes {
            let path = pattern.replace("**", "org/name").replace('*', "some-id");
            let below = table.prefixes.iter().map(|prefix| format!("/{prefix}/{path}"));
            for path in below.chain([format!("/{path}")]) {
                let content_type = match body {
                    Body::Json | Body::JsonOrNothing => "application/json",
                    Body::Multipart => "multipart/form-data; boundary=x",
                    _ => "text/plain",
                };
                let headers = headers(&[("content-type", content_type)]);
                let batch = br#"{"endpoint": "/v1/embeddings", "requests": []}"#;
                let bytes: &[u8] = if *wanted == OperationClass::BatchCreate { batch } else { b"{}" };
                let bytes = matches!(body, Body::Json).then_some(bytes);
                let operation = understand(kind, method, &path, "", &headers, bytes).expect(&path);
                assert_eq!(operation.class, *wanted, "{method} {path}");
                let need = body_need(kind, &method.parse::<Method>().expect("method"), &path, &headers);
                let decoded = *body == Body::Multipart
                    && (decodes(*wanted) || (kind == ConnectionKind::OpenAi && *pattern == "files"));
                let read = decoded || !matches!(body, Body::Multipart | Body::Unread | Body::JsonOrOther);
                assert_eq!(need == BodyNeed::Whole, read, "{method} {path}");
            }
        }
    }
}

#[test]
fn what_no_table_knows_is_unknown() {
    for kind in [ConnectionKind::OpenAi, ConnectionKind::Anthropic] {
        for (method, path) in [
            ("GET", "/"),
            ("POST", "/v1"),
            ("POST", "/v1/Chat/Completions"),
            ("POST", "/V1/chat/completions"),
            ("POST", "/v1/chat/completions/"),
            ("POST", "/v1/v1/chat/completions"),
            ("PUT", "/v1/chat/completions"),
            ("GET", "/v1/chat/completions"),
            ("POST", "/v1/chat/completions;a=b"),
            ("POST", "/v1/realtime"),
            ("GET", "/v1/realtime/sessions"),
            ("POST", "/v1/realtime/client_secrets"),
            ("POST", "/sleep"),
            ("POST", "/wake_up"),
            ("POST", "/collective_rpc"),
            ("POST", "/v1/files/x"),
            ("POST", "/v1/assistants"),
            ("OPTIONS", "/v1/models"),
            ("GET", "/v1/models/"),
            ("post", "/v1/messages"),
            ("GET", "/v1/vector_stores"),
            ("POST", "/v1/chat%3Fx/completions"),
            ("GET", "/docs"),
            ("PATCH", "/v1/models/x"),
        ] {
            assert_eq!(class(kind, method, path), Ok(OperationClass::Unknown), "{kind:?} {method} {path}");
        }
    }
    assert_eq!(class(ConnectionKind::Anthropic, "POST", "/v1/chat/completions"), Ok(OperationClass::Unknown));
    assert_eq!(class(ConnectionKind::Anthropic, "GET", "/v1/realtime"), Ok(OperationClass::Unknown));
    assert_eq!(class(ConnectionKind::OpenAi, "POST", "/v1/messages"), Ok(OperationClass::Unknown));
}

#[test]
fn an_export_names_its_model() {
    for (path, model) in [
        ("/v1/models/small/weights", "small"),
        ("/v1/models/org/small/weights", "org/small"),
        ("/v1/models/small/weights/shard-1", "small"),
    ] {
        let operation =
            understand(ConnectionKind::OpenAi, "GET", path, "", &HeaderMap::new(), Some(b"")).unwrap();
        assert_eq!(
            (operation.class, operation.resource.model.as_str()),
            (OperationClass::ModelExport, model)
        );
    }
}

#[test]
fn weights_are_an_export_however_they_are_spelled() {
    for kind in KINDS {
        for path in [
            "/v1/models/small/weights",
            "/models/small/weights",
            "/v1/models/org/small/weights",
            "/v1/models/small/WEIGHTS",
            "/v1/models/small/weights/shard-1",
            "/repo/model.safetensors",
            "/repo/Model.GGUF",
            "/repo/model.safetensors;v=1",
            "/x/model.bin.",
            "/x/model.pt%20",
            "/v1/files/model.onnx/content",
            "/v1/models/small/weights;x",
        ] {
            for method in ["GET", "HEAD"] {
                assert_eq!(
                    class(*kind, method, path),
                    Ok(OperationClass::ModelExport),
                    "{kind:?} {method} {path}"
                );
            }
            assert_ne!(class(*kind, "PUT", path), Ok(OperationClass::ModelExport));
        }
    }
    let with_query = |kind, method, path| {
        let query = "path=a%2Fmodel.safetensors";
        understand(kind, method, path, query, &HeaderMap::new(), None).map(|operation| operation.class)
    };
    for method in ["GET", "POST"] {
        let class = with_query(ConnectionKind::Http, method, "/get-artifact");
        assert_eq!(class, Ok(OperationClass::ModelExport));
    }
    // Nothing that is blocked becomes something that can be approved by adding a name to it.
    for (method, path, wanted) in [
        ("POST", "/collective_rpc", OperationClass::Unknown),
        ("GET", "/debug/state", OperationClass::Unknown),
        ("GET", "/v1/organization/model.bin", OperationClass::AdminConfig),
        ("POST", "/run/model.bin", OperationClass::Unknown),
        ("DELETE", "/v1/files/model.bin", OperationClass::FilesDelete),
    ] {
        assert_eq!(with_query(ConnectionKind::OpenAi, method, path), Ok(wanted), "{method} {path}");
    }
    for path in ["/v1/models/weights", "/v1/models/weights-small", "/v1/models/small.safetensors-info"] {
        assert_eq!(class(ConnectionKind::OpenAi, "GET", path), Ok(OperationClass::ModelsList), "{path}");
    }
}

#[test]
fn generic_endpoints_are_read_or_written() {
    for (method, query, wanted) in [
        ("GET", "", OperationClass::HttpRead),
        ("HEAD", "", OperationClass::HttpRead),
        ("OPTIONS", "", OperationClass::HttpRead),
        ("POST", "", OperationClass::HttpWrite),
        ("PUT", "", OperationClass::HttpWrite),
        ("DELETE", "", OperationClass::HttpWrite),
        ("GET", "_method=DELETE", OperationClass::HttpWrite),
        ("GET", "a=1&_method=PUT", OperationClass::HttpWrite),
        ("TRACE", "", OperationClass::Unknown),
        ("get", "", OperationClass::Unknown),
    ] {
        let operation =
            understand(ConnectionKind::Http, method, "/a/b", query, &HeaderMap::new(), None).expect(method);
        assert_eq!(operation.class, wanted, "{method} {query}");
    }
}

#[test]
fn paths_that_could_be_read_in_two_ways_are_refused() {
    for kind in KINDS {
        for path in [
            "",
            "v1/models",
            "//v1/models",
            "/v1//models",
            "/v1/./models",
            "/v1/../models",
            "/v1/%2e%2e/models",
            "/v1/x%2fy",
            "/a%5cb",
            "/a\\b",
            "/a%00b",
            "/a\u{7f}",
            "/%6dodels",
            "/a%",
            "/a%zz",
            "/a%c0%ae",
            "/caf\u{e9}",
            "/a/..;/b",
            "/a/.;x=1/b",
            "/a%0d%0ab",
        ] {
            assert_eq!(class(*kind, "GET", path), Err(UnderstandError::Path), "{path:?}");
        }
    }
    for query in ["a=%", "a=%zz", "a=%ff"] {
        let result = understand(ConnectionKind::Http, "GET", "/a", query, &HeaderMap::new(), None);
        assert_eq!(result, Err(UnderstandError::Query));
    }
}

#[test]
fn bodies_say_model_stream_and_tools() {
    let body = r#" {"model" : "small", "stream":true, "x": [1, {"model": "inner", "stream": 0}],
        "tools": [{"type":"function","function":{"name":"search","parameters":{"name":"n"}}}, {"type":"web_search"},
                  {"name":"top","type":"custom","function":{"name":"below"}}], "functions":[{"name":"old"}]} "#;
    let operation = chat(body).expect("understood");
    assert_eq!((operation.resource.model.as_str(), operation.stream), ("small", true));
    assert_eq!(operation.resource.tools, ["search", "web_search", "top", "below", "old"]);
    assert_eq!(operation.body_bytes, Some(body.len() as u64));
    assert!(!operation.touches_secret_file);
    let operation = chat(r#"{"model":null,"stream":null,"tools":null}"#).expect("understood");
    assert_eq!((operation.resource.model.as_str(), operation.stream), ("", false));
    assert_eq!(chat(r#"{"\u006dodel":"escaped"}"#).expect("understood").resource.model, "escaped");
}

#[test]
fn ambiguous_and_broken_bodies_are_refused() {
    for (body, error) in [
        (r#"{"model":"a","model":"b"}"#, UnderstandError::JsonDuplicate),
        (r#"{"model":"a","\u006dodel":"b"}"#, UnderstandError::JsonDuplicate),
        (r#"{"model":"a","Model":"b"}"#, UnderstandError::JsonDuplicate),
        ("{\"\u{17f}tream\":true}", UnderstandError::JsonDuplicate),
        (r#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#, UnderstandError::JsonDuplicate),
        (r#"{"model":1}"#, UnderstandError::JsonField),
        (r#"{"model":["a"]}"#, UnderstandError::JsonField),
        (r#"{"stream":"true"}"#, UnderstandError::JsonField),
        (r#"{"stream":1}"#, UnderstandError::JsonField),
        (r#"{"tools":{}}"#, UnderstandError::JsonField),
        (r#"{"tools":["a"]}"#, UnderstandError::JsonField),
        (r#"{"tools":[{"name":{}}]}"#, UnderstandError::JsonField),
        ("[]", UnderstandError::Json),
        ("\"a\"", UnderstandError::Json),
        ("null", UnderstandError::Json),
        ("", UnderstandError::Json),
        ("{} {}", UnderstandError::Json),
        ("{\"a\":NaN}", UnderstandError::Json),
        ("{\"a\":1e999}", UnderstandError::Json),
        ("{\"a\":1,}", UnderstandError::Json),
        ("{/*x*/}", UnderstandError::Json),
        ("\u{feff}{}", UnderstandError::Json),
        ("{\"a\":\"\\ud800\"}", UnderstandError::Json),
        ("{\"a\":\"\u{0}\"}", UnderstandError::Json),
    ] {
        assert_eq!(chat(body).err(), Some(error), "{body}");
    }
    let invalid = understand(
        ConnectionKind::OpenAi,
        "POST",
        "/embeddings",
        "",
        &json_headers(),
        Some(b"{\"a\":\"\xff\"}"),
    );
    assert_eq!(invalid.err(), Some(UnderstandError::Json));
    let many = (0..40).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",") + ",";
    assert!(chat(&format!("{{{many}\"end\":1}}")).is_ok());
    assert_eq!(chat(&format!("{{{many}\"k7\":1}}")).err(), Some(UnderstandError::JsonDuplicate));
}

#[test]
fn limits_hold_at_the_limit() {
    let nested = |depth: usize| format!("{}{}", "{\"a\":".repeat(depth - 1) + "{}", "}".repeat(depth - 1));
    assert!(chat(&nested(JSON_DEPTH_MAX)).is_ok());
    assert_eq!(chat(&nested(JSON_DEPTH_MAX + 1)).err(), Some(UnderstandError::JsonDepth));
    let pairs = |count: usize| {
        let query = vec!["a=b"; count].join("&");
        understand(ConnectionKind::Http, "GET", "/a", &query, &HeaderMap::new(), None).map(|_| ())
    };
    assert_eq!(pairs(form::PAIRS_MAX), Ok(()));
    assert_eq!(pairs(form::PAIRS_MAX + 1), Err(UnderstandError::Query));
    let tools = |count: usize| format!("{{\"tools\":[{}]}}", vec!["{\"name\":\"t\"}"; count].join(","));
    assert_eq!(chat(&tools(TOOLS_MAX)).expect("understood").resource.tools.len(), TOOLS_MAX);
    assert_eq!(chat(&tools(TOOLS_MAX + 1)).err(), Some(UnderstandError::Tools));
}

#[test]
fn types_and_encodings_must_be_those_of_the_route() {
    let chat = |pairs: &[(&'static str, &str)]| {
        understand(ConnectionKind::OpenAi, "POST", "/v1/chat/completions", "", &headers(pairs), Some(b"{}"))
            .map(|_| ())
    };
    for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
    {
        assert_eq!(chat(&[("content-type", good)]), Ok(()), "{good}");
    }
    assert_eq!(chat(&[]), Ok(()));
    assert_eq!(chat(&[("content-encoding", "identity")]), Ok(()));
    for bad in [
        "text/plain",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded",
        "",
    ] {
        assert_eq!(chat(&[("content-type", bad)]), Err(UnderstandError::ContentType), "{bad}");
    }
    for bad in ["gzip", "br", "identity, gzip", "GZIP", ""] {
        assert_eq!(chat(&[("content-encoding", bad)]), Err(UnderstandError::ContentEncoding), "{bad}");
    }
    let mut twice = json_headers();
    twice.append("content-type", HeaderValue::from_static("text/plain"));
    let result = understand(ConnectionKind::OpenAi, "POST", "/v1/chat/completions", "", &twice, Some(b"{}"));
    assert_eq!(result.err(), Some(UnderstandError::ContentType));
    assert_eq!(UnderstandError::ContentType.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(UnderstandError::Json.status(), StatusCode::BAD_REQUEST);

    let empty = HeaderMap::new();
    let missing = understand(ConnectionKind::OpenAi, "POST", "/v1/chat/completions", "", &empty, None);
    assert_eq!(missing.err(), Some(UnderstandError::BodyMissing));
    let unexpected = understand(ConnectionKind::OpenAi, "GET", "/v1/models", "", &empty, Some(b"{}"));
    assert_eq!(unexpected.err(), Some(UnderstandError::BodyUnexpected));
    let declared = understand(
        ConnectionKind::OpenAi,
        "GET",
        "/v1/models",
        "",
        &headers(&[("content-length", "5")]),
        None,
    );
    assert_eq!(declared.err(), Some(UnderstandError::BodyUnexpected));
    let cancel = understand(ConnectionKind::OpenAi, "POST", "/v1/batches/b/cancel", "", &empty, Some(b""));
    assert_eq!(cancel.map(|operation| operation.class), Ok(OperationClass::BatchCreate));
    let upload = understand(ConnectionKind::OpenAi, "POST", "/v1/files", "", &json_headers(), None);
    assert_eq!(upload.err(), Some(UnderstandError::ContentType));
}

#[test]
fn catalogue_89_a_model_is_a_name_in_body_and_path() {
    assert_eq!(chat(r#"{"model":"../../root/.ssh/id_rsa"}"#), Err(UnderstandError::Model));
    let asked =
        |kind, path| understand(kind, "POST", path, "", &json_headers(), Some(b"{}")).map(|it| it.class);
    let path = "/v1beta/models/~x:generateContent";
    assert_eq!(asked(ConnectionKind::Gemini, path), Err(UnderstandError::Model));
    // Where a model is loaded or registered, it may be a path; rules judge it.
    assert!(asked(ConnectionKind::KserveV2, "/v2/models/~x/infer").is_ok());
}

#[test]
fn resources_are_named() {
    let empty = HeaderMap::new();
    let operation = understand(ConnectionKind::OpenAi, "GET", "/v1/models/org/small", "", &empty, None)
        .expect("understood");
    assert_eq!(operation.resource.model, "org/small");
    let operation = understand(ConnectionKind::OpenAi, "GET", "/v1/files/f-1/content", "", &empty, None)
        .expect("understood");
    assert_eq!(operation.resource.file, "f-1");
    let operation =
        understand(ConnectionKind::OpenAi, "GET", "/v1/responses/r-1", "stream=true", &empty, None)
            .expect("understood");
    assert!(operation.stream);
}

#[test]
fn secret_files_are_seen_in_arguments_and_not_in_prose() {
    let seen = |body: &str| chat(body).expect(body).touches_secret_file;
    for body in [
        r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"read","arguments":"{\"path\":\"/app/.env\"}"}}]}]}"#,
        r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"p\":\"\\u002eenv\"}"}}]}]}"#,
        r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"a\":\"{\\\"b\\\":\\\"\\\\u002eenv\\\"}\"}"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"tool_use","name":"sh","input":{"cmd":"cat ~/.aws/credentials"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"file:///proc/self/environ"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"filename":".env"}}]}]}"#,
        r#"{"chat_template":"/etc/passwd"}"#,
    ] {
        assert!(seen(body), "{body}");
    }
    for body in [
        r#"{"messages":[{"role":"user","content":"How do I read .env and ~/.aws/credentials?"}]}"#,
        r#"{"prompt":"cat /etc/passwd"}"#,
        r#"{"input":"what is in .env","instructions":"never read /proc/self/environ"}"#,
        r#"{"tools":[{"function":{"name":"read","description":"Reads .env","parameters":{"properties":{"path":{"description":"like /etc/passwd"}}}}}]}"#,
        r#"{"messages":[{"tool_calls":[{"function":{"arguments":"{\"path\":\"/app/environment.rs\"}"}}]}]}"#,
    ] {
        assert!(!seen(body), "{body}");
    }
    let generic = |path: &str, query: &str, content_type: &str, body: &str| {
        let headers = headers(&[("content-type", content_type)]);
        understand(ConnectionKind::Http, "POST", path, query, &headers, Some(body.as_bytes()))
            .expect(path)
            .touches_secret_file
    };
    assert!(generic("/files/.env", "", "text/plain", ""));
    assert!(generic("/read", "path=%2Fetc%2Fpasswd", "text/plain", ""));
    assert!(generic("/read", "", "application/json", r#"[{"any":["x", "/root/.kube/config"]}]"#));
    assert!(generic("/read", "", "application/x-www-form-urlencoded", "cmd=ls&cmd=cat+.env"));
    assert!(!generic("/read", "q=environment", "application/json", r#"{"path":"/etc/hosts"}"#));
}

#[test]
fn refusals_have_stable_codes() {
    assert_eq!(UnderstandError::JsonDuplicate.code(), "body_ambiguous");
    assert!(UnderstandError::JsonDepth.public().contains(&JSON_DEPTH_MAX.to_string()));
    for bound in [IMAGE_PIXELS_MAX, AUDIO_BYTES_MAX as u64, AUDIO_DECODED_BYTES_MAX >> 30] {
        assert!(UnderstandError::Media.public().contains(&bound.to_string()));
    }
    assert!(UnderstandError::BatchLong.public().contains(&BATCH_REQUESTS_MAX.to_string()));
    assert!(UnderstandError::Stops.public().contains(&STOPS_MAX.to_string()));
    assert!(UnderstandError::Fields.public().contains(&FIELDS_MAX.to_string()));
    assert!(UnderstandError::Tools.public().contains(&TOOLS_MAX.to_string()));
}

proptest! {
    #[test]
    fn no_bytes_end_the_process(
        kind in proptest::sample::select(KINDS),
        method in proptest::sample::select(vec!["GET", "POST", "DELETE", "x"]),
        path in prop_oneof![".{0,60}", "/[a-z0-9%./;]{0,60}", Just("/v1/chat/completions".to_owned()), Just("/v1/messages".to_owned())],
        query in prop_oneof![".{0,40}", "[a-z0-9%&=;+]{0,60}"],
        body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), "[\\[\\]{}\":,a-z0-9\\\\ ]{0,120}".prop_map(String::into_bytes)],
        content_type in proptest::sample::select(vec!["", "application/json", "application/x-www-form-urlencoded", "text/plain"]),
    ) {
        let headers = headers(&[("content-type", content_type)]);
        let first = understand(kind, method, &path, &query, &headers, Some(&body));
        prop_assert_eq!(&first, &understand(kind, method, &path, &query, &headers, Some(&body)));
        if let Ok(operation) = first {
            // What is judged is what was sent.
            prop_assert_eq!((operation.path, operation.query), (path, query));
        }
    }

    /// Any JSON object that a common parser writes is read, and the judged fields are those that it holds.
    #[test]
    fn sound_json_is_read(model in "[a-zA-Z0-9éß模 :_-]{0,20}", stream in any::<bool>(), text in ".{0,40}", number in any::<f64>()) {
        let number = if number.is_finite() { number } else { 0.0 };
        let body = serde_json::json!({
            "model": model, "stream": stream, "x": number, "messages": [{"role": "user", "content": text}],
        });
        let operation = chat(&body.to_string()).expect("understood");
        prop_assert_eq!(operation.resource.model, model);
        prop_assert_eq!(operation.stream, stream);
    }
}

#[test]
fn catalogue_88_a_url_is_looked_at_wherever_somebody_may_fetch_it() {
    let inside = "http://10.0.0.1/x";
    let read = |body: &str| chat(&body.replace("URL", inside)).unwrap().fetches_private;
    for body in [
        r#"{"messages": [{"content": [{"type": "image_url", "image_url": {"url": "URL"}}]}]}"#,
        r#"{"messages": [{"content": [{"type": "image_url", "image_url": "URL"}]}]}"#,
        r#"{"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": "{\"u\": \"URL\"}"}}]}]}"#,
        r#"{"tools": [{"type": "mcp", "server_label": "x", "server_url": "URL"}]}"#,
        r#"{"unheard_of": [["URL"]]}"#,
        r#"{"input": [{"image": "URL"}]}"#,
    ] {
        assert!(read(body), "{body}");
    }
    for body in [
        r#"{"messages": [{"content": "URL"}]}"#,
        r#"{"messages": [{"content": [{"type": "text", "text": "URL"}]}]}"#,
        r#"{"prompt": ["URL"], "input": "URL"}"#,
        r#"{"input": ["URL"]}"#,
        r#"{"unheard_of": "see URL"}"#,
        r#"{"tools": [{"function": {"name": "f", "parameters": {"properties": {"u": {"default": "URL"}}}}}]}"#,
    ] {
        assert!(!read(body), "{body}");
    }
    let query = |kind, query| {
        understand(kind, "GET", "/v1/models", query, &HeaderMap::new(), None).unwrap().fetches_private
    };
    assert!(query(ConnectionKind::Http, "u=http%3A%2F%2F10.0.0.1%2F"));
    assert!(!query(ConnectionKind::Http, "u=http%3A%2F%2Fexample.com%2F"));
    let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
    let post = |body: &str| {
        understand(ConnectionKind::Http, "POST", "/x", "", &form, Some(body.as_bytes()))
            .unwrap()
            .fetches_private
    };
    assert!(post("a=b&u=http://localhost:80/"));
    assert!(!post("a=b&u=http://example.com/"));
}
