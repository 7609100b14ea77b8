-- What has to be told to people outside. A row goes when it was told; one that could not be told in any try stays until somebody
-- sends it again or forgets it.
CREATE TABLE notification (
    id          TEXT    NOT NULL PRIMARY KEY,
    target      TEXT    NOT NULL,   -- the name of a target in the configuration
    notice      TEXT    NOT NULL,   -- JSON: what is told; never a body, never a secret
    created_at  BIGINT  NOT NULL,
    attempts    BIGINT  NOT NULL,
    next_at     BIGINT,             -- when it is tried again; null: never by itself
    error       TEXT    NOT NULL    -- why the last try failed
);
CREATE INDEX notification_due ON notification (next_at) WHERE next_at IS NOT NULL;
