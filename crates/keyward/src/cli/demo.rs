//! `keyward demo`: everything on loopback in a fresh directory, with a model server that leaks on purpose.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Session;
use crate::config::document::{ADMIN_ADDRESS, DATA_ADDRESS, Log, LogFormat, LogLevel};
use crate::demo::House;
use crate::demo::house::CONNECTIONS;
use crate::demo::issuer::Caller;
use crate::demo::story::Story;
use crate::exit::Failure;
use crate::serve::Server;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  keyward demo                 run until Ctrl-C; prints what to paste
  keyward demo --check         walk the story, and end with 0 only if all of it held
  keyward demo --json | jq -r .tokens.alice")]
pub(super) struct DemoArgs {
    /// Walk the story by itself: call, stream, block, hold, approve, replay, who used what, verify
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Print one JSON object on stdout once ready, and keep running
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DemoArgs, session: &Session) -> Result<(), Failure> {
    let quiet = Log { level: LogLevel::Warn, format: LogFormat::Text };
    if let Err(error) = crate::logging::start(quiet) {
        tracing::warn!(%error, "logging goes by the demo's default");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args, session))
}

async fn demo(args: &DemoArgs, session: &Session) -> Result<(), Failure> {
    // Asked for first, so that a Ctrl-C during the start is not lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let directory = tempfile::Builder::new().prefix("keyward-demo-").tempdir()?;
    let step = |text: &str| session.output.say(&format!("{text}\n"));
    step("Keyward demo: for trying out only. Issuer, keys and data are made now and gone at the end.");
    let (data, admin) = (free(DATA_ADDRESS), free(ADMIN_ADDRESS));
    let house = House::build(directory.path(), &data.to_string(), &admin.to_string()).await?;
    step(&format!(
        "  issuer        {} (alice: eng, olivia: model-owners, ci-bot: a service)",
        house.issuer.url()
    ));
    step(&format!("  model server  {} (leaks on purpose)", house.models.url()));
    let server = Server::start(&house.loaded).await?;
    let (data_url, admin_url) =
        (format!("http://{}", server.data_address()), format!("http://{}", server.admin_address()));
    step(&format!("  gateway       {data_url}, admin {admin_url}"));
    let told = if args.check {
        step("");
        let story = Story::new(&house, &data_url, &admin_url)?;
        story.play(|name, seen| session.output.say(&format!("  ok  {name:<12} {seen}\n"))).await
    } else {
        let ready = if args.json {
            let facts = facts(&house, &data_url, &admin_url)?;
            session.output.bytes(format!("{facts}\n").as_bytes())
        } else {
            session.output.bytes(to_paste(&house, &data_url, &admin_url)?.as_bytes())
        };
        if ready.is_ok() {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        ready
    };
    let stopped = server.stop("the demo ended").await;
    house.issuer.stop();
    house.models.stop();
    told.and(stopped)?;
    directory.close()?;
    step(if args.check { "The whole story held." } else { "Stopped; nothing is left behind." });
    Ok(())
}

/// The usual address, or any free port of loopback when it is taken.
fn free(usual: SocketAddr) -> SocketAddr {
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

fn token(house: &House, caller: Caller) -> Result<String, Failure> {
    house.issuer.token(caller).map_err(|error| Failure::caused(&error, ""))
}

/// The paths below the data listener that SDKs take as base URL.
fn base_url(data_url: &str, connection: &str) -> String {
    // OpenAI's SDKs want the version in the base URL, Anthropic's add it themselves.
    if connection == "openai" { format!("{data_url}/openai/v1") } else { format!("{data_url}/{connection}") }
}

fn facts(house: &House, data_url: &str, admin_url: &str) -> Result<Value, Failure> {
    let mut tokens = serde_json::Map::new();
    for caller in Caller::ALL {
        tokens.insert(caller.subject().to_owned(), token(house, caller)?.into());
    }
    let connections: serde_json::Map<String, Value> = CONNECTIONS
        .into_iter()
        .map(|name| (name.to_owned(), json!({"kind": name, "base_url": base_url(data_url, name)})))
        .collect();
    Ok(json!({
        "data_url": data_url,
        "admin_url": admin_url,
        "issuer": house.issuer.url(),
        "tokens": tokens,
        "connections": connections,
        "data_dir": house.loaded.config.data_dir,
        "config": house.loaded.file,
        "model_server": house.models.url(),
        "client": {"id": Caller::CiBot.subject(), "secret": house.issuer.client_secret()},
    }))
}

fn to_paste(house: &House, data_url: &str, admin_url: &str) -> Result<String, Failure> {
    let (alice, olivia) = (token(house, Caller::Alice)?, token(house, Caller::Olivia)?);
    let (openai, anthropic) = (base_url(data_url, "openai"), base_url(data_url, "anthropic"));
    Ok(format!(
        r#"
Tokens (12 hours):
  export ALICE={alice}
  export OLIVIA={olivia}

Ask for something that leaks, and see it masked:
  curl -N {openai}/chat/completions -H "Authorization: Bearer $ALICE" -H 'Content-Type: application/json' \
    -d '{{"model": "demo-chat", "stream": true, "messages": [{{"role": "user", "content": "show me the aws keys"}}]}}'

The same in Python:
  import os, openai
  client = openai.OpenAI(base_url="{openai}", api_key=os.environ["ALICE"])
  print(client.chat.completions.create(model="demo-chat", messages=[{{"role": "user", "content": "echo"}}]).choices[0].message.content)
  # anthropic.Anthropic(base_url="{anthropic}", api_key=os.environ["ALICE"]) works alike

Export a model; it waits until olivia approves (in another terminal):
  curl {openai}/models/demo-chat/weights -H "Authorization: Bearer $ALICE" -o weights.bin -w '%{{http_code}}\n'
  curl "{admin_url}/api/v1/approvals?state=pending" -H "Authorization: Bearer $OLIVIA"
  curl -X POST {admin_url}/api/v1/approvals/APPROVAL/approve -H "Authorization: Bearer $OLIVIA"

Look at what happened:
  curl {admin_url}/api/v1/sessions -H "Authorization: Bearer $ALICE"
  curl "{admin_url}/api/v1/audit/who-used?secret=keyward://openai" -H "Authorization: Bearer $OLIVIA"
  keyward verify --config {config}

Words that the model knows: aws, private key, tool, echo, fail, slow. Ctrl-C stops the demo.
"#,
        config = house.loaded.file,
    ))
}
