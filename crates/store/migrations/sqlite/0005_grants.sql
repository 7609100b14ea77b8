-- Windows in which calls of a kind need no approval of their own. A row stays: who had which window, and who signed for it, is
-- asked long after.
CREATE TABLE access_grant (
    id           TEXT    NOT NULL PRIMARY KEY,
    principal    TEXT    NOT NULL,   -- JSON: whose calls it lets through
    connection   TEXT    NOT NULL,
    classes      TEXT    NOT NULL,   -- JSON: operation classes; empty for break-glass: all
    reason       TEXT    NOT NULL,   -- the requester's
    break_glass  INTEGER NOT NULL,   -- 1: opened without an approval
    approval     TEXT,               -- the approval that opens it
    asked        TEXT,               -- JSON: the rule that had to approve
    seconds      BIGINT  NOT NULL,   -- how long it is open
    uses_max     BIGINT,             -- how many calls it lets through; null: any number
    uses         BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    starts_at    BIGINT,             -- null: not open yet
    expires_at   BIGINT,
    ended_at     BIGINT,
    ended_by     TEXT,               -- JSON: who ended it; null: nobody, or time
    ended_why    TEXT    NOT NULL,
    reviewed_at  BIGINT,
    reviewed_by  TEXT,               -- JSON: who signed for a break-glass
    review       TEXT    NOT NULL
);
