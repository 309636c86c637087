-- How the server was, a row every half minute, for the operator's plots; a week of them is kept.
CREATE TABLE samples (
    at_millis         INTEGER PRIMARY KEY,
    sessions          INTEGER NOT NULL,
    queued            INTEGER NOT NULL,
    terminals         INTEGER NOT NULL,
    starts            INTEGER NOT NULL,
    start_max_millis  INTEGER NOT NULL,
    cpu_percent       REAL NOT NULL,
    memory_used_bytes INTEGER NOT NULL,
    disk_free_bytes   INTEGER NOT NULL,
    requests          INTEGER NOT NULL,
    requests_failed   INTEGER NOT NULL
) STRICT;
