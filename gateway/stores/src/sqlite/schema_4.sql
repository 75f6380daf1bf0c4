-- The same sums by the day of UTC: questions about months are answered from a tenth of the rows. `hour` is
-- the day's first.
CREATE TABLE rollups_by_day (
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

-- At most 24 rows make one: their pico-units, each below 10^12, stay far below what an integer holds.
INSERT INTO rollups_by_day
    SELECT hour - (hour % 24 + 24) % 24 AS day, kind, team, project, key, model, upstream, region, zone, currency,
        sum(requests), sum(refusals), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens),
        sum(output_tokens), sum(reasoning_tokens), sum(unpriced_requests),
        sum(cost_units) + sum(cost_pico) / 1000000000000, sum(cost_pico) % 1000000000000
    FROM rollups
    GROUP BY day, kind, team, project, key, model, upstream, region, zone, currency;
