//! A small HTTP client for the demo's own story: loopback, plain HTTP, bounded answers.

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::exit::{Exit, Failure};

/// Longest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Calls one base address with one token.
#[derive(Clone)]
pub struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    base: String,
    token: String,
}

/// An answer, read to its end.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of `base` (`http://127.0.0.1:8700/openai`).
    pub fn new(base: impl Into<String>, token: &str) -> Self {
        Self {
            http: Http::builder(TokioExecutor::new()).build_http(),
            base: base.into(),
            token: token.to_owned(),
        }
    }

    /// Sends a request with the token as bearer; `headers` are added.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, Failure> {
        let unreachable =
            |what: &str| Failure::new(Exit::ServerUnreachable, format!("{}{path}: {what}", self.base), "");
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| unreachable("not a header"))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        let request = request.body(Full::new(bytes)).map_err(|_| unreachable("not a request"))?;
        let response = self.http.request(request).await.map_err(|_| unreachable("no answer"))?;
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| unreachable("the answer broke off"))?;
            if let Some(data) = frame.data_ref() {
                if body.len() + data.len() > ANSWER_BYTES_MAX {
                    return Err(unreachable("the answer is too long"));
                }
                body.extend_from_slice(data);
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, text, body })
    }

    /// `GET` of a JSON document.
    pub async fn get_json(&self, path: &str) -> Result<serde_json::Value, Failure> {
        let answer = self.send(Method::GET, path, &[], None).await?;
        if answer.status != 200 {
            return Err(Failure::error(format!("{path} answered {}: {}", answer.status, answer.text), ""));
        }
        serde_json::from_str(&answer.text)
            .map_err(|_| Failure::error(format!("{path} did not answer JSON"), ""))
    }
}

impl Answer {
    /// A header's value; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
