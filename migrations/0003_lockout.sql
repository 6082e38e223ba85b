-- What a login id is unique by, beside its value: see tenant.LoginIDs.
ALTER TABLE identity ADD COLUMN unique_key TEXT NOT NULL DEFAULT '';
UPDATE identity SET unique_key = value;
CREATE UNIQUE INDEX identity_unique_key ON identity (tenant_id, unique_key, kind);

-- When users may enter, and when they are forgotten; 0 for never.
ALTER TABLE user_account ADD COLUMN disabled_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN deactivated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN delete_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN anonymize_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN anonymized_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN valid_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE user_account ADD COLUMN valid_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX user_account_delete_at ON user_account (delete_at) WHERE delete_at > 0;
CREATE INDEX user_account_anonymize_at ON user_account (anonymize_at) WHERE anonymize_at > 0;

-- A bucket may also count the failed tries about somebody: tat is then until
-- when they are locked out. They are counted in the statement that counts the
-- tries, so that no step costs one more.
ALTER TABLE rate_bucket ADD COLUMN failed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rate_bucket ADD COLUMN forgets_at BIGINT NOT NULL DEFAULT 0; -- unix us; from then on failed counts for nothing
