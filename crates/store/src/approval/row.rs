//! Rows to approvals and back, and reading them.

use keyward_core::principal::PrincipalRef;
use keyward_core::{ApprovalId, RequestDigest};
use sqlx::sqlite::SqliteRow;

use super::{Approval, ApprovalState, Binding};
use crate::columns::Columns;
use crate::{Db, StoreError};

/// Most approvals that one [`Db::approval_list`] returns.
pub const LIST_MAX: u32 = 500;

/// Used approvals of one caller on one connection that are looked at for one that is similar.
const SIMILAR_LOOKED_AT: i64 = 50;

/// Which states to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateFilter {
    /// All.
    #[default]
    Any,
    /// Pending and approved.
    Live,
    /// One.
    Is(ApprovalState),
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApprovalFilter {
    /// In which states.
    pub state: StateFilter,
    /// Asked for by whom; none for everybody.
    pub requester: Option<PrincipalRef>,
    /// Only those older than this one: the last of the page before.
    pub before: Option<ApprovalId>,
    /// How many at most; above [`LIST_MAX`] and 0 mean [`LIST_MAX`].
    pub limit: u32,
}

// One statement per shape of filter, so that each finds its index.
macro_rules! list {
    ($condition:literal) => {
        concat!(
            "SELECT * FROM approval WHERE ",
            $condition,
            " AND ($2 = '' OR (requester_issuer = $2 AND requester_subject = $3)) AND id < $4 ORDER BY id DESC LIMIT $5"
        )
    };
}
const LIST_ANY: &str = list!("$1 = ''");
const LIST_IS: &str = list!("state = $1");
const LIST_LIVE: &str = list!("state IN ('pending', 'approved') AND $1 = ''");

impl Db {
    /// The approval with this identifier.
    pub async fn approval_get(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        let row = sqlx::query("SELECT * FROM approval WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(|e| self.fault(e))?;
        row.as_ref().map(approval).transpose()
    }

    /// The newest approval before this one that was used for the like: by the same caller, on the same connection, for the
    /// same class and method, and, where there is one, the same path.
    pub async fn approval_similar(&self, to: &Approval) -> Result<Option<Approval>, StoreError> {
        let used: Vec<Approval> = sqlx::query(
            "SELECT * FROM approval WHERE requester_issuer = $1 AND requester_subject = $2 AND connection = $3 \
             AND state = 'consumed' AND id < $4 ORDER BY id DESC LIMIT $5",
        )
        .bind(&*to.principal.issuer)
        .bind(&*to.principal.subject)
        .bind(&to.connection)
        .bind(to.id.to_string())
        .bind(SIMILAR_LOOKED_AT)
        .fetch_all(self.reader())
        .await
        .map_err(|e| self.fault(e))?
        .iter()
        .map(approval)
        .collect::<Result<_, _>>()?;
        let alike = |it: &&Approval| {
            (it.operation.class, &it.operation.method) == (to.operation.class, &to.operation.method)
        };
        let same_path = used.iter().filter(alike).find(|it| it.operation.path == to.operation.path);
        Ok(same_path.or_else(|| used.iter().find(alike)).cloned())
    }

    /// Approvals that match the filter, the newest identifier first. The state is the one last written: an approval
    /// whose `expires_at` passed is `pending` until [`Db::approval_expire`] ran, and cannot be used meanwhile.
    pub async fn approval_list(&self, filter: &ApprovalFilter) -> Result<Vec<Approval>, StoreError> {
        let (sql, state) = match filter.state {
            StateFilter::Any => (LIST_ANY, ""),
            StateFilter::Live => (LIST_LIVE, ""),
            StateFilter::Is(state) => (LIST_IS, state.as_str()),
        };
        let (issuer, subject) =
            filter.requester.as_ref().map_or(("", ""), |person| (&*person.issuer, &*person.subject));
        // "apr_g…" sorts after every identifier.
        let before = filter.before.map_or_else(|| "apr_g".to_owned(), |id| id.to_string());
        let limit = if filter.limit == 0 { LIST_MAX } else { filter.limit.min(LIST_MAX) };
        sqlx::query(sql)
            .bind(state)
            .bind(issuer)
            .bind(subject)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))?
            .iter()
            .map(approval)
            .collect()
    }
}

/// A row as an approval. What this program would never have written is an error.
pub(super) fn approval(row: &SqliteRow) -> Result<Approval, StoreError> {
    let columns = Columns { table: "approval", row };
    Ok(Approval {
        id: columns.parsed("id")?,
        revision: columns.number("revision")?,
        state: columns.parsed("state")?,
        binding: Binding {
            digest: RequestDigest::from_hex(columns.text("digest")?).ok_or_else(|| wrong("digest"))?,
            policy_version: columns.text("policy_version")?.to_owned(),
            credential_version: columns.text("credential_version")?.to_owned(),
        },
        principal: columns.json("principal")?,
        connection: columns.text("connection")?.to_owned(),
        operation: columns.json("operation")?,
        rule: columns.text("rule")?.to_owned(),
        reason: columns.text("reason")?.to_owned(),
        approval: columns.json("asked")?,
        summary: columns.json("summary")?,
        risk: columns.json("risk")?,
        votes: columns.json("votes")?,
        created_at: columns.moment("created_at")?,
        expires_at: columns.moment("expires_at")?,
        ended_at: columns.moment_or_none("ended_at")?,
    })
}

/// The error for a column that holds what this program never writes.
pub(super) const fn wrong(column: &'static str) -> StoreError {
    StoreError::Row { table: "approval", column }
}
