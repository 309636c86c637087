-- People: who owns a session, who was invited to it, who may sign in, and who did what.

-- A person's id; '' in sessions from before there were people, which the browser that started them takes over.
ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_owner ON sessions (owner);

-- Keys that the server makes for itself, such as the one that signs cookies.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Anonymous learners are here only when they did something; those who sign in have a role, and a login or a subject.
CREATE TABLE people (
    id             TEXT PRIMARY KEY,
    name           TEXT,
    role           TEXT NOT NULL DEFAULT 'learner' CHECK (role IN ('learner', 'instructor', 'operator')),
    -- Name to sign in with.
    login          TEXT UNIQUE COLLATE NOCASE,
    -- Argon2 in PHC form.
    password       TEXT,
    -- OpenID Connect: issuer and subject.
    subject        TEXT UNIQUE,
    created_millis INTEGER NOT NULL,
    seen_millis    INTEGER NOT NULL
) STRICT;

-- Browsers that are signed in. Only the digest of what they show: who reads the database cannot sign in with it.
CREATE TABLE sign_ins (
    digest         TEXT PRIMARY KEY,
    person         TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_millis INTEGER NOT NULL,
    expires_millis INTEGER NOT NULL,
    seen_millis    INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_person ON sign_ins (person);

-- Links that make one account each: the first operator's and those for instructors.
CREATE TABLE account_links (
    digest         TEXT PRIMARY KEY,
    role           TEXT NOT NULL CHECK (role IN ('instructor', 'operator')),
    name           TEXT,
    -- The operator who made it; NULL is the server, at its first start.
    made_by        TEXT,
    created_millis INTEGER NOT NULL,
    expires_millis INTEGER NOT NULL
) STRICT;

-- Links to a session, one of each kind; who opens one becomes a guest.
CREATE TABLE invites (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    may        TEXT NOT NULL CHECK (may IN ('watch', 'work')),
    token      TEXT NOT NULL UNIQUE,
    PRIMARY KEY (session_id, may)
) STRICT;

CREATE TABLE guests (
    session_id    TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    person        TEXT NOT NULL,
    may           TEXT NOT NULL CHECK (may IN ('watch', 'work')),
    joined_millis INTEGER NOT NULL,
    PRIMARY KEY (session_id, person)
) STRICT;

-- Who did what. Never changed, only pruned at the old end.
CREATE TABLE deeds (
    id        INTEGER PRIMARY KEY,
    at_millis INTEGER NOT NULL,
    person    TEXT NOT NULL,
    role      TEXT NOT NULL,
    address   TEXT NOT NULL,
    action    TEXT NOT NULL,
    object    TEXT NOT NULL,
    outcome   INTEGER NOT NULL
) STRICT;
CREATE INDEX deeds_at ON deeds (at_millis);
