"""Every statement kind of PostgreSQL's grammar: one example of each, and what it comes to.

``!`` is only for a rule that names it, ``~`` for whoever may do anything on the target.
"""

from __future__ import annotations

from importlib import import_module

import pytest

from broker.policy.sql import grammar
from tests.broker.policy.sql.spoken import parts

INSIDE = {"PLAssignStmt", "RawStmt", "ReplicaIdentityStmt", "ReturnStmt", "SetOperationStmt"}
"""What the grammar calls statements and nobody can send as one."""

KINDS: list[tuple[str, str, set[str]]] = [
    ("AlterCollationStmt", "ALTER COLLATION app.c REFRESH VERSION", {"!alter collation app.c"}),
    (
        "AlterDatabaseRefreshCollStmt",
        "ALTER DATABASE d REFRESH COLLATION VERSION",
        {"!alter database d"},
    ),
    ("AlterDatabaseSetStmt", "ALTER DATABASE d SET work_mem = '1GB'", {"!alter database d"}),
    ("AlterDatabaseStmt", "ALTER DATABASE d CONNECTION LIMIT 1", {"!alter database d"}),
    (
        "AlterDefaultPrivilegesStmt",
        "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM bob",
        {"!revoke default privileges"},
    ),
    ("AlterDomainStmt", "ALTER DOMAIN d SET NOT NULL", {"alter domain d"}),
    ("AlterEnumStmt", "ALTER TYPE mood ADD VALUE 'calm'", {"alter type mood"}),
    ("AlterEventTrigStmt", "ALTER EVENT TRIGGER e DISABLE", {"!alter event trigger e"}),
    ("AlterExtensionContentsStmt", "ALTER EXTENSION e ADD TABLE t", {"!alter extension e"}),
    ("AlterExtensionStmt", "ALTER EXTENSION e UPDATE", {"!alter extension e"}),
    (
        "AlterFdwStmt",
        "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD a 'b')",
        {"!alter foreign data wrapper w"},
    ),
    ("AlterForeignServerStmt", "ALTER SERVER s OPTIONS (SET host 'x')", {"!alter server s"}),
    ("AlterFunctionStmt", "ALTER FUNCTION f(int) SECURITY DEFINER", {"!alter function f"}),
    ("AlterObjectDependsStmt", "ALTER INDEX i DEPENDS ON EXTENSION e", {"alter public.i"}),
    ("AlterObjectSchemaStmt", "ALTER TABLE t SET SCHEMA app", {"alter public.t"}),
    (
        "AlterOpFamilyStmt",
        "ALTER OPERATOR FAMILY o USING btree ADD FUNCTION 1 f(int, int)",
        {"!alter operator family o"},
    ),
    (
        "AlterOperatorStmt",
        "ALTER OPERATOR + (int, int) SET (RESTRICT = NONE)",
        {"!alter operator +"},
    ),
    ("AlterOwnerStmt", "ALTER SCHEMA app OWNER TO bob", {"!alter schema app"}),
    (
        "AlterPolicyStmt",
        "ALTER POLICY p ON t USING (true)",
        {"!alter policy p on public.t", "alter public.t"},
    ),
    (
        "AlterPublicationStmt",
        "ALTER PUBLICATION p ADD TABLE t",
        {"!alter publication p", "select public.t"},
    ),
    ("AlterRoleSetStmt", "ALTER ROLE bob SET search_path = secret", {"!alter role bob"}),
    ("AlterRoleStmt", "ALTER ROLE bob PASSWORD 'x'", {"!alter role bob"}),
    ("AlterSeqStmt", "ALTER SEQUENCE s RESTART", {"alter sequence public.s"}),
    ("AlterStatsStmt", "ALTER STATISTICS s SET STATISTICS 5", {"alter statistics s"}),
    ("AlterSubscriptionStmt", "ALTER SUBSCRIPTION s DISABLE", {"!alter subscription s"}),
    ("AlterSystemStmt", "ALTER SYSTEM RESET ALL", {"!alter system setting all"}),
    (
        "AlterTSConfigurationStmt",
        "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR word WITH simple",
        {"!alter text search configuration c"},
    ),
    (
        "AlterTSDictionaryStmt",
        "ALTER TEXT SEARCH DICTIONARY d (stopwords = 'x')",
        {"!alter text search dictionary d"},
    ),
    (
        "AlterTableMoveAllStmt",
        "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
        {"!alter all in tablespace a"},
    ),
    (
        "AlterTableSpaceOptionsStmt",
        "ALTER TABLESPACE a SET (seq_page_cost = 1)",
        {"!alter tablespace a"},
    ),
    (
        "AlterTableStmt",
        "ALTER TABLE t ADD COLUMN a int DEFAULT lower('x')",
        {"alter public.t", "~alter function lower"},
    ),
    ("AlterTypeStmt", "ALTER TYPE c SET (SEND = f)", {"!alter type c"}),
    (
        "AlterUserMappingStmt",
        "ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET password 'x')",
        {"!alter user mapping on server s"},
    ),
    ("CallStmt", "CALL p(1)", {"!call procedure p", "~call function p"}),
    ("CheckPointStmt", "CHECKPOINT", {"!other checkpoint"}),
    ("ClosePortalStmt", "CLOSE ALL", {"~cursor"}),
    ("ClusterStmt", "CLUSTER t USING i", {"!other cluster public.t", "alter public.t"}),
    ("CommentStmt", "COMMENT ON FUNCTION f(int) IS 'x'", {"comment function f"}),
    ("CompositeTypeStmt", "CREATE TYPE c AS (a int)", {"create type public.c"}),
    ("ConstraintsSetStmt", "SET CONSTRAINTS ALL DEFERRED", {"~transaction"}),
    ("CopyStmt", "COPY t (a) FROM STDIN", {"copy_from public.t", "insert public.t"}),
    ("CreateAmStmt", "CREATE ACCESS METHOD a TYPE INDEX HANDLER h", {"!create access method a"}),
    ("CreateCastStmt", "CREATE CAST (int AS c) WITHOUT FUNCTION", {"!create cast to c"}),
    (
        "CreateConversionStmt",
        "CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f",
        {"!create conversion c"},
    ),
    (
        "CreateDomainStmt",
        "CREATE DOMAIN d AS int CHECK (f(VALUE))",
        {"!create function f", "create domain d"},
    ),
    ("CreateEnumStmt", "CREATE TYPE mood AS ENUM ('sad')", {"create type mood"}),
    (
        "CreateEventTrigStmt",
        "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()",
        {"!create event trigger e"},
    ),
    ("CreateExtensionStmt", "CREATE EXTENSION IF NOT EXISTS e CASCADE", {"!create extension e"}),
    (
        "CreateFdwStmt",
        "CREATE FOREIGN DATA WRAPPER w HANDLER h",
        {"!create foreign data wrapper w"},
    ),
    (
        "CreateForeignServerStmt",
        "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'x')",
        {"!create server s"},
    ),
    (
        "CreateForeignTableStmt",
        "CREATE FOREIGN TABLE t (a int) SERVER s",
        {"!create foreign table on server s", "create public.t"},
    ),
    (
        "CreateFunctionStmt",
        "CREATE PROCEDURE p() LANGUAGE sql AS 'DELETE FROM t'",
        {"!create function p"},
    ),
    (
        "CreateOpClassStmt",
        "CREATE OPERATOR CLASS o FOR TYPE c USING btree AS FUNCTION 1 f(c, c)",
        {"!create operator class o"},
    ),
    ("CreateOpFamilyStmt", "CREATE OPERATOR FAMILY o USING btree", {"!create operator family o"}),
    ("CreatePLangStmt", "CREATE TRUSTED LANGUAGE l HANDLER h", {"!create language l"}),
    (
        "CreatePolicyStmt",
        "CREATE POLICY p ON t USING (a IN (SELECT b FROM u))",
        {"!create policy p on public.t", "alter public.t", "select public.u"},
    ),
    ("CreatePublicationStmt", "CREATE PUBLICATION p FOR ALL TABLES", {"!create publication p"}),
    (
        "CreateRangeStmt",
        "CREATE TYPE r AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = f)",
        {"!create type r"},
    ),
    ("CreateRoleStmt", "CREATE USER bob SUPERUSER", {"!create role bob"}),
    ("CreateSchemaStmt", "CREATE SCHEMA app", {"create schema app"}),
    ("CreateSeqStmt", "CREATE TEMP SEQUENCE s", {"create sequence pg_temp.s"}),
    (
        "CreateStatsStmt",
        "CREATE STATISTICS s ON a, b FROM t",
        {"create statistics s", "select public.t"},
    ),
    (
        "CreateStmt",
        "CREATE UNLOGGED TABLE t (a int REFERENCES u, LIKE v INCLUDING ALL)",
        {"create public.t", "select public.u", "select public.v"},
    ),
    (
        "CreateSubscriptionStmt",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
        {"!create subscription s"},
    ),
    (
        "CreateTableAsStmt",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
        {"create public.m", "select public.t"},
    ),
    ("CreateTableSpaceStmt", "CREATE TABLESPACE x LOCATION '/tmp'", {"!create tablespace x"}),
    (
        "CreateTransformStmt",
        "CREATE TRANSFORM FOR c LANGUAGE l (TO SQL WITH FUNCTION f(internal))",
        {"!create transform for language l"},
    ),
    (
        "CreateTrigStmt",
        "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        {"!create function f", "!create trigger x on public.t", "alter public.t"},
    ),
    (
        "CreateUserMappingStmt",
        "CREATE USER MAPPING FOR bob SERVER s OPTIONS (password 'x')",
        {"!create user mapping on server s"},
    ),
    ("CreatedbStmt", "CREATE DATABASE d TEMPLATE e", {"!create database d"}),
    ("DeallocateStmt", "DEALLOCATE p", {"~execute"}),
    (
        "DeclareCursorStmt",
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t",
        {"cursor", "select public.t"},
    ),
    (
        "DefineStmt",
        "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
        {"!create tsdictionary d"},
    ),
    ("DeleteStmt", "DELETE FROM t WHERE a = 1", {"delete public.t"}),
    ("DiscardStmt", "DISCARD PLANS", {"!set session state (DISCARD)"}),
    ("DoStmt", "DO 'BEGIN END'", {"!do code block"}),
    ("DropOwnedStmt", "DROP OWNED BY bob", {"!drop everything owned by role bob"}),
    ("DropRoleStmt", "DROP USER bob", {"!drop role bob"}),
    ("DropStmt", "DROP MATERIALIZED VIEW m", {"drop public.m"}),
    ("DropSubscriptionStmt", "DROP SUBSCRIPTION s", {"!drop subscription s"}),
    ("DropTableSpaceStmt", "DROP TABLESPACE x", {"!drop tablespace x"}),
    (
        "DropUserMappingStmt",
        "DROP USER MAPPING FOR bob SERVER s",
        {"!drop user mapping on server s"},
    ),
    ("DropdbStmt", "DROP DATABASE d WITH (FORCE)", {"!drop database d"}),
    ("ExecuteStmt", "EXECUTE p(1)", {"!execute prepared statement p"}),
    (
        "ExplainStmt",
        "EXPLAIN (ANALYZE, SERIALIZE) UPDATE t SET a = 1",
        {"explain public.t", "update public.t unbounded"},
    ),
    ("FetchStmt", "MOVE ALL IN c", {"~cursor"}),
    ("GrantRoleStmt", "GRANT a TO b WITH INHERIT TRUE", {"!grant role a"}),
    ("GrantStmt", "GRANT SELECT (a) ON t TO bob", {"grant public.t"}),
    (
        "ImportForeignSchemaStmt",
        "IMPORT FOREIGN SCHEMA a FROM SERVER s INTO app",
        {"!create foreign tables of server s"},
    ),
    (
        "IndexStmt",
        "CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(a)) WHERE b > 0",
        {"alter public.t", "create index on public.t", "~create function lower"},
    ),
    ("InsertStmt", "INSERT INTO t DEFAULT VALUES", {"insert public.t"}),
    ("ListenStmt", "LISTEN c", {"!listen channel c"}),
    ("LoadStmt", "LOAD 'x'", {"!other library x"}),
    ("LockStmt", "LOCK t IN EXCLUSIVE MODE", {"lock public.t"}),
    (
        "MergeStmt",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1",
        {"merge public.t", "select public.u", "update public.t"},
    ),
    ("NotifyStmt", "NOTIFY c", {"!notify channel c"}),
    ("PrepareStmt", "PREPARE p(int) AS UPDATE t SET a = $1 WHERE b = 1", {"update public.t"}),
    ("ReassignOwnedStmt", "REASSIGN OWNED BY a TO b", {"!alter everything owned by role a"}),
    ("RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW CONCURRENTLY m", {"refresh public.m"}),
    ("ReindexStmt", "REINDEX DATABASE d", {"!other reindex d"}),
    ("RenameStmt", "ALTER ROLE a RENAME TO b", {"!alter role a"}),
    (
        "RuleStmt",
        "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
        {"!create rule r on public.t", "alter public.t"},
    ),
    ("SecLabelStmt", "SECURITY LABEL ON ROLE bob IS 'x'", {"!security label on bob"}),
    ("SelectStmt", "SELECT a FROM t UNION SELECT b FROM u", {"select public.t", "select public.u"}),
    ("TransactionStmt", "ROLLBACK PREPARED 'x'", {"!transaction prepared transaction x"}),
    (
        "TruncateStmt",
        "TRUNCATE t, u RESTART IDENTITY CASCADE",
        {"!truncate every table that refers to them", "truncate public.t", "truncate public.u"},
    ),
    ("UnlistenStmt", "UNLISTEN c", {"~listen"}),
    (
        "UpdateStmt",
        "UPDATE t SET a = (SELECT max(b) FROM u) WHERE c = 1",
        {"select public.u", "update public.t", "~select function max"},
    ),
    ("VacuumStmt", "VACUUM (FULL, ANALYZE) t", {"vacuum public.t"}),
    ("VariableSetStmt", "SET SESSION AUTHORIZATION bob", {"!set setting session_authorization"}),
    ("VariableShowStmt", "SHOW ALL", {"~show setting all"}),
    (
        "ViewStmt",
        "CREATE RECURSIVE VIEW v (a) AS SELECT 1 UNION SELECT a + 1 FROM v",
        {"create view public.v"},
    ),
]


@pytest.mark.parametrize(("kind", "text", "expected"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_what_a_kind_of_statement_does(kind: str, text: str, expected: set[str]) -> None:
    (tree,) = grammar.parse(text)
    assert list(tree) == [kind]
    assert parts(text) == expected


def test_no_kind_is_left_out() -> None:
    fields = import_module("postgast.pg_query_pb2").Node.DESCRIPTOR.fields
    known = {field.message_type.name for field in fields if field.message_type}
    kinds = {name for name in known if name.endswith("Stmt")}
    assert kinds - INSIDE == {kind for kind, _, _ in KINDS}


@pytest.mark.parametrize(
    "text",
    [
        "DO 'BEGIN END'",
        "CALL p()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE PROCEDURE p() BEGIN ATOMIC DELETE FROM t; END",
        "EXECUTE p",
        "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()",
    ],
)
def test_code_whose_effect_is_not_known_is_never_allowed_by_default(text: str) -> None:
    assert any(part.startswith("!") for part in parts(text))
