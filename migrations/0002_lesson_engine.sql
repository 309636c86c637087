-- Pictures of lessons, and what the lesson engine did and learners answered in a session.

CREATE TABLE lesson_files (
    slug  TEXT NOT NULL REFERENCES lessons (slug) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (slug, name)
) STRICT;

-- Scripts that ran and files that were put in place: each once in the life of a cluster.
CREATE TABLE setup_done (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    item       TEXT NOT NULL,
    PRIMARY KEY (session_id, item)
) STRICT;

CREATE TABLE quizzes_answered (
    session_id      TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    step            TEXT NOT NULL,
    quiz            TEXT NOT NULL,
    answered_millis INTEGER NOT NULL,
    PRIMARY KEY (session_id, step, quiz)
) STRICT;
