-- The rows. The id begins with the time at which the request did.
CREATE TABLE entries (
    id      BLOB    NOT NULL PRIMARY KEY,
    seq     INTEGER NOT NULL,
    project TEXT    NOT NULL,
    entry   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- The order in which rows were taken: the ids of a batch, 16 bytes each, the first with first_seq.
-- Zeros are a number that no row has.
CREATE TABLE batches (
    first_seq INTEGER NOT NULL PRIMARY KEY,
    ids       BLOB    NOT NULL
) STRICT;

-- Sums per hour (since 1970, UTC). Money is units * 10^12 + pico pico-units, 0 <= pico < 10^12.
CREATE TABLE rollups (
    hour                INTEGER NOT NULL,
    kind                TEXT    NOT NULL,
    team                TEXT    NOT NULL,
    project             TEXT    NOT NULL,
    key                 TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    upstream            TEXT    NOT NULL,
    region              TEXT    NOT NULL,
    zone                TEXT    NOT NULL,
    currency            TEXT    NOT NULL,
    requests            INTEGER NOT NULL,
    refusals            INTEGER NOT NULL,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    unpriced_requests   INTEGER NOT NULL,
    cost_units          INTEGER NOT NULL,
    cost_pico           INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, team, project, key, model, upstream, region, zone, currency)
) STRICT, WITHOUT ROWID;

-- How far each log of the journal was taken.
CREATE TABLE cursors (
    log     BLOB    NOT NULL PRIMARY KEY,
    lsn     INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Records that could not become rows.
CREATE TABLE dead_letters (
    log     BLOB    NOT NULL,
    lsn     INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    payload BLOB    NOT NULL,
    PRIMARY KEY (log, lsn)
) STRICT;

CREATE TABLE overrides (
    kind   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    state  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    author TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Not used: run-time keys are documents.
CREATE TABLE keys (
    id      TEXT    NOT NULL PRIMARY KEY,
    project TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER
) STRICT, WITHOUT ROWID;

-- One number that changes whenever overrides or documents do.
CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE TABLE config_versions (
    version INTEGER NOT NULL PRIMARY KEY,
    hash    TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    author  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT    NOT NULL
) STRICT;
