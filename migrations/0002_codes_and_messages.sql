-- One-time codes, and the outbox.

CREATE TABLE otp_code (
    tenant_id    TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    run_id       TEXT   NOT NULL,
    purpose      TEXT   NOT NULL,
    form         TEXT   NOT NULL,
    channel      TEXT   NOT NULL,
    target_kind  TEXT   NOT NULL,
    target       TEXT   NOT NULL,
    sealed       TEXT   NOT NULL,
    link_hash    TEXT   NOT NULL, -- empty unless it is a link
    state_hash   TEXT   NOT NULL,
    max_attempts BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    approved_at  BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES flow_run (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX otp_code_run ON otp_code (tenant_id, run_id);
CREATE UNIQUE INDEX otp_code_link ON otp_code (tenant_id, link_hash) WHERE link_hash <> '';
CREATE INDEX otp_code_expires_at ON otp_code (expires_at);

CREATE TABLE message (
    tenant_id  TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    id         TEXT   NOT NULL,
    code_id    TEXT   NOT NULL, -- empty when it carries none
    run_id     TEXT   NOT NULL,
    channel    TEXT   NOT NULL,
    recipient  TEXT   NOT NULL,
    purpose    TEXT   NOT NULL,
    language   TEXT   NOT NULL,
    payload    TEXT   NOT NULL, -- sealed; empty once sent or expired
    status     TEXT   NOT NULL CHECK (status IN ('queued', 'sent', 'failed', 'suppressed', 'expired')),
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at    BIGINT NOT NULL,
    provider   TEXT   NOT NULL,
    error      TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX message_created_at ON message (created_at);
CREATE INDEX message_due ON message (next_at) WHERE status = 'queued';
CREATE INDEX message_code ON message (tenant_id, code_id) WHERE code_id <> '';

-- An admin wants the password changed at the next login.
ALTER TABLE authenticator ADD COLUMN must_change BOOLEAN NOT NULL DEFAULT FALSE;
