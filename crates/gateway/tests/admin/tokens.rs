//! Client tokens at the admin listener: who makes them, who sees and revokes them (catalogue 26, 137).

use std::time::Duration;

use keyward_core::ClientTokenId;
use keyward_gateway::clock;
use keyward_gateway::tokens::{NewClientToken, fresh_token_id};
use serde_json::json;

use crate::kit::{Who, World};

const MAKE: &str = "POST /api/v1/tokens";
const LIST: &str = "GET /api/v1/tokens";

impl World {
    /// A client token for everything.
    pub(crate) async fn client_token(&self, who: Who) -> ClientTokenId {
        let gateway = self.current.load_full();
        let verified = gateway.identity.verify(&self.token(who), clock::now()).await.unwrap();
        let new = NewClientToken {
            name: "test".to_owned(),
            connections: None,
            classes: None,
            life: Duration::from_mins(5),
        };
        let made = self.shared.client_tokens.make(fresh_token_id(), new, &verified, clock::now()).await;
        made.unwrap().1.id
    }
}

#[tokio::test]
async fn catalogue_137_each_sees_their_own_tokens_and_never_the_text() {
    let world = World::start().await;
    let body = json!({"connections": ["models"], "name": "notebook", "classes": ["embeddings"]});
    let made = world.ask(Who::Other, MAKE, "/api/v1/tokens", Some(body)).await.json();
    let theirs = world.client_token(Who::Requester).await.to_string();
    let list = async |who, query: &str| {
        let answer = world.ask(who, LIST, &format!("/api/v1/tokens{query}"), None).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("kw_"));
        let list = answer.json();
        let ids = list["tokens"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let mine = made["id"].as_str().unwrap().to_owned();
    assert_eq!(list(Who::Other, "").await, std::slice::from_ref(&mine));
    assert_eq!(list(Who::Requester, "").await, std::slice::from_ref(&theirs));
    assert_eq!(list(Who::Approver, "").await, Vec::<String>::new());
    assert_eq!(list(Who::Auditor, "").await, [mine, theirs]);
    assert_eq!(list(Who::Auditor, "?mine=true").await, Vec::<String>::new());
    let first = &world.ask(Who::Other, LIST, "/api/v1/tokens", None).await.json()["tokens"][0];
    assert_eq!((&first["name"], &first["classes"]), (&json!("notebook"), &json!(["embeddings"])));
    assert!(first.get("last_used_at").is_none());
}

#[tokio::test]
async fn an_agent_makes_no_token() {
    let world = World::start().await;
    let agent = world.token_of(&json!({"sub": "alice", "act": {"sub": "robot"}}));
    let kind = world.ask_with(Some(&agent), "GET /api/v1/whoami", "/api/v1/whoami", None).await.json();
    assert_eq!(kind["principal"]["kind"], "agent", "{kind}");
    let body = json!({"connections": ["models"]});
    let answer = world.ask_with(Some(&agent), MAKE, "/api/v1/tokens", Some(body)).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "agent"), "{:?}", answer.body);
    assert!(world.shared.client_tokens.live(None, clock::now()).is_empty());
}
