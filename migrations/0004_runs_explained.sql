-- Users who have nothing but a session yet.
ALTER TABLE user_account ADD COLUMN anonymous BOOLEAN NOT NULL DEFAULT FALSE;

-- What happened in a run: a JSON object for each input that was taken, a line
-- each. Refusals stand in the audit log.
ALTER TABLE flow_run ADD COLUMN timeline TEXT NOT NULL DEFAULT '';

-- The end of a run's id is the code that an unlucky user can tell support. A run
-- in which nothing was taken yet has nothing to tell, and one that was refused
-- at once is in the audit log alone.
CREATE INDEX flow_run_support ON flow_run (substr(id, 25), tenant_id) WHERE timeline <> '';
CREATE INDEX audit_log_support ON audit_log (substr(run_id, 25), tenant_id) WHERE run_id <> '';
