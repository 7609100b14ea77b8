//! The names at the top of a JSON body, and what is refused whoever asks: values that no model server means to take, and
//! that have ended or stalled some.
//!
//! Promise: a call that infers names a model, not a path or URL; its prompt, where it has one, is not empty; its numbers are
//! numbers within bounds; it stops at no more than [`STOPS_MAX`] texts. The bounds lie beyond what the real APIs take, so that
//! nothing is refused which they would do. Names beyond [`FIELDS_MAX`] are refused, so that a rule sees all of them:
//! *fails closed*.
//!
//! Exceptions: what is absent is left to the upstream; objects below the top are looked into where [`OPENED`] names them;
//! servers of the open inference protocol and `http` connections take fields of their own, which are not checked.

use std::collections::BTreeMap;
use std::fmt;

use keyward_core::{ConnectionKind, OperationClass};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::UnderstandError;
use super::json::Name;
use super::secret_files;

/// Most names of one body, those of opened objects included.
pub const FIELDS_MAX: usize = 256;
/// Longest name, in bytes.
pub(super) const FIELD_BYTES_MAX: usize = 256;
/// Most texts, tokens or words at which a call stops.
pub const STOPS_MAX: usize = 128;
/// Longest name of a model, in bytes.
pub(super) const MODEL_BYTES_MAX: usize = 512;

/// Objects whose members stand in the list as well, as `options.num_ctx`: where servers keep their parameters.
const OPENED: &[&str] = &["options", "parameters", "generationConfig", "generation_config"];

/// Most tokens that a call may ask for, or have room for.
const TOKENS_MAX: f64 = 10_000_000.0;
/// Most answers to one prompt.
const ANSWERS_MAX: f64 = 128.0;
/// Most alternatives that are listed for each token.
const ALTERNATIVES_MAX: f64 = 1000.0;
const ANY: (f64, f64) = (f64::MIN, f64::MAX);

/// Names that hold a number, and the least and greatest that passes.
const NUMBERS: &[(&str, (f64, f64))] = &[
    ("max_tokens", (0.0, TOKENS_MAX)),
    ("max_completion_tokens", (0.0, TOKENS_MAX)),
    ("max_output_tokens", (0.0, TOKENS_MAX)),
    ("maxOutputTokens", (0.0, TOKENS_MAX)),
    ("max_tokens_to_sample", (0.0, TOKENS_MAX)),
    ("max_new_tokens", (0.0, TOKENS_MAX)),
    ("min_tokens", (0.0, TOKENS_MAX)),
    // Ollama: -1 is without end, -2 until the context is full.
    ("num_predict", (-2.0, TOKENS_MAX)),
    ("num_ctx", (0.0, TOKENS_MAX)),
    ("n", (1.0, ANSWERS_MAX)),
    ("best_of", (1.0, ANSWERS_MAX)),
    ("candidateCount", (1.0, ANSWERS_MAX)),
    ("candidate_count", (1.0, ANSWERS_MAX)),
    ("logprobs", (0.0, ALTERNATIVES_MAX)),
    ("top_logprobs", (0.0, ALTERNATIVES_MAX)),
    ("prompt_logprobs", (0.0, ALTERNATIVES_MAX)),
    ("top_n_tokens", (0.0, ALTERNATIVES_MAX)),
    ("temperature", ANY),
    ("top_p", ANY),
    ("topP", ANY),
    ("top_k", ANY),
    ("topK", ANY),
    ("min_p", ANY),
    ("typical_p", ANY),
    ("presence_penalty", ANY),
    ("presencePenalty", ANY),
    ("frequency_penalty", ANY),
    ("frequencyPenalty", ANY),
    ("repetition_penalty", ANY),
    ("repeat_penalty", ANY),
    ("length_penalty", ANY),
    ("seed", ANY),
    ("dimensions", ANY),
    ("top_n", ANY),
];
/// Names of what ends an answer.
const STOPS: &[&str] = &["stop", "stop_sequences", "stopSequences", "stop_token_ids", "bad_words"];

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Null,
    Flag,
    Number(f64),
    Text {
        empty: bool,
        /// Protocol buffers may be written with numbers as text.
        number: Option<f64>,
    },
    List(usize),
    Object,
}

