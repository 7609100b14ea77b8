//! The demo's story: a call, a stream, a block, a hold, an approval, the replay, who used which secret, the proof. Each
//! step says what was seen; the first that does not hold ends the story.

use std::path::Path;

use futures_util::future::join_all;
use http::Method;
use keyward_gateway::start::{JOURNAL_KEY, journal_dir};
use keyward_secrets::MasterKey;
use serde_json::{Value, json};

use super::House;
use super::client::{Answer, Client};
use super::issuer::Caller;
use super::model_server::weights;
use crate::exit::Failure;

/// The model that is exported.
const MODEL: &str = "demo-chat";
/// How often the approval is looked for, and how long between.
const LOOKS: u32 = 100;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// Who plays, and where.
pub struct Story<'a> {
    house: &'a House,
    alice: Client,
    nobody: Client,
    alice_admin: Client,
    olivia_admin: Client,
    alice_anthropic: Client,
}

impl<'a> Story<'a> {
    /// A story against the gateway at these addresses (`http://127.0.0.1:PORT`).
    pub fn new(house: &'a House, data_url: &str, admin_url: &str) -> Result<Self, Failure> {
        let token = |caller| house.issuer.token(caller).map_err(|error| Failure::caused(&error, ""));
        let (alice, olivia) = (token(Caller::Alice)?, token(Caller::Olivia)?);
        Ok(Self {
            house,
            alice: Client::new(format!("{data_url}/openai"), &alice),
            nobody: Client::new(format!("{data_url}/openai"), ""),
            alice_anthropic: Client::new(format!("{data_url}/anthropic"), &alice),
            alice_admin: Client::new(admin_url, &alice),
            olivia_admin: Client::new(admin_url, &olivia),
        })
    }

    /// Plays it; `tell` gets the name of each step and what was seen.
    pub async fn play(&self, mut tell: impl FnMut(&str, &str)) -> Result<(), Failure> {
        tell("call", &self.call().await?);
        tell("leaks", &self.leaks().await?);
        tell("block", &self.block().await?);
        let approval = self.hold().await?;
        tell("hold", &format!("409 with Retry-After, {approval}; nothing was exported"));
        tell("not oneself", &self.not_oneself(&approval).await?);
        tell("approve", &self.approve(&approval).await?);
        tell("replay", &self.replay().await?);
        tell("who used", &self.who_used(&approval).await?);
        tell("verify", &self.verify()?);
        tell("at rest", &self.at_rest()?);
        Ok(())
    }

    async fn call(&self) -> Result<String, Failure> {
        let answer = self.chat(&self.alice, "/v1/chat/completions", MODEL, false).await?;
        holds(answer.status == 200, "a chat completion did not go through", &answer.text)?;
        holds(answer.header("keyward-decision") == "allow", "the decision is not `allow`", &answer.text)?;
        let without = self.chat(&self.nobody, "/v1/chat/completions", MODEL, false).await?;
        holds(without.status == 401, "a call without a token was not refused", &without.text)?;
        Ok(format!("alice: 200, rule {}; without a token: 401", answer.header("keyward-rule")))
    }

    async fn chat(&self, client: &Client, path: &str, model: &str, stream: bool) -> Result<Answer, Failure> {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let body = match path {
            "/v1/responses" => json!({"model": model, "stream": stream, "input": "hello"}),
            "/v1/messages" => {
                json!({"model": model, "stream": stream, "max_tokens": 256, "messages": messages})
            }
            _ => json!({"model": model, "stream": stream, "messages": messages}),
        };
        client.send(Method::POST, path, &[], Some(&body)).await
    }

    async fn leaks(&self) -> Result<String, Failure> {
        let mut calls = Vec::new();
        for model in ["demo-aws", "demo-pem", "demo-tools", "demo-echo", "demo-error"] {
            for stream in [false, true] {
                for (client, path) in [
                    (&self.alice, "/v1/chat/completions"),
                    (&self.alice, "/v1/responses"),
                    (&self.alice_anthropic, "/v1/messages"),
                ] {
                    calls.push(self.leak(client, path, model, stream));
                }
            }
        }
        let answers = calls.len();
        let mut masked = 0;
        for marks in join_all(calls).await {
            masked += marks?;
        }
        let seen = self.house.models.seen();
        holds(seen.refused == 0, "a caller's token reached the model server", "")?;
        Ok(format!(
            "{answers} leaking answers, plain and streamed, in three dialects: {masked} values masked, none came out"
        ))
    }

