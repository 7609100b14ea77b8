//! Reading the columns of a row. What this program would never have written is an error that names table and column.

use std::str::FromStr;

use keyward_core::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::StoreError;

/// A row of one table.
pub(crate) struct Columns<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r SqliteRow,
}

impl<'r> Columns<'r> {
    pub(crate) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column))
    }

    pub(crate) fn number(&self, column: &'static str) -> Result<i64, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column))
    }

    pub(crate) fn moment(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp::from_micros)
    }

    pub(crate) fn number_or_none(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column))
    }

    pub(crate) fn moment_or_none(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.number_or_none(column)?.map(Timestamp::from_micros))
    }

    pub(crate) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.wrong(column))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|_| self.wrong(column))
    }

    pub(crate) fn text_or_none(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        self.row.try_get(column).map_err(|_| self.wrong(column))
    }

    pub(crate) fn json_or_none<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_or_none(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| self.wrong(column))).transpose()
    }

    /// The 32 bytes of a hash.
    pub(crate) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes: &[u8] = self.row.try_get(column).map_err(|_| self.wrong(column))?;
        bytes.try_into().map_err(|_| self.wrong(column))
    }

    /// The error for a column that holds what this program never writes.
    pub(crate) const fn wrong(&self, column: &'static str) -> StoreError {
        StoreError::Row { table: self.table, column }
    }
}
