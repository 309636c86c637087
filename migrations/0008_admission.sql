-- The queue, clusters that are started ahead, why sessions ended, and what learners made in them.

ALTER TABLE sessions ADD COLUMN queue_number INTEGER;
ALTER TABLE sessions ADD COLUMN waited_millis INTEGER;
ALTER TABLE sessions ADD COLUMN waited_places INTEGER;
ALTER TABLE sessions ADD COLUMN ended TEXT;
ALTER TABLE sessions ADD COLUMN ended_millis INTEGER;

-- Clusters of nobody yet. A row is there before its cluster is, and goes when a session takes it over.
CREATE TABLE warm_clusters (
    name    TEXT PRIMARY KEY,
    workers INTEGER NOT NULL,
    -- 1 once all its nodes were Ready.
    ready   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE session_manifests (
    session_id   TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    saved_millis INTEGER NOT NULL,
    text         TEXT NOT NULL
) STRICT;

-- Both clocks of the machine at one moment, so that a later start can tell whether the wall clock was set meanwhile.
CREATE TABLE clocks (
    only              INTEGER PRIMARY KEY CHECK (only = 1),
    boot              TEXT NOT NULL,
    since_boot_millis INTEGER NOT NULL,
    wall_millis       INTEGER NOT NULL
) STRICT;
