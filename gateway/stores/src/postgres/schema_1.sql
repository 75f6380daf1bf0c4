-- The number that the last row was given. Who takes rows locks this row until the end, so numbers
-- become visible in ascending order, whoever writes.
CREATE TABLE tollgate.sequence (last_seq bigint NOT NULL);
INSERT INTO tollgate.sequence VALUES (0);

-- The rows: a partition per month (UTC), made when its first row comes. The id remembers started_at,
-- so that this key admits an id once. `entry` is the row whole, as the journal has it; the columns
-- are for people, and for what questions are narrowed by.
CREATE TABLE tollgate.entries (
    id                  uuid        NOT NULL,
    seq                 bigint      NOT NULL,
    kind                text        NOT NULL,
    started_at          timestamptz NOT NULL,
    ended_at            timestamptz NOT NULL,
    organization        text        NOT NULL,
    team                text        NOT NULL,
    project             text        NOT NULL,
    key                 text        NOT NULL,
    cost_center         text,
    tags                jsonb       NOT NULL,
    end_user            text,
    session             text,
    client              text,
    model               text        NOT NULL,
    provider            text,
    account             text,
    upstream            text,
    upstream_model      text,
    served_model        text,
    region              text,
    zone                text,
    dialect             text        NOT NULL,
    operation           text        NOT NULL,
    stream              boolean     NOT NULL,
    status              integer,
    error_code          text,
    "end"               text,
    served_by           text        NOT NULL,
    input_tokens        numeric     NOT NULL,
    cached_input_tokens numeric     NOT NULL,
    cache_write_tokens  numeric     NOT NULL,
    output_tokens       numeric     NOT NULL,
    reasoning_tokens    numeric     NOT NULL,
    audio_input_tokens  numeric     NOT NULL,
    audio_output_tokens numeric     NOT NULL,
    usage_source        text        NOT NULL,
    meters              jsonb       NOT NULL,
    service_tier        text,
    cost                numeric,
    currency            text        NOT NULL,
    reserved_cost       numeric     NOT NULL,
    waste_cost          numeric     NOT NULL,
    attempt_count       integer     NOT NULL,
    attempts            jsonb       NOT NULL,
    upstream_request_id text,
    trace_id            text,
    ttft_ms             bigint,
    duration_ms         bigint      NOT NULL,
    instance            text        NOT NULL,
    config_version      numeric     NOT NULL,
    adjusts             uuid,
    flags               jsonb       NOT NULL,
    log                 uuid        NOT NULL,
    lsn                 bigint      NOT NULL,
    entry               bytea       NOT NULL,
    PRIMARY KEY (started_at, id)
) PARTITION BY RANGE (started_at);
CREATE INDEX entries_by_seq ON tollgate.entries (seq);

-- Rows that started before this instant were dropped; null when none were.
CREATE TABLE tollgate.retention (dropped_before timestamptz);
INSERT INTO tollgate.retention VALUES (NULL);

-- Sums per hour, and per day, of UTC. An empty text stands for what rows do not have.
CREATE TABLE tollgate.usage_by_hour (
    since               timestamptz NOT NULL,
    kind                text        NOT NULL,
    team                text        NOT NULL,
    project             text        NOT NULL,
    key                 text        NOT NULL,
    model               text        NOT NULL,
    upstream            text        NOT NULL,
    region              text        NOT NULL,
    zone                text        NOT NULL,
    currency            text        NOT NULL,
    requests            numeric     NOT NULL,
    refusals            numeric     NOT NULL,
    input_tokens        numeric     NOT NULL,
    cached_input_tokens numeric     NOT NULL,
    cache_write_tokens  numeric     NOT NULL,
    output_tokens       numeric     NOT NULL,
    reasoning_tokens    numeric     NOT NULL,
    unpriced_requests   numeric     NOT NULL,
    cost                numeric     NOT NULL,
    PRIMARY KEY (since, kind, team, project, key, model, upstream, region, zone, currency)
);
CREATE TABLE tollgate.usage_by_day (LIKE tollgate.usage_by_hour INCLUDING ALL);

-- How far each log of the journals was taken.
CREATE TABLE tollgate.cursors (
    log     uuid    NOT NULL PRIMARY KEY,
    lsn     bigint  NOT NULL,
    segment bigint  NOT NULL,
    "offset" bigint NOT NULL
);

-- Records that could not become rows.
CREATE TABLE tollgate.dead_letters (
    log     uuid        NOT NULL,
    lsn     bigint      NOT NULL,
    reason  text        NOT NULL,
    payload bytea       NOT NULL,
    since   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, lsn)
);

CREATE TABLE tollgate.overrides (
    kind   text        NOT NULL,
    name   text        NOT NULL,
    state  text        NOT NULL,
    reason text        NOT NULL,
    author text        NOT NULL,
    since  timestamptz NOT NULL,
    until  timestamptz,
    PRIMARY KEY (kind, name)
);

-- Not used: run-time keys are documents.
CREATE TABLE tollgate.keys (
    id      text        NOT NULL PRIMARY KEY,
    project text        NOT NULL,
    name    text        NOT NULL,
    digest  bytea       NOT NULL,
    created timestamptz NOT NULL,
    expires timestamptz,
    revoked timestamptz
);

-- One number that changes whenever overrides or documents do.
CREATE TABLE tollgate.revision (number bigint NOT NULL);
INSERT INTO tollgate.revision VALUES (0);

CREATE TABLE tollgate.audit (
    seq     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    subject text        NOT NULL,
    detail  text        NOT NULL
);

CREATE TABLE tollgate.config_versions (
    version bigint      NOT NULL PRIMARY KEY,
    hash    text        NOT NULL,
    source  text        NOT NULL,
    author  text        NOT NULL,
    at      timestamptz NOT NULL,
    text    text        NOT NULL
);

-- Papers of finance: found by kind and name, changed only by the next revision.
CREATE TABLE tollgate.documents (
    kind     text        NOT NULL,
    name     text        NOT NULL,
    revision bigint      NOT NULL,
    at       timestamptz NOT NULL,
    body     text        NOT NULL,
    PRIMARY KEY (kind, name)
);