    /// One leaking answer; how often something was masked in it.
    async fn leak(&self, client: &Client, path: &str, model: &str, stream: bool) -> Result<usize, Failure> {
        let answer = self.chat(client, path, model, stream).await?;
        let place = format!("{model} at {path}, stream {stream}");
        self.clean(&place, &answer)?;
        let marks = answer.text.matches("[REDACTED:").count();
        holds(marks > 0, "nothing was masked", &place)?;
        Ok(marks)
    }

    /// No secret in body or headers.
    fn clean(&self, place: &str, answer: &Answer) -> Result<(), Failure> {
        for (name, needle) in self.house.models.needles() {
            let in_headers =
                answer.headers.values().any(|value| contains(value.as_bytes(), needle.as_bytes()));
            holds(!in_headers && !contains(&answer.body, needle.as_bytes()), name, place)?;
        }
        Ok(())
    }

    async fn block(&self) -> Result<String, Failure> {
        let answer = self
            .alice
            .send(Method::POST, "/v1/load_lora_adapter", &[], Some(&json!({"lora_name": "x"})))
            .await?;
        holds(answer.status == 403, "an administrative call was not blocked", &answer.text)?;
        holds(answer.header("x-should-retry") == "false", "the block invites a retry", &answer.text)?;
        let error: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let message = error.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        holds(!message.is_empty(), "the block does not speak OpenAI's dialect", &answer.text)?;
        Ok(format!("403, x-should-retry: false: {message}"))
    }

    async fn export(&self, wait: &str) -> Result<Answer, Failure> {
        let prefer = format!("wait={wait}");
        self.alice
            .send(Method::GET, &format!("/v1/models/{MODEL}/weights"), &[("prefer", &prefer)], None)
            .await
    }

    async fn hold(&self) -> Result<String, Failure> {
        let answer = self.export("1").await?;
        holds(answer.status == 409, "an export was not held", &answer.text)?;
        holds(answer.header("x-should-retry") == "true", "the hold does not ask for a retry", &answer.text)?;
        holds(self.house.models.seen().exports == 0, "the export ran before it was approved", "")?;
        let approval = answer.header("keyward-approval").to_owned();
        holds(!approval.is_empty(), "the hold does not name its approval", &answer.text)?;
        Ok(approval)
    }

    async fn not_oneself(&self, approval: &str) -> Result<String, Failure> {
        let path = format!("/api/v1/approvals/{approval}/approve");
        let answer = self.alice_admin.send(Method::POST, &path, &[], Some(&json!({}))).await?;
        holds(answer.status == 403, "alice could approve her own call", &answer.text)?;
        Ok("alice may not approve her own call: 403".to_owned())
    }