/// The names of a body, sorted, and what stands there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields(BTreeMap<String, Shape>);

impl Fields {
    /// Of an object that was read strictly before.
    pub(super) fn read(body: &[u8]) -> Result<Self, UnderstandError> {
        let mut fields = Self::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Value { prefix: Some(""), fields: &mut fields }.deserialize(&mut json);
        read.map_err(|_| UnderstandError::Fields)?;
        Ok(fields)
    }

    /// The names.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0.into_keys().collect()
    }

    /// Refuses what no server should be asked. `route` is the last part of the path, behind a colon where it has one.
    pub(super) fn check(
        &self,
        kind: ConnectionKind,
        route: &str,
        native: bool,
    ) -> Result<(), UnderstandError> {
        for (name, shape) in &self.0 {
            let last = name.rsplit('.').next().unwrap_or(name);
            if let Some((number, range)) = NUMBERS.iter().find(|(number, _)| *number == last) {
                check_number(kind, number, *range, *shape)?;
            }
            if STOPS.contains(&last) {
                match shape {
                    Shape::Null | Shape::Text { .. } => {}
                    Shape::List(length) if *length <= STOPS_MAX => {}
                    _ => return Err(UnderstandError::Stops),
                }
            }
        }
        self.check_prompt(route, native)
    }

    /// `native` is a route of Ollama's own, where an empty prompt loads a model.
    fn check_prompt(&self, route: &str, native: bool) -> Result<(), UnderstandError> {
        let given = |name: &str| self.0.get(name).is_some_and(|shape| !matches!(shape, Shape::Null));
        let name = match route {
            _ if native => return Ok(()),
            "completions" | "complete" if self.0.contains_key("messages") => "messages",
            "completions" | "complete" if !given("prompt_embeds") => "prompt",
            "messages" | "count_tokens" => "messages",
            "responses" if !["previous_response_id", "conversation", "prompt"].into_iter().any(given) => {
                "input"
            }
            "embeddings" | "embed" | "pooling" | "classify" | "moderations" if !given("messages") => "input",
            "generateContent" | "streamGenerateContent" => "contents",
            "batchEmbedContents" => "requests",
            "" | "generate" | "generate_stream" => "inputs",
            _ => return Ok(()),
        };
        match self.0.get(name) {
            Some(Shape::Null | Shape::List(0) | Shape::Text { empty: true, .. }) => {
                Err(UnderstandError::Prompt)
            }
            _ => Ok(()),
        }
    }
}

fn check_number(
    kind: ConnectionKind,
    name: &'static str,
    (least, most): (f64, f64),
    shape: Shape,
) -> Result<(), UnderstandError> {
    let number = match shape {
        Shape::Null => return Ok(()),
        // Chat asks for log probabilities with a flag and completions with a number.
        Shape::Flag if name == "logprobs" => return Ok(()),
        Shape::Number(number) => Some(number),
        Shape::Text { number, .. } if kind == ConnectionKind::Gemini => number,
        _ => None,
    };
    // vLLM: -1 is the whole vocabulary, where its operator lets it be.
    let all = kind == ConnectionKind::Vllm && name.ends_with("logprobs") && number == Some(-1.0);
    match number {
        Some(number) if all || (least..=most).contains(&number) => Ok(()),
        _ => Err(UnderstandError::Number(name)),
    }
}

/// Whether calls of a class ask a model for something.
pub(super) const fn infers(class: OperationClass) -> bool {
    matches!(
        class,
        OperationClass::ChatCompletions
            | OperationClass::Responses
            | OperationClass::Embeddings
            | OperationClass::Rerank
            | OperationClass::Images
            | OperationClass::Audio
            | OperationClass::Moderations
            | OperationClass::ModelInfer
    )
}

