-- What hooks are told of: the outbox and the delivery log in one.

CREATE TABLE hook_delivery (
    tenant_id   TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    id          TEXT   NOT NULL,
    event_id    TEXT   NOT NULL,
    event_type  TEXT   NOT NULL,
    endpoint    TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('queued', 'delivered', 'failed')),
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    tried_at    BIGINT NOT NULL, -- of the last try, as the rest is; 0 before it
    took_ms     BIGINT NOT NULL,
    status_code BIGINT NOT NULL,
    response    TEXT   NOT NULL,
    error       TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX hook_delivery_created_at ON hook_delivery (created_at);
CREATE INDEX hook_delivery_due ON hook_delivery (next_at) WHERE status = 'queued';