    async fn approve(&self, approval: &str) -> Result<String, Failure> {
        let path = format!("/api/v1/approvals/{approval}");
        let decide = async {
            // The retry attaches first, so that it is seen to go on by itself.
            for _ in 0..LOOKS {
                let found = self.olivia_admin.get_json(&path).await?;
                if found.get("state").and_then(Value::as_str) == Some("pending") {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let body = json!({"reason": "for the demo"});
            self.olivia_admin.send(Method::POST, &format!("{path}/approve"), &[], Some(&body)).await
        };
        let (exported, decided) = tokio::join!(self.export("20"), decide);
        let (exported, decided) = (exported?, decided?);
        holds(decided.status == 200, "olivia could not approve", &decided.text)?;
        holds(exported.status == 200, "the approved export did not go through", &exported.text)?;
        holds(Some(&exported.body) == weights(MODEL).as_ref(), "the weights are not those of the model", "")?;
        holds(self.house.models.seen().exports == 1, "the export did not run exactly once", "")?;
        Ok(format!("olivia approved; alice's waiting retry got {} bytes, exported once", exported.body.len()))
    }

    async fn replay(&self) -> Result<String, Failure> {
        let sessions = self.alice_admin.get_json("/api/v1/sessions?mine=true&connection=openai").await?;
        let id = sessions.pointer("/sessions/0/id").and_then(Value::as_str).unwrap_or_default();
        let session = self.alice_admin.get_json(&format!("/api/v1/sessions/{id}?limit=1000")).await?;
        let requests = session.get("requests").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut frames, mut longest) = (0, 0);
        for request in &requests {
            let exchange = request.get("id").and_then(Value::as_str).unwrap_or_default();
            let content =
                self.alice_admin.get_json(&format!("/api/v1/sessions/{id}/exchanges/{exchange}")).await?;
            let text = content.to_string();
            for (name, needle) in self.house.models.needles() {
                holds(!contains(text.as_bytes(), needle.as_bytes()), name, "the recording")?;
            }
            let pieces = content.get("response").and_then(Value::as_array).cloned().unwrap_or_default();
            let last = pieces.last().and_then(|piece| piece.get("offset_us")).and_then(Value::as_u64);
            frames += pieces.len();
            longest = longest.max(last.unwrap_or_default());
        }
        holds(frames > 0, "nothing was recorded", "")?;
        Ok(format!(
            "{} exchanges of alice, {frames} frames with their times (the longest {longest} µs), masked",
            requests.len()
        ))
    }

    async fn who_used(&self, approval: &str) -> Result<String, Failure> {
        let ledger =
            self.olivia_admin.get_json("/api/v1/audit/who-used?secret=keyward://openai&limit=1000").await?;
        let rows = ledger.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
        let export = rows.iter().find(|row| row.get("approval").and_then(Value::as_str) == Some(approval));
        holds(export.is_some(), "the ledger does not know the approved export", "")?;
        Ok(format!("keyward://openai was used {} times; the export under {approval}", rows.len()))
    }

    fn verify(&self) -> Result<String, Failure> {
        let config = &self.house.loaded.config;
        let master = MasterKey::load(&config.master_key.0).map_err(|error| Failure::caused(&error, ""))?;
        let key = master.derive(JOURNAL_KEY).map_err(|error| Failure::caused(&error, ""))?;
        let report = keyward_journal::verify(&journal_dir(&config.data_dir), &key)
            .map_err(|error| Failure::caused(&error, ""))?;
        Ok(format!("{} records, {} signed checkpoints", report.records, report.checkpoints))
    }

    /// No secret in any file of the data directory.
    fn at_rest(&self) -> Result<String, Failure> {
        let (mut files, mut bytes) = (0, 0);
        let mut directories = vec![self.house.loaded.config.data_dir.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let content = std::fs::read(&path)?;
                for (name, needle) in self.house.models.needles() {
                    holds(!contains(&content, needle.as_bytes()), name, &shown(&path))?;
                }
                files += 1;
                bytes += content.len();
            }
        }
        Ok(format!("{files} files of the data directory ({bytes} bytes) hold no secret in clear"))
    }
}

fn shown(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// What must hold, or the story ends here. `seen` is shown; it went through the gateway.
fn holds(condition: bool, otherwise: &str, seen: &str) -> Result<(), Failure> {
    if condition {
        return Ok(());
    }
    let seen: String = seen.chars().take(500).collect();
    Err(Failure::error(format!("the demo's story does not hold: {otherwise}"), seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Server;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_whole_story_holds() {
        let dir = tempfile::tempdir().unwrap();
        let house = House::build(dir.path(), "127.0.0.1:0", "127.0.0.1:0").await.unwrap();
        let server = Server::start(&house.loaded).await.unwrap();
        let (data, admin) = (server.data_address(), server.admin_address());
        let story = Story::new(&house, &format!("http://{data}"), &format!("http://{admin}")).unwrap();
        let mut told = Vec::new();
        story.play(|name, seen| told.push(format!("{name}: {seen}"))).await.unwrap();
        assert_eq!(told.len(), 10, "{told:#?}");
        server.stop("test").await.unwrap();
    }

    #[test]
    fn what_does_not_hold_ends_the_story() {
        assert!(holds(true, "", "").is_ok());
        assert!(holds(false, "leaked", "here").unwrap_err().message.contains("leaked"));
        assert!(contains(b"abc", b"bc") && !contains(b"abc", b"cb") && !contains(b"", b"a"));
    }
}
