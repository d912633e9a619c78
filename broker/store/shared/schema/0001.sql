CREATE TABLE nodes (
    name         text PRIMARY KEY,
    started      timestamptz NOT NULL DEFAULT now(),
    lease_until  timestamptz NOT NULL,
    connections  jsonb NOT NULL DEFAULT '{}'
);

-- Moments of the broker's own are ISO 8601 in UTC, and compared as bytes: they sort.
CREATE TABLE sessions (
    id          text PRIMARY KEY,
    identity    text NOT NULL,
    acting_for  text,
    target      text NOT NULL,
    kind        text NOT NULL,
    way         text NOT NULL,
    started     text COLLATE "C" NOT NULL,
    ended       text COLLATE "C",
    status      text NOT NULL,
    exit_code   integer,
    recording   text,
    reason      bytea NOT NULL,
    source      text NOT NULL,
    node        text NOT NULL
);
CREATE INDEX sessions_by_start ON sessions (started, id);
CREATE INDEX sessions_open ON sessions (node, identity) WHERE status = 'open';

CREATE TABLE reviews (
    id            text PRIMARY KEY,
    session       text NOT NULL,
    state         text NOT NULL,
    asked         text COLLATE "C" NOT NULL,
    expires       text COLLATE "C" NOT NULL,
    digest        text NOT NULL,
    statement     bytea NOT NULL,
    identity      text NOT NULL,
    body          text NOT NULL,
    closed_by     text,
    closed_reason text NOT NULL,
    closed_at     text COLLATE "C"
);
CREATE INDEX reviews_by_asked ON reviews (asked, id);
CREATE INDEX reviews_pending ON reviews (session) WHERE state = 'pending';

CREATE TABLE approvals (
    review  text NOT NULL REFERENCES reviews (id),
    n       integer NOT NULL,
    by      text NOT NULL,
    at      text COLLATE "C" NOT NULL,
    reason  text NOT NULL,
    PRIMARY KEY (review, n)
);

CREATE TABLE serials (
    serial  bigint PRIMARY KEY,
    issued  text COLLATE "C" NOT NULL
);

CREATE TABLE used_tokens (
    digest  bytea PRIMARY KEY,
    until   double precision NOT NULL
);
CREATE INDEX used_tokens_by_end ON used_tokens (until);

CREATE TABLE locks (
    subject  text NOT NULL,
    name     text NOT NULL,
    by       text NOT NULL,
    at       text COLLATE "C" NOT NULL,
    reason   text NOT NULL,
    PRIMARY KEY (subject, name)
);

CREATE TABLE knocks (
    source  text PRIMARY KEY,
    tries   double precision NOT NULL,
    at      timestamptz NOT NULL
);

-- Who waits elsewhere is woken; what is told is only that something changed.
CREATE FUNCTION tell_nodes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('interlock', TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_nodes AFTER INSERT OR UPDATE OR DELETE ON locks
    FOR EACH STATEMENT EXECUTE FUNCTION tell_nodes();
CREATE TRIGGER tell_nodes AFTER INSERT OR UPDATE OR DELETE ON reviews
    FOR EACH STATEMENT EXECUTE FUNCTION tell_nodes();
CREATE TRIGGER tell_nodes AFTER INSERT ON approvals
    FOR EACH STATEMENT EXECUTE FUNCTION tell_nodes();
