//! Client tokens: short-lived credentials that the gateway issued, by the hash of their text. Whether one holds is a
//! question of the time that the caller gives.

use std::sync::Arc;

use keyward_core::{ClientTokenId, OperationClass, Principal, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::{Db, StoreError};

/// A client token, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// Which.
    pub id: ClientTokenId,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// What its owner calls it; may be empty.
    pub name: String,
    /// Whose calls it makes, as they were at issue.
    pub owner: Arc<Principal>,
    /// The client that the owner's own token was issued to.
    pub owner_client: Option<Arc<str>>,
    /// When the owner's own token was issued.
    pub owner_issued_at: Option<Timestamp>,
    /// The connections that it is for; none: all.
    pub connections: Option<Vec<Arc<str>>>,
    /// The operation classes that it is for; none: all.
    pub classes: Option<Vec<OperationClass>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was last used, as far as that is written.
    pub last_used_at: Option<Timestamp>,
}

impl Db {
    /// Keeps a new token.
    pub async fn client_token_add(&self, token: &ClientToken) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO client_token (id, hash, name, owner, owner_client, owner_issued_at, connections, classes, \
             created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(token.id.to_string())
        .bind(token.hash.as_slice())
        .bind(&token.name)
        .bind(serde_json::json!(*token.owner).to_string())
        .bind(token.owner_client.as_deref())
        .bind(token.owner_issued_at.map(Timestamp::micros))
        .bind(token.connections.as_ref().map(|names| serde_json::json!(names).to_string()))
        .bind(token.classes.as_ref().map(|classes| serde_json::json!(classes).to_string()))
        .bind(token.created_at.micros())
        .bind(token.expires_at.micros());
        self.change(statement).await.map(drop)
    }

    /// Forgets a token. False when there is none.
    pub async fn client_token_remove(&self, id: ClientTokenId) -> Result<bool, StoreError> {
        let statement = sqlx::query("DELETE FROM client_token WHERE id = $1").bind(id.to_string());
        Ok(self.change(statement).await? == 1)
    }

    /// Forgets the tokens that were over before `over_before`, and writes when others were last used.
    pub async fn client_token_sweep(
        &self,
        over_before: Timestamp,
        used: &[(ClientTokenId, Timestamp)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM client_token WHERE expires_at < $1")
            .bind(over_before.micros())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.fault(e))?;
        for (id, at) in used {
            sqlx::query("UPDATE client_token SET last_used_at = $2 WHERE id = $1")
                .bind(id.to_string())
                .bind(at.micros())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.fault(e))?;
        }
        transaction.commit().await.map_err(|e| self.fault(e))
    }

    /// All tokens that are kept, oldest first; some may be over.
    pub async fn client_token_list(&self) -> Result<Vec<ClientToken>, StoreError> {
        sqlx::query("SELECT * FROM client_token ORDER BY id")
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))?
            .iter()
            .map(read)
            .collect()
    }
}

fn read(row: &SqliteRow) -> Result<ClientToken, StoreError> {
    let columns = Columns { table: "client_token", row };
    Ok(ClientToken {
        id: columns.parsed("id")?,
        hash: columns.hash("hash")?,
        name: columns.text("name")?.to_owned(),
        owner: Arc::new(columns.json("owner")?),
        owner_client: columns.text_or_none("owner_client")?.map(Arc::from),
        owner_issued_at: columns.moment_or_none("owner_issued_at")?,
        connections: columns.json_or_none("connections")?,
        classes: columns.json_or_none("classes")?,
        created_at: columns.moment("created_at")?,
        expires_at: columns.moment("expires_at")?,
        last_used_at: columns.moment_or_none("last_used_at")?,
    })
}
