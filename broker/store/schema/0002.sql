CREATE TABLE used_tokens (
    digest  BLOB PRIMARY KEY,
    until   REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_tokens_by_end ON used_tokens (until);
