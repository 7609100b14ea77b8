//! Requests and programs to begin with. None holds a token; none puts one where other users of the machine could see it.

use super::super::variables::{Reader, openai_url};
use super::{Advice, quoted};

/// A request with curl; the token goes in by its input, as arguments are for everybody to see.
pub(super) fn curl(advice: &Advice) -> String {
    let endpoint = &advice.endpoint;
    let ask = r#"{"model": "MODEL", "messages": [{"role": "user", "content": "hello"}]}"#;
    let (url, more, body) = match (Reader::of(&endpoint.kind), endpoint.kind.as_str()) {
        (Some(Reader::OpenAi), _) => (format!("{}/chat/completions", openai_url(endpoint)), None, ask),
        (Some(Reader::Anthropic), _) => (
            format!("{}/v1/messages", endpoint.url),
            Some("anthropic-version: 2023-06-01"),
            r#"{"model": "MODEL", "max_tokens": 256, "messages": [{"role": "user", "content": "hello"}]}"#,
        ),
        (Some(Reader::Gemini), _) => (
            format!("{}/v1beta/models/MODEL:generateContent", endpoint.url),
            None,
            r#"{"contents": [{"parts": [{"text": "hello"}]}]}"#,
        ),
        (Some(Reader::Ollama), _) => (format!("{}/api/chat", endpoint.url), None, ask),
        (_, "kserve-v2") => (format!("{}/v2/models/MODEL", endpoint.url), None, ""),
        _ => (format!("{}/", endpoint.url), None, ""),
    };
    let mut text = format!(
        "printf 'authorization: Bearer %s' \"$({})\" | curl {} -H @-",
        advice.token_command(),
        quoted(&url)
    );
    if let Some(header) = more {
        text = format!("{text} \\\n  -H {}", quoted(header));
    }
    if !body.is_empty() {
        text = format!("{text} \\\n  -H 'content-type: application/json' \\\n  -d {}", quoted(body));
    }
    text + "\n"
}

/// The beginning of a Python program.
pub(super) fn python(advice: &Advice) -> String {
    let endpoint = &advice.endpoint;
    let (import, client) = match Reader::of(&endpoint.kind) {
        Some(Reader::Anthropic) => (
            "import anthropic",
            format!("anthropic.Anthropic(base_url={}, api_key=token)", json(&endpoint.url)),
        ),
        Some(Reader::Gemini) => (
            "from google import genai",
            format!("genai.Client(api_key=token, http_options={{\"base_url\": {}}})", json(&endpoint.url)),
        ),
        Some(Reader::Ollama) => (
            "import ollama",
            format!(
                "ollama.Client(host={}, headers={{\"authorization\": f\"Bearer {{token}}\"}})",
                json(&endpoint.url)
            ),
        ),
        _ => (
            "import openai",
            format!("openai.OpenAI(base_url={}, api_key=token)", json(&openai_url(endpoint))),
        ),
    };
    format!(
        "import subprocess\n\n{import}\n\ntoken = subprocess.check_output({}, text=True).strip()\nclient = {client}\n",
        words(&advice.token)
    )
}

/// The beginning of a JavaScript program.
pub(super) fn node(advice: &Advice) -> String {
    let endpoint = &advice.endpoint;
    let url = json(&endpoint.url);
    let (import, client) = match Reader::of(&endpoint.kind) {
        Some(Reader::Anthropic) => (
            "import Anthropic from \"@anthropic-ai/sdk\";",
            format!("new Anthropic({{ baseURL: {url}, apiKey: token }})"),
        ),
        Some(Reader::Gemini) => (
            "import { GoogleGenAI } from \"@google/genai\";",
            format!("new GoogleGenAI({{ apiKey: token, httpOptions: {{ baseUrl: {url} }} }})"),
        ),
        Some(Reader::Ollama) => (
            "import { Ollama } from \"ollama\";",
            format!("new Ollama({{ host: {url}, headers: {{ authorization: `Bearer ${{token}}` }} }})"),
        ),
        _ => (
            "import OpenAI from \"openai\";",
            format!("new OpenAI({{ baseURL: {}, apiKey: token }})", json(&openai_url(endpoint))),
        ),
    };
    let (program, arguments) = advice.token.split_at(1.min(advice.token.len()));
    let program = json(program.first().map_or("", String::as_str));
    format!(
        "import {{ execFileSync }} from \"node:child_process\";\n{import}\n\nconst token = execFileSync({program}, {}, \
         {{ encoding: \"utf8\" }}).trim();\nconst client = {client};\n",
        words(arguments)
    )
}

/// A text as JSON, Python and JavaScript write it.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn words(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| json(word)).collect();
    format!("[{}]", words.join(", "))
}
