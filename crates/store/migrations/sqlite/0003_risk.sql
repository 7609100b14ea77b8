-- What callers did before, each as the first eight bytes of a hash: enough to tell a first time, and not to read who it was.
CREATE TABLE seen (
    mark BIGINT NOT NULL PRIMARY KEY
);

-- The signals of a held call's risk: JSON.
ALTER TABLE approval ADD COLUMN risk TEXT NOT NULL DEFAULT '[]';
