CREATE TABLE sessions (
    id          TEXT PRIMARY KEY,
    identity    TEXT NOT NULL,
    acting_for  TEXT,
    target      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    way         TEXT NOT NULL,
    started     TEXT NOT NULL,
    ended       TEXT,
    status      TEXT NOT NULL,
    exit_code   INTEGER,
    recording   TEXT,
    reason      BLOB NOT NULL,
    source      TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_start ON sessions (started);
CREATE INDEX sessions_open ON sessions (status) WHERE status = 'open';

CREATE TABLE reviews (
    id            TEXT PRIMARY KEY,
    session       TEXT NOT NULL,
    state         TEXT NOT NULL,
    asked         TEXT NOT NULL,
    expires       TEXT NOT NULL,
    digest        TEXT NOT NULL,
    statement     BLOB NOT NULL,
    identity      TEXT NOT NULL,
    body          TEXT NOT NULL,
    closed_by     TEXT,
    closed_reason TEXT NOT NULL,
    closed_at     TEXT
) STRICT;
CREATE INDEX reviews_by_asked ON reviews (asked);
CREATE INDEX reviews_pending ON reviews (state) WHERE state = 'pending';

CREATE TABLE approvals (
    review  TEXT NOT NULL REFERENCES reviews (id),
    n       INTEGER NOT NULL,
    by      TEXT NOT NULL,
    at      TEXT NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (review, n)
) STRICT;

CREATE TABLE serials (
    serial  INTEGER PRIMARY KEY,
    issued  TEXT NOT NULL
) STRICT;
