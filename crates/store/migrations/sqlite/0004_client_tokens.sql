-- Short-lived tokens that the gateway issued. A row goes when its token is revoked or was over for an hour; the journal says who
-- made and revoked it. The token itself is nowhere: only its SHA-256.
CREATE TABLE client_token (
    id               TEXT   NOT NULL PRIMARY KEY,
    hash             BLOB   NOT NULL UNIQUE,  -- SHA-256 of the token's text
    name             TEXT   NOT NULL,
    owner            TEXT   NOT NULL,         -- JSON: the principal as it was at issue
    owner_client     TEXT,                    -- the client that the owner's own token was issued to
    owner_issued_at  BIGINT,                  -- when the owner's own token was issued
    connections      TEXT,                    -- JSON: names; null: all
    classes          TEXT,                    -- JSON: operation classes; null: all
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    last_used_at     BIGINT                   -- written behind: may lag by a minute
);
