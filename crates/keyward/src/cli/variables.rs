//! What usual clients read from their environment to find an API and its key.

use std::collections::HashMap;

use super::endpoints::Endpoint;
use crate::exit::Failure;

/// Clients that read the same variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    /// The OpenAI SDKs, and what is built on them.
    OpenAi,
    /// The Anthropic SDKs and Claude Code.
    Anthropic,
    /// Tools that read `ANTHROPIC_API_KEY` alone.
    AnthropicKey,
    /// Google's SDKs for Gemini, and its command.
    Gemini,
    /// Ollama's libraries.
    Ollama,
    /// `MLflow`.
    Mlflow,
}

/// What a variable is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// This text.
    Text(String),
    /// A token for the connection.
    Token,
}

impl Reader {
    const ALL: [Self; 6] =
        [Self::OpenAi, Self::Anthropic, Self::AnthropicKey, Self::Gemini, Self::Ollama, Self::Mlflow];

    /// The word in `--as`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::AnthropicKey => "anthropic-key",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Mlflow => "mlflow",
        }
    }

    /// Whose clients a connection of this kind serves; those of kind `http` and `kserve-v2` have no usual variables.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "openai" | "vllm" | "tgi" => Some(Self::OpenAi),
            "anthropic" => Some(Self::Anthropic),
            "gemini" => Some(Self::Gemini),
            "ollama" => Some(Self::Ollama),
            "mlflow" => Some(Self::Mlflow),
            _ => None,
        }
    }

    /// The variables that lead to a connection.
    pub(super) fn variables(self, endpoint: &Endpoint) -> Vec<(&'static str, Setting)> {
        let url = Setting::Text(endpoint.url.clone());
        match self {
            Self::OpenAi => {
                let url = Setting::Text(openai_url(endpoint));
                vec![
                    ("OPENAI_BASE_URL", url.clone()),
                    ("OPENAI_API_BASE", url),
                    ("OPENAI_API_KEY", Setting::Token),
                ]
            }
            Self::Anthropic => vec![("ANTHROPIC_BASE_URL", url), ("ANTHROPIC_AUTH_TOKEN", Setting::Token)],
            Self::AnthropicKey => vec![("ANTHROPIC_BASE_URL", url), ("ANTHROPIC_API_KEY", Setting::Token)],
            Self::Gemini => vec![("GOOGLE_GEMINI_BASE_URL", url), ("GEMINI_API_KEY", Setting::Token)],
            Self::Ollama => vec![("OLLAMA_HOST", url), ("OLLAMA_API_KEY", Setting::Token)],
            Self::Mlflow => vec![("MLFLOW_TRACKING_URI", url), ("MLFLOW_TRACKING_TOKEN", Setting::Token)],
        }
    }

    /// Variables that would win over those, or would say something about another account.
    pub(super) const fn conflicting(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &["OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"],
            Self::Anthropic => &["ANTHROPIC_API_KEY"],
            Self::AnthropicKey => &["ANTHROPIC_AUTH_TOKEN"],
            Self::Gemini => &["GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"],
            Self::Ollama => &[],
            Self::Mlflow => &["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"],
        }
    }
}

/// The base URL of the OpenAI SDKs, which holds the version.
pub(super) fn openai_url(endpoint: &Endpoint) -> String {
    if endpoint.versioned { endpoint.url.clone() } else { format!("{}/v1", endpoint.url) }
}

/// Which connection each kind of client is led to.
pub(super) type Choice = Vec<(Reader, Endpoint)>;

/// Leads each kind of client to its one connection, as `--as READER=CONNECTION` says or as the kinds say.
pub(super) fn choose(endpoints: &[Endpoint], wishes: &[String]) -> Result<Choice, Failure> {
    let mut choice: Choice = Vec::new();
    for wish in wishes {
        let (reader, endpoint) = wished(wish, endpoints)?;
        if choice.iter().any(|(taken, _)| base_of(*taken) == base_of(reader)) {
            return Err(Failure::usage(
                format!("`{}` is given two connections", base_of(reader).word()),
                "name one for each --as",
            ));
        }
        choice.push((reader, endpoint.clone()));
    }
    for reader in Reader::ALL {
        if choice.iter().any(|(taken, _)| base_of(*taken) == base_of(reader)) {
            continue;
        }
        let mut fitting = endpoints.iter().filter(|endpoint| Reader::of(&endpoint.kind) == Some(reader));
        match (fitting.next(), fitting.next()) {
            (Some(first), Some(second)) => {
                return Err(Failure::usage(
                    format!(
                        "`{}` and `{}` both serve {} clients, which read one address",
                        first.name,
                        second.name,
                        reader.word()
                    ),
                    format!("choose with --as {}={}, or name one of them alone", reader.word(), first.name),
                ));
            }
            (Some(endpoint), None) => choice.push((reader, endpoint.clone())),
            _ => {}
        }
    }
    Ok(choice)
}

