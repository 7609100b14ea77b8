-- When people are told next that somebody more may decide over an approval that still waits; null: never (again). Who may
-- decide does not hang on it: that follows from `asked`, `created_at` and the time.
ALTER TABLE approval ADD COLUMN escalates_at BIGINT;
CREATE INDEX approval_escalates ON approval (escalates_at) WHERE state = 'pending' AND escalates_at IS NOT NULL;
