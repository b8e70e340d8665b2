-- +goose Up
-- Written for SQLite and PostgreSQL alike. Times are Unix milliseconds, 0 when there is none. Text compares by bytes: the collation
-- "binary" is SQLite's own, and Open makes it in PostgreSQL. A document column holds the noun as JSON; the other columns are what is searched.

CREATE TABLE settings (
    name  TEXT COLLATE "binary" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE caches (
    id       TEXT COLLATE "binary" PRIMARY KEY,
    account  TEXT COLLATE "binary" NOT NULL,
    region   TEXT COLLATE "binary" NOT NULL,
    kind     TEXT COLLATE "binary" NOT NULL,
    name     TEXT COLLATE "binary" NOT NULL,
    document TEXT NOT NULL
);
CREATE UNIQUE INDEX caches_name ON caches (account, region, kind, name);

CREATE TABLE nodes (
    id       TEXT COLLATE "binary" PRIMARY KEY,
    cache_id TEXT COLLATE "binary" NOT NULL,
    host     TEXT COLLATE "binary" NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX nodes_cache ON nodes (cache_id, id);
CREATE INDEX nodes_host ON nodes (host, id);

-- base is the status that the snapshot's own life gave it, status the one that is shown while jobs use it.
CREATE TABLE snapshots (
    id           TEXT COLLATE "binary" PRIMARY KEY,
    account      TEXT COLLATE "binary" NOT NULL,
    region       TEXT COLLATE "binary" NOT NULL,
    space        TEXT COLLATE "binary" NOT NULL,
    name         TEXT COLLATE "binary" NOT NULL,
    type         TEXT COLLATE "binary" NOT NULL,
    base         TEXT COLLATE "binary" NOT NULL,
    status       TEXT COLLATE "binary" NOT NULL,
    cache_id     TEXT COLLATE "binary" NOT NULL,
    cache_name   TEXT COLLATE "binary" NOT NULL,
    capture_id   TEXT COLLATE "binary" NOT NULL,
    copied_from  TEXT COLLATE "binary" NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    document     TEXT NOT NULL
);
CREATE UNIQUE INDEX snapshots_name ON snapshots (account, region, space, name);
CREATE INDEX snapshots_cache ON snapshots (account, region, space, cache_name, name);
CREATE INDEX snapshots_type ON snapshots (account, region, space, type, name);
CREATE INDEX snapshots_cache_type ON snapshots (account, region, space, cache_name, type, name);
CREATE INDEX snapshots_of_cache ON snapshots (cache_id, type, requested_at, id);
CREATE INDEX snapshots_creating ON snapshots (cache_id) WHERE base = 'creating' AND copied_from = '';
CREATE INDEX snapshots_capture ON snapshots (capture_id, id) WHERE capture_id <> '';
CREATE INDEX snapshots_expiry ON snapshots (expires_at, id) WHERE expires_at > 0;

CREATE TABLE snapshot_uses (
    snapshot_id TEXT COLLATE "binary" NOT NULL,
    job_id      TEXT COLLATE "binary" NOT NULL,
    purpose     TEXT COLLATE "binary" NOT NULL,
    PRIMARY KEY (snapshot_id, job_id)
);
CREATE INDEX snapshot_uses_job ON snapshot_uses (job_id);

-- Manual snapshots taken, whether they still exist or not: what the daily quota counts.
CREATE TABLE taken (
    snapshot_id TEXT COLLATE "binary" PRIMARY KEY,
    cache_id    TEXT COLLATE "binary" NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX taken_cache ON taken (cache_id, at);
CREATE INDEX taken_at ON taken (at);

CREATE TABLE tags (
    arn   TEXT COLLATE "binary" NOT NULL,
    name  TEXT COLLATE "binary" NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, name)
);

-- An event's id is its millisecond times 2^20 plus its number within it, so that the id alone orders events.
CREATE TABLE events (
    id          BIGINT PRIMARY KEY,
    account     TEXT COLLATE "binary" NOT NULL,
    region      TEXT COLLATE "binary" NOT NULL,
    service     TEXT COLLATE "binary" NOT NULL,
    source_type TEXT COLLATE "binary" NOT NULL,
    source_id   TEXT COLLATE "binary" NOT NULL,
    message     TEXT NOT NULL
);
CREATE INDEX events_service ON events (account, region, service, id);
CREATE INDEX events_type ON events (account, region, service, source_type, id);
CREATE INDEX events_source ON events (account, region, service, source_type, source_id, id);

CREATE TABLE jobs (
    id           TEXT COLLATE "binary" PRIMARY KEY,
    seq          BIGINT NOT NULL,
    kind         TEXT COLLATE "binary" NOT NULL,
    subject      TEXT COLLATE "binary" NOT NULL,
    serial       BIGINT NOT NULL,
    only_one     BIGINT NOT NULL,
    args         TEXT NOT NULL,
    state        TEXT COLLATE "binary" NOT NULL,
    attempt      BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    crashes      BIGINT NOT NULL,
    owner        TEXT COLLATE "binary" NOT NULL,
    fence        BIGINT NOT NULL,
    lease_until  BIGINT NOT NULL,
    run_at       BIGINT NOT NULL,
    progress     TEXT NOT NULL,
    checkpoint   TEXT NOT NULL,
    last_error   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT NOT NULL
);
CREATE INDEX jobs_seq ON jobs (seq);
CREATE INDEX jobs_waiting ON jobs (run_at, seq) WHERE state IN ('available', 'retryable');
CREATE INDEX jobs_running ON jobs (lease_until, id) WHERE state = 'running';
CREATE INDEX jobs_subject ON jobs (subject, seq) WHERE state IN ('available', 'retryable', 'running');
CREATE UNIQUE INDEX jobs_only_one ON jobs (kind, subject) WHERE only_one = 1 AND state IN ('available', 'retryable', 'running');
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at > 0;
CREATE INDEX jobs_state ON jobs (state, kind, seq);
