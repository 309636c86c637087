-- Classes: who holds them, who is in them, and what was told. Names of learners are here and nowhere else.

CREATE TABLE classes (
    id             TEXT PRIMARY KEY,
    -- NULL when the class is over: its code may be given to another one.
    code           TEXT UNIQUE,
    -- The person who holds it.
    instructor     TEXT NOT NULL,
    title          TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('planned', 'open', 'paused', 'over')),
    -- Slugs, JSON; empty is the playground.
    lessons        TEXT NOT NULL,
    -- Which of them it is at, from 0.
    at             INTEGER NOT NULL DEFAULT 0,
    workers        INTEGER,
    size           INTEGER NOT NULL,
    created_millis INTEGER NOT NULL,
    starts_millis  INTEGER NOT NULL,
    ends_millis    INTEGER NOT NULL,
    removed_millis INTEGER NOT NULL
) STRICT;
CREATE INDEX classes_instructor ON classes (instructor);

CREATE TABLE class_members (
    class         TEXT NOT NULL REFERENCES classes (id) ON DELETE CASCADE,
    -- From 1 in the order of joining; never given twice.
    number        INTEGER NOT NULL,
    person        TEXT NOT NULL,
    name          TEXT NOT NULL,
    -- The session that is theirs now.
    session       TEXT,
    -- The lesson of the class that it follows, from 0.
    at            INTEGER NOT NULL DEFAULT 0,
    joined_millis INTEGER NOT NULL,
    hand_millis   INTEGER,
    -- Whether they let the instructor type in their terminal.
    joint         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (class, number),
    UNIQUE (class, person),
    UNIQUE (class, name)
) STRICT;
CREATE INDEX class_members_session ON class_members (session);

-- Every session that a member had in the class: what was reached in it counts for their progress.
CREATE TABLE class_sessions (
    class   TEXT NOT NULL,
    number  INTEGER NOT NULL,
    session TEXT NOT NULL,
    lesson  TEXT,
    PRIMARY KEY (class, session),
    FOREIGN KEY (class, number) REFERENCES class_members (class, number) ON DELETE CASCADE
) STRICT;

CREATE TABLE class_posts (
    class     TEXT NOT NULL REFERENCES classes (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    at_millis INTEGER NOT NULL,
    -- The member it is for; NULL is all.
    member    INTEGER,
    kind      TEXT NOT NULL CHECK (kind IN ('message', 'command', 'hint')),
    text      TEXT NOT NULL,
    PRIMARY KEY (class, number)
) STRICT;

-- Sessions whose row is to be removed as soon as they are over: the class or the learner was removed.
CREATE TABLE sessions_to_forget (
    session TEXT PRIMARY KEY
) STRICT;
