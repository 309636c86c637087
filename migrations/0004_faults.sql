-- Faults that hold in a session's cluster: the server has to know them to heal them after it was started again.

CREATE TABLE session_faults (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    -- Kind, node and component, JSON.
    fault      TEXT NOT NULL,
    PRIMARY KEY (session_id, fault)
) STRICT;
