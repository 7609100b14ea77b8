-- Types are TEXT, BIGINT (microseconds since 1970 for times), BLOB and BOOLEAN only, so that the queries are one text
-- for every engine. JSON is kept as TEXT.

-- Small facts about this database: the check value of the master key.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE approval (
    id                 TEXT   NOT NULL PRIMARY KEY,
    revision           BIGINT NOT NULL,           -- grows by one with every change; votes compare and set on it
    state              TEXT   NOT NULL CHECK (state IN
        ('pending', 'approved', 'denied', 'expired', 'cancelled', 'stale', 'consumed')),
    digest             TEXT   NOT NULL,           -- 64 hex digits
    policy_version     TEXT   NOT NULL,
    credential_version TEXT   NOT NULL,           -- empty where the connection has no credential
    requester_issuer   TEXT   NOT NULL,
    requester_subject  TEXT   NOT NULL,
    principal          TEXT   NOT NULL,           -- JSON
    connection         TEXT   NOT NULL,
    operation          TEXT   NOT NULL,           -- JSON
    rule               TEXT   NOT NULL,
    reason             TEXT   NOT NULL,
    asked              TEXT   NOT NULL,           -- JSON: who may approve, how many, for how long
    summary            TEXT   NOT NULL,           -- JSON, masked
    votes              TEXT   NOT NULL,           -- JSON
    created_at         BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    ended_at           BIGINT                     -- when it left pending|approved; null while it is live
);

-- One live approval per exact request: what makes create-or-attach atomic.
CREATE UNIQUE INDEX approval_live ON approval (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_due ON approval (expires_at) WHERE state IN ('pending', 'approved');
-- Counts what one principal holds without touching the rows.
CREATE INDEX approval_held ON approval (requester_issuer, requester_subject, expires_at)
    WHERE state IN ('pending', 'approved');
CREATE INDEX approval_state ON approval (state, id);
CREATE INDEX approval_requester ON approval (requester_issuer, requester_subject, id);

-- Values of the embedded secret store, each sealed with a key that is not in this database.
CREATE TABLE secret (
    name       TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    sealed     BLOB   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);
