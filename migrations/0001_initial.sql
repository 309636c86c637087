-- Lessons as imported from files, sessions and what learners reached in them.
-- Forward only: a released migration is never edited; the next one adds to it.

CREATE TABLE lessons (
    slug        TEXT PRIMARY KEY,
    position    INTEGER NOT NULL,
    -- SHA-256 over the lesson's files: an unchanged lesson is not imported again.
    fingerprint TEXT NOT NULL,
    -- The lesson's checks and settings, JSON.
    definition  TEXT NOT NULL
) STRICT;

CREATE TABLE lesson_texts (
    slug     TEXT NOT NULL REFERENCES lessons (slug) ON DELETE CASCADE,
    language TEXT NOT NULL CHECK (language IN ('en', 'zh-TW', 'zh-CN')),
    -- Title, summary and steps in this language, JSON.
    document TEXT NOT NULL,
    PRIMARY KEY (slug, language)
) STRICT;

CREATE TABLE sessions (
    -- 128 random bits: who knows it may use the session.
    id             TEXT PRIMARY KEY,
    -- Name of the cluster on the host.
    name           TEXT NOT NULL UNIQUE,
    lesson         TEXT,
    workers        INTEGER NOT NULL,
    state          TEXT NOT NULL,
    reason         TEXT,
    created_millis INTEGER NOT NULL,
    expires_millis INTEGER NOT NULL,
    start_millis   INTEGER
) STRICT;

CREATE TABLE steps_done (
    session_id  TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    step        TEXT NOT NULL,
    done_millis INTEGER NOT NULL,
    PRIMARY KEY (session_id, step)
) STRICT;
