-- One file for SQLite and PostgreSQL: TEXT, BIGINT and BOOLEAN only, never NULL.
-- Times are unix milliseconds and 0 for never, documents are JSON, bytes are
-- unpadded base64url. TEXT compares by bytes on both (see doc.go).
--
-- A tenant is a shard: every primary key, unique index and foreign key begins
-- with tenant_id. Exempt are tenant, tenant_host, tenant_gone, role_grant and
-- schema_migration, which are the platform's.

CREATE TABLE tenant (
    id             TEXT   NOT NULL PRIMARY KEY,
    slug           TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    state          TEXT   NOT NULL CHECK (state IN ('active', 'suspended')),
    suspend_reason TEXT   NOT NULL,
    pfid_partition BIGINT NOT NULL,
    data_key       TEXT   NOT NULL,
    version        BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    draft_revision BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenant_slug ON tenant (slug);
CREATE UNIQUE INDEX tenant_pfid_partition ON tenant (pfid_partition);
CREATE INDEX tenant_changed_at ON tenant (changed_at);

CREATE TABLE tenant_host (
    host      TEXT   NOT NULL PRIMARY KEY,
    tenant_id TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL -- 0 is the primary host
);
CREATE INDEX tenant_host_tenant ON tenant_host (tenant_id, position);

-- Deleted tenants, remembered until every node has noticed.
CREATE TABLE tenant_gone (
    tenant_id  TEXT   NOT NULL PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);
CREATE INDEX tenant_gone_deleted_at ON tenant_gone (deleted_at);

CREATE TABLE config_version (
    tenant_id  TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    number     BIGINT NOT NULL,
    document   TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, number)
);

