"""Statements that are not queries: what they act on, and what only a rule that names it allows."""

from __future__ import annotations

import pytest

from tests.broker.policy.sql.spoken import parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EXPLAIN SELECT * FROM t", {"select public.t", "explain public.t"}),
        ("EXPLAIN SELECT 1", {"select", "explain"}),
        ("EXPLAIN ANALYZE DELETE FROM t", {"delete public.t unbounded", "explain public.t"}),
        ("PREPARE x AS DELETE FROM t WHERE a = 1", {"delete public.t"}),
        ("EXECUTE x", {"!execute prepared statement x"}),
        ("DEALLOCATE ALL", {"~execute"}),
        ("CREATE TABLE a AS EXECUTE x", {"create public.a", "!execute prepared statement x"}),
        ("DECLARE c CURSOR FOR SELECT * FROM t", {"cursor", "select public.t"}),
        ("FETCH 1 FROM c; CLOSE c", {"~cursor"}),
        ("DO $$ BEGIN END $$", {"!do code block"}),
        ("CALL app.p(1)", {"!call procedure app.p", "~call function app.p"}),
        ("COPY t TO STDOUT", {"copy_to public.t", "select public.t"}),
        ("COPY t FROM STDIN", {"copy_from public.t", "insert public.t"}),
        ("COPY (SELECT * FROM t) TO STDOUT", {"copy_to", "select public.t"}),
        ("COPY t TO '/tmp/x'", {"copy_to public.t", "select public.t", "!other file /tmp/x"}),
        ("COPY (SELECT 1) TO PROGRAM 'id'", {"copy_to", "select", "!other program id"}),
        ("BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT AND CHAIN", {"~transaction"}),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", {"~transaction"}),
        ("START TRANSACTION READ WRITE", {"~transaction", "!set setting transaction_read_only"}),
        ("SET TRANSACTION READ WRITE", {"~transaction", "!set setting transaction_read_only"}),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            {"~transaction", "!set setting transaction_read_only"},
        ),
        ("SET TRANSACTION SNAPSHOT 'x'", {"!set setting transaction snapshot"}),
        ("PREPARE TRANSACTION 'x'", {"!transaction prepared transaction x"}),
        ("COMMIT PREPARED 'x'", {"!transaction prepared transaction x"}),
        ("SHOW search_path", {"~show setting search_path"}),
        ("DISCARD ALL", {"!set session state (DISCARD)"}),
        ("RESET ALL", {"!set setting all"}),
        ("SET ROLE bob", {"!set setting role"}),
        ("SET SESSION AUTHORIZATION DEFAULT", {"!set setting session_authorization"}),
        ("ALTER SYSTEM SET log_statement = 'none'", {"!alter system setting log_statement"}),
        ("CREATE TABLE t (LIKE u)", {"create public.t", "select public.u"}),
        ("CREATE TEMP TABLE t (a int)", {"create pg_temp.t"}),
        (
            "CREATE TABLE p PARTITION OF t FOR VALUES IN (1)",
            {"create public.p", "alter public.t"},
        ),
        ("CREATE TABLE a AS SELECT * FROM t", {"create public.a", "select public.t"}),
        ("ALTER TABLE t RENAME TO u", {"alter public.t"}),
        ("ALTER TABLE t ATTACH PARTITION u DEFAULT", {"alter public.t", "alter public.u"}),
        ("ALTER TABLE t REPLICA IDENTITY FULL", {"alter public.t"}),
        ("ALTER TABLE t SET SCHEMA app", {"alter public.t"}),
        ("ALTER VIEW v SET (security_barrier)", {"alter view public.v"}),
        ("ALTER FUNCTION f() OWNER TO bob", {"!alter function f"}),
        ("DROP TABLE other, app.users", {"drop public.other", "drop app.users"}),
        ("DROP VIEW v", {"drop view public.v"}),
        ("DROP VIEW v CASCADE", {"!drop view public.v"}),
        ("DROP SCHEMA app", {"!drop schema app"}),
        ("DROP TRIGGER x ON t", {"!drop trigger t.x", "alter public.t"}),
        ("DROP FUNCTION f(int)", {"!drop function f"}),
        ("TRUNCATE a, b", {"truncate public.a", "truncate public.b"}),
        ("LOCK TABLE t", {"lock public.t"}),
        ("VACUUM t", {"vacuum public.t"}),
        ("VACUUM", {"vacuum every table"}),
        ("ANALYZE t", {"analyze public.t"}),
        ("REFRESH MATERIALIZED VIEW v", {"refresh public.v"}),
        ("REINDEX TABLE t", {"alter public.t", "!other reindex public.t"}),
        ("COMMENT ON TABLE t IS 'x'", {"comment public.t"}),
        ("COMMENT ON COLUMN t.a IS 'x'", {"comment public.t"}),
        ("COMMENT ON SCHEMA app IS 'x'", {"comment schema app"}),
        ("CREATE INDEX ON t (a)", {"create index on public.t", "alter public.t"}),
        ("CREATE VIEW v AS SELECT * FROM t", {"create view public.v", "select public.t"}),
        (
            "CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION f()",
            {"!create trigger x on public.t", "alter public.t", "!create function f"},
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u",
            {"!create rule r on public.t", "alter public.t", "delete public.u unbounded"},
        ),
        ("GRANT SELECT ON t TO bob", {"grant public.t"}),
        ("REVOKE SELECT ON t FROM bob", {"revoke public.t"}),
        (
            "GRANT ALL ON ALL TABLES IN SCHEMA app TO bob",
            {"!grant table every one in schema app"},
        ),
        ("GRANT admin TO bob", {"!grant role admin"}),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob", {"!grant default privileges"}),
    ],
)
def test_what_a_statement_does(text: str, expected: set[str]) -> None:
    assert parts(text) == expected
