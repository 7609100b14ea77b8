//! `keyward whoami`: who the token says one is, as the gateway understood it.

use clap::Args;
use serde_json::Value;

use super::client::{Client, Remote};
use super::{Session, view};
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct WhoamiArgs {
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &WhoamiArgs, session: &Session) -> Result<(), Failure> {
    let client = Client::new(&args.remote, session.output)?;
    super::block_on(async {
        let mut whoami = client.get(&["whoami"], &[]).await?;
        if let Some(whoami) = whoami.as_object_mut() {
            whoami.insert("token_from".to_owned(), client.credential().place().into());
        }
        session.output.object(&whoami, || whole(&whoami))
    })
}

fn whole(whoami: &Value) -> String {
    let words = |pointer| {
        let words: Vec<String> = view::list(whoami, pointer).iter().map(|word| view::at(word, "")).collect();
        words.join(", ")
    };
    let on_behalf: Vec<String> =
        view::list(whoami, "/principal/acting_for").iter().map(view::exact_person).collect();
    view::facts(&[
        ("principal", view::exact_person(view::part(whoami, "principal"))),
        ("kind", view::at(whoami, "/principal/kind")),
        ("groups", words("/principal/groups")),
        ("on behalf of", on_behalf.join(", ")),
        ("roles", words("/roles")),
        ("token until", view::at(whoami, "/token_expires_at")),
        ("token from", view::at(whoami, "/token_from")),
    ])
}
