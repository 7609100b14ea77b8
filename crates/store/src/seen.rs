//! What was seen before, as marks that a caller makes: whether something happens for the first time outlives a restart.

use crate::{Db, StoreError};

impl Db {
    /// Keeps a mark. Keeping one twice is keeping it once.
    pub async fn seen_add(&self, mark: i64) -> Result<(), StoreError> {
        let statement =
            sqlx::query("INSERT INTO seen (mark) VALUES ($1) ON CONFLICT (mark) DO NOTHING").bind(mark);
        self.change(statement).await.map(drop)
    }

    /// All marks, at most `most` of them.
    pub async fn seen_list(&self, most: u32) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar("SELECT mark FROM seen LIMIT $1")
            .bind(i64::from(most))
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))
    }
}
