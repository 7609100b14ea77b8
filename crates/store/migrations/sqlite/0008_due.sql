-- What is due is looked for twice a second. Without the state in front of the time, the engine takes the index of the states
-- instead, and reads every approval that waits.
DROP INDEX approval_due;
CREATE INDEX approval_due ON approval (state, expires_at) WHERE state IN ('pending', 'approved');
DROP INDEX approval_escalates;
CREATE INDEX approval_escalates ON approval (state, escalates_at, id)
    WHERE state = 'pending' AND escalates_at IS NOT NULL;
