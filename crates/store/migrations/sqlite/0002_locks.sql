-- Who or what is kept out, whatever policy and tokens say. A row stays after its lock is lifted.
CREATE TABLE lock (
    id         TEXT   NOT NULL PRIMARY KEY,
    target     TEXT   NOT NULL,           -- user:ISSUER#SUBJECT, group:NAME or connection:NAME
    reason     TEXT   NOT NULL,
    created_by TEXT   NOT NULL,           -- JSON: issuer and subject
    created_at BIGINT NOT NULL,
    expires_at BIGINT,                    -- null: until it is lifted
    lifted_by  TEXT,                      -- JSON
    lifted_at  BIGINT
);
CREATE INDEX lock_live ON lock (id) WHERE lifted_at IS NULL;
