//! `keyward setup`: what to set so that a tool calls through the gateway.
//!
//! Promise: nothing that is printed or written holds a token; it says how one is made when it is needed. A file that is
//! there already keeps everything that is not about this, and a copy of it stays beside it. Exceptions: none.

mod claude_code;
mod snippets;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::client::{Client, Remote};
use super::endpoints::{self, DataUrl, Endpoint};
use super::variables::{Reader, Setting};
use super::{Session, prompt};
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  eval \"$(keyward setup openai)\"            set the variables of this shell
  keyward setup claude-code                 what to put into its settings
  keyward setup claude-code --write         put it there, with a copy of what was there before
  keyward setup python models > client.py   a client to begin with")]
pub(super) struct SetupArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    data_url: DataUrl,
    /// The tool
    #[arg(value_enum)]
    tool: Tool,
    /// The connection that it is to call; not needed where one alone fits
    connection: Option<String>,
    /// Change the tool's own settings file (claude-code)
    #[arg(long)]
    write: bool,
    /// Do not ask before writing
    #[arg(long, requires = "write")]
    yes: bool,
}

/// What can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Variables for clients of the OpenAI API, vLLM and TGI
    Openai,
    /// Variables for clients of the Anthropic API
    Anthropic,
    /// Claude Code's settings file
    ClaudeCode,
    /// Variables for Google's Gemini SDKs and command
    Gemini,
    /// Variables for Ollama's libraries; the command `ollama` sends no token and cannot be used
    Ollama,
    /// Variables for MLflow's client
    Mlflow,
    /// A request with curl
    Curl,
    /// The beginning of a Python program
    Python,
    /// The beginning of a JavaScript program for Node
    Node,
}

impl Tool {
    /// The word on the command line.
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it can call a connection that serves these readers.
    const fn fits(self, reader: Option<Reader>) -> bool {
        match self {
            Self::Openai => matches!(reader, Some(Reader::OpenAi)),
            Self::Anthropic | Self::ClaudeCode => matches!(reader, Some(Reader::Anthropic)),
            Self::Gemini => matches!(reader, Some(Reader::Gemini)),
            Self::Ollama => matches!(reader, Some(Reader::Ollama)),
            Self::Mlflow => matches!(reader, Some(Reader::Mlflow)),
            Self::Python | Self::Node => {
                matches!(reader, Some(Reader::OpenAi | Reader::Anthropic | Reader::Gemini | Reader::Ollama))
            }
            Self::Curl => true,
        }
    }
}

/// What to set for a tool.
struct Advice {
    endpoint: Endpoint,
    /// The command that makes a token, as words.
    token: Vec<String>,
}

pub(super) fn run(args: &SetupArgs, session: &Session) -> Result<(), Failure> {
    if args.write && args.tool != Tool::ClaudeCode {
        return Err(Failure::usage(
            format!("{} has no settings file of its own", args.tool.word()),
            "leave --write out, and put what is printed where it belongs",
        ));
    }
    let client = Client::new(&args.remote, session.output)?;
    let mut advice = None;
    super::block_on(async {
        advice = Some(advise(args, &client).await?);
        Ok(())
    })?;
    let Some(advice) = advice else { return Ok(()) };
    if args.write {
        return write(args, &advice, session);
    }
    let text = advice.text(args.tool)?;
    let value = json!({
        "tool": args.tool.word(), "connection": advice.endpoint.name, "url": advice.endpoint.url, "text": text});
    session.output.object(&value, || text)
}

async fn advise(args: &SetupArgs, client: &Client) -> Result<Advice, Failure> {
    let named: Vec<String> = args.connection.iter().cloned().collect();
    let found = endpoints::find(client, &named, &args.data_url).await?;
    let fits = |endpoint: &&Endpoint| args.tool.fits(Reader::of(&endpoint.kind));
    let fitting: Vec<&Endpoint> = found.iter().filter(fits).collect();
    let endpoint = match (fitting.as_slice(), found.as_slice()) {
        ([endpoint], _) => (*endpoint).clone(),
        ([], [other]) if !named.is_empty() => {
            return Err(Failure::usage(
                format!(
                    "`{}` is of kind `{}`, which {} cannot call",
                    other.name,
                    other.kind,
                    args.tool.word()
                ),
                "`keyward setup curl` works with every kind",
            ));
        }
        ([], _) => {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no connection that {} can call", args.tool.word()),
                "`keyward connections ls` lists them",
            ));
        }
        (several, _) => {
            let fits: Vec<&str> = several.iter().map(|endpoint| endpoint.name.as_str()).collect();
            return Err(Failure::usage(
                format!("{} connections fit: {}", fits.len(), fits.join(", ")),
                format!("name one: keyward setup {} {}", args.tool.word(), fits.first().unwrap_or(&"")),
            ));
        }
    };
    let mut token = vec!["keyward".to_owned(), "token".to_owned(), endpoint.name.clone()];
    token.extend(args.remote.options());
    Ok(Advice { endpoint, token })
}

impl Advice {
    fn text(&self, tool: Tool) -> Result<String, Failure> {
        match tool {
            Tool::ClaudeCode => Ok(claude_code::fragment(self)?.pretty()),
            Tool::Curl => Ok(snippets::curl(self)),
            Tool::Python => Ok(snippets::python(self)),
            Tool::Node => Ok(snippets::node(self)),
            Tool::Openai | Tool::Anthropic | Tool::Gemini | Tool::Ollama | Tool::Mlflow => {
                Ok(Reader::of(&self.endpoint.kind).map(|reader| self.exports(reader)).unwrap_or_default())
            }
        }
    }

    /// The command that makes a token, for a shell.
    fn token_command(&self) -> String {
        let words: Vec<String> = self.token.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }

    fn exports(&self, reader: Reader) -> String {
        let mut lines = Vec::new();
        for (name, setting) in reader.variables(&self.endpoint) {
            lines.push(match setting {
                Setting::Text(text) => format!("export {name}={}", quoted(&text)),
                Setting::Token => format!("export {name}=\"$({})\"", self.token_command()),
            });
        }
        if !reader.conflicting().is_empty() {
            lines.push(format!("unset {}", reader.conflicting().join(" ")));
        }
        lines.join("\n") + "\n"
    }
}

fn write(args: &SetupArgs, advice: &Advice, session: &Session) -> Result<(), Failure> {
    let fragment = claude_code::fragment(advice)?;
    let plan = claude_code::Plan::new(&fragment)?;
    let file = plan.file().display();
    if !plan.changes() {
        session.output.say(&format!("{file} says so already\n"));
        return Ok(());
    }
    session.output.say(&format!("{file} gets:\n{}", fragment.pretty()));
    for name in plan.replaced() {
        session.output.say(&format!("`{name}` there says something else, which is replaced\n"));
    }
    if !args.yes && !prompt::confirm("Write it?")? {
        return Err(Failure::error("nothing was written", ""));
    }
    if let Some(copy) = plan.write()? {
        session.output.say(&format!("what was there before is in {}\n", copy.display()));
    }
    let value =
        json!({"tool": args.tool.word(), "connection": advice.endpoint.name, "file": file.to_string()});
    session.output.object(&value, || format!("{file} is written\n"))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        assert_eq!(quoted("https://k.example.com:8700/a"), "https://k.example.com:8700/a");
        for (word, expected) in [("", "''"), ("a b", "'a b'"), ("$(x)", "'$(x)'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(word), expected);
        }
    }
}
