CREATE TABLE locks (
    subject  TEXT NOT NULL,
    name     TEXT NOT NULL,
    by       TEXT NOT NULL,
    at       TEXT NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (subject, name)
) STRICT, WITHOUT ROWID;
