-- Ways into sessions from outside: tokens of kubeconfigs that were downloaded, and the certificate that they trust.

-- Only a token's digest is kept: who reads the database cannot use it.
CREATE TABLE kube_tokens (
    digest         TEXT PRIMARY KEY,
    session_id     TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    person         TEXT NOT NULL,
    created_millis INTEGER NOT NULL
) STRICT;
CREATE INDEX kube_tokens_session ON kube_tokens (session_id);

-- One row: the server's own certificate, in PEM.
CREATE TABLE certificate (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    ca          TEXT NOT NULL,
    certificate TEXT NOT NULL,
    key         TEXT NOT NULL
) STRICT;