/// Whether a kind's calls that infer have the fields of [`NUMBERS`], and models with names.
pub(super) const fn is_checked(kind: ConnectionKind) -> bool {
    matches!(
        kind,
        ConnectionKind::OpenAi
            | ConnectionKind::Anthropic
            | ConnectionKind::Gemini
            | ConnectionKind::Vllm
            | ConnectionKind::Tgi
            | ConnectionKind::Ollama
    )
}

/// Refuses the name of a model that is a path or URL, or climbs. `org/name`, `name:tag` and `host:port/name` are names.
pub(super) fn check_model(model: &str) -> Result<(), UnderstandError> {
    let sound = model.len() <= MODEL_BYTES_MAX
        && !model.contains('\\')
        && !model.chars().any(char::is_control)
        && !secret_files::any_reading(model, &is_path);
    if sound { Ok(()) } else { Err(UnderstandError::Model) }
}

/// A reading of a name in lower case, escapes taken off.
fn is_path(name: &str) -> bool {
    let name = name.trim();
    let drive = matches!(name.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    name.starts_with(['/', '~'])
        || name.contains("://")
        || name.starts_with("file:")
        || name.contains('\0')
        || drive
        || name.split('/').any(|part| matches!(part.trim(), "." | ".."))
}

/// A value; its members are named where it has a prefix.
struct Value<'f> {
    prefix: Option<&'f str>,
    fields: &'f mut Fields,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Shape;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Flag)
    }
    #[expect(clippy::cast_precision_loss, reason = "bounds are far below where it begins")]
    fn visit_i64<E>(self, number: i64) -> Result<Shape, E> {
        Ok(Shape::Number(number as f64))
    }
    #[expect(clippy::cast_precision_loss, reason = "bounds are far below where it begins")]
    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(Shape::Number(number as f64))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Shape, E> {
        Ok(Shape::Number(number))
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }
    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        let number = if text.len() <= 32 { text.parse().ok().filter(|n: &f64| n.is_finite()) } else { None };
        Ok(Shape::Text { empty: text.is_empty(), number })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut length = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(Shape::List(length))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let Some(prefix) = self.prefix else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Shape::Object);
        };
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let below = (prefix.is_empty() && OPENED.contains(&&*name)).then(|| format!("{name}."));
            let full = format!("{prefix}{name}");
            let shape = map.next_value_seed(Value { prefix: below.as_deref(), fields: &mut *self.fields })?;
            self.fields.0.insert(full, shape);
            if self.fields.0.len() > FIELDS_MAX || name.len() > FIELD_BYTES_MAX {
                return Err(serde::de::Error::custom("too many names, or too long a one"));
            }
        }
        Ok(Shape::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ConnectionKind, route: &str, body: &str) -> Result<(), UnderstandError> {
        Fields::read(body.as_bytes())?.check(kind, route, false)
    }

    #[test]
    fn names_are_sorted_bounded_and_opened_where_parameters_stand() {
        let body = r#"{"b": 1, "a": {"x": 1}, "options": {"num_ctx": 1, "deep": {"y": 1}}}"#;
        let names = Fields::read(body.as_bytes()).unwrap().into_names();
        assert_eq!(names, ["a", "b", "options", "options.deep", "options.num_ctx"]);
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("\"{n}\": 0")).collect();
            Fields::read(format!("{{{}}}", names.join(",")).as_bytes())
                .map(|fields| fields.into_names().len())
        };
        assert_eq!(many(FIELDS_MAX), Ok(FIELDS_MAX));
        assert_eq!(many(FIELDS_MAX + 1), Err(UnderstandError::Fields));
        let long =
            |length: usize| Fields::read(format!("{{\"{}\": 0}}", "a".repeat(length)).as_bytes()).is_ok();
        assert!(long(FIELD_BYTES_MAX) && !long(FIELD_BYTES_MAX + 1));
    }

    #[test]
    fn catalogue_92_numbers_have_bounds() {
        use ConnectionKind::{Anthropic, Gemini, Ollama, OpenAi, Tgi, Vllm};
        for (kind, body, bad) in [
            (OpenAi, r#"{"max_tokens": -1}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_tokens": 10000001}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_tokens": 10000000}"#, None),
            (OpenAi, r#"{"max_tokens": "9"}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_tokens": true}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_tokens": [1]}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_tokens": 1e300}"#, Some("max_tokens")),
            (OpenAi, r#"{"max_completion_tokens": -9223372036854775808}"#, Some("max_completion_tokens")),
            (
                OpenAi,
                r#"{"max_tokens": null, "n": null, "seed": null, "temperature": null, "logprobs": null}"#,
                None,
            ),
            (OpenAi, r#"{"n": 0}"#, Some("n")),
            (OpenAi, r#"{"n": 129}"#, Some("n")),
            (OpenAi, r#"{"n": 128, "best_of": 128}"#, None),
            (OpenAi, r#"{"best_of": 1000000}"#, Some("best_of")),
            (OpenAi, r#"{"logprobs": true, "top_logprobs": 20}"#, None),
            (OpenAi, r#"{"logprobs": 5}"#, None),
            (OpenAi, r#"{"top_logprobs": -1}"#, Some("top_logprobs")),
            (OpenAi, r#"{"top_logprobs": 1001}"#, Some("top_logprobs")),
            (OpenAi, r#"{"temperature": "hot"}"#, Some("temperature")),
            (OpenAi, r#"{"seed": -5, "temperature": 0, "top_p": 1}"#, None),
            (OpenAi, r#"{"metadata": {"n": "x"}, "user": "9"}"#, None),
            (Vllm, r#"{"prompt_logprobs": -1, "logprobs": -1, "top_k": -1}"#, None),
            (Vllm, r#"{"prompt_logprobs": -2}"#, Some("prompt_logprobs")),
            (Anthropic, r#"{"max_tokens": 0, "top_k": 5}"#, None),
            (Anthropic, r#"{"max_tokens": -5}"#, Some("max_tokens")),
            (Gemini, r#"{"generationConfig": {"maxOutputTokens": "100", "topK": 40.0}}"#, None),
            (Gemini, r#"{"generationConfig": {"maxOutputTokens": -1}}"#, Some("maxOutputTokens")),
            (Gemini, r#"{"generation_config": {"candidate_count": "1000"}}"#, Some("candidate_count")),
            (Gemini, r#"{"generationConfig": {"maxOutputTokens": "many"}}"#, Some("maxOutputTokens")),
            (Ollama, r#"{"options": {"num_predict": -1, "num_ctx": 8192, "stop": ["a"]}}"#, None),
            (Ollama, r#"{"options": {"num_predict": -2}}"#, None),
            (Ollama, r#"{"options": {"num_predict": -3}}"#, Some("num_predict")),
            (Ollama, r#"{"options": {"num_ctx": 1000000000}}"#, Some("num_ctx")),
            (Tgi, r#"{"parameters": {"max_new_tokens": 20, "best_of": 2, "seed": 1}}"#, None),
            (Tgi, r#"{"parameters": {"max_new_tokens": -20}}"#, Some("max_new_tokens")),
        ] {
            assert_eq!(
                check(kind, "x", body),
                bad.map_or(Ok(()), |name| Err(UnderstandError::Number(name))),
                "{body}"
            );
        }
    }

    #[test]
    fn catalogue_92_stops_are_few() {
        let list = |count: usize| format!("[{}]", vec!["\"x\""; count].join(","));
        for name in ["stop", "stop_sequences", "stop_token_ids", "options.stop"] {
            let body = |value: &str| match name.split_once('.') {
                Some((outer, inner)) => format!("{{\"{outer}\": {{\"{inner}\": {value}}}}}"),
                None => format!("{{\"{name}\": {value}}}"),
            };
            for fine in ["null", "\"x\"", "[]", &list(STOPS_MAX)] {
                assert_eq!(check(ConnectionKind::OpenAi, "x", &body(fine)), Ok(()), "{name} {fine}");
            }
            for bad in ["1", "true", "{}", &list(STOPS_MAX + 1), &list(100_000)] {
                assert_eq!(
                    check(ConnectionKind::OpenAi, "x", &body(bad)),
                    Err(UnderstandError::Stops),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn catalogue_92_a_prompt_is_not_empty_where_one_is_needed() {
        for (route, name) in [
            ("completions", "prompt"),
            ("completions", "messages"),
            ("complete", "prompt"),
            ("messages", "messages"),
            ("count_tokens", "messages"),
            ("responses", "input"),
            ("embeddings", "input"),
            ("pooling", "input"),
            ("generateContent", "contents"),
            ("streamGenerateContent", "contents"),
            ("batchEmbedContents", "requests"),
            ("generate", "inputs"),
            ("", "inputs"),
        ] {
            for empty in ["null", "\"\"", "[]"] {
                let body = format!("{{\"{name}\": {empty}}}");
                assert_eq!(
                    check(ConnectionKind::OpenAi, route, &body),
                    Err(UnderstandError::Prompt),
                    "{route} {body}"
                );
                assert_eq!(
                    Fields::read(body.as_bytes()).unwrap().check(ConnectionKind::Ollama, route, true),
                    Ok(())
                );
            }
            for fine in ["\"x\"", "[{}]", "[[1, 2]]", "{\"parts\": []}"] {
                assert_eq!(
                    check(ConnectionKind::OpenAi, route, &format!("{{\"{name}\": {fine}}}")),
                    Ok(()),
                    "{route}"
                );
            }
            assert_eq!(check(ConnectionKind::OpenAi, route, "{}"), Ok(()), "{route}");
        }
        for (route, body) in [
            ("responses", r#"{"input": [], "previous_response_id": "r"}"#),
            ("responses", r#"{"input": null, "prompt": {"id": "p"}}"#),
            ("completions", r#"{"prompt": null, "prompt_embeds": "x"}"#),
            ("embeddings", r#"{"input": null, "messages": [{}]}"#),
            ("tokenize", r#"{"prompt": ""}"#),
            ("countTokens", r#"{"contents": []}"#),
        ] {
            assert_eq!(check(ConnectionKind::Vllm, route, body), Ok(()), "{route} {body}");
        }
        assert_eq!(
            check(ConnectionKind::OpenAi, "responses", r#"{"input": null, "previous_response_id": null}"#),
            Err(UnderstandError::Prompt)
        );
    }

    #[test]
    fn catalogue_89_a_model_is_a_name() {
        for name in [
            "",
            "gpt-5",
            "org/name",
            "Qwen/Qwen3-0.6B",
            "llama3:8b",
            "hf.co/org/repo:Q4_K_M",
            "registry.example.com:5000/library/x:latest",
            "ft:gpt-4o-mini:org::id",
            "models/gemini-3-pro",
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            "v1.2..3",
            "name@sha256:abc",
            "a b",
            "accounts/x/models/y",
            "openai/gpt-5:online",
            "C:x",
            "模型",
        ] {
            assert_eq!(check_model(name), Ok(()), "{name}");
        }
        for name in [
            "../x",
            "a/../../x",
            "/etc/model",
            "a\\b",
            "..\\x",
            "file:/x",
            "FILE:///x",
            "http://evil.example/m",
            "https://x/y",
            "hf://org/m",
            "s3://b/k",
            "a\0b",
            "a\nb",
            "~/models/x",
            "./x",
            "a/./b",
            "C:/x",
            "..%2f..%2fx",
            "%2e%2e/x",
            "%252e%252e/x",
            "．．/x",
            "..／x",
            " /x",
            "a/ ../x",
            "x/..",
        ] {
            assert_eq!(check_model(name), Err(UnderstandError::Model), "{name}");
        }
        assert_eq!(check_model(&"a".repeat(MODEL_BYTES_MAX)), Ok(()));
        assert_eq!(check_model(&"a".repeat(MODEL_BYTES_MAX + 1)), Err(UnderstandError::Model));
    }
}
