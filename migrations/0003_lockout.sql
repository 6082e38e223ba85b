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

-- Failed tries about a subject: a user, or what a stranger called themselves.
-- It bounds strangers too, so there may be no such user or tenant.
CREATE TABLE lockout (
    tenant_id  TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    failed     BIGINT NOT NULL,
    until      BIGINT NOT NULL, -- unix ms; 0 when it isn't locked out
    forgets_at BIGINT NOT NULL, -- unix ms; nothing of this row counts from then on
    PRIMARY KEY (tenant_id, subject)
);
CREATE INDEX lockout_forgets_at ON lockout (forgets_at);