CREATE TABLE config_draft (
    tenant_id  TEXT   NOT NULL PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE,
    base       BIGINT NOT NULL,
    document   TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE secret (
    tenant_id  TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    last_four  TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE user_account (
    tenant_id           TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    id                  TEXT   NOT NULL,
    state               TEXT   NOT NULL CHECK (state IN ('active', 'disabled')),
    disabled_reason     TEXT   NOT NULL,
    standard_attributes TEXT   NOT NULL,
    custom_attributes   TEXT   NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE identity (
    tenant_id   TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    value       TEXT   NOT NULL, -- canonical
    shown       TEXT   NOT NULL, -- as the user wrote it
    verified_at BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id) ON DELETE CASCADE
);
-- Value first: it also answers a search by the beginning of a login id.
CREATE UNIQUE INDEX identity_value ON identity (tenant_id, value, kind);
CREATE INDEX identity_shown ON identity (tenant_id, shown) WHERE shown <> value;
-- With the id, so that SQLite doesn't walk the tenant's whole primary key to give
-- a user's rows in the order of their ids.
CREATE INDEX identity_by_user ON identity (tenant_id, user_id, id);

CREATE TABLE authenticator (
    tenant_id  TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    secret     TEXT   NOT NULL, -- a password hash, or a sealed key
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX authenticator_by_user ON authenticator (tenant_id, user_id, id); -- with the id: see identity_by_user

CREATE TABLE session (
    tenant_id        TEXT   NOT NULL,
    id               TEXT   NOT NULL,
    token_hash       TEXT   NOT NULL,
    user_id          TEXT   NOT NULL,
    run_id           TEXT   NOT NULL,
    amr              TEXT   NOT NULL, -- separated by spaces
    authenticated_at BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    last_seen_at     BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    idle_expires_at  BIGINT NOT NULL,
    ip               TEXT   NOT NULL,
    user_agent       TEXT   NOT NULL,
    revoked_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX session_token_hash ON session (tenant_id, token_hash);
CREATE INDEX session_by_user ON session (tenant_id, user_id, id);
CREATE INDEX session_expires_at ON session (expires_at);

-- A run begins with every visitor. It doesn't refer to its tenant, because each
-- insert would then lock the tenant's row; nor does a state refer to its run,
-- beside which it is always written. A deleted tenant takes them along all the
-- same, and what begins at that moment is purged.
CREATE TABLE flow_run (
    tenant_id        TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    flow_type        TEXT    NOT NULL,
    flow_name        TEXT    NOT NULL,
    config_version   BIGINT  NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('new', 'pending', 'finished', 'complete', 'cancelled')),
    surface          TEXT    NOT NULL,
    session_kind     TEXT    NOT NULL,
    user_id          TEXT    NOT NULL, -- empty until known; outlives the user
    session_id       TEXT    NOT NULL,
    device_id        TEXT    NOT NULL,
    factors          TEXT    NOT NULL, -- separated by spaces
    first_seen_at    BIGINT  NOT NULL,
    first_ip         TEXT    NOT NULL,
    first_user_agent TEXT    NOT NULL,
    last_seen_at     BIGINT  NOT NULL,
    last_ip          TEXT    NOT NULL,
    last_user_agent  TEXT    NOT NULL,
    created_at       BIGINT  NOT NULL,
    expires_at       BIGINT  NOT NULL,
    finished_at      BIGINT  NOT NULL,
    walkable         BOOLEAN NOT NULL, -- its states are kept
    audited          BOOLEAN NOT NULL, -- its end is in the audit log
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX flow_run_by_user ON flow_run (tenant_id, user_id, id) WHERE user_id <> '';
CREATE INDEX flow_run_expires_at ON flow_run (expires_at) WHERE walkable;
CREATE INDEX flow_run_unaudited ON flow_run (tenant_id, finished_at) WHERE status IN ('finished', 'complete') AND NOT audited;

CREATE TABLE flow_state (
    tenant_id  TEXT   NOT NULL,
    token_hash TEXT   NOT NULL,
    run_id     TEXT   NOT NULL,
    user_id    TEXT   NOT NULL, -- empty until known; of a sign-up, a user who isn't there yet
    data       TEXT   NOT NULL, -- sealed
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
);
-- The run first: a planner that has counted nothing yet takes every index that
-- begins with the tenant for as good as the primary key.
CREATE INDEX flow_state_by_run ON flow_state (run_id, tenant_id);

-- Generic cell rate algorithm: tat is the theoretical arrival time. It bounds
-- strangers too, so there may be no such tenant.
CREATE TABLE rate_bucket (
    tenant_id TEXT   NOT NULL,
    bucket    TEXT   NOT NULL,
    tat       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, bucket)
);

CREATE TABLE api_key (
    tenant_id    TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    id           TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    last_four    TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    revoked_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_key_hash ON api_key (tenant_id, hash);

-- Who of the admin tenant's users has which role in which domain: a tenant's
-- id, or 'platform'.
CREATE TABLE role_grant (
    user_id TEXT NOT NULL,
    domain  TEXT NOT NULL,
    role    TEXT NOT NULL,
    PRIMARY KEY (user_id, domain)
);
CREATE INDEX role_grant_domain ON role_grant (domain);

CREATE TABLE audit_log (
    tenant_id  TEXT   NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    id         TEXT   NOT NULL,
    seq        BIGINT NOT NULL, -- 0 until sealed
    at         BIGINT NOT NULL,
    category   TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    actor_kind TEXT   NOT NULL,
    actor_id   TEXT   NOT NULL,
    ip         TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    run_id     TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    prev_hash  TEXT   NOT NULL,
    hash       TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX audit_log_seq ON audit_log (tenant_id, seq) WHERE seq > 0;
CREATE INDEX audit_log_unsealed ON audit_log (tenant_id, id) WHERE seq = 0;
CREATE INDEX audit_log_by_user ON audit_log (tenant_id, user_id, seq) WHERE user_id <> '';

-- Where a tenant's chain ends. Whoever extends it locks this row.
CREATE TABLE audit_head (
    tenant_id TEXT   NOT NULL PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE,
    seq       BIGINT NOT NULL,
    hash      TEXT   NOT NULL
);
