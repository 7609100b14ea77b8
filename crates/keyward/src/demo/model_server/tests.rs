use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::*;

/// Sends a request; gives status and body.
pub(in crate::demo) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, Vec<u8>) {
    let (status, _, body) = exchange(method, url, headers, body).await;
    (status, body)
}

pub(in crate::demo) async fn get(url: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>) {
    send("GET", url, headers, String::new()).await
}

async fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, Vec<u8>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    #[expect(clippy::disallowed_methods, reason = "the body is limited")]
    let body = Limited::new(body, 1 << 20).collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, body.to_vec())
}

async fn ask(server: &ModelServer, path: &str, body: Value) -> (u16, HeaderMap, Vec<u8>) {
    let bearer = format!("Bearer {}", server.openai_key());
    let credential = match path {
        "/v1/messages" => ("x-api-key", server.anthropic_key()),
        _ => ("authorization", bearer.as_str()),
    };
    let url = format!("{}{path}", server.url());
    exchange("POST", &url, &[credential, ("content-type", "application/json")], body.to_string()).await
}

/// The `data:` lines that hold JSON.
fn data(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn said(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[tokio::test]
async fn only_the_injected_key_alone_is_taken() {
    let server = ModelServer::start().await.unwrap();
    let url = format!("{}/v1/models", server.url());
    let (bearer, other) = (format!("Bearer {}", server.openai_key()), "Bearer a-callers-token");
    for (headers, status) in [
        (vec![("authorization", bearer.as_str())], 200),
        (vec![("x-api-key", server.anthropic_key())], 200),
        (vec![("authorization", other)], 401),
        (vec![], 401),
        (vec![("authorization", bearer.as_str()), ("api-key", "a-callers-token")], 401),
        (vec![("x-api-key", server.openai_key())], 401),
    ] {
        assert_eq!(get(&url, &headers).await.0, status, "{}", headers.len());
    }
    let (_, body) = get(&url, &[("x-api-key", "wrong")]).await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["type"], "authentication_error");
    assert_eq!(server.seen(), Seen { requests: 2, exports: 0, refused: 5 });
}

#[tokio::test]
async fn a_stream_says_what_the_plain_answer_says_and_leaks_in_pieces() {
    let server = ModelServer::start().await.unwrap();
    let secret = server.leaks().aws_secret_access_key.clone();
    let prompt = user("show me the AWS keys");
    for (path, request, plain, delta) in [
        (
            "/v1/chat/completions",
            json!({"model": "demo-chat", "messages": prompt}),
            "/choices/0/message/content",
            "/choices/0/delta/content",
        ),
        (
            "/v1/responses",
            json!({"model": "demo-chat", "input": prompt}),
            "/output/0/content/0/text",
            "/delta",
        ),
        (
            "/v1/messages",
            json!({"model": "demo-chat", "max_tokens": 100, "messages": prompt}),
            "/content/0/text",
            "/delta/text",
        ),
    ] {
        let (status, headers, body) = ask(&server, path, request.clone()).await;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let text = answer.pointer(plain).unwrap().as_str().unwrap();
        assert!(status == 200 && text.contains(&secret), "{path}");
        assert!(headers.contains_key(ECHO_HEADER));
        let mut streamed = request;
        streamed["stream"] = true.into();
        let (_, headers, body) = ask(&server, path, streamed).await;
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let events = data(&body);
        assert_eq!(said(&events, delta), text, "{path}");
        let whole = events
            .iter()
            .filter_map(|event| event.pointer(delta)?.as_str())
            .any(|piece| piece.contains(&secret));
        assert!(!whole && events.len() > 20, "{path}");
    }
}

#[tokio::test]
async fn a_tool_call_leaks_in_its_arguments() {
    let server = ModelServer::start().await.unwrap();
    let token = server.leaks().github_token.clone();
    let messages = user("deploy it");
    for (path, request, delta) in [
        (
            "/v1/chat/completions",
            json!({"messages": messages, "stream": true}),
            "/choices/0/delta/tool_calls/0/function/arguments",
        ),
        ("/v1/responses", json!({"input": messages, "stream": true}), "/delta"),
        (
            "/v1/messages",
            json!({"max_tokens": 9, "messages": messages, "stream": true}),
            "/delta/partial_json",
        ),
    ] {
        let (_, _, body) = ask(&server, path, request).await;
        let arguments: Value = serde_json::from_str(&said(&data(&body), delta)).unwrap();
        assert_eq!(arguments["token"], token.as_str(), "{path}");
    }
    let answered =
        json!({"messages": [{"role": "user", "content": "deploy it"}, {"role": "tool", "content": "ok"}]});
    let (_, _, body) = ask(&server, "/v1/chat/completions", answered).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn the_key_is_echoed_in_body_and_error() {
    let server = ModelServer::start().await.unwrap();
    let (status, _, body) = ask(&server, "/v1/chat/completions", json!({"messages": user("echo")})).await;
    assert!(status == 200 && String::from_utf8(body).unwrap().contains(server.openai_key()));
    let failing = json!({"model": "demo-error", "max_tokens": 1, "messages": user("hi")});
    let (status, headers, body) = ask(&server, "/v1/messages", failing).await;
    assert!(status == 500 && String::from_utf8(body).unwrap().contains(server.anthropic_key()));
    assert_eq!(headers[ECHO_HEADER], server.anthropic_key());
}

#[tokio::test]
async fn weights_and_embeddings_are_known_beforehand() {
    let server = ModelServer::start().await.unwrap();
    let bearer = format!("Bearer {}", server.openai_key());
    let url = format!("{}/v1/models/demo-chat/weights", server.url());
    let (status, body) = get(&url, &[("authorization", &bearer)]).await;
    assert_eq!((status, body.len()), (200, WEIGHTS_BYTES));
    assert_eq!(Some(body), weights("demo-chat"));
    assert_eq!(get(&url.replace("demo-chat", "none"), &[("authorization", &bearer)]).await.0, 404);
    assert_eq!(server.seen().exports, 1);
    let request = json!({"model": "demo-embed", "input": ["a", "b"], "dimensions": 8});
    let (_, _, body) = ask(&server, "/v1/embeddings", request).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["data"][1]["embedding"].as_array().unwrap().len(), 8);
    assert_ne!(answer["data"][0]["embedding"], answer["data"][1]["embedding"]);
}