/// The reader whose address this one reads.
const fn base_of(reader: Reader) -> Reader {
    match reader {
        Reader::AnthropicKey => Reader::Anthropic,
        other => other,
    }
}

fn wished<'e>(wish: &str, endpoints: &'e [Endpoint]) -> Result<(Reader, &'e Endpoint), Failure> {
    let words = Reader::ALL.map(Reader::word).join(", ");
    let (word, name) = wish.split_once('=').ok_or_else(|| {
        Failure::usage(format!("`--as {wish}` names no connection"), "such as --as openai=models")
    })?;
    let reader = Reader::ALL.into_iter().find(|reader| reader.word() == word).ok_or_else(|| {
        Failure::usage(format!("`--as {wish}`: no clients are called `{word}`"), format!("one of {words}"))
    })?;
    let endpoint = endpoints.iter().find(|endpoint| endpoint.name == name).ok_or_else(|| {
        Failure::usage(
            format!("`--as {wish}`: `{name}` is not among the connections"),
            "name it before `--`, too",
        )
    })?;
    Ok((reader, endpoint))
}

/// The variables of Keyward's own, for every connection.
pub(super) fn own(endpoints: &[Endpoint]) -> Result<Vec<(String, Setting)>, Failure> {
    let mut names: HashMap<String, &str> = HashMap::new();
    let mut variables = Vec::new();
    for endpoint in endpoints {
        let name = endpoint.name.to_ascii_uppercase().replace('-', "_");
        if let Some(other) = names.insert(name.clone(), &endpoint.name) {
            return Err(Failure::usage(
                format!("`{other}` and `{}` have the same variables", endpoint.name),
                "name one of them alone",
            ));
        }
        variables.push((format!("KEYWARD_{name}_URL"), Setting::Text(endpoint.url.clone())));
        variables.push((format!("KEYWARD_{name}_TOKEN"), Setting::Token));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, kind: &str) -> Endpoint {
        let url = format!("http://127.0.0.1:8700/{name}");
        Endpoint { name: name.to_owned(), kind: kind.to_owned(), url, versioned: false }
    }

    fn chosen(endpoints: &[Endpoint], wishes: &[&str]) -> Result<Vec<(Reader, String)>, String> {
        let wishes: Vec<String> = wishes.iter().map(|wish| (*wish).to_owned()).collect();
        match choose(endpoints, &wishes) {
            Ok(choice) => Ok(choice.into_iter().map(|(reader, endpoint)| (reader, endpoint.name)).collect()),
            Err(failure) => Err(format!("{} | {}", failure.message, failure.help)),
        }
    }

    #[test]
    fn each_client_is_led_to_one_connection() {
        let all = [endpoint("a", "openai"), endpoint("b", "anthropic"), endpoint("c", "http")];
        let expected = vec![(Reader::OpenAi, "a".to_owned()), (Reader::Anthropic, "b".to_owned())];
        assert_eq!(chosen(&all, &[]), Ok(expected));
        let expected = vec![(Reader::AnthropicKey, "c".to_owned()), (Reader::OpenAi, "a".to_owned())];
        assert_eq!(chosen(&all, &["anthropic-key=c"]), Ok(expected));
        let two = [endpoint("a", "openai"), endpoint("b", "vllm")];
        assert!(chosen(&two, &[]).unwrap_err().contains("--as openai=a"));
        assert_eq!(chosen(&two, &["openai=b"]), Ok(vec![(Reader::OpenAi, "b".to_owned())]));
        for bad in ["openai", "opnai=a", "openai=z", "="] {
            assert!(chosen(&two, &[bad]).is_err(), "{bad}");
        }
        assert!(chosen(&all, &["anthropic=b", "anthropic-key=c"]).is_err());
    }

    #[test]
    fn the_version_stands_in_an_address_once() {
        let mut versioned = endpoint("a", "openai");
        assert_eq!(openai_url(&versioned), "http://127.0.0.1:8700/a/v1");
        versioned.versioned = true;
        assert_eq!(openai_url(&versioned), "http://127.0.0.1:8700/a");
    }

    #[test]
    fn own_variables_do_not_collide() {
        let names =
            |all: &[Endpoint]| own(all).map(|all| all.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        assert_eq!(
            names(&[endpoint("my-models", "http")]).unwrap(),
            ["KEYWARD_MY_MODELS_URL", "KEYWARD_MY_MODELS_TOKEN"]
        );
        assert!(names(&[endpoint("a-b", "http"), endpoint("a_b", "http")]).is_err());
    }
}
