-- Rows that come together lie together: SQLite's price is by the row of a table, whatever is in it. The rows
-- of a block came in one batch and began within one second.
CREATE TABLE blocks (
    -- batch for the first block of a batch, one more for each that follows.
    place    INTEGER NOT NULL PRIMARY KEY,
    -- The number of the batch's first row.
    batch    INTEGER NOT NULL,
    -- The number after that of the batch's last row.
    past     INTEGER NOT NULL,
    -- The first of ids.
    first_id BLOB    NOT NULL,
    -- 16 bytes each, ascending.
    ids      BLOB    NOT NULL,
    -- What to add to batch for each row's number, 4 bytes each, most significant first.
    numbers  BLOB    NOT NULL,
    -- Where each row ends in entries, 4 bytes each, most significant first.
    ends     BLOB    NOT NULL,
    entries  BLOB    NOT NULL
) STRICT;

INSERT INTO blocks (place, batch, past, first_id, ids, numbers, ends, entries)
    SELECT seq, seq, seq + 1, id, id, zeroblob(4), unhex(printf('%08x', length(entry))), entry
    FROM entries ORDER BY seq;

-- No id is in two blocks.
CREATE UNIQUE INDEX blocks_by_id ON blocks (first_id);

DROP TABLE entries;
DROP TABLE batches;
